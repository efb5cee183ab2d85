//! Snapshots that are made and wanted.

use super::*;

#[test]
fn a_snapshot_is_made_as_the_urgency_and_the_setting_say() {
    for (urgency, avoid, made) in [
        (Urgency::None, false, false),
        (Urgency::Low, false, true),
        (Urgency::Low, true, false),
        (Urgency::High, true, true),
    ] {
        let ours = [edit(1, "a", 5)];
        let talk = Talk::begin(Start { avoid_snapshots: avoid, ..start(tail(3, &ours)) })
            .hears(&child(3), UP_TO_DATE)
            .hears(&Request::CheckProof, PROVED)
            .prepares(3)
            .pushes(3, &ours, Response::Added(Added::Accepted { version: v(4), urgency }))
            .takes_in(4, false);
        let report = if made {
            talk.hears(&Request::AddSnapshot { version: v(4) }, Response::SnapshotAdded)
                .commits(|change| {
                    assert!(matches!(change, Change::Note { snapshot_done: true, .. }))
                })
                .ends(&End::InStep)
        } else {
            talk.ends(&End::InStep)
        };
        assert_eq!(report.snapshot_made, made.then(|| v(4)), "{urgency:?}, avoid {avoid}");
    }
}

#[test]
fn a_snapshot_waits_for_the_last_batch() {
    let ours = [edit(1, "a", 5), edit(2, "b", 6)];
    let urgent = |n| Response::Added(Added::Accepted { version: v(n), urgency: Urgency::High });
    Talk::begin(Start { segment_bytes_max: 1, ..start(tail(3, &ours)) })
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &ours[..1], urgent(4))
        .takes_in(4, true)
        .pushes(4, &ours[1..], urgent(5))
        .takes_in(5, false)
        .asks(&Request::AddSnapshot { version: v(5) });
}

#[test]
fn a_wanted_snapshot_survives_a_crash_and_its_failure_fails_nothing() {
    let wanted = Start { wanted_snapshot: Some(v(2)), ..start(tail(3, &[])) };
    let report = Talk::begin(wanted)
        .hears(&child(3), UP_TO_DATE)
        // A snapshot under a wrong key would replace the good one.
        .hears(&Request::CheckProof, PROVED)
        .asks(&Request::AddSnapshot { version: v(3) })
        .tell(Event::Unknown(broken()))
        .ends(&End::InStep);
    assert_eq!((report.snapshot_made, report.snapshot_failure), (None, Some(broken())));
}
