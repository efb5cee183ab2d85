//! What every storage that knows [`Admin`] must do, as checks that run over any of them.

use std::sync::Arc;

use bytes::Bytes;
use tandem_core::{ClientId, VersionId};
use tandem_tasks::serve::retention::{Day, Rules};

use super::admin::{
    Admin, ClientEntry, Extent, NewAccount, Removed, Scope, SnapshotDropped, Standing, State,
    TokenFacts,
};
use super::conformance::{Customer, fresh_id, retain};
use super::{AddSnapshot, Added, Child, Children, Head, SnapshotAdded, SnapshotFound, Store};

/// Runs all checks; none on a storage that does not know these calls yet.
///
/// # Panics
/// With what the storage did wrong.
pub async fn all(store: &Arc<dyn Store>) {
    let Some(admin) = store.admin() else { return };
    clients_are_listed_in_pages_with_what_is_known_of_them(store, admin).await;
    who_is_shut_out_is_let_in_again(store, admin).await;
    who_is_shut_out_stays_so_when_its_client_is_removed(store, admin).await;
    who_never_came_is_shut_out_too(store, admin).await;
    a_history_that_is_removed_begins_anew(store, admin).await;
    without_the_newest_snapshot_the_one_before_is_handed_out(store, admin).await;
    the_only_snapshot_may_go_while_the_beginning_is_there(store, admin).await;
    a_snapshot_of_another_server_is_taken_wherever_all_after_it_is_there(store, admin).await;
    a_history_that_was_trimmed_to_its_snapshot_keeps_its_way_in(store, admin).await;
    accounts_own_client_ids_and_tokens(store, admin).await;
    a_client_id_is_given_to_accounts_and_taken_from_them(store, admin).await;
    a_new_client_id_takes_the_place_of_the_old_one(store, admin).await;
    days_that_are_to_come_are_told(store, admin).await;
    nothing_is_wrong_with_what_was_stored(store, admin).await;
}

async fn entries(admin: &dyn Admin) -> Vec<ClientEntry> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = admin.clients(after, 3).await.expect("they can be read");
        assert!(page.clients.len() <= 3);
        all.extend(page.clients);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn clients_are_listed_in_pages_with_what_is_known_of_them(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let before = admin.totals().await.expect("it can be read");
    let customers: Vec<Customer> = (0..4).map(|_| Customer::new(store)).collect();
    for customer in &customers {
        let row = customer.add_row(VersionId::NIL, 2).await;
        customer.snap(row[1], b"snapshot").await;
    }
    let all = entries(admin).await;
    for customer in &customers {
        let found: Vec<_> = all.iter().filter(|entry| entry.id == customer.id).collect();
        assert_eq!(found.len(), 1, "each once");
        assert_eq!(found[0].facts, customer.facts().await);
        assert_eq!((found[0].account.as_ref(), found[0].is_disabled), (None, false));
    }
    let after = admin.totals().await.expect("it can be read");
    assert_eq!(after.clients - before.clients, 4);
    assert_eq!(after.versions - before.versions, 8);
    assert_eq!(after.version_bytes - before.version_bytes, 8 * 4);
    assert_eq!(after.snapshots - before.snapshots, 4);
    assert_eq!(after.snapshot_bytes - before.snapshot_bytes, 4 * 8);
}

async fn who_is_shut_out_is_let_in_again(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let customer = Customer::new(store);
    let (id, now) = (customer.id, customer.now);
    assert_eq!(admin.set_client_state(id, State::Enabled, now).await, Ok(false), "unknown");
    assert_eq!(admin.standing(id).await, Ok(Standing::Plain));
    customer.add_row(VersionId::NIL, 1).await;
    for (state, standing) in
        [(State::Disabled, Standing::Disabled), (State::Enabled, Standing::Plain)]
    {
        assert_eq!(admin.set_client_state(id, state, now).await, Ok(true));
        assert_eq!(admin.standing(id).await, Ok(standing));
        let listed = entries(admin).await.into_iter().find(|entry| entry.id == id);
        assert_eq!(listed.expect("it is listed").is_disabled, state == State::Disabled);
    }
}

