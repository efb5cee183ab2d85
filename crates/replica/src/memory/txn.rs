//! One transaction in memory: a reader holds a state, a writer changes the shared one.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use tandem_core::{TaskId, VersionId, limits};
use tandem_tasks::{LocalOperation, Task};

use super::pen::Pen;
use super::{CommitFault, State, Store};
use crate::storage::{
    AppliedRow, ConflictRow, InFlightRow, LoggedOperation, OperationId, PendingMark, RemoteRow,
    Result, StepRow, StorageError, TaskNumber, Txn,
};

/// What errors call the file that there is not.
pub(super) const FILE: &str = "the store in memory";

/// A transaction; a writer is taken back when dropped.
pub(super) enum MemoryTxn<'a> {
    Read(Arc<State>),
    Write(&'a Store),
}

fn other(doing: &'static str, what: impl Into<String>) -> StorageError {
    StorageError::Other { file: FILE.into(), doing, source: what.into().into() }
}

fn range(first: OperationId, last: OperationId) -> (std::ops::Bound<i64>, std::ops::Bound<i64>) {
    // A `BTreeMap` panics on bounds that cross, which those of an empty range may.
    let end = if last < first { Excluded(first.0) } else { Included(last.0) };
    (Included(first.0), end)
}

impl MemoryTxn<'_> {
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        match self {
            Self::Read(state) => look(state),
            Self::Write(store) => look(&store.lock().state),
        }
    }

    /// The state as it is, for visitors, which may take long.
    fn state(&self) -> Arc<State> {
        match self {
            Self::Read(state) => Arc::clone(state),
            Self::Write(store) => Arc::clone(&store.lock().state),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Pen<'_>) -> T) -> Result<T> {
        match self {
            Self::Read(_) => Err(StorageError::ReadOnly {
                file: FILE.into(),
                source: Some("the transaction was begun to read".into()),
            }),
            Self::Write(store) => {
                let shared = &mut *store.lock();
                let state = Arc::make_mut(&mut shared.state);
                Ok(change(&mut Pen { state, journal: &mut shared.journal }))
            }
        }
    }

    fn logged(&self, fits: impl Fn(i64, &LocalOperation) -> bool) -> Vec<LoggedOperation> {
        self.look(|state| {
            let of = |rows: &BTreeMap<i64, Arc<LocalOperation>>, synced| -> Vec<LoggedOperation> {
                rows.iter()
                    .filter(|(id, operation)| fits(**id, operation))
                    .map(|(id, operation)| LoggedOperation {
                        id: OperationId(*id),
                        operation: LocalOperation::clone(operation),
                        synced,
                    })
                    .collect()
            };
            let mut all = of(&state.pending, false);
            all.extend(of(&state.synced, true));
            all.sort_by_key(|row| row.id);
            all
        })
    }
}

impl Drop for MemoryTxn<'_> {
    fn drop(&mut self) {
        if let Self::Write(store) = self {
            let mut shared = store.lock();
            shared.roll_back();
            shared.has_writer = false;
            store.writer_left.notify_one();
        }
    }
}

