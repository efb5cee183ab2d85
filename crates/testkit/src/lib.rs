//! The simulated world: replicas, a server and faults from one seed, with checkers apart; and every
//! decoder, for bytes from anywhere ([`decoders`]).
//!
//! [`run`] makes one run; the fault model stands at the top of [`world`].
//! Development only: nothing that ships depends on this crate.
//!
//! A failing test prints the line that replays it:
//! `TANDEM_SEED=17 cargo test -p tandem-testkit --test simulation replay -- --nocapture`.

pub mod archive;
pub mod decoders;
mod faulty;
mod foreign;
pub mod ledger;
pub mod plan;
pub mod random;
mod twin;
pub mod world;

pub use plan::{DiskKind, Plan, Workload};
pub use world::{LIVENESS_ROUNDS, Options, Run, run};
