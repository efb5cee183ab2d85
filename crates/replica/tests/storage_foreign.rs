//! Reading what somebody else writes, or has left in the middle of it.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod storage_common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use storage_common::{Folder, hasty, open};
use tandem_core::TaskId;
use tandem_replica::storage::Storage as _;
use tandem_replica::{OpenOptions, SqliteStorage};
use tandem_tasks::Task;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A replica with 40 tasks in a rollback journal, as programs without a write-ahead log leave it.
fn in_rollback_mode(path: &Path) {
    let (mut storage, _) = open(path).unwrap();
    let mut txn = storage.write().unwrap();
    for n in 0..40 {
        let words = format!("before {}", "x".repeat(300));
        let task = Task::from_iter([("status", "pending"), ("description", words.as_str())]);
        txn.put_task(TaskId::from_bytes([n; 16]), Some(&task)).unwrap();
    }
    txn.commit().unwrap();
    drop(storage);
    let connection = Connection::open(path).unwrap();
    let mode: String =
        connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
}

/// Another program in the middle of one change of all tasks, of which a part is in the file already.
fn change_of_all(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;
             UPDATE tasks SET data = replace(data, 'before', 'NEVER');",
        )
        .unwrap();
    assert!(path.with_extension("sqlite3-journal").exists());
    connection
}

fn uncommitted(storage: &mut SqliteStorage) -> usize {
    let mut count = 0;
    storage
        .read()
        .unwrap()
        .each_task(&mut |_, task| {
            count += usize::from(task.get("description").is_some_and(|d| d.starts_with("NEVER")));
            Ok(())
        })
        .unwrap();
    count
}

/// `ta import FOLDER` opens so. A machine went down while another program wrote.
#[test]
fn what_was_never_committed_is_not_read_from_a_folder_to_import() {
    let (folder, crashed) = (Folder::new(), Folder::new());
    in_rollback_mode(&folder.path());
    let writer = change_of_all(&folder.path());
    for suffix in ["sqlite3", "sqlite3-journal"] {
        fs::copy(folder.path().with_extension(suffix), crashed.path().with_extension(suffix))
            .unwrap();
    }
    drop(writer);
    let only_read = OpenOptions { read_only: true, create: false, ..hasty() };
    // It may be refused, or the change be taken back in a copy; it is not to be half there.
    if let Ok((mut storage, _)) = SqliteStorage::open(&crashed.path(), &only_read) {
        assert_eq!(uncommitted(&mut storage), 0, "of 40 tasks");
    }
}

/// As whoever is no root: the file is another's, who is writing it.
#[test]
fn what_is_being_written_is_not_read_from_a_file_that_cannot_be_written() {
    let folder = Folder::new();
    in_rollback_mode(&folder.path());
    let _writer = change_of_all(&folder.path());
    set_mode(&folder.path(), 0o444);
    if let Ok((mut storage, notes)) = SqliteStorage::open(&folder.path(), &hasty())
        && notes.read_only
    {
        assert_eq!(uncommitted(&mut storage), 0, "of 40 tasks");
    }
}

/// Whoever owns a folder could else have another file of root's opened to all.
#[test]
fn the_mode_of_a_file_elsewhere_is_left_alone() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    drop(open(&folder.path()).unwrap());
    set_mode(&folder.path(), 0o666);
    let victim = elsewhere.path().with_extension("victim");
    fs::write(&victim, b"").unwrap();
    set_mode(&victim, 0o440);
    std::os::unix::fs::symlink(&victim, folder.path().with_extension("sqlite3-shm")).unwrap();
    drop(open(&folder.path()));
    assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o440);
}

/// As whoever is no root: a copy of a folder whose program had not closed it yet.
#[test]
fn a_file_that_cannot_be_written_is_read_with_the_log_beside_it() {
    let (folder, copy) = (Folder::new(), Folder::new());
    let (mut storage, _) = open(&folder.path()).unwrap();
    let mut txn = storage.write().unwrap();
    let task = Task::from_iter([("status", "pending"), ("description", "words")]);
    txn.put_task(TaskId::from_bytes([1; 16]), Some(&task)).unwrap();
    txn.commit().unwrap();
    for suffix in ["sqlite3", "sqlite3-wal"] {
        let to = copy.path().with_extension(suffix);
        fs::copy(folder.path().with_extension(suffix), &to).unwrap();
        set_mode(&to, 0o444);
    }
    drop(storage);
    let (mut other, _) = SqliteStorage::open(&copy.path(), &hasty()).unwrap();
    assert_eq!(other.read().unwrap().task_count().unwrap(), 1);
}
