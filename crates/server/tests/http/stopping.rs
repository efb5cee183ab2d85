//! Health, and the end.

use std::time::Duration;

use tandem_server::Options;
use tempfile::TempDir;

use crate::running::Running;
use crate::{CLIENT, NIL, SEGMENT};

#[test]
fn it_says_that_it_lives_and_is_ready() {
    let server = Running::start(Options::default());
    for (path, words) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let answer = server.line().ask("GET", path, &[], None);
        assert_eq!((answer.status, answer.text().as_str()), (200, words));
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_end_and_its_version_stays() {
    let folder = TempDir::new().unwrap();
    let server = Running::on(folder.path(), Options::default());
    let mut line = server.line();
    let mut idle = server.line();
    assert_eq!(idle.ask("GET", "/", &[], None).status, 200);
    let head = format!(
        "POST /v1/client/add-version/{NIL} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\
         Content-Type: {SEGMENT}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    line.send(head.as_bytes());
    assert_eq!(line.answer(true).unwrap().status, 100);
    server.tell_to_stop();
    assert!(idle.answer(false).is_none(), "an idle connection ends at once");
    line.send(b"body");
    let answer = line.answer(false).unwrap();
    assert_eq!(answer.status, 200);
    drop(server);
    let server = Running::on(folder.path(), Options::default());
    let found = server.get(&format!("/v1/client/get-child-version/{NIL}"));
    assert_eq!((found.status, found.text().as_str()), (200, "body"));
    assert_eq!(found.header("x-version-id"), answer.header("x-version-id"));
}

#[test]
fn before_the_door_closes_a_balancer_is_told_and_requests_are_taken() {
    let drain_time = Duration::from_secs(600);
    let server = Running::start(Options { drain_time, ..Options::default() });
    assert_eq!(server.get("/readyz").status, 200);
    server.tell_to_stop();
    let told = (0..2000).map(|_| server.get("/readyz")).find(|answer| answer.status == 503);
    assert!(told.unwrap().text().contains("stopping"));
    server.add(NIL, b"one");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn operators_can_look_until_the_last_request_is_answered() {
    let server = Running::start(Options::default());
    let mut line = server.line();
    let head = format!(
        "POST /v1/client/add-version/{NIL} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\
         Content-Type: {SEGMENT}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    line.send(head.as_bytes());
    assert_eq!(line.answer(true).unwrap().status, 100);
    server.tell_to_stop();
    let ask = || server.metrics_line().ask("GET", "/readyz", &[], None);
    assert!((0..2000).any(|_| ask().status == 503));
    line.send(b"body");
    assert_eq!(line.answer(false).unwrap().status, 200);
}

#[test]
fn a_closed_storage_is_told_as_one_clear_document() {
    let server = Running::start(Options::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(server.store.close()).unwrap();
    for answer in [
        server.get(&format!("/v1/client/get-child-version/{NIL}")),
        server.post(&format!("/v1/client/add-version/{NIL}"), SEGMENT, b"x"),
        server.get("/readyz"),
    ] {
        assert_eq!(answer.status, 503);
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told["code"], "storage_unavailable");
        assert!(!answer.text().contains("closed"), "the cause is for the log");
    }
    assert_eq!(server.line().ask("GET", "/healthz", &[], None).status, 200);
}
