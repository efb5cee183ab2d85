//! The reference's reproduced defects (`protocols/taskchampion.md` section 20, 1 to 5), each with
//! ours in the place of the program that has it.

use serde_json::json;

use crate::http::settle;
use crate::large::import_many;
use crate::line::{Event, Line};
use crate::ours::Ours;
use crate::real::{Real, Server, fresh};
use crate::snapshots::forget_before;
use crate::{Meeting, NIL, Room, assert_same};

/// Defect 1: what is pulled meets only the first version of a large upload.
#[test]
fn later_versions_of_an_upload_are_rebased_too() {
    for (theirs, winner) in [("2026-01-01T00:00:00Z", "ours"), ("2099-01-01T00:00:00Z", "theirs")] {
        let room = Room::new();
        let server = Server::start(&room.join("server"), &[]);
        let meeting = server.meeting();
        let ours = Ours::new(room.path(), "ours", &meeting);
        let task = ours.add(&["base"]);
        ours.sync();
        let mut real = Real::new(room.path(), "real", &meeting);
        real.sync();
        real.update_at(&task, "description", Some("theirs"), theirs);
        real.sync();
        import_many(&ours, 1200);
        ours.change(&task, &["modify", "ours"]);
        ours.sync();
        settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
        assert_eq!(ours.dump()[&task]["description"], winner);
    }
}

/// Defect 2: a rejected push brings back what had already lost.
#[test]
fn a_rejected_push_goes_on_with_what_is_left() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let ours = Ours::new(room.path(), "ours", &Meeting::server(&line.url));
    let task = ours.add(&["base"]);
    let other = ours.add(&["other"]);
    ours.sync();
    let mut real = Real::new(room.path(), "real", &server.meeting());
    real.sync();
    real.update_at(&task, "description", Some("newer"), "2099-01-01T00:00:00Z");
    real.sync();
    ours.change(&task, &["modify", "older"]);
    ours.change(&other, &["modify", "project:kept"]);
    let (back, done) = std::sync::mpsc::channel();
    line.plan(vec![Event::Before(Box::new(move || {
        let id = "00000000-0000-4000-8000-000000000001";
        real.create(id, &[("description", "the third version")]);
        real.sync();
        back.send(real).unwrap();
    }))]);
    let said = ours.sync();
    assert!(line.is_done(), "{said}");
    let mut real = done.recv().unwrap();
    settle(&room, &Meeting::server(&line.url), &[&ours], &mut [("real", &mut real)]);
    let tasks = ours.dump();
    assert_eq!(tasks[&task]["description"], "newer");
    assert_eq!(tasks[&other]["project"], "kept");
}

/// Defect 3: the snapshot that is taken after the first of many versions shows them all.
#[test]
fn a_snapshot_shows_the_version_that_it_is_named_after() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let ours = Ours::new(room.path(), "ours", &meeting);
    import_many(&ours, 2500);
    let said = ours.sync();
    let mut probe = Real::new(room.path(), "probe", &meeting);
    let (versions, latest) = probe.walk(NIL);
    assert!(versions >= 3);
    assert_eq!(said["snapshot_made"], *latest, "made once, at the end: {said}");
    let new = Ours::new(room.path(), "new", &meeting);
    let said = new.sync();
    assert_eq!(said["down"]["versions"], 0, "it had everything: {said}");
    assert_same("new", &new.dump(), "ours", &ours.dump());
}

/// Defect 4: an empty replica takes a history without a beginning for an empty one.
#[test]
fn a_history_without_a_beginning_is_no_empty_one() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let ours = Ours::new(room.path(), "ours", &meeting);
    for text in ["one", "two", "three"] {
        ours.add(&[text]);
        ours.sync();
    }
    let file = server.data.join("taskchampion-sync-server.sqlite3");
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute("DELETE FROM versions WHERE parent_version_id = ?1", [NIL]).unwrap();
    connection
        .execute("UPDATE clients SET snapshot = NULL, snapshot_version_id = NULL", [])
        .unwrap();
    let new = Ours::new(room.path(), "new", &meeting);
    let said = new.fails(1, &["sync"]);
    assert!(said.err.contains("history"), "{said:?}");
    // The cure that it names: one that has the list gives the server a snapshot again.
    ours.add(&["four"]);
    ours.sync();
    new.sync();
    assert_same("new", &new.dump(), "ours", &ours.dump());
}

/// Defect 5: a replica whose base the server has forgotten is stuck for ever.
#[test]
fn a_forgotten_base_is_no_dead_end() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "3"]);
    let meeting = server.meeting();
    let ours = Ours::new(room.path(), "ours", &meeting);
    let away = Ours::new(room.path(), "away", &meeting);
    let milk = ours.add(&["milk", "project:base"]);
    let bread = ours.add(&["bread"]);
    ours.sync();
    away.sync();
    let mut stuck = Real::new(room.path(), "stuck", &meeting);
    stuck.sync();
    for n in 0..8 {
        ours.change(&milk, &["modify", &format!("+tag{n}"), "project:theirs"]);
        ours.sync();
    }
    let mut probe = Real::new(room.path(), "probe", &meeting);
    let version = probe.call(json!("get_snapshot"))["version"].as_str().unwrap().to_owned();
    forget_before(&server, &version);
    // Meanwhile, far from the line.
    let tea = away.add(&["tea"]);
    away.change(&milk, &["modify", "priority:H", "-tag0"]);
    away.change(&bread, &["done"]);
    let said = away.sync();
    assert_eq!(said["reinitialised"], true, "{said}");
    assert!(stuck.try_sync().is_err(), "or the reference has learnt it too");
    settle(&room, &meeting, &[&ours, &away], &mut []);
    let tasks = ours.dump();
    assert_eq!(tasks[&milk]["priority"], "H");
    assert_eq!(tasks[&milk]["project"], "theirs");
    assert!(tasks[&milk].contains_key("tag_tag7"));
    assert_eq!(tasks[&bread]["status"], "completed");
    assert!(tasks.contains_key(&tea));
    assert_same("ours", &tasks, "real", &fresh(room.path(), &meeting));
}
