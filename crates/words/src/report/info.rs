//! All about one task.

use std::collections::BTreeSet;

use tandem_core::TaskId;
use tandem_tasks::{Status, Text};

use super::{short_id, tags};
use crate::attribute::{UdaKind, Vocabulary, is_known};
use crate::dates::{age, countdown, date_time};
use crate::keys::{annotations, dependencies};
use crate::table::Table;
use crate::tag::{Synthetic, check};
use crate::urgency::urgency;
use crate::{Candidate, Context};

/// Another task, as `info` mentions it.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Its id.
    pub id: TaskId,
    /// Its number, if it has one.
    pub number: Option<u32>,
    /// Its description.
    pub description: &'a str,
}

/// The times of a task, with the names by which `info` calls them.
const TIMES: [(&str, &str); 8] = [
    ("entry", "Entered"),
    ("modified", "Last modified"),
    ("start", "Started"),
    ("end", "Ended"),
    ("wait", "Waiting until"),
    ("scheduled", "Scheduled"),
    ("due", "Due"),
    ("until", "Until"),
];

/// A table of names and values: everything that the task holds, known or not, and what is worked
/// out from it. Only the redundant lists `tags` and `depends` are left out.
///
/// `references` are the tasks that this one depends on and that depend on it, as far as the caller
/// knows them; a dependency that is not among them is shown by its uuid.
pub fn info(
    candidate: &Candidate<'_>,
    references: &[Reference<'_>],
    blocks: &[Reference<'_>],
    context: &Context,
    vocabulary: &Vocabulary,
) -> Table {
    let task = candidate.task;
    let mut table = Table::pairs();
    let mut shown: BTreeSet<&str> = BTreeSet::from(["status", "description", "tags", "depends"]);

    table.push(["ID", &candidate.number.map_or("-".to_owned(), |number| number.to_string())]);
    table.push(["Description", task.get("description").unwrap_or_default()]);
    let mut notes: Vec<_> = annotations(task).collect();
    notes.sort_unstable();
    for (second, text) in notes {
        table.push(["Annotation", &format!("{}  {text}", date_time(second, context))]);
    }
    let status = match task.status() {
        Status::Pending if candidate.is_waiting(context) => "waiting".to_owned(),
        Status::Unknown(other) => format!("{other} (not known here)"),
        status => status.as_str().to_owned(),
    };
    table.push(["Status", &status]);
    for (property, name) in [("project", "Project"), ("priority", "Priority")] {
        shown.insert(property);
        push_if(&mut table, name, task.get(property).unwrap_or_default());
    }
    push_if(&mut table, "Tags", &tags(candidate));
    push_if(&mut table, "Synthetic tags", &synthetic_tags(candidate, context));
    for id in dependencies(task) {
        let found = references.iter().find(|reference| reference.id == id);
        let text = found.map_or_else(|| id.to_string(), mention);
        table.push(["Depends on", &text]);
    }
    for reference in blocks {
        table.push(["Blocks", &mention(reference)]);
    }
    for (property, name) in TIMES {
        shown.insert(property);
        if let Some(value) = task.get(property) {
            let is_past = matches!(property, "entry" | "modified" | "start" | "end");
            table.push([name, &time(value, task.seconds(property), is_past, context)]);
        }
    }
    shown.insert("recur");
    push_if(&mut table, "Recurrence", task.get("recur").unwrap_or_default());
    for uda in vocabulary.udas().iter().filter(|uda| !is_known(&uda.name)) {
        let Some(value) = task.get(&uda.name).filter(|_| shown.insert(&uda.name)) else { continue };
        let text = match uda.kind {
            UdaKind::Date => time(value, task.seconds(&uda.name), false, context),
            _ => value.to_owned(),
        };
        table.push([uda.label.as_ref().unwrap_or(&uda.name).as_str(), text.as_str()]);
    }
    for (property, value) in &task.properties {
        if !shown.contains(property.as_str()) && !is_shown_key(property) {
            table.push([property, value]);
        }
    }
    table.push(["UUID", &candidate.id.to_string()]);
    table.push(["Urgency", &format!("{:.2}", urgency(candidate, context))]);
    table
}

fn push_if(table: &mut Table, name: &str, value: &str) {
    if !value.is_empty() {
        table.push([name, value]);
    }
}

/// True for a key with a prefix whose meaning a line above has shown; a malformed one is shown as
/// it is stored.
fn is_shown_key(property: &str) -> bool {
    if let Some(tag) = property.strip_prefix("tag_") {
        return check(&tag.replace(',', "_")).is_ok();
    }
    if let Some(second) = property.strip_prefix("annotation_") {
        return second.parse::<i64>().is_ok();
    }
    property.strip_prefix("dep_").is_some_and(|id| id.parse::<TaskId>().is_ok())
}

fn synthetic_tags(candidate: &Candidate<'_>, context: &Context) -> Text {
    let held = Synthetic::ALL
        .iter()
        .filter(|(word, tag)| tag.word() == *word && tag.holds(candidate, context))
        .map(|(word, _)| *word);
    held.collect::<Vec<_>>().join(" ").into()
}

fn mention(reference: &Reference<'_>) -> String {
    let task = tandem_tasks::Task::default();
    let candidate = Candidate {
        id: reference.id,
        number: reference.number,
        task: &task,
        blocked: false,
        blocking: false,
        is_latest: false,
    };
    format!("{} - {}", short_id(&candidate), reference.description)
}

/// A stored time with how long ago it was, or how far away it is.
fn time(value: &str, seconds: Option<i64>, is_past: bool, context: &Context) -> String {
    let Some(seconds) = seconds else { return format!("{value} (not a time)") };
    let length = context.now().seconds().saturating_sub(seconds);
    let far = if is_past && length >= 0 {
        format!("{} ago", age(length))
    } else {
        countdown(seconds, context).to_string()
    };
    format!("{} ({far})", date_time(seconds, context))
}
