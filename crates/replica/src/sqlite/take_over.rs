//! Taking over all that another database holds, into an empty one, in one transaction.
//!
//! In the file that is there, not by another file in its place: a program that has the database
//! open at that moment goes on in the same one, and what it writes is kept.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::place::Place;
use super::statements::SqliteTxn;
use super::{SqliteStorage, open};
use crate::storage::Result;

const DOING: &str = "taking another replica over";

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenOver {
    /// Everything is here now.
    Done,
    /// This database is not empty, and was left as it is.
    NotEmpty {
        /// How many tasks it holds.
        tasks: u64,
    },
}

impl SqliteStorage {
    /// Makes this database, if nothing was ever written to it, hold what the one at `source`
    /// holds: tasks, log, base, working set and our own tables.
    ///
    /// `source` must have our schema (open it once, to be written) and be nobody else's meanwhile:
    /// it is locked, though not changed. Costs what a copy costs, through the log.
    ///
    /// # Errors
    /// [`StorageError`](crate::StorageError), also if a later TaskChampion has put into it what this schema has no place
    /// for; nothing was changed then.
    pub fn take_over(&mut self, source: &Path) -> Result<TakenOver> {
        let (connection, place) = (&self.connection, &self.place);
        if self.read_only {
            return Err(self.cannot_write());
        }
        let failed = |error| place.error(DOING, error);
        let name = source.to_str().ok_or_else(|| {
            place.other(DOING, "the name of the folder is not UTF-8 text, which SQLite needs here")
        })?;
        open::patiently(place, || connection.execute("ATTACH ?1 AS source", [name]))
            .map_err(failed)?;
        let taken = take(connection, place);
        let detached = connection.execute_batch("DETACH source").map_err(failed);
        taken.and_then(|taken| detached.map(|()| taken))
    }
}

fn take(connection: &Connection, place: &Place) -> Result<TakenOver> {
    let mut txn = SqliteTxn::write(connection, place)?;
    let tasks = txn.task_count()?;
    // Operations that are gone again count too: their numbers are remembered by others.
    if tasks > 0 || !txn.base_version()?.is_nil() || txn.last_operation_id()?.is_some() {
        return Ok(TakenOver::NotEmpty { tasks });
    }
    let failed = |error| place.error(DOING, error);
    if let Some(unknown) = unknown_here(connection).map_err(failed)? {
        let what = format!(
            "a later TaskChampion has put `{unknown}` into it, which cannot be taken along; use \
             its folder as it is: `ta config set data_dir FOLDER`"
        );
        return Err(place.other(DOING, what));
    }
    copy_tables(connection).map_err(failed)?;
    txn.commit()?;
    Ok(TakenOver::Done)
}

/// A column of `source` that this database does not have: a later minor version of the schema.
fn unknown_here(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT t.name || '.' || c.name \
         FROM source.sqlite_schema AS t, pragma_table_xinfo(t.name, 'source') AS c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name, 'main') AS ours \
                         WHERE ours.name = c.name) \
         LIMIT 1";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}

/// Within the caller's transaction. The version stays that of the tables that are here.
fn copy_tables(connection: &Connection) -> rusqlite::Result<()> {
    // What both have, without columns that are worked out.
    let columns = "SELECT t.name, group_concat('\"' || c.name || '\"', ', ') \
         FROM main.sqlite_schema AS t, pragma_table_xinfo(t.name, 'main') AS c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND c.hidden = 0 \
         AND t.name <> 'version' \
         AND t.name IN (SELECT name FROM source.sqlite_schema WHERE type = 'table') \
         GROUP BY t.name";
    let mut statement = connection.prepare(columns)?;
    let tables: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (table, columns) in tables {
        connection.execute_batch(&format!(
            "DELETE FROM main.\"{table}\"; \
             INSERT INTO main.\"{table}\" ({columns}) SELECT {columns} FROM source.\"{table}\";"
        ))?;
    }
    // Numbers that were given are never given again.
    connection.execute_batch(
        "DELETE FROM main.sqlite_sequence; \
         INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM source.sqlite_sequence;",
    )
}
