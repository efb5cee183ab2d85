//! What the server takes from the network, and how it says no.

use std::time::Duration;

use tandem_server::{Limits, Options};

use crate::running::Running;
use crate::{CLIENT, NIL, SEGMENT};

fn with(limits: Limits) -> Running {
    Running::start(Options { limits, ..Options::default() })
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let server = with(Limits { body_bytes_max: 100_000, ..Limits::default() });
    let path = format!("/v1/client/add-version/{NIL}");
    for bytes in [100_001, 190_000] {
        let too_large = server.post(&path, SEGMENT, &vec![1; bytes]);
        assert_eq!((too_large.status, too_large.text().as_str()), (400, "overflow"));
    }
    let one = server.add(NIL, &[1; 100_000]);
    // The same without an announced length.
    for (bytes, status) in [(100_001, 400), (100_000, 200)] {
        let mut line = server.line();
        let head = format!(
            "POST /v1/client/add-version/{one} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\
             Content-Type: {SEGMENT}\r\nTransfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n"
        );
        line.send(head.as_bytes());
        line.send(&vec![2; bytes]);
        line.send(b"\r\n0\r\n\r\n");
        assert_eq!(line.answer(false).unwrap().status, status, "{bytes}");
    }
}

#[test]
fn a_body_that_finds_no_room_is_turned_away_and_nothing_is_kept_of_it() {
    let limits = Limits {
        bodies_bytes_max: 1024 * 1024,
        queue_time_max: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = with(limits);
    let answer = server.post(&format!("/v1/client/add-version/{NIL}"), SEGMENT, &[1; 2_000_000]);
    assert_eq!(answer.status, 503);
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["code"], "busy");
    assert!(told["message"].is_string() && told["hint"].is_string());
    assert_eq!(told["request_id"].as_str(), answer.header("x-request-id"));
    assert!(answer.header("retry-after").is_some());
    server.add(NIL, &[1; 900_000]);
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let server = with(Limits { stall_time_max: Duration::from_millis(50), ..Limits::default() });
    let mut line = server.line();
    let head = format!(
        "POST /v1/client/add-version/{NIL} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\
         Content-Type: {SEGMENT}\r\nContent-Length: 100\r\n\r\nhalf"
    );
    line.send(head.as_bytes());
    assert_eq!(line.answer(false).unwrap().status, 408);
    assert_eq!(server.get(&format!("/v1/client/get-child-version/{NIL}")).text(), "no such client");
}

/// A proxy that passes bodies on as they come hears the refusal, and so does its client.
#[test]
fn what_is_refused_is_read_to_its_end_and_the_connection_goes_on() {
    let limits = Limits { body_bytes_max: 8 * 1024 * 1024, ..Limits::default() };
    let server = with(limits);
    let path = format!("/v1/client/add-version/{NIL}");
    let body = vec![1; 8 * 1024 * 1024];
    let mut line = server.line();
    for (path, kind, client, status) in [
        (path.as_str(), "text/plain", CLIENT, 400),
        (path.as_str(), SEGMENT, "me", 400),
        ("/nowhere", SEGMENT, CLIENT, 404),
    ] {
        let headers = [("X-Client-Id", client), ("Content-Type", kind)];
        assert_eq!(line.ask("POST", path, &headers, Some(&body)).status, status, "{path} {kind}");
    }
    let mut unasked = server.line();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: t\r\nX-Client-Id: me\r\nContent-Type: {SEGMENT}\r\n\
         Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    unasked.send(head.as_bytes());
    assert_eq!(unasked.answer(false).unwrap().status, 400, "its body was not asked for");
    // What came is counted, not what was announced.
    let text = server.metrics_line().ask("GET", "/metrics", &[], None).text();
    let route = "{route=\"/v1/client/add-version/{parent}\"}";
    let counted = format!("tandem_received_bytes_total{route} {}", 2 * body.len());
    assert!(text.contains(&counted), "{text}");
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let server = with(Limits { head_time_max: Duration::from_millis(50), ..Limits::default() });
    let mut line = server.line();
    line.send(b"GET / HTTP/1.1\r\nHost: t\r\nX-Slow: ");
    let answer = line.answer(false);
    assert!(answer.is_none_or(|answer| answer.status == 408));
}

#[test]
fn huge_and_many_headers_are_refused() {
    let server = with(Limits::default());
    let huge = "x".repeat(100_000);
    let mut line = server.line();
    line.send(format!("GET / HTTP/1.1\r\nHost: t\r\nX-Huge: {huge}\r\n\r\n").as_bytes());
    assert!(line.answer(false).is_none_or(|answer| answer.status == 431));
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let mut line = server.line();
    line.send(format!("GET / HTTP/1.1\r\nHost: t\r\n{many}\r\n").as_bytes());
    assert!(line.answer(false).is_none_or(|answer| answer.status == 431));
    assert_eq!(server.get("/").status, 200, "others are served");
}

