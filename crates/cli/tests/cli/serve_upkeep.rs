//! Looking after a real storage while the server runs, and bringing it back.

use rusqlite::Connection;
use serde_json::Value;

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, add, ask, chain};
use crate::server::CLIENT_KEY;

const DATA: &str = ".local/share/tandem-server";

pub(crate) fn json(home: &TestHome, words: &[&str]) -> Value {
    let ran = home.ta(&[&["server"], words, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

/// Adds versions in a row after `parent`; the last one's id.
pub(crate) fn row(address: &str, mut parent: String, count: u8) -> String {
    for number in 0..count {
        let (status, headers) = add(address, &parent, &[number + 1]);
        assert_eq!(status, 200);
        parent = headers["x-version-id"].clone();
    }
    parent
}

#[test]
fn clients_are_listed_shown_shut_out_and_removed_while_the_server_runs() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    row(&serving.address, NIL.to_owned(), 3);
    let all = json(&home, &["client", "list"]);
    assert_eq!((all[0]["versions"].as_u64(), all[0]["version_bytes"].as_u64()), (Some(3), Some(3)));
    assert_eq!(all[0]["client_id"], Value::Null, "a credential is shown to whoever asks for it");
    assert_eq!(json(&home, &["client", "list", "--reveal"])[0]["client_id"], CLIENT_KEY);
    let tag = all[0]["client"].as_str().unwrap().to_owned();
    let shown = home.ta(&["server", "client", "show", &tag[..6]]).done();
    assert_says(&shown, &[&tag, "Versions                3 (3 ever)"]);
    assert!(!shown.contains("<uuid>-"), "{shown}");
    home.ta(&["server", "client", "disable", &tag]).done();
    let status = || ask(&serving.address, "GET", "/v1/client/snapshot", b"").unwrap().0;
    // Who was served a moment ago may be for a second more.
    assert!((0..1_000_000).any(|_| status() == 403), "it is shut out");
    home.ta(&["server", "client", "enable", &tag]).done();
    assert_eq!(status(), 404, "no snapshot, but served");
    let told = home.ta(&["server", "client", "reset", &tag]).failed(1);
    assert_says(&told, &["nothing was changed", "--yes"]);
    assert_eq!(chain(&serving.address).len(), 3);
    home.ta(&["server", "client", "reset", &tag, "--yes"]).done();
    row(&serving.address, NIL.to_owned(), 1);
    assert_eq!(chain(&serving.address).len(), 1, "it began anew");
    home.ta(&["server", "client", "delete", &tag, "--yes"]).done();
    assert_eq!(json(&home, &["client", "list"]), Value::Array(Vec::new()));
    home.ta(&["server", "client", "show", &tag]).failed(1);
    // Who is shut out stays so, and is found again.
    row(&serving.address, NIL.to_owned(), 1);
    home.ta(&["server", "client", "disable", &tag]).done();
    let told = home.ta(&["server", "client", "delete", &tag, "--yes"]).done();
    assert_says(&told, &["stays shut out"]);
    assert!((0..1_000_000).any(|_| status() == 403), "it is not made anew");
    assert_says(&home.ta(&["server", "client", "list"]).done(), &["Shut out", &tag]);
    home.ta(&["server", "client", "enable", &tag]).done();
    assert_eq!(status(), 404);
}

#[test]
fn a_snapshot_that_is_no_good_is_dropped_for_the_one_before() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let mut last = NIL.to_owned();
    let mut shown = Vec::new();
    for _ in 0..2 {
        last = row(&serving.address, last, 10);
        let path = format!("/v1/client/add-snapshot/{last}");
        assert_eq!(snapshot(&serving.address, &path, &[("X-Client-Id", CLIENT_KEY)]), 200);
        shown.push(last.clone());
    }
    let tag = json(&home, &["client", "list"])[0]["client"].as_str().unwrap().to_owned();
    let newest = || {
        let (status, headers, _) =
            ask(&serving.address, "GET", "/v1/client/snapshot", b"").unwrap();
        (status, headers.get("x-version-id").cloned())
    };
    assert_eq!(newest(), (200, Some(shown[1].clone())));
    let drop = ["server", "client", "snapshot", "drop", &tag];
    assert_says(&home.ta(&drop).failed(1), &["nothing was changed"]);
    json(&home, &["gc", "--grace-days", "0"]);
    let drop = [&drop[..], &["--yes"]].concat();
    assert_says(&home.ta(&drop).done(), &["Removed", "New replicas get that of"]);
    assert_eq!(newest(), (200, Some(shown[0].clone())));
    assert_says(&home.ta(&drop).failed(1), &["no other snapshot"]);
    home.ta(&["server", "verify"]).done();
}

#[test]
fn stats_verify_gc_and_health_tell_of_a_running_server() {
    let home = TestHome::new();
    let told = home.ta(&["server", "stats"]).failed(1);
    assert_says(
        &told,
        &["there is no database", "Start `ta serve` once, or name the right folder: --data-dir"],
    );
    assert!(!home.path(DATA).exists(), "asking makes none");
    let serving = Serving::start(&home, &[]);
    row(&serving.address, NIL.to_owned(), 5);
    let stats = json(&home, &["stats"]);
    assert_eq!((&stats["clients"], &stats["versions"]), (&1.into(), &5.into()));
    assert_says(&home.ta(&["server", "verify"]).done(), &["Sound: 5 versions of 1 client"]);
    assert_says(
        &home.ta(&["server", "gc"]).done(),
        &["Nothing to delete yet", "stored 180 days ago", "Without two snapshots: "],
    );
    let health = ["server", "health", "-l", &serving.address];
    assert_says(&home.ta(&health).done(), &["is ready"]);
    let address = serving.address.clone();
    serving.signal("-TERM");
    assert_eq!(serving.ended().0, Some(0));
    home.ta(&["server", "health", "-l", &address]).failed(4);
    let database = Connection::open(home.path(&format!("{DATA}/tandem-server.sqlite3"))).unwrap();
    database.execute_batch("DELETE FROM versions WHERE number = 2").unwrap();
    drop(database);
    let told = home.ta(&["server", "verify"]).failed(1);
    assert_says(&told, &["version 3 follows 1: a hole", "ta server restore"]);
}

#[test]
fn gc_lets_go_what_the_rules_allow() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let mut last = NIL.to_owned();
    for _ in 0..2 {
        last = row(&serving.address, last, 10);
        let path = format!("/v1/client/add-snapshot/{last}");
        let headers = [("X-Client-Id", CLIENT_KEY)];
        let answer = snapshot(&serving.address, &path, &headers);
        assert_eq!(answer, 200);
    }
    // When it was last looked, as a clock that has leapt would make it appear.
    let database = Connection::open(home.path(&format!("{DATA}/tandem-server.sqlite3"))).unwrap();
    let long_ago = "UPDATE facts SET value = zeroblob(12) WHERE name = 'rounds'";
    assert_eq!(database.execute(long_ago, []).unwrap(), 1);
    drop(database);
    for _ in 0..2 {
        let told = home.ta(&["server", "gc", "--grace-days", "0"]).failed(1);
        assert_says(&told, &["nothing was let go", "--force"]);
    }
    let gone = json(&home, &["gc", "--grace-days", "0", "--force"]);
    assert_eq!(gone["versions"], 10, "those up to the older snapshot");
    assert_says(&home.ta(&["server", "verify"]).done(), &["Sound: 10 versions"]);
    let path = format!("/v1/client/get-child-version/{NIL}");
    assert_eq!(ask(&serving.address, "GET", &path, b"").unwrap().0, 410);
}

