//! What every storage must do, as checks that run over any of them.
//!
//! Each check uses clients of its own, so one storage serves them all, one after the other or at
//! once. A storage of a new kind calls [`all`] in a test, and reopens itself in tests of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::serve::retention::{Day, Rules};
use tandem_tasks::serve::rounds::{HOURS_WATCHED, Watched};
use tandem_tasks::session::Urgency;

use super::{
    AddSnapshot, AddVersion, Added, Child, Children, ClientFacts, Head, Health, ReadChildren,
    Retain, SnapshotAdded, SnapshotFound, Store, StoreError,
};

/// The moment at which the checks begin: a day in 2026.
pub const NOW: Timestamp = Timestamp::EPOCH;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How often it is looked whether a note is written that was queued before: each look is a question to
/// the storage, and a note is one of the next things that it does.
const NOTE_LOOKS_MAX: u32 = 100_000;

/// A client of a storage, for checks and tests of storages.
#[derive(Debug, Clone)]
pub struct Customer {
    store: Arc<dyn Store>,
    /// Its id.
    pub id: ClientId,
    /// Its clock.
    pub now: Timestamp,
    /// When it is asked for snapshots.
    pub targets: SnapshotTargets,
    /// Whether it may be made by its first version.
    pub may_create: bool,
}

impl Customer {
    /// A client that the storage does not know yet.
    pub fn new(store: &Arc<dyn Store>) -> Self {
        Self {
            store: Arc::clone(store),
            id: ClientId::from_bytes(fresh_id()),
            now: NOW.plus_seconds(20_000 * DAY_SECONDS + 3600),
            targets: SnapshotTargets::default(),
            may_create: true,
        }
    }

    /// Lets days pass.
    pub fn pass_days(&mut self, days: i64) {
        self.now = self.now.plus_seconds(days * DAY_SECONDS);
    }

    /// Offers a version.
    ///
    /// # Errors
    /// The storage's.
    pub async fn offer(&self, parent: VersionId, segment: &[u8]) -> Result<Added, StoreError> {
        let request = AddVersion {
            client: self.id,
            parent,
            version: VersionId::from_bytes(fresh_id()),
            segment: Bytes::copy_from_slice(segment),
            at: self.now,
            targets: self.targets,
            may_create: self.may_create,
        };
        self.store.add_version(request).await
    }

    /// Adds a version that must be accepted.
    pub async fn add(&self, parent: VersionId, segment: &[u8]) -> (VersionId, Urgency) {
        match self.offer(parent, segment).await {
            Ok(Added::Accepted { version, urgency }) => (version, urgency),
            other => panic!("a version after {parent} was not accepted: {other:?}"),
        }
    }

    /// Adds versions in a row after `parent`; their ids.
    pub async fn add_row(&self, mut parent: VersionId, count: u32) -> Vec<VersionId> {
        let mut versions = Vec::new();
        for number in 0..count {
            parent = self.add(parent, &number.to_be_bytes()).await.0;
            versions.push(parent);
        }
        versions
    }

    /// Asks for the version after `parent`.
    pub async fn child(&self, parent: VersionId) -> Child {
        self.store.child_version(self.id, parent, self.now, u64::MAX).await.expect("it can be read")
    }

    /// Asks for versions in a row.
    pub async fn children(&self, parent: VersionId, count_max: u32, bytes_max: u64) -> Children {
        let request = self.children_after(parent, count_max, bytes_max);
        self.store.children(request).await.expect("they can be read")
    }

    fn children_after(&self, parent: VersionId, count_max: u32, bytes_max: u64) -> ReadChildren {
        let (client, at) = (self.id, self.now);
        ReadChildren { client, parent, count_max, bytes_max, first_bytes_max: u64::MAX, at }
    }

    /// Offers a snapshot.
    pub async fn snap(&self, version: VersionId, body: &[u8]) -> SnapshotAdded {
        let body = Bytes::copy_from_slice(body);
        let request = AddSnapshot { client: self.id, version, body, at: self.now };
        self.store.add_snapshot(request).await.expect("a snapshot can be offered")
    }

