//! Sessions over a scripted server and a scripted replica: each test is one conversation.

use proptest::prelude::*;
use tandem_core::{TaskId, Timestamp, VersionId};

use super::*;
use crate::model::{Task, TaskSet};
use crate::operation::Operation;
use crate::rebase::{OperationId, Pending};
use crate::segment::{self, SegmentDigest};
use crate::snapshot;

fn v(n: u8) -> VersionId {
    if n == 0 { VersionId::NIL } else { VersionId::from_bytes([n; 16]) }
}

fn id(n: i64) -> OperationId {
    OperationId(n)
}

fn edit(task: u8, value: &str, at: i64) -> Operation {
    Operation::Update {
        uuid: TaskId::from_bytes([task; 16]),
        property: "description".into(),
        value: Some(value.into()),
        timestamp: Timestamp::from_seconds(at),
    }
}

fn create(task: u8) -> Operation {
    Operation::Create { uuid: TaskId::from_bytes([task; 16]) }
}

/// Pending operations with undo points at the odd ids before them: 2, 4, 6, …
fn tail(base: u8, operations: &[Operation]) -> Tail {
    let pending: Vec<Pending> = operations
        .iter()
        .zip(1..)
        .map(|(operation, n)| Pending {
            id: id(2 * n),
            starts_command: true,
            operation: operation.clone(),
        })
        .collect();
    let last = pending.last().map(|item| item.id);
    let first = last.map(|_| id(1));
    let base_parent = (base > 1).then(|| v(base - 1));
    Tail { base: v(base), base_parent, pending, last, first, in_flight: None, orphans: Vec::new() }
}

fn start(tail: Tail) -> Start {
    Start {
        tail,
        relation: Relation::Ours,
        tasks: 1,
        answered: true,
        needs_new_history: false,
        joining: false,
        is_directory: false,
        wanted_snapshot: None,
        avoid_snapshots: false,
        consent: Consent::default(),
        segment_bytes_max: 1_000_000,
        group_bytes_max: 1_000_000,
    }
}

fn child(parent: u8) -> Request {
    Request::GetChildVersion { parent: v(parent) }
}

fn version(n: u8, operations: &[Operation]) -> Response {
    raw_version(n, n - 1, segment::write(operations))
}

fn raw_version(n: u8, parent: u8, segment: Vec<u8>) -> Response {
    Response::Child(Child::Version { version: v(n), parent: v(parent), segment })
}

fn accepted(n: u8) -> Response {
    Response::Added(Added::Accepted { version: v(n), urgency: Urgency::None })
}

fn conflict(latest: u8) -> Response {
    Response::Added(Added::Conflict { latest: v(latest) })
}

const UP_TO_DATE: Response = Response::Child(Child::UpToDate);
const GONE: Response = Response::Child(Child::Gone);
const PROVED: Response = Response::Proof(Proof::Proved);

fn broken() -> Failure {
    Failure::Unreachable { what: "the line broke".into() }
}

fn in_flight(parent: u8, operations: &[Operation], ids: (i64, i64)) -> InFlight {
    InFlight {
        parent: v(parent),
        digest: SegmentDigest::of(&segment::write(operations)),
        count: operations.len(),
        ranges: vec![(id(ids.0), id(ids.1))],
    }
}

/// One conversation: what the session wants now, and the replica's marks.
struct Talk {
    session: Session,
    action: Action,
    first: Option<OperationId>,
    last: Option<OperationId>,
}

impl Talk {
    fn begin(start: Start) -> Self {
        let (first, last) = (start.tail.first, start.tail.last);
        let mut session = Session::new(start);
        let action = session.next(Event::Start);
        Self { session, action, first, last }
    }

    fn tell(mut self, event: Event) -> Self {
        self.action = self.session.next(event);
        self
    }

    #[track_caller]
    fn asks(self, request: &Request) -> Self {
        assert_eq!(self.action, Action::Ask(request.clone()));
        self
    }

