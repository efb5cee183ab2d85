//! A copy of the whole database while it is in use, its check, and the way back.
//!
//! A copy is one read transaction of SQLite (`VACUUM INTO`): writers go on meanwhile, and what it
//! holds is one moment. It gets its name only after it was checked and is on the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::open::{self, OpenError};
use super::{DATABASE_FILE, check, files, schema};

/// How the names of backups begin and end; between them is the moment.
const PREFIX: &str = "tandem-server-";
/// See [`PREFIX`].
const SUFFIX: &str = ".sqlite3";

/// Copies made within one second, at most.
const SAME_SECOND_MAX: u32 = 100;

/// Why a copy could not be made or brought back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or folder cannot be used.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database says no.
    #[error("{} cannot be copied: {what}", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The copy is not sound.
    #[error("{} is not sound: {finding}", path.display())]
    Unsound {
        /// Which.
        path: PathBuf,
        /// The first finding.
        finding: String,
    },
    /// There is no database to copy, or the file is none of this server.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is a database already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The database.
        path: PathBuf,
    },
    /// A server or another command uses the database.
    #[error("{} is in use", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
}

/// A copy that was made or brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The clients in it, each of whose chains was walked.
    pub clients: u64,
    /// The versions in it.
    pub versions: u64,
    /// Older copies that were removed, or the database that was put aside.
    pub others: Vec<PathBuf>,
}

/// Copies the database of `data_dir` into `folder`, checks the copy, and removes all but the newest
/// `keep` copies. `moment` is a part of the name that sorts by time.
///
/// # Errors
/// What stands in the way. Older copies are removed only after the new one is sound.
pub fn backup(
    data_dir: &Path,
    folder: &Path,
    keep: Option<usize>,
    moment: &str,
) -> Result<Copied, BackupError> {
    let source = open::existing(&data_dir.join(DATABASE_FILE))?;
    let mut copied = copy(&source, folder, moment)?;
    if let Some(keep) = keep {
        let mut copies = list(folder)?;
        copies.truncate(copies.len().saturating_sub(keep.max(1)));
        for path in copies {
            fs::remove_file(&path).map_err(|source| file(&path, source))?;
            copied.others.push(path);
        }
    }
    Ok(copied)
}

/// The copies in a folder, oldest first.
fn list(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let failed = |source| file(folder, source);
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let moment = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        // Only names that we give: what somebody keeps under another name is theirs.
        let is_ours = |moment: &str| {
            moment.len() >= 16 && moment.bytes().all(|b| b.is_ascii_digit() || b"TZ-".contains(&b))
        };
        if let Some(moment) = moment.filter(|moment| is_ours(moment)) {
            copies.push((moment.to_owned(), folder.join(&name)));
        }
    }
    // By the moment alone: what follows it would sort the second copy of a second first.
    copies.sort();
    Ok(copies.into_iter().map(|(_, path)| path).collect())
}

/// One checked copy.
pub(super) fn copy(
    source: &Connection,
    folder: &Path,
    moment: &str,
) -> Result<Copied, BackupError> {
    files::make_folder(folder).map_err(|source| file(folder, source))?;
    let partial = folder.join(format!("{PREFIX}{moment}.{}.partial", std::process::id()));
    let made = fill(source, &partial).and_then(|counts| {
        let path = free_name(folder, moment)?;
        fs::rename(&partial, &path).map_err(|source| file(&path, source))?;
        sync_folder(folder)?;
        Ok((path, counts))
    });
    if made.is_err() {
        // What is not sound is worth nothing; the error says why.
        let _ = fs::remove_file(&partial);
    }
    let (path, (clients, versions)) = made?;
    let bytes = fs::metadata(&path).map_err(|source| file(&path, source))?.len();
    Ok(Copied { path, bytes, clients, versions, others: Vec::new() })
}

