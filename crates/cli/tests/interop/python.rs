//! The Python binding `taskchampion-py` (crate 2.0) with `ta serve`, and in one directory with ours.

use serde_json::json;

use crate::our_server::OurServer;
use crate::ours::Ours;
use crate::real::{Real, fresh};
use crate::{CLIENT, Meeting, Room, SECRET, Tasks, assert_same};

fn task(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn fresh_python(room: &Room, meeting: &Meeting) -> Tasks {
    let folder = tempfile::TempDir::new_in(room.path()).unwrap();
    let mut python = Real::python(folder.path(), meeting);
    python.sync();
    python.dump()
}

/// Syncs until nothing moves, and then all hold the same, the fresh ones included.
#[track_caller]
fn settle(room: &Room, meeting: &Meeting, ours: &Ours, python: &mut Real) -> Tasks {
    for _ in 0..2 {
        python.sync();
        ours.sync();
    }
    let expected = fresh_python(room, meeting);
    assert_same("a fresh binding", &expected, "the crate", &fresh(room.path(), meeting));
    assert_same("a fresh binding", &expected, "the binding", &python.dump());
    assert_same("a fresh binding", &expected, "ours", &ours.dump());
    expected
}

/// First sync, both directions, and edits of one task on both sides.
fn both_ways(meeting: &Meeting) {
    let room = Room::new();
    let mut python = Real::python(&room.join("python"), meeting);
    for number in 0..20 {
        let text = format!("牛乳 \"{number}\" \\ \u{7f}\u{200b} \\u{{41}}\ttab");
        python.create(&task(number), &[("description", &text), ("status", "pending")]);
    }
    python.sync();
    let ours = Ours::new(room.path(), "ours", meeting);
    ours.sync();
    assert_same("the binding", &python.dump(), "ours", &ours.dump());
    let milk = ours.add(&["milk", "+home"]);
    ours.change(&task(3), &["modify", "project:ours", "priority:H"]);
    ours.change(&task(5), &["annotate", "seen"]);
    python.update(&task(3), "project", Some("python"));
    python.delete(&task(4));
    python.update(&task(5), "due", Some("1795188713"));
    ours.sync();
    let tasks = settle(&room, meeting, &ours, &mut python);
    assert_eq!(tasks[&task(3)]["project"], "python", "the later edit");
    assert_eq!(tasks[&task(3)]["priority"], "H");
    assert!(tasks[&milk].contains_key("tag_home"));
    assert!(!tasks.contains_key(&task(4)));
    // What one undoes before it has travelled never existed for the other.
    python.update(&task(3), "project", Some("mistake"));
    assert!(python.undo());
    ours.change(&milk, &["done"]);
    let tasks = settle(&room, meeting, &ours, &mut python);
    assert_eq!(tasks[&task(3)]["project"], "python");
    assert_eq!(tasks[&milk]["status"], "completed");
}

#[test]
fn the_binding_and_ours_keep_one_history_at_our_server() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &[]);
    both_ways(&server.meeting());
}

#[test]
fn the_binding_and_ours_keep_one_history_in_a_directory() {
    let room = Room::new();
    let folder = room.join("shared");
    // The library does not make it.
    std::fs::create_dir(&folder).unwrap();
    both_ways(&Meeting::directory(folder));
}

#[test]
fn the_binding_makes_the_snapshots_that_our_server_asks_for_and_begins_from_ours() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &["--snapshot-versions", "4"]);
    let meeting = server.meeting();
    let mut python = Real::python(&room.join("python"), &meeting);
    for number in 0..10 {
        python.create(&task(number), &[("description", "x"), ("status", "pending")]);
        python.sync();
    }
    let ours = Ours::new(room.path(), "ours", &meeting);
    let said = ours.sync();
    assert!(said["snapshot_loaded"].is_string(), "{said}");
    assert_same("the binding", &python.dump(), "ours", &ours.dump());
    // Ours makes the next ones.
    let mut made = 0;
    for number in 0..10 {
        ours.add(&[&format!("of ours {number}")]);
        made += usize::from(ours.sync()["snapshot_made"].is_string());
    }
    assert!(made > 0, "ten versions after the last");
    let tasks = settle(&room, &meeting, &ours, &mut python);
    assert_eq!(tasks.len(), 20);
}

#[test]
fn more_than_a_megabyte_of_the_binding_s_operations_arrives() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let mut python = Real::python(&room.join("python"), &meeting);
    python.ok(json!({ "do": "many", "count": 2500, "properties": 6 }));
    let long = "x".repeat(3_000_000);
    python.create(&task(1), &[("description", &long), ("status", "pending")]);
    python.sync();
    let ours = Ours::new(room.path(), "ours", &meeting);
    ours.sync();
    assert_same("the binding", &python.dump(), "ours", &ours.dump());
}

/// All that the binding tells of an answer that is none.
#[track_caller]
fn assert_refused(python: &mut Real) {
    let error = python.try_sync().unwrap_err();
    assert!(error.contains("synchronize with server"), "{error}");
}

#[test]
fn what_our_server_refuses_the_binding_is_not_lost() {
    let room = Room::new();
    let listed = OurServer::start(&room.join("listed"), &["--allow-client-id", CLIENT]);
    let mut python = Real::python(&room.join("python"), &listed.meeting());
    python.create(&task(1), &[("description", "one"), ("status", "pending")]);
    python.sync();
    let stranger = "33333333-2222-4333-8444-555555555555";
    python.meet(&Meeting::Server {
        url: listed.url.clone(),
        client: stranger.into(),
        secret: SECRET.into(),
    });
    assert_refused(&mut python);
    // 403 that was; 404 for a client that the server does not know, where it makes no new ones.
    let closed = OurServer::start(&room.join("closed"), &["--no-create-clients"]);
    let mut unknown = Real::python(&room.join("unknown"), &closed.meeting());
    unknown.create(&task(2), &[("description", "two"), ("status", "pending")]);
    assert_refused(&mut unknown);
    // And not because it had ended.
    let ours = Ours::new(room.path(), "at the closed one", &closed.meeting());
    ours.add(&["three"]);
    assert_eq!(ours.run(&["sync", "--new-history"]).code, 5);
    // 410 for a base that is not on the server's chain.
    let other = OurServer::start(&room.join("other"), &[]);
    let ours = Ours::new(room.path(), "ours", &other.meeting());
    ours.add(&["another history"]);
    ours.run(&["sync", "--new-history"]);
    python.meet(&other.meeting());
    assert_refused(&mut python);
    python.meet(&listed.meeting());
    python.update(&task(1), "description", Some("goes on"));
    python.sync();
    let tasks = fresh(room.path(), &listed.meeting());
    assert_eq!(tasks[&task(1)]["description"], "goes on");
}
