//! `ta doctor` and `ta status --server`: what is found, what is to be done, and the exit code.

use serde_json::Value;
use tandem_remote::MemoryServer;

use crate::home::{TestHome, assert_says};
use crate::scripted::{Received, Reply, keep, response};
use crate::serve::Serving;
use crate::server::{CLIENT_KEY, SECRET, TestServer};
use crate::task_server;

/// What one check found.
fn health<'a>(document: &'a Value, name: &str) -> &'a str {
    let checks = document["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    let is_well = check["health"] == "ok" || check["health"] == "skipped";
    assert_eq!(check["cure"].is_null(), is_well, "what is not well has a cure: {check}");
    check["health"].as_str().unwrap()
}

fn all(document: &Value) -> Vec<(&str, &str)> {
    let names = document["checks"].as_array().unwrap().iter();
    names.map(|it| it["name"].as_str().unwrap()).map(|it| (it, health(document, it))).collect()
}

fn dated(request: &Received, server: &MemoryServer, date: &str) -> Option<Reply> {
    match task_server::answer(server, request) {
        Reply::Keep(bytes) => {
            let end = bytes.windows(2).position(|bytes| bytes == b"\r\n").unwrap() + 2;
            let date = format!("Date: {date}\r\n").into_bytes();
            Some(Reply::Keep([&bytes[..end], &date, &bytes[end..]].concat()))
        }
        other => Some(other),
    }
}

#[test]
fn a_replica_that_syncs_is_well_in_every_respect() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    home.ta(&["sync"]).done();
    let document = home.ta(&["doctor", "--json"]).json();
    let names = [
        "settings",
        "replica",
        "folder",
        "server",
        "tls",
        "clock",
        "client",
        "secret",
        "history",
        "next sync",
        "last sync",
    ];
    // This server tells no time.
    let expected = names.map(|name| (name, if name == "clock" { "skipped" } else { "ok" }));
    assert_eq!(all(&document), expected);
    assert_eq!((&document["code"], &document["problems"]), (&0.into(), &0.into()));
    let before = server.received().len();
    let told = home.ta(&["doctor"]).done();
    assert_says(&told, &["in step", "from its first version on", "All is well."]);
    assert!(server.received()[before..].iter().all(|it| it.method == "GET"), "it changes nothing");
    assert!(!told.contains(crate::CLIENT), "{told}");
}

#[test]
fn a_folder_without_a_server_is_well_too_and_a_new_home_is_told_what_to_do() {
    let home = TestHome::new();
    let told = home.ta(&["doctor"]).done();
    assert_says(&told, &["there is none in", "ta import", "never", "ta sync --quiet"]);
    assert!(!home.replica_file().exists(), "looking makes nothing");
    home.add("milk");
    home.ta(&["sync"]).done();
    let document = home.ta(&["doctor", "--json"]).json();
    assert!(all(&document).iter().all(|(_, health)| ["ok", "skipped"].contains(health)));
}

#[test]
fn a_clock_that_is_far_off_is_a_warning() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    home.ta(&["sync"]).done();
    server.twist(|request, memory| dated(request, memory, "Sun, 06 Nov 1994 08:49:37 GMT"));
    let told = home.ta(&["doctor"]).done();
    assert_says(&told, &["warning  clock", "ahead of the server's", "timedatectl", "It works."]);
}

