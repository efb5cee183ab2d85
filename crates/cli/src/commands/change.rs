//! `ta add`, and the commands that change chosen tasks.

use std::collections::BTreeSet;

use serde_json::json;
use tandem_client::new_task_id;
use tandem_core::TaskId;
use tandem_replica::{StorageError, TaskNumber, Txn};
use tandem_words::command::Command;
use tandem_words::keys::dependencies;
use tandem_words::{Context, Line, Modification, PropertyChange, Vocabulary, WordsError, circle};

use crate::app::App;
use crate::commands::confirm;
use crate::fail::{Exit, Fail};
use crate::lookup::{Found, Lookup, name};

/// Tasks that are named one by one; beyond, only their number is told.
const NAMED_MAX: usize = 20;

pub(crate) fn add(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let change = Modification::parse(&line.rest, &context, &vocabulary)?;
    let mut change = change.with_defaults(&context, &vocabulary)?;
    if line.command == Command::Log {
        change = change.done();
    }
    let id = new_task_id()?;
    let mut is_recurring = false;
    let mut replica = app.replica()?;
    let edited = replica.edit(line.command.name(), app.now, |editor| {
        let changes = {
            let lookup = Lookup::new(editor.txn());
            let changes = change.add(&context, &|word| lookup.resolve(word));
            lookup.check()?;
            changes?
        };
        is_recurring = makes_recurring(&changes);
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
            None if line.command == Command::Log => format!("Logged task {}", name(id, None)),
            None => format!("Added task {}.", name(id, None)),
        });
        if is_recurring {
            app.output.line(RECURRING);
        }
    }
    Ok(Exit::Done)
}

/// Said when a task comes to recur, since it is in no list from then on.
const RECURRING: &str = "It recurs: Taskwarrior makes the tasks of it that lists show (`ta` makes none \
    yet). To see it: ta status:recurring list";

/// True if a task comes to recur by these changes.
fn makes_recurring(changes: &[PropertyChange]) -> bool {
    let status = changes.iter().find(|(property, _)| property == "status");
    status.is_some_and(|(_, value)| value.as_deref() == Some("recurring"))
}

/// What happened to the chosen tasks.
struct Changed {
    tasks: Vec<(TaskId, Option<TaskNumber>, String)>,
    unchanged: usize,
    has_recurring: bool,
}

pub(crate) fn change(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let context = app.context();
    let vocabulary = app.vocabulary()?;
    let wish = wish(line, &context, &vocabulary)?;
    let mut replica = app.replica()?;
    let mut looked_at = None;
    if let Some(limit) = confirm::limit(app) {
        // Asked before the database is held: nobody else waits for the answer.
        let mut txn = replica.storage_mut().read()?;
        let (mut tasks, _) = chosen(txn.as_mut(), line, &context, &vocabulary)?;
        let mut changes = Vec::new();
        for task in &tasks {
            changes.push(!differences(txn.as_mut(), &wish, task, &context)?.is_empty());
        }
        let mut changes = changes.into_iter();
        tasks.retain(|_| changes.next().unwrap_or(false));
        if tasks.len() > limit {
            drop(txn);
            confirm::ask(line.command, &tasks)?;
        }
        looked_at = Some(tasks.into_iter().map(|task| task.id).collect::<BTreeSet<_>>());
    }
    let edited = replica.edit(line.command.name(), app.now, |editor| {
        let (tasks, passed_over) = chosen(editor.txn(), line, &context, &vocabulary)?;
        let mut changed =
            Changed { tasks: Vec::new(), unchanged: passed_over, has_recurring: false };
        for task in tasks {
            let changes = differences(editor.txn(), &wish, &task, &context)?;
            if changes.is_empty() {
                changed.unchanged += 1;
                continue;
            }
            if looked_at.as_ref().is_some_and(|tasks| !tasks.contains(&task.id)) {
                // It has come to match since the count was made that decides whether to ask.
                continue;
            }
            changed.has_recurring |= makes_recurring(&changes);
            for (property, value) in &changes {
                editor.set(task.id, property, value.as_deref())?;
            }
            let now = editor.task(task.id)?;
            let description = now.as_ref().and_then(|task| task.get("description"));
            let description = tandem_words::text::escape(description.unwrap_or(""));
            changed.tasks.push((task.id, task.number, description.into_owned()));
        }
        if line.command == Command::Denotate && changed.tasks.is_empty() {
            return Err(no_note(line));
        }
        Ok::<_, Fail>(changed)
    })?;
    tell(app, line.command, &edited.result);
    Ok(Exit::Done)
}

