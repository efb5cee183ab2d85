//! Taking the last command back.

use std::collections::BTreeSet;

use tandem_core::{TaskId, Timestamp};
use tandem_tasks::{LocalOperation, Task};

use crate::absorb::{Seen, absorb};
use crate::edit::{EditError, Editor};
use crate::image::{base_of, distrust_log, settle};
use crate::replica::Replica;
use crate::storage::{LoggedOperation, Origin, Result, SYNC, StepRow, Txn};

/// The name under which compensating steps are logged.
const UNDO: &str = "undo";

/// Commands that change no task as a person means it, and are no step to take back: upkeep lets go
/// of what expired half a year ago, and whoever undoes after it means what they did before it.
const UPKEEP: [&str; 3] = [UNDO, SYNC, "gc"];

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// There is no command to take back.
    Nothing,
    /// The command had not been synced: its operations are gone.
    Removed {
        /// The command's name, as far as it is known.
        command: Option<String>,
        /// The tasks that it was about.
        tasks: Vec<TaskId>,
        /// Those of them that it had made, which are gone now, with their descriptions.
        unmade: Vec<(TaskId, String)>,
    },
    /// The command had been synced, or what upkeep did stands behind it: the opposite was done, as a
    /// new change.
    Compensated {
        /// The command's name, as far as it is known.
        command: Option<String>,
        /// The tasks that it was about.
        tasks: Vec<TaskId>,
        /// Properties that somebody has changed since, and which were left alone.
        left_alone: Vec<(TaskId, String)>,
        /// False if all that it did has been changed since, so that nothing was left to undo.
        is_changed: bool,
        /// True if others may have seen the command; else its operations still wait for a sync.
        was_synced: bool,
    },
}

impl Replica {
    /// Takes the last command back: before a sync by removing its operations, after one by a
    /// compensating change.
    ///
    /// # Errors
    /// If the database cannot do it; nothing was changed then.
    pub fn undo(&mut self, now: Timestamp) -> Result<Undone> {
        let mut txn = self.storage_mut().write()?;
        absorb(txn.as_mut(), now)?;
        let (step, rows) = loop {
            let Some(step) = last_command(txn.as_mut())? else { return Ok(Undone::Nothing) };
            let rows = txn.operations_between(step.first, step.last)?;
            if rows.iter().any(|row| row.operation != LocalOperation::UndoPoint) {
                break (step, rows);
            }
            // Another program has taken it back already.
            txn.remove_step(step.id)?;
        };
        let tasks: BTreeSet<TaskId> = rows.iter().filter_map(|row| row.operation.task()).collect();
        let command = match &step.origin {
            Origin::Command(name) => Some(name.clone()),
            _ => None,
        };
        if is_removable(txn.as_mut(), &step, &rows)? {
            let mut unmade = made(txn.as_mut(), &rows)?;
            remove(txn.as_mut(), &step, &tasks)?;
            let mut is_gone = Vec::new();
            for (id, _) in &unmade {
                is_gone.push(txn.task(*id)?.is_none());
            }
            let mut is_gone = is_gone.into_iter();
            unmade.retain(|_| is_gone.next().unwrap_or(false));
            Seen::remember(txn.as_mut())?;
            txn.commit()?;
            return Ok(Undone::Removed { command, tasks: tasks.into_iter().collect(), unmade });
        }
        drop(txn);
        self.compensate(step, &rows, tasks, command, now)
    }

    fn compensate(
        &mut self,
        step: StepRow,
        rows: &[LoggedOperation],
        tasks: BTreeSet<TaskId>,
        command: Option<String>,
        now: Timestamp,
    ) -> Result<Undone> {
        let edited = self.edit(UNDO, now, |editor| {
            let mut left_alone = Vec::new();
            let created: BTreeSet<TaskId> = rows
                .iter()
                .filter_map(|row| match row.operation {
                    LocalOperation::Create { uuid } => Some(uuid),
                    _ => None,
                })
                .collect();
            for row in rows.iter().rev() {
                // A task that the step made is deleted as a person does it, with all that it says.
                let is_of_new = matches!(&row.operation, LocalOperation::Update { uuid, .. } if created.contains(uuid));
                if is_of_new {
                    continue;
                }
                oppose(editor, &row.operation, &mut left_alone)?;
            }
            editor.txn().put_step(&StepRow { undone: true, ..step })?;
            editor.keep();
            Ok::<_, crate::storage::StorageError>(left_alone)
        });
        match edited {
            Ok(edited) => Ok(Undone::Compensated {
                command,
                tasks: tasks.into_iter().collect(),
                is_changed: edited.operations > 0,
                left_alone: edited.result,
                was_synced: rows.iter().any(|row| row.synced),
            }),
            Err(EditError::Storage(error) | EditError::Refused(error)) => Err(error),
            // An old value that was there before has travelled before.
            Err(EditError::TooLarge { .. }) => Ok(Undone::Nothing),
        }
    }
}

