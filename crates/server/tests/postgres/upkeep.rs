//! What operators do, beside nodes that go on.

use std::sync::Arc;

use tandem_core::VersionId;
use tandem_server::store::admin::{Checked, Extent};
use tandem_server::store::conformance::Customer;
use tandem_server::store::{Added, Retain, SnapshotAdded, Store};
use tandem_server::testing::Cluster;
use tandem_tasks::serve::retention::{Day, Rules};

use crate::chain::elsewhere;
use crate::{open, open_as_served};

/// Checks every client; what is wrong, all of it.
pub(crate) async fn findings(store: &Arc<dyn Store>) -> Vec<String> {
    let admin = store.admin().unwrap();
    let mut findings = admin.check_storage().await.unwrap();
    let mut after = None;
    while let Some(Checked { findings: found, next, .. }) = admin.check_client(after).await.unwrap()
    {
        findings.extend(found);
        after = Some(next);
    }
    findings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_finds_what_is_wrong_with_chains_and_what_belongs_to_nobody() {
    let cluster = Cluster::shared();
    let store = open(&cluster, "checked").await;
    let (client, other) = (Customer::new(&store), Customer::new(&store));
    client.add_row(VersionId::NIL, 5).await;
    let row = other.add_row(VersionId::NIL, 2).await;
    other.snap(row[1], b"s").await;
    assert_eq!(findings(&store).await, Vec::<String>::new());
    cluster.sql("checked", "DELETE FROM tandem.versions WHERE client = 1 AND number = 3");
    assert!(findings(&store).await.iter().any(|one| one.contains("version 4 follows 2: a hole")));
    cluster.sql("checked", "DELETE FROM tandem.clients WHERE id = 2");
    let found = findings(&store).await;
    for table in ["versions", "snapshots", "snapshot_days"] {
        let wanted = format!("rows of {table} belong to 1 clients that are not there");
        assert!(found.contains(&wanted), "{table}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_finds_what_is_wrong_with_what_is_noted_for_retention() {
    let cluster = Cluster::shared();
    let store = open_as_served(&cluster, "noted").await;
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 20).await;
    client.snap(row[18], b"s").await;
    client.snap(row[19], b"s").await;
    assert_eq!(findings(&store).await, Vec::<String>::new());
    for (damage, part, cure) in [
        (
            "clients SET versions_since_snapshot = 7",
            "7 are noted",
            "clients SET versions_since_snapshot = 0",
        ),
        (
            "clients SET snapshot_at = snapshot_at - 9",
            "was not stored when",
            "clients SET snapshot_at = snapshot_at + 9",
        ),
        (
            "snapshot_days SET number = 1",
            "days of snapshots do not end",
            "snapshot_days SET number = 20",
        ),
    ] {
        cluster.sql("noted", &format!("UPDATE tandem.{damage}"));
        let found = findings(&store).await;
        assert!(found.iter().any(|one| one.contains(part)), "{part}: {found:?}");
        cluster.sql("noted", &format!("UPDATE tandem.{cure}"));
        assert_eq!(findings(&store).await, Vec::<String>::new());
    }
    let asked =
        "INSERT INTO tandem.asked_days (client, day, number) SELECT id, 1, 21 FROM tandem.clients";
    cluster.sql("noted", asked);
    let found = findings(&store).await;
    assert!(found.iter().any(|one| one.contains("after the latest version")), "{found:?}");
    // Whose clock is wrong is nobody's business but the database's.
    let admin = store.admin().unwrap();
    for day in [Day(0), Day(1_000_000)] {
        assert_eq!(admin.clients_ahead_of(day).await, Ok(0));
    }
    cluster.sql("noted", "UPDATE tandem.snapshot_days SET day = day + 3");
    for day in [Day(0), Day(1_000_000)] {
        assert_eq!(admin.clients_ahead_of(day).await, Ok(1), "the database's was ahead");
    }
}

/// Goal: retention acts only on what it has seen under the client's lock.
/// Method: it has looked at a long history, and waits for the lock of an operator who removes that
/// history; what the client has begun anew meanwhile has the same numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn retention_leaves_a_history_alone_that_began_anew_since_it_looked() {
    let cluster = Cluster::shared();
    let store = open(&cluster, "begun_anew").await;
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 20).await;
    for version in [row[18], row[19]] {
        assert_eq!(client.snap(version, b"s").await, SnapshotAdded::Accepted);
    }
    let holder = cluster.session("begun_anew", "BEGIN; SELECT 1 FROM tandem.clients FOR UPDATE");
    let waits_for = async |count: &str| {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
            AND datname = 'begun_anew'";
        while cluster.sql("begun_anew", waiting) != count {
            tokio::task::yield_now().await;
        }
    };
    let reset = {
        let (store, id) = (Arc::clone(&store), client.id);
        tokio::spawn(async move {
            store.admin().unwrap().remove_history(id, Extent::History).await.unwrap()
        })
    };
    waits_for("1").await;
    let retain = {
        let (store, rules) = (Arc::clone(&store), Rules { grace_days: 0, versions_min: 5 });
        let at = client.now;
        let step = Retain { rules, at, after: None, clients_max: 10, versions_max: 100 };
        tokio::spawn(async move { store.retain(step).await.unwrap() })
    };
    waits_for("2").await;
    drop(holder);
    assert_eq!(reset.await.unwrap().unwrap().versions, 20);
    assert_eq!(retain.await.unwrap().versions, 0, "what it had seen is not there any more");
    let row = client.add_row(VersionId::NIL, 3).await;
    assert_eq!(client.walk(VersionId::NIL).await, row);
    assert_eq!(findings(&store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_history_is_removed_under_writers_and_each_is_told_the_truth() {
    let cluster = Cluster::shared();
    let store = open(&cluster, "removed").await;
    let other = open(&cluster, "removed").await;
    let client = Customer::new(&store);
    client.add_row(VersionId::NIL, 3).await;
    let writers: Vec<_> = (0..4)
        .map(|number| {
            let node = if number % 2 == 0 { &store } else { &other };
            let writer = elsewhere(&client, node);
            tokio::spawn(async move {
                let mut latest = VersionId::NIL;
                for _ in 0..60 {
                    match writer.offer(latest, b"x").await.unwrap() {
                        Added::Accepted { version, .. } => latest = version,
                        Added::Conflict { latest: told } => latest = told,
                        Added::NoSuchClient => panic!("it may be made"),
                    }
                }
            })
        })
        .collect();
    let admin = other.admin().unwrap();
    for round in 0..20 {
        let extent = if round % 2 == 0 { Extent::History } else { Extent::Client };
        admin.remove_history(client.id, extent).await.unwrap();
        assert_eq!(findings(&store).await, Vec::<String>::new());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(findings(&store).await, Vec::<String>::new());
}
