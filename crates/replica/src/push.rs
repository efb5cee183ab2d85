//! Commits of what goes: a segment made durable before it is sent, and one that was accepted.

use std::collections::{BTreeMap, BTreeSet};

use tandem_core::TaskId;
use tandem_tasks::session::{AcceptedVersion, InFlight};
use tandem_tasks::{Operation, OperationId};

use crate::absorb::{IN_FLIGHT_TOUCHED, current_remote, log_mark};
use crate::commit::{Answer, Commit};
use crate::edit::retire;
use crate::guard;
use crate::image::{TaskPending, base_of, settle};
use crate::storage::{InFlightRow, Result};
use crate::unseen::{last_sent, set_last_sent};

impl Commit<'_> {
    pub(crate) fn prepare(&mut self, next: InFlight, owes_snapshot: bool) -> Result<()> {
        let remote = self.remote()?;
        if owes_snapshot && let Some(mut row) = self.txn.remote(remote)? {
            row.wanted_snapshot = Some(next.parent);
            self.txn.put_remote(&row)?;
        }
        self.txn.set_meta(IN_FLIGHT_TOUCHED, None)?;
        set_last_sent(self.txn, self.now)?;
        self.txn.set_in_flight(Some(&InFlightRow {
            remote,
            parent: next.parent,
            digest: next.digest.0,
            count: next.count as u64,
            ranges: next.ranges,
        }))
    }

    pub(crate) fn accept(
        &mut self,
        accepted: &AcceptedVersion,
        known_last: Option<OperationId>,
        as_believed: bool,
    ) -> Result<Answer> {
        let is_touched = !as_believed || self.txn.meta(IN_FLIGHT_TOUCHED)?.is_some();
        let undone = if is_touched { self.undone_in_flight(accepted)? } else { Vec::new() };
        let mut straddling: BTreeSet<TaskId> = accepted.straddling.iter().copied().collect();
        if !as_believed {
            self.txn.each_pending(&mut |id, operation| {
                if known_last.is_none_or(|last| id > last) {
                    straddling.extend(operation.task());
                }
                Ok(())
            })?;
        }
        let holds = |id: &OperationId| {
            accepted.ranges.iter().any(|(first, last)| (first..=last).contains(&id))
        };
        let mut images = Vec::new();
        for id in &straddling {
            let pending = self.txn.pending_of(*id)?;
            let mut base = base_of(self.txn, *id, &pending)?;
            let (taken, left): (TaskPending, TaskPending) =
                pending.into_iter().partition(|(place, _)| holds(place));
            for operation in taken.iter().filter_map(|(_, operation)| operation.to_operation()) {
                operation.apply(&mut base);
            }
            images.push((*id, base, left));
        }
        for (first, last) in &accepted.ranges {
            self.txn.mark_synced(*first, *last)?;
        }
        if let Some((first, _)) = accepted.ranges.first() {
            // Before the first there is nothing pending but the undo point of its command, which
            // would make the real `task undo` fail.
            self.txn.mark_synced(OperationId(0), *first)?;
        }
        guard::tend(self.txn)?;
        for (id, base, left) in images {
            settle(self.txn, id, base, &left)?;
        }
        for (id, _) in self.txn.base_images()? {
            if self.txn.pending_of(id)?.is_empty() {
                self.txn.remove_base_image(id)?;
            }
        }
        self.stand_on(accepted.version)?;
        let sent = last_sent(self.txn)?;
        let mark = log_mark(self.txn)?;
        self.applied_with(accepted.version, accepted.parent, false, (mark, sent))?;
        if accepted.wants_snapshot
            && let Some(id) = current_remote(self.txn)?
            && let Some(mut row) = self.txn.remote(id)?
        {
            row.wanted_snapshot = Some(accepted.version);
            self.txn.put_remote(&row)?;
        }
        let has_compensated = self.compensate(undone)?;
        retire(self.txn)?;
        Ok(if has_compensated { Answer::Moved } else { Answer::Done })
    }

    /// Operations of the accepted segment that a foreign undo has removed from the log meanwhile.
    pub(crate) fn undone_in_flight(
        &mut self,
        accepted: &AcceptedVersion,
    ) -> Result<Vec<Operation>> {
        let Some(in_flight) = self.txn.in_flight()? else { return Ok(Vec::new()) };
        if in_flight.parent != accepted.parent {
            return Ok(Vec::new());
        }
        let mut left = Vec::new();
        for (first, last) in &accepted.ranges {
            // Between them may stand what was settled or pulled earlier: only what still waits
            // can be what was sent.
            for row in self.txn.operations_between(*first, *last)? {
                left.extend(row.operation.to_operation().filter(|_| !row.synced));
            }
        }
        let mut left = left.into_iter().peekable();
        let sent = accepted.operations.iter();
        Ok(sent.filter(|operation| left.next_if_eq(operation).is_none()).cloned().collect())
    }

    /// Takes back what the server has accepted although it had been undone here: the state of the
    /// tasks, as the undo left it, is made pending. Says whether anything was: the session does not
    /// know of it yet.
    pub(crate) fn compensate(&mut self, undone: Vec<Operation>) -> Result<bool> {
        if undone.is_empty() {
            return Ok(false);
        }
        let mut by_task: BTreeMap<TaskId, Vec<Operation>> = BTreeMap::new();
        for operation in undone {
            by_task.entry(operation.task()).or_default().push(operation);
        }
        let mut wanted = Vec::new();
        for (id, operations) in by_task {
            let desired = self.txn.task(id)?;
            let pending = self.txn.pending_of(id)?;
            let mut base = base_of(self.txn, id, &pending)?;
            for operation in &operations {
                operation.apply(&mut base);
            }
            let state = settle(self.txn, id, base, &pending)?;
            wanted.extend(crate::restart::towards(id, state.as_ref(), desired.as_ref(), self.now));
        }
        let has_any = !wanted.is_empty();
        self.append_pending("undo", wanted)?;
        Ok(has_any)
    }
}
