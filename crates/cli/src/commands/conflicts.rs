//! `ta conflicts`: edits that lost, and how to get them back.

use serde_json::{Value, json};
use tandem_client::{Restored, restore_conflict};
use tandem_replica::{ConflictKind, ConflictRow};
use tandem_tasks::Task;
use tandem_words::dates::date_time;

use crate::app::App;
use crate::fail::{Exit, Fail, misused};
use crate::told::{conflict_json, conflict_line, property_words, value_text};

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["list"] => list(app, false),
        ["list", "--all"] | ["--all"] => list(app, true),
        ["show", id] => show(app, number(id)?),
        ["restore", id] => restore(app, number(id)?),
        ["dismiss", id] => dismiss(app, number(id)?),
        _ => Err(misused(
            "conflicts",
            words.first().copied(),
            &["list", "show", "restore", "dismiss"],
            "Use `ta conflicts list [--all]`, `show ID`, `restore ID` or `dismiss ID`.",
        )),
    }
}

fn number(word: &str) -> Result<i64, Fail> {
    word.parse().map_err(|_| {
        Fail::usage(format!("`{}` is not a conflict's number", tandem_words::text::escape(word)))
            .hint("`ta conflicts list` shows the numbers.")
    })
}

fn unknown(id: i64) -> Fail {
    Fail::failed(format!("there is no conflict {id}")).hint("`ta conflicts list --all` shows all.")
}

fn list(app: &mut App<'_>, with_resolved: bool) -> Result<Exit, Fail> {
    let mut replica = app.replica()?;
    let rows = replica.conflicts(with_resolved)?;
    if app.output.is_json {
        app.output.json(&Value::Array(rows.iter().map(conflict_json).collect()));
        return Ok(Exit::Done);
    }
    for row in &rows {
        let settled = if row.resolved { " (Restored or put aside.)" } else { "" };
        let since = since(row, replica.task(row.task)?.as_ref());
        let since = since.map(|what| format!(" ({what})")).unwrap_or_default();
        app.output.line(format!("{}{settled}{since}", conflict_line(row)));
    }
    app.output.line(match rows.len() {
        0 if with_resolved => "No edits have lost.".to_owned(),
        0 => "No conflict is open; --all shows settled ones.".to_owned(),
        _ => {
            "This is what this device saw lose; the others have lists of their own. `ta conflicts \
              restore ID` sets a value again, `ta conflicts dismiss ID` puts it aside."
                .to_owned()
        }
    });
    Ok(Exit::Done)
}

/// What became of the task after the conflict was settled, where it is not any more as it was left.
fn since(row: &ConflictRow, task: Option<&Task>) -> Option<String> {
    let Some(task) = task else {
        return row.property.as_ref().map(|_| "The task has been removed since.".to_owned());
    };
    let Some(property) = &row.property else { return Some("The task is here again.".to_owned()) };
    let now = task.get(property);
    if now == row.kept.as_deref() {
        return None;
    }
    Some(format!("Now it is {}.", value_text(property, now)))
}

fn show(app: &mut App<'_>, id: i64) -> Result<Exit, Fail> {
    let mut replica = app.replica()?;
    let row = replica.conflict(id)?.ok_or_else(|| unknown(id))?;
    if app.output.is_json {
        app.output.json(&conflict_json(&row));
        return Ok(Exit::Done);
    }
    let context = app.context();
    app.output.line(conflict_line(&row));
    app.output.line(format!("  settled   {}", date_time(row.at.seconds(), &context)));
    app.output.line(format!("  task      {}", row.task));
    if let Some(property) = &row.property {
        app.output.line(format!("  before    {}", value_text(property, row.base.as_deref())));
        app.output.line(format!("  won       {}", value_text(property, row.kept.as_deref())));
        app.output.line(format!("  lost      {}", value_text(property, row.lost.as_deref())));
    }
    for edit in row.edits() {
        let (property, name) = (edit.property.as_str(), property_words(&edit.property));
        let value = value_text(property, edit.value.as_deref());
        let before = value_text(property, edit.before.as_deref());
        app.output.line(format!("  changed   {name}: {value} (before: {before})"));
    }
    if let Some(task) = &row.lost_task {
        for (property, value) in &task.properties {
            let value = value_text(property, Some(value));
            app.output.line(format!("  had       {}: {value}", property_words(property)));
        }
    }
    if let Some(what) = since(&row, replica.task(row.task)?.as_ref()) {
        app.output.line(what);
    }
    app.output.line(match row.resolved {
        true => "It has been restored or put aside.".into(),
        false if row.kind() == ConflictKind::Removed => {
            format!("To make the task again as it was here: ta conflicts restore {id}")
        }
        false if row.kind() == ConflictKind::Deleted => {
            format!("To bring the task back, with the change in it: ta conflicts restore {id}")
        }
        false => format!("To set the value that lost again: ta conflicts restore {id}"),
    });
    Ok(Exit::Done)
}

fn restore(app: &mut App<'_>, id: i64) -> Result<Exit, Fail> {
    let mut replica = app.replica()?;
    let restored = restore_conflict(&mut replica, id, app.now)?;
    let text = match restored {
        Restored::Unknown => return Err(unknown(id)),
        Restored::Done => {
            format!("Restored. The next `ta sync` tells the others. ({id} is settled.)")
        }
        Restored::TaskGone => {
            return Err(Fail::failed("the task has been removed since")
                .hint(format!("`ta conflicts show {id}` tells what it said.")));
        }
        Restored::AlreadySo => format!("Nothing to restore: it is so already. ({id} is settled.)"),
    };
    if app.output.is_json {
        app.output.json(&json!({ "id": id, "restored": restored == Restored::Done }));
    } else {
        app.output.line(text);
    }
    Ok(Exit::Done)
}

fn dismiss(app: &mut App<'_>, id: i64) -> Result<Exit, Fail> {
    if !app.replica()?.resolve_conflict(id)? {
        return Err(unknown(id));
    }
    if app.output.is_json {
        app.output.json(&json!({ "id": id, "dismissed": true }));
    } else {
        app.output
            .line(format!("Put aside conflict {id}. `ta conflicts list --all` still shows it."));
    }
    Ok(Exit::Done)
}
