//! Opening: cheap when all is as we left it, careful otherwise.
//!
//! The usual path is one connection, a handful of pragmas that stay in memory, and one row with
//! both schema numbers; it writes nothing. The other paths, each taken only when a cheap look says
//! so: the file is missing or empty (made), it is an older schema (copied, then upgraded in one
//! transaction), it lacks our tables (added in one transaction), it cannot be written (opened to
//! be read), or a log was left behind (checked).
//!
//! **The check after an unclean end.** The last program to close a SQLite database empties and
//! removes its `-wal` file, so one with content at opening means that either another program has
//! the database open now or the last one did not end cleanly. The two are told apart by asking
//! SQLite for the whole database (`locking_mode=EXCLUSIVE`), which it refuses while anybody else
//! has it open. Only if it agrees, and the database is not larger than
//! [`CHECKED_BYTES_MAX`], `quick_check` runs, on a connection of its own which, closing, removes
//! the log, so that the check is not repeated. Programs of ours close one after the other
//! ([`super::turn`]), so that two that end together do not look like one that was killed. An opening without a log pays one `stat` for this.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::place::{Place, quote};
use super::schema::{self, Standing};
use super::turn::Turn;
use super::{OpenNotes, OpenOptions, care, files};
use crate::storage::{Result, StorageError};

/// The largest database that is checked after an unclean end, in bytes: half a second's work.
/// Larger ones are checked by `ta verify`, when a person asks.
const CHECKED_BYTES_MAX: i64 = 256 * 1024 * 1024;

/// Statements that are kept prepared: more than there are different ones.
const PREPARED_MAX: usize = 128;

/// Settings of every connection; none of them changes the file. FULL makes every commit durable.
/// The size limit keeps one large import from leaving a log as large behind it.
const PRAGMAS: &str = "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; \
     PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 16777216; \
     PRAGMA wal_autocheckpoint = 8000;";

/// Opens or makes the database at `path`.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<(Connection, Place, OpenNotes)> {
    // Absolute, because SQLite takes a name that begins with `file:` for a URI and `:memory:` for
    // no file at all.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let place = Place { path: absolute, busy_wait: options.busy_wait };
    let mut notes = OpenNotes::default();
    match std::fs::metadata(&place.path) {
        Ok(metadata) => notes.warnings = files::warnings(&place, &metadata),
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && options.create
                && !options.read_only =>
        {
            if !files::create(&place)?
                && let Ok(metadata) = std::fs::metadata(&place.path)
            {
                notes.warnings = files::warnings(&place, &metadata);
            }
        }
        Err(error) => return Err(place.io_error("opening the database", error)),
    }
    if options.read_only {
        let connection = open_to_read(&place, &mut notes)?;
        return Ok((connection, place, notes));
    }
    let connection = match open_to_write(&place, &mut notes) {
        Err(error @ (StorageError::ReadOnly { .. } | StorageError::DiskFull { .. })) => {
            // Reading may still be possible; if not, the first error says more, but for half a change in
            // a file that is not ours to mend.
            notes.is_full = matches!(error, StorageError::DiskFull { .. });
            notes.stopped_by = match &error {
                StorageError::ReadOnly { file, .. } if *file != place.file() => Some(file.into()),
                _ => None,
            };
            open_to_read(&place, &mut notes).map_err(|second| match second {
                StorageError::Unfinished { .. } if !notes.is_full => second,
                _ => error,
            })?
        }
        other => other?,
    };
    Ok((connection, place, notes))
}

fn connect(place: &Place, flags: OpenFlags) -> Result<Connection> {
    connect_as(place, &place.path, flags)
}

fn connect_as(place: &Place, name: &Path, flags: OpenFlags) -> Result<Connection> {
    let failed = |error| place.error("opening the database", error);
    let connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(failed)?;
    // SQLite opens a file that cannot be written to be read. Seen before the settings: some look into
    // the file, for which shared memory is made beside it.
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE)
        && connection.is_readonly("main").unwrap_or(false)
    {
        return Err(StorageError::ReadOnly { file: place.file(), source: None });
    }
    let set_up = || -> rusqlite::Result<()> {
        connection.busy_timeout(place.busy_wait)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        connection.execute_batch(PRAGMAS)
    };
    set_up().map_err(failed)?;
    Ok(connection)
}

