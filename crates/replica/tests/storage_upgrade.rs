//! Files of older, newer and interrupted schemas.
// A failed step is a failed test, in helpers as well.
#![allow(clippy::unwrap_used)]

mod storage_common;

use rusqlite::Connection;
use storage_common::{Folder, SCHEMAS, TASK, assert_content, foreign, hasty, open, pending_count};
use tandem_replica::storage::Storage as _;
use tandem_replica::{OpenOptions, SqliteStorage, StorageError};

/// The schema of a file, for comparing: what `sqlite_schema` says, spelling aside.
fn schema_of(path: &std::path::Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_schema AS t, \
             pragma_table_xinfo(t.name) AS c WHERE t.type = 'table' \
             UNION ALL SELECT 'index ' || name FROM sqlite_schema WHERE type = 'index' ORDER BY 1",
        )
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_older_schema_is_copied_and_upgraded() {
    let fresh = Folder::new();
    drop(open(&fresh.path()).unwrap());
    for schema in SCHEMAS {
        let folder = Folder::new();
        drop(foreign(&folder.path(), schema));
        let (mut storage, notes) = open(&folder.path()).unwrap();
        assert_content(&mut storage);
        assert!(!notes.created);
        drop(storage);
        assert_eq!(schema_of(&folder.path()), schema_of(&fresh.path()), "{schema}");
        let sql: String = Connection::open(folder.path())
            .unwrap()
            .query_row("SELECT sql FROM sqlite_schema WHERE name = 'operations'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(sql.contains("'$.Update.uuid'") && !sql.contains("\"$"), "{sql}");
        if schema == "0.2" {
            assert_eq!((notes.upgraded_from, notes.upgraded_copy), (None, None));
            assert_eq!(folder.beside(".before"), [""; 0]);
            continue;
        }
        assert_eq!(notes.upgraded_from.as_deref(), Some(schema));
        let name = format!(".before-{schema}-1");
        assert_eq!(folder.beside(".before"), [name.as_str()]);
        // The copy is the old file: a replica of the old schema, private, and upgradable itself.
        let copy = notes.upgraded_copy.unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let (mut storage, notes) = open(&copy).unwrap();
        assert_eq!(notes.upgraded_from.as_deref(), Some(schema));
        assert_content(&mut storage);
        // And the second opening of the upgraded one has nothing to do.
        let (mut storage, notes) = open(&folder.path()).unwrap();
        assert_eq!((notes.created, notes.upgraded_from), (false, None));
        assert_content(&mut storage);
    }
}

#[test]
fn the_other_program_goes_on_with_an_upgraded_file() {
    let folder = Folder::new();
    drop(foreign(&folder.path(), "0.9"));
    let (mut storage, _) = open(&folder.path()).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    let create = format!(r#"{{"Create":{{"uuid":"{TASK}"}}}}"#);
    other.execute("INSERT INTO operations (data, synced) VALUES (?1, true)", [create]).unwrap();
    let mut txn = storage.read().unwrap();
    assert_eq!(txn.operations_of(TASK.parse().unwrap()).unwrap().len(), 3);
    assert_eq!(pending_count(txn.as_mut()), 4);
}

#[test]
fn an_upgrade_that_cannot_begin_changes_nothing_and_is_repeated() {
    let folder = Folder::new();
    let other = foreign(&folder.path(), "0.8");
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(open(&folder.path()), Err(StorageError::Busy { .. })));
    assert_eq!(folder.beside(".before"), [""; 0]);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    // What an interrupted copy leaves: an unfinished file, or a finished one without an upgrade.
    let old = folder.path();
    std::fs::copy(&old, old.with_extension("sqlite3.before-0.8-1")).unwrap();
    std::fs::write(old.with_extension("sqlite3.before-0.8-2.part"), b"half").unwrap();
    let (mut storage, notes) = open(&folder.path()).unwrap();
    assert_content(&mut storage);
    assert!(notes.upgraded_copy.unwrap().ends_with("taskchampion.sqlite3.before-0.8-2"));
    assert_eq!(folder.beside(".before"), [".before-0.8-1", ".before-0.8-2"]);
}

