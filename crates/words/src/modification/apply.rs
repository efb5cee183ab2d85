//! From wishes to property changes.
//!
//! The changes are made on a copy, which is then compared with the original: whatever the wishes
//! were, only real differences become operations, and a repeated command makes none.

use tandem_core::TaskId;
use tandem_tasks::{Status, Task, Text};

use super::{Change, Modification, PropertyChange};
use crate::error::Resolve;
use crate::filter::resolve_ids;
use crate::keys::{annotations, dependencies, stored_tags};
use crate::{Context, WordsError};

/// The value of a `tag_` or `dep_` key, which readers ignore. Taskwarrior's, so that an edit there
/// is no change here.
const PRESENT: &str = "x";

pub(super) fn apply(
    modification: &Modification,
    task: Option<&Task>,
    context: &Context,
    resolve: &Resolve<'_>,
) -> Result<Vec<PropertyChange>, WordsError> {
    let now = context.now().seconds().to_string();
    let mut after = task.cloned().unwrap_or_default();
    if task.is_none() {
        if modification.description.is_none() {
            return Err(WordsError::NoDescription);
        }
        after.set("entry", Some(&now));
        after.set("status", Some(Status::Pending.as_str()));
    }
    if let Some(description) = &modification.description {
        after.set("description", Some(description));
    }
    for change in &modification.changes {
        make(change, &mut after, context, resolve)?;
    }
    if modification.changes.iter().any(is_about_recurrence) {
        settle_recurrence(&mut after)?;
    }
    let nothing = Task::default();
    let before = task.unwrap_or(&nothing);
    if after == *before {
        return Ok(Vec::new());
    }
    // As Taskwarrior does on its every edit: what a merge left stale is put right by the next one.
    rewrite_list(&mut after, "tags");
    rewrite_list(&mut after, "depends");
    let mut changes = difference(before, &after);
    let explicit = changes.iter().position(|(property, _)| property == "modified");
    let modified = explicit.map(|at| changes.remove(at));
    changes.push(modified.unwrap_or_else(|| (Text::const_new("modified"), Some(now.into()))));
    Ok(changes)
}

fn make(
    change: &Change,
    task: &mut Task,
    context: &Context,
    resolve: &Resolve<'_>,
) -> Result<(), WordsError> {
    let now = context.now().seconds();
    match change {
        Change::Set(property, value) => task.set(property, value.as_deref()),
        Change::AddTag(tag) => {
            let key = format!("tag_{tag}");
            // The value of a key that is there is nobody's business (section 1).
            if task.get(&key).is_none() {
                task.set(&key, Some(PRESENT));
            }
        }
        Change::RemoveTag(tag) => task.set(&format!("tag_{tag}"), None),
        Change::SetTags(tags) => {
            task.properties.retain(|key, _| {
                key.strip_prefix("tag_").is_none_or(|tag| tags.iter().any(|kept| kept == tag))
            });
            for tag in tags {
                make(&Change::AddTag(tag.clone()), task, context, resolve)?;
            }
        }
        Change::AddDependencies(ids) => {
            for id in resolve_ids(ids, ids, resolve)? {
                if !dependencies(task).any(|found| found == id) {
                    task.set(&format!("dep_{id}"), Some(PRESENT));
                }
            }
        }
        Change::RemoveDependencies(ids) => {
            for id in resolve_ids(ids, ids, resolve)? {
                let is_it = |key: &Text| {
                    let text = key.strip_prefix("dep_");
                    text.is_some_and(|text| text.parse::<TaskId>().is_ok_and(|found| found == id))
                };
                task.properties.retain(|key, _| !is_it(key));
            }
        }
        Change::ClearDependencies => {
            task.properties.retain(|key, _| !key.starts_with("dep_"));
        }
        Change::Status(status) => {
            // A task without `status` is pending; making it so changes nothing.
            if task.status() != *status {
                task.set("status", Some(status.as_str()));
            }
            if status.is_numbered() {
                task.set("end", None);
            } else if task.get("end").is_none() {
                task.set("end", Some(&now.to_string()));
            }
        }
        Change::Start => {
            // Who begins it again has not ended it.
            if !task.status().is_numbered() && !matches!(task.status(), Status::Unknown(_)) {
                task.set("status", Some(Status::Pending.as_str()));
                task.set("end", None);
                task.set("start", None);
            }
            if task.get("start").is_none() {
                task.set("start", Some(&now.to_string()));
            }
        }
        Change::Stop => task.set("start", None),
        Change::Annotate(text) => {
            let key = |second: i64| format!("annotation_{second}");
            let free = (now..).find(|second| task.get(&key(*second)).is_none());
            task.set(&key(free.unwrap_or(now)), Some(text));
        }
        Change::Denotate(text) => {
            let mut notes: Vec<_> = annotations(task).collect();
            notes.sort_unstable();
            let is_it = notes.iter().find(|(_, note)| *note == text.as_str());
            let found =
                is_it.or_else(|| notes.iter().find(|(_, note)| note.contains(text.as_str())));
            if let Some(second) = found.map(|(second, _)| *second) {
                task.set(&format!("annotation_{second}"), None);
            }
        }
        Change::Append(text) | Change::Prepend(text) => {
            let before = task.get("description").unwrap_or_default();
            let joined = match change {
                Change::Append(_) => format!("{before} {text}"),
                _ => format!("{text} {before}"),
            };
            task.set("description", Some(joined.trim()));
        }
    }
    Ok(())
}

fn is_about_recurrence(change: &Change) -> bool {
    matches!(change, Change::Set(property, _) if matches!(property.as_str(), "recur" | "due"))
}

/// A task that comes again has the status `recurring`: of one that is pending Taskwarrior makes no
/// instances. An instance itself (with a `parent`) stays what it is.
fn settle_recurrence(task: &mut Task) -> Result<(), WordsError> {
    let has = |name: &str| task.get(name).is_some_and(|value| !value.is_empty());
    let status = match (has("recur"), has("parent")) {
        (true, false) if !has("due") => return Err(WordsError::RecurWithoutDue),
        (true, false) if task.status() == Status::Pending => Status::Recurring,
        (false, false) if task.status() == Status::Recurring => Status::Pending,
        _ => return Ok(()),
    };
    task.set("status", Some(status.as_str()));
    Ok(())
}

/// Writes the redundant comma list beside the keys (section 19), or removes it with the last.
fn rewrite_list(task: &mut Task, list: &str) {
    let names: Vec<String> = if list == "tags" {
        // A name that would break the list apart has no place in it.
        let fits = |tag: &&str| !tag.is_empty() && !tag.contains(',');
        stored_tags(task).filter(fits).map(str::to_owned).collect()
    } else {
        dependencies(task).map(|id| id.to_string()).collect()
    };
    let text = names.join(",");
    task.set(list, Some(text.as_str()).filter(|text| !text.is_empty()));
}

/// What turns `before` into `after`, ordered by name.
fn difference(before: &Task, after: &Task) -> Vec<PropertyChange> {
    let removed = before.properties.keys().filter(|key| !after.properties.contains_key(*key));
    let set =
        after.properties.iter().filter(|(key, value)| before.get(key) != Some(value.as_str()));
    let mut changes: Vec<PropertyChange> = removed
        .map(|key| (key.clone(), None))
        .chain(set.map(|(key, value)| (key.clone(), Some(value.clone()))))
        .collect();
    changes.sort_unstable();
    changes
}
