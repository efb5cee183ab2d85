//! Carrying out what a session wants committed: one transaction each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::operation::Operation;
use tandem_tasks::segment;
use tandem_tasks::session::{
    AcceptedVersion, Batch, Change, InFlight, Lost, PulledVersion, Question, Tail,
};
use tandem_tasks::snapshot::{self, ReadSnapshotError};
use tandem_tasks::{LocalOperation, OperationId, Task};

use crate::absorb::{
    Absorbed, IN_FLIGHT_TOUCHED, Seen, absorb, current_remote, log_mark, set_current_remote,
};
use crate::edit::retire;
use crate::guard;
use crate::image::{TaskPending, base_of, distrust_log, settle};
use crate::replica::{Replica, read_tail};
use crate::storage::{
    AppliedRow, ConflictRow, InFlightRow, Origin, Result, StepRow, StorageError, Txn,
};

/// Edits of others that lost, recorded by one commit at most: they can hold more disagreements than
/// anybody reads when two lists are joined. What was made here and lost is recorded without limit.
const CONFLICTS_PER_COMMIT_MAX: usize = 1_000;

/// Why a batch could not be committed. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The database could not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The snapshot does not open to tasks.
    #[error("the snapshot of version {version} cannot be read: {what}")]
    Snapshot {
        /// Its version.
        version: VersionId,
        /// What is wrong.
        what: String,
    },
    /// A version that this replica has applied before comes again as a new one.
    #[error("version {version} comes a second time")]
    Repeated {
        /// The version.
        version: VersionId,
    },
}

/// What became of a batch.
#[derive(Debug)]
pub enum Committed {
    /// It is durable, and these are the pending operations' marks now.
    Done {
        /// The lowest id among pending operations, undo points included.
        first: Option<OperationId>,
        /// The highest one.
        last: Option<OperationId>,
    },
    /// The replica stands like this; what of the batch was done shows in the base.
    Moved(Tail),
    /// A person has to decide; nothing was done.
    Asked(Question),
}

/// The remote that a batch belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What identifies it; none for a directory that has no version yet.
    pub key: Option<String>,
    /// What a person calls it.
    pub label: String,
}

impl Replica {
    /// Carries out one batch of a session with `target`, in one transaction.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was changed then.
    pub fn commit(
        &mut self,
        target: &Target,
        batch: Batch,
        now: Timestamp,
    ) -> std::result::Result<Committed, CommitError> {
        let mut txn = self.storage_mut().write()?;
        let Absorbed { seen: present, had_moved } = absorb(txn.as_mut(), now)?;
        let as_believed = present.base == batch.base
            && present.last == batch.last
            && present.first == batch.first;
        let needs_all =
            !matches!(batch.change, Change::Push { accepted: Some(_), .. } | Change::Note { .. });
        // What is pending and where the base was does not matter when all of it begins anew.
        let is_restart = matches!(batch.change, Change::Restart);
        if !is_restart && (present.base != batch.base || (needs_all && !as_believed)) {
            let tail = read_tail(txn.as_mut())?;
            if had_moved {
                txn.commit()?;
            }
            return Ok(Committed::Moved(tail));
        }
        let mut commit = Commit { txn: txn.as_mut(), target, now, conflicts: 0 };
        let answer = commit.carry_out(batch, as_believed)?;
        if let Answer::Asked(question) = answer {
            return Ok(Committed::Asked(question));
        }
        let seen = Seen::remember(txn.as_mut())?;
        let committed = match answer {
            Answer::Moved => Committed::Moved(read_tail(txn.as_mut())?),
            // Done, but the session knows less than there is: with a mark to go on with it would
            // believe that it had seen everything.
            _ if !as_believed => Committed::Moved(read_tail(txn.as_mut())?),
            _ => Committed::Done { first: seen.first, last: seen.last },
        };
        txn.commit()?;
        Ok(committed)
    }
}

pub(crate) enum Answer {
    Done,
    Moved,
    Asked(Question),
}

/// One batch being carried out.
pub(crate) struct Commit<'a> {
    pub(crate) txn: &'a mut dyn Txn,
    pub(crate) target: &'a Target,
    pub(crate) now: Timestamp,
    conflicts: usize,
}

type Outcome<T> = std::result::Result<T, CommitError>;

