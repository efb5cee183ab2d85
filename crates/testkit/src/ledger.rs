//! The ledger: every operation that an edit ever made is somewhere.
//!
//! When everybody has synced, an operation of a person (or of another program) on the replica's
//! file must have one of these fates; anything else is a lost edit:
//!
//! * **in the chain**: a version holds exactly this operation;
//! * **pending**: it still waits on its replica;
//! * **undone**: the person took it back before it was pushed, or another program, which keeps no
//!   conflict log, dropped it in a sync of its own;
//! * **said by another**: a version holds an operation that says the same (same task, property and
//!   value; Create or Delete of the same task), so nothing was left to do;
//! * **overwritten here**: a later operation of the same replica, not undone, changed the same
//!   property or removed or re-made the task, so the person saw their own later word;
//! * **in the conflict log** of its replica, with the value that lost, or with the whole task;
//! * **done anyway**: it took away a property or a task, and that was gone already or is not there
//!   in the end; or the person deleted the task, and it is gone;
//! * **not worth a conflict**: `modified`, `end`, and the parts of `tags` and `depends` merge: a
//!   version holds another operation on the same property, or a Delete of the task.

use std::collections::BTreeMap;

use tandem_core::{TaskId, VersionId};
use tandem_replica::ConflictRow;
use tandem_tasks::{Operation, OperationId, TaskSet};

use crate::archive::{Archive, Archived};

/// One operation of an edit.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The replica.
    pub replica: usize,
    /// Its place in the replica's log.
    pub id: OperationId,
    /// What it says.
    pub operation: Operation,
    /// The base version on which it was made.
    pub base: VersionId,
    /// It was taken back.
    pub undone: bool,
    /// The command that made it; numbers count over all replicas.
    pub command: usize,
}

/// All operations of all edits, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The entries.
    pub entries: Vec<Entry>,
    commands: usize,
}

/// What a replica still knows at the end.
#[derive(Debug, Default)]
pub struct Remains {
    /// Pending operations.
    pub pending: Vec<Operation>,
    /// The conflict log.
    pub conflicts: Vec<ConflictRow>,
}

fn property_of(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::Update { property, .. } => Some(property),
        _ => None,
    }
}

fn says_the_same(a: &Operation, b: &Operation) -> bool {
    use Operation::{Create, Delete, Update};
    match (a, b) {
        (Create { uuid: a }, Create { uuid: b }) | (Delete { uuid: a }, Delete { uuid: b }) => {
            a == b
        }
        (
            Update { uuid: a, property: p, value: v, .. },
            Update { uuid: b, property: q, value: w, .. },
        ) => a == b && p == q && v == w,
        _ => false,
    }
}

/// True for what merges by its parts or follows from other changes.
pub fn merges(property: &str) -> bool {
    matches!(property, "modified" | "tags" | "depends" | "end")
        || property.starts_with("tag_")
        || property.starts_with("dep_")
}

impl Ledger {
    /// Writes down what an edit made.
    pub fn made(&mut self, replica: usize, base: VersionId, made: Vec<(OperationId, Operation)>) {
        self.commands += 1;
        let command = self.commands;
        self.entries.extend(made.into_iter().map(|(id, operation)| Entry {
            replica,
            id,
            operation,
            base,
            undone: false,
            command,
        }));
    }

    /// Writes down that an operation was taken back.
    pub fn undone(&mut self, replica: usize, id: OperationId) {
        for entry in &mut self.entries {
            if entry.replica == replica && entry.id == id {
                entry.undone = true;
            }
        }
    }

