//! What every remote does alike.

use tandem_core::VersionId;
use tandem_remote::{
    Call, DirectoryOptions, DirectoryRemote, MemoryRemote, MemoryServer, Outcome, Remote,
};
use tandem_tasks::session::{Added, Child, Proof, Response};

use crate::{add, answered, get_child, http, task_server};

const NIL: VersionId = VersionId::NIL;

#[track_caller]
fn accepted(outcome: Outcome) -> VersionId {
    match answered(outcome) {
        Response::Added(Added::Accepted { version, .. }) => version,
        other => panic!("not accepted: {other:?}"),
    }
}

#[track_caller]
fn child(remote: &mut dyn Remote, parent: VersionId) -> Child {
    match answered(get_child(remote, parent)) {
        Response::Child(child) => child,
        other => panic!("no child: {other:?}"),
    }
}

/// Runs the suite. `open` makes another line to the same history, which is empty at first.
fn conforms(mut open: impl FnMut() -> Box<dyn Remote>) {
    let (mut a, mut b) = (open(), open());
    let is_directory = a.is_directory();
    assert!(!a.label().is_empty());
    assert_eq!(
        a.identity().unwrap().is_none(),
        is_directory,
        "a directory has one once it has a version"
    );

    // An empty history has nothing to give and no proof to ask for.
    assert!(matches!(child(&mut *a, NIL), Child::UpToDate | Child::NoSuchClient));
    assert!(matches!(answered(a.call(Call::GetSnapshot)), Response::Snapshot(None)));
    assert_eq!(a.new_proof(), None);

    // The first version, and what others see of it.
    a.expect_to_seal();
    let first = accepted(add(&mut *a, NIL, b"first"));
    assert!(!first.is_nil());
    let identity = a.identity().unwrap().unwrap();
    assert_eq!(b.identity().unwrap(), Some(identity.clone()), "one history, one identity");
    assert_eq!(identity.label, a.label());
    let expected = Child::Version { version: first, parent: NIL, segment: b"first".to_vec() };
    assert_eq!(child(&mut *b, NIL), expected);
    assert_eq!(child(&mut *b, first), Child::UpToDate);

    // A chain grows at its end only.
    let second = accepted(add(&mut *b, first, b"second"));
    assert_ne!(first, second);
    for stale in [NIL, first] {
        let outcome = answered(add(&mut *a, stale, b"late"));
        assert_eq!(outcome, Response::Added(Added::Conflict { latest: second }));
    }
    let third = accepted(add(&mut *a, second, &vec![0xff; 300_000]));
    for (parent, version) in [(NIL, first), (first, second), (second, third)] {
        let mut fresh = open();
        let Child::Version { version: found, parent: stated, .. } = child(&mut *fresh, parent)
        else {
            panic!("no child of {parent}")
        };
        assert_eq!((found, stated), (version, parent));
    }
    assert_eq!(child(&mut *b, third), Child::UpToDate);
    assert_eq!(child(&mut *b, crate::version(0xee)), Child::Gone, "never heard of");
    assert_eq!(a.identity().unwrap(), Some(identity), "growing changes no identity");

    // Snapshots: kept by servers, politely ignored by directories, replaced by newer ones only.
    for (version, body) in [(third, b"third"), (second, b"older"), (crate::version(9), b"never")] {
        let added = a.call(Call::AddSnapshot { version, body: body.to_vec() });
        assert_eq!(answered(added), Response::SnapshotAdded);
    }
    let stored = if is_directory { None } else { Some((third, b"third".to_vec())) };
    assert_eq!(answered(b.call(Call::GetSnapshot)), Response::Snapshot(stored));

    // Nothing on the chain can be removed as an orphan.
    for versions in [vec![], vec![first, third]] {
        let removed = b.call(Call::RemoveOrphans { versions });
        assert_eq!(answered(removed), Response::OrphansRemoved);
    }
    assert!(matches!(child(&mut *open(), NIL), Child::Version { .. }));

    // A proof made here is one for whoever holds the same key.
    let mut check = |token| answered(open().call(Call::CheckProof { token }));
    match a.new_proof() {
        None => assert_eq!(check(None), Response::Proof(Proof::NotNeeded)),
        Some(token) => {
            assert_eq!(check(None), Response::Proof(Proof::Unproved));
            assert_eq!(check(Some(b"rubbish".to_vec())), Response::Proof(Proof::Unproved));
            assert_eq!(check(Some(token)), Response::Proof(Proof::Proved));
            assert!(b.new_proof().is_some(), "it has opened something");
        }
    }
}

#[test]
fn memory_conforms() {
    let server = MemoryServer::new(1);
    conforms(|| Box::new(MemoryRemote::new(&server, "plain")));
    let server = MemoryServer::new(2);
    conforms(|| Box::new(MemoryRemote::new(&server, "sealed").with_secret("secret")));
    let server = MemoryServer::new(3);
    conforms(|| Box::new(MemoryRemote::new(&server, "new client").with_unknown_client()));
    let server = MemoryServer::new(4);
    conforms(|| Box::new(MemoryRemote::new(&server, "directory").as_directory()));
}

#[test]
fn a_directory_conforms() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path().join("tasks");
    conforms(|| Box::new(DirectoryRemote::new(&folder, DirectoryOptions::default())));
}

#[test]
fn http_conforms_and_what_lies_on_the_server_is_sealed() {
    let server = MemoryServer::new(5);
    let scripted = task_server::start(&server);
    conforms(|| Box::new(http(&scripted.url())));
    for stored in server.chain() {
        assert_eq!(stored.bytes[0], 1, "an envelope");
        assert!(!stored.bytes.windows(5).any(|bytes| bytes == b"first" || bytes == b"secon"));
    }
}
