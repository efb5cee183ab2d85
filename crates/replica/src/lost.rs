//! Commits record what lost: completed with what the replica knows, kept only where it is true.

use std::collections::BTreeSet;

use tandem_core::TaskId;
use tandem_tasks::session::Lost;
use tandem_tasks::{LocalOperation, OperationId, Task};

use crate::commit::Commit;
use crate::image::base_of;
use crate::storage::{ConflictRow, Result};

/// Edits of others that lost, recorded by one commit at most: they can hold more disagreements than
/// anybody reads when two lists are joined. What was made here and lost is recorded without limit.
const CONFLICTS_PER_COMMIT_MAX: usize = 1_000;

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
            let property = loser.property.as_deref();
            let shown = state.as_ref().or(base.as_ref());
            let base_value = property
                .and_then(|p| base.as_ref().and_then(|task| task.properties.get(p)).cloned());
            rows.push(ConflictRow {
                id: 0,
                at: self.now,
                task: loser.task,
                property: loser.property.clone(),
                base: base_value,
                kept: None,
                lost: loser.value.clone(),
                lost_here: loser.here,
                description: shown.and_then(|task| task.get("description")).unwrap_or("").into(),
                lost_task: if loser.property.is_none() { state } else { None },
                resolved: false,
            });
        }
        self.conflicts += rows.len();
        Ok(rows)
    }

    /// A task that was edited here while somebody deleted it there: no property collides, and yet
    /// a person would look for it in vain. What lost is that it was still to be done.
    pub(crate) fn edited_and_deleted(
        &mut self,
        id: TaskId,
        state: Option<&Task>,
        pending: &[(OperationId, LocalOperation)],
    ) -> Option<ConflictRow> {
        let state = state.filter(|task| task.status() == tandem_tasks::Status::Deleted)?;
        let properties = || {
            pending.iter().filter_map(|(_, operation)| match operation {
                LocalOperation::Update { property, .. } => Some(property.as_str()),
                _ => None,
            })
        };
        let is_edit = properties().any(|property| property != "modified")
            && properties().all(|property| property != "status");
        is_edit.then(|| ConflictRow {
            id: 0,
            at: self.now,
            task: id,
            property: Some("status".into()),
            base: Some("pending".into()),
            kept: None,
            lost: Some("pending".into()),
            lost_here: true,
            lost_task: None,
            description: state.get("description").unwrap_or("").into(),
            resolved: false,
        })
    }

    /// Stores the conflicts in which something was really lost.
    ///
    /// Where a whole task is gone, that says it all; where it was deleted and made again, each
    /// change that went with it is told.
    pub(crate) fn record_lost(&mut self, rows: Vec<ConflictRow>) -> Result<()> {
        let whole: BTreeSet<TaskId> =
            rows.iter().filter(|row| row.property.is_none()).map(|row| row.task).collect();
        for mut row in rows {
            let state = self.txn.task(row.task)?;
            if let Some(property) = &row.property {
                row.kept = state.as_ref().and_then(|task| task.properties.get(property)).cloned();
                let is_told = state.is_none() && row.lost_here && whole.contains(&row.task);
                if is_told || (state.is_some() && row.kept == row.lost) {
                    continue;
                }
            } else if state.is_some() {
                continue;
            }
            self.txn.put_conflict(&row)?;
        }
        Ok(())
    }
}
