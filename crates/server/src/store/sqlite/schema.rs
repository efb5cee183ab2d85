//! The schema: whose it is, how new it is, and what brings it up to date.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::rounds::Rounds;

use crate::copying::Head;

use super::facts;
use super::files::{self, Owner};
use super::open::OpenError;

/// Marks the file as ours: "TaSv".
const APPLICATION_ID: i32 = 0x5461_5376;

/// What brings the schema from one version to the next, by `user_version`. Only ever added to.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("sql/0001_first.sql"),
    include_str!("sql/0002_accounts.sql"),
    include_str!("sql/0003_ids_once.sql"),
];

/// Whether a file is none of ours, as far as its first bytes tell. Ours is marked with its first
/// table; until that is moved there from a log, the mark may be in the log alone.
pub(super) fn is_foreign(head: &Head, has_log: bool) -> bool {
    let id = head.application_id();
    !head.is_sqlite() || !(id == APPLICATION_ID || (id == 0 && has_log))
}

pub(super) fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let not_ours = || OpenError::NotOurs { path: path.to_owned() };
    let id = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0));
    let id = id.map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => not_ours(),
        _ => OpenError::of(path, &error),
    })?;
    let is_ours = id == i64::from(APPLICATION_ID) || (id == 0 && is_empty(connection, path)?);
    if is_ours { Ok(()) } else { Err(not_ours()) }
}

/// Whether nothing was ever made in it.
pub(super) fn is_empty(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let changes = connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0));
    Ok(changes.map_err(|error| OpenError::of(path, &error))? == 0)
}

/// Whether the schema is the one that this program works with.
pub(super) fn check_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = version(connection).map_err(|error| OpenError::of(path, &error))?;
    let (path, known) = (path.to_owned(), MIGRATIONS.len());
    match usize::try_from(found) {
        Ok(found) if found == known => Ok(()),
        Ok(older) if older < known => Err(OpenError::UsedByOlder { path, found, known }),
        _ => Err(OpenError::TooNew { path, found, known }),
    }
}

/// Whether the schema is one that this program knows, or can bring up to date.
pub(super) fn check_known(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match check_current(connection, path) {
        Err(OpenError::UsedByOlder { .. }) => Ok(()),
        outcome => outcome,
    }
}

/// Brings an older schema up to date, after a copy of everything was made. For whoever has the
/// database alone.
pub(super) fn update(
    connection: &mut Connection,
    folder: &Path,
    path: &Path,
) -> Result<(), OpenError> {
    match check_current(connection, path) {
        Err(OpenError::UsedByOlder { .. }) => {}
        outcome => return outcome,
    }
    copy_before_migration(connection, folder, path)?;
    migrate(connection, path)
}

/// The version of the schema that a database has.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))
}

/// The same, after a look at what a small question reads of the file: its header, all of the schema, a
/// row of a table and one of an index.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<i64> {
    let mut rows = connection.prepare(
        "SELECT client_id FROM clients WHERE id = (SELECT max(id) FROM clients)
         UNION ALL SELECT parent FROM versions
             WHERE id = (SELECT max(id) FROM versions)",
    )?;
    let mut rows = rows.query([])?;
    while rows.next()?.is_some() {}
    version(connection)
}

/// Before an older schema is changed, a copy of everything is made in the folder `backups`.
fn copy_before_migration(
    connection: &Connection,
    folder: &Path,
    path: &Path,
) -> Result<(), OpenError> {
    let found = version(connection).map_err(|error| OpenError::of(path, &error))?;
    if !(1..MIGRATIONS.len()).contains(&usize::try_from(found).unwrap_or(0)) {
        return Ok(());
    }
    let moment = super::moment(crate::server::system_now());
    let copies = folder.join("backups");
    let no_copy = |what: String| OpenError::NoCopy { what };
    files::make_inner_folder(&copies).map_err(|error| no_copy(error.to_string()))?;
    let copied = super::backup::copy(connection, &copies, Owner::Folder, &moment)
        .map_err(|error| no_copy(error.to_string()))?;
    tracing::info!(copy = %copied.path.display(), schema = found, "copied before the schema changes");
    Ok(())
}

/// All migrations that are missing, in one transaction: a kill in between leaves the old schema.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::of(path, &error);
    // Tables that are made anew are away for a moment, with rows that refer to them.
    connection.pragma_update(None, "foreign_keys", false).map_err(unusable)?;
    let outcome = migrate_unwatched(connection, path);
    connection.pragma_update(None, "foreign_keys", true).map_err(unusable)?;
    outcome
}

fn migrate_unwatched(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::of(path, &error);
    let txn =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unusable)?;
    let found = version(&txn).map_err(unusable)?;
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
    if found == 0 {
        // Nothing can go yet: no date is doubted later because none was known.
        let today = Day::of(crate::server::system_now());
        facts::save_rounds(&txn, Rounds::from(today)).map_err(unusable)?;
    }
    let dangling = txn.prepare("PRAGMA foreign_key_check").and_then(|mut rows| rows.exists([]));
    if dangling.map_err(unusable)? {
        let what = "rows refer to others that are not there; bring a backup back".to_owned();
        return Err(OpenError::Unusable { path: path.to_owned(), what });
    }
    txn.pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))
        .map_err(unusable)?;
    txn.pragma_update(None, "application_id", APPLICATION_ID).map_err(unusable)?;
    txn.commit().map_err(unusable)
}

/// The key by which client ids are shortened in logs, made at the first start.
pub(super) fn log_key(connection: &Connection, path: &Path) -> Result<[u8; 32], OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::of(path, &error);
    // Read first: only the very first start needs to write.
    if let Some(key) = facts::log_key(connection).map_err(unusable)? {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| OpenError::NoRandomness { what: error.to_string() })?;
    // Of two that start at once the first has made it.
    facts::offer_log_key(connection, key).map_err(unusable)
}