impl Txn for MemoryTxn<'_> {
    fn commit(self: Box<Self>) -> Result<()> {
        let Self::Write(store) = *self else { return Ok(()) };
        let mut shared = store.lock();
        if shared.journal.is_empty() {
            return Ok(());
        }
        let fault = match shared.fault.take() {
            Some((0, fault)) => Some(fault),
            later => {
                shared.fault = later.map(|(successes, fault)| (successes - 1, fault));
                None
            }
        };
        if fault == Some(CommitFault::NotDone) {
            return Err(StorageError::DiskFull { file: FILE.into() });
        }
        shared.journal.clear();
        shared.commits += 1;
        match fault {
            None => Ok(()),
            Some(_) => Err(other("committing", "the process was killed after the commit")),
        }
    }

    fn task(&mut self, id: TaskId) -> Result<Option<Task>> {
        Ok(self.look(|state| state.tasks.get(&id).map(|task| Task::clone(task))))
    }

    fn put_task(&mut self, id: TaskId, task: Option<&Task>) -> Result<()> {
        self.change(|pen| pen.set(|state| &mut state.tasks, id, task.cloned().map(Arc::new)))
            .map(drop)
    }

    fn each_task(&mut self, visit: &mut dyn FnMut(TaskId, Task) -> Result<()>) -> Result<()> {
        self.state().tasks.iter().try_for_each(|(id, task)| visit(*id, Task::clone(task)))
    }

    fn task_count(&mut self) -> Result<u64> {
        Ok(self.look(|state| state.tasks.len() as u64))
    }

    fn task_ids_with_prefix(&mut self, prefix: &str, max: usize) -> Result<Vec<TaskId>> {
        Ok(self.look(|state| {
            let fits = |id: &&TaskId| id.to_string().starts_with(prefix);
            state.tasks.keys().filter(fits).take(max).copied().collect()
        }))
    }

    fn clear_tasks(&mut self) -> Result<()> {
        self.change(|pen| pen.replace(|state| &mut state.tasks, BTreeMap::new())).map(drop)
    }

    fn append(&mut self, operation: &LocalOperation, synced: bool) -> Result<OperationId> {
        self.change(|pen| {
            let id = pen.next(|state| &mut state.last_operation);
            let operation = Some(Arc::new(operation.clone()));
            if synced {
                pen.set(|state| &mut state.synced, id, operation);
            } else {
                pen.set(|state| &mut state.pending, id, operation);
            }
            OperationId(id)
        })
    }

    fn each_pending(
        &mut self,
        visit: &mut dyn FnMut(OperationId, LocalOperation) -> Result<()>,
    ) -> Result<()> {
        self.state().pending.iter().try_for_each(|(id, operation)| {
            visit(OperationId(*id), LocalOperation::clone(operation))
        })
    }

    fn pending_of(&mut self, task: TaskId) -> Result<Vec<(OperationId, LocalOperation)>> {
        Ok(self.look(|state| {
            let of_task = state.pending.iter().filter(|row| row.1.task() == Some(task));
            of_task
                .map(|(id, operation)| (OperationId(*id), LocalOperation::clone(operation)))
                .collect()
        }))
    }

    fn pending_mark(&mut self) -> Result<PendingMark> {
        Ok(self.look(|state| PendingMark {
            first: state.pending.first_key_value().map(|(id, _)| OperationId(*id)),
            last: state.pending.last_key_value().map(|(id, _)| OperationId(*id)),
        }))
    }

    fn operations_of(&mut self, task: TaskId) -> Result<Vec<LoggedOperation>> {
        Ok(self.logged(|_, operation| operation.task() == Some(task)))
    }

    fn operations_between(
        &mut self,
        first: OperationId,
        last: OperationId,
    ) -> Result<Vec<LoggedOperation>> {
        Ok(self.logged(|id, _| (first.0..=last.0).contains(&id)))
    }

    fn last_operation_id(&mut self) -> Result<Option<OperationId>> {
        let last = self.look(|state| state.last_operation);
        Ok((last > 0).then_some(OperationId(last)))
    }

    fn mark_synced(&mut self, first: OperationId, last: OperationId) -> Result<()> {
        self.change(|pen| {
            let ids: Vec<i64> =
                pen.state.pending.range(range(first, last)).map(|row| *row.0).collect();
            for id in ids {
                let operation = pen.set(|state| &mut state.pending, id, None);
                if operation.as_deref() != Some(&LocalOperation::UndoPoint) {
                    pen.set(|state| &mut state.synced, id, operation);
                }
            }
        })
    }

    fn replace_operation(&mut self, id: OperationId, operation: &LocalOperation) -> Result<()> {
        self.change(|pen| {
            let operation = Some(Arc::new(operation.clone()));
            if pen.state.pending.contains_key(&id.0) {
                pen.set(|state| &mut state.pending, id.0, operation);
            } else if pen.state.synced.contains_key(&id.0) {
                pen.set(|state| &mut state.synced, id.0, operation);
            } else {
                return Err(other("writing", format!("there is no operation {}", id.0)));
            }
            Ok(())
        })?
    }

    fn remove_operations(
        &mut self,
        first: OperationId,
        last: OperationId,
        synced: bool,
    ) -> Result<u64> {
        self.change(|pen| {
            let table: fn(&mut State) -> &mut BTreeMap<i64, Arc<LocalOperation>> =
                if synced { |state| &mut state.synced } else { |state| &mut state.pending };
            let ids: Vec<i64> =
                table(pen.state).range(range(first, last)).map(|row| *row.0).collect();
            for id in &ids {
                pen.set(table, *id, None);
            }
            ids.len() as u64
        })
    }

    fn base_version(&mut self) -> Result<VersionId> {
        Ok(self.look(|state| state.base_version))
    }

    fn set_base_version(&mut self, version: VersionId) -> Result<()> {
        self.change(|pen| pen.replace(|state| &mut state.base_version, version)).map(drop)
    }

    fn working_set(&mut self) -> Result<Vec<(TaskNumber, TaskId)>> {
        Ok(self.look(|state| state.working_set.iter().map(|row| (*row.0, *row.1)).collect()))
    }

    fn each_numbered(
        &mut self,
        visit: &mut dyn FnMut(TaskNumber, TaskId, Task) -> Result<()>,
    ) -> Result<()> {
        let state = self.state();
        state.working_set.iter().try_for_each(|(number, id)| match state.tasks.get(id) {
            Some(task) => visit(*number, *id, Task::clone(task)),
            None => Ok(()),
        })
    }

    fn task_with_number(&mut self, number: TaskNumber) -> Result<Option<TaskId>> {
        Ok(self.look(|state| state.working_set.get(&number).copied()))
    }

    fn number_of(&mut self, task: TaskId) -> Result<Option<TaskNumber>> {
        Ok(self.look(|state| state.numbers.get(&task).copied()))
    }

    fn give_number(&mut self, task: TaskId) -> Result<TaskNumber> {
        if let Some(number) = self.number_of(task)? {
            return Ok(number);
        }
        self.change(|pen| {
            let number = pen.state.working_set.last_key_value().map_or(1, |(last, _)| last + 1);
            pen.set(|state| &mut state.working_set, number, Some(task));
            pen.set(|state| &mut state.numbers, task, Some(number));
            number
        })
    }

    fn take_number(&mut self, task: TaskId) -> Result<()> {
        self.change(|pen| {
            if let Some(number) = pen.set(|state| &mut state.numbers, task, None) {
                pen.set(|state| &mut state.working_set, number, None);
            }
        })
    }

    fn set_working_set(&mut self, members: &[(TaskNumber, TaskId)]) -> Result<()> {
        self.change(|pen| {
            pen.replace(|state| &mut state.working_set, members.iter().copied().collect());
            let numbers = members.iter().map(|(number, task)| (*task, *number)).collect();
            pen.replace(|state| &mut state.numbers, numbers);
        })
    }

    fn base_image(&mut self, task: TaskId) -> Result<Option<Option<Task>>> {
        Ok(self.look(|state| state.base_images.get(&task).map(|image| image.as_deref().cloned())))
    }

    fn put_base_image(&mut self, task: TaskId, image: Option<&Task>) -> Result<()> {
        let image = Some(image.cloned().map(Arc::new));
        self.change(|pen| pen.set(|state| &mut state.base_images, task, image)).map(drop)
    }

    fn remove_base_image(&mut self, task: TaskId) -> Result<()> {
        self.change(|pen| pen.set(|state| &mut state.base_images, task, None)).map(drop)
    }

    fn base_images(&mut self) -> Result<Vec<(TaskId, Option<Task>)>> {
        Ok(self.look(|state| {
            state.base_images.iter().map(|(id, image)| (*id, image.as_deref().cloned())).collect()
        }))
    }

    fn clear_base_images(&mut self) -> Result<()> {
        self.change(|pen| pen.replace(|state| &mut state.base_images, BTreeMap::new())).map(drop)
    }

    fn put_step(&mut self, step: &StepRow) -> Result<i64> {
        self.change(|pen| {
            let id = pen.number(step.id, |state| &mut state.last_step);
            let row = Arc::new(StepRow { id, ..step.clone() });
            pen.set(|state| &mut state.steps, id, Some(row));
            id
        })
    }

    fn remove_step(&mut self, id: i64) -> Result<()> {
        self.change(|pen| pen.set(|state| &mut state.steps, id, None)).map(drop)
    }

    fn steps(&mut self, before: Option<i64>, max: usize) -> Result<Vec<StepRow>> {
        Ok(self.look(|state| {
            let end = before.map_or(Unbounded, Excluded);
            let newest_first = state.steps.range((Unbounded, end)).rev();
            newest_first.take(max).map(|(_, step)| StepRow::clone(step)).collect()
        }))
    }

    fn oldest_steps(&mut self, max: usize) -> Result<Vec<StepRow>> {
        Ok(self.look(|state| {
            state.steps.values().take(max).map(|step| StepRow::clone(step)).collect()
        }))
    }

    fn step_of(&mut self, operation: OperationId) -> Result<Option<StepRow>> {
        Ok(self.look(|state| {
            let holds = |step: &&Arc<StepRow>| step.first <= operation && operation <= step.last;
            state.steps.values().rev().find(holds).map(|step| StepRow::clone(step))
        }))
    }

    fn step_count(&mut self) -> Result<u64> {
        Ok(self.look(|state| state.steps.len() as u64))
    }

    fn in_flight(&mut self) -> Result<Option<InFlightRow>> {
        Ok(self.look(|state| state.in_flight.as_deref().cloned()))
    }

    fn set_in_flight(&mut self, row: Option<&InFlightRow>) -> Result<()> {
        let row = row.cloned().map(Arc::new);
        self.change(|pen| pen.replace(|state| &mut state.in_flight, row)).map(drop)
    }

    fn put_applied(&mut self, row: &AppliedRow) -> Result<()> {
        self.remove_applied(row.version)?;
        self.change(|pen| {
            let place = pen.next(|state| &mut state.last_applied);
            pen.set(|state| &mut state.applied, place, Some(*row));
            pen.set(|state| &mut state.applied_places, row.version, Some(place));
            while pen.state.applied.len() as u64 > limits::APPLIED_VERSIONS_MAX
                && let Some((&place, &AppliedRow { version, .. })) =
                    pen.state.applied.first_key_value()
            {
                pen.set(|state| &mut state.applied, place, None);
                pen.set(|state| &mut state.applied_places, version, None);
            }
        })
    }

    fn applied(&mut self, version: VersionId) -> Result<Option<AppliedRow>> {
        Ok(self.look(|state| state.applied.get(state.applied_places.get(&version)?).copied()))
    }

    fn all_applied(&mut self) -> Result<Vec<AppliedRow>> {
        Ok(self.look(|state| state.applied.values().copied().collect()))
    }

    fn remove_applied(&mut self, version: VersionId) -> Result<()> {
        self.change(|pen| {
            if let Some(&place) = pen.state.applied_places.get(&version) {
                pen.set(|state| &mut state.applied_places, version, None);
                pen.set(|state| &mut state.applied, place, None);
            }
        })
    }

    fn put_remote(&mut self, row: &RemoteRow) -> Result<i64> {
        self.change(|pen| {
            let mut others = pen.state.remotes.values();
            if others.any(|other| other.key == row.key && other.id != row.id) {
                return Err(other("writing", "there is another remote with that key"));
            }
            let id = pen.number(row.id, |state| &mut state.last_remote);
            pen.set(|state| &mut state.remotes, id, Some(RemoteRow { id, ..row.clone() }));
            Ok(id)
        })?
    }

    fn remote(&mut self, id: i64) -> Result<Option<RemoteRow>> {
        Ok(self.look(|state| state.remotes.get(&id).cloned()))
    }

    fn remote_by_key(&mut self, key: &str) -> Result<Option<RemoteRow>> {
        Ok(self.look(|state| state.remotes.values().find(|row| row.key == key).cloned()))
    }

    fn remotes(&mut self) -> Result<Vec<RemoteRow>> {
        Ok(self.look(|state| state.remotes.values().cloned().collect()))
    }

    fn put_conflict(&mut self, row: &ConflictRow) -> Result<i64> {
        self.change(|pen| {
            let id = pen.number(row.id, |state| &mut state.last_conflict);
            let row = Arc::new(ConflictRow { id, ..row.clone() });
            pen.set(|state| &mut state.conflicts, id, Some(row));
            id
        })
    }

    fn conflict(&mut self, id: i64) -> Result<Option<ConflictRow>> {
        Ok(self.look(|state| state.conflicts.get(&id).map(|row| ConflictRow::clone(row))))
    }

    fn conflicts(&mut self, with_resolved: bool) -> Result<Vec<ConflictRow>> {
        Ok(self.look(|state| {
            let wanted = state.conflicts.values().filter(|row| with_resolved || !row.resolved);
            wanted.map(|row| ConflictRow::clone(row)).collect()
        }))
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.look(|state| state.meta.get(key).cloned()))
    }

    fn set_meta(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        self.change(|pen| {
            pen.set(|state| &mut state.meta, key.to_owned(), value.map(str::to_owned))
        })
        .map(drop)
    }
}
