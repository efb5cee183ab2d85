//! The ways in which a replica comes to stand on another history than before, or on the same one
//! under another address: a remote never
//! met (everything becomes pending), a history that is gone (the server's present is taken), and a
//! directory whose chain went another way (orphaned versions become pending again).

use std::collections::{BTreeMap, BTreeSet};

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::reinitialise::{self, Branch, Fork, Logged, Ours, Plan, updates};
use tandem_tasks::session::{Consent, PulledVersion, Question};
use tandem_tasks::{LocalOperation, Operation, OperationId, Pending, Task, TaskSet, Text};

use crate::absorb::set_current_remote;
use crate::commit::{Answer, Commit, CommitError, ORPHANS};
use crate::guard;
use crate::image::{distrust_log, log_trusted_after};
use crate::moving;
use crate::replica::read_tail;
use crate::storage::{InFlightRow, LoggedOperation, Origin, Result, SYNC, StepRow, Txn};

/// The operations that lead from one state of a task to another, as of `now`.
pub(crate) fn towards(
    id: TaskId,
    from: Option<&Task>,
    to: Option<&Task>,
    now: Timestamp,
) -> Vec<Operation> {
    match (from, to) {
        (None, None) => Vec::new(),
        (Some(_), None) => vec![Operation::Delete { uuid: id }],
        (Some(from), Some(to)) => updates(id, from, to, now),
        (None, Some(to)) => std::iter::once(Operation::Create { uuid: id })
            .chain(updates(id, &Task::default(), to, now))
            .collect(),
    }
}

/// What the log last said, by task and property.
type LastWords = BTreeMap<(TaskId, Text), Logged>;

impl Commit<'_> {
    /// The base belongs to this remote as well: the same history under another address. What is in
    /// flight may have reached it under the old one.
    pub(crate) fn adopt(&mut self) -> Result<()> {
        let base = self.txn.base_version()?;
        let in_flight = self.txn.in_flight()?;
        self.stand_on(base)?;
        if let Some(in_flight) = in_flight {
            let remote = self.remote()?;
            self.txn.set_in_flight(Some(&InFlightRow { remote, ..in_flight }))?;
        }
        Ok(())
    }

    /// The whole state becomes pending over an empty base; `again` if the place knew this list.
    pub(crate) fn restart(&mut self, again: bool) -> Result<()> {
        moving::set_out(self.txn, again)?;
        let mut tasks = Vec::new();
        self.txn.each_task(&mut |id, _| {
            tasks.push(id);
            Ok(())
        })?;
        let mut first = None;
        let mut last = OperationId(0);
        let mut rows = Vec::new();
        let complete_after = complete_after(self.txn)?;
        for id in tasks {
            let Some(task) = self.txn.task(id)? else { continue };
            rows.extend(as_creation(self.txn, id, &task, complete_after)?);
        }
        self.close_pending()?;
        self.txn.clear_base_images()?;
        for operation in rows {
            if first.is_none() {
                first = Some(self.txn.append(&LocalOperation::UndoPoint, false)?);
            }
            last = self.txn.append(&operation, false)?;
        }
        if let Some(first) = first {
            let origin = Origin::Command(SYNC.into());
            let at = self.now;
            self.txn.put_step(&StepRow { id: 0, first, last, at, origin, undone: false })?;
            guard::place(self.txn)?;
        }
        self.txn.set_base_version(VersionId::NIL)?;
        self.txn.set_in_flight(None)?;
        self.txn.set_meta(ORPHANS, None)?;
        let id = match &self.target.key {
            Some(_) => self.remote()?,
            None => 0,
        };
        set_current_remote(self.txn, id)?;
        // Its versions come once more, from the first or from a snapshot.
        for row in self.txn.all_applied()?.iter().filter(|row| row.remote == id) {
            self.txn.remove_applied(row.version)?;
        }
        if let Some(mut row) = self.txn.remote(id)? {
            row.joining = true;
            self.txn.put_remote(&row)?;
        }
        Ok(())
    }

    /// What was pending is superseded: it stays in the log as history.
    fn close_pending(&mut self) -> Result<()> {
        let mark = self.txn.pending_mark()?;
        match mark.last {
            Some(last) => self.txn.mark_synced(OperationId(0), last),
            None => Ok(()),
        }
    }

    /// Takes the server's present, keeps what is ours (`tandem_tasks::reinitialise`).
    pub(crate) fn reinitialise(
        &mut self,
        end: VersionId,
        theirs: &TaskSet,
        walked: &[(VersionId, VersionId)],
        branch: Option<&Branch>,
        consent: Consent,
    ) -> std::result::Result<Answer, CommitError> {
        let (state, plan) = planned(self.txn, end, theirs, branch, consent)?;
        let plan = match plan {
            Ok(plan) => plan,
            Err(question) => return Ok(Answer::Asked(question)),
        };
        let losers = self.before_losing(&plan.lost)?;
        self.close_pending()?;
        self.txn.clear_base_images()?;
        for id in state.keys().filter(|id| !theirs.contains_key(*id)) {
            self.txn.put_task(*id, None)?;
        }
        for (id, task) in theirs {
            if state.get(id) != Some(task) {
                self.txn.put_task(*id, Some(task))?;
            }
        }
        let touched: BTreeSet<TaskId> = state.keys().chain(theirs.keys()).copied().collect();
        distrust_log(self.txn)?;
        self.stand_on(end)?;
        let Plan { pending, kept, .. } = plan;
        if !pending.is_empty() {
            self.append_pending(SYNC, pending)?;
            guard::place(self.txn)?;
        }
        for id in touched {
            let task = self.txn.task(id)?;
            self.renumber(id, task.as_ref())?;
        }
        for (version, parent) in walked {
            self.applied(*version, *parent, false)?;
        }
        if walked.last().is_none_or(|(version, _)| *version != end) {
            self.applied(end, VersionId::NIL, true)?;
        }
        if !kept.is_empty() {
            let text = serde_json::to_string(&kept).unwrap_or_default();
            self.txn.set_meta(crate::replica::KEPT, Some(&text))?;
        }
        self.record_lost(losers)?;
        Ok(Answer::Moved)
    }

    /// The base goes back to the fork; what the orphaned versions did is pending again, before what
    /// was pending already.
    pub(crate) fn unorphan(
        &mut self,
        fork: VersionId,
        orphans: &[PulledVersion],
        tasks_at_fork: &TaskSet,
    ) -> Result<()> {
        let later = read_tail(self.txn)?.pending;
        let mut images = all_images(self.txn, &later)?;
        let orphaned = orphans.iter().flat_map(|version| version.operations.iter());
        for operation in orphaned.clone() {
            let id = operation.task();
            images.insert(id, tasks_at_fork.get(&id).cloned());
        }
        self.close_pending()?;
        self.txn.clear_base_images()?;
        for (id, image) in &images {
            self.txn.put_task(*id, image.as_ref())?;
        }
        let operations: Vec<Operation> =
            orphaned.chain(later.iter().map(|item| &item.operation)).cloned().collect();
        self.stand_on(fork)?;
        self.append_pending(SYNC, operations)?;
        guard::place(self.txn)?;
        for version in orphans {
            self.txn.remove_applied(version.version)?;
        }
        let names: Vec<VersionId> = orphans.iter().map(|version| version.version).collect();
        let text = serde_json::to_string(&names).unwrap_or_default();
        self.txn.set_meta(ORPHANS, Some(&text))
    }
}