async fn who_is_shut_out_stays_so_when_its_client_is_removed(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let customer = Customer::new(store);
    let (id, now) = (customer.id, customer.now);
    let is_told = async || admin.shut_out().await.expect("it can be read").contains(&id);
    customer.add_row(VersionId::NIL, 1).await;
    assert_eq!(admin.set_client_state(id, State::Disabled, now).await, Ok(true));
    assert!(!is_told().await, "it has a history, and is in the list of those");
    let removed = admin.remove_history(id, Extent::Client).await.expect("it can go");
    assert_eq!(removed.map(|removed| removed.versions), Some(1));
    assert_eq!(admin.standing(id).await, Ok(Standing::Disabled));
    assert!(is_told().await);
    assert_eq!(admin.set_client_state(id, State::Enabled, now).await, Ok(true));
    assert_eq!(admin.standing(id).await, Ok(Standing::Plain));
    assert!(!is_told().await);
}

async fn who_never_came_is_shut_out_too(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let customer = Customer::new(store);
    let (id, now) = (customer.id, customer.now);
    assert_eq!(admin.set_client_state(id, State::Disabled, now).await, Ok(true));
    assert_eq!(admin.standing(id).await, Ok(Standing::Disabled));
    assert!(admin.shut_out().await.expect("it can be read").contains(&id));
    assert_eq!(admin.set_client_state(id, State::Enabled, now).await, Ok(true));
    assert_eq!(admin.standing(id).await, Ok(Standing::Plain));
    assert!(!admin.shut_out().await.expect("it can be read").contains(&id));
    assert_eq!(customer.head().await, None, "nothing was made of it");
}

async fn a_history_that_is_removed_begins_anew(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let (customer, other) = (Customer::new(store), Customer::new(store));
    let row = customer.add_row(VersionId::NIL, 3).await;
    customer.snap(row[2], b"snapshot").await;
    let kept = other.add_row(VersionId::NIL, 2).await;
    let removed = Removed { versions: 3, snapshots: 1, bytes: 3 * 4 + 8 };
    let extent = Extent::History;
    assert_eq!(admin.remove_history(customer.id, extent).await, Ok(Some(removed)));
    assert_eq!(customer.head().await, Some(Head { latest: VersionId::NIL, snapshot: None }));
    assert_eq!(customer.snapshot().await, SnapshotFound::None);
    // Whoever stands on what was removed is not told to be up to date; who stands on nothing is.
    assert_eq!(customer.child(row[2]).await, Child::NoSuchClient);
    assert_eq!(customer.children(row[2], 9, 999).await, Children::NoSuchClient);
    assert_eq!(customer.child(VersionId::NIL).await, Child::UpToDate);
    let again = customer.add_row(VersionId::NIL, 2).await;
    assert_eq!(customer.walk(VersionId::NIL).await, again);
    let extent = Extent::Client;
    assert!(matches!(admin.remove_history(customer.id, extent).await, Ok(Some(_))));
    assert_eq!(admin.remove_history(customer.id, extent).await, Ok(None));
    assert_eq!(customer.child(VersionId::NIL).await, Child::NoSuchClient);
    assert_eq!(other.walk(VersionId::NIL).await, kept, "nobody else lost anything");
    assert!(matches!(customer.offer(VersionId::NIL, b"x").await, Ok(Added::Accepted { .. })));
}

/// Nothing is wrong with what is stored of this client.
async fn assert_sound(admin: &dyn Admin, id: ClientId) {
    let mut after = None;
    while let Some(checked) = admin.check_client(after).await.expect("it can be read") {
        if checked.id == id {
            assert_eq!(checked.findings, Vec::<String>::new());
            return;
        }
        after = Some(checked.next);
    }
    panic!("the client is not there");
}

async fn without_the_newest_snapshot_the_one_before_is_handed_out(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let mut customer = Customer::new(store);
    let id = customer.id;
    assert_eq!(admin.drop_snapshot(id).await, Ok(SnapshotDropped::NoSuchClient));
    let mut row = customer.add_row(VersionId::NIL, 10).await;
    assert_eq!(admin.drop_snapshot(id).await, Ok(SnapshotDropped::None));
    customer.snap(row[9], b"good").await;
    row.extend(customer.add_row(row[9], 10).await);
    customer.snap(row[19], b"bad").await;
    let bad = customer.facts().await.snapshots[0];
    customer.pass_days(200);
    retain(store, Rules::default(), customer.now, 100).await;
    assert_eq!(customer.facts().await.versions, 10);
    assert_eq!(admin.drop_snapshot(id).await, Ok(SnapshotDropped::Dropped(bad)));
    assert_eq!((bad.version, bad.bytes), (row[19], 3));
    let found = customer.snapshot().await;
    assert!(matches!(found, SnapshotFound::Found(found) if found.body == b"good"[..]));
    assert_eq!(customer.walk(row[9]).await, row[10..], "and the way on from there is whole");
    let facts = customer.facts().await;
    assert_eq!((facts.versions_since_snapshot, facts.snapshots.len()), (10, 1));
    assert_sound(admin, id).await;
    assert_eq!(admin.drop_snapshot(id).await, Ok(SnapshotDropped::OnlyWayIn));
    // The next good one is taken, of the same version, too.
    assert_eq!(customer.snap(row[19], b"better").await, SnapshotAdded::Accepted);
    customer.pass_days(200);
    retain(store, Rules::default(), customer.now, 100).await;
    assert_eq!(customer.facts().await.versions, 10, "the one before stays a way in");
    assert_sound(admin, id).await;
}

