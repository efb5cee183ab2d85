//! What only a person can decide: another list, an empty server.

use super::*;

#[test]
fn an_empty_replica_and_an_empty_server_is_noted_once_and_then_asked() {
    let empty = || Start { tasks: 0, answered: false, ..start(tail(0, &[])) };
    let nothing = |start: Start| {
        Talk::begin(start)
            .hears(&Request::GetSnapshot, Response::Snapshot(None))
            .hears(&child(0), Response::Child(Child::NoSuchClient))
    };
    let ready = |talk: Talk| talk.hears(&Request::AskReady, Response::Ready(None));
    ready(nothing(empty()))
        .commits(|change| {
            assert!(matches!(change, Change::Note { needs_new_history: true, .. }));
        })
        .ends(&End::NoHistory);
    ready(nothing(Start { needs_new_history: true, ..empty() })).ends(&End::NoHistory);
    nothing(Start { is_directory: true, ..empty() }).ends(&End::InStep);

    let ours = [create(1)];
    let noted = || Start { needs_new_history: true, ..start(tail(0, &ours)) };
    ready(nothing(noted())).ends(&End::Question(Question::NewHistory));
    let consent = Consent { new_history: true, ..Consent::default() };
    nothing(Start { consent, ..noted() }).asks(&Request::CheckProof);
    nothing(start(tail(0, &ours))).asks(&Request::CheckProof);
}

#[test]
fn a_server_that_expects_the_client_is_given_the_list_without_a_question() {
    let noted = |tasks: u64, ours: &[Operation]| {
        let facts = Start { tasks, needs_new_history: true, ..start(tail(0, ours)) };
        Talk::begin(facts)
            .hears(&Request::GetSnapshot, Response::Snapshot(None))
            .hears(&child(0), Response::Child(Child::NothingYet))
    };
    noted(1, &[create(1)]).asks(&Request::CheckProof);
    let empty = Start { tasks: 0, ..start(tail(0, &[])) };
    let report = Talk::begin(empty)
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), Response::Child(Child::NothingYet))
        .ends(&End::NoHistory);
    assert!(report.client_is_expected);
    // "No such version": it knows the client.
    let noted = Start { needs_new_history: true, ..start(tail(0, &[create(1)])) };
    Talk::begin(noted)
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
        .asks(&Request::CheckProof);
    // Another client id at the server that this list belongs to.
    let elsewhere = Start {
        relation: Relation::Other { last_base: None },
        needs_new_history: true,
        ..start(tail(3, &[]))
    };
    Talk::begin(elsewhere)
        .hears(&child(3), Response::Child(Child::NothingYet))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), Response::Child(Child::NothingYet))
        .hears(&Request::AskReady, Response::Ready(None))
        .asks_restart();
}

#[test]
fn two_lists_are_joined_only_with_consent() {
    let many = || Start { tasks: JOIN_TASKS_MAX + 1, ..start(tail(0, &[create(1)])) };
    let question = End::Question(Question::TwoLists { tasks_here: JOIN_TASKS_MAX + 1 });
    let body = || Response::Snapshot(Some((v(7), snapshot::write(&TaskSet::new()))));
    Talk::begin(many()).hears(&Request::GetSnapshot, body()).ends(&question);
    Talk::begin(many())
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), version(1, &[create(2)]))
        .ends(&question);
    let consent = Consent { join: true, ..Consent::default() };
    Talk::begin(Start { consent, ..many() })
        .hears(&Request::GetSnapshot, body())
        .commits(|change| assert!(matches!(change, Change::LoadSnapshot { .. })));
}

/// It would stand nowhere: neither where it was nor where it was to go.
#[test]
fn a_list_does_not_leave_its_place_for_one_that_takes_nothing() {
    let elsewhere = Start { relation: Relation::Other { last_base: None }, ..start(tail(3, &[])) };
    let report = Talk::begin(elsewhere)
        .hears(&child(3), Response::Child(Child::NoSuchClient))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
        .hears(&Request::AskReady, Response::Ready(Some(Failure::ClientUnknown)))
        .fails(Failure::ClientUnknown);
    assert!(!report.restarted);
}

/// That server would have refused what the question offers.
#[test]
fn nobody_is_asked_to_begin_a_history_where_none_can_be() {
    let refused = |start: Start, failure: Failure| {
        Talk::begin(start)
            .hears(&Request::GetSnapshot, Response::Snapshot(None))
            .hears(&child(0), Response::Child(Child::NoSuchClient))
            .hears(&Request::AskReady, Response::Ready(Some(failure)))
    };
    let noted = || Start { needs_new_history: true, ..start(tail(0, &[create(1)])) };
    let disk_low = || Failure::Told {
        status: 503,
        code: "disk_low".into(),
        message: "The server's disk is nearly full.".into(),
        retry_seconds: None,
    };
    for failure in [Failure::ClientUnknown, disk_low()] {
        refused(noted(), failure.clone()).fails(failure);
    }
    // Nor is a list without a task told how; it has nothing to put on a disk.
    let empty = || Start { tasks: 0, ..start(tail(0, &[])) };
    refused(empty(), Failure::ClientUnknown).fails(Failure::ClientUnknown);
    refused(empty(), disk_low())
        .commits(|change| assert!(matches!(change, Change::Note { .. })))
        .ends(&End::NoHistory);
    // Another client id at the server that this list belongs to.
    let elsewhere = Start {
        relation: Relation::Other { last_base: None },
        needs_new_history: true,
        ..start(tail(3, &[]))
    };
    Talk::begin(elsewhere)
        .hears(&child(3), Response::Child(Child::NoSuchClient))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), Response::Child(Child::NoSuchClient))
        .hears(&Request::AskReady, Response::Ready(Some(Failure::ClientUnknown)))
        .fails(Failure::ClientUnknown);
}

