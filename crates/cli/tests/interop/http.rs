//! One history through the reference server.

use serde_json::json;

use crate::line::{Event, Line};
use crate::ours::Ours;
use crate::random::{Random, edit_ours, edit_real};
use crate::real::{Real, Server, fresh};
use crate::{Meeting, Room, assert_same};

/// Syncs all of ours and of theirs until none has anything to do, and compares everybody, with a
/// fresh one of each kind.
#[track_caller]
pub(crate) fn settle(
    room: &Room,
    meeting: &Meeting,
    ours: &[&Ours],
    real: &mut [(&str, &mut Real)],
) {
    for round in 0.. {
        let mut is_quiet = true;
        for (_, real) in real.iter_mut() {
            let before = real.base();
            real.sync();
            is_quiet &= real.base() == before;
        }
        for ours in ours {
            is_quiet &= ours.sync()["outcome"] == "in_step";
        }
        if is_quiet {
            break;
        }
        assert!(round < 10, "it never becomes quiet");
    }
    let expected = fresh(room.path(), meeting);
    for (name, real) in real.iter_mut() {
        assert_same("a fresh real one", &expected, name, &real.dump());
    }
    for ours in ours {
        assert_same("a fresh real one", &expected, ours.name(), &ours.dump());
        ours.assert_sound();
    }
    let new = Ours::new(room.path(), &format!("fresh-{}", Random(0).next()), meeting);
    new.sync();
    assert_same("a fresh real one", &expected, "a fresh one of ours", &new.dump());
    std::fs::remove_dir_all(new.data()).unwrap();
}

/// What a sync did, in one line of a test's log.
pub(crate) fn short(said: &serde_json::Value) -> String {
    format!(
        "{} up {} down {} {}",
        said["outcome"], said["up"]["operations"], said["down"]["operations"], said["base_version"]
    )
}

#[test]
fn what_we_upload_a_fresh_real_replica_downloads() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    let milk = ours.add(&["milk", "project:home", "due:tomorrow", "+shop", "priority:H"]);
    let tea = ours.add(&["Tee & Ærø \"quoted\" 牛乳", "depends:1"]);
    ours.change(&milk, &["annotate", "two litres\u{7}"]);
    ours.change(&tea, &["start"]);
    let gone = ours.add(&["gone"]);
    ours.change(&gone, &["delete"]);
    assert_eq!(ours.sync()["up"]["versions"], 1);
    let real = fresh(room.path(), &server.meeting());
    assert_eq!(real.len(), 3);
    assert_same("real", &real, "ours", &ours.dump());
    assert_eq!(ours.sync()["requests"], 1, "nothing to do is one request");
    ours.assert_sound();
}

#[test]
fn what_a_real_replica_uploads_we_download() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let mut random = Random(1);
    let mut real = Real::new(room.path(), "real", &server.meeting());
    for _ in 0..60 {
        edit_real(&mut random, &mut real, "real");
    }
    real.sync();
    for _ in 0..20 {
        edit_real(&mut random, &mut real, "real");
    }
    real.sync();
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    ours.sync();
    assert_same("real", &real.dump(), "ours", &ours.dump());
    ours.assert_sound();
}