/// Offers a snapshot: its content type is another one than that of [`ask`].
pub(crate) fn snapshot(address: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let own: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{own}Content-Length: 4\r\n\
         Content-Type: application/vnd.taskchampion.snapshot\r\n\r\nsnap"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_backup_of_a_running_server_is_restored_to_the_same_chains() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let last = row(&serving.address, NIL.to_owned(), 4);
    let before = chain(&serving.address);
    let copied = json(&home, &["backup", "copies", "--keep", "2"]);
    assert_eq!((&copied["versions"], &copied["clients"]), (&4.into(), &1.into()));
    let copy = copied["file"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        json(&home, &["backup", "copies", "--keep", "2"]);
    }
    let files = || std::fs::read_dir(home.path("copies")).unwrap().count();
    assert_eq!((files(), home.path(&copy).exists()), (2, false), "the oldest went");
    let copy = json(&home, &["backup", "kept"])["file"].as_str().unwrap().to_owned();
    row(&serving.address, last, 3);
    let told = home.ta(&["server", "restore", &copy, "--force"]).failed(1);
    assert_says(&told, &["is in use"]);
    serving.signal("-TERM");
    assert_eq!(serving.ended().0, Some(0));
    let told = home.ta(&["server", "restore", &copy]).failed(1);
    assert_says(&told, &["is there already", "--force"]);
    assert_says(
        &home.ta(&["server", "restore", &copy, "--force"]).done(),
        &["4 versions of 1 client"],
    );
    let serving = Serving::start(&home, &[]);
    assert_eq!(chain(&serving.address), before);
    let elsewhere = json(&home, &["restore", &copy, "--data-dir", "elsewhere"]);
    assert_eq!(elsewhere["versions"], 4);
}

