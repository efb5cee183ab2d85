//! Short answers about chosen tasks: `count`, `ids`, `uuids`, `projects`, `tags`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_words::command::Command;
use tandem_words::table::{Align, Fit};
use tandem_words::tag::user_tags;
use tandem_words::{Line, Table};

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::lookup::{Found, Lookup};
use crate::output::{style, width};

/// `count`, `ids` and `uuids`: of all tasks that the words mean, as `export` takes them.
pub(crate) fn list(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let found = select(app, line, false)?;
    let numbers = || found.iter().filter_map(|task| task.number);
    let uuids = || found.iter().map(|task| task.id.to_string());
    let (text, value) = match line.command {
        Command::Ids => (ranges(numbers()), json!(numbers().collect::<Vec<_>>())),
        Command::Uuids => {
            (uuids().collect::<Vec<_>>().join(" "), json!(uuids().collect::<Vec<_>>()))
        }
        _ => (found.len().to_string(), json!(found.len())),
    };
    if app.output.is_json {
        app.output.json(&value);
    } else {
        app.output.text(&format!("{text}\n"));
    }
    Ok(Exit::Done)
}

/// `projects` and `tags`: how many tasks have each, among those that `next` would show.
pub(crate) fn groups(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let found = select(app, line, true)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in &found {
        let mut count = |name| *counts.entry(name).or_default() += 1;
        match line.command {
            Command::Tags => user_tags(&task.task).for_each(&mut count),
            _ => {
                task.task.get("project").filter(|name| !name.is_empty()).into_iter().for_each(count)
            }
        }
    }
    if app.output.is_json {
        let object = counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count)));
        app.output.json(&Value::Object(object.collect()));
        return Ok(Exit::Done);
    }
    let (title, none) = match line.command {
        Command::Tags => ("Tag", "No tags."),
        _ => ("Project", "No projects."),
    };
    if counts.is_empty() {
        app.output.line(none);
        return Ok(Exit::Done);
    }
    let columns = [(title, Align::Left, Fit::Cut), ("Tasks", Align::Right, Fit::Keep)];
    let mut table = Table::new(&columns);
    for (name, count) in counts {
        table.push([name.to_owned(), count.to_string()]);
    }
    app.output.text(&table.render(width(), style()));
    Ok(Exit::Done)
}

fn select(app: &mut App<'_>, line: &Line, default: bool) -> Result<Vec<Found>, Fail> {
    app.flags(line.command.name(), &line.rest, &[])?;
    let (context, vocabulary) = (app.context(), app.vocabulary()?);
    let mut replica = app.replica()?;
    let mut txn = replica.storage_mut().read()?;
    Lookup::new(txn.as_mut()).select(&line.filter, &context, &vocabulary, default)
}

/// Ascending numbers with neighbours joined, as filters read them: `1-3 5`.
fn ranges(numbers: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = |(first, last): (u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.into_iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        for (numbers, text) in
            [(&[][..], ""), (&[2], "2"), (&[1, 2, 3, 5], "1-3 5"), (&[1, 3, 4], "1 3-4")]
        {
            assert_eq!(ranges(numbers.iter().copied()), text);
        }
    }
}
