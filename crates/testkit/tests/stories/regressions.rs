//! What the simulator found, each as the shortest story that shows it. The sessions' own share
//! stands beside them, in `crates/tasks/src/session/tests/`.

use tandem_client::{SyncOptions, sync};
use tandem_remote::{Call, MemoryRemote, MemoryServer};
use tandem_replica::{Keep, MemoryStorage, Replica, Storage as _, Undone};
use tandem_tasks::session::End;
use tandem_tasks::snapshot;

use crate::bench::{Bench, at, foreign_set, foreign_undo, id, update};

#[test]
fn a_snapshot_is_not_taken_of_what_another_program_has_just_written() {
    let bench = Bench::new();
    bench.set(1, "mine", 1);
    bench.sync();
    foreign_set(&bench.storage, 1, Some("mine"), "theirs");
    assert_eq!(bench.replica().snapshot_at(bench.base()).unwrap(), None);
    bench.replica().notice(at(600)).unwrap();
    let body = bench.replica().snapshot_at(bench.base()).unwrap().unwrap();
    let tasks = snapshot::read_all(&body).unwrap();
    assert_eq!(tasks[&id(1)].get("description"), Some("mine"));
}

#[test]
fn edits_during_a_push_keep_the_base_of_their_tasks() {
    let bench = Bench::new();
    bench.set(1, "a", 1);
    let (storage, mut done) = (bench.storage.clone(), false);
    bench.sync_while(move |call| {
        if matches!(call, Call::AddVersion { .. }) && !std::mem::replace(&mut done, true) {
            let mut replica = Replica::new(storage.clone());
            let edit = replica.edit("modify", at(2), |editor| {
                editor.set(id(1), "description", Some(&format!("{}", editor.now())))
            });
            edit.unwrap();
        }
    });
    bench.sync();
    bench.check();
}

#[test]
fn a_lost_operation_inside_the_range_of_a_segment_is_not_taken_for_undone() {
    let bench = Bench::new();
    for task in [1, 2, 3] {
        bench.set(task, "base", 1);
    }
    bench.sync();
    let edited = bench.replica().edit("modify", at(5), |editor| {
        editor.set(id(1), "description", Some("one"))?;
        editor.set(id(2), "description", Some("two"))?;
        editor.set(id(3), "description", Some("three"))
    });
    edited.unwrap();
    bench.server.push(tandem_tasks::segment::write(&[update(2, Some("newer"), 9)]));
    // The pull is committed, and the process dies before its push.
    let mut remote = MemoryRemote::new(&bench.server, "server");
    remote.choose_faults(|call| match call {
        Call::AddVersion { .. } => tandem_remote::memory::Fault::LoseRequest,
        _ => tandem_remote::memory::Fault::None,
    });
    bench.sync_with(&mut remote);
    let (storage, mut done) = (bench.storage.clone(), false);
    bench.sync_while(move |call| {
        if matches!(call, Call::AddVersion { .. }) && !std::mem::replace(&mut done, true) {
            foreign_set(&storage, 3, Some("three"), "four");
        }
    });
    bench.sync();
    let now: Vec<_> = [1, 2, 3].map(|task| bench.description(task).unwrap()).into();
    assert_eq!(now, ["one", "newer", "four"]);
    bench.check();
}

#[test]
fn what_was_undone_while_it_was_in_flight_is_taken_back_in_the_same_sync() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let edited = bench
        .replica()
        .edit("modify", at(5), |editor| editor.set(id(1), "description", Some("second")));
    edited.unwrap();
    let (storage, mut done) = (bench.storage.clone(), false);
    let synced = bench.sync_while(move |call| {
        if matches!(call, Call::AddVersion { .. }) && !std::mem::replace(&mut done, true) {
            foreign_undo(&storage);
        }
    });
    assert_eq!((synced.report.versions_up, synced.waiting), (2, 0));
    assert_eq!(bench.description(1).as_deref(), Some("first"));
    bench.check();
}

