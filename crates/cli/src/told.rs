//! What a sync did, in words and as JSON.

use serde_json::{Value, json};
use tandem_client::Synced;
use tandem_replica::{ConflictKind, ConflictRow};
use tandem_tasks::session::{End, Failure, Question, SyncReport};
use tandem_words::text::escape;

use crate::cure::failed;
use crate::fail::{Exit, Fail};

/// Conflicts told one by one after a sync; `ta conflicts list` has them all.
const CONFLICTS_TOLD_MAX: usize = 10;

/// A number of things, with the right ending.
pub(crate) fn count(n: u64, thing: &str) -> String {
    match n {
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    }
}

/// A size for people.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    for (unit, name) in UNITS {
        if n >= unit {
            let tenths = n.saturating_mul(10) / unit;
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{n} bytes")
}

/// Properties that hold seconds since the epoch, which nobody reads.
const TIMES: [&str; 8] = ["entry", "modified", "start", "end", "wait", "due", "scheduled", "until"];

/// A property's value for people: quoted, and a time as a date.
pub(crate) fn value_text(property: &str, value: Option<&str>) -> String {
    let seconds = value.filter(|_| TIMES.contains(&property)).and_then(|text| text.parse().ok());
    if let Some(seconds) = seconds {
        let context =
            tandem_words::Context::new(tandem_client::system_now(), jiff::tz::TimeZone::system());
        return tandem_words::dates::date_time(seconds, &context).to_string();
    }
    match value {
        Some(value) => format!("\"{}\"", escape(value)),
        None => "nothing".into(),
    }
}

/// What people call a property: the keys of tags, dependencies and notes are the library's spelling.
pub(crate) fn property_words(property: &str) -> String {
    if let Some(tag) = property.strip_prefix("tag_") {
        return format!("tag {}", escape(tag));
    }
    if let Some(id) = property.strip_prefix("dep_") {
        return format!("dependency on {:.8}", escape(id));
    }
    let noted = property.strip_prefix("annotation_").and_then(|seconds| seconds.parse().ok());
    match noted {
        Some(seconds) => {
            format!("note of {}", value_text("entry", Some(&i64::to_string(&seconds))))
        }
        None => escape(property).into_owned(),
    }
}

/// What a task said, by name: `description, project, tag home`. Its stamps and the redundant lists
/// say nothing that a person entered.
fn said(task: &tandem_tasks::Task) -> String {
    const UNSAID: [&str; 5] = ["status", "entry", "modified", "tags", "depends"];
    let names = task.properties.keys().map(|property| property.as_str());
    let told: Vec<String> =
        names.filter(|name| !UNSAID.contains(name)).map(property_words).collect();
    told.join(", ")
}

/// One conflict in one line.
pub(crate) fn conflict_line(row: &ConflictRow) -> String {
    let task = format!("{:.8} \"{}\"", row.task.to_string(), escape(&row.description));
    match &row.property {
        // No property collided: the change is in the task, and the task is in no list.
        Some(_) if row.kind() == ConflictKind::Deleted => {
            let what = match row.lost_here {
                true => "was deleted elsewhere while it was changed here",
                false => "was changed elsewhere while it was deleted here",
            };
            format!(
                "Conflict {}: task {task} {what}. It was left deleted; ta {:.8} info shows \
                 what it says.",
                row.id,
                row.task.to_string(),
            )
        }
        Some(property) => {
            let whose = if row.lost_here { "made here" } else { "made elsewhere" };
            format!(
                "Conflict {}: {} of task {task} became {}; {} lost ({whose}).",
                row.id,
                property_words(property),
                value_text(property, row.kept.as_deref()),
                value_text(property, row.lost.as_deref()),
            )
        }
        None => {
            let said = row.lost_task.as_ref().map(said).unwrap_or_default();
            let said = if said.is_empty() { said } else { format!(" ({said})") };
            format!(
                "Conflict {}: task {task} was removed elsewhere while it was edited here. The \
                 removal won; what the task said here is kept aside{said}.",
                row.id
            )
        }
    }
}

