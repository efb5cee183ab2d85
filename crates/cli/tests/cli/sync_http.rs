//! `ta sync` over HTTP: lines that break and servers that do what no good server does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::home::{TestHome, assert_says};
use crate::scripted::{Reply, head, keep};
use crate::server::{NOBODY, TestServer, is_push};
use crate::task_server;

const TASK: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

/// A segment of another client: one more task.
fn other_clients_task() -> String {
    format!(
        r#"{{"operations":[{{"Create":{{"uuid":"{TASK}"}}}},{{"Update":{{"uuid":"{TASK}","property":"description","value":"from elsewhere","timestamp":"2026-01-02T03:04:05Z"}}}},{{"Update":{{"uuid":"{TASK}","property":"status","value":"pending","timestamp":"2026-01-02T03:04:05Z"}}}}]}}"#
    )
}

#[test]
fn a_list_travels_through_a_server_and_an_idle_sync_is_one_request() {
    let server = TestServer::new();
    let (laptop, desktop) = (server.home(), server.home());
    laptop.add("buy milk");
    assert_says(&laptop.ta(&["sync"]).done(), &["up 4 changes", "nothing waiting"]);
    desktop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
    for home in [&laptop, &desktop] {
        let before = server.received().len();
        assert_eq!(home.ta(&["sync"]).done(), "in step\n");
        let requests = server.received().split_off(before);
        assert_eq!(requests.len(), 1);
        assert!(requests[0].path.starts_with("/v1/client/get-child-version/"));
    }
    let stored = server.memory.stored();
    assert!(stored.iter().all(|version| !contains(&version.bytes, b"milk")), "sealed");
}

/// A server that moves to another name is the same server: nothing is asked and nothing sent again.
#[test]
fn the_same_server_under_another_name_is_recognised() {
    let server = TestServer::new();
    let (laptop, desktop) = (server.home(), server.home());
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    let name = server.url().replace("127.0.0.1", "localhost");
    let laptop = laptop.with("TA_SERVER_ORIGIN", &name);
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["in step", "its address has changed"]);
    assert_eq!(laptop.ta(&["sync"]).done(), "in step\n");

    let desktop = desktop.with("TA_SERVER_ORIGIN", &name);
    laptop.add("buy bread");
    laptop.ta(&["sync"]).done();
    desktop.add("buy tea");
    let told = desktop.ta(&["sync"]).done();
    assert_says(&told, &["up 4 changes", "down 4 changes in 1 task", "its address has changed"]);
    laptop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
    assert_eq!(laptop.descriptions(), ["buy bread", "buy milk", "buy tea"]);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn nobody_at_the_address_is_exit_4_and_everything_waits() {
    let server = TestServer::new();
    let home = server.home().with("TA_SERVER_ORIGIN", format!("http://{NOBODY}"));
    home.add("buy milk");
    let told = home.ta(&["sync"]).failed(4);
    assert_says(&told, &["127.0.0.1:9 refuses connections", "4 changes wait safely here"]);
    assert_says(&told, &["Is `ta serve` running? Nobody listens there on this machine"]);
    let document = home.ta(&["sync", "--json"]);
    assert_eq!(document.code, Some(4));
    let document = document.json();
    assert_eq!(document["outcome"], "failed");
    assert_eq!(document["error"]["code"], 4);
    assert_eq!(document["waiting"], 4);
    let home = home.with("TA_SERVER_ORIGIN", server.url());
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
}

#[test]
fn a_forbidden_client_is_exit_5_and_is_not_asked_again_in_the_same_run() {
    for status in [401, 403] {
        let server = TestServer::new();
        server.twist(move |_, _| Some(keep(status, &[], b"no")));
        let home = server.home();
        home.add("buy milk");
        assert_says(
            &home.ta(&["sync"]).failed(5),
            &["does not allow this client", "server_client_key", "wait safely here"],
        );
        assert_eq!(server.received().len(), 1);
    }
}

#[test]
fn a_server_that_makes_no_new_clients_is_exit_5() {
    let server = TestServer::new();
    server.twist(|request, _| is_push(request).then(|| keep(404, &[], b"no such client")));
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).failed(5), &["does not know this client"]);
}

#[test]
fn a_server_with_a_problem_is_tried_again_and_then_named() {
    let server = TestServer::new();
    server.twist(|_, _| Some(keep(503, &[], b"")));
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).failed(4), &["status 503", "the server's problem"]);
    assert_eq!(server.received().len(), 3);

    // A passing one is not even told.
    let asked = AtomicU32::new(0);
    server.twist(move |_, _| {
        (asked.fetch_add(1, Ordering::SeqCst) == 0).then(|| keep(502, &[], b""))
    });
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
}

