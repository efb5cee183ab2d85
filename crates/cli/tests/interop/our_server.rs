//! `ta serve` with the real crate, and with ours beside it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::http::settle;
use crate::ours::Ours;
use crate::real::{Real, fresh};
use crate::{CLIENT, Meeting, NIL, Room, SECRET, assert_same};

/// `ta serve` on a folder. Ends with the test.
pub(crate) struct OurServer {
    child: Child,
    pub(crate) url: String,
}

impl OurServer {
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ta"))
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
        Self { child, url: url.unwrap_or_else(|| panic!("`ta serve` did not start: {line:?}")) }
    }

    pub(crate) fn meeting(&self) -> Meeting {
        Meeting::server(&self.url)
    }
}

impl Drop for OurServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn task(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

#[test]
fn what_a_real_replica_uploads_another_and_ours_download() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let mut real = Real::new(room.path(), "real", &meeting);
    assert!(real.call(json!("get_snapshot")).is_null(), "an unknown client has none");
    for number in 0..20 {
        real.create(&task(number), &[("description", "牛乳 \"x\""), ("status", "pending")]);
    }
    real.sync();
    real.update(&task(3), "priority", Some("H"));
    real.delete(&task(4));
    real.sync();
    let tasks = real.dump();
    assert_same("real", &tasks, "fresh", &fresh(room.path(), &meeting));
    let ours = Ours::new(room.path(), "ours", &meeting);
    ours.sync();
    assert_same("real", &tasks, "ours", &ours.dump());
    assert_eq!(ours.sync()["requests"], 1, "nothing to do is one request");
}

#[test]
fn both_edit_at_once_and_the_one_that_is_refused_rebases() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let ours = Ours::new(room.path(), "ours", &meeting);
    let milk = ours.add(&["milk", "+home"]);
    ours.sync();
    let mut one = Real::new(room.path(), "one", &meeting);
    let mut two = Real::new(room.path(), "two", &meeting);
    one.sync();
    two.sync();
    one.update(&milk, "project", Some("one"));
    two.update(&milk, "project", Some("two"));
    two.update(&milk, "priority", Some("L"));
    ours.change(&milk, &["modify", "due:2026-12-01", "-home"]);
    one.sync();
    two.sync();
    ours.sync();
    settle(&room, &meeting, &[&ours], &mut [("one", &mut one), ("two", &mut two)]);
    assert_eq!(ours.dump()[&milk]["project"], "two", "the later one");
    // A version after an older one is refused with the latest's name.
    let latest = one.walk(NIL).1;
    let refused = one.call(json!({ "add_version": { "parent": NIL, "text": "{}" } }));
    assert_eq!(refused["expected_parent"], *latest, "{refused}");
}

#[test]
fn snapshots_are_asked_for_low_and_high_made_and_begun_from() {
    let room = Room::new();
    let flags = ["--snapshot-versions", "4", "--grace-days", "0"];
    let server = OurServer::start(&room.join("server"), &flags);
    let meeting = server.meeting();
    let mut real = Real::new(room.path(), "real", &meeting);
    let mut wishes = Vec::new();
    let mut parent = NIL.to_owned();
    for number in 0..9 {
        let text = json!({ "operations": [{ "Create": { "uuid": task(number) } }] }).to_string();
        let added = real.call(json!({ "add_version": { "parent": parent, "text": text } }));
        parent = added["version"].as_str().unwrap().to_owned();
        wishes.push(added["urgency"].as_str().unwrap().to_owned());
        if number == 0 {
            // An empty object, deflated: what the first version's snapshot might have been.
            let hex = "789cabae0500017500f9";
            real.call(json!({ "add_snapshot": { "version": parent, "hex": hex } }));
        }
    }
    let none_low_high: Vec<&str> = wishes.iter().map(String::as_str).collect();
    assert_eq!(
        none_low_high,
        ["high", "none", "none", "none", "none", "low", "low", "high", "high"]
    );
    // The planted snapshot lies; the next real one replaces it, as the wish is heard.
    let mut maker = Real::on(
        &room.join("maker"),
        &Meeting::Server {
            url: server.url.clone(),
            client: "22222222-2222-4333-8444-555555555555".into(),
            secret: SECRET.into(),
        },
    );
    for number in 0..8 {
        maker.create(&task(number), &[("description", "x"), ("status", "pending")]);
        maker.sync();
    }
    let snapshot = maker.call(json!("get_snapshot"));
    assert_ne!(snapshot["version"], *maker.walk(NIL).1, "there are versions after it");
    let other = Meeting::Server {
        url: server.url.clone(),
        client: "22222222-2222-4333-8444-555555555555".into(),
        secret: SECRET.into(),
    };
    let ours = Ours::new(room.path(), "ours", &other);
    let said = ours.sync();
    assert_eq!(said["snapshot_loaded"], snapshot["version"], "{said}");
    assert_same("maker", &maker.dump(), "ours", &ours.dump());
    assert_same("maker", &maker.dump(), "fresh", &fresh(room.path(), &other));
}