#[test]
fn a_command_in_the_middle_of_the_pending_ones_is_compensated_and_not_removed() {
    let bench = Bench::new();
    for task in [1, 2, 3] {
        bench.set(task, "base", 1);
    }
    bench.sync();
    let set = |tasks: &[u8], value: &str| {
        let edited = bench.replica().edit("modify", at(5), |editor| {
            tasks.iter().try_for_each(|task| editor.set(id(*task), "description", Some(value)))
        });
        edited.unwrap();
    };
    set(&[1], "first command");
    set(&[2, 3], "second command");
    // One change of the second command loses; nothing is pushed.
    let newest = bench.server.push(tandem_tasks::segment::write(&[update(2, Some("newer"), 9)]));
    let mut remote = MemoryRemote::new(&bench.server, "server");
    remote.choose_faults(move |call| match call {
        Call::GetChildVersion { parent } if *parent == newest => {
            tandem_remote::memory::Fault::LoseRequest
        }
        _ => tandem_remote::memory::Fault::None,
    });
    bench.sync_with(&mut remote);
    assert!(matches!(bench.replica().undo(at(20)), Ok(Undone::Compensated { .. })));
    // The first command now stands before that compensation.
    assert!(matches!(bench.replica().undo(at(21)), Ok(Undone::Compensated { .. })));
    let now: Vec<_> = [1, 2, 3].map(|task| bench.description(task).unwrap()).into();
    assert_eq!(now, ["base", "newer", "base"]);
    bench.sync();
    bench.check();
}

#[test]
fn a_stale_old_value_of_another_program_does_not_become_the_base() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    bench.server.push(tandem_tasks::segment::write(&[update(1, Some("second"), 9)]));
    bench.sync();
    foreign_set(&bench.storage, 1, Some("first"), "third");
    let edited = bench
        .replica()
        .edit("modify", at(600), |editor| editor.set(id(1), "project", Some("home")));
    edited.unwrap();
    let base = bench.replica().base_tasks().unwrap();
    assert_eq!(base[&id(1)].get("description"), Some("second"));
}

#[test]
fn a_loser_of_a_pulled_change_that_said_nothing_new_is_not_taken_for_the_base() {
    let bench = Bench::new();
    bench.set(1, "same", 1);
    bench.sync();
    let edited = bench
        .replica()
        .edit("modify", at(5), |editor| editor.set(id(1), "description", Some("loser")));
    edited.unwrap();
    bench.server.push(tandem_tasks::segment::write(&[update(1, Some("same"), 9)]));
    bench.sync();
    foreign_set(&bench.storage, 1, Some("stale"), "third");
    bench.replica().notice(at(600)).unwrap();
    let base = bench.replica().base_tasks().unwrap();
    assert_eq!(base[&id(1)].get("description"), Some("same"));
}

#[test]
fn pruning_takes_notice_of_other_programs_before_it_forgets() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    foreign_set(&bench.storage, 1, Some("stale"), "third");
    bench.replica().prune(Keep { days: 0, commands: 0 }, at(900_000)).unwrap();
    let base = bench.replica().base_tasks().unwrap();
    assert_eq!(base[&id(1)].get("description"), Some("first"));
    assert_eq!(bench.replica().check().unwrap(), []);
}

#[test]
fn a_number_that_a_foreign_undo_took_wrongly_comes_back() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let mut storage = bench.storage.clone();
    let mut txn = storage.write().unwrap();
    // What a foreign undo with a stale status leaves: the number is gone, the task is pending.
    txn.take_number(id(1)).unwrap();
    txn.commit().unwrap();
    foreign_set(&bench.storage, 1, Some("first"), "second");
    bench.replica().notice(at(600)).unwrap();
    assert_eq!(bench.replica().check().unwrap(), []);
}

