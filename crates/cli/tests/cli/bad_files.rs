//! Files that are not as they should be: one clear message with a cure each, and nothing lost.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::durability::on_full_disk;
use crate::home::{Ran, TestHome, assert_says, copy_folder, look};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn with_one_task() -> TestHome {
    let home = TestHome::new();
    home.add("buy milk");
    home
}

/// Every kind of command fails alike, and the file stays as it is.
#[track_caller]
fn all_fail(home: &TestHome, parts: &[&str]) {
    let before = fs::read(home.replica_file()).ok();
    for words in
        [&["list"][..], &["add", "more"], &["1", "done"], &["sync"], &["undo"], &["status"]]
    {
        assert_says(&home.ta(words).failed(1), parts);
    }
    assert_eq!(fs::read(home.replica_file()).ok(), before);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let home = TestHome::new();
    fs::create_dir_all(home.path(".local/share")).unwrap();
    fs::write(home.data_dir(), "a file").unwrap();
    let home = home.with("TA_SERVER_DIR", "between");
    for words in [&["list"][..], &["add", "x"], &["sync"], &["status"], &["verify"], &["doctor"]] {
        let told = home.ta(words);
        assert_eq!(told.code, Some(3), "{told:?}");
        let told = told.out + &told.err;
        assert_says(&told, &["`data_dir` (default)", "tandem is a file, and not a folder"]);
    }
    let below = home.copy().with("TA_DATA_DIR", home.data_dir().join("below"));
    let told = below.ta(&["list"]).failed(3);
    assert_says(
        &told,
        &["`data_dir` (TA_DATA_DIR)", "share/tandem is a file", "config set data_dir"],
    );
    let words = ["config", "set", "data_dir", &home.data_dir().display().to_string()];
    assert_says(&home.ta(&words).failed(3), &["(command line)", "is a file, and not a folder"]);
    assert_eq!(fs::read_to_string(home.data_dir()).unwrap(), "a file");
}

#[test]
fn a_folder_in_the_place_of_the_file_is_named() {
    let home = TestHome::new();
    fs::create_dir_all(home.replica_file()).unwrap();
    all_fail(&home, &["taskchampion.sqlite3"]);
}

#[test]
fn a_file_in_the_place_of_the_server_folder_leaves_everything_waiting() {
    let home = with_one_task();
    let home = home.with("TA_SERVER_DIR", "file");
    fs::write(home.path("file"), "not a folder").unwrap();
    let told = home.ta(&["sync"]).failed(3);
    assert_says(&told, &["is not a folder", "4 changes wait safely here", "Name a folder"]);
    let document = home.ta(&["sync", "--json"]);
    assert_says(&document.out, &["\"kind\":\"directory_not_a_folder\"", "\"code\":3"]);
    assert_says(&home.ta(&["status"]).done(), &["a file stands in its place"]);
    home.ta(&["list"]).done();
}

