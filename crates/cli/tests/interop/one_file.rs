//! One replica file, used in turn by `ta` and by real programs: edits, undo and sync by either.

use serde_json::json;

use crate::http::{settle, short};
use crate::line::{Event, Line};
use crate::ours::Ours;
use crate::random::{Random, edit_ours, edit_real, hold};
use crate::real::{Real, Server};
use crate::{Meeting, Room, assert_same, seed};

/// `ta` and a real program on one file.
fn both(room: &Room, meeting: &Meeting) -> (Ours, Real) {
    let data = room.join("shared");
    (Ours::on(room.path(), "shared-home", &data, meeting), Real::on(&data, meeting))
}

#[test]
fn each_sees_what_the_other_did() {
    let room = Room::new();
    let meeting = Meeting::directory(room.join("server"));
    let (ours, mut real) = both(&room, &meeting);
    let milk = ours.add(&["milk", "+home"]);
    let tea = Random(1).id();
    real.create(&tea, &[("description", "tea"), ("status", "pending")]);
    real.update(&milk, "project", Some("theirs"));
    ours.change(&tea, &["modify", "priority:H", "depends:1"]);
    assert_same("ours", &ours.dump(), "real", &real.dump());
    assert_eq!(ours.numbers(), real.numbers());
    ours.assert_sound();
    ours.sync();
    real.update(&milk, "due", Some("1800000000"));
    real.sync();
    ours.change(&milk, &["done"]);
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
}

#[test]
fn either_takes_back_what_the_other_did_last() {
    let room = Room::new();
    let meeting = Meeting::directory(room.join("server"));
    let (ours, mut real) = both(&room, &meeting);
    let milk = ours.add(&["milk"]);
    ours.sync();

    let bread = ours.add(&["bread"]);
    ours.change(&milk, &["modify", "project:ours"]);
    assert!(real.undo(), "our modify");
    assert!(!ours.dump()[&milk].contains_key("project"));
    assert!(real.undo(), "our add");
    assert!(!ours.dump().contains_key(&bread));
    ours.assert_sound();

    let tea = Random(2).id();
    real.create(&tea, &[("description", "tea"), ("status", "pending")]);
    real.update(&milk, "project", Some("theirs"));
    assert_eq!(ours.ok(&["undo", "--json"]).json()["outcome"], "removed");
    assert!(!real.dump()[&milk].contains_key("project"));
    assert_eq!(ours.ok(&["undo", "--json"]).json()["outcome"], "removed");
    assert!(!real.dump().contains_key(&tea));
    ours.assert_sound();

    // A command of theirs that is synced is taken back by a change.
    real.update(&milk, "project", Some("synced"));
    real.sync();
    assert_eq!(ours.dump()[&milk]["project"], "synced");
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
    assert!(!real.undo(), "nothing is pending");
}

/// The whole of it: everybody edits, takes back and syncs in random order.
#[track_caller]
fn in_turn(room: &Room, meeting: &Meeting, seed: u64, rounds: usize) {
    let mut random = Random(seed);
    let (ours, mut real) = both(room, meeting);
    let other = Ours::new(room.path(), "other", meeting);
    let mut far = Real::new(room.path(), "far", meeting);
    // An empty replica that finds an empty server would have to ask later on.
    ours.add(&["the first"]);
    ours.sync();
    for round in 0..rounds {
        let did = match random.below(14) {
            0..=2 => edit_ours(&mut random, &ours),
            3..=5 => edit_real(&mut random, &mut real, "real"),
            6 => format!("ours undo {}", ours.ok(&["undo", "--json"]).out),
            7 => format!("real undo {}", real.undo()),
            8 => match hold(&mut random, &mut real) {
                None => continue,
                Some(id) => {
                    let property = random.pick(&["description", "status", "project", "tag_home"]);
                    let value = random.pick(&["pending", "completed", "held", "x"]);
                    let is_changed = random.once_in(2);
                    if is_changed {
                        ours.change(
                            &id,
                            &["modify", &format!("between {round}"), "project:between"],
                        );
                    } else {
                        ours.sync();
                    }
                    real.ok(json!({
                        "do": "change_held", "as": "held", "property": property, "value": value,
                        "undo_point": true,
                    }));
                    // We look before anybody takes it back: the library alone would then bring the
                    // stale value back, and its sync would leave that for good.
                    ours.assert_sound();
                    format!("held {property} = {value} {id} (changed between: {is_changed})")
                }
            },
            9 | 10 => {
                let real = &mut real;
                if random.once_in(2) {
                    format!("ours sync {}", short(&ours.sync()))
                } else {
                    real.sync();
                    "real sync".into()
                }
            }
            11 => {
                let did = edit_ours(&mut random, &other);
                format!("{did} {}", short(&other.sync()))
            }
            12 => {
                let did = edit_real(&mut random, &mut far, "far");
                far.sync();
                did
            }
            _ => {
                ours.assert_sound();
                "verify".into()
            }
        };
        println!("{round} {did}");
    }
    settle(room, meeting, &[&ours, &other], &mut [("real", &mut real), ("far", &mut far)]);
}

