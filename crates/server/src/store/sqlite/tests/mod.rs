//! SQLite alone: reopening, foreign files, failed commits, space.

use std::sync::Arc;

use rusqlite::Connection;
use tandem_core::VersionId;
use tandem_tasks::serve::retention::Rules;
use tempfile::TempDir;

use super::*;
use crate::store::StoreError;
use crate::store::conformance::{self, Customer};

mod clock;
mod copies;
mod ids;
mod opening;
mod operators;
mod writing;

fn open(folder: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(folder.path()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_does_what_every_storage_does() {
    let folder = TempDir::new().unwrap();
    conformance::all(open(&folder)).await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let folder = TempDir::new().unwrap();
    let first = open(&folder);
    let key = first.log_key();
    let store: Arc<dyn Store> = first.clone();
    let mut client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 5).await;
    client.snap(row[4], b"snapshot").await;
    store.close().await.unwrap();
    assert!(matches!(store.health().await, Ok(Health::Unavailable { .. })));
    assert!(matches!(client.offer(row[4], b"x").await, Err(StoreError::Unavailable { .. })));
    let again = open(&folder);
    assert_eq!(again.log_key(), key, "one key for an installation");
    let store: Arc<dyn Store> = again;
    let id = client.id;
    client = Customer::new(&store);
    client.id = id;
    assert_eq!(client.walk(VersionId::NIL).await, row);
    assert!(matches!(client.snapshot().await, SnapshotFound::Found(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_on_one_file_keep_one_chain() {
    let folder = TempDir::new().unwrap();
    let stores: [Arc<dyn Store>; 2] = [open(&folder), open(&folder)];
    let client = Customer::new(&stores[0]);
    let mut latest = client.add(VersionId::NIL, b"first").await.0;
    let mut chain = vec![latest];
    for _ in 0..10 {
        let racers: Vec<_> = (0..8_usize)
            .map(|number| {
                let mut racer = Customer::new(&stores[number % 2]);
                racer.id = client.id;
                tokio::spawn(async move { racer.offer(latest, b"x").await })
            })
            .collect();
        let mut accepted = Vec::new();
        for racer in racers {
            if let Added::Accepted { version, .. } = racer.await.unwrap().unwrap() {
                accepted.push(version);
            }
        }
        assert_eq!(accepted.len(), 1);
        latest = accepted[0];
        chain.push(latest);
    }
    assert_eq!(client.walk(VersionId::NIL).await, chain);
}

#[tokio::test]
async fn a_request_that_fails_takes_only_itself_back() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let broken = own
        .writer
        .ask(0, |txn| {
            txn.execute("INSERT INTO facts VALUES ('half', x'00')", [])?;
            txn.execute("INSERT INTO facts VALUES ('half', x'01')", [])
        })
        .await;
    assert!(matches!(broken, Err(StoreError::Damaged { .. })), "{broken:?}");
    client.add(VersionId::NIL, b"first").await;
    let half = own.writer.ask(0, |txn| {
        txn.query_row("SELECT count(*) FROM facts WHERE name = 'half'", [], |row| row.get(0))
    });
    assert_eq!(half.await, Ok(0_i64));
}

#[tokio::test]
async fn the_space_of_what_went_is_given_back() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = open(&folder);
    let client = Customer::new(&store);
    let mut row = vec![VersionId::NIL];
    for _ in 0..40 {
        row.push(client.add(row[row.len() - 1], &[0x55; 100_000]).await.0);
    }
    client.snap(row[36], b"older").await;
    client.snap(row[40], b"newer").await;
    let pages = |store: &Path| -> i64 {
        let connection = Connection::open(store.join(DATABASE_FILE)).unwrap();
        connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    };
    let before = pages(folder.path());
    let rules = Rules { grace_days: 0, versions_min: 0 };
    assert_eq!(conformance::retain(&store, rules, client.now, 10).await, 35);
    let after = pages(folder.path());
    assert!(after * 5 < before, "{before} pages before, {after} after");
    store.close().await.unwrap();
    let bytes = std::fs::metadata(folder.path().join(DATABASE_FILE)).unwrap().len();
    assert!(bytes < 1_000_000, "{bytes} bytes on the disk");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(DATABASE_FILE);
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE x (y); INSERT INTO x VALUES (1)").unwrap();
    drop(foreign);
    let bytes = std::fs::read(&path).unwrap();
    assert!(matches!(SqliteStore::open(folder.path()), Err(OpenError::NotOurs { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    std::fs::write(&path, b"not a database at all, but long enough to be looked at").unwrap();
    assert!(matches!(SqliteStore::open(folder.path()), Err(OpenError::NotOurs { .. })));
    std::fs::remove_file(&path).unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1000).unwrap();
    drop(newer);
    assert!(matches!(SqliteStore::open(folder.path()), Err(OpenError::TooNew { .. })));
}

#[cfg(unix)]
#[test]
fn others_cannot_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt as _;
    let room = TempDir::new().unwrap();
    let folder = room.path().join("data");
    let store = SqliteStore::open(&folder).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&folder), 0);
    for file in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0);
    }
    drop(store);
}

#[tokio::test]
async fn damage_is_found_and_named() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    client.add_row(VersionId::NIL, 5).await;
    let other = Connection::open(own.path()).unwrap();
    other
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM versions WHERE number = 3")
        .unwrap();
    other
        .execute_batch("INSERT INTO asked_days (client, day, number) VALUES (4711, 1, 1)")
        .unwrap();
    let checked = own.check_client(None).await.unwrap().unwrap();
    assert!(checked.findings.iter().any(|finding| finding.contains("a hole")), "{checked:?}");
    let findings = own.check_storage().await.unwrap();
    assert!(findings.iter().any(|finding| finding.contains("asked_days")), "{findings:?}");
    let copied =
        backup::backup(folder.path(), &folder.path().join("copies"), None, "20260101T000000Z");
    let Err(backup::BackupError::Source(OpenError::Damaged { path, .. })) = copied else {
        panic!("{copied:?}");
    };
    assert_eq!(path.canonicalize().unwrap(), own.path().canonicalize().unwrap());
    let left = std::fs::read_dir(folder.path().join("copies")).unwrap().count();
    assert_eq!(left, 0, "a copy that is not sound is none");
}

