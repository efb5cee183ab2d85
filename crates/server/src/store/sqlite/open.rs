//! Opening: the file and its modes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::copying::beside;

use super::files::{self, Owner};
use super::{reserve, rows, schema};

/// How long a write waits for another process that is writing, in milliseconds.
const BUSY_MS: u64 = 5_000;

/// Between two looks whether a database can be had.
const LOCK_REST: Duration = Duration::from_millis(10);

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
    /// What SQLite reads of it is not what SQLite wrote.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite, or our own check, says.
        what: String,
    },
    /// The database cannot be opened, read or brought up to date.
    #[error("{} cannot be used: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The disk is full.
    #[error("there is no room on the disk of {}", path.display())]
    NoRoom {
        /// The file.
        path: PathBuf,
    },
    /// An older program uses it, whose schema is not changed under its feet.
    #[error(
        "{} is in use by a program that knows the schema {found}; this one needs {known}",
        path.display()
    )]
    UsedByOlder {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The one that we need.
        known: usize,
    },
    /// SQLite cannot keep its log beside it: the file system does not allow what it takes.
    #[error("SQLite keeps no write-ahead log beside {} (but `{mode}`)", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
        /// What SQLite would do in its place.
        mode: String,
    },
    /// Somebody has it alone: a backup is brought back into it, or its schema is changed.
    #[error("{} is being replaced or brought up to date", path.display())]
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

impl OpenError {
    /// What SQLite's error means while a database is opened.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        if rows::is_full(error) || rows::has_no_shared_memory(error) {
            return Self::NoRoom { path };
        }
        let what = error.to_string();
        if rows::is_damage(error) {
            return Self::Damaged { path, what };
        }
        Self::Unusable { path, what }
    }
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

/// Who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whoever serves clients from it, for long.
    Serve,
    /// A single command, perhaps beside a server.
    Command,
}

/// Opens the database, which is made if it is not there.
pub(super) fn open_for_writing(
    folder: &Path,
    path: &Path,
    purpose: Purpose,
) -> Result<Opened, OpenError> {
    let opened = match attempt(folder, path, purpose) {
        // The shared memory beside the log takes room on the disk.
        Err(OpenError::NoRoom { .. }) if reserve::release(folder) => attempt(folder, path, purpose),
        outcome => outcome,
    }?;
    if purpose == Purpose::Serve {
        reserve::keep(folder);
    }
    Ok(opened)
}

fn attempt(folder: &Path, path: &Path, purpose: Purpose) -> Result<Opened, OpenError> {
    let no_folder = |source| OpenError::Folder { path: folder.to_owned(), source };
    files::make_folder(folder).map_err(no_folder)?;
    let lock = files::lock_file(folder).map_err(no_folder)?;
    let is_alone = use_together(&lock, folder, path, Together::OrAlone)?;
    if is_alone {
        put_in_order(folder, path)?;
        use_together(&lock, folder, path, Together::Only)?;
    }
    let connection = existing(path)?;
    schema::check_current(&connection, path)?;
    set_modes(&connection, path)?;
    if purpose == Purpose::Serve && !is_alone {
        recover(&connection, folder, path)?;
    }
    let log_key = schema::log_key(&connection, path)?;
    Ok(Opened { connection, log_key, lock })
}

/// How the lock on a database is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Together {
    /// With others, who may be there or come.
    Only,
    /// Alone if nobody else is there.
    OrAlone,
}

/// Takes the lock; whether alone. Waits for a moment while somebody else is alone.
fn use_together(
    lock: &fs::File,
    folder: &Path,
    path: &Path,
    wanted: Together,
) -> Result<bool, OpenError> {
    let failed = |source| OpenError::Folder { path: folder.to_owned(), source };
    let began = Instant::now();
    loop {
        if wanted == Together::OrAlone {
            match lock.try_lock() {
                Ok(()) => return Ok(true),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        match lock.try_lock_shared() {
            Ok(()) => return Ok(false),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        if began.elapsed() >= Duration::from_millis(BUSY_MS) {
            return Err(OpenError::BeingRestored { path: path.to_owned() });
        }
        std::thread::sleep(LOCK_REST);
    }
}

/// What may happen only while nobody else uses the database: it is made, what a crash left is
/// looked after, and an older schema is brought up to date. The connection is closed again: between
/// this and the shared lock a backup may be brought back.
fn put_in_order(folder: &Path, path: &Path) -> Result<(), OpenError> {
    files::make_file(path, Owner::Folder)
        .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    let mut connection = existing(path)?;
    let is_current = schema::check_current(&connection, path).is_ok();
    if is_current && !has_log(path) {
        return Ok(());
    }
    if schema::is_empty(&connection, path)? {
        // Before the first table there is: later it would take a VACUUM.
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(|error| OpenError::of(path, &error))?;
    }
    set_modes(&connection, path)?;
    recover(&connection, folder, path)?;
    schema::update(&mut connection, folder, path)
}

fn set_modes(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::of(path, &error);
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(unusable)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { path: path.to_owned(), mode });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(unusable)?;
    // The writer does it itself, after the answers.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(unusable)
}

fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// Moves what a crash left in the log into the database, and to the disk.
///
/// After a flush that failed the system may hold pages of the log as written that are on no disk. A
/// server that was killed then and started again would read them and answer with them, and a power
/// cut would take them back. Written anew, into the database, they are there or the flush fails.
fn recover(connection: &Connection, folder: &Path, path: &Path) -> Result<(), OpenError> {
    if !has_log(path) {
        return Ok(());
    }
    let checkpoint = || connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let outcome = match checkpoint() {
        Err(error) if rows::is_full(&error) && reserve::release(folder) => checkpoint(),
        outcome => outcome,
    };
    match outcome {
        Err(error) if rows::is_full(&error) => {
            // Reading, and making room, must go on; and it is all in the log.
            tracing::warn!(%error, "the log could not be moved into the database");
            Ok(())
        }
        outcome => outcome.map_err(|error| OpenError::of(path, &error)),
    }
}

/// A connection to a database that must be there; its schema is left as it is.
pub(super) fn existing(path: &Path) -> Result<Connection, OpenError> {
    if !path.is_file() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let unusable = |error: rusqlite::Error| OpenError::of(path, &error);
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
