//! What SQLite alone can do on this disk: a row of 300 bytes, durable, one or several in a commit.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// A database as a server's: write-ahead log, flushed at each commit.
pub(crate) struct Bare {
    connection: Connection,
    number: i64,
}

impl Bare {
    pub(crate) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "synchronous", "full").unwrap();
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS client (id INTEGER PRIMARY KEY, latest BLOB);
                 CREATE TABLE IF NOT EXISTS version
                   (client INTEGER, id BLOB, parent BLOB, body BLOB, UNIQUE (client, parent));
                 INSERT OR IGNORE INTO client VALUES (1, x'00');",
            )
            .unwrap();
        Self { connection, number: 0 }
    }

    /// Commits of `group` rows each, for a while; rows a second.
    pub(crate) fn rate(&mut self, group: usize, length: Duration) -> f64 {
        let (began, mut rows) = (Instant::now(), 0);
        while began.elapsed() < length {
            let transaction = self.connection.transaction().unwrap();
            for _ in 0..group {
                let (parent, id) = (self.number.to_be_bytes(), (self.number + 1).to_be_bytes());
                self.number += 1;
                let mut insert = transaction
                    .prepare_cached("INSERT INTO version VALUES (1, ?1, ?2, ?3)")
                    .unwrap();
                insert.execute(params![id, parent, [7_u8; 300]]).unwrap();
                let mut update = transaction
                    .prepare_cached("UPDATE client SET latest = ?1 WHERE id = 1")
                    .unwrap();
                update.execute(params![id]).unwrap();
            }
            transaction.commit().unwrap();
            rows += group;
        }
        rows as f64 / began.elapsed().as_secs_f64()
    }
}
