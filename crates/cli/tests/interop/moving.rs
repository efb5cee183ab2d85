//! From a directory to a server and back, and two lists that become one.

use crate::http::settle;
use crate::large::import_many;
use crate::ours::Ours;
use crate::random::{Random, edit_real};
use crate::real::{Real, Server};
use crate::{Meeting, Room};

#[test]
fn a_list_moves_to_a_server_and_back() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let directory = Meeting::directory(room.join("directory"));
    let mut ours = Ours::new(room.path(), "ours", &directory);
    let mut here = Real::new(room.path(), "here", &directory);
    let milk = ours.add(&["milk", "+home", "due:2026-12-01"]);
    ours.add(&["bread"]);
    settle(&room, &directory, &[&ours], &mut [("here", &mut here)]);

    ours.meet(&server.meeting());
    ours.sync();
    let mut there = Real::new(room.path(), "there", &server.meeting());
    settle(&room, &server.meeting(), &[&ours], &mut [("there", &mut there)]);
    // Both sides go on without each other.
    there.update(&milk, "project", Some("there"));
    there.update(&milk, "due", None);
    there.sync();
    here.update(&milk, "priority", Some("H"));
    here.update(&milk, "tag_home", None);
    here.sync();
    ours.sync();
    ours.meet(&directory);
    ours.sync();
    settle(&room, &directory, &[&ours], &mut [("here", &mut here)]);
    ours.meet(&server.meeting());
    ours.sync();
    settle(&room, &server.meeting(), &[&ours], &mut [("there", &mut there)]);
    let task = &ours.dump()[&milk];
    assert_eq!((task["project"].as_str(), task["priority"].as_str()), ("there", "H"));
    assert!(!task.contains_key("due") && !task.contains_key("tag_home"), "{task:?}");
}

#[test]
fn two_lists_are_joined_only_when_a_person_says_so() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let mut random = Random(5);
    let mut real = Real::new(room.path(), "real", &meeting);
    for _ in 0..40 {
        edit_real(&mut random, &mut real, "real");
    }
    real.sync();
    let theirs = real.dump().len();
    let ours = Ours::new(room.path(), "ours", &meeting);
    import_many(&ours, 150);
    let said = ours.fails(7, &["sync"]);
    assert!(said.err.contains("--join"), "{said:?}");
    assert_eq!(ours.dump().len(), 150);
    ours.ok(&["sync", "--join"]);
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
    assert_eq!(ours.dump().len(), 150 + theirs);
}
