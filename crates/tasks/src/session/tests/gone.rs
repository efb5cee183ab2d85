//! A history that is gone.

use super::*;

impl Talk {
    #[track_caller]
    fn lists(self, applied: &[u8]) -> Self {
        let versions = applied.iter().map(|n| v(*n)).collect();
        self.hears(&Request::ListApplied, Response::Applied(versions))
    }
}

fn gone(theirs: &[(u8, &str)]) -> Talk {
    let tasks: TaskSet = theirs
        .iter()
        .map(|(n, text)| (TaskId::from_bytes([*n; 16]), Task::from_iter([("description", *text)])))
        .collect();
    Talk::begin(start(tail(3, &[edit(1, "a", 5)])))
        .hears(&child(3), GONE)
        .lists(&[])
        .hears(&Request::GetSnapshot, Response::Snapshot(Some((v(8), snapshot::write(&tasks)))))
        .hears(&child(8), version(9, &[edit(1, "theirs", 9)]))
        .hears(&child(9), UP_TO_DATE)
}

#[test]
fn a_trimmed_history_is_looked_at_to_its_end_and_taken() {
    let talk = gone(&[(1, "old")]);
    match &talk.batch().change {
        Change::Reinitialise { end, theirs, walked, .. } => {
            assert_eq!((*end, walked.as_slice()), (v(9), &[(v(9), v(8))][..]));
            assert_eq!(theirs[&TaskId::from_bytes([1; 16])].get("description"), Some("theirs"));
        }
        other => panic!("{other:?}"),
    }
    let ours = [edit(1, "a", 5)];
    let report = talk
        .tell(Event::Moved(tail(9, &ours)))
        .hears(&child(9), UP_TO_DATE)
        .prepares(9)
        .pushes(9, &ours, accepted(10))
        .takes_in(10, false)
        .ends(&End::InStep);
    assert!(report.reinitialised);
}

#[test]
fn what_only_a_person_can_decide_ends_the_sync_with_the_question() {
    for question in [
        Question::ServerWentBack { version: v(9), tasks_differing: 1 },
        Question::ForeignHistory { tasks_here: 1, tasks_there: 1 },
    ] {
        gone(&[(1, "old")]).tell(Event::Asked(question.clone())).ends(&End::Question(question));
    }
}

/// Found by the simulator: an edit slipped in, nothing was done, and the session believed it was.
#[test]
fn a_reinitialisation_that_was_not_done_is_begun_again() {
    let report = gone(&[(1, "old")])
        .tell(Event::Moved(tail(3, &[edit(1, "a", 5), edit(1, "b", 6)])))
        .hears(&child(3), GONE)
        .lists(&[])
        .hears(
            &Request::GetSnapshot,
            Response::Snapshot(Some((v(9), snapshot::write(&TaskSet::new())))),
        )
        .hears(&child(9), UP_TO_DATE)
        .tell(Event::Moved(tail(9, &[])))
        .hears(&child(9), UP_TO_DATE)
        .ends(&End::InStep);
    assert!(report.reinitialised);
}

/// Found by the simulator: the look-out passed versions that the walk had seen.
#[test]
fn a_look_out_may_pass_versions_that_were_pulled_before() {
    Talk::begin(start(tail(3, &[])))
        .hears(&child(3), version(4, &[create(1)]))
        .hears(&child(4), GONE)
        .pulls(&[4], &[])
        .lists(&[])
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), raw_version(3, 0, segment::write([])))
        .hears(&child(3), version(4, &[create(1)]))
        .hears(&child(4), UP_TO_DATE)
        .commits(|change| assert!(matches!(change, Change::Reinitialise { .. })));
}

#[test]
fn a_history_trimmed_while_we_look_is_looked_at_again() {
    Talk::begin(start(tail(3, &[])))
        .hears(&child(3), GONE)
        .lists(&[])
        .hears(
            &Request::GetSnapshot,
            Response::Snapshot(Some((v(5), snapshot::write(&TaskSet::new())))),
        )
        .hears(&child(5), GONE)
        .hears(
            &Request::GetSnapshot,
            Response::Snapshot(Some((v(8), snapshot::write(&TaskSet::new())))),
        )
        .hears(&child(8), UP_TO_DATE)
        .commits(|change| {
            assert!(matches!(change, Change::Reinitialise { end, .. } if *end == v(8)))
        });
}

#[test]
fn gone_without_a_way_to_the_present_is_told() {
    Talk::begin(start(tail(3, &[])))
        .hears(&child(3), GONE)
        .lists(&[])
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), GONE)
        .fails(Failure::HistoryMissing);
}

#[test]
fn one_sync_reinitialises_once() {
    gone(&[(1, "old")])
        .tell(Event::Moved(tail(9, &[])))
        .hears(&child(9), GONE)
        .lists(&[])
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .fails(Failure::GoneAgain);
}

#[test]
fn an_empty_replica_is_told_that_history_is_missing() {
    let empty = Start { tasks: 0, ..start(tail(0, &[])) };
    Talk::begin(empty)
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), GONE)
        .fails(Failure::HistoryMissing);
}

