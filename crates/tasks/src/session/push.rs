//! Pushing: proving the key, cutting a segment, sending it, and what became of it.

use std::sync::Arc;

use tandem_core::VersionId;

use crate::operation::Operation;
use crate::planted::{Defect, is_planted};
use crate::rebase::{OperationId, PendingList};
use crate::segment::{self, SegmentDigest};
use crate::session::failure::Failure;
use crate::session::machine::{CONFLICTS_MAX, ProofBy, Session, State};
use crate::session::messages::{
    AcceptedVersion, Action, Added, Change, Child, End, InFlight, Proof, Request, Response, Urgency,
};

impl Session {
    pub(super) fn at_tip(&mut self) -> Action {
        let owes_snapshot = self.wanted_snapshot.is_some() && !self.base.is_nil();
        if self.pending.is_empty() && !owes_snapshot && !self.is_forgotten {
            return self.end(End::InStep);
        }
        // Also a snapshot may only be sealed with a key that fits: it replaces the good one.
        if !self.is_proved {
            return self.ask(State::Proving(ProofBy::Token), Request::CheckProof);
        }
        self.prepare()
    }

    pub(super) fn proof(&mut self, by: ProofBy, response: Response) -> Action {
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
            (
                ProofBy::FirstVersion,
                Response::Child(Child::UpToDate | Child::NoSuchClient | Child::NothingYet),
            ) => self.proved(),
            // There are versions, and none that could show whether the key fits.
            (ProofBy::FirstVersion, Response::Child(_)) => self.fail(Failure::HistoryMissing),
            _ => {
                self.fail(Failure::NotTheProtocol { what: "an answer to another question".into() })
            }
        }
    }

    pub(super) fn proved(&mut self) -> Action {
        self.is_proved = true;
        self.prepare()
    }

    pub(super) fn prepare(&mut self) -> Action {
        // Whoever has forgotten the list has nothing from before.
        let owes_snapshot = self.is_forgotten && self.wanted_snapshot.is_none();
        if let Some(in_flight) = &self.in_flight
            && !owes_snapshot
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
        let next = self.cut(self.base).or_else(|| self.nothing_new());
        let Some((in_flight, segment)) = next else { return self.make_snapshot() };
        self.stand_in_flight(in_flight.clone(), segment);
        let change = Change::Push { accepted: None, next: Some(in_flight), owes_snapshot };
        self.commit(State::Preparing { owes_snapshot }, change)
    }

    pub(super) fn cut(&self, parent: VersionId) -> Option<(InFlight, Arc<Vec<u8>>)> {
        let cut = self.pending.cut(self.facts.segment_bytes_max)?;
        let digest = SegmentDigest::of(&cut.segment);
        let in_flight = InFlight { parent, digest, count: cut.count, ranges: cut.ranges };
        Some((in_flight, Arc::new(cut.segment)))
    }

    /// A version without operations, for a server that has forgotten a list of which nothing waits:
    /// it goes on at our base, where replicas in step find it, and a snapshot of it holds the rest.
    fn nothing_new(&self) -> Option<(InFlight, Arc<Vec<u8>>)> {
        let segment = self.is_forgotten.then(|| segment::write([]))?;
        let digest = SegmentDigest::of(&segment);
        let in_flight = InFlight { parent: self.base, digest, count: 0, ranges: Vec::new() };
        Some((in_flight, Arc::new(segment)))
    }

    /// True if `plain` is what we had sent, or were about to.
    pub(super) fn is_in_flight(&self, plain: &[u8]) -> bool {
        self.in_flight.as_ref().is_some_and(|sent| sent.digest == SegmentDigest::of(plain))
    }

    pub(super) fn stand_in_flight(&mut self, in_flight: InFlight, segment: Arc<Vec<u8>>) {
        self.in_flight = Some(in_flight);
        self.segment = Some(segment);
        self.sends = 0;
    }

    pub(super) fn send(&mut self) -> Action {
        let Some(in_flight) = &self.in_flight else { return self.out_of_turn() };
        let (parent, count) = (in_flight.parent, count_in(&in_flight.ranges, &self.pending));
        self.sends += 1;
        // Given away, so that it can be sealed where it stands; what is sent again is written again.
        let segment = match self.segment.take() {
            Some(segment) => segment,
            None => {
                let sent = self.pending.iter().take(count).map(|item| &item.operation);
                Arc::new(segment::write(sent))
            }
        };
        self.ask(State::Sending { count }, Request::AddVersion { parent, segment })
    }

    pub(super) fn sent(&mut self, count: usize, added: Added) -> Action {
        match added {
            Added::Accepted { version, urgency } => {
                let Some(in_flight) = self.in_flight.take() else { return self.out_of_turn() };
                self.count_pushed(count);
                let straddling = self.pending.straddling(count);
                let operations = Arc::new(self.pending.accept(count));
                self.is_forgotten = false;
                let wants_snapshot = match urgency {
                    Urgency::None => false,
                    Urgency::Low => !self.facts.avoid_snapshots,
                    Urgency::High => true,
                };
                let accepted = AcceptedVersion {
                    version,
                    parent: in_flight.parent,
                    operations,
                    ranges: in_flight.ranges,
                    straddling,
                    wants_snapshot,
                };
                let next = self.cut(version);
                let change = Change::Push {
                    accepted: Some(accepted.clone()),
                    next: next.as_ref().map(|(in_flight, _)| in_flight.clone()),
                    owes_snapshot: false,
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

    pub(super) fn count_pushed(&mut self, count: usize) {
        self.report.versions_up += 1;
        self.report.operations_up += count as u64;
        let sent = self.pending.iter().take(count).filter(|item| !self.pending.is_repeat(item.id));
        self.report.changes_up += count_changes(sent.map(|item| &item.operation));
    }

    pub(super) fn accepted(
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

    pub(super) fn make_snapshot(&mut self) -> Action {
        match self.wanted_snapshot {
            Some(_) if self.pending.is_empty() && !self.base.is_nil() => {
                let version = self.base;
                self.ask(State::MakingSnapshot { version }, Request::AddSnapshot { version })
            }
            _ => self.end(End::InStep),
        }
    }
}

/// How many operations at the front of the list belong to `ranges`.
pub(super) fn count_in(ranges: &[(OperationId, OperationId)], pending: &PendingList) -> usize {
    let holds = |id| ranges.iter().any(|(first, last)| (*first..=*last).contains(&id));
    pending.iter().take_while(|item| holds(item.id)).count()
}

/// Changes that a person made, among operations: not the stamp that goes with each.
pub(super) fn count_changes<'a>(operations: impl Iterator<Item = &'a Operation>) -> u64 {
    operations
        .filter(|operation| {
            !matches!(operation, Operation::Update { property, .. } if property == "modified")
        })
        .count() as u64
}
