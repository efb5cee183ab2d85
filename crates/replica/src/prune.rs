//! Forgetting old synchronised operations, step by step.

use tandem_core::Timestamp;

use crate::absorb::{Seen, absorb};
use crate::image::distrust_log_until;
use crate::replica::Replica;
use crate::resolve::forget_steps;
use crate::storage::Result;

/// Steps removed in one go: a sync spends milliseconds on this, not seconds.
const STEPS_PER_PRUNE_MAX: usize = 2_000;

const SECONDS_PER_DAY: i64 = 86_400;

/// What of the synchronised log is kept: the younger steps, and in any case the last ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Steps younger than this stay, in days.
    pub days: u32,
    /// This many of the newest steps stay, however old.
    pub commands: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { days: 90, commands: 1_000 }
    }
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Steps.
    pub steps: u64,
    /// Operations in them.
    pub operations: u64,
}

impl Replica {
    /// Removes old synchronised operations; pending ones are never touched.
    ///
    /// # Errors
    /// If the database cannot do it; nothing was removed then.
    pub fn prune(&mut self, keep: Keep, now: Timestamp) -> Result<Pruned> {
        let cutoff = now.plus_seconds(-i64::from(keep.days) * SECONDS_PER_DAY);
        let old = self.read(|txn| {
            let count = txn.step_count()?;
            let Some(removable) = count.checked_sub(keep.commands).filter(|n| *n > 0) else {
                return Ok(Vec::new());
            };
            let most = usize::try_from(removable).unwrap_or(usize::MAX).min(STEPS_PER_PRUNE_MAX);
            let mut oldest = txn.oldest_steps(most)?;
            oldest.retain(|step| step.at < cutoff);
            Ok(oldest)
        })?;
        let mut pruned = Pruned::default();
        if old.is_empty() {
            return Ok(pruned);
        }
        let mut txn = self.storage_mut().write()?;
        // What another program has written since we last looked is judged by the log as it is.
        absorb(txn.as_mut(), now)?;
        let mut forgotten = Vec::new();
        for step in old {
            let has_pending =
                txn.operations_between(step.first, step.last)?.iter().any(|row| !row.synced);
            if has_pending {
                continue;
            }
            pruned.operations += txn.remove_operations(step.first, step.last, true)?;
            txn.remove_step(step.id)?;
            distrust_log_until(txn.as_mut(), step.last)?;
            pruned.steps += 1;
            forgotten.push(step.id);
        }
        forget_steps(txn.as_mut(), &forgotten)?;
        Seen::remember(txn.as_mut())?;
        txn.commit()?;
        Ok(pruned)
    }
}
