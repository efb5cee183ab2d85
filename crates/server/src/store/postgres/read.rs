//! Questions: each is one statement, so it sees one moment and costs one round trip.
//!
//! A body is found from the client's id in that same statement, however large it is: the number of a
//! row never travels between two, so no row of somebody else can come in its place.

use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::{Day, SNAPSHOT_GENERATIONS};
use tandem_tasks::serve::{self, ChildVersion};
use tokio_postgres::Row;

use super::moments::{self, Moment};
use super::notes::Note;
use super::pool::Pools;
use super::rows::{self, Id, body, cell, number, optional_number, optional_version_id, version_id};
use crate::store::{
    Child, Children, ClientFacts, Head, Health, ReadChildren, SnapshotFacts, SnapshotFound,
    StoreError, StoredSnapshot, StoredVersion,
};

/// A client as its row says, as far as reading needs it.
struct Client {
    id: i64,
    latest: VersionId,
    changed_at: i64,
    /// What time it is, as the database has it.
    now: i64,
    seen: Day,
    asked: (Day, u64),
}

impl Client {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: rows::get(row, "id")?,
            latest: version_id(row, "latest")?,
            changed_at: rows::get(row, "changed_at")?,
            now: rows::get(row, "now")?,
            seen: Day(rows::get(row, "seen_day")?),
            asked: (Day(rows::get(row, "asked_day")?), number(row, "asked_number")?),
        })
    }

    /// What is to be noted of a question at `at`, for the child of the position `asked` if there is
    /// one. Nothing, for all but the first questions of a day.
    fn note(&self, at: Moment, asked: Option<u64>) -> Option<Note> {
        let day = moments::day(at.or(self.now), self.changed_at);
        let (asked_day, lowest) = self.asked;
        let asked = asked.filter(|asked| asked_day != day || *asked < lowest);
        (self.seen != day || asked.is_some()).then_some(Note { client: self.id, day, asked })
    }
}

/// The position before a version. A replica at nil is empty and misses nothing.
fn position(parent: VersionId, number: u64) -> Option<u64> {
    (!parent.is_nil()).then(|| number.saturating_sub(1))
}

pub(super) const CHILD: &str = "
    SELECT clients.id, latest, changed_at, seen_day, asked_day, asked_number,
        floor(extract(epoch FROM now()))::bigint AS now,
        versions.number, versions.version, octet_length(versions.segment)::bigint AS bytes,
        CASE WHEN octet_length(versions.segment) <= $3::bigint THEN versions.segment END AS segment
    FROM tandem.clients LEFT JOIN tandem.versions
        ON versions.client = clients.id AND versions.parent = $2
    WHERE client_id = $1";

pub(super) async fn child_version(
    pools: &Pools,
    client: ClientId,
    parent: VersionId,
    at: Moment,
    bytes_max: u64,
) -> Result<(Child, Option<Note>), StoreError> {
    let (asker, asked) = (Id(client.to_bytes()), Id(parent.to_bytes()));
    let rows = pools.read(CHILD, &[&asker, &asked, &cell(bytes_max)]).await?;
    let Some(row) = rows.first() else { return Ok((Child::NoSuchClient, None)) };
    let client = Client::of(row)?;
    match serve::child_version(client.latest, parent, optional_version_id(row, "version")?) {
        ChildVersion::UpToDate if serve::is_emptied(client.latest, parent) => {
            Ok((Child::NoSuchClient, client.note(at, None)))
        }
        ChildVersion::UpToDate => Ok((Child::UpToDate, client.note(at, None))),
        ChildVersion::Gone => Ok((Child::Gone, client.note(at, None))),
        ChildVersion::Found(version) => {
            let note = client.note(at, position(parent, number(row, "number")?));
            let bytes = number(row, "bytes")?;
            if bytes > bytes_max {
                return Ok((Child::TooLarge { bytes }, note));
            }
            let child = StoredVersion { version, parent, segment: body(row, "segment")? };
            Ok((Child::Found(child), note))
        }
    }
}

