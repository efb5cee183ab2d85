//! Accounts, tokens, and what is said of client ids: each call one statement.

use tandem_core::{ClientId, Timestamp, VersionId};
use tokio_postgres::Row;

use super::moments::Moment;
use super::pool::{Parameters, Pools};
use super::rows::{self, Id, number};
use crate::store::StoreError;
use crate::store::admin::{AccountFacts, NewAccount, Scope, Standing, State, TokenFacts};

/// Asked by every node for every client that is busy, once a second.
pub(super) const STANDING: &str = "
    SELECT client_access.is_disabled, accounts.is_disabled AS is_account_disabled
    FROM tandem.client_access LEFT JOIN tandem.accounts ON accounts.id = client_access.account
    WHERE client_id = $1";

pub(super) async fn standing(pools: &Pools, client: ClientId) -> Result<Standing, StoreError> {
    let rows = pools.read(STANDING, &[&Id(client.to_bytes())]).await?;
    let Some(row) = rows.first() else { return Ok(Standing::Plain) };
    let account: Option<bool> = rows::get(row, "is_account_disabled")?;
    Ok(match (rows::get(row, "is_disabled")?, account) {
        (false, None) => Standing::Plain,
        (false, Some(false)) => Standing::OfAccount,
        (true, _) | (_, Some(true)) => Standing::Disabled,
    })
}

const SET_CLIENT_STATE: &str = "
    INSERT INTO tandem.client_access (client_id, is_disabled, made_at)
    SELECT $1::uuid, $2::boolean, $3::bigint
    WHERE $2 OR EXISTS (SELECT FROM tandem.clients WHERE client_id = $1)
        OR EXISTS (SELECT FROM tandem.client_access WHERE client_id = $1)
    ON CONFLICT (client_id) DO UPDATE SET is_disabled = excluded.is_disabled
    RETURNING true";

pub(super) async fn set_client_state(
    pools: &Pools,
    client: ClientId,
    state: State,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let is_disabled = state == State::Disabled;
    has_changed(pools, SET_CLIENT_STATE, &[&Id(client.to_bytes()), &is_disabled, &at.seconds()])
        .await
}

const SHUT_OUT: &str = "
    SELECT client_id FROM tandem.client_access
    WHERE is_disabled AND NOT EXISTS (
        SELECT FROM tandem.clients WHERE clients.client_id = client_access.client_id)
    ORDER BY made_at, client_id";

/// Client ids that are shut out and have no history here.
pub(super) async fn shut_out(pools: &Pools) -> Result<Vec<ClientId>, StoreError> {
    let rows = pools.read(SHUT_OUT, &[]).await?;
    let id = |row| rows::get(row, "client_id").map(|Id(bytes)| ClientId::from_bytes(bytes));
    rows.iter().map(id).collect()
}

/// A client id that was shut out stays so when it gets an account.
const ADD: &str = "
    WITH account AS (
        INSERT INTO tandem.accounts (name, password, is_disabled, made_at)
        VALUES ($1, $2, false, $3)
        ON CONFLICT (name) DO NOTHING
        RETURNING id
    ), keyed AS (
        INSERT INTO tandem.tokens (hash, account, scope, made_at)
        SELECT hash, id, scope, $3
        FROM account, unnest($4::bytea[], $5::text[]) AS given (hash, scope)
    ), owned AS (
        INSERT INTO tandem.client_access (client_id, account, is_disabled, made_at)
        SELECT $6::uuid, id, false, $3 FROM account
        ON CONFLICT (client_id) DO UPDATE SET account = excluded.account
    )
    SELECT id FROM account";

pub(super) async fn add(pools: &Pools, new: &NewAccount) -> Result<bool, StoreError> {
    let hashes: Vec<&[u8]> = new.tokens.iter().map(|(hash, _)| &hash[..]).collect();
    let scopes: Vec<&str> = new.tokens.iter().map(|(_, scope)| scope.word()).collect();
    let (client, at) = (Id(new.client.to_bytes()), new.at.seconds());
    has_changed(pools, ADD, &[&new.name, &new.password, &at, &hashes, &scopes, &client]).await
}

const ADD_CLIENT: &str = "
    INSERT INTO tandem.client_access (client_id, account, is_disabled, made_at)
    SELECT $2::uuid, id, false, $3::bigint FROM tandem.accounts WHERE name = $1
    ON CONFLICT (client_id) DO UPDATE SET account = excluded.account
    RETURNING true";

pub(super) async fn add_client(
    pools: &Pools,
    name: &str,
    client: ClientId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    has_changed(pools, ADD_CLIENT, &[&name, &Id(client.to_bytes()), &at.seconds()]).await
}

const REMOVE_CLIENT: &str = "
    UPDATE tandem.client_access SET account = NULL
    WHERE client_id = $1 AND account IS NOT NULL
    RETURNING true";

