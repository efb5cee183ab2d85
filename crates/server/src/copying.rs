//! Copying the files of an SQLite database that somebody else may have open.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// How often the files are copied anew when they changed meanwhile.
const COPIES_MAX: u32 = 5;

/// What belongs to a database beside its file: what is not in it yet, or must be taken back from it.
const BESIDE: [&str; 2] = ["-wal", "-journal"];

/// The first bytes of a database, which say what it is.
///
/// # Source
/// SQLite's "Database File Format", section 1.3.
pub(crate) struct Head {
    bytes: Vec<u8>,
}

impl Head {
    /// Its length in bytes.
    const BYTES: u64 = 100;

    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(Self::BYTES).read_to_end(&mut bytes)?;
        Ok(Self { bytes })
    }

    /// Whether SQLite would take the file for a database. An empty one may have all in its log.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.bytes.is_empty() || self.bytes.starts_with(b"SQLite format 3\0")
    }

    /// What `PRAGMA application_id` says; 0 in an empty file.
    pub(crate) fn application_id(&self) -> i32 {
        let id = self.bytes.get(68..72).and_then(|id| id.try_into().ok());
        id.map_or(0, i32::from_be_bytes)
    }
}

/// Why a database was not copied.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// A file cannot be read or written.
    File(io::Error),
    /// Somebody writes to it.
    Changing,
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// The path of a file whose name begins with another's.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OsStr::new(end));
    name.into()
}

/// Copies a database with its log as they are at one moment. What is at `to` is written over; it is
/// readable for its owner alone, whoever may read the original.
pub(crate) fn copy_database(from: &Path, to: &Path) -> Result<(), CopyError> {
    let look = || {
        let look = |path: PathBuf| fs::metadata(path).ok().map(|m| (m.len(), m.modified().ok()));
        ["", BESIDE[0], BESIDE[1]].map(|end| look(beside(from, end)))
    };
    for _ in 0..COPIES_MAX {
        let before = look();
        copy_file(from, to)?;
        for end in BESIDE {
            match copy_file(&beside(from, end), &beside(to, end)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    remove_if_there(&beside(to, end))?;
                }
                outcome => outcome?,
            }
        }
        if look() == before {
            return Ok(());
        }
    }
    Err(CopyError::Changing)
}

/// Removes a file that may be there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut original = fs::File::open(from)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::copy(&mut original, &mut options.open(to)?).map(drop)
}
