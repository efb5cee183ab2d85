//! Two lists that are joined: tasks that only one of them has deleted.
//!
//! What waits then is the whole list, and no change. That a task is still open on one side says
//! nothing: most often it is there as both knew it, and was deleted in knowledge of all that it says.
//! Told is what the deletion cannot have known: work (`tandem_tasks::deletion`) on the open side that
//! the other one has never seen, neither in its task nor in what its log, or its history, holds.
//!
//! ```text
//!   deleted there    seen: what the history there has ever said
//!   deleted here     seen: what our log holds, or shows to have made way for something later
//! ```

use std::collections::BTreeSet;

use tandem_core::TaskId;
use tandem_tasks::deletion::is_work;
use tandem_tasks::model::is_numbered_status;
use tandem_tasks::session::Lost;
use tandem_tasks::{LocalOperation, Operation, Status, Task, Text};

use crate::commit::Commit;
use crate::image::TaskPending;
use crate::lost::CONFLICTS_PER_COMMIT_MAX;
use crate::storage::{ConflictRow, Result};

/// A task that both lists hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined<'a> {
    pub(crate) id: TaskId,
    /// As it was here, and what of it waited.
    pub(crate) ours: &'a Task,
    pub(crate) waiting: &'a TaskPending,
    /// As it was there before what comes now, as far as that has been taken in.
    pub(crate) before: Option<&'a Task>,
    /// What comes, and the task as it is there after that.
    pub(crate) said: &'a [&'a Operation],
    pub(crate) theirs: &'a Task,
}

/// Tasks that are deleted now, of which one commit of a join has found so much.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    /// One side alone had deleted them.
    found: BTreeSet<TaskId>,
    told: Vec<ConflictRow>,
}

impl Deletions {
    /// Puts what was found in the place of what the transform made of two statuses.
    pub(crate) fn tell(self, losers: &mut Vec<ConflictRow>) {
        let Self { found, told } = self;
        let is_told = |id| told.iter().any(|row| row.task == id);
        // Open against deleted is told as found here; done against deleted is two values.
        losers.retain(|row| {
            row.property.as_deref() != Some("status")
                || !found.contains(&row.task)
                || !(is_numbered_status(row.lost.as_deref()) || is_told(row.task))
        });
        losers.extend(told);
    }
}

impl Commit<'_> {
    /// Looks at one task, of which `after` came.
    pub(crate) fn look_for_deletion(
        &mut self,
        deletions: &mut Deletions,
        joined: &Joined<'_>,
        after: &Task,
    ) -> Result<()> {
        let Joined { id, ours, theirs, .. } = *joined;
        if after.status() != Status::Deleted {
            return Ok(());
        }
        let (open, is_unseen) = match (ours.status(), theirs.status()) {
            (Status::Deleted, Status::Deleted) => return Ok(()),
            (_, Status::Deleted) => (ours, self.has_work_here(joined)?),
            (Status::Deleted, _) => (theirs, self.has_work_there(joined)?),
            _ => return Ok(()),
        };
        deletions.found.insert(id);
        let here = theirs.status() == Status::Deleted;
        if is_unseen && (here || self.conflicts < CONFLICTS_PER_COMMIT_MAX) {
            self.conflicts += 1;
            let status = Text::const_new("status");
            let value = open.properties.get(&status).cloned();
            let base = value.clone();
            let lost = Lost { task: id, property: Some(status), value, here, at: None };
            // It says what the task was before (decision 4).
            deletions.told.push(ConflictRow { base, ..self.row(&lost, None, Some(after)) });
        }
        Ok(())
    }

    /// True if something waits that the history there has never said, the deletion included.
    fn has_work_here(&mut self, joined: &Joined<'_>) -> Result<bool> {
        let Joined { ours, waiting, before, said, theirs, .. } = *joined;
        let is_said = |property: &Text, value: &Option<Text>| {
            let has = |task: &Task| task.properties.get(property) == value.as_ref();
            let says = |operation: &&Operation| match operation {
                Operation::Update { property: p, value: v, .. } => p == property && v == value,
                _ => false,
            };
            has(theirs) || (value.is_some() && before.is_some_and(has)) || said.iter().any(says)
        };
        let is_unseen = waiting.iter().any(|(_, operation)| match operation {
            LocalOperation::Update { property, value, .. } => {
                is_work(property)
                    && ours.properties.get(property) == value.as_ref()
                    && !is_said(property, value)
            }
            _ => false,
        });
        Ok(is_unseen || self.was_reopened_here(joined)?)
    }

    /// True if the task was ended and opened again here, and the history there has never said so. The
    /// log alone can tell.
    fn was_reopened_here(&mut self, joined: &Joined<'_>) -> Result<bool> {
        let Joined { id, ours, said, .. } = *joined;
        let status = |operation: &LocalOperation| match operation {
            LocalOperation::Update { property, value, old_value, timestamp, .. }
                if property == "status" =>
            {
                Some((value.clone(), old_value.clone(), *timestamp))
            }
            _ => None,
        };
        let rows = self.txn.operations_of(id)?;
        let mut words = rows.iter().filter(|row| row.synced).rev();
        let last = words.find_map(|row| status(&row.operation));
        let Some((value, Some(old_value), at)) = last else { return Ok(false) };
        let is_reopening = value.as_ref() == ours.properties.get("status")
            && !is_numbered_status(Some(&old_value))
            && is_numbered_status(value.as_deref());
        let says = |operation: &&Operation| match operation {
            Operation::Update { property, value: v, timestamp, .. } => {
                property == "status" && *v == value && *timestamp == at
            }
            _ => false,
        };
        Ok(is_reopening && !said.iter().any(says))
    }

    /// True if something comes, and stands there, that our log does not know.
    fn has_work_there(&mut self, joined: &Joined<'_>) -> Result<bool> {
        let Joined { id, ours, said, theirs, .. } = *joined;
        for operation in said {
            let Operation::Update { property, value, timestamp, .. } = operation else { continue };
            let stands = theirs.properties.get(property) == value.as_ref();
            if !stands || ours.properties.get(property) == value.as_ref() {
                continue;
            }
            // Every task was open once: where the log tells nothing of it, that is no news.
            let is_open = property == "status" && is_numbered_status(value.as_deref());
            if !(is_work(property) || (is_open && self.knows_status(id)?)) {
                continue;
            }
            let lost = Lost {
                task: id,
                property: Some(property.clone()),
                value: value.clone(),
                here: false,
                at: Some(*timestamp),
            };
            if !self.has_replaced(&lost)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if the log tells of the task's status.
    fn knows_status(&mut self, id: TaskId) -> Result<bool> {
        let rows = self.txn.operations_of(id)?;
        Ok(rows.iter().filter(|row| row.synced).any(|row| match &row.operation {
            LocalOperation::Update { property, .. } => property == "status",
            _ => false,
        }))
    }
}
