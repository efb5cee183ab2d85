//! Kills of the commands that look after a server, at the places where they change files.
//!
//! A world is made once and copied for every kill. The command dies; then the database must be sound
//! and hold what it held before or holds after, and the same command, run again, must finish and
//! leave nothing of the first behind.

use std::path::Path;

use rusqlite::Connection;

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, chain};
use crate::serve_upkeep::{json, row, snapshot};
use crate::server::CLIENT_KEY;

const DATA: &str = ".local/share/tandem-server";

/// More places than any command here has; reaching this many means that it never ends.
const PLACES_MAX: usize = 100_000;

/// Kills a command at places of it (all of the first, fewer later on), each time in a copy of the
/// world; how many kills there were.
fn for_each_kill(world: &TestHome, words: &[&str], mut look: impl FnMut(&TestHome, usize)) -> u32 {
    let (mut place, mut kills) = (1, 0);
    while place < PLACES_MAX {
        let home = world.copy();
        let mut command = home.command(&[&["server"], words].concat());
        command.env("LD_PRELOAD", crate::durability::shim());
        command.env("SHIM_KILL_AT", place.to_string());
        let ran = home.run(command, b"");
        match ran.code {
            None => look(&home, place),
            Some(0) => return kills,
            Some(_) => panic!("place {place}: {ran:?}"),
        }
        kills += 1;
        place += 1 + place / 8;
    }
    panic!("it never ends: {words:?}")
}

/// A folder with 20 versions and snapshots of the 10th and the 20th.
fn world() -> TestHome {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let mut last = NIL.to_owned();
    for _ in 0..2 {
        last = row(&serving.address, last, 10);
        let path = format!("/v1/client/add-snapshot/{last}");
        assert_eq!(snapshot(&serving.address, &path, &[("X-Client-Id", CLIENT_KEY)]), 200);
    }
    serving.signal("-TERM");
    assert_eq!(serving.ended().0, Some(0));
    // Sixteen megabytes that every copy would hold.
    let _ = std::fs::remove_file(home.path(DATA).join("tandem-server.reserve"));
    home
}

/// The versions of the one client, in a database that must be sound.
#[track_caller]
fn versions(home: &TestHome, place: usize) -> u64 {
    let ran = home.ta(&["server", "verify"]);
    assert_eq!(ran.code, Some(0), "killed at {place}: {ran:?}");
    json(home, &["client", "list"])[0]["versions"].as_u64().unwrap()
}

/// The names in a folder that begin or end so.
fn named(folder: &Path, part: &str) -> Vec<String> {
    let all = std::fs::read_dir(folder).into_iter().flatten();
    let names = all.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(part)).collect()
}

#[test]
fn history_that_goes_leaves_a_whole_chain_at_every_place() {
    let world = world();
    let words = ["gc", "--grace-days", "0"];
    let kills = for_each_kill(&world, &words, |home, place| {
        let left = versions(home, place);
        assert!(left == 20 || left == 10, "killed at {place}: {left}");
        json(home, &words);
        assert_eq!(versions(home, place), 10, "killed at {place}");
    });
    assert!(kills >= 5, "{kills}");
}

#[test]
fn a_schema_is_the_old_or_the_new_one_at_every_place() {
    let world = world();
    let path = world.path(DATA).join("tandem-server.sqlite3");
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").unwrap();
    for table in ["clients", "versions"] {
        // As the second schema had them.
        let sql: String = old
            .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
            .unwrap();
        let sql = sql.replacen(&format!("\"{table}\""), "older", 1).replace(" AUTOINCREMENT", "");
        old.execute_batch(&format!(
            "{sql}; INSERT INTO older SELECT * FROM {table}; DROP TABLE {table};
             ALTER TABLE older RENAME TO {table}"
        ))
        .unwrap();
    }
    old.execute_batch(
        "CREATE UNIQUE INDEX versions_by_parent ON versions (client, parent);
         CREATE UNIQUE INDEX versions_by_number ON versions (client, number);
         PRAGMA user_version = 2; COMMIT",
    )
    .unwrap();
    drop(old);
    let kills = for_each_kill(&world, &["stats"], |home, place| {
        assert_eq!(versions(home, place), 20, "killed at {place}");
        let folder = home.path(DATA).join("backups");
        assert_eq!(named(&folder, ".partial"), Vec::<String>::new(), "killed at {place}");
        let copies = named(&folder, ".sqlite3");
        assert!(!copies.is_empty(), "killed at {place}");
        for copy in copies {
            let found = Connection::open(folder.join(copy)).unwrap();
            let version: i64 =
                found.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(version, 2, "killed at {place}");
        }
    });
    assert!(kills >= 20, "{kills}");
}

