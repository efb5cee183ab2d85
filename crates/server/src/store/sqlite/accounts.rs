//! Accounts, tokens, and what is said of client ids, in SQL.

use rusqlite::{Connection, OptionalExtension as _, params};
use tandem_core::{ClientId, Timestamp};

use super::rows::number;
use super::write;
use crate::store::admin::{AccountFacts, NewAccount, Scope, Standing, State, TokenFacts};

pub(super) fn standing(txn: &Connection, client: ClientId) -> rusqlite::Result<Standing> {
    let found: Option<(bool, Option<bool>)> = txn
        .prepare_cached(
            "SELECT client_access.is_disabled, accounts.is_disabled
             FROM client_access LEFT JOIN accounts ON accounts.id = client_access.account
             WHERE client_access.client_id = ?1",
        )?
        .query_row([client.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        None | Some((false, None)) => Standing::Plain,
        Some((false, Some(false))) => Standing::OfAccount,
        Some((true, _) | (_, Some(true))) => Standing::Disabled,
    })
}

pub(super) fn set_client_state(
    txn: &Connection,
    client: ClientId,
    state: State,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    if state == State::Enabled && !is_known(txn, client)? {
        return Ok(false);
    }
    txn.prepare_cached(
        "INSERT INTO client_access (client_id, account, is_disabled, made_at)
         VALUES (?1, NULL, ?2, ?3)
         ON CONFLICT (client_id) DO UPDATE SET is_disabled = excluded.is_disabled",
    )?
    .execute(params![client.to_bytes(), state == State::Disabled, at.seconds()])?;
    Ok(true)
}

/// Whether the client was here, or something is said of it.
fn is_known(txn: &Connection, client: ClientId) -> rusqlite::Result<bool> {
    txn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM clients WHERE client_id = ?1)
             OR EXISTS (SELECT 1 FROM client_access WHERE client_id = ?1)",
    )?
    .query_row([client.to_bytes()], |row| row.get(0))
}

/// Puts another client id in the place of one that is shut out by it.
pub(super) fn rotate(
    txn: &Connection,
    old: ClientId,
    new: ClientId,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    if !is_known(txn, old)? {
        return Ok(false);
    }
    write::create_client(txn, new, at)?;
    txn.prepare_cached(
        "INSERT INTO client_access (client_id, account, is_disabled, made_at)
         VALUES (?2, (SELECT account FROM client_access WHERE client_id = ?1), 0, ?3)",
    )?
    .execute(params![old.to_bytes(), new.to_bytes(), at.seconds()])?;
    txn.prepare_cached(
        "INSERT INTO client_access (client_id, account, is_disabled, made_at)
         VALUES (?1, NULL, 1, ?2)
         ON CONFLICT (client_id) DO UPDATE SET account = NULL, is_disabled = 1",
    )?
    .execute(params![old.to_bytes(), at.seconds()])?;
    Ok(true)
}

/// Client ids that are shut out and have no history here.
pub(super) fn shut_out(txn: &Connection) -> rusqlite::Result<Vec<ClientId>> {
    txn.prepare_cached(
        "SELECT client_id FROM client_access
         WHERE is_disabled AND client_id NOT IN (SELECT client_id FROM clients) ORDER BY made_at",
    )?
    .query_map([], |row| row.get(0).map(ClientId::from_bytes))?
    .collect()
}

pub(super) fn add(txn: &Connection, new: &NewAccount) -> rusqlite::Result<bool> {
    let made = txn
        .prepare_cached(
            "INSERT INTO accounts (name, password, is_disabled, made_at) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![new.name, new.password, new.at.seconds()])?;
    if made == 0 {
        return Ok(false);
    }
    let account = txn.last_insert_rowid();
    for (hash, scope) in &new.tokens {
        txn.prepare_cached(
            "INSERT INTO tokens (hash, account, scope, made_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![hash, account, scope.word(), new.at.seconds()])?;
    }
    own(txn, account, new.client, new.at)?;
    Ok(true)
}

pub(super) fn add_client(
    txn: &Connection,
    name: &str,
    client: ClientId,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let Some(account) = account(txn, name)? else { return Ok(false) };
    own(txn, account, client, at)?;
    Ok(true)
}

/// Takes a client id from its account.
pub(super) fn remove_client(txn: &Connection, client: ClientId) -> rusqlite::Result<bool> {
    let changed = txn
        .prepare_cached(
            "UPDATE client_access SET account = NULL
             WHERE client_id = ?1 AND account IS NOT NULL",
        )?
        .execute([client.to_bytes()])?;
    Ok(changed == 1)
}

/// Gives a client id to an account. One that was shut out stays so.
fn own(txn: &Connection, account: i64, client: ClientId, at: Timestamp) -> rusqlite::Result<()> {
    txn.prepare_cached(
        "INSERT INTO client_access (client_id, account, is_disabled, made_at)
         VALUES (?1, ?2, 0, ?3)
         ON CONFLICT (client_id) DO UPDATE SET account = excluded.account",
    )?
    .execute(params![client.to_bytes(), account, at.seconds()])
    .map(drop)
}

fn account(txn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    txn.prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<AccountFacts>> {
    let txn = connection.unchecked_transaction()?;
    let mut statement = txn.prepare_cached(
        "SELECT id, name, is_disabled, made_at,
             (SELECT count(*) FROM tokens WHERE account = accounts.id)
         FROM accounts ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        let facts = AccountFacts {
            name: row.get(1)?,
            is_disabled: row.get(2)?,
            made_at: Timestamp::from_seconds(row.get(3)?),
            clients: Vec::new(),
            tokens: number(row, 4)?,
        };
        Ok((row.get::<_, i64>(0)?, facts))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (id, mut facts) = row?;
        facts.clients = txn
            .prepare_cached(
                "SELECT client_id FROM client_access WHERE account = ?1 ORDER BY made_at",
            )?
            .query_map([id], |row| row.get(0).map(ClientId::from_bytes))?
            .collect::<rusqlite::Result<_>>()?;
        all.push(facts);
    }
    Ok(all)
}

pub(super) fn set_password(txn: &Connection, name: &str, password: &str) -> rusqlite::Result<bool> {
    let changed = txn
        .prepare_cached("UPDATE accounts SET password = ?2 WHERE name = ?1")?
        .execute([name, password])?;
    Ok(changed == 1)
}

pub(super) fn set_state(txn: &Connection, name: &str, state: State) -> rusqlite::Result<bool> {
    let changed = txn
        .prepare_cached("UPDATE accounts SET is_disabled = ?2 WHERE name = ?1")?
        .execute(params![name, state == State::Disabled])?;
    Ok(changed == 1)
}

pub(super) fn password(txn: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    txn.prepare_cached("SELECT password FROM accounts WHERE name = ?1 AND is_disabled = 0")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn token(txn: &Connection, hash: [u8; 32]) -> rusqlite::Result<Option<TokenFacts>> {
    txn.prepare_cached(
        "SELECT name, scope FROM tokens JOIN accounts ON accounts.id = tokens.account
         WHERE hash = ?1 AND is_disabled = 0",
    )?
    .query_row([hash], |row| {
        let scope: String = row.get(1)?;
        let scope = if scope == Scope::Write.word() { Scope::Write } else { Scope::Read };
        Ok(TokenFacts { account: row.get(0)?, scope })
    })
    .optional()
}
