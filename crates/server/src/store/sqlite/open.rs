//! Opening: the file and its modes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{files, schema};

/// How long a write waits for another process that is writing, in milliseconds.
const BUSY_MS: u64 = 5_000;

/// What the write-ahead log is cut back to once its content is in the database, in bytes.
const LOG_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made or used.
    #[error("the folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is a database of another program.
    #[error("{} is not a database of this server", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program has made it.
    #[error("{} has the schema {found}, this program knows {known}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest that we know.
        known: usize,
    },
    /// The database cannot be opened, read or brought up to date.
    #[error("{} cannot be used: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// A backup is being brought back into it.
    #[error("{} is being replaced by a backup", path.display())]
    BeingRestored {
        /// The file.
        path: PathBuf,
    },
    /// There is none yet.
    #[error("there is no database {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The copy that is made before the schema changes could not be made.
    #[error("the copy before the change of schema could not be made: {what}")]
    NoCopy {
        /// What stood in the way.
        what: String,
    },
    /// No random numbers can be had.
    #[error("no random numbers can be had: {what}")]
    NoRandomness {
        /// The cause.
        what: String,
    },
    /// The system starts no thread for the writer.
    #[error("no thread can be started")]
    Thread {
        /// The cause.
        source: io::Error,
    },
}

/// A database that is open.
pub(super) struct Opened {
    /// The connection of the writer.
    pub(super) connection: Connection,
    /// The installation's key for logs.
    pub(super) log_key: [u8; 32],
    /// Held as long as the database is used: see [`files::lock_file`].
    pub(super) lock: fs::File,
}

/// Opens the database.
pub(super) fn open_for_writing(folder: &Path, path: &Path) -> Result<Opened, OpenError> {
    let no_folder = |source| OpenError::Folder { path: folder.to_owned(), source };
    files::make_folder(folder).map_err(no_folder)?;
    let lock = files::lock_file(folder).map_err(no_folder)?;
    lock.try_lock_shared().map_err(|error| match error {
        fs::TryLockError::WouldBlock => OpenError::BeingRestored { path: path.to_owned() },
        fs::TryLockError::Error(source) => no_folder(source),
    })?;
    let unusable = |error: rusqlite::Error| OpenError::Unusable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    files::make_file(path)
        .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
    prepare(&connection).map_err(unusable)?;
    schema::check_ours(&connection, path)?;
    // Before the first table there is: later it would take a VACUUM.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(unusable)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(unusable)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(unusable)?;
    // The writer does it itself, after the answers.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(unusable)?;
    schema::copy_before_migration(&connection, folder, path)?;
    schema::migrate(&mut connection, path)?;
    let log_key = schema::log_key(&mut connection, path)?;
    Ok(Opened { connection, log_key, lock })
}

/// A connection to a database that must be there; its schema is left as it is.
pub(super) fn existing(path: &Path) -> Result<Connection, OpenError> {
    if !path.is_file() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let unusable = |error: rusqlite::Error| OpenError::Unusable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
    prepare(&connection).map_err(unusable)?;
    schema::check_ours(&connection, path)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    // A plan does not depend on the values bound to it. Otherwise SQLite (built with STAT4) makes the
    // plan of a kept statement anew for each of its values, which cost more than the answer itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What a bad file could say in its schema is not believed.
    connection.pragma_update(None, "trusted_schema", false)
}
