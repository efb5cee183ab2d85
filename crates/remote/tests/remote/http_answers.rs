//! What is made of a server's answers, over a real line. The many cases of one answer are case
//! tables beside `http/answer.rs`; here is what needs the line.

use std::sync::Arc;

use tandem_core::VersionId;
use tandem_remote::{Call, HttpRemote, Remote};
use tandem_seal::{Key, LazyKey, Salt, Secret};
use tandem_tasks::session::{Added, Child, Failure, Proof, Response, Urgency};

use crate::scripted::{Reply, Scripted, head, keep, response};
use crate::{CLIENT, add, answered, get_child, http, refused, sealed, settings, version};

const NIL: VersionId = VersionId::NIL;
const SEGMENT: &str = "application/vnd.taskchampion.history-segment";
const SNAPSHOT: &str = "application/vnd.taskchampion.snapshot";

/// An answer to GetChildVersion.
fn child_response(child: VersionId, parent: VersionId, body: &[u8]) -> Vec<u8> {
    let (child, parent) = (child.to_string(), parent.to_string());
    let headers =
        [("Content-Type", SEGMENT), ("X-Version-Id", &child), ("X-Parent-Version-Id", &parent)];
    response(200, &headers, body)
}

#[test]
fn requests_are_exactly_the_protocols() {
    let server = Scripted::new(|request| match request.path.as_str() {
        path if path.contains("add-version") => {
            let id = version(2).to_string();
            keep(200, &[("X-Version-Id", &id), ("X-Snapshot-Request", "urgency=low")], b"")
        }
        path if path.contains("add-snapshot") => keep(200, &[], b""),
        _ => keep(404, &[], b"no such version"),
    });
    let mut remote = http(&format!("{}base/", server.url()));
    assert_eq!(answered(get_child(&mut remote, version(1))), Response::Child(Child::UpToDate));
    assert_eq!(answered(remote.call(Call::GetSnapshot)), Response::Snapshot(None));
    let added = Added::Accepted { version: version(2), urgency: Urgency::Low };
    assert_eq!(answered(add(&mut remote, version(1), b"plain")), Response::Added(added));
    let body = b"zlib".to_vec();
    let call = Call::AddSnapshot { version: version(2), body };
    assert_eq!(answered(remote.call(call)), Response::SnapshotAdded);

    let received = server.received();
    let lines: Vec<_> =
        received.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(
        lines,
        [
            format!("GET /base/v1/client/get-child-version/{}", version(1)),
            "GET /base/v1/client/snapshot".to_owned(),
            format!("POST /base/v1/client/add-version/{}", version(1)),
            format!("POST /base/v1/client/add-snapshot/{}", version(2)),
        ]
    );
    for request in &received {
        assert_eq!(request.header("x-client-id"), Some(CLIENT));
        let agent = request.header("user-agent").unwrap();
        assert_eq!(agent, concat!("tandem/", env!("CARGO_PKG_VERSION")));
        assert_eq!(request.header("accept-encoding"), None);
        assert_eq!(request.header("transfer-encoding"), None);
    }
    assert_eq!(received[2].header("content-type"), Some(SEGMENT));
    assert_eq!(received[2].body.len(), b"plain".len() + 29);
    assert_eq!(received[3].header("content-type"), Some(SNAPSHOT));
    assert_eq!(received[0].header("content-type"), None);
    assert_eq!(server.connections(), 1, "the connection is kept");
}

