//! Which schema a file has, and the way from every older one to ours.
//!
//! Two numbers live in the file: TaskChampion's, in the table `version`, and that of our own tables
//! beside, in `tandem_meta`. In both a higher major number means "hands off" and a higher minor one
//! is fine. The two oldest schemas have no number and are known by their columns.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use super::place::{Place, quote};
use crate::storage::{Result, StorageError};

/// TaskChampion's schema that we read and write.
const OURS: (i64, i64) = (0, 2);
/// The schema of our own tables: 1.1 added `tandem_applied.mark`, 1.2 `tandem_applied.sent`.
const TANDEM: (i64, i64) = (1, 2);
/// What older tables of ours lack: table, column, declaration, and what stands in for a value.
const ADDED: [(&str, &str, &str, &str); 2] = [
    ("tandem_applied", "mark", "INTEGER NOT NULL DEFAULT 0", "0"),
    ("tandem_applied", "sent", "TEXT", "NULL"),
];
/// The key of our own schema number in `tandem_meta`; its value is `major.minor`.
pub(super) const TANDEM_SCHEMA_KEY: &str = "tandem_schema";

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything is there.
    Ready,
    /// No table at all: new, or its creation was interrupted.
    Empty,
    /// A replica of the current schema without our tables.
    Foreign,
    /// Our tables are of an older minor schema.
    Behind,
    /// A replica of an older schema, called so.
    Older(String),
}

impl Standing {
    /// True if `ta` has used the file before.
    pub(super) fn has_our_tables(&self) -> bool {
        matches!(self, Self::Ready | Self::Behind)
    }
}

/// Looks at the two schema numbers only: what opening costs on the usual path.
///
/// Answers none when more must be looked at.
pub(super) fn look(connection: &Connection, place: &Place) -> Result<Option<Standing>> {
    let row = connection
        .query_row(include_str!("sql/look.sql"), [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<String>>(2)?))
        })
        .optional();
    match row {
        Ok(Some((major, minor, Some(tandem)))) => {
            refuse_newer(place, major, minor)?;
            let tandem = read_tandem(place, &tandem)?;
            Ok(((major, minor) >= OURS && tandem >= TANDEM).then_some(Standing::Ready))
        }
        Ok(_) => Ok(None),
        // A table or column is missing, or a number is none: the long look tells.
        Err(rusqlite::Error::SqlInputError { .. } | rusqlite::Error::InvalidColumnType(..)) => {
            Ok(None)
        }
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => Ok(None),
        Err(error) => Err(place.error("looking at the schema", error)),
    }
}

fn refuse_newer(place: &Place, major: i64, minor: i64) -> Result<()> {
    if major > OURS.0 {
        return Err(StorageError::TooNew { file: place.file(), major, minor });
    }
    Ok(())
}

/// The number of our own schema, if it is not of a later major version.
fn read_tandem(place: &Place, schema: &str) -> Result<(i64, i64)> {
    let number = schema
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<i64>().ok()?, minor.parse::<i64>().ok()?)));
    match number {
        Some((major, minor)) if major > TANDEM.0 => {
            Err(StorageError::TooNew { file: place.file(), major, minor })
        }
        Some(number) => Ok(number),
        None => Err(place.corrupt(format!("table tandem_meta: `{}` is no schema", quote(schema)))),
    }
}

/// The tables of a file with their columns, in lower case.
struct Tables(BTreeMap<String, BTreeSet<String>>);

