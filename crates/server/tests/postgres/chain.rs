//! One chain for a client, whatever happens between.

use std::sync::Arc;

use tandem_core::VersionId;
use tandem_server::store::conformance::{self, Customer};
use tandem_server::store::{Added, Health, Retain, Retained, Store, StoreError};
use tandem_server::testing::Cluster;
use tandem_tasks::serve::retention::Rules;

use crate::open;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_does_what_every_storage_does() {
    let cluster = Cluster::shared();
    conformance::all(open(&cluster, "conformance").await).await;
}

/// A customer of another node.
pub(crate) fn elsewhere(customer: &Customer, store: &Arc<dyn Store>) -> Customer {
    let mut other = Customer::new(store);
    other.id = customer.id;
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_keep_one_chain_and_whoever_loses_is_told_the_winner() {
    let cluster = Cluster::shared();
    let nodes = [
        open(&cluster, "three_nodes").await,
        open(&cluster, "three_nodes").await,
        open(&cluster, "three_nodes").await,
    ];
    assert!(nodes.iter().all(|node| node.log_key() == nodes[0].log_key()), "one key for all");
    let client = Customer::new(&nodes[0]);
    let (mut chain, mut latest) = (Vec::new(), VersionId::NIL);
    for _ in 0..20 {
        let racers: Vec<_> = (0..18_usize)
            .map(|number| {
                let racer = elsewhere(&client, &nodes[number % 3]);
                tokio::spawn(async move { racer.offer(latest, b"x").await })
            })
            .collect();
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for racer in racers {
            match racer.await.unwrap().unwrap() {
                Added::Accepted { version, .. } => accepted.push(version),
                Added::Conflict { latest } => refused.push(latest),
                Added::NoSuchClient => panic!("it may be made"),
            }
        }
        assert_eq!(accepted.len(), 1);
        assert!(refused.iter().all(|told| *told == accepted[0]));
        latest = accepted[0];
        chain.push(latest);
    }
    for node in &nodes {
        assert_eq!(elsewhere(&client, node).walk(VersionId::NIL).await, chain);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_is_one_statement_and_one_commit() {
    let cluster = Cluster::start();
    let store = open(&cluster, "tandem").await;
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    cluster.set("log_statement", "all");
    let count = |text: &str| text.matches("execute").count();
    // A connection reads its configuration between two statements, some time after it was told to.
    let mut second = first;
    for _ in 0..10_000 {
        second = client.add(second, b"second").await.0;
        if count(&cluster.log_text()) > 0 {
            break;
        }
    }
    let before = cluster.log_text();
    let third = client.add(second, b"third").await.0;
    assert!(
        matches!(client.offer(first, b"x").await, Ok(Added::Conflict { latest }) if latest == third)
    );
    let after = cluster.log_text();
    let said = after.strip_prefix(&before).unwrap();
    assert_eq!(count(said), 2, "one for each offer: {said}");
    assert!(!said.contains("BEGIN") && !said.contains("COMMIT"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_whose_answer_is_lost_is_no_conflict() {
    let cluster = Cluster::start();
    let store = open(&cluster, "tandem").await;
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    // Its commit is written and waits for a standby that is not there when the connection is cut.
    cluster.set("synchronous_standby_names", "nobody");
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'WITH %'
        OR wait_event = 'SyncRep' AND query LIKE '-- Compare%'";
    let (mut latest, mut before) = (first, 1);
    let offering = loop {
        let offering = {
            let client = client.clone();
            tokio::spawn(async move { client.offer(latest, b"next").await })
        };
        while !offering.is_finished() && cluster.sql("tandem", waiting).is_empty() {
            tokio::task::yield_now().await;
        }
        if !offering.is_finished() {
            break offering;
        }
        // PostgreSQL has not read its configuration yet.
        let Ok(Added::Accepted { version, .. }) = offering.await.unwrap() else { panic!("why") };
        (latest, before) = (version, before + 1);
    };
    let cut = format!("SELECT pg_terminate_backend(pid) FROM ({waiting}) AS waiting");
    cluster.sql("tandem", &cut);
    let outcome = offering.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown { .. })), "{outcome:?}");
    cluster.set("synchronous_standby_names", "");
    let chain = client.walk(VersionId::NIL).await;
    assert_eq!(chain.len(), before + 1, "it was committed");
    client.add(chain[before], b"last").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_postgresql_restarts_reading_goes_on_and_what_was_answered_is_there() {
    let mut cluster = Cluster::start();
    let store = open(&cluster, "tandem").await;
    let client = Customer::new(&store);
    let mut chain = client.add_row(VersionId::NIL, 3).await;
    assert!(matches!(
        client.snap(chain[2], b"s").await,
        tandem_server::store::SnapshotAdded::Accepted
    ));
    for crash in [false, true] {
        if crash {
            cluster.crash()
        } else {
            cluster.stop()
        }
        let outcome = client.offer(chain[chain.len() - 1], b"nowhere").await;
        let is_no_answer =
            matches!(outcome, Err(StoreError::Unavailable { .. } | StoreError::Unknown { .. }));
        assert!(is_no_answer, "{outcome:?}");
        assert!(matches!(store.health().await, Ok(Health::Unavailable { .. })));
        cluster.run();
        assert_eq!(client.walk(VersionId::NIL).await, chain);
        assert_eq!(store.health().await, Ok(Health::Ready));
        chain.push(client.add(chain[chain.len() - 1], b"next").await.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_node_at_a_time_lets_history_go() {
    let cluster = Cluster::shared();
    let store = open(&cluster, "one_at_a_time").await;
    let mut client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 20).await;
    client.snap(row[18], b"s").await;
    client.snap(row[19], b"s").await;
    client.pass_days(1);
    let rules = Rules { grace_days: 1, versions_min: 5 };
    let step = Retain { rules, at: client.now, after: None, clients_max: 10, versions_max: 100 };
    // Another node is in the middle of a step.
    let lock = 0x5461_5376_0000_0002_i64;
    let other =
        cluster.session("one_at_a_time", &format!("BEGIN; SELECT pg_advisory_xact_lock({lock})"));
    let left = Retained { is_left_to_another: true, ..Retained::default() };
    assert_eq!(store.retain(step).await, Ok(left), "left to the other");
    assert_eq!(client.facts().await.versions, 20);
    drop(other);
    let retained = store.retain(step).await.unwrap();
    assert_eq!((retained.versions, client.facts().await.versions), (15, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_do_not_wait_for_a_storm_of_writers_on_a_locked_client() {
    let cluster = Cluster::shared();
    let store = open(&cluster, "readers").await;
    let client = Customer::new(&store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let holder = cluster.session("readers", "BEGIN; SELECT 1 FROM tandem.clients FOR UPDATE");
    let offers: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.offer(first, b"x").await })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = 'readers'";
    while cluster.sql("readers", waiting) != "16" {
        tokio::task::yield_now().await;
    }
    // All connections that write are taken, and none of them moves.
    assert_eq!(client.walk(VersionId::NIL).await, [first]);
    drop(holder);
    let mut accepted = 0;
    for offer in offers {
        accepted += u32::from(matches!(offer.await.unwrap().unwrap(), Added::Accepted { .. }));
    }
    assert_eq!(accepted, 1);
}
