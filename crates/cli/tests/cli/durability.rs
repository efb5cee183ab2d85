//! What was said is on the disk: `ta` runs with a small library loaded before the system's, which
//! writes down in what order files are written and flushed, requests sent and words said.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tandem_client::{LAST_SYNC_FILE, LOCK_FILE};
use tempfile::TempDir;

use crate::home::{Ran, TestHome, assert_says};
use crate::server::TestServer;

/// The compiled library, in a folder that goes with the process.
static SHIM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let (source, library) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
    std::fs::write(&source, include_str!("shim.c")).unwrap();
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (folder, library)
});

/// Runs `ta` with the library and returns what it saw, in order.
#[track_caller]
fn watched(home: &TestHome, words: &[&str]) -> (Ran, Vec<Seen>) {
    let log = home.path("seen");
    let _ = std::fs::remove_file(&log);
    let mut command = home.command(words);
    command.env("LD_PRELOAD", &SHIM.1).env("SHIM_LOG", &log);
    let ran = home.run(command, b"");
    let text = std::fs::read_to_string(&log).unwrap();
    let seen = text.lines().map(Seen::read).collect();
    (ran, seen)
}

/// Runs `ta` on a disk that is full after so many bytes.
pub(crate) fn on_full_disk(home: &TestHome, words: &[&str], room: u64) -> Ran {
    let mut command = home.command(words);
    command.env("LD_PRELOAD", &SHIM.1).env("SHIM_ROOM", room.to_string());
    home.run(command, b"")
}

/// The library, for a `ta` that a test starts itself.
pub(crate) fn shim() -> &'static std::path::Path {
    &SHIM.1
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// A file was written.
    Wrote(String),
    /// A flush of a file has returned.
    Flushed(String),
    /// A file is gone.
    Removed(String),
    /// A request was sent.
    Sent(String),
    /// Something was said on standard output.
    Said(String),
    Other,
}

impl Seen {
    fn read(line: &str) -> Self {
        let (what, rest) = line.split_once(' ').unwrap();
        let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match what {
            // Shared memory is rebuilt after a crash; the lock's file and the time of the last sync
            // are for people.
            "write" if path.ends_with("-shm") || is_for_people(path) => Self::Other,
            "write" if path.starts_with('/') => Self::Wrote(path.to_owned()),
            "write" if path.starts_with("pipe:") => Self::Said(text.to_owned()),
            "write" | "send" if path.starts_with("socket:") => Self::Sent(text.to_owned()),
            "flushed" => Self::Flushed(path.to_owned()),
            "removed" => Self::Removed(path.to_owned()),
            _ => Self::Other,
        }
    }
}

/// True for what nothing but a message is made of.
fn is_for_people(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name == LOCK_FILE || name.trim_end_matches(".part") == LAST_SYNC_FILE
}

/// The files that have been written and not been flushed since, at the first `moment`; how many
/// flushes had returned by then.
#[track_caller]
fn unflushed_at(seen: &[Seen], moment: impl Fn(&Seen) -> bool) -> (BTreeSet<String>, usize) {
    let place = seen.iter().position(moment);
    let place = place.unwrap_or_else(|| panic!("it never came: {seen:#?}"));
    let (mut unflushed, mut flushes) = (BTreeSet::new(), 0);
    for event in &seen[..place] {
        match event {
            Seen::Wrote(path) => drop(unflushed.insert(path.clone())),
            Seen::Removed(path) => drop(unflushed.remove(path)),
            Seen::Flushed(path) => {
                unflushed.remove(path);
                flushes += 1;
            }
            _ => {}
        }
    }
    (unflushed, flushes)
}

fn says(start: &str) -> impl Fn(&Seen) -> bool {
    move |event| matches!(event, Seen::Said(text) if text.starts_with(start))
}

#[track_caller]
fn assert_durable(seen: &[Seen], moment: impl Fn(&Seen) -> bool) {
    let (unflushed, flushes) = unflushed_at(seen, moment);
    assert_eq!(unflushed, BTreeSet::new(), "{seen:#?}");
    assert!(flushes > 0, "nothing was written at all? {seen:#?}");
}

