//! Carrying out what a session wants committed: one transaction each.

use std::collections::BTreeMap;

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::operation::Operation;
use tandem_tasks::session::{Batch, Change, Question, Tail};
use tandem_tasks::{LocalOperation, OperationId, Task};

use crate::absorb::{Absorbed, Seen, absorb, current_remote, log_mark, set_current_remote};
use crate::image::{base_of, settle};
use crate::replica::{Replica, read_tail};
use crate::restart::planned;
use crate::storage::{AppliedRow, Origin, Result, StepRow, StorageError, Txn};

/// Why a batch could not be committed. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The database could not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The snapshot does not open to tasks.
    #[error("the snapshot of version {version} cannot be read: {what}")]
    Snapshot {
        /// Its version.
        version: VersionId,
        /// What is wrong.
        what: String,
    },
    /// A version that this replica has applied before comes again as a new one.
    #[error("version {version} comes a second time")]
    Repeated {
        /// The version.
        version: VersionId,
    },
}

/// What became of a batch.
#[derive(Debug)]
pub enum Committed {
    /// It is durable, and these are the pending operations' marks now.
    Done {
        /// The lowest id among pending operations, undo points included.
        first: Option<OperationId>,
        /// The highest one.
        last: Option<OperationId>,
        /// Tasks in the snapshot that was loaded; none if none was.
        loaded: Option<u64>,
    },
    /// The replica stands like this; what of the batch was done shows in the base.
    Moved(Tail),
    /// A person has to decide; nothing was done.
    Asked(Question),
}

/// The remote that a batch belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What identifies it; none for a directory that has no version yet.
    pub key: Option<String>,
    /// What a person calls it.
    pub label: String,
}

impl Replica {
    /// Carries out one batch of a session with `target`, in one transaction.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was changed then.
    pub fn commit(
        &mut self,
        target: &Target,
        batch: Batch,
        now: Timestamp,
    ) -> std::result::Result<Committed, CommitError> {
        let mut txn = self.storage_mut().write()?;
        let Absorbed { seen: present, had_moved } = absorb(txn.as_mut(), now)?;
        let as_believed = present.base == batch.base
            && present.last == batch.last
            && present.first == batch.first;
        let needs_all =
            !matches!(batch.change, Change::Push { accepted: Some(_), .. } | Change::Note { .. });
        // What is pending and where the base was does not matter when all of it begins anew.
        let is_restart = matches!(batch.change, Change::Restart { .. });
        if !is_restart && (present.base != batch.base || (needs_all && !as_believed)) {
            let tail = read_tail(txn.as_mut())?;
            if had_moved {
                txn.commit()?;
            }
            return Ok(Committed::Moved(tail));
        }
        let mut commit = Commit { txn: txn.as_mut(), target, now, conflicts: 0, loaded: None };
        let answer = commit.carry_out(batch, as_believed)?;
        let loaded = commit.loaded;
        if let Answer::Asked(question) = answer {
            return Ok(Committed::Asked(question));
        }
        let seen = Seen::remember(txn.as_mut())?;
        let committed = match answer {
            Answer::Moved => Committed::Moved(read_tail(txn.as_mut())?),
            // Done, but the session knows less than there is: with a mark to go on with it would
            // believe that it had seen everything.
            _ if !as_believed => Committed::Moved(read_tail(txn.as_mut())?),
            _ => Committed::Done { first: seen.first, last: seen.last, loaded },
        };
        txn.commit()?;
        Ok(committed)
    }

    /// What a person would be asked if `batch` were committed as the replica stands now; none if it
    /// would be done. Only reads: waits for no writer, and serves who may not write.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn rehearse(&mut self, batch: &Batch) -> Result<Option<Question>> {
        // Nothing else ever asks.
        let Change::Reinitialise { end, theirs, branch, consent, .. } = &batch.change else {
            return Ok(None);
        };
        self.read(|txn| {
            let (_, plan) = planned(txn, *end, theirs, branch.as_ref(), *consent)?;
            Ok(plan.err())
        })
    }
}

pub(crate) enum Answer {
    Done,
    Moved,
    Asked(Question),
}

/// One batch being carried out.
pub(crate) struct Commit<'a> {
    pub(crate) txn: &'a mut dyn Txn,
    pub(crate) target: &'a Target,
    pub(crate) now: Timestamp,
    pub(crate) conflicts: usize,
    /// Tasks in the snapshot that was loaded.
    pub(crate) loaded: Option<u64>,
}

pub(crate) type Outcome<T> = std::result::Result<T, CommitError>;

