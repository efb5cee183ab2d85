//! What the installation remembers beside its clients.

use rusqlite::{Connection, OptionalExtension as _};
use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::rounds::{Rounds, Watched};

/// The fact that keeps the key for logs.
const LOG_KEY: &str = "log_key";

/// The fact about rounds: 8 bytes of the day, 4 of the hours.
const ROUNDS: &str = "rounds";

/// Notes a round of retention; whether history may go in it.
pub(super) fn begin_round(
    txn: &Connection,
    today: Day,
    watched: Watched,
) -> rusqlite::Result<bool> {
    let before = load_rounds(txn)?;
    let next = Rounds::next(before, today, watched);
    if before != Some(next) {
        save_rounds(txn, next)?;
    }
    Ok(next.may_act())
}

/// What is remembered of the rounds; none in a database of an older program.
fn load_rounds(txn: &Connection) -> rusqlite::Result<Option<Rounds>> {
    let value: Option<[u8; 12]> = txn
        .query_row("SELECT value FROM facts WHERE name = ?1", [ROUNDS], |row| row.get(0))
        .optional()?;
    Ok(value.map(|[a, b, c, d, e, f, g, h, hours @ ..]| Rounds {
        last: Day(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        hours_left: u32::from_be_bytes(hours),
    }))
}

pub(super) fn save_rounds(txn: &Connection, rounds: Rounds) -> rusqlite::Result<()> {
    let value = [&rounds.last.0.to_be_bytes()[..], &rounds.hours_left.to_be_bytes()[..]].concat();
    txn.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)", (ROUNDS, value))
        .map(drop)
}

/// The key by which client ids are shortened in logs.
pub(super) fn log_key(connection: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    connection
        .query_row("SELECT value FROM facts WHERE name = ?1", [LOG_KEY], |row| row.get(0))
        .optional()
}

/// Makes this the key, unless there is one; the one that is there then.
pub(super) fn offer_log_key(connection: &Connection, key: [u8; 32]) -> rusqlite::Result<[u8; 32]> {
    let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.execute(sql, (LOG_KEY, key))?;
    Ok(log_key(connection)?.unwrap_or(key))
}
