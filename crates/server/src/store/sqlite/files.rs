//! Files and folders of a data directory: for their owner alone, whoever makes them.

use std::fs;
use std::io;
use std::path::Path;

/// To whom a file goes that root makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// To root: it is in a folder that somebody named.
    Maker,
    /// To whom its folder belongs, as everything in a data directory: a command of root must not
    /// leave what the service cannot open.
    Folder,
}

/// Client ids are credentials: the folder is for its owner alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The same for a folder inside a data directory.
pub(super) fn make_inner_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(folder)?;
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, no_follow());
    give(&options.open(folder)?, folder)
}

/// Makes a file that is not there. SQLite gives its other files the mode and the owner of this one.
pub(super) fn make_file(path: &Path, owner: Owner) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true);
    match create(path, owner) {
        // It must be ours to write.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path).map(drop),
        outcome => outcome.map(drop),
    }
}

/// Makes a file that must not be there.
pub(super) fn create(path: &Path, owner: Owner) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if owner == Owner::Folder {
        give(&file, path)?;
    }
    Ok(file)
}

/// The file whose lock says that the database is used: shared by everybody who uses it, held alone
/// by whoever replaces it, brings it up to date, or looks after what a crash left. It is never
/// removed.
pub(super) fn lock_file(folder: &Path) -> io::Result<fs::File> {
    let path = folder.join("tandem-server.lock");
    make_file(&path, Owner::Folder)?;
    fs::OpenOptions::new().read(true).write(true).open(path)
}

/// Gives what was just made to whom its folder belongs. By its handle: whoever owns the folder could
/// have put another file in its place meanwhile.
#[cfg(unix)]
fn give(made: &fs::File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::metadata(folder.unwrap_or(Path::new(".")))?;
    if made.metadata()?.uid() == folder.uid() {
        return Ok(());
    }
    match fchown(made, Some(folder.uid()), Some(folder.gid())) {
        // Only root can. Others who share a folder know what they do.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome,
    }
}

#[cfg(not(unix))]
fn give(_: &fs::File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens no link in the place of what was made.
#[cfg(unix)]
fn no_follow() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::DIRECTORY;
    i32::try_from(flags.bits()).unwrap_or(0)
}
