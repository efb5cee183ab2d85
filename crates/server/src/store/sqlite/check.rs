//! Checking a real database: SQLite's own pages and references, and each client's chain.

use rusqlite::{Connection, OptionalExtension as _};
use tandem_core::ClientId;

use super::rows::{number, optional_number, version_id};
use crate::store::admin::Checked;
use crate::store::check::{ChainCheck, ChainFacts, SnapshotRow, VersionRow};

/// Findings about the file; a broken one has them without end.
const FINDINGS_MAX: u32 = 50;

/// The next client after a row, all of one moment.
pub(super) fn client(
    connection: &Connection,
    after: Option<i64>,
) -> rusqlite::Result<Option<Checked>> {
    let txn = connection.unchecked_transaction()?;
    let found = txn
        .prepare_cached(
            "SELECT id, client_id, latest, latest_number, first_number, version_bytes,
                 snapshot_number, is_adopted
             FROM clients WHERE id > ?1 ORDER BY id LIMIT 1",
        )?
        .query_row([after.unwrap_or(i64::MIN)], |row| {
            let facts = ChainFacts {
                latest: version_id(row, 2)?,
                latest_number: number(row, 3)?,
                first_number: number(row, 4)?,
                version_bytes: number(row, 5)?,
                snapshot_number: optional_number(row, 6)?,
                is_adopted: row.get(7)?,
            };
            Ok((row.get::<_, i64>(0)?, ClientId::from_bytes(row.get(1)?), facts))
        })
        .optional()?;
    let Some((row, id, facts)) = found else { return Ok(None) };
    let snapshots = txn
        .prepare_cached(
            "SELECT number, version, length(body) FROM snapshots WHERE client = ?1
             ORDER BY number DESC",
        )?
        .query_map([row], |row| {
            let (number, bytes) = (number(row, 0)?, number(row, 2)?);
            Ok(SnapshotRow { number, version: version_id(row, 1)?, bytes })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut check = ChainCheck::new(facts, snapshots);
    let mut statement = txn.prepare_cached(
        "SELECT number, version, parent, length(segment) FROM versions WHERE client = ?1
         ORDER BY number",
    )?;
    let mut rows = statement.query([row])?;
    while let Some(row) = rows.next()? {
        check.version(VersionRow {
            number: number(row, 0)?,
            version: version_id(row, 1)?,
            parent: version_id(row, 2)?,
            bytes: number(row, 3)?,
        });
    }
    let (versions, findings) = check.end();
    Ok(Some(Checked { id, versions, findings, next: row }))
}

/// Pages, indexes and references.
pub(super) fn storage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            findings.push(text);
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let (Some(row), true) = (rows.next()?, findings.len() < FINDINGS_MAX as usize) {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        findings.push(format!("a row of {table} refers to one of {parent} that is not there"));
    }
    Ok(findings)
}
