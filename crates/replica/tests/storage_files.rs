//! Modes, folders that cannot be written, other programs, logs left behind, full disks, copies.
// A failed step is a failed test, in helpers as well.
#![allow(clippy::unwrap_used)]

mod storage_common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use storage_common::{Folder, SCHEMAS, TASK, assert_content, foreign, hasty, open};
use tandem_replica::storage::Storage as _;
use tandem_replica::{OpenOptions, Reclaim, SqliteStorage, StorageError};

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn what_we_make_is_private() {
    let folder = Folder::new();
    let path = folder.0.path().join("above/data/taskchampion.sqlite3");
    let (mut storage, notes) = open(&path).unwrap();
    assert!(notes.created && notes.warnings.is_empty(), "{notes:?}");
    let mut txn = storage.write().unwrap();
    txn.set_meta("key", Some("value")).unwrap();
    txn.commit().unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["sqlite3", "sqlite3-wal", "sqlite3-shm"] {
        assert_eq!(mode(&path.with_extension(suffix)), 0o600, "{suffix}");
    }
}

#[cfg(unix)]
#[test]
fn wider_modes_are_told_and_left() {
    use tandem_replica::OpenWarning;
    let folder = Folder::new();
    drop(open(&folder.path()).unwrap());
    set_mode(&folder.path(), 0o644);
    set_mode(folder.0.path(), 0o755);
    let (_, notes) = open(&folder.path()).unwrap();
    assert!(!notes.created);
    assert_eq!(
        notes.warnings,
        [
            OpenWarning::FileOpenToOthers { path: folder.path(), mode: 0o644 },
            OpenWarning::FolderOpenToOthers { path: folder.0.path().to_owned(), mode: 0o755 },
        ]
    );
    assert_eq!((mode(&folder.path()), mode(folder.0.path())), (0o644, 0o755));
}

#[test]
fn a_missing_file_is_made_only_if_asked() {
    let folder = Folder::new();
    for options in
        [OpenOptions { create: false, ..hasty() }, OpenOptions { read_only: true, ..hasty() }]
    {
        let refused = SqliteStorage::open(&folder.path(), &options).unwrap_err();
        assert!(matches!(refused, StorageError::Other { .. }), "{refused:?}");
        assert!(!folder.path().exists());
    }
}

#[test]
fn every_schema_can_be_read_without_writing() {
    for schema in SCHEMAS {
        let folder = Folder::new();
        drop(foreign(&folder.path(), schema));
        let before = fs::read(folder.path()).unwrap();
        let options = OpenOptions { read_only: true, ..hasty() };
        let (mut storage, notes) = SqliteStorage::open(&folder.path(), &options).unwrap();
        assert!(notes.read_only && notes.upgraded_from.is_none());
        assert_content(&mut storage);
        assert!(matches!(storage.write().map(drop), Err(StorageError::ReadOnly { .. })));
        drop(storage);
        assert_eq!(fs::read(folder.path()).unwrap(), before, "{schema}");
    }
}

/// Root may write everywhere: as root this shows only that nothing breaks.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_can_be_read() {
    for schema in SCHEMAS {
        // Names that a URI must escape.
        let outer = Folder::new();
        let inner = outer.0.path().join("a ?#%41é");
        fs::create_dir(&inner).unwrap();
        let path = inner.join("taskchampion.sqlite3");
        drop(foreign(&path, schema));
        set_mode(&path, 0o400);
        set_mode(&inner, 0o500);
        let is_root = fs::write(inner.join("probe"), b"").is_ok();
        let opened = open(&path);
        set_mode(&inner, 0o700);
        let (mut storage, notes) = opened.unwrap();
        assert_eq!(notes.read_only, !is_root);
        assert_content(&mut storage);
    }
}

/// Goal: a look at a read-only file leaves nothing that would keep it read-only. Method: as whoever
/// is no root; root is never kept from writing, and shows only that nothing breaks.
#[cfg(unix)]
#[test]
fn a_look_at_a_read_only_file_leaves_nothing_beside_it() {
    let folder = Folder::new();
    drop(foreign(&folder.path(), "0.2"));
    drop(open(&folder.path()).unwrap());
    set_mode(&folder.path(), 0o444);
    let (mut storage, notes) = open(&folder.path()).unwrap();
    assert_content(&mut storage);
    if notes.read_only {
        assert!(!folder.path().with_extension("sqlite3-shm").exists());
        assert!(matches!(storage.write().map(drop), Err(StorageError::ReadOnly { .. })));
    }
    drop(storage);
    set_mode(&folder.path(), 0o600);
    let (mut storage, notes) = open(&folder.path()).unwrap();
    assert!(!notes.read_only);
    storage.write().unwrap();
}