#[test]
fn what_the_reference_sealed_is_opened() {
    // Vector V2 of the protocol page: the second version of a real list.
    let envelope = "01b157ccb57d7019bb2ab2196a7b1ec7450fc5df195b684a6ff8818211d9cf061dafc0302601a0d6ad169bcb2618f62ee3c70ddae18d52b21c2b67cbb3abbc6031ec77a4b1077fc630852402ce3ea00a45f6bac6ffa2d82b2ced9f26f17069e635701d42eefc2a99";
    let envelope: Vec<u8> = (0..envelope.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(&envelope[place..place + 2], 16).unwrap())
        .collect();
    let parent: VersionId = "d1fb6bbd-8829-418d-bde5-9e59fa03c124".parse().unwrap();
    let server = Scripted::always(Reply::Keep(child_response(version(5), parent, &envelope)));
    let mut settings = settings(&server.url());
    let secret = Secret::new("correct-horse".to_owned()).unwrap();
    let salt = Salt::from_client_id(settings.client_id.to_bytes());
    settings.key = Arc::new(LazyKey::new(secret, salt));
    let key = Arc::clone(&settings.key);
    let mut remote = HttpRemote::new(settings);
    remote.start_deriving();
    let segment =
        br#"{"operations":[{"Delete":{"uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7"}}]}"#.to_vec();
    let child = Child::Version { version: version(5), parent, segment };
    // Whatever was asked for: the parent is the one that the server states.
    assert_eq!(answered(get_child(&mut remote, version(1))), Response::Child(child));
    assert!(key.has_derived());
    let token = remote.new_proof();
    assert!(token.is_some());
    let proof = answered(remote.call(Call::CheckProof { token: None }));
    assert_eq!(proof, Response::Proof(Proof::Proved), "opened in this very process");
}

#[test]
fn a_sync_with_nothing_to_do_derives_nothing() {
    let server = Scripted::always(keep(404, &[], b"no such version"));
    let mut settings = settings(&server.url());
    let secret = Secret::new("correct-horse".to_owned()).unwrap();
    settings.key = Arc::new(LazyKey::new(secret, Salt::from_client_id([1; 16])));
    let key = Arc::clone(&settings.key);
    let mut remote = HttpRemote::new(settings);
    remote.identity().unwrap();
    get_child(&mut remote, version(1));
    assert!(matches!(remote.call(Call::CheckProof { token: None }), crate::Outcome::Answer(_)));
    assert_eq!(remote.new_proof(), None);
    assert!(key.key_if_ready().is_none());
}

#[test]
fn what_does_not_open_is_told_apart() {
    let other = Key::from_bytes(&[8; 32]);
    let bound = tandem_seal::BoundId::history_segment([1; 16]);
    let foreign = tandem_seal::seal(&other, bound, [1; 12], b"theirs").into_bytes();
    let server = Scripted::always(Reply::Keep(child_response(version(2), version(1), &foreign)));
    let mut remote = http(&server.url());
    let wrong = Failure::WrongSecret { version: version(2) };
    assert_eq!(refused(get_child(&mut remote, version(1))), wrong);
    assert_eq!(remote.new_proof(), None, "nothing has opened");

    for body in [&b"{\"operations\":[]} in the clear, as a directory has it"[..], b"\x01short", b""]
    {
        let server = Scripted::always(Reply::Keep(child_response(version(2), version(1), body)));
        let failure = refused(get_child(&mut http(&server.url()), version(1)));
        assert!(matches!(failure, Failure::Malformed { .. }), "{failure}");
    }

    // The right bytes under another version's name.
    let bytes = sealed(version(1), b"ours");
    let server = Scripted::always(Reply::Keep(child_response(version(2), version(3), &bytes)));
    let failure = refused(get_child(&mut http(&server.url()), version(3)));
    assert_eq!(failure, Failure::WrongSecret { version: version(2) });

    // Without a length nobody knows whether it was cut off.
    let mut cut =
        head(200, &[("Content-Type", SEGMENT), ("X-Version-Id", &version(2).to_string())]);
    cut.extend_from_slice(format!("X-Parent-Version-Id: {}\r\n\r\n", version(1)).as_bytes());
    cut.extend_from_slice(&bytes[..bytes.len() - 1]);
    let server = Scripted::always(Reply::Close(cut));
    let failure = refused(get_child(&mut http(&server.url()), version(1)));
    assert!(failure.to_string().contains("cut off"), "{failure}");
}

