//! Values and shorthands for the tests.

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_tasks::{LocalOperation, Task};

use super::Bench;
use crate::storage::{OperationId, Result, Txn};

/// The `n`th task id; ids grow with `n`.
pub(super) fn task_id(n: u8) -> TaskId {
    let mut bytes = [0x11; 16];
    bytes[0] = n;
    TaskId::from_bytes(bytes)
}

pub(super) fn version_id(n: u64) -> VersionId {
    let mut bytes = [0x22; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    VersionId::from_bytes(bytes)
}

pub(super) fn task(description: &str) -> Task {
    [("description", description), ("status", "pending"), ("tag_\u{e9}\"\\\n", "")]
        .into_iter()
        .collect()
}

pub(super) fn create(n: u8) -> LocalOperation {
    LocalOperation::Create { uuid: task_id(n) }
}

pub(super) fn update(n: u8, value: Option<&str>) -> LocalOperation {
    LocalOperation::Update {
        uuid: task_id(n),
        property: "description".into(),
        old_value: Some("old \u{1f9e1}".into()),
        value: value.map(Into::into),
        timestamp: Timestamp::new(1_700_000_000, 123_456_789),
    }
}

pub(super) fn delete(n: u8) -> LocalOperation {
    LocalOperation::Delete { uuid: task_id(n), old_task: task("gone") }
}

/// Runs `act` in a transaction and commits it.
#[track_caller]
pub(super) fn write<T>(bench: &mut dyn Bench, act: impl FnOnce(&mut dyn Txn) -> Result<T>) -> T {
    let mut storage = bench.open();
    let mut txn = storage.write().expect("no other writer");
    let value = act(&mut *txn).expect("writing");
    txn.commit().expect("committing");
    value
}

/// Runs `act` in a transaction that only reads.
#[track_caller]
pub(super) fn read<T>(bench: &mut dyn Bench, act: impl FnOnce(&mut dyn Txn) -> Result<T>) -> T {
    let mut storage = bench.open();
    let mut txn = storage.read().expect("reading never waits");
    act(&mut *txn).expect("reading")
}

/// The pending operations.
pub(super) fn pending(txn: &mut dyn Txn) -> Result<Vec<(OperationId, LocalOperation)>> {
    let mut all = Vec::new();
    txn.each_pending(&mut |id, operation| {
        all.push((id, operation));
        Ok(())
    })?;
    Ok(all)
}

/// Appends operations that are not synced; returns their ids.
pub(super) fn append(txn: &mut dyn Txn, operations: &[LocalOperation]) -> Result<Vec<OperationId>> {
    operations.iter().map(|operation| txn.append(operation, false)).collect()
}
