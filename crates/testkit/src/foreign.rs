//! Another program on the same replica file: what the real crate does to it, written as raw
//! operations (`protocols/taskchampion.md` sections 2, 5, 15 and 16). It knows none of our tables.

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_remote::{Call, MemoryRemote, Outcome, Remote as _};
use tandem_replica::storage::Result;
use tandem_replica::{Storage, Txn};
use tandem_tasks::session::{Added, Child, Response};
use tandem_tasks::transform::transform;
use tandem_tasks::{LocalOperation, Operation, OperationId, Task, segment};

use crate::random::Random;

/// One change that a command makes.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) id: TaskId,
    pub(crate) may_create: bool,
    pub(crate) is_purge: bool,
    pub(crate) property: &'static str,
    pub(crate) value: Option<String>,
    /// Seconds by which the change is stamped earlier (an import).
    pub(crate) earlier: usize,
}

fn is_numbered(task: Option<&Task>) -> bool {
    task.and_then(|task| task.get("status")).is_some_and(|s| matches!(s, "pending" | "recurring"))
}

/// Applies one operation and logs it, as `commit_operations` of the real crate does.
fn commit_one(txn: &mut dyn Txn, operation: Operation, old: Option<Task>) -> Result<()> {
    let id = operation.task();
    let mut task = txn.task(id)?;
    let was_numbered = is_numbered(task.as_ref());
    txn.append(&operation.clone().into_local(old.as_ref()), false)?;
    operation.apply(&mut task);
    txn.put_task(id, task.as_ref())?;
    if !was_numbered && is_numbered(task.as_ref()) {
        txn.give_number(id)?;
    }
    Ok(())
}

/// One command of another program: an undo point, then its operations. Old values come from its
/// memory, which may be older than the file.
pub(crate) fn edit(
    storage: &mut dyn Storage,
    changes: &[Change],
    now: Timestamp,
    random: &mut Random,
) -> Result<()> {
    let mut txn = storage.write()?;
    txn.append(&LocalOperation::UndoPoint, false)?;
    for change in changes {
        let uuid = change.id;
        let task = txn.task(uuid)?;
        if change.is_purge {
            if task.is_some() {
                commit_one(txn.as_mut(), Operation::Delete { uuid }, task)?;
            }
            continue;
        }
        let update = |property: &str, value: Option<&str>, timestamp| Operation::Update {
            uuid,
            property: property.into(),
            value: value.map(Into::into),
            timestamp,
        };
        if task.is_none() {
            if !change.may_create {
                continue;
            }
            commit_one(txn.as_mut(), Operation::Create { uuid }, None)?;
            let status = update("status", Some("pending"), now);
            commit_one(txn.as_mut(), status, Some(Task::default()))?;
        }
        if change.property == "status" && change.value.is_none() {
            continue;
        }
        let mut old = txn.task(uuid)?;
        if random.chance(300) && txn.pending_of(uuid)?.is_empty() {
            // Stale, where the log still says what the chain last said of the property.
            let logged = txn.operations_of(uuid)?;
            let from = txn.meta("log_from")?.and_then(|text| text.parse().ok()).unwrap_or(0);
            let known =
                logged.iter().rev().filter(|row| row.synced && row.id.0 > from).find_map(|row| {
                    match &row.operation {
                        LocalOperation::Update { property, .. } if property == change.property => {
                            Some(true)
                        }
                        LocalOperation::Delete { .. } => Some(false),
                        _ => None,
                    }
                });
            let is_known = known == Some(true);
            if is_known && let Some(task) = &mut old {
                task.set(change.property, Some("stale"));
            }
        }
        let operation = update(change.property, change.value.as_deref(), now);
        commit_one(txn.as_mut(), operation, old)?;
    }
    txn.commit()
}

/// Takes the last command back, as the real crate does; returns how many operations went.
pub(crate) fn undo(storage: &mut dyn Storage) -> Result<usize> {
    let mut txn = storage.write()?;
    let mut pending: Vec<(OperationId, LocalOperation)> = Vec::new();
    txn.each_pending(&mut |id, operation| {
        pending.push((id, operation));
        Ok(())
    })?;
    let is_point = |row: &(OperationId, LocalOperation)| row.1 == LocalOperation::UndoPoint;
    let from = pending.iter().rposition(is_point).unwrap_or(0);
    let tail = pending.split_off(from);
    for (id, operation) in tail.iter().rev() {
        if let Some(task) = operation.task() {
            let mut state = txn.task(task)?;
            operation.undo(&mut state);
            txn.put_task(task, state.as_ref())?;
        }
        txn.remove_operations(*id, *id, false)?;
    }
    rebuild(txn.as_mut())?;
    txn.commit()?;
    Ok(tail.len())
}

