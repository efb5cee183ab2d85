//! Room put by for a full disk: to open at all, and to make room, takes a little room itself.
//!
//! SQLite removes by writing (the pages that become free are listed first), and its shared memory is
//! a file. On a disk that others have filled a server could neither start nor let history go. So a
//! file of zeros is kept beside the database and given up when there is no other way; the next round
//! that finds enough room makes it anew.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::files::{self, Owner};
use crate::disk::Room;

/// Bytes that are put by: enough for the largest step of retention and the log around it, twice.
const BYTES: u64 = 16 * 1024 * 1024;

/// It is put by only while this many bytes are free, so that it is not what fills the disk.
const ROOM_BYTES_MIN: u64 = 4 * BYTES;

fn path(folder: &Path) -> PathBuf {
    folder.join("tandem-server.reserve")
}

/// Puts the room by, if it is not there and the disk has enough. What goes wrong is no reason not to
/// serve.
pub(super) fn keep(folder: &Path) {
    let path = path(folder);
    let room = Room { folder: folder.to_owned(), bytes_min: ROOM_BYTES_MIN };
    if fs::metadata(&path).is_ok_and(|found| found.len() == BYTES) || room.is_low() {
        return;
    }
    if let Err(error) = make(&path) {
        tracing::debug!(%error, "no room could be put by for a full disk");
        let _ = fs::remove_file(&path);
    }
}

fn make(path: &Path) -> io::Result<()> {
    files::make_file(path, Owner::Folder)?;
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
        // A file system that knows no such thing.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            io::copy(&mut io::repeat(0).take(BYTES), &mut file).map(drop)
        }
        outcome => Ok(outcome?),
    }
}

/// Gives the room up; whether there was any.
pub(super) fn release(folder: &Path) -> bool {
    let was_there = fs::remove_file(path(folder)).is_ok();
    if was_there {
        tracing::warn!("the disk is full: the room that was put by is used");
    }
    was_there
}