#[test]
fn two_servers_on_one_folder_serve_one_list_and_shut_the_same_clients_out() {
    let home = TestHome::new();
    let servers = [Serving::start(&home, &[]), Serving::start(&home, &[])];
    let mut last = NIL.to_owned();
    for server in servers.iter().cycle().take(6) {
        last = row(&server.address, last, 1);
    }
    assert_eq!(chain(&servers[0].address), chain(&servers[1].address));
    let tag = json(&home, &["client", "list"])[0]["client"].as_str().unwrap().to_owned();
    home.ta(&["server", "client", "disable", &tag]).done();
    for server in &servers {
        let status = || ask(&server.address, "GET", "/v1/client/snapshot", b"").unwrap().0;
        assert!((0..1_000_000).any(|_| status() == 403), "it is shut out at each");
    }
    home.ta(&["server", "client", "enable", &tag]).done();
    let [first, second] = servers;
    first.signal("-TERM");
    assert_eq!(first.ended().0, Some(0));
    row(&second.address, last, 1);
    assert_eq!(chain(&second.address).len(), 7, "the other goes on");
}

#[test]
fn a_file_in_the_place_of_a_folder_is_refused_and_a_missing_one_before_anything_is_looked_at() {
    let home = TestHome::new();
    let restore = |path: &str| home.ta(&["server", "restore", path, "--force"]).failed(1);
    assert_says(&restore("nowhere.sqlite3"), &["there is no file nowhere.sqlite3"]);
    std::fs::create_dir(home.path("folder")).unwrap();
    assert_says(&restore("folder"), &["folder is a folder", "ta server backup"]);
    std::fs::write(home.path("letter"), "Dear Ann").unwrap();
    assert_says(&restore("letter"), &["letter is not a database of this server"]);
    for wrong in ["letter", "folder"] {
        let told = home.ta(&["server", "import", wrong]).failed(1);
        assert_says(&told, &["is no database of taskchampion-sync-server"]);
    }
    assert!(!home.path(DATA).exists(), "nothing was made");
    let serving = Serving::start(&home, &[]);
    row(&serving.address, NIL.to_owned(), 1);
    assert_says(&restore("nowhere.sqlite3"), &["there is no file"]);
    std::fs::write(home.path("file"), "mine").unwrap();
    let told = home.ta(&["server", "backup", "file"]).failed(1);
    assert_says(&told, &["file is no folder", "Name a folder"]);
    assert_eq!(std::fs::read(home.path("file")).unwrap(), b"mine");
}

#[test]
fn a_backup_of_a_damaged_database_names_the_database_and_the_way_back() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    row(&serving.address, NIL.to_owned(), 3);
    drop(serving);
    let path = home.path(&format!("{DATA}/tandem-server.sqlite3"));
    let database = Connection::open(&path).unwrap();
    let number = |sql: &str| {
        let number = database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
        usize::try_from(number).unwrap()
    };
    assert_eq!(number("PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    let table = number("SELECT rootpage FROM sqlite_schema WHERE name = 'versions'");
    let size = number("PRAGMA page_size");
    drop(database);
    let whole = std::fs::read(&path).unwrap();
    let is_damaged = |from: usize, bytes: usize, told: &str| {
        let mut damaged = whole.clone();
        damaged[from..from + bytes].fill(0xaa);
        std::fs::write(&path, damaged).unwrap();
        for words in [&["server", "backup", "backups"][..], &["server", "verify"]] {
            let said = home.ta(words).failed(1);
            assert_says(&said, &["ta server restore"]);
            if words[1] == "backup" {
                assert_says(&said, &[&format!("tandem-server/tandem-server.sqlite3 {told}")]);
                assert!(!said.contains("server backup"), "{said}");
            }
        }
        let left = std::fs::read_dir(home.path("backups")).map_or(0, Iterator::count);
        assert_eq!(left, 0);
    };
    is_damaged((table - 1) * size, 64, "is damaged: ");
    is_damaged(size - 64, 64, "is damaged: ");
    is_damaged(0, 64, "is not a database of this server");
}

#[test]
fn damage_is_told_line_by_line_and_by_the_running_server() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    row(&serving.address, NIL.to_owned(), 3);
    let path = home.path(&format!("{DATA}/tandem-server.sqlite3"));
    let database = Connection::open(&path).unwrap();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(number("PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'snapshots_by_number'");
    let at = u64::from((page - 1) * number("PRAGMA page_size"));
    drop(database);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[0xaa; 64]).unwrap();
    let told = home.ta(&["server", "verify"]).failed(1);
    assert_says(&told, &["ta server restore"]);
    assert!(!told.contains("\\n") && !told.contains("***"), "{told}");
    let health = ["server", "health", "-l", &serving.address];
    home.ta(&health).done();
    // Who asks for the snapshot comes upon it.
    assert!(ask(&serving.address, "GET", "/v1/client/snapshot", b"").unwrap().0 >= 500);
    // What was said a moment ago is said for a second more.
    assert!((0..1000).any(|_| home.ta(&health).code == Some(1)), "it is told");
    assert_says(&home.ta(&health).failed(1), &["database is damaged", "ta server verify"]);
}