impl Tables {
    fn load(connection: &Connection, place: &Place) -> Result<Self> {
        let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
        let mut look = || -> rusqlite::Result<()> {
            let mut statement = connection.prepare(include_str!("sql/columns.sql"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                tables.entry(row.get(0)?).or_default().insert(row.get(1)?);
            }
            Ok(())
        };
        look().map_err(|error| place.error("looking at the tables", error))?;
        Ok(Self(tables))
    }

    fn has(&self, table: &str, columns: &[&str]) -> bool {
        self.0.get(table).is_some_and(|known| columns.iter().all(|&column| known.contains(column)))
    }

    /// True if there is such a table and it has no such column.
    fn lacks(&self, table: &str, column: &str) -> bool {
        self.0.get(table).is_some_and(|known| !known.contains(column))
    }

    /// True if a table has a name that is neither TaskChampion's nor ours.
    fn has_strangers(&self) -> bool {
        self.0.keys().any(|name| {
            !matches!(
                name.as_str(),
                "operations" | "sync_meta" | "tasks" | "working_set" | "version"
            ) && !name.starts_with("tandem_")
        })
    }
}

/// Looks at all tables and columns.
///
/// # Errors
/// [`StorageError::NotAReplica`] and [`StorageError::TooNew`].
pub(super) fn look_closely(connection: &Connection, place: &Place) -> Result<Standing> {
    let tables = Tables::load(connection, place)?;
    let version = if tables.has("version", &["singleton", "major", "minor"]) {
        connection
            .query_row("SELECT major, minor FROM main.version", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()
            .map_err(|error| match error {
                rusqlite::Error::InvalidColumnType(..) => {
                    place.corrupt("table version: its numbers are none".to_owned())
                }
                error => place.error("reading the schema version", error),
            })?
    } else {
        None
    };
    if let Some((major, minor)) = version {
        // Before anything else: a later major version may have other tables.
        refuse_newer(place, major, minor)?;
    }
    if tables.0.is_empty() {
        return Ok(Standing::Empty);
    }
    let complete = tables.has("operations", &["id", "data"])
        && tables.has("sync_meta", &["key", "value"])
        && tables.has("tasks", &["uuid", "data"])
        && tables.has("working_set", &["id", "uuid"]);
    if !complete {
        // Known names only: the reference was interrupted while it made its tables one by one.
        if tables.has_strangers() || !tables.has("operations", &["id", "data"]) {
            return Err(StorageError::NotAReplica { file: place.file() });
        }
    }
    let columns_are_new = tables.has("operations", &["synced", "uuid"]);
    match version {
        Some(version) if complete && columns_are_new && version >= OURS => {}
        Some((major, minor)) => return Ok(Standing::Older(format!("{major}.{minor}"))),
        None if columns_are_new => return Ok(Standing::Older("0.9".into())),
        None => return Ok(Standing::Older("0.8".into())),
    }
    if !tables.has("tandem_meta", &["key", "value"]) {
        return Ok(Standing::Foreign);
    }
    let tandem: Option<String> = connection
        .query_row(
            "SELECT value FROM main.tandem_meta WHERE key = ?1",
            [TANDEM_SCHEMA_KEY],
            |row| row.get(0),
        )
        .optional()
        .map_err(|error| place.error("reading our schema version", error))?;
    match tandem {
        Some(schema) if read_tandem(place, &schema)? >= TANDEM => Ok(Standing::Ready),
        Some(_) => Ok(Standing::Behind),
        None => Ok(Standing::Foreign),
    }
}

/// Makes or completes everything, within the caller's transaction.
///
/// Every step looks whether it is needed, so it brings a file from any older schema, from an
/// interrupted creation by another program, or from nothing, to ours; doing it twice changes
/// nothing.
pub(super) fn bring_up_to_date(
    connection: &Connection,
    place: &Place,
    from: &Standing,
) -> Result<()> {
    let run = |sql: &str| {
        connection.execute_batch(sql).map_err(|error| place.error("making the tables", error))
    };
    if matches!(from, Standing::Empty | Standing::Older(_)) {
        run(include_str!("sql/replica_tables.sql"))?;
        let tables = Tables::load(connection, place)?;
        if !tables.has("operations", &["synced"]) {
            run(include_str!("sql/add_synced.sql"))?;
        }
        if tables.has("operations", &["uuid"]) {
            // Up to (0,1) the column's JSON paths stood in double quotes, which only a SQLite
            // built to take them as strings can read. The column is virtual: nothing is copied.
            run(
                "DROP INDEX IF EXISTS operations_by_uuid; ALTER TABLE operations DROP COLUMN uuid;",
            )?;
        }
        run(include_str!("sql/add_uuid.sql"))?;
        run(include_str!("sql/replica_indexes.sql"))?;
    }
    let tables = Tables::load(connection, place)?;
    for (table, column, declaration, _) in ADDED {
        if tables.lacks(table, column) {
            run(&format!("ALTER TABLE {table} ADD COLUMN {column} {declaration};"))?;
        }
    }
    run(include_str!("sql/tandem_tables.sql"))?;
    // The reference numbers by id alone; looking a task's number up would read the whole set.
    run("CREATE INDEX IF NOT EXISTS tandem_working_set_by_uuid ON working_set (uuid);")
}

/// Stands in, for this connection only, for what a file lacks that cannot be written.
pub(super) fn stand_in(connection: &Connection, place: &Place, from: &Standing) -> Result<()> {
    let run = |sql: &str| {
        connection.execute_batch(sql).map_err(|error| place.error("standing in for tables", error))
    };
    if let Standing::Older(_) = from {
        let tables = Tables::load(connection, place)?;
        if !tables.has("operations", &["synced", "uuid"]) {
            run(include_str!("sql/old_operations_view.sql"))?;
        }
    }
    if *from == Standing::Behind {
        let tables = Tables::load(connection, place)?;
        let lacking = ADDED.iter().filter(|(table, column, ..)| tables.lacks(table, column));
        let columns: String =
            lacking.map(|(_, column, _, value)| format!(", {value} AS {column}")).collect();
        return run(&format!(
            "CREATE TEMP TABLE tandem_applied AS SELECT *{columns} FROM main.tandem_applied;"
        ));
    }
    let tables = include_str!("sql/tandem_tables.sql");
    run(&tables.replace("CREATE TABLE", "CREATE TEMP TABLE"))
}
