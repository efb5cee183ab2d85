//! A copy of the whole database while it is in use, and its check. The way back is `restore`.
//!
//! A copy is one read transaction of SQLite (`VACUUM INTO`): writers go on meanwhile, and what it
//! holds is one moment. It gets its name only after it was checked and is on the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use super::files::{self, Owner};
use super::open::{self, OpenError};
use super::{DATABASE_FILE, check, rows, schema};
use crate::copying::{beside, remove_if_there};
use crate::disk::Room;

/// How the names of backups begin and end; between them is the moment.
const PREFIX: &str = "tandem-server-";
/// See [`PREFIX`].
const SUFFIX: &str = ".sqlite3";
/// How the name of one ends that is not complete.
const PARTIAL: &str = ".partial";

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
    /// There is no database to copy, or it is damaged.
    #[error(transparent)]
    Source(OpenError),
    /// The file that is to be brought back is none of this server.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy that is to be brought back is not there.
    #[error("there is no file {}", path.display())]
    NotThere {
        /// Where it was to be.
        path: PathBuf,
    },
    /// A file is needed where a folder is.
    #[error("{} is a folder", path.display())]
    NoFile {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is needed where something else is.
    #[error("{} is no folder", path.display())]
    NoFolder {
        /// What is there.
        path: PathBuf,
    },
    /// There is a database already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The database.
        path: PathBuf,
    },
    /// Somebody writes to the file that is to be brought back.
    #[error("{} changes while it is copied", path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// There is too little room.
    #[error("a copy takes {needed} bytes, and {} has room for {free}", folder.display())]
    NoRoom {
        /// Where it was to be.
        folder: PathBuf,
        /// What it takes, about.
        needed: u64,
        /// What there is.
        free: u64,
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
    let source = open::existing(&data_dir.join(DATABASE_FILE)).map_err(BackupError::Source)?;
    if folder.exists() && !folder.is_dir() {
        return Err(BackupError::NoFolder { path: folder.to_owned() });
    }
    files::make_folder(folder).map_err(|source| file(folder, source))?;
    let mut copied = copy(&source, folder, Owner::Maker, moment)?;
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

/// One checked copy, in a folder that is there.
pub(super) fn copy(
    source: &Connection,
    folder: &Path,
    owner: Owner,
    moment: &str,
) -> Result<Copied, BackupError> {
    // One at a time, so that what has just been made is not taken for what a kill has left.
    let quiet = File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
    let quiet = quiet.map_err(|source| file(folder, source))?;
    remove_partial(folder)?;
    check_room(folder, source_bytes(source)?)?;
    let partial = folder.join(format!("{PREFIX}{moment}.{}{PARTIAL}", std::process::id()));
    let handle = files::create(&partial, owner).map_err(|source| file(&partial, source))?;
    // Says that somebody is at it.
    handle.lock().map_err(|source| file(&partial, source))?;
    drop(quiet);
    let made = fill(source, &partial).and_then(|counts| {
        let path = free_name(folder, moment)?;
        fs::rename(&partial, &path).map_err(|source| file(&path, source))?;
        sync_folder(folder)?;
        Ok((path, counts))
    });
    if made.is_err() {
        // What is not sound is worth nothing; the error says why.
        let _ = fs::remove_file(beside(&partial, "-journal"));
        let _ = fs::remove_file(&partial);
    }
    let (path, (clients, versions)) = made.map_err(|error| match error {
        // A copy is what its source is.
        BackupError::Unsound { finding, .. } => {
            let path = source_path(source);
            BackupError::Source(OpenError::Damaged { path, what: finding })
        }
        error => error,
    })?;
    let bytes = fs::metadata(&path).map_err(|source| file(&path, source))?.len();
    Ok(Copied { path, bytes, clients, versions, others: Vec::new() })
}

/// Removes what copies left that were killed: nobody is at it any more.
fn remove_partial(folder: &Path) -> Result<(), BackupError> {
    let failed = |source| file(folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let is_ours = |name: &str| name.starts_with(PREFIX) && name.ends_with(PARTIAL);
        if !name.to_str().is_some_and(is_ours) {
            continue;
        }
        let path = folder.join(&name);
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            // The journal first: nothing would lead to it later.
            for path in [beside(&path, "-journal"), path] {
                remove_if_there(&path).map_err(|source| file(&path, source))?;
            }
        }
    }
    Ok(())
}

/// About how large a copy will be.
fn source_bytes(source: &Connection) -> Result<u64, BackupError> {
    let pragma = |name: &str| source.pragma_query_value(None, name, |row| rows::number(row, 0));
    let bytes = || {
        let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(pages.saturating_mul(pragma("page_size")?))
    };
    bytes().map_err(|error: rusqlite::Error| not_copied(source, &error))
}

fn source_path(source: &Connection) -> PathBuf {
    source.path().map(PathBuf::from).unwrap_or_default()
}

/// What an error means that SQLite met while it read the source.
fn not_copied(source: &Connection, error: &rusqlite::Error) -> BackupError {
    let (path, what) = (source_path(source), error.to_string());
    match rows::is_damage(error) {
        true => BackupError::Source(OpenError::Damaged { path, what }),
        false => BackupError::Database { path, what },
    }
}

/// Refuses what would fill the disk.
pub(super) fn check_room(folder: &Path, needed: u64) -> Result<(), BackupError> {
    let room = Room { folder: folder.to_owned(), bytes_min: needed };
    match room.free_bytes() {
        Some(free) if free < needed => {
            Err(BackupError::NoRoom { folder: folder.to_owned(), needed, free })
        }
        _ => Ok(()),
    }
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
    // The name as its bytes, whatever they are; the empty file is taken as it is, with its mode.
    let target = ToSqlOutput::Borrowed(ValueRef::Text(partial.as_os_str().as_encoded_bytes()));
    source.execute("VACUUM INTO ?1", [target]).map_err(|error| not_copied(source, &error))?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(|source| file(partial, source))?;
    check_file(partial)
}

/// Checks a database file that nobody uses; how many clients and versions it has.
pub(super) fn check_file(path: &Path) -> Result<(u64, u64), BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Database {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags).map_err(failed)?;
    schema::check_ours(&copy, path)?;
    schema::check_known(&copy, path)?;
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

pub(super) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|source| file(folder, source))
}

pub(super) fn file(path: &Path, source: io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), source }
}
