//! What operators ask of the file itself.

use super::*;

#[tokio::test]
async fn what_the_file_alone_shows_is_checked() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 3).await;
    client.snap(row[2], b"snapshot").await;
    let day = Day::of(client.now);
    assert_eq!(own.clients_ahead_of(day).await, Ok(0));
    assert_eq!(own.clients_ahead_of(Day(day.0 - 1)).await, Ok(1), "its clock was ahead");
    let other = Connection::open(own.path()).unwrap();
    other.execute_batch("UPDATE snapshot_days SET number = 1").unwrap();
    let checked = own.check_client(None).await.unwrap().unwrap();
    assert!(checked.findings[0].contains("days of snapshots"), "{checked:?}");
    let plain = Connection::open_in_memory().unwrap();
    let findings = check::whole_storage(&plain).unwrap();
    assert!(findings[0].contains("auto_vacuum"), "{findings:?}");
}

/// Writes over a part of the file, behind the back of whoever has it open.
fn overwrite(store: &SqliteStore, from: u64, bytes: &[u8]) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = std::fs::OpenOptions::new().write(true).open(store.path()).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

/// A storage with a few clients, all of it moved out of the log.
async fn filled(folder: &TempDir) -> (Arc<SqliteStore>, Customer) {
    let own = open(folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    client.add_row(VersionId::NIL, 3).await;
    let other = Connection::open(own.path()).unwrap();
    let moved = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let busy = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], moved).unwrap();
    assert_eq!(busy, 0);
    (own, client)
}

#[tokio::test]
async fn a_damaged_header_is_told_before_anybody_asks_for_a_list() {
    let folder = TempDir::new().unwrap();
    let (own, _) = filled(&folder).await;
    assert_eq!(own.health().await, Ok(Health::Ready));
    overwrite(&own, 0, &[0xaa; 100]);
    assert!(matches!(own.health().await, Ok(Health::Damaged { .. })));
}

#[tokio::test]
async fn damage_that_a_request_came_upon_is_told_until_the_file_is_opened_anew() {
    let folder = TempDir::new().unwrap();
    let (own, client) = filled(&folder).await;
    assert_eq!(own.health().await, Ok(Health::Ready));
    let connection = Connection::open(own.path()).unwrap();
    let page = "SELECT rootpage FROM sqlite_schema WHERE name = 'snapshots_by_number'";
    let page: u32 = connection.query_row(page, [], |row| row.get(0)).unwrap();
    let size: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    drop(connection);
    overwrite(&own, u64::from((page - 1) * size), &[0xaa; 64]);
    assert_eq!(own.health().await, Ok(Health::Ready), "a small look does not find everything");
    let store: Arc<dyn Store> = own.clone();
    let found = store.client(client.id).await;
    assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
    let health = own.health().await;
    assert!(matches!(health, Ok(Health::Damaged { .. })), "{health:?}");
}
