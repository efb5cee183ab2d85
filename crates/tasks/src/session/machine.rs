//! The state machine itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_core::limits::PULL_GROUP_VERSIONS_MAX;
use tandem_core::{TaskId, VersionId};

use crate::model::{TaskSet, Text};
use crate::operation::Operation;
use crate::planted::{Defect, is_planted};
use crate::rebase::{OperationId, Pending, PendingList};
use crate::segment::{self, ReadSegmentError, SegmentDigest};
use crate::session::messages::{
    AcceptedVersion, Action, Added, Batch, Change, Child, Consent, End, Event, Failure, InFlight,
    Lost, Orphaned, Proof, PulledVersion, Question, Relation, Request, Response, Start, SyncReport,
    Tail, Urgency,
};
use crate::snapshot;
use crate::transform::Meeting;

/// A replica that never synced joins a history without asking if it holds at most this many tasks:
/// a few tasks noted before the first sync, not a second list.
pub const JOIN_TASKS_MAX: u64 = 100;

/// How often one sync goes back to pulling because another replica pushed first.
const CONFLICTS_MAX: u32 = 100;

/// How often one segment is sent when no answer arrives and the server turns out not to have it.
const SENDS_MAX: u32 = 2;

/// One sync of one replica with one remote.
#[derive(Debug)]
pub struct Session {
    facts: Facts,
    base: VersionId,
    base_parent: Option<VersionId>,
    pending: PendingList,
    last: Option<OperationId>,
    first: Option<OperationId>,
    in_flight: Option<InFlight>,
    /// The segment in flight, where this session has written it.
    segment: Option<Arc<Vec<u8>>>,
    group: Group,
    /// Versions seen in this session: a server that goes in circles is found out.
    seen: BTreeSet<VersionId>,
    orphans: Vec<VersionId>,
    wanted_snapshot: Option<VersionId>,
    state: State,
    conflicts: u32,
    last_conflict: Option<VersionId>,
    sends: u32,
    is_proved: bool,
    is_bulk: bool,
    report: SyncReport,
    #[cfg(feature = "planted-defects")]
    first_pending: Vec<Pending>,
}

/// What was true at the start and does not change but by the session's own commits.
#[derive(Debug)]
struct Facts {
    relation: Relation,
    tasks: u64,
    answered: bool,
    needs_new_history: bool,
    joining: bool,
    is_directory: bool,
    avoid_snapshots: bool,
    consent: Consent,
    segment_bytes_max: usize,
    group_bytes_max: usize,
}

/// Pulled versions that are not committed yet.
#[derive(Debug, Default)]
struct Group {
    /// Shared with the commit: a group is up to megabytes of operations.
    versions: Vec<Arc<PulledVersion>>,
    bytes: usize,
    dropped: Vec<OperationId>,
    /// By task, property and side: each side's last word is what lost.
    lost: BTreeMap<(TaskId, Option<Text>, bool), Lost>,
}

#[derive(Debug)]
enum State {
    Begin,
    /// Base nil and a first segment sent: did it become the first version?
    FreshInFlight,
    /// Base nil: is there a snapshot?
    FreshSnapshot,
    /// Base nil, no snapshot: is there a first version?
    FreshChild,
    /// The base belongs elsewhere: is our last base here still on the chain?
    CheckKnown,
    /// The base belongs elsewhere: does this remote hold anything?
    StrangeSnapshot,
    StrangeChild,
    Restarting,
    LoadingSnapshot {
        version: VersionId,
    },
    Walk,
    /// Pulled versions are being committed; then go on with this.
    Pulling(AfterPull),
    Proving(ProofBy),
    /// The segment is being made durable.
    Preparing,
    /// AddVersion is under way.
    Sending {
        count: usize,
    },
    /// AddVersion had no valid answer: is the child ours?
    Confirming {
        cause: Failure,
    },
    /// An accepted version is being committed; the next segment, if any, goes with it.
    Accepting {
        accepted: AcceptedVersion,
        next: Option<(InFlight, Arc<Vec<u8>>)>,
        then_walk: bool,
    },
    GoneSnapshot,
    GoneWalk(Box<Lookout>),
    Reinitialising {
        end: VersionId,
    },
    Unorphaning,
    RemovingOrphans,
    NotingOrphans,
    MakingSnapshot {
        version: VersionId,
    },
    Noting(Box<End>),
    Ended,
}

#[derive(Debug)]
enum AfterPull {
    GoOn,
    AtTip,
    AtGone,
    Fail(Failure),
}

#[derive(Debug, Clone, Copy)]
enum ProofBy {
    Token,
    Snapshot,
    BaseItself,
    FirstVersion,
}

/// The server's present, built beside our own state.
#[derive(Debug)]
struct Lookout {
    position: VersionId,
    tasks: TaskSet,
    walked: Vec<(VersionId, VersionId)>,
    /// A history of its own: it may well pass versions that the session has pulled before.
    seen: BTreeSet<VersionId>,
}

/// True for properties whose loss a person would call a conflict. `tags` and `depends` are merged by
/// their parts, `modified` and `end` are stamps that follow from other changes.
pub(crate) fn is_worth_a_conflict(property: &str) -> bool {
    !matches!(property, "modified" | "tags" | "depends" | "end")
        && !property.starts_with("tag_")
        && !property.starts_with("dep_")
}

