//! One JSON object as the properties of a task.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tandem_core::TaskId;
use tandem_core::limits::OPERATION_BYTES_MAX;
use tandem_tasks::Task;

use crate::date::{self, DateError};
use crate::error::{Problem, Warning};
use crate::json::{Fields, Shape, depth, shape};
use crate::read::{DEPTH_MAX, ImportRecord, shortened};
use crate::types::{AttributeType, Types};

/// What `tag_…` and `dep_…` hold. Readers ignore it; Taskwarrior writes this.
const PRESENT: &str = "x";

/// Bytes of an Update's JSON around property and value: names, an id, a time (section 3).
const UPDATE_BYTES: usize = 200;

/// A field and what is wrong with it.
type FieldError = (String, Problem);

/// Makes a record of an object's fields.
pub(crate) fn read(
    number: usize,
    fields: &[(String, &RawValue)],
    types: &Types,
    warnings: &mut Vec<Warning>,
) -> Result<ImportRecord, FieldError> {
    refuse_repeated(fields, "")?;
    let mut task = Task::default();
    let mut uuid = None;
    for (name, value) in fields {
        let failed = |problem| (name.clone(), problem);
        // Nesting is bounded before anything looks inside.
        if depth(value.get()) > DEPTH_MAX {
            return Err(failed(Problem::TooDeep));
        }
        match name.as_str() {
            // Of the exporting replica: its numbering and its coefficients.
            "id" | "urgency" => {}
            "uuid" => uuid = read_uuid(value).map_err(failed)?,
            "tags" => read_tags(&mut task, value)?,
            "depends" => read_depends(&mut task, value)?,
            "annotations" => {}
            _ => {
                if let Some(text) =
                    read_value(number, name, value, types, warnings).map_err(failed)?
                {
                    task.properties.insert(name.as_str().into(), text.into());
                }
            }
        }
    }
    // Last, so that their seconds can avoid those that are there.
    if let Some((_, value)) = fields.iter().find(|(name, _)| name == "annotations") {
        read_annotations(&mut task, value)?;
    }
    // Older versions had a status for what is now a pending task with a `wait`.
    if task.get("status") == Some("waiting") {
        task.set("status", Some("pending"));
    }
    for (property, value) in &task.properties {
        if !fits(property, value) {
            return Err((property.to_string(), Problem::TooLong));
        }
    }
    let modified = task.seconds("modified");
    let is_exported = uuid.is_some() && fields.iter().any(|(name, _)| name == "id");
    Ok(ImportRecord { number, uuid, task, modified, is_exported })
}

fn refuse_repeated(fields: &[(String, &RawValue)], prefix: &str) -> Result<(), FieldError> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err((format!("{prefix}{}", pair[0]), Problem::Repeated)),
        None => Ok(()),
    }
}

fn read_uuid(value: &RawValue) -> Result<Option<TaskId>, Problem> {
    match shape(value)? {
        Shape::Null => Ok(None),
        Shape::Text(text) => {
            text.trim().parse().map(Some).map_err(|_| Problem::NotUuid(shortened(&text)))
        }
        Shape::Array(_) | Shape::Object => Err(Problem::NotUuid(shortened(value.get()))),
    }
}

/// Any attribute that is one property of the same name; `None` is absent.
///
/// Names that begin with `tag_`, `annotation_` or `dep_` come here too: our own export writes
/// properties so that do not fit Taskwarrior's lists.
fn read_value(
    record: usize,
    name: &str,
    value: &RawValue,
    types: &Types,
    warnings: &mut Vec<Warning>,
) -> Result<Option<String>, Problem> {
    let text = match shape(value)? {
        Shape::Null => return Ok(None),
        Shape::Text(text) => text,
        Shape::Array(_) | Shape::Object if types.of(name) == AttributeType::Date => {
            return Err(Problem::NotDate(shortened(value.get())));
        }
        Shape::Array(_) | Shape::Object => {
            warnings.push(Warning::Nested { record, field: shortened(name) });
            return Ok(Some(value.get().to_owned()));
        }
    };
    if types.of(name) == AttributeType::Date { read_date(&text) } else { Ok(Some(text)) }
}

/// Seconds since the epoch as text. Those that come as seconds stay as they are written; an empty
/// text is an absent date, as Taskwarrior means it.
fn read_date(text: &str) -> Result<Option<String>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if date::is_compact_day(text) {
        return Err(Problem::DateWithoutZone(shortened(text)));
    }
    if text.trim().parse::<i64>().is_ok() {
        return Ok(Some(text.to_owned()));
    }
    // JSON writers of other languages print seconds as floats.
    if let Some((whole, fraction)) = text.split_once('.')
        && whole.parse::<i64>().is_ok()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Ok(Some(whole.to_owned()));
    }
    match date::parse(text.trim()) {
        Ok(seconds) => Ok(Some(seconds.to_string())),
        Err(DateError::NoZone) => Err(Problem::DateWithoutZone(shortened(text))),
        Err(DateError::Unknown) => Err(Problem::NotDate(shortened(text))),
    }
}

