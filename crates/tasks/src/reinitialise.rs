//! What becomes of a replica whose history the server no longer has (410, "gone").
//!
//! The server's present was loaded beside ours. Three cases (`design` section 3, "Gone"):
//! (a) its end is a version that we had passed: the server went back, and a person decides;
//! (b) the history was trimmed: a three-way merge per property, nothing of ours is lost in silence;
//! (c) no task in common: a foreign history, and we stop.

use std::collections::{BTreeMap, BTreeSet};

use tandem_core::{TaskId, Timestamp};

use crate::deletion::deleted_and_changed;
use crate::model::{Status, Task, TaskSet, Text};
use crate::operation::Operation;
use crate::rebase::Pending;
use crate::session::{Consent, Lost, Question, is_worth_a_conflict};
use tandem_core::VersionId;

/// What we bring.
#[derive(Debug)]
pub struct Ours<'a> {
    /// All tasks as they are here, pending operations included.
    pub state: &'a TaskSet,
    /// Tasks as they were at our base, for those with pending operations (none: absent).
    pub base_images: &'a BTreeMap<TaskId, Option<Task>>,
    /// The pending operations, in order.
    pub pending: &'a [Pending],
    /// The server's end is among the versions that we have applied.
    pub had_passed_end: bool,
    /// The server went back to a version that we know and then another way, as far as that could be
    /// found out.
    pub fork: Option<Fork<'a>>,
    /// What our log last said of properties, for tasks that differ.
    pub logged: &'a BTreeMap<(TaskId, Text), Logged>,
}

/// Where two histories part, seen from here.
#[derive(Debug, Clone, Copy)]
pub struct Fork<'a> {
    /// What the server's history did since.
    pub branch: &'a Branch,
    /// Tasks of theirs that were purged here after the fork, as our log says.
    pub purged: &'a BTreeSet<TaskId>,
    /// The log holds everything that was changed here after the fork.
    pub is_log_complete: bool,
}

/// The last synchronised change of one property in our log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The value; none if it was removed.
    pub value: Option<Text>,
    /// When it was changed, by the clock of who did.
    pub timestamp: Timestamp,
    /// It may have been changed after the fork.
    pub is_after_fork: bool,
}

/// What the versions behind a fork are about. Their outcome stands in the tasks at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Branch {
    /// The last version that both histories share.
    pub fork: VersionId,
    tasks: BTreeMap<TaskId, Touched>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Touched {
    /// It was made or removed: everything about it was said anew.
    is_remade: bool,
    /// When each property was last changed.
    properties: BTreeMap<Text, Timestamp>,
}

impl Branch {
    /// A branch that begins after `fork`.
    pub fn after(fork: VersionId) -> Self {
        Self { fork, tasks: BTreeMap::new() }
    }

    /// Takes in the next operation, in chain order.
    pub fn take_in(&mut self, operation: &Operation) {
        let touched = self.tasks.entry(operation.task()).or_default();
        match operation {
            Operation::Update { property, timestamp, .. } => {
                touched.properties.insert(property.clone(), *timestamp);
            }
            Operation::Create { .. } | Operation::Delete { .. } => touched.is_remade = true,
        }
    }

    fn is_remade(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|touched| touched.is_remade)
    }

    /// When the branch last changed a property, if it did.
    fn changed_at(&self, task: TaskId, property: &str) -> Option<Timestamp> {
        self.tasks.get(&task)?.properties.get(property).copied()
    }
}

/// The new pending operations and what there is to tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is pending on top of the server's present.
    pub pending: Vec<Operation>,
    /// Edits of ours that lost.
    pub lost: Vec<Lost>,
    /// Tasks that the server no longer has, though nobody deleted them as far as we know: kept, and
    /// a person is told.
    pub kept: Vec<TaskId>,
}

