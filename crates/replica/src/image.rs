//! Base images: a task as it is at the base version, and what pending operations make of it.

use tandem_core::TaskId;
use tandem_tasks::{LocalOperation, OperationId, Task};

use crate::storage::{Result, Txn};

/// The pending operations of one task, in order.
pub(crate) type TaskPending = Vec<(OperationId, LocalOperation)>;

/// The task as it is at the base version, given its pending operations.
///
/// A task whose first pending operation creates it needs no stored image: it was absent.
pub(crate) fn base_of(
    txn: &mut dyn Txn,
    id: TaskId,
    pending: &[(OperationId, LocalOperation)],
) -> Result<Option<Task>> {
    match pending.first() {
        None => txn.task(id),
        Some((_, first)) => match txn.base_image(id)? {
            Some(image) => Ok(image),
            None if matches!(first, LocalOperation::Create { .. }) => Ok(None),
            None => derive_base(txn, id, pending),
        },
    }
}

/// Derives a missing base image by undoing the pending operations.
///
/// Needed only after another program wrote to the file. Its old values may be stale (real programs
/// take them from memory and never check), so where the log still knows what the chain last said
/// of a property, that decides.
fn derive_base(
    txn: &mut dyn Txn,
    id: TaskId,
    pending: &[(OperationId, LocalOperation)],
) -> Result<Option<Task>> {
    let mut image = txn.task(id)?;
    for (_, operation) in pending.iter().rev() {
        operation.undo(&mut image);
    }
    let Some(task) = &mut image else { return Ok(None) };
    let trusted = log_trusted_after(txn)?;
    let mut logged = txn.operations_of(id)?;
    logged.retain(|row| row.synced && trusted.is_none_or(|last| row.id > last));
    for (_, operation) in pending {
        let LocalOperation::Update { property, .. } = operation else { continue };
        // Ours keep their place in the log while they wait, so beyond a deletion its order is not
        // that of the chain: nothing is known from there.
        let known = logged.iter().rev().find_map(|row| match &row.operation {
            LocalOperation::Update { property: p, value, .. } => {
                (p == property).then_some(Some(value.as_deref()))
            }
            LocalOperation::Delete { .. } => Some(None),
            _ => None,
        });
        if let Some(Some(value)) = known {
            task.set(property, value);
        }
    }
    Ok(image)
}

const LOG_TRUSTED_AFTER: &str = "log_from";

/// The last operation before which the log does not tell what the chain said: the tasks came from
/// a snapshot since, or from a first load that logged nothing.
pub(crate) fn log_trusted_after(txn: &mut dyn Txn) -> Result<Option<OperationId>> {
    Ok(txn.meta(LOG_TRUSTED_AFTER)?.and_then(|text| text.parse().ok()).map(OperationId))
}

/// Says that the tasks have just changed without the log.
pub(crate) fn distrust_log(txn: &mut dyn Txn) -> Result<()> {
    let last = txn.last_operation_id()?.unwrap_or(OperationId(0));
    distrust_log_until(txn, last)
}

/// Says that the log does not tell everything up to `last`: some of it is gone.
pub(crate) fn distrust_log_until(txn: &mut dyn Txn, last: OperationId) -> Result<()> {
    let last = log_trusted_after(txn)?.map_or(last, |known| known.max(last));
    txn.set_meta(LOG_TRUSTED_AFTER, Some(&last.0.to_string()))
}

/// Makes the stored task, its base image and the old values of its pending operations agree:
/// state = `base` + `pending`. Returns the state.
pub(crate) fn settle(
    txn: &mut dyn Txn,
    id: TaskId,
    base: Option<Task>,
    pending: &[(OperationId, LocalOperation)],
) -> Result<Option<Task>> {
    let mut state = base.clone();
    for (place, operation) in pending {
        correct_old_value(txn, *place, operation, state.as_ref())?;
        if let Some(operation) = operation.to_operation() {
            operation.apply(&mut state);
        }
    }
    txn.put_task(id, state.as_ref())?;
    keep_image(txn, id, base.as_ref(), pending)?;
    Ok(state)
}

/// Stores the base image of a task with pending operations, or removes a needless one.
pub(crate) fn keep_image(
    txn: &mut dyn Txn,
    id: TaskId,
    base: Option<&Task>,
    pending: &[(OperationId, LocalOperation)],
) -> Result<()> {
    let is_needed = match pending.first() {
        None => false,
        Some((_, LocalOperation::Create { .. })) => base.is_some(),
        Some(_) => true,
    };
    if is_needed {
        txn.put_base_image(id, base)
    } else if txn.base_image(id)?.is_some() {
        txn.remove_base_image(id)
    } else {
        Ok(())
    }
}

/// The real `task undo` trusts old values, so they follow the base when it moves.
fn correct_old_value(
    txn: &mut dyn Txn,
    place: OperationId,
    operation: &LocalOperation,
    before: Option<&Task>,
) -> Result<()> {
    let Some(plain) = operation.to_operation() else { return Ok(()) };
    let corrected = plain.into_local(before);
    if corrected == *operation {
        return Ok(());
    }
    txn.replace_operation(place, &corrected)
}