/// Other programs leave them when they look at a read-only file.
#[cfg(unix)]
#[test]
fn what_a_reader_left_beside_a_read_only_file_does_not_keep_it_so() {
    let folder = Folder::new();
    drop(open(&folder.path()).unwrap());
    let beside = ["sqlite3-shm", "sqlite3-wal"].map(|suffix| folder.path().with_extension(suffix));
    for left in &beside {
        fs::write(left, b"").unwrap();
        set_mode(left, 0o444);
    }
    set_mode(&folder.path(), 0o640);
    let (mut storage, notes) = open(&folder.path()).unwrap();
    assert!(!notes.read_only);
    for left in &beside {
        assert_eq!(mode(left), 0o640, "{}", left.display());
    }
    storage.write().unwrap().commit().unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_said_to_be_so() {
    let folder = Folder::new();
    drop(foreign(&folder.path(), "0.2"));
    set_mode(&folder.path(), 0o000);
    if fs::read(folder.path()).is_err() {
        let refused = open(&folder.path()).unwrap_err();
        assert!(matches!(refused, StorageError::ReadOnly { .. }), "{refused:?}");
    }
}

#[test]
fn another_program_writes_in_between() {
    let folder = Folder::new();
    let other = foreign(&folder.path(), "0.2");
    let (mut storage, _) = open(&folder.path()).unwrap();
    let mut reader = storage.read().unwrap();
    other.execute("UPDATE tasks SET data = '{}'", []).unwrap();
    let task = reader.task(TASK.parse().unwrap()).unwrap().unwrap();
    assert_eq!(task.get("description"), Some("milk"));
    drop(reader);
    let task = storage.read().unwrap().task(TASK.parse().unwrap()).unwrap().unwrap();
    assert_eq!(task, tandem_tasks::Task::default());
    // Its undo removes operations; their ids stay used.
    other.execute("DELETE FROM operations WHERE id >= 3", []).unwrap();
    let mut txn = storage.write().unwrap();
    assert_eq!(txn.last_operation_id().unwrap().unwrap().0, 4);
    let id = txn.append(&tandem_tasks::LocalOperation::UndoPoint, false).unwrap();
    assert_eq!(id.0, 5);
    txn.commit().unwrap();
    let seen: i64 =
        other.query_row("SELECT max(id) FROM operations", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 5);
}

#[test]
fn another_program_holds_the_lock() {
    let folder = Folder::new();
    let other = foreign(&folder.path(), "0.2");
    let (mut storage, _) = open(&folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = Instant::now();
    let refused = storage.write().map(drop);
    assert!(matches!(refused, Err(StorageError::Busy { .. })), "{refused:?}");
    assert!(begin.elapsed() >= hasty().busy_wait && begin.elapsed() < Duration::from_secs(5));
    // Neither reading nor opening waits.
    assert_content(&mut storage);
    let (mut second, notes) = open(&folder.path()).unwrap();
    assert!(!notes.checked, "a log that is in use is no unclean end");
    assert_content(&mut second);

    let options = OpenOptions { busy_wait: Duration::from_secs(10), ..OpenOptions::default() };
    let (mut patient, _) = SqliteStorage::open(&folder.path(), &options).unwrap();
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.execute_batch("COMMIT").unwrap();
    });
    patient.write().unwrap().commit().unwrap();
    release.join().unwrap();
}

#[test]
fn a_log_left_by_a_killed_process_is_recovered_checked_and_removed() {
    let folder = Folder::new();
    let other = foreign(&folder.path(), "0.2");
    let (mut storage, _) = open(&folder.path()).unwrap();
    let mut txn = storage.write().unwrap();
    txn.set_meta("key", Some("committed")).unwrap();
    txn.commit().unwrap();
    let mut txn = storage.write().unwrap();
    txn.set_meta("key", Some("never")).unwrap();
    let crashed = Folder::new();
    let log = |folder: &Folder| folder.path().with_extension("sqlite3-wal");
    fs::copy(folder.path(), crashed.path()).unwrap();
    fs::copy(log(&folder), log(&crashed)).unwrap();
    drop((txn, other));
    let (mut recovered, notes) = open(&crashed.path()).unwrap();
    assert!(notes.checked);
    assert_content(&mut recovered);
    let value = recovered.read().unwrap().meta("key").unwrap();
    assert_eq!(value.as_deref(), Some("committed"));
    let (_, notes) = open(&crashed.path()).unwrap();
    assert!(!notes.checked, "once is enough");
    drop(recovered);
    assert_eq!(crashed.beside("-"), [""; 0], "a clean end leaves nothing");
}

