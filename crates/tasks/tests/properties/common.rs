//! Operations that collide often: few tasks, few properties, few values, few times.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tandem_core::{TaskId, Timestamp};
use tandem_tasks::{Operation, OperationId, Pending, Task, TaskSet};

pub(crate) fn id(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

pub(crate) fn update(task: u8, property: &str, value: Option<&str>, at: i64) -> Operation {
    Operation::Update {
        uuid: id(task),
        property: property.into(),
        value: value.map(Into::into),
        timestamp: Timestamp::from_seconds(at),
    }
}

/// Any operation, whether it fits or not.
pub(crate) fn operation(tasks: u8) -> impl Strategy<Value = Operation> {
    let value = prop_oneof![Just(None), Just(Some("x")), Just(Some("y"))];
    let property = prop_oneof![Just("a"), Just("b"), Just("status")];
    prop_oneof![
        1 => (1..=tasks).prop_map(|task| Operation::Create { uuid: id(task) }),
        1 => (1..=tasks).prop_map(|task| Operation::Delete { uuid: id(task) }),
        4 => (1..=tasks, property, value, 0..4i64)
            .prop_map(|(task, property, value, at)| update(task, property, value, at)),
    ]
}

/// A state over tasks 1 to `tasks`.
pub(crate) fn state(tasks: u8) -> impl Strategy<Value = TaskSet> {
    let task = proptest::option::of(proptest::collection::btree_map(
        prop_oneof![Just("a"), Just("b"), Just("status")],
        prop_oneof![Just("x"), Just("y")],
        0..3,
    ));
    proptest::collection::vec(task, usize::from(tasks)).prop_map(|tasks| {
        let present = tasks.into_iter().zip(1..).filter_map(|(task, n)| Some((id(n), task?)));
        present.map(|(id, task): (_, BTreeMap<_, _>)| (id, Task::from_iter(task))).collect()
    })
}

/// True if a program that looks would make this operation in that state.
pub(crate) fn fits(operation: &Operation, state: &TaskSet) -> bool {
    let is_there = state.contains_key(&operation.task());
    matches!(operation, Operation::Create { .. }) != is_there
}

/// A history: operations of which each fits the state that those before it leave. Those that do
/// not fit are left out.
pub(crate) fn history(from: &TaskSet, operations: Vec<Operation>) -> Vec<Operation> {
    let mut state = from.clone();
    operations
        .into_iter()
        .filter(|operation| {
            let fits = fits(operation, &state);
            if fits {
                operation.apply_to_set(&mut state);
            }
            fits
        })
        .collect()
}

pub(crate) fn apply<'a>(state: &mut TaskSet, operations: impl IntoIterator<Item = &'a Operation>) {
    for operation in operations {
        operation.apply_to_set(state);
    }
}

/// Pending operations with ids from 1; a command begins where `starts` says so.
pub(crate) fn pending(operations: &[Operation], starts: &[bool]) -> Vec<Pending> {
    operations
        .iter()
        .enumerate()
        .zip(1..)
        .map(|((n, operation), id)| Pending {
            id: OperationId(id),
            starts_command: n == 0 || starts.get(n).copied().unwrap_or(false),
            operation: operation.clone(),
        })
        .collect()
}
