//! Pulling: walking the chain from the base to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use tandem_core::{TaskId, VersionId};

use crate::model::Task;
use crate::operation::Operation;
use crate::planted::{Defect, is_planted};
#[cfg(feature = "planted-defects")]
use crate::rebase::OperationId;
use crate::segment;
use crate::session::failure::Failure;
use crate::session::group::Group;
use crate::session::machine::{AfterPull, Session, State};
use crate::session::messages::{
    AcceptedVersion, Action, Change, Child, InFlight, PullKind, PulledVersion, Request,
};
use crate::session::push::{count_changes, count_in};
use crate::snapshot;

impl Session {
    pub(super) fn walk(&mut self) -> Action {
        let parent = self.position();
        self.ask(State::Walk, Request::GetChildVersion { parent })
    }

    /// The version up to which the chain is known: the base, or the last one of the group.
    pub(super) fn position(&self) -> VersionId {
        self.group.versions.last().map_or(self.base, |version| version.version)
    }

    pub(super) fn walked(&mut self, child: Child) -> Action {
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
            Child::NoSuchClient if self.is_base_from_elsewhere() => self.come_from_elsewhere(),
            Child::UpToDate | Child::NoSuchClient | Child::NothingYet | Child::StrangeNotFound => {
                self.flush(AfterPull::AtTip)
            }
            Child::Gone => self.flush(AfterPull::AtGone),
            Child::Orphaned(orphaned) if self.group.versions.is_empty() => self.unorphan(orphaned),
            Child::Orphaned(orphaned) => self.keep_up_to(orphaned.fork),
        }
    }

    /// Versions that wait to be committed have been left off the chain meanwhile: those after
    /// `fork` are forgotten. If the base itself is off it too, the next look at it tells.
    pub(super) fn keep_up_to(&mut self, fork: VersionId) -> Action {
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

    pub(super) fn take_version(
        &mut self,
        version: VersionId,
        parent: VersionId,
        plain: Vec<u8>,
    ) -> Action {
        if self.group.versions.is_empty()
            && self.is_in_flight(&plain)
            && let Some(in_flight) = self.in_flight.take()
        {
            return self.adopt(version, in_flight, plain);
        }
        let operations = match segment::read(&plain) {
            Ok(operations) => operations,
            Err(error) => {
                return self.flush(AfterPull::Fail(Failure::of_segment(version, error)));
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
    pub(super) fn adopt(
        &mut self,
        version: VersionId,
        in_flight: InFlight,
        plain: Vec<u8>,
    ) -> Action {
        self.is_proved = true;
        self.segment = None;
        let count = count_in(&in_flight.ranges, &self.pending);
        self.count_pushed(count);
        self.is_forgotten = false;
        self.report.began_history |= in_flight.parent.is_nil() && !self.facts.consent.new_history;
        let accepted = AcceptedVersion {
            version,
            parent: in_flight.parent,
            // Written by us, and what cannot be read cannot have been undone in part.
            operations: Arc::new(segment::read(&plain).unwrap_or_default()),
            straddling: self.pending.straddling(count),
            ranges: in_flight.ranges,
            wants_snapshot: false,
        };
        self.pending.accept(count);
        let change =
            Change::Push { accepted: Some(accepted.clone()), next: None, owes_snapshot: false };
        self.commit(State::Accepting { accepted, next: None, then_walk: true }, change)
    }

    pub(super) fn flush(&mut self, then: AfterPull) -> Action {
        if self.group.versions.is_empty() {
            return self.pulled(then);
        }
        let kind = match self.facts.joining {
            _ if self.is_bulk => PullKind::FirstLoad,
            true => PullKind::Replay,
            false => PullKind::Usual,
        };
        let change = Change::Pull {
            versions: self.group.versions.clone(),
            dropped: self.group.dropped.clone(),
            lost: self.group.lost.values().cloned().collect(),
            kind,
        };
        self.commit(State::Pulling(then), change)
    }

    pub(super) fn pulled(&mut self, then: AfterPull) -> Action {
        match then {
            AfterPull::GoOn => self.walk(),
            AfterPull::AtTip => self.at_tip(),
            AfterPull::AtGone if is_planted(Defect::GoneIsTheEnd) => {
                self.fail(Failure::HistoryMissing)
            }
            AfterPull::AtGone => self.ask(State::ListingApplied, Request::ListApplied),
            AfterPull::Fail(failure) => self.fail(failure),
        }
    }

    pub(super) fn load_snapshot(&mut self, version: VersionId, body: Vec<u8>) -> Action {
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

    pub(super) fn count_pulled(&mut self) {
        let group = std::mem::take(&mut self.group);
        // Somebody else was first.
        self.report.began_history &= group.versions.is_empty() || self.report.versions_up > 0;
        for version in &group.versions {
            self.report.versions_down += 1;
            self.report.operations_down += version.operations.len() as u64;
            self.report.changes_down += count_changes(version.operations.iter());
            self.tasks_down.extend(version.operations.iter().map(Operation::task));
        }
        self.report.tasks_down = self.tasks_down.len() as u64;
        if let Some(last) = group.versions.last() {
            self.base = last.version;
            self.base_parent = Some(last.parent);
            self.facts.is_base_known = true;
            // Whatever was in flight stood on an older base, and its place is taken.
            self.in_flight = None;
            self.segment = None;
        }
    }
}

/// What a task in a snapshot says, as operations: their time is the task's own `modified`.
fn as_operations(task: TaskId, content: &Task) -> Vec<Operation> {
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
