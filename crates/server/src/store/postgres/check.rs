//! Checking what is stored: each client's chain, and what belongs to nobody.

use tandem_core::{ClientId, Timestamp};
use tandem_tasks::serve::retention::Day;
use tokio_postgres::{IsolationLevel, Row};

use super::moments::Clock;
use super::pool::{Pools, WORK_TIME};
use super::retain::{self, Marks};
use super::rows::{self, Id, cell, number, optional_number, sound, version_id};
use super::write::transaction_failed;
use crate::store::StoreError;
use crate::store::admin::Checked;
use crate::store::check::{ChainCheck, ChainFacts, SnapshotRow, Upkeep, VersionRow};

/// Versions that are read at once, without their bodies: half a megabyte.
const PAGE: i64 = 10_000;

const NEXT_CLIENT: &str = "
    SELECT id, client_id, latest, latest_number, first_number, version_bytes, snapshot_number,
        is_adopted, versions_since_snapshot, snapshot_at
    FROM tandem.clients WHERE id > $1 ORDER BY id LIMIT 1";

const SNAPSHOTS: &str = "
    SELECT number, version, stored_at, octet_length(body)::bigint AS bytes
    FROM tandem.snapshots WHERE client = $1 ORDER BY number DESC";

/// Sizes are known without reading bodies.
const VERSIONS: &str = "
    SELECT number, version, parent, octet_length(segment)::bigint AS bytes
    FROM tandem.versions WHERE client = $1 AND number > $2 ORDER BY number LIMIT $3";

/// The next client after a row, all of one moment.
pub(super) async fn client(
    pools: &Pools,
    after: Option<i64>,
) -> Result<Option<Checked>, StoreError> {
    let client = pools.for_reading().await?;
    let outcome = pools
        .bounded_for(client, WORK_TIME, async move |client| {
            let txn = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            let statement = txn.prepare_cached(NEXT_CLIENT).await?;
            let found = txn.query_opt(&statement, &[&after.unwrap_or(i64::MIN)]).await?;
            let Some(found) = found else {
                txn.commit().await?;
                return Ok(Ok(None));
            };
            let (row, id, facts) = sound!(chain_facts(&found));
            let statement = txn.prepare_cached(SNAPSHOTS).await?;
            let stored = txn.query(&statement, &[&row]).await?;
            let snapshots = sound!(stored.iter().map(snapshot_row).collect());
            let statement = txn.prepare_cached(retain::MARKS).await?;
            let marks = txn.query(&statement, &[&vec![row]]).await?;
            let marks = sound!(retain::marks_of(row, &marks));
            let mut check = ChainCheck::new(facts, snapshots);
            check.upkeep(&sound!(upkeep(&found, stored.first(), marks)));
            let statement = txn.prepare_cached(VERSIONS).await?;
            let mut last = i64::MIN;
            loop {
                let versions = txn.query(&statement, &[&row, &last, &PAGE]).await?;
                for version in &versions {
                    let version = sound!(version_row(version));
                    last = cell(version.number);
                    check.version(version);
                }
                if versions.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                    break;
                }
            }
            // Ended in order: a command's connection may be cut right after it.
            txn.commit().await?;
            let (versions, findings) = check.end();
            Ok(Ok(Some(Checked { id, versions, findings, next: row })))
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, false))?
}

fn chain_facts(row: &Row) -> Result<(i64, ClientId, ChainFacts), StoreError> {
    let Id(client) = rows::get(row, "client_id")?;
    let facts = ChainFacts {
        latest: version_id(row, "latest")?,
        latest_number: number(row, "latest_number")?,
        first_number: number(row, "first_number")?,
        version_bytes: number(row, "version_bytes")?,
        snapshot_number: optional_number(row, "snapshot_number")?,
        is_adopted: rows::get(row, "is_adopted")?,
    };
    Ok((rows::get(row, "id")?, ClientId::from_bytes(client), facts))
}

