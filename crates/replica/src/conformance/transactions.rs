//! What a transaction is.

use super::Bench;
use super::samples::{append, create, read, task, task_id, update, version_id, write};
use crate::storage::{AppliedRow, InFlightRow, OperationId, StorageError};

pub(super) const TESTS: &[fn(&mut dyn Bench)] = &[
    a_new_store_is_empty,
    a_commit_is_seen_by_others,
    a_dropped_transaction_leaves_nothing,
    reads_see_own_writes,
    a_reader_keeps_its_state_while_a_writer_commits,
    a_reader_does_not_wait_for_a_writer_nor_see_it,
    a_second_writer_is_refused_until_the_first_ends,
    a_reader_cannot_write,
];

fn a_new_store_is_empty(bench: &mut dyn Bench) {
    read(bench, |txn| {
        assert_eq!(txn.task_count()?, 0);
        assert_eq!(txn.task(task_id(1))?, None);
        assert_eq!(txn.pending_mark()?.first, None);
        assert_eq!(txn.pending_mark()?.last, None);
        assert_eq!(txn.last_operation_id()?, None);
        assert!(txn.base_version()?.is_nil());
        assert!(txn.working_set()?.is_empty());
        assert!(txn.base_images()?.is_empty());
        assert!(txn.steps(None, 10)?.is_empty());
        assert_eq!(txn.step_count()?, 0);
        assert_eq!(txn.in_flight()?, None);
        assert!(txn.all_applied()?.is_empty());
        assert!(txn.remotes()?.is_empty());
        assert!(txn.conflicts(true)?.is_empty());
        assert_eq!(txn.meta("anything")?, None);
        Ok(())
    });
}

fn a_commit_is_seen_by_others(bench: &mut dyn Bench) {
    let mut early = bench.open();
    write(bench, |txn| txn.put_task(task_id(1), Some(&task("seen"))));
    assert_eq!(early.read().expect("read").task(task_id(1)).expect("task"), Some(task("seen")));
    assert_eq!(read(bench, |txn| txn.task(task_id(1))), Some(task("seen")));
}

fn a_dropped_transaction_leaves_nothing(bench: &mut dyn Bench) {
    write(bench, |txn| {
        txn.put_task(task_id(1), Some(&task("before")))?;
        append(txn, &[create(1), update(1, Some("before"))])?;
        txn.give_number(task_id(1))?;
        txn.put_base_image(task_id(1), None)?;
        txn.set_base_version(version_id(1))?;
        txn.set_meta("key", Some("before"))
    });
    let mut storage = bench.open();
    let mut txn = storage.write().expect("write");
    (|| {
        txn.clear_tasks()?;
        txn.put_task(task_id(2), Some(&task("never")))?;
        txn.mark_synced(OperationId(1), OperationId(2))?;
        txn.append(&create(2), false)?;
        txn.remove_operations(OperationId(1), OperationId(1), true)?;
        txn.set_working_set(&[(7, task_id(2))])?;
        txn.clear_base_images()?;
        txn.set_base_version(version_id(2))?;
        txn.put_applied(&AppliedRow {
            version: version_id(2),
            parent: version_id(1),
            remote: 1,
            hole: false,
            mark: OperationId(3),
            sent: None,
        })?;
        txn.set_in_flight(Some(&InFlightRow {
            remote: 1,
            parent: version_id(1),
            digest: [1; 32],
            count: 1,
            ranges: vec![],
        }))?;
        txn.set_meta("key", None)
    })()
    .expect("writing");
    drop(txn);
    read(bench, |txn| {
        assert_eq!(txn.task(task_id(1))?, Some(task("before")));
        assert_eq!(txn.task_count()?, 1);
        let log = txn.operations_between(OperationId(0), OperationId(99))?;
        assert_eq!(log.len(), 2);
        assert!(log.iter().all(|row| !row.synced));
        assert_eq!(txn.last_operation_id()?, Some(OperationId(2)));
        assert_eq!(txn.working_set()?, [(1, task_id(1))]);
        assert_eq!(txn.number_of(task_id(1))?, Some(1));
        assert_eq!(txn.base_image(task_id(1))?, Some(None));
        assert_eq!(txn.base_version()?, version_id(1));
        assert!(txn.all_applied()?.is_empty());
        assert_eq!(txn.in_flight()?, None);
        assert_eq!(txn.meta("key")?.as_deref(), Some("before"));
        Ok(())
    });
    // The store is usable, also by the same handle.
    storage.write().expect("write").commit().expect("an empty commit");
}

