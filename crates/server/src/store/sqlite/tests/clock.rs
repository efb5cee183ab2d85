//! A wrong clock lets nothing go.

use std::sync::atomic::{AtomicI64, Ordering};

use tandem_core::Timestamp;
use tandem_tasks::serve::rounds::{HOURS_WATCHED, Watched};

use super::*;
use crate::http::Clock;
use crate::keeper::{Round, once};
use crate::store::Retained;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A clock that tests set.
fn clock(at: Timestamp) -> (Arc<AtomicI64>, Clock) {
    let seconds = Arc::new(AtomicI64::new(at.seconds()));
    let shown = Arc::clone(&seconds);
    (seconds, Arc::new(move || Timestamp::from_seconds(shown.load(Ordering::Relaxed))))
}

/// A client with 20 versions and snapshots of the 10th and the 20th.
async fn with_history(store: &Arc<dyn Store>, now: Timestamp) -> Customer {
    let mut client = Customer::new(store);
    client.now = now;
    let mut last = VersionId::NIL;
    for body in [b"one", b"two"] {
        last = client.add_row(last, 10).await[9];
        client.snap(last, body).await;
    }
    client
}

/// One round, as the server does it every hour.
async fn round(store: &Arc<dyn Store>, clock: &Clock, watched: Watched) -> (Round, u64) {
    let mut total = Retained::default();
    let round = once(store, Rules::default(), clock, watched, &mut total).await.unwrap();
    (round, total.versions)
}

#[tokio::test]
async fn a_clock_that_is_ahead_for_a_while_lets_nothing_go() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = open(&folder);
    let now = crate::server::system_now();
    with_history(&store, now).await;
    let (seconds, clock) = clock(now);
    assert_eq!(round(&store, &clock, Watched::Nothing).await, (Round::Done, 0));
    seconds.fetch_add(200 * DAY_SECONDS, Ordering::Relaxed);
    for watched in [Watched::Nothing, Watched::AnHour, Watched::Nothing] {
        assert_eq!(round(&store, &clock, watched).await, (Round::DateInDoubt, 0));
    }
    store.close().await.unwrap();
    // Starting again proves nothing.
    let store: Arc<dyn Store> = open(&folder);
    assert_eq!(round(&store, &clock, Watched::Nothing).await, (Round::DateInDoubt, 0));
    // If the date is right after all, it stays so for a day, one hour of which was above.
    let mut last = (Round::DateInDoubt, 0);
    for _ in 1..HOURS_WATCHED {
        assert_eq!(last, (Round::DateInDoubt, 0));
        last = round(&store, &clock, Watched::AnHour).await;
    }
    assert_eq!(last, (Round::Done, 10));
}

#[tokio::test]
async fn a_person_may_say_that_the_date_is_right() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = open(&folder);
    let now = crate::server::system_now();
    with_history(&store, now).await;
    let (seconds, clock) = clock(now);
    seconds.fetch_add(200 * DAY_SECONDS, Ordering::Relaxed);
    assert_eq!(round(&store, &clock, Watched::ByAPerson).await, (Round::Done, 10));
}

/// A board without a battery stands in 1970 until it has the time from the network.
#[tokio::test]
async fn snapshots_stored_by_a_clock_in_the_past_are_not_old_when_it_is_right() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = open(&folder);
    let now = crate::server::system_now();
    let mut client = Customer::new(&store);
    client.now = now;
    let mut row = client.add_row(VersionId::NIL, 10).await;
    client.now = Timestamp::EPOCH;
    for body in [b"one", b"two"] {
        row.extend(client.add_row(row[row.len() - 1], 5).await);
        assert_eq!(client.snap(row[row.len() - 1], body).await, SnapshotAdded::Accepted);
    }
    client.now = now;
    assert_eq!(conformance::retain(&store, Rules::default(), now, 1000).await, 0);
    assert!(client.facts().await.changed_at.seconds() >= now.seconds(), "it does not go back");
    client.pass_days(180);
    assert_eq!(conformance::retain(&store, Rules::default(), client.now, 1000).await, 15);
}