/// What is noted beside the chain, in the client's row, its newest snapshot's, and on days.
fn upkeep(client: &Row, newest: Option<&Row>, marks: Marks) -> Result<Upkeep, StoreError> {
    let snapshot_at: Option<i64> = rows::get(client, "snapshot_at")?;
    let stored_at: Option<i64> = newest.map(|row| rows::get(row, "stored_at")).transpose()?;
    Ok(Upkeep {
        versions_since_snapshot: number(client, "versions_since_snapshot")?,
        snapshot_at: snapshot_at.map(Timestamp::from_seconds),
        stored_at: stored_at.map(Timestamp::from_seconds),
        stored: marks.stored,
        asked: marks.asked,
    })
}

fn snapshot_row(row: &Row) -> Result<SnapshotRow, StoreError> {
    Ok(SnapshotRow {
        number: number(row, "number")?,
        version: version_id(row, "version")?,
        bytes: number(row, "bytes")?,
    })
}

fn version_row(row: &Row) -> Result<VersionRow, StoreError> {
    Ok(VersionRow {
        number: number(row, "number")?,
        version: version_id(row, "version")?,
        parent: version_id(row, "parent")?,
        bytes: number(row, "bytes")?,
    })
}

/// Without a day, the one after the database's today: midnight may have passed meanwhile.
const AHEAD: &str = "
    WITH last AS MATERIALIZED (
        SELECT coalesce($1::bigint, floor(extract(epoch FROM now()) / 86400)::bigint + 1) AS day
    )
    SELECT count(*) AS count FROM (
        SELECT client FROM tandem.snapshot_days, last WHERE snapshot_days.day > last.day
        UNION
        SELECT client FROM tandem.asked_days, last WHERE asked_days.day > last.day) AS ahead";

/// Clients with marks of days after this one, or of days that are to come for the database.
pub(super) async fn clients_ahead_of(
    pools: &Pools,
    day: Day,
    clock: Clock,
) -> Result<u64, StoreError> {
    let day = match clock {
        Clock::Database => None,
        Clock::Requests => Some(day.0),
    };
    let rows = pools.read(AHEAD, &[&day]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Damaged { what: "no row came".to_owned() })?;
    number(row, "count")
}

/// What belongs to a client, by the name of its table.
const OWNED: [&str; 4] = ["versions", "snapshots", "snapshot_days", "asked_days"];

/// Indexes that PostgreSQL knows to be incomplete, and cannot be trusted to guard anything.
const INVALID_INDEXES: &str = "
    SELECT relname::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = 'tandem'::regnamespace AND NOT (indisvalid AND indisready)";

/// Rows whose client is not there, since no foreign key keeps them from being left behind, and
/// indexes. Pages are PostgreSQL's own to check (`pg_amcheck`, data checksums).
pub(super) async fn storage(pools: &Pools) -> Result<Vec<String>, StoreError> {
    let client = pools.for_reading().await?;
    let outcome = pools
        .bounded_for(client, WORK_TIME, async move |client| {
            let txn = client.build_transaction().read_only(true).start().await?;
            txn.batch_execute("SET LOCAL statement_timeout = 0").await?;
            let mut findings = Vec::new();
            for table in OWNED {
                // From client to client along the index: as many steps as there are clients.
                let sql = format!(
                    "WITH RECURSIVE owner AS (
                     SELECT min(client) AS id FROM tandem.{table}
                     UNION ALL
                     SELECT (SELECT min(client) FROM tandem.{table} WHERE client > owner.id)
                     FROM owner WHERE owner.id IS NOT NULL)
                 SELECT count(*) AS count FROM owner
                 WHERE id IS NOT NULL AND NOT EXISTS (
                     SELECT FROM tandem.clients WHERE clients.id = owner.id)"
                );
                let row = txn.query_one(&sql, &[]).await?;
                let count = sound!(number(&row, "count"));
                if count > 0 {
                    findings.push(format!(
                        "rows of {table} belong to {count} clients that are not there"
                    ));
                }
            }
            for row in txn.query(INVALID_INDEXES, &[]).await? {
                let name: String = sound!(rows::get(&row, "name"));
                findings.push(format!("the index {name} is not complete: REINDEX makes it anew"));
            }
            txn.commit().await?;
            Ok(Ok(findings))
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, false))?
}
