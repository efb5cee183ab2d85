//! What an operator asks, in SQL.

use rusqlite::{Connection, OptionalExtension as _, params};
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::{Day, SNAPSHOT_GENERATIONS};

use super::rows::{cell, number, version_id};
use super::{SqliteStore, accounts, check, snapshots};
use crate::store::admin::{
    AccountFacts, Checked, ClientEntry, ClientPage, Extent, NewAccount, Removed, SnapshotDropped,
    Standing, State, TokenFacts, Totals,
};
use crate::store::{AddSnapshot, Admin, Answer, ClientFacts, SnapshotAdded, SnapshotFacts};

impl Admin for SqliteStore {
    fn standing(&self, client: ClientId) -> Answer<'_, Standing> {
        Box::pin(async move { self.readers.with(|txn| accounts::standing(txn, client)) })
    }

    fn clients(&self, after: Option<i64>, count_max: u32) -> Answer<'_, ClientPage> {
        Box::pin(async move {
            self.readers.with_away(move |txn| client_page(txn, after, count_max)).await
        })
    }

    fn set_client_state(&self, client: ClientId, state: State, at: Timestamp) -> Answer<'_, bool> {
        Box::pin(async move {
            self.write(0, move |txn| accounts::set_client_state(txn, client, state, at)).await
        })
    }

    fn remove_history(&self, client: ClientId, extent: Extent) -> Answer<'_, Option<Removed>> {
        Box::pin(
            async move { self.make_room(move |txn| remove_history(txn, client, extent)).await },
        )
    }

    fn drop_snapshot(&self, client: ClientId) -> Answer<'_, SnapshotDropped> {
        Box::pin(
            async move { self.make_room(move |txn| snapshots::drop_newest(txn, client)).await },
        )
    }

    fn import_snapshot(&self, snapshot: AddSnapshot) -> Answer<'_, SnapshotAdded> {
        Box::pin(async move {
            let bytes = snapshot.body.len();
            self.write(bytes, move |txn| snapshots::import(txn, &snapshot)).await
        })
    }

    fn shut_out(&self) -> Answer<'_, Vec<ClientId>> {
        Box::pin(async move { self.readers.with_away(accounts::shut_out).await })
    }

    fn clients_ahead_of(&self, day: Day) -> Answer<'_, u64> {
        Box::pin(async move {
            self.readers.with_away(move |txn| check::clients_ahead_of(txn, day)).await
        })
    }

    fn totals(&self) -> Answer<'_, Totals> {
        Box::pin(async move { self.readers.with_away(totals).await })
    }

    fn check_client(&self, after: Option<i64>) -> Answer<'_, Option<Checked>> {
        Box::pin(async move { self.readers.with_away(move |txn| check::client(txn, after)).await })
    }

    fn check_storage(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move { self.readers.with_away(check::whole_storage).await })
    }

    fn add_account(&self, account: NewAccount) -> Answer<'_, bool> {
        Box::pin(async move { self.write(0, move |txn| accounts::add(txn, &account)).await })
    }

    fn add_account_client(&self, name: &str, client: ClientId, at: Timestamp) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(async move {
            self.write(0, move |txn| accounts::add_client(txn, &name, client, at)).await
        })
    }

    fn remove_account_client(&self, client: ClientId) -> Answer<'_, bool> {
        Box::pin(
            async move { self.write(0, move |txn| accounts::remove_client(txn, client)).await },
        )
    }

    fn rotate_client(&self, old: ClientId, new: ClientId, at: Timestamp) -> Answer<'_, bool> {
        Box::pin(async move { self.write(0, move |txn| accounts::rotate(txn, old, new, at)).await })
    }

    fn accounts(&self) -> Answer<'_, Vec<AccountFacts>> {
        Box::pin(async move { self.readers.with_away(accounts::all).await })
    }

    fn set_password(&self, name: &str, password: String) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(async move {
            self.write(0, move |txn| accounts::set_password(txn, &name, &password)).await
        })
    }

    fn set_account_state(&self, name: &str, state: State) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(
            async move { self.write(0, move |txn| accounts::set_state(txn, &name, state)).await },
        )
    }

    fn password(&self, name: &str) -> Answer<'_, Option<String>> {
        let name = name.to_owned();
        Box::pin(async move { self.readers.with(|txn| accounts::password(txn, &name)) })
    }

    fn token(&self, hash: [u8; 32]) -> Answer<'_, Option<TokenFacts>> {
        Box::pin(async move { self.readers.with(|txn| accounts::token(txn, hash)) })
    }
}

