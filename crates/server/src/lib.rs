//! The self-hosted server: what it keeps for its clients, behind one trait.
//!
//! What is *decided* (taken or conflict, gone or up to date, how urgently a snapshot is wanted, what
//! may go) is in `tandem_tasks::serve`, pure. This crate never opens a body: it does not even depend
//! on the crate that could.

pub mod store;
