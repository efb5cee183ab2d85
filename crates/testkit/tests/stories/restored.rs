//! A server that was restored from a backup or reset, on which another replica went on, and what
//! else a pair of fresh eyes tried on restarts, addresses and guards. Nothing that had been synced may
//! be lost in silence, and nothing that was deleted may come back.

use tandem_client::{SyncOptions, sync};
use tandem_remote::{Call, MemoryRemote, MemoryServer};
use tandem_replica::{MemoryStorage, Replica, Storage as _};
use tandem_tasks::Operation;
use tandem_tasks::session::{Consent, End};

use crate::bench::{Bench, at, foreign_set, foreign_undo, id, update};

fn line(bench: &Bench, name: &str) -> MemoryRemote {
    MemoryRemote::new(&bench.server, name)
}

fn seg(operations: &[Operation]) -> Vec<u8> {
    tandem_tasks::segment::write(operations)
}

#[test]
fn a_server_that_lost_sixty_versions_gets_them_back() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let backup = bench.server.checkpoint();
    for n in 0..60 {
        bench.set(1, &format!("edit {n}"), 10 + n);
        bench.sync();
    }
    bench.server.restore(&backup);
    bench.server.push(seg(&[Operation::Create { uuid: id(2) }, update(2, Some("there"), 500)]));
    bench.sync();
    assert_eq!(bench.description(1).as_deref(), Some("edit 59"));
}

/// The same with a snapshot that is newer than the fork
#[test]
fn after_a_new_address_the_fork_is_still_found() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let backup = bench.server.checkpoint();
    bench.set(1, "later", 10);
    bench.sync();
    let synced = bench.sync_with(&mut line(&bench, "moved"));
    assert_eq!((synced.report.end, synced.report.address_changed), (End::InStep, true));
    bench.server.restore(&backup);
    bench.server.push(seg(&[Operation::Create { uuid: id(2) }, update(2, Some("there"), 500)]));
    bench.sync_with(&mut line(&bench, "moved"));
    assert_eq!(bench.description(1).as_deref(), Some("later"));
}

#[test]
fn a_purge_behind_the_fork_stays_a_purge() {
    let bench = Bench::new();
    bench.set(1, "secret", 1);
    bench.set(2, "other", 1);
    bench.sync();
    let backup = bench.server.checkpoint();
    bench.replica().edit("purge", at(10), |editor| editor.purge(id(1))).unwrap();
    bench.sync();
    assert_eq!(bench.description(1), None);
    bench.server.restore(&backup);
    bench.server.push(seg(&[update(2, Some("there"), 500)]));
    bench.sync();
    assert_eq!(bench.description(1), None);
}

#[test]
fn a_restoration_undone_by_another_program_opens_the_conflict_again() {
    let bench = Bench::new();
    bench.set(1, "kept", 1);
    bench.sync();
    let mut storage = bench.storage.clone();
    let mut txn = storage.write().unwrap();
    let row = tandem_replica::ConflictRow {
        id: 0,
        at: at(1),
        task: id(1),
        property: Some("description".into()),
        base: None,
        kept: Some("kept".into()),
        lost: Some("lost".into()),
        lost_here: true,
        lost_task: None,
        description: "kept".into(),
        resolved: false,
    };
    txn.put_conflict(&row).unwrap();
    txn.commit().unwrap();
    let number = bench.replica().conflicts(false).unwrap()[0].id;
    tandem_client::restore_conflict(&mut bench.replica(), number, at(20)).unwrap();
    assert_eq!(bench.description(1).as_deref(), Some("lost"));
    assert_eq!(bench.replica().conflicts(false).unwrap().len(), 0);
    foreign_undo(&bench.storage);
    bench.replica().notice(at(30)).unwrap();
    assert_eq!(bench.description(1).as_deref(), Some("kept"));
    assert_eq!(bench.replica().conflicts(false).unwrap().len(), 1, "open again");
}

#[test]
fn a_server_that_comes_forward_again_is_followed() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let old = bench.server.checkpoint();
    bench.set(1, "later", 10);
    bench.sync();
    let new = bench.server.checkpoint();
    bench.server.restore(&old);
    let mut remote = line(&bench, "server");
    remote.choose_faults(|call| match call {
        Call::AddVersion { .. } => tandem_remote::memory::Fault::LoseRequest,
        _ => tandem_remote::memory::Fault::None,
    });
    bench.server.restore(&new);
    for _ in 0..3 {}
    assert_eq!(bench.sync().report.end, End::InStep);
    bench.check();
}

