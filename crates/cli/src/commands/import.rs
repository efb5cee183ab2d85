//! `ta import`: Taskwarrior's JSON, or the folder of a TaskChampion 3 replica.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_client::{Imported, import_records};
use tandem_exchange::{Taskrc, Types};

use crate::app::App;
use crate::commands::import_folder;
use crate::fail::{Exit, Fail, chain};

/// Warnings shown one by one.
const WARNINGS_MAX: usize = 10;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let mut words = rest.to_vec();
    let taskrc = taskrc_flag(&mut words, &mut Vec::new())?;
    let source = match &words[..] {
        [] => "-",
        [word] if word == "-" || !word.starts_with('-') => word.as_str(),
        [word, ..] => {
            return Err(Fail::usage(format!(
                "`{}` means nothing here",
                tandem_words::text::escape(word)
            ))
            .hint("Use `ta import [FILE|FOLDER|-] [--taskrc FILE]`."));
        }
    };
    let path = Path::new(source);
    if source != "-" && path.is_dir() {
        return import_folder::run(app, path, taskrc.as_deref());
    }
    let (types, _) = types(app, taskrc.as_deref())?;
    let import = if source == "-" {
        tandem_exchange::read(io::stdin().lock(), &types)
    } else {
        let file = File::open(path).map_err(|error| {
            Fail::failed(format!("{}: {error}", path.display())).hint(
                "Name a file of Taskwarrior JSON, a replica's folder, or - for standard input.",
            )
        })?;
        tandem_exchange::read(file, &types)
    };
    let import = import.map_err(|error| {
        let hint = error.hint();
        Fail::failed(chain(&error)).hint(format!("{hint} Nothing was imported."))
    })?;
    let warnings: Vec<String> = import.warnings.iter().map(ToString::to_string).collect();
    let mut replica = app.replica()?;
    let imported = import_records(&mut replica, import.records, app.now).map_err(Fail::from)?;
    tell(app, &imported, &warnings);
    Ok(Exit::Done)
}

fn tell(app: &mut App<'_>, imported: &Imported, warnings: &[String]) {
    if app.output.is_json {
        app.output.json(&json!({
            "new": imported.new,
            "updated": imported.updated,
            "unchanged": imported.unchanged,
            "older": imported.older,
            "warnings": warnings,
        }));
        return;
    }
    for warning in warnings.iter().take(WARNINGS_MAX) {
        app.output.notice(format!("warning: {warning}"));
    }
    if warnings.len() > WARNINGS_MAX {
        app.output.notice(format!("warning: {} more like these", warnings.len() - WARNINGS_MAX));
    }
    let mut parts = Vec::new();
    for (count, word) in [
        (imported.new, "new"),
        (imported.updated, "updated"),
        (imported.unchanged, "unchanged"),
        (imported.older, "older than what is here, left alone"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    app.output.line(match parts.is_empty() {
        true => "Nothing to import.".into(),
        false => format!("Imported: {}.", parts.join(" · ")),
    });
}

/// Takes `--taskrc FILE` out of the words.
pub(crate) fn taskrc_flag(
    words: &mut Vec<String>,
    others: &mut Vec<String>,
) -> Result<Option<PathBuf>, Fail> {
    let needs = || Fail::usage("`--taskrc` needs a file").hint("Write `--taskrc=FILE`.");
    let Some(place) = words.iter().position(|word| word.starts_with("--taskrc")) else {
        return Ok(None);
    };
    let word = words.remove(place);
    if let Some(file) = word.strip_prefix("--taskrc=") {
        return Ok(Some(file.into()));
    }
    if word != "--taskrc" {
        return Err(needs());
    }
    if place < words.len() {
        return Ok(Some(words.remove(place).into()));
    }
    others.pop().map(PathBuf::from).map(Some).ok_or_else(needs)
}

/// The types of user-defined attributes, from a `.taskrc` when one is given.
pub(crate) fn types(
    app: &mut App<'_>,
    taskrc: Option<&Path>,
) -> Result<(Types, Option<Taskrc>), Fail> {
    let Some(path) = taskrc else { return Ok((Types::new(), None)) };
    let taskrc = Taskrc::read(path, app.environment.home(), &mut |path| std::fs::read(path))?;
    for warning in taskrc.warnings() {
        app.output.notice(format!("warning: {warning}"));
    }
    Ok((taskrc.types(), Some(taskrc)))
}
