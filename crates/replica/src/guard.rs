//! Guards: undo points that keep another program's undo away from what is no command.
//!
//! When the list goes to a remote never met, begins again from the server's present or comes back
//! from an orphaned branch, much becomes pending that nobody has just done. The real `task undo`
//! takes back "all pending operations since the last undo point", so right then it would take back
//! the whole list. A few undo points behind it make that undo find nothing to do, as it does after
//! any sync (`protocols/taskchampion.md` section 16, Undo).
//!
//! ```text
//!   undo point · the whole list · guards · undo point · a later command
//!                                  ▲ an undo of nothing ends here, one guard at a time
//! ```
//!
//! Another program's undo consumes one guard each time and says that there is nothing to undo; we
//! put them back whenever we notice. They go once what they guard is no longer pending.

use tandem_tasks::{LocalOperation, OperationId};

use crate::storage::{Result, Txn};

/// The place of the first guard.
const GUARD: &str = "guard";

/// How many undos in a row, without a look of ours between, find nothing to do.
const GUARDS: i64 = 8;

/// Puts guards behind everything that is pending now.
pub(crate) fn place(txn: &mut dyn Txn) -> Result<()> {
    let first = txn.append(&LocalOperation::UndoPoint, false)?;
    for _ in 1..GUARDS {
        txn.append(&LocalOperation::UndoPoint, false)?;
    }
    txn.set_meta(GUARD, Some(&first.0.to_string()))
}

/// True if the undo point at `id` is one of the guards, which stay although nothing follows them.
pub(crate) fn is_guard(txn: &mut dyn Txn, id: OperationId) -> Result<bool> {
    Ok(placed(txn)?.is_some_and(|(first, last)| (first..=last).contains(&id)))
}

/// Brings the guards up to what is pending: puts back those that an undo consumed, removes them
/// when nothing is left to guard. To be called when anything was taken from the pending list.
pub(crate) fn tend(txn: &mut dyn Txn) -> Result<()> {
    let Some((first, last)) = placed(txn)? else { return Ok(()) };
    let is_needed = txn.pending_mark()?.first.is_some_and(|pending| pending < first);
    let left = txn.operations_between(first, last)?;
    if is_needed && left.len() as i64 == GUARDS {
        return Ok(());
    }
    txn.remove_operations(first, last, false)?;
    if is_needed { place(txn) } else { txn.set_meta(GUARD, None) }
}

/// The places of the first and the last guard.
fn placed(txn: &mut dyn Txn) -> Result<Option<(OperationId, OperationId)>> {
    // One that cannot be read guards nothing; the next that is needed is placed anew.
    let first = txn.meta(GUARD)?.and_then(|text| text.parse::<i64>().ok());
    Ok(first.map(|first| (OperationId(first), OperationId(first.saturating_add(GUARDS - 1)))))
}
