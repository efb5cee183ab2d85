//! A replica: opening it, reading it, and what a sync must know of it.

use std::collections::BTreeSet;

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::segment::SegmentDigest;
use tandem_tasks::session::{InFlight, Tail};
use tandem_tasks::snapshot::SnapshotWriter;
use tandem_tasks::{LocalOperation, OperationId, Pending, Task};

use crate::absorb::{absorb, current_remote, has_moved};
use crate::commit::{ORPHANS, Target};
use crate::storage::{AppliedRow, RemoteRow, Result, StepRow, Storage, TaskNumber, Txn};

/// Pending operations for which room is made at once.
const PENDING_ROOM_MAX: usize = 1_000_000;

/// Tasks kept at a re-initialisation that the server no longer had, to be told once.
pub(crate) const KEPT: &str = "kept";

/// One copy of a task database.
pub struct Replica {
    storage: Box<dyn Storage>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").finish_non_exhaustive()
    }
}

/// What a sync with one remote must know before it starts, read in one transaction.
#[derive(Debug)]
pub struct SyncFacts {
    /// Pending operations and base.
    pub tail: Tail,
    /// Number of tasks.
    pub tasks: u64,
    /// The remote's row, if it has been met.
    pub remote: Option<RemoteRow>,
    /// The remote that the base belongs to, if any.
    pub current: Option<RemoteRow>,
    /// The base belongs to this remote, or to none.
    pub is_ours: bool,
}

pub(crate) fn new_remote(key: &str, label: &str) -> RemoteRow {
    RemoteRow {
        id: 0,
        key: key.into(),
        label: label.into(),
        last_base: VersionId::NIL,
        answered: false,
        needs_new_history: false,
        joining: false,
        proof: None,
        wanted_snapshot: None,
    }
}

/// The pending operations with what they stand on.
pub(crate) fn read_tail(txn: &mut dyn Txn) -> Result<Tail> {
    let mark = txn.pending_mark()?;
    let base = txn.base_version()?;
    let base_parent = txn.applied(base)?.filter(|row| !row.hole).map(|row| row.parent);
    // Room that is not used costs no memory; growing step by step would cost three times as much.
    let span =
        mark.first.zip(mark.last).map_or(0, |(first, last)| last.0.saturating_sub(first.0) + 1);
    let mut pending = Vec::with_capacity(usize::try_from(span).unwrap_or(0).min(PENDING_ROOM_MAX));
    if mark.last.is_some() {
        let mut starts_command = true;
        txn.each_pending(&mut |id, operation| {
            match into_operation(operation) {
                Some(operation) => pending.push(Pending { id, starts_command, operation }),
                None => {
                    starts_command = true;
                    return Ok(());
                }
            }
            starts_command = false;
            Ok(())
        })?;
    }
    let in_flight = txn.in_flight()?.map(|row| InFlight {
        parent: row.parent,
        digest: SegmentDigest(row.digest),
        count: usize::try_from(row.count).unwrap_or(0),
        ranges: row.ranges,
    });
    let orphans = txn.meta(ORPHANS)?;
    let orphans = orphans.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(Tail { base, base_parent, pending, first: mark.first, last: mark.last, in_flight, orphans })
}

/// As [`LocalOperation::to_operation`], without copying the texts.
fn into_operation(local: LocalOperation) -> Option<tandem_tasks::Operation> {
    use tandem_tasks::Operation;
    match local {
        LocalOperation::Create { uuid } => Some(Operation::Create { uuid }),
        LocalOperation::Delete { uuid, .. } => Some(Operation::Delete { uuid }),
        LocalOperation::Update { uuid, property, value, timestamp, .. } => {
            Some(Operation::Update { uuid, property, value, timestamp })
        }
        LocalOperation::UndoPoint => None,
    }
}

impl Replica {
    /// A replica over any storage. For a file, open
    /// [`SqliteStorage`](crate::SqliteStorage) first.
    pub fn new(storage: impl Storage + 'static) -> Self {
        Self { storage: Box::new(storage) }
    }

    /// The storage under it.
    pub fn storage_mut(&mut self) -> &mut dyn Storage {
        self.storage.as_mut()
    }

    /// Reads in one transaction, which sees a state that does not change under it.
    ///
    /// # Errors
    /// If the database cannot be read, or what `reading` says.
    pub fn read<R>(&mut self, reading: impl FnOnce(&mut dyn Txn) -> Result<R>) -> Result<R> {
        let mut txn = self.storage.read()?;
        reading(txn.as_mut())
    }

