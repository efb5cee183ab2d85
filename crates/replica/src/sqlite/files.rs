//! The database's file and folder: making them private, and saying when they are not.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::OpenWarning;
use super::place::Place;
use crate::storage::{Result, StorageError};

/// Makes the file, and its folder, unless they are there. Returns whether it made the file.
///
/// The file gets its mode before any content; SQLite gives `-wal` and `-shm` the same mode.
pub(super) fn create(place: &Place) -> Result<bool> {
    let make = || -> io::Result<bool> {
        if let Some(folder) = place.path.parent().filter(|folder| !folder.is_dir()) {
            create_folder(folder)?;
            if let Some(above) = folder.parent() {
                sync_folder(above);
            }
        }
        match create_private(&place.path) {
            Ok(_) => {}
            // Another process was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        sync_folder_of(&place.path);
        Ok(true)
    };
    make().map_err(|error| place.io_error("creating the database", error))
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes a new file that only its owner can read.
pub(super) fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a file's name durable. Some file systems cannot; then there is nothing to be done.
pub(super) fn sync_folder_of(path: &Path) {
    if let Some(folder) = path.parent() {
        sync_folder(folder);
    }
}

fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// Says so where others than the owner could read or change the database. Never changes a mode:
/// whoever shares a file on purpose must not find it closed.
pub(super) fn warnings(place: &Place, file: &fs::Metadata) -> Vec<OpenWarning> {
    let mut warnings = Vec::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let wide = |metadata: &fs::Metadata| {
            let mode = metadata.permissions().mode() & 0o7777;
            (mode & 0o077 != 0).then_some(mode)
        };
        if let Some(mode) = wide(file) {
            warnings.push(OpenWarning::FileOpenToOthers { path: place.path.clone(), mode });
        }
        if let Some(folder) = place.path.parent()
            && let Some(mode) = fs::metadata(folder).ok().as_ref().and_then(wide)
        {
            warnings.push(OpenWarning::FolderOpenToOthers { path: folder.to_owned(), mode });
        }
    }
    #[cfg(not(unix))]
    let _ = (place, file);
    warnings
}

/// The database's name with something after it: SQLite's own neighbours and our copies.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// True if a write-ahead log with content lies beside the database.
pub(super) fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// True if a rollback journal with content lies beside the database: somebody is changing it, or was
/// stopped at it, and the file holds half of the change.
pub(super) fn has_journal(path: &Path) -> bool {
    fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0)
}

/// True if nobody has the database open, as far as what lies beside it tells, and nobody may write it
/// by its mode.
pub(super) fn rests(path: &Path) -> bool {
    let is_open = beside(path, "-shm").exists() || has_log(path) || has_journal(path);
    !is_open && fs::metadata(path).is_ok_and(|database| !may_be_written(&database))
}

#[cfg(unix)]
fn may_be_written(database: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    database.permissions().mode() & 0o222 != 0
}

#[cfg(not(unix))]
fn may_be_written(database: &fs::Metadata) -> bool {
    !database.permissions().readonly()
}

/// Lets the log and the shared memory beside the database be written by whom the database can be
/// written, where its owner cannot write them.
///
/// SQLite makes both with the mode that the database has at that time. Who reads a read-only database
/// leaves them behind, and when the database has become writable again, they alone would keep every
/// program from writing it. Wherever that is not so nothing is changed; two looks are all that it costs.
/// A link, or a file of somebody else, is none of SQLite's: its mode is left alone.
///
/// # Errors
/// [`StorageError::ReadOnly`] with the file that stands in the way, if its mode cannot be changed.
pub(super) fn open_neighbours(place: &Place) -> Result<()> {
    #[cfg(unix)]
    for suffix in ["-shm", "-wal"] {
        let path = beside(&place.path, suffix);
        unix::open_neighbour(&place.path, &path).map_err(|error| StorageError::ReadOnly {
            file: path.display().to_string(),
            source: Some(Box::new(error)),
        })?;
    }
    #[cfg(not(unix))]
    let _ = place;
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    const OWNER_WRITES: u32 = 0o200;
    const ANYBODY_WRITES: u32 = 0o222;

    pub(super) fn open_neighbour(database: &Path, neighbour: &Path) -> io::Result<()> {
        let Ok(seen) = fs::symlink_metadata(neighbour) else { return Ok(()) };
        if !seen.is_file() || seen.mode() & OWNER_WRITES != 0 {
            return Ok(());
        }
        let Ok(database) = fs::metadata(database) else { return Ok(()) };
        if database.mode() & OWNER_WRITES == 0 || database.uid() != seen.uid() {
            return Ok(());
        }
        // The file that was looked at, and no other that has taken its name meanwhile.
        let file = File::open(neighbour)?;
        let found = file.metadata()?;
        if (found.dev(), found.ino()) != (seen.dev(), seen.ino()) {
            return Ok(());
        }
        let mode = found.mode() | (database.mode() & ANYBODY_WRITES);
        file.set_permissions(Permissions::from_mode(mode & 0o7777))
    }
}
