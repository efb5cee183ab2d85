//! Pulled versions on their way into the replica, and what loses against them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_core::TaskId;
use tandem_core::limits::PULL_GROUP_VERSIONS_MAX;

use crate::model::Text;
use crate::operation::Operation;
use crate::rebase::{OperationId, Pending, PendingList};
use crate::session::messages::{Lost, PulledVersion};
use crate::transform::Meeting;

/// Pulled versions that are not committed yet.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Shared with the commit: a group is up to megabytes of operations.
    pub(super) versions: Vec<Arc<PulledVersion>>,
    pub(super) bytes: usize,
    pub(super) dropped: Vec<OperationId>,
    /// By task, property and side: each side's last word is what lost.
    pub(super) lost: BTreeMap<(TaskId, Option<Text>, bool), Lost>,
}

/// True for properties whose loss a person would call a conflict. `tags` and `depends` are merged by
/// their parts, `modified` and `end` are stamps that follow from other changes.
pub fn is_worth_a_conflict(property: &str) -> bool {
    !matches!(property, "modified" | "tags" | "depends" | "end")
        && !property.starts_with("tag_")
        && !property.starts_with("dep_")
}

impl Group {
    /// Rebases `pending` over one version and keeps it for the next commit.
    pub(super) fn take_in(
        &mut self,
        version: Arc<PulledVersion>,
        bytes: usize,
        pending: &mut PendingList,
    ) {
        for operation in &version.operations {
            self.meet(operation, pending);
        }
        self.bytes += bytes;
        self.versions.push(version);
    }

    pub(super) fn meet(&mut self, server: &Operation, pending: &mut PendingList) {
        let (dropped, lost) = (&mut self.dropped, &mut self.lost);
        pending.meet(server, &mut |meeting, item| {
            if !meeting.local_survives() {
                dropped.push(item.id);
            }
            if let Operation::Update { uuid, property, .. } = server
                && says_the_same(server, &item.operation)
            {
                // Whatever they had said before and lost with, their last word is ours.
                lost.remove(&(*uuid, Some(property.clone()), false));
            }
            for loser in lost_in(meeting, server, item).into_iter().flatten() {
                lost.insert((loser.task, loser.property.clone(), loser.here), loser);
            }
        });
    }

    pub(super) fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max || self.versions.len() >= PULL_GROUP_VERSIONS_MAX
    }
}

/// Both set one property to one value: nobody loses.
fn says_the_same(server: &Operation, local: &Operation) -> bool {
    match (server, local) {
        (Operation::Update { value: a, .. }, Operation::Update { value: b, .. }) => a == b,
        _ => false,
    }
}

/// What a meeting loses: a change, and with a deletion perhaps the whole task. The change is named
/// then too, since a task that is deleted may be made again in the same breath.
fn lost_in(meeting: Meeting, server: &Operation, local: &Pending) -> [Option<Lost>; 2] {
    use Operation::{Delete, Update};
    if says_the_same(server, &local.operation) {
        return [None, None];
    }
    let update_lost = |operation: &Operation, here| match operation {
        Update { uuid, property, value, timestamp } if is_worth_a_conflict(property) => {
            Some(Lost {
                task: *uuid,
                property: Some(property.clone()),
                value: value.clone(),
                here,
                at: Some(*timestamp),
            })
        }
        _ => None,
    };
    match (meeting, server) {
        (Meeting::ServerWins, Update { .. }) => [update_lost(&local.operation, true), None],
        (Meeting::LocalWins, Update { .. }) => match &local.operation {
            Update { .. } | Delete { .. } => [update_lost(server, false), None],
            Operation::Create { .. } => [None, None],
        },
        (Meeting::ServerWins, Delete { uuid }) => {
            let change = update_lost(&local.operation, true);
            let whole = change.is_some().then(|| Lost {
                task: *uuid,
                property: None,
                value: None,
                here: true,
                at: None,
            });
            [whole, change]
        }
        _ => [None, None],
    }
}
