//! A folder for the copy of an original.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How the names of such folders begin; then come hexadecimal digits.
const PREFIX: &str = "import-";

/// A folder of its own inside another one, gone with all that is in it when this is dropped. Its lock
/// says that somebody is at it, so that the next one can remove what a kill has left.
#[derive(Debug)]
pub(super) struct WorkFolder {
    path: PathBuf,
    _lock: File,
}

impl WorkFolder {
    /// Makes one, and removes those of others that were killed.
    pub(super) fn make(inside: &Path) -> io::Result<Self> {
        // One at a time, so that what has just been made is not taken for what a kill has left.
        let quiet = File::open(inside)?;
        quiet.lock()?;
        remove_left(inside)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        // Not the id of the process: in a container that is the same every time.
        let path = inside.join(format!("{PREFIX}{:016x}", u64::from_be_bytes(random)));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        let lock = File::open(&path)?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // It holds sealed bytes and client ids, in a folder that only its owner reads.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_left(inside: &Path) -> io::Result<()> {
    for entry in fs::read_dir(inside)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let is_ours = digits.is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let path = inside.join(&name);
        if is_ours && path.is_dir() && File::open(&path)?.try_lock().is_ok() {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}