    /// The session asks this and is answered so.
    #[track_caller]
    fn hears(self, request: &Request, response: Response) -> Self {
        self.asks(request).tell(Event::Answer(response))
    }

    #[track_caller]
    fn sends(&self, parent: u8, operations: &[Operation]) {
        let segment = std::sync::Arc::new(segment::write(operations));
        match &self.action {
            Action::Ask(Request::AddVersion { parent: p, segment: s }) => {
                assert_eq!((*p, s.as_slice()), (v(parent), segment.as_slice()));
            }
            other => panic!("{other:?} instead of AddVersion"),
        }
    }

    /// The session sends these operations and is answered so.
    #[track_caller]
    fn pushes(self, parent: u8, operations: &[Operation], response: Response) -> Self {
        self.sends(parent, operations);
        self.tell(Event::Answer(response))
    }

    #[track_caller]
    fn batch(&self) -> &Batch {
        match &self.action {
            Action::Commit(batch) => batch,
            other => panic!("{other:?} instead of a commit"),
        }
    }

    /// The session commits something that `check` finds right, and it is done.
    #[track_caller]
    fn commits(self, check: impl FnOnce(&Change)) -> Self {
        check(&self.batch().change);
        let (first, last) = (self.first, self.last);
        self.tell(Event::Committed { first, last })
    }

    #[track_caller]
    fn pulls(self, versions: &[u8], dropped: &[i64]) -> Self {
        self.commits(|change| match change {
            Change::Pull { versions: pulled, dropped: gone, .. } => {
                let ids: Vec<_> = pulled.iter().map(|version| version.version).collect();
                assert_eq!(ids, versions.iter().map(|n| v(*n)).collect::<Vec<_>>());
                assert_eq!(*gone, dropped.iter().map(|n| id(*n)).collect::<Vec<_>>());
            }
            other => panic!("{other:?} instead of a pull"),
        })
    }

    /// Makes the next segment durable.
    #[track_caller]
    fn prepares(self, parent: u8) -> Self {
        self.commits(|change| match change {
            Change::Push { accepted: None, next: Some(next) } => assert_eq!(next.parent, v(parent)),
            other => panic!("{other:?} instead of a preparation"),
        })
    }

    #[track_caller]
    fn takes_in(self, accepted: u8, has_next: bool) -> Self {
        self.commits(|change| match change {
            Change::Push { accepted: Some(taken), next } => {
                assert_eq!((taken.version, next.is_some()), (v(accepted), has_next));
            }
            other => panic!("{other:?} instead of an acceptance"),
        })
    }

    #[track_caller]
    fn ends(self, end: &End) -> SyncReport {
        match self.action {
            Action::Done(report) => {
                assert_eq!(report.end, *end);
                *report
            }
            other => panic!("{other:?} instead of {end:?}"),
        }
    }

    #[track_caller]
    fn fails(self, failure: Failure) -> SyncReport {
        self.ends(&End::Failed(failure))
    }
}

// Nothing to do, first syncs, usual syncs.

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

// Races and unknown outcomes.

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
    let other = Failure::TimedOut { what: "the answer".into() };
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

// Gone.

fn gone(theirs: &[(u8, &str)]) -> Talk {
    let tasks: TaskSet = theirs
        .iter()
        .map(|(n, text)| (TaskId::from_bytes([*n; 16]), Task::from_iter([("description", *text)])))
        .collect();
    Talk::begin(start(tail(3, &[edit(1, "a", 5)])))
        .hears(&child(3), GONE)
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
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), GONE)
        .fails(Failure::HistoryMissing);
}

#[test]
fn one_sync_reinitialises_once() {
    gone(&[(1, "old")])
        .tell(Event::Moved(tail(9, &[])))
        .hears(&child(9), GONE)
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .fails(Failure::HistoryMissing);
}