#[test]
fn a_copy_has_its_name_only_when_it_is_whole() {
    let world = world();
    let kills = for_each_kill(&world, &["backup", "copies"], |home, place| {
        let before = named(&home.path("copies"), ".sqlite3");
        json(home, &["backup", "copies"]);
        assert_eq!(named(&home.path("copies"), ".partial"), Vec::<String>::new());
        assert!(!named(&home.path("copies"), ".sqlite3").is_empty());
        for copy in before {
            let copy = format!("copies/{copy}");
            let back = json(home, &["restore", &copy, "--data-dir", "elsewhere"]);
            assert_eq!(back["versions"], 20, "killed at {place}");
        }
    });
    assert!(kills >= 5, "{kills}");
}

#[test]
fn a_database_is_the_one_before_or_the_one_brought_back_at_every_place() {
    let world = world();
    let copy = json(&world, &["backup", "copies"])["file"].as_str().unwrap().to_owned();
    let serving = Serving::start(&world, &[]);
    let last = chain(&serving.address)[19].0.clone();
    row(&serving.address, last, 3);
    drop(serving);
    let _ = std::fs::remove_file(world.path(DATA).join("tandem-server.reserve"));
    let words = ["restore", copy.as_str(), "--force"];
    let kills = for_each_kill(&world, &words, |home, place| {
        let found = versions(home, place);
        assert!(found == 23 || found == 20, "killed at {place}: {found}");
        json(home, &words);
        assert_eq!(versions(home, place), 20, "killed at {place}");
        assert_eq!(named(&home.path(DATA), "incoming"), Vec::<String>::new());
    });
    assert!(kills >= 5, "{kills}");
}

#[test]
fn an_import_that_was_killed_is_run_again() {
    let home = TestHome::new();
    std::fs::create_dir(home.path("old")).unwrap();
    let old = Connection::open(home.path("old/taskchampion-sync-server.sqlite3")).unwrap();
    old.execute_batch(
        "CREATE TABLE clients (client_id STRING PRIMARY KEY, latest_version_id STRING,
             snapshot_version_id STRING, versions_since_snapshot INTEGER,
             snapshot_timestamp INTEGER, snapshot BLOB);
         CREATE TABLE versions (version_id STRING PRIMARY KEY, client_id STRING,
             parent_version_id STRING, history_segment BLOB);",
    )
    .unwrap();
    let version = |number: u8| format!("{number:08x}-0000-4000-8000-000000000000");
    // Trimmed to its snapshot.
    for number in 4..=10 {
        old.execute(
            "INSERT INTO versions VALUES (?1, ?2, ?3, ?4)",
            (version(number), CLIENT_KEY, version(number - 1), vec![number]),
        )
        .unwrap();
    }
    old.execute(
        "INSERT INTO clients VALUES (?1, ?2, ?3, 7, 1700000000, x'01')",
        (CLIENT_KEY, version(10), version(3)),
    )
    .unwrap();
    drop(old);
    let kills = for_each_kill(&home, &["import", "old"], |home, place| {
        let told = json(home, &["import", "old"]);
        assert_eq!(told["versions"], 7, "killed at {place}");
        assert_eq!(told["clients"][0]["snapshot"], "here", "killed at {place}");
        assert_eq!(versions(home, place), 7, "killed at {place}");
        assert_eq!(named(&home.path(DATA), "import-"), Vec::<String>::new());
    });
    assert!(kills >= 20, "{kills}");
    assert_says(&home.ta(&["server", "import", "old"]).done(), &["1 client, 7 versions"]);
}