    /// Finds an undo that took back more than somebody once did in one command.
    ///
    /// What an undo removed from the pending list, as far as edits made exactly that, must all come
    /// from one command, of whichever replica (after a list was offered to another remote, tasks of
    /// others wait here too). Where it does not, because what waits was put together from a state,
    /// it must at least concern one task only. Operations that no edit made are a sync's own: it
    /// takes back what was undone while it was in flight, several commands together, and whoever
    /// undoes that has lost no word of theirs.
    ///
    /// # Errors
    /// What went with it.
    pub fn check_undo(&self, removed: &[Operation]) -> Result<(), String> {
        let is_made =
            |operation: &&Operation| self.entries.iter().any(|e| e.operation == **operation);
        let made: Vec<&Operation> = removed.iter().filter(is_made).collect();
        let Some(first) = made.first() else { return Ok(()) };
        if made.iter().all(|operation| operation.task() == first.task()) {
            return Ok(());
        }
        let is_one_command = |command| {
            let of_it = || self.entries.iter().filter(|entry| entry.command == command);
            made.iter().all(|operation| of_it().any(|entry| entry.operation == **operation))
        };
        let candidates = self.entries.iter().filter(|entry| entry.operation == **first);
        if candidates.map(|entry| entry.command).any(is_one_command) {
            return Ok(());
        }
        Err(format!("an undo took back more than one command: {made:#?}"))
    }