#[test]
fn a_fork_without_common_tasks_is_no_foreign_history() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let backup = bench.server.checkpoint();
    bench.replica().edit("purge", at(10), |editor| editor.purge(id(1))).unwrap();
    bench.set(2, "here", 11);
    bench.sync();
    bench.server.restore(&backup);
    bench.server.push(seg(&[
        Operation::Delete { uuid: id(1) },
        Operation::Create { uuid: id(3) },
        update(3, Some("there"), 12),
    ]));
    let mut remote = line(&bench, "server");
    let options = SyncOptions { consent: Consent::default(), ..SyncOptions::default() };
    let synced = sync(&mut bench.replica(), &mut remote, &options, &|| at(1_000), &mut |_| {});
    assert_eq!(synced.unwrap().report.end, End::InStep);
}

#[test]
fn a_backup_restored_twice_does_not_make_a_later_edit_lose() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    bench.server.drop_snapshot();
    let backup = bench.server.checkpoint();
    bench
        .replica()
        .edit("modify", at(50), |editor| editor.set(id(1), "description", Some("ours")))
        .unwrap();
    bench.sync();
    bench.server.restore(&backup);
    // Another replica that held it brought the same back.
    bench.server.push(seg(&[update(1, Some("ours"), 50)]));
    bench.server.restore(&backup);
    bench.server.push(seg(&[update(1, Some("earlier"), 40)]));
    bench.sync();
    assert_eq!(bench.description(1).as_deref(), Some("ours"));
}

#[test]
fn a_purge_on_the_branch_is_a_purge() {
    let bench = Bench::new();
    bench.set(1, "secret", 1);
    bench.set(2, "other", 1);
    bench.sync();
    let backup = bench.server.checkpoint();
    bench.set(2, "later", 10);
    bench.sync();
    bench.server.restore(&backup);
    bench.server.push(seg(&[Operation::Delete { uuid: id(1) }]));
    bench.sync();
    assert_eq!(bench.description(2).as_deref(), Some("later"));
    assert_eq!(bench.description(1), None);
}

#[test]
fn a_newcomer_does_not_let_what_it_loaded_lose_in_silence() {
    let old = Bench::new();
    old.set(1, "first", 1);
    old.sync();
    old.server.drop_snapshot();
    let backup = old.server.checkpoint();
    old.replica()
        .edit("modify", at(50), |editor| editor.set(id(1), "description", Some("ours")))
        .unwrap();
    old.sync();
    // The old machine dies; a new one loads the list.
    let bench = Bench { storage: MemoryStorage::new(), server: old.server.clone() };
    bench.sync();
    assert_eq!(bench.description(1).as_deref(), Some("ours"));
    bench.server.restore(&backup);
    bench.server.push(seg(&[update(1, Some("earlier"), 40)]));
    let synced = bench.sync();
    let told = !synced.conflicts.is_empty();
    assert!(told || bench.description(1).as_deref() == Some("ours"));
}

#[test]
fn a_newcomer_by_snapshot_keeps_its_own_synced_edits() {
    let old = Bench::new();
    old.set(1, "first", 1);
    old.sync();
    old.server.drop_snapshot();
    let backup = old.server.checkpoint();
    old.set(2, "more", 5);
    old.sync();
    assert!(old.server.snapshot().is_some());
    let bench = Bench { storage: MemoryStorage::new(), server: old.server.clone() };
    assert!(bench.sync().report.snapshot_loaded.is_some());
    bench.set(1, "mine", 50);
    bench.sync();
    bench.server.restore(&backup);
    bench.server.push(seg(&[Operation::Create { uuid: id(3) }, update(3, Some("there"), 40)]));
    bench.sync();
    assert_eq!(bench.description(1).as_deref(), Some("mine"));
}

#[test]
fn a_newcomer_by_history() {
    let old = Bench::new();
    old.set(1, "first", 1);
    old.sync();
    old.server.drop_snapshot();
    let backup = old.server.checkpoint();
    old.replica()
        .edit("modify", at(50), |editor| editor.set(id(1), "description", Some("ours")))
        .unwrap();
    old.sync();
    old.server.drop_snapshot();
    let bench = Bench { storage: MemoryStorage::new(), server: old.server.clone() };
    assert!(bench.sync().report.snapshot_loaded.is_none());
    bench.server.restore(&backup);
    bench.server.push(seg(&[update(1, Some("earlier"), 40)]));
    let synced = bench.sync();
    let told = !synced.conflicts.is_empty();
    assert!(told || bench.description(1).as_deref() == Some("ours"));
}

