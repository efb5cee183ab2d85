//! A copy becomes the database again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::backup::{self, BackupError, Copied, check_room, file, sync_folder};
use super::files::{self, Owner};
use super::open::OpenError;
use super::{DATABASE_FILE, open, schema};
use crate::copying::{self, CopyError, Head, beside, remove_if_there};

/// What SQLite may have beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Whether an existing database may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// No: [`BackupError::Exists`].
    Refuse,
    /// It is put aside, under another name in the same folder.
    PutAside,
}

/// Makes a copy the database of `data_dir`, after it was checked.
///
/// # Errors
/// What stands in the way (a file that is plainly none of ours before anything is made);
/// [`BackupError::InUse`] while a server runs. The database is then as it
/// was.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    existing: Existing,
    moment: &str,
) -> Result<Copied, BackupError> {
    let found = fs::metadata(from).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => BackupError::NotThere { path: from.to_owned() },
        _ => file(from, source),
    })?;
    if found.is_dir() {
        return Err(BackupError::NoFile { path: from.to_owned() });
    }
    // A slip in a name leaves nothing behind. The rest is looked at in the copy, with its log.
    let head = Head::read(from).map_err(|source| file(from, source))?;
    if schema::is_foreign(&head, beside(from, "-wal").exists()) {
        return Err(OpenError::NotOurs { path: from.to_owned() }.into());
    }
    files::make_folder(data_dir).map_err(|source| file(data_dir, source))?;
    let path = data_dir.join(DATABASE_FILE);
    let lock = files::lock_file(data_dir).map_err(|source| file(data_dir, source))?;
    lock.try_lock().map_err(|_| BackupError::InUse { path: path.clone() })?;
    if path.exists() && existing == Existing::Refuse {
        return Err(BackupError::Exists { path });
    }
    let incoming = Incoming::take(from, data_dir)?;
    let (clients, versions) = backup::check_file(&incoming.path)?;
    let mut others = Vec::new();
    if path.exists() {
        let aside = free_name(data_dir, moment);
        put_aside(&path, &aside)?;
        others.push(aside);
    }
    for end in BESIDE {
        let rest = beside(&path, end);
        remove_if_there(&rest).map_err(|source| file(&rest, source))?;
    }
    fs::rename(&incoming.path, &path).map_err(|source| file(&path, source))?;
    sync_folder(data_dir)?;
    let bytes = fs::metadata(&path).map_err(|source| file(&path, source))?.len();
    Ok(Copied { path, bytes, clients, versions, others })
}

/// A name for what is put aside; another restore within the same second has taken the first.
fn free_name(data_dir: &Path, moment: &str) -> PathBuf {
    let plain = data_dir.join(format!("{DATABASE_FILE}.before-restore-{moment}"));
    let numbered = (2..).map(|number: u32| beside(&plain, &format!("-{number}")));
    let free = std::iter::once(plain.clone()).chain(numbered).find(|path| !path.exists());
    free.unwrap_or(plain)
}

/// The copy on its way in; what is left of it goes when this is dropped.
struct Incoming {
    path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It has another name by now, or is not wanted.
        let _ = self.remove();
    }
}

impl Incoming {
    /// Copies the file with what its log holds, as one file without a log.
    fn take(from: &Path, data_dir: &Path) -> Result<Self, BackupError> {
        let incoming = Self { path: data_dir.join(format!("{DATABASE_FILE}.incoming")) };
        let failed = |source| file(&incoming.path, source);
        // Of a restore that was killed.
        incoming.remove().map_err(failed)?;
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        check_room(data_dir, bytes(from).saturating_add(bytes(&beside(from, "-wal"))))?;
        files::create(&incoming.path, Owner::Folder).map_err(failed)?;
        copying::copy_database(from, &incoming.path).map_err(|error| match error {
            CopyError::File(source) => file(from, source),
            CopyError::Changing => BackupError::Changing { path: from.to_owned() },
        })?;
        incoming.settle(from)?;
        File::open(&incoming.path).and_then(|copy| copy.sync_all()).map_err(failed)?;
        Ok(incoming)
    }

    /// Moves the log's content into the file.
    fn settle(&self, from: &Path) -> Result<(), BackupError> {
        let failed = |error: rusqlite::Error| BackupError::Database {
            path: from.to_owned(),
            what: error.to_string(),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        schema::check_ours(&copy, from)?;
        schema::check_known(&copy, from)?;
        let mode: String = copy
            .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
            .map_err(failed)?;
        if mode == "delete" {
            return Ok(());
        }
        let what = format!("its log is not moved into it (`{mode}`)");
        Err(BackupError::Database { path: from.to_owned(), what })
    }

    fn remove(&self) -> std::io::Result<()> {
        remove_if_there(&self.path)?;
        BESIDE.iter().try_for_each(|end| remove_if_there(&beside(&self.path, end)))
    }
}

/// Gives the database that is there a second name, with all that is not in it yet. Whoever calls has
/// the lock, so nobody of ours uses it: one that cannot even be opened is put aside as it is.
fn put_aside(path: &Path, aside: &Path) -> Result<(), BackupError> {
    // A second name, not another one: there is a database at every moment, so that a server that is
    // started after a kill in here makes no empty one. And before anybody looks inside: SQLite
    // removes a log that does not fit.
    for end in ["", "-wal", "-shm", "-journal"] {
        let (path, aside) = (beside(path, end), beside(aside, end));
        if path.exists() {
            fs::hard_link(&path, &aside)
                .or_else(|_| fs::copy(&path, &aside).map(drop))
                .map_err(|source| file(&aside, source))?;
        }
    }
    let forget = |ends: &[&str]| {
        ends.iter()
            .map(|end| beside(aside, end))
            .try_for_each(|path| remove_if_there(&path).map_err(|source| file(&path, source)))
    };
    match settle(path) {
        // It is all in the one file.
        Settled::Whole => forget(&BESIDE),
        Settled::Damaged => Ok(()),
        Settled::Busy => {
            forget(&["", "-wal", "-shm", "-journal"])?;
            Err(BackupError::InUse { path: path.to_owned() })
        }
    }
}

/// What became of a database's log.
enum Settled {
    /// Its content is in the database.
    Whole,
    /// It cannot be moved there.
    Damaged,
    /// Another program is in the way, one that knows nothing of our lock.
    Busy,
}

/// Moves the log's content into the database if that can be done.
fn settle(path: &Path) -> Settled {
    let Ok(old) = open::existing(path) else { return Settled::Damaged };
    let moved = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match moved.map_err(|error| error.sqlite_error_code()) {
        Ok(0) => Settled::Whole,
        Ok(_) | Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => Settled::Busy,
        Err(_) => Settled::Damaged,
    }
}
