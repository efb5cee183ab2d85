//! Tasks as `task export` prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use tandem_core::TaskId;
use tandem_tasks::Task;

use crate::date;
use crate::json::is_plain_number;
use crate::types::{AttributeType, Types};

/// A task to write.
#[derive(Debug, Clone, Copy)]
pub struct ExportTask<'a> {
    /// Which task it is.
    pub uuid: TaskId,
    /// Its properties.
    pub task: &'a Task,
    /// Its number in the working set; without one, 0 is written, as Taskwarrior does.
    pub number: Option<u32>,
    /// Its urgency; left out if it is not known or not finite.
    pub urgency: Option<f64>,
}

/// A property that Taskwarrior's format has no place for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The task.
    pub uuid: TaskId,
    /// The property: a date that is none (every reader takes it as absent), or one named like a
    /// field that says something else (`id`, `uuid`, `urgency`, `annotations`).
    pub property: String,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exported {
    /// How many tasks.
    pub tasks: u64,
    /// What could not be written.
    pub left_out: Vec<LeftOut>,
}

/// Writes tasks as Taskwarrior's JSON: an array, one task a line.
///
/// # Errors
/// What the writer says.
pub fn write<'a>(
    writer: impl Write,
    tasks: impl IntoIterator<Item = ExportTask<'a>>,
    types: &Types,
) -> io::Result<Exported> {
    let mut exporter = Exporter::start(writer, types)?;
    for task in tasks {
        exporter.task(&task)?;
    }
    exporter.finish()
}

/// Writes tasks one at a time, for callers that load them so.
///
/// `id` comes first and `urgency` last; the fields between are sorted by name. Dates are
/// `YYYYMMDDTHHMMSSZ`, `tags` and `depends` are arrays made of the single keys, `annotations` an
/// array in order of time. Everything else is a text, or a number if it is declared and is one.
/// Keys that do not fit these (`dep_` with no uuid, `annotation_` with no time) are written under
/// their own names, so that nothing is lost. The array has its end only after
/// [`Exporter::finish`].
#[derive(Debug)]
pub struct Exporter<'t, W: Write> {
    writer: W,
    types: &'t Types,
    exported: Exported,
}

impl<'t, W: Write> Exporter<'t, W> {
    /// Begins the array. Give a buffered writer.
    ///
    /// # Errors
    /// What the writer says.
    pub fn start(mut writer: W, types: &'t Types) -> io::Result<Self> {
        writer.write_all(b"[")?;
        Ok(Self { writer, types, exported: Exported::default() })
    }

    /// Writes one task.
    ///
    /// # Errors
    /// What the writer says.
    pub fn task(&mut self, task: &ExportTask<'_>) -> io::Result<()> {
        self.writer.write_all(if self.exported.tasks == 0 { b"\n" } else { b",\n" })?;
        let (fields, left_out) = fields(task, self.types);
        write!(self.writer, "{{\"id\":{}", task.number.unwrap_or(0))?;
        for (name, value) in fields {
            write!(self.writer, ",{}:{value}", json_text(name))?;
        }
        if let Some(urgency) = task.urgency.filter(|urgency| urgency.is_finite()) {
            write!(self.writer, ",\"urgency\":{}", rounded(urgency))?;
        }
        self.writer.write_all(b"}")?;
        self.exported.tasks += 1;
        let left_out = left_out
            .into_iter()
            .map(|property| LeftOut { uuid: task.uuid, property: property.to_owned() });
        self.exported.left_out.extend(left_out);
        Ok(())
    }

    /// Ends the array and flushes.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<Exported> {
        self.writer.write_all(b"\n]\n")?;
        self.writer.flush()?;
        Ok(self.exported)
    }
}

/// The fields of a task as JSON, by name, and the properties that have no place.
fn fields<'a>(task: &ExportTask<'a>, types: &Types) -> (BTreeMap<&'a str, String>, Vec<&'a str>) {
    let mut fields = BTreeMap::from([("uuid", json_text(&task.uuid.to_string()))]);
    let mut left_out = Vec::new();
    let mut annotations: BTreeMap<i64, String> = BTreeMap::new();
    let mut depends: BTreeSet<TaskId> = BTreeSet::new();
    let mut tags: Vec<String> = Vec::new();
    for (name, value) in &task.task.properties {
        let (name, value) = (name.as_str(), value.as_str());
        // Made of the single keys, which are what counts.
        if matches!(name, "tags" | "depends") {
            continue;
        }
        if matches!(name, "id" | "uuid" | "urgency" | "annotations") {
            left_out.push(name);
            continue;
        }
        if let Some(tag) = name.strip_prefix("tag_").filter(|tag| !tag.is_empty()) {
            tags.push(json_text(tag));
            continue;
        }
        if let Some(id) = name.strip_prefix("dep_").and_then(|id| id.parse().ok()) {
            depends.insert(id);
            continue;
        }
        if let Some((seconds, date)) = name.strip_prefix("annotation_").and_then(plain_date) {
            let text = json_text(value);
            annotations.insert(seconds, format!("{{\"entry\":\"{date}\",\"description\":{text}}}"));
            continue;
        }
        match json_value(types.of(name), value) {
            Some(json) => {
                fields.insert(name, json);
            }
            None => left_out.push(name),
        }
    }
    let depends: Vec<String> = depends.iter().map(|id| json_text(&id.to_string())).collect();
    let annotations: Vec<String> = annotations.into_values().collect();
    for (name, list) in [("annotations", annotations), ("depends", depends), ("tags", tags)] {
        if !list.is_empty() {
            fields.insert(name, format!("[{}]", list.join(",")));
        }
    }
    (fields, left_out)
}

fn json_value(attribute_type: AttributeType, value: &str) -> Option<String> {
    match attribute_type {
        AttributeType::Date => match plain_date(value) {
            Some((_, date)) => Some(json_text(&date)),
            // Seconds, but not as we would write them (`007`) or beyond the calendar. Our reader
            // takes them as they are.
            None => value.trim().parse::<i64>().is_ok().then(|| json_text(value)),
        },
        AttributeType::Number if is_plain_number(value) => Some(value.to_owned()),
        AttributeType::Number | AttributeType::Text | AttributeType::Duration => {
            Some(json_text(value))
        }
    }
}

/// Seconds that become the same text again after a way through a date.
fn plain_date(text: &str) -> Option<(i64, String)> {
    let seconds: i64 = text.parse().ok()?;
    if seconds.to_string() != text {
        return None;
    }
    Some((seconds, date::format(seconds)?))
}

fn json_text(text: &str) -> String {
    // A `str` is always valid JSON text; the fallback is never reached.
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// Six digits after the point at most, no exponent, no `-0`.
fn rounded(urgency: f64) -> String {
    let text = format!("{urgency:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