/// Changes that a person made, among operations: not the stamp that goes with each.
fn count_changes<'a>(operations: impl Iterator<Item = &'a Operation>) -> u64 {
    operations
        .filter(|operation| {
            !matches!(operation, Operation::Update { property, .. } if property == "modified")
        })
        .count() as u64
}

impl Group {
    /// Rebases `pending` over one version and keeps it for the next commit.
    fn take_in(&mut self, version: Arc<PulledVersion>, bytes: usize, pending: &mut PendingList) {
        for operation in &version.operations {
            self.meet(operation, pending);
        }
        self.bytes += bytes;
        self.versions.push(version);
    }

    fn meet(&mut self, server: &Operation, pending: &mut PendingList) {
        let (dropped, lost) = (&mut self.dropped, &mut self.lost);
        pending.meet(server, &mut |meeting, item| {
            if !meeting.local_survives() {
                dropped.push(item.id);
            }
            for loser in lost_in(meeting, server, item).into_iter().flatten() {
                lost.insert((loser.task, loser.property.clone(), loser.here), loser);
            }
        });
    }

    fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max || self.versions.len() >= PULL_GROUP_VERSIONS_MAX
    }
}

/// What a meeting loses: a change, and with a deletion perhaps the whole task. The change is named
/// then too, since a task that is deleted may be made again in the same breath.
/// Both set one property to one value: nobody loses.
fn says_the_same(server: &Operation, local: &Operation) -> bool {
    match (server, local) {
        (Operation::Update { value: a, .. }, Operation::Update { value: b, .. }) => a == b,
        _ => false,
    }
}

fn lost_in(meeting: Meeting, server: &Operation, local: &Pending) -> [Option<Lost>; 2] {
    use Operation::{Delete, Update};
    if says_the_same(server, &local.operation) {
        return [None, None];
    }
    let update_lost = |operation: &Operation, here| match operation {
        Update { uuid, property, value, .. } if is_worth_a_conflict(property) => {
            Some(Lost { task: *uuid, property: Some(property.clone()), value: value.clone(), here })
        }
        _ => None,
    };
    match (meeting, server) {
        (Meeting::ServerWins, Update { .. }) => [update_lost(&local.operation, true), None],
        (Meeting::LocalWins, Update { .. }) => match &local.operation {
            Update { .. } | Delete { .. } => [update_lost(server, false), None],
            Operation::Create { .. } => [None, None],
        },
        (Meeting::ServerWins, Delete { uuid }) => {
            let change = update_lost(&local.operation, true);
            let whole = change.is_some().then(|| Lost {
                task: *uuid,
                property: None,
                value: None,
                here: true,
            });
            [whole, change]
        }
        _ => [None, None],
    }
}

impl Session {
    /// Prepares a session; hand it [`Event::Start`] to begin.
    pub fn new(start: Start) -> Self {
        let mut session = Self {
            facts: Facts {
                relation: start.relation,
                tasks: start.tasks,
                answered: start.answered,
                needs_new_history: start.needs_new_history,
                joining: start.joining,
                is_directory: start.is_directory,
                avoid_snapshots: start.avoid_snapshots,
                consent: start.consent,
                segment_bytes_max: start.segment_bytes_max,
                group_bytes_max: start.group_bytes_max,
            },
            base: VersionId::NIL,
            base_parent: None,
            pending: PendingList::default(),
            last: None,
            first: None,
            in_flight: None,
            segment: None,
            group: Group::default(),
            seen: BTreeSet::new(),
            orphans: Vec::new(),
            wanted_snapshot: start.wanted_snapshot,
            state: State::Begin,
            conflicts: 0,
            last_conflict: None,
            sends: 0,
            is_proved: false,
            is_bulk: false,
            report: SyncReport::default(),
            #[cfg(feature = "planted-defects")]
            first_pending: start.tail.pending.clone(),
        };
        session.stand_on(start.tail);
        session
    }

    /// What has been done so far, for progress.
    pub fn report(&self) -> &SyncReport {
        &self.report
    }

    /// Operations that are still to be pushed, for progress.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Tells the session what happened and learns what it wants next.
    ///
    /// An event that does not answer the last action ends the session as
    /// [`Failure::NotTheProtocol`]: the shell has a defect, and going on could lose something.
    pub fn next(&mut self, event: Event) -> Action {
        let action = self.step(event);
        if let Action::Ask(request) = &action
            && *request != Request::CheckProof
        {
            self.report.requests += 1;
        }
        action
    }

