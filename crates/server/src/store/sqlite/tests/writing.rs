//! The writer when the disk, or it itself, fails.

use super::*;
use crate::store::sqlite::group::Step;

#[tokio::test]
async fn after_a_commit_of_unknown_outcome_nothing_more_is_written() {
    a_failed_commit_stops_writing(By::TheThread).await;
}

/// The same where requests write themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_commit_of_a_requests_own_nothing_more_is_written() {
    a_failed_commit_stops_writing(By::TheRequest).await;
}

async fn a_failed_commit_stops_writing(by: By) {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let (told, who) = plan_failure(&own, Step::Commit, rusqlite::ffi::SQLITE_IOERR_FSYNC).await;
    assert!(matches!(told, Err(StoreError::Unknown { .. })), "{told:?}");
    assert_eq!(who, by);
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

/// Whoever waits for the one whose commit fails is told, and nothing of theirs is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_behind_a_failed_commit_of_a_requests_own_are_refused() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let first = Customer::new(&store);
    let row = first.add_row(VersionId::NIL, 1).await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel();
    let writer = Arc::clone(&own);
    let doomed = tokio::spawn(async move {
        let work = move |_: &Connection| {
            group::plan_failure(Step::Commit, rusqlite::ffi::SQLITE_IOERR_FSYNC);
            let _ = begun.send(By::here());
            let _ = may_go.recv();
            Ok(())
        };
        writer.writer.ask(0, work).await
    });
    assert_eq!(has_begun.await, Ok(By::TheRequest));
    let behind: Vec<_> = (0..5)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { Customer::new(&store).offer(VersionId::NIL, b"x").await })
        })
        .collect();
    while own.writer.waiting() < behind.len() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    let told = doomed.await.unwrap();
    assert!(matches!(told, Err(StoreError::Unknown { .. })), "{told:?}");
    for refused in behind {
        let refused = refused.await.unwrap();
        assert!(matches!(refused, Err(StoreError::Stopped { .. })), "{refused:?}");
    }
    assert_eq!(first.walk(VersionId::NIL).await, row, "reading goes on");
    let clients = "SELECT count(*) FROM clients";
    let count = own.readers.with(|txn| txn.query_row(clients, [], |row| row.get::<_, i64>(0)));
    assert_eq!(count, Ok(1));
}

#[tokio::test]
async fn damage_that_a_commit_comes_upon_is_told_as_damage() {
    damage_at_a_commit(By::TheThread).await;
}

/// The same where requests write themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_a_requests_own_commit_comes_upon_is_told_as_damage() {
    damage_at_a_commit(By::TheRequest).await;
}

async fn damage_at_a_commit(by: By) {
    for code in [rusqlite::ffi::SQLITE_CORRUPT, rusqlite::ffi::SQLITE_NOTADB] {
        let folder = TempDir::new().unwrap();
        let own = open(&folder);
        let store: Arc<dyn Store> = own.clone();
        let client = Customer::new(&store);
        let first = client.add(VersionId::NIL, b"first").await.0;
        let (told, who) = plan_failure(&own, Step::Commit, code).await;
        // Nobody knows how much of it is there.
        assert!(matches!(told, Err(StoreError::Unknown { .. })), "{told:?}");
        assert_eq!(who, by);
        is_told_as_damage(&store, &client, first, "a commit failed").await;
    }
}

#[tokio::test]
async fn damage_that_moving_the_log_comes_upon_is_told_as_damage() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let code = rusqlite::ffi::SQLITE_CORRUPT;
    let (told, _) = plan_failure(&own, Step::Checkpoint, code).await;
    assert_eq!(told, Ok(()), "what was committed is there");
    is_told_as_damage(&store, &client, first, "the log could not be moved").await;
}

async fn is_told_as_damage(
    store: &Arc<dyn Store>,
    client: &Customer,
    first: VersionId,
    words: &str,
) {
    let refused = client.offer(first, b"second").await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    match store.health().await {
        Ok(Health::Damaged { reason }) => assert!(reason.contains(words), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.walk(VersionId::NIL).await, [first], "reading goes on");
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
        let (told, _) = plan_failure(&own, Step::Commit, code).await;
        assert_eq!(told, Err(StoreError::Full));
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

/// On which thread a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    TheThread,
    TheRequest,
}

impl By {
    fn here() -> Self {
        let is_writer = std::thread::current().name() == Some("writer");
        if is_writer { Self::TheThread } else { Self::TheRequest }
    }
}

/// Lets a step fail after a request that fills the log: what that is told, and who wrote it.
async fn plan_failure(store: &SqliteStore, step: Step, code: i32) -> (Result<(), StoreError>, By) {
    let (sender, who) = tokio::sync::oneshot::channel();
    let bytes = match step {
        Step::Commit => 0,
        Step::Checkpoint => 5 << 20,
    };
    let doomed = store.writer.ask(bytes, move |_| {
        group::plan_failure(step, code);
        let _ = sender.send(By::here());
        Ok(())
    });
    (doomed.await, who.await.unwrap())
}
