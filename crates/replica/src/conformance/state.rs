//! Tasks, base version, base images and the working set.

use tandem_core::{TaskId, VersionId};

use super::Bench;
use super::samples::{read, task, task_id, version_id, write};
use crate::storage::StorageError;

pub(super) const TESTS: &[fn(&mut dyn Bench)] = &[
    tasks_are_stored_replaced_and_removed,
    tasks_are_found_by_prefix,
    a_visitor_can_stop,
    the_base_version_is_kept,
    base_images_have_three_states,
    numbers_follow_the_last_one_in_use,
    the_working_set_is_replaced_whole,
    numbered_tasks_are_visited_in_order,
];

fn tasks_are_stored_replaced_and_removed(bench: &mut dyn Bench) {
    write(bench, |txn| {
        for n in 1..=3 {
            txn.put_task(task_id(n), Some(&task("first")))?;
        }
        txn.put_task(task_id(2), Some(&task("second")))?;
        txn.put_task(task_id(3), Some(&Default::default()))?;
        txn.put_task(task_id(1), None)?;
        // Not there: nothing to do.
        txn.put_task(task_id(9), None)
    });
    let mut seen = Vec::new();
    read(bench, |txn| {
        txn.each_task(&mut |id, task| {
            seen.push((id, task));
            Ok(())
        })
    });
    seen.sort_by_key(|row| row.0);
    // An empty task is a task.
    assert_eq!(seen, [(task_id(2), task("second")), (task_id(3), Default::default())]);
    write(bench, |txn| txn.clear_tasks());
    assert_eq!(read(bench, |txn| txn.task_count()), 0);
}

fn tasks_are_found_by_prefix(bench: &mut dyn Bench) {
    // Prefixes that look like numbers are the trap: SQLite would compare them as such.
    let ids = [
        "12345678-1111-4111-8111-111111111111",
        "12345678-1234-4111-8111-111111111111",
        "1234567a-1111-4111-8111-111111111111",
        "1e500000-1111-4111-8111-111111111111",
        "00000000-1111-4111-8111-111111111111",
        "ffffffff-ffff-4fff-bfff-ffffffffffff",
    ];
    let id = |text: &str| text.parse::<TaskId>().expect("an id");
    write(bench, |txn| ids.iter().try_for_each(|text| txn.put_task(id(text), Some(&task(text)))));
    let mut find = |prefix: &str, max| {
        let mut found = read(bench, |txn| txn.task_ids_with_prefix(prefix, max));
        found.sort();
        found
    };
    assert_eq!(find("12345678", 9), [id(ids[0]), id(ids[1])]);
    assert_eq!(find("1234567", 9), [id(ids[0]), id(ids[1]), id(ids[2])]);
    assert_eq!(find("12345678-", 9), [id(ids[0]), id(ids[1])]);
    assert_eq!(find("12345678-12", 9), [id(ids[1])]);
    assert_eq!(find("1e5", 9), [id(ids[3])]);
    assert_eq!(find("0", 9), [id(ids[4])]);
    assert_eq!(find("f", 9), [id(ids[5])]);
    assert_eq!(find(ids[5], 9), [id(ids[5])]);
    assert_eq!(find("1", 2).len(), 2);
    assert_eq!(find("", 99).len(), ids.len());
    assert_eq!(find("1", 0), []);
    for nothing in [
        "2",
        "123456781",
        "zebra",
        "%",
        "_",
        "1234567\u{e9}",
        "12345678-1111-4111-8111-1111111111112",
    ] {
        assert_eq!(find(nothing, 9), [], "{nothing}");
    }
}

fn a_visitor_can_stop(bench: &mut dyn Bench) {
    write(bench, |txn| (1..=3).try_for_each(|n| txn.put_task(task_id(n), Some(&task("some")))));
    let mut visits = 0;
    let stopped = bench.open().read().expect("read").each_task(&mut |_, _| {
        visits += 1;
        Err(StorageError::NotAReplica { file: "mine".into() })
    });
    assert!(matches!(stopped, Err(StorageError::NotAReplica { file }) if file == "mine"));
    assert_eq!(visits, 1);
}

