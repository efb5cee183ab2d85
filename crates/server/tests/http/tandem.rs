//! Our own calls: where a history ends, and versions in a row.

use tandem_server::{Limits, Options};

use crate::running::Running;
use crate::{CLIENT, NIL};

/// Versions and bodies of a streamed answer, and what its end says; none if it has no end.
fn read(mut bytes: &[u8]) -> (Vec<(String, Vec<u8>)>, Option<u8>) {
    let mut versions = Vec::new();
    while bytes.len() >= 17 {
        let id = uuid(&bytes[..16]);
        if id == NIL {
            assert_eq!(bytes.len(), 17, "nothing comes after the end");
            return (versions, Some(bytes[16]));
        }
        let length = u32::from_be_bytes(bytes[16..20].try_into().unwrap()) as usize;
        versions.push((id, bytes[20..20 + length].to_vec()));
        bytes = &bytes[20 + length..];
    }
    (versions, None)
}

fn uuid(bytes: &[u8]) -> String {
    tandem_core::VersionId::from_bytes(bytes.try_into().unwrap()).to_string()
}

#[test]
fn the_head_tells_where_the_history_ends_and_what_the_snapshot_shows() {
    let server = Running::start(Options::default());
    let unknown = server.get("/v1/tandem/head");
    assert_eq!((unknown.status, unknown.text().as_str()), (404, "no such client"));
    let one = server.add(NIL, b"one");
    let head = server.get("/v1/tandem/head");
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    assert_eq!(head.text(), format!(r#"{{"latest":"{one}","snapshot":null}}"#));
    server.snap(&one, b"s");
    let two = server.add(&one, b"two");
    let head = server.get("/v1/tandem/head");
    assert_eq!(head.text(), format!(r#"{{"latest":"{two}","snapshot":"{one}"}}"#));
    assert_eq!(server.line().ask("GET", "/v1/tandem/head", &[], None).status, 400);
}

#[test]
fn a_long_history_comes_in_one_answer() {
    let server = Running::start(Options::default());
    let mut row = vec![NIL.to_owned()];
    // More than one page by number and, with the large ones, by bytes.
    for number in 0..600_usize {
        let body =
            vec![number.to_le_bytes()[0]; if number % 100 == 7 { 700_000 } else { number + 1 }];
        row.push(server.add(&row[number], &body));
    }
    let answer = server.get(&format!("/v1/tandem/children/{NIL}"));
    assert!(answer.status == 200 && answer.is_whole);
    assert_eq!(answer.header("content-type"), Some("application/vnd.tandem.children"));
    let (versions, end) = read(&answer.body);
    assert_eq!(end, Some(0), "this is all");
    let ids: Vec<_> = versions.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, row[1..]);
    assert!(
        versions.iter().enumerate().all(|(number, (_, body))| {
            body.iter().all(|byte| *byte == number.to_le_bytes()[0])
        })
    );
    let (versions, end) = read(&server.get(&format!("/v1/tandem/children/{}", row[598])).body);
    assert_eq!((versions.len(), end), (2, Some(0)));
    let (latest, strange) = (&row[600], CLIENT);
    let none = server.get(&format!("/v1/tandem/children/{latest}"));
    assert_eq!((none.status, none.text().as_str()), (404, "no such version"));
    assert_eq!(server.get(&format!("/v1/tandem/children/{strange}")).status, 410);
    assert_eq!(server.get("/v1/tandem/children/latest").status, 404);
}

#[test]
fn a_streamed_answer_is_bounded_and_says_that_more_is_to_come() {
    let limits = Limits { children_max: 3, children_bytes_max: 10, ..Limits::default() };
    let server = Running::start(Options { limits, ..Options::default() });
    let mut row = vec![NIL.to_owned()];
    for (number, body) in ["a", "b", "c", "d", "12345678", "12345678", "z"].iter().enumerate() {
        row.push(server.add(&row[number], body.as_bytes()));
    }
    let from = |at: usize| {
        let (versions, end) = read(&server.get(&format!("/v1/tandem/children/{}", row[at])).body);
        (versions.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), end)
    };
    assert_eq!(from(0), (row[1..4].to_vec(), Some(1)), "by number");
    assert_eq!(from(4).1, Some(1), "by bytes");
    assert_eq!(from(6), (row[7..8].to_vec(), Some(0)));
    // Whoever goes on from the last one gets everything.
    let (mut at, mut all) = (0, Vec::new());
    loop {
        let (ids, end) = from(at);
        at += ids.len();
        all.extend(ids);
        if end == Some(0) {
            break;
        }
    }
    assert_eq!(all, row[1..]);
}

#[test]
fn answers_of_the_protocol_offer_our_calls_in_one_header() {
    let server = Running::start(Options::default());
    let one = server.add(NIL, b"one");
    for path in [
        format!("/v1/client/get-child-version/{NIL}"),
        format!("/v1/client/get-child-version/{one}"),
    ] {
        assert_eq!(server.get(&path).header("x-tandem"), Some("head children"));
    }
}
