//! The storage that many nodes share: one PostgreSQL.
//!
//! ```text
//!   add_version ──▶ writes ──▶ one statement, which commits     one round trip, under the row lock
//!   add_snapshot, retain ────▶ BEGIN … COMMIT                    seldom
//!   child_version, … ─▶ reads ─▶ one statement                   never behind the writers
//!                         └─ notes ─▶ written behind
//! ```
//!
//! Nodes know nothing of each other and keep nothing: the client's row decides between writers
//! (`sql/add_version.sql`), advisory locks choose who migrates and who lets history go. Commits that
//! come together share a flush inside PostgreSQL.
//!
//! What time it is, the database says (`moments.rs`).
//!
//! A connection that breaks while a change is under way leaves its outcome open, and that is what
//! is told. Why it is one statement:
//! `docs/decisions/0012-compare-and-swap-in-one-statement.md`.

mod accounts;
mod address;
mod admin;
mod check;
mod moments;
mod notes;
mod open;
mod passwords;
mod pool;
mod read;
mod retain;
mod rounds;
mod rows;
mod snapshots;
mod tls;
mod why;
mod write;

use std::sync::Arc;

use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::rounds::Watched;

use super::{
    AddSnapshot, AddVersion, Added, Admin, Answer, Child, Children, ClientFacts, Head, Health,
    ReadChildren, Retain, Retained, SnapshotAdded, SnapshotFound, Store,
};
use crate::database::Database;
use crate::program::Tables;
use address::Address;
use moments::Clock;
use notes::Notes;
use pool::Pools;

pub use open::OpenError;
pub use why::Why;

/// The statement of [`Store::add_version`], for measuring it without a server in front.
pub const ADD_VERSION: &str = write::ADD_VERSION;

/// The advisory lock of whoever brings the schema up to date: "TaSv" and a number.
const MIGRATE_LOCK: i64 = 0x5461_5376_0000_0001;
/// The advisory lock of whoever lets history go.
const RETAIN_LOCK: i64 = 0x5461_5376_0000_0002;
/// The advisory lock of whoever begins a round of that.
const ROUNDS_LOCK: i64 = 0x5461_5376_0000_0003;

/// What every new connection prepares at once, so that no request pays for it.
const READ_FIRST: &[&str] = &[read::CHILD, accounts::STANDING];
/// See [`READ_FIRST`].
const WRITE_FIRST: &[&str] = &[write::ADD_VERSION];

/// The storage in one PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    place: String,
    clock: Clock,
    log_key: [u8; 32],
    pools: Arc<Pools>,
    notes: Notes,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date, which is made in an empty database.
    ///
    /// # Errors
    /// What stands in the way: see [`OpenError`].
    pub async fn open(database: &Database) -> Result<Self, OpenError> {
        Self::open_with(database, Tables::MadeIfMissing, Clock::Database).await
    }

    /// The same for a database that must have the schema already.
    ///
    /// # Errors
    /// [`OpenError::Missing`], and what [`PostgresStore::open`] says.
    pub async fn open_existing(database: &Database) -> Result<Self, OpenError> {
        Self::open_with(database, Tables::MustBeThere, Clock::Database).await
    }

    /// The same as [`PostgresStore::open`], with the clock of requests in the place of the database's:
    /// for tests that let days pass.
    ///
    /// # Errors
    /// See [`PostgresStore::open`].
    #[cfg(any(test, feature = "testing"))]
    pub async fn open_with_the_clock_of_requests(database: &Database) -> Result<Self, OpenError> {
        Self::open_with(database, Tables::MadeIfMissing, Clock::Requests).await
    }

    async fn open_with(
        database: &Database,
        tables: Tables,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let address = Address::read(database)?;
        let place = address.shown();
        let pools = Arc::new(Pools::new(&address, &tls::connector(&address.trust)?));
        let log_key = open::prepare(&pools, &place, tables).await?;
        let notes = Notes::start(Arc::clone(&pools));
        Ok(Self { place, clock, log_key, pools, notes })
    }

    /// The address as PostgreSQL's own tools take it, without a password.
    ///
    /// # Errors
    /// [`OpenError`]: the address cannot be read.
    pub fn address_for_tools(database: &Database) -> Result<String, OpenError> {
        Address::read(database).map(|address| address.for_tools())
    }

    /// Reads an address, and the files that it names, without connecting.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(database: &Database) -> Result<(), OpenError> {
        tls::connector(&Address::read(database)?.trust).map(drop)
    }

    /// Hosts and the database's name, for people.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl Store for PostgresStore {
    fn add_version(&self, request: AddVersion) -> Answer<'_, Added> {
        Box::pin(async move {
            write::add_version(&self.pools, &request, self.clock.of(request.at)).await
        })
    }

    fn child_version(
        &self,
        client: ClientId,
        parent: VersionId,
        at: Timestamp,
        bytes_max: u64,
    ) -> Answer<'_, Child> {
        Box::pin(async move {
            let (child, note) =
                read::child_version(&self.pools, client, parent, self.clock.of(at), bytes_max)
                    .await?;
            self.notes.note(note);
            Ok(child)
        })
    }

    fn add_snapshot(&self, request: AddSnapshot) -> Answer<'_, SnapshotAdded> {
        Box::pin(async move {
            write::add_snapshot(&self.pools, &request, self.clock.of(request.at)).await
        })
    }

    fn snapshot(
        &self,
        client: ClientId,
        at: Timestamp,
        bytes_max: u64,
    ) -> Answer<'_, SnapshotFound> {
        Box::pin(async move {
            let at = self.clock.of(at);
            let (found, note) = read::snapshot(&self.pools, client, at, bytes_max).await?;
            self.notes.note(note);
            Ok(found)
        })
    }

    fn head(&self, client: ClientId, at: Timestamp) -> Answer<'_, Option<Head>> {
        Box::pin(async move {
            let (head, note) = read::head(&self.pools, client, self.clock.of(at)).await?;
            self.notes.note(note);
            Ok(head)
        })
    }

    fn children(&self, request: ReadChildren) -> Answer<'_, Children> {
        Box::pin(async move {
            let (children, note) =
                read::children(&self.pools, &request, self.clock.of(request.at)).await?;
            self.notes.note(note);
            Ok(children)
        })
    }

    fn client(&self, client: ClientId) -> Answer<'_, Option<ClientFacts>> {
        Box::pin(read::client(&self.pools, client))
    }

    fn begin_round(&self, today: Day, watched: Watched) -> Answer<'_, bool> {
        Box::pin(async move { rounds::begin(&self.pools, today, watched, self.clock).await })
    }

    fn retain(&self, request: Retain) -> Answer<'_, Retained> {
        Box::pin(
            async move { retain::step(&self.pools, &request, self.clock.of(request.at)).await },
        )
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async move { Ok(read::health(&self.pools).await) })
    }

    fn log_key(&self) -> [u8; 32] {
        self.log_key
    }

    fn admin(&self) -> Option<&dyn Admin> {
        Some(self)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.notes.close().await;
            self.pools.close();
            Ok(())
        })
    }
}
