//! Letting history go: one step, in one savepoint.

use rusqlite::{Connection, params};
use tandem_tasks::serve::retention::{self, Day, History, Mark};

use super::rows::{cell, number, optional_number};
use crate::store::{Retain, Retained};

/// Free pages that one step gives back to the system, at most: 4 MB.
const PAGES_GIVEN_BACK_MAX: u32 = 1024;

struct Client {
    id: i64,
    first: u64,
    latest: u64,
    older_snapshot: Option<u64>,
}

pub(super) fn step(txn: &Connection, request: &Retain) -> rusqlite::Result<Retained> {
    let today = Day::of(request.at);
    let clients = some_clients(txn, request)?;
    let is_last = clients.len() < usize::try_from(request.clients_max.max(1)).unwrap_or(usize::MAX);
    let mut retained = Retained { next: None, ..Retained::default() };
    let mut room = u64::from(request.versions_max.max(1));
    for client in &clients {
        let stored = marks(txn, "snapshot_days", client.id)?;
        let asked = marks(txn, "asked_days", client.id)?;
        let history = History {
            first: client.first,
            latest: client.latest,
            older_snapshot: client.older_snapshot,
            stored: &stored,
            asked: &asked,
        };
        let keep_from = retention::keep_from(history, request.rules, today);
        let upto = keep_from.min(client.first.saturating_add(room));
        if upto > client.first {
            let bytes = remove_before(txn, client, upto)?;
            retained.versions += upto - client.first;
            retained.bytes += bytes;
            room -= upto - client.first;
        }
        if upto < keep_from {
            // The step is full in the middle of this client: the next one goes on with it.
            retained.next = Some(client.id - 1);
            give_space_back(txn)?;
            return Ok(retained);
        }
        forget(txn, client, &stored, request, today)?;
    }
    let has_more_space = give_space_back(txn)?;
    retained.next = match clients.last() {
        Some(last) if !is_last => Some(last.id),
        // The clients are done, the space is not.
        Some(last) if has_more_space => Some(last.id),
        None if has_more_space => request.after,
        _ => None,
    };
    Ok(retained)
}

fn some_clients(txn: &Connection, request: &Retain) -> rusqlite::Result<Vec<Client>> {
    txn.prepare_cached(
        "SELECT id, first_number, latest_number,
             (SELECT number FROM snapshots WHERE client = clients.id
              ORDER BY number DESC LIMIT 1 OFFSET 1)
         FROM clients WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?
    .query_map(params![request.after.unwrap_or(i64::MIN), request.clients_max.max(1)], |row| {
        Ok(Client {
            id: row.get(0)?,
            first: number(row, 1)?,
            latest: number(row, 2)?,
            older_snapshot: optional_number(row, 3)?,
        })
    })?
    .collect()
}

pub(super) fn marks(txn: &Connection, table: &str, client: i64) -> rusqlite::Result<Vec<Mark>> {
    txn.prepare_cached(&format!("SELECT number, day FROM {table} WHERE client = ?1"))?
        .query_map([client], |row| Ok(Mark { number: number(row, 0)?, day: Day(row.get(1)?) }))?
        .collect()
}

/// Removes the versions before a number; the bytes of their bodies.
fn remove_before(txn: &Connection, client: &Client, upto: u64) -> rusqlite::Result<u64> {
    let bytes = txn
        .prepare_cached(
            "SELECT coalesce(sum(length(segment)), 0) FROM versions
             WHERE client = ?1 AND number < ?2",
        )?
        .query_row(params![client.id, cell(upto)], |row| number(row, 0))?;
    txn.prepare_cached("DELETE FROM versions WHERE client = ?1 AND number < ?2")?
        .execute(params![client.id, cell(upto)])?;
    txn.prepare_cached(
        "UPDATE clients SET first_number = ?2, version_bytes = version_bytes - ?3 WHERE id = ?1",
    )?
    .execute(params![client.id, cell(upto), cell(bytes)])?;
    Ok(bytes)
}

fn forget(
    txn: &Connection,
    client: &Client,
    stored: &[Mark],
    request: &Retain,
    today: Day,
) -> rusqlite::Result<()> {
    let forget = retention::forget(stored, request.rules, today);
    for (table, before) in
        [("snapshot_days", forget.stored_before), ("asked_days", forget.asked_before)]
    {
        txn.prepare_cached(&format!("DELETE FROM {table} WHERE client = ?1 AND day < ?2"))?
            .execute(params![client.id, before.0])?;
    }
    Ok(())
}

/// Gives free pages at the file's end back to the system; true if some are left.
fn give_space_back(txn: &Connection) -> rusqlite::Result<bool> {
    let mut statement =
        txn.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK_MAX})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let left: i64 = txn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(left > 0)
}