/// It left once and got nowhere, so that all of it waits already.
#[test]
fn a_list_that_stands_nowhere_is_not_offered_anew_each_time_and_joins_no_other_unasked() {
    let astray =
        || Start { relation: Relation::Other { last_base: None }, ..start(tail(0, &[create(1)])) };
    Talk::begin(astray())
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
        .asks(&Request::CheckProof);
    Talk::begin(astray())
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), version(1, &[create(2)]))
        .ends(&End::Question(Question::TwoLists { tasks_here: start(tail(0, &[])).tasks }));
}

/// A directory has a name only since its first version, and that may be what was sent before the end.
#[test]
fn a_list_that_stands_nowhere_knows_again_what_it_sent() {
    let ours = [create(1)];
    let sent = || Start {
        relation: Relation::Other { last_base: None },
        is_directory: true,
        ..start(Tail { in_flight: Some(in_flight(0, &ours, (2, 2))), ..tail(0, &ours) })
    };
    Talk::begin(sent())
        .hears(&child(0), version(1, &ours))
        .takes_in(1, false)
        .hears(&child(1), UP_TO_DATE)
        .ends(&End::InStep);
    let other = version(1, &[create(2)]);
    Talk::begin(sent())
        .hears(&child(0), other.clone())
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), other)
        .ends(&End::Question(Question::TwoLists { tasks_here: 1 }));
}

#[test]
fn a_remote_never_met_gets_the_whole_state() {
    let elsewhere =
        || Start { relation: Relation::Other { last_base: None }, ..start(tail(3, &[])) };
    let whole = [create(1), edit(1, "a", 5)];
    let report = Talk::begin(elsewhere())
        .hears(&child(3), Response::Child(Child::NoSuchClient))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
        .hears(&Request::AskReady, Response::Ready(None))
        .asks_restart()
        .tell(Event::Moved(tail(0, &whole)))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(0)
        .pushes(0, &whole, accepted(1))
        .takes_in(1, false)
        .ends(&End::InStep);
    assert!(report.restarted);
    // It holds a list of its own: a person is asked.
    Talk::begin(elsewhere())
        .hears(&child(3), GONE)
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), version(1, &[create(9)]))
        .ends(&End::Question(Question::TwoLists { tasks_here: 1 }));
    let consent = Consent { join: true, ..Consent::default() };
    Talk::begin(Start { consent, ..elsewhere() })
        .hears(&child(3), GONE)
        .hears(&Request::GetSnapshot, Response::Snapshot(Some((v(7), Vec::new()))))
        .asks_restart();
}

#[test]
fn a_remote_met_before_is_merged_with_without_asking() {
    let known =
        Start { relation: Relation::Other { last_base: Some(v(2)) }, ..start(tail(3, &[])) };
    Talk::begin(known)
        .hears(&child(3), UP_TO_DATE)
        .hears(&child(2), UP_TO_DATE)
        .hears(&child(2), UP_TO_DATE)
        .asks_restart()
        .tell(Event::Moved(tail(0, &[create(1)])))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), raw_version(2, 0, segment::write(&[create(1)])))
        .hears(&child(2), UP_TO_DATE)
        .pulls(&[2], &[2])
        .ends(&End::InStep);
}

#[test]
fn the_same_history_under_another_address_is_recognised() {
    let moved = || Start { relation: Relation::Other { last_base: None }, ..start(tail(3, &[])) };
    let adopts = |talk: Talk| {
        assert_eq!(talk.batch().change, Change::Adopt);
        talk.tell(Event::Committed { first: None, last: None })
    };
    // A child of our base: no other history has one.
    let talk = Talk::begin(moved()).hears(&child(3), version(4, &[create(1)]));
    let report = adopts(talk)
        .hears(&child(3), version(4, &[create(1)]))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[])
        .ends(&End::InStep);
    assert!(report.address_changed && !report.restarted);
    // Up to date, which an empty server says as well: the base itself is asked for.
    let talk = Talk::begin(moved())
        .hears(&child(3), UP_TO_DATE)
        .hears(&child(2), version(3, &[create(1)]));
    adopts(talk).hears(&child(3), UP_TO_DATE).ends(&End::InStep);
    for other in [UP_TO_DATE, GONE, version(4, &[])] {
        Talk::begin(moved())
            .hears(&child(3), UP_TO_DATE)
            .hears(&child(2), other)
            .asks(&Request::GetSnapshot);
    }
    // It began from a snapshot, and knows no parent of its base: the snapshot is there still.
    let began = || Start {
        relation: Relation::Other { last_base: None },
        ..start(Tail { base_parent: None, ..tail(3, &[]) })
    };
    let snapshot = |n| Response::Snapshot(Some((v(n), snapshot::write(&TaskSet::new()))));
    let talk = Talk::begin(began()).hears(&child(3), UP_TO_DATE);
    let talk = talk.hears(&Request::GetSnapshot, snapshot(3));
    adopts(talk).hears(&child(3), UP_TO_DATE).ends(&End::InStep);
    let other = Talk::begin(began()).hears(&child(3), UP_TO_DATE);
    let other = other.hears(&Request::GetSnapshot, snapshot(9));
    other.ends(&End::Question(Question::TwoLists { tasks_here: 1 }));
}

impl Talk {
    #[track_caller]
    fn asks_restart(self) -> Self {
        assert!(matches!(self.batch().change, Change::Restart { .. }));
        self
    }
}