impl Commit<'_> {
    fn carry_out(&mut self, batch: Batch, as_believed: bool) -> Outcome<Answer> {
        let (last, change) = (batch.last, batch.change);
        match change {
            Change::Pull { versions, dropped, lost, is_bulk } => {
                self.pull(&versions, &dropped, &lost, is_bulk)?;
            }
            Change::LoadSnapshot { version, body, dropped, lost } => {
                self.load_snapshot(version, &body, &dropped, &lost)?;
            }
            Change::Push { accepted, next } => {
                if let Some(accepted) = accepted
                    && let Answer::Moved = self.accept(&accepted, last, as_believed)?
                {
                    return Ok(Answer::Moved);
                }
                if let Some(next) = next
                    && as_believed
                {
                    self.prepare(next)?;
                }
            }
            Change::Note { needs_new_history, snapshot_done, orphans_removed } => {
                let id = self.remote()?;
                if let Some(mut row) = self.txn.remote(id)? {
                    row.needs_new_history |= needs_new_history;
                    row.answered = true;
                    if snapshot_done {
                        row.wanted_snapshot = None;
                    }
                    self.txn.put_remote(&row)?;
                }
                if orphans_removed {
                    self.txn.set_meta(ORPHANS, None)?;
                }
            }
            Change::Restart => {
                self.restart()?;
                return Ok(Answer::Moved);
            }
            Change::Reinitialise { end, theirs, walked, branch, consent } => {
                return self.reinitialise(end, &theirs, &walked, branch.as_ref(), consent);
            }
            Change::Unorphan { fork, orphans, tasks_at_fork } => {
                self.unorphan(fork, &orphans, &tasks_at_fork)?;
                return Ok(Answer::Moved);
            }
        }
        Ok(Answer::Done)
    }

    /// The row of the remote, made when it is met for the first time.
    pub(crate) fn remote(&mut self) -> Result<i64> {
        let Some(key) = &self.target.key else {
            // A directory without a version: it gets its identity with the first one.
            return Ok(current_remote(self.txn)?.unwrap_or(0));
        };
        let id = match self.txn.remote_by_key(key)? {
            Some(row) => row.id,
            None => self.txn.put_remote(&crate::replica::new_remote(key, &self.target.label))?,
        };
        Ok(id)
    }

    /// Moves the base to `version` of this remote.
    pub(crate) fn stand_on(&mut self, version: VersionId) -> Result<()> {
        self.txn.set_base_version(version)?;
        self.txn.set_in_flight(None)?;
        let mut id = self.remote()?;
        if id == 0 {
            // The first version of a directory names it.
            let key = format!("dir {version}");
            id = self.txn.put_remote(&crate::replica::new_remote(&key, &self.target.label))?;
        }
        set_current_remote(self.txn, id)?;
        if let Some(mut row) = self.txn.remote(id)? {
            row.last_base = version;
            row.answered = true;
            row.needs_new_history = false;
            // Back before the first version, the whole list is pending once more: no stranger.
            row.joining = version.is_nil();
            row.label.clone_from(&self.target.label);
            self.txn.put_remote(&row)?;
        }
        Ok(())
    }

    pub(crate) fn applied(
        &mut self,
        version: VersionId,
        parent: VersionId,
        hole: bool,
    ) -> Result<()> {
        let mark = log_mark(self.txn)?;
        self.applied_with(version, parent, hole, mark)
    }

    fn applied_with(
        &mut self,
        version: VersionId,
        parent: VersionId,
        hole: bool,
        mark: OperationId,
    ) -> Result<()> {
        let remote = current_remote(self.txn)?.unwrap_or(0);
        self.txn.put_applied(&AppliedRow { version, parent, remote, hole, mark })
    }

    // Pulled versions.

    fn pull(
        &mut self,
        versions: &[Arc<PulledVersion>],
        dropped: &[OperationId],
        lost: &[Lost],
        is_bulk: bool,
    ) -> Outcome<()> {
        for version in versions {
            // The same history may have another name (a new address): that is no repetition.
            let here = current_remote(self.txn)?.unwrap_or(0);
            if self.txn.applied(version.version)?.is_some_and(|row| row.remote == here) {
                return Err(CommitError::Repeated { version: version.version });
            }
        }
        let Some(end) = versions.last() else { return Ok(()) };
        let mut touched: BTreeMap<TaskId, Vec<(usize, &Operation)>> = BTreeMap::new();
        for (n, version) in versions.iter().enumerate() {
            for operation in &version.operations {
                touched.entry(operation.task()).or_default().push((n, operation));
            }
        }
        let mut losers = self.before_losing(lost)?;
        let has_pending = self.txn.pending_mark()?.last.is_some();
        let dropped_ids: BTreeSet<OperationId> = dropped.iter().copied().collect();
        let mut log: Vec<(usize, LocalOperation)> = Vec::new();
        for (id, operations) in touched {
            let pending = match has_pending {
                true => self.txn.pending_of(id)?,
                false => TaskPending::new(),
            };
            let mut base = base_of(self.txn, id, &pending)?;
            let was_open = base.as_ref().is_some_and(|task| task.status().is_numbered());
            let (settled, pending): (TaskPending, TaskPending) =
                pending.into_iter().partition(|(place, _)| dropped_ids.contains(place));
            for (n, operation) in operations {
                if is_bulk {
                    operation.apply(&mut base);
                    continue;
                }
                let local = operation.clone().into_local(base.as_ref());
                // What beat an operation of ours is logged even if the base had said so before:
                // else the log would end with the loser.
                let has_changed = operation.apply(&mut base) || is_overruled(operation, &settled);
                if has_changed && !is_overruled(operation, &pending) {
                    log.push((n, local));
                }
            }
            if has_pending {
                let state = settle(self.txn, id, base, &pending)?;
                self.renumber(id, state.as_ref())?;
                if was_open {
                    losers.extend(self.edited_and_deleted(id, state.as_ref(), &pending));
                }
            } else {
                self.txn.put_task(id, base.as_ref())?;
                self.renumber(id, base.as_ref())?;
            }
        }
        self.drop_pending(dropped)?;
        if is_bulk {
            distrust_log(self.txn)?;
        }
        let marks = self.write_log(versions, log)?;
        self.stand_on(end.version)?;
        for (version, mark) in versions.iter().zip(marks) {
            self.applied_with(version.version, version.parent, false, mark)?;
        }
        retire(self.txn)?;
        self.record_lost(losers)?;
        Ok(())
    }

    /// Logs what pulled versions did, one step for each version, in their order. Returns for each
    /// where the log stood behind it ([`AppliedRow::mark`]).
    fn write_log(
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

    /// Keeps the working set by touched tasks.
    pub(crate) fn renumber(&mut self, id: TaskId, state: Option<&Task>) -> Result<()> {
        if state.is_some_and(|task| task.status().is_numbered()) {
            self.txn.give_number(id).map(|_| ())
        } else {
            self.txn.take_number(id)
        }
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

    // Snapshots.

    fn load_snapshot(
        &mut self,
        version: VersionId,
        body: &[u8],
        dropped: &[OperationId],
        lost: &[Lost],
    ) -> Outcome<()> {
        let losers = self.before_losing(lost)?;
        let mut with_pending: BTreeSet<TaskId> = BTreeSet::new();
        self.txn.each_pending(&mut |_, operation| {
            with_pending.extend(operation.task());
            Ok(())
        })?;
        self.txn.clear_tasks()?;
        self.txn.clear_base_images()?;
        let mut numbers = self.txn.working_set()?;
        let numbered: BTreeSet<TaskId> = numbers.iter().map(|(_, id)| *id).collect();
        let mut next = numbers.last().map_or(1, |(number, _)| number.saturating_add(1));
        let txn = &mut *self.txn;
        let read = snapshot::read(body, |id, task| {
            if task.status().is_numbered() && !numbered.contains(&id) {
                numbers.push((next, id));
                next = next.saturating_add(1);
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
        self.txn.set_working_set(&numbers)?;
        let dropped_ids: BTreeSet<OperationId> = dropped.iter().copied().collect();
        for id in with_pending {
            let base = self.txn.task(id)?;
            let mut pending = self.txn.pending_of(id)?;
            pending.retain(|(place, _)| !dropped_ids.contains(place));
            let state = settle(self.txn, id, base, &pending)?;
            self.renumber(id, state.as_ref())?;
        }
        self.drop_pending(dropped)?;
        distrust_log(self.txn)?;
        self.stand_on(version)?;
        self.applied(version, VersionId::NIL, true)?;
        self.record_lost(losers)?;
        Ok(())
    }

    // Pushed versions.

    fn prepare(&mut self, next: InFlight) -> Result<()> {
        let remote = self.remote()?;
        self.txn.set_meta(IN_FLIGHT_TOUCHED, None)?;
        self.txn.set_in_flight(Some(&InFlightRow {
            remote,
            parent: next.parent,
            digest: next.digest.0,
            count: next.count as u64,
            ranges: next.ranges,
        }))
    }

    fn accept(
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
        self.applied(accepted.version, accepted.parent, false)?;
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
    fn undone_in_flight(&mut self, accepted: &AcceptedVersion) -> Result<Vec<Operation>> {
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
        // We wrote it ourselves; if it no longer reads, nothing can be compared.
        let sent = segment::read(&accepted.segment).unwrap_or_default();
        let mut left = left.into_iter().peekable();
        Ok(sent.into_iter().filter(|operation| left.next_if_eq(operation).is_none()).collect())
    }

    /// Takes back what the server has accepted although it had been undone here: the state of the
    /// tasks, as the undo left it, is made pending. Says whether anything was: the session does not
    /// know of it yet.
    fn compensate(&mut self, undone: Vec<Operation>) -> Result<bool> {
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

    /// Appends operations as one pending command and applies them.
    pub(crate) fn append_pending(
        &mut self,
        command: &str,
        operations: Vec<Operation>,
    ) -> Result<()> {
        if operations.is_empty() {
            return Ok(());
        }
        let first = self.txn.append(&LocalOperation::UndoPoint, false)?;
        let mut last = first;
        let mut by_task: BTreeMap<TaskId, Vec<Operation>> = BTreeMap::new();
        for operation in operations {
            by_task.entry(operation.task()).or_default().push(operation);
        }
        for (id, operations) in by_task {
            let mut pending = self.txn.pending_of(id)?;
            let base = base_of(self.txn, id, &pending)?;
            let mut state = self.txn.task(id)?;
            for operation in operations {
                let local = operation.clone().into_local(state.as_ref());
                operation.apply(&mut state);
                last = self.txn.append(&local, false)?;
                pending.push((last, local));
            }
            let state = settle(self.txn, id, base, &pending)?;
            self.renumber(id, state.as_ref())?;
        }
        let origin = Origin::Command(command.into());
        self.txn.put_step(&StepRow { id: 0, first, last, at: self.now, origin, undone: false })?;
        Ok(())
    }

    // Conflicts.

    /// Completes what the session saw with what the replica knows before the change.
    pub(crate) fn before_losing(&mut self, lost: &[Lost]) -> Result<Vec<ConflictRow>> {
        let mut rows = Vec::new();
        let room = CONFLICTS_PER_COMMIT_MAX.saturating_sub(self.conflicts);
        let others = lost.iter().filter(|loser| !loser.here).take(room);
        for loser in lost.iter().filter(|loser| loser.here).chain(others) {
            let pending = self.txn.pending_of(loser.task)?;
            let base = base_of(self.txn, loser.task, &pending)?;
            let state = self.txn.task(loser.task)?;
            let property = loser.property.as_deref();
            let shown = state.as_ref().or(base.as_ref());
            let base_value = property
                .and_then(|p| base.as_ref().and_then(|task| task.properties.get(p)).cloned());
            rows.push(ConflictRow {
                id: 0,
                at: self.now,
                task: loser.task,
                property: loser.property.clone(),
                base: base_value,
                kept: None,
                lost: loser.value.clone(),
                lost_here: loser.here,
                description: shown.and_then(|task| task.get("description")).unwrap_or("").into(),
                lost_task: if loser.property.is_none() { state } else { None },
                resolved: false,
            });
        }
        self.conflicts += rows.len();
        Ok(rows)
    }

    /// A task that was edited here while somebody deleted it there: no property collides, and yet
    /// a person would look for it in vain. What lost is that it was still to be done.
    fn edited_and_deleted(
        &mut self,
        id: TaskId,
        state: Option<&Task>,
        pending: &[(OperationId, LocalOperation)],
    ) -> Option<ConflictRow> {
        let state = state.filter(|task| task.status() == tandem_tasks::Status::Deleted)?;
        let properties = || {
            pending.iter().filter_map(|(_, operation)| match operation {
                LocalOperation::Update { property, .. } => Some(property.as_str()),
                _ => None,
            })
        };
        let is_edit = properties().any(|property| property != "modified")
            && properties().all(|property| property != "status");
        is_edit.then(|| ConflictRow {
            id: 0,
            at: self.now,
            task: id,
            property: Some("status".into()),
            base: Some("pending".into()),
            kept: None,
            lost: Some("pending".into()),
            lost_here: true,
            lost_task: None,
            description: state.get("description").unwrap_or("").into(),
            resolved: false,
        })
    }

    /// Stores the conflicts in which something was really lost.
    ///
    /// Where a whole task is gone, that says it all; where it was deleted and made again, each
    /// change that went with it is told.
    pub(crate) fn record_lost(&mut self, rows: Vec<ConflictRow>) -> Result<()> {
        let whole: BTreeSet<TaskId> =
            rows.iter().filter(|row| row.property.is_none()).map(|row| row.task).collect();
        for mut row in rows {
            let state = self.txn.task(row.task)?;
            if let Some(property) = &row.property {
                row.kept = state.as_ref().and_then(|task| task.properties.get(property)).cloned();
                let is_told = state.is_none() && row.lost_here && whole.contains(&row.task);
                if is_told || (state.is_some() && row.kept == row.lost) {
                    continue;
                }
            } else if state.is_some() {
                continue;
            }
            self.txn.put_conflict(&row)?;
        }
        Ok(())
    }
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

pub(crate) const ORPHANS: &str = "orphans";