/// What a re-initialisation would do with the tasks as they stand here, or what a person would be
/// asked before it; only reads.
pub(crate) fn planned(
    txn: &mut dyn Txn,
    end: VersionId,
    theirs: &TaskSet,
    branch: Option<&Branch>,
    consent: Consent,
) -> Result<(TaskSet, std::result::Result<Plan, Question>)> {
    let mut state = TaskSet::new();
    txn.each_task(&mut |id, task| {
        state.insert(id, task);
        Ok(())
    })?;
    let tail = read_tail(txn)?;
    let base_images = all_images(txn, &tail.pending)?;
    let fork = branch.map(|branch| branch.fork);
    let mark = match fork {
        Some(fork) => txn.applied(fork)?.map(|row| row.mark),
        None => None,
    };
    let mark = mark.unwrap_or(OperationId(0));
    let (logged, purged) = logged_since(txn, mark, &state, theirs)?;
    // A first load logs nothing, and leaves the marks of all its versions at one place.
    let is_log_complete =
        log_trusted_after(txn)?.is_none_or(|last| last.0.saturating_add(1) < mark.0);
    let ours = Ours {
        state: &state,
        base_images: &base_images,
        pending: &tail.pending,
        had_passed_end: txn.applied(end)?.is_some(),
        fork: branch.map(|branch| Fork { branch, purged: &purged, is_log_complete }),
        logged: &logged,
    };
    let plan = reinitialise::plan(&ours, theirs, end, consent);
    Ok((state, plan))
}

