//! The writer when the disk, or it itself, fails.

use super::*;

#[tokio::test]
async fn after_a_commit_of_unknown_outcome_nothing_more_is_written() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    plan_failure(&own, rusqlite::ffi::SQLITE_IOERR_FSYNC).await;
    let refused = client.offer(first, b"second").await;
    assert!(matches!(refused, Err(StoreError::Stopped { .. })), "{refused:?}");
    let health = store.health().await.unwrap();
    assert!(matches!(health, Health::WritesStopped { .. }), "it says so: {health:?}");
    assert_eq!(client.walk(VersionId::NIL).await, [first], "reading goes on");
    // Opened anew, what is on the disk counts.
    let store: Arc<dyn Store> = open(&folder);
    let mut again = Customer::new(&store);
    again.id = client.id;
    let second = again.add(first, b"second").await.0;
    assert_eq!(again.walk(VersionId::NIL).await, [first, second]);
}

#[tokio::test]
async fn a_full_disk_turns_writes_away_and_no_more() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let mut row = vec![first];
    // A quota that is used up comes as the second.
    for code in [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_IOERR_WRITE] {
        assert_eq!(plan_failure(&own, code).await, StoreError::Full);
        assert_eq!(store.health().await, Ok(Health::Ready));
        row.push(client.add(row[row.len() - 1], b"next").await.0);
    }
    assert_eq!(client.walk(VersionId::NIL).await, row);
}

#[tokio::test]
async fn a_writer_that_ended_by_a_defect_is_seen() {
    a_defect_is_seen().await;
}

/// The same where requests write themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_ended_by_a_defect_is_seen() {
    a_defect_is_seen().await;
}

async fn a_defect_is_seen() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let cut =
        own.writer.ask(0, |_| -> rusqlite::Result<()> { panic!("planned by the test") }).await;
    assert!(matches!(cut, Err(StoreError::Unknown { .. })), "{cut:?}");
    // This one may have got into the queue before its end.
    assert!(client.offer(first, b"second").await.is_err());
    let refused = client.offer(first, b"second").await;
    assert!(matches!(refused, Err(StoreError::Stopped { .. })), "{refused:?}");
    assert!(matches!(store.health().await, Ok(Health::WritesStopped { .. })));
    assert_eq!(client.walk(VersionId::NIL).await, [first], "reading goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_write_themselves_and_those_of_the_thread_make_one_chain_each() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = open(&folder);
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let client = Customer::new(&store);
                // Alone now and then, since others write more or less at once.
                let row = client.add_row(VersionId::NIL, 40).await;
                (client.id, row)
            })
        })
        .collect();
    let mut rows = Vec::new();
    for writer in writers {
        rows.push(writer.await.unwrap());
    }
    store.close().await.unwrap();
    let store: Arc<dyn Store> = open(&folder);
    for (id, row) in rows {
        let mut client = Customer::new(&store);
        client.id = id;
        assert_eq!(client.walk(VersionId::NIL).await, row);
    }
}

/// Lets the next commit fail; what the request in it is told.
async fn plan_failure(store: &SqliteStore, code: i32) -> StoreError {
    let doomed = store.writer.ask(0, move |_| {
        group::plan_failure(code);
        Ok(())
    });
    doomed.await.unwrap_err()
}
