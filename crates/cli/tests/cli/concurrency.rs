//! Several processes on one replica at once.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::mpsc;

use tempfile::TempDir;

use crate::home::{TestHome, assert_says};
use crate::scripted::Reply;
use crate::server::{TestServer, is_push};
use crate::task_server;

/// A server that holds the first push until it is told to go on, and tells when it has it.
struct Held {
    has_arrived: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Held {
    /// `stored_first` is when the server commits: before the wait or after it.
    fn new(server: &TestServer, stored_first: bool) -> Self {
        let (arrived, has_arrived) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let mut is_first = true;
        server.twist(move |request, memory| {
            if !is_push(request) || !std::mem::take(&mut is_first) {
                return None;
            }
            let reply: Option<Reply> = stored_first.then(|| task_server::answer(memory, request));
            arrived.send(()).unwrap();
            may_go_on.recv().unwrap();
            reply
        });
        Self { has_arrived, go_on }
    }
}

#[test]
fn eight_adds_at_once_all_get_numbers_of_their_own() {
    let home = TestHome::new();
    let children: Vec<_> =
        (0..8).map(|n| home.start(&["add", "--json", &format!("task {n}")])).collect();
    let numbers: BTreeSet<u64> = children
        .into_iter()
        .map(|child| {
            let ran = home.ended(child, "add");
            assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
            ran.json()["number"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(numbers, (1..=8).collect());
    assert_eq!(home.state().len(), 8);
    home.ta(&["sync"]).done();
    home.ta(&["verify"]).done();
}

#[test]
fn an_edit_does_not_wait_for_a_sync_that_waits_for_its_server() {
    for stored_first in [false, true] {
        let server = TestServer::new();
        let home = server.home();
        home.add("buy milk");
        let held = Held::new(&server, stored_first);
        let sync = home.start(&["sync"]);
        held.has_arrived.recv().unwrap();
        // All of these end while the server still holds its reply.
        assert_eq!(home.ta(&["add", "meanwhile"]).done(), "Added task 2.\n");
        home.ta(&["1", "modify", "project:home", "buy oat milk"]).done();
        home.ta(&["list"]).done();
        home.ta(&["2", "done"]).done();
        assert_says(&home.ta(&["undo"]).done(), &["Undid `done`"]);
        held.go_on.send(()).unwrap();
        let told = home.ended(sync, "sync").done();
        assert_says(&told, &["nothing waiting"]);
        assert_eq!(home.ta(&["sync"]).done(), "in step\n");
        let fresh = server.home();
        fresh.ta(&["sync"]).done();
        assert_eq!(fresh.state(), home.state());
        assert_eq!(fresh.descriptions(), ["buy oat milk", "meanwhile"]);
    }
}

#[test]
fn an_undo_of_what_is_on_its_way_reaches_the_others() {
    for stored_first in [false, true] {
        let server = TestServer::new();
        let home = server.home();
        home.add("buy milk");
        let held = Held::new(&server, stored_first);
        let sync = home.start(&["sync"]);
        held.has_arrived.recv().unwrap();
        assert_says(&home.ta(&["undo"]).done(), &["Undid `add`", "by a new change"]);
        held.go_on.send(()).unwrap();
        home.ended(sync, "sync").done();
        home.ta(&["sync"]).done();
        let fresh = server.home();
        fresh.ta(&["sync"]).done();
        assert_eq!(fresh.state(), home.state());
        assert_eq!(fresh.state().into_values().next().unwrap()["status"], "deleted");
    }
}

#[test]
fn a_second_sync_names_the_first_while_that_waits_for_its_server() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let held = Held::new(&server, false);
    let sync = home.start(&["sync"]);
    held.has_arrived.recv().unwrap();
    let ran = home.ta(&["sync", "--wait", "0"]);
    let named = format!("process {} since ", sync.id());
    assert_says(&ran.done(), &["Another sync of this replica is running", &named]);
    held.go_on.send(()).unwrap();
    assert_says(&home.ended(sync, "sync").done(), &["up 4 changes"]);
    assert_eq!(server.segments().len(), 1);
}

#[test]
fn a_second_sync_that_may_wait_takes_its_turn() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let held = Held::new(&server, false);
    let first = home.start(&["sync"]);
    held.has_arrived.recv().unwrap();
    let second = home.start(&["sync", "--wait", "60"]);
    held.go_on.send(()).unwrap();
    assert_says(&home.ended(first, "first").done(), &["up 4 changes"]);
    assert_eq!(home.ended(second, "second").done(), "in step\n");
}

#[test]
fn a_killed_sync_leaves_no_lock_behind() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let held = Held::new(&server, true);
    let mut sync = home.start(&["sync"]);
    held.has_arrived.recv().unwrap();
    sync.kill().unwrap();
    sync.wait().unwrap();
    held.go_on.send(()).unwrap();
    let (told, _) = home.ta(&["sync", "--wait", "0"]).done_with_notices();
    assert_says(&told, &["up 4 changes · down 0 changes", "nothing waiting"]);
    assert_eq!(server.segments().len(), 1);
}

#[test]
fn edits_while_syncs_run_are_all_there_in_the_end() {
    let server_dir = TempDir::new().unwrap();
    let home = TestHome::at_directory(server_dir.path());
    let other = TestHome::at_directory(server_dir.path());
    std::thread::scope(|scope| {
        let adds = scope.spawn(|| (0..25).for_each(|n| home.add(&format!("here {n}"))));
        let others = scope.spawn(|| {
            for n in 0..12 {
                other.add(&format!("there {n}"));
                other.ta(&["sync"]).done();
            }
        });
        while !adds.is_finished() || !others.is_finished() {
            home.ta(&["sync"]).done();
        }
    });
    for home in [&home, &other, &home] {
        home.ta(&["sync"]).done();
    }
    assert_eq!(home.state(), other.state());
    assert_eq!(home.state().len(), 37);
    let fresh = TestHome::at_directory(server_dir.path());
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
    home.ta(&["verify"]).done();
}

#[test]
fn a_file_that_a_real_task_sync_holds_is_waited_for_and_then_named() {
    let home = TestHome::new();
    home.add("buy milk");
    let holder = rusqlite::Connection::open(home.replica_file()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = home.start(&["add", "meanwhile"]);
    // Reads never wait.
    home.ta(&["list"]).done();
    assert_says(&home.ended(waiting, "add").failed(1), &["another program holds", "task sync"]);
    let patient = home.start(&["add", "later"]);
    holder.execute_batch("COMMIT").unwrap();
    assert_eq!(home.ended(patient, "add").done(), "Added task 2.\n");
    assert_eq!(home.descriptions(), ["buy milk", "later"]);
}

#[test]
fn what_is_added_while_a_folder_is_taken_over_is_never_lost() {
    let source = TestHome::new();
    source.add("one");
    source.add("two");
    let folder = source.data_dir().display().to_string();
    for _ in 0..8 {
        let home = TestHome::new();
        // Of an empty list that finds nothing there is a file.
        home.ta(&["sync"]).done();
        // Both wait for a program that holds the empty list, and then one of them comes first.
        let holder = rusqlite::Connection::open(home.replica_file()).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        let import = home.start(&["import", &folder]);
        let add = home.start(&["add", "meanwhile"]);
        holder.execute_batch("COMMIT").unwrap();
        drop(holder);
        let number = home.ended(add, "add").done();
        let import = home.ended(import, "import");
        if import.code == Some(0) {
            assert_eq!(number, "Added task 3.\n");
            assert_eq!(home.descriptions(), ["meanwhile", "one", "two"]);
        } else {
            assert_says(&import.failed(1), &["holds 1 tasks already"]);
            assert_eq!(home.descriptions(), ["meanwhile"]);
        }
        home.ta(&["verify"]).done();
    }
}

#[test]
fn a_secret_is_not_on_the_command_line_of_any_process() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let held = Held::new(&server, false);
    let sync = home.start(&["sync"]);
    held.has_arrived.recv().unwrap();
    let mut line = String::new();
    let path = format!("/proc/{}/cmdline", sync.id());
    std::fs::File::open(path).unwrap().read_to_string(&mut line).unwrap();
    held.go_on.send(()).unwrap();
    home.ended(sync, "sync").done();
    assert!(line.contains("sync") && !line.contains(crate::server::SECRET), "{line:?}");
}
