//! What a server may say but yes: refusals, a forgotten client, a reset, a restored backup.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::http::settle;
use crate::ours::Ours;
use crate::real::{Real, Server, fresh};
use crate::{CLIENT, Meeting, Room, SECRET, assert_same};

const OTHER_CLIENT: &str = "99999999-2222-4333-8444-555555555555";

#[test]
fn a_client_that_is_not_allowed_is_told_so_and_loses_nothing() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--allow-client-id", OTHER_CLIENT]);
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    ours.add(&["milk"]);
    let said = ours.fails(5, &["sync"]);
    assert!(said.err.contains("server_client_key"), "{said:?}");
    let empty = Ours::new(room.path(), "empty", &server.meeting());
    empty.fails(5, &["sync"]);
    let (listen, data) = server.stop();
    let server = Server::start_at(&data, &listen, &["--allow-client-id", CLIENT]);
    settle(&room, &server.meeting(), &[&ours, &empty], &mut []);
    assert_eq!(empty.dump().len(), 1);
}

#[test]
fn a_server_that_takes_no_new_clients_is_told_from_an_empty_one() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--no-create-clients"]);
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    ours.add(&["milk"]);
    let said = ours.fails(5, &["sync"]);
    assert!(said.err.contains("client id"), "{said:?}");
    ours.fails(5, &["sync"]);
    let (listen, data) = server.stop();
    let server = Server::start_at(&data, &listen, &[]);
    settle(&room, &server.meeting(), &[&ours], &mut []);
}

#[test]
fn a_wrong_secret_reads_nothing_and_writes_nothing() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    let task = ours.add(&["milk"]);
    ours.sync();
    let wrong = Meeting::Server {
        url: server.url.clone(),
        client: CLIENT.into(),
        secret: "mistyped-horse".into(),
    };
    let new = Ours::new(room.path(), "new", &wrong);
    new.add(&["bread"]);
    let said = new.fails(6, &["sync"]);
    assert!(said.err.contains("encryption_secret"), "{said:?}");
    // A secret that was right once and is changed is proved before it writes.
    let mut changed = ours.clone();
    changed.change(&task, &["modify", "project:p"]);
    changed.meet(&wrong);
    changed.fails(6, &["sync"]);
    // Neither wrote anything that the others cannot read.
    let mut new = new;
    new.meet(&server.meeting());
    settle(&room, &server.meeting(), &[&ours, &new], &mut []);
    assert_eq!(ours.dump().len(), 2);
    assert_eq!(SECRET, "correct-horse");
}

/// A server whose data is gone, restarted on the same address.
fn reset(server: Server) -> Server {
    let (listen, data) = server.stop();
    fs::remove_dir_all(&data).unwrap();
    Server::start_at(&data, &listen, &[])
}

#[test]
fn a_server_that_was_reset_gets_the_list_again() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let a = Ours::new(room.path(), "a", &server.meeting());
    let b = Ours::new(room.path(), "b", &server.meeting());
    let task = a.add(&["milk"]);
    a.sync();
    b.sync();
    let mut real = Real::new(room.path(), "real", &server.meeting());
    real.sync();
    let server = reset(server);
    let said = a.sync();
    assert_eq!(said["client_was_forgotten"], true, "{said}");
    // Nothing had waited, and yet all of it is there again: for new replicas, and for those in step.
    assert!(said["snapshot_made"].is_string(), "{said}");
    settle(&room, &server.meeting(), &[&a, &b], &mut [("real", &mut real)]);
    a.change(&task, &["modify", "project:a"]);
    b.change(&task, &["modify", "priority:H"]);
    a.sync();
    b.sync();
    settle(&room, &server.meeting(), &[&a, &b], &mut [("real", &mut real)]);
    assert_eq!(b.dump()[&task]["project"], "a");
    assert_eq!(a.dump()[&task]["priority"], "H");
}

