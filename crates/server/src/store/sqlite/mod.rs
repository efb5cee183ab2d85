//! The embedded storage: one SQLite database in the data directory.
//!
//! ```text
//!   add_version ─┐                    BEGIN
//!   add_snapshot ┼─▶ queue ─▶ writer:  SAVEPOINT a … RELEASE   ─▶ COMMIT ─▶ all answers of the group
//!   retain ──────┘           (thread)  SAVEPOINT b … RELEASE
//!
//!   child_version, snapshot, … ─▶ readers: a connection each, WAL, never behind the writer
//! ```
//!
//! One thread writes, since SQLite has one writer anyway: what has queued up while it was at the disk
//! is the next group, with one fsync for all. Every answer of a group, refusals included, is given
//! after the group's COMMIT, because a refusal tells of what an earlier request of the same group
//! has written.
//!
//! Other processes may open the same file (a second server, an admin command): the locks of SQLite
//! keep the promises of [`Store`] between them, too.

mod accounts;
mod admin;
pub mod backup;
mod check;
mod open;
mod read;
mod readers;
mod retain;
mod rows;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::{ClientId, Timestamp, VersionId};

use super::{
    AddSnapshot, AddVersion, Added, Admin, Answer, Child, Children, ClientFacts, Head, Health,
    ReadChildren, Retain, Retained, SnapshotAdded, SnapshotFound, Store,
};
use readers::Readers;
use writer::Writer;

pub use open::OpenError;

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "tandem-server.sqlite3";

/// The storage in one SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    log_key: [u8; 32],
    writer: Writer,
    readers: Arc<Readers>,
    /// Says that the database is used, as long as this is there.
    _lock: std::fs::File,
}

impl SqliteStore {
    /// Opens or makes the database in the folder `data_dir`, which is made if it is missing, and
    /// brings an older schema up to date.
    ///
    /// # Errors
    /// What stands in the way: see [`OpenError`].
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(DATABASE_FILE);
        let open::Opened { connection, log_key, lock } = open::open_for_writing(data_dir, &path)?;
        let readers = Arc::new(Readers::new(path.clone()));
        // Whether it can be read is better known now than at the first request.
        readers
            .with(|_| Ok(()))
            .map_err(|error| OpenError::Unusable { path: path.clone(), what: error.to_string() })?;
        let writer = Writer::start(connection).map_err(|source| OpenError::Thread { source })?;
        Ok(Self { path, log_key, writer, readers, _lock: lock })
    }

    /// Opens a database that must be there already.
    ///
    /// # Errors
    /// [`OpenError::Missing`], and what [`SqliteStore::open`] says.
    pub fn open_existing(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(DATABASE_FILE);
        if path.is_file() { Self::open(data_dir) } else { Err(OpenError::Missing { path }) }
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a client was here, without waiting and without being missed: a full queue drops it.
    fn note(&self, note: Option<write::Note>) {
        if let Some(note) = note {
            self.writer.note(note);
        }
    }
}

impl Drop for SqliteStore {
    /// The writer's connection is the last: its end moves the log into the database.
    fn drop(&mut self) {
        self.readers.close();
        self.writer.end();
    }
}

impl Store for SqliteStore {
    fn add_version(&self, request: AddVersion) -> Answer<'_, Added> {
        Box::pin(async move {
            let bytes = request.segment.len();
            self.writer.ask(bytes, move |txn| write::add_version(txn, &request)).await
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
                read::child_version(&self.readers, client, parent, at, bytes_max).await?;
            self.note(note);
            Ok(child)
        })
    }

    fn add_snapshot(&self, request: AddSnapshot) -> Answer<'_, SnapshotAdded> {
        Box::pin(async move {
            let bytes = request.body.len();
            self.writer.ask(bytes, move |txn| write::add_snapshot(txn, &request)).await
        })
    }

    fn snapshot(
        &self,
        client: ClientId,
        at: Timestamp,
        bytes_max: u64,
    ) -> Answer<'_, SnapshotFound> {
        Box::pin(async move {
            let (found, note) = read::snapshot(&self.readers, client, at, bytes_max).await?;
            self.note(note);
            Ok(found)
        })
    }

    fn head(&self, client: ClientId, at: Timestamp) -> Answer<'_, Option<Head>> {
        Box::pin(async move {
            let (head, note) = self.readers.with(|txn| read::head(txn, client, at))?;
            self.note(note);
            Ok(head)
        })
    }

    fn children(&self, request: ReadChildren) -> Answer<'_, Children> {
        Box::pin(async move {
            let (children, note) =
                self.readers.with_away(move |txn| read::children(txn, &request)).await?;
            self.note(note);
            Ok(children)
        })
    }

    fn client(&self, client: ClientId) -> Answer<'_, Option<ClientFacts>> {
        Box::pin(async move { self.readers.with_away(move |txn| read::client(txn, client)).await })
    }

    fn retain(&self, request: Retain) -> Answer<'_, Retained> {
        Box::pin(async move {
            self.writer.ask(writer::RETAIN_BYTES, move |txn| retain::step(txn, &request)).await
        })
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async move {
            Ok(match self.readers.with(open::schema) {
                Err(error) => Health::Unavailable { reason: error.to_string() },
                Ok(schema) if schema != open::MIGRATIONS.len() as i64 => Health::Unavailable {
                    reason: format!("the schema is {schema} now, made by another program"),
                },
                Ok(_) => match self.writer.stopped() {
                    Some(reason) => Health::WritesStopped { reason },
                    None => Health::Ready,
                },
            })
        })
    }

    fn log_key(&self) -> [u8; 32] {
        self.log_key
    }

    fn admin(&self) -> Option<&dyn Admin> {
        Some(self)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.readers.close();
            self.writer.close().await;
            Ok(())
        })
    }
}

/// A moment as names of files have it, so that they sort by time: `20260805T101500Z`.
pub fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let digits = text.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let plain: String = digits.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    plain + "Z"
}

#[cfg(test)]
mod tests;