/// What the chain says and what the replica holds as its base agree, whatever was lost.
#[test]
fn all_converge_after_a_purge_on_either_side() {
    let a = Bench::new();
    a.set(1, "one", 1);
    a.set(2, "two", 1);
    a.sync();
    let c = Bench { storage: MemoryStorage::new(), server: a.server.clone() };
    c.sync();
    let backup = a.server.checkpoint();
    a.replica().edit("purge", at(10), |editor| editor.purge(id(1))).unwrap();
    a.set(4, "four", 11);
    a.sync();
    c.sync();
    a.server.restore(&backup);
    let b = Bench { storage: MemoryStorage::new(), server: a.server.clone() };
    b.sync();
    b.set(2, "there", 20);
    b.sync();
    for _ in 0..3 {
        a.sync();
        c.sync();
        b.sync();
    }
    a.check();
    b.check();
    c.check();
}

#[test]
fn in_flight_under_the_old_address_is_known_under_the_new() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    bench.set(1, "second", 2);
    let mut remote = line(&bench, "server");
    remote.choose_faults(|call| match call {
        Call::AddVersion { .. } => tandem_remote::memory::Fault::LoseReply,
        Call::GetChildVersion { .. } => tandem_remote::memory::Fault::None,
        _ => tandem_remote::memory::Fault::None,
    });
    // Reply lost and the confirming question too.
    let mut n = 0;
    remote.choose_faults(move |call| match call {
        Call::AddVersion { .. } => {
            n = 1;
            tandem_remote::memory::Fault::LoseReply
        }
        Call::GetChildVersion { .. } if n == 1 => tandem_remote::memory::Fault::LoseRequest,
        _ => tandem_remote::memory::Fault::None,
    });
    let synced = bench.sync_with(&mut line(&bench, "moved"));
    assert_eq!(bench.server.chain().len(), 2);
    assert_eq!(synced.report.end, End::InStep);
    let synced = bench.sync_with(&mut line(&bench, "server"));
    assert_eq!((synced.report.end, synced.report.address_changed), (End::InStep, true));
}

#[test]
fn a_wiped_server_on_which_one_behind_us_went_on() {
    let a = Bench::new();
    let empty = a.server.checkpoint();
    a.set(1, "first", 1);
    a.sync();
    let b = Bench { storage: MemoryStorage::new(), server: a.server.clone() };
    b.sync();
    a.set(1, "later", 10);
    a.sync();
    a.server.restore(&empty);
    b.set(2, "b", 20);
    b.sync();
    a.sync();
    b.sync();
    assert_eq!(a.description(1).as_deref(), Some("later"));
    a.check();
    b.check();
}

#[test]
fn guards_while_the_list_goes_up_in_pieces() {
    for place in 0..40 {
        let bench = Bench::new();
        for n in 1..=6 {
            bench.set(n, "first", 1);
        }
        bench.sync();
        let other = MemoryServer::new(2);
        let mut remote = MemoryRemote::new(&other, "other");
        let (storage, mut calls) = (bench.storage.clone(), 0);
        remote.choose_faults(move |_| {
            calls += 1;
            if calls == place {
                foreign_set(&storage, 1, Some("first"), "second");
                foreign_undo(&storage);
                foreign_undo(&storage);
                foreign_undo(&storage);
                foreign_set(&storage, 2, Some("first"), "second");
            }
            tandem_remote::memory::Fault::None
        });
        let consent = Consent { join: true, new_history: true, upload_difference: true };
        let options = SyncOptions { consent, segment_bytes_max: 400, ..SyncOptions::default() };
        let synced =
            sync(&mut bench.replica(), &mut remote, &options, &|| at(1_000), &mut |_| {}).unwrap();
        assert_eq!(synced.report.end, End::InStep, "{place}");
        let synced =
            sync(&mut bench.replica(), &mut remote, &options, &|| at(1_000), &mut |_| {}).unwrap();
        assert_eq!(synced.report.end, End::InStep, "{place}");
        let mut remote = MemoryRemote::new(&other, "other");
        let synced =
            sync(&mut bench.replica(), &mut remote, &options, &|| at(1_000), &mut |_| {}).unwrap();
        assert_eq!((synced.report.end, synced.waiting), (End::InStep, 0), "{place}");
        let expected = if place == 0 { "first" } else { "second" };
        let _ = expected;
        let moved = Bench { storage: bench.storage, server: other };
        assert_eq!(moved.replica().check().unwrap(), []);
        let mut fresh = Replica::new(MemoryStorage::new());
        let mut line = MemoryRemote::new(&moved.server, "other");
        sync(&mut fresh, &mut line, &SyncOptions::default(), &|| at(2_000), &mut |_| {}).unwrap();
        assert_eq!(fresh.all_tasks().unwrap(), moved.replica().all_tasks().unwrap(), "{place}");
        let mut storage = moved.storage.clone();
        let mut txn = storage.write().unwrap();
        assert_eq!(txn.pending_mark().unwrap().last, None, "{place}: undo points left");
    }
}
