//! The faults that the simulator rests on do what they say.

use tandem_core::VersionId;
use tandem_remote::memory::Fault;
use tandem_remote::{Call, MemoryRemote, MemoryServer, Outcome, Remote};
use tandem_tasks::session::{Added, Child, Failure, Response, Urgency};

use crate::{add, answered, get_child, refused, unknown};

const NIL: VersionId = VersionId::NIL;

#[test]
fn the_same_seed_gives_the_same_ids_and_another_others() {
    let ids = |seed| {
        let server = MemoryServer::new(seed);
        (0..3).map(|_| server.push(vec![])).collect::<Vec<_>>()
    };
    assert_eq!(ids(7), ids(7));
    assert!(ids(7).iter().all(|id| !ids(8).contains(id)));
}

#[test]
fn lost_and_late_messages() {
    let server = MemoryServer::new(1);
    let mut remote = MemoryRemote::new(&server, "x").with_secret("s");
    remote.fault_next(Fault::LoseRequest);
    unknown(add(&mut remote, NIL, b"lost"));
    assert!(server.latest().is_nil());

    remote.fault_next(Fault::LoseReply);
    unknown(add(&mut remote, NIL, b"stored"));
    let first = server.latest();
    assert!(!first.is_nil());
    assert_eq!(remote.new_proof(), None, "no reply, no proof");

    remote.fault_next(Fault::DelayRequest);
    unknown(add(&mut remote, first, b"late"));
    assert_eq!(server.latest(), first);
    assert_eq!(remote.deliver_delayed(), 1);
    assert_eq!(server.chain().len(), 2, "it has arrived after all");
    assert_eq!(remote.deliver_delayed(), 0);

    remote.fault_next(Fault::Refuse(Failure::Forbidden));
    assert_eq!(refused(add(&mut remote, first, b"no")), Failure::Forbidden);
    remote.fault_next(Fault::Unknown(Failure::ServerError { status: 500 }));
    // A proof is checked without the line, so the fault waits for the next call.
    assert!(matches!(remote.call(Call::CheckProof { token: None }), Outcome::Answer(_)));
    assert!(matches!(unknown(get_child(&mut remote, NIL)), Failure::ServerError { .. }));
}

#[test]
fn another_version_slips_in_between_pull_and_push() {
    let server = MemoryServer::new(1);
    let mut remote = MemoryRemote::new(&server, "x");
    let other = server.clone();
    let mut is_first = true;
    remote.choose_faults(move |call| {
        if matches!(call, Call::AddVersion { .. }) && std::mem::take(&mut is_first) {
            other.push(b"theirs".to_vec());
        }
        Fault::None
    });
    let rejected = answered(add(&mut remote, NIL, b"ours"));
    assert_eq!(rejected, Response::Added(Added::Conflict { latest: server.latest() }));
    let outcome = answered(add(&mut remote, server.latest(), b"ours"));
    assert!(matches!(outcome, Response::Added(Added::Accepted { .. })));
    assert_eq!(server.counts().add_version, 3);
}

#[test]
fn history_expires_goes_back_and_is_damaged() {
    let server = MemoryServer::new(1);
    let mut remote = MemoryRemote::new(&server, "x").with_secret("s");
    let mut other = MemoryRemote::new(&server, "x").with_secret("t");
    for number in 0..3 {
        add(&mut remote, server.latest(), &[number]);
    }
    let checkpoint = server.checkpoint();
    let [first, second, third] = [0, 1, 2].map(|place| server.chain()[place].version);
    assert_eq!(refused(get_child(&mut other, first)), Failure::WrongSecret { version: second });
    assert_eq!(refused(get_child(&mut other, second)), Failure::WrongSecret { version: third });

    server.expire(second);
    for parent in [NIL, first] {
        assert_eq!(answered(get_child(&mut remote, parent)), Response::Child(Child::Gone));
    }
    assert!(matches!(
        answered(get_child(&mut remote, second)),
        Response::Child(Child::Version { .. })
    ));
    server.push(b"later".to_vec());
    server.restore(&checkpoint);
    assert_eq!(server.latest(), third);
    assert_eq!(server.chain().len(), 3);
    server.damage(third, b"rubbish");
    assert!(matches!(refused(get_child(&mut remote, second)), Failure::Malformed { .. }));
    server.plant(crate::version(9), third, b"sealed with s:planted".to_vec());
    let Response::Child(Child::Version { version, segment, .. }) =
        answered(get_child(&mut remote, third))
    else {
        panic!("no child")
    };
    assert_eq!((version, segment), (crate::version(9), b"planted".to_vec()));
}

#[test]
fn urgency_is_by_rule_or_forced() {
    let server = MemoryServer::new(1);
    let mut remote = MemoryRemote::new(&server, "x");
    let mut urgency = || match answered(add(&mut remote, server.latest(), b"x")) {
        Response::Added(Added::Accepted { urgency, .. }) => urgency,
        other => panic!("{other:?}"),
    };
    assert_eq!(urgency(), Urgency::High, "no snapshot yet");
    assert!(server.add_snapshot(server.latest(), b"snapshot".to_vec()));
    assert_eq!(urgency(), Urgency::None);
    server.pass_days(14);
    assert_eq!(urgency(), Urgency::Low);
    server.pass_days(7);
    assert_eq!(urgency(), Urgency::High);
    server.force_urgency(Some(Urgency::Low));
    assert_eq!(urgency(), Urgency::Low);
    server.drop_snapshot();
    assert_eq!(server.snapshot(), None);
}

#[test]
fn a_directory_in_memory_tells_orphans_as_a_real_one_does() {
    let server = MemoryServer::new(1);
    let mut remote = MemoryRemote::new(&server, "x").as_directory();
    let segment = br#"{"operations":[]}"#;
    add(&mut remote, NIL, segment);
    let fork = server.latest();
    add(&mut remote, fork, segment);
    let ours = server.latest();
    let theirs = server.orphan_latest(segment.to_vec());
    let Response::Child(Child::Orphaned(orphaned)) = answered(get_child(&mut remote, ours)) else {
        panic!("not told")
    };
    assert_eq!((orphaned.fork, orphaned.orphans.len()), (fork, 1));
    let Response::Child(Child::Version { version, .. }) = answered(get_child(&mut remote, fork))
    else {
        panic!("no child")
    };
    assert_eq!(version, theirs);
    answered(remote.call(Call::RemoveOrphans { versions: vec![ours, theirs] }));
    assert_eq!(server.stored().len(), 2);
    assert_eq!(answered(get_child(&mut remote, ours)), Response::Child(Child::Gone));
}