fn client_page(
    connection: &Connection,
    after: Option<i64>,
    count_max: u32,
) -> rusqlite::Result<ClientPage> {
    let txn = connection.unchecked_transaction()?;
    let mut statement = txn.prepare_cached(
        "SELECT clients.id, clients.client_id, latest, latest_number, first_number, version_bytes,
             versions_since_snapshot, is_adopted, clients.made_at, changed_at, seen_day,
             accounts.name, coalesce(client_access.is_disabled, 0)
         FROM clients
         LEFT JOIN client_access ON client_access.client_id = clients.client_id
         LEFT JOIN accounts ON accounts.id = client_access.account
         WHERE clients.id > ?1 ORDER BY clients.id LIMIT ?2",
    )?;
    let rows =
        statement.query_map(params![after.unwrap_or(i64::MIN), count_max.max(1)], |row| {
            let (ever, first) = (number(row, 3)?, number(row, 4)?);
            let facts = ClientFacts {
                latest: version_id(row, 2)?,
                versions_ever: ever,
                versions: (ever + 1).saturating_sub(first),
                version_bytes: number(row, 5)?,
                snapshots: Vec::new(),
                versions_since_snapshot: u32::try_from(number(row, 6)?).unwrap_or(u32::MAX),
                is_adopted: row.get(7)?,
                made_at: Timestamp::from_seconds(row.get(8)?),
                changed_at: Timestamp::from_seconds(row.get(9)?),
                seen: Day(row.get(10)?),
            };
            let id = ClientId::from_bytes(row.get(1)?);
            let (account, is_disabled) = (row.get(11)?, row.get(12)?);
            Ok((row.get::<_, i64>(0)?, ClientEntry { id, facts, account, is_disabled }))
        })?;
    let mut rows: Vec<(i64, ClientEntry)> = rows.collect::<rusqlite::Result<_>>()?;
    for (row, entry) in &mut rows {
        entry.facts.snapshots = snapshot_facts(&txn, *row)?;
    }
    let is_full = rows.len() >= usize::try_from(count_max.max(1)).unwrap_or(usize::MAX);
    let next = rows.last().map(|(row, _)| *row).filter(|_| is_full);
    Ok(ClientPage { clients: rows.into_iter().map(|(_, entry)| entry).collect(), next })
}

/// The stored snapshots of a client, newest first.
pub(super) fn snapshot_facts(txn: &Connection, row: i64) -> rusqlite::Result<Vec<SnapshotFacts>> {
    txn.prepare_cached(
        "SELECT version, stored_at, length(body) FROM snapshots WHERE client = ?1
         ORDER BY number DESC LIMIT ?2",
    )?
    .query_map(params![row, cell(SNAPSHOT_GENERATIONS as u64)], |row| {
        Ok(SnapshotFacts {
            version: version_id(row, 0)?,
            stored_at: Timestamp::from_seconds(row.get(1)?),
            bytes: number(row, 2)?,
        })
    })?
    .collect()
}

fn remove_history(
    txn: &Connection,
    client: ClientId,
    extent: Extent,
) -> rusqlite::Result<Option<Removed>> {
    let found = txn
        .prepare_cached("SELECT id, version_bytes FROM clients WHERE client_id = ?1")?
        .query_row([client.to_bytes()], |row| Ok((row.get::<_, i64>(0)?, number(row, 1)?)))
        .optional()?;
    let Some((row, version_bytes)) = found else { return Ok(None) };
    let snapshot_bytes: u64 = txn
        .prepare_cached("SELECT coalesce(sum(length(body)), 0) FROM snapshots WHERE client = ?1")?
        .query_row([row], |row| number(row, 0))?;
    let remove =
        |table: &str| txn.execute(&format!("DELETE FROM {table} WHERE client = ?1"), [row]);
    let (versions, snapshots) = (remove("versions")?, remove("snapshots")?);
    remove("snapshot_days")?;
    remove("asked_days")?;
    match extent {
        Extent::History => {
            txn.execute(
                "UPDATE clients SET latest = ?2, latest_number = 0, first_number = 1,
                     version_bytes = 0, versions_since_snapshot = 0, snapshot_number = NULL,
                     snapshot_at = NULL, is_adopted = 0, asked_day = seen_day - 1, asked_number = 0
                 WHERE id = ?1",
                params![row, VersionId::NIL.to_bytes()],
            )?;
        }
        Extent::Client => {
            txn.execute("DELETE FROM clients WHERE id = ?1", [row])?;
            // Who was shut out would be made anew by an open server.
            let sql = "DELETE FROM client_access WHERE client_id = ?1 AND is_disabled = 0";
            txn.execute(sql, [client.to_bytes()])?;
        }
    }
    Ok(Some(Removed {
        versions: versions as u64,
        snapshots: snapshots as u64,
        bytes: version_bytes.saturating_add(snapshot_bytes),
    }))
}

fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let txn = connection.unchecked_transaction()?;
    let pragma = |name: &str| -> rusqlite::Result<u64> {
        txn.pragma_query_value(None, name, |row| number(row, 0))
    };
    let page_bytes = pragma("page_size")?;
    let (storage, free) = (pragma("page_count")?, pragma("freelist_count")?);
    // The client rows keep the sums, so that no version is looked at.
    let sql = "SELECT count(*), coalesce(sum(latest_number + 1 - first_number), 0),
                   coalesce(sum(version_bytes), 0),
                   (SELECT count(*) FROM accounts),
                   (SELECT count(*) FROM snapshots),
                   (SELECT coalesce(sum(length(body)), 0) FROM snapshots)
               FROM clients";
    txn.query_row(sql, [], |row| {
        Ok(Totals {
            clients: number(row, 0)?,
            versions: number(row, 1)?,
            version_bytes: number(row, 2)?,
            accounts: number(row, 3)?,
            snapshots: number(row, 4)?,
            snapshot_bytes: number(row, 5)?,
            storage_bytes: storage.saturating_mul(page_bytes),
            free_bytes: Some(free.saturating_mul(page_bytes)),
        })
    })
}
