//! The session: the sans-IO heart of a sync.
//!
//! A session says what it wants next ([`Action`]) and is told what happened ([`Event`]). It is
//! saved nowhere: everything that it must remember stands in the replica, so a sync may be killed
//! between any two of its steps. The same session runs over HTTP, a directory and the simulator.
//!
//! A usual sync, with one version to pull and one to push:
//!
//! ```text
//! Start                       → Ask GetChildVersion(base)
//! Answer Version v1           → Ask GetChildVersion(v1)         (pending rebased over v1 in memory)
//! Answer UpToDate             → Commit Pull [v1]                (base, tasks, pending together)
//! Committed                   → Ask CheckProof                  (does our key fit this history?)
//! Answer Proved               → Commit Push { next: segment }   (in flight, durable before sending)
//! Committed                   → Ask AddVersion(v1, segment)
//! Answer Accepted v2          → Commit Push { accepted: v2 }
//! Committed                   → Done
//! ```
//!
//! Invariants, from `design` section 3:
//! * The whole pending list is rebased, then cut; nothing is read back untransformed after a
//!   rejection, because what was dropped is committed with the version that dropped it.
//! * After an unknown outcome of AddVersion the child is asked for; the child of the in-flight
//!   parent with the in-flight digest is ours.
//! * A batch says what the session believed; `Moved` makes it look again.

mod begin;
mod failure;
mod gone;
mod group;
mod machine;
mod messages;
mod pull;
mod push;
#[cfg(test)]
mod tests;

pub use begin::JOIN_TASKS_MAX;
pub use failure::*;
pub use group::is_worth_a_conflict;
pub use machine::Session;
pub use messages::*;
