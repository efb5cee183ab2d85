//! Sessions over a scripted server and a scripted replica: each test is one conversation.

mod gone;
mod orphans;
mod others_at_work;
mod out_of_turn;
mod proof;
mod questions;
mod races;
mod snapshots;
mod strange_answers;
mod usual;

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
        is_base_known: true,
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

fn orphaned(fork: u8, orphans: &[(u8, &[Operation])]) -> Response {
    Response::Child(Child::Orphaned(Orphaned {
        fork: v(fork),
        orphans: orphans.iter().map(|(n, ops)| (v(*n), segment::write(*ops))).collect(),
        tasks_at_fork: TaskSet::new(),
    }))
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
            Change::Push { accepted: None, next: Some(next), .. } => {
                assert_eq!(next.parent, v(parent))
            }
            other => panic!("{other:?} instead of a preparation"),
        })
    }

    #[track_caller]
    fn takes_in(self, accepted: u8, has_next: bool) -> Self {
        self.commits(|change| match change {
            Change::Push { accepted: Some(taken), next, .. } => {
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