#[test]
fn requests_beyond_the_limit_wait_for_their_turn_or_are_told_to() {
    let limits =
        Limits { requests_max: 1, queue_time_max: Duration::from_millis(50), ..Limits::default() };
    let server = with(limits);
    let mut slow = server.line();
    let head = format!(
        "POST /v1/client/add-version/{NIL} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\
         Content-Type: {SEGMENT}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    slow.send(head.as_bytes());
    // The server asks for the body once the request has its turn.
    assert_eq!(slow.answer(true).unwrap().status, 100);
    let busy = server.get("/v1/client/snapshot");
    assert_eq!(busy.status, 503);
    assert_eq!(server.get("/healthz").status, 200, "whether we live is told all the same");
    slow.send(b"body");
    assert_eq!(slow.answer(false).unwrap().status, 200);
    assert_eq!(server.get("/v1/client/snapshot").status, 404);
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let server = with(Limits { connections_max: 2, ..Limits::default() });
    let mut first = server.line();
    let mut second = server.line();
    assert_eq!(first.ask("GET", "/", &[], None).status, 200);
    assert_eq!(second.ask("GET", "/", &[], None).status, 200);
    let mut third = server.line();
    third.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    drop(first);
    assert_eq!(third.answer(false).unwrap().status, 200);
}

/// Ten thousand connections of people who say nothing, or nothing more: each takes the place of the one
/// that was idle for longest, and whoever asks is answered.
#[test]
fn idle_connections_keep_nobody_out() {
    let server = with(Limits { connections_max: 64, ..Limits::default() });
    let mut idle = std::collections::VecDeque::new();
    for number in 0..10_000 {
        let mut line = server.line();
        if number % 2 == 0 {
            assert_eq!(line.ask("GET", "/healthz", &[], None).status, 200, "{number}");
        }
        idle.push_back(line);
        if idle.len() > 200 {
            idle.pop_front();
        }
    }
    let text = server.metrics_line().ask("GET", "/metrics", &[], None).text();
    let open = text.lines().find_map(|line| line.strip_prefix("tandem_connections "));
    assert!(open.unwrap().parse::<u32>().unwrap() <= 65, "{text}");
}

#[test]
fn request_ids_come_from_the_client_if_they_are_decent() {
    let server = with(Limits::default());
    let ask = |id: &str| {
        let headers = [("X-Request-Id", id), ("X-Client-Id", CLIENT)];
        let answer = server.line().ask("GET", "/", &headers, None);
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(ask("from-the-proxy.7"), "from-the-proxy.7");
    let another = CLIENT.replace('1', "7");
    assert_eq!(ask(&another), another, "a proxy's own");
    let spellings = [CLIENT.replace('-', ""), CLIENT.replace('-', "_"), format!("id.{CLIENT}")];
    for odd in ["", "two words", &"x".repeat(65), CLIENT, "a\"b"]
        .into_iter()
        .chain(spellings.iter().map(String::as_str))
    {
        assert_ne!(ask(odd), odd, "{odd}");
    }
}

#[test]
fn answers_that_are_not_taken_away_leave_memory_for_others() {
    let limits = Limits {
        answers_bytes_max: 20 * 1024 * 1024,
        queue_time_max: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = with(limits);
    let one = server.add(NIL, &vec![1; 16 * 1024 * 1024]);
    server.add(&one, &[2; 60_000]);
    assert_eq!(server.snap(&one, &vec![3; 8 * 1024 * 1024]).status, 200);
    let large = format!("/v1/client/get-child-version/{NIL}");
    let mut lazy = server.line();
    lazy.send(
        format!("GET {large} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\r\n").as_bytes(),
    );
    assert_eq!(lazy.answer(true).unwrap().status, 200);
    let row = format!("/v1/tandem/children/{NIL}");
    for path in [large.as_str(), "/v1/client/snapshot", &row] {
        let busy = server.get(path);
        assert_eq!(busy.status, 503, "{path}");
        assert!(busy.text().contains("busy"));
    }
    assert_eq!(server.get(&format!("/v1/client/get-child-version/{one}")).body.len(), 60_000);
    drop(lazy);
    for path in [large.as_str(), "/v1/client/snapshot", &row] {
        // When the server sees that nobody is there any more is the system's to say.
        assert!((0..300).any(|_| server.get(path).status == 200), "{path}");
    }
}

#[test]
fn a_row_with_large_versions_comes_whole_or_says_that_more_is_to_come() {
    let limits = Limits {
        answers_bytes_max: 8 * 1024 * 1024,
        queue_time_max: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = with(limits);
    let mut parent = NIL.to_owned();
    for bytes in [10, 3_000_000, 20, 7_500_000, 30] {
        parent = server.add(&parent, &vec![1; bytes]);
    }
    let row = server.get(&format!("/v1/tandem/children/{NIL}"));
    // The second large one finds no room beside the page.
    assert_eq!((row.status, row.body.len()), (200, 3 * 20 + 3_000_030 + 17));
    assert!(row.is_whole && row.body.last() == Some(&1));
}

#[test]
fn a_reader_that_takes_nothing_of_its_answer_is_given_up() {
    let limits = Limits {
        requests_max: 1,
        stall_time_max: Duration::from_millis(200),
        queue_time_max: Duration::from_secs(60),
        ..Limits::default()
    };
    let server = with(limits);
    // More than the buffers on the way take.
    server.add(NIL, &vec![1; 32 * 1024 * 1024]);
    let mut lazy = server.line();
    let path = format!("/v1/client/get-child-version/{NIL}");
    lazy.send(
        format!("GET {path} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {CLIENT}\r\n\r\n").as_bytes(),
    );
    // Its head has come, so it has the only turn; that comes back although nobody reads on.
    let head = lazy.answer(true).unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("33554432")));
    assert_eq!(server.get("/v1/client/snapshot").status, 404);
    assert!(lazy.bytes_to_the_end() < 32 * 1024 * 1024, "the rest was not waited for");
}