/// A list that the real client has synchronised is used in place, and `ta` is told of a server that
/// has never heard of it.
#[test]
fn a_list_from_elsewhere_begins_at_a_new_server_or_folder_on_request_only() {
    let room = Room::new();
    let (old, new) = (Server::start(&room.join("old"), &[]), Server::start(&room.join("new"), &[]));
    let mut real = Real::new(room.path(), "real", &old.meeting());
    let task = "aaaaaaaa-1111-4111-8111-111111111111";
    real.create(task, &[("description", "milk"), ("status", "pending")]);
    real.sync();
    let data = room.join("real");
    drop(real);
    for (meeting, exit) in [(new.meeting(), 7), (Meeting::directory(room.join("folder")), 3)] {
        let copy = room.join(&format!("copy{exit}"));
        fs::create_dir(&copy).unwrap();
        fs::copy(data.join("taskchampion.sqlite3"), copy.join("taskchampion.sqlite3")).unwrap();
        let ours = Ours::on(room.path(), &format!("ours{exit}"), &copy, &meeting);
        let said = ours.fails(exit, &["sync"]);
        assert!(said.err.contains("--new-history"), "{said:?}");
        ours.ok(&["sync", "--new-history"]);
        let new = Ours::new(room.path(), &format!("new{exit}"), &meeting);
        new.sync();
        assert!(new.dump().contains_key(task));
        assert_eq!(ours.sync()["outcome"], "in_step");
    }
}

/// One replica had seen less of the old history than another when the server forgot it all, and
/// `first` is the quicker one at the new. Returns what both hold in the end, and the ids of the old
/// task and of the new one that only the other had seen.
#[track_caller]
fn after_a_reset(room: &Room, first: &str) -> (crate::Tasks, String, String) {
    let server = Server::start(&room.join("server"), &[]);
    let behind = Ours::new(room.path(), "behind", &server.meeting());
    let ahead = Ours::new(room.path(), "ahead", &server.meeting());
    let task = behind.add(&["milk", "due:2026-12-01"]);
    behind.sync();
    ahead.sync();
    ahead.change(&task, &["modify", "project:ahead", "due:"]);
    let tea = ahead.add(&["tea"]);
    ahead.sync();
    let server = reset(server);
    behind.change(&task, &["modify", "priority:H"]);
    ahead.change(&task, &["annotate", "after the reset"]);
    for _ in 0..2 {
        if first == "ahead" {
            ahead.sync();
        }
        behind.sync();
        ahead.sync();
    }
    settle(room, &server.meeting(), &[&behind, &ahead], &mut []);
    (behind.dump(), task, tea)
}

#[test]
fn a_reset_loses_nothing_if_who_had_seen_most_syncs_first() {
    let room = Room::new();
    let (tasks, task, tea) = after_a_reset(&room, "ahead");
    assert!(tasks.contains_key(&tea));
    assert_eq!(tasks[&task]["project"], "ahead");
    assert_eq!(tasks[&task]["priority"], "H");
    assert!(!tasks[&task].contains_key("due"));
}

#[test]
fn a_reset_loses_no_task_whoever_syncs_first() {
    let room = Room::new();
    let (tasks, task, tea) = after_a_reset(&room, "behind");
    assert!(tasks.contains_key(&tea));
    assert_eq!(tasks[&task]["priority"], "H");
    assert!(tasks[&task].keys().any(|key| key.starts_with("annotation_")));
}

#[test]
fn a_reset_loses_no_change_whoever_syncs_first() {
    let room = Room::new();
    let (tasks, task, _) = after_a_reset(&room, "behind");
    assert_eq!(tasks[&task].get("project").map(String::as_str), Some("ahead"));
    assert!(!tasks[&task].contains_key("due"));
}

