//! Writing the file so that it is never half there and never open to others.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::SettingsError;

/// How many links are followed from the named file to the real one.
const LINKS_MAX: usize = 16;
/// How often, and after what pause, the folder's lock is tried.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The real file behind links, also when the last link leads to nothing yet.
///
/// People keep their configuration in a repository and link to it; renaming over the link would
/// cut it.
pub(crate) fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// The folder of a file; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder and those above it, for the owner alone; existing ones stay as they are.
pub(crate) fn create_folder(folder: &Path) -> Result<(), SettingsError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let failed = |source| SettingsError::Write { path: folder.to_owned(), source };
    builder.create(folder).map_err(failed)
}

/// A folder opened, and locked against other edits of settings until it is dropped.
pub(crate) struct LockedFolder {
    // Windows opens no folders as files; two edits in the same moment may lose one there.
    file: Option<File>,
}

impl LockedFolder {
    /// Waits up to five seconds for other edits to end.
    pub(crate) fn lock(folder: &Path) -> Result<Self, SettingsError> {
        let failed = |source| SettingsError::Write { path: folder.to_owned(), source };
        if cfg!(windows) {
            return Ok(Self { file: None });
        }
        let file = File::open(folder).map_err(failed)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file: Some(file) }),
                Err(fs::TryLockError::WouldBlock) => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                // Some network file systems have no locks. Each edit is still atomic.
                Err(fs::TryLockError::Error(_)) => return Ok(Self { file: Some(file) }),
            }
        }
        Err(SettingsError::Busy { folder: folder.to_owned() })
    }

    fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}

/// Replaces a file's content as a whole: beside, synced, renamed, folder synced.
///
/// `keep_mode` gives the new file the old one's permissions; otherwise, and while it is written, it
/// is for the owner alone.
pub(crate) fn replace(
    target: &Path,
    content: &[u8],
    keep_mode: bool,
    folder: &LockedFolder,
) -> Result<(), SettingsError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent(target).join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_beside(&beside, target, content, keep_mode)
        .and_then(|()| fs::rename(&beside, target))
        .and_then(|()| folder.sync());
    written.map_err(|source| {
        // After a rename this finds nothing; before, it leaves no half-written secret behind.
        let _ = fs::remove_file(&beside);
        SettingsError::Write { path: target.to_owned(), source }
    })
}

fn write_beside(beside: &Path, target: &Path, content: &[u8], keep_mode: bool) -> io::Result<()> {
    // Left behind by a process that died and had our number.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // Not opened if it exists: nobody can put a link or an open file of their own here.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(beside)?;
    file.write_all(content)?;
    if keep_mode && let Ok(metadata) = fs::metadata(target) {
        file.set_permissions(metadata.permissions())?;
    }
    file.sync_all()
}

/// The permission bits of a file that others may read or write; `None` if only its owner may.
pub(crate) fn wide_mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