impl Commit<'_> {
    fn carry_out(&mut self, batch: Batch, as_believed: bool) -> Outcome<Answer> {
        let (last, change) = (batch.last, batch.change);
        match change {
            Change::Pull { versions, dropped, lost, kind } => {
                self.pull(&versions, &dropped, &lost, kind)?;
            }
            Change::LoadSnapshot { version, body, dropped, lost } => {
                self.load_snapshot(version, &body, &dropped, &lost)?;
            }
            Change::Push { accepted, next, owes_snapshot } => {
                if let Some(accepted) = accepted
                    && let Answer::Moved = self.accept(&accepted, last, as_believed)?
                {
                    return Ok(Answer::Moved);
                }
                if let Some(next) = next
                    && as_believed
                {
                    self.prepare(next, owes_snapshot)?;
                }
            }
            Change::Note { needs_new_history, snapshot_done, orphans_removed } => {
                let id = self.remote()?;
                if let Some(mut row) = self.txn.remote(id)? {
                    row.needs_new_history |= needs_new_history;
                    row.answered = true;
                    if snapshot_done {
                        row.wanted_snapshot = None;
                    }
                    self.txn.put_remote(&row)?;
                }
                if orphans_removed {
                    self.txn.set_meta(ORPHANS, None)?;
                }
            }
            Change::Adopt => self.adopt()?,
            Change::Restart { again } => {
                self.restart(again)?;
                return Ok(Answer::Moved);
            }
            Change::Reinitialise { end, theirs, walked, branch, consent } => {
                return self.reinitialise(end, &theirs, &walked, branch.as_ref(), consent);
            }
            Change::Unorphan { fork, orphans, tasks_at_fork } => {
                self.unorphan(fork, &orphans, &tasks_at_fork)?;
                return Ok(Answer::Moved);
            }
        }
        Ok(Answer::Done)
    }

    /// The row of the remote, made when it is met for the first time.
    pub(crate) fn remote(&mut self) -> Result<i64> {
        let Some(key) = &self.target.key else {
            // A directory without a version: it gets its identity with the first one.
            return Ok(current_remote(self.txn)?.unwrap_or(0));
        };
        let id = match self.txn.remote_by_key(key)? {
            Some(row) => row.id,
            None => self.txn.put_remote(&crate::replica::new_remote(key, &self.target.label))?,
        };
        Ok(id)
    }

    /// Moves the base to `version` of this remote.
    pub(crate) fn stand_on(&mut self, version: VersionId) -> Result<()> {
        self.txn.set_base_version(version)?;
        self.txn.set_in_flight(None)?;
        let mut id = self.remote()?;
        if id == 0 {
            // The first version of a directory names it.
            let key = format!("dir {version}");
            id = self.txn.put_remote(&crate::replica::new_remote(&key, &self.target.label))?;
        }
        set_current_remote(self.txn, id)?;
        if let Some(mut row) = self.txn.remote(id)? {
            row.last_base = version;
            row.answered = true;
            row.needs_new_history = false;
            // Back before the first version, the whole list is pending once more: no stranger.
            row.joining = version.is_nil();
            row.label.clone_from(&self.target.label);
            self.txn.put_remote(&row)?;
        }
        Ok(())
    }

    pub(crate) fn applied(
        &mut self,
        version: VersionId,
        parent: VersionId,
        hole: bool,
    ) -> Result<()> {
        let mark = log_mark(self.txn)?;
        self.applied_with(version, parent, hole, (mark, None))
    }

    pub(crate) fn applied_with(
        &mut self,
        version: VersionId,
        parent: VersionId,
        hole: bool,
        (mark, sent): (OperationId, Option<Timestamp>),
    ) -> Result<()> {
        let remote = current_remote(self.txn)?.unwrap_or(0);
        // One that is met again says no more of the log than it did.
        let known = self.txn.applied(version)?;
        let mark = known.map_or(mark, |known| known.mark.min(mark));
        let sent = sent.or(known.and_then(|known| known.sent));
        self.txn.put_applied(&AppliedRow { version, parent, remote, hole, mark, sent })
    }

    /// Keeps the working set by touched tasks.
    pub(crate) fn renumber(&mut self, id: TaskId, state: Option<&Task>) -> Result<()> {
        if state.is_some_and(|task| task.status().is_numbered()) {
            self.txn.give_number(id).map(|_| ())
        } else {
            self.txn.take_number(id)
        }
    }

    /// Appends operations as one pending command and applies them.
    pub(crate) fn append_pending(
        &mut self,
        command: &str,
        operations: Vec<Operation>,
    ) -> Result<()> {
        if operations.is_empty() {
            return Ok(());
        }
        let first = self.txn.append(&LocalOperation::UndoPoint, false)?;
        let mut last = first;
        let mut by_task: BTreeMap<TaskId, Vec<Operation>> = BTreeMap::new();
        for operation in operations {
            by_task.entry(operation.task()).or_default().push(operation);
        }
        for (id, operations) in by_task {
            let mut pending = self.txn.pending_of(id)?;
            let base = base_of(self.txn, id, &pending)?;
            let mut state = self.txn.task(id)?;
            for operation in operations {
                let local = operation.clone().into_local(state.as_ref());
                operation.apply(&mut state);
                last = self.txn.append(&local, false)?;
                pending.push((last, local));
            }
            let state = settle(self.txn, id, base, &pending)?;
            self.renumber(id, state.as_ref())?;
        }
        let origin = Origin::Command(command.into());
        self.txn.put_step(&StepRow { id: 0, first, last, at: self.now, origin, undone: false })?;
        Ok(())
    }
}

pub(crate) const ORPHANS: &str = "orphans";
