//! One local directory, used by our programs and by real ones at the same time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::http::{settle, short};
use crate::ours::Ours;
use crate::random::{Random, edit_ours, edit_real};
use crate::real::{Real, fresh};
use crate::{Meeting, NIL, Room, assert_same, seed};

const FILE: &str = "taskchampion-local-sync-server.sqlite3";

fn meeting(room: &Room) -> Meeting {
    Meeting::directory(room.join("server"))
}

fn file(room: &Room) -> Connection {
    let connection = Connection::open(room.join("server").join(FILE)).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}

fn latest(connection: &Connection) -> String {
    let sql = "SELECT value FROM data WHERE key = 'latest_version_id'";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What a real program does that had checked before somebody else's version came: its insert.
fn insert_as_the_reference(connection: &Connection, parent: &str, operations: &Value) -> String {
    let id = Random(connection.changes() ^ 77).id();
    let data = json!({ "operations": operations }).to_string().into_bytes();
    connection
        .execute(
            "INSERT INTO versions (version_id, parent_version_id, data) VALUES (?1, ?2, ?3)",
            params![id, parent, data],
        )
        .unwrap();
    connection
        .execute("INSERT OR REPLACE INTO data (key, value) VALUES ('latest_version_id', ?1)", [&id])
        .unwrap();
    id
}

fn update(task: &str, property: &str, value: &str, at: &str) -> Value {
    json!({ "Update": { "uuid": task, "property": property, "value": value, "timestamp": at } })
}

/// Versions that no chain leads to, by asking the file.
fn orphans(connection: &Connection) -> Vec<String> {
    let sql = "
        WITH RECURSIVE chain(id) AS (
            SELECT value FROM data WHERE key = 'latest_version_id'
            UNION SELECT parent_version_id FROM versions JOIN chain ON version_id = chain.id
        )
        SELECT version_id FROM versions WHERE version_id NOT IN (SELECT id FROM chain)";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_directory_of_ours_serves_real_replicas_and_the_reverse() {
    let room = Room::new();
    let meeting = meeting(&room);
    let a = Ours::new(room.path(), "a", &meeting);
    let task = a.add(&["milk", "+home"]);
    a.sync();
    let mut real = Real::new(room.path(), "real", &meeting);
    real.sync();
    assert_same("a", &a.dump(), "real", &real.dump());
    real.update(&task, "project", Some("theirs"));
    real.sync();
    settle(&room, &meeting, &[&a], &mut [("real", &mut real)]);

    let second = Meeting::directory(room.join("second"));
    let mut real = Real::new(room.path(), "real-2", &second);
    real.create(&task, &[("description", "made by theirs")]);
    real.sync();
    let b = Ours::new(room.path(), "b", &second);
    b.sync();
    b.change(&task, &["modify", "due:tomorrow"]);
    settle(&room, &second, &[&b], &mut [("real", &mut real)]);
}

#[test]
fn random_edits_converge_through_the_directory() {
    let room = Room::new();
    let meeting = meeting(&room);
    let mut random = Random(seed(40));
    let a = Ours::new(room.path(), "a", &meeting);
    let b = Ours::new(room.path(), "b", &meeting);
    let mut real = Real::new(room.path(), "real", &meeting);
    for round in 0..30 {
        for _ in 0..random.below(3) {
            println!("{round} {}", edit_ours(&mut random, &a));
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
    }
    settle(&room, &meeting, &[&a, &b], &mut [("real", &mut real)]);
}

/// Several of each at once, each on its own replica. The real ones may diverge (defect 2 of section
/// 20) and may even orphan each other's versions; ours and a fresh real one must agree.
#[test]
fn programs_of_both_kinds_sync_through_the_directory_at_the_same_time() {
    let room = Room::new();
    let meeting = meeting(&room);
    let seed = seed(50);
    let all: Vec<Ours> =
        ["a", "b", "c"].iter().map(|name| Ours::new(room.path(), name, &meeting)).collect();
    let shared = all[0].add(&["shared", "+home"]);
    all[0].sync();
    for ours in &all {
        ours.sync();
    }
    let failures = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for (n, ours) in all.iter().enumerate() {
            let (shared, failures) = (&shared, &failures);
            scope.spawn(move || {
                let mut random = Random(seed + n as u64);
                for round in 0..12 {
                    // A real program may have removed it.
                    let project = format!("project:{}{round}", ours.name());
                    ours.run(&["all", shared, "modify", &project]);
                    edit_ours(&mut random, ours);
                    let said = ours.run(&["sync", "--json"]);
                    if said.code != 0 {
                        failures.lock().unwrap().push(said);
                    }
                }
            });
        }
        for n in 0..2 {
            let (room, meeting, shared) = (&room, &meeting, &shared);
            scope.spawn(move || {
                let name = format!("real-{n}");
                let mut random = Random(seed + 10 + n);
                let mut real = Real::new(room.path(), &name, meeting);
                // May lose a race, and may be out of sync after one: that is how it is.
                let _ = real.try_sync();
                for round in 0..25 {
                    if real.dump().contains_key(shared) {
                        real.update(shared, "priority", Some(&round.to_string()));
                    }
                    edit_real(&mut random, &mut real, &name);
                    let _ = real.try_sync();
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
    for _ in 0..2 {
        for ours in &all {
            ours.sync();
        }
    }
    let tasks = all[0].dump();
    for ours in &all[1..] {
        assert_same("a", &tasks, ours.name(), &ours.dump());
        ours.assert_sound();
    }
    let left = orphans(&file(&room));
    println!("orphans of real programs: {left:?}");
    let new = Ours::new(room.path(), "fresh", &meeting);
    new.sync();
    assert_same("a", &tasks, "a fresh one of ours", &new.dump());
    if left.is_empty() {
        assert_same("a", &tasks, "a fresh real one", &fresh(room.path(), &meeting));
    }
}

/// The race of the real program, at the worst moment: it had checked before our push and inserts
/// after it, so our version lies beside the chain.
#[test]
fn a_version_of_ours_that_a_real_program_orphaned_comes_back() {
    let room = Room::new();
    let meeting = meeting(&room);
    let a = Ours::new(room.path(), "a", &meeting);
    let b = Ours::new(room.path(), "b", &meeting);
    let task = a.add(&["milk", "project:base"]);
    let other = a.add(&["bread"]);
    a.sync();
    b.sync();
    let fork = latest(&file(&room));

    a.change(&task, &["modify", "project:ours", "priority:H"]);
    a.change(&other, &["done"]);
    a.sync();
    // Another replica of ours walks onto it, and both go on from there.
    b.sync();
    b.change(&task, &["annotate", "from b"]);
    b.sync();
    a.sync();
    a.change(&task, &["modify", "due:2026-12-24"]);
    let operations = json!([
        update(&task, "project", "theirs", "2026-01-01T00:00:00Z"),
        update(&task, "tag_theirs", "x", "2026-01-01T00:00:00Z"),
    ]);
    let connection = file(&room);
    insert_as_the_reference(&connection, &fork, &operations);
    assert_eq!(orphans(&connection).len(), 2);

    a.sync();
    b.sync();
    a.sync();
    assert_eq!(orphans(&connection), Vec::<String>::new(), "ours were taken away");
    let mut real = Real::new(room.path(), "real", &meeting);
    settle(&room, &meeting, &[&a, &b], &mut [("real", &mut real)]);
    let tasks = a.dump();
    assert_eq!(tasks[&task]["project"], "ours", "it was later");
    assert_eq!(tasks[&task]["priority"], "H");
    assert!(tasks[&task].contains_key("tag_theirs") && tasks[&task].contains_key("due"));
    assert!(tasks[&task].keys().any(|key| key.starts_with("annotation_")));
    assert_eq!(tasks[&other]["status"], "completed");
}

/// Another of ours had gone on from the version that was then orphaned, and its author takes that
/// away before the other notices: what the other did comes back as well.
#[test]
fn what_stood_on_an_orphan_comes_back_too() {
    let room = Room::new();
    let meeting = meeting(&room);
    let a = Ours::new(room.path(), "a", &meeting);
    let b = Ours::new(room.path(), "b", &meeting);
    let task = a.add(&["milk", "project:base", "due:2026-12-01"]);
    a.sync();
    b.sync();
    let fork = latest(&file(&room));
    a.change(&task, &["modify", "priority:H"]);
    a.sync();
    b.change(&task, &["modify", "project:b", "due:"]);
    let tea = b.add(&["tea"]);
    b.sync();
    let connection = file(&room);
    let operations = json!([update(&task, "tag_theirs", "x", "2026-01-01T00:00:00Z")]);
    insert_as_the_reference(&connection, &fork, &operations);
    // `a` stands on the first orphan, `b` on the second.
    a.sync();
    a.change(&task, &["modify", "+later"]);
    a.sync();
    let said = b.sync();
    assert_eq!(said["reinitialised"], false, "{said}");
    assert_eq!(orphans(&connection), Vec::<String>::new());
    let mut real = Real::new(room.path(), "real", &meeting);
    settle(&room, &meeting, &[&a, &b], &mut [("real", &mut real)]);
    let tasks = a.dump();
    assert_eq!(tasks[&task]["project"], "b");
    assert_eq!(tasks[&task]["priority"], "H");
    assert!(!tasks[&task].contains_key("due") && tasks[&task].contains_key("tag_later"));
    assert!(tasks.contains_key(&tea));
}

/// The same at the very beginning: two first versions.
#[test]
fn two_programs_that_begin_a_directory_at_once_lose_nothing() {
    let room = Room::new();
    let meeting = meeting(&room);
    let a = Ours::new(room.path(), "a", &meeting);
    let task = a.add(&["ours", "project:p"]);
    a.sync();
    let theirs = Random(9).id();
    let operations = json!([
        { "Create": { "uuid": theirs } },
        update(&theirs, "description", "theirs", "2026-01-01T00:00:00Z"),
    ]);
    let connection = file(&room);
    insert_as_the_reference(&connection, NIL, &operations);
    a.sync();
    a.sync();
    assert_eq!(orphans(&connection), Vec::<String>::new());
    let mut real = Real::new(room.path(), "real", &meeting);
    settle(&room, &meeting, &[&a], &mut [("real", &mut real)]);
    assert_eq!(a.dump()[&task]["project"], "p");
    assert_eq!(a.dump()[&theirs]["description"], "theirs");
}

/// A real program inserts around the protocol again and again while ours sync.
#[test]
fn orphaned_again_and_again_ours_still_agree() {
    let room = Room::new();
    let meeting = meeting(&room);
    let a = Ours::new(room.path(), "a", &meeting);
    let b = Ours::new(room.path(), "b", &meeting);
    let task = a.add(&["milk"]);
    a.sync();
    b.sync();
    let mut random = Random(seed(60));
    let connection = file(&room);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for ours in [&a, &b] {
            let (task, is_over) = (&task, &is_over);
            scope.spawn(move || {
                for round in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    ours.change(task, &["modify", &format!("+{}{round}", ours.name())]);
                    // An orphan of the other of ours may vanish under it; the next sync goes on.
                    ours.run(&["sync"]);
                }
            });
        }
        for round in 0..12 {
            let before = latest(&connection);
            thread::sleep(std::time::Duration::from_millis(150));
            let operations =
                json!([update(&task, &format!("tag_real{round}"), "x", "2026-01-01T00:00:00Z"),]);
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let id = random.id();
            let data = json!({ "operations": operations }).to_string().into_bytes();
            connection
                .execute(
                    "INSERT INTO versions (version_id, parent_version_id, data) VALUES (?1, ?2, ?3)",
                    params![id, before, data],
                )
                .unwrap();
            connection
                .execute("UPDATE data SET value = ?1 WHERE key = 'latest_version_id'", [&id])
                .unwrap();
            connection.execute_batch("COMMIT").unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for _ in 0..4 {
        a.run(&["sync"]);
        b.run(&["sync"]);
    }
    settle(&room, &meeting, &[&a, &b], &mut []);
    let tasks = a.dump();
    for ours in ["a0", "a1", "b0", "b1", "real0", "real11"] {
        assert!(tasks[&task].contains_key(&format!("tag_{ours}")), "{ours} is lost");
    }
}

#[test]
fn an_unmounted_directory_is_no_new_history() {
    let room = Room::new();
    let meeting = meeting(&room);
    let a = Ours::new(room.path(), "a", &meeting);
    a.add(&["milk"]);
    a.sync();
    a.add(&["bread"]);
    let away = room.join("away");
    std::fs::rename(room.join("server"), &away).unwrap();
    a.fails(3, &["sync"]);
    std::fs::create_dir(room.join("server")).unwrap();
    a.fails(3, &["sync"]);
    assert!(Path::new(&room.join("server")).read_dir().unwrap().next().is_none());
    std::fs::remove_dir(room.join("server")).unwrap();
    std::fs::rename(away, room.join("server")).unwrap();
    settle(&room, &meeting, &[&a], &mut []);
    assert_eq!(a.dump().len(), 2);
}
