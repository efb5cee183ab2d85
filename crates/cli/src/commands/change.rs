//! `ta add`, and the commands that change chosen tasks.

use serde_json::json;
use tandem_client::new_task_id;
use tandem_core::TaskId;
use tandem_replica::{Editor, TaskNumber};
use tandem_words::command::Command;
use tandem_words::{Line, Modification, WordsError};

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::lookup::{Found, Lookup, name};

/// Tasks that are named one by one; beyond, only their number is told.
const NAMED_MAX: usize = 20;

pub(crate) fn add(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let change = Modification::parse(&line.rest, &context, &vocabulary)?;
    let change = change.with_defaults(&context, &vocabulary)?;
    let id = new_task_id()?;
    let mut replica = app.replica()?;
    let edited = replica.edit("add", app.now, |editor| {
        let changes = {
            let lookup = Lookup::new(editor.txn());
            let changes = change.add(&context, &|word| lookup.resolve(word));
            lookup.check()?;
            changes?
        };
        editor.create(id)?;
        for (property, value) in changes {
            editor.set(id, &property, value.as_deref())?;
        }
        Ok::<_, Fail>(editor.number_of(id)?)
    })?;
    let number = edited.result;
    if app.output.is_json {
        app.output.json(&json!({ "uuid": id.to_string(), "number": number }));
    } else {
        app.output.line(match number {
            Some(number) => format!("Added task {number}."),
            None => format!("Added task {}.", name(id, None)),
        });
    }
    Ok(Exit::Done)
}

/// What happened to the chosen tasks.
struct Changed {
    tasks: Vec<(TaskId, Option<TaskNumber>, String)>,
    unchanged: usize,
}

pub(crate) fn change(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let change = wish(line, &context, &vocabulary)?;
    let mut replica = app.replica()?;
    let edited = replica.edit(line.command.name(), app.now, |editor| {
        let found = Lookup::new(editor.txn()).select(&line.filter, &context, &vocabulary, false)?;
        if found.is_empty() {
            return Err(Fail::failed("no task matches").hint(nothing_hint(line)));
        }
        let mut changed = Changed { tasks: Vec::new(), unchanged: 0 };
        let is_bulk = !names_ids(&line.filter, &context, &vocabulary);
        for task in found {
            // `ta all done` means what is still to be done, not what was deleted long ago.
            let ends = matches!(line.command, Command::Done | Command::Delete | Command::Start);
            if is_bulk && ends && !task.task.status().is_numbered() {
                changed.unchanged += 1;
                continue;
            }
            if one(editor, &change, &task, &context)? {
                let now = editor.task(task.id)?;
                let description = now.as_ref().and_then(|task| task.get("description"));
                let description = tandem_words::text::escape(description.unwrap_or(""));
                changed.tasks.push((task.id, task.number, description.into_owned()));
            } else {
                changed.unchanged += 1;
            }
        }
        Ok(changed)
    })?;
    tell(app, line.command, &edited.result);
    Ok(Exit::Done)
}

/// True if the words name tasks by number or uuid.
fn names_ids(
    words: &[String],
    context: &tandem_words::Context,
    vocabulary: &tandem_words::Vocabulary,
) -> bool {
    let nobody = |word: &str| Err(WordsError::UnknownTask { word: word.into() });
    tandem_words::Filter::parse(words, context, vocabulary, &nobody)
        .is_ok_and(|filter| !filter.explicit_ids().is_empty())
}

/// What the words ask for.
fn wish(
    line: &Line,
    context: &tandem_words::Context,
    vocabulary: &tandem_words::Vocabulary,
) -> Result<Modification, Fail> {
    if line.command == Command::Annotate {
        return Ok(Modification::annotation(&line.rest)?);
    }
    let change = Modification::parse(&line.rest, context, vocabulary)?;
    Ok(match line.command {
        Command::Start => change.start(),
        Command::Stop => change.stop(),
        Command::Done => change.done(),
        Command::Delete => change.delete(),
        _ if change.is_empty() => return Err(WordsError::NoChange.into()),
        _ => change,
    })
}

/// Changes one task; returns whether anything was different.
fn one(
    editor: &mut Editor<'_>,
    change: &Modification,
    task: &Found,
    context: &tandem_words::Context,
) -> Result<bool, Fail> {
    let changes = {
        let lookup = Lookup::new(editor.txn());
        let changes = change.apply(Some(&task.task), context, &|word| {
            let other = lookup.resolve(word)?;
            if other == task.id {
                return Err(WordsError::DependsOnItself { word: word.into() });
            }
            Ok(other)
        });
        lookup.check()?;
        changes?
    };
    for (property, value) in &changes {
        editor.set(task.id, property, value.as_deref())?;
    }
    Ok(!changes.is_empty())
}

fn nothing_hint(line: &Line) -> String {
    let nearest = line.filter.iter().find_map(|word| Command::nearest(word));
    match nearest {
        Some(command) => format!("Was `{}` meant? `ta help` lists the commands.", command.name()),
        None => {
            "`ta list` shows the tasks; put `all` before the command to reach ended ones.".into()
        }
    }
}

fn tell(app: &mut App<'_>, command: Command, changed: &Changed) {
    if app.output.is_json {
        let tasks: Vec<_> = changed
            .tasks
            .iter()
            .map(|(id, number, _)| json!({ "uuid": id.to_string(), "number": number }))
            .collect();
        app.output.json(&json!({
            "command": command.name(),
            "changed": tasks,
            "unchanged": changed.unchanged,
        }));
        return;
    }
    let verb = match command {
        Command::Annotate => "Annotated",
        Command::Start => "Started",
        Command::Stop => "Stopped",
        Command::Done => "Completed",
        Command::Delete => "Deleted",
        _ => "Modified",
    };
    for (id, number, description) in changed.tasks.iter().take(NAMED_MAX) {
        app.output.line(format!("{verb} task {} \"{description}\".", name(*id, *number)));
    }
    if changed.tasks.len() > NAMED_MAX {
        app.output.line(format!("{verb} {} tasks in all.", changed.tasks.len()));
    }
    if changed.tasks.is_empty() {
        app.output.line("Nothing to change: it is so already.");
    }
}
