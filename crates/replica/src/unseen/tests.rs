//! What is told of a value of ours that others overwrote.

use std::sync::Arc;

use tandem_core::VersionId;
use tandem_tasks::segment::{self, SegmentDigest};
use tandem_tasks::session::{AcceptedVersion, Batch, Change, InFlight, PulledVersion, Tail};

use super::*;
use crate::storage::StorageError;
use crate::{Committed, ConflictRow, MemoryStorage, Replica, Target};

const TASK: TaskId = TaskId::from_bytes([7; 16]);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000_000 + seconds)
}

fn version(n: u8) -> VersionId {
    VersionId::from_bytes([n; 16])
}

fn target() -> Target {
    Target { key: Some("server".into()), label: "server".into() }
}

fn commit(replica: &mut Replica, change: Change, seconds: i64) {
    let Tail { base, first, last, .. } = replica.sync_facts(&target(), at(seconds)).unwrap().tail;
    let batch = Batch { base, last, first, change };
    let committed = replica.commit(&target(), batch, at(seconds)).unwrap();
    assert!(matches!(committed, Committed::Done { .. }), "{committed:?}");
}

/// Sends everything that waits at one moment, as version `n`; the server's answer comes a minute
/// later.
fn send(replica: &mut Replica, n: u8, seconds: i64) {
    let tail = replica.sync_facts(&target(), at(seconds)).unwrap().tail;
    let ranges: Vec<_> = tail.pending.iter().map(|item| (item.id, item.id)).collect();
    let operations: Vec<_> = tail.pending.into_iter().map(|item| item.operation).collect();
    let in_flight = InFlight {
        parent: version(n - 1),
        digest: SegmentDigest::of(&segment::write(&operations)),
        count: operations.len(),
        ranges: ranges.clone(),
    };
    let prepare = Change::Push { accepted: None, next: Some(in_flight), owes_snapshot: false };
    commit(replica, prepare, seconds);
    let accepted = AcceptedVersion {
        version: version(n),
        parent: version(n - 1),
        operations: Arc::new(operations),
        straddling: Vec::new(),
        ranges,
        wants_snapshot: false,
    };
    let accept = Change::Push { accepted: Some(accepted), next: None, owes_snapshot: false };
    commit(replica, accept, seconds + 60);
}

fn update(property: &str, value: &str, seconds: i64) -> Operation {
    Operation::Update {
        uuid: TASK,
        property: property.into(),
        value: Some(value.into()),
        timestamp: at(seconds),
    }
}

/// Pulls version `n` and returns the conflicts that are open then.
fn pull(
    replica: &mut Replica,
    n: u8,
    operations: Vec<Operation>,
    kind: PullKind,
) -> Vec<ConflictRow> {
    let version = PulledVersion { version: version(n), parent: version(n - 1), operations };
    let change = Change::Pull {
        versions: vec![Arc::new(version)],
        dropped: Vec::new(),
        lost: Vec::new(),
        kind,
    };
    commit(replica, change, 1_000);
    replica.conflicts(false).unwrap()
}

fn set(replica: &mut Replica, seconds: i64, property: &str, value: &str) {
    let edited = replica.edit("modify", at(seconds), |editor| {
        editor.create(TASK)?;
        editor.set(TASK, property, Some(value))
    });
    edited.map_err(|error: crate::EditError<StorageError>| error).unwrap();
}

/// A replica whose task was sent at 0 with the description "milk", and at 100 with "oat milk", which
/// was typed at 50.
fn sent_twice() -> Replica {
    let mut replica = Replica::new(MemoryStorage::new());
    set(&mut replica, -10, "status", "pending");
    set(&mut replica, -10, "description", "milk");
    send(&mut replica, 1, 0);
    set(&mut replica, 50, "description", "oat milk");
    send(&mut replica, 2, 100);
    replica
}

#[test]
fn what_was_changed_there_before_ours_was_sent_beat_ours_unseen() {
    for (what, kind, property, seconds, told) in [
        ("between the two", PullKind::Usual, "description", 70, true),
        ("at the last moment", PullKind::Usual, "description", 99, true),
        ("once ours was there", PullKind::Usual, "description", 100, false),
        ("stamped before ours", PullKind::Usual, "description", 50, false),
        ("another property", PullKind::Usual, "project", 70, false),
        ("replayed", PullKind::Replay, "description", 70, false),
    ] {
        let mut replica = sent_twice();
        let rows = pull(&mut replica, 3, vec![update(property, "goat milk", seconds)], kind);
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.base.as_deref(), row.kept.as_deref(), row.lost.as_deref()))
            .collect();
        let expected = (Some("milk"), Some("goat milk"), Some("oat milk"));
        assert_eq!(rows, if told { vec![expected] } else { vec![] }, "{what}");
    }
}

#[test]
fn what_came_with_the_task_itself_was_known_to_all() {
    let mut replica = Replica::new(MemoryStorage::new());
    set(&mut replica, 50, "description", "milk");
    send(&mut replica, 1, 100);
    // By a clock that runs behind.
    let rows = pull(&mut replica, 2, vec![update("description", "tea", 70)], PullKind::Usual);
    assert_eq!(rows, []);
}

#[test]
fn a_value_of_theirs_is_not_ours_to_lose() {
    let mut replica = sent_twice();
    pull(&mut replica, 3, vec![update("description", "goat milk", 150)], PullKind::Usual);
    set(&mut replica, 200, "project", "home");
    send(&mut replica, 4, 300);
    let rows = pull(&mut replica, 5, vec![update("description", "tea", 250)], PullKind::Usual);
    assert_eq!(rows, []);
}

#[test]
fn what_came_back_in_the_end_has_not_lost() {
    let mut replica = sent_twice();
    let there = vec![update("description", "tea", 70), update("description", "oat milk", 80)];
    assert_eq!(pull(&mut replica, 3, there, PullKind::Usual), []);
}

#[test]
fn a_deletion_over_changes_that_it_cannot_have_known_is_told_once() {
    for (seconds, told) in [(20, true), (99, true), (100, false)] {
        let mut replica = sent_twice();
        let there = vec![update("status", "deleted", seconds), update("end", "5", seconds)];
        let rows = pull(&mut replica, 3, there, PullKind::Usual);
        assert_eq!(rows.len(), usize::from(told), "{seconds}: {rows:#?}");
        for row in rows {
            assert_eq!((row.kind(), row.lost_here), (crate::ConflictKind::Deleted, true));
            assert_eq!(row.lost.as_deref(), Some("pending"));
        }
    }
}

#[test]
fn a_deletion_of_a_task_as_it_was_made_is_no_news() {
    let mut replica = Replica::new(MemoryStorage::new());
    set(&mut replica, 50, "status", "pending");
    set(&mut replica, 50, "description", "milk");
    send(&mut replica, 1, 100);
    let there = vec![update("status", "deleted", 70)];
    assert_eq!(pull(&mut replica, 2, there, PullKind::Usual), []);
}
