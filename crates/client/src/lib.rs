//! What `ta` does, for Rust programs: open a replica, change tasks, sync.
//!
//! ```
//! use tandem_client::{Replica, SyncOptions, sync, system_now};
//! use tandem_client::memory::{MemoryRemote, MemoryServer, MemoryStorage};
//! use tandem_core::TaskId;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = MemoryServer::new(1);
//! let mut laptop = Replica::new(MemoryStorage::new());
//! let id = TaskId::from_random_bytes([7; 16]);
//! laptop.edit("add", system_now(), |editor| {
//!     editor.create(id)?;
//!     editor.set(id, "description", Some("buy milk"))
//! })?;
//! let mut remote = MemoryRemote::new(&server, "memory");
//! let synced = sync(&mut laptop, &mut remote, &SyncOptions::default(), &system_now, &mut |_| {})?;
//! assert_eq!((synced.report.operations_up, synced.waiting), (2, 0));
//!
//! let mut desktop = Replica::new(MemoryStorage::new());
//! let mut remote = MemoryRemote::new(&server, "memory");
//! sync(&mut desktop, &mut remote, &SyncOptions::default(), &system_now, &mut |_| {})?;
//! assert_eq!(desktop.task(id)?.and_then(|task| task.get("description").map(String::from)), Some("buy milk".into()));
//! # Ok(())
//! # }
//! ```

mod connect;
mod foresee;
mod import;
mod kill_points;
mod last_sync;
mod lock;
mod rebuild;
mod restore;
mod sync;

pub use connect::{ConnectError, connect};
pub use foresee::{Foreseen, Foresight, foresee};
pub use import::{AdoptError, Adopted, ImportError, Imported, Odd, adopt_replica, import_records};
pub use last_sync::{LAST_SYNC_FILE, LastSync};
pub use lock::{Holder, LOCK_FILE, LOCK_WAIT, LockError, SyncLock};
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use restore::{Restored, restore_conflict};
pub use sync::{Progress, SyncError, SyncOptions, Synced, missing_history, sync};
pub use tandem_replica::{EditError, Replica};

/// Storage and server in memory, for tests of programs that use this crate.
pub mod memory {
    pub use tandem_remote::{MemoryRemote, MemoryServer};
    pub use tandem_replica::MemoryStorage;
}

/// The database's name in a replica's folder (`protocols/taskchampion.md` section 15).
pub const REPLICA_FILE: &str = "taskchampion.sqlite3";

/// Opens the replica in `folder`, making it when it is not there. The folder may be one that
/// Taskwarrior 3 uses.
///
/// ```
/// use tandem_client::{Progress, SyncOptions, new_task_id, open, sync, system_now};
/// use tandem_client::directory::{DirectoryOptions, DirectoryRemote};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let mut replica = open(&folder.path().join("tasks"))?;
/// let id = new_task_id()?;
/// let now = system_now();
/// replica.edit("add", now, |editor| {
///     editor.create(id)?;
///     editor.set(id, "status", Some("pending"))?;
///     editor.set(id, "description", Some("buy milk"))?;
///     editor.number_of(id)
/// })?;
/// let mut remote = DirectoryRemote::new(folder.path().join("shared"), DirectoryOptions::default());
/// let mut steps = 0;
/// let mut progress = |_: Progress| steps += 1;
/// let synced = sync(&mut replica, &mut remote, &SyncOptions::default(), &system_now, &mut progress)?;
/// assert_eq!(synced.report.versions_up, 1);
/// assert!(steps > 0);
///
/// // Undo works after a sync too, by a new change.
/// replica.undo(system_now())?;
/// assert_eq!(replica.task(id)?.and_then(|task| task.get("status").map(String::from)), Some("deleted".into()));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`StorageError`](tandem_replica::StorageError), each variant with its cause; the file was left
/// as it is.
pub fn open(folder: &std::path::Path) -> Result<Replica, tandem_replica::StorageError> {
    let options = tandem_replica::OpenOptions::default();
    let (storage, _) = tandem_replica::SqliteStorage::open(&folder.join(REPLICA_FILE), &options)?;
    Ok(Replica::new(storage))
}

/// The way to a history in a local directory.
pub mod directory {
    pub use tandem_remote::directory::{DirectoryOptions, DirectoryRemote};
}

/// The way to a history at a server.
pub mod http {
    pub use tandem_remote::http::{HttpRemote, HttpSettings, Origin};
    pub use tandem_seal::Secret;
}

/// The time by the system's clock.
pub fn system_now() -> tandem_core::Timestamp {
    use std::time::{SystemTime, UNIX_EPOCH};
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => tandem_core::Timestamp::new(
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            since.subsec_nanos(),
        ),
        // A clock before 1970: edits then count as older than all others, and nothing breaks.
        Err(_) => tandem_core::Timestamp::EPOCH,
    }
}

/// A new random task id.
///
/// # Errors
/// If the system has no random numbers to give.
pub fn new_task_id() -> std::io::Result<tandem_core::TaskId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(tandem_core::TaskId::from_random_bytes(bytes))
}
