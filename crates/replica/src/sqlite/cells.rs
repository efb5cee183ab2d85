//! Reads the cells of a row that another program may have written: wrong types, wrong ids and
//! wrong JSON are errors that name table and row, never panics.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;
use tandem_core::VersionId;

use super::place::{Place, quote};
use crate::storage::{Result, StorageError};

/// A row of `table` whose first column says which row it is.
pub(super) struct Cells<'r> {
    pub(super) place: &'r Place,
    pub(super) table: &'static str,
    pub(super) row: &'r Row<'r>,
}

impl<'r> Cells<'r> {
    fn value(&self, index: usize) -> Result<ValueRef<'r>> {
        self.row.get_ref(index).map_err(|error| self.place.error("reading a row", error))
    }

    /// The error for a cell: names the table, the row and the column.
    pub(super) fn wrong(&self, index: usize, why: impl std::fmt::Display) -> StorageError {
        let key = match self.row.get_ref(0) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => "?".into(),
        };
        let name = self.row.as_ref().column_name(index).unwrap_or("?");
        let (key, why) = (quote(&key), quote(&why.to_string()));
        self.place.corrupt(format!("table {}, row {key}, column {name}: {why}", self.table))
    }

    pub(super) fn is_null(&self, index: usize) -> Result<bool> {
        Ok(matches!(self.value(index)?, ValueRef::Null))
    }

    fn text_bytes(&self, index: usize) -> Result<&'r [u8]> {
        match self.value(index)? {
            ValueRef::Text(text) => Ok(text),
            other => {
                Err(self.wrong(index, format_args!("{} where text belongs", other.data_type())))
            }
        }
    }

    pub(super) fn text(&self, index: usize) -> Result<&'r str> {
        std::str::from_utf8(self.text_bytes(index)?).map_err(|error| self.wrong(index, error))
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64> {
        match self.value(index)? {
            ValueRef::Integer(number) => Ok(number),
            other => {
                Err(self.wrong(index, format_args!("{} where a number belongs", other.data_type())))
            }
        }
    }

    pub(super) fn number<N: TryFrom<i64>>(&self, index: usize) -> Result<N> {
        let number = self.integer(index)?;
        N::try_from(number).map_err(|_| self.wrong(index, format_args!("{number} is out of range")))
    }

    /// A truth value; NULL is false, as the reference's column default has it.
    pub(super) fn truth(&self, index: usize) -> Result<bool> {
        Ok(!self.is_null(index)? && self.integer(index)? != 0)
    }

    pub(super) fn bytes(&self, index: usize) -> Result<&'r [u8]> {
        match self.value(index)? {
            ValueRef::Blob(bytes) => Ok(bytes),
            other => {
                Err(self.wrong(index, format_args!("{} where bytes belong", other.data_type())))
            }
        }
    }

    /// An id or instant written as text.
    pub(super) fn parsed<T: FromStr>(&self, index: usize) -> Result<T>
    where
        T::Err: std::fmt::Display,
    {
        self.text(index)?.parse().map_err(|error| self.wrong(index, error))
    }

    /// A version id kept as 16 bytes.
    pub(super) fn version(&self, index: usize) -> Result<VersionId> {
        let bytes = self.bytes(index)?;
        let bytes = bytes.try_into().map_err(|_| self.wrong(index, "not 16 bytes"))?;
        Ok(VersionId::from_bytes(bytes))
    }

    /// JSON, parsed straight from SQLite's page.
    pub(super) fn json<T: DeserializeOwned>(&self, index: usize) -> Result<T> {
        serde_json::from_slice(self.text_bytes(index)?).map_err(|error| self.wrong(index, error))
    }

    /// What `read` makes of a cell, none where it is NULL.
    pub(super) fn optional<T>(
        &self,
        index: usize,
        read: impl FnOnce(&Self, usize) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.is_null(index)? { Ok(None) } else { read(self, index).map(Some) }
    }
}