/// The tasks that a step has made, with their descriptions.
fn made(txn: &mut dyn Txn, rows: &[LoggedOperation]) -> Result<Vec<(TaskId, String)>> {
    let mut made = Vec::new();
    for row in rows {
        if let LocalOperation::Create { uuid } = row.operation
            && let Some(task) = txn.task(uuid)?
        {
            made.push((uuid, task.get("description").unwrap_or_default().to_owned()));
        }
    }
    Ok(made)
}

/// The newest command that has not been taken back; an undo itself is not one, nor is upkeep.
fn last_command(txn: &mut dyn Txn) -> Result<Option<StepRow>> {
    let mut before = None;
    loop {
        let steps = txn.steps(before, 50)?;
        let Some(oldest) = steps.last() else { return Ok(None) };
        before = Some(oldest.id);
        let found = steps.into_iter().find(|step| {
            let is_command = match &step.origin {
                Origin::Command(name) => !UPKEEP.contains(&name.as_str()),
                Origin::Foreign => true,
                Origin::Version(_) => false,
            };
            is_command && !step.undone
        });
        if found.is_some() {
            return Ok(found);
        }
    }
}

/// True if every operation of the step is still pending, nothing stands behind it, and none of
/// them may be at a server.
fn is_removable(txn: &mut dyn Txn, step: &StepRow, rows: &[LoggedOperation]) -> Result<bool> {
    let is_pending =
        rows.iter().filter(|row| row.operation != LocalOperation::UndoPoint).all(|row| !row.synced);
    // Taken from the middle, nobody who knows only the ends of the list would see it go.
    let is_at_end = txn.pending_mark()?.last == Some(step.last);
    if rows.is_empty() || !is_pending || !is_at_end {
        return Ok(false);
    }
    let in_flight = txn.in_flight()?;
    Ok(in_flight.is_none_or(|row| {
        row.ranges.iter().all(|(first, last)| *last < step.first || *first > step.last)
    }))
}

fn remove(txn: &mut dyn Txn, step: &StepRow, tasks: &BTreeSet<TaskId>) -> Result<()> {
    let mut bases = Vec::new();
    for id in tasks {
        let mut pending = txn.pending_of(*id)?;
        let base = base_of(txn, *id, &pending)?;
        pending.retain(|(place, _)| !(step.first..=step.last).contains(place));
        bases.push((*id, base, pending));
    }
    txn.remove_operations(step.first, step.last, false)?;
    // What was pulled under them was not logged while they stood over it.
    distrust_log(txn)?;
    for (id, base, pending) in bases {
        let state = settle(txn, id, base, &pending)?;
        if state.is_some_and(|task| task.status().is_numbered()) {
            txn.give_number(id)?;
        } else {
            txn.take_number(id)?;
        }
    }
    txn.remove_step(step.id)
}

/// Does the opposite of one synced operation, unless somebody has changed the property since.
fn oppose(
    editor: &mut Editor<'_>,
    operation: &LocalOperation,
    left_alone: &mut Vec<(TaskId, String)>,
) -> Result<()> {
    match operation {
        LocalOperation::UndoPoint => Ok(()),
        LocalOperation::Create { uuid } => {
            // A physical Delete would beat edits of other devices: what was created is deleted the
            // way a person does it.
            let now = editor.now().seconds().to_string();
            if editor.task(*uuid)?.is_none() {
                return Ok(());
            }
            editor.set(*uuid, "status", Some("deleted"))?;
            editor.set(*uuid, "end", Some(&now))?;
            editor.set(*uuid, "modified", Some(&now))
        }
        LocalOperation::Delete { uuid, old_task } => {
            editor.create(*uuid)?;
            set_all(editor, *uuid, old_task)
        }
        LocalOperation::Update { uuid, property, old_value, value, .. } => {
            let Some(task) = editor.task(*uuid)? else { return Ok(()) };
            if property == "modified" {
                let now = editor.now().seconds().to_string();
                return editor.set(*uuid, property, Some(&now));
            }
            if task.properties.get(property) == value.as_ref() {
                editor.set(*uuid, property, old_value.as_deref())
            } else {
                left_alone.push((*uuid, property.to_string()));
                Ok(())
            }
        }
    }
}

fn set_all(editor: &mut Editor<'_>, id: TaskId, task: &Task) -> Result<()> {
    for (property, value) in &task.properties {
        editor.set(id, property, Some(value))?;
    }
    Ok(())
}
