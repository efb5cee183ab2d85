//! Strange answers, and lines that break.

use super::*;

#[test]
fn a_strange_404_counts_only_from_a_server_that_has_answered_before() {
    let strange = Response::Child(Child::StrangeNotFound);
    Talk::begin(start(tail(3, &[]))).hears(&child(3), strange.clone()).ends(&End::InStep);
    let never = Start { answered: false, ..start(tail(3, &[])) };
    let report = Talk::begin(never).hears(&child(3), strange);
    assert!(matches!(
        report.action,
        Action::Done(report) if report.end == End::Failed(Failure::StrangeNotFound)
    ));
}

#[test]
fn a_server_that_has_forgotten_the_client_gets_the_rest_and_the_report_says_so() {
    let ours = [edit(1, "a", 5)];
    let report = Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), Response::Child(Child::NoSuchClient))
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &ours, accepted(4))
        .takes_in(4, false)
        // Nothing from before is there: with the snapshot the whole list is.
        .hears(&Request::AddSnapshot { version: v(4) }, Response::SnapshotAdded)
        .commits(|change| assert!(matches!(change, Change::Note { snapshot_done: true, .. })))
        .ends(&End::InStep);
    assert!(report.client_was_forgotten);
    assert_eq!(report.snapshot_made, Some(v(4)));
}

#[test]
fn a_server_that_has_forgotten_a_list_of_which_nothing_waits_gets_it_again() {
    let report = Talk::begin(Start { avoid_snapshots: true, ..start(tail(3, &[])) })
        .hears(&child(3), Response::Child(Child::NoSuchClient))
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &[], accepted(4))
        .takes_in(4, false)
        .hears(&Request::AddSnapshot { version: v(4) }, Response::SnapshotAdded)
        .commits(|change| assert!(matches!(change, Change::Note { snapshot_done: true, .. })))
        .ends(&End::InStep);
    assert!(report.client_was_forgotten);
}

/// The reply is lost and the process killed: the next sync finds what was sent, and owes the snapshot.
#[test]
fn a_snapshot_that_a_forgetful_server_is_owed_is_remembered_before_anything_is_sent() {
    let owed =
        |change: &Change| assert!(matches!(change, Change::Push { owes_snapshot: true, .. }));
    let forgotten = || Response::Child(Child::NoSuchClient);
    for ours in [vec![], vec![edit(1, "a", 5)]] {
        Talk::begin(start(tail(3, &ours)))
            .hears(&child(3), forgotten())
            .hears(&Request::CheckProof, PROVED)
            .commits(owed);
        // Another process changes something first: nothing was remembered, so it is tried again.
        Talk::begin(start(tail(3, &ours)))
            .hears(&child(3), forgotten())
            .hears(&Request::CheckProof, PROVED)
            .tell(Event::Moved(tail(3, &[edit(1, "b", 5)])))
            .hears(&child(3), forgotten())
            .commits(owed);
        let sent_before = || {
            let mut sent = in_flight(3, &ours, (2, 2));
            sent.ranges.truncate(ours.len());
            Tail { in_flight: Some(sent), ..tail(3, &ours) }
        };
        // Sent before the server forgot: it is owed from now on.
        Talk::begin(start(sent_before()))
            .hears(&child(3), forgotten())
            .hears(&Request::CheckProof, PROVED)
            .commits(owed);
        // It took it, and we did not live to hear so.
        Talk::begin(Start { wanted_snapshot: Some(v(3)), ..start(sent_before()) })
            .hears(&child(3), version(4, &ours))
            .takes_in(4, false)
            .hears(&child(4), UP_TO_DATE)
            .asks(&Request::AddSnapshot { version: v(4) });
    }
}

#[test]
fn a_base_of_another_program_at_a_server_that_knows_nothing_asks_a_person() {
    let from_elsewhere = || Start { is_base_known: false, ..start(tail(3, &[])) };
    let look = |talk: Talk| {
        talk.hears(&child(3), Response::Child(Child::NoSuchClient))
            .hears(&Request::GetSnapshot, Response::Snapshot(None))
            .hears(&child(0), Response::Child(Child::NoSuchClient))
            .hears(&Request::AskReady, Response::Ready(None))
    };
    look(Talk::begin(from_elsewhere())).ends(&End::Question(Question::NewHistory));
    let consent = Consent { new_history: true, ..Consent::default() };
    look(Talk::begin(Start { consent, ..from_elsewhere() }))
        .commits(|change| assert!(matches!(change, Change::Restart { again: false })));
    // Where the client is known, the base may well belong there.
    Talk::begin(from_elsewhere()).hears(&child(3), UP_TO_DATE).ends(&End::InStep);
}

#[test]
fn a_version_that_cannot_be_here_ends_the_sync_and_keeps_what_came_before() {
    for (name, answer) in [
        ("wrong parent", raw_version(5, 9, segment::write([]))),
        ("seen before", raw_version(4, 4, segment::write([]))),
        ("the base again", raw_version(3, 4, segment::write([]))),
        ("nil", raw_version(0, 4, segment::write([]))),
    ] {
        let talk = Talk::begin(start(tail(3, &[])))
            .hears(&child(3), version(4, &[create(1)]))
            .hears(&child(4), answer)
            .pulls(&[4], &[]);
        match talk.action {
            Action::Done(report) => assert!(
                matches!(report.end, End::Failed(Failure::NotTheProtocol { .. })),
                "{name}: {:?}",
                report.end
            ),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn an_operation_of_a_future_kind_keeps_what_came_before_and_pushes_nothing() {
    let future = br#"{"operations":[{"Rename":{}}]}"#.to_vec();
    Talk::begin(start(tail(3, &[edit(1, "a", 5)])))
        .hears(&child(3), version(4, &[create(2)]))
        .hears(&child(4), raw_version(5, 4, future))
        .pulls(&[4], &[])
        .fails(Failure::FutureKind { version: v(5), kind: "Rename".into() });
}

#[test]
fn a_malformed_version_keeps_what_came_before_and_pushes_nothing() {
    let talk = Talk::begin(start(tail(3, &[edit(1, "a", 5)])))
        .hears(&child(3), version(4, &[create(2)]))
        .hears(&child(4), raw_version(5, 4, b"<html>".to_vec()))
        .pulls(&[4], &[]);
    assert!(matches!(
        talk.action,
        Action::Done(report)
            if matches!(report.end, End::Failed(Failure::Malformed { version, .. }) if version == v(5))
    ));
}

#[test]
fn a_line_that_breaks_while_pulling_keeps_what_came_before() {
    Talk::begin(start(tail(3, &[])))
        .hears(&child(3), version(4, &[create(2)]))
        .asks(&child(4))
        .tell(Event::Unknown(broken()))
        .pulls(&[4], &[])
        .fails(broken());
}