/// A database of an older program, with a client that has two versions, a snapshot and marks.
fn older(path: &Path, version: usize) {
    let old = Connection::open(path).unwrap();
    old.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    schema::MIGRATIONS[..version].iter().for_each(|step| old.execute_batch(step).unwrap());
    old.execute_batch(&format!(
        "PRAGMA user_version = {version}; PRAGMA application_id = 1415664502;
         INSERT INTO clients VALUES (7, randomblob(16), x'02020202020202020202020202020202', 2, 1,
             3, 0, 2, 86400, 0, 1, 1, 1, 0, 0);
         INSERT INTO versions VALUES
             (11, 7, 1, x'01010101010101010101010101010101', zeroblob(16), 1, x'aa'),
             (12, 7, 2, x'02020202020202020202020202020202',
                 x'01010101010101010101010101010101', 1, x'bbbb');
         INSERT INTO snapshots VALUES
             (3, 7, 2, x'02020202020202020202020202020202', 86400, x'cc');
         INSERT INTO snapshot_days VALUES (7, 1, 2);
         INSERT INTO asked_days VALUES (7, 1, 1)",
    ))
    .unwrap();
}

#[tokio::test]
async fn before_an_older_schema_is_changed_everything_is_copied() {
    for version in 1..schema::MIGRATIONS.len() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(DATABASE_FILE);
        older(&path, version);
        let store = SqliteStore::open(folder.path()).unwrap();
        let totals = store.totals().await.unwrap();
        assert_eq!((totals.clients, totals.versions, totals.snapshots), (1, 2, 1));
        assert_eq!(totals.accounts, 0);
        assert_eq!(store.check_storage().await, Ok(Vec::new()));
        let checked = store.check_client(None).await.unwrap().unwrap();
        assert_eq!((checked.versions, checked.findings), (2, Vec::new()));
        drop(store);
        drop(SqliteStore::open(folder.path()).unwrap());
        let now = Connection::open(&path).unwrap();
        let marks =
            "SELECT (SELECT count(*) FROM snapshot_days) + (SELECT count(*) FROM asked_days)";
        assert_eq!(now.query_row(marks, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
        let copies: Vec<_> = std::fs::read_dir(folder.path().join("backups")).unwrap().collect();
        assert_eq!(copies.len(), 1, "once");
        let copy = Connection::open(copies[0].as_ref().unwrap().path()).unwrap();
        assert_eq!(schema::version(&copy).unwrap(), version as i64);
    }
}