#[test]
fn a_push_that_ends_in_5xx_is_looked_for_before_it_is_sent_again() {
    let server = TestServer::new();
    // It stores, and says that it has a problem.
    server.twist(|request, memory| {
        is_push(request).then(|| {
            let _ = task_server::answer(memory, request);
            keep(500, &[], b"")
        })
    });
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes", "nothing waiting"]);
    assert_eq!(server.segments().len(), 1);
}

#[test]
fn a_web_page_is_never_taken_for_an_answer() {
    let page = b"<html><body>Please log in to the hotel's network</body></html>";
    for status in [200, 404] {
        let server = TestServer::new();
        server.twist(move |_, _| Some(keep(status, &[("content-type", "text/html")], page)));
        let home = server.home();
        home.add("buy milk");
        let told = home.ta(&["sync"]).failed(1);
        assert_says(&told, &["not a task server's answer", "login page", "wait safely here"]);
        let empty = server.home();
        assert_says(&empty.ta(&["sync"]).failed(1), &["not a task server's answer"]);
        server.untwist();
        assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
        home.add("second");
        server.twist(move |_, _| Some(keep(status, &[("content-type", "text/html")], page)));
        assert_says(&home.ta(&["sync"]).failed(1), &["4 changes wait safely here"]);
        server.untwist();
        home.ta(&["sync"]).done();
        assert_eq!(server.segments().len(), 2);
    }
}

#[test]
fn every_other_status_fails_with_a_cure_and_loses_nothing() {
    for status in [300, 400, 402, 405, 408, 413, 418, 429, 451, 500, 501, 503, 504, 599] {
        let server = TestServer::new();
        let home = server.home();
        home.add("buy milk");
        server.twist(move |request, _| is_push(request).then(|| keep(status, &[], b"\x1b[31mno")));
        let ran = home.ta(&["sync"]);
        assert!(!ran.err.contains('\x1b'), "{ran:?}");
        // Too busy, or nobody behind the proxy: for now.
        let told = ran.failed(if matches!(status, 429 | 503 | 504) { 4 } else { 1 });
        assert_says(&told, &["4 changes wait safely here", &format!("{status}")]);
        server.untwist();
        assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
    }
}

#[test]
fn a_redirect_elsewhere_is_not_followed() {
    let (server, elsewhere) = (TestServer::new(), TestServer::new());
    let url = elsewhere.url();
    server.twist(move |request, _| {
        let location = format!("{url}{}", request.path.trim_start_matches('/'));
        Some(keep(302, &[("location", &location)], b""))
    });
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).failed(1), &["redirect", "4 changes wait safely here"]);
    assert!(elsewhere.received().is_empty(), "the client id goes nowhere else");
}

#[test]
fn a_reply_lost_after_the_server_committed_is_recognised_in_the_same_sync() {
    let server = TestServer::new();
    server.twist(|request, memory| {
        is_push(request).then(|| {
            let _ = task_server::answer(memory, request);
            Reply::Close(Vec::new())
        })
    });
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes", "nothing waiting"]);
    assert_eq!(server.segments().len(), 1, "sent once");
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
}

#[test]
fn a_reply_lost_with_the_line_is_recognised_by_the_next_sync() {
    let server = TestServer::new();
    let is_down = AtomicU32::new(0);
    server.twist(move |request, memory| {
        if is_push(request) {
            let _ = task_server::answer(memory, request);
            is_down.store(1, Ordering::SeqCst);
        }
        (is_down.load(Ordering::SeqCst) == 1).then(|| Reply::Close(Vec::new()))
    });
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).failed(4);
    assert_says(&home.ta(&["status"]).done(), &["acceptance is not known yet"]);
    // What is done meanwhile, an undo of what may be there included, is not confused with it.
    home.add("second");
    home.ta(&["1", "modify", "project:home"]).done();
    server.untwist();
    home.ta(&["sync"]).done();
    assert_eq!(server.segments().len(), 2);
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}

#[test]
fn an_undo_of_what_a_server_may_have_taken_reaches_the_others() {
    let server = TestServer::new();
    let is_down = AtomicU32::new(0);
    server.twist(move |request, memory| {
        if is_push(request) {
            let _ = task_server::answer(memory, request);
            is_down.store(1, Ordering::SeqCst);
        }
        (is_down.load(Ordering::SeqCst) == 1).then(|| Reply::Close(Vec::new()))
    });
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).failed(4);
    let told = home.ta(&["undo"]).done();
    assert_says(&told, &["Undid `add`", "by a new change"]);
    server.untwist();
    home.ta(&["sync"]).done();
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
    assert_eq!(fresh.state().into_values().next().unwrap()["status"], "deleted");
}

