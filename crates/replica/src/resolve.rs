//! Conflicts that a person has seen to, and those that an undo has opened again.
//!
//! A conflict that was restored is settled by the step that set the value again, so it is open
//! again once that step is undone, by us or by another program. Which step that was is kept in our
//! own table of odds and ends, as pairs of conflict and step; pruning lets go of a pair together
//! with its step, and then the conflict is settled for good.

use tandem_tasks::LocalOperation;

use crate::replica::Replica;
use crate::storage::{ConflictRow, Result, StorageError, Txn};

const RESTORED: &str = "restored";

/// A conflict and the step that settled it.
type Pair = (i64, i64);

fn pairs(txn: &mut dyn Txn) -> Result<Vec<Pair>> {
    // Unreadable, it would say that nothing was restored: then what is settled stays settled.
    Ok(txn.meta(RESTORED)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn set_pairs(txn: &mut dyn Txn, pairs: &[Pair]) -> Result<()> {
    let text = serde_json::to_string(pairs).map_err(|source| StorageError::Other {
        file: "memory".into(),
        doing: "writing which conflicts were restored",
        source: Box::new(source),
    })?;
    txn.set_meta(RESTORED, (!pairs.is_empty()).then_some(text.as_str()))
}

/// Marks a conflict as settled, by a step if there was one. Returns false if there is no such
/// conflict.
pub(crate) fn settle(txn: &mut dyn Txn, id: i64, step: Option<i64>) -> Result<bool> {
    let Some(row) = txn.conflict(id)? else { return Ok(false) };
    let mut known = pairs(txn)?;
    let before = known.clone();
    known.retain(|(conflict, _)| *conflict != id);
    known.extend(step.map(|step| (id, step)));
    if known != before {
        set_pairs(txn, &known)?;
    }
    txn.put_conflict(&ConflictRow { resolved: true, ..row })?;
    Ok(true)
}

/// Lets go of steps that are forgotten: what they settled stays settled.
pub(crate) fn forget_steps(txn: &mut dyn Txn, steps: &[i64]) -> Result<()> {
    let mut known = pairs(txn)?;
    let before = known.len();
    known.retain(|(_, step)| !steps.contains(step));
    if known.len() != before { set_pairs(txn, &known) } else { Ok(()) }
}

/// The conflicts whose restoration was taken back. A step that is gone was removed by an undo,
/// since pruning takes its pair along.
fn reopened(txn: &mut dyn Txn) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for (conflict, step) in pairs(txn)? {
        let newest = txn.steps(step.checked_add(1), 1)?.pop().filter(|row| row.id == step);
        let is_done = match newest {
            Some(row) if !row.undone => {
                // Another program takes back the operations and knows nothing of our step.
                let rows = txn.operations_between(row.first, row.last)?;
                rows.iter().any(|row| row.operation != LocalOperation::UndoPoint)
            }
            _ => false,
        };
        if !is_done {
            found.push(conflict);
        }
    }
    Ok(found)
}

impl Replica {
    /// Conflicts, oldest first: all, or those that nobody has seen to.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn conflicts(&mut self, with_resolved: bool) -> Result<Vec<ConflictRow>> {
        self.read(|txn| {
            let reopened = reopened(txn)?;
            let mut rows = txn.conflicts(with_resolved)?;
            for id in reopened {
                match rows.binary_search_by_key(&id, |row| row.id) {
                    Ok(place) => rows[place].resolved = false,
                    Err(place) => {
                        let row = txn.conflict(id)?;
                        let open = row.map(|row| ConflictRow { resolved: false, ..row });
                        rows.splice(place..place, open);
                    }
                }
            }
            Ok(rows)
        })
    }

    /// One conflict.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn conflict(&mut self, id: i64) -> Result<Option<ConflictRow>> {
        self.read(|txn| {
            let is_open = reopened(txn)?.contains(&id);
            let row = txn.conflict(id)?;
            Ok(row.map(|row| ConflictRow { resolved: row.resolved && !is_open, ..row }))
        })
    }

    /// Marks a conflict as seen to by a person, for good. Returns false if there is no such
    /// conflict.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn resolve_conflict(&mut self, id: i64) -> Result<bool> {
        let mut txn = self.storage_mut().write()?;
        if !settle(txn.as_mut(), id, None)? {
            return Ok(false);
        }
        txn.commit()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use tandem_core::{TaskId, Timestamp};

    use super::*;
    use crate::{Keep, MemoryStorage, Undone};

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000_000 + seconds)
    }

    /// A replica with a task and a conflict about its `due`.
    fn with_conflict() -> (Replica, TaskId, i64) {
        let mut replica = Replica::new(MemoryStorage::new());
        let task = TaskId::from_random_bytes([7; 16]);
        let added = replica.edit("add", later(0), |editor| {
            editor.create(task)?;
            editor.set(task, "due", Some("5"))
        });
        added.unwrap();
        let mut txn = replica.storage_mut().write().unwrap();
        let row = ConflictRow {
            id: 0,
            at: later(0),
            task,
            property: Some("due".into()),
            base: None,
            kept: Some("5".into()),
            lost: Some("6".into()),
            lost_here: true,
            lost_task: None,
            description: "task".into(),
            resolved: false,
        };
        let id = txn.put_conflict(&row).unwrap();
        txn.commit().unwrap();
        (replica, task, id)
    }

    fn restore(replica: &mut Replica, task: TaskId, id: i64) {
        let restored = replica.edit("conflicts restore", later(1), |editor| {
            editor.set(task, "due", Some("6"))?;
            editor.resolve_conflict(id);
            Ok::<_, StorageError>(())
        });
        restored.unwrap();
    }

    fn open(replica: &mut Replica) -> Vec<i64> {
        replica.conflicts(false).unwrap().iter().map(|row| row.id).collect()
    }

    #[test]
    fn an_undone_restoration_opens_the_conflict_again() {
        let (mut replica, task, id) = with_conflict();
        for _ in 0..2 {
            assert_eq!(open(&mut replica), [id]);
            restore(&mut replica, task, id);
            assert_eq!(open(&mut replica), [0; 0]);
            assert!(replica.conflict(id).unwrap().unwrap().resolved);
            assert!(matches!(replica.undo(later(2)).unwrap(), Undone::Removed { .. }));
            assert!(!replica.conflict(id).unwrap().unwrap().resolved);
            assert!(!replica.conflicts(true).unwrap()[0].resolved);
        }
        // Put aside it stays put aside, whatever is undone.
        assert!(replica.resolve_conflict(id).unwrap());
        replica.undo(later(4)).unwrap();
        assert_eq!(open(&mut replica), [0; 0]);
    }

    #[test]
    fn so_does_one_that_is_undone_by_a_new_change() {
        let (mut replica, task, id) = with_conflict();
        restore(&mut replica, task, id);
        let mut txn = replica.storage_mut().write().unwrap();
        let mark = txn.pending_mark().unwrap();
        txn.mark_synced(mark.first.unwrap(), mark.last.unwrap()).unwrap();
        txn.commit().unwrap();
        assert!(matches!(replica.undo(later(2)).unwrap(), Undone::Compensated { .. }));
        assert_eq!(open(&mut replica), [id]);
    }

    #[test]
    fn what_a_forgotten_step_settled_stays_settled() {
        let (mut replica, task, id) = with_conflict();
        restore(&mut replica, task, id);
        let mut txn = replica.storage_mut().write().unwrap();
        let mark = txn.pending_mark().unwrap();
        txn.mark_synced(mark.first.unwrap(), mark.last.unwrap()).unwrap();
        txn.commit().unwrap();
        let pruned = replica.prune(Keep { days: 0, commands: 0 }, later(90_000)).unwrap();
        assert_eq!(pruned.steps, 2);
        assert_eq!(open(&mut replica), [0; 0]);
    }

    #[test]
    fn a_restoration_that_changes_nothing_settles_all_the_same() {
        let (mut replica, _, id) = with_conflict();
        let restored = replica.edit("conflicts restore", later(1), |editor| {
            editor.resolve_conflict(id);
            Ok::<_, StorageError>(())
        });
        assert_eq!(restored.unwrap().operations, 0);
        assert_eq!(open(&mut replica), [0; 0]);
    }
}
