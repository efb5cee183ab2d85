//! Nothing to do, first syncs and usual syncs.

use super::*;

#[test]
fn nothing_to_do_is_one_question_and_no_commit() {
    let report = Talk::begin(start(tail(3, &[]))).hears(&child(3), UP_TO_DATE).ends(&End::InStep);
    assert_eq!(report.requests, 1);
}

#[test]
fn a_first_upload_looks_for_a_snapshot_and_a_history_first() {
    let ours = [create(1), edit(1, "a", 1)];
    let report = Talk::begin(start(tail(0, &ours)))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
        .hears(&Request::CheckProof, Response::Proof(Proof::Unproved))
        .prepares(0)
        .pushes(0, &ours, accepted(1))
        .takes_in(1, false)
        .ends(&End::InStep);
    assert_eq!((report.versions_up, report.operations_up), (1, 2));
}

#[test]
fn a_usual_sync_pulls_then_pushes_without_a_question_between() {
    let ours = [edit(1, "ours", 20), edit(2, "mine", 5)];
    let theirs = [edit(1, "theirs", 10), edit(2, "yours", 9)];
    Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), version(4, &theirs))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[4])
        .prepares(4)
        .pushes(4, &ours[..1], accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

#[test]
fn batches_follow_each_other_without_a_question_between() {
    let ours = [edit(1, "a", 1), edit(2, "b", 2), edit(3, "c", 3)];
    let one = Start { segment_bytes_max: 1, ..start(tail(3, &ours)) };
    let report = Talk::begin(one)
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &ours[..1], accepted(4))
        .takes_in(4, true)
        .pushes(4, &ours[1..2], accepted(5))
        .takes_in(5, true)
        .pushes(5, &ours[2..], accepted(6))
        .takes_in(6, false)
        .ends(&End::InStep);
    assert_eq!((report.versions_up, report.requests), (3, 4));
}

#[test]
fn pulled_versions_are_committed_in_groups() {
    let small = Start { group_bytes_max: 1, ..start(tail(1, &[])) };
    Talk::begin(small)
        .hears(&child(1), version(2, &[create(1)]))
        .pulls(&[2], &[])
        .hears(&child(2), version(3, &[create(2)]))
        .pulls(&[3], &[])
        .hears(&child(3), UP_TO_DATE)
        .ends(&End::InStep);
}

#[test]
fn a_fresh_replica_takes_the_snapshot_under_the_few_tasks_that_it_has() {
    let theirs = TaskSet::from([(
        TaskId::from_bytes([1; 16]),
        Task::from_iter([("description", "theirs"), ("modified", "9")]),
    )]);
    let ours = [create(1), edit(1, "mine", 5), create(2)];
    Talk::begin(start(tail(0, &ours)))
        .hears(&Request::GetSnapshot, Response::Snapshot(Some((v(7), snapshot::write(&theirs)))))
        .commits(|change| match change {
            Change::LoadSnapshot { version, dropped, lost, .. } => {
                assert_eq!((*version, dropped.as_slice()), (v(7), &[id(2), id(4)][..]));
                assert_eq!(lost.len(), 1);
            }
            other => panic!("{other:?}"),
        })
        .hears(&child(7), UP_TO_DATE)
        .prepares(7)
        .pushes(7, &ours[2..], accepted(8))
        .takes_in(8, false)
        .ends(&End::InStep);
}

#[test]
fn a_snapshot_that_is_none_is_malformed() {
    let body = b"<html>".to_vec();
    Talk::begin(start(tail(0, &[create(1)])))
        .hears(&Request::GetSnapshot, Response::Snapshot(Some((v(7), body))))
        .fails(Failure::Malformed { version: v(7), what: "it is not a snapshot".into() });
}