/// The texts of an array, or of a text with commas as old versions wrote.
fn read_list(name: &str, value: &RawValue) -> Result<Vec<String>, FieldError> {
    match shape(value).map_err(|problem| (name.to_owned(), problem))? {
        Shape::Null => Ok(Vec::new()),
        Shape::Text(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(str::to_owned).collect())
        }
        Shape::Object => Err((name.to_owned(), Problem::NotList)),
        Shape::Array(values) => {
            let mut texts = Vec::with_capacity(values.len());
            for (index, value) in values.into_iter().enumerate() {
                let failed = |problem| (format!("{name}[{index}]"), problem);
                match shape(value).map_err(failed)? {
                    Shape::Null => {}
                    Shape::Text(text) if text.is_empty() => {}
                    Shape::Text(text) => texts.push(text),
                    Shape::Array(_) | Shape::Object => return Err(failed(Problem::NotText)),
                }
            }
            Ok(texts)
        }
    }
}

fn read_tags(task: &mut Task, value: &RawValue) -> Result<(), FieldError> {
    let mut names: Vec<String> = Vec::new();
    for name in read_list("tags", value)? {
        if task.properties.insert(format!("tag_{name}").into(), PRESENT.into()).is_none() {
            names.push(name);
        }
    }
    set_list(task, "tags", &names);
    Ok(())
}

fn read_depends(task: &mut Task, value: &RawValue) -> Result<(), FieldError> {
    let mut ids: Vec<String> = Vec::new();
    for text in read_list("depends", value)? {
        let id: TaskId = text
            .trim()
            .parse()
            .map_err(|_| ("depends".to_owned(), Problem::NotUuid(shortened(&text))))?;
        if task.properties.insert(format!("dep_{id}").into(), PRESENT.into()).is_none() {
            ids.push(id.to_string());
        }
    }
    set_list(task, "depends", &ids);
    Ok(())
}

/// The list that Taskwarrior keeps beside the single keys (section 19).
fn set_list(task: &mut Task, property: &str, names: &[String]) {
    if !names.is_empty() {
        task.set(property, Some(&names.join(",")));
    }
}

fn read_annotations(task: &mut Task, value: &RawValue) -> Result<(), FieldError> {
    let values = match shape(value).map_err(|problem| ("annotations".to_owned(), problem))? {
        Shape::Null => return Ok(()),
        Shape::Array(values) => values,
        Shape::Text(_) | Shape::Object => return Err(("annotations".to_owned(), Problem::NotList)),
    };
    // Where the search for a free second ended, by where it began: a thousand annotations of one
    // second must not each walk past all before.
    let mut searched: BTreeMap<i64, i64> = BTreeMap::new();
    for (index, value) in values.into_iter().enumerate() {
        let path = format!("annotations[{index}]");
        let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(value.get()) else {
            return Err((path, Problem::NotAnnotation));
        };
        refuse_repeated(&fields, &format!("{path}."))?;
        let text = |name: &str| {
            let Some((_, value)) = fields.iter().find(|(field, _)| field == name) else {
                return Ok(None);
            };
            let failed = |problem| (format!("{path}.{name}"), problem);
            match shape(value).map_err(failed)? {
                Shape::Null => Ok(None),
                Shape::Text(text) => Ok(Some(text)),
                Shape::Array(_) | Shape::Object => Err(failed(Problem::NotText)),
            }
        };
        let failed = |problem| (format!("{path}.entry"), problem);
        let entry = read_date(&text("entry")?.unwrap_or_default()).map_err(failed)?;
        let entry = entry.ok_or_else(|| failed(Problem::Missing))?;
        let seconds: i64 = entry.trim().parse().map_err(|_| failed(Problem::NotDate(entry)))?;
        let free = searched.entry(seconds).or_insert(seconds);
        // Taskwarrior keeps one annotation a second, and moves others to the next (section 1).
        while task.properties.contains_key(annotation_key(*free).as_str()) {
            *free = free.wrapping_add(1);
        }
        task.set(&annotation_key(*free), Some(&text("description")?.unwrap_or_default()));
    }
    Ok(())
}

fn annotation_key(seconds: i64) -> String {
    format!("annotation_{seconds}")
}

/// True if setting this property makes an operation that can travel.
fn fits(property: &str, value: &str) -> bool {
    // No character takes more than six bytes for one of UTF-8 (`\u0001`), so nearly all are cheap.
    let longest = (property.len() + value.len()).saturating_mul(6);
    if longest + UPDATE_BYTES <= OPERATION_BYTES_MAX {
        return true;
    }
    let length = |text: &str| serde_json::to_string(text).map_or(usize::MAX / 4, |json| json.len());
    length(property) + length(value) + UPDATE_BYTES <= OPERATION_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_could_not_travel_does_not_fit() {
        assert!(fits("description", "short"));
        let long = "a".repeat(OPERATION_BYTES_MAX / 2 + 1000);
        assert!(fits("description", &long));
        let escaped = "\"".repeat(OPERATION_BYTES_MAX / 2 + 1000);
        assert!(!fits("description", &escaped));
    }
}
