//! Taking notice of what other programs did to the file since we last looked.
//!
//! The real `task`, its hooks and every program on the real crate may edit, undo and sync the same
//! replica. They know nothing of our tables, so each of our transactions begins by comparing where
//! the log stands with where we left it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::{LocalOperation, OperationId};

use crate::image::{base_of, settle};
use crate::storage::{AppliedRow, Origin, PendingMark, Result, StepRow, StorageError, Txn};

const SEEN: &str = "seen";
const CURRENT_REMOTE: &str = "remote";

/// Where the replica stood when one of our transactions ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) base: VersionId,
    /// The highest operation id ever given.
    pub(crate) logged: Option<OperationId>,
    pub(crate) last: Option<OperationId>,
    pub(crate) count: u64,
}

impl Seen {
    pub(crate) fn now(txn: &mut dyn Txn) -> Result<Self> {
        let PendingMark { last, count } = txn.pending_mark()?;
        Ok(Self { base: txn.base_version()?, logged: txn.last_operation_id()?, last, count })
    }

    pub(crate) fn stored(txn: &mut dyn Txn) -> Result<Option<Self>> {
        // One that cannot be read counts as never stored: everything is then looked at again.
        Ok(txn.meta(SEEN)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers where the replica stands. Every writing transaction of ours ends with it.
    pub(crate) fn remember(txn: &mut dyn Txn) -> Result<()> {
        let seen = Self::now(txn)?;
        let text = serde_json::to_string(&seen).map_err(|source| StorageError::Other {
            file: "memory".into(),
            doing: "writing where the replica stands",
            source: Box::new(source),
        })?;
        txn.set_meta(SEEN, Some(&text))
    }
}

/// The remote that the base belongs to.
pub(crate) fn current_remote(txn: &mut dyn Txn) -> Result<Option<i64>> {
    Ok(txn.meta(CURRENT_REMOTE)?.and_then(|text| text.parse().ok()))
}

pub(crate) fn set_current_remote(txn: &mut dyn Txn, id: i64) -> Result<()> {
    txn.set_meta(CURRENT_REMOTE, Some(&id.to_string()))
}

/// True if another program has changed the log or the base since our last transaction.
pub(crate) fn has_moved(txn: &mut dyn Txn) -> Result<bool> {
    Ok(Seen::stored(txn)? != Some(Seen::now(txn)?))
}

/// Brings our tables up to what other programs did. Costs two look-ups when nobody did anything.
pub(crate) fn absorb(txn: &mut dyn Txn, now: Timestamp) -> Result<()> {
    let present = Seen::now(txn)?;
    let stored = Seen::stored(txn)?;
    if stored == Some(present) {
        return Ok(());
    }
    match stored {
        Some(seen) if seen.base == present.base => {
            // A foreign undo removed pending operations: what had an image is settled from it.
            for (id, image) in txn.base_images()? {
                let pending = txn.pending_of(id)?;
                settle(txn, id, image, &pending)?;
            }
            settle_new(txn, seen.logged)?;
        }
        _ => {
            // First sight of this file, or a foreign sync: images are made afresh from the state.
            txn.clear_base_images()?;
            settle_new(txn, None)?;
            adopt_base(txn, present.base)?;
        }
    }
    record_foreign_steps(txn, stored.and_then(|seen| seen.logged), now)?;
    Seen::remember(txn)
}

/// Gives base images to the tasks of operations logged after `after`.
fn settle_new(txn: &mut dyn Txn, after: Option<OperationId>) -> Result<()> {
    let mut tasks: BTreeSet<TaskId> = BTreeSet::new();
    txn.each_pending(&mut |id, operation| {
        if after.is_none_or(|after| id > after)
            && let Some(task) = operation.task()
        {
            tasks.insert(task);
        }
        Ok(())
    })?;
    for id in tasks {
        let pending = txn.pending_of(id)?;
        let base = base_of(txn, id, &pending)?;
        settle(txn, id, base, &pending)?;
    }
    Ok(())
}

/// Records a base that a foreign sync moved to: versions between are unknown to us.
fn adopt_base(txn: &mut dyn Txn, base: VersionId) -> Result<()> {
    if let Some(in_flight) = txn.in_flight()?
        && in_flight.parent != base
    {
        txn.set_in_flight(None)?;
    }
    if base.is_nil() || txn.applied(base)?.is_some() {
        return Ok(());
    }
    let Some(remote) = current_remote(txn)? else { return Ok(()) };
    txn.put_applied(&AppliedRow { version: base, parent: VersionId::NIL, remote, hole: true })
}

/// Gives steps to commands of other programs, one for each undo point.
fn record_foreign_steps(
    txn: &mut dyn Txn,
    after: Option<OperationId>,
    now: Timestamp,
) -> Result<()> {
    let mut ranges: Vec<(OperationId, OperationId)> = Vec::new();
    txn.each_pending(&mut |id, operation| {
        if after.is_some_and(|after| id <= after) {
            return Ok(());
        }
        match ranges.last_mut() {
            Some(range) if operation != LocalOperation::UndoPoint => range.1 = id,
            _ => ranges.push((id, id)),
        }
        Ok(())
    })?;
    for (first, last) in ranges {
        if txn.step_of(last)?.is_none() {
            let origin = Origin::Foreign;
            txn.put_step(&StepRow { id: 0, first, last, at: now, origin, undone: false })?;
        }
    }
    Ok(())
}