    /// The newest snapshot.
    pub async fn snapshot(&self) -> SnapshotFound {
        self.store.snapshot(self.id, self.now, u64::MAX).await.expect("it can be read")
    }

    /// The head.
    pub async fn head(&self) -> Option<Head> {
        self.store.head(self.id, self.now).await.expect("it can be read")
    }

    /// What is known of the client, which must be known.
    pub async fn facts(&self) -> ClientFacts {
        let facts = self.store.client(self.id).await.expect("it can be read");
        facts.expect("the client is known")
    }

    /// The chain from the child of `parent` on, each version checked to follow the one before.
    pub async fn walk(&self, mut parent: VersionId) -> Vec<VersionId> {
        let mut chain = Vec::new();
        while let Child::Found(stored) = self.child(parent).await {
            assert_eq!(stored.parent, parent);
            assert!(!chain.contains(&stored.version), "the chain is a circle");
            parent = stored.version;
            chain.push(parent);
        }
        chain
    }
}

/// Lets all history go that may go, in steps of this many versions; how many went.
pub async fn retain(store: &Arc<dyn Store>, rules: Rules, at: Timestamp, versions_max: u32) -> u64 {
    let (mut gone, mut after) = (0, None);
    loop {
        let step = Retain { rules, at, after, clients_max: 7, versions_max };
        let retained = store.retain(step).await.expect("history can go");
        assert!(retained.versions <= u64::from(versions_max), "a step has its bounds");
        gone += retained.versions;
        after = retained.next;
        if after.is_none() {
            return gone;
        }
    }
}

/// Runs every check.
pub async fn all(store: Arc<dyn Store>) {
    an_unknown_client_has_nothing_and_is_made_by_its_first_version_alone(&store).await;
    versions_form_one_chain_and_come_back_byte_for_byte(&store).await;
    of_many_offers_after_one_parent_one_is_accepted(&store).await;
    of_many_first_versions_one_is_accepted(&store).await;
    a_history_may_begin_in_the_middle(&store).await;
    snapshots_are_taken_for_recent_versions_only(&store).await;
    the_wish_for_a_snapshot_grows_with_versions_and_days(&store).await;
    children_come_in_a_row_within_bounds(&store).await;
    of_a_body_that_is_too_large_only_the_length_is_told(&store).await;
    clients_see_nothing_of_each_other(&store).await;
    history_goes_only_when_every_rule_allows_it(&store).await;
    what_was_asked_for_lately_stays(&store).await;
    after_every_step_of_retention_both_ways_in_are_whole(&store).await;
    a_date_that_does_not_follow_from_the_last_is_not_acted_on(&store).await;
    super::conformance_admin::all(&store).await;
    assert_eq!(store.health().await, Ok(Health::Ready));
}

async fn an_unknown_client_has_nothing_and_is_made_by_its_first_version_alone(
    store: &Arc<dyn Store>,
) {
    let mut client = Customer::new(store);
    let some = VersionId::from_bytes([7; 16]);
    for parent in [VersionId::NIL, some] {
        assert_eq!(client.child(parent).await, Child::NoSuchClient);
        assert_eq!(client.children(parent, 9, 9).await, Children::NoSuchClient);
    }
    assert_eq!(client.snapshot().await, SnapshotFound::NoSuchClient);
    assert_eq!(client.snap(some, b"s").await, SnapshotAdded::NoSuchClient);
    assert_eq!(client.head().await, None);
    client.may_create = false;
    assert_eq!(client.offer(VersionId::NIL, b"v").await, Ok(Added::NoSuchClient));
    assert_eq!(store.client(client.id).await, Ok(None));
    client.may_create = true;
    let (version, urgency) = client.add(VersionId::NIL, b"v").await;
    assert_eq!(urgency, Urgency::High, "there is no snapshot at all");
    client.may_create = false;
    assert_eq!(client.head().await, Some(Head { latest: version, snapshot: None }));
    client.add(version, b"w").await;
    assert_eq!(client.snapshot().await, SnapshotFound::None);
}

