//! Pages that are not what PostgreSQL wrote.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use tandem_core::VersionId;
use tandem_server::store::conformance::Customer;
use tandem_server::store::{Health, PostgresStore, Store, StoreError};
use tandem_server::testing::Cluster;

use crate::at;

/// A page of PostgreSQL's tables, in bytes.
const PAGE_BYTES: usize = 8192;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn damage_that_a_request_came_upon_is_told_until_the_server_starts_again() {
    let mut cluster = Cluster::start();
    let database = at(cluster.database("damaged"));
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database).await.unwrap());
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 3).await;
    client.snap(row[2], b"snapshot").await;
    let file = cluster.sql("damaged", "SELECT pg_relation_filepath('tandem.snapshots')");
    store.close().await.unwrap();
    // Everything is in the tables, and they are nobody's while the disk spoils one of them.
    cluster.stop();
    let mut file = File::options().write(true).open(cluster.data().join(file)).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[0xaa; PAGE_BYTES]).unwrap();
    drop(file);
    cluster.run();
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database).await.unwrap());
    assert_eq!(store.health().await, Ok(Health::Ready), "a small look does not find everything");
    let found = store.client(client.id).await;
    assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
    match store.health().await {
        Ok(Health::Damaged { reason }) => assert!(reason.contains("XX001"), "{reason}"),
        other => panic!("{other:?}"),
    }
    // What is whole is served on.
    let mut again = Customer::new(&store);
    again.id = client.id;
    assert_eq!(again.walk(VersionId::NIL).await, row);
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database).await.unwrap());
    assert_eq!(store.health().await, Ok(Health::Ready), "it is looked at anew");
}

/// Where a statement that changes something meets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn damage_that_a_write_came_upon_is_told_and_a_refusal_of_another_kind_is_none() {
    let cluster = Cluster::shared();
    let database = at(cluster.database("spoilt"));
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database).await.unwrap());
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let refuse_with = |code: &str| {
        let raise = format!("RAISE EXCEPTION 'planned by the test' USING ERRCODE = '{code}'");
        let function = format!(
            "CREATE OR REPLACE FUNCTION tandem.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN {raise}; END $$"
        );
        cluster.sql("spoilt", &function);
    };
    refuse_with("22000");
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON tandem.versions
        FOR EACH ROW EXECUTE FUNCTION tandem.refuse()";
    cluster.sql("spoilt", trigger);
    let refused = client.offer(first, b"second").await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(store.health().await, Ok(Health::Ready), "it contradicts itself, and can be read");
    refuse_with("XX002");
    let refused = client.offer(first, b"second").await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    match store.health().await {
        Ok(Health::Damaged { reason }) => assert!(reason.contains("XX002"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.walk(VersionId::NIL).await, [first], "reading goes on");
}
