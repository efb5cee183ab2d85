//! What operators ask of the file itself.

use super::*;

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