#[test]
fn more_than_a_megabyte_of_operations_arrives_in_several_versions() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let mut real = Real::new(room.path(), "real", &meeting);
    real.ok(json!({ "do": "many", "count": 2500, "properties": 6, "prefix": "task" }));
    real.sync();
    assert!(real.walk(NIL).0 >= 3, "several versions");
    let ours = Ours::new(room.path(), "ours", &meeting);
    ours.sync();
    assert_same("real", &real.dump(), "ours", &ours.dump());
    let long = "x".repeat(3_000_000);
    real.create(&task(1), &[("description", &long), ("status", "pending")]);
    real.sync();
    ours.sync();
    assert_eq!(ours.dump()[&task(1)]["description"].len(), 3_000_000, "one large operation");
}

#[test]
fn a_replica_whose_base_is_not_there_is_told_that_it_is_gone() {
    let room = Room::new();
    let server = OurServer::start(&room.join("server"), &[]);
    let mut real = Real::new(room.path(), "real", &server.meeting());
    real.create(&task(1), &[("description", "one")]);
    real.sync();
    // The same client at a server that has another history.
    let other = OurServer::start(&room.join("other"), &[]);
    let mut stranger = Real::new(room.path(), "stranger", &other.meeting());
    stranger.create(&task(2), &[("description", "two")]);
    stranger.sync();
    real.meet(&other.meeting());
    let error = real.try_sync().unwrap_err();
    assert!(error.contains("410"), "{error}");
}

#[test]
fn strangers_and_new_clients_are_refused_where_that_is_wished() {
    let room = Room::new();
    let other = "33333333-2222-4333-8444-555555555555";
    let listed = OurServer::start(&room.join("listed"), &["--allow-client-id", CLIENT]);
    let mut real = Real::new(room.path(), "real", &listed.meeting());
    real.create(&task(1), &[("description", "one")]);
    real.sync();
    real.meet(&Meeting::Server {
        url: listed.url.clone(),
        client: other.into(),
        secret: SECRET.into(),
    });
    assert!(real.try_sync().unwrap_err().contains("403"));
    let closed = OurServer::start(&room.join("closed"), &["--no-create-clients"]);
    let mut fresh = Real::new(room.path(), "fresh", &closed.meeting());
    fresh.create(&task(2), &[("description", "two")]);
    let error = fresh.try_sync().unwrap_err();
    assert!(error.contains("404"), "{error}");
    let ours = Ours::new(room.path(), "ours", &closed.meeting());
    ours.add(&["three"]);
    let said = ours.run(&["sync", "--json", "--new-history"]);
    assert_eq!(said.code, 5, "{said:?}");
}

#[test]
fn a_history_goes_on_at_our_server_where_it_was_at_the_reference() {
    let room = Room::new();
    let reference = crate::real::Server::start(&room.join("reference"), &[]);
    let mut real = Real::new(room.path(), "real", &reference.meeting());
    real.create(&task(1), &[("description", "one"), ("status", "pending")]);
    real.sync();
    let server = OurServer::start(&room.join("server"), &[]);
    real.meet(&server.meeting());
    real.update(&task(1), "description", Some("two"));
    // Adopted in the middle: a snapshot is asked for with high urgency, and the crate makes it.
    real.sync();
    let tasks = real.dump();
    assert_same("real", &tasks, "fresh", &fresh(room.path(), &server.meeting()));
}

/// One of an operator's commands on the data of a server; its document.
fn operate(data: &Path, words: &[&str]) -> serde_json::Value {
    let ran = Command::new(env!("CARGO_BIN_EXE_ta"))
        .env_clear()
        .arg("server")
        .args(words)
        .args(["--json", "--data-dir", data.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn replicas_in_step_go_on_under_another_client_id_the_real_ones_first() {
    let room = Room::new();
    let data = room.join("server");
    let server = OurServer::start(&data, &[]);
    let meeting = server.meeting();
    let [mut first, mut second] = ["first", "second"].map(|n| Real::new(room.path(), n, &meeting));
    first.create(&task(1), &[("description", "one"), ("status", "pending")]);
    first.sync();
    second.sync();
    let mut ours = Ours::new(room.path(), "ours", &meeting);
    ours.sync();
    let tag = operate(&data, &["client", "list"])[0]["client"].as_str().unwrap().to_owned();
    let rotated = operate(&data, &["client", "rotate", &tag, "--yes"]);
    let client = rotated["client_id"].as_str().unwrap().to_owned();
    let moved = Meeting::Server { url: server.url.clone(), client, secret: SECRET.into() };
    first.meet(&moved);
    second.meet(&moved);
    ours.meet(&moved);
    // Nothing is to be sent yet, and nothing is wrong.
    first.sync();
    first.update(&task(1), "description", Some("two"));
    first.sync();
    second.update(&task(1), "priority", Some("H"));
    second.sync();
    ours.add(&["three"]);
    ours.sync();
    first.sync();
    second.sync();
    let tasks = first.dump();
    assert_eq!((tasks.len(), tasks[&task(1)]["description"].as_str()), (2, "two"));
    assert_same("first", &tasks, "second", &second.dump());
    assert_same("first", &tasks, "ours", &ours.dump());
    assert_same("first", &tasks, "fresh", &fresh(room.path(), &moved));
    first.meet(&meeting);
    // A client that was served a moment ago may be for a second more.
    let is_refused = || first.try_sync().is_err_and(|error| error.contains("403"));
    assert!(std::iter::repeat_with(is_refused).take(10_000).any(|is_so| is_so));
    operate(&data, &["client", "delete", &tag, "--yes"]);
    second.sync();
}
