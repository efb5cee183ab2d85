//! The keys of a task that hold its sets: `tag_<name>`, `annotation_<second>`, `dep_<uuid>`.
//!
//! One key per member is what makes edits on two devices merge; their values are ignored except
//! for annotations (`protocols/taskchampion.md` section 1). Keys that do not hold what their
//! prefix says are skipped here, and kept and shown as they are elsewhere.

use std::ops::Bound;

use tandem_core::TaskId;
use tandem_tasks::Task;

/// Whatever follows `tag_`, in alphabetical order, well-formed or not
/// ([`crate::tag::user_tags`] gives the well-formed ones).
pub fn stored_tags(task: &Task) -> impl Iterator<Item = &str> {
    with_prefix(task, "tag_").map(|(tag, _)| tag)
}

/// The annotations: seconds since the epoch and text, in the order of the keys' text.
pub fn annotations(task: &Task) -> impl Iterator<Item = (i64, &str)> {
    with_prefix(task, "annotation_").filter_map(|(second, text)| Some((second.parse().ok()?, text)))
}

/// The tasks that a task depends on, in the order of the keys' text.
pub fn dependencies(task: &Task) -> impl Iterator<Item = TaskId> {
    with_prefix(task, "dep_").filter_map(|(id, _)| id.parse().ok())
}

/// The rest of each key that begins with `prefix`, with its value.
fn with_prefix<'a>(
    task: &'a Task,
    prefix: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    task.properties
        .range::<str, _>(from)
        .map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{id, task};

    #[test]
    fn keys_that_hold_something_else_are_skipped() {
        let upper = format!("dep_{}", id(2).to_string().to_uppercase());
        let task = task(&[
            ("annotation_5", "five"),
            ("annotation_x", "odd"),
            ("annotations", "odd"),
            (&upper, ""),
            ("dep_y", ""),
            ("tag_", ""),
            ("tag_a", "x"),
            ("tags", "a"),
        ]);
        assert_eq!(annotations(&task).collect::<Vec<_>>(), [(5, "five")]);
        assert_eq!(dependencies(&task).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(stored_tags(&task).collect::<Vec<_>>(), ["", "a"]);
    }
}
