//! Many versions from one answer, where a server says that it is a Tandem, and servers that say so
//! and then do something else.

use tandem_core::VersionId;
use tandem_remote::{MemoryServer, Outcome};
use tandem_tasks::session::{Child, Response};

use crate::scripted::{Reply, Scripted, head, keep, response};
use crate::{add, answered, get_child, http, sealed, task_server};

const CHILDREN: &str = "application/vnd.tandem.children";

/// A history of this many versions, and their ids behind nil.
fn history(count: usize) -> (MemoryServer, Vec<VersionId>) {
    let server = MemoryServer::new(7);
    let mut row = vec![VersionId::NIL];
    for number in 0..count {
        extend(&server, &mut row, number);
    }
    (server, row)
}

fn extend(server: &MemoryServer, row: &mut Vec<VersionId>, number: usize) {
    let parent = row[row.len() - 1];
    server.add_version(parent, sealed(parent, text(number).as_bytes()));
    row.push(server.latest());
}

fn text(number: usize) -> String {
    format!("segment {number}")
}

/// The frames after `parent`, at most `max`, without an end.
fn frames(server: &MemoryServer, mut parent: VersionId, max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..max {
        let Some(child) = server.child_version(parent).1 else { break };
        bytes.extend_from_slice(&child.version.to_bytes());
        bytes.extend_from_slice(&u32::try_from(child.bytes.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&child.bytes);
        parent = child.version;
    }
    bytes
}

fn end(last: u8) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.push(last);
    bytes
}

fn in_a_row(body: &[u8]) -> Reply {
    keep(200, &[("content-type", CHILDREN)], body)
}

/// A server that offers the call in the header of every answer of the protocol, and answers it with
/// what `children` says.
fn tandem(
    server: &MemoryServer,
    children: impl Fn(&MemoryServer, VersionId) -> Reply + Send + 'static,
) -> Scripted {
    let server = server.clone();
    Scripted::new(move |request| {
        if let Some(parent) = request.path.strip_prefix("/v1/tandem/children/") {
            return children(&server, parent.parse().unwrap());
        }
        match task_server::answer(&server, request) {
            Reply::Keep(bytes) => {
                let line = bytes.windows(2).position(|bytes| bytes == b"\r\n").unwrap() + 2;
                let (first, rest) = bytes.split_at(line);
                Reply::Keep([first, b"X-Tandem: later children head\r\n", rest].concat())
            }
            other => other,
        }
    })
}

/// Walks from nil to the end; every version and its text must come.
fn walk(remote: &mut dyn tandem_remote::Remote, row: &[VersionId]) {
    for (number, parent) in row.iter().enumerate() {
        let child = answered(get_child(remote, *parent));
        if number + 1 == row.len() {
            assert_eq!(child, Response::Child(Child::UpToDate));
        } else {
            let (version, segment) = (row[number + 1], text(number).into_bytes());
            let expected = Child::Version { version, parent: *parent, segment };
            assert_eq!(child, Response::Child(expected), "version {number}");
        }
    }
}

/// How many questions of each kind arrived: for one version, for many.
fn questions(server: &Scripted) -> (usize, usize) {
    let received = server.received();
    let many = received.iter().filter(|it| it.path.starts_with("/v1/tandem/")).count();
    (received.len() - many, many)
}

#[test]
fn a_walk_is_two_questions_on_one_connection() {
    let (history, row) = history(200);
    let server = tandem(&history, |history, parent| {
        in_a_row(&[frames(history, parent, 1000), end(0)].concat())
    });
    walk(&mut http(&server.url()), &row);
    assert_eq!(questions(&server), (1, 1));
    assert_eq!(server.connections(), 1, "the stream was read to its end");
}

#[test]
fn a_single_question_stays_one_of_the_protocol() {
    let (history, row) = history(3);
    let server = tandem(&history, |_, _| keep(500, &[], b""));
    let mut remote = http(&server.url());
    for _ in 0..3 {
        let child = answered(get_child(&mut remote, row[3]));
        assert_eq!(child, Response::Child(Child::UpToDate));
        answered(get_child(&mut remote, row[1]));
    }
    assert_eq!(questions(&server), (6, 0));
}

#[test]
fn one_version_behind_costs_no_more_than_elsewhere() {
    let (history, row) = history(1);
    let server = tandem(&history, |_, _| keep(404, &[], b"no such version"));
    walk(&mut http(&server.url()), &row);
    assert_eq!(questions(&server), (1, 1));
}

#[test]
fn a_server_that_offers_nothing_is_asked_for_nothing() {
    let (history, row) = history(5);
    let server = task_server::start(&history);
    walk(&mut http(&server.url()), &row);
    assert_eq!(questions(&server), (6, 0));
}

