//! Room on the disk: a server that has none left cannot even take notes.

use std::path::PathBuf;

/// The room that must stay in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The folder of the database.
    pub folder: PathBuf,
    /// With fewer bytes than these, writes are turned away.
    pub bytes_min: u64,
}

impl Room {
    /// Free bytes for a program without privileges; none if the system does not tell. One question to
    /// the system, which asks no disk.
    pub fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.folder).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Whether there is too little.
    pub fn is_low(&self) -> bool {
        self.free_bytes().is_some_and(|bytes| bytes < self.bytes_min)
    }
}