/// Rebuilds the working set without renumbering. (The real one also drops tasks without any
/// `status`; those are only seen where a version ends inside a command.)
fn rebuild(txn: &mut dyn Txn) -> Result<()> {
    for (_, id) in txn.working_set()? {
        if !txn.task(id)?.is_some_and(|task| task.status().is_numbered()) {
            txn.take_number(id)?;
        }
    }
    let mut missing = Vec::new();
    txn.each_task(&mut |id, task| {
        if task.status().is_numbered() {
            missing.push(id);
        }
        Ok(())
    })?;
    for id in missing {
        txn.give_number(id)?;
    }
    Ok(())
}

/// One sync of the real crate, in one transaction: pull, transform, apply, push in one batch. Its
/// defects 1 and 2 cannot show here: it is never interrupted, and its batch is everything. Returns
/// what it did, and which pending operations it dropped without a word: it keeps no conflict log.
pub(crate) fn sync(
    storage: &mut dyn Storage,
    remote: &mut MemoryRemote,
) -> std::result::Result<(String, Vec<OperationId>), String> {
    let text = |error: tandem_replica::StorageError| error.to_string();
    let mut txn = storage.write().map_err(text)?;
    let mut base = txn.base_version().map_err(text)?;
    let mut count = 0;
    txn.each_task(&mut |_, _| {
        count += 1;
        Ok(())
    })
    .map_err(text)?;
    let mut local: Vec<(OperationId, Operation)> = Vec::new();
    let mut last = None;
    txn.each_pending(&mut |id, operation| {
        last = Some(id);
        local.extend(operation.to_operation().map(|operation| (id, operation)));
        Ok(())
    })
    .map_err(text)?;
    if count == 0 && base.is_nil() && last.is_none() {
        return Ok(("foreign sync: left a fresh replica to us".into(), Vec::new()));
    }
    let mut pulled: Vec<Operation> = Vec::new();
    let mut dropped = Vec::new();
    loop {
        match remote.call(Call::GetChildVersion { parent: base }) {
            Outcome::Answer(Response::Child(Child::Version {
                version, segment: bytes, ..
            })) => {
                let operations = segment::read(&bytes).map_err(|error| error.to_string())?;
                for server in operations {
                    if let Some(left) = walk(&server, &mut local, &mut dropped) {
                        pulled.push(left.clone());
                        let mut task = txn.task(left.task()).map_err(text)?;
                        left.apply(&mut task);
                        txn.put_task(left.task(), task.as_ref()).map_err(text)?;
                    }
                }
                base = version;
            }
            Outcome::Answer(Response::Child(Child::UpToDate)) => break,
            other => return Err(format!("{other:?}")),
        }
    }
    let mut pushed = 0;
    if !local.is_empty() {
        let segment = segment::write(local.iter().map(|(_, operation)| operation));
        match remote.call(Call::AddVersion { parent: base, segment }) {
            Outcome::Answer(Response::Added(Added::Accepted { version, .. })) => base = version,
            other => return Err(format!("{other:?}")),
        }
        pushed = local.len();
    }
    for operation in &pulled {
        let local = match operation {
            Operation::Create { uuid } => LocalOperation::Create { uuid: *uuid },
            Operation::Delete { uuid } => {
                LocalOperation::Delete { uuid: *uuid, old_task: Task::default() }
            }
            Operation::Update { uuid, property, value, timestamp } => LocalOperation::Update {
                uuid: *uuid,
                property: property.clone(),
                old_value: None,
                value: value.clone(),
                timestamp: *timestamp,
            },
        };
        txn.append(&local, true).map_err(text)?;
    }
    if let Some(last) = last {
        txn.mark_synced(OperationId(0), last).map_err(text)?;
    }
    set_base(txn.as_mut(), base).map_err(text)?;
    rebuild(txn.as_mut()).map_err(text)?;
    txn.commit().map_err(text)?;
    Ok((format!("foreign sync: down {} up {pushed}, now {base}", pulled.len()), dropped))
}

fn set_base(txn: &mut dyn Txn, base: VersionId) -> Result<()> {
    txn.set_base_version(base)
}

/// Walks one server operation through the pending ones; returns what is left of it.
fn walk(
    server: &Operation,
    local: &mut Vec<(OperationId, Operation)>,
    dropped: &mut Vec<OperationId>,
) -> Option<Operation> {
    let mut at = 0;
    while at < local.len() {
        let meeting = transform(server, &local[at].1);
        if meeting.local_survives() {
            at += 1;
        } else {
            dropped.push(local.remove(at).0);
        }
        if !meeting.server_survives() {
            return None;
        }
    }
    Some(server.clone())
}
