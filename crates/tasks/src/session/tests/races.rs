//! Races and unknown outcomes.

use super::*;

#[test]
fn a_conflict_goes_on_with_the_rebased_remainder() {
    let ours = [edit(1, "older", 5), edit(2, "kept", 5)];
    Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &ours, conflict(4))
        .hears(&child(3), version(4, &[edit(1, "newer", 9)]))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[2])
        .prepares(4)
        .pushes(4, &ours[1..], accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

#[test]
fn the_same_conflict_twice_is_out_of_sync() {
    let ours = [edit(1, "a", 5)];
    Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3)
        .pushes(3, &ours, conflict(9))
        .hears(&child(3), UP_TO_DATE)
        .pushes(3, &ours, conflict(9))
        .fails(Failure::OutOfSync { latest: v(9) });
}

fn unknown_push(ours: &[Operation]) -> Talk {
    let talk = Talk::begin(start(tail(3, ours)))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3);
    talk.sends(3, ours);
    talk.tell(Event::Unknown(broken()))
}

#[test]
fn after_a_lost_reply_the_child_with_our_digest_is_ours() {
    let ours = [edit(1, "a", 5)];
    let report = unknown_push(&ours)
        .hears(&child(3), version(4, &ours))
        .takes_in(4, false)
        .hears(&child(4), UP_TO_DATE)
        .ends(&End::InStep);
    assert_eq!((report.versions_up, report.versions_down), (1, 0));
}

#[test]
fn after_a_lost_reply_another_child_is_pulled_and_ours_follows() {
    let ours = [edit(1, "a", 5)];
    unknown_push(&ours)
        .hears(&child(3), version(4, &[edit(2, "theirs", 5)]))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[])
        .prepares(4)
        .pushes(4, &ours, accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

#[test]
fn after_a_lost_request_the_segment_is_sent_once_more_and_no_oftener() {
    let ours = [edit(1, "a", 5)];
    let talk = unknown_push(&ours).hears(&child(3), UP_TO_DATE);
    talk.sends(3, &ours);
    talk.tell(Event::Unknown(broken())).hears(&child(3), UP_TO_DATE).fails(broken());
}

#[test]
fn an_unknown_outcome_that_cannot_be_looked_into_ends_with_its_cause() {
    let ours = [edit(1, "a", 5)];
    let other = Failure::TimedOut { what: "the answer".into(), is_connected: true };
    unknown_push(&ours).asks(&child(3)).tell(Event::Unknown(other)).fails(broken());
}

#[test]
fn a_refused_push_is_not_looked_into() {
    let ours = [edit(1, "a", 5)];
    let talk = Talk::begin(start(tail(3, &ours)))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .prepares(3);
    talk.tell(Event::Refused(Failure::Forbidden)).fails(Failure::Forbidden);
}

#[test]
fn what_an_earlier_process_had_in_flight_is_known_again() {
    let ours = [edit(1, "a", 5), edit(2, "b", 6)];
    let mut tail = tail(3, &ours);
    tail.in_flight = Some(in_flight(3, &ours[..1], (2, 2)));
    Talk::begin(start(tail))
        .hears(&child(3), version(4, &ours[..1]))
        .takes_in(4, false)
        .hears(&child(4), UP_TO_DATE)
        .prepares(4)
        .pushes(4, &ours[1..], accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

#[test]
fn what_an_earlier_process_had_in_flight_is_sent_as_it_was() {
    let ours = [edit(1, "a", 5), edit(2, "b", 6)];
    let mut tail = tail(3, &ours);
    tail.in_flight = Some(in_flight(3, &ours[..1], (2, 2)));
    Talk::begin(start(tail))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, PROVED)
        .pushes(3, &ours[..1], accepted(4))
        .takes_in(4, true)
        .pushes(4, &ours[1..], accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

/// Found by the simulator: the snapshot held what we had sent, and it was pushed once more.
#[test]
fn a_first_segment_in_flight_is_looked_for_before_any_snapshot() {
    let ours = [create(1), edit(1, "a", 5)];
    let mut tail = tail(0, &ours);
    tail.in_flight = Some(in_flight(0, &ours, (2, 4)));
    Talk::begin(start(tail))
        .hears(&child(0), version(1, &ours))
        .takes_in(1, false)
        .hears(&child(1), UP_TO_DATE)
        .ends(&End::InStep);
}

/// Found by the simulator: the segment stood on nil and was sent with that parent for ever.
#[test]
fn a_loaded_snapshot_forgets_what_was_in_flight_before() {
    let ours = [create(1)];
    let mut tail = tail(0, &ours);
    tail.in_flight = Some(in_flight(0, &ours, (2, 2)));
    let empty = snapshot::write(&TaskSet::new());
    Talk::begin(start(tail))
        .hears(&child(0), GONE)
        .hears(&Request::GetSnapshot, Response::Snapshot(Some((v(7), empty))))
        .commits(|change| assert!(matches!(change, Change::LoadSnapshot { .. })))
        .hears(&child(7), UP_TO_DATE)
        .prepares(7)
        .pushes(7, &ours, accepted(8))
        .takes_in(8, false)
        .ends(&End::InStep);
}
