//! `ta undo`.

use serde_json::json;
use tandem_core::TaskId;
use tandem_replica::Undone;
use tandem_words::text::escape;

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::lookup::name;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    app.flags("undo", rest, &[])?;
    let mut replica = app.replica()?;
    let open = replica.conflicts(false)?.len();
    let undone = replica.undo(app.now)?;
    if app.output.is_json {
        app.output.json(&as_json(&undone));
        return Ok(Exit::Done);
    }
    let mut shown = |tasks: &[TaskId], unmade: &[(TaskId, String)]| -> Result<String, Fail> {
        let mut names = Vec::new();
        for id in tasks.iter().take(10) {
            let number = replica.read(|txn| txn.number_of(*id))?;
            let task = replica.read(|txn| txn.task(*id))?;
            let gone = unmade.iter().find(|(unmade, _)| unmade == id);
            let description = match &task {
                Some(task) => task.get("description").unwrap_or_default(),
                None => gone.map_or("", |(_, description)| description),
            };
            let text = format!("{} \"{}\"", name(*id, number), escape(description));
            names.push((number.unwrap_or(u32::MAX), text));
        }
        names.sort();
        let names: Vec<String> = names.into_iter().map(|(_, text)| text).collect();
        let more = if tasks.len() > names.len() { " …" } else { "" };
        Ok(format!("{} ({}{more})", count(tasks.len()), names.join(", ")))
    };
    let what = |command: &Option<String>| match command {
        Some(command) => format!("`{command}`"),
        None => "the last command of another program".into(),
    };
    match undone {
        Undone::Nothing => app.output.line("Nothing to undo."),
        Undone::Removed { command, tasks, unmade } => {
            let tasks = shown(&tasks, &unmade)?;
            let text = format!("Undid {} on {tasks}. It had not been synced.", what(&command));
            app.output.line(text);
        }
        Undone::Compensated { command, tasks, left_alone, was_synced, is_changed } => {
            let tasks = shown(&tasks, &[])?;
            let why = match was_synced {
                true => "it had been synced already",
                false => "other changes stand behind it",
            };
            app.output.line(match is_changed {
                true => {
                    format!("Undid {} on {tasks} by a new change, since {why}.", what(&command))
                }
                false => format!(
                    "Nothing was undone: all that {} did on {tasks} has been changed since.",
                    what(&command)
                ),
            });
            for (id, property) in left_alone.iter().filter(|_| is_changed) {
                let Some(property) = spoken(property) else { continue };
                app.output.line(format!(
                    "Left {property} of {} alone: it was changed since.",
                    name(*id, None)
                ));
            }
        }
    }
    if replica.conflicts(false)?.len() > open {
        app.output.line("The conflict that it had settled is open again: ta conflicts list");
    }
    Ok(Exit::Done)
}

/// A property as people know it. None: it only repeats what others say.
fn spoken(property: &str) -> Option<String> {
    match property {
        "tags" | "depends" => None,
        _ => Some(match (property.strip_prefix("tag_"), property.starts_with("dep_")) {
            (Some(tag), _) => format!("the tag {}", escape(tag)),
            (None, true) => "a dependency".to_owned(),
            _ => escape(property).into_owned(),
        }),
    }
}

fn count(tasks: usize) -> String {
    match tasks {
        1 => "1 task".into(),
        n => format!("{n} tasks"),
    }
}

fn as_json(undone: &Undone) -> serde_json::Value {
    let ids = |tasks: &[TaskId]| tasks.iter().map(TaskId::to_string).collect::<Vec<_>>();
    match undone {
        Undone::Nothing => json!({ "outcome": "nothing" }),
        Undone::Removed { command, tasks, .. } => {
            json!({ "outcome": "removed", "command": command, "tasks": ids(tasks) })
        }
        Undone::Compensated { command, tasks, left_alone, was_synced, is_changed } => json!({
            "outcome": if *is_changed { "compensated" } else { "nothing" },
            "command": command,
            "tasks": ids(tasks),
            "was_synced": was_synced,
            "left_alone": left_alone.iter()
                .map(|(id, property)| json!({ "uuid": id.to_string(), "property": property }))
                .collect::<Vec<_>>(),
        }),
    }
}