#[test]
fn every_problem_has_its_exit_code_and_a_cure() {
    let fresh = || {
        let server = TestServer::new();
        let home = server.home();
        home.add("milk");
        home.ta(&["sync"]).done();
        (server, home)
    };
    let ill = |home: &TestHome, name: &str, code: i32| {
        let ran = home.ta(&["doctor", "--json"]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let document = ran.json();
        assert_eq!(document["code"], code);
        assert_eq!(health(&document, name), "problem", "{document}");
    };
    let (server, home) = fresh();
    drop(server);
    ill(&home, "server", 4);
    let (_server, home) = fresh();
    let home = home.with("TA_ENCRYPTION_SECRET", "quite another secret, as long as the other");
    ill(&home, "secret", 6);
    let (server, home) = fresh();
    server.twist(|_, _| Some(keep(403, &[], b"")));
    ill(&home, "client", 5);
    server.twist(|_, _| Some(keep(404, &[("content-type", "text/html")], b"<html>")));
    ill(&home, "server", 1);
    server.twist(|request, _| {
        let is_snapshot = request.path.ends_with("/snapshot");
        Some(Reply::Keep(response(if is_snapshot { 404 } else { 410 }, &[], b"")))
    });
    ill(&home, "history", 1);
    for (status, code, exit, cure) in [
        (503, "disk_low", 4, "make room on its disk"),
        (429, "too_many_guesses", 4, "Check server_client_key, then wait"),
        (503, "busy", 4, "Try again in a moment"),
    ] {
        let document = format!(r#"{{"code":"{code}","message":"It is so.","hint":"-"}}"#);
        let headers = [("content-type", "application/json"), ("retry-after", "600")];
        server.twist(move |_, _| Some(keep(status, &headers, document.as_bytes())));
        ill(&home, "server", exit);
        let told = home.ta(&["doctor"]).out;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_says(&told, &["the server says: It is so. (ask again in 10 min)", cure]);
    }
    let home = home.without("TA_ENCRYPTION_SECRET");
    ill(&home, "settings", 3);
    let told = home.ta(&["doctor"]);
    assert_says(&told.out, &["problem  settings", "encryption_secret", "to mend"]);
}

#[cfg(unix)]
#[test]
fn a_list_that_others_may_read_is_a_warning_with_the_command_that_closes_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = TestHome::new();
    home.add("milk");
    let file = home.replica_file();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let document = home.ta(&["doctor", "--json"]).json();
    assert_eq!(health(&document, "folder"), "warning");
    assert!(document.to_string().contains("chmod go="), "{document}");
}

#[test]
fn status_asks_the_server_only_when_told_to() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    home.ta(&["sync"]).done();
    let asked = server.received().len();
    let document = home.ta(&["status", "--json"]).json();
    assert!(document.get("server").is_none());
    assert_eq!(server.received().len(), asked);
    assert_says(
        &home.ta(&["status", "--server"]).done(),
        &["Server", "nothing there that is not here"],
    );
    assert_eq!(server.received().len(), asked + 1);
    let other = server.home();
    other.ta(&["sync"]).done();
    other.add("tea");
    other.ta(&["sync"]).done();
    let document = home.ta(&["status", "--server", "--json"]).json();
    assert_eq!(document["server"]["state"], "ahead");
    drop(server);
    home.ta(&["verify"]).failed(4);
    // Who has never synced has nothing to compare with in any case.
    let never = TestHome::new()
        .with("TA_SERVER_ORIGIN", "http://127.0.0.1:9")
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET);
    never.add("milk");
    assert_says(&never.ta(&["verify"]).done(), &["Not compared: the server cannot be reached"]);
    let ran = home.ta(&["status", "--server"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_says(&ran.out, &["Replica", "cannot be reached", "Is `ta serve` running?"]);
}

/// What a sync would not begin or take in, `ta doctor` and `ta status` know too.
#[test]
fn what_stops_a_sync_with_a_folder_is_told() {
    let disk = tempfile::TempDir::new().unwrap();
    let (folder, away) = (disk.path().join("server"), disk.path().join("away"));
    let home = TestHome::at_directory(&folder);
    home.add("milk");
    home.ta(&["sync"]).done();
    std::fs::rename(&folder, &away).unwrap();
    home.ta(&["sync"]).failed(3);
    let doctor = home.ta(&["doctor", "--json"]).json();
    assert_eq!((health(&doctor, "server"), &doctor["code"]), ("problem", &3.into()));
    assert_says(&home.ta(&["status"]).done(), &["is a disk unmounted?"]);
    std::fs::rename(&away, &folder).unwrap();
    home.ta(&["doctor"]).done();

    // A version of a newer program.
    let base = home.ta(&["status", "--json"]).json()["base_version"].take();
    let file = folder.join("taskchampion-local-sync-server.sqlite3");
    let history = rusqlite::Connection::open(file).unwrap();
    let newer = "99999999-9999-4999-8999-999999999999";
    history
        .execute_batch(&format!(
            r#"INSERT INTO versions (version_id, parent_version_id, data)
                   VALUES ('{newer}', '{}', '{{"operations":[{{"Fold":{{}}}}]}}');
               UPDATE data SET value = '{newer}' WHERE key = 'latest_version_id';"#,
            base.as_str().unwrap()
        ))
        .unwrap();
    home.ta(&["sync"]).failed(1);
    let doctor = home.ta(&["doctor", "--json"]).json();
    assert_eq!((health(&doctor, "next sync"), &doctor["code"]), ("problem", &1.into()));
    assert_says(&home.ta(&["doctor"]).out, &["Fold", "Update ta"]);
}

/// A replica of a real server's list.
fn replica_of(serving: &Serving) -> TestHome {
    TestHome::new()
        .with("TA_SERVER_ORIGIN", format!("http://{}", serving.address))
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET)
}

