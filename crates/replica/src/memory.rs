//! [`Storage`] in memory: for tests, and for the simulator's many replicas.
//!
//! A store is shared by its handles as a file is by processes: clone a [`MemoryStorage`] to open
//! the same one again. It keeps what [`Storage`] promises, so that what holds here holds for
//! SQLite: one writer at a time, readers that see one fixed state, nothing of a dropped transaction.
//! It can be told to fail a commit, before or after it took effect.
//!
//! A writer changes the shared state in place and keeps a journal of how to take that back, so a
//! small transaction on a large state is cheap. The state is copied only when a reader holds it
//! while somebody writes; the copy shares tasks and operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tandem_core::{TaskId, VersionId};
use tandem_tasks::{LocalOperation, Task};

use crate::storage::{
    AppliedRow, ConflictRow, InFlightRow, RemoteRow, Result, StepRow, Storage, StorageError,
    TaskNumber, Txn,
};

mod pen;
mod txn;

/// What happens to a commit that was told to fail, see [`MemoryStorage::fail_commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It answers that the disk is full, and nothing of it was done.
    NotDone,
    /// It was done, but the process died before it heard: the caller sees an error.
    DoneUnheard,
}

/// A handle on a store in memory.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    store: Arc<Store>,
    busy_wait: Duration,
}

#[derive(Debug, Default)]
struct Store {
    shared: Mutex<Shared>,
    writer_left: Condvar,
}

#[derive(Default)]
struct Shared {
    /// The state, with the changes of the writer, if there is one.
    state: Arc<State>,
    /// How to take the writer's changes back, oldest first.
    journal: Vec<Undo>,
    has_writer: bool,
    /// Commits that still succeed before the one that fails.
    fault: Option<(u32, CommitFault)>,
    commits: u64,
}

/// Takes one change back.
type Undo = Box<dyn Fn(&mut State) + Send>;

/// Everything in a store.
#[derive(Debug, Clone, Default)]
struct State {
    tasks: BTreeMap<TaskId, Arc<Task>>,
    pending: BTreeMap<i64, Arc<LocalOperation>>,
    synced: BTreeMap<i64, Arc<LocalOperation>>,
    last_operation: i64,
    base_version: VersionId,
    working_set: BTreeMap<TaskNumber, TaskId>,
    numbers: BTreeMap<TaskId, TaskNumber>,
    base_images: BTreeMap<TaskId, Option<Arc<Task>>>,
    steps: BTreeMap<i64, Arc<StepRow>>,
    last_step: i64,
    in_flight: Option<Arc<InFlightRow>>,
    applied: BTreeMap<i64, AppliedRow>,
    applied_places: BTreeMap<VersionId, i64>,
    last_applied: i64,
    remotes: BTreeMap<i64, RemoteRow>,
    last_remote: i64,
    conflicts: BTreeMap<i64, Arc<ConflictRow>>,
    last_conflict: i64,
    meta: BTreeMap<String, String>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("has_writer", &self.has_writer)
            .field("changes", &self.journal.len())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// A panic inside a transaction is a failed test, and its drop still rolls back: the state
    /// behind a poisoned lock is whole.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Takes back everything that the writer changed.
    fn roll_back(&mut self) {
        if !self.journal.is_empty() {
            undo_all(Arc::make_mut(&mut self.state), &self.journal);
            self.journal.clear();
        }
    }
}

fn undo_all(state: &mut State, journal: &[Undo]) {
    for undo in journal.iter().rev() {
        undo(state);
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self { store: Arc::default(), busy_wait: Duration::from_secs(10) }
    }
}

impl MemoryStorage {
    /// An empty store, and the first handle on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same handle with another wait for other writers. In one thread nobody can end while
    /// we wait, so tests choose a short one.
    #[must_use]
    pub fn with_busy_wait(mut self, busy_wait: Duration) -> Self {
        self.busy_wait = busy_wait;
        self
    }

