//! What each writing request does inside its savepoint.

use rusqlite::{Connection, OptionalExtension as _, params};
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::{Day, SNAPSHOT_GENERATIONS, days_between};
use tandem_tasks::serve::{self, SNAPSHOT_RECENT_VERSIONS, SnapshotAge};

use super::rows::{cell, number, optional_number, version_id};
use crate::store::{AddSnapshot, AddVersion, Added, SnapshotAdded};

/// A client as its row says, as far as writing needs it.
pub(super) struct Client {
    id: i64,
    latest: VersionId,
    latest_number: u64,
    snapshot_number: Option<u64>,
    snapshot_at: Option<i64>,
    versions_since: u64,
    changed_at: i64,
}

/// That a client was here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    /// Its row.
    pub(super) client: i64,
    /// Today.
    pub(super) day: Day,
    /// The position whose child it was given, if that is the lowest of today.
    pub(super) asked: Option<u64>,
}

/// Compare and swap: nobody else writes between the reading of the latest version and the commit.
pub(super) fn add_version(txn: &Connection, request: &AddVersion) -> rusqlite::Result<Added> {
    let client = match load_client(txn, request.client)? {
        Some(client) => client,
        None if request.may_create => create_client(txn, request.client, request.at)?,
        None => return Ok(Added::NoSuchClient),
    };
    if let serve::AddVersion::Conflict { latest } =
        serve::add_version(client.latest, request.parent)
    {
        return Ok(Added::Conflict { latest });
    }
    let age = client.snapshot_at.map(|stored_at| SnapshotAge {
        days: days_between(Timestamp::from_seconds(stored_at), request.at),
        versions: u32::try_from(client.versions_since).unwrap_or(u32::MAX),
    });
    let urgency = serve::urgency(age, request.targets);
    let number = client.latest_number + 1;
    let is_first = client.latest.is_nil();
    let version = request.version.to_bytes();
    let at = request.at.seconds();
    txn.prepare_cached(
        "INSERT INTO versions (client, number, version, parent, added_at, segment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        client.id,
        cell(number),
        version,
        request.parent.to_bytes(),
        at,
        &request.segment[..]
    ])?;
    let changed = txn
        .prepare_cached(
            "UPDATE clients SET latest = ?3, latest_number = ?4,
                 changed_at = max(changed_at, ?5), seen_day = ?6,
                 version_bytes = version_bytes + ?7, is_adopted = is_adopted OR ?8,
                 versions_since_snapshot = versions_since_snapshot + 1
             WHERE id = ?1 AND latest = ?2",
        )?
        .execute(params![
            client.id,
            client.latest.to_bytes(),
            version,
            cell(number),
            at,
            Day::of(request.at).0,
            cell(request.segment.len() as u64),
            is_first && !request.parent.is_nil(),
        ])?;
    if changed == 1 {
        Ok(Added::Accepted { version: request.version, urgency })
    } else {
        Err(rusqlite::Error::StatementChangedRows(changed))
    }
}

/// Takes a snapshot in, and lets the third one go.
pub(super) fn add_snapshot(
    txn: &Connection,
    request: &AddSnapshot,
) -> rusqlite::Result<SnapshotAdded> {
    let Some(client) = load_client(txn, request.client)? else {
        return Ok(SnapshotAdded::NoSuchClient);
    };
    let recent = recent_versions(txn, &client)?;
    let ids: Vec<VersionId> = recent.iter().map(|(_, version)| *version).collect();
    let stored = client.snapshot_number.and_then(|stored| {
        recent.iter().find(|(number, _)| *number == stored).map(|(_, version)| *version)
    });
    let place = recent.iter().find(|(_, version)| *version == request.version);
    let Some((number, _)) =
        place.filter(|_| serve::accepts_snapshot(&ids, stored, request.version))
    else {
        return Ok(SnapshotAdded::PassedOver);
    };
    let (number, at, day) = (cell(*number), request.at.seconds(), Day::of(request.at).0);
    // A clock that stands in the past must not make a snapshot old at once: it is not older than
    // what came before it.
    let stored_day = day.max(Day::of(Timestamp::from_seconds(client.changed_at)).0);
    txn.prepare_cached(
        "INSERT INTO snapshots (client, number, version, stored_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![client.id, number, request.version.to_bytes(), at, &request.body[..]])?;
    txn.prepare_cached(
        "DELETE FROM snapshots WHERE client = ?1 AND id NOT IN (
             SELECT id FROM snapshots WHERE client = ?1 ORDER BY number DESC LIMIT ?2)",
    )?
    .execute(params![client.id, cell(SNAPSHOT_GENERATIONS as u64)])?;
    txn.prepare_cached(
        "INSERT INTO snapshot_days (client, day, number) VALUES (?1, ?2, ?3)
         ON CONFLICT (client, day) DO UPDATE SET number = max(number, excluded.number)",
    )?
    .execute(params![client.id, stored_day, number])?;
    txn.prepare_cached(
        "UPDATE clients SET snapshot_number = ?2, snapshot_at = ?3, versions_since_snapshot = 0,
             is_adopted = 0, changed_at = max(changed_at, ?3), seen_day = ?4
         WHERE id = ?1",
    )?
    .execute(params![client.id, number, at, day])?;
    Ok(SnapshotAdded::Accepted)
}