#[test]
fn an_empty_replica_is_told_that_history_is_missing() {
    let empty = Start { tasks: 0, ..start(tail(0, &[])) };
    Talk::begin(empty)
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), GONE)
        .fails(Failure::HistoryMissing);
}

// Orphans.

fn orphaned(fork: u8, orphans: &[(u8, &[Operation])]) -> Response {
    Response::Child(Child::Orphaned(Orphaned {
        fork: v(fork),
        orphans: orphans.iter().map(|(n, ops)| (v(*n), segment::write(*ops))).collect(),
        tasks_at_fork: TaskSet::new(),
    }))
}

#[test]
fn an_orphaned_base_goes_back_to_the_fork_and_its_rows_are_removed() {
    let lost = [edit(1, "a", 5)];
    let mut back = tail(2, &lost);
    back.orphans = vec![v(3)];
    Talk::begin(Start { is_directory: true, ..start(tail(3, &[])) })
        .hears(&child(3), orphaned(2, &[(3, &lost)]))
        .asks_unorphan(2)
        .tell(Event::Moved(back))
        .hears(&Request::RemoveOrphans { versions: vec![v(3)] }, Response::OrphansRemoved)
        .commits(|change| {
            assert!(matches!(change, Change::Note { orphans_removed: true, .. }));
        })
        .hears(&child(2), raw_version(4, 2, segment::write([])))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[])
        .prepares(4)
        .pushes(4, &lost, accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

impl Talk {
    #[track_caller]
    fn asks_unorphan(self, fork: u8) -> Self {
        assert!(matches!(&self.batch().change, Change::Unorphan { fork: f, .. } if *f == v(fork)));
        self
    }
}

/// Found by the simulator: versions that were pulled but not committed yet were orphaned, and the
/// base went to a fork that had never been applied.
#[test]
fn orphaned_versions_that_were_not_committed_yet_are_only_forgotten() {
    let ours = [edit(1, "older", 5)];
    Talk::begin(Start { is_directory: true, ..start(tail(3, &ours)) })
        .hears(&child(3), version(4, &[edit(2, "b", 1)]))
        .hears(&child(4), version(5, &[edit(1, "newer", 9)]))
        .hears(&child(5), orphaned(4, &[(5, &[edit(1, "newer", 9)])]))
        .pulls(&[4], &[])
        .hears(&child(4), raw_version(6, 4, segment::write([])))
        .hears(&child(6), UP_TO_DATE)
        .pulls(&[6], &[])
        .prepares(6)
        .pushes(6, &ours, accepted(7))
        .takes_in(7, false)
        .ends(&End::InStep);
}

// Strange answers.

#[test]
fn a_strange_404_counts_only_from_a_server_that_has_answered_before() {
    let strange = Response::Child(Child::StrangeNotFound);
    Talk::begin(start(tail(3, &[]))).hears(&child(3), strange.clone()).ends(&End::InStep);
    let never = Start { answered: false, ..start(tail(3, &[])) };
    let report = Talk::begin(never).hears(&child(3), strange);
    assert!(matches!(
        report.action,
        Action::Done(report) if matches!(report.end, End::Failed(Failure::NotTheProtocol { .. }))
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
        .ends(&End::InStep);
    assert!(report.client_was_forgotten);
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

// Questions.

#[test]
fn an_empty_replica_and_an_empty_server_is_noted_once_and_then_asked() {
    let empty = || Start { tasks: 0, answered: false, ..start(tail(0, &[])) };
    let nothing = |start: Start| {
        Talk::begin(start)
            .hears(&Request::GetSnapshot, Response::Snapshot(None))
            .hears(&child(0), Response::Child(Child::NoSuchClient))
    };
    nothing(empty())
        .commits(|change| {
            assert!(matches!(change, Change::Note { needs_new_history: true, .. }));
        })
        .ends(&End::NoHistory);
    nothing(Start { needs_new_history: true, ..empty() }).ends(&End::NoHistory);
    nothing(Start { is_directory: true, ..empty() }).ends(&End::InStep);

    let ours = [create(1)];
    let noted = || Start { needs_new_history: true, ..start(tail(0, &ours)) };
    nothing(noted()).ends(&End::Question(Question::NewHistory));
    let consent = Consent { new_history: true, ..Consent::default() };
    nothing(Start { consent, ..noted() }).asks(&Request::CheckProof);
    nothing(start(tail(0, &ours))).asks(&Request::CheckProof);
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

#[test]
fn a_remote_never_met_gets_the_whole_state() {
    let elsewhere =
        || Start { relation: Relation::Other { last_base: None }, ..start(tail(3, &[])) };
    let whole = [create(1), edit(1, "a", 5)];
    let report = Talk::begin(elsewhere())
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), UP_TO_DATE)
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
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), version(1, &[create(9)]))
        .ends(&End::Question(Question::TwoLists { tasks_here: 1 }));
    let consent = Consent { join: true, ..Consent::default() };
    Talk::begin(Start { consent, ..elsewhere() })
        .hears(&Request::GetSnapshot, Response::Snapshot(Some((v(7), Vec::new()))))
        .asks_restart();
}

#[test]
fn a_remote_met_before_is_merged_with_without_asking() {
    let known =
        Start { relation: Relation::Other { last_base: Some(v(2)) }, ..start(tail(3, &[])) };
    Talk::begin(known)
        .hears(&child(2), UP_TO_DATE)
        .asks_restart()
        .tell(Event::Moved(tail(0, &[create(1)])))
        .hears(&Request::GetSnapshot, Response::Snapshot(None))
        .hears(&child(0), raw_version(2, 0, segment::write(&[create(1)])))
        .hears(&child(2), UP_TO_DATE)
        .pulls(&[2], &[2])
        .ends(&End::InStep);
}

impl Talk {
    #[track_caller]
    fn asks_restart(self) -> Self {
        assert_eq!(self.batch().change, Change::Restart);
        self
    }
}

// The proof of the secret.

fn unproved(base_parent: Option<VersionId>) -> Talk {
    let mut tail = tail(3, &[edit(1, "a", 5)]);
    tail.base_parent = base_parent;
    Talk::begin(start(tail))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, Response::Proof(Proof::Unproved))
}

