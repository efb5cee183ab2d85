//! What changes a client's history.

use tandem_core::{Timestamp, VersionId};
use tandem_tasks::serve::retention::{SNAPSHOT_GENERATIONS, days_between};
use tandem_tasks::serve::{self, SNAPSHOT_RECENT_VERSIONS, SnapshotAge};
use tokio_postgres::Row;

use super::moments::{self, Moment};
use super::pool::{Failed, Pools};
use super::rows::{self, Id, cell, number, optional_number, optional_version_id, version_id};
use crate::store::{AddSnapshot, AddVersion, Added, SnapshotAdded, StoreError};

/// The compare-and-swap.
pub(super) const ADD_VERSION: &str = include_str!("sql/add_version.sql");

/// How often a version is offered again because its client was made or removed by somebody else
/// meanwhile. Each time somebody has got on, so once is the rule.
const OFFERS_MAX: usize = 8;

pub(super) async fn add_version(
    pools: &Pools,
    request: &AddVersion,
    at: Moment,
) -> Result<Added, StoreError> {
    let (client, parent) = (Id(request.client.to_bytes()), Id(request.parent.to_bytes()));
    let (version, nil) = (Id(request.version.to_bytes()), Id(VersionId::NIL.to_bytes()));
    let segment = &request.segment[..];
    for _ in 0..OFFERS_MAX {
        let rows = pools
            .change(
                ADD_VERSION,
                &[&client, &parent, &version, &segment, &at.0, &request.may_create, &nil],
            )
            .await?;
        // It is carried out: whatever is wrong with the answer, nobody may be told that it is not.
        let row = rows.first().ok_or_else(|| open("no row came"))?;
        let offered = Offered::of(row).map_err(|error| open(&error.to_string()))?;
        match offered.decided(request) {
            Decided::Answer(added) => return Ok(added),
            Decided::Again => {}
        }
    }
    Err(StoreError::Unavailable { what: "the client is made and removed again".to_owned() })
}

fn open(what: &str) -> StoreError {
    StoreError::Unknown { what: what.to_owned() }
}

/// What the statement has seen and done.
#[derive(Debug, Clone, Copy)]
struct Offered {
    found: Option<VersionId>,
    locked: Option<VersionId>,
    snapshot_at: Option<i64>,
    versions_since: u64,
    now: Timestamp,
    is_added: bool,
}

enum Decided {
    Answer(Added),
    Again,
}

impl Offered {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            found: optional_version_id(row, "found")?,
            locked: optional_version_id(row, "locked")?,
            snapshot_at: rows::get(row, "snapshot_at")?,
            versions_since: optional_number(row, "versions_since_snapshot")?.unwrap_or(0),
            now: Timestamp::from_seconds(rows::get(row, "now")?),
            is_added: rows::get(row, "is_added")?,
        })
    }

    fn decided(self, request: &AddVersion) -> Decided {
        if self.is_added {
            let age = self.snapshot_at.map(|stored_at| SnapshotAge {
                days: days_between(Timestamp::from_seconds(stored_at), self.now),
                versions: u32::try_from(self.versions_since).unwrap_or(u32::MAX),
            });
            let urgency = serve::urgency(age, request.targets);
            return Decided::Answer(Added::Accepted { version: request.version, urgency });
        }
        // The row as its last writer left it, else as the statement's moment shows it.
        match self.locked.or(self.found) {
            Some(latest) => match serve::add_version(latest, request.parent) {
                serve::AddVersion::Conflict { latest } => {
                    Decided::Answer(Added::Conflict { latest })
                }
                // It was there, and was removed before it could be locked.
                serve::AddVersion::Accept => Decided::Again,
            },
            // Somebody has made it since, or it may not be made.
            None if request.may_create => Decided::Again,
            None => Decided::Answer(Added::NoSuchClient),
        }
    }
}

const LOCK_CLIENT: &str = "
    SELECT id, snapshot_number, changed_at, floor(extract(epoch FROM now()))::bigint AS now
    FROM tandem.clients WHERE client_id = $1 FOR NO KEY UPDATE";

const RECENT: &str = "
    SELECT number, version FROM tandem.versions WHERE client = $1 ORDER BY number DESC LIMIT $2";

/// Takes a snapshot in and lets the third one go.
const STORE_SNAPSHOT: &str = "
    WITH stored AS (
        INSERT INTO tandem.snapshots (client, number, version, stored_at, body)
        VALUES ($1, $2, $3, $4, $5)
    ), gone AS (
        DELETE FROM tandem.snapshots WHERE client = $1 AND number NOT IN (
            SELECT number FROM tandem.snapshots WHERE client = $1 ORDER BY number DESC LIMIT $7)
    ), day AS (
        INSERT INTO tandem.snapshot_days (client, day, number) VALUES ($1, $6, $2)
        ON CONFLICT (client, day)
            DO UPDATE SET number = greatest(snapshot_days.number, excluded.number)
    )
    UPDATE tandem.clients SET snapshot_number = $2, snapshot_at = $4, versions_since_snapshot = 0,
        is_adopted = false, changed_at = greatest(changed_at, $4), seen_day = $6
    WHERE id = $1";

