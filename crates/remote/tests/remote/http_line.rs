//! What happens when the line or the server misbehaves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tandem_core::VersionId;
use tandem_remote::{Call, HttpRemote, Remote};
use tandem_tasks::session::{Added, Child, Failure, Response};

use crate::scripted::{Reply, Scripted, head, keep, response};
use crate::{add, answered, get_child, http, refused, sealed, settings, unknown, version};

const SEGMENT: &str = "application/vnd.taskchampion.history-segment";

fn child_head() -> Vec<u8> {
    let (child, parent) = (version(2).to_string(), version(1).to_string());
    let headers =
        [("Content-Type", SEGMENT), ("X-Version-Id", &child), ("X-Parent-Version-Id", &parent)];
    head(200, &headers)
}

fn child_response(body: &[u8]) -> Vec<u8> {
    let mut bytes = child_head();
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = child_head();
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn is_found(response: &Response) -> bool {
    matches!(response, Response::Child(Child::Version { version: v, .. }) if *v == version(2))
}

#[test]
fn bodies_come_whole_in_chunks_or_to_the_end() {
    let bytes = sealed(version(1), &[5; 100_000]);
    let to_the_end = [child_head(), b"\r\n".to_vec(), bytes.clone()].concat();
    for reply in [
        Reply::Keep(child_response(&bytes)),
        Reply::Keep(chunked(&bytes, 1000)),
        Reply::Close(to_the_end),
    ] {
        let server = Scripted::always(reply);
        assert!(is_found(&answered(get_child(&mut http(&server.url()), version(1)))));
    }
}

#[test]
fn a_body_that_is_cut_off_is_asked_for_again_and_then_unknown() {
    let bytes = sealed(version(1), &[5; 1000]);
    let whole = child_response(&bytes);
    let cut = chunked(&bytes, 100);
    for reply in [whole[..whole.len() - 1].to_vec(), cut[..cut.len() - 200].to_vec()] {
        let server = Scripted::always(Reply::Close(reply));
        let failure = unknown(get_child(&mut http(&server.url()), version(1)));
        assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
        assert_eq!(server.received().len(), 3);
    }
    // The second answer is whole.
    let mut is_cut = true;
    let server = Scripted::new(move |_| {
        let whole = child_response(&bytes);
        if std::mem::take(&mut is_cut) {
            Reply::Close(whole[..whole.len() / 2].to_vec())
        } else {
            Reply::Keep(whole)
        }
    });
    assert!(is_found(&answered(get_child(&mut http(&server.url()), version(1)))));
}

#[test]
fn sizes_are_checked_before_memory_is_taken() {
    let mut huge = child_head();
    huge.extend_from_slice(b"Content-Length: 18446744073709551615\r\n\r\nx");
    let bytes = sealed(version(1), &[5; 10_000]);
    for (reply, requests) in [
        (Reply::Close(huge), 1),
        (Reply::Keep(child_response(&bytes)), 1),
        (Reply::Keep(chunked(&bytes, 100)), 1),
    ] {
        let server = Scripted::always(reply);
        let mut settings = settings(&server.url());
        settings.body_bytes_max = 9_999;
        let failure = refused(get_child(&mut HttpRemote::new(settings), version(1)));
        assert!(matches!(failure, Failure::TooLarge { bytes_max: 9_999, .. }), "{failure:?}");
        assert_eq!(server.received().len(), requests);
    }
    // What is not asked for is not read either.
    let page = keep(404, &[], &vec![b'x'; 5_000_000]);
    let server = Scripted::always(page);
    let outcome = answered(get_child(&mut http(&server.url()), version(1)));
    assert_eq!(outcome, Response::Child(Child::StrangeNotFound));
    // And what no server takes is not sent.
    let server = Scripted::always(keep(200, &[], b""));
    let segment = vec![0; tandem_core::limits::SEALED_BYTES_MAX];
    let call = Call::AddVersion { parent: version(1), segment };
    let failure = refused(http(&server.url()).call(call));
    assert!(matches!(failure, Failure::TooLarge { .. }));
    assert!(server.received().is_empty());
}

#[test]
fn nobody_can_hold_us_by_dripping() {
    let wait = Duration::from_millis(20);
    let whole = child_response(&sealed(version(1), &[5; 1000]));
    let body = child_head().len() + 30;
    for (name, first) in [("the body", body), ("the head", 5)] {
        let (first, rest) = whole.split_at(first);
        let server = Scripted::always(Reply::Drip(first.to_vec(), rest.to_vec(), wait));
        let mut settings = settings(&server.url());
        settings.read_timeout = Duration::from_millis(300);
        let started = Instant::now();
        let failure = unknown(get_child(&mut HttpRemote::new(settings), version(1)));
        assert!(matches!(failure, Failure::TimedOut { .. }), "{name}: {failure:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "{name}");
        assert_eq!(server.received().len(), 1, "what timed out is not repeated");
    }
    let server = Scripted::always(Reply::Hang);
    let mut settings = settings(&server.url());
    settings.read_timeout = Duration::from_millis(100);
    let mut remote = HttpRemote::new(settings);
    assert!(matches!(unknown(get_child(&mut remote, version(1))), Failure::TimedOut { .. }));
    assert!(matches!(unknown(add(&mut remote, version(1), b"x")), Failure::TimedOut { .. }));
}

#[test]
fn an_upload_is_sent_once_whatever_happens_to_it() {
    let gone = |bytes: &[u8]| Reply::Close(bytes.to_vec());
    for (name, reply) in [
        ("closed without a word", gone(b"")),
        ("cut off in the head", gone(b"HTTP/1.1 200 OK\r\nX-Vers")),
        ("not HTTP", gone(b"SSH-2.0-OpenSSH\r\n\r\n")),
        ("no id", keep(200, &[], b"")),
        ("the server's problem", keep(500, &[], b"")),
        ("the gateway's problem", keep(502, &[], b"<html>")),
    ] {
        let server = Scripted::always(reply);
        unknown(add(&mut http(&server.url()), version(1), b"x"));
        assert_eq!(server.received().len(), 1, "{name}");
    }
    // Nobody there: certainly nothing was done.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut remote = http(&format!("http://127.0.0.1:{port}"));
    let failure = refused(add(&mut remote, version(1), b"x"));
    let refuses = format!("127.0.0.1:{port} refuses connections");
    assert!(failure.to_string().contains(&refuses), "{failure}");
    assert!(matches!(failure, Failure::NobodyListens { is_here: true, .. }), "{failure:?}");
    unknown(get_child(&mut remote, version(1)));
}

#[test]
fn an_upload_on_a_kept_connection_that_dies_is_not_repeated() {
    // The server takes the upload on the kept connection and dies before it answers.
    let server = Scripted::new(|request| match request.method.as_str() {
        "GET" => keep(404, &[], b"no such version"),
        _ => Reply::Close(vec![]),
    });
    let mut remote = http(&server.url());
    answered(get_child(&mut remote, version(1)));
    unknown(add(&mut remote, version(1), b"x"));
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[1].connection, 0);

    // It had closed the kept connection before: then the upload goes over a new one.
    let server = Scripted::new(|request| match request.method.as_str() {
        "GET" => Reply::Close(response(404, &[], b"no such version")),
        _ => keep(200, &[("X-Version-Id", &version(2).to_string())], b""),
    });
    let mut remote = http(&server.url());
    answered(get_child(&mut remote, version(1)));
    std::thread::sleep(Duration::from_millis(50));
    let outcome = answered(add(&mut remote, version(1), b"x"));
    assert!(matches!(outcome, Response::Added(Added::Accepted { .. })));
    assert_eq!(server.received()[1].connection, 1);
}

#[test]
fn reading_and_snapshots_are_repeated_while_the_server_has_a_problem() {
    let problem_then = |count: usize, then: Reply| {
        let mut left = count;
        Scripted::new(move |_| {
            if left == 0 {
                return then.clone();
            }
            left -= 1;
            keep(503, &[], b"starting")
        })
    };
    let server = problem_then(2, keep(404, &[], b"no such version"));
    let outcome = answered(get_child(&mut http(&server.url()), version(1)));
    assert_eq!(outcome, Response::Child(Child::UpToDate));

    let server = problem_then(3, keep(404, &[], b"no such version"));
    let failure = unknown(get_child(&mut http(&server.url()), version(1)));
    assert_eq!(failure, Failure::ServerError { status: 503 });
    assert_eq!(server.received().len(), 3);

    let server = problem_then(1, keep(200, &[], b""));
    let call = Call::AddSnapshot { version: version(1), body: b"zlib".to_vec() };
    assert_eq!(answered(http(&server.url()).call(call)), Response::SnapshotAdded);
    let received = server.received();
    assert_eq!(received[0].body, received[1].body, "the same envelope, not another nonce");
}

#[test]
fn redirects_stay_within_the_server() {
    let to = |status, location: &str| keep(status, &[("Location", location)], b"");
    // Within the same server, by path and by full address.
    let server = Scripted::new(move |request| {
        let host = request.header("host").unwrap();
        match request.path.as_str() {
            path if path.starts_with("/v1") => to(302, "/moved/here"),
            "/moved/here" => to(307, &format!("http://{host}/moved/again")),
            _ => keep(404, &[], b"no such version"),
        }
    });
    let outcome = answered(get_child(&mut http(&server.url()), version(1)));
    assert_eq!(outcome, Response::Child(Child::UpToDate));
    assert_eq!(server.received().len(), 3);
    assert!(server.received()[2].header("x-client-id").is_some());

    // To another one: never asked, never told our id.
    let other = Scripted::always(keep(404, &[], b"no such version"));
    let port = other.port();
    for location in [
        format!("http://127.0.0.1:{port}/secret-path?token=1"),
        format!("http://localhost:{port}/"),
        "//evil.example/".to_owned(),
        "https://127.0.0.1/".to_owned(),
        "not an address".to_owned(),
        String::new(),
    ] {
        let reply = keep(301, &[("Location", &location)], b"");
        let server = Scripted::always(reply);
        let mut remote = http(&server.url());
        let failure = refused(get_child(&mut remote, version(1)));
        let Failure::NotTheProtocol { what } = &failure else { panic!("{failure:?}") };
        assert!(what.starts_with("it redirects to ") && !what.contains("secret-path"), "{what}");
        refused(add(&mut remote, version(1), b"x"));
    }
    assert!(other.received().is_empty());

    // In circles.
    let server = Scripted::always(to(302, "/again"));
    let failure = refused(get_child(&mut http(&server.url()), version(1)));
    assert!(failure.to_string().contains("without end"), "{failure}");
    assert_eq!(server.received().len(), 6);

    // An upload is not carried elsewhere, not even within the server.
    let server = Scripted::always(to(307, "/elsewhere"));
    let failure = refused(add(&mut http(&server.url()), version(1), b"x"));
    assert!(failure.to_string().contains("redirects uploads"), "{failure}");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn what_is_not_http_is_said() {
    for bytes in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x16"] {
        let server = Scripted::always(Reply::Close(bytes.to_vec()));
        let outcome = get_child(&mut http(&server.url()), version(1));
        assert!(!matches!(outcome, crate::Outcome::Answer(_)), "{outcome:?}");
    }
    let mut endless = b"HTTP/1.1 200 OK\r\n".to_vec();
    endless.extend(std::iter::repeat_n(*b"X-Filler: xxxxxxxxxxxxxxxxxxxxxx\r\n", 5000).flatten());
    let server = Scripted::always(Reply::Close(endless));
    let outcome = get_child(&mut http(&server.url()), VersionId::NIL);
    assert!(!matches!(outcome, crate::Outcome::Answer(_)), "{outcome:?}");
}

#[test]
fn a_host_that_is_not_found_is_named() {
    // A label of 64 letters is refused before anybody is asked for it.
    let host = format!("{}.invalid", "a".repeat(64));
    let failure = unknown(get_child(&mut http(&format!("http://{host}")), version(1)));
    assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
    assert!(failure.to_string().contains(&format!("{host} is not found by its name")), "{failure}");
}

#[test]
fn a_connection_that_is_not_made_in_time_is_told_from_an_answer_that_does_not_come() {
    let server = Scripted::always(Reply::Hang);
    let mut slow = settings(&server.url());
    slow.read_timeout = Duration::from_millis(100);
    let failure = unknown(get_child(&mut HttpRemote::new(slow), version(1)));
    assert!(matches!(failure, Failure::TimedOut { is_connected: true, .. }), "{failure:?}");
    // Nobody takes part in the handshake that belongs to the connection.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut slow = settings(&format!("https://{}", silent.local_addr().unwrap()));
    slow.connect_timeout = Duration::from_millis(100);
    let failure = unknown(get_child(&mut HttpRemote::new(slow), version(1)));
    assert!(matches!(failure, Failure::TimedOut { is_connected: false, .. }), "{failure:?}");
    assert!(failure.to_string().ends_with("connecting to 127.0.0.1"), "{failure}");
}
