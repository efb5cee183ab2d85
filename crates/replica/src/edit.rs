//! Changing tasks: one command is one step, one transaction, one undo point.

use std::collections::BTreeMap;

use tandem_core::limits::OPERATION_BYTES_MAX;
use tandem_core::{TaskId, Timestamp};
use tandem_tasks::model::is_numbered_status;
use tandem_tasks::{LocalOperation, Operation, OperationId, Task, Text};

use crate::absorb::{Seen, absorb};
use crate::image::{TaskPending, base_of, keep_image};
use crate::replica::Replica;
use crate::resolve::settle;
use crate::storage::{Origin, Result, StepRow, StorageError, TaskNumber, Txn};

const RETIRING: &str = "retiring";

/// Why a command changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError<E> {
    /// The database could not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A value is too large for any server to take. Cure: shorten it.
    #[error(
        "the value of `{property}` has {bytes} bytes; at most {OPERATION_BYTES_MAX} can travel"
    )]
    TooLarge {
        /// The property.
        property: Text,
        /// The size of the value, in bytes.
        bytes: usize,
    },
    /// The command itself decided against it.
    #[error("{0}")]
    Refused(E),
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited<R> {
    /// What the command's own function returned.
    pub result: R,
    /// Operations logged.
    pub operations: u64,
}

/// A command in progress: reads tasks and changes them, all in one transaction.
pub struct Editor<'a> {
    txn: &'a mut dyn Txn,
    now: Timestamp,
    tasks: BTreeMap<TaskId, Working>,
    first: Option<OperationId>,
    last: Option<OperationId>,
    operations: u64,
    too_large: Option<(Text, usize)>,
    keeps: bool,
    resolved: Vec<i64>,
}

/// A task that the command has touched.
struct Working {
    state: Option<Task>,
    was_numbered: bool,
    pending: TaskPending,
    changed: bool,
}

impl std::fmt::Debug for Editor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor").field("operations", &self.operations).finish_non_exhaustive()
    }
}

impl Editor<'_> {
    /// When the command runs.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A task as the command has left it so far.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn task(&mut self, id: TaskId) -> Result<Option<Task>> {
        match self.tasks.get(&id) {
            Some(working) => Ok(working.state.clone()),
            None => self.txn.task(id),
        }
    }

    /// The transaction, for reading beside the tasks that the command touches.
    pub fn txn(&mut self) -> &mut dyn Txn {
        self.txn
    }

    /// Marks a conflict as seen to by this command: until it is undone.
    pub fn resolve_conflict(&mut self, id: i64) {
        self.resolved.push(id);
    }

    /// Commits even if no task changes: something beside them did.
    pub(crate) fn keep(&mut self) {
        self.keeps = true;
    }

    /// The number of a task, given now if it should have one.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn number_of(&mut self, id: TaskId) -> Result<Option<TaskNumber>> {
        let numbered = self.tasks.get(&id).and_then(|working| working.state.as_ref());
        if numbered.is_some_and(|task| task.status().is_numbered()) {
            return self.txn.give_number(id).map(Some);
        }
        self.txn.number_of(id)
    }

    /// Creates an empty task; nothing if it is there.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn create(&mut self, id: TaskId) -> Result<()> {
        self.act(Operation::Create { uuid: id })
    }

    /// Removes a task physically; nothing if it is absent. What a person calls "delete" is an
    /// update of `status`.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn purge(&mut self, id: TaskId) -> Result<()> {
        self.act(Operation::Delete { uuid: id })
    }

    /// Sets or removes a property, as of now; nothing if it is so already.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn set(&mut self, id: TaskId, property: &str, value: Option<&str>) -> Result<()> {
        self.set_at(id, property, value, self.now)
    }

    /// Sets or removes a property as of a given time (an import stamps with the record's own).
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn set_at(
        &mut self,
        id: TaskId,
        property: &str,
        value: Option<&str>,
        timestamp: Timestamp,
    ) -> Result<()> {
        self.act(Operation::Update {
            uuid: id,
            property: property.into(),
            value: value.map(Text::from),
            timestamp,
        })
    }

    fn act(&mut self, mut operation: Operation) -> Result<()> {
        let id = operation.task();
        if !self.tasks.contains_key(&id) {
            let state = self.txn.task(id)?;
            let pending = self.txn.pending_of(id)?;
            let was_numbered = state.as_ref().is_some_and(|task| task.status().is_numbered());
            self.tasks.insert(id, Working { state, was_numbered, pending, changed: false });
        }
        let Some(working) = self.tasks.get_mut(&id) else { return Ok(()) };
        let before = working.state.clone();
        if !operation.apply(&mut working.state) {
            return Ok(());
        }
        if let Operation::Update { property, value, timestamp, .. } = &mut operation {
            let bytes = value.as_ref().map_or(0, |value| value.len());
            // Escaping can make six bytes of one; only then is the exact length worth counting.
            if bytes > OPERATION_BYTES_MAX / 6
                && serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
                    > OPERATION_BYTES_MAX - 512
            {
                self.too_large = Some((property.clone(), bytes));
            }
            // A later edit never loses to an earlier one of the same device.
            if let Some(earlier) = latest_of(&working.pending, property) {
                *timestamp = (*timestamp).max(earlier.next());
            }
        }
        if !working.changed {
            let base = base_of(self.txn, id, &working.pending)?;
            working.changed = true;
            let is_creation = matches!(operation, Operation::Create { .. });
            if working.pending.is_empty() && !is_creation {
                self.txn.put_base_image(id, base.as_ref())?;
            } else if !working.pending.is_empty() {
                keep_image(self.txn, id, base.as_ref(), &working.pending)?;
            }
        }
        if self.first.is_none() {
            self.first = Some(self.txn.append(&LocalOperation::UndoPoint, false)?);
        }
        let local = operation.into_local(before.as_ref());
        let place = self.txn.append(&local, false)?;
        working.pending.push((place, local));
        self.last = Some(place);
        self.operations += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let mut retiring = retiring(self.txn)?;
        let before = retiring.len();
        for (id, working) in &self.tasks {
            if !working.changed {
                continue;
            }
            self.txn.put_task(*id, working.state.as_ref())?;
            let is_numbered =
                working.state.as_ref().is_some_and(|task| is_numbered_status(task.get("status")));
            if is_numbered {
                self.txn.give_number(*id)?;
            } else if working.was_numbered {
                retiring.push(*id);
            }
        }
        if retiring.len() != before {
            set_retiring(self.txn, &retiring)?;
        }
        Ok(())
    }
}

