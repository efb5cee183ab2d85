//! Questions. Each is one statement, or one transaction where it takes several, so that it sees one
//! moment.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::{self, ChildVersion};

use super::readers::Readers;
use super::rows::{body, cell, number, version_id};
use super::write::Note;
use crate::store::{
    Child, Children, ClientFacts, Head, ReadChildren, SnapshotFound, StoreError, StoredSnapshot,
    StoredVersion,
};

/// Bodies up to this size are read together with the row, in bytes. Larger ones are fetched on a
/// thread that may wait for the disk.
const INLINE_BYTES_MAX: u64 = 64 * 1024;

/// A client as its row says, as far as reading needs it.
struct Client {
    id: i64,
    latest: VersionId,
    seen: Day,
    asked: (Day, u64),
}

impl Client {
    const COLUMNS: &str = "clients.id, latest, seen_day, asked_day, asked_number";
    const WIDTH: usize = 5;

    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            latest: version_id(row, 1)?,
            seen: Day(row.get(2)?),
            asked: (Day(row.get(3)?), number(row, 4)?),
        })
    }

    /// What is to be noted of a question at `at`, for the child of the position `asked` if there is
    /// one. Nothing, for all but the first questions of a day.
    fn note(&self, at: Timestamp, asked: Option<u64>) -> Option<Note> {
        let day = Day::of(at);
        let (asked_day, lowest) = self.asked;
        let asked = asked.filter(|asked| asked_day != day || *asked < lowest);
        (self.seen != day || asked.is_some()).then_some(Note { client: self.id, day, asked })
    }
}

/// The row of the child, its body perhaps still to be fetched.
struct ChildRow {
    id: i64,
    number: u64,
    version: VersionId,
    bytes: u64,
    segment: Option<Bytes>,
}

pub(super) async fn child_version(
    readers: &Arc<Readers>,
    client: ClientId,
    parent: VersionId,
    at: Timestamp,
    bytes_max: u64,
) -> Result<(Child, Option<Note>), StoreError> {
    let question = |txn: &Connection| child_row(txn, client, parent, bytes_max);
    let Some((row, child)) = readers.with(question)? else {
        return Ok((Child::NoSuchClient, None));
    };
    match serve::child_version(row.latest, parent, child.as_ref().map(|child| child.version)) {
        ChildVersion::UpToDate if serve::is_emptied(row.latest, parent) => {
            Ok((Child::NoSuchClient, row.note(at, None)))
        }
        ChildVersion::UpToDate => Ok((Child::UpToDate, row.note(at, None))),
        ChildVersion::Gone => Ok((Child::Gone, row.note(at, None))),
        ChildVersion::Found(version) => {
            let Some(ChildRow { id, number, bytes, segment, .. }) = child else {
                return Err(StoreError::Damaged { what: "a child without a row".to_owned() });
            };
            let segment = match segment {
                Some(segment) => Some(segment),
                None if bytes > bytes_max => {
                    return Ok((Child::TooLarge { bytes }, row.note(at, position(parent, number))));
                }
                None => {
                    let client = row.id;
                    readers.with_away(move |txn| large(txn, id, client, version)).await?
                }
            };
            let child = match segment {
                Some(segment) => Child::Found(StoredVersion { version, parent, segment }),
                // It was let go between the two questions.
                None => Child::Gone,
            };
            Ok((child, row.note(at, position(parent, number))))
        }
    }
}

/// The position before a version. A replica at nil is empty and misses nothing.
fn position(parent: VersionId, number: u64) -> Option<u64> {
    (!parent.is_nil()).then(|| number.saturating_sub(1))
}

fn child_row(
    txn: &Connection,
    client: ClientId,
    parent: VersionId,
    bytes_max: u64,
) -> rusqlite::Result<Option<(Client, Option<ChildRow>)>> {
    const SQL: &str = "
        SELECT clients.id, latest, seen_day, asked_day, asked_number,
            versions.id, versions.number, versions.version, length(segment),
            CASE WHEN length(segment) <= ?3 THEN segment END
        FROM clients LEFT JOIN versions
            ON versions.client = clients.id AND versions.parent = ?2
        WHERE client_id = ?1";
    let inline = INLINE_BYTES_MAX.min(bytes_max);
    txn.prepare_cached(SQL)?
        .query_row(params![client.to_bytes(), parent.to_bytes(), cell(inline)], |row| {
            let client = Client::of(row)?;
            let at = Client::WIDTH;
            let Some(id) = row.get(at)? else { return Ok((client, None)) };
            let has_body = row.get_ref(at + 4)? != rusqlite::types::ValueRef::Null;
            let segment = if has_body { Some(body(row, at + 4)?) } else { None };
            let child = ChildRow {
                id,
                number: number(row, at + 1)?,
                version: version_id(row, at + 2)?,
                bytes: number(row, at + 3)?,
                segment,
            };
            Ok((client, Some(child)))
        })
        .optional()
}

/// The body of a version that was looked up a moment ago. Named in full: meanwhile it may have gone.
pub(super) fn large(
    txn: &Connection,
    id: i64,
    client: i64,
    version: VersionId,
) -> rusqlite::Result<Option<Bytes>> {
    txn.prepare_cached(
        "SELECT segment FROM versions WHERE id = ?1 AND client = ?2 AND version = ?3",
    )?
    .query_row(params![id, client, version.to_bytes()], |row| body(row, 0))
    .optional()
}

