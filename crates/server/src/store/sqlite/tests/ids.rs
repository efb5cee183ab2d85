//! Ids of rows are given once, and what is read in two steps names what it means.

use tandem_tasks::serve::retention::Day;

use super::*;

/// A client whose version is too large to be read with its row, and what a reader knows of it after
/// the first of the two steps; then the client goes, and another one comes.
#[tokio::test]
async fn a_client_that_comes_after_a_removed_one_is_not_taken_for_it() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let gone = Customer::new(&store);
    gone.add_row(VersionId::NIL, 3).await;
    let ids = |table: &str| -> i64 {
        let connection = Connection::open(own.path()).unwrap();
        connection.query_row(&format!("SELECT max(id) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let before = ["clients", "versions"].map(ids);
    own.remove_history(gone.id, crate::store::admin::Extent::Client).await.unwrap();
    let next = Customer::new(&store);
    next.add_row(VersionId::NIL, 1).await;
    let after = ["clients", "versions"].map(ids);
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} {after:?}");
}

#[tokio::test]
async fn a_large_body_is_read_for_the_version_that_was_found_alone() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let (one, other) = (Customer::new(&store), Customer::new(&store));
    let first = one.add(VersionId::NIL, &[1; 100_000]).await.0;
    other.add(VersionId::NIL, &[2; 100_000]).await;
    let connection = Connection::open(own.path()).unwrap();
    let row = |version: VersionId| -> (i64, i64) {
        let sql = "SELECT id, client FROM versions WHERE version = ?1";
        connection
            .query_row(sql, [version.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    let (id, client) = row(first);
    let read = |id, client, version| read::large(&connection, id, client, version).unwrap();
    assert_eq!(read(id, client, first).unwrap(), &[1; 100_000][..]);
    assert_eq!(read(id + 1, client, first), None, "another's row under this id");
    assert_eq!(read(id, client + 1, first), None);
    assert_eq!(read(id, client, VersionId::from_bytes([9; 16])), None);
}

/// A note waits in the queue while an operator removes the history that it is about.
#[tokio::test]
async fn what_was_noted_of_a_removed_history_is_not_written() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let one = Customer::new(&store);
    one.add_row(VersionId::NIL, 2).await;
    let connection = Connection::open(own.path()).unwrap();
    let marks = || -> i64 {
        connection.query_row("SELECT count(*) FROM asked_days", [], |row| row.get(0)).unwrap()
    };
    let sql = "SELECT id FROM clients WHERE client_id = ?1";
    let client = connection.query_row(sql, [one.id.to_bytes()], |row| row.get(0)).unwrap();
    let note = |asked| write::Note { client, day: Day(20_000), asked: Some(asked) };
    write::note(&connection, &note(3)).unwrap();
    assert_eq!(marks(), 0);
    write::note(&connection, &note(2)).unwrap();
    assert_eq!(marks(), 1);
}