    /// Makes one commit of this store fail, whichever handle makes it: the next one that writes
    /// after `successes` more have succeeded. Only one such fault is remembered.
    pub fn fail_commit(&self, successes: u32, fault: CommitFault) {
        self.store.lock().fault = Some((successes, fault));
    }

    /// Makes the next commit fail before it takes effect.
    pub fn fail_next_commit(&self) {
        self.fail_commit(0, CommitFault::NotDone);
    }

    /// Forgets a fault that has not happened. Returns whether there was one.
    pub fn forget_fault(&self) -> bool {
        self.store.lock().fault.take().is_some()
    }

    /// How many transactions have written and taken effect, for tests that kill a process after
    /// each one in turn.
    pub fn commit_count(&self) -> u64 {
        self.store.lock().commits
    }

    /// A store of its own with the same content, as a copied file has: a restored backup.
    #[must_use]
    pub fn copy(&self) -> Self {
        let store = Store::default();
        store.lock().state = self.committed();
        Self { store: Arc::new(store), busy_wait: self.busy_wait }
    }

    /// The state as the last commit left it.
    fn committed(&self) -> Arc<State> {
        let shared = self.store.lock();
        if shared.journal.is_empty() {
            return Arc::clone(&shared.state);
        }
        let mut state = State::clone(&shared.state);
        undo_all(&mut state, &shared.journal);
        Arc::new(state)
    }
}

impl Storage for MemoryStorage {
    fn write<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>> {
        let end = Instant::now() + self.busy_wait;
        let mut shared = self.store.lock();
        while shared.has_writer {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StorageError::Busy {
                    file: txn::FILE.into(),
                    waited_seconds: self.busy_wait.as_secs(),
                });
            }
            shared = self
                .store
                .writer_left
                .wait_timeout(shared, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        shared.has_writer = true;
        Ok(Box::new(txn::MemoryTxn::Write(&self.store)))
    }

    fn read<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>> {
        Ok(Box::new(txn::MemoryTxn::Read(self.committed())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Bench};

    struct Memory(MemoryStorage);

    impl Bench for Memory {
        fn reset(&mut self) {
            self.0 = MemoryStorage::new().with_busy_wait(Duration::from_millis(20));
        }
        fn open(&mut self) -> Box<dyn Storage> {
            Box::new(self.0.clone())
        }
    }

    #[test]
    fn keeps_what_storage_promises() {
        conformance::suite(&mut Memory(MemoryStorage::new()));
    }

    fn set_meta(storage: &mut MemoryStorage, value: &str) -> Result<()> {
        let mut txn = storage.write()?;
        txn.set_meta("key", Some(value))?;
        txn.commit()
    }

    fn meta(storage: &mut MemoryStorage) -> Option<String> {
        storage.read().unwrap().meta("key").unwrap()
    }

    #[test]
    fn a_commit_told_to_fail_fails_once_and_does_nothing() {
        let mut storage = MemoryStorage::new();
        storage.fail_commit(1, CommitFault::NotDone);
        set_meta(&mut storage, "first").unwrap();
        assert!(matches!(set_meta(&mut storage, "second"), Err(StorageError::DiskFull { .. })));
        assert_eq!(meta(&mut storage).as_deref(), Some("first"));
        set_meta(&mut storage, "third").unwrap();
        assert_eq!(meta(&mut storage).as_deref(), Some("third"));
        assert_eq!(storage.commit_count(), 2);
    }

    #[test]
    fn a_commit_may_take_effect_unheard() {
        let mut storage = MemoryStorage::new();
        storage.fail_commit(0, CommitFault::DoneUnheard);
        assert!(set_meta(&mut storage, "first").is_err());
        assert_eq!(meta(&mut storage).as_deref(), Some("first"));
        assert!(!storage.forget_fault());
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let mut storage = MemoryStorage::new();
        set_meta(&mut storage, "before").unwrap();
        let mut copy = storage.copy();
        set_meta(&mut storage, "after").unwrap();
        assert_eq!(meta(&mut copy).as_deref(), Some("before"));
    }
}