#[test]
fn a_torn_log_loses_only_what_was_not_committed() {
    let folder = Folder::new();
    let (mut storage, _) = open(&folder.path()).unwrap();
    for value in ["one", "two", "three"] {
        let mut txn = storage.write().unwrap();
        txn.set_meta("key", Some(value)).unwrap();
        txn.commit().unwrap();
    }
    let log = fs::read(folder.path().with_extension("sqlite3-wal")).unwrap();
    let crashed = Folder::new();
    fs::copy(folder.path(), crashed.path()).unwrap();
    fs::write(crashed.path().with_extension("sqlite3-wal"), &log[..log.len() - 100]).unwrap();
    let (mut recovered, notes) = open(&crashed.path()).unwrap();
    assert!(notes.checked);
    assert_eq!(recovered.read().unwrap().meta("key").unwrap().as_deref(), Some("two"));
}

#[test]
fn a_copy_is_whole_private_and_never_in_the_way() {
    let folder = Folder::new();
    let other = foreign(&folder.path(), "0.2");
    let (storage, _) = open(&folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM tasks").unwrap();
    let target = folder.0.path().join("copy.sqlite3");
    storage.copy_to(&target).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    #[cfg(unix)]
    assert_eq!(mode(&target), 0o600);
    let taken = storage.copy_to(&target).unwrap_err();
    assert!(matches!(taken, StorageError::Other { .. }), "{taken:?}");
    assert!(storage.copy_to(&folder.0.path().join("none/copy")).is_err());
    let (mut copy, notes) = open(&target).unwrap();
    assert!(!notes.created && notes.upgraded_from.is_none());
    assert_content(&mut copy);
    assert!(!folder.0.path().join("copy.sqlite3.part").exists());
}

#[test]
fn space_is_given_back() {
    for foreign_file in [false, true] {
        let folder = Folder::new();
        if foreign_file {
            drop(foreign(&folder.path(), "0.2"));
        }
        let (mut storage, _) = open(&folder.path()).unwrap();
        let mut txn = storage.write().unwrap();
        txn.set_meta("large", Some(&"x".repeat(2 << 20))).unwrap();
        txn.commit().unwrap();
        let mut txn = storage.write().unwrap();
        txn.set_meta("large", None).unwrap();
        txn.commit().unwrap();
        assert!(storage.checkpoint().unwrap());
        let freed = storage.give_back_space(Reclaim::FreePages).unwrap();
        assert_eq!(freed > 1 << 20, !foreign_file, "{freed}");
        let freed = storage.give_back_space(Reclaim::Rewrite).unwrap();
        assert_eq!(freed > 1 << 20, foreign_file, "{freed}");
        assert!(fs::metadata(folder.path()).unwrap().len() < 1 << 20);
        assert_eq!(storage.integrity_check().unwrap(), [""; 0]);
    }
}

/// Goal: a log that nobody uses means that somebody was killed. Method: many open, write and close
/// the same file at once, and nobody is taken for killed.
#[test]
fn those_who_end_together_are_not_taken_for_killed() {
    let folder = Folder::new();
    let path = folder.path();
    drop(open(&path).unwrap());
    std::thread::scope(|scope| {
        for user in 0..6 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..60 {
                    let options = OpenOptions::default();
                    let (mut storage, notes) = SqliteStorage::open(path, &options).unwrap();
                    assert!(!notes.checked, "user {user}, round {round}");
                    if (user + round) % 3 == 0 {
                        let mut txn = storage.write().unwrap();
                        txn.set_meta("key", Some(&round.to_string())).unwrap();
                        txn.commit().unwrap();
                    }
                }
            });
        }
    });
    assert!(!open(&path).unwrap().1.checked);
    assert_eq!(folder.beside("-"), [""; 0], "the last one removes the log");
}

/// Two processes that make the same file at the same moment.
#[test]
fn many_can_make_the_same_file() {
    let folder = Folder::new();
    let path = folder.path();
    let made: usize = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let options = OpenOptions::default();
                    let (mut storage, notes) = SqliteStorage::open(&path, &options).unwrap();
                    storage.write().unwrap().commit().unwrap();
                    usize::from(notes.created)
                })
            })
            .collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).sum()
    });
    assert_eq!(made, 1);
    let mode: String = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}