/// What the log last said of the properties of tasks that differ, pending operations left out,
/// and whether it may have said so from `mark` on; and which of their tasks it says were purged
/// from there on.
fn logged_since(
    txn: &mut dyn Txn,
    mark: OperationId,
    state: &TaskSet,
    theirs: &TaskSet,
) -> Result<(LastWords, BTreeSet<TaskId>)> {
    let mut logged = BTreeMap::new();
    for (id, _) in state.iter().filter(|(id, task)| theirs.get(id) != Some(task)) {
        for row in txn.operations_of(*id)?.into_iter().filter(|row| row.synced) {
            if let LocalOperation::Update { property, value, timestamp, .. } = row.operation {
                let is_after_fork = row.id >= mark;
                logged.insert((*id, property), Logged { value, timestamp, is_after_fork });
            }
        }
    }
    let mut purged = BTreeSet::new();
    for id in theirs.keys().filter(|id| !state.contains_key(*id)) {
        let last = txn.operations_of(*id)?.into_iter().rfind(|row| row.synced);
        let is_purged = last.is_some_and(|row| {
            row.id >= mark && matches!(row.operation, LocalOperation::Delete { .. })
        });
        if is_purged {
            purged.insert(*id);
        }
    }
    Ok((logged, purged))
}

/// Base images of all tasks with pending operations, those of created tasks included.
fn all_images(txn: &mut dyn Txn, pending: &[Pending]) -> Result<BTreeMap<TaskId, Option<Task>>> {
    let mut images: BTreeMap<TaskId, Option<Task>> = txn.base_images()?.into_iter().collect();
    for item in pending {
        images.entry(item.operation.task()).or_insert(None);
    }
    Ok(images)
}

/// The last operation before which tasks have changed without the log: by a snapshot, or by another
/// program's sync.
fn complete_after(txn: &mut dyn Txn) -> Result<OperationId> {
    let trusted = log_trusted_after(txn)?.unwrap_or(OperationId(0));
    let holes = txn.all_applied()?.into_iter().filter(|row| row.hole);
    let unlogged = holes.map(|row| OperationId(row.mark.0.saturating_sub(1))).max();
    Ok(unlogged.map_or(trusted, |last| last.max(trusted)))
}

/// The latest time at which a property that the log of its task does not name can have been set:
/// that of the stamp which the log's first change replaced, and before that change itself. None
/// where the task may have changed without the log.
///
/// With the present stamp, a value that nobody has touched for a year would beat last week's change
/// elsewhere, because of a note that was added here today.
fn untouched_since(rows: &[LoggedOperation], complete_after: OperationId) -> Option<Timestamp> {
    if rows.first()?.id <= complete_after {
        return None;
    }
    let mut first = None;
    for row in rows {
        let LocalOperation::Update { property, old_value, timestamp, .. } = &row.operation else {
            continue;
        };
        let first = *first.get_or_insert(*timestamp);
        if property == "modified" {
            let stamp = old_value.as_ref().and_then(|seconds| seconds.parse().ok());
            return Some(stamp.map_or(first, |stamp| first.min(Timestamp::from_seconds(stamp))));
        }
    }
    first
}

/// What a task says, as one Create and one Update per property, each with its operation's time
/// where the log still knows it. Removals that the log knows of come too, so that a tag taken away
/// here does not come back from there. The log tells everything after `complete_after`.
fn as_creation(
    txn: &mut dyn Txn,
    id: TaskId,
    task: &Task,
    complete_after: OperationId,
) -> Result<Vec<LocalOperation>> {
    let rows = txn.operations_of(id)?;
    let modified = Timestamp::from_seconds(task.seconds("modified").unwrap_or(0));
    let untouched = untouched_since(&rows, complete_after).map_or(modified, |at| at.min(modified));
    let mut times = BTreeMap::new();
    for row in rows {
        if let LocalOperation::Update { property, value, timestamp, .. } = row.operation {
            times.insert(property, (value, timestamp));
        }
    }
    let mut operations = vec![LocalOperation::Create { uuid: id }];
    for (property, value) in &task.properties {
        let timestamp = match times.remove(property) {
            Some((logged, timestamp)) if logged.as_ref() == Some(value) => timestamp,
            // It came after the log's last word, and nobody knows when.
            Some(_) => modified,
            None => untouched,
        };
        operations.push(LocalOperation::Update {
            uuid: id,
            property: property.clone(),
            old_value: None,
            value: Some(value.clone()),
            timestamp,
        });
    }
    for (property, (value, timestamp)) in times {
        if value.is_none() && !task.properties.contains_key(&property) {
            operations.push(LocalOperation::Update {
                uuid: id,
                property,
                old_value: None,
                value: None,
                timestamp,
            });
        }
    }
    Ok(operations)
}