async fn the_only_snapshot_may_go_while_the_beginning_is_there(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let customer = Customer::new(store);
    let row = customer.add_row(VersionId::NIL, 3).await;
    customer.snap(row[2], b"bad").await;
    let dropped = admin.drop_snapshot(customer.id).await;
    assert!(matches!(dropped, Ok(SnapshotDropped::Dropped(_))), "{dropped:?}");
    assert_eq!(customer.snapshot().await, SnapshotFound::None);
    assert_eq!(customer.facts().await.versions_since_snapshot, 3);
    assert_sound(admin, customer.id).await;
}

/// Offers a snapshot that another server has stored some days ago.
async fn import(
    admin: &dyn Admin,
    customer: &Customer,
    version: VersionId,
    days: i64,
) -> SnapshotAdded {
    let mut then = customer.clone();
    then.pass_days(-days);
    let body = Bytes::from_static(b"from elsewhere");
    let snapshot = AddSnapshot { client: customer.id, version, body, at: then.now };
    admin.import_snapshot(snapshot).await.expect("a snapshot can be offered")
}

async fn a_snapshot_of_another_server_is_taken_wherever_all_after_it_is_there(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let customer = Customer::new(store);
    let unknown = VersionId::from_bytes(fresh_id());
    assert_eq!(import(admin, &customer, unknown, 9).await, SnapshotAdded::NoSuchClient);
    let row = customer.add_row(VersionId::NIL, 20).await;
    for version in [unknown, VersionId::NIL] {
        assert_eq!(import(admin, &customer, version, 9).await, SnapshotAdded::PassedOver);
    }
    assert_eq!(customer.snap(row[2], b"x").await, SnapshotAdded::PassedOver, "not from a client");
    assert_eq!(import(admin, &customer, row[2], 9).await, SnapshotAdded::Accepted);
    let facts = customer.facts().await;
    let stored = facts.snapshots[0];
    assert_eq!((stored.version, facts.versions_since_snapshot), (row[2], 17));
    let mut then = customer.clone();
    then.pass_days(-9);
    assert_eq!(stored.stored_at, then.now, "it is as old as it was there");
    let found = customer.snapshot().await;
    assert!(matches!(found, SnapshotFound::Found(found) if found.body == b"from elsewhere"[..]));
    assert_sound(admin, customer.id).await;
    for version in [row[2], row[19]] {
        assert_eq!(import(admin, &customer, version, 1).await, SnapshotAdded::PassedOver, "once");
    }
    assert_eq!(customer.snap(row[19], b"ours").await, SnapshotAdded::Accepted);
    assert_sound(admin, customer.id).await;
    let other = Customer::new(store);
    let latest = other.add_row(VersionId::NIL, 2).await[1];
    assert_eq!(import(admin, &other, row[5], 1).await, SnapshotAdded::PassedOver, "of another");
    assert_eq!(import(admin, &other, latest, 1).await, SnapshotAdded::Accepted);
    assert_eq!(other.facts().await.versions_since_snapshot, 0);
    assert_sound(admin, other.id).await;
}

async fn a_history_that_was_trimmed_to_its_snapshot_keeps_its_way_in(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let customer = Customer::new(store);
    let before = VersionId::from_bytes(fresh_id());
    let row = customer.add_row(before, 12).await;
    assert!(customer.facts().await.is_adopted, "a new replica has no way in yet");
    assert_eq!(import(admin, &customer, before, 9).await, SnapshotAdded::Accepted);
    let facts = customer.facts().await;
    assert_eq!((facts.versions_since_snapshot, facts.is_adopted), (12, false));
    assert_eq!(customer.head().await, Some(Head { latest: row[11], snapshot: Some(before) }));
    assert_eq!(customer.walk(before).await, row);
    assert_sound(admin, customer.id).await;
    assert_eq!(admin.drop_snapshot(customer.id).await, Ok(SnapshotDropped::OnlyWayIn));
}

/// A name of an account that no other check uses.
fn fresh_name() -> String {
    format!("ann-{:02x?}", &fresh_id()[12..]).replace([' ', '[', ']', ','], "")
}

