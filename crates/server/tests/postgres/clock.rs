//! What time it is, the database says.

use bytes::Bytes;
use tandem_core::{Timestamp, VersionId};
use tandem_server::store::conformance::{Customer, retain};
use tandem_server::store::{AddSnapshot, Child, SnapshotAdded};
use tandem_server::testing::Cluster;
use tandem_tasks::serve::retention::Rules;

use crate::chain::elsewhere;
use crate::{open, open_as_served};

const RULES: Rules = Rules { grace_days: 30, versions_min: 5 };

/// Goal: a node with a wrong clock does not void the grace period.
/// Method: a node years behind takes the snapshots and answers, one years ahead lets history go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_with_a_wrong_clock_neither_ages_a_snapshot_nor_ends_a_period() {
    let cluster = Cluster::shared();
    let (behind, ahead) =
        (open_as_served(&cluster, "clocks").await, open_as_served(&cluster, "clocks").await);
    let mut client = Customer::new(&behind);
    client.pass_days(-9_000);
    let row = client.add_row(VersionId::NIL, 20).await;
    for version in [row[18], row[19]] {
        assert_eq!(client.snap(version, b"s").await, SnapshotAdded::Accepted);
    }
    // Notes are written behind the answers.
    let is_noted = async |position: &str| {
        while cluster.sql("clocks", "SELECT number FROM tandem.asked_days") != position {
            tokio::task::yield_now().await;
        }
    };
    assert!(matches!(client.child(row[3]).await, Child::Found(_)));
    is_noted("4").await;
    let mut late = elsewhere(&client, &ahead);
    late.pass_days(9_000);
    assert!(matches!(late.child(row[2]).await, Child::Found(_)));
    is_noted("3").await;
    for now in [client.now, late.now] {
        assert_eq!(retain(&ahead, RULES, now, 1000).await, 0, "nothing was there for 30 days");
    }
    let is_today = |table: &str, day: &str| {
        let today = "floor(extract(epoch FROM now()) / 86400)";
        // It may have become midnight meanwhile.
        let sql =
            format!("SELECT bool_and({day} BETWEEN {today} - 1 AND {today}) FROM tandem.{table}");
        cluster.sql("clocks", &sql)
    };
    assert_eq!(is_today("snapshot_days", "day"), "t");
    assert_eq!(is_today("snapshots", "stored_at / 86400"), "t");
    assert_eq!(is_today("asked_days", "day"), "t");
    assert_eq!(is_today("clients", "changed_at / 86400"), "t");
    assert_eq!(is_today("clients", "seen_day"), "t");
    // The day passes for the database: then it goes, whatever a node thinks.
    cluster.sql(
        "clocks",
        "UPDATE tandem.snapshot_days SET day = day - 30; UPDATE tandem.asked_days SET day = day - 30",
    );
    assert_eq!(retain(&behind, RULES, client.now, 1000).await, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_whose_clock_goes_back_makes_no_mark_before_the_last_change() {
    let cluster = Cluster::shared();
    let store = open(&cluster, "back").await;
    let mut client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 20).await;
    client.pass_days(-400);
    let next = client.add(row[19], b"x").await.0;
    for version in [row[19], next] {
        assert_eq!(client.snap(version, b"s").await, SnapshotAdded::Accepted);
    }
    client.pass_days(400 + 29);
    assert_eq!(retain(&store, RULES, client.now, 1000).await, 0, "not 30 days after the change");
    client.pass_days(1);
    assert_eq!(retain(&store, RULES, client.now, 1000).await, 16);
}

/// Goal: a snapshot that another server stored years ago ends no grace period here.
/// Method: one is imported, and a newer one taken; only the days of the database count.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_grace_period_of_an_imported_snapshot_begins_when_it_comes() {
    let cluster = Cluster::shared();
    let store = open_as_served(&cluster, "imported").await;
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 20).await;
    let (version, body) = (row[9], Bytes::from_static(b"s"));
    let at = Timestamp::from_seconds(86_400);
    let snapshot = AddSnapshot { client: client.id, version, body, at };
    let taken = store.admin().unwrap().import_snapshot(snapshot).await;
    assert_eq!(taken, Ok(SnapshotAdded::Accepted));
    assert_eq!(client.snap(row[19], b"s").await, SnapshotAdded::Accepted);
    assert_eq!(client.facts().await.snapshots[1].stored_at, at, "lists show when it was stored");
    assert_eq!(retain(&store, RULES, client.now, 1000).await, 0);
    cluster.sql("imported", "UPDATE tandem.snapshot_days SET day = day - 30");
    assert_eq!(retain(&store, RULES, client.now, 1000).await, 10);
}
