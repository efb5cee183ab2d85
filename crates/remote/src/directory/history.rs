//! The tables of the reference's local server, and ours beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};
use tandem_core::{VersionId, limits};
use tandem_tasks::session::{DirectoryTrouble, Failure};

use super::file;

/// The reference's tables, exactly as it makes them (`protocols/taskchampion.md` section 12). The
/// column type `STRING` means NUMERIC to SQLite, which dashed ids and BLOBs pass unchanged.
const TABLES: &str = "\
    CREATE TABLE IF NOT EXISTS data (key STRING PRIMARY KEY, value STRING);
    CREATE TABLE IF NOT EXISTS versions \
        (version_id STRING PRIMARY KEY, parent_version_id STRING, data STRING);";

/// Ours. The index finds the first version without reading the table; the row `first_version_id`
/// keeps the directory's identity where that is not enough (a history adopted in its middle), and
/// keeps it stable if the first version itself is ever found to be an orphan. `tandem_orphan` has
/// the versions that were taken off the real table: no real program walks onto them there, and a
/// replica of ours that stands on one, or on one after it, still learns what it was.
const OURS: &str = "\
    CREATE INDEX IF NOT EXISTS tandem_versions_by_parent ON versions (parent_version_id);
    CREATE TABLE IF NOT EXISTS tandem_directory (key TEXT PRIMARY KEY, value TEXT);
    CREATE TABLE IF NOT EXISTS tandem_orphan \
        (version_id TEXT PRIMARY KEY, parent_version_id TEXT NOT NULL, data BLOB);";

const LATEST: &str = "SELECT value FROM data WHERE key = 'latest_version_id'";
const SET_LATEST: &str =
    "INSERT OR REPLACE INTO data (key, value) VALUES ('latest_version_id', ?1)";
const PARENT: &str = "SELECT parent_version_id FROM versions WHERE version_id = ?1";
const SEGMENT: &str = "\
    SELECT octet_length(data), CASE WHEN octet_length(data) <= ?2 THEN data END \
    FROM versions WHERE version_id = ?1";
const ADD: &str = "INSERT INTO versions (version_id, parent_version_id, data) VALUES (?1, ?2, ?3)";
const PUT_ASIDE: &str = "\
    INSERT OR REPLACE INTO tandem_orphan (version_id, parent_version_id, data) \
    SELECT version_id, parent_version_id, data FROM versions WHERE version_id = ?1";
const REMOVE: &str = "DELETE FROM versions WHERE version_id = ?1";
const PARENT_ASIDE: &str = "SELECT parent_version_id FROM tandem_orphan WHERE version_id = ?1";
const SEGMENT_ASIDE: &str = "\
    SELECT octet_length(data), CASE WHEN octet_length(data) <= ?2 THEN data END \
    FROM tandem_orphan WHERE version_id = ?1";
const WITHOUT_PARENT: &str =
    "SELECT version_id FROM versions WHERE parent_version_id = ?1 ORDER BY rowid LIMIT 1";
const NOTED_FIRST: &str = "SELECT value FROM tandem_directory WHERE key = 'first_version_id'";
const NOTE_FIRST: &str =
    "INSERT OR REPLACE INTO tandem_directory (key, value) VALUES ('first_version_id', ?1)";

/// SQLite's cache for this file; negative, since that is how it is told KiB instead of pages.
const CACHE_KIB: i32 = -512;

/// The open database.
#[derive(Debug)]
pub(super) struct History {
    connection: Connection,
    path: PathBuf,
    /// The reference's tables are there; until then the history is empty.
    has_tables: bool,
    /// Ours are there too.
    has_ours: bool,
}

/// Why a transaction did not succeed.
#[derive(Debug)]
pub(super) enum CommitError {
    /// It was rolled back.
    NotDone(Failure),
    /// The disk failed in the middle of the commit; only a look at the file will tell.
    PerhapsDone(Failure),
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        Self::NotDone(failure)
    }
}

