//! The small numbers are the same in both programs on one file.

use serde_json::json;

use crate::http::settle;
use crate::ours::Ours;
use crate::random::Random;
use crate::real::Real;
use crate::{Meeting, Room};

#[test]
fn numbers_agree_on_one_file() {
    let room = Room::new();
    let meeting = Meeting::directory(room.join("server"));
    let data = room.join("shared");
    let ours = Ours::on(room.path(), "home", &data, &meeting);
    let mut real = Real::on(&data, &meeting);
    let first = ours.add(&["first"]);
    let second = Random(3).id();
    real.create(&second, &[("status", "pending"), ("description", "second")]);
    let third = ours.add(&["third"]);
    assert_eq!(ours.numbers(), real.numbers());
    assert_eq!(ours.numbers(), [(1, first.clone()), (2, second.clone()), (3, third.clone())]);

    // The numbers that are shown address the same tasks.
    ours.ok(&["2", "done"]);
    assert_eq!(real.dump()[&second]["status"], "completed");
    real.ok(json!({ "do": "rebuild_working_set", "renumber": false }));
    assert_eq!(ours.numbers(), real.numbers());
    ours.assert_sound();
    // (The real program leaves holes that were there before, renumbering or not.)
    real.ok(json!({ "do": "rebuild_working_set", "renumber": true }));
    assert_eq!(ours.numbers(), real.numbers());
    ours.ok(&["gc"]);
    assert_eq!(ours.numbers(), [(1, first.clone()), (2, third.clone())]);
    assert_eq!(ours.numbers(), real.numbers());
    ours.ok(&["2", "modify", "project:two"]);
    assert_eq!(real.dump()[&third]["project"], "two");

    // One that comes back gets a number, by either.
    ours.change(&second, &["modify", "status:pending"]);
    assert_eq!(ours.numbers(), real.numbers());
    real.update(&first, "status", Some("deleted"));
    real.update(&first, "status", Some("pending"));
    ours.sync();
    assert_eq!(ours.numbers(), real.numbers());
    assert_eq!(ours.numbers().len(), 3);
    ours.change(&first, &["done"]);
    ours.ok(&["gc"]);
    assert_eq!(ours.numbers(), real.numbers());
    assert_eq!(ours.numbers().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
    assert_eq!(ours.numbers(), real.numbers());
    ours.assert_sound();
}

/// A sync, whoever makes it, gives numbers to what came and takes those of what ended.
#[test]
fn numbers_agree_after_a_sync_by_either() {
    let room = Room::new();
    let meeting = Meeting::directory(room.join("server"));
    let data = room.join("shared");
    let ours = Ours::on(room.path(), "home", &data, &meeting);
    let mut real = Real::on(&data, &meeting);
    let other = Ours::new(room.path(), "other", &meeting);
    for n in 0..6 {
        ours.add(&[&format!("task {n}")]);
    }
    ours.sync();
    other.sync();
    for turn in 0..4 {
        let id = other.add(&[&format!("other {turn}")]);
        other.ok(&["1", "done"]);
        other.ok(&["gc"]);
        other.sync();
        match turn % 2 {
            0 => drop(ours.sync()),
            _ => real.sync(),
        }
        let numbers = ours.numbers();
        assert_eq!(numbers, real.numbers(), "turn {turn}");
        assert!(numbers.iter().any(|(_, task)| *task == id), "turn {turn}: {numbers:?}");
        assert_eq!(numbers.len(), 6, "turn {turn}: {numbers:?}");
        ours.assert_sound();
    }
}
