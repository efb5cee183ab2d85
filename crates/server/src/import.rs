//! Taking over the database of the reference's server, `taskchampion-sync-server.sqlite3`.
//!
//! The original is never opened: a copy of its files is. What is in the copy is offered to our own
//! storage, version by version in the order of each chain, as their clients once did; so a run that
//! was cut off is simply repeated, and one that is repeated changes nothing.
//!
//! # Source
//! `protocols/taskchampion.md` section 17 for the tables.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _};
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::SnapshotTargets;

use crate::copying::{self, CopyError, Head};
use crate::store::{AddSnapshot, AddVersion, Added, Child, Store, StoreError};

mod work;

use work::WorkFolder;

/// The name of the reference's database.
pub const REFERENCE_FILE: &str = "taskchampion-sync-server.sqlite3";

/// Why nothing, or not all, could be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is no such file.
    #[error("{} is no database of taskchampion-sync-server", path.display())]
    NotTheReferences {
        /// What was named.
        path: PathBuf,
    },
    /// The files cannot be copied.
    #[error("{} cannot be copied", path.display())]
    Copy {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Somebody writes to it.
    #[error("{} changes while it is copied", path.display())]
    Changing {
        /// Which.
        path: PathBuf,
    },
    /// The copy cannot be read.
    #[error("{} cannot be read: {what}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// Our storage does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Which.
    pub client: ClientId,
    /// What became of it.
    pub outcome: Outcome,
    /// Versions of its chain in the original.
    pub versions: u64,
    /// Versions that were new here.
    pub added: u64,
    /// Rows of the original that are on no way to its latest version, and stay out.
    pub left_out: u64,
    /// Whether the original's snapshot is here now.
    pub snapshot: SnapshotOutcome,
}

/// See [`Imported::outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of its chain is here, and was before or is now.
    Here,
    /// It has no version, and is made by its first.
    Empty,
    /// Another history is here under the same client id. Nothing was changed.
    Differs,
    /// Its chain is broken in the original. Nothing was changed.
    Broken,
}

/// See [`Imported::snapshot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotOutcome {
    /// There was none.
    None,
    /// It is here, or a newer one.
    Here,
    /// It shows no version of the chain nor the one before its first, and stays out.
    LeftOut,
}

/// A client of the original.
struct Theirs {
    client: ClientId,
    latest: VersionId,
    snapshot: Option<(VersionId, i64)>,
}

/// A copy of the original, removed when this is dropped.
#[derive(Debug)]
pub struct Original {
    // Closed before the folder goes.
    connection: Option<Connection>,
    #[expect(dead_code, reason = "it removes the copy when it is dropped")]
    work: WorkFolder,
    named: PathBuf,
}

impl Original {
    /// The file that `path` names: itself, or the reference's in that folder. For whoever would make
    /// something first that a slip in a name should not leave behind.
    ///
    /// # Errors
    /// [`ImportError::NotTheReferences`] if there is none, or it is plainly no database;
    /// [`ImportError::Copy`] if it cannot be read.
    pub fn find(path: &Path) -> Result<PathBuf, ImportError> {
        let named = if path.is_dir() { path.join(REFERENCE_FILE) } else { path.to_owned() };
        if named.is_file() {
            let head = Head::read(&named);
            let head = head.map_err(|source| ImportError::Copy { path: named.clone(), source })?;
            if head.is_sqlite() {
                return Ok(named);
            }
        }
        Err(ImportError::NotTheReferences { path: named })
    }

    /// Copies the database that `path` names (the file, or its folder) to a folder inside
    /// `work_dir`, and opens the copy.
    ///
    /// # Errors
    /// What stands in the way; the original is as it was.
    pub fn open(path: &Path, work_dir: &Path) -> Result<Self, ImportError> {
        let named = Self::find(path)?;
        let failed = |source| ImportError::Copy { path: named.clone(), source };
        let work = WorkFolder::make(work_dir).map_err(failed)?;
        let copy = work.path().join("copy");
        copying::copy_database(&named, &copy).map_err(|error| match error {
            CopyError::File(source) => failed(source),
            CopyError::Changing => ImportError::Changing { path: named.clone() },
        })?;
        let mut original = Self { connection: None, work, named };
        let unreadable = |error: rusqlite::Error| ImportError::Unreadable {
            path: original.named.clone(),
            what: error.to_string(),
        };
        let connection = Connection::open(&copy).map_err(unreadable)?;
        connection.pragma_update(None, "trusted_schema", false).map_err(unreadable)?;
        let tables: rusqlite::Result<i64> = connection.query_row(
            "SELECT count(*) FROM sqlite_schema
             WHERE type = 'table' AND name IN ('clients', 'versions')",
            [],
            |row| row.get(0),
        );
        if !tables.is_ok_and(|count| count == 2) {
            return Err(ImportError::NotTheReferences { path: original.named.clone() });
        }
        let sound: String = connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(unreadable)?;
        if sound != "ok" {
            return Err(ImportError::Unreadable { path: original.named.clone(), what: sound });
        }
        original.connection = Some(connection);
        Ok(original)
    }