fn open_to_write(place: &Place, notes: &mut OpenNotes) -> Result<Connection> {
    files::open_neighbours(place)?;
    if files::has_log(&place.path) {
        notes.checked = check_after_unclean_end(place)?;
    }
    let connection = connect(place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let standing = match schema::look(&connection, place)? {
        Some(standing) => standing,
        // Looked at before anything is touched: the file may be no business of ours.
        None => schema::look_closely(&connection, place)?,
    };
    if standing == Standing::Empty {
        // Before the first table, or not at all: with it, space can be given back in small steps.
        set(&connection, place, "PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    notes.had_our_tables = standing.has_our_tables();
    use_log(&connection, place)?;
    if standing != Standing::Ready {
        settle(&connection, place, notes)?;
    }
    Ok(connection)
}

/// Switches the database to a write-ahead log unless it has one.
fn use_log(connection: &Connection, place: &Place) -> Result<()> {
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|error| place.error("reading the journal mode", error))?;
    // A file system without shared memory keeps another mode: slower, but as safe.
    if mode == "wal" { Ok(()) } else { set(connection, place, "PRAGMA journal_mode = WAL") }
}

fn set(connection: &Connection, place: &Place, pragma: &str) -> Result<()> {
    patiently(place, || connection.execute_batch(pragma))
        .map_err(|error| place.error("setting the database up", error))
}

/// Repeats what another program's lock prevents until the wait is over. SQLite waits by itself in
/// most places; this is for those where it gives up at once.
pub(super) fn patiently<T>(
    place: &Place,
    mut act: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let end = Instant::now() + place.busy_wait;
    loop {
        match act() {
            Err(error) if is_busy(&error) && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

/// Makes, completes or upgrades the tables in one transaction that looks again first, since
/// another process may be doing the same.
fn settle(connection: &Connection, place: &Place, notes: &mut OpenNotes) -> Result<()> {
    patiently(place, || connection.execute_batch("BEGIN IMMEDIATE"))
        .map_err(|error| place.error("beginning", error))?;
    let settled = schema::look_closely(connection, place).and_then(|standing| {
        if let Standing::Older(from) = &standing {
            // The transaction keeps writers out and has not changed anything yet, so a second
            // connection copies exactly what is about to be upgraded.
            notes.upgraded_copy = Some(copy_before_upgrade(place, from)?);
            notes.upgraded_from = Some(from.clone());
        }
        if standing != Standing::Ready {
            schema::bring_up_to_date(connection, place, &standing)?;
        }
        connection
            .execute_batch("COMMIT")
            .map_err(|error| place.error("making the tables", error))?;
        notes.created = standing == Standing::Empty;
        Ok(())
    });
    if settled.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    settled
}

/// Copies the database to `…before-<old schema>-<n>` with the first free `n`.
fn copy_before_upgrade(place: &Place, from: &str) -> Result<PathBuf> {
    let source = connect(place, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut number = 1u32;
    loop {
        let path = files::beside(&place.path, &format!(".before-{from}-{number}"));
        // A name that exists and cannot be looked at is as taken as any other.
        if matches!(path.try_exists(), Ok(false)) {
            care::copy(&source, place, &path)?;
            return Ok(path);
        }
        number += 1;
    }
}

/// Opens a database that cannot, or shall not, be written.
///
/// What SQLite makes beside a read-only file stays behind, read-only as the file, and keeps whatever
/// program from writing later ([`files::open_neighbours`]): where nobody writes nothing is made.
fn open_to_read(place: &Place, notes: &mut OpenNotes) -> Result<Connection> {
    notes.read_only = true;
    if files::rests(&place.path)
        && let Ok(connection) = open_unchanging(place, notes)
    {
        return Ok(connection);
    }
    let connection = connect(place, OpenFlags::SQLITE_OPEN_READ_ONLY);
    match connection.and_then(|connection| made_readable(connection, place, notes)) {
        Err(StorageError::ReadOnly { .. }) if files::has_journal(&place.path) => {
            Err(StorageError::Unfinished { file: place.file() })
        }
        Err(error @ (StorageError::ReadOnly { .. } | StorageError::DiskFull { .. }))
            if !files::has_log(&place.path) && !files::has_journal(&place.path) =>
        {
            open_unchanging(place, notes).map_err(|_| error)
        }
        other => other,
    }
}

/// Opens a database as if nobody could change it. Only without a log and a journal, for then nothing
/// is missing from the file.
///
/// A database with a write-ahead log needs shared memory beside it, which a read-only folder or a full
/// disk does not let SQLite make. Somebody with more rights could change the file while we read: we
/// may see an error then, or an old part beside a new one, but write nothing of it.
fn open_unchanging(place: &Place, notes: &mut OpenNotes) -> Result<Connection> {
    let uri = immutable_uri(&place.path)
        .ok_or_else(|| StorageError::ReadOnly { file: place.file(), source: None })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = connect_as(place, Path::new(&uri), flags);
    connection.and_then(|connection| made_readable(connection, place, notes))
}

/// The connection, if what is there can be read with the tables that we look for.
fn made_readable(
    connection: Connection,
    place: &Place,
    notes: &mut OpenNotes,
) -> Result<Connection> {
    let standing = match schema::look(&connection, place)? {
        Some(standing) => standing,
        None => schema::look_closely(&connection, place)?,
    };
    if standing == Standing::Empty {
        return Err(StorageError::NotAReplica { file: place.file() });
    }
    notes.had_our_tables = standing.has_our_tables();
    if standing != Standing::Ready {
        schema::stand_in(&connection, place, &standing)?;
    }
    Ok(connection)
}

/// The SQLite URI of a file that is taken for unchanging; none where names are not plain bytes.
fn immutable_uri(path: &Path) -> Option<String> {
    use std::fmt::Write as _;
    if !cfg!(unix) {
        return None;
    }
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            byte => write!(uri, "%{byte:02x}").ok()?,
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}

/// Checks the database that somebody left without closing it; see the head of this module.
///
/// Returns whether it was checked: not if somebody has it open, and not if it is very large.
fn check_after_unclean_end(place: &Place) -> Result<bool> {
    // Without our usual settings: they would look at the database, and the whole of it can be had
    // only by asking before the first look.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Before the probe, so that it ends after it. Nobody of ours closes meanwhile and takes the
    // probe for somebody who will remove the log.
    let _turn = Turn::take(&place.path);
    let probe = Connection::open_with_flags(&place.path, flags)
        .map_err(|error| place.error("opening the database", error))?;
    // Whoever may not write it cannot have it alone, nor take the log away.
    if probe.is_readonly("main").unwrap_or(false) {
        return Ok(false);
    }
    let ask = || -> rusqlite::Result<i64> {
        probe.busy_timeout(Duration::ZERO)?;
        // A damaged database keeps its log: whoever repairs it will want it.
        probe.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        probe.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
        probe.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(()))?;
        probe.query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )
    };
    match ask() {
        Ok(bytes) if bytes <= CHECKED_BYTES_MAX => {}
        Ok(_) => return Ok(false),
        Err(error) if is_busy(&error) => return Ok(false),
        Err(error) => return Err(place.error("opening the database", error)),
    }
    if !files::has_log(&place.path) {
        // Its last user was just closing it, and has finished: that was a clean end.
        let _ = probe.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        return Ok(false);
    }
    let problems = care::problems_found_by(&probe, place, "PRAGMA quick_check(3)")?;
    if !problems.is_empty() {
        return Err(place.corrupt(quote(&problems.join("; "))));
    }
    // Now the log may go, as it would have at a clean end.
    let _ = probe.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    Ok(true)
}