/// Makes an account with one client id and no token.
async fn add_account(admin: &dyn Admin, customer: &Customer) -> String {
    let name = fresh_name();
    let new = NewAccount {
        name: name.clone(),
        password: "hash".to_owned(),
        client: customer.id,
        tokens: Vec::new(),
        at: customer.now,
    };
    assert_eq!(admin.add_account(new).await, Ok(true));
    name
}

/// The client ids of an account.
async fn clients_of(admin: &dyn Admin, name: &str) -> Vec<ClientId> {
    let all = admin.accounts().await.expect("they can be read");
    all.into_iter().find(|account| account.name == name).expect("it is listed").clients
}

async fn a_client_id_is_given_to_accounts_and_taken_from_them(
    store: &Arc<dyn Store>,
    admin: &dyn Admin,
) {
    let (first, second) = (Customer::new(store), Customer::new(store));
    let (ann, bob) = (add_account(admin, &first).await, add_account(admin, &second).await);
    let customer = Customer::new(store);
    let (id, now) = (customer.id, customer.now);
    let row = customer.add_row(VersionId::NIL, 2).await;
    assert_eq!(admin.remove_account_client(id).await, Ok(false), "it belongs to nobody");
    assert_eq!(admin.add_account_client(&ann, id, now).await, Ok(true));
    assert_eq!(admin.standing(id).await, Ok(Standing::OfAccount));
    assert_eq!(clients_of(admin, &ann).await.len(), 2);
    assert_eq!(admin.add_account_client(&bob, id, now).await, Ok(true), "it changes hands");
    assert_eq!(clients_of(admin, &ann).await, [first.id]);
    assert_eq!(clients_of(admin, &bob).await.len(), 2);
    assert_eq!(admin.remove_account_client(id).await, Ok(true));
    assert_eq!(admin.standing(id).await, Ok(Standing::Plain));
    assert_eq!(clients_of(admin, &bob).await, [second.id]);
    assert_eq!(admin.remove_account_client(id).await, Ok(false), "once");
    assert_eq!(admin.remove_account_client(ClientId::from_bytes(fresh_id())).await, Ok(false));
    assert_eq!(customer.walk(VersionId::NIL).await, row, "its history is as it was");
    // Who was shut out stays so.
    assert_eq!(admin.set_client_state(id, State::Disabled, now).await, Ok(true));
    assert_eq!(admin.add_account_client(&ann, id, now).await, Ok(true));
    assert_eq!(admin.remove_account_client(id).await, Ok(true));
    assert_eq!(admin.standing(id).await, Ok(Standing::Disabled));
}

async fn a_new_client_id_takes_the_place_of_the_old_one(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let old = Customer::new(store);
    let mut new = Customer::new(store);
    new.may_create = false;
    let now = old.now;
    assert_eq!(admin.rotate_client(old.id, new.id, now).await, Ok(false), "unknown");
    assert_eq!(new.head().await, None, "nothing was made of it");
    let name = add_account(admin, &old).await;
    let row = old.add_row(VersionId::NIL, 3).await;
    old.snap(row[2], b"snapshot").await;
    assert_eq!(admin.rotate_client(old.id, new.id, now).await, Ok(true));
    assert_eq!(admin.standing(old.id).await, Ok(Standing::Disabled));
    assert_eq!(admin.standing(new.id).await, Ok(Standing::OfAccount));
    assert_eq!(clients_of(admin, &name).await, [new.id]);
    assert_eq!(old.walk(VersionId::NIL).await, row, "it stays until it is removed");
    // The new one is there, and has nothing: a replica begins its history from nil, or goes on from
    // where it stands.
    assert_eq!(new.head().await, Some(Head { latest: VersionId::NIL, snapshot: None }));
    assert_eq!(new.child(row[2]).await, Child::NoSuchClient, "not up to date");
    assert_eq!(new.snapshot().await, SnapshotFound::None);
    let facts = new.facts().await;
    assert_eq!((facts.versions_ever, facts.is_adopted), (0, false));
    assert_sound(admin, new.id).await;
    let again = new.add_row(row[2], 2).await;
    assert_eq!(new.walk(row[2]).await, again);
    assert!(new.facts().await.is_adopted, "a snapshot is asked for until one is there");
    assert_sound(admin, new.id).await;
    assert_sound(admin, old.id).await;
    // One without an account, and again; one that was shut out before is replaced all the same.
    let third = Customer::new(store);
    assert_eq!(admin.rotate_client(old.id, third.id, now).await, Ok(true));
    assert_eq!(admin.standing(third.id).await, Ok(Standing::Plain), "the account has another");
    assert!(admin.rotate_client(third.id, new.id, now).await.is_err(), "an id is given once");
    assert_eq!(admin.standing(third.id).await, Ok(Standing::Plain), "nothing was changed");
    assert_eq!(clients_of(admin, &name).await, [new.id]);
}

