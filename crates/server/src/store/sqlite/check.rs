//! Checking a real database: SQLite's own pages and references, and each client's chain.

use rusqlite::{Connection, OptionalExtension as _};
use tandem_core::{ClientId, Timestamp};
use tandem_tasks::serve::retention::Day;

use super::retain;
use super::rows::{number, optional_number, version_id};
use crate::store::admin::Checked;
use crate::store::check::{ChainCheck, ChainFacts, SnapshotRow, Upkeep, VersionRow};

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
                 snapshot_number, is_adopted, versions_since_snapshot, snapshot_at
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
            let noted = (number(row, 8)?, row.get::<_, Option<i64>>(9)?);
            Ok((row.get::<_, i64>(0)?, ClientId::from_bytes(row.get(1)?), facts, noted))
        })
        .optional()?;
    let Some((row, id, facts, (since, snapshot_at))) = found else { return Ok(None) };
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
    let stored_at: Option<i64> = txn
        .prepare_cached(
            "SELECT stored_at FROM snapshots WHERE client = ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([row], |row| row.get(0))
        .optional()?;
    let mut check = ChainCheck::new(facts, snapshots);
    check.upkeep(&Upkeep {
        versions_since_snapshot: since,
        snapshot_at: snapshot_at.map(Timestamp::from_seconds),
        stored_at: stored_at.map(Timestamp::from_seconds),
        stored: retain::marks(&txn, "snapshot_days", row)?,
        asked: retain::marks(&txn, "asked_days", row)?,
    });
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

/// What `PRAGMA auto_vacuum` says of a file whose free pages can be given back.
const INCREMENTAL: i64 = 2;

/// Everything that concerns the file and no client.
pub(super) fn whole_storage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = storage(connection)?;
    let vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if vacuum != INCREMENTAL {
        findings.push(format!("free space is not given back (auto_vacuum is {vacuum})"));
    }
    Ok(findings)
}

/// Clients with marks of days after this one.
pub(super) fn clients_ahead_of(connection: &Connection, day: Day) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT count(*) FROM (SELECT client FROM snapshot_days WHERE day > ?1
             UNION SELECT client FROM asked_days WHERE day > ?1)",
        [day.0],
        |row| number(row, 0),
    )
}

/// Pages, indexes and references.
pub(super) fn storage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        // One row may have many lines, under a heading that names the database.
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        findings.extend(
            lines.filter(|line| *line != "ok" && !line.starts_with("***")).map(str::to_owned),
        );
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let (Some(row), true) = (rows.next()?, findings.len() < FINDINGS_MAX as usize) {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        findings.push(format!("a row of {table} refers to one of {parent} that is not there"));
    }
    Ok(findings)
}