fn free_name(folder: &Path, moment: &str) -> Result<PathBuf, BackupError> {
    let name = |number| match number {
        1 => folder.join(format!("{PREFIX}{moment}{SUFFIX}")),
        number => folder.join(format!("{PREFIX}{moment}-{number}{SUFFIX}")),
    };
    let free = (1..=SAME_SECOND_MAX).map(name).find(|path| !path.exists());
    free.ok_or_else(|| BackupError::Exists { path: name(1) })
}

/// Writes the copy, checks it and brings it to the disk; how many clients and versions it has.
fn fill(source: &Connection, partial: &Path) -> Result<(u64, u64), BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Database {
        path: partial.to_owned(),
        what: error.to_string(),
    };
    // An empty file is taken as it is, with its mode.
    files::make_file(partial).map_err(|source| file(partial, source))?;
    let target = partial.to_string_lossy();
    source.execute("VACUUM INTO ?1", [&*target]).map_err(failed)?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(|source| file(partial, source))?;
    check_file(partial)
}

/// Checks a database file that nobody uses; how many clients and versions it has.
fn check_file(path: &Path) -> Result<(u64, u64), BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Database {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags).map_err(failed)?;
    schema::check_ours(&copy, path)?;
    let unsound = |finding: String| BackupError::Unsound { path: path.to_owned(), finding };
    if let Some(finding) = check::storage(&copy).map_err(failed)?.into_iter().next() {
        return Err(unsound(finding));
    }
    let (mut after, mut clients, mut versions) = (None, 0, 0);
    while let Some(checked) = check::client(&copy, after).map_err(failed)? {
        if let Some(finding) = checked.findings.into_iter().next() {
            return Err(unsound(finding));
        }
        clients += 1;
        versions += checked.versions;
        after = Some(checked.next);
    }
    Ok((clients, versions))
}

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
/// What stands in the way; [`BackupError::InUse`] while a server runs. The database is then as it
/// was.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    existing: Existing,
    moment: &str,
) -> Result<Copied, BackupError> {
    files::make_folder(data_dir).map_err(|source| file(data_dir, source))?;
    let path = data_dir.join(DATABASE_FILE);
    let in_use = || BackupError::InUse { path: path.clone() };
    let lock = files::lock_file(data_dir).map_err(|source| file(data_dir, source))?;
    lock.try_lock().map_err(|_| in_use())?;
    if path.exists() && existing == Existing::Refuse {
        return Err(BackupError::Exists { path });
    }
    let incoming = data_dir.join(format!("{DATABASE_FILE}.incoming"));
    let counts = files::make_file(&incoming)
        .and_then(|()| fs::copy(from, &incoming).map(drop))
        .and_then(|()| File::open(&incoming)?.sync_all())
        .map_err(|source| file(from, source))
        .and_then(|()| check_file(&incoming));
    let (clients, versions) = match counts {
        Ok(counts) => counts,
        Err(error) => {
            let _ = fs::remove_file(&incoming);
            return Err(error);
        }
    };
    let mut others = Vec::new();
    if path.exists() {
        // What its log holds belongs to it, and must not meet the other database.
        let old = open::existing(&path)?;
        let busy: i64 = old
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|_| in_use())?;
        if busy != 0 {
            return Err(in_use());
        }
        drop(old);
        let aside = data_dir.join(format!("{DATABASE_FILE}.before-restore-{moment}"));
        // A second name, not another one: there is a database at every moment, so that a server
        // that is started after a kill in here makes no empty one.
        fs::hard_link(&path, &aside)
            .or_else(|_| fs::copy(&path, &aside).map(drop))
            .map_err(|source| file(&aside, source))?;
        others.push(aside);
    }
    for rest in ["-wal", "-shm"] {
        // Of a database that was closed there are none.
        let _ = fs::remove_file(data_dir.join(format!("{DATABASE_FILE}{rest}")));
    }
    fs::rename(&incoming, &path).map_err(|source| file(&path, source))?;
    sync_folder(data_dir)?;
    let bytes = fs::metadata(&path).map_err(|source| file(&path, source))?.len();
    Ok(Copied { path, bytes, clients, versions, others })
}

fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|source| file(folder, source))
}

fn file(path: &Path, source: io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), source }
}
