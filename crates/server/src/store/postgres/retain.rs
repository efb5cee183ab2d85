//! Letting history go: one step, in one transaction, on one node at a time.

use deadpool_postgres::Transaction;
use tandem_core::Timestamp;
use tandem_tasks::serve::retention::{self, Day, Forget, History, Mark};
use tokio_postgres::Row;

use super::RETAIN_LOCK;
use super::moments::Moment;
use super::pool::Pools;
use super::rows::{self, cell, number, optional_number, sound};
use super::write::transaction_failed;
use crate::store::{Retain, Retained, StoreError};

struct Client {
    id: i64,
    first: u64,
    latest: u64,
    older_snapshot: Option<u64>,
}

/// Stored and asked marks of one client.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) stored: Vec<Mark>,
    pub(super) asked: Vec<Mark>,
}

/// Held until the step commits.
const ONLY_ONE: &str = "
    SELECT pg_try_advisory_xact_lock($1) AS is_ours, floor(extract(epoch FROM now()))::bigint AS now";

const SOME_CLIENTS: &str = "
    SELECT id, first_number, latest_number,
        (SELECT number FROM tandem.snapshots WHERE client = clients.id
         ORDER BY number DESC LIMIT 1 OFFSET 1) AS older_snapshot
    FROM tandem.clients WHERE id > $1 ORDER BY id LIMIT $2";

/// Waits for whoever is changing the client, and keeps others from it.
const LOCK: &str = "SELECT FROM tandem.clients WHERE id = $1 FOR NO KEY UPDATE";

/// The client as it is under the lock: a statement of its own, which sees what the last holder of the
/// lock has committed.
const ONE_CLIENT: &str = "
    SELECT id, first_number, latest_number,
        (SELECT number FROM tandem.snapshots WHERE client = clients.id
         ORDER BY number DESC LIMIT 1 OFFSET 1) AS older_snapshot
    FROM tandem.clients WHERE id = $1";

/// Of some clients.
pub(super) const MARKS: &str = "
    SELECT client, number, day, true AS is_stored FROM tandem.snapshot_days WHERE client = ANY ($1)
    UNION ALL
    SELECT client, number, day, false FROM tandem.asked_days WHERE client = ANY ($1)";

const REMOVE_BEFORE: &str = "
    WITH gone AS (
        DELETE FROM tandem.versions WHERE client = $1 AND number < $2
        RETURNING octet_length(segment) AS bytes
    ), sum AS (
        SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM gone
    )
    UPDATE tandem.clients SET first_number = $2, version_bytes = version_bytes - sum.bytes
    FROM sum WHERE id = $1
    RETURNING sum.bytes";

const FORGET: &str = "
    WITH stored AS (
        DELETE FROM tandem.snapshot_days WHERE client = $1 AND day < $2
    )
    DELETE FROM tandem.asked_days WHERE client = $1 AND day < $3";

/// What some clients show decides only whether there is anything to do for them. Whatever is done is
/// decided again under the client's lock: since the first look its history may have been removed and
/// begun anew, with the same numbers. A question of this moment may come too late to keep what it
/// asks for; but its note is written behind it in any case.
pub(super) async fn step(
    pools: &Pools,
    request: &Retain,
    at: Moment,
) -> Result<Retained, StoreError> {
    let client = pools.for_writing().await?;
    let mut is_committing = false;
    let committing = &mut is_committing;
    let outcome = pools
        .bounded(client, async move |client| {
            let txn = client.transaction().await?;
            let only_one = txn.prepare_cached(ONLY_ONE).await?;
            let row = txn.query_one(&only_one, &[&RETAIN_LOCK]).await?;
            let today = Day::of(Timestamp::from_seconds(at.or(row.try_get("now")?)));
            // Another node is at it: there is nothing left for this one.
            let is_ours: bool = row.try_get("is_ours")?;
            let retained = if is_ours { Some(inside(&txn, request, today).await?) } else { None };
            if let Some(Err(_)) = retained {
                txn.rollback().await?;
            } else {
                *committing = true;
                txn.commit().await?;
            }
            let left = Retained { is_left_to_another: true, ..Retained::default() };
            Ok(retained.unwrap_or(Ok(left)))
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, is_committing))?
}

type Outcome<T> = Result<Result<T, StoreError>, tokio_postgres::Error>;

