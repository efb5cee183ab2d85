//! The state machine itself: what is remembered, and which event leads where. What each path does
//! stands beside: [`super::begin`], [`super::pull`], [`super::push`], [`super::gone`].

use std::collections::BTreeSet;
use std::sync::Arc;

use tandem_core::{TaskId, VersionId};

use crate::planted::{Defect, is_planted};
#[cfg(feature = "planted-defects")]
use crate::rebase::Pending;
use crate::rebase::{OperationId, PendingList};
use crate::session::failure::Failure;
use crate::session::gone::{Ancestors, ForkSearch, Lookout};
use crate::session::group::Group;
use crate::session::messages::{
    AcceptedVersion, Action, Batch, Change, Child, Consent, End, Event, InFlight, Relation,
    Request, Response, Start, SyncReport, Tail,
};

/// How often one sync goes back to pulling because another replica pushed first.
pub(super) const CONFLICTS_MAX: u32 = 100;

/// How often one segment is sent when no answer arrives and the server turns out not to have it.
const SENDS_MAX: u32 = 2;

/// One sync of one replica with one remote.
#[derive(Debug)]
pub struct Session {
    pub(super) facts: Facts,
    pub(super) base: VersionId,
    pub(super) base_parent: Option<VersionId>,
    pub(super) pending: PendingList,
    pub(super) last: Option<OperationId>,
    pub(super) first: Option<OperationId>,
    pub(super) in_flight: Option<InFlight>,
    /// The segment in flight, where this session has written it.
    pub(super) segment: Option<Arc<Vec<u8>>>,
    pub(super) group: Group,
    /// Tasks that pulled operations were about.
    pub(super) tasks_down: BTreeSet<TaskId>,
    /// Versions seen in this session: a server that goes in circles is found out.
    pub(super) seen: BTreeSet<VersionId>,
    /// Versions that the replica has applied, once the history behind the base is gone.
    pub(super) ancestors: Ancestors,
    pub(super) orphans: Vec<VersionId>,
    pub(super) wanted_snapshot: Option<VersionId>,
    pub(super) state: State,
    pub(super) conflicts: u32,
    pub(super) last_conflict: Option<VersionId>,
    pub(super) sends: u32,
    pub(super) is_proved: bool,
    /// The server knows the client no longer, and nothing of ours has come there since.
    pub(super) is_forgotten: bool,
    pub(super) is_bulk: bool,
    pub(super) report: SyncReport,
    #[cfg(feature = "planted-defects")]
    pub(super) first_pending: Vec<Pending>,
}

/// What was true at the start and does not change but by the session's own commits.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) relation: Relation,
    pub(super) is_base_known: bool,
    pub(super) tasks: u64,
    pub(super) answered: bool,
    pub(super) needs_new_history: bool,
    pub(super) joining: bool,
    pub(super) is_directory: bool,
    pub(super) avoid_snapshots: bool,
    pub(super) consent: Consent,
    pub(super) segment_bytes_max: usize,
    pub(super) group_bytes_max: usize,
}

