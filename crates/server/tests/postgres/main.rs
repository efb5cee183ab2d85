//! The storage on PostgreSQL, each test with a PostgreSQL of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where they cannot go on, the test ends")]

mod chain;
mod clock;
mod damage;
mod opening;
mod pooler;
mod storm;
mod tls;
mod upkeep;

use std::sync::Arc;

use tandem_server::Database;
use tandem_server::store::{PostgresStore, Store};
use tandem_server::testing::Cluster;

/// The address of a database, as if written in a file.
pub(crate) fn at(address: String) -> Database {
    Database { address, ..Database::default() }
}

/// A node on a database of the cluster, whose clock is that of its customers: they let days pass.
pub(crate) async fn open(cluster: &Cluster, name: &str) -> Arc<dyn Store> {
    let database = at(cluster.database(name));
    Arc::new(PostgresStore::open_with_the_clock_of_requests(&database).await.unwrap())
}

/// A node as it runs: the database says what time it is.
pub(crate) async fn open_as_served(cluster: &Cluster, name: &str) -> Arc<dyn Store> {
    Arc::new(PostgresStore::open(&at(cluster.database(name))).await.unwrap())
}
