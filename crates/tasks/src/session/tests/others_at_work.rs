//! Other programs at work on the same replica.

use super::*;

#[test]
fn a_pull_that_finds_new_edits_is_rebased_and_offered_again() {
    let ours = [edit(1, "older", 5)];
    let more = [edit(1, "older", 5), edit(2, "also older", 5)];
    let theirs = [edit(1, "newer", 9), edit(2, "newer", 9)];
    let talk = Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), version(4, &theirs))
        .hears(&child(4), UP_TO_DATE);
    assert!(matches!(&talk.batch().change, Change::Pull { dropped, .. } if dropped == &[id(2)]));
    talk.tell(Event::Moved(tail(3, &more))).pulls(&[4], &[2, 4]).ends(&End::InStep);
}

#[test]
fn a_preparation_that_finds_another_list_begins_again() {
    let more = [edit(1, "a", 5), edit(2, "b", 5)];
    Talk::begin(start(tail(3, &more[..1])))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .tell(Event::Moved(tail(3, &more)))
        .hears(&child(3), UP_TO_DATE)
        .prepares(3)
        .pushes(3, &more, accepted(4));
}

/// Found by the simulator: what came in between was taken for known, and its tasks lost their base.
#[test]
fn an_acceptance_that_finds_new_edits_goes_on_from_what_there_is() {
    let ours = [edit(1, "a", 5)];
    let later = [edit(2, "b", 6)];
    let urgent = Response::Added(Added::Accepted { version: v(4), urgency: Urgency::High });
    let report = Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &ours, urgent)
        .tell(Event::Moved(tail(4, &later)))
        .hears(&child(4), UP_TO_DATE)
        .prepares(4)
        .pushes(4, &later, accepted(5))
        .takes_in(5, false)
        .hears(&Request::AddSnapshot { version: v(5) }, Response::SnapshotAdded)
        .commits(|_| {})
        .ends(&End::InStep);
    assert_eq!(report.snapshot_made, Some(v(5)), "the wish of version 4 is not forgotten");
}

#[test]
fn a_base_that_a_foreign_sync_moved_is_walked_on_from() {
    Talk::begin(start(tail(3, &[])))
        .hears(&child(3), version(4, &[create(1)]))
        .hears(&child(4), UP_TO_DATE)
        .tell(Event::Moved(tail(4, &[])))
        .hears(&child(4), UP_TO_DATE)
        .ends(&End::InStep);
}

/// Their first word lost to ours, and their last one is the same as ours.
#[test]
fn whoever_says_the_same_in_the_end_has_lost_nothing() {
    for (last, told) in [("mine", &[][..]), ("other", &["other"])] {
        let theirs = [edit(1, "first", 2), edit(1, last, 3)];
        Talk::begin(start(tail(3, &[edit(1, "mine", 5)])))
            .hears(&child(3), version(4, &theirs))
            .hears(&child(4), UP_TO_DATE)
            .commits(|change| match change {
                Change::Pull { lost, .. } => {
                    let values: Vec<_> =
                        lost.iter().filter_map(|lost| lost.value.as_deref()).collect();
                    assert_eq!(values, told);
                }
                other => panic!("{other:?}"),
            });
    }
}

/// Found by the simulator: a change that waits and then is deleted with its task, and the task made
/// again in the same breath, was told nowhere.
#[test]
fn a_change_that_a_deletion_takes_is_named_beside_the_task() {
    let ours = [edit(1, "mine", 5)];
    let theirs = [Operation::Delete { uuid: TaskId::from_bytes([1; 16]) }, create(1)];
    Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), version(4, &theirs))
        .hears(&child(4), UP_TO_DATE)
        .commits(|change| match change {
            Change::Pull { lost, .. } => {
                let told: Vec<_> = lost.iter().map(|lost| lost.value.as_deref()).collect();
                assert_eq!(told, [None, Some("mine")], "the task, and what was changed in it");
            }
            other => panic!("{other:?}"),
        });
}
