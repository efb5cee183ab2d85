//! What the server makes of its disk: when an answer leaves, flushes that fail, no room.

use std::path::Path;

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, add, ask, chain};

const DATA: &str = ".local/share/tandem-server";

/// `ta` with the library whose disk does what a variable says.
fn with_shim(
    home: &TestHome,
    words: &[&str],
    variable: &str,
    file: &Path,
) -> std::process::Command {
    let mut command = home.command(words);
    command.env("LD_PRELOAD", crate::durability::shim()).env(variable, file);
    command
}

#[test]
fn an_answer_leaves_after_its_version_is_on_the_disk() {
    let home = TestHome::new();
    let log = home.path("seen");
    let mut command = home.command(&["serve", "-l", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", crate::durability::shim()).env("SHIM_LOG", &log);
    let serving = Serving::of(command);
    let mut parent = NIL.to_owned();
    for number in 0..5 {
        let (status, headers) = add(&serving.address, &parent, &[number]);
        assert_eq!(status, 200);
        parent = headers["x-version-id"].clone();
        // A refusal tells of what another has written.
        assert_eq!(add(&serving.address, NIL, b"late").0, 409);
    }
    serving.signal("-TERM");
    assert_eq!(serving.ended().0, Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    let is_flushed = |line: &str| line.starts_with("flushed") && line.contains("sqlite3-wal");
    let (mut answers, mut flushes) = (0, 0);
    for line in text.lines() {
        flushes += u32::from(is_flushed(line));
        if line.contains("HTTP/1.1 200") {
            answers += 1;
            assert!(flushes > 0, "answer {answers} left before a flush: {text}");
            flushes = 0;
        }
    }
    assert_eq!(answers, 5, "{text}");
}

/// Goal: after a flush that failed nobody is told that a version lost or is stored, nothing more is
/// written until a restart, and then what is on the disk counts.
#[test]
fn after_a_flush_that_failed_it_writes_no_more_and_says_so() {
    let home = TestHome::new();
    let broken = home.path("broken");
    let mut command = home.command(&["serve", "-l", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", crate::durability::shim()).env("SHIM_BROKEN", &broken);
    let serving = Serving::of(command);
    let (status, headers) = add(&serving.address, NIL, b"first");
    assert_eq!(status, 200);
    let first = headers["x-version-id"].clone();
    std::fs::write(&broken, b"").unwrap();
    let (status, headers) = add(&serving.address, &first, b"second");
    assert!(status >= 500 && !headers.contains_key("x-version-id"), "{status}");
    // The disk is well again, but what the system forgot meanwhile nobody knows.
    std::fs::remove_file(&broken).unwrap();
    for (parent, body) in [(&first, b"second"), (&first, b"third_")] {
        assert_eq!(add(&serving.address, parent, body).0, 503);
    }
    let (status, _, told) = ask(&serving.address, "GET", "/readyz", b"").unwrap();
    assert_eq!(status, 503);
    assert!(String::from_utf8(told).unwrap().contains("writes_stopped"));
    assert_eq!(chain(&serving.address)[0], (first.clone(), b"first".to_vec()), "reading goes on");
    serving.signal("-TERM");
    let (code, log) = serving.ended();
    assert!(code == Some(0) && log.contains("no more is written"), "{log}");
    let serving = Serving::start(&home, &[]);
    let chain_now = chain(&serving.address);
    assert_eq!(chain_now[0], (first, b"first".to_vec()));
    assert!(chain_now.len() <= 2 && chain_now.iter().skip(1).all(|(_, body)| body == b"second"));
    assert_eq!(add(&serving.address, &chain_now[chain_now.len() - 1].0, b"next").0, 200);
}

#[test]
fn a_full_disk_turns_versions_away_until_there_is_room_again() {
    let home = TestHome::new();
    let full = home.path("full");
    let mut command = home.command(&["serve", "-l", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", crate::durability::shim()).env("SHIM_FULL", &full);
    let serving = Serving::of(command);
    let (status, headers) = add(&serving.address, NIL, b"first");
    assert_eq!(status, 200);
    let first = headers["x-version-id"].clone();
    std::fs::write(&full, b"").unwrap();
    for _ in 0..3 {
        assert_eq!(add(&serving.address, &first, &[7; 100_000]).0, 503);
    }
    assert_eq!(chain(&serving.address).len(), 1, "reading goes on");
    std::fs::remove_file(&full).unwrap();
    let (status, headers) = add(&serving.address, &first, b"second");
    assert_eq!(status, 200);
    let chain = chain(&serving.address);
    assert_eq!((chain.len(), &chain[1].0), (2, &headers["x-version-id"]));
}

/// Goal: what a flush that failed left in the system's memory alone is not answered with after a
/// restart. Method: a kill leaves the log; before the next server says that it listens, the log's
/// content has been written to the database and flushed there.
#[test]
fn after_a_kill_the_log_is_written_anew_before_anything_is_answered() {
    let home = TestHome::new();
    let mut serving = Serving::start(&home, &[]);
    let (status, headers) = add(&serving.address, NIL, b"first");
    assert_eq!(status, 200);
    serving.kill();
    let log = home.path("seen");
    let serving = Serving::of(with_shim(&home, &["serve", "-l", "127.0.0.1:0"], "SHIM_LOG", &log));
    let text = std::fs::read_to_string(&log).unwrap();
    let database =
        |what: &str| format!("{what} {}", home.path(DATA).join("tandem-server.sqlite3").display());
    let place =
        |what: &str| text.lines().position(|line| line.trim_end() == database(what).as_str());
    let (written, flushed) = (place("write"), place("flushed"));
    let listens = text.lines().position(|line| line.contains("listening on"));
    assert!(written.is_some() && written < flushed && flushed < listens, "{text}");
    assert_eq!(chain(&serving.address)[0].0, headers["x-version-id"]);
}

/// Goal: on a disk that is full the server starts and reads, and what makes room can be done.
/// Method: the library's disk is full for as long as the file exists that keeps room for this.
#[test]
fn on_a_full_disk_it_starts_and_what_makes_room_is_done() {
    for ends_in_peace in [true, false] {
        let home = TestHome::new();
        let mut serving = Serving::start(&home, &[]);
        let (status, headers) = add(&serving.address, NIL, &[7; 100_000]);
        assert_eq!(status, 200);
        if ends_in_peace {
            serving.signal("-TERM");
            assert_eq!(serving.ended().0, Some(0));
        } else {
            serving.kill();
        }
        let reserve = home.path(DATA).join("tandem-server.reserve");
        let full = |words: &[&str]| with_shim(&home, words, "SHIM_FULL", &reserve);
        assert!(reserve.is_file(), "room is put by");
        let keeps_room = || std::fs::write(&reserve, b"").unwrap();
        let serving = Serving::of(full(&["serve", "-l", "127.0.0.1:0"]));
        assert_eq!(chain(&serving.address)[0].0, headers["x-version-id"]);
        drop(serving);
        keeps_room();
        assert_says(&home.run(full(&["server", "stats"]), b"").done(), &["Clients     1"]);
        for words in [&["gc", "--force"][..], &["client", "list"]] {
            keeps_room();
            home.run(full(&[&["server"], words].concat()), b"").done();
        }
        let list = home.ta(&["server", "client", "list", "--json"]).json();
        let tag = list[0]["client"].as_str().unwrap();
        keeps_room();
        home.run(full(&["server", "client", "delete", tag, "--yes"]), b"").done();
        assert!(!reserve.exists(), "it was needed");
        home.ta(&["server", "verify"]).done();
    }
}