/// A version of [`make_reference_database`].
pub(crate) fn reference_version(number: u8) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// The reference's database in the folder `old`: ten versions, and a snapshot of the seventh.
pub(crate) fn make_reference_database(home: &TestHome) {
    let path = home.path("old/taskchampion-sync-server.sqlite3");
    std::fs::create_dir(home.path("old")).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE clients (client_id STRING PRIMARY KEY, latest_version_id STRING,
             snapshot_version_id STRING, versions_since_snapshot INTEGER,
             snapshot_timestamp INTEGER, snapshot BLOB);
         CREATE TABLE versions (version_id STRING PRIMARY KEY, client_id STRING,
             parent_version_id STRING, history_segment BLOB);",
    )
    .unwrap();
    for number in 1..=10 {
        let parent = if number == 1 { NIL.to_owned() } else { reference_version(number - 1) };
        old.execute(
            "INSERT INTO versions VALUES (?1, ?2, ?3, ?4)",
            (reference_version(number), CLIENT_KEY, parent, vec![number]),
        )
        .unwrap();
    }
    old.execute(
        "INSERT INTO clients VALUES (?1, ?2, ?3, 3, 1700000000, x'01')",
        (CLIENT_KEY, reference_version(10), reference_version(7)),
    )
    .unwrap();
}

#[test]
fn the_references_database_is_served_on() {
    let home = TestHome::new();
    make_reference_database(&home);
    let serving = Serving::start(&home, &[]);
    for added in [10, 0] {
        let told = json(&home, &["import", "old"]);
        assert_eq!((&told["versions"], &told["added"]), (&10.into(), &added.into()));
        assert_eq!(told["clients"][0]["snapshot"], "here");
    }
    let expected: Vec<(String, Vec<u8>)> =
        (1..=10).map(|number| (reference_version(number), vec![number])).collect();
    assert_eq!(chain(&serving.address), expected);
    let (status, headers, body) = ask(&serving.address, "GET", "/v1/client/snapshot", b"").unwrap();
    assert_eq!(
        (status, headers["x-version-id"].as_str(), body.as_slice()),
        (200, reference_version(7).as_str(), &[1][..])
    );
    home.ta(&["server", "verify"]).done();
    home.ta(&["server", "import", "nowhere"]).failed(1);
}

#[test]
fn a_misunderstood_command_of_the_server_is_wrong_usage() {
    let home = TestHome::new();
    for words in [
        &[][..],
        &["clients"],
        &["backup"],
        &["backup", "a", "b"],
        &["backup", "a", "--keep", "0"],
        &["client", "show"],
        &["user", "add"],
        &["stats", "--lisen", "x"],
    ] {
        home.ta(&[&["server"], words].concat()).failed(2);
    }
    let help = home.ta(&["help", "server"]).done();
    assert_says(&help, &["server client list", "server restore FILE"]);
}

/// A replica that stands on a history which an operator has removed is never told to be in step.
#[test]
fn after_a_reset_the_first_replica_gives_the_list_again() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let replica = || {
        TestHome::new()
            .with("TA_SERVER_ORIGIN", format!("http://{}", serving.address))
            .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
            .with("TA_ENCRYPTION_SECRET", "correct horse")
    };
    let (one, two) = (replica(), replica());
    one.add("milk");
    one.ta(&["sync"]).done();
    two.ta(&["sync"]).done();
    let tag = json(&home, &["client", "list"])[0]["client"].as_str().unwrap().to_owned();
    home.ta(&["server", "client", "reset", &tag, "--yes"]).done();
    let told = one.ta(&["sync"]).done();
    assert_says(&told, &["no longer knew this list", "whole list again"]);
    assert!(!told.contains("in step"), "{told}");
    assert_eq!(two.ta(&["sync"]).done(), "in step\n");
    let fresh = replica();
    fresh.ta(&["sync"]).done();
    assert_eq!((one.state(), two.state()), (fresh.state(), fresh.state()));
    assert_eq!(one.ta(&["sync"]).done(), "in step\n");
    home.ta(&["server", "verify"]).done();
}
