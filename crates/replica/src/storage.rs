//! What a replica needs of a database: the promises that SQLite and memory both keep.
//!
//! The trait is low: rows in and out of one transaction. Everything that could be decided wrongly
//! (rebasing, base images, undo, working set) stands above it and is written once.
//! One conformance suite (`conformance`, behind the feature `testing`) runs on every implementation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_core::{TaskId, Timestamp, VersionId};
pub use tandem_tasks::OperationId;
use tandem_tasks::{LocalOperation, Task, Text};

/// The small number that a person types for a task, from 1 (`working_set.id`).
pub type TaskNumber = u32;

/// A row of the operations table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOperation {
    /// Its place in the log.
    pub id: OperationId,
    /// The operation with its old values.
    pub operation: LocalOperation,
    /// False while the operation is pending: still to be accepted by a server.
    pub synced: bool,
}

/// Where the pending operations begin and end: enough to see that nothing has moved, since ids are
/// never reused, programs append at the end, undo from the end, and a sync takes from the front and
/// moves the base. (A count would say more and cost a pass over all of them.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PendingMark {
    /// The lowest id among pending operations, undo points included.
    pub first: Option<OperationId>,
    /// The highest one.
    pub last: Option<OperationId>,
}

/// Who made the operations of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A command of ours, named as the person typed it (`done`, `import`).
    Command(String),
    /// A version pulled from a server.
    Version(VersionId),
    /// Another program that uses the same file.
    Foreign,
}

/// The command that a sync names for what it makes of itself: a list that comes to another place is
/// offered there anew, and what a server no longer has is sent again.
pub(crate) const SYNC: &str = "sync";

impl Origin {
    /// True for what a sync made of itself. It says again what somebody had said before.
    pub fn is_sync(&self) -> bool {
        matches!(self, Origin::Command(name) if name == SYNC)
    }
}

/// One command, or one pulled version: what undo and history treat as a unit (`tandem_step`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Its number, growing; 0 asks [`Txn::put_step`] for a new one.
    pub id: i64,
    /// Its first operation, the undo point included.
    pub first: OperationId,
    /// Its last operation.
    pub last: OperationId,
    /// When it happened here.
    pub at: Timestamp,
    /// Who made it.
    pub origin: Origin,
    /// True once a later step has compensated it, so that undo goes on to the one before.
    pub undone: bool,
}

/// A segment that may or may not have reached the server (`tandem_in_flight`, at most one row).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlightRow {
    /// The remote it was sent to ([`RemoteRow::id`]).
    pub remote: i64,
    /// The version that it was to follow.
    pub parent: VersionId,
    /// SHA-256 of the plain segment, by which it is known again.
    pub digest: [u8; 32],
    /// How many operations it holds.
    pub count: u64,
    /// The operations in it, as inclusive id ranges in pending order.
    pub ranges: Vec<(OperationId, OperationId)>,
}

/// A version that this replica has applied (`tandem_applied`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedRow {
    /// The version.
    pub version: VersionId,
    /// Its parent; nil for the first version, and for a snapshot or an adopted foreign base, whose
    /// parent nobody told us (then `hole` is true).
    pub parent: VersionId,
    /// The remote it came from or went to.
    pub remote: i64,
    /// True where the versions before it are not known here (snapshot, foreign sync).
    pub hole: bool,
    /// What stands in the log before this place was said at or before this version; 0 where that
    /// is not known.
    pub mark: OperationId,
    /// When it was sent from here; none for a version that others made, or that was sent before
    /// this was kept.
    pub sent: Option<Timestamp>,
}

/// A server or directory that this replica has met (`tandem_remote`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRow {
    /// Its number here; 0 asks [`Txn::put_remote`] for a new one.
    pub id: i64,
    /// What identifies it; unique. Holds no credential in clear.
    pub key: String,
    /// What a person calls it: origin or path.
    pub label: String,
    /// The last version of it that this replica had as its base.
    pub last_base: VersionId,
    /// True once it has answered in a way that only a real server does.
    pub answered: bool,
    /// True when an empty replica found no history there: the first upload then needs a yes.
    pub needs_new_history: bool,
    /// True while the whole state is pending because two histories are being merged by consent.
    pub joining: bool,
    /// Proof that a key has opened something of this remote (`tandem-seal`).
    pub proof: Option<Vec<u8>>,
    /// The snapshot that the server asked for and that has not been taken yet.
    pub wanted_snapshot: Option<VersionId>,
}

