//! The self-hosted server: TaskChampion's protocol over HTTP, in front of a storage.
//!
//! ```text
//!   server   listeners, and the end              http     routes, headers, bodies, connections
//!   access   who is served                       keeper   lets old history go, now and then
//!   limits   what is taken from the network      store    what is kept, behind the trait Store
//!   config   what a person asked for             program  from there to the end
//!   account  passwords and tokens                attempts wrong credentials, counted
//!   tls      certificates, read again            disk     room on it
//!   delays   the same for each account         network  addresses that belong together
//!   metrics  counters for operators              import   the reference's database
//!   embedded a server inside another program
//! ```
//!
//! What is *decided* (taken or conflict, gone or up to date, how urgently a snapshot is wanted, what
//! may go) is in `tandem_tasks::serve`, pure. This crate never opens a body: it does not even depend
//! on the crate that could.

pub mod access;
pub mod account;
mod attempts;
pub mod config;
mod copying;
pub mod database;
mod delays;
pub mod disk;
pub mod embedded;
mod http;
pub mod import;
pub mod keeper;
pub mod limits;
pub mod log;
mod metrics;
pub mod network;
pub mod probe;
pub mod program;
mod proven;
mod recent;
pub mod server;
pub mod store;
#[cfg(all(unix, feature = "testing", feature = "postgres"))]
pub mod testing;
pub mod tls;

pub use access::Access;
pub use config::Config;
pub use database::Database;
pub use embedded::EmbeddedServer;
pub use http::Clock;
#[cfg(feature = "testing")]
pub use http::testing as heads;
pub use limits::Limits;
pub use server::{Listeners, Options, run};
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
pub use store::{SqliteStore, Store};