    /// Offers everything to our storage; `told` hears of each client.
    ///
    /// # Errors
    /// The first thing that is in the way; what is here already stays, and the next run goes on.
    pub async fn import(
        &self,
        store: &Arc<dyn Store>,
        now: Timestamp,
        mut told: impl FnMut(Imported),
    ) -> Result<(), ImportError> {
        let Some(connection) = &self.connection else { return Ok(()) };
        for theirs in self.read(|| clients(connection))? {
            told(self.client(connection, store, &theirs, now).await?);
        }
        Ok(())
    }

    async fn client(
        &self,
        connection: &Connection,
        store: &Arc<dyn Store>,
        theirs: &Theirs,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        let client = theirs.client;
        let (chain, rows) = self.read(|| chain(connection, theirs))?;
        let snapshot = match theirs.snapshot {
            None => SnapshotOutcome::None,
            Some(_) => SnapshotOutcome::LeftOut,
        };
        let (versions, outcome) = (chain.as_ref().map_or(0, Vec::len) as u64, Outcome::Here);
        let left_out = rows - versions;
        let mut imported = Imported { client, outcome, versions, added: 0, left_out, snapshot };
        let Some(chain) = chain else {
            return Ok(Imported { outcome: Outcome::Broken, ..imported });
        };
        if chain.is_empty() {
            return Ok(Imported { outcome: Outcome::Empty, ..imported });
        }
        let from = match store.head(client, now).await? {
            None => Some(0),
            Some(head) if head.latest.is_nil() => Some(0),
            // Ours is a beginning of theirs, or theirs of ours.
            Some(head) => match chain.iter().position(|(_, version)| *version == head.latest) {
                Some(place) => Some(place + 1),
                None => match store.child_version(client, theirs.latest, now, 0).await? {
                    Child::Found(_) | Child::TooLarge { .. } => None,
                    _ => return Ok(Imported { outcome: Outcome::Differs, ..imported }),
                },
            },
        };
        for (parent, version) in chain.iter().skip(from.unwrap_or(chain.len())) {
            let segment = self.read(|| segment(connection, theirs, *version))?;
            let request = AddVersion {
                client,
                parent: *parent,
                version: *version,
                segment,
                at: now,
                targets: SnapshotTargets::default(),
                may_create: true,
            };
            match store.add_version(request).await? {
                Added::Accepted { .. } => imported.added += 1,
                // Somebody wrote here meanwhile: the next run will see it.
                _ => return Ok(Imported { outcome: Outcome::Differs, ..imported }),
            }
            if theirs.snapshot.is_some_and(|(snapshot, _)| snapshot == *version) {
                // Now, while it is among the newest: a run that is cut off has it, and a storage
                // that takes no other takes it.
                self.snapshot(connection, store, theirs, now).await?;
            }
        }
        // A history that was trimmed begins right after its snapshot's version.
        let is_on_chain = |snapshot| {
            chain.iter().any(|(parent, version)| [*parent, *version].contains(&snapshot))
        };
        if theirs.snapshot.is_some_and(|(snapshot, _)| is_on_chain(snapshot)) {
            // Ours may have a newer one already.
            if !has_snapshot(store, client, now).await? {
                self.snapshot(connection, store, theirs, now).await?;
            }
            if has_snapshot(store, client, now).await? {
                imported.snapshot = SnapshotOutcome::Here;
            }
        }
        Ok(imported)
    }