fn the_base_version_is_kept(bench: &mut dyn Bench) {
    for version in [version_id(1), version_id(2), VersionId::NIL, VersionId::NIL] {
        write(bench, |txn| txn.set_base_version(version));
        assert_eq!(read(bench, |txn| txn.base_version()), version);
    }
}

fn base_images_have_three_states(bench: &mut dyn Bench) {
    write(bench, |txn| {
        txn.put_base_image(task_id(2), Some(&task("was")))?;
        txn.put_base_image(task_id(1), None)?;
        txn.put_base_image(task_id(3), Some(&task("was")))?;
        txn.put_base_image(task_id(3), None)?;
        txn.put_base_image(task_id(4), Some(&task("was")))?;
        txn.remove_base_image(task_id(4))?;
        txn.remove_base_image(task_id(5))
    });
    read(bench, |txn| {
        assert_eq!(txn.base_image(task_id(1))?, Some(None));
        assert_eq!(txn.base_image(task_id(2))?, Some(Some(task("was"))));
        assert_eq!(txn.base_image(task_id(4))?, None);
        let mut all = txn.base_images()?;
        all.sort_by_key(|row| row.0);
        assert_eq!(all, [(task_id(1), None), (task_id(2), Some(task("was"))), (task_id(3), None)]);
        Ok(())
    });
    write(bench, |txn| txn.clear_base_images());
    assert_eq!(read(bench, |txn| txn.base_images()), []);
}

fn numbers_follow_the_last_one_in_use(bench: &mut dyn Bench) {
    write(bench, |txn| {
        for n in 1..=4 {
            assert_eq!(txn.give_number(task_id(n))?, u32::from(n));
        }
        assert_eq!(txn.give_number(task_id(2))?, 2, "a task keeps its number");
        txn.take_number(task_id(2))?;
        txn.take_number(task_id(9))?;
        assert_eq!(txn.number_of(task_id(2))?, None);
        assert_eq!(txn.task_with_number(2)?, None);
        assert_eq!(txn.give_number(task_id(2))?, 5, "a hole stays");
        txn.take_number(task_id(2))?;
        assert_eq!(txn.give_number(task_id(6))?, 5, "the last one in use decides");
        Ok(())
    });
    read(bench, |txn| {
        assert_eq!(
            txn.working_set()?,
            [(1, task_id(1)), (3, task_id(3)), (4, task_id(4)), (5, task_id(6))]
        );
        assert_eq!(txn.number_of(task_id(6))?, Some(5));
        assert_eq!(txn.task_with_number(5)?, Some(task_id(6)));
        assert_eq!(txn.task_with_number(6)?, None);
        Ok(())
    });
}

fn the_working_set_is_replaced_whole(bench: &mut dyn Bench) {
    write(bench, |txn| {
        txn.give_number(task_id(1))?;
        txn.set_working_set(&[(7, task_id(2)), (3, task_id(3))])?;
        assert_eq!(txn.number_of(task_id(1))?, None);
        assert_eq!(txn.give_number(task_id(1))?, 8);
        Ok(())
    });
    let members = read(bench, |txn| txn.working_set());
    assert_eq!(members, [(3, task_id(3)), (7, task_id(2)), (8, task_id(1))]);
    write(bench, |txn| txn.set_working_set(&[]));
    assert_eq!(read(bench, |txn| txn.working_set()), []);
    assert_eq!(write(bench, |txn| txn.give_number(task_id(1))), 1);
}

fn numbered_tasks_are_visited_in_order(bench: &mut dyn Bench) {
    write(bench, |txn| {
        (1..=4).try_for_each(|n| txn.put_task(task_id(n), Some(&task(&n.to_string()))))?;
        // Number 5 is of a task that another program has removed: it is passed over.
        txn.set_working_set(&[(9, task_id(1)), (2, task_id(3)), (5, task_id(8)), (4, task_id(2))])
    });
    let mut seen = Vec::new();
    read(bench, |txn| {
        txn.each_numbered(&mut |number, id, task| {
            seen.push((number, id, task));
            Ok(())
        })
    });
    assert_eq!(
        seen,
        [(2, task_id(3), task("3")), (4, task_id(2), task("2")), (9, task_id(1), task("1"))]
    );
}