#[test]
fn a_damaged_directory_leaves_everything_waiting() {
    let home = with_one_task();
    home.ta(&["sync"]).done();
    let file =
        home.path(".local/share/taskchampion-sync-server/taskchampion-local-sync-server.sqlite3");
    let good = fs::read(&file).unwrap();
    home.add("second");
    fs::write(&file, "rubbish ".repeat(1_000)).unwrap();
    let told = home.ta(&["sync"]).failed(3);
    assert_says(&told, &["not a database", "4 changes wait safely here", "none of ours"]);
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    let ran = home.ta(&["sync"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    fs::write(&file, &good).unwrap();
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
}

#[test]
fn a_text_or_another_programs_database_is_not_a_replica() {
    let home = with_one_task();
    fs::write(home.replica_file(), "my diary, not a database\n".repeat(500)).unwrap();
    let cure = "in a new folder `ta sync` brings back what the server has";
    all_fail(&home, &["is not a TaskChampion replica", "data_dir", cure]);
    fs::remove_file(home.replica_file()).unwrap();
    let photos = Connection::open(home.replica_file()).unwrap();
    photos
        .execute_batch("CREATE TABLE photos (name TEXT); INSERT INTO photos VALUES ('cat')")
        .unwrap();
    drop(photos);
    all_fail(&home, &["is not a TaskChampion replica"]);
}

#[test]
fn a_corrupt_replica_is_named_and_kept_for_whoever_repairs_it() {
    let home = with_one_task();
    let good = fs::read(home.replica_file()).unwrap();
    // The first page is damaged behind its magic words.
    let mut bad = good.clone();
    bad[20..200].fill(0xa5);
    fs::write(home.replica_file(), &bad).unwrap();
    let cure = "set `data_dir` to a new folder: `ta sync` brings back what the server has";
    all_fail(&home, &["is damaged", "Keep a copy", cure]);
    // All pages but the first are.
    let mut bad = good.clone();
    bad[4096..].fill(0xa5);
    fs::write(home.replica_file(), &bad).unwrap();
    for words in [&["list"][..], &["add", "more"], &["sync"], &["verify"]] {
        assert_says(&home.ta(words).failed(1), &["taskchampion.sqlite3"]);
    }
    // It is cut off.
    fs::write(home.replica_file(), &good[..good.len() / 2]).unwrap();
    for words in [&["list"][..], &["add", "more"], &["sync"], &["verify"]] {
        assert_says(&home.ta(words).failed(1), &["taskchampion.sqlite3"]);
    }
    fs::write(home.replica_file(), &good).unwrap();
    assert_eq!(home.descriptions(), ["buy milk"]);
}

#[test]
fn verify_does_not_offer_to_repair_a_damaged_file() {
    let home = with_one_task();
    for n in 0..200 {
        home.add(&format!("a task with a description that takes its room, number {n}"));
    }
    home.ta(&["sync"]).done();
    let good = fs::read(home.replica_file()).unwrap();
    let mut found = 0;
    for page in 1..good.len() / 4096 {
        let mut bad = good.clone();
        // The numbers of the cells are gone, the tables that lead there are whole.
        bad[page * 4096 + 3..page * 4096 + 5].fill(0);
        fs::write(home.replica_file(), &bad).unwrap();
        let ran = home.ta(&["verify"]);
        if ran.err.contains("ta: the replica's file is damaged") {
            found += 1;
            assert_says(&ran.err, &["Keep a copy", "set `data_dir` to a new folder"]);
            assert!(!ran.err.contains("--repair"), "{ran:?}");
            assert_eq!(home.ta(&["verify", "--repair"]).code, Some(1));
        }
    }
    assert!(found > 0, "some page is told of by SQLite's own check");
}

#[test]
fn any_damaged_page_ends_in_a_message_and_never_in_a_panic() {
    let home = with_one_task();
    for n in 0..20 {
        home.add(&format!("task {n}"));
    }
    home.ta(&["sync"]).done();
    let good = fs::read(home.replica_file()).unwrap();
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096 + 8..(page + 1) * 4096].fill(0x5a);
        fs::write(home.replica_file(), &bad).unwrap();
        for words in [&["list"][..], &["add", "more"], &["sync"], &["all", "export"]] {
            let ran = home.ta(words);
            // 7: what it knew of the directory was on that page, so it asks.
            assert!(matches!(ran.code, Some(0 | 1 | 7)), "page {page}: {ran:?}");
            assert!(!ran.err.contains("panicked"), "page {page}: {ran:?}");
        }
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_by_name_and_left_alone() {
    let home = with_one_task();
    let good = fs::read(home.replica_file()).unwrap();
    for (sql, format) in [
        ("UPDATE version SET major = 1", "newer format 1."),
        ("UPDATE tandem_meta SET value = '2.0' WHERE key = 'tandem_schema'", "newer format 2.0"),
    ] {
        fs::write(home.replica_file(), &good).unwrap();
        let connection = Connection::open(home.replica_file()).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
        drop(connection);
        all_fail(&home, &[format, "Update `ta`"]);
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_told() {
    let home = with_one_task();
    home.ta(&["sync"]).done();
    let mut told = vec!["buy milk".to_owned()];
    let mut failures = 0;
    for step in 0..24 {
        let room = step * 4_096;
        let description = format!("with room for {room}");
        let words = ["add", &description];
        let ran = on_full_disk(&home, &words, room);
        match ran.code {
            Some(0) => told.push(description),
            _ => {
                failures += 1;
                assert_says(&ran.failed(1), &["full", "Make room"]);
            }
        }
        let ran = on_full_disk(&home, &["sync"], room);
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
        if ran.code == Some(1) {
            let _ = ran.failed(1);
        }
        // Reading needs no room.
        let there = home.descriptions();
        assert!(told.iter().all(|task| there.contains(task)), "{there:?}");
    }
    assert!(failures > 0 && told.len() > 1, "{failures} of them failed, {} did not", told.len());
    let (_, _) = home.ta(&["sync"]).done_with_notices();
    assert_eq!(home.descriptions().len(), told.len(), "what failed is not there");
    home.ta(&["verify"]).done();
    let fresh = TestHome::at_directory(&home.path(".local/share/taskchampion-sync-server"));
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}

#[test]
fn a_full_disk_stops_no_reading() {
    let home = with_one_task();
    for words in [&["list"][..], &["next"], &["1", "info"], &["export"], &["status"]] {
        let ran = on_full_disk(&home, words, 0);
        assert!(ran.code == Some(0), "{words:?}: {ran:?}");
        assert_says(
            &ran.out,
            &[if words == ["status"] { "1 of them numbered" } else { "buy milk" }],
        );
    }
    let told = on_full_disk(&home, &["add", "more"], 0).failed(1);
    assert_says(&told, &["full", "Make room"]);
    assert_eq!(home.descriptions(), ["buy milk"]);
}

#[test]
fn the_first_command_on_a_full_disk_leaves_nothing_in_the_way() {
    for step in 0..30 {
        let home = TestHome::new();
        let ran = on_full_disk(&home, &["add", "buy milk"], step * 4_096);
        let is_told = ran.code == Some(0);
        if !is_told {
            assert_says(&ran.failed(1), &["full"]);
        }
        let ran = home.ta(&["add", "after room was made"]);
        assert_eq!(ran.code, Some(0), "{step}: {ran:?}");
        assert_eq!(home.descriptions().len(), 1 + usize::from(is_told));
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_too() {
    let home = with_one_task();
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$TA\" add \"$TEXT\"";
    let mut command = home.program("/bin/bash", &["-c", script]);
    command.env("TA", env!("CARGO_BIN_EXE_ta")).env("TEXT", "x".repeat(50_000));
    let ran = home.run(command, b"");
    let _ = ran.failed(1);
    assert_eq!(home.descriptions(), ["buy milk"]);
}

/// Runs `ta` as somebody who may not write everywhere, which root may.
fn as_nobody(home: &TestHome, words: &[&str]) -> Ran {
    let uid = fs::metadata("/proc/self").unwrap().uid();
    if uid != 0 {
        return home.ta(words);
    }
    // The folders above the program may be closed to others.
    let program = home.path("ta");
    if !program.exists() {
        // By another process: one that other tests start meanwhile would inherit our open file, and
        // what is open for writing cannot be started.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ta")).arg(&program).status();
        assert!(copied.unwrap().success());
    }
    let program = program.display().to_string();
    let mut line = vec!["--reuid=65534", "--regid=65534", "--clear-groups", &program];
    line.extend_from_slice(words);
    home.run(home.program("/usr/bin/setpriv", &line), b"")
}

#[test]
fn a_replica_that_may_not_be_written_can_be_read_and_says_why_it_does_not_change() {
    let home = with_one_task();
    home.ta(&["sync"]).done();
    home.add("second");
    for folder in ["", ".local", ".local/share"] {
        set_mode(&home.path(folder), 0o755);
    }
    set_mode(&home.replica_file(), 0o444);
    set_mode(&home.data_dir(), 0o555);
    let before = look(&home.data_dir());
    let listed = as_nobody(&home, &["list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_says(&listed.out, &["buy milk", "second"]);
    for words in [&["add", "third"][..], &["1", "done"], &["undo"]] {
        assert_says(&as_nobody(&home, words).failed(1), &["cannot be written", "owner and mode"]);
    }
    let ran = as_nobody(&home, &["sync"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(look(&home.data_dir()), before);
    set_mode(&home.data_dir(), 0o700);
    set_mode(&home.replica_file(), 0o600);
    home.add("third");
    assert_eq!(home.state().len(), 3);
}

/// A home with the list's file and one of its neighbours as another program has them at this moment,
/// open to be read by others.
fn as_it_was_left(home: &TestHome, neighbour: &str) -> TestHome {
    let left = TestHome::new();
    fs::create_dir_all(left.data_dir()).unwrap();
    let beside = |home: &TestHome, suffix: &str| {
        PathBuf::from(format!("{}{suffix}", home.replica_file().display()))
    };
    for suffix in ["", neighbour] {
        fs::copy(beside(home, suffix), beside(&left, suffix)).unwrap();
        set_mode(&beside(&left, suffix), 0o444);
    }
    for folder in ["", ".local", ".local/share"] {
        set_mode(&left.path(folder), 0o755);
    }
    set_mode(&left.data_dir(), 0o777);
    left
}

#[test]
fn half_a_change_in_a_file_that_may_not_be_written_is_not_shown_and_a_log_is_read_with_it() {
    let home = with_one_task();
    let long = "x".repeat(4_000);
    for n in 0..10 {
        home.add(&format!("{n} {long}"));
    }
    let file = Connection::open(home.replica_file()).unwrap();
    file.execute("UPDATE tasks SET data = replace(data, 'buy milk', 'buy oats')", []).unwrap();
    let left = as_it_was_left(&home, "-wal");
    let (listed, _) = as_nobody(&left, &["list"]).done_with_notices();
    assert!(listed.contains("buy oats"), "what is in the log is there");

    file.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;
         UPDATE tasks SET data = replace(data, 'xxxx', 'NEVER');",
    )
    .unwrap();
    let left = as_it_was_left(&home, "-journal");
    for words in [&["export"][..], &["list"], &["sync"]] {
        let told = as_nobody(&left, words).failed(1);
        assert_says(&told, &["stands in the middle of a change", "`task list`"]);
    }
    // Whoever may write takes the change back.
    set_mode(&left.replica_file(), 0o600);
    let (exported, _) = left.ta(&["export"]).done_with_notices();
    assert!(exported.contains("xxxx") && !exported.contains("NEVER"));
}

#[test]
fn a_folder_that_may_not_be_made_is_named() {
    let home = TestHome::new();
    set_mode(&home.path(""), 0o555);
    let ran = as_nobody(&home, &["add", "buy milk"]);
    set_mode(&home.path(""), 0o755);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_says(&ran.err, &["ta: ", ".local"]);
}

#[test]
fn a_wide_mode_is_warned_about_and_never_changed() {
    let home = with_one_task();
    set_mode(&home.replica_file(), 0o644);
    let (_, notice) = home.ta(&["list"]).done_with_notices();
    assert_says(&notice, &["others may read", "chmod go= $HOME"]);
    assert_eq!(notice.lines().count(), 1, "one line: the folder is closed: {notice}");
    assert_eq!(fs::metadata(home.replica_file()).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn a_wrong_settings_file_names_the_line_and_the_nearest_key() {
    let home = with_one_task();
    let file = home.path(".config/tandem/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let shown = "$HOME/.config/tandem/config.toml";
    for (text, parts) in [
        ("# a comment\nserver_orign = \"x\"\n", &[":2", "server_orign", "server_origin"][..]),
        ("history_days = \"x\"\n", &[":1", "history_days"]),
        ("history_days = -1\n", &[":1", "history_days", "from 0 to"]),
        ("\n\navoid_snapshots = = 3\n", &[":3:", "not valid TOML"]),
        ("encryption_secret = \"abc \"\n", &[":1", "white space"]),
        ("server_client_key = \"not a uuid\"\n", &[":1", "server_client_key"]),
        ("server_origin = \"ftp://example.org\"\n", &[":1", "server_origin"]),
        ("data_dir = \"~bob/tasks\"\n", &[":1", "data_dir"]),
        ("[serve]\nlisten = \"x\"\n", &[":1", "`[serve]`", "section", "serve.toml"]),
    ] {
        fs::write(&file, text).unwrap();
        for words in [&["list"][..], &["sync"], &["config", "list"]] {
            let told = home.ta(words).failed(3);
            assert_says(&told, parts);
            assert_says(&told, &[shown]);
            assert!(!told.contains("abc "), "{told}");
        }
        // What says nothing about tasks still works.
        home.ta(&["version"]).done();
        home.ta(&["config", "path"]).done();
    }
    fs::write(&file, b"data_dir = \"caf\xe9\"\n").unwrap();
    assert_says(&home.ta(&["list"]).failed(3), &[":1", "not UTF-8"]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_says(&home.ta(&["list"]).failed(3), &[shown]);
    assert_says(&home.ta(&["--config", "nowhere.toml", "list"]).failed(3), &["nowhere.toml"]);
}

#[test]
fn a_wrong_variable_is_named() {
    let home = with_one_task().with("TA_HISTORY_DAYS", "many");
    assert_says(&home.ta(&["list"]).failed(3), &["TA_HISTORY_DAYS", "history_days"]);
    let home = home.without("TA_HISTORY_DAYS").with("TA_HISTORY_DAY", "7");
    let (_, notice) = home.ta(&["list"]).done_with_notices();
    assert_says(&notice, &["TA_HISTORY_DAY", "TA_HISTORY_DAYS"]);
}

#[test]
fn a_folder_copied_while_in_use_is_a_replica() {
    let home = with_one_task();
    let copy = TestHome::new();
    fs::create_dir_all(copy.path(".local")).unwrap();
    copy_folder(&home.path(".local"), &copy.path(".local"));
    assert_eq!(copy.state(), home.state());
}

#[test]
fn an_interrupted_sync_ends_as_signals_do_and_waits() {
    let home = with_one_task();
    let server = crate::server::TestServer::new();
    let (arrived, has_arrived) = std::sync::mpsc::channel();
    server.twist(move |_, _| {
        arrived.send(()).unwrap();
        Some(crate::scripted::Reply::Hang)
    });
    let home = server.give(home);
    // Whoever runs the tests in the background of a shell has them ignore it, and so would ours.
    let heeding = ["--default-signal=INT", env!("CARGO_BIN_EXE_ta"), "sync"];
    let mut command = home.program("/usr/bin/env", &heeding);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    has_arrived.recv().unwrap();
    let kill = home.program("/bin/kill", &["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    // A shell shows both as 130.
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status:?}");
    server.untwist();
    let (told, _) = home.ta(&["sync"]).done_with_notices();
    assert_says(&told, &["up 4 changes"]);
}
