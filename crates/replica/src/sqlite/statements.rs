//! What every call of a transaction is made of: beginning, one statement, its rows, going back.

use rusqlite::{Connection, Params, Row};

use super::cells::Cells;
use super::open;
use super::place::Place;
use crate::storage::{Result, StorageError, Txn};

const READING: &str = "reading";
pub(super) const WRITING: &str = "writing";

/// A transaction; taken back when dropped.
pub(super) struct SqliteTxn<'a> {
    pub(super) connection: &'a Connection,
    pub(super) place: &'a Place,
    writable: bool,
    /// The number of rows in `tandem_applied`, once it has been counted.
    pub(super) applied_count: Option<u64>,
}

impl<'a> SqliteTxn<'a> {
    /// Begins a transaction that may write, after those of others.
    pub(super) fn write(connection: &'a Connection, place: &'a Place) -> Result<Box<dyn Txn + 'a>> {
        open::patiently(place, || connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]))
            .map_err(|error| place.error("beginning", error))?;
        Ok(Box::new(Self { connection, place, writable: true, applied_count: None }))
    }

    /// Begins a transaction that reads the state of this moment.
    pub(super) fn read(connection: &'a Connection, place: &'a Place) -> Result<Box<dyn Txn + 'a>> {
        let begin = || connection.prepare_cached("BEGIN")?.execute([]);
        begin().map_err(|error| place.error("beginning", error))?;
        let txn = Self { connection, place, writable: false, applied_count: None };
        // The state is fixed by the first read, not by BEGIN.
        txn.one("sqlite_schema", "SELECT 1 FROM main.sqlite_schema LIMIT 1", [], |_| Ok(()))?;
        Ok(Box::new(txn))
    }

    /// Runs a statement that changes rows; returns how many.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        if !self.writable {
            return Err(StorageError::ReadOnly {
                file: self.place.file(),
                source: Some("the transaction was begun to read".into()),
            });
        }
        self.still_open()?;
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        run().map_err(|error| self.place.error(WRITING, error))
    }

    /// Some errors (a full disk) make SQLite take the whole transaction back at once. What a
    /// careless caller wrote after that would each be a transaction of its own.
    pub(super) fn still_open(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            return Err(self.place.other(WRITING, "the transaction was taken back after an error"));
        }
        Ok(())
    }

    /// Visits the rows of a query.
    pub(super) fn each(
        &self,
        table: &'static str,
        sql: &str,
        params: impl Params,
        mut visit: impl FnMut(&Cells<'_>) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| self.place.error(READING, error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            visit(&self.cells(table, row))?;
        }
        Ok(())
    }

    fn cells<'r>(&'r self, table: &'static str, row: &'r Row<'r>) -> Cells<'r> {
        Cells { place: self.place, table, row }
    }

    pub(super) fn many<T>(
        &self,
        table: &'static str,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Cells<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(table, sql, params, |cells| {
            all.push(read(cells)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first row of a query.
    pub(super) fn one<T>(
        &self,
        table: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Cells<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let failed = |error| self.place.error(READING, error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        match rows.next().map_err(failed)? {
            Some(row) => read(&self.cells(table, row)).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn count(&self, table: &'static str, sql: &str) -> Result<u64> {
        let count = self.one(table, sql, [], |cells| cells.number(0))?;
        Ok(count.unwrap_or(0))
    }

    /// Stores a row with a number of its own; 0 asks for a new one. Returns the number.
    pub(super) fn put(&self, id: i64, sql: &str, params: impl Params) -> Result<i64> {
        self.run(sql, params)?;
        Ok(if id == 0 { self.connection.last_insert_rowid() } else { id })
    }
}

impl Drop for SqliteTxn<'_> {
    fn drop(&mut self) {
        // After a commit there is nothing left to take back. If it fails the connection is broken
        // beyond what could be done here, and the next BEGIN will say so.
        if !self.connection.is_autocommit() {
            let roll_back = || self.connection.prepare_cached("ROLLBACK")?.execute([]);
            let _ = roll_back();
        }
    }
}
