//! A task server in memory, for tests and the simulator.
//!
//! [`MemoryServer`] is the abstract server of the protocol for one client, with the levers that a
//! test needs: expire versions, go back to an older state, put bad versions in. Clones share one
//! state. [`MemoryRemote`] is a line to it, with faults that are chosen per call: a request that is
//! lost or arrives later, a reply that is lost after the server has committed.
//!
//! Nothing here is random or reads a clock: version ids follow from a seed, days pass when told to.
//! It is always compiled, since programs that embed the client test with it too; it weighs little.
//!
//! # Source
//! `protocols/taskchampion.md` sections 6 and 11; the decisions are `tandem_tasks::serve`.

mod remote;
mod server;

pub use remote::{Fault, MemoryRemote};
pub use server::{Checkpoint, Counts, MemoryServer, Seen, StoredVersion, Witness};