/// An edit that lost (`tandem_conflict`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRow {
    /// Its number; 0 asks [`Txn::put_conflict`] for a new one.
    pub id: i64,
    /// When it was settled here.
    pub at: Timestamp,
    /// The task.
    pub task: TaskId,
    /// The property; none when the whole task went.
    pub property: Option<Text>,
    /// The value at the common base, where it is known. When the whole task went: what the
    /// properties changed here said there, as a JSON object ([`ConflictRow::edits`]).
    pub base: Option<Text>,
    /// The value that stands; none if the property or the task was removed.
    pub kept: Option<Text>,
    /// The value that lost; none if it was a removal. When the whole task went: the changes that
    /// went with it, as a JSON object ([`ConflictRow::edits`]).
    pub lost: Option<Text>,
    /// True if the loser was made on this replica.
    pub lost_here: bool,
    /// The whole task as it was here, when a deletion took it.
    pub lost_task: Option<Task>,
    /// The task's description at the time, for showing.
    pub description: String,
    /// True once a person has restored the loser or put the conflict aside.
    pub resolved: bool,
}

/// What a conflict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// One property, two values.
    Value,
    /// The task was deleted (its `status` says so) on one side and changed on the other. What lost
    /// is the status before; [`ConflictRow::lost_here`] says that it was changed here.
    Deleted,
    /// The task was changed here and removed elsewhere.
    Removed,
}

impl ConflictRow {
    /// What it is about. A status that lost without having been changed lost to a deletion alone.
    pub fn kind(&self) -> ConflictKind {
        match self.property.as_deref() {
            None => ConflictKind::Removed,
            Some("status") if self.kept.as_deref() == Some("deleted") && self.lost == self.base => {
                ConflictKind::Deleted
            }
            Some(_) => ConflictKind::Value,
        }
    }

    /// The changes made here that a removal of the whole task took along. None are known of rows
    /// that were written before this was kept.
    pub fn edits(&self) -> Vec<LostEdit> {
        if self.property.is_some() {
            return Vec::new();
        }
        let before = values(self.base.as_deref());
        let edits = values(self.lost.as_deref()).into_iter().map(|(property, value)| LostEdit {
            before: before.get(&property).cloned().flatten(),
            property,
            value,
        });
        edits.collect()
    }
}

/// A change that went with the task it was made in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostEdit {
    /// The property.
    pub property: Text,
    /// What it said at the common base.
    pub before: Option<Text>,
    /// What it was changed to; none if it was removed.
    pub value: Option<Text>,
}

