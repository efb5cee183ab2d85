//! Snapshots: who makes them when, and who begins from them.

use serde_json::json;

use crate::http::settle;
use crate::ours::Ours;
use crate::real::{Real, Server, fresh};
use crate::{NIL, Room, assert_same};

#[test]
fn a_fresh_real_replica_begins_from_our_snapshot() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "4"]);
    let meeting = server.meeting();
    let ours = Ours::new(room.path(), "ours", &meeting);
    let done = ours.add(&["done", "+home"]);
    ours.change(&done, &["done"]);
    // No snapshot at all is urgent, so the first push brings one.
    let said = ours.sync();
    assert_eq!(said["snapshot_made"], said["base_version"], "{said}");
    let mut made = 0;
    for n in 0..8 {
        ours.add(&[&format!("task {n} ü")]);
        let said = ours.sync();
        if !said["snapshot_made"].is_null() {
            assert_eq!(said["snapshot_made"], said["base_version"]);
            made += 1;
        }
    }
    assert!((1..=3).contains(&made), "about every fourth version: {made}");
    let mut probe = Real::new(room.path(), "probe", &meeting);
    let version = probe.call(json!("get_snapshot"))["version"].as_str().unwrap().to_owned();
    assert_ne!(version, probe.walk(NIL).1, "there are versions after it");
    // What lies before the snapshot may go: from here on only it can tell.
    forget_before(&server, &version);
    assert_same("real", &fresh(room.path(), &meeting), "ours", &ours.dump());
    settle(&room, &meeting, &[&ours], &mut []);
}

#[test]
fn we_begin_from_the_snapshot_of_a_real_replica() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "3"]);
    let meeting = server.meeting();
    let mut real = Real::new(room.path(), "real", &meeting);
    for n in 0..8 {
        let id = format!("00000000-0000-4000-8000-{n:012x}");
        real.create(&id, &[("description", "牛乳 \"x\""), ("status", "pending"), ("", "")]);
        if n == 4 {
            real.update(&id, "status", Some("completed"));
        }
        real.sync();
    }
    let version = real.call(json!("get_snapshot"))["version"].as_str().unwrap().to_owned();
    forget_before(&server, &version);
    let ours = Ours::new(room.path(), "ours", &meeting);
    let said = ours.sync();
    assert_eq!(said["snapshot_loaded"], *version, "{said}");
    assert_same("real", &real.dump(), "ours", &ours.dump());
    assert_eq!(ours.numbers().len(), 7);
    // One that had a few tasks before its first sync keeps them.
    let second = Ours::new(room.path(), "second", &meeting);
    let own = second.add(&["noted before the first sync"]);
    let said = second.sync();
    assert_eq!(said["snapshot_loaded"], *version, "{said}");
    settle(&room, &meeting, &[&ours, &second], &mut [("real", &mut real)]);
    assert!(ours.dump().contains_key(&own));
}

#[test]
fn with_avoid_snapshots_only_an_urgent_wish_is_heard() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "4"]);
    let meeting = server.meeting();
    let mut ours = Ours::new(room.path(), "ours", &meeting);
    ours.set("TA_AVOID_SNAPSHOTS", "true");
    let mut made = Vec::new();
    for n in 0..9 {
        ours.add(&[&format!("task {n}")]);
        made.push(!ours.sync()["snapshot_made"].is_null());
    }
    // The first (none at all), then at 4 * 3/2 versions since.
    let at: Vec<usize> =
        made.iter().enumerate().filter(|(_, made)| **made).map(|(n, _)| n).collect();
    assert_eq!(at, [0, 7], "counted before the new version is added");
    assert_same("real", &fresh(room.path(), &meeting), "ours", &ours.dump());
}

/// Removes what a server may remove: the versions up to and with the snapshot's.
pub(crate) fn forget_before(server: &Server, snapshot: &str) {
    let file = server.data.join("taskchampion-sync-server.sqlite3");
    let connection = rusqlite::Connection::open(file).unwrap();
    let sql = "
        WITH RECURSIVE old(id) AS (
            VALUES (?1)
            UNION SELECT parent_version_id FROM versions JOIN old ON version_id = old.id
        )
        DELETE FROM versions WHERE version_id IN (SELECT id FROM old)";
    assert!(connection.execute(sql, [snapshot]).unwrap() > 0);
}
