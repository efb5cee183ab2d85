//! A list that meets itself again at another place.

use tandem_remote::{MemoryRemote, MemoryServer};
use tandem_replica::MemoryStorage;

use crate::bench::{Bench, at, id};

fn edit(bench: &Bench, seconds: i64, properties: &[(&str, &str)]) {
    let edited = bench.replica().edit("modify", at(seconds), |editor| {
        editor.create(id(1))?;
        for (property, value) in properties {
            editor.set(id(1), property, Some(value))?;
        }
        editor.set(id(1), "modified", Some(&at(seconds).seconds().to_string()))
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

/// Whoever follows a list to its new place has not lost what others said, and is told of what they
/// said themselves.
#[test]
fn only_what_was_set_here_is_told_when_a_list_is_followed_to_another_place() {
    let laptop = Bench::new();
    let desktop = Bench { storage: MemoryStorage::new(), server: laptop.server.clone() };
    edit(&laptop, 10, &[("description", "report"), ("project", "work")]);
    laptop.sync();
    desktop.sync();
    edit(&desktop, 15, &[("priority", "L")]);
    desktop.sync();
    laptop.sync();

    let elsewhere = MemoryServer::new(2);
    let moved = || MemoryRemote::new(&elsewhere, "elsewhere");
    edit(&laptop, 20, &[("description", "yearly report"), ("priority", "H"), ("project", "home")]);
    laptop.sync_with(&mut moved());
    edit(&desktop, 18, &[("project", "garden")]);
    let joined = desktop.sync_with(&mut moved());

    let told: Vec<_> = joined.conflicts.iter().map(|row| row.lost.as_deref()).collect();
    assert_eq!(told, [Some("L"), Some("garden")], "{:?}", joined.conflicts);
    assert!(joined.conflicts.iter().all(|row| row.lost_here));
}
