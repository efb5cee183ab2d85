//! One sync at a time per replica.
//!
//! The lock is the operating system's, on a file beside the replica, so it ends with the process
//! that holds it, however that ends. The file's content only says who and since when.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tandem_core::Timestamp;
use tandem_remote::place;

/// The lock file's name in the data directory.
pub const LOCK_FILE: &str = "tandem-sync.lock";

/// How long a second sync waits for the first, unless told otherwise.
pub const LOCK_WAIT: Duration = Duration::from_secs(3);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another sync of this replica is running.
    #[error("another sync of this replica is running")]
    Held {
        /// Who holds it, if the file says so.
        holder: Option<Holder>,
    },
    /// The lock file cannot be used.
    #[error("the lock file {path} cannot be used")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The right to sync a replica; given back when dropped.
#[derive(Debug)]
pub struct SyncLock {
    _file: File,
}

impl SyncLock {
    /// Looks whether the lock in `data_dir` could be taken by somebody. Makes nothing.
    ///
    /// # Errors
    /// [`LockError::Io`] if its file cannot be used.
    pub fn check(data_dir: &Path) -> Result<(), LockError> {
        let path = data_dir.join(LOCK_FILE);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => place::check_folder(data_dir),
            Err(error) => Err(error),
        }
        .map_err(|source| LockError::Io { path, source })
    }

    /// Takes the lock in `data_dir`, waiting up to `wait` for another sync to end.
    ///
    /// # Errors
    /// [`LockError::Held`] if it does not end in time.
    pub fn take(data_dir: &Path, wait: Duration, now: Timestamp) -> Result<Self, LockError> {
        let path = data_dir.join(LOCK_FILE);
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(io)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if began.elapsed() < wait => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    // Only for the message: a holder that cannot be read stays unnamed.
                    let _ = (&file).take(1_000).read_to_string(&mut text);
                    return Err(LockError::Held { holder: serde_json::from_str(&text).ok() });
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        let holder = Holder { pid: std::process::id(), since: now };
        let text = serde_json::to_string(&holder).unwrap_or_default();
        // Not synced to disk: it is worth nothing after a power cut.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_seen_before() {
        let folder = tempfile::tempdir().unwrap();
        SyncLock::check(folder.path()).unwrap();
        assert!(!folder.path().join(LOCK_FILE).exists(), "looking makes nothing");
        SyncLock::check(&folder.path().join("new")).unwrap();
        let now = Timestamp::from_seconds(1_700_000_000);
        let held = SyncLock::take(folder.path(), Duration::ZERO, now).unwrap();
        SyncLock::check(folder.path()).unwrap();
        drop(held);
        std::fs::remove_file(folder.path().join(LOCK_FILE)).unwrap();
        std::fs::create_dir(folder.path().join(LOCK_FILE)).unwrap();
        assert!(matches!(SyncLock::check(folder.path()), Err(LockError::Io { .. })));
        assert!(SyncLock::take(folder.path(), Duration::ZERO, now).is_err(), "so it is");
    }

    #[test]
    fn a_second_one_is_told_who_and_since_when() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_seconds(1_700_000_000);
        let first = SyncLock::take(folder.path(), Duration::ZERO, now).unwrap();
        match SyncLock::take(folder.path(), Duration::ZERO, now) {
            Err(LockError::Held { holder: Some(holder) }) => {
                assert_eq!(holder, Holder { pid: std::process::id(), since: now });
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        SyncLock::take(folder.path(), Duration::ZERO, now).unwrap();
    }
}
