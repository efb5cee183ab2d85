//! What an operator asks, in SQL.

use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::retention::{Day, SNAPSHOT_GENERATIONS};

use super::pool::{Pools, WORK_TIME};
use super::read::{client_facts, snapshot_facts};
use super::rows::{self, Id, cell, number, sound};
use super::write::transaction_failed;
use super::{PostgresStore, accounts, check, snapshots};
use crate::store::admin::{
    AccountFacts, Checked, ClientEntry, ClientPage, Extent, NewAccount, Removed, SnapshotDropped,
    Standing, State, TokenFacts, Totals,
};
use crate::store::{AddSnapshot, Admin, Answer, SnapshotAdded, StoreError};

impl Admin for PostgresStore {
    fn standing(&self, client: ClientId) -> Answer<'_, Standing> {
        Box::pin(accounts::standing(&self.pools, client))
    }

    fn clients(&self, after: Option<i64>, count_max: u32) -> Answer<'_, ClientPage> {
        Box::pin(client_page(&self.pools, after, count_max))
    }

    fn set_client_state(&self, client: ClientId, state: State, at: Timestamp) -> Answer<'_, bool> {
        Box::pin(accounts::set_client_state(&self.pools, client, state, at))
    }

    fn remove_history(&self, client: ClientId, extent: Extent) -> Answer<'_, Option<Removed>> {
        Box::pin(async move { remove_history(&self.pools, client, extent).await })
    }

    fn drop_snapshot(&self, client: ClientId) -> Answer<'_, SnapshotDropped> {
        Box::pin(async move { snapshots::drop_newest(&self.pools, client).await })
    }

    fn import_snapshot(&self, snapshot: AddSnapshot) -> Answer<'_, SnapshotAdded> {
        Box::pin(async move {
            snapshots::import(&self.pools, &snapshot, self.clock.of(snapshot.at)).await
        })
    }

    fn shut_out(&self) -> Answer<'_, Vec<ClientId>> {
        Box::pin(accounts::shut_out(&self.pools))
    }

    fn clients_ahead_of(&self, day: Day) -> Answer<'_, u64> {
        Box::pin(check::clients_ahead_of(&self.pools, day, self.clock))
    }

    fn totals(&self) -> Answer<'_, Totals> {
        Box::pin(totals(&self.pools))
    }

    fn check_client(&self, after: Option<i64>) -> Answer<'_, Option<Checked>> {
        Box::pin(async move { check::client(&self.pools, after).await })
    }

    fn check_storage(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move { check::storage(&self.pools).await })
    }

    fn add_account(&self, account: NewAccount) -> Answer<'_, bool> {
        Box::pin(async move { accounts::add(&self.pools, &account).await })
    }

    fn add_account_client(&self, name: &str, client: ClientId, at: Timestamp) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(async move { accounts::add_client(&self.pools, &name, client, at).await })
    }

    fn remove_account_client(&self, client: ClientId) -> Answer<'_, bool> {
        Box::pin(accounts::remove_client(&self.pools, client))
    }

    fn rotate_client(&self, old: ClientId, new: ClientId, at: Timestamp) -> Answer<'_, bool> {
        Box::pin(accounts::rotate(&self.pools, old, new, at, self.clock.of(at)))
    }

    fn accounts(&self) -> Answer<'_, Vec<AccountFacts>> {
        Box::pin(accounts::all(&self.pools))
    }

    fn set_password(&self, name: &str, password: String) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(async move { accounts::set_password(&self.pools, &name, &password).await })
    }

    fn set_account_state(&self, name: &str, state: State) -> Answer<'_, bool> {
        let name = name.to_owned();
        Box::pin(async move { accounts::set_state(&self.pools, &name, state).await })
    }

    fn password(&self, name: &str) -> Answer<'_, Option<String>> {
        let name = name.to_owned();
        Box::pin(async move { accounts::password(&self.pools, &name).await })
    }

    fn token(&self, hash: [u8; 32]) -> Answer<'_, Option<TokenFacts>> {
        Box::pin(accounts::token(&self.pools, hash))
    }
}

/// A row for each snapshot of a client, or one without.
const CLIENTS: &str = "
    SELECT page.id, page.client_id, latest, latest_number, first_number, version_bytes,
        versions_since_snapshot, is_adopted, page.made_at, changed_at, seen_day,
        accounts.name AS account, coalesce(client_access.is_disabled, false) AS is_disabled,
        kept.version, kept.stored_at, kept.bytes
    FROM (SELECT * FROM tandem.clients WHERE id > $1 ORDER BY id LIMIT $2) AS page
    LEFT JOIN tandem.client_access ON client_access.client_id = page.client_id
    LEFT JOIN tandem.accounts ON accounts.id = client_access.account
    LEFT JOIN LATERAL (
        SELECT number, version, stored_at, octet_length(body)::bigint AS bytes
        FROM tandem.snapshots WHERE client = page.id
        ORDER BY number DESC LIMIT $3) AS kept ON true
    ORDER BY page.id, kept.number DESC";

