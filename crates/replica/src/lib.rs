//! The local database of a replica: what it holds, and every way in which it changes.
//!
//! The file is a real TaskChampion 3 replica with tables of our own beside (`design` section 3), so
//! another program may have edited, undone or even synced it since we last looked. Each change here
//! is one transaction that first takes notice of that (`absorb`), then moves base, tasks, pending
//! operations and what is in flight together.
//!
//! The invariant that everything serves: *base plus pending is the state, and the base is the
//! replay of the chain.*
//!
//! Layers: [`storage`] says what a database must do; `sqlite` and `memory` do it; the rest decides
//! over that trait and is written once.

mod absorb;
mod commit;
mod edit;
mod guard;
mod image;
mod joined;
mod lost;
mod memory;
mod moving;
mod prune;
mod pull;
mod push;
mod replica;
mod resolve;
mod restart;
mod sqlite;
pub mod storage;
mod undo;
mod unseen;
mod verify;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

pub use commit::{CommitError, Committed, Target};
pub use edit::{EditError, Edited, Editor};
pub use memory::{CommitFault, MemoryStorage};
pub use moving::Move;
pub use prune::{Keep, Pruned};
pub use replica::{Replica, SyncFacts};
pub use sqlite::*;
pub use storage::{
    AppliedRow, ConflictKind, ConflictRow, InFlightRow, LoggedOperation, LostEdit, OperationId,
    Origin, RemoteRow, StepRow, Storage, StorageError, TaskNumber, Txn,
};
pub use undo::Undone;
pub use verify::Finding;
