//! Files and folders of a data directory: for their owner alone, whoever makes them.

use std::fs;
use std::io;
use std::path::Path;

/// Client ids are credentials: the folder is for its owner alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// SQLite gives its other files the mode and the owner of this one.
pub(super) fn make_file(path: &Path) -> io::Result<()> {
    open_or_make(path).map(drop)
}

/// The file whose lock says that the database is used: shared by everybody who uses it, held alone
/// by whoever replaces it, brings it up to date, or looks after what a crash left. It is never
/// removed.
pub(super) fn lock_file(folder: &Path) -> io::Result<fs::File> {
    let path = folder.join("tandem-server.lock");
    make_file(&path)?;
    fs::OpenOptions::new().read(true).write(true).open(path)
}

fn open_or_make(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