async fn inside(txn: &Transaction<'_>, request: &Retain, today: Day) -> Outcome<Retained> {
    let clients = sound!(some_clients(txn, request).await?);
    let ids: Vec<i64> = clients.iter().map(|client| client.id).collect();
    let statement = txn.prepare_cached(MARKS).await?;
    let rows = txn.query(&statement, &[&ids]).await?;
    let mut retained = Retained::default();
    let mut room = u64::from(request.versions_max.max(1));
    for client in &clients {
        let marks = sound!(marks_of(client.id, &rows));
        if Plan::of(client, &marks, request, today).is_nothing(client) {
            continue;
        }
        let lock = txn.prepare_cached(LOCK).await?;
        if txn.query_opt(&lock, &[&client.id]).await?.is_none() {
            // It was removed meanwhile.
            continue;
        }
        let Some((client, marks)) = sound!(one_client(txn, client.id).await?) else { continue };
        let plan = Plan::of(&client, &marks, request, today);
        let upto = plan.keep_from.min(client.first.saturating_add(room));
        if upto > client.first {
            let remove = txn.prepare_cached(REMOVE_BEFORE).await?;
            let gone = txn.query_one(&remove, &[&client.id, &cell(upto)]).await?;
            let bytes: i64 = gone.try_get("bytes")?;
            retained.versions += upto - client.first;
            retained.bytes += u64::try_from(bytes).unwrap_or(0);
            room -= upto - client.first;
        }
        if upto < plan.keep_from {
            // The step is full in the middle of this client: the next one goes on with it.
            retained.next = Some(client.id - 1);
            return Ok(Ok(retained));
        }
        if let Some(forget) = plan.forget {
            let statement = txn.prepare_cached(FORGET).await?;
            let days = (forget.stored_before.0, forget.asked_before.0);
            txn.execute(&statement, &[&client.id, &days.0, &days.1]).await?;
        }
    }
    let is_last = clients.len() < usize::try_from(request.clients_max.max(1)).unwrap_or(usize::MAX);
    retained.next = clients.last().filter(|_| !is_last).map(|client| client.id);
    Ok(Ok(retained))
}

/// What is to be done for a client.
struct Plan {
    keep_from: u64,
    /// None if no mark would go.
    forget: Option<Forget>,
}

impl Plan {
    fn of(client: &Client, marks: &Marks, request: &Retain, today: Day) -> Self {
        let history = History {
            first: client.first,
            latest: client.latest,
            older_snapshot: client.older_snapshot,
            stored: &marks.stored,
            asked: &marks.asked,
        };
        let forget = retention::forget(&marks.stored, request.rules, today);
        let is_before = |marks: &[Mark], day: Day| marks.iter().any(|mark| mark.day < day);
        let forgets = is_before(&marks.stored, forget.stored_before)
            || is_before(&marks.asked, forget.asked_before);
        let keep_from = retention::keep_from(history, request.rules, today);
        Self { keep_from, forget: forgets.then_some(forget) }
    }

    fn is_nothing(&self, client: &Client) -> bool {
        self.keep_from <= client.first && self.forget.is_none()
    }
}

async fn some_clients(txn: &Transaction<'_>, request: &Retain) -> Outcome<Vec<Client>> {
    let statement = txn.prepare_cached(SOME_CLIENTS).await?;
    let (after, count) = (request.after.unwrap_or(i64::MIN), i64::from(request.clients_max.max(1)));
    let rows = txn.query(&statement, &[&after, &count]).await?;
    Ok(rows.iter().map(Client::of).collect())
}

/// A client under its lock, with its marks.
async fn one_client(txn: &Transaction<'_>, id: i64) -> Outcome<Option<(Client, Marks)>> {
    let statement = txn.prepare_cached(ONE_CLIENT).await?;
    let Some(row) = txn.query_opt(&statement, &[&id]).await? else { return Ok(Ok(None)) };
    let client = sound!(Client::of(&row));
    let statement = txn.prepare_cached(MARKS).await?;
    let rows = txn.query(&statement, &[&vec![id]]).await?;
    Ok(marks_of(id, &rows).map(|marks| Some((client, marks))))
}

impl Client {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: rows::get(row, "id")?,
            first: number(row, "first_number")?,
            latest: number(row, "latest_number")?,
            older_snapshot: optional_number(row, "older_snapshot")?,
        })
    }
}

/// Those of one client among the rows of [`MARKS`].
pub(super) fn marks_of(client: i64, rows: &[Row]) -> Result<Marks, StoreError> {
    let mut marks = Marks::default();
    for row in rows {
        if rows::get::<i64>(row, "client")? != client {
            continue;
        }
        let mark = Mark { number: number(row, "number")?, day: Day(rows::get(row, "day")?) };
        let is_stored: bool = rows::get(row, "is_stored")?;
        if is_stored { marks.stored.push(mark) } else { marks.asked.push(mark) }
    }
    Ok(marks)
}