const SNAPSHOT: &str = "
    SELECT clients.id, latest, changed_at, seen_day, asked_day, asked_number,
        floor(extract(epoch FROM now()))::bigint AS now,
        newest.version, newest.bytes, newest.body
    FROM tandem.clients LEFT JOIN LATERAL (
        SELECT version, octet_length(body)::bigint AS bytes,
            CASE WHEN octet_length(body) <= $2::bigint THEN body END AS body
        FROM tandem.snapshots WHERE client = clients.id
        ORDER BY number DESC LIMIT 1) AS newest ON true
    WHERE client_id = $1";

pub(super) async fn snapshot(
    pools: &Pools,
    client: ClientId,
    at: Moment,
    bytes_max: u64,
) -> Result<(SnapshotFound, Option<Note>), StoreError> {
    let rows = pools.read(SNAPSHOT, &[&Id(client.to_bytes()), &cell(bytes_max)]).await?;
    let Some(row) = rows.first() else { return Ok((SnapshotFound::NoSuchClient, None)) };
    let note = Client::of(row)?.note(at, None);
    let found = match optional_version_id(row, "version")? {
        Some(version) => match number(row, "bytes")? {
            bytes if bytes > bytes_max => SnapshotFound::TooLarge { bytes },
            _ => SnapshotFound::Found(StoredSnapshot { version, body: body(row, "body")? }),
        },
        None => SnapshotFound::None,
    };
    Ok((found, note))
}

const HEAD: &str = "
    SELECT clients.id, latest, changed_at, seen_day, asked_day, asked_number,
        floor(extract(epoch FROM now()))::bigint AS now,
        (SELECT version FROM tandem.snapshots WHERE client = clients.id
         ORDER BY number DESC LIMIT 1) AS snapshot
    FROM tandem.clients WHERE client_id = $1";

pub(super) async fn head(
    pools: &Pools,
    client: ClientId,
    at: Moment,
) -> Result<(Option<Head>, Option<Note>), StoreError> {
    let rows = pools.read(HEAD, &[&Id(client.to_bytes())]).await?;
    let Some(row) = rows.first() else { return Ok((None, None)) };
    let client = Client::of(row)?;
    let head = Head { latest: client.latest, snapshot: optional_version_id(row, "snapshot")? };
    Ok((Some(head), client.note(at, None)))
}

/// Numbers have no holes, so a row of versions is a range. Sizes are summed without reading bodies.
const CHILDREN: &str = "
    SELECT clients.id, latest, changed_at, seen_day, asked_day, asked_number,
        floor(extract(epoch FROM now()))::bigint AS now,
        found.number, found.version, found.parent, found.length,
        CASE WHEN found.number > found.first OR found.length <= $5::bigint THEN found.segment END
            AS segment
    FROM tandem.clients LEFT JOIN LATERAL (
        SELECT number, version, parent, segment, first,
            octet_length(segment)::bigint AS length,
            sum(octet_length(segment)) OVER (ORDER BY number) AS bytes
        FROM tandem.versions, (
            SELECT number AS first FROM tandem.versions
            WHERE client = clients.id AND parent = $2) AS begin
        WHERE client = clients.id AND number >= first AND number < first + $3::bigint
        ) AS found ON found.bytes <= $4::bigint OR found.number = found.first
    WHERE client_id = $1
    ORDER BY found.number";

