//! Which losers are told when a list that waits anew goes through a history.

use std::sync::Arc;

use tandem_core::{Timestamp, VersionId};
use tandem_tasks::session::{Batch, Change, PullKind, PulledVersion, Tail};

use super::*;
use crate::storage::StorageError;
use crate::{Committed, MemoryStorage, Replica, Target};

const TASK: TaskId = TaskId::from_bytes([7; 16]);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000_000 + seconds)
}

/// A list whose project was "home" at 10 and is "garden" since 20, all of it waiting anew at a place
/// that it left before.
fn come_back() -> (Replica, Target) {
    let mut replica = Replica::new(MemoryStorage::new());
    for (seconds, project) in [(10, "home"), (20, "garden")] {
        let edited = replica.edit("modify", at(seconds), |editor| {
            editor.create(TASK)?;
            editor.set(TASK, "project", Some(project))
        });
        edited.map_err(|error: crate::EditError<StorageError>| error).unwrap();
    }
    let target = Target { key: Some("server".into()), label: "server".into() };
    let Tail { base, first, last, .. } = replica.sync_facts(&target, at(30)).unwrap().tail;
    let batch = Batch { base, last, first, change: Change::Restart { again: false } };
    let committed = replica.commit(&target, batch, at(30)).unwrap();
    assert!(matches!(committed, Committed::Moved(_)), "{committed:?}");
    (replica, target)
}

#[test]
fn what_this_list_has_replaced_itself_is_not_told() {
    for (what, value, seconds, kind, told) in [
        ("the very change", Some("home"), 10, PullKind::Replay, false),
        ("as a snapshot says it", Some("home"), 15, PullKind::Replay, false),
        ("set again there, later", Some("home"), 25, PullKind::Replay, true),
        ("by others", Some("office"), 15, PullKind::Replay, true),
        ("removed by others", None, 15, PullKind::Replay, true),
        ("where the list does not wait anew", Some("home"), 10, PullKind::Usual, true),
    ] {
        let (mut replica, target) = come_back();
        let lost = Lost {
            task: TASK,
            property: Some("project".into()),
            value: value.map(Text::from),
            here: false,
            at: Some(at(seconds)),
        };
        let versions = vec![Arc::new(PulledVersion {
            version: VersionId::from_bytes([1; 16]),
            parent: VersionId::NIL,
            operations: Vec::new(),
        })];
        let change = Change::Pull { versions, dropped: Vec::new(), lost: vec![lost], kind };
        let Tail { base, first, last, .. } = replica.sync_facts(&target, at(40)).unwrap().tail;
        replica.commit(&target, Batch { base, last, first, change }, at(40)).unwrap();
        assert_eq!(replica.conflicts(false).unwrap().len(), usize::from(told), "{what}");
    }
}