fn reads_see_own_writes(bench: &mut dyn Bench) {
    write(bench, |txn| {
        txn.put_task(task_id(1), Some(&task("one")))?;
        assert_eq!(txn.task(task_id(1))?, Some(task("one")));
        assert_eq!(txn.task_count()?, 1);
        let id = txn.append(&create(1), false)?;
        assert_eq!(txn.pending_mark()?.last, Some(id));
        assert_eq!(txn.last_operation_id()?, Some(id));
        txn.mark_synced(id, id)?;
        assert_eq!(txn.pending_mark()?.first, None);
        txn.set_base_version(version_id(3))?;
        assert_eq!(txn.base_version()?, version_id(3));
        assert_eq!(txn.give_number(task_id(1))?, 1);
        assert_eq!(txn.task_with_number(1)?, Some(task_id(1)));
        Ok(())
    });
}

fn a_reader_keeps_its_state_while_a_writer_commits(bench: &mut dyn Bench) {
    write(bench, |txn| txn.put_task(task_id(1), Some(&task("old"))));
    let mut reading = bench.open();
    let mut reader = reading.read().expect("read");
    // The state is that of `read()`, not that of the first look at it.
    write(bench, |txn| {
        txn.put_task(task_id(1), Some(&task("new")))?;
        txn.put_task(task_id(2), Some(&task("new")))?;
        txn.append(&create(2), false).map(drop)
    });
    assert_eq!(reader.task(task_id(1)).expect("task"), Some(task("old")));
    assert_eq!(reader.task_count().expect("count"), 1);
    assert_eq!(reader.pending_mark().expect("mark").last, None);
    drop(reader);
    assert_eq!(reading.read().expect("read").task_count().expect("count"), 2);
}

fn a_reader_does_not_wait_for_a_writer_nor_see_it(bench: &mut dyn Bench) {
    write(bench, |txn| txn.set_meta("key", Some("old")));
    let mut writing = bench.open();
    let mut writer = writing.write().expect("write");
    writer.set_meta("key", Some("new")).expect("set");
    writer.put_task(task_id(1), Some(&task("new"))).expect("put");
    let mut reading = bench.open();
    let mut reader = reading.read().expect("reading never waits");
    assert_eq!(reader.meta("key").expect("meta").as_deref(), Some("old"));
    writer.commit().expect("commit");
    assert_eq!(reader.meta("key").expect("meta").as_deref(), Some("old"));
    assert_eq!(reader.task_count().expect("count"), 0);
    drop(reader);
    assert_eq!(read(bench, |txn| txn.meta("key")).as_deref(), Some("new"));
}

fn a_second_writer_is_refused_until_the_first_ends(bench: &mut dyn Bench) {
    let (mut one, mut two) = (bench.open(), bench.open());
    let first = one.write().expect("write");
    let second = two.write().map(drop);
    assert!(matches!(second, Err(StorageError::Busy { .. })), "{second:?}");
    drop(first);
    two.write().expect("the first has ended").commit().expect("commit");
}

fn a_reader_cannot_write(bench: &mut dyn Bench) {
    let mut storage = bench.open();
    let mut txn = storage.read().expect("read");
    let refused = txn.put_task(task_id(1), Some(&task("no")));
    assert!(matches!(refused, Err(StorageError::ReadOnly { .. })), "{refused:?}");
    assert!(txn.append(&create(1), false).is_err());
    assert!(txn.set_meta("key", Some("no")).is_err());
    txn.commit().expect("a reader may commit nothing");
    assert_eq!(read(bench, |txn| txn.task_count()), 0);
}
