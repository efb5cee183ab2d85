//! The replicas' files, and the processes that have them open.
//!
//! # Fault model
//! A process may die before a transaction, after its commit, before a call and after it. What was
//! committed stays, everything else is gone. A commit may also fail without effect (disk full) in a
//! process that lives on. Storage itself keeps its promises: a transaction is atomic.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tandem_core::VersionId;
use tandem_replica::{MemoryStorage, OpenOptions, SqliteStorage, Storage};
use tandem_tasks::{LocalOperation, OperationId};

use super::World;

/// Where a replica's file is.
pub(crate) enum Disk {
    Memory(MemoryStorage),
    Sqlite(PathBuf),
}

/// A process, until it dies.
#[derive(Clone, Default)]
pub(crate) struct Process(Arc<AtomicBool>);

impl Process {
    pub(crate) fn is_dead(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    pub(crate) fn die(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl World {
    /// A handle on a replica's file, as a process of its own has it.
    pub(super) fn open(&self, replica: usize) -> Box<dyn Storage> {
        let path = match &self.look().actors[replica].disk {
            Disk::Memory(storage) => return Box::new(storage.clone()),
            Disk::Sqlite(path) => path.clone(),
        };
        let (storage, _) = SqliteStorage::open(&path, &OpenOptions::default())
            .expect("a replica file can be opened");
        Box::new(storage)
    }

    /// The shared handle of a replica in memory, to make its commits fail.
    pub(crate) fn memory_of(&self, replica: usize) -> Option<MemoryStorage> {
        match &self.look().actors[replica].disk {
            Disk::Memory(storage) => Some(storage.clone()),
            Disk::Sqlite(_) => None,
        }
    }

    /// Decides whether a process dies here.
    pub(crate) fn dies(&self) -> bool {
        let mut inner = self.look();
        if inner.failure.is_some() {
            return true;
        }
        let crash = inner.plan.crash;
        inner.has_faults && inner.random.chance(crash)
    }

    pub(crate) fn fills_disk(&self) -> bool {
        let mut inner = self.look();
        let chance = inner.plan.disk_full;
        inner.has_faults && inner.random.chance(chance)
    }

    pub(super) fn pending(
        &self,
        replica: usize,
    ) -> (VersionId, BTreeMap<OperationId, LocalOperation>) {
        let mut storage = self.open(replica);
        let mut txn = storage.read().expect("a replica can be read");
        let mut pending = BTreeMap::new();
        txn.each_pending(&mut |id, operation| {
            pending.insert(id, operation);
            Ok(())
        })
        .expect("a replica can be read");
        (txn.base_version().expect("a replica can be read"), pending)
    }
}

/// A boxed storage is a storage.
pub(super) struct Opened(pub(super) Box<dyn Storage>);

impl Storage for Opened {
    fn write<'a>(
        &'a mut self,
    ) -> tandem_replica::storage::Result<Box<dyn tandem_replica::Txn + 'a>> {
        self.0.write()
    }
    fn read<'a>(
        &'a mut self,
    ) -> tandem_replica::storage::Result<Box<dyn tandem_replica::Txn + 'a>> {
        self.0.read()
    }
}
