//! Cells: ids as 16 bytes, numbers that are never negative, and errors of SQLite as ours.

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::Type;
use tandem_core::VersionId;

use crate::store::StoreError;
use crate::store::damage::Damage;

/// A version id out of its 16 bytes.
pub(super) fn version_id(row: &Row<'_>, column: usize) -> rusqlite::Result<VersionId> {
    row.get(column).map(VersionId::from_bytes)
}

/// A count or number; what is negative was never written by us.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The same where there may be none.
pub(super) fn optional_number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    value
        .map(|value| {
            u64::try_from(value)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
        })
        .transpose()
}

/// A number as it is written. No history has 2^63 versions.
pub(super) fn cell(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A body, copied once.
pub(super) fn body(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    let value = row.get_ref(column)?;
    let bytes = value.as_blob().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
    })?;
    Ok(Bytes::copy_from_slice(bytes))
}

/// Whether the system took no more bytes. SQLite knows a full disk as such; a quota that is used up it
/// takes for any other write that failed.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
        || code == Some(rusqlite::ffi::SQLITE_IOERR_WRITE)
}

/// Whether the shared memory beside the log could not be made: it is a file, and takes room.
pub(super) fn has_no_shared_memory(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the file is not what SQLite wrote.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// The same as [`store_error`], noted if it tells of damage.
pub(super) fn noted(error: &rusqlite::Error, damage: &Damage) -> StoreError {
    if is_damage(error) {
        damage.note(error);
    }
    store_error(error)
}

/// What an error of SQLite means as long as nothing was committed.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let what = error.to_string();
    match error.sqlite_error_code() {
        _ if is_full(error) => StoreError::Full,
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch,
        ) => StoreError::Damaged { what },
        Some(_) => StoreError::Unavailable { what },
        None => StoreError::Damaged { what },
    }
}