async fn versions_form_one_chain_and_come_back_byte_for_byte(store: &Arc<dyn Store>) {
    let client = Customer::new(store);
    let large: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[at as usize % 4]).collect();
    let bodies: [&[u8]; 4] = [b"one", &[0; 70_000], &large, b"\0\xff"];
    let mut parent = VersionId::NIL;
    for body in bodies {
        parent = client.add(parent, body).await.0;
    }
    let mut at = VersionId::NIL;
    for body in bodies {
        let Child::Found(stored) = client.child(at).await else { panic!("it is there") };
        assert!(stored.segment == body && stored.parent == at, "byte for byte");
        at = stored.version;
    }
    assert_eq!(at, parent);
    assert_eq!(client.child(at).await, Child::UpToDate);
    assert_eq!(client.child(VersionId::from_bytes([9; 16])).await, Child::Gone);
    assert_eq!(client.offer(VersionId::NIL, b"x").await, Ok(Added::Conflict { latest: at }));
    let facts = client.facts().await;
    assert_eq!((facts.versions, facts.versions_ever), (4, 4));
    assert_eq!(facts.version_bytes, bodies.iter().map(|body| body.len() as u64).sum::<u64>());
    assert_eq!((facts.seen, facts.is_adopted), (Day::of(client.now), false));
}

/// Offers at once after one parent, from tasks of their own; how many of each answer came.
async fn race(client: &Customer, parent: VersionId) -> Vec<VersionId> {
    let offers = (0..24_u8).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { client.offer(parent, &[number]).await })
    });
    let offers: Vec<_> = offers.collect();
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for offer in offers {
        match offer.await.expect("it ends") {
            Ok(Added::Accepted { version, .. }) => accepted.push(version),
            Ok(Added::Conflict { latest }) => refused.push(latest),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted.len(), 1, "one is accepted");
    assert!(refused.iter().all(|latest| *latest == accepted[0]), "the others are told which");
    accepted
}

async fn of_many_offers_after_one_parent_one_is_accepted(store: &Arc<dyn Store>) {
    let client = Customer::new(store);
    let first = client.add(VersionId::NIL, b"first").await.0;
    let mut chain = vec![first];
    for _ in 0..5 {
        chain.extend(race(&client, chain[chain.len() - 1]).await);
    }
    assert_eq!(client.walk(VersionId::NIL).await, chain);
}

async fn of_many_first_versions_one_is_accepted(store: &Arc<dyn Store>) {
    for _ in 0..5 {
        let client = Customer::new(store);
        let chain = race(&client, VersionId::NIL).await;
        assert_eq!(client.walk(VersionId::NIL).await, chain);
        // The same where each would begin in the middle of another history.
        let client = Customer::new(store);
        let offers: Vec<_> = (1..9_u8)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    client.offer(VersionId::from_bytes([number; 16]), &[number]).await
                })
            })
            .collect();
        let mut accepted = 0;
        for offer in offers {
            accepted += u32::from(matches!(offer.await, Ok(Ok(Added::Accepted { .. }))));
        }
        assert_eq!((accepted, client.facts().await.versions), (1, 1));
    }
}

async fn a_history_may_begin_in_the_middle(store: &Arc<dyn Store>) {
    let client = Customer::new(store);
    let elsewhere = VersionId::from_bytes([8; 16]);
    let (first, urgency) = client.add(elsewhere, b"from elsewhere").await;
    assert_eq!((urgency, client.facts().await.is_adopted), (Urgency::High, true));
    assert_eq!(client.child(VersionId::NIL).await, Child::Gone, "a new replica is not misled");
    assert_eq!(client.walk(elsewhere).await, [first]);
    let (second, urgency) = client.add(first, b"more").await;
    assert_eq!(urgency, Urgency::High, "until there is a snapshot");
    assert_eq!(client.snap(second, b"all of it").await, SnapshotAdded::Accepted);
    assert!(!client.facts().await.is_adopted, "cured");
}

