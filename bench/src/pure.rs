//! Rebasing in memory.

use std::time::Instant;

use tandem_core::{TaskId, Timestamp};
use tandem_tasks::{Operation, OperationId, Pending, PendingList};

use crate::tools::{Tools, alone};

fn id(n: usize) -> TaskId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    bytes[8..].copy_from_slice(&(n as u64).to_le_bytes());
    TaskId::from_bytes(bytes)
}

fn update(task: usize, property: usize, value: usize, at: i64) -> Operation {
    Operation::Update {
        uuid: id(task),
        property: format!("property{property}").as_str().into(),
        value: Some(format!("value {value}").as_str().into()),
        timestamp: Timestamp::from_seconds(at),
    }
}

fn measure(what: &str, server: &[Operation], local: &[Operation]) {
    let mut times = Vec::new();
    for _ in 0..5 {
        let pending = local.iter().enumerate().map(|(n, operation)| Pending {
            id: OperationId(n as i64 + 1),
            starts_command: n % 7 == 0,
            operation: operation.clone(),
        });
        let pending: Vec<Pending> = pending.collect();
        let began = Instant::now();
        let mut list = PendingList::new(pending);
        let mut met = 0;
        for operation in server {
            list.meet(operation, &mut |_, _| met += 1);
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
        std::hint::black_box((list.len(), met));
    }
    alone(what, times);
}

/// 10,000 on 10,000 and 100,000 on 100,000, over many tasks, all on one, and one Delete.
pub(crate) fn rebase(_: &Tools) {
    for n in [10_000, 100_000] {
        let tasks = n / 6;
        let make = |at: i64, shift: usize| -> Vec<Operation> {
            (0..n).map(|k| update(k % tasks, k / tasks, k + shift, at + (k % 3) as i64)).collect()
        };
        measure(
            &format!("rebase {n} on {n}, {tasks} tasks, all colliding"),
            &make(100, 1),
            &make(101, 2),
        );
        let one = |at: i64, shift: usize| -> Vec<Operation> {
            (0..n).map(|k| update(0, k % 50, k + shift, at + (k % 3) as i64)).collect()
        };
        measure(&format!("rebase {n} on {n}, one task"), &one(100, 1), &one(101, 2));
    }
    let updates: Vec<Operation> = (0..10_000).map(|k| update(0, k % 50, k, 5)).collect();
    measure("rebase 10,000 updates on one Delete", &[Operation::Delete { uuid: id(0) }], &updates);
}
