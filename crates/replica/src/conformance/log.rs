//! The log of operations.

use tandem_tasks::LocalOperation::UndoPoint;

use super::Bench;
use super::samples::{append, create, delete, pending, read, task_id, update, write};
use crate::storage::{LoggedOperation, OperationId, PendingMark};

pub(super) const TESTS: &[fn(&mut dyn Bench)] = &[
    every_kind_of_operation_comes_back,
    operations_are_found_by_task_and_by_range,
    ids_are_never_given_twice,
    marking_takes_pending_ones_in_the_range_only,
    removing_takes_one_state_in_the_range_only,
    an_operation_is_replaced_in_its_place,
];

fn ids(rows: &[LoggedOperation]) -> Vec<i64> {
    rows.iter().map(|row| row.id.0).collect()
}

fn every_kind_of_operation_comes_back(bench: &mut dyn Bench) {
    let operations = [
        UndoPoint,
        create(1),
        update(1, Some("v \"\\\u{1f9e1}\u{0}\n")),
        update(1, None),
        delete(1),
    ];
    write(bench, |txn| append(txn, &operations));
    read(bench, |txn| {
        let found = pending(txn)?;
        assert!(found.is_sorted_by(|one, two| one.0 < two.0));
        assert!(found.iter().map(|row| &row.1).eq(&operations));
        let last = found.last().map(|row| row.0);
        let first = found.first().map(|row| row.0);
        assert_eq!(txn.pending_mark()?, PendingMark { first, last });
        assert_eq!(txn.last_operation_id()?, last);
        Ok(())
    });
}

fn operations_are_found_by_task_and_by_range(bench: &mut dyn Bench) {
    write(bench, |txn| {
        txn.append(&create(1), true)?;
        append(txn, &[UndoPoint, create(2), update(1, Some("a")), update(2, None), delete(1)])
    });
    read(bench, |txn| {
        let of_task = txn.operations_of(task_id(1))?;
        assert_eq!(ids(&of_task), [1, 4, 6]);
        assert_eq!(
            of_task[0],
            LoggedOperation { id: OperationId(1), operation: create(1), synced: true }
        );
        assert!(!of_task[1].synced);
        let pending_of = txn.pending_of(task_id(1))?;
        assert_eq!(
            pending_of,
            [(OperationId(4), update(1, Some("a"))), (OperationId(6), delete(1))]
        );
        assert!(txn.pending_of(task_id(9))?.is_empty());
        let between = txn.operations_between(OperationId(1), OperationId(3))?;
        assert_eq!(ids(&between), [1, 2, 3]);
        assert_eq!(between[1].operation, UndoPoint);
        assert!(txn.operations_between(OperationId(3), OperationId(2))?.is_empty());
        assert!(txn.pending_mark()?.last.is_some());
        Ok(())
    });
}

fn ids_are_never_given_twice(bench: &mut dyn Bench) {
    let given = write(bench, |txn| append(txn, &[create(1), create(2), create(3)]));
    let last = given[2];
    write(bench, |txn| txn.remove_operations(given[1], last, false));
    assert_eq!(read(bench, |txn| txn.last_operation_id()), Some(last));
    let next = write(bench, |txn| txn.append(&create(4), false));
    assert!(next > last);
    write(bench, |txn| txn.remove_operations(OperationId(0), next, false));
    read(bench, |txn| {
        assert_eq!(txn.pending_mark()?, PendingMark::default());
        assert_eq!(txn.last_operation_id()?, Some(next));
        Ok(())
    });
    assert!(write(bench, |txn| txn.append(&create(5), false)) > next);
}

fn marking_takes_pending_ones_in_the_range_only(bench: &mut dyn Bench) {
    write(bench, |txn| {
        append(txn, &[UndoPoint, create(1), UndoPoint, create(2)])?;
        txn.append(&UndoPoint, true)?;
        append(txn, &[UndoPoint, create(3), UndoPoint])?;
        // Nothing in it.
        txn.mark_synced(OperationId(4), OperationId(3))?;
        txn.mark_synced(OperationId(2), OperationId(6))
    });
    read(bench, |txn| {
        let log = txn.operations_between(OperationId(1), OperationId(99))?;
        let states: Vec<_> = log.iter().map(|row| (row.id.0, row.synced)).collect();
        assert_eq!(
            states,
            [(1, false), (2, true), (4, true), (5, true), (7, false), (8, false)],
            "pending undo points in the range went, one that was synced before stayed"
        );
        assert_eq!(
            txn.pending_mark()?,
            PendingMark { first: Some(OperationId(1)), last: Some(OperationId(8)) }
        );
        Ok(())
    });
    // Again: nothing is left to do.
    write(bench, |txn| txn.mark_synced(OperationId(2), OperationId(6)));
    write(bench, |txn| txn.mark_synced(OperationId(0), OperationId(i64::MAX)));
    read(bench, |txn| {
        assert_eq!(txn.pending_mark()?, PendingMark::default());
        assert_eq!(ids(&txn.operations_between(OperationId(1), OperationId(99))?), [2, 4, 5, 7]);
        Ok(())
    });
}

fn removing_takes_one_state_in_the_range_only(bench: &mut dyn Bench) {
    write(bench, |txn| {
        append(txn, &[create(1), create(2), create(3), create(4)])?;
        txn.mark_synced(OperationId(2), OperationId(3))?;
        assert_eq!(txn.remove_operations(OperationId(1), OperationId(2), true)?, 1);
        assert_eq!(txn.remove_operations(OperationId(3), OperationId(9), false)?, 1);
        assert_eq!(txn.remove_operations(OperationId(9), OperationId(1), false)?, 0);
        assert_eq!(ids(&txn.operations_between(OperationId(0), OperationId(9))?), [1, 3]);
        Ok(())
    });
}

fn an_operation_is_replaced_in_its_place(bench: &mut dyn Bench) {
    write(bench, |txn| {
        append(txn, &[create(1), update(1, Some("a")), create(2)])?;
        txn.mark_synced(OperationId(1), OperationId(1))?;
        txn.replace_operation(OperationId(2), &update(3, Some("b")))?;
        txn.replace_operation(OperationId(1), &delete(1))
    });
    read(bench, |txn| {
        let log = txn.operations_between(OperationId(1), OperationId(2))?;
        assert_eq!((&log[0].operation, log[0].synced), (&delete(1), true));
        assert_eq!((&log[1].operation, log[1].synced), (&update(3, Some("b")), false));
        assert_eq!(ids(&txn.operations_of(task_id(3))?), [2], "it is found by its new task");
        Ok(())
    });
    let mut storage = bench.open();
    let mut txn = storage.write().expect("write");
    assert!(txn.replace_operation(OperationId(99), &create(1)).is_err());
}
