//! Task histories, decided in pure code.
//!
//! Everything that can be wrong about synchronising tasks is a function or a small state machine
//! here, over plain values: no socket, no file, no clock, no randomness. The facts come from
//! `protocols/taskchampion.md`, cited by section.

pub mod deletion;
pub mod model;
pub mod operation;
#[cfg(feature = "planted-defects")]
pub mod planted;
#[cfg(not(feature = "planted-defects"))]
mod planted;
pub mod rebase;
pub mod reinitialise;
pub mod segment;
pub mod serve;
pub mod session;
pub mod snapshot;
pub mod transform;

pub use model::{Status, Task, TaskSet, Text};
pub use operation::{LocalOperation, Operation};
pub use rebase::{OperationId, Pending, PendingList};
