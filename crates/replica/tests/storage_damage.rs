//! Files that are no replica, damaged files, and rows that cannot be read.
// A failed step is a failed test, in helpers as well.
#![allow(clippy::unwrap_used)]

mod storage_common;

use std::fs;

use rusqlite::Connection;
use storage_common::{Folder, TASK, assert_content, foreign, open, read_all};
use tandem_replica::StorageError;
use tandem_replica::storage::Storage as _;
use tandem_tasks::LocalOperation;

#[test]
fn what_is_no_replica_is_left_alone() {
    let make: [fn(&std::path::Path); 4] = [
        |path| fs::write(path, "buy milk\n".repeat(1000)).unwrap(),
        |path| fs::write(path, [0u8; 5000]).unwrap(),
        |path| {
            let other = Connection::open(path).unwrap();
            other
                .execute_batch("CREATE TABLE bookmarks (id, url); PRAGMA user_version = 3")
                .unwrap();
        },
        |path| {
            let other = Connection::open(path).unwrap();
            other.execute_batch("CREATE TABLE tasks (id, title); CREATE TABLE users (id)").unwrap();
        },
    ];
    for make in make {
        let folder = Folder::new();
        make(&folder.path());
        let before = fs::read(folder.path()).unwrap();
        let refused = open(&folder.path()).unwrap_err();
        assert!(matches!(refused, StorageError::NotAReplica { .. }), "{refused:?}");
        assert_eq!(fs::read(folder.path()).unwrap(), before);
        assert_eq!(folder.beside("-"), [""; 0], "nothing was left beside it");
    }
}

#[test]
fn a_folder_in_its_place_is_an_error() {
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    assert!(open(&folder.path()).is_err());
}

fn well_filled() -> Folder {
    let folder = Folder::new();
    let (mut storage, _) = open(&folder.path()).unwrap();
    let mut txn = storage.write().unwrap();
    for n in 0..400u16 {
        let mut bytes = [7; 16];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        let uuid = tandem_core::TaskId::from_bytes(bytes);
        txn.append(&LocalOperation::Create { uuid }, n % 2 == 0).unwrap();
        let description = "d".repeat(200);
        let task = [("description", description.as_str())].into_iter().collect();
        txn.put_task(uuid, Some(&task)).unwrap();
        txn.give_number(uuid).unwrap();
    }
    txn.commit().unwrap();
    drop(storage);
    folder
}

fn is_said_to_be_damaged(result: &Result<(), StorageError>) -> bool {
    matches!(result, Err(StorageError::Corrupt { .. } | StorageError::NotAReplica { .. }))
}

/// Damage anywhere is an error that says so, or harmless; never a panic, never another error.
#[test]
fn damage_anywhere_is_told_or_harmless() {
    let folder = well_filled();
    let whole = fs::read(folder.path()).unwrap();
    let mut told = 0;
    let mut damage: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in
        [1, 50, 99, 512, 4095, 4096, 5000, whole.len() / 2, whole.len() - 4096, whole.len() - 1]
    {
        damage.push((format!("cut at {cut}"), whole[..cut].to_vec()));
    }
    for offset in (0..whole.len()).step_by(2731).chain([16, 18, 20, 24, 28, 44, 56, 96, 100, 105]) {
        for length in [1, 60, 4096] {
            let mut bytes = whole.clone();
            let end = (offset + length).min(bytes.len());
            bytes[offset..end].iter_mut().for_each(|byte| *byte ^= 0xa5);
            damage.push((format!("{length} garbled at {offset}"), bytes));
        }
    }
    for (what, bytes) in &damage {
        let folder = Folder::new();
        fs::write(folder.path(), bytes).unwrap();
        let checked = open(&folder.path()).and_then(|(mut storage, _)| {
            let found = storage.integrity_check()?;
            let read = read_all(&mut storage);
            // Whatever reading stumbles over, the check has found as well.
            assert!(read.is_ok() || !found.is_empty(), "{what}: {read:?}");
            read
        });
        told += usize::from(checked.is_err());
        assert!(checked.is_ok() || is_said_to_be_damaged(&checked), "{what}: {checked:?}");
    }
    assert!(told * 3 > damage.len(), "{told} of {}", damage.len());
}

