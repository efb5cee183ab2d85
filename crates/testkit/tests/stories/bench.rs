//! A replica and a server in memory, and another program that writes to the replica's file.

use tandem_client::{SyncOptions, Synced, sync};
use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_remote::{Call, MemoryRemote, MemoryServer};
use tandem_replica::{MemoryStorage, Replica, Storage as _};
use tandem_tasks::session::{Consent, End};
use tandem_tasks::{LocalOperation, Operation};

pub(crate) fn id(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

pub(crate) fn update(task: u8, value: Option<&str>, seconds: i64) -> Operation {
    Operation::Update {
        uuid: id(task),
        property: "description".into(),
        value: value.map(Into::into),
        timestamp: at(seconds),
    }
}

/// A replica's file and the server, as processes see them.
pub(crate) struct Bench {
    pub(crate) storage: MemoryStorage,
    pub(crate) server: MemoryServer,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { storage: MemoryStorage::new(), server: MemoryServer::new(1) }
    }

    pub(crate) fn replica(&self) -> Replica {
        Replica::new(self.storage.clone())
    }

    pub(crate) fn set(&self, task: u8, value: &str, seconds: i64) {
        let edited = self.replica().edit("modify", at(seconds), |editor| {
            editor.create(id(task))?;
            editor.set(id(task), "status", Some("pending"))?;
            editor.set(id(task), "description", Some(value))
        });
        edited.unwrap();
    }

    pub(crate) fn sync(&self) -> Synced {
        self.sync_while(|_| {})
    }

    /// Syncs; `meanwhile` runs before each call reaches the server.
    pub(crate) fn sync_while(&self, mut meanwhile: impl FnMut(&Call) + Send + 'static) -> Synced {
        let mut remote = MemoryRemote::new(&self.server, "server");
        remote.choose_faults(move |call| {
            meanwhile(call);
            tandem_remote::memory::Fault::None
        });
        self.sync_with(&mut remote)
    }

    pub(crate) fn sync_with(&self, remote: &mut MemoryRemote) -> Synced {
        let consent = Consent { join: true, new_history: true, upload_difference: true };
        let options = SyncOptions { consent, ..SyncOptions::default() };
        sync(&mut self.replica(), remote, &options, &|| at(1_000), &mut |_| {}).unwrap()
    }

    pub(crate) fn description(&self, task: u8) -> Option<String> {
        let task = self.replica().task(id(task)).unwrap();
        task.and_then(|task| task.get("description").map(String::from))
    }

    pub(crate) fn base(&self) -> VersionId {
        self.replica().base_version().unwrap()
    }

    /// The replica fits, and a fresh one that syncs is equal.
    pub(crate) fn check(&self) {
        assert_eq!(self.replica().check().unwrap(), []);
        let fresh = Self { storage: MemoryStorage::new(), server: self.server.clone() };
        assert_eq!(fresh.sync().report.end, End::InStep);
        assert_eq!(self.replica().all_tasks().unwrap(), fresh.replica().all_tasks().unwrap());
    }
}

/// Another program's command: an undo point, then one update with an old value from its memory.
pub(crate) fn foreign_set(storage: &MemoryStorage, task: u8, old: Option<&str>, value: &str) {
    let mut storage = storage.clone();
    let mut txn = storage.write().unwrap();
    txn.append(&LocalOperation::UndoPoint, false).unwrap();
    let before = old.map(|old| tandem_tasks::Task::from_iter([("description", old)]));
    let operation = update(task, Some(value), 500);
    txn.append(&operation.clone().into_local(before.as_ref()), false).unwrap();
    let mut state = txn.task(id(task)).unwrap();
    operation.apply(&mut state);
    txn.put_task(id(task), state.as_ref()).unwrap();
    txn.commit().unwrap();
}

/// Another program's undo of the last command, trusting the old values in the log.
pub(crate) fn foreign_undo(storage: &MemoryStorage) {
    let mut storage = storage.clone();
    let mut txn = storage.write().unwrap();
    let mut pending = Vec::new();
    txn.each_pending(&mut |id, operation| {
        pending.push((id, operation));
        Ok(())
    })
    .unwrap();
    while let Some((place, operation)) = pending.pop() {
        if let Some(task) = operation.task() {
            let mut state = txn.task(task).unwrap();
            operation.undo(&mut state);
            txn.put_task(task, state.as_ref()).unwrap();
        }
        txn.remove_operations(place, place, false).unwrap();
        if operation == LocalOperation::UndoPoint {
            break;
        }
    }
    txn.commit().unwrap();
}