/// Decides what is kept, what is taken and what is pending.
///
/// # Errors
/// The [`Question`] that only a person can answer, in cases (a) and (c).
pub fn plan(
    ours: &Ours<'_>,
    theirs: &TaskSet,
    end: VersionId,
    consent: Consent,
) -> Result<Plan, Question> {
    if ours.had_passed_end {
        if consent.upload_difference {
            return Ok(Plan { pending: difference(theirs, ours.state), ..Plan::default() });
        }
        let differing = count_differing(ours.state, theirs);
        return Err(Question::ServerWentBack { version: end, tasks_differing: differing });
    }
    let has_common = ours.state.keys().any(|id| theirs.contains_key(id));
    // Histories that share a version are one list, whatever became of its tasks.
    let shares_version = ours.fork.as_ref().is_some_and(|fork| !fork.branch.fork.is_nil());
    let is_foreign = !has_common && !shares_version;
    if is_foreign && !ours.state.is_empty() && !theirs.is_empty() && !consent.join {
        return Err(Question::ForeignHistory {
            tasks_here: ours.state.len() as u64,
            tasks_there: theirs.len() as u64,
        });
    }
    Ok(merge(ours, theirs))
}

fn merge(ours: &Ours<'_>, theirs: &TaskSet) -> Plan {
    let mut plan = Plan::default();
    // Tasks of theirs that we have deleted and, some of them, made again.
    let mut deleted: BTreeSet<TaskId> = BTreeSet::new();
    let mut remade: BTreeSet<TaskId> = BTreeSet::new();
    for item in ours.pending {
        let operation = &item.operation;
        let id = operation.task();
        let Some(their_task) = theirs.get(&id) else { continue };
        let base = ours.base_images.get(&id).and_then(Option::as_ref);
        match operation {
            Operation::Create { .. } => {
                if deleted.remove(&id) {
                    remade.insert(id);
                    plan.pending.push(operation.clone());
                }
            }
            Operation::Delete { .. } => {
                remade.remove(&id);
                if deleted.insert(id) {
                    plan.pending.push(operation.clone());
                }
            }
            Operation::Update { property, value, timestamp, .. } => {
                let their_value = their_task.properties.get(property);
                let base_value = base.and_then(|task| task.properties.get(property));
                let (changed_there, their_time) = match &ours.fork {
                    Some(fork) if !fork.branch.is_remade(id) => {
                        let at = fork.branch.changed_at(id, property);
                        (at.is_some(), at.unwrap_or(*timestamp))
                    }
                    _ => (base.is_none() || their_value != base_value, changed_until(their_task)),
                };
                if deleted.contains(&id) {
                    continue;
                }
                let wins = remade.contains(&id) || !changed_there || *timestamp > their_time;
                if wins {
                    plan.pending.push(operation.clone());
                }
                let differs = changed_there && their_value != value.as_ref();
                if differs && is_worth_a_conflict(property) {
                    plan.lost.push(Lost {
                        task: id,
                        property: Some(property.clone()),
                        value: if wins { their_value.cloned() } else { value.clone() },
                        here: !wins,
                        at: None,
                    });
                }
            }
        }
    }
    for (id, task) in ours.state {
        if let Some(their_task) = theirs.get(id) {
            if !deleted.contains(id) && !remade.contains(id) {
                plan.lost.extend(lost_to_deletion(*id, task, their_task, ours));
                // What waits has been looked at above; this is about what had been synced.
                let synced = ours.base_images.get(id).and_then(Option::as_ref).unwrap_or(task);
                keep_synced_edits(&mut plan, *id, synced, their_task, ours);
            }
            continue;
        }
        let changed_since = || {
            let of_task = (*id, Text::default())..;
            let mut logged = ours.logged.range(of_task).take_while(|((task, _), _)| task == id);
            logged.any(|(_, logged)| logged.is_after_fork)
        };
        if let Some(fork) = &ours.fork
            && fork.branch.is_remade(*id)
            && !ours.base_images.contains_key(id)
            && !changed_since()
        {
            // Purged there, and untouched here since: nobody misses it.
            continue;
        }
        let is_ours_alone = matches!(ours.base_images.get(id), Some(None));
        if !ours.base_images.contains_key(id) && task.status() == Status::Deleted {
            // Deleted on both sides and gone there: it has expired. With edits of ours that still
            // wait it is kept, to expire in its time.
            continue;
        }
        let is_ours_since = match &ours.fork {
            // Nobody there removed it: it was made after the fork, and only here.
            Some(fork) if !fork.branch.is_remade(*id) => {
                plan.pending.extend(creation_as_logged(*id, task, ours.logged));
                true
            }
            _ => {
                plan.pending.extend(creation(*id, task, &Task::default()));
                false
            }
        };
        if !is_ours_alone && !is_ours_since {
            plan.kept.push(*id);
        }
    }
    if let Some(fork) = &ours.fork {
        let untouched = fork.purged.iter().filter(|id| !fork.branch.tasks.contains_key(*id));
        let still_there = untouched.filter(|id| theirs.contains_key(*id));
        plan.pending.extend(still_there.map(|id| Operation::Delete { uuid: *id }));
    }
    plan
}

