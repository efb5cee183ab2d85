//! Steps, what is in flight, applied versions, remotes, conflicts and named values.

use tandem_core::limits::APPLIED_VERSIONS_MAX;
use tandem_core::{Timestamp, VersionId};

use super::Bench;
use super::samples::{read, task, task_id, version_id, write};
use crate::storage::{
    AppliedRow, ConflictRow, InFlightRow, OperationId, Origin, RemoteRow, StepRow,
};

pub(super) const TESTS: &[fn(&mut dyn Bench)] = &[
    steps_are_numbered_and_found,
    a_removed_step_is_gone_and_its_number_too,
    one_segment_is_in_flight,
    applied_versions_are_remembered_in_order,
    the_oldest_applied_versions_are_forgotten,
    remotes_are_found_by_number_and_key,
    conflicts_are_kept_until_resolved,
    named_values_are_set_and_removed,
];

fn step(first: i64, last: i64, origin: Origin) -> StepRow {
    StepRow {
        id: 0,
        first: OperationId(first),
        last: OperationId(last),
        at: Timestamp::new(1_700_000_000, 5),
        origin,
        undone: false,
    }
}

fn steps_are_numbered_and_found(bench: &mut dyn Bench) {
    let rows = [
        step(1, 3, Origin::Command("done \u{e9}".into())),
        step(4, 4, Origin::Version(version_id(1))),
        step(8, 10, Origin::Foreign),
    ];
    let numbers: Vec<i64> = write(bench, |txn| rows.iter().map(|row| txn.put_step(row)).collect());
    assert!(numbers.is_sorted_by(|one, two| one < two) && numbers[0] > 0);
    let row = |n: usize| StepRow { id: numbers[n], ..rows[n].clone() };
    read(bench, |txn| {
        assert_eq!(txn.step_count()?, 3);
        assert_eq!(txn.steps(None, 99)?, [row(2), row(1), row(0)]);
        assert_eq!(txn.steps(None, 2)?, [row(2), row(1)]);
        assert_eq!(txn.steps(Some(numbers[2]), 1)?, [row(1)]);
        assert_eq!(txn.steps(Some(numbers[0]), 9)?, []);
        assert_eq!(txn.oldest_steps(2)?, [row(0), row(1)]);
        for (operation, expected) in [
            (0, None),
            (1, Some(0)),
            (3, Some(0)),
            (4, Some(1)),
            (5, None),
            (9, Some(2)),
            (11, None),
        ] {
            assert_eq!(txn.step_of(OperationId(operation))?, expected.map(row), "{operation}");
        }
        Ok(())
    });
    let undone = StepRow { undone: true, ..row(1) };
    assert_eq!(write(bench, |txn| txn.put_step(&undone)), numbers[1]);
    assert_eq!(read(bench, |txn| txn.step_of(OperationId(4))), Some(undone));
    assert_eq!(read(bench, |txn| txn.step_count()), 3);
}

fn a_removed_step_is_gone_and_its_number_too(bench: &mut dyn Bench) {
    let row = step(1, 1, Origin::Foreign);
    let number = write(bench, |txn| txn.put_step(&row));
    write(bench, |txn| txn.remove_step(number));
    assert_eq!(read(bench, |txn| txn.step_count()), 0);
    assert!(write(bench, |txn| txn.put_step(&row)) > number);
}

fn one_segment_is_in_flight(bench: &mut dyn Bench) {
    let row = InFlightRow {
        remote: 3,
        parent: VersionId::NIL,
        digest: std::array::from_fn(|n| u8::try_from(n * 8).unwrap_or(0)),
        count: 6,
        ranges: vec![(OperationId(1), OperationId(5)), (OperationId(9), OperationId(9))],
    };
    let later =
        InFlightRow { remote: 4, parent: version_id(1), digest: [0; 32], count: 0, ranges: vec![] };
    for set in [Some(&row), Some(&later), None, None] {
        write(bench, |txn| txn.set_in_flight(set));
        assert_eq!(read(bench, |txn| txn.in_flight()).as_ref(), set);
    }
}

fn applied(n: u64) -> AppliedRow {
    AppliedRow {
        version: version_id(n),
        parent: version_id(n - 1),
        remote: 2,
        hole: n.is_multiple_of(2),
        mark: OperationId(n.cast_signed() * 10),
        sent: (!n.is_multiple_of(3)).then_some(Timestamp::new(1_700_000_000, 5)),
    }
}

fn applied_versions_are_remembered_in_order(bench: &mut dyn Bench) {
    write(bench, |txn| {
        // The ids do not decide the order.
        [5, 3, 9].iter().try_for_each(|&n| txn.put_applied(&applied(n)))
    });
    read(bench, |txn| {
        assert_eq!(txn.all_applied()?, [applied(5), applied(3), applied(9)]);
        assert_eq!(txn.applied(version_id(3))?, Some(applied(3)));
        assert_eq!(txn.applied(version_id(4))?, None);
        Ok(())
    });
    let again = AppliedRow { remote: 7, ..applied(5) };
    write(bench, |txn| {
        txn.remove_applied(version_id(3))?;
        txn.remove_applied(version_id(4))?;
        txn.put_applied(&again)
    });
    assert_eq!(read(bench, |txn| txn.all_applied()), [applied(9), again]);
}

