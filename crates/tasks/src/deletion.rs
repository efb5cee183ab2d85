//! A task that one side deleted while the other changed it.
//!
//! What a person calls "delete" is an update of `status`. It meets no update of another property, so
//! both survive the transform and nobody loses a value; and yet the change lies in a task that no
//! list shows any more. What lost is what the task was before: still to be done, most often.

use tandem_core::TaskId;

use crate::model::{Status, Task, Text};
use crate::session::Lost;

/// True for properties whose change says that somebody was at work on the task. `modified` and `end`
/// are stamps, `tags` and `depends` repeat what their parts say.
pub fn is_work(property: &str) -> bool {
    !matches!(property, "status" | "modified" | "end" | "tags" | "depends")
}

/// What lost where one side has deleted a task that the other has changed; none where that is not
/// so.
///
/// `before` is the task as both sides knew it and `after` what came of it; `here` and `there` are the
/// properties that each side has changed since. Where both have set the status, the transform has
/// decided between two values of it.
pub fn deleted_and_changed<'a>(
    id: TaskId,
    before: &Task,
    after: &Task,
    here: &[&'a str],
    there: &[&'a str],
) -> Option<Lost> {
    if before.status() == Status::Deleted || after.status() != Status::Deleted {
        return None;
    }
    let sets_status = |properties: &[&str]| properties.contains(&"status");
    let (changed, is_here) = match (sets_status(here), sets_status(there)) {
        (false, true) => (here, true),
        (true, false) => (there, false),
        _ => return None,
    };
    changed.iter().any(|property| is_work(property)).then(|| Lost {
        task: id,
        property: Some(Text::const_new("status")),
        value: before.properties.get("status").cloned(),
        here: is_here,
        at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(status: &str) -> Task {
        Task::from_iter([("description", "buy milk"), ("status", status)])
    }

    /// Each case: the status before and after, what was changed here and there, and whose work is
    /// out of sight.
    #[test]
    fn work_on_a_deleted_task_is_told_once_and_nothing_else_is() {
        let id = TaskId::from_bytes([1; 16]);
        for (before, after, here, there, lost) in [
            ("pending", "deleted", &["description"][..], &["status", "end"][..], Some(true)),
            ("recurring", "deleted", &["tag_home"], &["status"], Some(true)),
            ("completed", "deleted", &["annotation_5"], &["status"], Some(true)),
            ("pending", "deleted", &["status", "end"], &["description"], Some(false)),
            ("pending", "deleted", &["modified", "end", "tags", "depends"], &["status"], None),
            ("pending", "deleted", &["status"], &["modified"], None),
            ("pending", "deleted", &["status", "description"], &["status", "due"], None),
            ("pending", "completed", &["description"], &["status"], None),
            ("pending", "pending", &["description"], &["due"], None),
            ("deleted", "deleted", &["description"], &["status"], None),
        ] {
            let told = deleted_and_changed(id, &task(before), &task(after), here, there);
            let expected = lost.map(|here| Lost {
                task: id,
                property: Some("status".into()),
                value: Some(before.into()),
                here,
                at: None,
            });
            assert_eq!(told, expected, "{before} {after} {here:?} {there:?}");
        }
    }
}
