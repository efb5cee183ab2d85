//! A task that one of two lists has deleted when they are joined.

use tandem_client::{SyncOptions, sync};
use tandem_remote::{MemoryRemote, MemoryServer};
use tandem_replica::{ConflictKind, ConflictRow, MemoryStorage};
use tandem_tasks::session::{Consent, Urgency};

use crate::bench::{Bench, at, id};
use crate::joined::edit;

/// Whose edit it is: that of the list that comes second, or of the one that is there then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    There,
}
use Side::{Here, There};

/// Who, when, and what.
type Edit = (Side, i64, &'static [(&'static str, &'static str)]);

const DELETED: &[(&str, &str)] = &[("status", "deleted"), ("end", "1700000030")];
const DONE: &[(&str, &str)] = &[("status", "completed"), ("end", "1700000020")];
const OPEN: &[(&str, &str)] = &[("status", "pending")];
const NOTE: &[(&str, &str)] = &[("annotation_1700000020", "a note")];
const WORDS: &[(&str, &str)] = &[("description", "other words")];

/// One list on two machines that go to another place one after the other.
struct Story {
    here: Bench,
    there: Bench,
    elsewhere: MemoryServer,
}

impl Story {
    /// `loads` is who began with a first load, which logs nothing; the other one made the task.
    fn new(loads: Side) -> Self {
        let made = Bench::new();
        let loaded = Bench { storage: MemoryStorage::new(), server: made.server.clone() };
        edit(&made, 10, &[("description", "report"), ("status", "pending")]);
        made.sync();
        loaded.sync();
        let elsewhere = MemoryServer::new(2);
        elsewhere.force_urgency(Some(Urgency::None));
        match loads {
            Here => Self { here: loaded, there: made, elsewhere },
            There => Self { here: made, there: loaded, elsewhere },
        }
    }

    fn of(&self, side: Side) -> &Bench {
        match side {
            Here => &self.here,
            There => &self.there,
        }
    }

    /// An edit that both come to know.
    fn share(&self, (side, seconds, properties): Edit) {
        edit(self.of(side), seconds, properties);
        self.of(side).sync();
        self.here.sync();
        self.there.sync();
    }

    fn edit(&self, (side, seconds, properties): Edit) {
        edit(self.of(side), seconds, properties);
    }

    /// Moves one of them; version by version if it is told so.
    fn go(&self, side: Side, group_bytes_max: usize) -> Vec<ConflictRow> {
        let consent = Consent { join: true, ..Consent::default() };
        let options = SyncOptions { consent, group_bytes_max, ..SyncOptions::default() };
        let mut remote = MemoryRemote::new(&self.elsewhere, "elsewhere");
        let replica = &mut self.of(side).replica();
        sync(replica, &mut remote, &options, &|| at(1_000), &mut |_| {}).unwrap().conflicts
    }

    /// What came of the status, the same on both, and what was told here about it.
    fn ends(&self) -> (String, Vec<(ConflictKind, bool, String)>) {
        self.go(There, 1_000_000);
        let told = self.go(Here, 1_000_000);
        self.go(There, 1_000_000);
        let ours = self.here.replica().all_tasks().unwrap();
        assert_eq!(ours, self.there.replica().all_tasks().unwrap());
        let about = told.iter().filter(|row| row.property.as_deref() == Some("status"));
        let row = |row: &ConflictRow| {
            (row.kind(), row.lost_here, row.lost.as_deref().unwrap_or_default().to_owned())
        };
        (ours[&id(1)].get("status").unwrap_or_default().to_owned(), about.map(row).collect())
    }
}

/// Each case: what both knew, what each did apart, and whose work lies in the deleted task. The later
/// status is the deletion, as where nobody touches that after it.
#[test]
fn work_in_a_task_that_the_other_list_has_deleted_is_told_once_and_nothing_else_is() {
    type Case = (&'static str, &'static [Edit], &'static [Edit], Option<bool>);
    let cases: &[Case] = &[
        ("noted here before", &[], &[(There, 30, DELETED), (Here, 20, NOTE)], Some(true)),
        ("noted here after", &[], &[(There, 30, DELETED), (Here, 40, NOTE)], Some(true)),
        ("reworded here", &[], &[(There, 30, DELETED), (Here, 40, WORDS)], Some(true)),
        ("noted there before", &[], &[(Here, 30, DELETED), (There, 20, NOTE)], Some(false)),
        ("noted there after", &[], &[(Here, 30, DELETED), (There, 40, NOTE)], Some(false)),
        ("reworded there", &[], &[(Here, 30, DELETED), (There, 40, WORDS)], Some(false)),
        (
            "twice changed there",
            &[],
            &[(Here, 30, DELETED), (There, 40, WORDS), (There, 41, NOTE)],
            Some(false),
        ),
        (
            "opened again here",
            &[(There, 12, DONE)],
            &[(Here, 20, OPEN), (There, 30, DELETED)],
            Some(true),
        ),
        // No work.
        ("nothing here", &[], &[(There, 30, DELETED)], None),
        ("nothing there", &[], &[(Here, 30, DELETED)], None),
        ("deleted there with a note", &[], &[(There, 30, DELETED), (There, 30, NOTE)], None),
        ("deleted here with a note", &[], &[(Here, 30, DELETED), (Here, 30, NOTE)], None),
        (
            "deleted by both",
            &[],
            &[(There, 25, NOTE), (Here, 25, WORDS), (Here, 30, DELETED), (There, 32, DELETED)],
            None,
        ),
        // In full knowledge.
        (
            "changed there, then deleted here",
            &[(There, 20, NOTE), (There, 22, WORDS)],
            &[(Here, 30, DELETED)],
            None,
        ),
        (
            "changed here, then deleted there",
            &[(Here, 20, NOTE), (Here, 22, WORDS)],
            &[(There, 30, DELETED)],
            None,
        ),
        // Nobody can say: a list is offered with its last words alone.
        (
            "opened again here, then deleted there",
            &[(Here, 12, DONE), (Here, 20, OPEN)],
            &[(There, 30, DELETED)],
            Some(true),
        ),
    ];
    for (name, shared, apart, told) in cases {
        for loads in [Here, There] {
            let story = Story::new(loads);
            shared.iter().for_each(|edit| story.share(*edit));
            apart.iter().for_each(|edit| story.edit(*edit));
            let told = told.map(|here| (ConflictKind::Deleted, here, "pending".to_owned()));
            let expected = ("deleted".to_owned(), Vec::from_iter(told));
            assert_eq!(story.ends(), expected, "{name}, {loads:?} loads");
        }
    }
}

/// A snapshot knows no history: what a task says there is as young as the task.
#[test]
fn work_is_told_where_the_other_list_is_a_snapshot() {
    use ConflictKind::{Deleted, Value};
    type Case = (&'static [Edit], &'static str, Option<(ConflictKind, bool, &'static str)>);
    let cases: &[Case] = &[
        (&[(There, 30, DELETED), (Here, 40, NOTE)], "deleted", Some((Deleted, true, "pending"))),
        (&[(There, 30, DELETED)], "deleted", None),
        (&[(Here, 30, DELETED), (There, 20, NOTE)], "deleted", Some((Deleted, false, "pending"))),
        (&[(Here, 30, DELETED)], "deleted", None),
        // Its status is as young as the note, and wins: the task is there to be seen.
        (&[(Here, 30, DELETED), (There, 40, NOTE)], "pending", Some((Value, true, "deleted"))),
    ];
    for (apart, status, told) in cases {
        let story = Story::new(There);
        story.elsewhere.force_urgency(Some(Urgency::High));
        apart.iter().for_each(|edit| story.edit(*edit));
        let told = told.map(|(kind, here, lost)| (kind, here, lost.to_owned()));
        let expected = ((*status).to_owned(), Vec::from_iter(told));
        assert_eq!(story.ends(), expected, "{apart:?}");
    }
}

/// It holds the same tasks, of which it says that they are its own: an export was read in there.
#[test]
fn a_list_that_has_never_synced_is_told_the_same() {
    for (note, told) in [(None, None), (Some((Here, 40, NOTE)), Some(true))] {
        let mut story = Story::new(There);
        story.here = Bench::new();
        story.edit((Here, 10, &[("description", "report"), ("status", "pending")]));
        story.edit((There, 30, DELETED));
        note.into_iter().for_each(|edit| story.edit(edit));
        let told = told.map(|here| (ConflictKind::Deleted, here, "pending".to_owned()));
        assert_eq!(story.ends(), ("deleted".to_owned(), Vec::from_iter(told)), "{note:?}");
    }
}

/// Done against deleted is two values of one property, and the later one stands.
#[test]
fn done_against_deleted_is_told_as_two_values() {
    for (apart, status, here, lost) in [
        ([(There, 30, DELETED), (Here, 20, DONE)], "deleted", true, "completed"),
        ([(There, 30, DELETED), (Here, 40, DONE)], "completed", false, "deleted"),
        ([(Here, 30, DELETED), (There, 20, DONE)], "deleted", false, "completed"),
        ([(Here, 30, DELETED), (There, 40, DONE)], "completed", true, "deleted"),
    ] {
        let story = Story::new(Here);
        apart.iter().for_each(|edit| story.edit(*edit));
        let told = vec![(ConflictKind::Value, here, lost.to_owned())];
        assert_eq!(story.ends(), (status.to_owned(), told), "{apart:?}");
    }
}

/// The history there comes in several commits, of which each sees what has come so far.
#[test]
fn what_comes_in_several_commits_is_told_once_and_settles_nothing_that_was_told_before() {
    let story = Story::new(Here);
    story.edit((There, 20, NOTE));
    story.go(There, 1);
    story.edit((There, 30, DELETED));
    story.go(There, 1);
    story.edit((Here, 32, DELETED));
    let told = story.go(Here, 1);
    assert_eq!(told.len(), 1, "once too often, since the deletion there comes later: {told:?}");
    // No later sync takes it for settled, whatever it finds.
    story.go(There, 1);
    story.go(Here, 1);
    assert_eq!(story.here.replica().conflicts(false).unwrap(), told);

    // It stays deleted here alone.
    let story = Story::new(Here);
    story.edit((There, 20, NOTE));
    story.go(There, 1);
    story.edit((There, 30, WORDS));
    story.go(There, 1);
    story.edit((Here, 32, DELETED));
    let told = story.go(Here, 1);
    let deleted = told.iter().filter(|row| row.kind() == ConflictKind::Deleted);
    assert_eq!(deleted.count(), 1, "one row, however many commits: {told:?}");
}