#[derive(Debug)]
pub(super) enum State {
    Begin,
    /// Base nil and a first segment sent: did it become the first version?
    FreshInFlight,
    /// Base nil: is there a snapshot?
    FreshSnapshot,
    /// Base nil, no snapshot: is there a first version?
    FreshChild,
    /// The base belongs elsewhere: or is this the same remote under another address?
    CheckSame {
        /// The base itself is asked for, not its child.
        is_parent: bool,
    },
    Adopting,
    /// The base belongs elsewhere: is our last base here still on the chain?
    CheckKnown,
    /// The base belongs elsewhere: does this remote hold anything?
    StrangeSnapshot,
    StrangeChild,
    /// Nothing is there: would it take anything?
    AskingReady,
    Restarting,
    LoadingSnapshot {
        version: VersionId,
    },
    Walk,
    /// Pulled versions are being committed; then go on with this.
    Pulling(AfterPull),
    Proving(ProofBy),
    /// The segment is being made durable, and that a snapshot is owed.
    Preparing {
        owes_snapshot: bool,
    },
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
    ListingApplied,
    GoneSnapshot,
    GoneWalk(Box<Lookout>),
    /// Where did the server's way turn off ours? The ancestor at this place is asked about.
    FindingFork(Box<Lookout>, ForkSearch),
    FollowingBranch(Box<Lookout>, VersionId),
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
pub(super) enum AfterPull {
    GoOn,
    AtTip,
    AtGone,
    Fail(Failure),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ProofBy {
    Token,
    Snapshot,
    BaseItself,
    FirstVersion,
}

impl Session {
    /// Prepares a session; hand it [`Event::Start`] to begin.
    pub fn new(start: Start) -> Self {
        let mut session = Self {
            facts: Facts {
                relation: start.relation,
                is_base_known: start.is_base_known,
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
            tasks_down: BTreeSet::new(),
            seen: BTreeSet::new(),
            ancestors: Ancestors::default(),
            orphans: Vec::new(),
            wanted_snapshot: start.wanted_snapshot,
            state: State::Begin,
            conflicts: 0,
            last_conflict: None,
            sends: 0,
            is_proved: false,
            is_forgotten: false,
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
            && !matches!(request, Request::CheckProof | Request::ListApplied | Request::AskReady)
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

    pub(super) fn out_of_turn(&mut self) -> Action {
        self.fail(Failure::NotTheProtocol { what: "an event out of turn".into() })
    }

    // Beginning.

    pub(super) fn stand_on(&mut self, tail: Tail) {
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

    // Answers.

    fn answered(&mut self, state: State, response: Response) -> Action {
        match (state, response) {
            (State::FreshInFlight, Response::Child(child)) => match self.plain(child) {
                Ok(Child::Version { version, parent, segment }) if self.is_in_flight(&segment) => {
                    self.facts.relation = Relation::Ours;
                    self.walked(Child::Version { version, parent, segment })
                }
                Ok(_) if self.facts.relation != Relation::Ours => self.come_as_another(),
                Ok(_) => self.ask(State::FreshSnapshot, Request::GetSnapshot),
                Err(failure) => self.fail(failure),
            },
            (State::FreshSnapshot, Response::Snapshot(Some((version, body)))) => {
                if !self.may_join() {
                    return self.ask_to_join();
                }
                self.meet();
                self.load_snapshot(version, body)
            }
            (State::FreshSnapshot, Response::Snapshot(None)) => {
                self.ask(State::FreshChild, Request::GetChildVersion { parent: VersionId::NIL })
            }
            (State::FreshChild, Response::Child(child)) => match self.plain_first(child) {
                Ok(Child::Version { .. }) if !self.may_join() => self.ask_to_join(),
                Ok(child @ Child::Version { .. }) => {
                    self.meet();
                    self.walked(child)
                }
                Ok(Child::Gone) if is_planted(Defect::MissingHistoryNotTold) => {
                    self.end(End::InStep)
                }
                Ok(Child::Gone) => self.fail(Failure::HistoryMissing),
                Ok(_) => self.nothing_there(),
                Err(failure) => self.fail(failure),
            },
            (State::CheckSame { is_parent }, Response::Child(child)) => match self.plain(child) {
                Ok(child) => self.same_or_not(is_parent, child),
                Err(failure) => self.fail(failure),
            },
            (State::CheckKnown, Response::Child(child)) => match self.plain(child) {
                Ok(Child::Version { .. } | Child::UpToDate) => {
                    self.facts.joining = true;
                    self.report.rejoined = true;
                    self.restart()
                }
                Ok(_) => self.ask(State::StrangeSnapshot, Request::GetSnapshot),
                Err(failure) => self.fail(failure),
            },
            // We began from it: the parent of the base, which would have shown the same, is not known.
            (State::StrangeSnapshot, Response::Snapshot(Some((version, _))))
                if version == self.base && !version.is_nil() =>
            {
                self.adopt_address()
            }
            (State::StrangeSnapshot, Response::Snapshot(Some(_))) => self.strange_history(),
            (State::StrangeSnapshot, Response::Snapshot(None)) => {
                self.ask(State::StrangeChild, Request::GetChildVersion { parent: VersionId::NIL })
            }
            (State::StrangeChild, Response::Child(child)) => match self.plain_first(child) {
                Ok(Child::Version { .. }) => self.strange_history(),
                Ok(Child::Gone | Child::Orphaned(_)) => self.fail(Failure::HistoryMissing),
                // All of it waits already, since it was offered to a place that then took nothing.
                Ok(_) if self.base.is_nil() => {
                    self.facts.relation = Relation::Ours;
                    self.nothing_there()
                }
                Ok(_) => self.ask(State::AskingReady, Request::AskReady),
                Err(failure) => self.fail(failure),
            },
            (State::AskingReady, Response::Ready(refusal)) => self.ready_or_not(refusal),
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
            (State::ListingApplied, Response::Applied(versions)) => {
                self.ancestors = Ancestors::new(versions);
                self.ask(State::GoneSnapshot, Request::GetSnapshot)
            }
            (State::GoneSnapshot, Response::Snapshot(snapshot)) => self.look_out(snapshot),
            (State::GoneWalk(lookout), Response::Child(child)) => match self.plain(child) {
                Ok(child) => self.looked_out(lookout, child),
                Err(failure) => self.fail(failure),
            },
            (State::FindingFork(lookout, search), Response::Child(child)) => {
                match self.plain(child) {
                    Ok(child) => self.fork_found(lookout, search, child),
                    Err(failure) => self.fail(failure),
                }
            }
            (State::FollowingBranch(lookout, position), Response::Child(child)) => {
                match self.plain(child) {
                    Ok(child) => self.branch_followed(lookout, position, child),
                    Err(failure) => self.fail(failure),
                }
            }
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
    pub(super) fn plain(&mut self, child: Child) -> Result<Child, Failure> {
        match child {
            Child::StrangeNotFound if self.facts.answered => Ok(Child::UpToDate),
            Child::StrangeNotFound => Err(Failure::StrangeNotFound),
            Child::NoSuchClient | Child::NothingYet => {
                self.facts.answered = true;
                if child == Child::NothingYet {
                    self.expect_client();
                }
                if !self.base.is_nil()
                    && self.facts.relation == Relation::Ours
                    && self.facts.is_base_known
                {
                    self.report.client_was_forgotten = true;
                    self.is_forgotten = true;
                }
                Ok(Child::NoSuchClient)
            }
            other => {
                self.facts.answered = true;
                Ok(other)
            }
        }
    }

    /// The same of an answer about the first version of all. Of a client whom it does not know no server
    /// says "no such version" (`protocols/taskchampion.md` section 7).
    fn plain_first(&mut self, child: Child) -> Result<Child, Failure> {
        if child == Child::UpToDate && !self.facts.is_directory {
            self.expect_client();
        }
        self.plain(child)
    }

    /// The server knows the client id, so it is no typo, which would have been a person's to find.
    fn expect_client(&mut self) {
        self.facts.needs_new_history = false;
        self.report.client_is_expected = true;
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
            State::Preparing { owes_snapshot } => {
                if owes_snapshot {
                    self.wanted_snapshot = Some(self.base);
                }
                self.send()
            }
            State::Adopting => {
                self.facts.relation = Relation::Ours;
                self.walk()
            }
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

    fn moved(&mut self, state: State, tail: Tail) -> Action {
        self.stand_on(tail);
        match state {
            State::Restarting => {
                self.facts.relation = Relation::Ours;
                self.facts.is_base_known = true;
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
            State::NotingOrphans | State::Adopting if self.may_look_again() => self.begin(),
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
                if !self.may_look_again() {
                    let what = "the replica changes faster than it can be synchronised".into();
                    return self.fail(Failure::NotTheProtocol { what });
                }
                self.group = Group::default();
                self.seen.clear();
                if self.base.is_nil() { self.begin() } else { self.walk() }
            }
        }
    }

    /// Counts another look after something moved under us; false when it has been too many.
    fn may_look_again(&mut self) -> bool {
        self.conflicts += 1;
        self.conflicts <= CONFLICTS_MAX
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
            | State::Preparing { .. }
            | State::Adopting
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

    pub(super) fn note(
        &mut self,
        needs_new_history: bool,
        snapshot_done: bool,
        end: End,
    ) -> Action {
        self.commit(
            State::Noting(Box::new(end)),
            Change::Note { needs_new_history, snapshot_done, orphans_removed: false },
        )
    }

    pub(super) fn ask(&mut self, state: State, request: Request) -> Action {
        self.state = state;
        Action::Ask(request)
    }

    pub(super) fn commit(&mut self, state: State, change: Change) -> Action {
        self.state = state;
        Action::Commit(Box::new(Batch {
            base: self.base,
            last: self.last,
            first: self.first,
            change,
        }))
    }

    pub(super) fn fail(&mut self, failure: Failure) -> Action {
        self.end(End::Failed(failure))
    }

    pub(super) fn end(&mut self, end: End) -> Action {
        self.state = State::Ended;
        self.report.end = end;
        Action::Done(Box::new(self.report.clone()))
    }
}