#[test]
fn in_turn_through_the_directory() {
    let room = Room::new();
    let meeting = Meeting::directory(room.join("server"));
    in_turn(&room, &meeting, seed(70), 120);
}

#[test]
fn in_turn_through_the_server() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "20"]);
    in_turn(&room, &server.meeting(), seed(80), 80);
}

/// Not in turn but at the same time: each waits for the other's transaction. (Through a server: in a
/// directory the real program's own race with ours can leave a version beside the chain.)
#[test]
fn both_at_once_on_one_file() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &["--snapshot-versions", "10"]);
    let meeting = server.meeting();
    let (ours, mut real) = both(&room, &meeting);
    let shared = ours.add(&["shared"]);
    ours.sync();
    let seed = seed(90);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(seed);
            for round in 0..25 {
                ours.run(&["all", &shared, "modify", &format!("+ours{round}")]);
                edit_ours(&mut random, &ours);
                if round % 3 == 0 {
                    ours.sync();
                }
            }
        });
        let mut random = Random(seed + 2);
        for round in 0..40 {
            edit_real(&mut random, &mut real, "real");
            if round % 5 == 0 {
                real.sync();
            }
        }
    });
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
}

/// A real sync holds the file while it travels. Reading goes on, a change waits, and says in the end
/// for whom.
#[test]
fn a_real_sync_that_holds_the_file_is_waited_for_and_named() {
    use std::time::{Duration, Instant};
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let (ours, mut real) = both(&room, &Meeting::server(&line.url));
    let milk = ours.add(&["milk"]);
    ours.sync();
    for (holds, exit) in [(2, 0), (13, 1)] {
        real.update(&milk, "project", Some("theirs"));
        let (begun, begins) = std::sync::mpsc::channel();
        line.plan(vec![Event::Before(Box::new(move || {
            begun.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(holds));
        }))]);
        std::thread::scope(|scope| {
            scope.spawn(|| real.sync());
            begins.recv().unwrap();
            let before = Instant::now();
            assert_eq!(ours.dump().len(), if holds == 2 { 1 } else { 2 });
            assert!(before.elapsed() < Duration::from_secs(2), "reading never waits");
            let said = ours.fails(exit, &["add", "bread"]);
            assert!(exit == 0 || said.err.contains("task sync"), "{said:?}");
        });
    }
    settle(&room, &Meeting::server(&line.url), &[&ours], &mut [("real", &mut real)]);
    assert_eq!(ours.dump().len(), 2);
}

/// A copy of a real replica with work pending goes on where the real one stands; both may go on.
#[test]
fn a_real_replica_that_was_taken_over_goes_on() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let meeting = server.meeting();
    let mut random = Random(11);
    let mut real = Real::new(room.path(), "real", &meeting);
    for _ in 0..30 {
        edit_real(&mut random, &mut real, "real");
    }
    real.sync();
    for _ in 0..15 {
        edit_real(&mut random, &mut real, "real");
    }
    let (before, base) = (real.dump(), real.base());
    let ours = Ours::new(room.path(), "ours", &meeting);
    let folder = room.join("real");
    ours.ok(&["import", folder.to_str().unwrap()]);
    assert_same("real", &before, "ours", &ours.dump());
    assert_eq!(ours.numbers(), real.numbers());
    assert_same("before", &before, "real", &real.dump());
    assert_eq!(real.base(), base, "the original is untouched");
    edit_ours(&mut random, &ours);
    edit_real(&mut random, &mut real, "real");
    // Both hold the same pending operations; whoever comes second finds them done.
    ours.sync();
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
}

/// The server has our push, we do not know it, and a real program takes the command back.
#[test]
fn what_a_real_undo_removes_while_it_is_in_flight_is_taken_back_everywhere() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let meeting = Meeting::server(&line.url);
    let (ours, mut real) = both(&room, &meeting);
    let milk = ours.add(&["milk", "project:base"]);
    ours.sync();
    ours.change(&milk, &["modify", "project:sent", "priority:H"]);
    let bread = ours.add(&["bread"]);
    line.plan(vec![Event::LoseAnswer]);
    ours.fails(4, &["sync"]);
    assert!(real.undo() && real.undo(), "both are pending as far as a real program knows");
    assert_eq!(real.dump()[&milk]["project"], "base");
    line.mend();
    ours.sync();
    settle(&room, &meeting, &[&ours], &mut [("real", &mut real)]);
    let tasks = ours.dump();
    assert_eq!(tasks[&milk]["project"], "base");
    assert!(!tasks[&milk].contains_key("priority"));
    assert!(!tasks.contains_key(&bread) || tasks[&bread]["status"] == "deleted", "{tasks:?}");
}