#[test]
fn a_success_without_a_valid_id_is_looked_into() {
    let server = TestServer::new();
    server.twist(|request, memory| {
        is_push(request).then(|| {
            let _ = task_server::answer(memory, request);
            keep(200, &[("X-Version-Id", "rubbish")], b"")
        })
    });
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes", "nothing waiting"]);
    assert_eq!(server.segments().len(), 1);
}

#[test]
fn another_client_that_pushes_first_is_pulled_and_then_ours_goes_up() {
    let server = Arc::new(TestServer::new());
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    home.ta(&["1", "modify", "project:home"]).done();
    let raced = AtomicU32::new(0);
    let theirs = other_clients_task();
    server.twist(move |request, memory| {
        if is_push(request) && raced.fetch_add(1, Ordering::SeqCst) < 3 {
            // A different time makes each of them a change.
            let n = raced.load(Ordering::SeqCst);
            let segment = theirs.replace("from elsewhere", &format!("from elsewhere {n}"));
            memory.push(crate::server::sealed(memory.latest(), &segment));
        }
        None
    });
    let told = home.ta(&["sync"]).done();
    assert_says(&told, &["up 1 change · down ", "nothing waiting"]);
    assert_eq!(server.segments().len(), 5);
    assert_eq!(home.descriptions(), ["buy milk", "from elsewhere 3"]);
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}

#[test]
fn a_server_that_refuses_for_ever_is_named_and_nothing_is_lost() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    home.add("second");
    server.twist(|request, _| {
        let elsewhere = [("X-Parent-Version-Id", "99999999-9999-4999-8999-999999999999")];
        is_push(request).then(|| keep(409, &elsewhere, b""))
    });
    let told = home.ta(&["sync"]).failed(1);
    assert_says(&told, &["does not fit together", "4 changes wait safely here"]);
    server.untwist();
    home.ta(&["sync"]).done();
}

#[test]
fn a_server_that_closes_midway_is_unreachable_and_the_replica_unchanged() {
    let server = TestServer::new();
    let laptop = server.home();
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    let version = server.memory.chain()[0].clone();
    server.twist(move |request, _| {
        request.path.contains("/get-child-version/").then(|| {
            let (id, parent) = (version.version.to_string(), version.parent.to_string());
            let mut bytes = head(
                200,
                &[
                    ("content-type", "application/vnd.taskchampion.history-segment"),
                    ("X-Version-Id", &id),
                    ("X-Parent-Version-Id", &parent),
                    ("content-length", &version.bytes.len().to_string()),
                ],
            );
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&version.bytes[..version.bytes.len() / 2]);
            Reply::Close(bytes)
        })
    });
    let desktop = server.home();
    assert_says(&desktop.ta(&["sync"]).failed(4), &["closed the connection in the middle"]);
    assert!(desktop.state().is_empty());
    server.untwist();
    desktop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
}

#[test]
fn a_wrong_parent_and_a_version_seen_before_are_refused() {
    let server = TestServer::new();
    let laptop = server.home();
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    laptop.add("second");
    laptop.ta(&["sync"]).done();
    let chain = server.memory.chain();
    // Whatever is asked, the first version comes.
    let first = chain[0].clone();
    server.twist(move |request, _| {
        let (id, parent) = (first.version.to_string(), first.parent.to_string());
        request.path.contains("/get-child-version/").then(|| {
            keep(
                200,
                &[
                    ("content-type", "application/vnd.taskchampion.history-segment"),
                    ("X-Version-Id", &id),
                    ("X-Parent-Version-Id", &parent),
                ],
                &first.bytes,
            )
        })
    });
    let before = laptop.state();
    assert_says(&laptop.ta(&["sync"]).failed(1), &["not a task server's answer"]);
    assert_eq!(laptop.state(), before);
    let fresh = server.home();
    assert_says(&fresh.ta(&["sync"]).failed(1), &["not a task server's answer"]);
    assert_eq!(fresh.descriptions(), ["buy milk"], "what came before is applied");
    server.untwist();
    fresh.ta(&["sync"]).done();
    assert_eq!(laptop.state(), fresh.state());
}

#[test]
fn a_silent_server_is_given_up_after_the_set_time() {
    let server = TestServer::new();
    server.twist(|_, _| Some(Reply::Hang));
    let home = server.home().with("TA_READ_TIMEOUT_SECONDS", "1");
    home.add("buy milk");
    let told = home.ta(&["sync"]).failed(4);
    assert_says(&told, &["did not answer in time", "read_timeout_seconds"]);
}

#[test]
fn a_version_made_by_another_program_is_pulled() {
    let server = TestServer::new();
    server.push(&other_clients_task());
    let home = TestHome::new();
    let home = server.give(home);
    assert_says(&home.ta(&["sync"]).done(), &["down 3 changes in 1 task"]);
    assert_eq!(home.descriptions(), ["from elsewhere"]);
}