#[test]
fn both_edit_the_same_tasks_and_end_equal() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let a = Ours::new(room.path(), "a", &meeting);
    let b = Ours::new(room.path(), "b", &meeting);
    let mut real = Real::new(room.path(), "real", &meeting);
    let task = a.add(&["milk", "+home", "due:2026-12-01"]);
    let doomed = a.add(&["doomed"]);
    a.sync();
    b.sync();
    real.sync();

    a.change(&task, &["modify", "project:mine", "-home", "due:2026-12-02"]);
    b.change(&task, &["modify", "project:other", "+work", "due:"]);
    real.update_at(&task, "project", Some("theirs, and from the future"), "2099-01-01T00:00:00Z");
    real.update(&task, "tag_work", Some("x"));
    real.update(&task, "annotation_1700000000", Some("theirs"));
    a.change(&task, &["annotate", "ours"]);
    real.delete(&doomed);
    a.change(&doomed, &["modify", "priority:L"]);
    b.change(&doomed, &["done"]);
    let said = b.sync();
    assert_eq!(said["conflicts"].as_array().unwrap().len(), 0, "the first has nobody to lose to");
    real.sync();
    let said = a.sync();
    let conflicts = said["conflicts"].to_string();
    assert!(conflicts.contains("mine") && conflicts.contains("doomed"), "{said}");
    settle(&room, &meeting, &[&a, &b], &mut [("real", &mut real)]);
    let tasks = a.dump();
    assert!(!tasks.contains_key(&doomed), "removed beats changed");
    assert_eq!(tasks[&task]["project"], "theirs, and from the future");
    assert!(!tasks[&task].contains_key("tag_home") && tasks[&task].contains_key("tag_work"));
    assert_eq!(tasks[&task].keys().filter(|key| key.starts_with("annotation_")).count(), 2);
}

#[test]
fn random_edits_converge_through_the_server() {
    let room = Room::new();
    // Snapshots are asked for now and then, so that all parties make and meet them.
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "12"]);
    let meeting = server.meeting();
    let seed = crate::seed(20);
    let mut random = Random(seed);
    let a = Ours::new(room.path(), "a", &meeting);
    let b = Ours::new(room.path(), "b", &meeting);
    let mut real = Real::new(room.path(), "real", &meeting);
    // An empty replica that finds an empty server would have to ask later on.
    a.add(&["the first"]);
    a.sync();
    for round in 0..30 {
        for _ in 0..random.below(3) {
            println!("{round} {}", edit_ours(&mut random, &a));
        }
        for _ in 0..random.below(3) {
            println!("{round} {}", edit_ours(&mut random, &b));
        }
        for _ in 0..random.below(5) {
            println!("{round} {}", edit_real(&mut random, &mut real, "real"));
        }
        if random.once_in(2) {
            println!("{round} a {}", short(&a.sync()));
        }
        if random.once_in(2) {
            println!("{round} b {}", short(&b.sync()));
        }
        if random.once_in(2) {
            println!("{round} real syncs");
            real.sync();
        }
        if round % 10 == 9 {
            settle(&room, &meeting, &[&a, &b], &mut [("real", &mut real)]);
        }
    }
    settle(&room, &meeting, &[&a, &b], &mut [("real", &mut real)]);
}

#[test]
fn a_version_that_slips_in_before_our_push_is_rebased_over() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let a = Ours::new(room.path(), "a", &Meeting::server(&line.url));
    let mut real = Real::new(room.path(), "real", &server.meeting());
    let task = a.add(&["milk"]);
    a.sync();
    real.sync();
    a.change(&task, &["modify", "project:older", "priority:H"]);
    // Twice in one sync: theirs is newer, then older than ours.
    let mut slower = Real::new(room.path(), "slower", &server.meeting());
    slower.sync();
    slower.update_at(&task, "priority", Some("L"), "2020-01-01T00:00:00Z");
    let (id, mut quicker) = (task.clone(), real);
    let (back, quick) = std::sync::mpsc::channel();
    line.plan(vec![
        Event::Before(Box::new(move || {
            quicker.update_at(&id, "project", Some("newer"), "2099-01-01T00:00:00Z");
            quicker.sync();
            back.send(quicker).unwrap();
        })),
        Event::Before(Box::new(move || slower.sync())),
    ]);
    let said = a.sync();
    assert!(line.is_done(), "both slipped in: {said}");
    let mut real = quick.recv().unwrap();
    settle(&room, &server.meeting(), &[&a], &mut [("real", &mut real)]);
    let tasks = a.dump();
    assert_eq!(tasks[&task]["project"], "newer");
    assert_eq!(tasks[&task]["priority"], "H");
}