    /// Finds the first operation without a fate. `last` is what the chain says in the end;
    /// `is_merged` says that whole states were merged on the way (a history that was gone, another
    /// server), so that a removal may have found nothing to remove.
    ///
    /// # Errors
    /// What was lost.
    pub fn check(
        &self,
        archive: &Archive,
        remains: &[Remains],
        last: &TaskSet,
        is_merged: bool,
    ) -> Result<(), String> {
        let mut said: BTreeMap<TaskId, Vec<&Operation>> = BTreeMap::new();
        for operation in archive.operations() {
            said.entry(operation.task()).or_default().push(operation);
        }
        for (n, entry) in self.entries.iter().enumerate() {
            let said = said.get(&entry.operation.task()).map_or(&[][..], Vec::as_slice);
            if !self.has_fate(n, entry, said, &remains[entry.replica], last, is_merged) {
                return Err(format!(
                    "lost edit: replica {} operation {} {:?} is nowhere; conflicts on the task: {:#?}",
                    entry.replica,
                    entry.id.0,
                    entry.operation,
                    remains[entry.replica]
                        .conflicts
                        .iter()
                        .filter(|row| row.task == entry.operation.task())
                        .map(|row| (&row.property, &row.lost, &row.kept, row.lost_here))
                        .collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }

    fn has_fate(
        &self,
        n: usize,
        entry: &Entry,
        said: &[&Operation],
        remains: &Remains,
        last: &TaskSet,
        is_merged: bool,
    ) -> bool {
        let operation = &entry.operation;
        if entry.undone
            || said.iter().any(|other| says_the_same(other, operation))
            || remains.pending.contains(operation)
        {
            return true;
        }
        let overwritten = self.entries[n + 1..].iter().any(|later| {
            later.replica == entry.replica
                && !later.undone
                && later.operation.task() == operation.task()
                && (property_of(&later.operation).is_none()
                    || property_of(&later.operation) == property_of(operation))
        });
        if overwritten {
            return true;
        }
        let stands = last.get(&operation.task());
        let is_deleted_here = self.entries[n..].iter().any(|later| {
            later.replica == entry.replica
                && matches!(&later.operation, Operation::Update { uuid, property, value, .. }
                    if *uuid == operation.task() && property == "status"
                        && value.as_deref() == Some("deleted"))
        });
        if stands.is_none() && is_deleted_here {
            return true;
        }
        match operation {
            Operation::Update { value: None, .. }
                if is_merged
                    || said.iter().any(|other| matches!(other, Operation::Delete { .. })) =>
            {
                true
            }
            Operation::Update { property, value: None, .. }
                if stands.is_none_or(|task| !task.properties.contains_key(property)) =>
            {
                true
            }
            Operation::Delete { .. } if is_merged || stands.is_none() => true,
            Operation::Update { property, .. } if merges(property) => said
                .iter()
                .any(|other| property_of(other).is_none() || property_of(other) == Some(property)),
            // It lost to something that lost in turn, and the property was gone all the same.
            Operation::Update { uuid, property, value: None, .. }
                if remains.conflicts.iter().any(|row| {
                    row.task == *uuid
                        && row.property.as_ref() == Some(property)
                        && row.kept.is_none()
                }) =>
            {
                true
            }
            Operation::Update { uuid, property, value, .. } => {
                remains.conflicts.iter().any(|row| {
                    row.task == *uuid
                        && match &row.property {
                            Some(lost) => lost == property && row.lost == *value,
                            None => row.lost_task.as_ref().is_some_and(|task| {
                                task.properties.get(property) == value.as_ref()
                            }),
                        }
                })
            }
            // A physical Delete or a Create that met its opposite is kept by transform or gone
            // with the task that a conflict row shows.
            Operation::Delete { uuid } | Operation::Create { uuid } => {
                remains.conflicts.iter().any(|row| row.task == *uuid)
            }
        }
    }

    /// Finds an edit that had lost and came back, or travelled twice.
    ///
    /// An operation that stands in the chain was pushed over everything before it. So between the
    /// base on which it was made and its own version nothing may stand that wins against it. Only
    /// operations without earlier pending ones of the same replica on the same task are judged: a
    /// walk that was used up earlier never met them. With `may_repeat` an operation may stand in the
    /// chain twice: where another program undid what was in flight, the sync takes it back with
    /// operations of its own, which a clock that stands still makes the same as older ones.
    ///
    /// # Errors
    /// What came back.
    pub fn check_winners(
        &self,
        archive: &Archive,
        latest: VersionId,
        may_repeat: bool,
    ) -> Result<(), String> {
        let chain = archive.chain(latest);
        let place_of: BTreeMap<VersionId, usize> =
            chain.iter().enumerate().map(|(n, (id, _))| (*id, n + 1)).collect();
        for (n, entry) in self.entries.iter().enumerate() {
            let Operation::Update { uuid, property, value, timestamp } = &entry.operation else {
                continue;
            };
            let made =
                if entry.base.is_nil() { Some(0) } else { place_of.get(&entry.base).copied() };
            let Some(made) = made else { continue };
            let same = |other: &&Entry| other.operation == entry.operation;
            let twins = self.entries.iter().filter(same).count();
            let holding: Vec<usize> = chain
                .iter()
                .enumerate()
                .filter(|(_, (_, version))| version.operations.contains(&entry.operation))
                .map(|(n, _)| n)
                .collect();
            if holding.len() > twins && !may_repeat {
                return Err(format!(
                    "{:?} stands {} times in the chain",
                    entry.operation,
                    holding.len()
                ));
            }
            // An earlier operation of the same replica that waited too may have used the walk up.
            // (One Delete is like another, so one that stands on both sides counts as waiting.)
            let was_settled = |earlier: &Entry| {
                let (before, after) = chain.split_at(made.min(chain.len()));
                let holds = |versions: &[(VersionId, &Archived)]| {
                    versions
                        .iter()
                        .any(|(_, version)| version.operations.contains(&earlier.operation))
                };
                holds(before) && !holds(after)
            };
            let is_alone = twins == 1
                && !self.entries[..n].iter().any(|earlier| {
                    earlier.replica == entry.replica
                        && earlier.operation.task() == *uuid
                        && property_of(&earlier.operation).is_none_or(|p| p == property)
                        && !was_settled(earlier)
                });
            let [stands] = holding[..] else { continue };
            if !is_alone || stands < made {
                continue;
            }
            let winner = chain[made..stands].iter().flat_map(|(_, v)| v.operations.iter()).find(|other| {
                matches!(other, Operation::Update { uuid: task, property: p, value: v, timestamp: t }
                    if task == uuid && p == property && v != value && t >= timestamp)
            });
            if let Some(winner) = winner {
                let on_it = |operation: &Operation| {
                    operation.task() == *uuid
                        && property_of(operation).is_none_or(|name| name == property)
                };
                let between: Vec<&Operation> = chain[made..=stands]
                    .iter()
                    .flat_map(|(_, version)| version.operations.iter())
                    .filter(|operation| on_it(operation))
                    .collect();
                let own: Vec<(i64, &Operation)> = self
                    .entries
                    .iter()
                    .filter(|other| other.replica == entry.replica && on_it(&other.operation))
                    .map(|other| (other.id.0, &other.operation))
                    .collect();
                return Err(format!(
                    "an edit that had lost came back: {:?} of replica {} after {winner:?}\n\
                     in the chain since: {between:#?}\nedits there: {own:#?}",
                    entry.operation, entry.replica
                ));
            }
        }
        Ok(())
    }
}
