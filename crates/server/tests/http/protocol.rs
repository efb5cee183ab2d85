//! Section 7 of `protocols/taskchampion.md`, answer by answer.

use std::collections::BTreeSet;

use tandem_server::{Access, Options};
use tandem_tasks::serve::SnapshotTargets;

use crate::running::Running;
use crate::{CLIENT, NIL, SEGMENT, SNAPSHOT};

const STRANGE: &str = "99999999-2222-4333-8444-555555555555";

#[test]
fn the_banner_names_us_as_real_clients_know_it() {
    let server = Running::start(Options::default());
    let answer = server.line().ask("GET", "/", &[], None);
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("TaskChampion sync server v"), "{answer:?}");
    assert!(answer.text().contains("Tandem"), "{answer:?}");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
}

#[test]
fn a_first_sync_and_a_second_replica_find_exact_answers() {
    let server = Running::start(Options::default());
    let child = |parent: &str| server.get(&format!("/v1/client/get-child-version/{parent}"));
    let unknown = child(NIL);
    assert_eq!((unknown.status, unknown.text().as_str()), (404, "no such client"));
    let none = server.get("/v1/client/snapshot");
    assert_eq!((none.status, none.text().as_str()), (404, "no such client"));

    let added = server.post(&format!("/v1/client/add-version/{NIL}"), SEGMENT, b"sealed one");
    assert_eq!((added.status, added.body.len()), (200, 0));
    let one = added.header("x-version-id").unwrap().to_owned();
    assert_eq!(added.header("x-snapshot-request"), Some("urgency=high"), "there is none at all");
    assert_eq!(added.header("cache-control"), Some("no-store, max-age=0"));

    let conflict = server.post(&format!("/v1/client/add-version/{NIL}"), SEGMENT, b"another");
    assert_eq!((conflict.status, conflict.body.len()), (409, 0));
    assert_eq!(conflict.header("x-parent-version-id"), Some(one.as_str()));
    assert_eq!(conflict.header("x-version-id"), None);

    let found = child(NIL);
    assert_eq!((found.status, found.text().as_str()), (200, "sealed one"));
    assert_eq!(found.header("content-type"), Some(SEGMENT), "without parameters");
    assert_eq!(found.header("x-version-id"), Some(one.as_str()));
    assert_eq!(found.header("x-parent-version-id"), Some(NIL));

    let up_to_date = child(&one);
    assert_eq!((up_to_date.status, up_to_date.text().as_str()), (404, "no such version"));
    let gone = child(STRANGE);
    assert_eq!((gone.status, gone.text().as_str()), (410, "version has been deleted"));

    let none = server.get("/v1/client/snapshot");
    assert_eq!(none.status, 404);
    let stored = server.snap(&one, b"sealed snapshot");
    assert_eq!((stored.status, stored.body.len()), (200, 0));
    let passed_over = server.snap(STRANGE, b"of nothing");
    assert_eq!((passed_over.status, passed_over.body.len()), (200, 0), "a success all the same");
    let snapshot = server.get("/v1/client/snapshot");
    assert_eq!((snapshot.status, snapshot.text().as_str()), (200, "sealed snapshot"));
    assert_eq!(snapshot.header("content-type"), Some(SNAPSHOT));
    assert_eq!(snapshot.header("x-version-id"), Some(one.as_str()));
    let added = server.post(&format!("/v1/client/add-version/{one}"), SEGMENT, b"two");
    assert_eq!(added.header("x-snapshot-request"), None, "nothing is wished for");
}

#[test]
fn snapshots_are_asked_for_as_urgently_as_they_are_wanted() {
    let targets = SnapshotTargets { versions: 2, days: 14 };
    let server = Running::start(Options { targets, ..Options::default() });
    let mut latest = server.add(NIL, b"v");
    server.snap(&latest, b"s");
    let mut wishes = Vec::new();
    for _ in 0..5 {
        let path = format!("/v1/client/add-version/{latest}");
        let added = server.post(&path, SEGMENT, b"v");
        latest = added.header("x-version-id").unwrap().to_owned();
        wishes.push(added.header("x-snapshot-request").unwrap_or("none").to_owned());
    }
    assert_eq!(wishes, ["none", "none", "urgency=low", "urgency=high", "urgency=high"]);
}

/// One wrong request: name, method, path, headers, body, expected status and words.
type Case<'a> = (&'a str, &'a str, String, Vec<(&'a str, &'a str)>, &'a [u8], u16, &'a str);

