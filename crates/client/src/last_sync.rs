//! When a replica was last in step, and with whom.
//!
//! In a small file beside the replica, not in it: a sync with nothing to do must write nothing
//! that has to be durable, and this need not be. After a power cut the time may be an older one, or
//! missing; nothing but `ta status` looks at it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_core::Timestamp;

/// The file's name in the data directory.
pub const LAST_SYNC_FILE: &str = "tandem-last-sync.json";

/// Bytes of the file that are read: a label is the longest thing in it.
const BYTES_MAX: u64 = 64 * 1024;

/// The last sync that ended with replica and remote in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSync {
    /// When it ended.
    pub at: Timestamp,
    /// What a person calls the remote: its address or folder.
    pub with: String,
}

impl LastSync {
    /// What is known about the replica in `data_dir`; none if nothing is, or if it cannot be read.
    pub fn load(data_dir: &Path) -> Option<Self> {
        use std::io::Read as _;
        let mut text = String::new();
        let file = std::fs::File::open(data_dir.join(LAST_SYNC_FILE)).ok()?;
        file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Stores it for the replica in `data_dir`, readable by its owner alone. Not flushed to disk.
    ///
    /// # Errors
    /// If the file cannot be written; the one before stays.
    pub fn store(&self, data_dir: &Path) -> std::io::Result<()> {
        let part: PathBuf = data_dir.join(format!("{LAST_SYNC_FILE}.part"));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let text = serde_json::to_string(self)?;
        options.open(&part)?.write_all(text.as_bytes())?;
        std::fs::rename(&part, data_dir.join(LAST_SYNC_FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded_and_what_is_torn_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(LastSync::load(folder.path()), None);
        let last = LastSync { at: Timestamp::from_seconds(1_700_000_000), with: "here".into() };
        for _ in 0..2 {
            last.store(folder.path()).unwrap();
            assert_eq!(LastSync::load(folder.path()), Some(last.clone()));
        }
        std::fs::write(folder.path().join(LAST_SYNC_FILE), "{\"at\":").unwrap();
        assert_eq!(LastSync::load(folder.path()), None);
    }
}
