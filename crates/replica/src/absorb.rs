//! Taking notice of what other programs did to the file since we last looked.
//!
//! The real `task`, its hooks and every program on the real crate may edit, undo and sync the same
//! replica. They know nothing of our tables, so each of our transactions begins by comparing where
//! the log stands with where we left it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::{LocalOperation, OperationId, Task, Text};

use crate::edit::{retiring, set_retiring};
use crate::guard;
use crate::image::{base_of, log_trusted_after, settle};
use crate::moving;
use crate::storage::{AppliedRow, Origin, PendingMark, Result, StepRow, StorageError, Txn};

const SEEN: &str = "seen";

/// Set where another program was at work while something of ours was in flight: what the server
/// has accepted may have been undone here.
pub(crate) const IN_FLIGHT_TOUCHED: &str = "in_flight_touched";
const CURRENT_REMOTE: &str = "remote";

/// Where the replica stood when one of our transactions ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) base: VersionId,
    /// The highest operation id ever given.
    pub(crate) logged: Option<OperationId>,
    pub(crate) first: Option<OperationId>,
    pub(crate) last: Option<OperationId>,
}

impl Seen {
    pub(crate) fn now(txn: &mut dyn Txn) -> Result<Self> {
        let PendingMark { first, last } = txn.pending_mark()?;
        Ok(Self { base: txn.base_version()?, logged: txn.last_operation_id()?, first, last })
    }

    pub(crate) fn stored(txn: &mut dyn Txn) -> Result<Option<Self>> {
        // One that cannot be read counts as never stored: everything is then looked at again.
        Ok(txn.meta(SEEN)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers where the replica stands, and says it. Every writing transaction of ours ends with
    /// it.
    pub(crate) fn remember(txn: &mut dyn Txn) -> Result<Self> {
        let seen = Self::now(txn)?;
        let text = serde_json::to_string(&seen).map_err(|source| StorageError::Other {
            file: "memory".into(),
            doing: "writing where the replica stands",
            source: Box::new(source),
        })?;
        txn.set_meta(SEEN, Some(&text))?;
        Ok(seen)
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

/// What [`absorb`] found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Absorbed {
    /// Where the replica stands now.
    pub(crate) seen: Seen,
    /// Another program had changed something.
    pub(crate) had_moved: bool,
}

/// Brings our tables up to what other programs did. Costs two look-ups when nobody did anything.
pub(crate) fn absorb(txn: &mut dyn Txn, now: Timestamp) -> Result<Absorbed> {
    let present = Seen::now(txn)?;
    let stored = Seen::stored(txn)?;
    if stored == Some(present) {
        return Ok(Absorbed { seen: present, had_moved: false });
    }
    if let Some(seen) = stored
        && let (Some(first), Some(last)) = (seen.first, seen.last)
        && txn.operations_between(last, last)?.is_empty()
    {
        // The last one that waited is gone: a foreign undo, whatever else came after it.
        let is_synced_since = seen.base != present.base;
        mend_log(txn, is_synced_since.then_some(first))?;
    }
    match stored {
        Some(seen) if seen.base == present.base => {
            // A foreign undo removed pending operations: what had an image is settled from it.
            for (id, image) in txn.base_images()? {
                let pending = txn.pending_of(id)?;
                let state = settle(txn, id, image, &pending)?;
                number(txn, id, state.as_ref())?;
            }
            settle_new(txn, seen.logged)?;
            if txn.in_flight()?.is_some() {
                txn.set_meta(IN_FLIGHT_TOUCHED, Some("1"))?;
            }
        }
        _ => {
            // First sight of this file, or a foreign sync: images are made afresh from the state.
            txn.clear_base_images()?;
            settle_new(txn, None)?;
            moving::forget(txn)?;
            adopt_base(txn, present.base)?;
        }
    }
    record_foreign_steps(txn, stored.and_then(|seen| seen.logged), now)?;
    guard::tend(txn)?;
    Ok(Absorbed { seen: Seen::remember(txn)?, had_moved: true })
}

/// Makes the log's last word agree with the base images of tasks that had something pending.
///
/// What was pulled under a pending operation was not logged while that stood over it. Once the
/// operation has been undone, the log would end with an older value, and a base that is derived
/// later would go back to it. Where another program has synced since, the log may hold from `first`
/// on, the first operation that waited, what is younger than the images.
fn mend_log(txn: &mut dyn Txn, first: Option<OperationId>) -> Result<()> {
    let trusted = log_trusted_after(txn)?;
    for (uuid, image) in txn.base_images()? {
        let Some(image) = image else { continue };
        let mut last: BTreeMap<Text, (OperationId, Option<Text>)> = BTreeMap::new();
        let rows = txn.operations_of(uuid)?;
        let waiting: Vec<_> =
            rows.iter().filter(|row| !row.synced).map(|row| row.operation.clone()).collect();
        let is_waiting = |property: &Text| {
            waiting.iter().any(|operation| match operation {
                LocalOperation::Update { property: p, .. } => p == property,
                _ => true,
            })
        };
        for row in rows {
            match row.operation {
                _ if !row.synced || trusted.is_some_and(|last| row.id <= last) => {}
                LocalOperation::Update { property, value, .. } => {
                    last.insert(property, (row.id, value));
                }
                // Beyond a deletion the log tells nothing.
                _ => last.clear(),
            }
        }
        let timestamp = Timestamp::from_seconds(image.seconds("modified").unwrap_or(0));
        for (property, (id, old_value)) in last {
            let value = image.properties.get(&property).cloned();
            let is_older = first.is_none_or(|first| id < first);
            if is_older && value != old_value && !is_waiting(&property) {
                let update = LocalOperation::Update { uuid, property, old_value, value, timestamp };
                txn.append(&update, true)?;
            }
        }
    }
    Ok(())
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
        let state = settle(txn, id, base, &pending)?;
        number(txn, id, state.as_ref())?;
    }
    Ok(())
}

/// Keeps the working set right where settling corrected what another program had left. A task that
/// ended keeps its number until the next sync or `gc`, as ours do.
fn number(txn: &mut dyn Txn, id: TaskId, state: Option<&Task>) -> Result<()> {
    match state {
        Some(task) if task.status().is_numbered() => txn.give_number(id).map(drop),
        Some(_) if txn.number_of(id)?.is_some() => {
            let mut tasks = retiring(txn)?;
            if !tasks.contains(&id) {
                tasks.push(id);
                set_retiring(txn, &tasks)?;
            }
            Ok(())
        }
        Some(_) => Ok(()),
        None => txn.take_number(id),
    }
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
    let mark = log_mark(txn)?;
    let parent = VersionId::NIL;
    let row = AppliedRow { version: base, parent, remote, hole: true, mark, sent: None };
    txn.put_applied(&row)
}

/// The place before which everything logged was said at or before the base: that of the first
/// pending operation, else the next one.
pub(crate) fn log_mark(txn: &mut dyn Txn) -> Result<OperationId> {
    let next = txn.last_operation_id()?.map_or(1, |last| last.0.saturating_add(1));
    Ok(txn.pending_mark()?.first.unwrap_or(OperationId(next)))
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
