//! `ta next`, `ta list` and `ta info`.

use serde_json::{Value, json};
use tandem_core::TaskId;
use tandem_words::command::Command;
use tandem_words::report;
use tandem_words::text::escape;
use tandem_words::urgency::urgency;
use tandem_words::{Context, Filter, Line};

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::lookup::{Found, Lookup};
use crate::output::{style, width};

pub(crate) fn table(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    app.flags(line.command.name(), &line.rest, &[])?;
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let mut replica = app.replica()?;
    let mut txn = replica.storage_mut().read()?;
    let mut filter = line.filter.clone();
    match line.command {
        Command::Completed => filter.insert(0, "status:completed".to_owned()),
        Command::Waiting => filter.insert(0, "status:waiting".to_owned()),
        _ => {}
    }
    let mut found = Lookup::new(txn.as_mut()).select(&filter, &context, &vocabulary, true)?;
    let is_first_look = filter.is_empty() && found.is_empty() && txn.task_count()? == 0;
    drop(txn);
    if let Some(limit) = Filter::limit(&filter) {
        let by_urgency = line.command == Command::Next;
        let first = report::first(found.iter().map(Found::candidate), limit, by_urgency, &context);
        found.retain(|task| first.contains(&task.id));
    }
    if let Some(missed) = line.missed_command().filter(|_| found.is_empty()) {
        return Err(missed.into());
    }
    if app.output.is_json {
        let tasks: Vec<Value> = found.iter().map(|task| as_json(task, &context)).collect();
        app.output.json(&Value::Array(tasks));
        return Ok(Exit::Done);
    }
    let candidates = found.iter().map(Found::candidate);
    let table = match line.command {
        Command::List | Command::Completed | Command::Waiting => report::list(candidates, &context),
        _ => report::next(candidates, &context),
    };
    if is_first_look {
        for step in app.first_steps()? {
            app.output.line(step);
        }
    } else if found.is_empty() {
        if let Some(hint) = no_command(line) {
            app.output.notice(hint);
        }
        app.output.line("No matching tasks.");
    } else {
        app.output.text(&table.render(width(), style()));
    }
    Ok(Exit::Done)
}

/// What to say about a search that found nothing, if a word of it may have been meant as a command.
fn no_command(line: &Line) -> Option<String> {
    let words = line.filter.split(|word| word == "--").next().unwrap_or_default();
    let nearest = words.iter().find_map(|word| Some((word, Command::nearest(word)?)));
    let is_plain = |word: &&String| {
        word.as_str() != "all" && word.chars().all(|c| c.is_alphabetic() || c == '-' || c == '_')
    };
    match (nearest, words.iter().find(|word| is_plain(word) && !word.starts_with('-'))) {
        (Some((word, command)), _) => Some(format!(
            "Was the command `{}` meant? `{}` was searched for.",
            command.name(),
            escape(word)
        )),
        (None, Some(word)) if line.is_bare => Some(format!(
            "`{}` is no command, so it was searched for. `ta help` lists the commands.",
            escape(word)
        )),
        _ => None,
    }
}

pub(crate) fn info(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    app.flags("info", &line.rest, &[])?;
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let mut replica = app.replica()?;
    let mut txn = replica.storage_mut().read()?;
    let found = Lookup::new(txn.as_mut()).select(&line.filter, &context, &vocabulary, false)?;
    if found.is_empty() {
        return Err(Fail::failed("no task matches").hint("`ta list` shows the tasks."));
    }
    if app.output.is_json {
        let tasks: Vec<Value> = found.iter().map(|task| as_json(task, &context)).collect();
        app.output.json(&Value::Array(tasks));
        return Ok(Exit::Done);
    }
    for (n, task) in found.iter().enumerate() {
        let mut others: Vec<(TaskId, Option<u32>, String)> = Vec::new();
        for id in tandem_words::keys::dependencies(&task.task) {
            if let Some(other) = txn.task(id)? {
                let description = other.get("description").unwrap_or("").into();
                others.push((id, txn.number_of(id)?, description));
            }
        }
        let mut blocked: Vec<(TaskId, Option<u32>, String)> = Vec::new();
        if task.blocking {
            let key = format!("dep_{}", task.id);
            txn.each_numbered(&mut |number, id, other| {
                if other.get(&key).is_some() {
                    let description = other.get("description").unwrap_or("").into();
                    blocked.push((id, Some(number), description));
                }
                Ok(())
            })?;
        }
        let depends_on: Vec<_> = others.iter().map(reference).collect();
        let blocks: Vec<_> = blocked.iter().map(reference).collect();
        if n > 0 {
            app.output.text("\n");
        }
        let table = report::info(&task.candidate(), &depends_on, &blocks, &context, &vocabulary);
        app.output.text(&table.render(width(), style()));
    }
    Ok(Exit::Done)
}

fn reference((id, number, description): &(TaskId, Option<u32>, String)) -> report::Reference<'_> {
    report::Reference { id: *id, number: *number, description }
}

/// A task as a program reads it: the properties as stored, and what is computed.
fn as_json(task: &Found, context: &Context) -> Value {
    json!({
        "uuid": task.id.to_string(),
        "number": task.number,
        "urgency": urgency(&task.candidate(), context),
        "blocked": task.blocked,
        "blocking": task.blocking,
        "properties": task.task.properties.iter()
            .map(|(property, value)| (property.to_string(), Value::from(value.as_str())))
            .collect::<serde_json::Map<_, _>>(),
    })
}