/// A task that one side deleted while the other changed it, as far as what waits and the task at the
/// base tell.
fn lost_to_deletion(id: TaskId, task: &Task, their_task: &Task, ours: &Ours<'_>) -> Option<Lost> {
    let base = ours.base_images.get(&id)?.as_ref()?;
    if ![task, their_task].iter().any(|task| task.status() == Status::Deleted) {
        return None;
    }
    let changed_here = ours.pending.iter().filter_map(|item| match &item.operation {
        Operation::Update { uuid, property, .. } if *uuid == id => Some(property.as_str()),
        _ => None,
    });
    let changed_here: Vec<&str> = changed_here.collect();
    let is_change_of_theirs = |property: &str| match &ours.fork {
        // A server that went back has lost what we had synced: that is no change of theirs.
        Some(fork) if !fork.branch.is_remade(id) => fork.branch.changed_at(id, property).is_some(),
        _ => true,
    };
    let names = base.properties.keys().chain(their_task.properties.keys());
    let changed_there: Vec<&str> = names
        .filter(|name| base.properties.get(*name) != their_task.properties.get(*name))
        .map(Text::as_str)
        .filter(|name| is_change_of_theirs(name))
        .collect();
    let after = if changed_here.contains(&"status") { task } else { their_task };
    deleted_and_changed(id, base, after, &changed_here, &changed_there)
}

/// What we had synced and the server does not say.
///
/// Where the server is known to have gone another way, what its branch did not touch is ours, and
/// goes there again; what both changed since the fork is decided as the transform would have: the
/// later change stays, and the loser is told. Where no fork is known the history was most likely
/// trimmed, and theirs is the younger state; only what our log says to be younger still is ours.
fn keep_synced_edits(plan: &mut Plan, id: TaskId, task: &Task, their_task: &Task, ours: &Ours<'_>) {
    let is_pending = |property: &Text| {
        ours.pending.iter().any(|item| match &item.operation {
            Operation::Update { uuid, property: p, .. } => *uuid == id && p == property,
            _ => false,
        })
    };
    for mut operation in updates(id, their_task, task, changed_at(task)) {
        let Operation::Update { property, value, timestamp, .. } = &mut operation else { continue };
        if is_pending(property) {
            continue;
        }
        let logged = ours.logged.get(&(id, property.clone()));
        // The log's last word need not be the chain's; where it is not, the task's own time counts.
        let agrees = logged.is_some_and(|logged| logged.value.as_ref() == value.as_ref());
        if agrees && let Some(logged) = logged {
            *timestamp = logged.timestamp;
        }
        let (wins, is_told) = match &ours.fork {
            None => {
                let is_younger = agrees && *timestamp > changed_until(their_task);
                (is_younger, is_younger)
            }
            Some(fork) => {
                let their_time = match fork.branch.is_remade(id) {
                    true => Some(changed_until(their_task)),
                    false => fork.branch.changed_at(id, property),
                };
                match (their_time, logged) {
                    (None, _) => (true, false),
                    // Theirs alone: nobody changed it here since the fork.
                    (_, None) if fork.is_log_complete => (false, false),
                    (_, Some(logged)) if agrees && !logged.is_after_fork => (false, false),
                    // Perhaps nobody did; what they changed is certain.
                    (_, None) => (false, true),
                    (Some(their_time), Some(_)) => (*timestamp > their_time, true),
                }
            }
        };
        if is_told && is_worth_a_conflict(property) {
            let theirs = their_task.properties.get(property).cloned();
            let lost = if wins { theirs } else { value.clone() };
            let property = Some(property.clone());
            plan.lost.push(Lost { task: id, property, value: lost, here: !wins, at: None });
        }
        if wins {
            plan.pending.push(operation);
        }
    }
}

