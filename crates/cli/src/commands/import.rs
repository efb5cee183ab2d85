//! `ta import`: Taskwarrior's JSON, or the folder of a TaskChampion 3 replica.

use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::json;
use tandem_client::{Imported, import_records};

use crate::app::App;
use crate::commands::import_folder;
use crate::fail::{Exit, Fail, chain};

/// Warnings shown one by one.
const WARNINGS_MAX: usize = 10;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let source = match rest {
        [] => "-",
        [word] if word == "-" || !word.starts_with('-') => word.as_str(),
        [word, more @ ..] => {
            let word = if word.starts_with('-') { word } else { more.first().unwrap_or(word) };
            return Err(Fail::usage(format!(
                "`{}` means nothing here",
                tandem_words::text::escape(word)
            ))
            .hint("Use `ta import [FILE|FOLDER|-] [--taskrc FILE]`."));
        }
    };
    let path = Path::new(source);
    if source != "-" && path.is_dir() {
        return import_folder::run(app, path);
    }
    let (_, types) = app.attributes()?;
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
