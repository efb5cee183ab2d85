//! Rebasing the whole pending list, by properties.

use crate::common::{apply, history, operation, pending, state};
use proptest::collection::vec;
use proptest::prelude::*;
use tandem_tasks::segment::{self, SegmentWriter};
use tandem_tasks::transform::{Meeting, transform};
use tandem_tasks::{Operation, OperationId, Pending, PendingList};

/// The walk of section 5 as it stands there, pair by pair: what is left of `server` and which
/// meetings consumed something.
fn walk(
    server: &Operation,
    items: &mut Vec<Pending>,
    met: &mut Vec<(Meeting, OperationId)>,
) -> bool {
    let mut at = 0;
    while at < items.len() {
        let meeting = transform(server, &items[at].operation);
        if meeting != Meeting::Apart {
            met.push((meeting, items[at].id));
        }
        if meeting.local_survives() {
            at += 1;
        } else {
            items.remove(at);
        }
        if !meeting.server_survives() {
            return false;
        }
    }
    true
}

fn left(list: &PendingList) -> Vec<Operation> {
    list.iter().map(|item| item.operation.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_indexed_meeting_equals_the_naive_walk(
        server in vec(operation(2), 0..12), local in vec(operation(2), 0..12),
    ) {
        let mut items = pending(&local, &[]);
        let mut list = PendingList::new(items.clone());
        for operation in &server {
            let mut expected = Vec::new();
            let survives = walk(operation, &mut items, &mut expected);
            let mut met = Vec::new();
            let survived = list.meet(operation, &mut |meeting, item| met.push((meeting, item.id)));
            prop_assert_eq!(survived, survives);
            prop_assert_eq!(met, expected);
            prop_assert_eq!(list.iter().cloned().collect::<Vec<_>>(), items.clone());
            prop_assert_eq!(list.len(), items.len());
        }
    }

    /// What the replica does (raw operations on the base, then what is left of ours) gives the
    /// same as what the reference does (transformed operations on the state).
    #[test]
    fn our_mechanism_equals_transformed_operations_applied(
        base in state(2), server in vec(operation(2), 0..10), local in vec(operation(2), 0..10),
    ) {
        let server = history(&base, server);
        let local = history(&base, local);
        let mut list = PendingList::new(pending(&local, &[]));
        let mut theirs = base.clone();
        apply(&mut theirs, &local);
        for operation in &server {
            if list.meet(operation, &mut |_, _| {}) {
                operation.apply_to_set(&mut theirs);
            }
        }
        let mut ours = base;
        apply(&mut ours, &server);
        apply(&mut ours, &left(&list));
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_history_against_itself_leaves_nothing(
        base in state(2), both in vec(operation(2), 0..12),
    ) {
        let both = history(&base, both);
        let mut list = PendingList::new(pending(&both, &[]));
        for operation in &both {
            prop_assert!(!list.meet(operation, &mut |_, _| {}), "S is used up");
        }
        prop_assert!(list.is_empty());
    }

    /// Two replicas that push one after the other end equal, whoever is first.
    #[test]
    fn two_replicas_end_equal(
        base in state(2), first in vec(operation(2), 0..8), second in vec(operation(2), 0..8),
    ) {
        let first = history(&base, first);
        let second = history(&base, second);
        let mut list = PendingList::new(pending(&second, &[]));
        let mut state = base.clone();
        apply(&mut state, &second);
        for operation in &first {
            if list.meet(operation, &mut |_, _| {}) {
                operation.apply_to_set(&mut state);
            }
        }
        let mut chain = base;
        apply(&mut chain, first.iter());
        apply(&mut chain, &left(&list));
        prop_assert_eq!(chain, state);
    }

    /// Whatever the limit, cutting until nothing is left gives every operation once, in order, and
    /// each segment keeps the rules.
    #[test]
    fn cuts_of_any_size_make_up_the_list(
        server in vec(operation(2), 0..4),
        local in vec(operation(3), 0..14),
        starts in vec(any::<bool>(), 14),
        bytes_max in 1..1_200usize,
    ) {
        let items = pending(&local, &starts);
        let mut list = PendingList::new(items.clone());
        for operation in &server {
            list.meet(operation, &mut |_, _| {});
        }
        let expected: Vec<Pending> = list.iter().cloned().collect();
        let mut cut_off = Vec::new();
        while let Some(cut) = list.cut(bytes_max) {
            let operations = segment::read(&cut.segment).unwrap();
            prop_assert_eq!(operations.len(), cut.count);
            let ids: Vec<OperationId> = list.iter().take(cut.count).map(|item| item.id).collect();
            let in_ranges = |id: &OperationId| cut.ranges.iter().any(|(a, b)| (a..=b).contains(&id));
            prop_assert!(ids.iter().all(in_ranges));
            let others = list.iter().skip(cut.count).map(|item| item.id);
            prop_assert!(others.into_iter().all(|id| !in_ranges(&id)), "ranges hold nothing else");
            prop_assert!(list.begins_with(&cut.ranges, cut.count));
            let mut writer = SegmentWriter::default();
            let sizes: Vec<usize> = operations.iter().map(|one| writer.push(one)).collect();
            let fits = sizes.last().is_none_or(|bytes| *bytes <= bytes_max);
            prop_assert!(fits || cut.count == 1, "only a single operation may be larger");
            if let Some(next) = list.iter().nth(cut.count)
                && !next.starts_command
            {
                // Cut inside a command: then the segment holds nothing but that command.
                let starts = list.iter().take(cut.count).skip(1).any(|item| item.starts_command);
                prop_assert!(!starts, "a boundary between commands came first");
            }
            cut_off.extend(operations);
            list.accept(cut.count);
        }
        prop_assert!(list.is_empty());
        let expected: Vec<Operation> = expected.into_iter().map(|item| item.operation).collect();
        prop_assert_eq!(cut_off, expected);
    }

    /// Straddling tasks are at least those that have operations on both sides of the cut.
    #[test]
    fn straddling_names_every_task_with_operations_on_both_sides(
        local in vec(operation(3), 1..12), count in 1..12usize,
    ) {
        let mut list = PendingList::new(pending(&local, &[]));
        let named = list.straddling(count);
        let count = count.min(local.len());
        for one in &local[..count] {
            if local[count..].iter().any(|later| later.task() == one.task()) {
                prop_assert!(named.contains(&one.task()));
            }
        }
    }
}
