//! `ta import`: Taskwarrior's JSON, or the folder of a TaskChampion 3 replica.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::json;
use tandem_client::{Imported, Replica, import_records};
use tandem_core::TaskId;
use tandem_replica::TaskNumber;
use tandem_words::circle;
use tandem_words::text::escape;

use crate::app::App;
use crate::commands::import_folder;
use crate::fail::{Exit, Fail, chain};

/// Warnings shown one by one.
const WARNINGS_MAX: usize = 10;

/// Tasks of a circle that are named.
const CIRCLE_NAMED_MAX: usize = 10;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let source = match rest {
        [] => "-",
        [word] if word == "-" || !word.starts_with('-') => word.as_str(),
        [word, more @ ..] => {
            let word = if word.starts_with('-') { word } else { more.first().unwrap_or(word) };
            return Err(Fail::usage(format!("`{}` means nothing here", escape(word)))
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
    let mut warnings: Vec<String> = import.warnings.iter().map(ToString::to_string).collect();
    let waiting: BTreeSet<TaskId> = import
        .records
        .iter()
        .filter(|record| record.task.properties.keys().any(|key| key.starts_with("dep_")))
        .filter_map(|record| record.uuid)
        .collect();
    let mut replica = app.replica()?;
    let imported = import_records(&mut replica, import.records, app.now).map_err(Fail::from)?;
    let odd = imported.odd.iter();
    warnings.extend(odd.map(|odd| format!("{odd}; it was taken as the export has it.")));
    if !waiting.is_empty() {
        warnings.extend(circles(&mut replica, &waiting)?);
    }
    tell(app, &imported, &warnings);
    Ok(Exit::Done)
}

/// What to say of circles of dependencies that some of these tasks are in. They are imported as they
/// are, since no side of a circle is the wrong one.
fn circles(replica: &mut Replica, of: &BTreeSet<TaskId>) -> Result<Vec<String>, Fail> {
    let mut waits_for = BTreeMap::new();
    let mut called = BTreeMap::new();
    for (number, id, task) in replica.numbered_tasks()? {
        let on = task.properties.keys().filter_map(|key| key.strip_prefix("dep_")?.parse().ok());
        let on: Vec<TaskId> = on.collect();
        if !on.is_empty() {
            waits_for.insert(id, on);
            let said = escape(task.get("description").unwrap_or("")).into_owned();
            called.insert(id, (number, said));
        }
    }
    // Tasks that are ended keep nobody waiting.
    let open: BTreeSet<TaskId> = waits_for.keys().copied().collect();
    for on in waits_for.values_mut() {
        on.retain(|id| open.contains(id));
    }
    let found = circle::circles(&waits_for);
    let ours = found.iter().filter(|circle| circle.iter().any(|id| of.contains(id)));
    Ok(ours.map(|circle| told_circle(circle, &waits_for, &called)).collect())
}

fn told_circle(
    circle: &[TaskId],
    waits_for: &BTreeMap<TaskId, Vec<TaskId>>,
    called: &BTreeMap<TaskId, (TaskNumber, String)>,
) -> String {
    let named = |id: &TaskId| called.get(id).map(|(number, said)| format!("{number} \"{said}\""));
    let mut names: Vec<String> = circle.iter().take(CIRCLE_NAMED_MAX).filter_map(named).collect();
    if circle.len() > names.len() {
        names.push("…".into());
    }
    // Any one of its dependencies breaks it.
    let cure = circle.iter().find_map(|id| {
        let on = waits_for.get(id)?.iter().find(|on| circle.contains(on))?;
        Some(format!(
            " To break it: ta {} modify depends:-{}",
            called.get(id)?.0,
            called.get(on)?.0
        ))
    });
    format!(
        "a circle of dependencies, in which none could ever begin: {}.{}",
        names.join(", "),
        cure.unwrap_or_default()
    )
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