#[test]
fn what_a_server_of_ours_would_refuse_is_foreseen() {
    let at = TestHome::new();
    let closed = Serving::start(&at, &["--no-create-clients"]);
    let home = replica_of(&closed);
    home.add("milk");
    let ran = home.ta(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(health(&ran.json(), "client"), "problem");
    assert_says(&home.ta(&["doctor"]).out, &["begins no list for new ones", "Ask the operator"]);
    for words in [&["status", "--server"][..], &["sync"]] {
        assert_eq!(home.ta(words).code, Some(5), "{words:?}");
    }
    closed.signal("-TERM");
    assert_eq!(closed.ended().0, Some(0));
    let full = Serving::start(&at, &["--disk-room-mb-min", "999999999"]);
    let home = replica_of(&full);
    home.add("milk");
    assert_eq!(health(&home.ta(&["doctor", "--json"]).json(), "server"), "warning");
    let told = home.ta(&["doctor"]).out;
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_says(&told, &["takes nothing new at present", "nearly full", "make room on its disk"]);
    let foreseen = [&["doctor"][..], &["status", "--server"]].map(|words| home.ta(words).code);
    assert_eq!(foreseen, [home.ta(&["sync"]).code; 2], "something is to be sent");
    assert_ne!(foreseen[0], Some(0));
    let other = TestHome::new();
    let open = Serving::start(&other, &[]);
    let home = replica_of(&open);
    home.add("milk");
    assert_says(&home.ta(&["doctor"]).done(), &["no history there yet", "check server_client_key"]);
    home.ta(&["sync"]).done();
    let document = home.ta(&["doctor", "--json"]).json();
    assert_eq!((health(&document, "server"), health(&document, "client")), ("ok", "ok"));
}

/// It would refuse what a question offers.
#[test]
fn nobody_is_asked_to_begin_a_history_at_a_server_that_begins_none() {
    let at = TestHome::new();
    let open = Serving::start(&at, &[]);
    let address = open.address.clone();
    let (list, new) = (replica_of(&open), replica_of(&open));
    let new = new.with("TA_SERVER_CLIENT_KEY", CLIENT_KEY.replace('1', "8"));
    list.add("milk");
    list.ta(&["sync"]).done();
    // It finds nothing, which a sync with tasks would ask about.
    assert_says(&new.ta(&["sync"]).done(), &["ta sync --new-history"]);
    open.signal("-TERM");
    assert_eq!(open.ended().0, Some(0));
    let _closed = Serving::of(at.command(&["serve", "-l", &address, "--no-create-clients"]));
    let typo = list.copy().with("TA_SERVER_CLIENT_KEY", CLIENT_KEY.replace('1', "9"));
    let refused = |home: &TestHome| {
        for words in [&["doctor"][..], &["status", "--server"]] {
            assert_eq!(home.ta(words).code, Some(5), "{words:?}");
        }
        let told = home.ta(&["sync"]).failed(5);
        assert_says(&told, &["makes no new ones", "Ask the operator to add this client id"]);
        assert!(!told.contains("--new-history"), "{told}");
    };
    refused(&typo);
    refused(&new);
    new.add("tea");
    refused(&new);
    list.ta(&["sync"]).done();
}

/// The exit code of a sync, once `ta doctor` and `ta status --server` have come to it before.
#[track_caller]
fn foreseen(home: &TestHome, state: &str) -> i32 {
    let doctor = home.ta(&["doctor", "--json"]).json();
    let status = home.ta(&["status", "--server", "--json"]);
    let status_code = status.code;
    let status = status.json();
    assert_eq!(status["server"]["state"], state);
    assert_eq!(status["error"], doctor["error"]);
    let code = home.ta(&["sync"]).code;
    assert_eq!(doctor["code"].as_i64(), code.map(i64::from), "{doctor}");
    assert_eq!(status_code, code);
    let is_well = health(&doctor, "next sync") != "problem";
    assert_eq!(is_well, code == Some(0), "{doctor}");
    code.unwrap()
}

#[test]
fn whatever_a_sync_would_ask_is_foreseen() {
    // Another list is there.
    let server = TestServer::new();
    let other = server.home();
    other.add("theirs");
    assert_eq!(foreseen(&other, "empty"), 0);
    let folder = tempfile::TempDir::new().unwrap();
    let home = TestHome::at_directory(folder.path());
    home.add("ours");
    assert_eq!(foreseen(&home, "empty"), 0);
    assert_eq!(foreseen(&home, "in_step"), 0);
    let home = server.give(home);
    assert_eq!(foreseen(&home, "other_history"), 7);
    home.ta(&["sync", "--join"]).done();
    assert_eq!(foreseen(&other, "ahead"), 0);
    // It was restored from an older backup.
    let checkpoint = server.memory.checkpoint();
    home.add("after the backup");
    home.ta(&["sync"]).done();
    server.memory.restore(&checkpoint);
    assert_eq!(foreseen(&home, "went_back"), 7);
    home.ta(&["sync", "--upload-difference"]).done();
    // It has forgotten the list.
    let lost = TestServer::new();
    let home = home.with("TA_SERVER_ORIGIN", lost.url());
    assert_eq!(foreseen(&home, "empty"), 0);
    lost.twist(|request, memory| match request.method.as_str() {
        "GET" => Some(keep(404, &[], b"no such client")),
        _ => Some(task_server::answer(memory, request)),
    });
    let doctor = home.ta(&["doctor", "--json"]).json();
    assert_eq!((health(&doctor, "next sync"), &doctor["code"]), ("warning", &0.into()));
    // Nothing was here, and nothing there.
    let fresh = TestServer::new();
    let empty = fresh.home();
    assert_eq!(foreseen(&empty, "no_such_client"), 0);
    empty.add("first");
    assert_eq!(foreseen(&empty, "no_such_client"), 7);
}

#[test]
fn words_in_clear_to_a_port_of_tls_are_told_as_such() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    for words in [
        "<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>",
        "Client sent an HTTP request to an HTTPS server.\n",
    ] {
        server.twist(move |_, _| Some(keep(400, &[], words.as_bytes())));
        assert_says(&home.ta(&["sync"]).failed(1), &["server_origin begins with https://"]);
    }
}