    fn step(&mut self, event: Event) -> Action {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, event) {
            (State::Begin, Event::Start) => self.begin(),
            (State::Begin | State::Ended, _) => self.out_of_turn(),
            (state, Event::Answer(response)) => self.answered(state, response),
            (state, Event::Unknown(failure)) => self.unanswered(state, failure, true),
            (state, Event::Refused(failure)) => self.unanswered(state, failure, false),
            (state, Event::Committed { first, last }) => {
                self.last = last;
                self.first = first;
                self.committed(state)
            }
            (state, Event::Moved(tail)) => self.moved(state, tail),
            (_, Event::Asked(question)) => self.end(End::Question(question)),
            (_, Event::Start) => self.out_of_turn(),
        }
    }

    fn out_of_turn(&mut self) -> Action {
        self.fail(Failure::NotTheProtocol { what: "an event out of turn".into() })
    }

    // Beginning.

    fn stand_on(&mut self, tail: Tail) {
        self.base = tail.base;
        self.base_parent = tail.base_parent;
        self.pending = PendingList::new(tail.pending);
        self.pending.keep_later_repeats(self.facts.joining);
        self.last = tail.last;
        self.first = tail.first;
        // One that stands on another base was settled by someone else's sync.
        self.in_flight = tail.in_flight.filter(|in_flight| in_flight.parent == tail.base);
        self.segment = None;
        self.orphans = tail.orphans;
    }

    fn begin(&mut self) -> Action {
        match self.facts.relation {
            Relation::Ours if !self.orphans.is_empty() => {
                let versions = self.orphans.clone();
                self.ask(State::RemovingOrphans, Request::RemoveOrphans { versions })
            }
            // What we sent first may have begun the history: a snapshot would hold it, and pending
            // it would be pushed once more.
            Relation::Ours if self.base.is_nil() && self.in_flight.is_some() => {
                self.ask(State::FreshInFlight, Request::GetChildVersion { parent: VersionId::NIL })
            }
            Relation::Ours if self.base.is_nil() => {
                self.is_bulk = self.facts.tasks == 0;
                self.ask(State::FreshSnapshot, Request::GetSnapshot)
            }
            Relation::Ours => self.walk(),
            Relation::Other { last_base: Some(parent) } if !parent.is_nil() => {
                self.ask(State::CheckKnown, Request::GetChildVersion { parent })
            }
            Relation::Other { .. } => self.ask(State::StrangeSnapshot, Request::GetSnapshot),
        }
    }

    fn restart(&mut self) -> Action {
        self.report.restarted = true;
        self.commit(State::Restarting, Change::Restart)
    }

    /// A history was found where we come as a stranger: may the lists be joined?
    fn may_join(&self) -> bool {
        self.facts.joining
            || self.facts.consent.join
            || (self.facts.relation == Relation::Ours && self.facts.tasks <= JOIN_TASKS_MAX)
    }

    fn ask_to_join(&mut self) -> Action {
        self.end(End::Question(Question::TwoLists { tasks_here: self.facts.tasks }))
    }

    // Answers.

    fn answered(&mut self, state: State, response: Response) -> Action {
        match (state, response) {
            (State::FreshInFlight, Response::Child(child)) => match self.plain(child) {
                Ok(Child::Version { version, parent, segment }) if self.is_in_flight(&segment) => {
                    self.walked(Child::Version { version, parent, segment })
                }
                Ok(_) => self.ask(State::FreshSnapshot, Request::GetSnapshot),
                Err(failure) => self.fail(failure),
            },
            (State::FreshSnapshot, Response::Snapshot(Some((version, body)))) => {
                if self.may_join() { self.load_snapshot(version, body) } else { self.ask_to_join() }
            }
            (State::FreshSnapshot, Response::Snapshot(None)) => {
                self.ask(State::FreshChild, Request::GetChildVersion { parent: VersionId::NIL })
            }
            (State::FreshChild, Response::Child(child)) => match self.plain(child) {
                Ok(Child::Version { .. }) if !self.may_join() => self.ask_to_join(),
                Ok(child @ Child::Version { .. }) => self.walked(child),
                Ok(Child::Gone) if is_planted(Defect::MissingHistoryNotTold) => {
                    self.end(End::InStep)
                }
                Ok(Child::Gone) => self.fail(Failure::HistoryMissing),
                Ok(_) => self.nothing_there(),
                Err(failure) => self.fail(failure),
            },
            (State::CheckKnown, Response::Child(child)) => match self.plain(child) {
                Ok(Child::Version { .. } | Child::UpToDate) => {
                    self.facts.joining = true;
                    self.restart()
                }
                Ok(_) => self.ask(State::StrangeSnapshot, Request::GetSnapshot),
                Err(failure) => self.fail(failure),
            },
            (State::StrangeSnapshot, Response::Snapshot(Some(_))) => self.strange_history(),
            (State::StrangeSnapshot, Response::Snapshot(None)) => {
                self.ask(State::StrangeChild, Request::GetChildVersion { parent: VersionId::NIL })
            }
            (State::StrangeChild, Response::Child(child)) => match self.plain(child) {
                Ok(Child::Version { .. }) => self.strange_history(),
                Ok(Child::Gone | Child::Orphaned(_)) => self.fail(Failure::HistoryMissing),
                Ok(_) if self.facts.needs_new_history && !self.facts.consent.new_history => {
                    self.end(End::Question(Question::NewHistory))
                }
                Ok(_) => self.restart(),
                Err(failure) => self.fail(failure),
            },
            (State::Walk, Response::Child(child)) => match self.plain(child) {
                Ok(child) => self.walked(child),
                Err(failure) => self.flush(AfterPull::Fail(failure)),
            },
            (State::Proving(by), response) => self.proof(by, response),
            (State::Sending { count }, Response::Added(added)) => self.sent(count, added),
            (State::Confirming { cause }, Response::Child(child)) => match self.plain(child) {
                Ok(Child::UpToDate | Child::NoSuchClient) if self.sends < SENDS_MAX => self.send(),
                Ok(Child::UpToDate | Child::NoSuchClient) => self.fail(cause),
                Ok(child) => self.walked(child),
                Err(failure) => self.fail(failure),
            },
            (State::GoneSnapshot, Response::Snapshot(snapshot)) => self.look_out(snapshot),
            (State::GoneWalk(lookout), Response::Child(child)) => match self.plain(child) {
                Ok(child) => self.looked_out(lookout, child),
                Err(failure) => self.fail(failure),
            },
            (State::RemovingOrphans, Response::OrphansRemoved) => self.commit(
                State::NotingOrphans,
                Change::Note {
                    needs_new_history: false,
                    snapshot_done: false,
                    orphans_removed: true,
                },
            ),
            (State::MakingSnapshot { version }, Response::SnapshotAdded) => {
                self.report.snapshot_made = Some(version);
                self.wanted_snapshot = None;
                self.note(false, true, End::InStep)
            }
            _ => {
                self.fail(Failure::NotTheProtocol { what: "an answer to another question".into() })
            }
        }
    }

    /// Folds the two lesser kinds of 404 into what they mean here.
    fn plain(&mut self, child: Child) -> Result<Child, Failure> {
        match child {
            Child::StrangeNotFound if self.facts.answered => Ok(Child::UpToDate),
            Child::StrangeNotFound => Err(Failure::NotTheProtocol {
                what: "a 404 that is not in the words of a task server".into(),
            }),
            Child::NoSuchClient => {
                self.facts.answered = true;
                if !self.base.is_nil() && self.facts.relation == Relation::Ours {
                    self.report.client_was_forgotten = true;
                }
                Ok(Child::NoSuchClient)
            }
            other => {
                self.facts.answered = true;
                Ok(other)
            }
        }
    }

    fn strange_history(&mut self) -> Action {
        if self.facts.consent.join {
            self.facts.joining = true;
            self.restart()
        } else {
            self.ask_to_join()
        }
    }

    /// Neither snapshot nor first version: the remote is empty.
    fn nothing_there(&mut self) -> Action {
        if self.facts.tasks == 0 && self.pending.is_empty() {
            if self.facts.is_directory {
                return self.end(End::InStep);
            }
            return match self.facts.needs_new_history {
                true => self.end(End::NoHistory),
                false => self.note(true, false, End::NoHistory),
            };
        }
        if self.facts.needs_new_history && !self.facts.consent.new_history {
            return self.end(End::Question(Question::NewHistory));
        }
        self.at_tip()
    }

    // Pulling.

    fn walk(&mut self) -> Action {
        let parent = self.position();
        self.ask(State::Walk, Request::GetChildVersion { parent })
    }

    /// The version up to which the chain is known: the base, or the last one of the group.
    fn position(&self) -> VersionId {
        self.group.versions.last().map_or(self.base, |version| version.version)
    }

    fn walked(&mut self, child: Child) -> Action {
        match child {
            Child::Version { version, parent, segment } => {
                let position = self.position();
                if parent != position {
                    let what = format!("a version that follows {parent} instead of {position}");
                    return self.flush(AfterPull::Fail(Failure::NotTheProtocol { what }));
                }
                if version.is_nil() || version == self.base || !self.seen.insert(version) {
                    let what = format!("version {version} for the second time");
                    return self.flush(AfterPull::Fail(Failure::NotTheProtocol { what }));
                }
                self.take_version(version, parent, segment)
            }
            Child::UpToDate | Child::NoSuchClient | Child::StrangeNotFound => {
                self.flush(AfterPull::AtTip)
            }
            Child::Gone => self.flush(AfterPull::AtGone),
            Child::Orphaned(orphaned) if self.group.versions.is_empty() => self.unorphan(orphaned),
            Child::Orphaned(orphaned) => self.keep_up_to(orphaned.fork),
        }
    }

    /// Versions that wait to be committed have been left off the chain meanwhile: those after
    /// `fork` are forgotten. If the base itself is off it too, the next look at it tells.
    fn keep_up_to(&mut self, fork: VersionId) -> Action {
        let mut group = std::mem::take(&mut self.group);
        self.pending.revive(&group.dropped);
        // The chain turned: what is walked again is no circle.
        self.seen.clear();
        let kept = group.versions.iter().position(|version| version.version == fork);
        group.versions.truncate(kept.map_or(0, |place| place + 1));
        for version in group.versions {
            self.group.take_in(version, 0, &mut self.pending);
        }
        self.flush(AfterPull::GoOn)
    }

    fn take_version(&mut self, version: VersionId, parent: VersionId, plain: Vec<u8>) -> Action {
        if self.group.versions.is_empty()
            && self.is_in_flight(&plain)
            && let Some(in_flight) = self.in_flight.take()
        {
            return self.adopt(version, in_flight, plain);
        }
        let operations = match segment::read(&plain) {
            Ok(operations) => operations,
            Err(ReadSegmentError::UnknownKind { kind }) => {
                return self.flush(AfterPull::Fail(Failure::FutureKind { version, kind }));
            }
            Err(error @ ReadSegmentError::Malformed(_)) => {
                let what = error.to_string();
                return self.flush(AfterPull::Fail(Failure::Malformed { version, what }));
            }
        };
        self.is_proved = true;
        #[cfg(feature = "planted-defects")]
        let (rebased, first_batch) =
            (self.group.dropped.len(), self.pending.cut(self.facts.segment_bytes_max));
        self.group.take_in(
            Arc::new(PulledVersion { version, parent, operations }),
            plain.len(),
            &mut self.pending,
        );
        #[cfg(feature = "planted-defects")]
        if is_planted(Defect::LaterBatchesNotRebased) {
            let ranges = first_batch.map_or_else(Vec::new, |cut| cut.ranges);
            let is_later =
                |id: &OperationId| !ranges.iter().any(|(first, last)| (first..=last).contains(&id));
            let later: Vec<_> = self.group.dropped.drain(rebased..).collect();
            let (later, met): (Vec<_>, Vec<_>) = later.into_iter().partition(is_later);
            self.group.dropped.extend(met);
            self.pending.revive(&later);
        }
        if self.group.is_full(self.facts.group_bytes_max) {
            self.flush(AfterPull::GoOn)
        } else {
            self.walk()
        }
    }

    /// The child of the in-flight parent is the segment that we had sent: it was accepted.
    fn adopt(&mut self, version: VersionId, in_flight: InFlight, plain: Vec<u8>) -> Action {
        self.is_proved = true;
        self.segment = None;
        let count = count_in(&in_flight.ranges, &self.pending);
        self.count_pushed(count);
        let accepted = AcceptedVersion {
            version,
            parent: in_flight.parent,
            segment: Arc::new(plain),
            straddling: self.pending.straddling(count),
            ranges: in_flight.ranges,
            wants_snapshot: false,
        };
        self.pending.accept(count);
        let change = Change::Push { accepted: Some(accepted.clone()), next: None };
        self.commit(State::Accepting { accepted, next: None, then_walk: true }, change)
    }

    fn flush(&mut self, then: AfterPull) -> Action {
        if self.group.versions.is_empty() {
            return self.pulled(then);
        }
        let change = Change::Pull {
            versions: self.group.versions.clone(),
            dropped: self.group.dropped.clone(),
            lost: self.group.lost.values().cloned().collect(),
            is_bulk: self.is_bulk,
        };
        self.commit(State::Pulling(then), change)
    }

    fn pulled(&mut self, then: AfterPull) -> Action {
        match then {
            AfterPull::GoOn => self.walk(),
            AfterPull::AtTip => self.at_tip(),
            AfterPull::AtGone if is_planted(Defect::GoneIsTheEnd) => {
                self.fail(Failure::HistoryMissing)
            }
            AfterPull::AtGone => self.ask(State::GoneSnapshot, Request::GetSnapshot),
            AfterPull::Fail(failure) => self.fail(failure),
        }
    }

    fn load_snapshot(&mut self, version: VersionId, body: Vec<u8>) -> Action {
        let mut group = Group::default();
        if !self.pending.is_empty() {
            // Only tasks that both sides hold can meet: the same list, come back another way.
            let pending = &mut self.pending;
            let ours: BTreeSet<TaskId> = pending.iter().map(|item| item.operation.task()).collect();
            let result = snapshot::read(&body, |task, content| {
                if ours.contains(&task) {
                    for operation in as_operations(task, &content) {
                        group.meet(&operation, pending);
                    }
                }
                Ok::<(), ()>(())
            });
            if let Err(error) = result {
                let what = match error {
                    snapshot::ReadSnapshotError::TooLarge => "the snapshot is too large",
                    _ => "it is not a snapshot",
                };
                return self.fail(Failure::Malformed { version, what: what.into() });
            }
        }
        self.is_proved = true;
        let change = Change::LoadSnapshot {
            version,
            body,
            dropped: group.dropped,
            lost: group.lost.into_values().collect(),
        };
        self.commit(State::LoadingSnapshot { version }, change)
    }

    // Pushing.

    fn at_tip(&mut self) -> Action {
        let owes_snapshot = self.wanted_snapshot.is_some() && !self.base.is_nil();
        if self.pending.is_empty() && !owes_snapshot {
            return self.end(End::InStep);
        }
        // Also a snapshot may only be sealed with a key that fits: it replaces the good one.
        if !self.is_proved {
            return self.ask(State::Proving(ProofBy::Token), Request::CheckProof);
        }
        self.prepare()
    }

    fn proof(&mut self, by: ProofBy, response: Response) -> Action {
        match (by, response) {
            (ProofBy::Token, Response::Proof(Proof::Unproved)) => match self.base_parent {
                _ if self.base.is_nil() => self.proved(),
                Some(parent) => self
                    .ask(State::Proving(ProofBy::BaseItself), Request::GetChildVersion { parent }),
                None => self.ask(State::Proving(ProofBy::Snapshot), Request::GetSnapshot),
            },
            (ProofBy::Token, Response::Proof(_)) => self.proved(),
            // Opened: the key fits. A trimmed version can only be proved by the snapshot.
            (ProofBy::BaseItself, Response::Child(Child::Version { .. })) => self.proved(),
            (ProofBy::BaseItself, Response::Child(_)) => {
                self.ask(State::Proving(ProofBy::Snapshot), Request::GetSnapshot)
            }
            (ProofBy::Snapshot, Response::Snapshot(Some(_))) => self.proved(),
            (ProofBy::Snapshot, Response::Snapshot(None)) => self.ask(
                State::Proving(ProofBy::FirstVersion),
                Request::GetChildVersion { parent: VersionId::NIL },
            ),
            (ProofBy::FirstVersion, Response::Child(Child::Version { .. })) => self.proved(),
            // Nothing is there to be proved against, so nothing is there to be spoilt.
            (ProofBy::FirstVersion, Response::Child(Child::UpToDate | Child::NoSuchClient)) => {
                self.proved()
            }
            // There are versions, and none that could show whether the key fits.
            (ProofBy::FirstVersion, Response::Child(_)) => self.fail(Failure::HistoryMissing),
            _ => {
                self.fail(Failure::NotTheProtocol { what: "an answer to another question".into() })
            }
        }
    }

    fn proved(&mut self) -> Action {
        self.is_proved = true;
        self.prepare()
    }

    fn prepare(&mut self) -> Action {
        if let Some(in_flight) = &self.in_flight
            && self.pending.begins_with(&in_flight.ranges, in_flight.count)
        {
            let sent = self.pending.iter().take(in_flight.count).map(|item| &item.operation);
            let segment = segment::write(sent);
            if SegmentDigest::of(&segment) == in_flight.digest {
                self.segment = Some(Arc::new(segment));
                self.sends = 0;
                return self.send();
            }
        }
        let Some((in_flight, segment)) = self.cut(self.base) else {
            return self.make_snapshot();
        };
        self.stand_in_flight(in_flight.clone(), segment);
        self.commit(State::Preparing, Change::Push { accepted: None, next: Some(in_flight) })
    }

    fn cut(&self, parent: VersionId) -> Option<(InFlight, Arc<Vec<u8>>)> {
        let cut = self.pending.cut(self.facts.segment_bytes_max)?;
        let digest = SegmentDigest::of(&cut.segment);
        let in_flight = InFlight { parent, digest, count: cut.count, ranges: cut.ranges };
        Some((in_flight, Arc::new(cut.segment)))
    }

    /// True if `plain` is what we had sent, or were about to.
    fn is_in_flight(&self, plain: &[u8]) -> bool {
        self.in_flight.as_ref().is_some_and(|sent| sent.digest == SegmentDigest::of(plain))
    }

    fn stand_in_flight(&mut self, in_flight: InFlight, segment: Arc<Vec<u8>>) {
        self.in_flight = Some(in_flight);
        self.segment = Some(segment);
        self.sends = 0;
    }

    fn send(&mut self) -> Action {
        let (Some(in_flight), Some(segment)) = (&self.in_flight, &self.segment) else {
            return self.out_of_turn();
        };
        self.sends += 1;
        let (parent, segment) = (in_flight.parent, Arc::clone(segment));
        let count = count_in(&in_flight.ranges, &self.pending);
        self.ask(State::Sending { count }, Request::AddVersion { parent, segment })
    }

    fn sent(&mut self, count: usize, added: Added) -> Action {
        match added {
            Added::Accepted { version, urgency } => {
                let (Some(in_flight), Some(segment)) = (self.in_flight.take(), self.segment.take())
                else {
                    return self.out_of_turn();
                };
                self.count_pushed(count);
                let straddling = self.pending.straddling(count);
                self.pending.accept(count);
                let wants_snapshot = match urgency {
                    Urgency::None => false,
                    Urgency::Low => !self.facts.avoid_snapshots,
                    Urgency::High => true,
                };
                let accepted = AcceptedVersion {
                    version,
                    parent: in_flight.parent,
                    segment,
                    ranges: in_flight.ranges,
                    straddling,
                    wants_snapshot,
                };
                let next = self.cut(version);
                let change = Change::Push {
                    accepted: Some(accepted.clone()),
                    next: next.as_ref().map(|(in_flight, _)| in_flight.clone()),
                };
                self.commit(State::Accepting { accepted, next, then_walk: false }, change)
            }
            Added::Conflict { latest } => {
                self.conflicts += 1;
                if self.last_conflict == Some(latest)
                    || latest == self.base
                    || self.conflicts > CONFLICTS_MAX
                {
                    return self.fail(Failure::OutOfSync { latest });
                }
                self.last_conflict = Some(latest);
                #[cfg(feature = "planted-defects")]
                if is_planted(Defect::ConflictForgetsRebase) {
                    self.pending = PendingList::new(self.first_pending.clone());
                }
                self.walk()
            }
        }
    }

    fn count_pushed(&mut self, count: usize) {
        self.report.versions_up += 1;
        self.report.operations_up += count as u64;
        self.report.changes_up +=
            count_changes(self.pending.iter().take(count).map(|item| &item.operation));
    }

    fn accepted(
        &mut self,
        accepted: AcceptedVersion,
        next: Option<(InFlight, Arc<Vec<u8>>)>,
        then_walk: bool,
    ) -> Action {
        self.base_parent = Some(self.base);
        self.base = accepted.version;
        if accepted.wants_snapshot {
            self.wanted_snapshot = Some(accepted.version);
        }
        if then_walk {
            return self.walk();
        }
        if is_planted(Defect::EarlySnapshot) && self.wanted_snapshot.is_some() {
            let version = self.base;
            return self.ask(State::MakingSnapshot { version }, Request::AddSnapshot { version });
        }
        match next {
            Some((in_flight, segment)) => {
                self.stand_in_flight(in_flight, segment);
                self.send()
            }
            None => self.make_snapshot(),
        }
    }

    fn make_snapshot(&mut self) -> Action {
        match self.wanted_snapshot {
            Some(_) if self.pending.is_empty() && !self.base.is_nil() => {
                let version = self.base;
                self.ask(State::MakingSnapshot { version }, Request::AddSnapshot { version })
            }
            _ => self.end(End::InStep),
        }
    }

    // Gone, and orphaned.

    fn look_out(&mut self, snapshot: Option<(VersionId, Vec<u8>)>) -> Action {
        if self.report.reinitialised {
            return self.fail(Failure::HistoryMissing);
        }
        let mut lookout = Lookout {
            position: VersionId::NIL,
            tasks: TaskSet::new(),
            walked: Vec::new(),
            seen: BTreeSet::new(),
        };
        if let Some((version, body)) = snapshot {
            match snapshot::read_all(&body) {
                Ok(tasks) => lookout.tasks = tasks,
                Err(error) => {
                    return self.fail(Failure::Malformed { version, what: error.to_string() });
                }
            }
            lookout.position = version;
            self.report.snapshot_loaded = Some(version);
        }
        self.look_on(Box::new(lookout))
    }

    fn look_on(&mut self, lookout: Box<Lookout>) -> Action {
        let parent = lookout.position;
        self.ask(State::GoneWalk(lookout), Request::GetChildVersion { parent })
    }

    fn looked_out(&mut self, mut lookout: Box<Lookout>, child: Child) -> Action {
        match child {
            Child::Version { version, parent, segment } => {
                if parent != lookout.position || version.is_nil() || !lookout.seen.insert(version) {
                    let what = format!("version {version} where it cannot be");
                    return self.fail(Failure::NotTheProtocol { what });
                }
                let operations = match segment::read(&segment) {
                    Ok(operations) => operations,
                    Err(ReadSegmentError::UnknownKind { kind }) => {
                        return self.fail(Failure::FutureKind { version, kind });
                    }
                    Err(error) => {
                        return self.fail(Failure::Malformed { version, what: error.to_string() });
                    }
                };
                for operation in operations {
                    operation.apply_to_set(&mut lookout.tasks);
                }
                lookout.walked.push((version, parent));
                lookout.position = version;
                self.look_on(lookout)
            }
            Child::UpToDate | Child::NoSuchClient if !lookout.position.is_nil() => {
                self.is_proved = true;
                let end = lookout.position;
                let change = Change::Reinitialise {
                    end,
                    theirs: lookout.tasks,
                    walked: lookout.walked,
                    consent: self.facts.consent,
                };
                self.commit(State::Reinitialising { end }, change)
            }
            // What we had walked has been trimmed or left off the chain meanwhile: once more.
            Child::Orphaned(_) | Child::Gone
                if !lookout.position.is_nil() && self.conflicts < CONFLICTS_MAX =>
            {
                self.conflicts += 1;
                self.ask(State::GoneSnapshot, Request::GetSnapshot)
            }
            _ => self.fail(Failure::HistoryMissing),
        }
    }

    fn unorphan(&mut self, orphaned: Orphaned) -> Action {
        let mut parent = orphaned.fork;
        let mut versions = Vec::new();
        for (version, segment) in orphaned.orphans {
            match segment::read(&segment) {
                Ok(operations) => versions.push(PulledVersion { version, parent, operations }),
                Err(error) => {
                    return self.fail(Failure::Malformed { version, what: error.to_string() });
                }
            }
            parent = version;
        }
        let change = Change::Unorphan {
            fork: orphaned.fork,
            orphans: versions,
            tasks_at_fork: orphaned.tasks_at_fork,
        };
        self.commit(State::Unorphaning, change)
    }

    // Commits.

    fn committed(&mut self, state: State) -> Action {
        match state {
            State::Pulling(then) => {
                self.count_pulled();
                self.pulled(then)
            }
            State::LoadingSnapshot { version } => {
                self.report.snapshot_loaded = Some(version);
                self.base = version;
                self.base_parent = None;
                // Whatever was in flight stood on the empty base, and its place is taken.
                self.in_flight = None;
                self.segment = None;
                self.walk()
            }
            State::Preparing => self.send(),
            State::Accepting { accepted, next, then_walk } => {
                self.accepted(accepted, next, then_walk)
            }
            State::NotingOrphans => {
                self.orphans.clear();
                self.begin()
            }
            State::Noting(end) => self.end(*end),
            _ => self.out_of_turn(),
        }
    }

    fn count_pulled(&mut self) {
        let group = std::mem::take(&mut self.group);
        let mut tasks = BTreeSet::new();
        for version in &group.versions {
            self.report.versions_down += 1;
            self.report.operations_down += version.operations.len() as u64;
            self.report.changes_down += count_changes(version.operations.iter());
            tasks.extend(version.operations.iter().map(Operation::task));
        }
        self.report.tasks_down += tasks.len() as u64;
        if let Some(last) = group.versions.last() {
            self.base = last.version;
            self.base_parent = Some(last.parent);
            // Whatever was in flight stood on an older base, and its place is taken.
            self.in_flight = None;
            self.segment = None;
        }
    }

    fn moved(&mut self, state: State, tail: Tail) -> Action {
        self.stand_on(tail);
        match state {
            State::Restarting => {
                self.facts.relation = Relation::Ours;
                self.facts.joining = true;
                self.begin()
            }
            State::Reinitialising { end } if self.base == end => {
                self.report.reinitialised = true;
                // Whatever was pulled before has made way for the server's present.
                self.group = Group::default();
                self.seen.clear();
                self.walk()
            }
            State::Unorphaning => {
                // A history from before the first version is no first load.
                self.facts.tasks = self.facts.tasks.max(1);
                self.begin()
            }
            State::Noting(end) => self.end(*end),
            State::NotingOrphans => self.begin(),
            State::Accepting { accepted, .. } => {
                // It was accepted all the same, and may have been the last word for now.
                if accepted.wants_snapshot {
                    self.wanted_snapshot = Some(accepted.version);
                }
                self.walk()
            }
            State::Pulling(then)
                if self.group.versions.first().is_some_and(|first| first.parent == self.base) =>
            {
                // The same versions over the new pending list.
                let versions = std::mem::take(&mut self.group.versions);
                self.group = Group::default();
                for version in versions {
                    self.group.take_in(version, 0, &mut self.pending);
                }
                self.flush(then)
            }
            _ => {
                // Somebody has moved the base, or edited or undone what we were about to send:
                // nothing of the batch was done, and we look again.
                self.conflicts += 1;
                if self.conflicts > CONFLICTS_MAX {
                    let what = "the replica changes faster than it can be synchronised".into();
                    return self.fail(Failure::NotTheProtocol { what });
                }
                self.group = Group::default();
                self.seen.clear();
                if self.base.is_nil() { self.begin() } else { self.walk() }
            }
        }
    }

    // Failing and ending.

    fn unanswered(&mut self, state: State, failure: Failure, may_have_happened: bool) -> Action {
        match state {
            State::Sending { .. } if may_have_happened => {
                let parent = self.base;
                self.ask(State::Confirming { cause: failure }, Request::GetChildVersion { parent })
            }
            State::Confirming { cause } if !matches!(failure, Failure::WrongSecret { .. }) => {
                self.fail(cause)
            }
            // The list is in step; the snapshot stays wanted and the next sync offers it again.
            State::MakingSnapshot { .. } => {
                self.report.snapshot_failure = Some(failure);
                self.end(End::InStep)
            }
            State::Walk => self.flush(AfterPull::Fail(failure)),
            State::Begin
            | State::Ended
            | State::Pulling(_)
            | State::Preparing
            | State::Accepting { .. }
            | State::Restarting
            | State::LoadingSnapshot { .. }
            | State::Reinitialising { .. }
            | State::Unorphaning
            | State::NotingOrphans
            | State::Noting(_) => self.out_of_turn(),
            _ => self.fail(failure),
        }
    }

    fn note(&mut self, needs_new_history: bool, snapshot_done: bool, end: End) -> Action {
        self.commit(
            State::Noting(Box::new(end)),
            Change::Note { needs_new_history, snapshot_done, orphans_removed: false },
        )
    }

    fn ask(&mut self, state: State, request: Request) -> Action {
        self.state = state;
        Action::Ask(request)
    }

    fn commit(&mut self, state: State, change: Change) -> Action {
        self.state = state;
        Action::Commit(Box::new(Batch {
            base: self.base,
            last: self.last,
            first: self.first,
            change,
        }))
    }

    fn fail(&mut self, failure: Failure) -> Action {
        self.end(End::Failed(failure))
    }

    fn end(&mut self, end: End) -> Action {
        self.state = State::Ended;
        self.report.end = end;
        Action::Done(Box::new(self.report.clone()))
    }
}

/// How many operations at the front of the list belong to `ranges`.
fn count_in(ranges: &[(OperationId, OperationId)], pending: &PendingList) -> usize {
    let holds = |id| ranges.iter().any(|(first, last)| (*first..=*last).contains(&id));
    pending.iter().take_while(|item| holds(item.id)).count()
}

/// What a task in a snapshot says, as operations: their time is the task's own `modified`.
fn as_operations(task: TaskId, content: &crate::model::Task) -> Vec<Operation> {
    let seconds = content.seconds("modified").unwrap_or(0);
    let timestamp = tandem_core::Timestamp::from_seconds(seconds);
    let updates = content.properties.iter().map(|(property, value)| Operation::Update {
        uuid: task,
        property: property.clone(),
        value: Some(value.clone()),
        timestamp,
    });
    std::iter::once(Operation::Create { uuid: task }).chain(updates).collect()
}