pub(super) async fn add_snapshot(
    pools: &Pools,
    request: &AddSnapshot,
    at: Moment,
) -> Result<SnapshotAdded, StoreError> {
    let client = pools.for_writing().await?;
    let mut is_committing = false;
    let committing = &mut is_committing;
    let mut damage = None;
    let damaged = &mut damage;
    let outcome = pools
        .bounded(client, async move |client| {
            let txn = client.transaction().await?;
            let lock = txn.prepare_cached(LOCK_CLIENT).await?;
            let Some(row) = txn.query_opt(&lock, &[&Id(request.client.to_bytes())]).await? else {
                return Ok(SnapshotAdded::NoSuchClient);
            };
            let id: i64 = row.try_get("id")?;
            // A statement of its own, after the lock: it sees what the one before has committed.
            let recent = txn.prepare_cached(RECENT).await?;
            let recent = txn.query(&recent, &[&id, &cell(SNAPSHOT_RECENT_VERSIONS as u64)]).await?;
            let place = match place(&row, &recent, request.version) {
                Ok(Some(place)) => cell(place),
                Ok(None) => return Ok(SnapshotAdded::PassedOver),
                Err(error) => {
                    *damaged = Some(error);
                    return Ok(SnapshotAdded::PassedOver);
                }
            };
            let store = txn.prepare_cached(STORE_SNAPSHOT).await?;
            let (now, changed_at) = (at.or(row.try_get("now")?), row.try_get("changed_at")?);
            let day = moments::day(now, changed_at).0;
            // Of those that were there one fewer stays.
            let others = cell(SNAPSHOT_GENERATIONS as u64 - 1);
            let version = Id(request.version.to_bytes());
            let body = &request.body[..];
            txn.execute(&store, &[&id, &place, &version, &now, &body, &day, &others]).await?;
            *committing = true;
            txn.commit().await?;
            Ok(SnapshotAdded::Accepted)
        })
        .await;
    match (outcome, damage) {
        (Ok(_), Some(error)) => Err(error),
        (Ok(added), None) => Ok(added),
        (Err(failed), _) => Err(transaction_failed(&failed, is_committing)),
    }
}

/// The number of an offered version if its snapshot is to be taken.
fn place(client: &Row, recent: &[Row], offered: VersionId) -> Result<Option<u64>, StoreError> {
    let recent: Vec<(u64, VersionId)> = recent
        .iter()
        .map(|row| Ok((number(row, "number")?, version_id(row, "version")?)))
        .collect::<Result<_, StoreError>>()?;
    let ids: Vec<VersionId> = recent.iter().map(|(_, version)| *version).collect();
    let stored = optional_number(client, "snapshot_number")?.and_then(|stored| {
        recent.iter().find(|(number, _)| *number == stored).map(|(_, version)| *version)
    });
    let place = recent.iter().find(|(_, version)| *version == offered);
    let accepted = place.filter(|_| serve::accepts_snapshot(&ids, stored, offered));
    Ok(accepted.map(|(number, _)| *number))
}

/// Before COMMIT was sent a transaction has certainly changed nothing.
pub(super) fn transaction_failed(failed: &Failed, is_committing: bool) -> StoreError {
    match failed {
        Failed::Statement(error) if is_committing => rows::changing(error),
        Failed::Statement(error) => rows::unchanged(error),
        Failed::Time if is_committing => {
            StoreError::Unknown { what: "no answer to a commit in time".to_owned() }
        }
        Failed::Time => StoreError::Unavailable { what: "no answer in time".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tandem_core::ClientId;
    use tandem_tasks::serve::SnapshotTargets;

    use super::*;

    /// What becomes of an offer after version 1 that was not added.
    fn decided(found: Option<u8>, locked: Option<u8>, may_create: bool) -> Option<Added> {
        let version = |number: u8| VersionId::from_bytes([number; 16]);
        let request = AddVersion {
            client: ClientId::from_bytes([9; 16]),
            parent: version(1),
            version: version(7),
            segment: Bytes::from_static(b"x"),
            at: Timestamp::EPOCH,
            targets: SnapshotTargets::default(),
            may_create,
        };
        let offered = Offered {
            found: found.map(version),
            locked: locked.map(version),
            snapshot_at: None,
            versions_since: 0,
            now: Timestamp::EPOCH,
            is_added: false,
        };
        match offered.decided(&request) {
            Decided::Answer(added) => Some(added),
            Decided::Again => None,
        }
    }

    #[test]
    fn a_refusal_names_the_newest_that_is_known_and_an_open_race_is_run_again() {
        let latest = |number: u8| VersionId::from_bytes([number; 16]);
        let conflict = |number| Some(Added::Conflict { latest: latest(number) });
        assert_eq!(decided(Some(2), None, true), conflict(2), "seen without a lock");
        assert_eq!(decided(Some(1), Some(3), true), conflict(3), "another was faster");
        assert_eq!(decided(Some(0), Some(3), true), conflict(3), "another first version");
        assert_eq!(decided(Some(1), None, true), None, "removed meanwhile");
        assert_eq!(decided(None, None, true), None, "made meanwhile");
        assert_eq!(decided(None, None, false), Some(Added::NoSuchClient));
    }
}