/// The server has our push, we do not know it, and a real program syncs the file.
#[test]
fn a_real_sync_after_a_lost_answer_leaves_nothing_twice() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let (ours, mut real) = both(&room, &Meeting::server(&line.url));
    let milk = ours.add(&["milk"]);
    ours.sync();
    ours.change(&milk, &["modify", "project:sent"]);
    line.plan(vec![Event::LoseAnswer]);
    ours.fails(4, &["sync"]);
    line.mend();
    real.meet(&server.meeting());
    real.sync();
    real.update(&milk, "project", Some("after"));
    ours.sync();
    settle(&room, &Meeting::server(&line.url), &[&ours], &mut [("real", &mut real)]);
    assert_eq!(ours.dump()[&milk]["project"], "after");
}

/// Our push is under way when a real program edits, takes back, or syncs the same file.
#[test]
fn a_real_program_at_work_between_our_look_and_our_push() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let far = server.meeting();
    let (ours, mut real) = both(&room, &Meeting::server(&line.url));
    let milk = ours.add(&["milk"]);
    let bread = ours.add(&["bread"]);
    let mut other = Real::new(room.path(), "other", &far);
    type Deed = Box<dyn FnOnce(&mut Real, &mut Real) + Send>;
    let (one, two) = (milk.clone(), bread.clone());
    let deeds: Vec<(&str, Deed)> = vec![
        ("edits", Box::new(move |real, _| real.update(&one, "project", Some("during")))),
        ("undoes", Box::new(|real, _| assert!(real.undo()))),
        ("syncs", Box::new(|real, _| real.sync())),
        (
            "syncs after another pushed",
            Box::new(move |real, other| {
                other.sync();
                other.update(&two, "project", Some("other's"));
                other.sync();
                real.sync();
            }),
        ),
        (
            "undoes while another pushes",
            Box::new(|real, other| {
                let id = Random(5).id();
                other.create(&id, &[("description", "other's")]);
                other.sync();
                assert!(real.undo());
            }),
        ),
    ];
    real.meet(&far);
    for (n, (name, deed)) in deeds.into_iter().enumerate() {
        println!("{name}");
        ours.change(&milk, &["modify", &format!("milk {n}")]);
        ours.change(&bread, &["modify", &format!("+tag{n}")]);
        let (back, done) = std::sync::mpsc::channel();
        line.plan(vec![Event::Before(Box::new(move || {
            let (mut real, mut other) = (real, other);
            deed(&mut real, &mut other);
            back.send((real, other)).unwrap();
        }))]);
        println!("{:?}", ours.run(&["sync", "--json"]));
        (real, other) = done.recv().unwrap();
        settle(
            &room,
            &Meeting::server(&line.url),
            &[&ours],
            &mut [("real", &mut real), ("other", &mut other)],
        );
    }
}

/// The list goes to a server that does not answer: all of it is pending, and nobody has just done it.
#[test]
fn a_real_undo_takes_nothing_of_a_list_that_has_just_moved() {
    let room = Room::new();
    let server = Server::start(&room.join("server"), &[]);
    let line = Line::to(&server.url);
    let (mut ours, mut real) = both(&room, &Meeting::directory(room.join("directory")));
    let milk = ours.add(&["milk"]);
    ours.add(&["bread"]);
    ours.sync();
    ours.change(&milk, &["modify", "project:home"]);
    let list = ours.dump();

    ours.meet(&Meeting::server(&line.url));
    line.plan(vec![Event::LoseRequest]);
    ours.fails(4, &["sync"]);
    for _ in 0..3 {
        assert!(!real.undo(), "nothing that a person has done is pending");
    }
    assert_eq!(ours.dump(), list);
    ours.assert_sound();
    // What is done now can be taken back, and no more than that.
    ours.change(&milk, &["modify", "project:work"]);
    assert!(real.undo());
    assert!(!real.undo());
    ours.change(&milk, &["done"]);
    ours.ok(&["undo"]);
    assert_eq!(ours.dump()[&milk]["project"], "home");
    ours.assert_sound();
    line.mend();
    ours.sync();
    ours.assert_sound();
    assert!(!real.undo(), "everything is synced");
    let mut fresh = Real::new(room.path(), "fresh", &server.meeting());
    fresh.sync();
    assert_eq!(fresh.dump().len(), 2);
    assert_eq!(fresh.dump()[&milk]["project"], "home");
}
