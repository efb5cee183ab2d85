//! Circles of dependencies: tasks that wait for each other, so that none could ever begin.
//!
//! A merge of two devices can still close one; nothing here follows one twice.

use std::collections::{BTreeMap, BTreeSet};

use tandem_core::TaskId;

/// True if `from` depends on `to`, itself or through others. A task leads to itself.
///
/// `dependencies` gives what a task depends on, and is asked once for each task on the way.
///
/// # Errors
/// What `dependencies` answers.
pub fn leads_to<E>(
    from: TaskId,
    to: TaskId,
    mut dependencies: impl FnMut(TaskId) -> Result<Vec<TaskId>, E>,
) -> Result<bool, E> {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(task) = open.pop() {
        if task == to {
            return Ok(true);
        }
        open.extend(dependencies(task)?.into_iter().filter(|next| seen.insert(*next)));
    }
    Ok(false)
}

/// All circles among these tasks: each a list of tasks that wait for one another, smallest id first.
///
/// `dependencies` says what each task waits for; what is not a key of it waits for nothing. Linear in
/// tasks and dependencies.
pub fn circles(dependencies: &BTreeMap<TaskId, Vec<TaskId>>) -> Vec<Vec<TaskId>> {
    let mut reversed: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
    for (from, to) in
        dependencies.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to)))
    {
        reversed.entry(*to).or_default().push(*from);
    }
    // Kosaraju: walked backwards in the order in which a first walk left them, what is reached
    // together waits for one another. No recursion: a chain may be as long as a list.
    let mut left = Vec::with_capacity(dependencies.len());
    let mut seen = BTreeSet::new();
    for start in dependencies.keys() {
        let mut open = vec![(*start, false)];
        while let Some((task, is_left)) = open.pop() {
            if is_left {
                left.push(task);
            } else if seen.insert(task) {
                open.push((task, true));
                let next = dependencies.get(&task).into_iter().flatten();
                open.extend(next.filter(|next| !seen.contains(next)).map(|next| (*next, false)));
            }
        }
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for start in left.into_iter().rev() {
        let mut group = Vec::new();
        let mut open = vec![start];
        while let Some(task) = open.pop() {
            if seen.insert(task) {
                group.push(task);
                open.extend(reversed.get(&task).into_iter().flatten());
            }
        }
        let waits_for_itself =
            |task: &TaskId| dependencies.get(task).is_some_and(|all| all.contains(task));
        if group.len() > 1 || group.iter().any(waits_for_itself) {
            group.sort_unstable();
            found.push(group);
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::testing::id;

    #[test]
    fn a_way_through_others_is_found_and_an_old_circle_ends() {
        // 1 → 2 → 3 → 2, 1 → 4.
        let dependencies = |task: TaskId| -> Result<Vec<TaskId>, Infallible> {
            Ok([(1, 2), (2, 3), (3, 2), (1, 4)]
                .into_iter()
                .filter(|(from, _)| id(*from) == task)
                .map(|(_, to)| id(to))
                .collect())
        };
        for (from, to, expected) in
            [(1, 3, true), (1, 4, true), (2, 2, true), (2, 1, false), (3, 4, false), (4, 1, false)]
        {
            assert_eq!(leads_to(id(from), id(to), dependencies), Ok(expected), "{from} {to}");
        }
    }

    #[test]
    fn circles_are_told_apart_from_what_leads_to_them() {
        let found = |pairs: &[(u8, u8)]| {
            let mut map: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
            for (from, to) in pairs {
                map.entry(id(*from)).or_default().push(id(*to));
            }
            circles(&map)
        };
        for (pairs, expected) in [
            (&[][..], vec![]),
            (&[(1, 2), (2, 3), (1, 3)], vec![]),
            (&[(1, 2), (2, 3), (3, 2), (1, 4)], vec![vec![id(2), id(3)]]),
            (&[(5, 5), (1, 5)], vec![vec![id(5)]]),
            (
                &[(3, 1), (1, 2), (2, 3), (2, 4), (4, 5), (5, 4)],
                vec![vec![id(1), id(2), id(3)], vec![id(4), id(5)]],
            ),
        ] {
            assert_eq!(found(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_chain_as_long_as_a_list_ends() {
        let task = |n: u128| TaskId::from_bytes(n.to_be_bytes());
        let chain: BTreeMap<TaskId, Vec<TaskId>> =
            (0..100_000).map(|n| (task(n), vec![task(n + 1)])).collect();
        assert!(circles(&chain).is_empty());
    }
}
