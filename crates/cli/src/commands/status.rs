//! `ta status`: where this replica stands, without asking any server unless told to.

use std::io::ErrorKind;

use serde_json::{Value, json};
use tandem_client::{LastSync, missing_history};
use tandem_remote::Remote as _;
use tandem_remote::directory::{DirectoryOptions, DirectoryRemote};
use tandem_settings::RemoteSettings;
use tandem_words::dates::{age, date_time};
use tandem_words::text::escape;

use super::doctor::there;
use super::doctor::verdict::Verdict;
use crate::app::{App, REPLICA_FILE};
use crate::fail::{Exit, Fail};
use crate::told::{bytes, count};

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let asks_server = !app.flags("status", rest, &["--server"])?.is_empty();
    let is_there = app.is_there()?;
    let mut replica = app.replica()?;
    let data_dir = app.data_dir()?;
    let file = data_dir.join(REPLICA_FILE);
    let (tasks, numbered, base, in_flight) = replica.read(|txn| {
        Ok((
            txn.task_count()?,
            txn.working_set()?.len(),
            txn.base_version()?,
            txn.in_flight()?.is_some(),
        ))
    })?;
    let pending = replica.pending_changes()?;
    let conflicts = replica.conflicts(false)?.len();
    let (remotes, current) = replica.remotes()?;
    let current = remotes.iter().find(|row| Some(row.id) == current);
    let file_bytes = std::fs::metadata(&file).map_or(0, |meta| meta.len());
    let remote = app.settings.remote();
    let last = LastSync::load(&data_dir);
    let directory = match &remote {
        Ok(RemoteSettings::Directory(path)) => {
            let mut directory = DirectoryRemote::new(path, DirectoryOptions::default());
            let size = directory.size_bytes();
            let orphans = match path.exists() {
                true => directory.orphan_count().unwrap_or(0),
                false => 0,
            };
            let refusal = directory.ask_of_itself().and_then(|says| says.not_ready);
            Some((path.display().to_string(), size, orphans, refusal))
        }
        _ => None,
    };
    let target = match &remote {
        Ok(RemoteSettings::Server { origin, .. }) => Some(origin.as_str().to_owned()),
        Ok(_) => directory.as_ref().map(|(path, ..)| path.clone()),
        Err(_) => None,
    };
    let server = asks_server.then(|| there::stand(app, &mut replica));
    let exit = match &server {
        Some(Err(fail)) => fail.exit,
        Some(Ok(Verdict { cure: Some((exit, _)), .. })) => *exit,
        _ => Exit::Done,
    };
    if app.output.is_json {
        let mut document = json!({
            "data_dir": data_dir.display().to_string(),
            "exists": is_there,
            "file_bytes": file_bytes,
            "tasks": tasks,
            "numbered_tasks": numbered,
            "waiting": pending,
            "in_flight": in_flight,
            "base_version": base.to_string(),
            "last_sync": last.as_ref().map(|last| json!({
                "at": last.at.to_string(),
                "with": last.with,
                "seconds_ago": app.now.seconds().saturating_sub(last.at.seconds()),
            })),
            "never_synced": last.is_none() && base.is_nil(),
            "synced_with": current.map(|row| row.label.clone()),
            "remote": target,
            "remote_error": remote.as_ref().err().map(ToString::to_string),
            "directory_bytes": directory.as_ref().map(|(_, size, ..)| size),
            "directory_orphans": directory.as_ref().map(|(_, _, orphans, _)| orphans),
            "conflicts": conflicts,
            "snapshot_wanted": current.is_some_and(|row| row.wanted_snapshot.is_some()),
        });
        if let Some(server) = &server {
            document["server"] = match server {
                Ok(Verdict { state, text, cure }) => {
                    let hint = cure.as_ref().map(|(_, hint)| hint);
                    json!({ "state": state, "text": text, "hint": hint })
                }
                Err(fail) => {
                    json!({ "state": "failed", "text": fail.message, "hint": fail.hint })
                }
            };
            document["error"] = error(server);
        }
        app.output.json(&document);
        return Ok(exit);
    }
    let mut table = tandem_words::Table::pairs();
    table.push([
        "Replica".to_owned(),
        match is_there {
            true => format!("{} ({})", file.display(), bytes(file_bytes)),
            false => format!("none yet; the first task or sync makes {}", file.display()),
        },
    ]);
    table.push(["Tasks".to_owned(), format!("{tasks}, {numbered} of them numbered")]);
    table.push([
        "Waiting".to_owned(),
        match pending {
            0 => "nothing".into(),
            n => format!("{} for the next sync", count(n, "change")),
        },
    ]);
    if in_flight {
        table
            .push(["In flight", "a version whose acceptance is not known yet; the next sync asks"]);
    }
    table.push([
        "Base version".to_owned(),
        match base.is_nil() {
            true => "none yet".into(),
            false => base.to_string(),
        },
    ]);
    table.push([
        "Last synced".to_owned(),
        match &last {
            Some(last) => {
                let ago = age(app.now.seconds().saturating_sub(last.at.seconds()).max(0));
                let at = date_time(last.at.seconds(), &app.context());
                format!("{at} ({ago} ago), with {}", escape(&last.with))
            }
            None if base.is_nil() => "never".into(),
            None => "not known: not by this program, or not since it keeps the time".into(),
        },
    ]);
    if let Some(row) = current {
        table.push(["Synced with".to_owned(), row.label.clone()]);
    }
    match &remote {
        Ok(_) => table.push(["Syncs with".to_owned(), target.unwrap_or_default()]),
        Err(error) => table.push(["Syncs with".to_owned(), format!("settings error: {error}")]),
    }
    match &server {
        None => {}
        Some(Ok(Verdict { text, cure: None, .. })) => table.push(["Server", text]),
        Some(Ok(Verdict { text, cure: Some((_, hint)), .. })) => {
            table.push(["Server".to_owned(), escape(&format!("{text} → {hint}")).into()]);
        }
        Some(Err(fail)) => {
            let hint = fail.hint.as_deref().unwrap_or_default();
            table.push(["Server".to_owned(), escape(&format!("{}. {hint}", fail.message)).into()]);
        }
    }
    if let Some((path, size, orphans, refusal)) = &directory {
        table.push([
            "Directory".to_owned(),
            match in_the_way(path).map_or(Ok(size), Err) {
                Err(what) => what.to_owned(),
                Ok(0) => match missing_history(&remotes, current.is_some(), base, path) {
                    Some(failure) => format!("{failure}: is a disk unmounted?"),
                    None if let Some(failure) = refusal => failure.to_string(),
                    None => "not there yet: `ta sync` makes it".to_owned(),
                },
                Ok(size) if let Some(failure) = refusal => {
                    format!("{}, and nothing can be put there: {failure}", bytes(*size))
                }
                Ok(size) => format!("{} (its format never shrinks)", bytes(*size)),
            },
        ]);
        if *orphans > 0 {
            table.push([
                "Orphans".to_owned(),
                format!("{} that other programs left off the chain", count(*orphans, "version")),
            ]);
        }
    }
    table.push([
        "Conflicts".to_owned(),
        match conflicts {
            0 => "none".into(),
            n => format!("{} to look at: ta conflicts list", n),
        },
    ]);
    let text = table.render(crate::output::width(), crate::output::style());
    app.output.text(&text);
    Ok(exit)
}

/// Why the next sync would not be done, as `ta sync --json` and `ta doctor --json` have it.
fn error(server: &Result<Verdict, Fail>) -> Value {
    match server {
        Err(fail) => fail.as_json(),
        Ok(Verdict { text, cure: Some((exit, hint)), .. }) if *exit != Exit::Done => {
            Fail::new(*exit, text).hint(hint).as_json()
        }
        Ok(_) => Value::Null,
    }
}

/// What keeps a directory that is there from being looked into.
fn in_the_way(path: &str) -> Option<&'static str> {
    match std::fs::read_dir(path).err()?.kind() {
        ErrorKind::PermissionDenied => Some("there, but this user may not read it"),
        ErrorKind::NotADirectory => Some("a file stands in its place"),
        _ => None,
    }
}