#[test]
fn an_answer_that_is_lost_after_the_server_took_the_push_is_found_again() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let a = Ours::new(room.path(), "a", &Meeting::server(&line.url));
    let task = a.add(&["milk"]);
    a.sync();
    a.change(&task, &["modify", "project:sent"]);
    line.plan(vec![Event::LoseAnswer]);
    a.fails(4, &["sync", "--json"]);
    // Meanwhile life goes on, on both sides.
    a.change(&task, &["modify", "priority:H"]);
    let mut real = Real::new(room.path(), "real", &server.meeting());
    real.sync();
    assert_eq!(real.dump()[&task]["project"], "sent", "the server had taken it");
    real.update(&task, "project", Some("theirs, later"));
    real.sync();
    line.mend();
    let said = a.sync();
    assert_eq!(said["up"]["versions"], 2, "the one that was sent and the new one: {said}");
    settle(&room, &server.meeting(), &[&a], &mut [("real", &mut real)]);
    assert_eq!(a.dump()[&task]["project"], "theirs, later");
    assert_eq!(real.walk(crate::NIL).0, 4, "nothing was sent twice");
}

#[test]
fn an_edit_that_lost_and_is_restored_wins_everywhere() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let a = Ours::new(room.path(), "a", &meeting);
    let task = a.add(&["milk", "project:base"]);
    let gone = a.add(&["gone", "+home"]);
    a.sync();
    let mut real = Real::new(room.path(), "real", &meeting);
    real.sync();
    a.change(&task, &["modify", "project:ours"]);
    a.change(&gone, &["modify", "priority:H"]);
    real.update(&task, "project", Some("theirs"));
    real.delete(&gone);
    real.sync();
    let said = a.sync();
    let conflicts = said["conflicts"].as_array().unwrap();
    assert_eq!(conflicts.len(), 2, "{said}");
    for conflict in conflicts {
        a.ok(&["conflicts", "restore", &conflict["id"].to_string()]);
    }
    settle(&room, &meeting, &[&a], &mut [("real", &mut real)]);
    let tasks = real.dump();
    assert_eq!(tasks[&task]["project"], "ours");
    assert_eq!(tasks[&gone]["priority"], "H");
    assert_eq!(tasks[&gone]["description"], "gone");
}

/// What the format allows beside what the reference writes (section 3), read as the reference reads
/// it.
#[test]
fn odd_but_valid_versions_are_read_alike() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let ours = Ours::new(room.path(), "ours", &meeting);
    let task = ours.add(&["milk"]);
    ours.sync();
    let mut real = Real::new(room.path(), "real", &meeting);
    real.sync();
    let other = "5C391D1E89EC44C388C3F6A4E5D60A36";
    let at = "2026-11-20T15:31:53.5+02:00";
    let versions = [
        json!({ "operations": [] }),
        json!({ "operations": [], "later": { "x": [1] } }),
        json!({ "operations": [
            { "Create": { "uuid": other, "extra": true } },
            { "Update": { "uuid": other, "property": "description", "value": "ä", "timestamp": at } },
            { "Update": { "timestamp": at, "property": "due", "uuid": task.to_uppercase() } },
            { "Update": { "uuid": task, "property": "", "value": "", "timestamp": at } },
        ] }),
        // What does not fit the state is skipped.
        json!({ "operations": [
            { "Create": { "uuid": task } },
            { "Delete": { "uuid": "00000000-0000-4000-8000-00000000000a" } },
            { "Update": { "uuid": "00000000-0000-4000-8000-00000000000b", "property": "p",
                          "value": "v", "timestamp": at } },
            { "Delete": { "uuid": other } },
            { "Update": { "uuid": other, "property": "p", "value": "v", "timestamp": at } },
            { "Create": { "uuid": other } },
            { "Update": { "uuid": other, "property": "q", "value": null, "timestamp": at } },
        ] }),
    ];
    for version in versions {
        let parent = real.walk(crate::NIL).1;
        let text = version.to_string();
        let added = real.call(json!({ "add_version": { "parent": parent, "text": text } }));
        assert!(added["version"].is_string(), "{added}");
        ours.change(&task, &["modify", "+pending"]);
        ours.change(&task, &["modify", "-pending"]);
        settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
    }
}
