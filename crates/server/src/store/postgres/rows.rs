//! Cells: ids as PostgreSQL's uuid, numbers that are never negative, and errors as ours.

use std::error::Error as _;

use bytes::{Bytes, BytesMut};
use tandem_core::VersionId;
use tokio_postgres::Row;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::store::StoreError;

/// The value, or the end of the function around it with the storage's error: for transactions, in
/// which the database's own errors travel by `?`.
macro_rules! sound {
    ($outcome:expr) => {
        match $outcome {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}
pub(super) use sound;

type Trouble = Box<dyn std::error::Error + Sync + Send>;

/// The 16 bytes of an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id(pub(super) [u8; 16]);

impl ToSql for Id {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Trouble> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }

    to_sql_checked!();
}

impl FromSql<'_> for Id {
    fn from_sql(_ty: &Type, raw: &[u8]) -> Result<Self, Trouble> {
        Ok(Self(raw.try_into()?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
}

/// A row whose cells are not what the schema says is damage, not a surprise of the network.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Damaged { what: text(&error) })
}

pub(super) fn version_id(row: &Row, column: &str) -> Result<VersionId, StoreError> {
    get(row, column).map(|Id(bytes)| VersionId::from_bytes(bytes))
}

pub(super) fn optional_version_id(
    row: &Row,
    column: &str,
) -> Result<Option<VersionId>, StoreError> {
    let id: Option<Id> = get(row, column)?;
    Ok(id.map(|Id(bytes)| VersionId::from_bytes(bytes)))
}

pub(super) fn number(row: &Row, column: &str) -> Result<u64, StoreError> {
    optional_number(row, column)?
        .ok_or_else(|| StoreError::Damaged { what: format!("there is no {column}") })
}

pub(super) fn optional_number(row: &Row, column: &str) -> Result<Option<u64>, StoreError> {
    let value: Option<i64> = get(row, column)?;
    let number = value.map(u64::try_from).transpose();
    number.map_err(|_| StoreError::Damaged { what: format!("{column} is negative") })
}

/// A body, copied once.
pub(super) fn body(row: &Row, column: &str) -> Result<Bytes, StoreError> {
    get(row, column).map(Bytes::copy_from_slice)
}

/// A number as it is written. No history has 2^63 versions.
pub(super) fn cell(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What is known after a statement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// PostgreSQL has said so: nothing was changed, and the connection is good.
    Refused,
    /// Nothing was changed, but this connection is of no more use: what was prepared on it is gone
    /// or outdated, or the other side takes no writes any more.
    Outdated,
    /// The connection is lost, and nobody knows what became of the statement.
    Lost,
}

/// Reads an error. The answer to a COMMIT is an answer only if it says ERROR: FATAL and PANIC are a
/// connection's last words, which may come after the commit.
pub(super) fn known(error: &tokio_postgres::Error) -> Known {
    let Some(said) = error.as_db_error() else { return Known::Lost };
    let code = said.code();
    if said.parsed_severity() != Some(Severity::Error)
        || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
        || code.code().starts_with("08")
    {
        return Known::Lost;
    }
    let outdated = [
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    if outdated.contains(code) { Known::Outdated } else { Known::Refused }
}

/// Whether what is stored is not what PostgreSQL wrote: a page or a row, or an index.
pub(super) fn is_damage(error: &tokio_postgres::Error) -> bool {
    let damage = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
    error.code().is_some_and(|code| damage.contains(code))
}

/// The error of something that cannot have changed anything.
pub(super) fn unchanged(error: &tokio_postgres::Error) -> StoreError {
    let what = text(error);
    let Some(code) = error.code() else { return StoreError::Unavailable { what } };
    if *code == SqlState::DISK_FULL {
        return StoreError::Full;
    }
    // Not what is stored: a pooler in between has begun to share sessions out.
    if *code == SqlState::DUPLICATE_PSTATEMENT {
        return StoreError::Unavailable { what };
    }
    // Classes: data exception, integrity, syntax or missing tables, corruption.
    if ["22", "23", "42", "XX"].iter().any(|class| code.code().starts_with(class)) {
        return StoreError::Damaged { what };
    }
    StoreError::Unavailable { what }
}

/// The error of a statement that changes something and commits.
pub(super) fn changing(error: &tokio_postgres::Error) -> StoreError {
    match known(error) {
        Known::Refused | Known::Outdated => unchanged(error),
        Known::Lost => StoreError::Unknown { what: text(error) },
    }
}

/// What PostgreSQL or the library says, for the log. Not the details, which repeat values.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