/// Notes that a client was here.
pub(super) fn note(txn: &Connection, note: &Note) -> rusqlite::Result<()> {
    let day = note.day.0;
    txn.prepare_cached("UPDATE clients SET seen_day = ?2 WHERE id = ?1 AND seen_day <> ?2")?
        .execute(params![note.client, day])?;
    let Some(asked) = note.asked.map(cell) else { return Ok(()) };
    txn.prepare_cached(
        "UPDATE clients SET asked_day = ?2,
             asked_number = CASE WHEN asked_day = ?2 THEN min(asked_number, ?3) ELSE ?3 END
         WHERE id = ?1 AND latest_number >= ?3",
    )?
    .execute(params![note.client, day, asked])?;
    // From the row, so that a client that is not there any more is no error; and not what was noted of
    // a history that an operator has removed since.
    txn.prepare_cached(
        "INSERT INTO asked_days (client, day, number)
         SELECT id, ?2, ?3 FROM clients WHERE id = ?1 AND latest_number >= ?3
         ON CONFLICT (client, day) DO UPDATE SET number = min(number, excluded.number)",
    )?
    .execute(params![note.client, day, asked])?;
    Ok(())
}

fn load_client(txn: &Connection, client: ClientId) -> rusqlite::Result<Option<Client>> {
    txn.prepare_cached(
        "SELECT id, latest, latest_number, snapshot_number, snapshot_at, versions_since_snapshot,
             changed_at
         FROM clients WHERE client_id = ?1",
    )?
    .query_row([client.to_bytes()], |row| {
        Ok(Client {
            id: row.get(0)?,
            latest: version_id(row, 1)?,
            latest_number: number(row, 2)?,
            snapshot_number: optional_number(row, 3)?,
            snapshot_at: row.get(4)?,
            versions_since: number(row, 5)?,
            changed_at: row.get(6)?,
        })
    })
    .optional()
}

pub(super) fn create_client(
    txn: &Connection,
    client: ClientId,
    at: Timestamp,
) -> rusqlite::Result<Client> {
    txn.prepare_cached(
        "INSERT INTO clients (client_id, latest, latest_number, first_number, version_bytes,
             versions_since_snapshot, is_adopted, made_at, changed_at, seen_day, asked_day,
             asked_number)
         VALUES (?1, ?2, 0, 1, 0, 0, 0, ?3, ?3, ?4, ?4 - 1, 0)",
    )?
    .execute(params![
        client.to_bytes(),
        VersionId::NIL.to_bytes(),
        at.seconds(),
        Day::of(at).0
    ])?;
    Ok(Client {
        id: txn.last_insert_rowid(),
        latest: VersionId::NIL,
        latest_number: 0,
        snapshot_number: None,
        snapshot_at: None,
        versions_since: 0,
        changed_at: at.seconds(),
    })
}

/// The newest versions with their numbers, newest first.
fn recent_versions(txn: &Connection, client: &Client) -> rusqlite::Result<Vec<(u64, VersionId)>> {
    txn.prepare_cached(
        "SELECT number, version FROM versions WHERE client = ?1 ORDER BY number DESC LIMIT ?2",
    )?
    .query_map(params![client.id, cell(SNAPSHOT_RECENT_VERSIONS as u64)], |row| {
        Ok((number(row, 0)?, version_id(row, 1)?))
    })?
    .collect()
}
