//! What time it is, the database says.

use bytes::Bytes;
use tandem_core::{Timestamp, VersionId};
use tandem_server::store::conformance::{Customer, retain};
use tandem_server::store::{AddSnapshot, Child, SnapshotAdded};
use tandem_server::testing::Cluster;
use tandem_tasks::serve::retention::{Day, Rules};
use tandem_tasks::serve::rounds::{HOURS_WATCHED, Watched};

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

/// Goal: a database whose clock leaps lets nothing go before its date was plausible for a day, however
/// many nodes there are.
/// Method: what is remembered of the rounds is moved, as if the clock had been; a node's own date, which
/// is wrong all the time, is not looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_date_of_the_database_that_leaps_is_in_doubt_for_a_day_of_hours_on_all_nodes() {
    let cluster = Cluster::shared();
    let nodes = [
        open_as_served(&cluster, "rounds").await,
        open_as_served(&cluster, "rounds").await,
        open_as_served(&cluster, "rounds").await,
    ];
    let round = async |node: usize, watched| {
        nodes[node].begin_round(Day(i64::try_from(node).unwrap()), watched).await.unwrap()
    };
    assert!(round(0, Watched::Nothing).await, "it was made today");
    assert!(round(2, Watched::AnHour).await);
    let hours_left = || {
        cluster.sql("rounds", "SELECT get_byte(value, 11) FROM tandem.facts WHERE name = 'rounds'")
    };
    let remember = |value: &str| {
        let sql = format!("UPDATE tandem.facts SET value = {value} WHERE name = 'rounds'");
        cluster.sql("rounds", &sql)
    };
    let now = "floor(extract(epoch FROM now()))::bigint";
    remember(&format!("int8send({now} / 86400 - 200) || substr(value, 9)"));
    for node in [0, 1, 2] {
        assert!(!round(node, Watched::AnHour).await);
    }
    assert_eq!(hours_left(), "24", "of the hour before the leap nothing counts");
    for hour in 1..=HOURS_WATCHED {
        assert!(!round(1, Watched::Nothing).await, "starting proves nothing");
        remember(&format!("substr(value, 1, 12) || int8send({now} - 3600)"));
        for node in [0, 1, 2] {
            assert_eq!(round(node, Watched::AnHour).await, hour == HOURS_WATCHED);
        }
        assert_eq!(hours_left(), (HOURS_WATCHED - hour).to_string(), "one hour is one");
    }
    remember(&format!("int8send({now} / 86400 + 2) || substr(value, 9)"));
    assert!(!round(0, Watched::AnHour).await, "it was put back");
    assert!(round(1, Watched::ByAPerson).await);
    assert!(round(2, Watched::Nothing).await, "said on one machine, known on all");
    cluster.sql("rounds", "DELETE FROM tandem.facts WHERE name = 'rounds'");
    assert!(!round(0, Watched::Nothing).await, "a database of a version before");
}
