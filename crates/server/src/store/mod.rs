//! What a server keeps for its clients, as one trait over whole operations of the protocol.
//!
//! [`Store`] says what every storage promises; `conformance` (feature `testing`) shows that one
//! keeps it; [`SqliteStore`] is the embedded default, `PostgresStore` (feature `postgres`) the one that
//! many nodes share. The decisions are not here: a storage asks
//! `tandem_tasks::serve` inside its transaction and writes what that says.

pub mod admin;
mod answer;
pub mod check;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod conformance_admin;
mod damage;
mod error;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::serve::retention::{Day, Rules};
use tandem_tasks::serve::rounds::Watched;

pub use admin::Admin;
pub use answer::{
    Added, Child, Children, ClientFacts, Head, Health, Retained, SnapshotAdded, SnapshotFacts,
    SnapshotFound, StoredSnapshot, StoredVersion,
};
pub use error::StoreError;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// The answer of a storage, when it comes.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where the histories of all clients are kept.
///
/// # What every storage promises
/// * **Each call is one transaction**, and sees the whole effect of earlier ones or nothing of them:
///   of two calls that answer one after the other the second sees the first. Reading calls see one
///   moment. There is no call that spans two clients.
/// * **Compare and swap on the client's latest version.** [`Store::add_version`] reads the latest
///   version and replaces it under a lock of that client, in one transaction with the new version;
///   of any number of offers after one parent, over any number of connections, processes or nodes,
///   at most one is accepted. A second guard (unique child of a parent) stands behind.
/// * **An answer is durable.** `Ok` comes only after what it tells is on disk; a refusal, too, since
///   it tells of what another has written.
/// * **An error says what is known.** Of the errors only [`StoreError::Unknown`] leaves open whether
///   the change was made; after the others it certainly was not. No outcome that is open is ever
///   told as a conflict.
/// * **Dropping an answer** before it came does not call the operation back: it may be carried out or
///   not, as after a lost connection.
/// * **Reading never waits for writing.**
/// * **The chain is whole at every commit**: the versions of a client are one unbranched chain without
///   a hole that ends at its latest, and either begins with a child of nil, or both stored snapshots
///   lie where every later version is there, or the history was adopted in the middle.
/// * Bodies are kept byte for byte and never looked into.
///
/// Clocks and randomness are the caller's: instants and new version ids come with the request.
///
/// # Cost
/// Every call depends on what it moves, not on what is stored, [`Store::retain`] excepted, which is
/// bounded by its request.
pub trait Store: fmt::Debug + Send + Sync {
    /// Offers a version. An unknown client is made by its first, if the request says that it may.
    fn add_version(&self, request: AddVersion) -> Answer<'_, Added>;

    /// The version after `parent`. Of a body of more than `bytes_max` only the length is told, and
    /// none of it is read. Notes (without waiting, and at most a few times a day for a client) that the
    /// client was here, and which position it asked for.
    fn child_version(
        &self,
        client: ClientId,
        parent: VersionId,
        at: Timestamp,
        bytes_max: u64,
    ) -> Answer<'_, Child>;

    /// Offers a snapshot. One that is not wanted is passed over.
    fn add_snapshot(&self, request: AddSnapshot) -> Answer<'_, SnapshotAdded>;

    /// The newest snapshot. Of a body of more than `bytes_max` only the length is told, and none of
    /// it is read.
    fn snapshot(
        &self,
        client: ClientId,
        at: Timestamp,
        bytes_max: u64,
    ) -> Answer<'_, SnapshotFound>;

    /// Where the client's history ends, and its newest snapshot's version. None for an unknown
    /// client.
    fn head(&self, client: ClientId, at: Timestamp) -> Answer<'_, Option<Head>>;

    /// Versions after `parent`, in a row, as many as fit into the bounds and at least one if there is
    /// one that is not too large. All of one moment. Notes what [`Store::child_version`] notes.
    fn children(&self, request: ReadChildren) -> Answer<'_, Children>;

    /// What is known of a client, bodies apart. None for an unknown one.
    fn client(&self, client: ClientId) -> Answer<'_, Option<ClientFacts>>;

    /// Notes that a round of [`Store::retain`] begins today, and says whether history may go in it:
    /// `tandem_tasks::serve::rounds` over what was noted before. Callers ask once an hour.
    ///
    /// A storage that takes the day from a clock of its own, and not from those who ask, doubts that
    /// one. Where many ask, an hour that all of them have watched is one.
    fn begin_round(&self, today: Day, watched: Watched) -> Answer<'_, bool>;

    /// Lets old history go, a bounded step at a time, and gives its space back.
    ///
    /// Looks at some clients after `request.after` and carries out the plan of
    /// `tandem_tasks::serve::retention` for them until the step is full. Safe to be interrupted,
    /// repeated and run from several nodes at once.
    fn retain(&self, request: Retain) -> Answer<'_, Retained>;

    /// Whether the storage takes reads and writes at present.
    fn health(&self) -> Answer<'_, Health>;

    /// 32 random bytes that this installation made once and keeps: with them client ids are
    /// shortened for logs, alike on every node and after every start. Free.
    fn log_key(&self) -> [u8; 32];

    /// What an operator asks, where the storage knows it already.
    fn admin(&self) -> Option<&dyn Admin> {
        None
    }

    /// Finishes what was asked and closes. Later calls answer [`StoreError::Unavailable`].
    fn close(&self) -> Answer<'_, ()>;
}

/// A version that a client offers.
#[derive(Debug, Clone)]
pub struct AddVersion {
    /// Whose history.
    pub client: ClientId,
    /// After which version.
    pub parent: VersionId,
    /// The id that it gets if it is accepted: random, never used before.
    pub version: VersionId,
    /// Its body, not empty.
    pub segment: Bytes,
    /// Now.
    pub at: Timestamp,
    /// When snapshots are asked for.
    pub targets: SnapshotTargets,
    /// Whether an unknown client may be made.
    pub may_create: bool,
}

/// A snapshot that a client offers.
#[derive(Debug, Clone)]
pub struct AddSnapshot {
    /// Whose history.
    pub client: ClientId,
    /// Which version it shows.
    pub version: VersionId,
    /// Its body, not empty.
    pub body: Bytes,
    /// Now.
    pub at: Timestamp,
}

/// Asks for versions in a row.
#[derive(Debug, Clone, Copy)]
pub struct ReadChildren {
    /// Whose history.
    pub client: ClientId,
    /// After which version.
    pub parent: VersionId,
    /// The most that come at once.
    pub count_max: u32,
    /// The most bytes of bodies that come at once, the first version apart.
    pub bytes_max: u64,
    /// The most bytes of the first version's body; if it has more, only its length is told.
    pub first_bytes_max: u64,
    /// Now.
    pub at: Timestamp,
}

/// One step of letting history go.
#[derive(Debug, Clone, Copy)]
pub struct Retain {
    /// How long history is kept.
    pub rules: Rules,
    /// Now.
    pub at: Timestamp,
    /// Where the step before ended ([`Retained::next`]); none to begin with the first client.
    pub after: Option<i64>,
    /// The most clients that are looked at.
    pub clients_max: u32,
    /// The most versions that are removed.
    pub versions_max: u32,
}