/// What a conflict is about, in one word (`docs/reference/sync-json.md`).
fn kind_word(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Value => "value",
        ConflictKind::Deleted => "deleted",
        ConflictKind::Removed => "removed",
    }
}

pub(crate) fn conflict_json(row: &ConflictRow) -> Value {
    json!({
        "id": row.id,
        "at": row.at.to_string(),
        "task": row.task.to_string(),
        "description": row.description,
        "property": row.property,
        "base": row.property.is_some().then_some(&row.base),
        "kept": row.kept,
        "lost": row.property.is_some().then_some(&row.lost),
        "edits": row.edits(),
        "lost_here": row.lost_here,
        "kind": kind_word(row.kind()),
        "lost_task": row.lost_task,
        "resolved": row.resolved,
        "restore": format!("ta conflicts restore {}", row.id),
    })
}

/// What `ta sync` says: lines for people, and the exit code.
pub(crate) struct Words {
    /// What happened.
    pub(crate) lines: Vec<String>,
    /// What went wrong or waits for a person, if anything.
    pub(crate) fail: Option<Fail>,
    /// False when all is well and nothing lost: `--quiet` is silent then.
    pub(crate) is_worth_telling: bool,
}

/// Tells of a sync.
pub(crate) fn words(synced: &Synced) -> Words {
    let report = &synced.report;
    let mut lines = Vec::new();
    let mut is_worth_telling = false;
    // A question is asked before anything is changed, whatever was looked at for it.
    let asks = matches!(report.end, End::Question(_));
    let waiting = match synced.waiting {
        0 => "nothing waiting".to_owned(),
        n => format!("{} waiting", count(n, "change")),
    };
    if has_found_nothing(synced) {
        is_worth_telling = true;
        lines.push(format!(
            "There is nothing at {} yet, and nothing here: a new list, or a typo in server_dir?",
            synced.label
        ));
        lines.push("If it is a new list, add tasks and run: ta sync".into());
    } else if report.end == End::InStep && (synced.is_idle() || has_nothing_new(report)) {
        match synced.waiting {
            // What is told of that below is more than this.
            0 if report.client_was_forgotten => {}
            0 => lines.push("in step".into()),
            _ => lines.push(format!("in step · {waiting}")),
        }
    } else if !synced.is_idle() && !asks && !has_nothing_new(report) {
        lines.push(format!(
            "up {} · down {} in {} · {waiting}",
            count(report.changes_up, "change"),
            count(report.changes_down, "change"),
            count(report.tasks_down, "task"),
        ));
    }
    if report.snapshot_loaded.is_some() && !report.reinitialised && !asks {
        let tasks = synced.tasks_loaded.unwrap_or(0);
        lines.push(format!(
            "Began from the server's snapshot, with {} in it.",
            count(tasks, "task")
        ));
    }
    if let Some(arrived) = synced.arrived {
        is_worth_telling = true;
        lines.push(match (arrived.again, arrived.joined) {
            (true, _) => format!(
                "This list was joined with the one at {} again; {}.",
                synced.label,
                match (synced.waiting, report.changes_up) {
                    // What an earlier sync sent before it was broken off is not known here.
                    (0, 0) if !report.restarted => "nothing is missing there now",
                    (0, 0) => "nothing was missing there",
                    (0, _) => "what differed was sent",
                    _ => "what differs is still to be sent",
                }
            ),
            (false, true) => format!(
                "This list was joined with the one at {}, property by property.",
                synced.label
            ),
            // Who said `--new-history` has looked.
            (false, false) if !report.began_history => {
                format!("The whole list was offered to {}, which held none.", synced.label)
            }
            (false, false) => format!(
                "The whole list was offered to {}, which held none. If it should have held one, \
                 check {}.",
                synced.label,
                place_setting(synced),
            ),
        });
    }
    // A list from elsewhere is said to have been offered, which is told above.
    if report.began_history && synced.arrived.is_none() && report.versions_up > 0 {
        is_worth_telling = true;
        lines.push(format!(
            "A new history was begun at {}, which held none. If it should have held one, check {}.",
            synced.label,
            place_setting(synced),
        ));
    }
    if has_met_another(report) {
        is_worth_telling = true;
        lines.push(format!(
            "This list was joined with the one at {}, property by property.",
            synced.label
        ));
    }
    if report.address_changed {
        lines.push(format!(
            "{} holds the history that this list belongs to: its address has changed, and no more.",
            synced.label
        ));
    }
    if report.client_was_forgotten {
        is_worth_telling = true;
        let now = match (report.snapshot_made, report.versions_up) {
            (Some(_), _) => "It has the whole list again",
            (None, 0) => "It was not given anything yet",
            (None, _) => "It was given what is new; a snapshot follows",
        };
        lines.push(format!(
            "The server no longer knew this list. {now}; ask the operator whether the server was reset."
        ));
    }
    if report.reinitialised {
        is_worth_telling = true;
        lines.push(match report.forked_at {
            Some(_) if report.changes_up > 0 => "The server had gone back to an older state (a restored backup?) and another replica had gone on from there. What this replica had synced since was sent again.".into(),
            Some(_) => "The server had gone back to an older state (a restored backup?) and another replica had gone on from there. This replica follows.".into(),
            None if report.brought_forward => "The server had gone back to an older state. It was brought up to this replica's state, as asked for.".into(),
            None => "The server had removed the history that this replica stood on, so it began again from the server's present. What had been changed here was kept.".into(),
        });
    }
    if !synced.kept.is_empty() {
        is_worth_telling = true;
        let shown: Vec<String> = synced
            .kept
            .iter()
            .take(10)
            .map(|id| id.to_string().chars().take(8).collect())
            .collect();
        lines.push(format!(
            "{} that the server no longer had without anybody having deleted them were kept and sent again: {}. Delete them if they are not wanted.",
            count(synced.kept.len() as u64, "task"),
            shown.join(", ")
        ));
    }
    for row in synced.conflicts.iter().take(CONFLICTS_TOLD_MAX) {
        is_worth_telling = true;
        lines.push(format!(
            "{} To restore it: ta conflicts restore {}",
            conflict_line(row),
            row.id
        ));
    }
    if synced.conflicts.len() > CONFLICTS_TOLD_MAX {
        lines.push(format!(
            "{} more edits lost: ta conflicts list",
            synced.conflicts.len() - CONFLICTS_TOLD_MAX
        ));
    }
    if let Some(failure) = &report.snapshot_failure {
        lines.push(format!(
            "A snapshot could not be stored and will be tried again: {}.",
            escape(&failure.to_string())
        ));
    }
    let fail = match &report.end {
        End::InStep => None,
        End::NoHistory if report.client_is_expected => {
            is_worth_telling = true;
            lines.push(format!("{} expects this client, and holds no list of it yet. To begin one, add tasks and run: ta sync", synced.label));
            None
        }
        End::NoHistory => {
            is_worth_telling = true;
            lines.push(format!("{} has no history for this client: a new list, or a typo in server_client_key or server_origin?", synced.label));
            lines.push("If it is a new list, add tasks and run: ta sync --new-history".into());
            None
        }
        End::Question(question) => Some(explain_question(question, &synced.label)),
        End::Failed(failure) => Some(explain_failure(failure, synced)),
    };
    Words { lines, fail, is_worth_telling }
}

