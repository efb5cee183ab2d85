//! Snapshots that an operator takes away or brings.

use rusqlite::{Connection, OptionalExtension as _, params};
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::Day;

use super::rows::{cell, number, version_id};
use crate::store::admin::SnapshotDropped;
use crate::store::{AddSnapshot, SnapshotAdded, SnapshotFacts};

/// A client as its row says, as far as this needs it.
struct Client {
    id: i64,
    latest: VersionId,
    latest_number: u64,
}

fn load_client(txn: &Connection, client: ClientId) -> rusqlite::Result<Option<Client>> {
    txn.prepare_cached("SELECT id, latest, latest_number FROM clients WHERE client_id = ?1")?
        .query_row([client.to_bytes()], |row| {
            Ok(Client {
                id: row.get(0)?,
                latest: version_id(row, 1)?,
                latest_number: number(row, 2)?,
            })
        })
        .optional()
}

/// Removes the newest snapshot, if there is another way to the present.
pub(super) fn drop_newest(txn: &Connection, client: ClientId) -> rusqlite::Result<SnapshotDropped> {
    let Some(client) = load_client(txn, client)? else { return Ok(SnapshotDropped::NoSuchClient) };
    let stored: Vec<(i64, u64, SnapshotFacts)> = txn
        .prepare_cached(
            "SELECT id, number, version, stored_at, length(body) FROM snapshots
             WHERE client = ?1 ORDER BY number DESC LIMIT 2",
        )?
        .query_map([client.id], |row| {
            let facts = SnapshotFacts {
                version: version_id(row, 2)?,
                stored_at: Timestamp::from_seconds(row.get(3)?),
                bytes: number(row, 4)?,
            };
            Ok((row.get(0)?, number(row, 1)?, facts))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let Some((row, _, newest)) = stored.first() else { return Ok(SnapshotDropped::None) };
    let older = stored.get(1).map(|(_, number, facts)| (*number, facts.stored_at));
    if older.is_none() && !begins_at_nil(txn, client.id)? {
        return Ok(SnapshotDropped::OnlyWayIn);
    }
    let (place, stored_at) = (older.map_or(0, |(place, _)| place), older.map(|(_, at)| at));
    txn.execute("DELETE FROM snapshots WHERE id = ?1", [row])?;
    if older.is_some() {
        // The older one was there on those days, too.
        txn.execute(
            "UPDATE snapshot_days SET number = ?2 WHERE client = ?1 AND number > ?2",
            params![client.id, cell(place)],
        )?;
    } else {
        txn.execute("DELETE FROM snapshot_days WHERE client = ?1", [client.id])?;
    }
    txn.execute(
        "UPDATE clients SET snapshot_number = ?2, snapshot_at = ?3, versions_since_snapshot = ?4
         WHERE id = ?1",
        params![
            client.id,
            older.map(|(place, _)| cell(place)),
            stored_at.map(Timestamp::seconds),
            cell(client.latest_number.saturating_sub(place)),
        ],
    )?;
    Ok(SnapshotDropped::Dropped(*newest))
}

fn begins_at_nil(txn: &Connection, client: i64) -> rusqlite::Result<bool> {
    let first = txn
        .prepare_cached("SELECT parent FROM versions WHERE client = ?1 ORDER BY number LIMIT 1")?
        .query_row([client], |row| version_id(row, 0))
        .optional()?;
    Ok(first.is_none_or(VersionId::is_nil))
}

/// Takes a snapshot over from another server, with the instant at which it was stored there. Other
/// than one that a client offers it may show any version of the chain, and the one before the first.
pub(super) fn import(txn: &Connection, request: &AddSnapshot) -> rusqlite::Result<SnapshotAdded> {
    let Some(client) = load_client(txn, request.client)? else {
        return Ok(SnapshotAdded::NoSuchClient);
    };
    let has_one =
        txn.prepare_cached("SELECT 1 FROM snapshots WHERE client = ?1")?.exists([client.id])?;
    let place = place_of(txn, &client, request.version)?.filter(|_| !has_one);
    let Some(place) = place else { return Ok(SnapshotAdded::PassedOver) };
    let (number, at) = (cell(place), request.at.seconds());
    txn.execute(
        "INSERT INTO snapshots (client, number, version, stored_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![client.id, number, request.version.to_bytes(), at, &request.body[..]],
    )?;
    txn.execute(
        "INSERT INTO snapshot_days (client, day, number) VALUES (?1, ?2, ?3)",
        params![client.id, Day::of(request.at).0, number],
    )?;
    txn.execute(
        "UPDATE clients SET snapshot_number = ?2, snapshot_at = ?3, is_adopted = 0,
             versions_since_snapshot = ?4
         WHERE id = ?1",
        params![client.id, number, at, cell(client.latest_number.saturating_sub(place))],
    )?;
    Ok(SnapshotAdded::Accepted)
}

/// The number of a version after which all is there; by its child, since there is an index on that.
fn place_of(
    txn: &Connection,
    client: &Client,
    version: VersionId,
) -> rusqlite::Result<Option<u64>> {
    if version.is_nil() {
        return Ok(None);
    }
    if version == client.latest {
        return Ok(Some(client.latest_number));
    }
    let child = txn
        .prepare_cached("SELECT number FROM versions WHERE client = ?1 AND parent = ?2")?
        .query_row(params![client.id, version.to_bytes()], |row| number(row, 0))
        .optional()?;
    Ok(child.map(|child| child.saturating_sub(1)))
}
