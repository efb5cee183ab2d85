//! The folder and the file: finding, making, measuring.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use tandem_tasks::session::{DirectoryTrouble, Failure};

use crate::place;

/// The name of the database in the folder (`protocols/taskchampion.md` section 12).
pub const FILE_NAME: &str = "taskchampion-local-sync-server.sqlite3";

/// What tells a file from another that takes its place under the same name, as a restored backup or
/// a freshly mounted disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Without such numbers files are taken to be the same; a locked file cannot be replaced there.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// Looks for the file; none if it or its folder is not there.
pub(super) fn find(folder: &Path) -> Result<Option<FileId>, Failure> {
    let path = folder.join(FILE_NAME);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(FileId::of(&metadata))),
        Ok(_) => Err(Failure::Directory {
            trouble: DirectoryTrouble::NotAHistory,
            what: format!("{} is not a file", path.display()),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(not_a_folder(folder)),
        Err(error) => Err(unusable(&path, &error)),
    }
}

/// Makes the folder (0700, its parents too) and an empty file (0600) where they are missing. SQLite
/// gives its journals the mode of the file. Existing modes are left alone.
pub(super) fn create(folder: &Path) -> Result<(), Failure> {
    if !folder.is_dir() {
        make_folder(folder).map_err(|error| cannot_be_made(folder, &error))?;
    }
    let path = folder.join(FILE_NAME);
    match make_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unusable(&path, &error)),
    }
}

/// Looks whether a version could be written there, and makes nothing.
pub(super) fn check(folder: &Path) -> Result<(), Failure> {
    if !folder.is_dir() {
        return place::check_folder(folder).map_err(|error| cannot_be_made(folder, &error));
    }
    let path = folder.join(FILE_NAME);
    let is_there = path.exists();
    // The folder, too: SQLite makes its journal beside the file.
    let mut places = [folder, &path].into_iter().take(if is_there { 2 } else { 1 });
    match places.try_for_each(place::check_writable) {
        Err(error) if !is_there => Err(unusable(&path, &error)),
        // What SQLite says of it then, whatever the reason.
        Err(_) => Err(cannot_be_written(&path)),
        Ok(()) => Ok(()),
    }
}

/// Says that a file is there and can be read at most.
pub(super) fn cannot_be_written(path: &Path) -> Failure {
    Failure::Directory {
        trouble: DirectoryTrouble::ReadOnly,
        what: format!("{}: it cannot be written", path.display()),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // The name of the folder lies in its parent. (SQLite syncs the folder itself for the file.)
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let _ = fs::File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

fn make_file(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Bytes of the database and its journals.
pub(super) fn size_bytes(folder: &Path) -> u64 {
    ["", "-journal", "-wal"]
        .into_iter()
        .filter_map(|suffix| fs::metadata(folder.join(format!("{FILE_NAME}{suffix}"))).ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// True if group or others have any right on the file that the folder does not take from them.
#[cfg(unix)]
pub(super) fn is_open_to_others(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    // A closed folder closes its files; a file that is closed hides the content all the same.
    mode(folder) & 0o077 != 0 && mode(&folder.join(FILE_NAME)) & 0o077 != 0
}

#[cfg(not(unix))]
pub(super) fn is_open_to_others(_: &Path) -> bool {
    false
}

fn not_a_folder(folder: &Path) -> Failure {
    Failure::Directory {
        trouble: DirectoryTrouble::NotAFolder,
        what: format!("{} is not a folder", folder.display()),
    }
}

/// Says why a folder is not made. Where its disk is not mounted, or its path has a slip, what the
/// system has against it is not what is to be mended; only a full disk is.
fn cannot_be_made(folder: &Path, error: &io::Error) -> Failure {
    match unusable(folder, error) {
        full @ Failure::Directory { trouble: DirectoryTrouble::Full, .. } => full,
        _ => Failure::Directory {
            trouble: DirectoryTrouble::CannotBeMade,
            what: format!("the folder {} cannot be made: {error}", folder.display()),
        },
    }
}

/// Says what the system has against a file or folder.
pub(super) fn unusable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    let (trouble, what) = match error.kind() {
        ErrorKind::PermissionDenied => {
            (DirectoryTrouble::Permission, format!("no permission for {path}"))
        }
        ErrorKind::ReadOnlyFilesystem => {
            (DirectoryTrouble::ReadOnly, format!("{path} is on a disk that cannot be written"))
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (DirectoryTrouble::Full, format!("there is no room left for {path}"))
        }
        _ => (DirectoryTrouble::Other, format!("{path}: {error}")),
    };
    Failure::Directory { trouble, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_kind() {
        use DirectoryTrouble::{Full, Other, Permission, ReadOnly};
        for (kind, expected, said) in [
            (ErrorKind::PermissionDenied, Permission, "no permission for /x"),
            (ErrorKind::ReadOnlyFilesystem, ReadOnly, "/x is on a disk that cannot be written"),
            (ErrorKind::StorageFull, Full, "there is no room left for /x"),
            (ErrorKind::QuotaExceeded, Full, "there is no room left for /x"),
            (ErrorKind::TimedOut, Other, "/x: timed out"),
        ] {
            let failure = unusable(Path::new("/x"), &kind.into());
            let what = said.to_owned();
            assert_eq!(failure, Failure::Directory { trouble: expected, what });
            // A folder that is not there is not helped by rights on it.
            let Failure::Directory { trouble, .. } = cannot_be_made(Path::new("/x"), &kind.into())
            else {
                panic!("{kind:?}");
            };
            let expected = if expected == Full { Full } else { DirectoryTrouble::CannotBeMade };
            assert_eq!(trouble, expected, "{kind:?}");
        }
    }
}