async fn accounts_own_client_ids_and_tokens(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let customer = Customer::new(store);
    let name = fresh_name();
    let fresh_hash = || {
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(&fresh_id());
        hash
    };
    let (read, write) = (fresh_hash(), fresh_hash());
    let new = NewAccount {
        name: name.clone(),
        password: "hash".to_owned(),
        client: customer.id,
        tokens: vec![(read, Scope::Read), (write, Scope::Write)],
        at: customer.now,
    };
    assert_eq!(admin.add_account(new.clone()).await, Ok(true));
    let again = NewAccount { tokens: Vec::new(), password: "other".to_owned(), ..new };
    assert_eq!(admin.add_account(again).await, Ok(false), "the name is taken");
    assert_eq!(admin.password(&name).await, Ok(Some("hash".to_owned())));
    let facts = |scope| Some(TokenFacts { account: name.clone(), scope });
    assert_eq!(admin.token(read).await, Ok(facts(Scope::Read)));
    assert_eq!(admin.token(write).await, Ok(facts(Scope::Write)));
    assert_eq!(admin.token(fresh_hash()).await, Ok(None));
    assert_eq!(admin.standing(customer.id).await, Ok(Standing::OfAccount));
    let second = ClientId::from_bytes(fresh_id());
    assert_eq!(admin.add_account_client(&name, second, customer.now).await, Ok(true));
    assert_eq!(admin.add_account_client("nobody", second, customer.now).await, Ok(false));
    let listed = admin.accounts().await.expect("they can be read");
    let listed = listed.into_iter().find(|account| account.name == name).expect("it is listed");
    assert_eq!((listed.clients.len(), listed.tokens, listed.is_disabled), (2, 2, false));
    customer.add_row(VersionId::NIL, 1).await;
    let entry = entries(admin).await.into_iter().find(|entry| entry.id == customer.id);
    assert_eq!(entry.expect("it is listed").account, Some(name.clone()));
    assert_eq!(admin.set_account_state(&name, State::Disabled).await, Ok(true));
    for client in [customer.id, second] {
        assert_eq!(admin.standing(client).await, Ok(Standing::Disabled));
    }
    assert_eq!(admin.password(&name).await, Ok(None));
    assert_eq!(admin.token(write).await, Ok(None));
    assert_eq!(admin.set_account_state(&name, State::Enabled).await, Ok(true));
    assert_eq!(admin.set_password(&name, "new".to_owned()).await, Ok(true));
    assert_eq!(admin.password(&name).await, Ok(Some("new".to_owned())));
    assert_eq!(admin.set_password("nobody", "new".to_owned()).await, Ok(false));
    assert_eq!(admin.set_account_state("nobody", State::Disabled).await, Ok(false));
}

async fn days_that_are_to_come_are_told(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let mut customer = Customer::new(store);
    // After all that other checks let pass.
    customer.pass_days(100_000);
    let day = Day::of(customer.now);
    let ahead = async |day| admin.clients_ahead_of(day).await.expect("it can be read");
    let row = customer.add_row(VersionId::NIL, 3).await;
    assert_eq!(ahead(Day(day.0 - 1)).await, 0, "there is no mark yet");
    customer.snap(row[2], b"snapshot").await;
    assert_eq!(ahead(Day(day.0 - 1)).await, 1, "its clock was ahead");
    assert_eq!(ahead(day).await, 0);
    let removed = admin.remove_history(customer.id, Extent::Client).await;
    assert!(matches!(removed, Ok(Some(_))), "{removed:?}");
}

async fn nothing_is_wrong_with_what_was_stored(store: &Arc<dyn Store>, admin: &dyn Admin) {
    let customer = Customer::new(store);
    let row = customer.add_row(VersionId::NIL, 9).await;
    let mut after = None;
    let mut found = None;
    while let Some(checked) = admin.check_client(after).await.expect("it can be read") {
        assert_eq!(checked.findings, Vec::<String>::new());
        if checked.id == customer.id {
            found = Some(checked.versions);
        }
        after = Some(checked.next);
    }
    assert_eq!(found, Some(row.len() as u64));
    assert_eq!(admin.check_storage().await, Ok(Vec::new()));
}
