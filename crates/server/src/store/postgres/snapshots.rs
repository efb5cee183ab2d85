//! Snapshots that an operator takes away or brings, each decided under the client's lock.

use deadpool_postgres::Transaction;
use tandem_core::{ClientId, VersionId};

use super::moments::{self, Moment};
use super::pool::Pools;
use super::read::snapshot_facts;
use super::rows::{Id, cell, number, sound, version_id};
use super::write::transaction_failed;
use crate::store::admin::SnapshotDropped;
use crate::store::{AddSnapshot, SnapshotAdded, StoreError};

type Outcome<T> = Result<Result<T, StoreError>, tokio_postgres::Error>;

/// Nobody adds to the client, nor lets its history go, from here on.
const LOCK_CLIENT: &str = "
    SELECT id, latest, latest_number, changed_at, floor(extract(epoch FROM now()))::bigint AS now
    FROM tandem.clients WHERE client_id = $1 FOR NO KEY UPDATE";

/// After the lock, as a statement of its own: it sees what the last holder of the lock committed.
const STORED: &str = "
    SELECT number, version, stored_at, octet_length(body)::bigint AS bytes
    FROM tandem.snapshots WHERE client = $1 ORDER BY number DESC LIMIT 2";

const FIRST_PARENT: &str =
    "SELECT parent FROM tandem.versions WHERE client = $1 ORDER BY number LIMIT 1";

/// $3 and $4 are the older snapshot's, null if there is none. It was there on the days of the one that
/// goes, too.
const DROP: &str = "
    WITH gone AS (
        DELETE FROM tandem.snapshots WHERE client = $1 AND number = $2
    ), lowered AS (
        UPDATE tandem.snapshot_days SET number = $3 WHERE client = $1 AND number > $3::bigint
    ), forgotten AS (
        DELETE FROM tandem.snapshot_days WHERE client = $1 AND $3 IS NULL
    )
    UPDATE tandem.clients SET snapshot_number = $3, snapshot_at = $4::bigint,
        versions_since_snapshot = latest_number - coalesce($3, 0)
    WHERE id = $1";

/// Removes the newest snapshot, if there is another way to the present.
pub(super) async fn drop_newest(
    pools: &Pools,
    client_id: ClientId,
) -> Result<SnapshotDropped, StoreError> {
    let client = pools.for_writing().await?;
    let mut is_committing = false;
    let committing = &mut is_committing;
    let outcome = pools
        .bounded(client, async move |client| {
            let txn = client.transaction().await?;
            let dropped = drop_inside(&txn, client_id).await?;
            if matches!(dropped, Ok(SnapshotDropped::Dropped(_))) {
                *committing = true;
                txn.commit().await?;
            } else {
                txn.rollback().await?;
            }
            Ok(dropped)
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, is_committing))?
}

async fn drop_inside(txn: &Transaction<'_>, client: ClientId) -> Outcome<SnapshotDropped> {
    let Some(row) = txn.query_opt(LOCK_CLIENT, &[&Id(client.to_bytes())]).await? else {
        return Ok(Ok(SnapshotDropped::NoSuchClient));
    };
    let id: i64 = row.try_get("id")?;
    let stored = txn.query(STORED, &[&id]).await?;
    let Some(newest) = stored.first() else { return Ok(Ok(SnapshotDropped::None)) };
    let place = cell(sound!(number(newest, "number")));
    let Some(facts) = sound!(snapshot_facts(newest)) else {
        return Ok(Ok(SnapshotDropped::None));
    };
    let (mut older, mut older_at): (Option<i64>, Option<i64>) = (None, None);
    if let Some(row) = stored.get(1) {
        older = Some(cell(sound!(number(row, "number"))));
        older_at = row.try_get("stored_at")?;
    } else {
        let first = txn.query_opt(FIRST_PARENT, &[&id]).await?;
        let parent = first.map_or(Ok(VersionId::NIL), |row| version_id(&row, "parent"));
        if !sound!(parent).is_nil() {
            return Ok(Ok(SnapshotDropped::OnlyWayIn));
        }
    }
    txn.execute(DROP, &[&id, &place, &older, &older_at]).await?;
    Ok(Ok(SnapshotDropped::Dropped(facts)))
}

const HAS_ONE: &str = "SELECT FROM tandem.snapshots WHERE client = $1 LIMIT 1";

/// By its child, since there is an index on that.
const CHILD: &str = "SELECT number FROM tandem.versions WHERE client = $1 AND parent = $2";

const IMPORT: &str = "
    WITH stored AS (
        INSERT INTO tandem.snapshots (client, number, version, stored_at, body)
        VALUES ($1, $2, $3, $4, $5)
    ), day AS (
        INSERT INTO tandem.snapshot_days (client, day, number) VALUES ($1, $6, $2)
    )
    UPDATE tandem.clients SET snapshot_number = $2, snapshot_at = $4, is_adopted = false,
        versions_since_snapshot = latest_number - $2, changed_at = greatest(changed_at, $7)
    WHERE id = $1";

/// Takes a snapshot over from another server. Other than one that a client offers it may show any
/// version of the chain, and the one before the first. It keeps the instant at which it was stored
/// there; its grace period begins now, by the clock that counts here.
pub(super) async fn import(
    pools: &Pools,
    request: &AddSnapshot,
    at: Moment,
) -> Result<SnapshotAdded, StoreError> {
    let client = pools.for_writing().await?;
    let mut is_committing = false;
    let committing = &mut is_committing;
    let outcome = pools
        .bounded(client, async move |client| {
            let txn = client.transaction().await?;
            let added = import_inside(&txn, request, at).await?;
            if matches!(added, Ok(SnapshotAdded::Accepted)) {
                *committing = true;
                txn.commit().await?;
            } else {
                txn.rollback().await?;
            }
            Ok(added)
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, is_committing))?
}

async fn import_inside(
    txn: &Transaction<'_>,
    request: &AddSnapshot,
    at: Moment,
) -> Outcome<SnapshotAdded> {
    let Some(row) = txn.query_opt(LOCK_CLIENT, &[&Id(request.client.to_bytes())]).await? else {
        return Ok(Ok(SnapshotAdded::NoSuchClient));
    };
    let id: i64 = row.try_get("id")?;
    let version = Id(request.version.to_bytes());
    if request.version.is_nil() || txn.query_opt(HAS_ONE, &[&id]).await?.is_some() {
        return Ok(Ok(SnapshotAdded::PassedOver));
    }
    // All after it must be there.
    let place = if request.version == sound!(version_id(&row, "latest")) {
        sound!(number(&row, "latest_number"))
    } else {
        let child = txn.query_opt(CHILD, &[&id, &version]).await?;
        let Some(child) = child else { return Ok(Ok(SnapshotAdded::PassedOver)) };
        sound!(number(&child, "number")).saturating_sub(1)
    };
    let (now, changed_at) = (at.or(row.try_get("now")?), row.try_get("changed_at")?);
    let (stored_at, day) = (request.at.seconds().min(now), moments::day(now, changed_at).0);
    let body = &request.body[..];
    txn.execute(IMPORT, &[&id, &cell(place), &version, &stored_at, &body, &day, &now]).await?;
    Ok(Ok(SnapshotAdded::Accepted))
}