/// [`creation`], with each change's own time where our log knows it.
fn creation_as_logged(
    id: TaskId,
    task: &Task,
    logged: &BTreeMap<(TaskId, Text), Logged>,
) -> Vec<Operation> {
    let mut operations = creation(id, task, &Task::default());
    for operation in &mut operations {
        if let Operation::Update { property, value, timestamp, .. } = operation
            && let Some(logged) = logged.get(&(id, property.clone()))
            && logged.value == *value
        {
            *timestamp = logged.timestamp;
        }
    }
    operations
}

/// When a task was last changed, as it says itself. Old programs may leave `modified` out.
fn changed_at(task: &Task) -> Timestamp {
    Timestamp::from_seconds(task.seconds("modified").unwrap_or(0))
}

/// The end of the second in which a task was last changed: `modified` says no more, and of two
/// changes in one second the server's stays.
fn changed_until(task: &Task) -> Timestamp {
    Timestamp::new(changed_at(task).seconds(), 999_999_999)
}

/// The operations that make a task: Create, then one Update per property that differs from `from`.
/// Their time is the task's own `modified`: no clock is asked, and a later edit stays later.
pub fn creation(id: TaskId, task: &Task, from: &Task) -> Vec<Operation> {
    let timestamp = changed_at(task);
    std::iter::once(Operation::Create { uuid: id })
        .chain(updates(id, from, task, timestamp))
        .collect()
}

/// The updates that turn the properties of `from` into those of `to`.
pub fn updates(id: TaskId, from: &Task, to: &Task, timestamp: Timestamp) -> Vec<Operation> {
    let update = |property: &Text, value: Option<&Text>| Operation::Update {
        uuid: id,
        property: property.clone(),
        value: value.cloned(),
        timestamp,
    };
    let set = to
        .properties
        .iter()
        .filter(|(property, value)| from.properties.get(*property) != Some(*value));
    let removed = from.properties.keys().filter(|property| !to.properties.contains_key(*property));
    set.map(|(property, value)| update(property, Some(value)))
        .chain(removed.map(|property| update(property, None)))
        .collect()
}

/// The operations that turn one set of tasks into another.
pub fn difference(from: &TaskSet, to: &TaskSet) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (id, task) in to {
        match from.get(id) {
            Some(before) => operations.extend(updates(*id, before, task, changed_at(task))),
            None => operations.extend(creation(*id, task, &Task::default())),
        }
    }
    let gone = from.keys().filter(|id| !to.contains_key(*id));
    operations.extend(gone.map(|id| Operation::Delete { uuid: *id }));
    operations
}

fn count_differing(ours: &TaskSet, theirs: &TaskSet) -> u64 {
    let changed = ours.iter().filter(|(id, task)| theirs.get(*id) != Some(*task)).count();
    let absent = theirs.keys().filter(|id| !ours.contains_key(*id)).count();
    (changed + absent) as u64
}

#[cfg(test)]
mod tests;
