//! Figures, by hand: `cargo test --release -p tandem-replica --test storage_speed -- --ignored
//! --nocapture`. Timings on a shared machine are no test, so nothing is asserted.
// A failed step is a failed test, in helpers as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use tandem_core::{TaskId, Timestamp};
use tandem_replica::storage::{OperationId, Storage as _};
use tandem_replica::{OpenOptions, SqliteStorage};
use tandem_tasks::{LocalOperation, Task};

const TASKS: u32 = 10_000;

fn id(n: u32) -> TaskId {
    let mut bytes = [0x5a; 16];
    bytes[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    TaskId::from_bytes(bytes)
}

fn timed<T>(what: &str, times: u32, mut act: impl FnMut() -> T) -> T {
    let mut best = f64::INFINITY;
    let mut all = Vec::new();
    for _ in 0..times {
        let begin = Instant::now();
        let value = act();
        best = best.min(begin.elapsed().as_secs_f64() * 1000.0);
        all.push(value);
    }
    println!("{what:<55} {best:>9.3} ms (best of {times})");
    all.pop().expect("at least once")
}

#[test]
#[ignore = "prints figures"]
fn figures() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("taskchampion.sqlite3");
    let open = || SqliteStorage::open(&path, &OpenOptions::default()).unwrap().0;
    timed("make the file", 1, || drop(open()));
    let mut storage = open();
    timed("10,000 tasks, 70,000 operations, in one transaction", 1, || {
        let mut txn = storage.write().unwrap();
        for n in 0..TASKS {
            let uuid = id(n);
            txn.append(&LocalOperation::Create { uuid }, false).unwrap();
            let mut task = Task::default();
            for property in 0..6 {
                let value = format!("{property} value of task {n}");
                let name = format!("property{property}");
                task.set(&name, Some(&value));
                let update = LocalOperation::Update {
                    uuid,
                    property: name.into(),
                    old_value: None,
                    value: Some(value.into()),
                    timestamp: Timestamp::new(1_700_000_000 + i64::from(n), 123_456_789),
                };
                txn.append(&update, false).unwrap();
            }
            txn.put_task(uuid, Some(&task)).unwrap();
            txn.give_number(uuid).unwrap();
        }
        txn.commit().unwrap();
    });
    drop(storage);
    timed("open, nothing to do, not open elsewhere, and close", 20, || drop(open()));
    timed("open, read what an idle sync reads, and close", 20, || {
        let mut storage = open();
        let mut txn = storage.read().unwrap();
        black_box((txn.base_version().unwrap(), txn.in_flight().unwrap(), txn.remotes().unwrap()));
    });
    let mut storage = open();
    timed("open while it is open elsewhere, and close", 20, || drop(open()));
    let mut txn = storage.read().unwrap();
    timed("each_pending over 70,000", 5, || {
        let mut count = 0;
        txn.each_pending(&mut |_, operation| {
            black_box(operation);
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 70_000);
    });
    timed("pending_mark over 70,000", 5, || txn.pending_mark().unwrap());
    timed("each_task over 10,000", 5, || {
        txn.each_task(&mut |_, task| {
            black_box(task);
            Ok(())
        })
        .unwrap()
    });
    timed("task and pending_of, 10,000 times", 5, || {
        for n in 0..TASKS {
            black_box((txn.task(id(n)).unwrap(), txn.pending_of(id(n)).unwrap()));
        }
    });
    drop(txn);
    timed("put_task 10,000 times, and commit", 3, || {
        let task = [("description", "changed"), ("status", "pending")].into_iter().collect();
        let mut txn = storage.write().unwrap();
        for n in 0..TASKS {
            txn.put_task(id(n), Some(&task)).unwrap();
        }
        txn.commit().unwrap();
    });
    // Another value each time: SQLite does not write a page that stays as it is.
    let mut small = 0;
    timed("one small commit", 5, || {
        let mut txn = storage.write().unwrap();
        small += 1;
        txn.set_meta("key", Some(&small.to_string())).unwrap();
        txn.commit().unwrap();
    });
    timed("copy_to", 1, || storage.copy_to(&folder.path().join("copy")).unwrap());
    timed("mark_synced over 70,000, and commit", 1, || {
        let mut txn = storage.write().unwrap();
        txn.mark_synced(OperationId(1), OperationId(i64::MAX)).unwrap();
        txn.commit().unwrap();
    });
    timed("pending_mark over nothing", 5, || storage.read().unwrap().pending_mark().unwrap());
    timed("integrity_check", 1, || assert!(storage.integrity_check().unwrap().is_empty()));
    println!("file: {} bytes", std::fs::metadata(&path).unwrap().len());
}