/// A damaged database that nobody has closed is found at opening, by the check.
#[test]
fn damage_behind_a_left_log_is_told_at_opening() {
    let folder = well_filled();
    let (mut storage, _) = open(&folder.path()).unwrap();
    let mut txn = storage.write().unwrap();
    txn.set_meta("key", Some("value")).unwrap();
    txn.commit().unwrap();
    let crashed = Folder::new();
    let mut bytes = fs::read(folder.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(crashed.path(), bytes).unwrap();
    let log = crashed.path().with_extension("sqlite3-wal");
    fs::copy(folder.path().with_extension("sqlite3-wal"), &log).unwrap();
    for _ in 0..2 {
        let refused = open(&crashed.path()).map(drop);
        assert!(is_said_to_be_damaged(&refused), "{refused:?}");
        assert!(log.exists(), "the log is kept for whoever repairs it");
    }
}

#[test]
fn rows_that_cannot_be_read_are_named() {
    for (table, sql, row) in [
        ("tasks", "INSERT INTO tasks VALUES ('no id', '{}')", "no id"),
        ("tasks", "UPDATE tasks SET data = '{\"entry\":5}'", TASK),
        ("tasks", "UPDATE tasks SET data = '[]'", TASK),
        ("tasks", "UPDATE tasks SET data = 17", TASK),
        ("tasks", "UPDATE tasks SET data = NULL", TASK),
        ("tasks", "UPDATE tasks SET data = x'7b7d'", TASK),
        ("operations", "UPDATE operations SET data = '{\"Rename\":{}}' WHERE id = 2", "row 2"),
        ("operations", "UPDATE operations SET data = 5 WHERE id = 3", "row 3"),
        ("working_set", "UPDATE working_set SET uuid = 'abc'", "row 4"),
        ("working_set", "UPDATE working_set SET id = -1", "row -1"),
        ("working_set", "UPDATE working_set SET id = 5000000000", "row 5000000000"),
        ("sync_meta", "UPDATE sync_meta SET value = 'abc'", "base_version"),
        ("tandem_base", "INSERT INTO tandem_base VALUES ('abc', NULL)", "abc"),
    ] {
        let folder = Folder::new();
        drop(foreign(&folder.path(), "0.2"));
        let (mut storage, _) = open(&folder.path()).unwrap();
        assert_content(&mut storage);
        assert_eq!(storage.integrity_check().unwrap(), [""; 0]);
        Connection::open(folder.path()).unwrap().execute_batch(sql).unwrap();
        match read_all(&mut storage) {
            Err(StorageError::Corrupt { what, .. }) => {
                assert!(what.contains(table) && what.contains(row), "{sql}: {what}");
                if table != "sync_meta" {
                    assert_eq!(storage.integrity_check().unwrap(), [what]);
                }
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn operations_that_are_not_json_stop_an_upgrade_and_change_nothing() {
    let folder = Folder::new();
    let other = foreign(&folder.path(), "0.8");
    other.execute("INSERT INTO operations (data) VALUES ('{\"Create\":')", []).unwrap();
    drop(other);
    let refused = open(&folder.path()).unwrap_err();
    assert!(
        matches!(&refused, StorageError::Corrupt { what, .. } if what.contains("operations")),
        "{refused:?}"
    );
    let columns: i64 = Connection::open(folder.path())
        .unwrap()
        .query_row("SELECT count(*) FROM pragma_table_xinfo('operations')", [], |row| row.get(0))
        .unwrap();
    assert_eq!(columns, 2);
}

#[test]
fn a_huge_text_in_an_error_is_shortened() {
    let folder = Folder::new();
    drop(foreign(&folder.path(), "0.2"));
    let (mut storage, _) = open(&folder.path()).unwrap();
    let long = format!("\"{}\"", "x".repeat(100_000));
    Connection::open(folder.path()).unwrap().execute("UPDATE tasks SET data = ?1", [long]).unwrap();
    let told = read_all(&mut storage).unwrap_err().to_string();
    assert!(told.len() < 1000, "{}", told.len());
}