/// Values by property, as they are written into a row.
fn values(json: Option<&str>) -> BTreeMap<Text, Option<Text>> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Why the database could not do what was asked. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another program has held the file's write lock for longer than we wait.
    #[error("another program holds {file} (waited {waited_seconds} s)")]
    Busy {
        /// The file.
        file: String,
        /// How long was waited, in seconds.
        waited_seconds: u64,
    },
    /// No room left.
    #[error("the disk with {file} is full")]
    DiskFull {
        /// The file.
        file: String,
    },
    /// The file or its folder cannot be written.
    #[error("{file} cannot be written")]
    ReadOnly {
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Another program was stopped in the middle of a change, or is at it, and the file can only be
    /// read: what lies in it is half of that change, until somebody who may write takes it back.
    #[error("{file} stands in the middle of a change, and cannot be written to take that back")]
    Unfinished {
        /// The file.
        file: String,
    },
    /// The file is damaged.
    #[error("{file} is damaged: {what}")]
    Corrupt {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The file is not a TaskChampion replica.
    #[error("{file} is not a TaskChampion replica")]
    NotAReplica {
        /// The file.
        file: String,
    },
    /// The file was written by a later version of TaskChampion or Tandem.
    #[error("{file} has the newer format {major}.{minor}")]
    TooNew {
        /// The file.
        file: String,
        /// Its major version.
        major: i64,
        /// Its minor version.
        minor: i64,
    },
    /// Anything else the system said.
    #[error("{file}: {doing}")]
    Other {
        /// The file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What storage calls answer.
pub type Result<T> = std::result::Result<T, StorageError>;

/// A database that can begin transactions.
pub trait Storage: Send {
    /// Begins a transaction that may write. At most one exists at a time over all processes that
    /// use the file: it waits up to 10 s for another one's end.
    ///
    /// # Errors
    /// [`StorageError::Busy`] after that wait.
    fn write<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>>;

    /// Whether it may be written at all, as far as is known without trying.
    ///
    /// # Errors
    /// What [`write`](Self::write) would say, for as long as this storage is open.
    fn check_writable(&self) -> Result<()> {
        Ok(())
    }

    /// Begins a transaction that only reads a state that does not change under it. It never waits
    /// for a writer. Writing calls fail.
    fn read<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>>;
}

/// One transaction: all of it becomes durable with [`Txn::commit`], nothing of it otherwise.
///
/// Dropping it without a commit takes everything back. Reads see the transaction's own writes.
pub trait Txn {
    /// Makes the transaction durable: when this returns `Ok`, a power cut cannot take it back.
    fn commit(self: Box<Self>) -> Result<()>;

    // Tasks.

    /// One task.
    fn task(&mut self, id: TaskId) -> Result<Option<Task>>;
    /// Stores or removes one task.
    fn put_task(&mut self, id: TaskId, task: Option<&Task>) -> Result<()>;
    /// Visits all tasks, in any order, without holding them all in memory.
    fn each_task(&mut self, visit: &mut dyn FnMut(TaskId, Task) -> Result<()>) -> Result<()>;
    /// The number of tasks. Costs a scan of the key index at most.
    fn task_count(&mut self) -> Result<u64>;
    /// Tasks whose dashed lower-case id begins with `prefix` (already lower case), at most `max`.
    fn task_ids_with_prefix(&mut self, prefix: &str, max: usize) -> Result<Vec<TaskId>>;
    /// Removes all tasks.
    fn clear_tasks(&mut self) -> Result<()>;

    // The log of operations.

    /// Appends an operation and returns its place.
    fn append(&mut self, operation: &LocalOperation, synced: bool) -> Result<OperationId>;
    /// Visits the pending operations in order, undo points included.
    fn each_pending(
        &mut self,
        visit: &mut dyn FnMut(OperationId, LocalOperation) -> Result<()>,
    ) -> Result<()>;
    /// The pending operations of one task, in order.
    fn pending_of(&mut self, task: TaskId) -> Result<Vec<(OperationId, LocalOperation)>>;
    /// Where the list of pending operations begins and ends. Costs two index look-ups.
    fn pending_mark(&mut self) -> Result<PendingMark>;
    /// All logged operations of one task, in order.
    fn operations_of(&mut self, task: TaskId) -> Result<Vec<LoggedOperation>>;
    /// The logged operations with ids from `first` to `last`, both included, in order.
    fn operations_between(
        &mut self,
        first: OperationId,
        last: OperationId,
    ) -> Result<Vec<LoggedOperation>>;
    /// The highest id ever given to an operation, also if that one is gone.
    fn last_operation_id(&mut self) -> Result<Option<OperationId>>;
    /// Marks every pending operation with an id from `first` to `last`, both included, as synced,
    /// and removes the undo points among them.
    fn mark_synced(&mut self, first: OperationId, last: OperationId) -> Result<()>;
    /// Replaces a logged operation (corrected old values).
    fn replace_operation(&mut self, id: OperationId, operation: &LocalOperation) -> Result<()>;
    /// Removes the operations with ids from `first` to `last`, both included, with that state.
    /// Returns how many.
    fn remove_operations(
        &mut self,
        first: OperationId,
        last: OperationId,
        synced: bool,
    ) -> Result<u64>;

    // The base version.

    /// The version that this replica has applied last; nil at first.
    fn base_version(&mut self) -> Result<VersionId>;
    /// Sets it (nil removes the row, as the reference has it).
    fn set_base_version(&mut self, version: VersionId) -> Result<()>;

    // The working set.

    /// All numbers in use, ascending.
    fn working_set(&mut self) -> Result<Vec<(TaskNumber, TaskId)>>;
    /// Visits the numbered tasks with their numbers, ascending: what every report begins with.
    /// A number whose task is gone is passed over.
    fn each_numbered(
        &mut self,
        visit: &mut dyn FnMut(TaskNumber, TaskId, Task) -> Result<()>,
    ) -> Result<()>;
    /// The task with a number.
    fn task_with_number(&mut self, number: TaskNumber) -> Result<Option<TaskId>>;
    /// The number of a task. Costs an index look-up.
    fn number_of(&mut self, task: TaskId) -> Result<Option<TaskNumber>>;
    /// Gives a task the next free number after the last one in use, and returns it; a task that has
    /// a number keeps it.
    fn give_number(&mut self, task: TaskId) -> Result<TaskNumber>;
    /// Takes a task's number away and leaves a hole.
    fn take_number(&mut self, task: TaskId) -> Result<()>;
    /// Replaces the whole working set.
    fn set_working_set(&mut self, members: &[(TaskNumber, TaskId)]) -> Result<()>;

    // Base images: tasks as they are at the base version, where that differs from what the pending
    // operations' own first Create says (`design` section 3, `base`).

    /// The stored base image of a task: outer none if there is none stored, inner none if the task
    /// is absent at the base version.
    fn base_image(&mut self, task: TaskId) -> Result<Option<Option<Task>>>;
    /// Stores a base image.
    fn put_base_image(&mut self, task: TaskId, image: Option<&Task>) -> Result<()>;
    /// Removes a base image.
    fn remove_base_image(&mut self, task: TaskId) -> Result<()>;
    /// All stored base images.
    fn base_images(&mut self) -> Result<Vec<(TaskId, Option<Task>)>>;
    /// Removes all base images. Cheap when there is none.
    fn clear_base_images(&mut self) -> Result<()>;

    // Steps.

    /// Stores a step; returns its number.
    fn put_step(&mut self, step: &StepRow) -> Result<i64>;
    /// Removes a step.
    fn remove_step(&mut self, id: i64) -> Result<()>;
    /// The newest steps first, from the one before `before` (or from the newest), at most `max`.
    fn steps(&mut self, before: Option<i64>, max: usize) -> Result<Vec<StepRow>>;
    /// The oldest steps, oldest first, at most `max`.
    fn oldest_steps(&mut self, max: usize) -> Result<Vec<StepRow>>;
    /// The step that an operation belongs to.
    fn step_of(&mut self, operation: OperationId) -> Result<Option<StepRow>>;
    /// The number of steps.
    fn step_count(&mut self) -> Result<u64>;

    // Sync.

    /// The segment in flight.
    fn in_flight(&mut self) -> Result<Option<InFlightRow>>;
    /// Sets or clears it.
    fn set_in_flight(&mut self, row: Option<&InFlightRow>) -> Result<()>;
    /// Remembers an applied version, and forgets the oldest beyond
    /// [`APPLIED_VERSIONS_MAX`](tandem_core::limits::APPLIED_VERSIONS_MAX).
    fn put_applied(&mut self, row: &AppliedRow) -> Result<()>;
    /// What is known of an applied version.
    fn applied(&mut self, version: VersionId) -> Result<Option<AppliedRow>>;
    /// All applied versions that are remembered, oldest first.
    fn all_applied(&mut self) -> Result<Vec<AppliedRow>>;
    /// Forgets an applied version (it was orphaned).
    fn remove_applied(&mut self, version: VersionId) -> Result<()>;
    /// Stores a remote; returns its number.
    fn put_remote(&mut self, row: &RemoteRow) -> Result<i64>;
    /// A remote by its number.
    fn remote(&mut self, id: i64) -> Result<Option<RemoteRow>>;
    /// A remote by its key.
    fn remote_by_key(&mut self, key: &str) -> Result<Option<RemoteRow>>;
    /// All remotes, in the order in which they were met.
    fn remotes(&mut self) -> Result<Vec<RemoteRow>>;

    // Conflicts.

    /// Stores a conflict; returns its number.
    fn put_conflict(&mut self, row: &ConflictRow) -> Result<i64>;
    /// A conflict by its number.
    fn conflict(&mut self, id: i64) -> Result<Option<ConflictRow>>;
    /// All conflicts, oldest first, or only the unresolved ones.
    fn conflicts(&mut self, with_resolved: bool) -> Result<Vec<ConflictRow>>;

    // Odds and ends.

    /// A named value of ours.
    fn meta(&mut self, key: &str) -> Result<Option<String>>;
    /// Sets or removes a named value of ours.
    fn set_meta(&mut self, key: &str, value: Option<&str>) -> Result<()>;
}
