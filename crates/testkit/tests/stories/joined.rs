//! A list that meets itself again at another place.

use tandem_remote::{MemoryRemote, MemoryServer};
use tandem_replica::{MemoryStorage, Storage as _};

use crate::bench::{Bench, at, id};

pub(crate) fn edit(bench: &Bench, seconds: i64, properties: &[(&str, &str)]) {
    edit_stamped(bench, seconds, properties, seconds);
}

/// As [`edit`], with a stamp of its own.
fn edit_stamped(bench: &Bench, seconds: i64, properties: &[(&str, &str)], stamp: i64) {
    let edited = bench.replica().edit("modify", at(seconds), |editor| {
        editor.create(id(1))?;
        for (property, value) in properties {
            editor.set(id(1), property, Some(value))?;
        }
        editor.set(id(1), "modified", Some(&at(stamp).seconds().to_string()))
    });
    edited.unwrap();
}

/// The value came with a first load, which logs nothing. Under the stamp of today's note it had
/// beaten the other device's younger change.
#[test]
fn a_value_that_nobody_has_touched_since_does_not_undo_a_change_elsewhere() {
    let laptop = Bench::new();
    let desktop = Bench { storage: MemoryStorage::new(), server: laptop.server.clone() };
    edit(&laptop, 10, &[("description", "report"), ("status", "pending")]);
    laptop.sync();
    desktop.sync();

    let elsewhere = MemoryServer::new(2);
    edit(&laptop, 20, &[("status", "completed")]);
    laptop.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));
    edit(&desktop, 30, &[("annotation_1700000030", "a note")]);
    let joined = desktop.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));
    laptop.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));

    assert!(joined.report.restarted);
    for bench in [&laptop, &desktop] {
        let task = bench.replica().task(id(1)).unwrap().unwrap();
        assert_eq!(task.get("status"), Some("completed"));
        assert_eq!(task.get("annotation_1700000030"), Some("a note"));
    }
}

/// A stamp in the future was set by a wrong clock, on some device at some time.
#[test]
fn a_stamp_from_the_future_does_not_make_old_words_win() {
    let laptop = Bench::new();
    let desktop = Bench { storage: MemoryStorage::new(), server: laptop.server.clone() };
    edit(&laptop, 10, &[("description", "first words")]);
    edit_stamped(&laptop, 10, &[], 1_000_000);
    laptop.sync();
    desktop.sync();
    edit(&desktop, 20, &[("annotation_1700000020", "a note")]);

    let elsewhere = MemoryServer::new(2);
    edit(&laptop, 30, &[("description", "new words")]);
    laptop.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));
    desktop.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));
    assert_eq!(desktop.description(1).as_deref(), Some("new words"));
}

/// What another program's sync brought stands in no log: it is as young as the stamp beside it.
#[test]
fn words_that_another_program_pulled_are_not_taken_for_old_ones() {
    let laptop = Bench::new();
    let desktop = Bench { storage: MemoryStorage::new(), server: laptop.server.clone() };
    let phone = Bench { storage: MemoryStorage::new(), server: laptop.server.clone() };
    edit(&laptop, 10, &[("description", "first words")]);
    laptop.sync();
    desktop.sync();
    phone.sync();
    edit(&desktop, 15, &[("annotation_1700000015", "a note")]);
    desktop.sync();

    edit(&laptop, 30, &[("description", "newer words")]);
    laptop.sync();
    {
        let mut storage = desktop.storage.clone();
        let mut txn = storage.write().unwrap();
        let task = laptop.replica().task(id(1)).unwrap();
        txn.put_task(id(1), task.as_ref()).unwrap();
        txn.set_base_version(laptop.base()).unwrap();
        txn.commit().unwrap();
    }

    let elsewhere = MemoryServer::new(2);
    edit(&phone, 20, &[("description", "older words")]);
    phone.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));
    let joined = desktop.sync_with(&mut MemoryRemote::new(&elsewhere, "elsewhere"));
    assert_eq!(desktop.description(1).as_deref(), Some("newer words"));
    let told: Vec<_> = joined.conflicts.iter().map(|row| row.lost.as_deref()).collect();
    assert_eq!(told, [Some("older words")]);
}
