//! More pending than one version holds.

use serde_json::json;

use crate::http::settle;
use crate::line::{Event, Line};
use crate::ours::Ours;
use crate::real::{Real, Server, fresh};
use crate::{Meeting, NIL, Room, assert_same};

/// Imports that many tasks in one command; each is a good kilobyte on the wire. Gives their ids.
pub(crate) fn import_many(ours: &Ours, count: usize) -> Vec<String> {
    let ids: Vec<String> =
        (0..count).map(|n| format!("00000000-0000-4000-8000-{n:012x}")).collect();
    let filler = "x".repeat(400);
    let records: Vec<_> = ids
        .iter()
        .map(|id| {
            json!({
                "uuid": id, "description": format!("task {id} {filler}"), "status": "pending",
                "entry": "20260101T000000Z", "modified": "20260101T000000Z", "project": "large",
                "tags": ["home"],
            })
        })
        .collect();
    let said = ours.feed(&["import", "-", "--json"], &json!(records).to_string());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["new"], count);
    ids
}

#[test]
fn a_large_list_travels_in_several_versions() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let ours = Ours::new(room.path(), "ours", &server.meeting());
    import_many(&ours, 2500);
    let said = ours.sync();
    let versions = said["up"]["versions"].as_u64().unwrap();
    assert!(versions >= 3, "{said}");
    assert_eq!(said["requests"], 2 + versions + 1, "look twice, send, and the snapshot: {said}");
    assert_same("real", &fresh(room.path(), &server.meeting()), "ours", &ours.dump());
    // The reverse, through a directory.
    let meeting = Meeting::directory(room.join("directory"));
    let mut real = Real::new(room.path(), "real", &meeting);
    real.ok(json!({ "do": "many", "count": 2500, "properties": 6, "undo_point": true }));
    real.sync();
    let other = Ours::new(room.path(), "other", &meeting);
    other.sync();
    assert_same("real", &real.dump(), "ours", &other.dump());
    other.assert_sound();
}

/// Theirs come between our versions, and touch what is in those that are still to come and in
/// those that have gone.
#[test]
fn what_slips_in_between_our_versions_is_rebased_over() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let ours = Ours::new(room.path(), "ours", &Meeting::server(&line.url));
    let first = ours.add(&["first"]);
    ours.sync();
    let mut real = Real::new(room.path(), "real", &server.meeting());
    real.sync();
    let ids = import_many(&ours, 2500);
    ours.change(&first, &["modify", "project:ours", "priority:H"]);
    let (sent, task) = (ids[0].clone(), first.clone());
    let (back, done) = std::sync::mpsc::channel();
    line.plan(vec![
        Event::Before(Box::new(|| {})),
        Event::Before(Box::new(move || {
            real.sync();
            real.update(&sent, "project", Some("theirs"));
            real.update_at(&task, "project", Some("older"), "2020-01-01T00:00:00Z");
            real.update_at(&task, "priority", Some("L"), "2099-01-01T00:00:00Z");
            real.sync();
            back.send(real).unwrap();
        })),
    ]);
    let said = ours.sync();
    assert!(said["up"]["versions"].as_u64().unwrap() >= 3 && line.is_done(), "{said}");
    let mut real = done.recv().unwrap();
    settle(&room, &Meeting::server(&line.url), &[&ours], &mut [("real", &mut real)]);
    let tasks = ours.dump();
    assert_eq!(tasks[&first]["project"], "ours");
    assert_eq!(tasks[&first]["priority"], "L");
    assert_eq!(tasks[&ids[0]]["project"], "theirs");
}

/// The line breaks between the versions of one upload, once before and once after the server had
/// taken one.
#[test]
fn an_upload_that_breaks_off_goes_on_where_it_ended() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let ours = Ours::new(room.path(), "ours", &Meeting::server(&line.url));
    import_many(&ours, 2500);
    line.plan(vec![Event::Before(Box::new(|| {})), Event::LoseAnswer]);
    let said = ours.fails(4, &["sync", "--json"]).json();
    assert_eq!(said["up"]["versions"], 1, "{said}");
    let mut probe = Real::new(room.path(), "probe", &server.meeting());
    assert_eq!(probe.walk(NIL).0, 2, "the second had arrived");
    assert!(probe.call(json!("get_snapshot")).is_null(), "no snapshot of what is not there yet");
    line.mend();
    line.plan(vec![Event::LoseRequest]);
    ours.fails(4, &["sync"]);
    line.mend();
    ours.sync();
    let (versions, latest) = probe.walk(NIL);
    let text = ours.ok(&["status", "--json"]).out;
    assert!(versions >= 3, "{versions} {text}");
    assert_eq!(probe.call(json!("get_snapshot"))["version"], *latest, "of all of it");
    settle(&room, &Meeting::server(&line.url), &[&ours], &mut []);
}
