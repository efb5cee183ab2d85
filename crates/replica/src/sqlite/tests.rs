//! The conformance suite over SQLite, and what only the inside can show.

use tempfile::TempDir;

use super::*;
use crate::conformance::{self, Bench};

struct File {
    folder: TempDir,
}

fn options() -> OpenOptions {
    OpenOptions { busy_wait: Duration::from_millis(30), ..OpenOptions::default() }
}

impl Bench for File {
    fn reset(&mut self) {
        self.folder = TempDir::new().unwrap();
    }
    fn open(&mut self) -> Box<dyn Storage> {
        let path = self.folder.path().join("taskchampion.sqlite3");
        Box::new(SqliteStorage::open(&path, &options()).unwrap().0)
    }
}

#[test]
fn keeps_what_storage_promises() {
    conformance::suite(&mut File { folder: TempDir::new().unwrap() });
}

/// The statements whose cost the trait promises, and the index that each must use.
#[test]
fn look_ups_use_their_indexes() {
    let folder = TempDir::new().unwrap();
    let (storage, _) = SqliteStorage::open(&folder.path().join("db"), &options()).unwrap();
    for (sql, plan) in [
        (
            "SELECT max(id), count(*) FROM operations WHERE synced = 0",
            "COVERING INDEX operations_by_synced",
        ),
        (
            "SELECT id, data FROM operations WHERE synced = 0 ORDER BY id",
            "INDEX operations_by_synced",
        ),
        (
            "SELECT id, data FROM operations WHERE uuid = ?1 AND +synced = 0 ORDER BY id",
            "INDEX operations_by_uuid",
        ),
        (
            "DELETE FROM operations WHERE uuid IS NULL AND id BETWEEN ?1 AND ?2 \
             AND +synced = 0 AND data = '\"UndoPoint\"'",
            "INDEX operations_by_uuid",
        ),
        (
            "UPDATE operations SET synced = 1 WHERE synced = 0 AND id BETWEEN ?1 AND ?2",
            "INDEX operations_by_synced",
        ),
        ("SELECT count(*) FROM tasks", "COVERING INDEX"),
        (
            "SELECT uuid FROM tasks WHERE uuid BETWEEN ?1 AND ?2 ORDER BY uuid LIMIT ?3",
            "COVERING INDEX",
        ),
        (
            "SELECT id FROM working_set WHERE uuid = ?1 ORDER BY id LIMIT 1",
            "COVERING INDEX tandem_working_set_by_uuid",
        ),
        (
            "SELECT t.uuid, w.id, t.data \
             FROM working_set AS w CROSS JOIN tasks AS t ON t.uuid = w.uuid ORDER BY w.id",
            "SEARCH t USING INDEX",
        ),
        ("SELECT coalesce(max(id), 0) + 1 FROM working_set", "SEARCH working_set"),
        (
            "SELECT * FROM tandem_step WHERE first <= ?1 ORDER BY first DESC, id DESC LIMIT 1",
            "INDEX tandem_step_by_first",
        ),
        (
            "SELECT * FROM tandem_conflict WHERE resolved = 0 ORDER BY id",
            "INDEX tandem_conflict_open",
        ),
    ] {
        let mut explain = storage.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = explain.raw_query();
        let mut found = String::new();
        while let Some(row) = rows.next().unwrap() {
            found += &row.get::<_, String>(3).unwrap();
            found.push('\n');
        }
        assert!(found.contains(plan), "{sql}\n{found}");
        assert!(!found.contains("TEMP B-TREE"), "{sql}\n{found}");
    }
}

/// A page limit stands in for a full disk: SQLite answers both with the same error.
#[test]
fn a_full_disk_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let (mut storage, _) = SqliteStorage::open(&path, &options()).unwrap();
    let mut txn = storage.write().unwrap();
    txn.set_meta("key", Some("before")).unwrap();
    txn.commit().unwrap();
    let pages: i64 =
        storage.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    storage.connection.execute_batch(&format!("PRAGMA max_page_count = {}", pages + 5)).unwrap();
    for _ in 0..2 {
        let mut txn = storage.write().unwrap();
        txn.set_meta("key", Some("after")).unwrap();
        let full = txn.set_meta("large", Some(&"x".repeat(1 << 20)));
        assert!(matches!(full, Err(StorageError::DiskFull { .. })), "{full:?}");
        // Whether SQLite has kept the transaction or not: nothing is written beside it.
        let _ = txn.set_meta("small", Some("after"));
        drop(txn);
        let value = storage.read().unwrap().meta("key").unwrap();
        assert_eq!(value.as_deref(), Some("before"));
        assert_eq!(storage.read().unwrap().meta("small").unwrap(), None);
    }
    assert_eq!(storage.integrity_check().unwrap(), [""; 0]);
}

#[test]
fn a_transaction_that_is_gone_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (storage, _) = SqliteStorage::open(&folder.path().join("db"), &options()).unwrap();
    let mut txn = statements::SqliteTxn::write(&storage.connection, &storage.place).unwrap();
    txn.set_meta("key", Some("lost")).unwrap();
    storage.connection.execute_batch("ROLLBACK").unwrap();
    assert!(txn.set_meta("key", Some("alone")).is_err());
    assert!(txn.commit().is_err());
    let mut txn = statements::SqliteTxn::read(&storage.connection, &storage.place).unwrap();
    assert_eq!(txn.meta("key").unwrap(), None);
}

/// A later TaskChampion may add columns without a new major version; its file is used in place.
#[test]
fn what_a_later_schema_has_added_is_never_left_behind_in_silence() {
    let folder = TempDir::new().unwrap();
    let open = |name| SqliteStorage::open(&folder.path().join(name), &options()).unwrap().0;
    let (theirs, mut ours) = (open("theirs"), open("ours"));
    let change = |sql| theirs.connection.execute_batch(sql).unwrap();
    change(
        "INSERT INTO tasks VALUES ('11111111-1111-4111-8111-111111111111', '{}'); \
         UPDATE version SET minor = 9; ALTER TABLE tasks ADD COLUMN colour;",
    );
    let refused = ours.take_over(theirs.path()).unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("tasks.colour") && why.contains("data_dir"), "{why}");
    assert_eq!(ours.read().unwrap().task_count().unwrap(), 0);

    change("ALTER TABLE tasks DROP COLUMN colour;");
    assert_eq!(ours.take_over(theirs.path()).unwrap(), TakenOver::Done);
    let sql = "SELECT minor, (SELECT count(*) FROM tasks) FROM version";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (minor, tasks) = ours.connection.query_row(sql, [], read).unwrap();
    assert_eq!((minor, tasks), (2, 1), "the number of the tables that are here");
}