    /// One task.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn task(&mut self, id: TaskId) -> Result<Option<Task>> {
        self.read(|txn| txn.task(id))
    }

    /// The tasks that carry a number, with it, ascending. Their number bounds the cost.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn numbered_tasks(&mut self) -> Result<Vec<(TaskNumber, TaskId, Task)>> {
        self.read(|txn| {
            let mut tasks = Vec::new();
            txn.each_numbered(&mut |number, id, task| {
                tasks.push((number, id, task));
                Ok(())
            })?;
            Ok(tasks)
        })
    }

    /// All tasks.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all_tasks(&mut self) -> Result<tandem_tasks::TaskSet> {
        self.read(|txn| {
            let mut tasks = tandem_tasks::TaskSet::new();
            txn.each_task(&mut |id, task| {
                tasks.insert(id, task);
                Ok(())
            })?;
            Ok(tasks)
        })
    }

    /// The version that this replica stands on.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn base_version(&mut self) -> Result<VersionId> {
        self.read(|txn| txn.base_version())
    }

    /// Commands' operations that wait for a server, undo points not counted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn pending_operations(&mut self) -> Result<u64> {
        self.read(|txn| {
            if txn.pending_mark()?.last.is_none() {
                return Ok(0);
            }
            let mut count = 0;
            txn.each_pending(&mut |_, operation| {
                count += u64::from(operation != LocalOperation::UndoPoint);
                Ok(())
            })?;
            Ok(count)
        })
    }

    /// Changes that wait for a server, as a person counts them: without the `modified` stamps that
    /// go with them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn pending_changes(&mut self) -> Result<u64> {
        self.read(|txn| {
            if txn.pending_mark()?.last.is_none() {
                return Ok(0);
            }
            let mut count = 0;
            txn.each_pending(&mut |_, operation| {
                let is_stamp = matches!(
                    &operation,
                    LocalOperation::Update { property, .. } if property == "modified"
                );
                count += u64::from(operation != LocalOperation::UndoPoint && !is_stamp);
                Ok(())
            })?;
            Ok(count)
        })
    }

    /// The newest steps, newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn steps(&mut self, max: usize) -> Result<Vec<StepRow>> {
        self.read(|txn| txn.steps(None, max))
    }

    /// The remotes that this replica has met, and which of them its base belongs to.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn remotes(&mut self) -> Result<(Vec<RemoteRow>, Option<i64>)> {
        self.read(|txn| Ok((txn.remotes()?, current_remote(txn)?)))
    }

    /// The applied versions that are remembered, oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn applied_versions(&mut self) -> Result<Vec<AppliedRow>> {
        self.read(|txn| txn.all_applied())
    }

    /// What a sync with `target` must know. Writes only if another program has changed the file.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn sync_facts(&mut self, target: &Target, now: Timestamp) -> Result<SyncFacts> {
        self.notice(now)?;
        self.read(|txn| {
            let tail = read_tail(txn)?;
            let remote = match &target.key {
                Some(key) => txn.remote_by_key(key)?,
                None => None,
            };
            let current = match current_remote(txn)? {
                Some(id) => txn.remote(id)?,
                None => None,
            };
            let is_ours = match (&current, &remote) {
                (None, _) => true,
                (Some(current), Some(remote)) => current.id == remote.id,
                (Some(_), None) => false,
            };
            // A sync with nothing to do must not cost by what exists: the count only matters for
            // a replica at the beginning, or one that comes as a stranger.
            let tasks = match is_ours && !tail.base.is_nil() && current.is_some() {
                true => 0,
                false => txn.task_count()?,
            };
            Ok(SyncFacts { tail, tasks, remote, current, is_ours })
        })
    }

    /// Takes notice of what other programs did. Writes only if they did anything since the last time,
    /// and then what the next command of ours would write, whichever it is.
    ///
    /// Also before a mere look at where the replica stands (a check, what a sync would do), for two
    /// reasons. What is looked at is not there before: base images, steps and places in the log are
    /// made from what the others left, and a sync's session reads them in several transactions with the
    /// network in between, during which none may be open that could be rolled back; the other way would
    /// be a copy of the whole replica. And what is noticed late is known less well: of an edit that its
    /// program undoes before we look nothing is known, and the guards that an undo of theirs has used
    /// up protect again only when they are put back. A look at tasks alone (a list, a plain status)
    /// needs nothing of this, and does not call it.
    ///
    /// Nothing that a person entered is changed by it. One of the tasks is written where another
    /// program's undo has left it otherwise than its base and what is pending say.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn notice(&mut self, now: Timestamp) -> Result<()> {
        if self.read(has_moved)? {
            let mut txn = self.storage.write()?;
            absorb(txn.as_mut(), now)?;
            txn.commit()?;
        }
        Ok(())
    }

    /// Stores the proof that our key has opened something of `target`.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn keep_proof(&mut self, target: &Target, proof: &[u8]) -> Result<()> {
        let Some(key) = &target.key else { return Ok(()) };
        let mut txn = self.storage.write()?;
        let mut row = match txn.remote_by_key(key)? {
            Some(row) => row,
            None => new_remote(key, &target.label),
        };
        row.proof = Some(proof.to_vec());
        txn.put_remote(&row)?;
        txn.commit()
    }

    /// The tasks that a re-initialisation kept although the server no longer had them; told once.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn take_kept_tasks(&mut self) -> Result<Vec<TaskId>> {
        let mut txn = self.storage.write()?;
        let Some(text) = txn.meta(KEPT)? else { return Ok(Vec::new()) };
        txn.set_meta(KEPT, None)?;
        txn.commit()?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Renumbers all numbered tasks from 1, without holes. Those that had no number come last, in
    /// the order of their `entry`.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn renumber(&mut self, now: Timestamp) -> Result<u64> {
        let mut txn = self.storage.write()?;
        absorb(txn.as_mut(), now)?;
        crate::edit::retire(txn.as_mut())?;
        let mut members = Vec::new();
        let mut known = BTreeSet::new();
        let mut number: TaskNumber = 0;
        let mut add = |id: TaskId, members: &mut Vec<(TaskNumber, TaskId)>| {
            number = number.saturating_add(1);
            members.push((number, id));
        };
        for (_, id) in txn.working_set()? {
            let task = txn.task(id)?;
            if task.is_some_and(|task| task.status().is_numbered()) && known.insert(id) {
                add(id, &mut members);
            }
        }
        let mut missing = Vec::new();
        txn.each_task(&mut |id, task| {
            if task.status().is_numbered() && !known.contains(&id) {
                missing.push((task.seconds("entry"), id));
            }
            Ok(())
        })?;
        missing.sort_unstable();
        for (_, id) in missing {
            add(id, &mut members);
        }
        txn.set_working_set(&members)?;
        crate::absorb::Seen::remember(txn.as_mut())?;
        txn.commit()?;
        Ok(u64::from(number))
    }

    /// The snapshot of the base, if that is still `version`: its body (zlib). None also while
    /// another program's edits have not been noticed yet: what it wrote is not the base.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn snapshot_at(&mut self, version: VersionId) -> Result<Option<Vec<u8>>> {
        self.read(|txn| {
            if txn.base_version()? != version || has_moved(txn)? {
                return Ok(None);
            }
            let mut writer = SnapshotWriter::default();
            each_base_task(txn, &mut |id, task| {
                writer.push(id, &task);
                Ok(())
            })?;
            Ok(Some(writer.finish()))
        })
    }

    /// All tasks as they are at the base version.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn base_tasks(&mut self) -> Result<tandem_tasks::TaskSet> {
        self.read(|txn| {
            let mut tasks = tandem_tasks::TaskSet::new();
            each_base_task(txn, &mut |id, task| {
                tasks.insert(id, task);
                Ok(())
            })?;
            Ok(tasks)
        })
    }
}

/// Visits all tasks as they are at the base version.
pub(crate) fn each_base_task(
    txn: &mut dyn Txn,
    visit: &mut dyn FnMut(TaskId, Task) -> Result<()>,
) -> Result<()> {
    let images: std::collections::BTreeMap<TaskId, Option<Task>> =
        txn.base_images()?.into_iter().collect();
    let mut first_seen: BTreeSet<TaskId> = BTreeSet::new();
    let mut created: BTreeSet<TaskId> = BTreeSet::new();
    txn.each_pending(&mut |_: OperationId, operation| {
        if let Some(id) = operation.task()
            && first_seen.insert(id)
            && matches!(operation, LocalOperation::Create { .. })
        {
            created.insert(id);
        }
        Ok(())
    })?;
    txn.each_task(&mut |id, task| {
        if images.contains_key(&id) || created.contains(&id) {
            return Ok(());
        }
        visit(id, task)
    })?;
    for (id, image) in images {
        if let Some(task) = image {
            visit(id, task)?;
        }
    }
    Ok(())
}