impl History {
    /// Opens an existing file. The journal mode stays as whoever made the file chose it (the
    /// reference leaves SQLite's default).
    pub(super) fn open(path: &Path, busy_wait: Duration) -> Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(busy_wait)?;
            // Told that a version is stored, a replica forgets its operations: so it must be.
            connection.pragma_update(None, "synchronous", "FULL")?;
            // Segments are read and written once: a large cache would only hold what nobody asks for.
            connection.pragma_update(None, "cache_size", CACHE_KIB)?;
            // The file may come from anybody; its schema runs no code of ours.
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| unusable(path, &error))?;
        let mut history =
            Self { connection, path: path.to_owned(), has_tables: false, has_ours: false };
        history.look_for_tables()?;
        Ok(history)
    }

    /// Runs `work` on one unchanging view of the file.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.execute("BEGIN")?;
        let result = work(self);
        let ended = self.execute("COMMIT");
        if ended.is_err() && !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        result
    }

    /// Runs `work` as the only writer and makes its changes durable, all or none.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, CommitError> {
        self.execute("BEGIN IMMEDIATE")?;
        let result = work(self);
        let done = match result {
            Ok(done) => done,
            Err(failure) => {
                self.roll_back();
                return Err(failure.into());
            }
        };
        match self.execute("COMMIT") {
            Ok(()) => Ok(done),
            // Still open: a reader was in the way, and the file has not been touched.
            Err(failure) if !self.connection.is_autocommit() => {
                self.roll_back();
                Err(failure.into())
            }
            Err(failure) => Err(CommitError::PerhapsDone(failure)),
        }
    }

    /// Makes what is missing of the tables, within a [`Self::write`].
    pub(super) fn prepare(&mut self) -> Result<(), Failure> {
        if !(self.has_tables && self.has_ours) {
            // Another process may have been first since this file was opened.
            self.look_for_tables()?;
        }
        if !self.has_tables {
            self.execute(TABLES)?;
        }
        if !self.has_ours {
            self.execute(OURS)?;
        }
        (self.has_tables, self.has_ours) = (true, true);
        Ok(())
    }

    /// The latest version, nil if there is none.
    pub(super) fn latest(&mut self) -> Result<VersionId, Failure> {
        if !self.has_tables {
            self.look_for_tables()?;
            if !self.has_tables {
                return Ok(VersionId::NIL);
            }
        }
        Ok(self.id(LATEST, &[])?.unwrap_or_default())
    }

    /// The parent of a stored version, put aside or not; none if it is not stored.
    pub(super) fn parent_of(&self, version: VersionId) -> Result<Option<VersionId>, Failure> {
        let parent = self.id(PARENT, &[&version.to_string()])?;
        if parent.is_none() && self.has_ours {
            return self.id(PARENT_ASIDE, &[&version.to_string()]);
        }
        Ok(parent)
    }

    /// The plain segment of a version, from a BLOB as the reference writes it or from a text.
    pub(super) fn segment(&self, version: VersionId) -> Result<Vec<u8>, Failure> {
        let bytes_max = limits::SEALED_BYTES_MAX as u64;
        let find = |sql| {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement
                .query_row(params![version.to_string(), bytes_max.cast_signed()], |row| {
                    let bytes = row.get::<_, Option<i64>>(0)?.map(i64::cast_unsigned);
                    let plain = match row.get_ref(1)? {
                        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes.to_vec()),
                        _ => None,
                    };
                    Ok((bytes, plain))
                })
                .optional()
        };
        let row = match find(SEGMENT) {
            Ok(None) if self.has_ours => find(SEGMENT_ASIDE),
            row => row,
        };
        match row.map_err(|error| unusable(&self.path, &error))? {
            Some((_, Some(plain))) => Ok(plain),
            Some((Some(bytes), None)) if bytes > bytes_max => {
                Err(Failure::TooLarge { what: format!("version {version}"), bytes_max })
            }
            Some((_, None)) => {
                Err(Failure::Malformed { version, what: "its row holds no segment".to_owned() })
            }
            None => {
                let what = format!("version {version} is not there any more");
                Err(self.failure(DirectoryTrouble::Other, &what))
            }
        }
    }

    /// Stores a version and makes it the latest, within a [`Self::write`].
    pub(super) fn add(
        &mut self,
        version: VersionId,
        parent: VersionId,
        segment: &[u8],
    ) -> Result<(), Failure> {
        let (id, parent) = (version.to_string(), parent.to_string());
        let is_first = self.latest()?.is_nil();
        let result = || {
            self.connection.prepare_cached(ADD)?.execute(params![id, parent, segment])?;
            self.connection.prepare_cached(SET_LATEST)?.execute([&id])
        };
        result().map_err(|error| unusable(&self.path, &error))?;
        if is_first { self.note_first(version) } else { Ok(()) }
    }

    /// Takes a version off the real table if it is there, within a [`Self::write`] and after
    /// [`Self::prepare`].
    pub(super) fn put_aside(&self, version: VersionId) -> Result<(), Failure> {
        let run = |sql| self.connection.prepare_cached(sql)?.execute([version.to_string()]);
        run(PUT_ASIDE)
            .and_then(|_| run(REMOVE))
            .map(drop)
            .map_err(|error| unusable(&self.path, &error))
    }

    /// The number of stored versions.
    pub(super) fn count(&self) -> Result<u64, Failure> {
        if !self.has_tables {
            return Ok(0);
        }
        self.connection
            .query_row("SELECT count(*) FROM versions", [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(|error| unusable(&self.path, &error))
    }

    /// The version that names the directory, where that can be said without a walk: the noted one,
    /// or the oldest row that has the nil parent. Two such rows are the leftover of a race for the
    /// first version; the older one is chosen whichever won, so that the name does not change.
    ///
    /// # Cost
    /// Also without our index one row, since a history usually begins with its first.
    pub(super) fn first_version(&self) -> Result<Option<VersionId>, Failure> {
        if self.has_ours
            && let Some(noted) = self.id(NOTED_FIRST, &[])?
        {
            return Ok(Some(noted));
        }
        self.id(WITHOUT_PARENT, &[&VersionId::NIL.to_string()])
    }

    /// Notes the version that names the directory, within a [`Self::write`] and after
    /// [`Self::prepare`].
    pub(super) fn note_first(&self, first: VersionId) -> Result<(), Failure> {
        self.connection
            .prepare_cached(NOTE_FIRST)
            .and_then(|mut statement| statement.execute([first.to_string()]))
            .map(drop)
            .map_err(|error| unusable(&self.path, &error))
    }

    fn look_for_tables(&mut self) -> Result<(), Failure> {
        let query = || {
            let mut statement = self.connection.prepare("SELECT name FROM sqlite_schema")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            names.collect::<Result<Vec<_>, _>>()
        };
        let names = query().map_err(|error| unusable(&self.path, &error))?;
        let has = |name: &str| names.iter().any(|known| known == name);
        if !names.is_empty() && !has("data") && !has("versions") {
            let what = "it is a database of something else";
            return Err(self.failure(DirectoryTrouble::NotAHistory, what));
        }
        self.has_tables = has("data") && has("versions");
        self.has_ours =
            ["tandem_directory", "tandem_versions_by_parent", "tandem_orphan"].into_iter().all(has);
        Ok(())
    }

    /// The id that a query finds, if it finds a row.
    fn id(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Option<VersionId>, Failure> {
        let text = self.connection.prepare_cached(sql).and_then(|mut statement| {
            statement.query_row(params, |row| row.get::<_, String>(0)).optional()
        });
        let text = text.map_err(|error| unusable(&self.path, &error))?;
        text.map(|text| self.parse_id(&text)).transpose()
    }

    fn parse_id(&self, text: &str) -> Result<VersionId, Failure> {
        text.parse().map_err(|error| {
            self.failure(DirectoryTrouble::Damaged, &format!("it is damaged: {error}"))
        })
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.connection.execute_batch(sql).map_err(|error| unusable(&self.path, &error))
    }

    /// Ends a failed transaction. Tables made in it are gone, so what is known of them is, too.
    fn roll_back(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        (self.has_tables, self.has_ours) = (false, false);
    }

    fn failure(&self, trouble: DirectoryTrouble, what: &str) -> Failure {
        Failure::Directory { trouble, what: format!("{}: {what}", self.path.display()) }
    }
}

/// Says what is wrong with the file in words of ours where SQLite's would not help.
fn unusable(path: &Path, error: &rusqlite::Error) -> Failure {
    let (trouble, what) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => (DirectoryTrouble::NotAHistory, "it is not a database"),
        Some(ErrorCode::DatabaseCorrupt) => (DirectoryTrouble::Damaged, "the database is damaged"),
        Some(ErrorCode::ReadOnly) => return file::cannot_be_written(path),
        Some(ErrorCode::PermissionDenied) => (DirectoryTrouble::Permission, "no permission"),
        Some(ErrorCode::DiskFull) => (DirectoryTrouble::Full, "the disk is full"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (DirectoryTrouble::Held, "another program holds it")
        }
        Some(ErrorCode::CannotOpen) => match std::fs::File::open(path) {
            // The system says why; SQLite does not.
            Err(error) => return file::unusable(path, &error),
            Ok(_) => (DirectoryTrouble::Other, "it cannot be opened"),
        },
        _ => {
            let what = format!("{}: {error}", path.display());
            return Failure::Directory { trouble: DirectoryTrouble::Other, what };
        }
    };
    Failure::Directory { trouble, what: format!("{}: {what}", path.display()) }
}

#[cfg(test)]
impl History {
    /// Lets the file grow to so many pages only, as a full disk does.
    pub(super) fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).expect("a known pragma");
    }

    /// Refuses every change, as a read-only disk does.
    pub(super) fn refuse_writes(&self) {
        self.connection.pragma_update(None, "query_only", true).expect("a known pragma");
    }
}