/// v3 is our base; the server went back to v1, and another went on with v8 and v9.
#[test]
fn the_fork_is_found_and_what_the_branch_changed_is_known() {
    let known = start(tail(3, &[]));
    let [first, second] = [edit(1, "theirs", 8), edit(2, "theirs", 9)];
    let mut branch = crate::reinitialise::Branch::after(v(1));
    branch.take_in(&first);
    branch.take_in(&second);
    let talk = Talk::begin(known)
        .hears(&child(3), GONE)
        .lists(&[3, 2, 1])
        .hears(
            &Request::GetSnapshot,
            Response::Snapshot(Some((v(9), snapshot::write(&TaskSet::new())))),
        )
        .hears(&child(9), UP_TO_DATE)
        .hears(&child(2), GONE)
        .hears(&child(1), raw_version(8, 1, segment::write([&first])))
        .hears(&child(8), version(9, std::slice::from_ref(&second)));
    match &talk.batch().change {
        Change::Reinitialise { end, branch: found, .. } => {
            assert_eq!((*end, found.as_ref()), (v(9), Some(&branch)));
        }
        other => panic!("{other:?}"),
    }
    let report =
        talk.tell(Event::Moved(tail(9, &[]))).hears(&child(9), UP_TO_DATE).ends(&End::InStep);
    assert_eq!(report.forked_at, Some(v(1)));
}

#[test]
fn a_walk_past_a_version_of_ours_has_seen_the_branch() {
    let known = start(tail(3, &[]));
    let theirs = edit(1, "theirs", 8);
    let mut branch = crate::reinitialise::Branch::after(v(1));
    branch.take_in(&theirs);
    Talk::begin(known)
        .hears(&child(3), GONE)
        .lists(&[3, 2, 1])
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), version(1, &[create(1)]))
        .hears(&child(1), raw_version(8, 1, segment::write([&theirs])))
        .hears(&child(8), UP_TO_DATE)
        .commits(|change| {
            let found = matches!(change, Change::Reinitialise { branch: Some(found), .. } if *found == branch);
            assert!(found, "{change:?}");
        });
}

#[test]
fn a_trimmed_history_has_no_fork_and_a_branch_that_leads_elsewhere_is_none() {
    let theirs = edit(1, "theirs", 8);
    let elsewhere = raw_version(7, 2, segment::write([&theirs]));
    for (answers, is_found) in [
        (vec![(child(2), GONE), (child(1), GONE)], false),
        (vec![(child(2), elsewhere), (child(7), UP_TO_DATE)], false),
        // It goes on to a version of ours, and that one has no child: no chain is like this.
        (vec![(child(2), GONE), (child(1), version(2, &[]))], false),
        (vec![(child(2), UP_TO_DATE)], false),
        (vec![(child(2), raw_version(9, 2, segment::write([&theirs])))], true),
    ] {
        let known = start(tail(3, &[]));
        let mut talk = Talk::begin(known)
            .hears(&child(3), GONE)
            .lists(&[3, 2, 1])
            .hears(
                &Request::GetSnapshot,
                Response::Snapshot(Some((v(9), snapshot::write(&TaskSet::new())))),
            )
            .hears(&child(9), UP_TO_DATE);
        for (request, answer) in answers {
            talk = talk.hears(&request, answer);
        }
        talk.commits(|change| match change {
            Change::Reinitialise { branch, .. } => assert_eq!(branch.is_some(), is_found),
            other => panic!("{other:?}"),
        });
    }
}

/// Sixty versions are gone from a server that a backup was restored to: the fork is found in strides.
#[test]
fn a_fork_far_back_is_found_in_few_requests() {
    for lost in [1usize, 5, 16, 17, 18, 33, 60, 90] {
        // Version n is the child of n - 1; ours is the hundredth.
        let fork = u8::try_from(100 - lost).unwrap();
        let ours: Vec<u8> = (1..=100).rev().collect();
        let mut talk = Talk::begin(start(tail(100, &[])))
            .hears(&child(100), GONE)
            .lists(&ours)
            .hears(
                &Request::GetSnapshot,
                Response::Snapshot(Some((v(200), snapshot::write(&TaskSet::new())))),
            )
            .hears(&child(200), UP_TO_DATE);
        let mut requests = 0;
        let branch = loop {
            let parent = match talk.action.clone() {
                Action::Ask(Request::GetChildVersion { parent }) => parent,
                Action::Commit(batch) => match batch.change {
                    Change::Reinitialise { branch, .. } => break branch,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            };
            requests += 1;
            let n = (0..=100).find(|n| v(*n) == parent).unwrap();
            let answer = match n {
                n if n > fork => GONE,
                n if n == fork => raw_version(200, n, segment::write([&edit(1, "theirs", 8)])),
                n => version(n + 1, &[]),
            };
            talk = talk.tell(Event::Answer(answer));
        };
        assert_eq!(branch.map(|branch| branch.fork), Some(v(fork)), "{lost}");
        assert!(requests <= 16 + 8, "{lost}: {requests}");
    }
}
