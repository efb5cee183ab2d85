//! The embedded storage: one SQLite database in the data directory.
//!
//! ```text
//!   add_version ─┐ alone: here                  BEGIN
//!   add_snapshot ┼────────────────▶ the desk:   SAVEPOINT a … RELEASE   ─▶ COMMIT ─▶ all answers
//!   retain ──────┘ queue ─▶ thread              SAVEPOINT b … RELEASE
//!
//!   child_version, snapshot, … ─▶ readers: a connection each, WAL, never behind the writer
//! ```
//!
//! One writes at a time, since SQLite has one writer anyway: a request that finds nobody before it, or
//! the thread, for which what has queued up meanwhile is the next group, with one fsync for all. Every
//! answer of a group, refusals included, is given after the group's COMMIT, because a refusal tells of
//! what an earlier request of the same group has written.
//!
//! Other processes may open the same file (a second server, an admin command): the locks of SQLite
//! keep the promises of [`Store`] between them, too.

mod accounts;
mod admin;
pub mod backup;
mod check;
mod facts;
mod files;
mod group;
mod open;
mod read;
mod readers;
mod reserve;
pub mod restore;
mod retain;
mod rows;
mod schema;
mod snapshots;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::rounds::Watched;

use super::{
    AddSnapshot, AddVersion, Added, Admin, Answer, Child, Children, ClientFacts, Head, Health,
    ReadChildren, Retain, Retained, SnapshotAdded, SnapshotFound, Store, StoreError,
};
use open::Purpose;
use readers::Readers;
use rusqlite::Connection;
use writer::Writer;

pub use open::OpenError;

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "tandem-server.sqlite3";

/// The storage in one SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    folder: PathBuf,
    log_key: [u8; 32],
    writer: Writer,
    readers: Arc<Readers>,
    /// Says that the database is used, as long as this is there.
    _lock: std::fs::File,
}

impl SqliteStore {
    /// Opens or makes the database in the folder `data_dir`, which is made if it is missing, to serve
    /// clients from it. An older schema is brought up to date if nobody else uses it.
    ///
    /// # Errors
    /// What stands in the way: see [`OpenError`].
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_for(data_dir, Purpose::Serve)
    }

    /// The same for a single command, which may run beside a server.
    ///
    /// # Errors
    /// What [`SqliteStore::open`] says.
    pub fn open_or_make(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_for(data_dir, Purpose::Command)
    }

    fn open_for(data_dir: &Path, purpose: Purpose) -> Result<Self, OpenError> {
        let path = data_dir.join(DATABASE_FILE);
        let open::Opened { connection, log_key, lock } =
            open::open_for_writing(data_dir, &path, purpose)?;
        let folder = data_dir.to_owned();
        let readers = Arc::new(Readers::new(path.clone()));
        // Whether it can be read is better known now than at the first request.
        readers.with(|_| Ok(())).map_err(|error| {
            let path = path.clone();
            match error {
                StoreError::Damaged { what } => OpenError::Damaged { path, what },
                error => OpenError::Unusable { path, what: error.to_string() },
            }
        })?;
        let writer = Writer::start(connection, Arc::clone(readers.damage()))
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Self { path, folder, log_key, writer, readers, _lock: lock })
    }

    /// The same for a command to which a database must be there already.
    ///
    /// # Errors
    /// [`OpenError::Missing`], and what [`SqliteStore::open`] says.
    pub fn open_existing(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(DATABASE_FILE);
        if path.is_file() { Self::open_or_make(data_dir) } else { Err(OpenError::Missing { path }) }
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has something written.
    async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.ask(bytes, work).await
    }

    /// Has something written that makes room. On a full disk that takes the room put by for it.
    async fn make_room<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.write(group::RETAIN_BYTES, work.clone()).await {
            Err(StoreError::Full) if reserve::release(&self.folder) => {
                self.write(group::RETAIN_BYTES, work).await
            }
            outcome => outcome,
        }
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
            self.write(bytes, move |txn| write::add_version(txn, &request)).await
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
            self.write(bytes, move |txn| write::add_snapshot(txn, &request)).await
        })
    }

    fn snapshot(
        &self,
        client: ClientId,
        at: Timestamp,
        bytes_max: u64,
    ) -> Answer<'_, SnapshotFound> {
        Box::pin(async move {
            // Snapshots are large: on a thread that may wait for the disk.
            let question = move |txn: &Connection| read::snapshot(txn, client, at, bytes_max);
            let (found, note) = self.readers.with_away(question).await?;
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

    fn begin_round(&self, today: Day, watched: Watched) -> Answer<'_, bool> {
        Box::pin(async move {
            reserve::keep(&self.folder);
            self.make_room(move |txn| facts::begin_round(txn, today, watched)).await
        })
    }

    fn retain(&self, request: Retain) -> Answer<'_, Retained> {
        Box::pin(async move { self.make_room(move |txn| retain::step(txn, &request)).await })
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async move {
            let looked = self.readers.with_fresh(schema::look);
            if let Some(reason) = self.readers.damage().found() {
                return Ok(Health::Damaged { reason });
            }
            Ok(match looked {
                Err(error) => Health::Unavailable { reason: error.to_string() },
                Ok(found) if found != schema::MIGRATIONS.len() as i64 => Health::Unavailable {
                    reason: format!("the schema is {found} now, made by another program"),
                },
                Ok(_) => match self.writer.stopped() {
                    Some(StoreError::Stopped { reason }) => Health::WritesStopped { reason },
                    Some(why) => Health::Damaged { reason: why.to_string() },
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