#[test]
fn a_server_that_has_more_is_asked_again_from_the_last() {
    let (history, row) = history(10);
    let server = tandem(&history, |history, parent| {
        let is_all = frames(history, parent, 4).len() == frames(history, parent, 5).len();
        in_a_row(&[frames(history, parent, 4), end(u8::from(!is_all))].concat())
    });
    walk(&mut http(&server.url()), &row);
    assert_eq!(questions(&server), (1, 3));
}

#[test]
fn nothing_is_lost_where_the_row_is_not_what_it_should_be() {
    type Spoil = fn(&MemoryServer, VersionId) -> Reply;
    let cut: Spoil = |history, parent| {
        let mut bytes = response(200, &[("content-type", CHILDREN)], &frames(history, parent, 8));
        bytes.truncate(bytes.len() - 70);
        Reply::Close(bytes)
    };
    let without_end: Spoil = |history, parent| in_a_row(&frames(history, parent, 4));
    let cut_chunks: Spoil = |history, parent| {
        let frames = frames(history, parent, 3);
        let headers = [("content-type", CHILDREN), ("transfer-encoding", "chunked")];
        let chunk = format!("\r\n{:x}\r\n", frames.len()).into_bytes();
        Reply::Close([head(200, &headers), chunk, frames, b"\r\n".to_vec()].concat())
    };
    let long: Spoil = |history, parent| {
        let mut bytes = frames(history, parent, 1);
        bytes[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        in_a_row(&bytes)
    };
    let shifted: Spoil = |history, parent| {
        let mut bytes = frames(history, parent, 4);
        bytes[19] -= 1;
        in_a_row(&[bytes, end(0)].concat())
    };
    let skipped: Spoil = |history, parent| {
        let first = frames(history, parent, 1).len();
        in_a_row(&[frames(history, parent, 4).split_off(first), end(0)].concat())
    };
    let more_of_nothing: Spoil = |_, _| in_a_row(&end(1));
    let strange_end: Spoil =
        |history, parent| in_a_row(&[frames(history, parent, 2), end(7)].concat());
    let cases: [(&str, Spoil); 12] = [
        ("cut in the middle of a body", cut),
        ("without its end", without_end),
        ("a chunk is missing", cut_chunks),
        ("a length beyond every limit", long),
        ("a length that is too small", shifted),
        ("a version is left out", skipped),
        ("an end and nothing before it", more_of_nothing),
        ("an end that says something else", strange_end),
        ("a web page", |_, _| keep(200, &[("content-type", "text/html")], b"<html>")),
        ("not found", |_, _| keep(404, &[], b"<html>")),
        ("in trouble", |_, _| keep(503, &[], b"")),
        ("closed at once", |_, _| Reply::Close(Vec::new())),
    ];
    for (name, children) in cases {
        let (history, row) = history(12);
        let server = tandem(&history, children);
        walk(&mut http(&server.url()), &row);
        let (singly, many) = questions(&server);
        assert_eq!(many, 1, "{name}: it is not tried again");
        assert!(singly >= 5, "{name}: the rest is asked for singly, {singly}");
    }
}

#[test]
fn a_version_that_appears_meanwhile_is_found_by_the_next_question() {
    let (history, mut row) = history(4);
    let server = tandem(&history, |history, parent| {
        in_a_row(&[frames(history, parent, 1000), end(0)].concat())
    });
    let mut remote = http(&server.url());
    for parent in &row[..4] {
        answered(get_child(&mut remote, *parent));
    }
    extend(&history, &mut row, 4);
    // The stream is of the moment at which the server wrote it.
    assert_eq!(answered(get_child(&mut remote, row[4])), Response::Child(Child::UpToDate));
    let child = answered(get_child(&mut remote, row[4]));
    assert!(matches!(child, Response::Child(Child::Version { version, .. }) if version == row[5]));
}

#[test]
fn after_another_call_everything_is_asked_anew() {
    let (history, row) = history(6);
    let server = tandem(&history, |history, parent| {
        in_a_row(&[frames(history, parent, 1000), end(0)].concat())
    });
    let mut remote = http(&server.url());
    for parent in &row[..3] {
        answered(get_child(&mut remote, *parent));
    }
    assert!(matches!(add(&mut remote, row[3], b"ours"), Outcome::Answer(_)), "a conflict");
    answered(get_child(&mut remote, row[3]));
    assert_eq!(questions(&server), (3, 1), "the stream was given up");
    walk(&mut http(&server.url()), &row);
}