async fn snapshots_are_taken_for_recent_versions_only(store: &Arc<dyn Store>) {
    let client = Customer::new(store);
    let row = client.add_row(VersionId::NIL, 7).await;
    use SnapshotAdded::{Accepted, PassedOver};
    let body = |version: VersionId| version.to_bytes();
    for (name, version, expected) in [
        ("nil", VersionId::NIL, PassedOver),
        ("unknown", VersionId::from_bytes([3; 16]), PassedOver),
        ("the fifth ancestor", row[1], PassedOver),
        ("the fourth ancestor", row[2], Accepted),
        ("the same again", row[2], PassedOver),
        ("newer", row[4], Accepted),
        ("older", row[3], PassedOver),
        ("the latest", row[6], Accepted),
    ] {
        assert_eq!(client.snap(version, &body(version)).await, expected, "{name}");
    }
    let SnapshotFound::Found(found) = client.snapshot().await else { panic!("it is there") };
    assert!(found.version == row[6] && found.body == body(row[6])[..]);
    let facts = client.facts().await;
    let kept: Vec<VersionId> = facts.snapshots.iter().map(|snapshot| snapshot.version).collect();
    assert_eq!(kept, [row[6], row[4]], "two generations");
    assert_eq!(client.head().await, Some(Head { latest: row[6], snapshot: Some(row[6]) }));
}

async fn the_wish_for_a_snapshot_grows_with_versions_and_days(store: &Arc<dyn Store>) {
    let mut client = Customer::new(store);
    client.targets = SnapshotTargets { versions: 4, days: 10 };
    let mut latest = client.add(VersionId::NIL, b"v").await.0;
    assert_eq!(client.snap(latest, b"s").await, SnapshotAdded::Accepted);
    let mut wishes = Vec::new();
    for _ in 0..8 {
        let (version, urgency) = client.add(latest, b"v").await;
        latest = version;
        wishes.push(urgency);
    }
    use Urgency::{High, Low, None};
    assert_eq!(wishes, [None, None, None, None, Low, Low, High, High], "by versions");
    assert_eq!(client.snap(latest, b"s").await, SnapshotAdded::Accepted);
    wishes.clear();
    for days in [9, 1, 4, 1] {
        client.pass_days(days);
        let (version, urgency) = client.add(latest, b"v").await;
        latest = version;
        wishes.push(urgency);
        client.targets.versions = 1000;
    }
    assert_eq!(wishes, [None, Low, Low, High], "by days");
    client.pass_days(-1000);
    assert_eq!(client.add(latest, b"v").await.1, None, "a clock that went back asks for nothing");
}

