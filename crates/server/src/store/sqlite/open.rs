//! Opening: the file, its modes, and the migrations of its schema.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};

/// How long a write waits for another process that is writing, in milliseconds.
const BUSY_MS: u64 = 5_000;

/// Marks the file as ours: "TaSv".
const APPLICATION_ID: i32 = 0x5461_5376;

/// What the write-ahead log is cut back to once its content is in the database, in bytes.
const LOG_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// What brings the schema from one version to the next, by `user_version`. Only ever added to.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("sql/0001_first.sql"), include_str!("sql/0002_accounts.sql")];

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
    /// Held as long as the database is used: see [`lock_file`].
    pub(super) lock: fs::File,
}

/// Opens the database.
pub(super) fn open_for_writing(folder: &Path, path: &Path) -> Result<Opened, OpenError> {
    let no_folder = |source| OpenError::Folder { path: folder.to_owned(), source };
    make_folder(folder).map_err(no_folder)?;
    let lock = lock_file(folder).map_err(no_folder)?;
    lock.try_lock_shared().map_err(|error| match error {
        fs::TryLockError::WouldBlock => OpenError::BeingRestored { path: path.to_owned() },
        fs::TryLockError::Error(source) => no_folder(source),
    })?;
    let unusable = |error: rusqlite::Error| OpenError::Unusable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    make_file(path).map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
    prepare(&connection).map_err(unusable)?;
    check_ours(&connection, path)?;
    // Before the first table there is: later it would take a VACUUM.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(unusable)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(unusable)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(unusable)?;
    // The writer does it itself, after the answers.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(unusable)?;
    copy_before_migration(&connection, folder, path)?;
    migrate(&mut connection, path)?;
    let log_key = log_key(&mut connection, path)?;
    Ok(Opened { connection, log_key, lock })
}

/// The file whose lock says that the database is used: shared by everybody who uses it, held alone
/// by whoever replaces it. It is never removed.
pub(super) fn lock_file(folder: &Path) -> io::Result<fs::File> {
    let path = folder.join("tandem-server.lock");
    make_file(&path)?;
    fs::OpenOptions::new().read(true).write(true).open(path)
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
    check_ours(&connection, path)?;
    Ok(connection)
}

/// Before an older schema is changed, a copy of everything is made in the folder `backups`.
fn copy_before_migration(
    connection: &Connection,
    folder: &Path,
    path: &Path,
) -> Result<(), OpenError> {
    let found = schema(connection)
        .map_err(|error| OpenError::Unusable { path: path.to_owned(), what: error.to_string() })?;
    if !(1..MIGRATIONS.len()).contains(&usize::try_from(found).unwrap_or(0)) {
        return Ok(());
    }
    let moment = super::moment(crate::server::system_now());
    let copied = super::backup::copy(connection, &folder.join("backups"), &moment)
        .map_err(|error| OpenError::NoCopy { what: error.to_string() })?;
    tracing::info!(copy = %copied.path.display(), schema = found, "copied before the schema changes");
    Ok(())
}

/// The version of the schema that a database has.
pub(super) fn schema(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
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

/// Client ids are credentials: the folder is for its owner alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// SQLite gives its other files the mode of this one.
pub(super) fn make_file(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

pub(super) fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let not_ours = || OpenError::NotOurs { path: path.to_owned() };
    let look = |pragma: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, pragma, |row| row.get(0))
    };
    let id = look("application_id").map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => not_ours(),
        _ => OpenError::Unusable { path: path.to_owned(), what: error.to_string() },
    })?;
    let unusable = |error: rusqlite::Error| OpenError::Unusable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let is_empty = look("schema_version").map_err(unusable)? == 0;
    if id == i64::from(APPLICATION_ID) || (id == 0 && is_empty) { Ok(()) } else { Err(not_ours()) }
}

/// All migrations that are missing, in one transaction: a kill in between leaves the old schema.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::Unusable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let txn =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unusable)?;
    let found = schema(&txn).map_err(unusable)?;
    let known = MIGRATIONS.len();
    let missing = match usize::try_from(found) {
        Ok(done) if done <= known => &MIGRATIONS[done..],
        _ => return Err(OpenError::TooNew { path: path.to_owned(), found, known }),
    };
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        txn.execute_batch(migration).map_err(unusable)?;
    }
    txn.pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))
        .map_err(unusable)?;
    txn.pragma_update(None, "application_id", APPLICATION_ID).map_err(unusable)?;
    txn.commit().map_err(unusable)
}

/// The key by which client ids are shortened in logs, made at the first start.
fn log_key(connection: &mut Connection, path: &Path) -> Result<[u8; 32], OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::Unusable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let txn =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unusable)?;
    let stored = txn
        .query_row("SELECT value FROM facts WHERE name = 'log_key'", [], |row| row.get(0))
        .optional()
        .map_err(unusable)?;
    if let Some(key) = stored {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| OpenError::NoRandomness { what: error.to_string() })?;
    txn.execute("INSERT INTO facts (name, value) VALUES ('log_key', ?1)", [&key])
        .map_err(unusable)?;
    txn.commit().map_err(unusable)?;
    Ok(key)
}
