//! Opening beside others, after a crash, and by a program of another version.

use super::*;

fn schema_of(path: &Path) -> i64 {
    schema::version(&Connection::open(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_command_that_reads_does_not_wait_for_whoever_writes() {
    let folder = TempDir::new().unwrap();
    let serving = open(&folder);
    let other = Connection::open(serving.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let command = SqliteStore::open_existing(folder.path()).unwrap();
    assert_eq!(command.totals().await.unwrap().clients, 0);
    assert_eq!(command.log_key(), serving.log_key());
}

#[test]
fn looking_at_a_database_does_not_write_it() {
    let folder = TempDir::new().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let path = folder.path().join(DATABASE_FILE);
    let before = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified());
    for _ in 0..2 {
        drop(SqliteStore::open_existing(folder.path()).unwrap());
    }
    let after = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified());
    assert!(before.0 == after.0 && before.1.unwrap() == after.1.unwrap());
}

#[test]
fn the_schema_of_a_database_in_use_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(DATABASE_FILE);
    older(&path, 1);
    let old_server = files::lock_file(folder.path()).unwrap();
    old_server.lock_shared().unwrap();
    for opened in [SqliteStore::open(folder.path()), SqliteStore::open_existing(folder.path())] {
        assert!(matches!(opened, Err(OpenError::UsedByOlder { found: 1, .. })), "{opened:?}");
    }
    assert_eq!(schema_of(&path), 1);
    assert!(!folder.path().join("backups").exists());
    drop(old_server);
    drop(SqliteStore::open_existing(folder.path()).unwrap());
    assert_eq!(schema_of(&path), schema::MIGRATIONS.len() as i64);
}

#[tokio::test]
async fn after_another_program_has_changed_the_schema_nothing_more_is_written() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let other = Connection::open(own.path()).unwrap();
    other.pragma_update(None, "user_version", 1000).unwrap();
    for _ in 0..2 {
        let refused = client.offer(first, b"second").await;
        assert!(matches!(refused, Err(StoreError::Stopped { .. })), "{refused:?}");
    }
    assert!(matches!(store.health().await, Ok(Health::Unavailable { .. })));
}

#[test]
fn what_a_crash_left_in_the_log_is_in_the_database_before_anything_is_answered() {
    let folder = TempDir::new().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let path = folder.path().join(DATABASE_FILE);
    let log = folder.path().join(format!("{DATABASE_FILE}-wal"));
    // As a kill leaves it: the log's content is in the log alone.
    let dying = Connection::open(&path).unwrap();
    dying.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    dying.execute_batch("INSERT INTO facts VALUES ('late', x'01')").unwrap();
    for name in [DATABASE_FILE.to_owned(), format!("{DATABASE_FILE}-wal")] {
        std::fs::copy(folder.path().join(&name), folder.path().join(format!("{name}.kept")))
            .unwrap();
    }
    drop(dying);
    for (kept, name) in [(&path, DATABASE_FILE.to_owned()), (&log, format!("{DATABASE_FILE}-wal"))]
    {
        std::fs::rename(folder.path().join(format!("{name}.kept")), kept).unwrap();
    }
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    let store = SqliteStore::open(folder.path()).unwrap();
    // Without the log, which is empty now.
    let alone = folder.path().join("alone");
    std::fs::copy(&path, &alone).unwrap();
    let late = Connection::open(&alone).unwrap().query_row(
        "SELECT count(*) FROM facts WHERE name = 'late'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(late.unwrap(), 1);
    drop(store);
}
