//! Which file it is, and how what SQLite says about it becomes a [`StorageError`].

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Error, ErrorCode, ffi};

use crate::storage::StorageError;

/// The longest text of another program that is repeated in an error, in characters.
const QUOTE_CHARACTERS_MAX: usize = 200;

/// The file behind a connection, for errors.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The database, absolute.
    pub(super) path: PathBuf,
    /// How long writers wait for each other.
    pub(super) busy_wait: Duration,
}

impl Place {
    pub(super) fn file(&self) -> String {
        self.path.display().to_string()
    }

    /// The error for what SQLite answered while `doing` something.
    pub(super) fn error(&self, doing: &'static str, error: Error) -> StorageError {
        let cause = match &error {
            Error::SqliteFailure(cause, _) => *cause,
            Error::SqlInputError { error: cause, .. } => *cause,
            _ => return self.other(doing, error),
        };
        let file = self.file();
        match (cause.code, cause.extended_code) {
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => self.busy(),
            // SQLite reserves room for its shared-memory file and reports the lack of it so.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => {
                StorageError::DiskFull { file }
            }
            (ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied, _) => {
                StorageError::ReadOnly { file, source: Some(Box::new(error)) }
            }
            (ErrorCode::NotADatabase, _) => self.not_a_database(),
            (ErrorCode::DatabaseCorrupt, _)
            | (_, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_SHORT_READ) => {
                self.corrupt(error.to_string())
            }
            // The virtual column and its index read every operation as JSON.
            (ErrorCode::Unknown, _) if error.to_string().contains("malformed JSON") => {
                self.corrupt("table operations holds a row that is not JSON")
            }
            // A nonsensical number of the schema's format in the first page.
            (ErrorCode::Unknown, _) if error.to_string().contains("unsupported file format") => {
                self.corrupt(error.to_string())
            }
            _ => self.other(doing, error),
        }
    }

    /// The error for what the system answered about a file.
    pub(super) fn io_error(&self, doing: &'static str, error: io::Error) -> StorageError {
        let file = self.file();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StorageError::DiskFull { file }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StorageError::ReadOnly { file, source: Some(Box::new(error)) }
            }
            _ => self.other(doing, error),
        }
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StorageError {
        StorageError::Corrupt { file: self.file(), what: what.into() }
    }

    pub(super) fn other(
        &self,
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StorageError {
        StorageError::Other { file: self.file(), doing, source: source.into() }
    }

    pub(super) fn busy(&self) -> StorageError {
        StorageError::Busy { file: self.file(), waited_seconds: self.busy_wait.as_secs() }
    }

    /// SQLite says so of a text file, and of a database whose first page is damaged.
    fn not_a_database(&self) -> StorageError {
        use std::io::Read as _;
        // Opening the file beside SQLite is safe here only because the connection never held a
        // lock: closing any descriptor of a file drops all POSIX locks that the process has on it.
        let mut magic = [0; 16];
        let read = std::fs::File::open(&self.path).and_then(|mut file| file.read_exact(&mut magic));
        if read.is_ok() && &magic == b"SQLite format 3\0" {
            self.corrupt("its first page is not what SQLite writes")
        } else {
            StorageError::NotAReplica { file: self.file() }
        }
    }
}

/// Shortens a text that another program wrote, so that an error cannot be made huge.
pub(super) fn quote(text: &str) -> String {
    text.chars().take(QUOTE_CHARACTERS_MAX).collect()
}
