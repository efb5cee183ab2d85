//! The operations: what a replica does to its data, and what of it travels.
//!
//! Source: `protocols/taskchampion.md` sections 2 and 3. The order of the fields below is the order
//! in which they are written, and is frozen.

use serde::{Deserialize, Serialize};
use tandem_core::{TaskId, Timestamp};

use crate::model::{Task, TaskSet, Text};

/// An operation as it travels between replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Adds an empty task; nothing if the task is there.
    Create {
        /// The task.
        uuid: TaskId,
    },
    /// Removes a task physically (expiry, purge). A person's "delete" is an update of `status`.
    Delete {
        /// The task.
        uuid: TaskId,
    },
    /// Sets or removes one property; nothing if the task is absent.
    Update {
        /// The task.
        uuid: TaskId,
        /// The property's name.
        property: Text,
        /// The new value, or none to remove the property.
        value: Option<Text>,
        /// When the change was made, by the clock of the device that made it.
        timestamp: Timestamp,
    },
}

/// An operation as a replica stores it: with what is needed to take it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocalOperation {
    /// Adds an empty task.
    Create {
        /// The task.
        uuid: TaskId,
    },
    /// Removes a task.
    Delete {
        /// The task.
        uuid: TaskId,
        /// The task as it was before.
        old_task: Task,
    },
    /// Sets or removes one property.
    Update {
        /// The task.
        uuid: TaskId,
        /// The property's name.
        property: Text,
        /// The value before, if there was one.
        old_value: Option<Text>,
        /// The value after, or none to remove the property.
        value: Option<Text>,
        /// When the change was made.
        timestamp: Timestamp,
    },
    /// Marks the beginning of a command, a place to undo back to.
    UndoPoint,
}

impl Operation {
    /// The task that the operation is about.
    pub fn task(&self) -> TaskId {
        match self {
            Self::Create { uuid } | Self::Delete { uuid } | Self::Update { uuid, .. } => *uuid,
        }
    }

    /// Applies the operation to one task, the one that it is about; `None` is "no such task".
    ///
    /// An operation that does not fit is skipped, as section 3 asks of readers. Returns whether
    /// anything was done: setting a value that is already there counts as nothing.
    pub fn apply(&self, task: &mut Option<Task>) -> bool {
        match (self, task) {
            (Self::Create { .. }, task @ None) => {
                *task = Some(Task::default());
                true
            }
            (Self::Delete { .. }, task @ Some(_)) => {
                *task = None;
                true
            }
            (Self::Update { property, value: Some(value), .. }, Some(task)) => {
                match task.properties.get_mut(property) {
                    Some(old) if old == value => false,
                    Some(old) => {
                        old.clone_from(value);
                        true
                    }
                    None => {
                        task.properties.insert(property.clone(), value.clone());
                        true
                    }
                }
            }
            (Self::Update { property, value: None, .. }, Some(task)) => {
                task.properties.remove(property).is_some()
            }
            _ => false,
        }
    }

    /// Applies the operation to a set of tasks.
    pub fn apply_to_set(&self, tasks: &mut TaskSet) -> bool {
        let mut task = tasks.remove(&self.task());
        let done = self.apply(&mut task);
        if let Some(task) = task {
            tasks.insert(self.task(), task);
        }
        done
    }

    /// The stored form, given the task as it was before.
    pub fn into_local(self, before: Option<&Task>) -> LocalOperation {
        match self {
            Self::Create { uuid } => LocalOperation::Create { uuid },
            Self::Delete { uuid } => {
                LocalOperation::Delete { uuid, old_task: before.cloned().unwrap_or_default() }
            }
            Self::Update { uuid, property, value, timestamp } => {
                let old_value = before.and_then(|task| task.properties.get(&property)).cloned();
                LocalOperation::Update { uuid, property, old_value, value, timestamp }
            }
        }
    }
}

impl LocalOperation {
    /// The task that the operation is about; none for an undo point.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Create { uuid } | Self::Delete { uuid, .. } | Self::Update { uuid, .. } => {
                Some(*uuid)
            }
            Self::UndoPoint => None,
        }
    }

    /// What of it travels; nothing of an undo point.
    pub fn to_operation(&self) -> Option<Operation> {
        match self {
            Self::Create { uuid } => Some(Operation::Create { uuid: *uuid }),
            Self::Delete { uuid, .. } => Some(Operation::Delete { uuid: *uuid }),
            Self::Update { uuid, property, value, timestamp, .. } => Some(Operation::Update {
                uuid: *uuid,
                property: property.clone(),
                value: value.clone(),
                timestamp: *timestamp,
            }),
            Self::UndoPoint => None,
        }
    }

    /// Takes the operation back on one task, trusting its old values (section 2, column "undo").
    pub fn undo(&self, task: &mut Option<Task>) {
        match self {
            Self::Create { .. } => *task = None,
            Self::Delete { old_task, .. } => *task = Some(old_task.clone()),
            Self::Update { property, old_value, .. } => {
                if let Some(task) = task {
                    task.set(property, old_value.as_deref());
                }
            }
            Self::UndoPoint => {}
        }
    }
}
