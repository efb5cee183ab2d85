//! Commits record what lost: completed with what the replica knows, kept only where it is true.

use std::collections::BTreeMap;

use tandem_core::TaskId;
use tandem_tasks::session::Lost;
use tandem_tasks::{LocalOperation, Task, Text};

use crate::commit::Commit;
use crate::image::base_of;
use crate::storage::{ConflictKind, ConflictRow, Result};

/// Edits of others that lost, recorded by one commit at most: they can hold more disagreements than
/// anybody reads when two lists are joined. What was made here and lost is recorded without limit.
pub(crate) const CONFLICTS_PER_COMMIT_MAX: usize = 1_000;

/// Values by property, as [`ConflictRow::edits`] reads them.
type Values = BTreeMap<Text, Option<Text>>;

impl Commit<'_> {
    /// Completes what the session saw with what the replica knows before the change.
    pub(crate) fn before_losing(&mut self, lost: &[Lost]) -> Result<Vec<ConflictRow>> {
        let mut rows = Vec::new();
        let room = CONFLICTS_PER_COMMIT_MAX.saturating_sub(self.conflicts);
        let others = lost.iter().filter(|loser| !loser.here).take(room);
        for loser in lost.iter().filter(|loser| loser.here).chain(others) {
            let pending = self.txn.pending_of(loser.task)?;
            let base = base_of(self.txn, loser.task, &pending)?;
            let state = self.txn.task(loser.task)?;
            rows.push(self.row(loser, base.as_ref(), state.as_ref()));
        }
        self.conflicts += rows.len();
        Ok(rows)
    }

    /// What lost where a whole list waits anew and a history that it may have passed is gone through
    /// once more: the values that this very list has replaced since are none.
    pub(crate) fn lost_anew(&mut self, lost: &[Lost]) -> Result<Vec<Lost>> {
        let mut left = Vec::with_capacity(lost.len());
        for loser in lost {
            if loser.here || !self.has_replaced(loser)? {
                left.push(loser.clone());
            }
        }
        Ok(left)
    }

    /// True if our log holds the change that lost, or shows that its value made way here at that time
    /// or later.
    pub(crate) fn has_replaced(&mut self, loser: &Lost) -> Result<bool> {
        let (Some(property), Some(at)) = (&loser.property, loser.at) else { return Ok(false) };
        let rows = self.txn.operations_of(loser.task)?;
        Ok(rows.iter().filter(|row| row.synced).any(|row| match &row.operation {
            LocalOperation::Update { property: p, old_value, value, timestamp, .. } => {
                let is_it = *value == loser.value && *timestamp == at;
                // An absent old value says little: a list that waits anew has no others.
                let made_way = loser.value.is_some()
                    && *old_value == loser.value
                    && *value != loser.value
                    && *timestamp >= at;
                p == property && (is_it || made_way)
            }
            _ => false,
        }))
    }

    /// What lost, with the task at the common base and as it is here.
    pub(crate) fn row(
        &self,
        loser: &Lost,
        base: Option<&Task>,
        state: Option<&Task>,
    ) -> ConflictRow {
        let base_value = |property: &Text| base.and_then(|task| task.properties.get(property));
        let description = state.or(base).and_then(|task| task.get("description"));
        ConflictRow {
            id: 0,
            at: self.now,
            task: loser.task,
            property: loser.property.clone(),
            base: loser.property.as_ref().and_then(base_value).cloned(),
            kept: None,
            lost: loser.value.clone(),
            lost_here: loser.here,
            description: description.unwrap_or("").into(),
            lost_task: if loser.property.is_none() { state.cloned() } else { None },
            resolved: false,
        }
    }

    /// Stores the conflicts in which something was really lost.
    ///
    /// Where a whole task is gone, one row says it all, with the changes that went with it; where it
    /// was deleted and made again, each change is told.
    pub(crate) fn record_lost(&mut self, rows: Vec<ConflictRow>) -> Result<()> {
        let (whole, changes): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.property.is_none());
        let mut gone: BTreeMap<TaskId, ConflictRow> = BTreeMap::new();
        for row in whole {
            if self.txn.task(row.task)?.is_none() {
                gone.insert(row.task, row);
            }
        }
        let mut edits: BTreeMap<TaskId, [Values; 2]> = BTreeMap::new();
        // Read at the first use: most commits have none.
        let mut open = None;
        for mut row in changes {
            let Some(property) = &row.property else { continue };
            let state = self.txn.task(row.task)?;
            if row.lost_here && gone.contains_key(&row.task) {
                let [before, lost] = edits.entry(row.task).or_default();
                before.insert(property.clone(), row.base);
                lost.insert(property.clone(), row.lost);
                continue;
            }
            row.kept = state.as_ref().and_then(|task| task.properties.get(property)).cloned();
            if state.is_some() && row.kept == row.lost {
                continue;
            }
            if row.kind() == ConflictKind::Deleted {
                let open = match &mut open {
                    Some(open) => open,
                    None => open.insert(self.open_deletions()?),
                };
                // An older one gives its place to the newer: one row for each, and what is new is told.
                row.id = open.get(&(row.task, row.lost_here)).copied().unwrap_or(0);
                let id = self.txn.put_conflict(&row)?;
                open.insert((row.task, row.lost_here), id);
                continue;
            }
            self.txn.put_conflict(&row)?;
        }
        for (id, mut row) in gone {
            if let Some([before, lost]) = edits.remove(&id) {
                (row.base, row.lost) = (as_json(&before), as_json(&lost));
            }
            self.txn.put_conflict(&row)?;
        }
        Ok(())
    }

    /// The open rows about tasks that were deleted on one side and changed on the other, by task and by
    /// whose change it was.
    fn open_deletions(&mut self) -> Result<BTreeMap<(TaskId, bool), i64>> {
        let mut open = BTreeMap::new();
        for row in self.txn.conflicts(false)? {
            if row.kind() == ConflictKind::Deleted {
                open.insert((row.task, row.lost_here), row.id);
            }
        }
        Ok(open)
    }
}

/// None cannot be: texts by text are JSON. If it were, the row would say less.
fn as_json(values: &Values) -> Option<Text> {
    serde_json::to_string(values).ok().map(Text::from)
}

#[cfg(test)]
mod tests;