fn the_oldest_applied_versions_are_forgotten(bench: &mut dyn Bench) {
    write(bench, |txn| (1..=APPLIED_VERSIONS_MAX).try_for_each(|n| txn.put_applied(&applied(n))));
    let more = APPLIED_VERSIONS_MAX + 3;
    write(bench, |txn| {
        // A hole in the numbering must not cost a version.
        txn.remove_applied(version_id(7))?;
        (APPLIED_VERSIONS_MAX + 1..=more).try_for_each(|n| txn.put_applied(&applied(n)))
    });
    read(bench, |txn| {
        let all = txn.all_applied()?;
        assert_eq!(all.len() as u64, APPLIED_VERSIONS_MAX);
        assert_eq!(all[0], applied(3));
        assert_eq!(all.last(), Some(&applied(more)));
        assert_eq!(txn.applied(version_id(2))?, None);
        assert_eq!(txn.applied(version_id(3))?, Some(applied(3)));
        Ok(())
    });
}

fn remotes_are_found_by_number_and_key(bench: &mut dyn Bench) {
    let row = RemoteRow {
        id: 0,
        key: "https://example.org#\u{e9}".into(),
        label: "example.org".into(),
        last_base: VersionId::NIL,
        answered: false,
        needs_new_history: true,
        joining: false,
        proof: None,
        wanted_snapshot: None,
    };
    let other = RemoteRow {
        key: "directory".into(),
        last_base: version_id(1),
        answered: true,
        needs_new_history: false,
        joining: true,
        proof: Some(vec![0, 255]),
        wanted_snapshot: Some(version_id(2)),
        ..row.clone()
    };
    let one = write(bench, |txn| txn.put_remote(&row));
    let two = write(bench, |txn| txn.put_remote(&other));
    assert!(0 < one && one < two);
    let (row, other) = (RemoteRow { id: one, ..row }, RemoteRow { id: two, ..other });
    read(bench, |txn| {
        assert_eq!(txn.remote(one)?.as_ref(), Some(&row));
        assert_eq!(txn.remote(two)?.as_ref(), Some(&other));
        assert_eq!(txn.remote(two + 1)?, None);
        assert_eq!(txn.remote_by_key("directory")?.as_ref(), Some(&other));
        assert_eq!(txn.remote_by_key("elsewhere")?, None);
        assert_eq!(txn.remotes()?, [row.clone(), other.clone()]);
        Ok(())
    });
    let changed = RemoteRow { answered: true, key: "moved".into(), ..row };
    assert_eq!(write(bench, |txn| txn.put_remote(&changed)), one);
    assert_eq!(read(bench, |txn| txn.remotes()), [changed.clone(), other.clone()]);
    let mut storage = bench.open();
    let mut txn = storage.write().expect("write");
    assert!(txn.put_remote(&RemoteRow { id: 0, ..other }).is_err(), "a key is unique");
}

fn conflicts_are_kept_until_resolved(bench: &mut dyn Bench) {
    let row = ConflictRow {
        id: 0,
        at: Timestamp::new(-5, 7),
        task: task_id(1),
        property: Some("due".into()),
        base: Some("1".into()),
        kept: Some("2".into()),
        lost: None,
        lost_here: true,
        lost_task: None,
        description: "say \"h\u{e9}\"".into(),
        resolved: false,
    };
    let whole = ConflictRow {
        property: None,
        base: None,
        kept: None,
        lost: Some(String::new().into()),
        lost_here: false,
        lost_task: Some(task("lost")),
        ..row.clone()
    };
    let one = write(bench, |txn| txn.put_conflict(&row));
    let two = write(bench, |txn| txn.put_conflict(&whole));
    let (row, whole) = (ConflictRow { id: one, ..row }, ConflictRow { id: two, ..whole });
    assert_eq!(read(bench, |txn| txn.conflicts(false)), [row.clone(), whole.clone()]);
    assert_eq!(read(bench, |txn| txn.conflict(two)), Some(whole.clone()));
    assert_eq!(read(bench, |txn| txn.conflict(two + 1)), None);
    let row = ConflictRow { resolved: true, ..row };
    assert_eq!(write(bench, |txn| txn.put_conflict(&row)), one);
    assert_eq!(read(bench, |txn| txn.conflicts(false)), std::slice::from_ref(&whole));
    assert_eq!(read(bench, |txn| txn.conflicts(true)), [row, whole]);
}

fn named_values_are_set_and_removed(bench: &mut dyn Bench) {
    for value in [Some("one"), Some(""), Some("12"), None, None] {
        write(bench, |txn| txn.set_meta("key", value));
        assert_eq!(read(bench, |txn| txn.meta("key")).as_deref(), value);
    }
    write(bench, |txn| txn.set_meta("other", Some("kept")));
    assert_eq!(read(bench, |txn| txn.meta("key")), None);
}