pub(super) async fn children(
    pools: &Pools,
    request: &ReadChildren,
    at: Moment,
) -> Result<(Children, Option<Note>), StoreError> {
    let (client, parent) = (Id(request.client.to_bytes()), Id(request.parent.to_bytes()));
    let (count, bytes) = (i64::from(request.count_max.max(1)), cell(request.bytes_max));
    let first_bytes = cell(request.first_bytes_max);
    let rows = pools.read(CHILDREN, &[&client, &parent, &count, &bytes, &first_bytes]).await?;
    let Some(row) = rows.first() else { return Ok((Children::NoSuchClient, None)) };
    let client = Client::of(row)?;
    let Some(first) = optional_number(row, "number")? else {
        let children = match serve::child_version(client.latest, request.parent, None) {
            ChildVersion::UpToDate if serve::is_emptied(client.latest, request.parent) => {
                Children::NoSuchClient
            }
            ChildVersion::UpToDate => Children::UpToDate,
            ChildVersion::Found(_) | ChildVersion::Gone => Children::Gone,
        };
        return Ok((children, client.note(at, None)));
    };
    let note = client.note(at, position(request.parent, first));
    let bytes = number(row, "length")?;
    if bytes > request.first_bytes_max {
        return Ok((Children::TooLarge { bytes }, note));
    }
    let versions = rows
        .iter()
        .map(|row| {
            Ok(StoredVersion {
                version: version_id(row, "version")?,
                parent: version_id(row, "parent")?,
                segment: body(row, "segment")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok((Children::Found { versions, latest: client.latest }, note))
}

const CLIENT: &str = "
    SELECT latest, latest_number, first_number, version_bytes, versions_since_snapshot, is_adopted,
        made_at, changed_at, seen_day,
        kept.version, kept.stored_at, kept.bytes
    FROM tandem.clients LEFT JOIN LATERAL (
        SELECT number, version, stored_at, octet_length(body)::bigint AS bytes
        FROM tandem.snapshots WHERE client = clients.id
        ORDER BY number DESC LIMIT $2) AS kept ON true
    WHERE client_id = $1
    ORDER BY kept.number DESC";

pub(super) async fn client(pools: &Pools, id: ClientId) -> Result<Option<ClientFacts>, StoreError> {
    let generations = cell(SNAPSHOT_GENERATIONS as u64);
    let rows = pools.read(CLIENT, &[&Id(id.to_bytes()), &generations]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut facts = client_facts(row)?;
    for row in &rows {
        facts.snapshots.extend(snapshot_facts(row)?);
    }
    Ok(Some(facts))
}

/// A client as its row says, without its snapshots.
pub(super) fn client_facts(row: &Row) -> Result<ClientFacts, StoreError> {
    let (ever, first) = (number(row, "latest_number")?, number(row, "first_number")?);
    Ok(ClientFacts {
        latest: version_id(row, "latest")?,
        versions_ever: ever,
        versions: (ever + 1).saturating_sub(first),
        version_bytes: number(row, "version_bytes")?,
        snapshots: Vec::new(),
        versions_since_snapshot: u32::try_from(number(row, "versions_since_snapshot")?)
            .unwrap_or(u32::MAX),
        is_adopted: rows::get(row, "is_adopted")?,
        made_at: Timestamp::from_seconds(rows::get(row, "made_at")?),
        changed_at: Timestamp::from_seconds(rows::get(row, "changed_at")?),
        seen: Day(rows::get(row, "seen_day")?),
    })
}

/// The snapshot of a row that was joined with one.
pub(super) fn snapshot_facts(row: &Row) -> Result<Option<SnapshotFacts>, StoreError> {
    let Some(version) = optional_version_id(row, "version")? else { return Ok(None) };
    let stored_at = Timestamp::from_seconds(rows::get(row, "stored_at")?);
    Ok(Some(SnapshotFacts { version, stored_at, bytes: number(row, "bytes")? }))
}

/// A standby, or a primary that was told to take no writes, is no place for new versions.
const HEALTH: &str = "
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS is_reading
    FROM tandem.facts LIMIT 1";

pub(super) async fn health(pools: &Pools) -> Health {
    let reading = async {
        let rows = pools.read(HEALTH, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Damaged {
            what: "the table of facts is empty".to_owned(),
        })?;
        rows::get(row, "is_reading")
    };
    let outcome = reading.await;
    if let Some(reason) = pools.damage().found() {
        return Health::Damaged { reason };
    }
    match outcome {
        Ok(false) => Health::Ready,
        Ok(true) => {
            Health::WritesStopped { reason: "the database takes no writes at present".to_owned() }
        }
        Err(error) => Health::Unavailable { reason: error.to_string() },
    }
}