async fn children_come_in_a_row_within_bounds(store: &Arc<dyn Store>) {
    let client = Customer::new(store);
    let row = client.add_row(VersionId::NIL, 9).await;
    let ids = |children: Children| match children {
        Children::Found { versions, latest } => {
            assert_eq!(latest, row[8]);
            versions.windows(2).for_each(|two| assert_eq!(two[1].parent, two[0].version));
            versions.iter().map(|stored| stored.version).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(ids(client.children(VersionId::NIL, 100, 1000).await), row);
    assert_eq!(ids(client.children(row[3], 100, 1000).await), row[4..]);
    assert_eq!(ids(client.children(row[3], 2, 1000).await), row[4..6], "by number");
    assert_eq!(ids(client.children(row[3], 100, 11).await), row[4..6], "by bytes");
    assert_eq!(ids(client.children(row[3], 100, 0).await), row[4..5], "one at least");
    assert_eq!(client.children(row[8], 9, 9).await, Children::UpToDate);
    assert_eq!(client.children(VersionId::from_bytes([5; 16]), 9, 9).await, Children::Gone);
}

/// What takes memory is announced before it is taken.
async fn of_a_body_that_is_too_large_only_the_length_is_told(store: &Arc<dyn Store>) {
    let client = Customer::new(store);
    let (first, _) = client.add(VersionId::NIL, &[1; 5]).await;
    // Where a storage keeps large bodies elsewhere, too.
    let (large, _) = client.add(first, &[2; 300_000]).await;
    assert_eq!(client.snap(large, &[3; 200_000]).await, SnapshotAdded::Accepted);
    for (parent, bytes) in [(VersionId::NIL, 5), (first, 300_000)] {
        let child = |bytes_max| store.child_version(client.id, parent, client.now, bytes_max);
        assert_eq!(child(bytes - 1).await, Ok(Child::TooLarge { bytes }));
        let found = child(bytes).await.expect("it can be read");
        assert!(matches!(found, Child::Found(stored) if stored.segment.len() as u64 == bytes));
        let row = |first_bytes_max| {
            let request = client.children_after(parent, 9, 1_000_000);
            store.children(ReadChildren { first_bytes_max, ..request })
        };
        assert_eq!(row(bytes - 1).await, Ok(Children::TooLarge { bytes }));
        let found = row(bytes).await.expect("they can be read");
        assert!(matches!(found, Children::Found { latest, .. } if latest == large));
    }
    let snapshot = |bytes_max| store.snapshot(client.id, client.now, bytes_max);
    assert_eq!(snapshot(199_999).await, Ok(SnapshotFound::TooLarge { bytes: 200_000 }));
    assert!(matches!(snapshot(200_000).await, Ok(SnapshotFound::Found(_))));
}

async fn clients_see_nothing_of_each_other(store: &Arc<dyn Store>) {
    let (one, other) = (Customer::new(store), Customer::new(store));
    let ones = one.add_row(VersionId::NIL, 3).await;
    let others = other.add_row(VersionId::NIL, 2).await;
    one.snap(ones[2], b"one's").await;
    for version in &ones {
        assert_eq!(other.child(*version).await, Child::Gone);
        assert_eq!(other.children(*version, 9, 9).await, Children::Gone);
        assert_eq!(other.snap(*version, b"x").await, SnapshotAdded::PassedOver);
        assert!(matches!(other.offer(*version, b"x").await, Ok(Added::Conflict { .. })));
    }
    assert_eq!(other.snapshot().await, SnapshotFound::None);
    assert_eq!(other.walk(VersionId::NIL).await, others);
    assert_eq!(one.walk(VersionId::NIL).await, ones);
}

/// A client with 20 versions and snapshots of the 10th and the 18th, stored `days` apart.
async fn with_two_snapshots(store: &Arc<dyn Store>, days: i64) -> (Customer, Vec<VersionId>) {
    let mut client = Customer::new(store);
    let mut row = client.add_row(VersionId::NIL, 10).await;
    assert_eq!(client.snap(row[9], b"tenth").await, SnapshotAdded::Accepted);
    client.pass_days(days);
    row.extend(client.add_row(row[9], 8).await);
    assert_eq!(client.snap(row[17], b"eighteenth").await, SnapshotAdded::Accepted);
    row.extend(client.add_row(row[17], 2).await);
    (client, row)
}

async fn history_goes_only_when_every_rule_allows_it(store: &Arc<dyn Store>) {
    let rules = Rules { grace_days: 30, versions_min: 5 };
    let (mut client, row) = with_two_snapshots(store, 1).await;
    client.pass_days(28);
    retain(store, rules, client.now, 1000).await;
    assert_eq!(client.facts().await.versions, 20, "not yet");
    client.pass_days(1);
    retain(store, rules, client.now, 1000).await;
    let facts = client.facts().await;
    assert_eq!((facts.versions, facts.versions_ever, facts.version_bytes), (10, 20, 40));
    assert_eq!(client.child(VersionId::NIL).await, Child::Gone, "told apart from up to date");
    assert_eq!(client.child(row[8]).await, Child::Gone);
    assert_eq!(client.walk(row[9]).await, row[10..], "from the older snapshot on all is there");
    assert_eq!(client.child(row[19]).await, Child::UpToDate);
    client.pass_days(1000);
    retain(store, rules, client.now, 1000).await;
    assert_eq!(client.facts().await.versions, 10, "the older snapshot stays a way in");
    // And life goes on.
    let next = client.add(row[19], b"next").await.0;
    assert_eq!(client.snap(next, b"21st").await, SnapshotAdded::Accepted);
    retain(store, rules, client.now, 1000).await;
    assert_eq!(client.walk(row[17]).await, [row[18], row[19], next]);
    assert_eq!(client.facts().await.versions, 5, "the newest five stay");
}

async fn what_was_asked_for_lately_stays(store: &Arc<dyn Store>) {
    let rules = Rules { grace_days: 30, versions_min: 5 };
    let (mut client, row) = with_two_snapshots(store, 1).await;
    client.pass_days(20);
    // A replica that has long been away asks, and is cut off before it can go on.
    assert!(matches!(client.child(row[3]).await, Child::Found(_)));
    // One that begins anew misses nothing.
    assert!(matches!(client.child(VersionId::NIL).await, Child::Found(_)));
    settle(&client).await;
    client.pass_days(29);
    retain(store, rules, client.now, 1000).await;
    assert_eq!(client.child(VersionId::NIL).await, Child::Gone);
    assert_eq!(client.facts().await.versions, 16, "what was asked for stays");
    client.pass_days(1);
    retain(store, rules, client.now, 1000).await;
    assert_eq!(client.facts().await.versions, 10);
}

/// Notes are written behind the requests. The first of a day changes the day on which the client was
/// seen, together with what it asked for.
async fn settle(client: &Customer) {
    for _ in 0..NOTE_LOOKS_MAX {
        if client.facts().await.seen == Day::of(client.now) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("a note was not written");
}

async fn after_every_step_of_retention_both_ways_in_are_whole(store: &Arc<dyn Store>) {
    let rules = Rules { grace_days: 0, versions_min: 5 };
    let (client, row) = with_two_snapshots(store, 0).await;
    let (mut after, mut steps) = (None, 0);
    loop {
        let step = Retain { rules, at: client.now, after, clients_max: 100, versions_max: 3 };
        let retained = store.retain(step).await.expect("history can go");
        assert!(retained.versions <= 3);
        assert_eq!(client.walk(row[9]).await, row[10..]);
        assert_eq!(client.walk(row[17]).await, row[18..]);
        let facts = client.facts().await;
        let first = usize::try_from(facts.versions_ever - facts.versions).expect("few");
        if first > 0 {
            assert_eq!(client.child(VersionId::NIL).await, Child::Gone);
            assert_eq!(
                client.walk(row[first - 1]).await,
                row[first..],
                "one chain, from its start"
            );
        }
        steps += u32::from(retained.versions > 0);
        after = retained.next;
        if after.is_none() {
            break;
        }
    }
    assert!(steps >= 4, "ten versions in steps of three");
    assert_eq!(client.facts().await.versions, 10);
}

/// As one process tells of its hours. Leaves a date that is believed.
async fn a_date_that_does_not_follow_from_the_last_is_not_acted_on(store: &Arc<dyn Store>) {
    let round = async |days: i64, watched| {
        store.begin_round(Day(20_000 + days), watched).await.expect("a round can begin")
    };
    assert!(round(0, Watched::ByAPerson).await, "somebody says so");
    for (days, watched) in [(0, Watched::Nothing), (1, Watched::AnHour), (8, Watched::Nothing)] {
        assert!(round(days, watched).await, "{days} days on");
    }
    for watched in [Watched::AnHour, Watched::Nothing, Watched::Nothing] {
        assert!(!round(208, watched).await, "a leap, and starting again proves nothing");
    }
    for hour in 1..HOURS_WATCHED {
        assert!(!round(208 + i64::from(hour / 20), Watched::AnHour).await, "{hour} hours");
    }
    assert!(round(209, Watched::AnHour).await, "plausible for a day");
    assert!(!round(208, Watched::AnHour).await, "a step back");
    assert!(!round(208, Watched::Nothing).await);
    assert!(round(208, Watched::ByAPerson).await);
    assert!(round(208, Watched::Nothing).await);
}

/// An id that no other check uses.
pub(super) fn fresh_id() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0xc0; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    bytes
}
