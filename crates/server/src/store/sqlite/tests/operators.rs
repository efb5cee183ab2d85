//! What operators do to clients: dropping a snapshot, shutting out for good.

use super::*;
use crate::store::admin::{Extent, SnapshotDropped, Standing, State};

async fn assert_sound(own: &SqliteStore) {
    let checked = own.check_client(None).await.unwrap().unwrap();
    assert_eq!(checked.findings, Vec::<String>::new());
}

#[tokio::test]
async fn without_the_newest_snapshot_the_one_before_is_handed_out() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let mut client = Customer::new(&store);
    assert_eq!(own.drop_snapshot(client.id).await, Ok(SnapshotDropped::NoSuchClient));
    let mut row = client.add_row(VersionId::NIL, 10).await;
    assert_eq!(own.drop_snapshot(client.id).await, Ok(SnapshotDropped::None));
    client.snap(row[9], b"good").await;
    row.extend(client.add_row(row[9], 10).await);
    client.snap(row[19], b"bad").await;
    client.pass_days(200);
    assert_eq!(conformance::retain(&store, Rules::default(), client.now, 100).await, 10);
    let dropped = own.drop_snapshot(client.id).await.unwrap();
    assert!(matches!(dropped, SnapshotDropped::Dropped(facts) if facts.version == row[19]));
    let found = client.snapshot().await;
    assert!(matches!(found, SnapshotFound::Found(found) if found.body == b"good"[..]));
    assert_eq!(client.walk(row[9]).await, row[10..], "and the way on from there is whole");
    assert_eq!(client.facts().await.versions_since_snapshot, 10);
    assert_sound(&own).await;
    assert_eq!(own.drop_snapshot(client.id).await, Ok(SnapshotDropped::OnlyWayIn));
    // The next good one is taken, of the same version, too.
    assert_eq!(client.snap(row[19], b"better").await, SnapshotAdded::Accepted);
    client.pass_days(200);
    assert_eq!(conformance::retain(&store, Rules::default(), client.now, 100).await, 0);
    assert_sound(&own).await;
}

#[tokio::test]
async fn the_only_snapshot_may_go_while_the_beginning_is_there() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 3).await;
    client.snap(row[2], b"bad").await;
    assert!(matches!(own.drop_snapshot(client.id).await, Ok(SnapshotDropped::Dropped(_))));
    assert_eq!(client.snapshot().await, SnapshotFound::None);
    assert_sound(&own).await;
}

#[tokio::test]
async fn who_is_shut_out_stays_so_when_its_client_is_removed() {
    let folder = TempDir::new().unwrap();
    let own = open(&folder);
    let store: Arc<dyn Store> = own.clone();
    let client = Customer::new(&store);
    client.add_row(VersionId::NIL, 1).await;
    own.set_client_state(client.id, State::Disabled, client.now).await.unwrap();
    assert_eq!(own.shut_out().await, Ok(Vec::new()), "it has a history");
    own.remove_history(client.id, Extent::Client).await.unwrap();
    assert_eq!(own.standing(client.id).await, Ok(Standing::Disabled));
    assert_eq!(own.shut_out().await, Ok(vec![client.id]));
    assert_eq!(own.set_client_state(client.id, State::Enabled, client.now).await, Ok(true));
    assert_eq!(own.standing(client.id).await, Ok(Standing::Plain));
    assert_eq!(own.shut_out().await, Ok(Vec::new()));
}

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