/// The setting that says where a list is, and in which a typo names an empty place.
fn place_setting(synced: &Synced) -> &'static str {
    if synced.is_directory { "server_dir" } else { "server_client_key" }
}

/// True if there is nothing at a folder yet, and nothing here: that is no list in step.
pub(crate) fn has_found_nothing(synced: &Synced) -> bool {
    synced.report.end == End::InStep
        && synced.is_idle()
        && synced.base.is_nil()
        && synced.waiting == 0
}

/// True if what moved was versions without changes alone, as a server that had forgotten the list gets.
fn has_nothing_new(report: &SyncReport) -> bool {
    report.changes_up == 0 && report.changes_down == 0 && report.snapshot_loaded.is_none()
}

/// What is asked, and how it is answered.
pub(crate) fn explain_question(question: &Question, label: &str) -> Fail {
    let (message, hint) = match question {
        Question::TwoLists { tasks_here } => (
            format!(
                "{label} holds a list of its own, and so does this replica ({})",
                count(*tasks_here, "task")
            ),
            "To join the two, property by property with the later edit winning: ta sync --join. \
             Otherwise check the settings with: ta config list"
                .to_owned(),
        ),
        Question::NewHistory => (
            format!("{label} has no history for this client"),
            "If this is a new list: ta sync --new-history. If it should be there, check \
             server_client_key and server_origin."
                .into(),
        ),
        Question::ServerWentBack { tasks_differing, .. } => (
            format!(
                "{label} has gone back to an older state, in which {} from here",
                count(*tasks_differing, "task")
                    + if *tasks_differing == 1 { " differs" } else { " differ" }
            ),
            "It was probably restored from a backup. To bring it up to this replica's state: \
             ta sync --upload-difference. Other replicas may hold more: sync the newest first."
                .into(),
        ),
        Question::ForeignHistory { tasks_here, tasks_there } => (
            format!(
                "the history at {label} has no task in common with this replica ({} here, {} there)",
                tasks_here, tasks_there
            ),
            "Check server_origin, server_client_key and server_dir. To join the two lists all the \
             same: ta sync --join"
                .into(),
        ),
    };
    Fail::new(Exit::Person, message).hint(hint)
}