/// A server restored from a backup, on which another replica went on before we came: what both
/// changed since is decided by time, and the loser is told; everything else of ours goes there again.
#[test]
fn a_restored_server_on_which_another_went_on_gets_what_it_lost() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    let task = ours.add(&["milk", "due:2026-12-01", "project:base", "+home"]);
    let plain = ours.add(&["bread", "project:base"]);
    ours.sync();
    let mut behind = Real::new(room.path(), "behind", &server.meeting());
    behind.sync();
    let (listen, data) = server.stop();
    copy(&data, &room.join("backup"));
    let server = Server::start_at(&data, &listen, &[]);
    for round in 0..3 {
        ours.change(&task, &["modify", &format!("project:ours{round}"), "-home", "due:"]);
        ours.sync();
    }
    let tea = ours.add(&["tea"]);
    ours.sync();
    let (listen, data) = server.stop();
    fs::remove_dir_all(&data).unwrap();
    copy(&room.join("backup"), &data);
    let server = Server::start_at(&data, &listen, &[]);

    behind.update_at(&task, "project", Some("theirs"), "2026-01-01T00:00:00Z");
    behind.update(&task, "priority", Some("H"));
    behind.update(&plain, "project", Some("theirs"));
    behind.sync();
    ours.change(&task, &["annotate", "since"]);
    let said = ours.sync();
    assert_eq!(said["reinitialised"], true, "{said}");
    assert!(said["forked_at"].is_string(), "{said}");
    let conflicts = said["conflicts"].as_array().unwrap();
    let told: Vec<_> = conflicts.iter().map(|it| (&it["property"], &it["lost"])).collect();
    assert_eq!(told, [(&json!("project"), &json!("theirs"))], "and no other");
    settle(&room, &server.meeting(), &[&ours], &mut [("behind", &mut behind)]);
    let tasks = ours.dump();
    assert_eq!(tasks[&task]["project"], "ours2");
    assert_eq!(tasks[&task]["priority"], "H");
    assert!(!tasks[&task].contains_key("due") && !tasks[&task].contains_key("tag_home"));
    assert!(tasks[&task].keys().any(|key| key.starts_with("annotation_")));
    assert_eq!(tasks[&plain]["project"], "theirs");
    assert!(tasks.contains_key(&tea));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_server_restored_from_a_backup_is_brought_up_by_whoever_is_asked() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let a = Ours::new(room.path(), "a", &server.meeting());
    let b = Ours::new(room.path(), "b", &server.meeting());
    let task = a.add(&["milk", "due:2026-12-01"]);
    let doomed = a.add(&["doomed"]);
    a.sync();
    b.sync();
    let (listen, data) = server.stop();
    copy(&data, &room.join("backup"));
    let server = Server::start_at(&data, &listen, &[]);
    a.change(&task, &["modify", "project:after", "due:"]);
    let tea = a.add(&["tea"]);
    a.change(&doomed, &["delete"]);
    a.sync();
    b.sync();
    let (listen, data) = server.stop();
    fs::remove_dir_all(&data).unwrap();
    copy(&room.join("backup"), &data);
    let server = Server::start_at(&data, &listen, &[]);

    a.change(&task, &["modify", "priority:H"]);
    b.change(&task, &["annotate", "on b"]);
    let before = a.dump();
    let said = a.fails(7, &["sync"]);
    assert!(said.err.contains("--upload-difference"), "{said:?}");
    assert_same("a before", &before, "a after", &a.dump());
    b.fails(7, &["sync"]);
    // One that never saw the later versions notices nothing.
    let mut old = Real::new(room.path(), "old", &server.meeting());
    old.sync();
    assert_eq!(old.dump()[&task].get("project"), None);

    a.ok(&["sync", "--upload-difference"]);
    let said = b.run(&["sync"]);
    println!("{said:?}");
    settle(&room, &server.meeting(), &[&a, &b], &mut [("old", &mut old)]);
    let tasks = b.dump();
    assert_eq!(tasks[&task]["project"], "after");
    assert!(!tasks[&task].contains_key("due"));
    assert_eq!(tasks[&task]["priority"], "H");
    assert!(tasks[&task].keys().any(|key| key.starts_with("annotation_")), "{tasks:?}");
    assert!(tasks.contains_key(&tea));
    assert_eq!(tasks[&doomed]["status"], "deleted");
    assert_same("b", &tasks, "real", &fresh(room.path(), &server.meeting()));
}
