//! Checking that what the tables say fits together.

use std::collections::{BTreeMap, BTreeSet};

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::{LocalOperation, TaskSet};

use crate::absorb::{Seen, absorb, has_moved};
use crate::image::{TaskPending, base_of, settle};
use crate::replica::Replica;
use crate::storage::Result;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The task is not what its base and its pending operations say.
    StateDiffers {
        /// The task.
        task: TaskId,
    },
    /// A base image is kept for a task without pending operations.
    NeedlessImage {
        /// The task.
        task: TaskId,
    },
    /// A numbered task is missing from the working set.
    NumberMissing {
        /// The task.
        task: TaskId,
    },
    /// Two numbers name one task.
    NumberTwice {
        /// The task.
        task: TaskId,
    },
}

impl Replica {
    /// Makes `theirs` the base of every task, keeps what is pending on top, and returns the tasks
    /// that were wrong. `theirs` must be the replay of the chain up to `version`; if our base is
    /// another one by now, nothing is done.
    ///
    /// # Errors
    /// If the database cannot do it; nothing was changed then.
    pub fn repair(
        &mut self,
        theirs: &TaskSet,
        version: VersionId,
        now: Timestamp,
    ) -> Result<Vec<TaskId>> {
        let ours = self.base_tasks()?;
        let mut txn = self.storage_mut().write()?;
        absorb(txn.as_mut(), now)?;
        if txn.base_version()? != version {
            return Ok(Vec::new());
        }
        let all: BTreeSet<TaskId> = ours.keys().chain(theirs.keys()).copied().collect();
        let mut repaired = Vec::new();
        for id in all {
            let pending = txn.pending_of(id)?;
            let mut expected = theirs.get(&id).cloned();
            for operation in pending.iter().filter_map(|(_, op)| LocalOperation::to_operation(op)) {
                operation.apply(&mut expected);
            }
            if ours.get(&id) == theirs.get(&id) && txn.task(id)? == expected {
                continue;
            }
            let state = settle(txn.as_mut(), id, theirs.get(&id).cloned(), &pending)?;
            match state.is_some_and(|task| task.status().is_numbered()) {
                true => txn.give_number(id).map(|_| ())?,
                false => txn.take_number(id)?,
            }
            repaired.push(id);
        }
        if !repaired.is_empty() {
            Seen::remember(txn.as_mut())?;
            txn.commit()?;
        }
        Ok(repaired)
    }

    /// Checks the invariants that can be seen in the file alone. Costs a pass over everything.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn check(&mut self) -> Result<Vec<Finding>> {
        self.read(|txn| {
            let mut findings = Vec::new();
            let is_foreign = has_moved(txn)?;
            let mut by_task: BTreeMap<TaskId, TaskPending> = BTreeMap::new();
            txn.each_pending(&mut |id, operation| {
                if let Some(task) = operation.task() {
                    by_task.entry(task).or_default().push((id, operation));
                }
                Ok(())
            })?;
            for (id, pending) in &by_task {
                let mut state = base_of(txn, *id, pending)?;
                for operation in
                    pending.iter().filter_map(|(_, op)| LocalOperation::to_operation(op))
                {
                    operation.apply(&mut state);
                }
                // What another program has just written is not ours to answer for.
                if !is_foreign && state != txn.task(*id)? {
                    findings.push(Finding::StateDiffers { task: *id });
                }
            }
            for (id, _) in txn.base_images()? {
                if !is_foreign && !by_task.contains_key(&id) {
                    findings.push(Finding::NeedlessImage { task: id });
                }
            }
            let mut numbers: BTreeMap<TaskId, u32> = BTreeMap::new();
            for (_, id) in txn.working_set()? {
                *numbers.entry(id).or_default() += 1;
            }
            findings.extend(
                numbers
                    .iter()
                    .filter(|(_, n)| **n > 1)
                    .map(|(id, _)| Finding::NumberTwice { task: *id }),
            );
            let mut missing = Vec::new();
            txn.each_task(&mut |id, task| {
                // Real programs give none to a task that does not say its status.
                let says_status = task.get("status").is_some();
                if says_status && task.status().is_numbered() && !numbers.contains_key(&id) {
                    missing.push(Finding::NumberMissing { task: id });
                }
                Ok(())
            })?;
            findings.extend(missing);
            Ok(findings)
        })
    }
}