/// Kills an upgrade half-way: the pages of its transaction are in the log, its commit is not.
#[test]
fn an_upgrade_killed_in_the_middle_is_done_again() {
    let folder = Folder::new();
    let upgrading = foreign(&folder.path(), "0.8");
    upgrading
        .execute_batch(
            "BEGIN IMMEDIATE; ALTER TABLE operations ADD COLUMN synced bool DEFAULT false;
             CREATE TABLE tandem_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
        )
        .unwrap();
    upgrading.cache_flush().unwrap();
    let crashed = Folder::new();
    std::fs::copy(folder.path(), crashed.path()).unwrap();
    std::fs::copy(
        folder.path().with_extension("sqlite3-wal"),
        crashed.path().with_extension("sqlite3-wal"),
    )
    .unwrap();
    let (mut storage, notes) = open(&crashed.path()).unwrap();
    assert!(notes.checked);
    assert_eq!(notes.upgraded_from.as_deref(), Some("0.8"));
    assert_content(&mut storage);
}

#[test]
fn a_creation_that_was_interrupted_is_finished() {
    for statement in [
        "",
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE operations (id INTEGER PRIMARY KEY AUTOINCREMENT, data STRING);
         CREATE TABLE sync_meta (key STRING PRIMARY KEY, value STRING);",
    ] {
        let folder = Folder::new();
        std::fs::write(folder.path(), b"").unwrap();
        Connection::open(folder.path()).unwrap().execute_batch(statement).unwrap();
        let (mut storage, _) = open(&folder.path()).unwrap();
        assert_eq!(storage.read().unwrap().task_count().unwrap(), 0);
        storage.write().unwrap().commit().unwrap();
    }
}

#[test]
fn a_newer_major_is_refused_and_a_newer_minor_is_not() {
    let folder = Folder::new();
    drop(foreign(&folder.path(), "1.4"));
    let before = std::fs::read(folder.path()).unwrap();
    let refused = open(&folder.path()).unwrap_err();
    assert!(
        matches!(&refused, StorageError::TooNew { major: 1, minor: 4, file } if file.ends_with("taskchampion.sqlite3"))
    );
    assert_eq!(std::fs::read(folder.path()).unwrap(), before);

    let folder = Folder::new();
    drop(foreign(&folder.path(), "0.3"));
    let (mut storage, notes) = open(&folder.path()).unwrap();
    assert_content(&mut storage);
    assert_eq!(notes.upgraded_from, None);
    let minor: i64 = Connection::open(folder.path())
        .unwrap()
        .query_row("SELECT minor FROM version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(minor, 3, "the other program's number stays");
}

#[test]
fn older_tables_of_our_own_are_completed_and_can_be_read_as_they_are() {
    let fresh = Folder::new();
    drop(open(&fresh.path()).unwrap());
    for (schema, lacking) in [("1.0", &["mark", "sent"][..]), ("1.1", &["sent"])] {
        let folder = Folder::new();
        drop(open(&folder.path()).unwrap());
        let connection = Connection::open(folder.path()).unwrap();
        for column in lacking {
            let sql = format!("ALTER TABLE tandem_applied DROP COLUMN {column}");
            connection.execute_batch(&sql).unwrap();
        }
        connection
            .execute(
                "INSERT INTO tandem_applied (version, parent, remote, hole) VALUES (?1, ?1, 2, 0)",
                [[7_u8; 16]],
            )
            .unwrap();
        connection
            .execute("UPDATE tandem_meta SET value = ?1 WHERE key = 'tandem_schema'", [schema])
            .unwrap();
        drop(connection);
        let reading = OpenOptions { read_only: true, ..hasty() };
        for options in [reading, hasty()] {
            let (mut storage, notes) = SqliteStorage::open(&folder.path(), &options).unwrap();
            assert_eq!(notes.read_only, options.read_only);
            let rows = storage.read().unwrap().all_applied().unwrap();
            let told: Vec<_> = rows.iter().map(|row| (row.remote, row.mark.0, row.sent)).collect();
            assert_eq!(told, [(2, 0, None)], "{schema}");
        }
        assert_eq!(schema_of(&folder.path()), schema_of(&fresh.path()), "{schema}");
    }
}

#[test]
fn newer_tables_of_our_own_are_refused_by_their_major_number() {
    let folder = Folder::new();
    drop(open(&folder.path()).unwrap());
    for (schema, opens) in [("1.7", true), ("2.0", false), ("seven", false)] {
        Connection::open(folder.path())
            .unwrap()
            .execute("UPDATE tandem_meta SET value = ?1 WHERE key = 'tandem_schema'", [schema])
            .unwrap();
        assert_eq!(open(&folder.path()).is_ok(), opens, "{schema}");
    }
}