pub(super) async fn remove_client(pools: &Pools, client: ClientId) -> Result<bool, StoreError> {
    has_changed(pools, REMOVE_CLIENT, &[&Id(client.to_bytes())]).await
}

/// All parts see the moment at which the statement began: the account is that of the old id before it
/// was taken away.
const ROTATE: &str = "
    WITH clock AS (
        SELECT coalesce($4::bigint, floor(extract(epoch FROM now()))::bigint) AS now
    ), old AS (
        INSERT INTO tandem.client_access (client_id, is_disabled, made_at)
        SELECT $1::uuid, true, $3::bigint
        WHERE EXISTS (SELECT FROM tandem.clients WHERE client_id = $1)
            OR EXISTS (SELECT FROM tandem.client_access WHERE client_id = $1)
        ON CONFLICT (client_id) DO UPDATE SET is_disabled = true, account = NULL
        RETURNING true
    ), owned AS (
        INSERT INTO tandem.client_access (client_id, account, is_disabled, made_at)
        SELECT $2::uuid, (SELECT account FROM tandem.client_access WHERE client_id = $1), false, $3
        FROM old
    ), made AS (
        INSERT INTO tandem.clients (client_id, latest, latest_number, first_number, version_bytes,
            versions_since_snapshot, is_adopted, made_at, changed_at, seen_day, asked_day,
            asked_number)
        SELECT $2, $5::uuid, 0, 1, 0, 0, false, now, now, now / 86400, now / 86400 - 1, 0
        FROM old, clock
    )
    SELECT true FROM old";

pub(super) async fn rotate(
    pools: &Pools,
    old: ClientId,
    new: ClientId,
    at: Timestamp,
    moment: Moment,
) -> Result<bool, StoreError> {
    let (old, new) = (Id(old.to_bytes()), Id(new.to_bytes()));
    let nil = Id(VersionId::NIL.to_bytes());
    has_changed(pools, ROTATE, &[&old, &new, &at.seconds(), &moment.0, &nil]).await
}

const ALL: &str = "
    SELECT name, is_disabled, made_at,
        (SELECT count(*) FROM tandem.tokens WHERE account = accounts.id) AS tokens,
        array(SELECT client_id FROM tandem.client_access WHERE account = accounts.id
              ORDER BY made_at, client_id) AS clients
    FROM tandem.accounts ORDER BY name";

pub(super) async fn all(pools: &Pools) -> Result<Vec<AccountFacts>, StoreError> {
    let rows = pools.read(ALL, &[]).await?;
    rows.iter().map(facts).collect()
}

fn facts(row: &Row) -> Result<AccountFacts, StoreError> {
    let clients: Vec<Id> = rows::get(row, "clients")?;
    Ok(AccountFacts {
        name: rows::get(row, "name")?,
        is_disabled: rows::get(row, "is_disabled")?,
        made_at: Timestamp::from_seconds(rows::get(row, "made_at")?),
        clients: clients.into_iter().map(|Id(bytes)| ClientId::from_bytes(bytes)).collect(),
        tokens: number(row, "tokens")?,
    })
}

const SET_PASSWORD: &str =
    "UPDATE tandem.accounts SET password = $2 WHERE name = $1 RETURNING true";

pub(super) async fn set_password(
    pools: &Pools,
    name: &str,
    password: &str,
) -> Result<bool, StoreError> {
    has_changed(pools, SET_PASSWORD, &[&name, &password]).await
}

const SET_STATE: &str =
    "UPDATE tandem.accounts SET is_disabled = $2 WHERE name = $1 RETURNING true";

pub(super) async fn set_state(pools: &Pools, name: &str, state: State) -> Result<bool, StoreError> {
    has_changed(pools, SET_STATE, &[&name, &(state == State::Disabled)]).await
}

const PASSWORD: &str = "SELECT password FROM tandem.accounts WHERE name = $1 AND NOT is_disabled";

pub(super) async fn password(pools: &Pools, name: &str) -> Result<Option<String>, StoreError> {
    let rows = pools.read(PASSWORD, &[&name]).await?;
    rows.first().map(|row| rows::get(row, "password")).transpose()
}

const TOKEN: &str = "
    SELECT name, scope FROM tandem.tokens JOIN tandem.accounts ON accounts.id = tokens.account
    WHERE hash = $1 AND NOT is_disabled";

pub(super) async fn token(pools: &Pools, hash: [u8; 32]) -> Result<Option<TokenFacts>, StoreError> {
    let rows = pools.read(TOKEN, &[&&hash[..]]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let scope: &str = rows::get(row, "scope")?;
    let scope = if scope == Scope::Write.word() { Scope::Write } else { Scope::Read };
    Ok(Some(TokenFacts { account: rows::get(row, "name")?, scope }))
}

/// Whether there was a row to change.
async fn has_changed(
    pools: &Pools,
    sql: &'static str,
    parameters: Parameters<'_>,
) -> Result<bool, StoreError> {
    Ok(!pools.change(sql, parameters).await?.is_empty())
}
