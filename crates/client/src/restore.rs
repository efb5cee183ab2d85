//! Giving an edit that lost its effect again, as a new change.

use tandem_core::Timestamp;
use tandem_replica::{EditError, Replica, StorageError};
use tandem_tasks::model::is_numbered_status;

/// What a restoration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// There is no such conflict.
    Unknown,
    /// The value that lost is set again.
    Done,
    /// It is so already; the conflict is put aside.
    AlreadySo,
    /// The task is gone, and one property makes no task: nothing was done.
    TaskGone,
}

/// Sets the value that lost in conflict `id` again; a task that a deletion took is created again as
/// it was here, and one that is open again has no `end` any more. The conflict counts as resolved
/// then, until the restoration is undone.
///
/// # Errors
/// [`EditError`]; nothing was changed then.
pub fn restore_conflict(
    replica: &mut Replica,
    id: i64,
    now: Timestamp,
) -> Result<Restored, EditError<StorageError>> {
    let Some(row) = replica.read(|txn| txn.conflict(id))? else { return Ok(Restored::Unknown) };
    if row.lost_task.is_none() && replica.task(row.task)?.is_none() {
        return Ok(Restored::TaskGone);
    }
    let edited = replica.edit("conflicts restore", now, |editor| {
        let before = editor.task(row.task)?;
        if let Some(task) = &row.lost_task {
            editor.create(row.task)?;
            let properties = task.properties.iter().filter(|(name, _)| *name != "modified");
            for (property, value) in properties {
                editor.set(row.task, property, Some(value))?;
            }
        } else if let Some(property) = &row.property {
            editor.set(row.task, property, row.lost.as_deref())?;
            if property == "status" && is_numbered_status(row.lost.as_deref()) {
                editor.set(row.task, "end", None)?;
            }
        }
        // It is a change as any other, so the task was changed now.
        if editor.task(row.task)? != before {
            editor.set(row.task, "modified", Some(&now.seconds().to_string()))?;
        }
        editor.resolve_conflict(id);
        Ok::<_, StorageError>(())
    })?;
    Ok(if edited.operations == 0 { Restored::AlreadySo } else { Restored::Done })
}