/// The latest time of a pending update of one property.
fn latest_of(pending: &[(OperationId, LocalOperation)], property: &str) -> Option<Timestamp> {
    pending.iter().rev().find_map(|(_, operation)| match operation {
        LocalOperation::Update { property: p, timestamp, .. } if p == property => Some(*timestamp),
        _ => None,
    })
}

/// Tasks that ended since the last sync or `gc` and keep their number until the next one.
pub(crate) fn retiring(txn: &mut dyn Txn) -> Result<Vec<TaskId>> {
    let text = txn.meta(RETIRING)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

pub(crate) fn set_retiring(txn: &mut dyn Txn, tasks: &[TaskId]) -> Result<()> {
    let text = serde_json::to_string(tasks).unwrap_or_default();
    txn.set_meta(RETIRING, (!tasks.is_empty()).then_some(text.as_str()))
}

/// Takes the numbers of ended tasks away.
pub(crate) fn retire(txn: &mut dyn Txn) -> Result<()> {
    let tasks = retiring(txn)?;
    if tasks.is_empty() {
        return Ok(());
    }
    for id in tasks {
        let task = txn.task(id)?;
        if !task.is_some_and(|task| task.status().is_numbered()) {
            txn.take_number(id)?;
        }
    }
    set_retiring(txn, &[])
}

impl Replica {
    /// Runs one command: `change` reads and changes tasks through the [`Editor`], and all of it
    /// becomes one step, or nothing of it if `change` refuses.
    ///
    /// `command` is the name that undo and history show. A command that changes nothing leaves no
    /// trace.
    ///
    /// # Errors
    /// [`EditError`]; nothing was changed then.
    pub fn edit<R, E>(
        &mut self,
        command: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Editor<'_>) -> std::result::Result<R, E>,
    ) -> std::result::Result<Edited<R>, EditError<E>> {
        let mut txn = self.storage_mut().write()?;
        absorb(txn.as_mut(), now)?;
        let mut editor = Editor {
            txn: txn.as_mut(),
            now,
            tasks: BTreeMap::new(),
            first: None,
            last: None,
            operations: 0,
            too_large: None,
            keeps: false,
            resolved: Vec::new(),
        };
        let result = change(&mut editor).map_err(EditError::Refused)?;
        if let Some((property, bytes)) = editor.too_large {
            return Err(EditError::TooLarge { property, bytes });
        }
        editor.finish()?;
        let (first, last, operations) = (editor.first, editor.last, editor.operations);
        let resolved = std::mem::take(&mut editor.resolved);
        let keeps = editor.keeps || first.is_some() || !resolved.is_empty();
        let mut step = None;
        if let (Some(first), Some(last)) = (first, last) {
            let origin = Origin::Command(command.into());
            let row = StepRow { id: 0, first, last, at: now, origin, undone: false };
            step = Some(txn.put_step(&row)?);
        }
        for id in resolved {
            settle(txn.as_mut(), id, step)?;
        }
        if keeps {
            Seen::remember(txn.as_mut())?;
            txn.commit()?;
        }
        Ok(Edited { result, operations })
    }
}
