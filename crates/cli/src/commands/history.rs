//! `ta ID history`: who changed what, when, as far as the log knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_replica::{OperationId, Origin, StepRow};
use tandem_tasks::LocalOperation;
use tandem_words::Line;
use tandem_words::dates::date_time;
use tandem_words::text::escape;

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::lookup::{Lookup, name};
use crate::told::value_text;

pub(crate) fn run(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    app.flags("history", &line.rest, &[])?;
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let mut replica = app.replica()?;
    let mut txn = replica.storage_mut().read()?;
    let found = Lookup::new(txn.as_mut()).select(&line.filter, &context, &vocabulary, false)?;
    if found.is_empty() {
        return Err(Fail::failed("no task matches").hint("`ta list` shows the tasks."));
    }
    let mut documents = Vec::new();
    for task in &found {
        let rows = txn.operations_of(task.id)?;
        let mut steps: BTreeMap<OperationId, Option<StepRow>> = BTreeMap::new();
        for row in &rows {
            steps.insert(row.id, txn.step_of(row.id)?);
        }
        if app.output.is_json {
            let entries: Vec<Value> = rows
                .iter()
                .map(|row| entry_json(&row.operation, row.synced, steps[&row.id].as_ref()))
                .collect();
            documents.push(json!({ "uuid": task.id.to_string(), "history": entries }));
            continue;
        }
        app.output.line(format!("Task {} \"{}\"", task.name(), task.description()));
        if rows.is_empty() {
            app.output.line("  Nothing is known of its history here.");
        }
        let mut offered = None;
        for row in &rows {
            let step = steps[&row.id].as_ref();
            if let Some(by_sync) = step.filter(|step| step.origin.is_sync()) {
                if matches!(row.operation, LocalOperation::Create { .. }) {
                    offered = Some(by_sync.id);
                    let when = date_time(by_sync.at.seconds(), &context).to_string();
                    let waits = waits(row.synced);
                    app.output
                        .line(format!("  {when:<19}  offered as a whole  (here, by sync{waits})"));
                }
                // What the task said by then is in the lines above.
                if offered == Some(by_sync.id) {
                    continue;
                }
            }
            let when = match &row.operation {
                LocalOperation::Update { timestamp, .. } => Some(timestamp.seconds()),
                _ => step.map(|step| step.at.seconds()),
            };
            let when = when.map(|at| date_time(at, &context).to_string()).unwrap_or_default();
            let mut named = |id: &str| -> Result<String, Fail> {
                let Ok(id) = id.parse() else { return Ok(escape(id).into_owned()) };
                let said = txn.task(id)?.and_then(|task| task.get("description").map(quoted));
                let called = name(id, txn.number_of(id)?);
                Ok(match said {
                    Some(said) => format!("{called} {said}"),
                    None => called,
                })
            };
            let Some(what) = what(&row.operation, &mut named)? else { continue };
            let waits = waits(row.synced);
            app.output.line(format!("  {when:<19}  {what}  ({}{waits})", who(step)));
        }
    }
    if app.output.is_json {
        app.output.json(&Value::Array(documents));
    }
    Ok(Exit::Done)
}

fn waits(synced: bool) -> &'static str {
    if synced { "" } else { ", waits for a sync" }
}

fn who(step: Option<&StepRow>) -> String {
    match step.map(|step| &step.origin) {
        Some(Origin::Command(name)) => format!("here, by {}", escape(name)),
        Some(Origin::Version(version)) => format!("from version {:.8}", version.to_string()),
        Some(Origin::Foreign) => "by another program here".into(),
        None => "before this was recorded".into(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// One operation in words; nothing for those that say nothing of their own. `named` gives what
/// people call the task of an id.
fn what(
    operation: &LocalOperation,
    named: &mut dyn FnMut(&str) -> Result<String, Fail>,
) -> Result<Option<String>, Fail> {
    let (property, old_value, value) = match operation {
        LocalOperation::UndoPoint => return Ok(None),
        LocalOperation::Create { .. } => return Ok(Some("created".into())),
        LocalOperation::Delete { .. } => return Ok(Some("removed".into())),
        LocalOperation::Update { property, old_value, value, .. } => (property, old_value, value),
    };
    // The redundant lists of `tag_` and `dep_` keys; and what a joined list said again under a younger
    // time.
    if property == "tags" || property == "depends" || old_value == value {
        return Ok(None);
    }
    if let Some(tag) = property.strip_prefix("tag_") {
        let how = if value.is_some() { "given" } else { "taken away" };
        return Ok(Some(format!("tag {} {how}", escape(tag))));
    }
    if let Some(id) = property.strip_prefix("dep_") {
        let how = if value.is_some() { "depends on" } else { "depends no longer on" };
        return Ok(Some(format!("{how} {}", named(id)?)));
    }
    if property.starts_with("annotation_") {
        return Ok(Some(match (old_value, value) {
            (None, Some(value)) => format!("note {} added", quoted(value)),
            (Some(old), Some(value)) => {
                format!("note changed from {} to {}", quoted(old), quoted(value))
            }
            (Some(old), None) => format!("note {} removed", quoted(old)),
            (None, None) => "note removed".into(),
        }));
    }
    let shown = |value: &tandem_tasks::Text| value_text(property, Some(value));
    let property = escape(property);
    Ok(Some(match (old_value, value) {
        (None, Some(value)) => format!("{property} set to {}", shown(value)),
        (Some(old), Some(value)) => {
            format!("{property} changed from {} to {}", shown(old), shown(value))
        }
        (Some(old), None) => format!("{property} removed (was {})", shown(old)),
        (None, None) => format!("{property} removed"),
    }))
}

fn entry_json(operation: &LocalOperation, synced: bool, step: Option<&StepRow>) -> Value {
    let origin = step.map(|step| match &step.origin {
        Origin::Command(name) => json!({ "command": name }),
        Origin::Version(version) => json!({ "version": version.to_string() }),
        Origin::Foreign => json!("another program"),
    });
    json!({
        "operation": operation,
        "synced": synced,
        "recorded_at": step.map(|step| step.at.to_string()),
        "origin": origin,
    })
}