#[test]
fn moving_to_another_server_survives_edits_in_between() {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let other = MemoryServer::new(2);
    let mut remote = MemoryRemote::new(&other, "other");
    let (storage, mut edits) = (bench.storage.clone(), 0);
    remote.choose_faults(move |_| {
        edits += 1;
        if edits > 4 {
            return tandem_remote::memory::Fault::None;
        }
        let value = format!("edit {edits}");
        let edit = Replica::new(storage.clone()).edit("modify", at(100 + edits), |editor| {
            editor.set(id(1), "description", Some(&value))
        });
        edit.unwrap();
        tandem_remote::memory::Fault::None
    });
    assert_eq!(bench.sync_with(&mut remote).report.end, End::InStep);
    let mut remote = MemoryRemote::new(&other, "other");
    assert_eq!(bench.sync_with(&mut remote).waiting, 0);
    let moved = Bench { storage: bench.storage, server: other };
    let mut fresh = Replica::new(MemoryStorage::new());
    let mut line = MemoryRemote::new(&moved.server, "other");
    let options = SyncOptions::default();
    sync(&mut fresh, &mut line, &options, &|| at(2_000), &mut |_| {}).unwrap();
    assert_eq!(fresh.all_tasks().unwrap(), moved.replica().all_tasks().unwrap());
}

/// A replica that pulled "theirs" under its own younger, still waiting "mine": no row of the log says
/// "theirs".
fn with_an_unlogged_base() -> Bench {
    let bench = Bench::new();
    bench.set(1, "first", 1);
    bench.sync();
    let edited = bench
        .replica()
        .edit("modify", at(50), |editor| editor.set(id(1), "description", Some("mine")));
    edited.unwrap();
    let newest = bench.server.push(tandem_tasks::segment::write(&[update(1, Some("theirs"), 20)]));
    // The pull is committed, and the process dies before its push.
    let mut remote = MemoryRemote::new(&bench.server, "server");
    remote.choose_faults(|call| match call {
        Call::AddVersion { .. } => tandem_remote::memory::Fault::LoseRequest,
        _ => tandem_remote::memory::Fault::None,
    });
    bench.sync_with(&mut remote);
    assert_eq!(bench.base(), newest);
    bench.replica().notice(at(100)).unwrap();
    bench
}

/// Found by seed 450 (foreign sync): a pulled change that met a pending one and gave way leaves no
/// row in the log; after the pending one was undone, the log's last word is older than the base.
#[test]
fn what_a_foreign_undo_uncovered_stays_the_base_after_a_foreign_sync() {
    let bench = with_an_unlogged_base();
    foreign_undo(&bench.storage);
    assert_eq!(bench.description(1).as_deref(), Some("theirs"));
    // A foreign sync pulls a version about another task.
    let newer = bench.server.push(tandem_tasks::segment::write(&[update(2, Some("x"), 30)]));
    {
        let mut storage = bench.storage.clone();
        let mut txn = storage.write().unwrap();
        txn.append(&update(2, Some("x"), 30).into_local(None), true).unwrap();
        txn.set_base_version(newer).unwrap();
        txn.commit().unwrap();
    }
    bench.replica().notice(at(110)).unwrap();
    foreign_set(&bench.storage, 1, Some("theirs"), "third");
    bench.replica().notice(at(600)).unwrap();
    let base = bench.replica().base_tasks().unwrap();
    assert_eq!(base[&id(1)].get("description"), Some("theirs"));
}

/// Found by seed 20521 (foreign sync): mended while another edit waited over it, the log's last word
/// would have been older than that edit once it was synced, since it keeps its place.
#[test]
fn an_edit_that_waited_while_the_log_was_mended_has_the_last_word() {
    let bench = with_an_unlogged_base();
    foreign_undo(&bench.storage);
    foreign_set(&bench.storage, 1, Some("theirs"), "third");
    bench.replica().notice(at(510)).unwrap();
    // A foreign sync pushes it.
    let newer = bench.server.push(tandem_tasks::segment::write(&[update(1, Some("third"), 500)]));
    {
        let mut storage = bench.storage.clone();
        let mut txn = storage.write().unwrap();
        let pending = txn.pending_mark().unwrap();
        txn.mark_synced(pending.first.unwrap(), pending.last.unwrap()).unwrap();
        txn.set_base_version(newer).unwrap();
        txn.commit().unwrap();
    }
    foreign_set(&bench.storage, 1, Some("stale"), "fourth");
    bench.replica().notice(at(600)).unwrap();
    let base = bench.replica().base_tasks().unwrap();
    assert_eq!(base[&id(1)].get("description"), Some("third"));
}