pub(super) fn snapshot(
    txn: &Connection,
    client: ClientId,
    at: Timestamp,
    bytes_max: u64,
) -> rusqlite::Result<(SnapshotFound, Option<Note>)> {
    let sql = format!(
        "SELECT {}, snapshots.version, length(body), body
         FROM clients LEFT JOIN snapshots ON snapshots.id =
             (SELECT id FROM snapshots WHERE client = clients.id ORDER BY number DESC LIMIT 1)
         WHERE client_id = ?1",
        Client::COLUMNS
    );
    let found = txn
        .prepare_cached(&sql)?
        .query_row([client.to_bytes()], |row| {
            let at = Client::WIDTH;
            let version: Option<[u8; 16]> = row.get(at)?;
            let found = match version.map(VersionId::from_bytes) {
                None => SnapshotFound::None,
                // A column that is not asked for is not read.
                Some(_) if number(row, at + 1)? > bytes_max => {
                    SnapshotFound::TooLarge { bytes: number(row, at + 1)? }
                }
                Some(version) => {
                    SnapshotFound::Found(StoredSnapshot { version, body: body(row, at + 2)? })
                }
            };
            Ok((Client::of(row)?, found))
        })
        .optional()?;
    let Some((row, found)) = found else { return Ok((SnapshotFound::NoSuchClient, None)) };
    Ok((found, row.note(at, None)))
}

pub(super) fn head(
    txn: &Connection,
    client: ClientId,
    at: Timestamp,
) -> rusqlite::Result<(Option<Head>, Option<Note>)> {
    let sql = format!(
        "SELECT {}, (SELECT version FROM snapshots WHERE client = clients.id
             ORDER BY number DESC LIMIT 1)
         FROM clients WHERE client_id = ?1",
        Client::COLUMNS
    );
    let found = txn
        .prepare_cached(&sql)?
        .query_row([client.to_bytes()], |row| {
            let snapshot: Option<[u8; 16]> = row.get(Client::WIDTH)?;
            Ok((Client::of(row)?, snapshot.map(VersionId::from_bytes)))
        })
        .optional()?;
    let Some((client, snapshot)) = found else { return Ok((None, None)) };
    Ok((Some(Head { latest: client.latest, snapshot }), client.note(at, None)))
}

pub(super) fn children(
    connection: &Connection,
    request: &ReadChildren,
) -> rusqlite::Result<(Children, Option<Note>)> {
    let txn = connection.unchecked_transaction()?;
    let Some(client) = load_client(&txn, request.client)? else {
        return Ok((Children::NoSuchClient, None));
    };
    let first: Option<u64> = txn
        .prepare_cached("SELECT number FROM versions WHERE client = ?1 AND parent = ?2")?
        .query_row(params![client.id, request.parent.to_bytes()], |row| number(row, 0))
        .optional()?;
    let Some(first) = first else {
        let children = match serve::child_version(client.latest, request.parent, None) {
            ChildVersion::UpToDate if serve::is_emptied(client.latest, request.parent) => {
                Children::NoSuchClient
            }
            ChildVersion::UpToDate => Children::UpToDate,
            ChildVersion::Found(_) | ChildVersion::Gone => Children::Gone,
        };
        return Ok((children, client.note(request.at, None)));
    };
    let mut statement = txn.prepare_cached(
        "SELECT version, parent, length(segment), segment FROM versions
         WHERE client = ?1 AND number >= ?2 ORDER BY number LIMIT ?3",
    )?;
    let mut rows = statement.query(params![client.id, cell(first), request.count_max.max(1)])?;
    let (mut versions, mut bytes) = (Vec::new(), 0_u64);
    while let Some(row) = rows.next()? {
        let length = number(row, 2)?;
        if versions.is_empty() && length > request.first_bytes_max {
            let note = client.note(request.at, position(request.parent, first));
            return Ok((Children::TooLarge { bytes: length }, note));
        }
        bytes = bytes.saturating_add(length);
        if bytes > request.bytes_max && !versions.is_empty() {
            break;
        }
        versions.push(StoredVersion {
            version: version_id(row, 0)?,
            parent: version_id(row, 1)?,
            segment: body(row, 3)?,
        });
    }
    let note = client.note(request.at, position(request.parent, first));
    Ok((Children::Found { versions, latest: client.latest }, note))
}

pub(super) fn client(
    connection: &Connection,
    id: ClientId,
) -> rusqlite::Result<Option<ClientFacts>> {
    let txn = connection.unchecked_transaction()?;
    let found = txn
        .prepare_cached(
            "SELECT id, latest, latest_number, first_number, version_bytes,
                 versions_since_snapshot, is_adopted, made_at, changed_at, seen_day
             FROM clients WHERE client_id = ?1",
        )?
        .query_row([id.to_bytes()], |row| {
            let (ever, first) = (number(row, 2)?, number(row, 3)?);
            let facts = ClientFacts {
                latest: version_id(row, 1)?,
                versions_ever: ever,
                versions: (ever + 1).saturating_sub(first),
                version_bytes: number(row, 4)?,
                snapshots: Vec::new(),
                versions_since_snapshot: u32::try_from(number(row, 5)?).unwrap_or(u32::MAX),
                is_adopted: row.get(6)?,
                made_at: Timestamp::from_seconds(row.get(7)?),
                changed_at: Timestamp::from_seconds(row.get(8)?),
                seen: Day(row.get(9)?),
            };
            Ok((row.get::<_, i64>(0)?, facts))
        })
        .optional()?;
    let Some((row, mut facts)) = found else { return Ok(None) };
    facts.snapshots = super::admin::snapshot_facts(&txn, row)?;
    Ok(Some(facts))
}

fn load_client(txn: &Connection, client: ClientId) -> rusqlite::Result<Option<Client>> {
    let sql = format!("SELECT {} FROM clients WHERE client_id = ?1", Client::COLUMNS);
    txn.prepare_cached(&sql)?.query_row([client.to_bytes()], Client::of).optional()
}