#[test]
fn every_refusal_is_the_protocols_own() {
    let server = Running::start(Options::default());
    let one = server.add(NIL, b"one");
    let add = format!("/v1/client/add-version/{one}");
    let snap = format!("/v1/client/add-snapshot/{one}");
    let id = ("X-Client-Id", CLIENT);
    let (segment, snapshot) = (("Content-Type", SEGMENT), ("Content-Type", SNAPSHOT));
    let bad_id = ("X-Client-Id", "me");
    let cases: &[Case<'_>] = &[
        ("no type", "POST", add.clone(), vec![id], b"x", 400, "Bad content-type"),
        ("another type", "POST", add.clone(), vec![id, snapshot], b"x", 400, "Bad content-type"),
        ("type before id", "POST", add.clone(), vec![bad_id], b"x", 400, "Bad content-type"),
        ("no id", "POST", add.clone(), vec![segment], b"x", 400, "bad x-client-id"),
        ("a bad id", "POST", add.clone(), vec![segment, bad_id], b"x", 400, "bad x-client-id"),
        ("nothing in it", "POST", add.clone(), vec![segment, id], b"", 400, "Empty body"),
        ("no snapshot", "POST", snap.clone(), vec![snapshot, id], b"", 400, "No snapshot supplied"),
        ("snapshot as segment", "POST", snap, vec![segment, id], b"x", 400, "Bad content-type"),
        (
            "get without id",
            "GET",
            "/v1/client/snapshot".into(),
            vec![],
            b"",
            400,
            "bad x-client-id",
        ),
        ("no uuid", "GET", "/v1/client/get-child-version/latest".into(), vec![id], b"", 404, ""),
        (
            "no uuid to add",
            "POST",
            "/v1/client/add-version/x".into(),
            vec![id, segment],
            b"x",
            404,
            "",
        ),
        ("another method", "GET", add.clone(), vec![id], b"", 404, ""),
        ("yet another", "DELETE", add.clone(), vec![id], b"", 404, ""),
        ("head", "HEAD", "/v1/client/snapshot".into(), vec![id], b"", 404, ""),
        (
            "a path on",
            "GET",
            format!("/v1/client/get-child-version/{NIL}/"),
            vec![id],
            b"",
            404,
            "",
        ),
        ("out of the root", "GET", "/v1/client/../../etc/passwd".into(), vec![id], b"", 404, ""),
        ("encoded", "GET", "/v1/client/get-child-version/%2e%2e%2f".into(), vec![id], b"", 404, ""),
        ("not utf-8", "GET", "/v1/client/get-child-version/%ff".into(), vec![id], b"", 404, ""),
        ("no such path", "GET", "/admin".into(), vec![id], b"", 404, ""),
    ];
    for (name, method, path, headers, body, status, words) in cases {
        let answer = server.line().ask(method, path, headers, Some(body));
        assert_eq!((answer.status, answer.text().as_str()), (*status, *words), "{name}");
        assert_eq!(answer.header("cache-control"), Some("no-store, max-age=0"), "{name}");
    }
    // Nothing of it has been stored.
    assert_eq!(server.get(&format!("/v1/client/get-child-version/{one}")).status, 404);
}

#[test]
fn what_the_protocol_lets_through_is_let_through() {
    let server = Running::start(Options::default());
    let with_parameter = format!("{SEGMENT}; charset=utf-8");
    let plain = CLIENT.replace('-', "");
    let headers = [("x-client-id", plain.as_str()), ("content-type", with_parameter.as_str())];
    let path = format!("/v1/client/add-version/{}", NIL.replace('-', ""));
    let gzip = [headers[0], headers[1], ("Content-Encoding", "gzip"), ("Accept-Encoding", "gzip")];
    let added = server.line().ask("POST", &path, &gzip, Some(b"\x1f\x8bstays as it is"));
    assert_eq!(added.status, 200, "plain ids and parameters");
    let accepts = [("X-Client-Id", CLIENT), ("Accept-Encoding", "gzip, br")];
    let child = format!("/v1/client/get-child-version/{NIL}");
    let found = server.line().ask("GET", &child, &accepts, None);
    assert_eq!(found.body, b"\x1f\x8bstays as it is", "neither decoded nor compressed");
    assert_eq!(found.header("content-encoding"), None);
}

#[test]
fn only_clients_of_the_list_are_served() {
    let allowed = Some(BTreeSet::from([CLIENT.parse().unwrap()]));
    let access = Access { allowed, ..Access::default() };
    let server = Running::start(Options { access, ..Options::default() });
    server.add(NIL, b"one");
    let headers = [("X-Client-Id", STRANGE), ("Content-Type", SEGMENT)];
    let add = format!("/v1/client/add-version/{NIL}");
    let child = format!("/v1/client/get-child-version/{NIL}");
    for (method, path) in [("POST", add.as_str()), ("GET", &child), ("GET", "/v1/client/snapshot")]
    {
        let answer = server.line().ask(method, path, &headers, Some(b"x"));
        assert_eq!((answer.status, answer.body.len()), (403, 0), "{path}");
    }
}

#[test]
fn a_client_of_the_list_is_told_that_it_is_expected() {
    let allowed = Some(BTreeSet::from([CLIENT.parse().unwrap()]));
    let listed = Access { allowed, ..Access::default() };
    for (access, offers) in
        [(listed, "head children expected"), (Access::default(), "head children")]
    {
        let server = Running::start(Options { access, ..Options::default() });
        let child = format!("/v1/client/get-child-version/{NIL}");
        let answer = server.line().ask("GET", &child, &[("X-Client-Id", CLIENT)], None);
        assert_eq!((answer.status, answer.text().as_str()), (404, "no such client"));
        assert_eq!(answer.header("x-tandem"), Some(offers));
    }
}

#[test]
fn where_clients_are_not_made_an_unknown_one_is_told_so() {
    let access = Access { may_create: false, ..Access::default() };
    let server = Running::start(Options { access, ..Options::default() });
    let answer = server.post(&format!("/v1/client/add-version/{NIL}"), SEGMENT, b"x");
    assert_eq!((answer.status, answer.text().as_str()), (404, "no such client"));
    let answer = server.snap(NIL, b"x");
    assert_eq!((answer.status, answer.text().as_str()), (404, "no such client"));
    // Between Tandems that is foreseen.
    let child = format!("/v1/client/get-child-version/{NIL}");
    let answer = server.line().ask("GET", &child, &[("X-Client-Id", CLIENT)], None);
    assert_eq!((answer.status, answer.header("x-tandem")), (404, Some("head children closed")));
}
