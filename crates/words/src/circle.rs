//! Circles of dependencies: tasks that wait for each other, so that none could ever begin.
//!
//! A merge of two devices can still close one; nothing here follows one twice.

use std::collections::BTreeSet;

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
}