/// The tasks that a line is about, and how many it passes over.
fn chosen(
    txn: &mut dyn Txn,
    line: &Line,
    context: &Context,
    vocabulary: &Vocabulary,
) -> Result<(Vec<Found>, usize), Fail> {
    let mut found = Lookup::new(txn).select(&line.filter, context, vocabulary, false)?;
    if found.is_empty() {
        return Err(Fail::failed("no task matches").hint(nothing_hint(line)));
    }
    let count = found.len();
    // `ta all done` means what is still to be done, not what was deleted long ago.
    let ends = matches!(line.command, Command::Done | Command::Delete | Command::Start);
    if ends && !names_ids(&line.filter, context, vocabulary) {
        found.retain(|task| task.task.status().is_numbered());
    }
    let passed_over = count - found.len();
    Ok((found, passed_over))
}

/// True if the words name tasks by number or uuid.
fn names_ids(words: &[String], context: &Context, vocabulary: &Vocabulary) -> bool {
    let nobody = |word: &str| Err(WordsError::UnknownTask { word: word.into() });
    tandem_words::Filter::parse(words, context, vocabulary, &nobody)
        .is_ok_and(|filter| !filter.explicit_ids().is_empty())
}

/// What the words ask for.
fn wish(line: &Line, context: &Context, vocabulary: &Vocabulary) -> Result<Modification, Fail> {
    if line.command == Command::Annotate {
        return Ok(Modification::annotation(&line.rest)?);
    }
    if line.command == Command::Denotate {
        return Ok(Modification::denotation(&line.rest)?);
    }
    let parse = match line.command.takes_a_note() {
        true => Modification::parse_with_note,
        false => Modification::parse,
    };
    let change = parse(&line.rest, context, vocabulary)?;
    Ok(match line.command {
        Command::Start => change.start(),
        Command::Stop => change.stop(),
        Command::Done => change.done(),
        Command::Delete => change.delete(),
        _ if change.is_empty() => return Err(WordsError::NoChange.into()),
        Command::Append => change.append(),
        Command::Prepend => change.prepend(),
        _ => change,
    })
}

/// What the wish changes about one task; nothing if it is so already.
fn differences(
    txn: &mut dyn Txn,
    wish: &Modification,
    task: &Found,
    context: &Context,
) -> Result<Vec<PropertyChange>, Fail> {
    let lookup = Lookup::new(txn);
    let changes = wish.apply(Some(&task.task), context, &|word| lookup.resolve(word));
    lookup.check()?;
    let changes = changes?;
    refuse_circle(txn, task, &changes)?;
    Ok(changes)
}

/// Refuses a new dependency on the task itself or on one that waits for it. Those that came in by an
/// import or another program can be taken away.
fn refuse_circle(txn: &mut dyn Txn, task: &Found, changes: &[PropertyChange]) -> Result<(), Fail> {
    let added = changes.iter().filter(|(_, value)| value.is_some());
    let added = added.filter_map(|(property, _)| property.strip_prefix("dep_")?.parse().ok());
    for on in added {
        if on == task.id {
            return Err(WordsError::DependsOnItself { word: task.name() }.into());
        }
        let closes = circle::leads_to(on, task.id, |id| {
            let found = txn.task(id)?;
            Ok::<_, StorageError>(found.iter().flat_map(dependencies).collect())
        })?;
        if closes {
            let on = name(on, txn.number_of(on)?);
            return Err(WordsError::Circle { task: task.name(), on }.into());
        }
    }
    Ok(())
}

/// A note that is not there was called by another name.
fn no_note(line: &Line) -> Fail {
    let text: Vec<&str> = line.rest.iter().map(String::as_str).filter(|w| *w != "--").collect();
    let text = tandem_words::text::escape(&text.join(" ")).into_owned();
    Fail::failed(format!("no note is or contains \"{text}\""))
        .hint("`ta ID info` shows the notes of a task. Nothing was changed.")
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
    if changed.has_recurring {
        app.output.line(RECURRING);
    }
    if changed.tasks.is_empty() {
        app.output.line("Nothing to change: it is so already.");
    }
}
