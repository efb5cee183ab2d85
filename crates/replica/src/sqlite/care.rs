//! Looking after the database: copies, checks, space.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use tandem_core::TaskId;
use tandem_tasks::{LocalOperation, Task};

use super::cells::Cells;
use super::place::Place;
use super::{Reclaim, SqliteStorage, files};
use crate::storage::{Result, StorageError};

/// Problems that one check names at most.
const PROBLEMS_MAX: usize = 100;

impl SqliteStorage {
    /// Copies the database, as it is at this moment, to a new file at `path`, durably. Others may
    /// read and write it meanwhile. The copy is private (0600) and appears whole or not at all.
    ///
    /// # Errors
    /// [`StorageError::Other`] if there is something at `path`.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        copy(&self.connection, &self.place, path)
    }

    /// Moves what the write-ahead log holds into the database file and empties the log. Returns
    /// false if a reader or writer prevented that, which is no harm.
    pub fn checkpoint(&mut self) -> Result<bool> {
        let busy: i64 = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| self.place.error("emptying the log", error))?;
        Ok(busy == 0)
    }

    /// Gives space that nothing uses back to the file system; returns how many bytes the file
    /// shrank by.
    ///
    /// # Errors
    /// [`StorageError::Busy`] if others use the database, [`StorageError::DiskFull`] if a rewrite
    /// finds no room for the second copy that it makes.
    pub fn give_back_space(&mut self, how: Reclaim) -> Result<u64> {
        let before = std::fs::metadata(&self.place.path).map_or(0, |file| file.len());
        let sql = match how {
            Reclaim::FreePages => "PRAGMA incremental_vacuum",
            Reclaim::Rewrite => "VACUUM",
        };
        let run = || -> rusqlite::Result<()> {
            // One row per page that is given back: it must be stepped to its end.
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        run().map_err(|error| self.place.error("giving space back", error))?;
        // The file itself shrinks only when the log has been moved into it.
        self.checkpoint()?;
        let after = std::fs::metadata(&self.place.path).map_or(before, |file| file.len());
        Ok(before.saturating_sub(after))
    }

    /// Checks the whole database: SQLite's structures, then whether every row of the replica can
    /// be read. Returns what is wrong, in words; nothing when all is well. Reads everything.
    pub fn integrity_check(&mut self) -> Result<Vec<String>> {
        let (connection, place) = (&self.connection, &self.place);
        let mut problems = problems_found_by(connection, place, "PRAGMA integrity_check(100)")?;
        type Read = fn(&Cells<'_>) -> Result<()>;
        let tables: [(&'static str, &str, Read); 4] = [
            ("tasks", "SELECT uuid, data FROM tasks", |cells| {
                cells.parsed::<TaskId>(0)?;
                cells.json::<Task>(1).map(drop)
            }),
            ("operations", "SELECT id, data FROM operations", |cells| {
                cells.json::<LocalOperation>(1).map(drop)
            }),
            ("working_set", "SELECT id, uuid FROM working_set", |cells| {
                cells.number::<u32>(0)?;
                cells.parsed::<TaskId>(1).map(drop)
            }),
            ("tandem_base", "SELECT uuid, data FROM tandem_base", |cells| {
                cells.parsed::<TaskId>(0)?;
                cells.optional(1, Cells::json::<Task>).map(drop)
            }),
        ];
        for (table, sql, read) in tables {
            let found = unreadable_rows(connection, place, table, sql, read);
            match found {
                Ok(found) => problems.extend(found),
                Err(StorageError::Corrupt { what, .. }) => problems.push(what),
                Err(error) => return Err(error),
            }
        }
        problems.truncate(PROBLEMS_MAX);
        Ok(problems)
    }
}

fn unreadable_rows(
    connection: &Connection,
    place: &Place,
    table: &'static str,
    sql: &str,
    read: fn(&Cells<'_>) -> Result<()>,
) -> Result<Vec<String>> {
    let failed = |error| place.error("checking", error);
    let mut problems = Vec::new();
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        match read(&Cells { place, table, row }) {
            Ok(()) => {}
            Err(StorageError::Corrupt { what, .. }) => problems.push(what),
            Err(error) => return Err(error),
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    Ok(problems)
}

/// What one of SQLite's own checks says, without its "ok".
pub(super) fn problems_found_by(
    connection: &Connection,
    place: &Place,
    pragma: &str,
) -> Result<Vec<String>> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(pragma)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match check() {
        Ok(mut found) => {
            found.retain(|line| line != "ok");
            Ok(found)
        }
        // Too damaged to be checked is an answer too.
        Err(error) => match place.error("checking", error) {
            StorageError::Corrupt { what, .. } => Ok(vec![what]),
            other => Err(other),
        },
    }
}

/// Copies `source` page by page to a new file at `path`: written under another name, made durable,
/// then named.
pub(super) fn copy(source: &Connection, place: &Place, path: &Path) -> Result<()> {
    let doing = "copying the database";
    let part = files::beside(path, ".part");
    let target = Place { path: part.clone(), busy_wait: place.busy_wait };
    let taken = || std::io::Error::from(std::io::ErrorKind::AlreadyExists);
    if path.try_exists().map_err(|error| target.io_error(doing, error))? {
        let existing = Place { path: path.to_owned(), busy_wait: place.busy_wait };
        return Err(existing.io_error(doing, taken()));
    }
    // What an interrupted copy left.
    let _ = std::fs::remove_file(&part);
    let copied = (|| {
        let file = files::create_private(&part).map_err(|error| target.io_error(doing, error))?;
        drop(file);
        let mut connection = Connection::open(&part).map_err(|error| target.error(doing, error))?;
        copy_pages(source, place, &mut connection, &target)?;
        drop(connection);
        std::fs::File::open(&part)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&part, path))
            .map_err(|error| target.io_error(doing, error))
    })();
    if copied.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    files::sync_folder_of(path);
    copied
}

fn copy_pages(
    source: &Connection,
    place: &Place,
    to: &mut Connection,
    target: &Place,
) -> Result<()> {
    let doing = "copying the database";
    let backup = Backup::new(source, to).map_err(|error| target.error(doing, error))?;
    let end = std::time::Instant::now() + place.busy_wait;
    loop {
        // All pages in one step, so that a busy writer cannot make it start over for ever.
        match backup.step(-1).map_err(|error| target.error(doing, error))? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ if std::time::Instant::now() >= end => return Err(place.busy()),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