#[test]
fn a_change_is_flushed_before_it_is_told() {
    let home = TestHome::new();
    for (words, said) in [
        (&["add", "the first makes the file"][..], "Added task 1."),
        (&["add", "the second"], "Added task 2."),
        (&["1", "modify", "project:home"], "Modified task 1"),
        (&["1", "done"], "Completed task 1"),
        (&["undo"], "Undid `done`"),
        (&["gc"], "2 tasks numbered"),
    ] {
        let (ran, seen) = watched(&home, words);
        drop(ran.done());
        assert_durable(&seen, says(said));
    }
    let (ran, seen) = watched(&home, &["config", "set", "history_days", "7"]);
    drop(ran.done());
    let is_told = |event: &Seen| matches!(event, Seen::Said(text) if text.starts_with("Set"));
    let place = seen.iter().position(is_told).unwrap();
    let before = &seen[..place];
    assert!(
        before.iter().any(|event| matches!(event, Seen::Flushed(path) if path.ends_with(".tmp")))
    );
    assert!(
        before
            .iter()
            .any(|event| matches!(event, Seen::Flushed(path) if path.ends_with("/tandem")))
    );
}

#[test]
fn what_is_sent_is_flushed_as_in_flight_before_its_first_byte_leaves() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let (ran, seen) = watched(&home, &["sync"]);
    assert_says(&ran.done(), &["up 4 changes"]);
    let push = |event: &Seen| matches!(event, Seen::Sent(text) if text.starts_with("POST /v1/client/add-version/"));
    assert_durable(&seen, push);
    assert_durable(&seen, says("up 4 changes"));
    // The in-flight row itself was written between the last question and the push.
    let sent = seen.iter().position(push).unwrap();
    let asked = seen[..sent].iter().rposition(|event| matches!(event, Seen::Sent(_))).unwrap();
    let between = &seen[asked..sent];
    assert!(
        between.iter().any(|event| matches!(event, Seen::Wrote(path) if path.ends_with("-wal")))
    );
    assert!(
        between.iter().any(|event| matches!(event, Seen::Flushed(path) if path.ends_with("-wal")))
    );
}

#[test]
fn what_was_pulled_is_flushed_before_it_is_told() {
    let server = TestServer::new();
    let (laptop, desktop) = (server.home(), server.home());
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    let (ran, seen) = watched(&desktop, &["sync"]);
    assert_says(&ran.done(), &["down 4 changes"]);
    assert_durable(&seen, says("up 0 changes"));
}

#[test]
fn a_directory_is_flushed_before_the_replica_believes_in_it() {
    let home = TestHome::new();
    for name in ["first", "second"] {
        home.add(name);
        let (ran, seen) = watched(&home, &["sync"]);
        assert_says(&ran.done(), &["up 4 changes"]);
        assert_durable(&seen, says("up 4 changes"));
        let is_directory = |path: &str| path.contains("taskchampion-local-sync-server");
        let last_write = seen
            .iter()
            .rposition(|event| matches!(event, Seen::Wrote(path) if is_directory(path)))
            .unwrap();
        let flushed = seen
            .iter()
            .rposition(|event| matches!(event, Seen::Flushed(path) if is_directory(path)))
            .unwrap();
        let believed = seen[last_write..]
            .iter()
            .position(|event| matches!(event, Seen::Wrote(path) if !is_directory(path)));
        assert!(last_write < flushed && flushed < last_write + believed.unwrap(), "{seen:#?}");
    }
}

#[test]
fn a_sync_with_nothing_to_do_writes_and_flushes_nothing() {
    let server = TestServer::new();
    for home in [TestHome::new(), server.home()] {
        home.add("buy milk");
        home.ta(&["sync"]).done();
        let (ran, seen) = watched(&home, &["sync"]);
        assert_eq!(ran.done(), "in step\n");
        let durable: Vec<_> = seen
            .iter()
            .filter(|event| matches!(event, Seen::Wrote(_) | Seen::Flushed(_)))
            .collect();
        assert!(durable.is_empty(), "{durable:#?}");
    }
}