async fn client_page(
    pools: &Pools,
    after: Option<i64>,
    count_max: u32,
) -> Result<ClientPage, StoreError> {
    let (after, count) = (after.unwrap_or(i64::MIN), i64::from(count_max.max(1)));
    let generations = cell(SNAPSHOT_GENERATIONS as u64);
    let rows = pools.read(CLIENTS, &[&after, &count, &generations]).await?;
    let mut page = ClientPage { clients: Vec::new(), next: None };
    let mut last = None;
    for row in &rows {
        let id: i64 = rows::get(row, "id")?;
        if last.replace(id) != Some(id) {
            let Id(client) = rows::get(row, "client_id")?;
            page.clients.push(ClientEntry {
                id: ClientId::from_bytes(client),
                facts: client_facts(row)?,
                account: rows::get(row, "account")?,
                is_disabled: rows::get(row, "is_disabled")?,
            });
        }
        if let (Some(entry), Some(snapshot)) = (page.clients.last_mut(), snapshot_facts(row)?) {
            entry.facts.snapshots.push(snapshot);
        }
    }
    let is_full = i64::try_from(page.clients.len()).is_ok_and(|length| length >= count);
    page.next = last.filter(|_| is_full);
    Ok(page)
}

/// Nobody adds to the client, nor lets its history go, from here on.
const LOCK_CLIENT: &str = "SELECT id FROM tandem.clients WHERE client_id = $1 FOR UPDATE";

/// After the lock, as a statement of its own: it sees what the last holder of the lock committed.
const REMOVE: &str = "
    WITH version AS (
        DELETE FROM tandem.versions WHERE client = $1 RETURNING octet_length(segment) AS bytes
    ), snapshot AS (
        DELETE FROM tandem.snapshots WHERE client = $1 RETURNING octet_length(body) AS bytes
    ), stored AS (
        DELETE FROM tandem.snapshot_days WHERE client = $1
    ), asked AS (
        DELETE FROM tandem.asked_days WHERE client = $1
    )
    SELECT (SELECT count(*) FROM version) AS versions, (SELECT count(*) FROM snapshot) AS snapshots,
        (SELECT coalesce(sum(bytes), 0)::bigint
         FROM (TABLE version UNION ALL TABLE snapshot) AS gone) AS bytes";

const BEGIN_ANEW: &str = "
    UPDATE tandem.clients SET latest = $2, latest_number = 0, first_number = 1, version_bytes = 0,
        versions_since_snapshot = 0, snapshot_number = NULL, snapshot_at = NULL, is_adopted = false,
        asked_day = seen_day - 1, asked_number = 0
    WHERE id = $1";

/// Who was shut out would be made anew by an open server.
const FORGET_CLIENT: &str = "
    WITH access AS (DELETE FROM tandem.client_access WHERE client_id = $2 AND NOT is_disabled)
    DELETE FROM tandem.clients WHERE id = $1";

async fn remove_history(
    pools: &Pools,
    client_id: ClientId,
    extent: Extent,
) -> Result<Option<Removed>, StoreError> {
    let client = pools.for_writing().await?;
    let id = Id(client_id.to_bytes());
    let mut is_committing = false;
    let committing = &mut is_committing;
    let outcome = pools
        .bounded_for(client, WORK_TIME, async move |client| {
            let txn = client.transaction().await?;
            // As long as the history is; others wait for its client alone, and not for so long.
            txn.batch_execute("SET LOCAL statement_timeout = 0").await?;
            let Some(row) = txn.query_opt(LOCK_CLIENT, &[&id]).await? else {
                txn.rollback().await?;
                return Ok(Ok(None));
            };
            let row: i64 = row.try_get("id")?;
            let gone = txn.query_one(REMOVE, &[&row]).await?;
            let removed = Removed {
                versions: sound!(number(&gone, "versions")),
                snapshots: sound!(number(&gone, "snapshots")),
                bytes: sound!(number(&gone, "bytes")),
            };
            match extent {
                Extent::History => {
                    txn.execute(BEGIN_ANEW, &[&row, &Id(VersionId::NIL.to_bytes())]).await?
                }
                Extent::Client => txn.execute(FORGET_CLIENT, &[&row, &id]).await?,
            };
            *committing = true;
            txn.commit().await?;
            Ok(Ok(Some(removed)))
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, is_committing))?
}

/// The client rows keep the sums, so that no version is looked at.
const TOTALS: &str = "
    SELECT count(*) AS clients,
        coalesce(sum(latest_number + 1 - first_number), 0)::bigint AS versions,
        coalesce(sum(version_bytes), 0)::bigint AS version_bytes,
        (SELECT count(*) FROM tandem.accounts) AS accounts,
        (SELECT count(*) FROM tandem.snapshots) AS snapshots,
        (SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM tandem.snapshots)
            AS snapshot_bytes,
        (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'tandem'::regnamespace) AS storage_bytes
    FROM tandem.clients";

async fn totals(pools: &Pools) -> Result<Totals, StoreError> {
    let rows = pools.read(TOTALS, &[]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Damaged { what: "no row came".to_owned() })?;
    Ok(Totals {
        clients: number(row, "clients")?,
        accounts: number(row, "accounts")?,
        versions: number(row, "versions")?,
        version_bytes: number(row, "version_bytes")?,
        snapshots: number(row, "snapshots")?,
        snapshot_bytes: number(row, "snapshot_bytes")?,
        storage_bytes: number(row, "storage_bytes")?,
        // PostgreSQL tells it only through extensions.
        free_bytes: None,
    })
}