#[test]
fn a_snapshot_is_bound_to_its_version() {
    let bound = tandem_seal::BoundId::snapshot([4; 16]);
    let bytes = tandem_seal::seal(&crate::key(), bound, [1; 12], b"zlib").into_bytes();
    let snapshot = |id: VersionId, kind| {
        keep(200, &[("Content-Type", kind), ("X-Version-Id", &id.to_string())], &bytes)
    };
    let ask = |reply| {
        let server = Scripted::always(reply);
        http(&server.url()).call(Call::GetSnapshot)
    };
    let expected = Response::Snapshot(Some((version(4), b"zlib".to_vec())));
    assert_eq!(answered(ask(snapshot(version(4), SNAPSHOT))), expected);
    let wrong = Failure::WrongSecret { version: version(5) };
    assert_eq!(refused(ask(snapshot(version(5), SNAPSHOT))), wrong);
    let failure = refused(ask(snapshot(version(4), SEGMENT)));
    assert!(matches!(failure, Failure::NotTheProtocol { .. }), "{failure}");
}

#[test]
fn a_portal_is_no_task_server() {
    let page = b"<html><body>Please log in to the hotel's network</body></html>";
    for (status, kind) in [(200, "text/html; charset=utf-8"), (200, SEGMENT), (404, "text/html")] {
        let server = Scripted::always(keep(status, &[("Content-Type", kind)], page));
        let mut remote = http(&server.url());
        match get_child(&mut remote, version(1)) {
            crate::Outcome::Answer(response) => {
                assert_eq!(response, Response::Child(Child::StrangeNotFound));
                assert_eq!(status, 404);
            }
            outcome => {
                let failure = refused(outcome);
                assert!(matches!(failure, Failure::NotTheProtocol { .. }), "{failure}");
            }
        }
        let said = if status == 404 { "status 404" } else { "web page" };
        let failure = refused(remote.call(Call::GetSnapshot));
        assert!(failure.to_string().contains(said), "{failure}");
        let call = Call::AddSnapshot { version: version(1), body: vec![] };
        let failure = refused(remote.call(call));
        assert!(failure.to_string().contains(said), "{failure}");
    }
}

#[test]
fn every_status_has_one_outcome() {
    for status in [201, 204, 301, 400, 401, 402, 403, 405, 407, 411, 413, 418, 429, 500, 502, 599] {
        let server = Scripted::always(keep(status, &[], b"some text"));
        let mut remote = http(&server.url());
        match get_child(&mut remote, version(1)) {
            crate::Outcome::Refused(Failure::Forbidden) => assert!([401, 403].contains(&status)),
            crate::Outcome::Refused(Failure::Told { status: told, .. }) => {
                assert_eq!((told, status), (429, 429));
            }
            crate::Outcome::Refused(Failure::NotTheProtocol { .. }) => assert!(status < 500),
            crate::Outcome::Unknown(Failure::ServerError { status: told }) => {
                assert_eq!((told, status >= 500), (status, true));
            }
            other => panic!("{status}: {other:?}"),
        }
        match add(&mut remote, version(1), b"x") {
            crate::Outcome::Unknown(_) => assert!(!(300..500).contains(&status), "{status}"),
            crate::Outcome::Refused(_) => assert!((300..500).contains(&status), "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn nothing_that_is_printed_holds_a_credential() {
    let echo = format!("what is {CLIENT} or {}?", CLIENT.replace('-', "").to_uppercase());
    let server = Scripted::always(keep(400, &[], echo.as_bytes()));
    let settings = settings(&server.url());
    let shown = format!("{settings:?}");
    let mut remote = HttpRemote::new(settings);
    let identity = remote.identity().unwrap().unwrap();
    assert!(identity.key.starts_with(&format!("http {} ", server.url())), "{identity:?}");
    assert_eq!(identity.key.rsplit(' ').next().unwrap().len(), 32);
    assert_eq!(identity.label, server.url());
    let failures = [
        refused(get_child(&mut remote, version(1))),
        refused(add(&mut remote, NIL, b"x")),
        refused(remote.call(Call::GetSnapshot)),
    ];
    assert!(failures[0].to_string().contains("what is *** or ***?"), "{}", failures[0]);
    for text in [shown, format!("{remote:?}"), format!("{identity:?}"), format!("{failures:?}")] {
        let text = text.to_lowercase();
        assert!(!text.contains("correct-horse"), "{text}");
        assert!(!text.contains(CLIENT) && !text.contains(&CLIENT.replace('-', "")), "{text}");
    }
}