    async fn snapshot(
        &self,
        connection: &Connection,
        store: &Arc<dyn Store>,
        theirs: &Theirs,
        now: Timestamp,
    ) -> Result<(), ImportError> {
        let Some((version, seconds)) = theirs.snapshot else { return Ok(()) };
        let Some(body) = self.read(|| snapshot_body(connection, theirs))? else { return Ok(()) };
        // When it was stored decides what may go, and when the next one is asked for.
        let at = Timestamp::from_seconds(seconds).min(now);
        let request = AddSnapshot { client: theirs.client, version, body, at };
        // Whether it was taken is looked at afterwards.
        match store.admin() {
            Some(admin) => admin.import_snapshot(request).await?,
            // As from a client: a storage that operators cannot ask takes the newest ones.
            None => store.add_snapshot(request).await?,
        };
        Ok(())
    }

    fn read<T>(&self, question: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, ImportError> {
        question().map_err(|error| ImportError::Unreadable {
            path: self.named.clone(),
            what: error.to_string(),
        })
    }
}

async fn has_snapshot(
    store: &Arc<dyn Store>,
    client: ClientId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(store.head(client, now).await?.is_some_and(|head| head.snapshot.is_some()))
}

fn id<T: std::str::FromStr>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| {
        let bad = || {
            let what = "it is no id".into();
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what)
        };
        text.parse().map_err(|_| bad())
    })
    .transpose()
}

fn clients(connection: &Connection) -> rusqlite::Result<Vec<Theirs>> {
    connection
        .prepare(
            "SELECT client_id, latest_version_id, snapshot_version_id, snapshot_timestamp,
                 snapshot IS NOT NULL
             FROM clients ORDER BY client_id",
        )?
        .query_map([], |row| {
            let client = id(row, 0)?.ok_or(rusqlite::Error::InvalidQuery)?;
            let (version, at): (Option<VersionId>, Option<i64>) = (id(row, 2)?, row.get(3)?);
            let has_body: bool = row.get(4)?;
            Ok(Theirs {
                client,
                latest: id(row, 1)?.unwrap_or(VersionId::NIL),
                snapshot: version.zip(at).filter(|(version, _)| has_body && !version.is_nil()),
            })
        })?
        .collect()
}

/// Parent and version.
type Link = (VersionId, VersionId);

/// The chain that ends at the latest version, oldest first, and how many rows the client has. None
/// if it runs in a circle or its latest version is missing.
fn chain(connection: &Connection, theirs: &Theirs) -> rusqlite::Result<(Option<Vec<Link>>, u64)> {
    let mut statement = connection.prepare_cached(
        "SELECT version_id, parent_version_id FROM versions WHERE client_id = ?1",
    )?;
    let rows = statement.query_map([theirs.client.to_string()], |row| {
        let missing = || rusqlite::Error::InvalidQuery;
        Ok((id(row, 0)?.ok_or_else(missing)?, id(row, 1)?.unwrap_or(VersionId::NIL)))
    })?;
    let parents: HashMap<VersionId, VersionId> = rows.collect::<rusqlite::Result<_>>()?;
    let (mut chain, mut version) = (Vec::new(), theirs.latest);
    while let Some(parent) = parents.get(&version) {
        if chain.len() == parents.len() {
            return Ok((None, parents.len() as u64));
        }
        chain.push((*parent, version));
        version = *parent;
    }
    chain.reverse();
    let is_whole = !chain.is_empty() || theirs.latest.is_nil();
    Ok((is_whole.then_some(chain), parents.len() as u64))
}

fn segment(
    connection: &Connection,
    theirs: &Theirs,
    version: VersionId,
) -> rusqlite::Result<Bytes> {
    connection
        .prepare_cached(
            "SELECT history_segment FROM versions WHERE version_id = ?1 AND client_id = ?2",
        )?
        .query_row([version.to_string(), theirs.client.to_string()], |row| {
            row.get::<_, Vec<u8>>(0).map(Bytes::from)
        })
}

fn snapshot_body(connection: &Connection, theirs: &Theirs) -> rusqlite::Result<Option<Bytes>> {
    connection
        .query_row(
            "SELECT snapshot FROM clients WHERE client_id = ?1",
            [theirs.client.to_string()],
            |row| row.get::<_, Vec<u8>>(0).map(Bytes::from),
        )
        .optional()
}

#[cfg(test)]
mod tests;
