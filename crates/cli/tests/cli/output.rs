//! How things are said: to people, to pipes, to programs, and to nobody.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::home::{TestHome, assert_says};
use crate::scripted::keep;
use crate::server::{NOBODY, TestServer};

fn home_with_tasks(count: usize) -> TestHome {
    let home = TestHome::new();
    let tasks: Vec<Value> = (0..count)
        .map(|n| serde_json::json!({ "description": format!("task {n} {}", "x".repeat(40)) }))
        .collect();
    home.ta_with_input(&["import"], &serde_json::to_vec(&tasks).unwrap()).done();
    home
}

#[test]
fn every_json_form_parses_and_stands_on_one_line() {
    let home = TestHome::new();
    for words in [
        &["add", "one", "--json"][..],
        &["add", "--json", "two"],
        &["--json", "1", "modify", "project:home"],
        &["1", "annotate", "note", "--json"],
        &["1", "start", "--json"],
        &["1", "stop", "--json"],
        &["list", "--json"],
        &["next", "--json"],
        &["--json"],
        &["1", "info", "--json"],
        &["1", "history", "--json"],
        &["1", "done", "--json"],
        &["2", "delete", "--json"],
        &["undo", "--json"],
        &["conflicts", "list", "--json"],
        &["gc", "--json"],
        &["sync", "--json"],
        &["undo", "--json"],
        &["status", "--json"],
        &["verify", "--json"],
        &["config", "list", "--json"],
        &["config", "path", "--json"],
        &["config", "get", "data_dir", "--json"],
        &["config", "set", "history_days", "7", "--json"],
        &["version", "--json"],
        &["help", "--json"],
        &["help", "add", "--json"],
        &["sync", "--help", "--json"],
        // Failures too.
        &["77", "info", "--json"],
        &["due:blah", "list", "--json"],
        &["modify", "--json"],
        &["config", "get", "frob", "--json"],
    ] {
        let ran = home.ta(words);
        assert_eq!(ran.out.lines().count(), 1, "{ran:?}");
        let failed = ran.code != Some(0);
        let document = ran.json();
        assert_eq!(document["outcome"] == "failed", failed, "{words:?}");
    }
}

