//! Commits of what came: pulled versions over the pending operations, and snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::deletion::deleted_and_changed;
use tandem_tasks::reinitialise::updates;
use tandem_tasks::session::{Lost, PullKind, PulledVersion};
use tandem_tasks::snapshot::{self, ReadSnapshotError};
use tandem_tasks::{LocalOperation, Operation, OperationId, Task, Text};

use crate::absorb::{current_remote, log_mark};
use crate::commit::{Commit, CommitError, Outcome};
use crate::edit::retire;
use crate::guard;
use crate::image::{TaskPending, base_of, distrust_log, settle};
use crate::joined::{Deletions, Joined};
use crate::moving;
use crate::storage::{ConflictRow, Origin, Result, StepRow};
use crate::unseen::{Lookout, Overwritten};

impl Commit<'_> {
    pub(crate) fn pull(
        &mut self,
        versions: &[Arc<PulledVersion>],
        dropped: &[OperationId],
        lost: &[Lost],
        kind: PullKind,
    ) -> Outcome<()> {
        for version in versions {
            if self.is_behind_us(version.version)? {
                return Err(CommitError::Repeated { version: version.version });
            }
        }
        let Some(end) = versions.last() else { return Ok(()) };
        if self.txn.base_version()?.is_nil() {
            moving::meet(self.txn)?;
        }
        let mut touched: BTreeMap<TaskId, Vec<(usize, &Operation)>> = BTreeMap::new();
        for (n, version) in versions.iter().enumerate() {
            for operation in &version.operations {
                touched.entry(operation.task()).or_default().push((n, operation));
            }
        }
        let mut losers = match kind {
            PullKind::Replay => self.lost_anew(lost).and_then(|lost| self.before_losing(&lost))?,
            PullKind::Usual | PullKind::FirstLoad => self.before_losing(lost)?,
        };
        let has_pending = self.txn.pending_mark()?.last.is_some();
        let dropped_ids: BTreeSet<OperationId> = dropped.iter().copied().collect();
        let mut log: Vec<(usize, LocalOperation)> = Vec::new();
        let mut arrived: Vec<(i64, TaskId)> = Vec::new();
        let mut lookout = Lookout::new(self.txn, kind)?;
        let mut deletions = Deletions::default();
        for (id, operations) in touched {
            let pending = match has_pending {
                true => self.txn.pending_of(id)?,
                false => TaskPending::new(),
            };
            let mut base = base_of(self.txn, id, &pending)?;
            let mut overwritten: Vec<Overwritten<'_>> = Vec::new();
            let changed = match kind {
                PullKind::Usual if !pending.is_empty() => {
                    base.clone().map(|before| (before, changed_in(&pending)))
                }
                _ => None,
            };
            let mut changed_there: Vec<&str> = Vec::new();
            // What waits is no change: the whole list, or a task that was made on either side.
            let is_joined = match kind {
                PullKind::Replay => true,
                PullKind::Usual => base.is_none(),
                PullKind::FirstLoad => false,
            };
            let ours = match is_joined && !pending.is_empty() {
                true => self.txn.task(id)?.map(|ours| (ours, pending.clone(), base.clone())),
                false => None,
            };
            let (settled, pending): (TaskPending, TaskPending) =
                pending.into_iter().partition(|(place, _)| dropped_ids.contains(place));
            for (n, operation) in operations.iter().copied() {
                if kind == PullKind::FirstLoad {
                    operation.apply(&mut base);
                    continue;
                }
                let local = operation.clone().into_local(base.as_ref());
                let before = lookout.before(operation, base.as_ref());
                let is_news = operation.apply(&mut base);
                let is_met = || [&settled, &pending].iter().any(|met| is_overruled(operation, met));
                overwritten.extend(before.filter(|_| is_news && !is_met()));
                if is_news && let Operation::Update { property, .. } = operation {
                    changed_there.push(property);
                }
                // What beat an operation of ours is logged even if the base had said so before:
                // else the log would end with the loser.
                let has_changed = is_news || is_overruled(operation, &settled);
                if has_changed && !is_overruled(operation, &pending) {
                    log.push((n, local));
                }
            }
            let theirs = base.clone().filter(|_| ours.is_some());
            let state = match has_pending {
                true => settle(self.txn, id, base, &pending)?,
                false => {
                    self.txn.put_task(id, base.as_ref())?;
                    base
                }
            };
            self.take_in_order(id, state.as_ref(), &mut arrived)?;
            if let (Some((before, here)), Some(after)) = (&changed, &state) {
                let here: Vec<&str> = here.iter().map(Text::as_str).collect();
                let lost = deleted_and_changed(id, before, after, &here, &changed_there);
                losers.extend(lost.map(|lost| self.row(&lost, Some(before), Some(after))));
            }
            if let (Some((ours, waiting, before)), Some(theirs), Some(after)) =
                (&ours, &theirs, &state)
            {
                let said: Vec<&Operation> = operations.iter().map(|(_, said)| *said).collect();
                let before = before.as_ref();
                let joined = Joined { id, ours, waiting, before, said: &said, theirs };
                self.look_for_deletion(&mut deletions, &joined, after)?;
            }
            for unseen in lookout.unseen(self.txn, id, &overwritten, state.as_ref())? {
                let row = self.row(&unseen.lost, None, state.as_ref());
                losers.push(ConflictRow { base: unseen.base, ..row });
            }
        }
        arrived.sort_unstable();
        for (_, id) in arrived {
            self.txn.give_number(id)?;
        }
        self.drop_pending(dropped)?;
        if kind == PullKind::FirstLoad {
            distrust_log(self.txn)?;
        }
        let marks = self.write_log(versions, log)?;
        self.stand_on(end.version)?;
        for (version, mark) in versions.iter().zip(marks) {
            self.applied_with(version.version, version.parent, false, (mark, None))?;
        }
        retire(self.txn)?;
        deletions.tell(&mut losers);
        self.record_lost(losers)?;
        Ok(())
    }

    /// True if the base descends from `version`. One that was applied and is off the way now (the
    /// server went back and came forward again, the same history under another name) may come again.
    fn is_behind_us(&mut self, version: VersionId) -> Result<bool> {
        let here = current_remote(self.txn)?.unwrap_or(0);
        if self.txn.applied(version)?.is_none_or(|row| row.remote != here) {
            return Ok(false);
        }
        let mut seen = BTreeSet::new();
        let mut at = self.txn.base_version()?;
        while at != version {
            match self.txn.applied(at)? {
                Some(row) if !row.hole && seen.insert(at) => at = row.parent,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Takes away the number of a task that needs none, and puts one that needs one among those that
    /// `arrived`, to be numbered together.
    fn take_in_order(
        &mut self,
        id: TaskId,
        state: Option<&Task>,
        arrived: &mut Vec<(i64, TaskId)>,
    ) -> Result<()> {
        match state {
            Some(task) if task.status().is_numbered() => {
                arrived.push((age_of(task), id));
                Ok(())
            }
            _ => self.txn.take_number(id),
        }
    }

    /// Logs what pulled versions did, one step for each version, in their order. Returns for each
    /// where the log stood behind it ([`AppliedRow::mark`]).
    pub(crate) fn write_log(
        &mut self,
        versions: &[Arc<PulledVersion>],
        mut log: Vec<(usize, LocalOperation)>,
    ) -> Result<Vec<OperationId>> {
        log.sort_by_key(|(n, _)| *n);
        let mut mark = log_mark(self.txn)?;
        let is_behind_pending = self.txn.pending_mark()?.first.is_some();
        let mut marks = Vec::with_capacity(versions.len());
        let mut step: Option<(usize, StepRow)> = None;
        for (n, operation) in log {
            marks.resize(n, mark);
            let place = self.txn.append(&operation, true)?;
            if !is_behind_pending {
                mark = OperationId(place.0.saturating_add(1));
            }
            match &mut step {
                Some((version, row)) if *version == n => row.last = place,
                _ => {
                    let origin = Origin::Version(versions[n].version);
                    let row = StepRow {
                        id: 0,
                        first: place,
                        last: place,
                        at: self.now,
                        origin,
                        undone: false,
                    };
                    if let Some((_, done)) = step.replace((n, row)) {
                        self.txn.put_step(&done)?;
                    }
                }
            }
        }
        if let Some((_, done)) = step {
            self.txn.put_step(&done)?;
        }
        marks.resize(versions.len(), mark);
        Ok(marks)
    }

    /// Marks operations that have nothing left to do, and removes undo points with nothing after
    /// them, which would make the real `task undo` fail.
    pub(crate) fn drop_pending(&mut self, dropped: &[OperationId]) -> Result<()> {
        if dropped.is_empty() {
            return Ok(());
        }
        for id in dropped {
            self.txn.mark_synced(*id, *id)?;
        }
        let mut empty = Vec::new();
        let mut open = None;
        self.txn.each_pending(&mut |id, operation| {
            if operation == LocalOperation::UndoPoint {
                empty.extend(open.replace(id));
            } else {
                open = None;
            }
            Ok(())
        })?;
        empty.extend(open);
        for id in empty {
            if !guard::is_guard(self.txn, id)? {
                self.txn.remove_operations(id, id, false)?;
            }
        }
        guard::tend(self.txn)
    }

    pub(crate) fn load_snapshot(
        &mut self,
        version: VersionId,
        body: &[u8],
        dropped: &[OperationId],
        lost: &[Lost],
    ) -> Outcome<()> {
        let lost = self.lost_anew(lost)?;
        let mut losers = self.before_losing(&lost)?;
        let mut with_pending: BTreeSet<TaskId> = BTreeSet::new();
        self.txn.each_pending(&mut |_, operation| {
            with_pending.extend(operation.task());
            Ok(())
        })?;
        self.txn.clear_tasks()?;
        self.txn.clear_base_images()?;
        let mut numbers = self.txn.working_set()?;
        let numbered: BTreeSet<TaskId> = numbers.iter().map(|(_, id)| *id).collect();
        let mut arrived: Vec<(i64, TaskId)> = Vec::new();
        let mut loaded = 0;
        let txn = &mut *self.txn;
        let read = snapshot::read(body, |id, task| {
            loaded += 1;
            if task.status().is_numbered() && !numbered.contains(&id) {
                arrived.push((age_of(&task), id));
            }
            txn.put_task(id, Some(&task))
        });
        match read {
            Ok(()) => {}
            Err(ReadSnapshotError::Stopped(error)) => return Err(error.into()),
            Err(error) => {
                let what = match error {
                    ReadSnapshotError::Malformed(source) => source.to_string(),
                    other => other.to_string(),
                };
                return Err(CommitError::Snapshot { version, what });
            }
        }
        self.loaded = Some(loaded);
        moving::meet(self.txn)?;
        arrived.sort_unstable();
        let mut next = numbers.last().map_or(1, |(number, _)| number.saturating_add(1));
        for (_, id) in arrived {
            numbers.push((next, id));
            next = next.saturating_add(1);
        }
        self.txn.set_working_set(&numbers)?;
        let dropped_ids: BTreeSet<OperationId> = dropped.iter().copied().collect();
        let mut deletions = Deletions::default();
        for id in with_pending {
            let theirs = self.txn.task(id)?;
            let mut pending = self.txn.pending_of(id)?;
            // Nothing was here but what waits.
            let ours = theirs.as_ref().and_then(|_| made_of(&pending));
            let waiting = pending.clone();
            pending.retain(|(place, _)| !dropped_ids.contains(place));
            let state = settle(self.txn, id, theirs.clone(), &pending)?;
            self.renumber(id, state.as_ref())?;
            if let (Some(ours), Some(theirs), Some(after)) = (&ours, &theirs, &state) {
                let at = Timestamp::from_seconds(theirs.seconds("modified").unwrap_or(0));
                let said = updates(id, &Task::default(), theirs, at);
                let said: Vec<&Operation> = said.iter().collect();
                let waiting = &waiting;
                let joined = Joined { id, ours, waiting, before: None, said: &said, theirs };
                self.look_for_deletion(&mut deletions, &joined, after)?;
            }
        }
        self.drop_pending(dropped)?;
        distrust_log(self.txn)?;
        self.stand_on(version)?;
        self.applied(version, VersionId::NIL, true)?;
        deletions.tell(&mut losers);
        self.record_lost(losers)?;
        Ok(())
    }
}

/// When a task was made, in seconds since the epoch: new tasks are numbered in that order, as a
/// person would have met them. Those that do not say come last.
fn age_of(task: &Task) -> i64 {
    task.seconds("entry").unwrap_or(i64::MAX)
}

/// What pending operations make of nothing.
fn made_of(pending: &[(OperationId, LocalOperation)]) -> Option<Task> {
    let mut task = None;
    for operation in pending.iter().filter_map(|(_, operation)| operation.to_operation()) {
        operation.apply(&mut task);
    }
    task
}

/// The properties that pending operations have changed.
fn changed_in(pending: &[(OperationId, LocalOperation)]) -> Vec<Text> {
    let updated = pending.iter().filter_map(|(_, operation)| match operation {
        LocalOperation::Update { property, .. } => Some(property.clone()),
        _ => None,
    });
    updated.collect()
}

/// True if a pending operation still stands over what `operation` says: then it changed nothing
/// that is seen here, and the log goes without it.
fn is_overruled(operation: &Operation, pending: &[(OperationId, LocalOperation)]) -> bool {
    let Operation::Update { property, .. } = operation else { return false };
    pending.iter().any(|(_, local)| match local {
        LocalOperation::Update { property: p, .. } => p == property,
        LocalOperation::Delete { .. } => true,
        _ => false,
    })
}
