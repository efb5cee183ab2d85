//! Finding a database, and its schema.

use std::sync::Arc;

use tandem_core::VersionId;
use tandem_server::Database;
use tandem_server::store::conformance::Customer;
use tandem_server::store::postgres::{OpenError, Why};
use tandem_server::store::{Health, PostgresStore, Store, StoreError};
use tandem_server::testing::Cluster;

use crate::at;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_make_one_schema() {
    let cluster = Cluster::shared();
    let address = cluster.database("at_once");
    let nodes: Vec<_> = (0..6)
        .map(|_| {
            let database = at(address.clone());
            tokio::spawn(async move { PostgresStore::open(&database).await })
        })
        .collect();
    let mut keys = Vec::new();
    for node in nodes {
        keys.push(node.await.unwrap().unwrap().log_key());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    assert_eq!(cluster.sql("at_once", "SELECT number FROM tandem.migrations"), "1\n2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_closed_says_so_and_can_be_opened_again() {
    let cluster = Cluster::shared();
    let database = at(cluster.database("closed"));
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database).await.unwrap());
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 3).await;
    store.close().await.unwrap();
    assert!(matches!(store.health().await, Ok(Health::Unavailable { .. })));
    assert!(matches!(client.offer(row[2], b"x").await, Err(StoreError::Unavailable { .. })));
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database).await.unwrap());
    let mut again = Customer::new(&store);
    again.id = client.id;
    assert_eq!(again.walk(VersionId::NIL).await, row);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_is_not_for_us_is_left_alone() {
    let cluster = Cluster::shared();
    let database = at(cluster.database("newer"));
    PostgresStore::open(&database).await.unwrap();
    cluster.sql("newer", "INSERT INTO tandem.migrations VALUES (99)");
    let error = PostgresStore::open(&database).await.unwrap_err();
    assert!(matches!(error, OpenError::TooNew { found: 99, .. }), "{error}");

    let database = at(cluster.database("strange"));
    cluster.sql("strange", "CREATE SCHEMA tandem; CREATE TABLE tandem.clients (name text)");
    let error = PostgresStore::open(&database).await.unwrap_err();
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    assert_eq!(cluster.sql("strange", "SELECT to_regclass('tandem.versions')"), "");

    cluster.sql("postgres", "CREATE ROLE poor LOGIN");
    cluster.database("strict");
    let poor = format!("postgres://poor@127.0.0.1:{}/strict", cluster.port());
    let error = PostgresStore::open(&at(poor.clone())).await.unwrap_err().to_string();
    assert!(error.contains("needs CREATE on the database"), "{error}");
    cluster.sql("strict", "CREATE SCHEMA tandem AUTHORIZATION poor");
    PostgresStore::open(&at(poor)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_hosts_the_one_that_writes_is_taken() {
    let mut reading = Cluster::start_with(&["default_transaction_read_only=on"]);
    let writing = Cluster::start();
    writing.database("tandem");
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", reading.port(), writing.port());
    let address = format!("postgres://tandem@{hosts}/tandem");
    for _ in 0..2 {
        let store = PostgresStore::open(&at(address.clone())).await.unwrap();
        assert_eq!(store.health().await, Ok(Health::Ready));
        assert_eq!(store.place(), format!("{hosts}/tandem"));
        // The next time the first one does not even answer.
        reading.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_turns_to_reading_takes_no_versions_and_is_left_for_one_that_does() {
    let cluster = Cluster::start();
    let store = crate::open(&cluster, "tandem").await;
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    cluster.set("default_transaction_read_only", "on");
    while store.health().await == Ok(Health::Ready) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(store.health().await, Ok(Health::WritesStopped { .. })));
    let outcome = client.offer(first, b"second").await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    assert_eq!(client.walk(VersionId::NIL).await, [first], "reading goes on");
    cluster.set("default_transaction_read_only", "off");
    while store.health().await != Ok(Health::Ready) {
        tokio::task::yield_now().await;
    }
    client.add(first, b"second").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_is_found_and_never_told() {
    let cluster = Cluster::start();
    cluster.database("tandem");
    cluster.sql("postgres", "ALTER ROLE tandem PASSWORD 'open sesame'");
    let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(cluster.data().join("pg_hba.conf"), rules).unwrap();
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    let address = cluster.database("tandem");
    let with =
        |password: &str| Database { password: Some(password.to_owned()), ..at(address.clone()) };
    // The configuration is read a moment after it was asked for.
    while PostgresStore::open(&at(address.clone())).await.is_ok() {
        tokio::task::yield_now().await;
    }
    PostgresStore::open(&with("open sesame")).await.unwrap();
    let error = PostgresStore::open(&with("closed sesame")).await.unwrap_err();
    let said = format!("{error} {error:?} {:?}", with("closed sesame"));
    assert!(matches!(error, OpenError::Unreachable { .. }) && !said.contains("sesame"), "{said}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "127.0.0.1:*:tandem:tandem:open sesame\n").unwrap();
    let password_file = Some(file.path().to_owned());
    PostgresStore::open(&Database { password_file, ..at(address.clone()) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reason_why_a_database_cannot_be_reached_is_told_apart() {
    let mut cluster = Cluster::start();
    cluster.database("tandem");
    cluster.sql("tandem", "CREATE ROLE keyed LOGIN PASSWORD 'sesame'; CREATE ROLE far LOGIN");
    cluster.stop();
    cluster.install(
        "pg_hba.conf",
        b"local all all trust\n\
          hostssl all far 127.0.0.1/32 trust\n\
          host all far 127.0.0.1/32 reject\n\
          host all keyed 127.0.0.1/32 scram-sha-256\n\
          host tandem,nothing tandem,nobody 127.0.0.1/32 trust\n",
    );
    cluster.run();
    let port = cluster.port();
    // Somebody who speaks another language, and one who says nothing sensible.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other_port = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in other.incoming().take(1) {
            use std::io::{Read as _, Write as _};
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (rest, expected) in [
        (format!("keyed:sesame@127.0.0.1:{port}/nowhere"), Why::NoSuchDatabase),
        (format!("keyed:wrong@127.0.0.1:{port}/tandem"), Why::WrongPassword),
        (format!("keyed@127.0.0.1:{port}/tandem"), Why::NoPassword),
        (format!("nobody@127.0.0.1:{port}/tandem"), Why::NoSuchUser),
        (format!("tandem@127.0.0.1:{port}/nothing"), Why::NoSuchDatabase),
        (format!("tandem@127.0.0.1:{port}/postgres"), Why::NeedsTls),
        (format!("tandem@127.0.0.1:{port}/tandem?sslmode=require"), Why::HasNoTls),
        (format!("tandem@127.0.0.1:{free}/tandem"), Why::NobodyListens),
        ("tandem@%2Fnowhere/tandem".to_owned(), Why::NobodyListens),
        (format!("tandem@name.invalid:{port}/tandem"), Why::NoSuchHost),
        (format!("tandem@127.0.0.1:{other_port}/tandem?sslmode=disable"), Why::NotPostgres),
    ] {
        let error = PostgresStore::open(&at(format!("postgres://{rest}"))).await.unwrap_err();
        let OpenError::Unreachable { why, .. } = &error else { panic!("{rest}: {error}") };
        assert_eq!(*why, expected, "{rest}: {error}");
    }
}

/// As `docs/guide/several-servers.md` has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_owner_of_an_empty_database_needs_nothing_else() {
    let cluster = Cluster::shared();
    cluster.sql("postgres", "CREATE ROLE guided LOGIN");
    cluster.sql("postgres", "CREATE DATABASE guided OWNER guided");
    let address = format!("postgres://guided@127.0.0.1:{}/guided", cluster.port());
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&at(address)).await.unwrap());
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 2).await;
    assert_eq!(client.walk(VersionId::NIL).await, row);
}