#[test]
fn the_document_of_a_sync_is_the_documented_one() {
    let documented = include_str!("../../../../docs/reference/sync-json.md");
    let example = documented.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    let home = TestHome::new();
    home.add("buy milk");
    let document = home.ta(&["sync", "--json"]).json();
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().unwrap();
        let inner = |(key, value): (&String, &Value)| match value.as_object() {
            Some(inner) => inner.keys().map(|name| format!("{key}.{name}")).collect(),
            None => vec![key.clone()],
        };
        object.iter().flat_map(inner).collect()
    };
    assert_eq!(keys(&document), keys(&example));
    for key in document.as_object().unwrap().keys() {
        assert!(documented.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn quiet_is_silent_when_all_is_well_and_speaks_when_not() {
    let home = TestHome::new();
    for words in [
        &["add", "one", "--quiet"][..],
        &["-q", "1", "modify", "project:home"],
        &["1", "done", "--quiet"],
        &["undo", "--quiet"],
        &["gc", "--quiet"],
        &["verify", "--quiet"],
        &["config", "set", "history_days", "7", "--quiet"],
    ] {
        assert_eq!(home.ta(words).done(), "", "{words:?}");
    }
    // A history begins once, and a typo in the place would begin one too.
    assert_says(&home.ta(&["sync", "--quiet"]).done(), &["A new history was begun at"]);
    home.add("two");
    for words in [&["sync", "--quiet"][..], &["sync", "-q"], &["verify", "--quiet"]] {
        assert_eq!(home.ta(words).done(), "", "{words:?}");
    }
    home.ta(&["7", "done", "--quiet"]).failed(2);
    assert_says(&home.ta(&["list", "--quiet"]).done(), &["one"]);
}

#[test]
fn piped_output_has_no_colours_bars_or_other_escapes() {
    let home = home_with_tasks(500);
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        let home = home_with_tasks(3).with(variable, "1").with("TERM", "xterm-256color");
        for words in [&["list"][..], &["next"], &["1", "info"], &["status"], &["config", "list"]] {
            assert!(!home.ta(words).done().contains('\x1b'));
        }
    }
    for words in [&["sync"][..], &["list"], &["sync"]] {
        let ran = home.ta(words);
        assert!(!ran.out.contains('\x1b') && !ran.out.contains('\r'), "{ran:?}");
        let _ = ran.done();
    }
}

#[test]
fn control_characters_of_a_task_never_reach_a_terminal() {
    let home = TestHome::new();
    let evil = "evil\u{1b}[31m\u{7}\u{202e}\r\u{9b}2J";
    let json = serde_json::json!([{
        "description": evil, "project": evil, "tags": ["plain"], "priority": "H\u{1b}[2J",
        "annotations": [{ "entry": "20260101T000000Z", "description": evil }],
        "uda\u{1b}[1m": evil, "status": "pending",
    }]);
    let json = serde_json::to_vec(&json).unwrap();
    let home_out = home.ta_with_input(&["import"], &json);
    let mut said = vec![home_out.out.clone() + &home_out.err];
    for words in [
        &["list"][..],
        &["next"],
        &["1", "info"],
        &["1", "history"],
        &["1", "start"],
        &["1", "done"],
        &["evil", "list"],
        &[evil, "info"],
        &["1", "modify", &format!("due:{}", evil.replace('\0', ""))],
        &["--frob\u{1b}[31m"],
        &["help", evil],
        &["config", "get", evil],
        &["config", "set", evil, evil],
        &["conflicts", "show", evil],
        &["import", evil],
        &["--config", evil, "list"],
    ] {
        let ran = home.ta(words);
        said.push(ran.out + &ran.err);
    }
    for text in said {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{text:?}");
    }
}

#[test]
fn a_closed_pipe_ends_in_peace() {
    let home = home_with_tasks(5_000);
    for words in [&["list"][..], &["list", "--json"], &["export"], &["next"], &["1-5000", "info"]] {
        // A reader that is gone before anything is written.
        let mut child =
            home.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = home.ended(child, &format!("{words:?}"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    }
    // Standard error may be gone, too.
    let mut child = home
        .command(&["7777", "info"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_result_that_could_not_be_written_is_a_failure() {
    let home = home_with_tasks(3);
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for words in
        [&["list"][..], &["export"], &["1", "info"], &["list", "--json"], &["status"], &["version"]]
    {
        let child = home.command(words).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let ran = home.ended(child, &format!("{words:?}"));
        assert_says(&ran.failed(1), &["standard output", "space"]);
    }
    // Done is done, whoever hears of it.
    let child =
        home.command(&["add", "fourth"]).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    assert_says(&home.ended(child, "add").failed(1), &["standard output"]);
    assert_eq!(home.state().len(), 4);
}

#[test]
fn a_closed_standard_output_or_input_is_survived() {
    let home = home_with_tasks(1);
    let closed = || File::open("/dev/null").unwrap();
    // Not open for writing: every write fails.
    let child = home.command(&["list"]).stdout(closed()).stderr(Stdio::piped()).spawn().unwrap();
    let ran = home.ended(child, "list");
    assert!(!ran.err.contains("panic"), "{ran:?}");
    let mut shell = home.program("/bin/sh", &["-c", "exec \"$TA\" list <&- >&- 2>&-"]);
    shell.env("TA", env!("CARGO_BIN_EXE_ta"));
    assert!(shell.status().unwrap().code().is_some_and(|code| code < 2));
    let mut shell = home.program("/bin/sh", &["-c", "exec \"$TA\" add second <&- >&- 2>&-"]);
    shell.env("TA", env!("CARGO_BIN_EXE_ta"));
    assert!(shell.status().unwrap().code().is_some_and(|code| code < 2));
    assert_eq!(home.state().len(), 2);
    let ran = home.ta(&["verify"]);
    assert_eq!(ran.code, Some(0), "no file was taken for a standard stream: {ran:?}");
}

#[test]
fn an_argument_that_is_not_utf_8_is_refused_and_nothing_is_stored() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = TestHome::new();
    let word = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let ran = home.run(home.command(&[std::ffi::OsStr::new("add"), word]), b"");
    assert_says(&ran.failed(2), &["not UTF-8", "caf"]);
    assert!(home.state().is_empty());
}

#[test]
fn a_home_with_a_name_that_is_not_utf_8_works() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = TestHome::new();
    let folder = home.path("").join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    let home = home.with("TA_DATA_DIR", &folder);
    home.add("buy milk");
    home.ta(&["sync"]).done();
    home.ta(&["status"]).done();
    home.ta(&["status", "--json"]).done();
    assert!(folder.join("taskchampion.sqlite3").is_file());
}

#[test]
fn without_a_home_the_folders_are_asked_for() {
    let home = TestHome::new();
    let mut command = home.command(&["add", "buy milk"]);
    command.env("TA_DATA_DIR", home.path("data")).env("TA_SERVER_DIR", home.path("server"));
    command.env_remove("HOME");
    home.run(command, b"").done();
}

/// The rows of a document's table of exit codes.
fn exit_codes(document: &str, head: &str) -> Vec<(i32, String)> {
    let (_, rows) = document.split_once(head).unwrap();
    let rows = rows.lines().skip_while(|line| line.starts_with("| ---"));
    let cells =
        rows.map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    cells.map(|(code, meaning)| (code.parse().unwrap(), meaning.to_owned())).collect()
}

/// Goal: what the README publishes is what happens. Method: a case for each code of the table, which
/// the reference repeats word for word.
#[test]
fn the_table_of_exit_codes_is_true() {
    let readme = exit_codes(include_str!("../../../../README.md"), "| exit code | meaning |\n");
    let reference = include_str!("../../../../docs/reference/cli.md");
    let reference = exit_codes(reference, "| code | meaning |\n");
    assert_eq!(readme, reference);
    let codes: Vec<i32> = readme.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);

    let server = TestServer::new();
    let with = |name: &str, value: &str| server.home().with(name, value);
    let page = [("content-type", "text/html")];
    // An empty list finds nothing.
    let home = server.home();
    for _ in 0..2 {
        assert_eq!(home.ta(&["sync", "--json"]).json()["outcome"], "no_history");
    }
    // What should have been found is asked about.
    home.add("milk");
    home.ta(&["sync"]).failed(7);
    home.ta(&["sync", "--new-history"]).done();
    home.ta(&["sync", "--nonsense"]).failed(2);
    with("TA_ENCRYPTION_SECRET", "").ta(&["sync"]).failed(3);
    with("TA_ENCRYPTION_SECRET", "quite another secret, as long as the other")
        .ta(&["sync"])
        .failed(6);
    for (status, code) in [(403, 5), (429, 4), (500, 1), (503, 4), (507, 4)] {
        server.twist(move |_, _| Some(keep(status, &[], b"")));
        home.ta(&["sync"]).failed(code);
    }
    server.twist(move |_, _| Some(keep(200, &page, b"<html>")));
    home.ta(&["sync"]).failed(1);
    let home = home.with("TA_SERVER_ORIGIN", format!("http://{NOBODY}"));
    home.ta(&["sync"]).failed(4);
    home.ta(&["list"]).done();
}

/// As a shell tells it: by the signal's number, which with 128 is 130.
#[cfg(unix)]
#[test]
fn an_interrupted_sync_ends_by_the_signal() {
    use std::os::unix::process::ExitStatusExt as _;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    let address = format!("http://{}", silent.local_addr().unwrap());
    let home = home.with("TA_SERVER_ORIGIN", address);
    let mut running = home.start(&["sync"]);
    let held = silent.accept().unwrap();
    let status = Command::new("kill").arg("-INT").arg(running.id().to_string()).status().unwrap();
    assert!(status.success());
    assert_eq!(running.wait().unwrap().signal(), Some(2));
    drop(held);
}
