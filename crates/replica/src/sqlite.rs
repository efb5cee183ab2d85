//! [`Storage`] in a SQLite file that is a TaskChampion 3 replica, with tables of ours beside.
//!
//! The real TaskChampion and Taskwarrior may use the same file at the same time, so nothing is
//! kept in memory between transactions, and what they have written is read with suspicion.
//!
//! * [`open`]: making, recognising, upgrading, checking.
//! * [`schema`]: which schema a file has, and the way to ours.
//! * [`txn`]: the transaction, row by row, made of [`statements`] and [`rows`].
//! * [`care`]: copies, checks and space.
//! * [`turn`]: closing, one at a time, so that a log that is left says something.
//! * [`take_over`]: what another database holds, into an empty one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::storage::{Result, Storage, StorageError, Txn};
use place::Place;
pub use take_over::TakenOver;

mod care;
mod cells;
mod files;
mod open;
mod place;
mod rows;
mod schema;
mod statements;
mod take_over;
#[cfg(test)]
mod tests;
mod turn;
mod txn;

/// How to open a database.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// How long to wait in total for other programs to release the database. 10 s.
    pub busy_wait: Duration,
    /// Make the database, and its folder, if it is not there. True. If false, a missing file is
    /// [`StorageError::Other`] with an [`io::Error`](std::io::Error) as its source.
    pub create: bool,
    /// Never write: open as if the file could not be written. False.
    pub read_only: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { busy_wait: Duration::from_secs(10), create: true, read_only: false }
    }
}

/// What happened while a database was opened that a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenNotes {
    /// What should be looked at.
    pub warnings: Vec<OpenWarning>,
    /// The database was made, or a creation that had been interrupted was finished.
    pub created: bool,
    /// The older TaskChampion schema that it had: `0.8`, `0.9`, `0.1`.
    pub upgraded_from: Option<String>,
    /// Where it was copied to before it was upgraded.
    pub upgraded_copy: Option<PathBuf>,
    /// Our own tables were in it already: `ta` has used it before.
    pub had_our_tables: bool,
    /// Somebody had left it without closing it (killed, or the power went); it was checked and is
    /// sound.
    pub checked: bool,
    /// It can only be read: asked for, or the file or its folder cannot be written, or the disk is
    /// full.
    pub read_only: bool,
    /// It can only be read because the disk is full.
    pub is_full: bool,
    /// It can only be read because of this file beside it, which cannot be written.
    pub stopped_by: Option<PathBuf>,
}

/// Something about an opened database that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenWarning {
    /// Others than the owner have rights on the file.
    FileOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its Unix mode.
        mode: u32,
    },
    /// Others than the owner have rights on the folder.
    FolderOpenToOthers {
        /// The folder.
        path: PathBuf,
        /// Its Unix mode.
        mode: u32,
    },
}

/// How to give space back, see [`SqliteStorage::give_back_space`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reclaim {
    /// Cut free pages off the file: quick. Does nothing in a file that another program made
    /// (`auto_vacuum` is off there, and stays as it is).
    FreePages,
    /// Rewrite the whole file: as slow as it is large, and needs room for a second one.
    Rewrite,
}

/// A database in a SQLite file.
#[derive(Debug)]
pub struct SqliteStorage {
    connection: Connection,
    place: Place,
    read_only: bool,
    /// Why it can only be read: no room, rather than no right.
    is_full: bool,
    /// The same: another file than the database cannot be written.
    stopped_by: Option<PathBuf>,
    /// After the connection, since it ends when that is closed.
    closing: turn::Closing,
}

impl Drop for SqliteStorage {
    fn drop(&mut self) {
        if !self.read_only {
            self.closing.begin(&self.place.path);
        }
    }
}

impl SqliteStorage {
    /// Opens the replica at `path`, usually `<data_dir>/taskchampion.sqlite3`.
    ///
    /// A missing one is made, private to its owner. An older schema is upgraded after a copy was
    /// made beside the file. If it cannot be written it is opened to be read, which the notes say.
    /// Costs well below a millisecond when there is nothing to do.
    ///
    /// # Errors
    /// [`StorageError::NotAReplica`], [`StorageError::TooNew`], [`StorageError::Corrupt`]: the file
    /// was left as it is. [`StorageError::Busy`] if it had to be changed and another program held
    /// it. [`StorageError::ReadOnly`] and [`StorageError::DiskFull`] if it cannot even be read.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<(Self, OpenNotes)> {
        let (connection, place, notes) = open::open(path, options)?;
        let (read_only, is_full) = (notes.read_only, notes.is_full);
        let (stopped_by, closing) = (notes.stopped_by.clone(), turn::Closing::default());
        Ok((Self { connection, place, read_only, is_full, stopped_by, closing }, notes))
    }

    /// Why a database that can only be read is not written.
    fn cannot_write(&self) -> StorageError {
        let database = self.place.file();
        match (self.is_full, &self.stopped_by) {
            (true, _) => StorageError::DiskFull { file: database },
            (false, Some(file)) => {
                StorageError::ReadOnly { file: file.display().to_string(), source: None }
            }
            (false, None) => StorageError::ReadOnly { file: database, source: None },
        }
    }

    /// The database file, absolute.
    pub fn path(&self) -> &Path {
        &self.place.path
    }
}

impl Storage for SqliteStorage {
    fn check_writable(&self) -> Result<()> {
        if self.read_only { Err(self.cannot_write()) } else { Ok(()) }
    }

    fn write<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>> {
        self.check_writable()?;
        statements::SqliteTxn::write(&self.connection, &self.place)
    }

    fn read<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>> {
        statements::SqliteTxn::read(&self.connection, &self.place)
    }
}