#[test]
fn a_secret_is_proved_by_the_base_itself() {
    unproved(Some(v(2))).hears(&child(2), version(3, &[create(1)])).prepares(3);
}

#[test]
fn a_secret_is_proved_by_the_snapshot_where_the_base_is_trimmed() {
    let body = Response::Snapshot(Some((v(3), Vec::new())));
    unproved(Some(v(2)))
        .hears(&child(2), GONE)
        .hears(&Request::GetSnapshot, body.clone())
        .prepares(3);
    unproved(None).hears(&Request::GetSnapshot, body).prepares(3);
}

#[test]
fn a_wrong_secret_writes_nothing() {
    let wrong = Failure::WrongSecret { version: v(3) };
    unproved(Some(v(2))).asks(&child(2)).tell(Event::Refused(wrong.clone())).fails(wrong);
}

#[test]
fn a_version_that_opened_in_this_sync_is_proof_enough() {
    Talk::begin(start(tail(3, &[edit(1, "a", 5)])))
        .hears(&child(3), version(4, &[create(2)]))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[])
        .prepares(4);
}

// Snapshots.

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

// Others at work.

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

// Out of turn.

fn any_event() -> impl Strategy<Value = Event> {
    fn operations() -> Vec<Operation> {
        vec![create(1), edit(1, "x", 7)]
    }
    let n = || 0..6u8;
    prop_oneof![
        Just(()).prop_map(|()| Event::Start),
        Just(()).prop_map(|()| Event::Unknown(broken())),
        Just(()).prop_map(|()| Event::Refused(broken())),
        Just(()).prop_map(|()| Event::Committed { first: None, last: None }),
        Just(()).prop_map(|()| Event::Asked(Question::NewHistory)),
        (n(), any::<bool>()).prop_map(|(base, has)| {
            Event::Moved(tail(base, if has { &[][..] } else { &[] as &[Operation] }))
        }),
        n().prop_map(|base| Event::Moved(tail(base, &operations()))),
        (n(), n()).prop_map(|(n, parent)| {
            Event::Answer(raw_version(n, parent, segment::write(&operations())))
        }),
        (n(), n()).prop_map(|(n, parent)| Event::Answer(raw_version(n, parent, b"[".to_vec()))),
        Just(()).prop_map(|()| Event::Answer(UP_TO_DATE)),
        Just(()).prop_map(|()| Event::Answer(GONE)),
        Just(()).prop_map(|()| Event::Answer(Response::Child(Child::StrangeNotFound))),
        n().prop_map(|fork| Event::Answer(orphaned(fork, &[(5, &[create(3)])]))),
        n().prop_map(|n| Event::Answer(accepted(n))),
        n().prop_map(|n| Event::Answer(conflict(n))),
        Just(()).prop_map(|()| Event::Answer(Response::Snapshot(None))),
        n().prop_map(|n| {
            Event::Answer(Response::Snapshot(Some((v(n), snapshot::write(&TaskSet::new())))))
        }),
        Just(()).prop_map(|()| Event::Answer(Response::SnapshotAdded)),
        Just(()).prop_map(|()| Event::Answer(Response::OrphansRemoved)),
        Just(()).prop_map(|()| Event::Answer(Response::Proof(Proof::Unproved))),
        Just(()).prop_map(|()| Event::Answer(PROVED)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is told in whatever turn: no panic, and after the end only ends.
    #[test]
    fn events_out_of_turn_never_panic(
        base in 0..4u8,
        has_pending in any::<bool>(),
        is_ours in any::<bool>(),
        events in proptest::collection::vec(any_event(), 0..25),
    ) {
        let operations = if has_pending { vec![create(1), edit(1, "mine", 5)] } else { Vec::new() };
        let mut start = start(tail(base, &operations));
        if !is_ours {
            start.relation = Relation::Other { last_base: Some(v(2)) };
        }
        let mut session = Session::new(start);
        session.next(Event::Start);
        let mut has_ended = false;
        for event in events {
            let action = session.next(event);
            prop_assert!(!has_ended || matches!(action, Action::Done(_)));
            has_ended |= matches!(action, Action::Done(_));
        }
    }

    /// A committed group of random versions drops nothing twice and a push after it holds only what
    /// was not dropped.
    #[test]
    fn nothing_that_was_dropped_is_pushed(
        at in proptest::collection::vec(0..10i64, 1..5), theirs in proptest::collection::vec((0..4u8, 0..10i64), 0..6),
    ) {
        let ours: Vec<Operation> =
            at.iter().zip(1..).map(|(at, n)| edit(n, "mine", *at)).collect();
        let other: Vec<Operation> = theirs.iter().map(|(n, at)| edit(n + 1, "theirs", *at)).collect();
        let talk = Talk::begin(start(tail(3, &ours)))
            .hears(&child(3), version(4, &other))
            .hears(&child(4), UP_TO_DATE);
        let Change::Pull { dropped, .. } = talk.batch().change.clone() else { panic!() };
        let left: Vec<Operation> = ours
            .iter()
            .zip(1..)
            .filter(|(_, n)| !dropped.contains(&id(2 * n)))
            .map(|(operation, _)| operation.clone())
            .collect();
        let talk = talk.commits(|_| {});
        if left.is_empty() {
            talk.ends(&End::InStep);
        } else {
            talk.prepares(4).sends(4, &left);
        }
    }
}
