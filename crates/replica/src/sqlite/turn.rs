//! One at a time: closing a database, and looking whether anybody has it open.
//!
//! SQLite removes the write-ahead log when the last connection closes, which it knows by nobody
//! else having the file open. Two programs that close at the same moment each see the other, and
//! both leave the log behind, as a killed one does; and so does one that closes while another looks
//! for a killed one. A lock of the operating system on the database's folder makes programs of ours
//! take turns, so a log that nobody uses was left by somebody who did not end cleanly.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::files;

/// How long a turn is waited for: closing after a large import moves megabytes. Beyond, we go on
/// without; then the worst is a notice that the log was checked without need.
const WAIT_MAX: Duration = Duration::from_secs(2);

const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The right to close the database, or to look who has it open; given back when dropped. Where a
/// folder cannot be locked (some network file systems, Windows) everybody has it.
#[derive(Debug)]
pub(super) struct Turn(
    #[cfg_attr(not(test), expect(dead_code, reason = "held for its lock"))] Option<File>,
);

impl Turn {
    pub(super) fn take(database: &Path) -> Self {
        let Some(folder) = database.parent() else { return Self(None) };
        let Ok(folder) = File::open(folder) else { return Self(None) };
        let end = Instant::now() + WAIT_MAX;
        loop {
            match folder.try_lock() {
                Ok(()) => return Self(Some(folder)),
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(_) => return Self(None),
            }
        }
    }
}

/// What happens around the closing of a connection: it stands behind it in its structure, begun
/// before the connection is dropped and dropped after it.
#[derive(Debug, Default)]
pub(super) struct Closing(Option<(Turn, PathBuf)>);

impl Closing {
    pub(super) fn begin(&mut self, database: &Path) {
        self.0 = Some((Turn::take(database), database.to_owned()));
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let Some((turn, database)) = self.0.take() else { return };
        if files::has_log(&database) {
            // Either somebody else has it open, or a program that takes no turns closed it in the
            // same moment; then one more closing removes the log. Failing is no harm.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            if let Ok(connection) = Connection::open_with_flags(&database, flags) {
                let _ =
                    connection.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(()));
            }
        }
        drop(turn);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{OpenOptions, SqliteStorage};

    #[test]
    fn closing_waits_for_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("taskchampion.sqlite3");
        let (storage, _) = SqliteStorage::open(&database, &OpenOptions::default()).unwrap();
        let turn = Turn::take(&database);
        if turn.0.is_none() {
            // Where folders cannot be locked there is nothing to wait for.
            return;
        }
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                drop(storage);
                order.lock().unwrap().push("closed");
            });
            order.lock().unwrap().push("looked");
            drop(turn);
        });
        assert_eq!(order.into_inner().unwrap(), ["looked", "closed"]);
        assert!(Turn::take(&database).0.is_some(), "it is given back");
    }
}
