//! `ta demo`: it ends well, and leaves nothing behind however it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::home::{TestHome, assert_says};

/// A home whose temporary folder is its own.
fn home() -> TestHome {
    let home = TestHome::new();
    let folder = home.path("tmp");
    std::fs::create_dir(&folder).unwrap();
    home.with("TMPDIR", folder)
}

#[track_caller]
fn assert_nothing_is_left(home: &TestHome) {
    assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 1, "nothing was made");
    assert_eq!(std::fs::read_dir(home.path("tmp")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn the_demo_ends_well_and_touches_nothing_of_ours() {
    let home = home();
    let told = home.ta(&["demo"]).done();
    assert_says(&told, &["All three hold the same 3000 tasks", "everything is removed again"]);
    if cfg!(feature = "server") {
        assert_says(
            &told,
            &[
                "Began from the server's snapshot, with 3000 tasks in it.",
                "versions older than its snapshots and half a year went",
                "so it began again from the server's present",
                "the change from the drawer is there",
            ],
        );
    }
    assert_nothing_is_left(&home);
}

#[test]
fn the_demo_gives_a_document_to_programs() {
    let home = home();
    let ran = home.ta(&["demo", "--json"]).done();
    assert_eq!(ran.lines().count(), 1, "{ran}");
    let document: serde_json::Value = serde_json::from_str(&ran).unwrap();
    assert_eq!(document["outcome"], "done");
    assert_eq!(document["tasks"], 3000);
    assert!(document["conflicts"].as_u64().is_some_and(|conflicts| conflicts > 0), "{document}");
    assert_nothing_is_left(&home);
}

#[test]
fn a_demo_that_is_interrupted_removes_what_it_made() {
    for (signal, line) in [("-INT", "The laptop has"), ("-TERM", "All three hold")] {
        let home = home();
        let mut command = home.command(&["demo"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains(line) {
            assert!(output.read_line(&mut text).unwrap() > 0, "it ended before: {text}");
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        output.read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
        assert!(!text.contains("Try next"), "{text}");
        assert_nothing_is_left(&home);
    }
}