/// What another program left is noticed by those who look where the replica stands, once; who looks at
/// tasks alone writes nothing even then.
#[test]
fn a_look_writes_nothing_but_that_another_program_was_at_work() {
    let home = TestHome::new();
    home.add("milk");
    home.ta(&["sync"]).done();
    let (id, task) = home.state().into_iter().next().unwrap();
    let old = task.get("description").unwrap();
    let update = format!(
        r#"{{"Update":{{"uuid":"{id}","property":"description","old_value":"{old}","value":"tea","timestamp":"2030-01-01T00:00:00Z"}}}}"#
    );
    let other = rusqlite::Connection::open(home.replica_file()).unwrap();
    for data in ["\"UndoPoint\"", &update] {
        other.execute("INSERT INTO operations (data) VALUES (?1)", [data]).unwrap();
    }
    let sql = "UPDATE tasks SET data = json_set(data, '$.description', 'tea')";
    assert_eq!(other.execute(sql, []).unwrap(), 1);
    drop(other);
    let bytes = || std::fs::read(home.replica_file()).unwrap();
    let before = bytes();
    for words in [
        &[][..],
        &["list"],
        &["1", "info"],
        &["1", "history"],
        &["export"],
        &["status"],
        &["conflicts", "list"],
    ] {
        home.ta(words).done();
        assert_eq!(bytes(), before, "{words:?}");
    }
    let state = home.state();
    for words in [&["doctor"][..], &["status", "--server"], &["verify"]] {
        home.ta(words).done();
    }
    assert_eq!(home.state(), state);
    let noticed = bytes();
    assert_ne!(noticed, before);
    for words in [&["doctor"][..], &["status", "--server"], &["verify"]] {
        home.ta(words).done();
        assert_eq!(bytes(), noticed, "{words:?}");
    }
    assert_says(&home.ta(&["sync"]).done(), &["up 1 change"]);
}