fn explain_failure(failure: &Failure, synced: &Synced) -> Fail {
    let waits = match synced.waiting {
        0 => "Nothing of yours waits here.".to_owned(),
        n => {
            format!("{} safely here.", count(n, "change") + if n == 1 { " waits" } else { " wait" })
        }
    };
    let fail = failed(failure);
    let cure = fail.hint.as_deref().unwrap_or_default();
    Fail {
        message: escape(&fail.message).into_owned(),
        hint: Some(format!("{waits} {cure}")),
        ..fail
    }
}

/// A list that was in step nowhere before met one, and took it in.
fn has_met_another(report: &SyncReport) -> bool {
    let has_taken_in = report.versions_down > 0 || report.snapshot_loaded.is_some();
    report.joined && has_taken_in
}

/// The document that `ta sync --json` prints (`docs/reference/sync-json.md`).
pub(crate) fn as_json(synced: &Synced, words: &Words) -> Value {
    let report = &synced.report;
    let outcome = match &report.end {
        End::InStep if has_found_nothing(synced) => "no_history",
        End::InStep if synced.is_idle() => "in_step",
        End::InStep => "synced",
        End::NoHistory => "no_history",
        End::Question(_) => "question",
        End::Failed(_) => "failed",
    };
    json!({
        "outcome": outcome,
        "remote": synced.label,
        "base_version": synced.base.to_string(),
        "up": {
            "versions": report.versions_up,
            "operations": report.operations_up,
            "changes": report.changes_up,
        },
        "down": {
            "versions": report.versions_down,
            "operations": report.operations_down,
            "changes": report.changes_down,
            "tasks": report.tasks_down,
        },
        "waiting": synced.waiting,
        "requests": report.requests,
        "snapshot_loaded": report.snapshot_loaded.map(|version| version.to_string()),
        "snapshot_made": report.snapshot_made.map(|version| version.to_string()),
        "reinitialised": report.reinitialised,
        "forked_at": report.reinitialised.then_some(report.forked_at).flatten().map(|version| version.to_string()),
        "address_changed": report.address_changed,
        "restarted": synced.arrived.is_some(),
        "rejoined": synced.arrived.is_some_and(|arrived| arrived.again),
        "joined": has_met_another(report),
        "began_history": report.began_history && report.versions_up > 0,
        "client_was_forgotten": report.client_was_forgotten,
        "kept_tasks": synced.kept.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "conflicts": synced.conflicts.iter().map(conflict_json).collect::<Vec<_>>(),
        "error": words.fail.as_ref().map(Fail::as_json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1536), "1.5 kB");
        assert_eq!(bytes(10 << 20), "10.0 MB");
    }
}
