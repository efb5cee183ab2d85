//! What can be looked at on this machine.

use std::path::Path;

use tandem_client::{LastSync, Replica, SyncLock, connect};
use tandem_core::VersionId;
use tandem_replica::{MemoryStorage, OpenOptions, OpenWarning, SqliteStorage};
use tandem_settings::{RemoteSettings, Warning};
use tandem_words::dates::age;
use tandem_words::text::escape;

use super::Check;
use super::there::Stand;
use crate::app::{App, REPLICA_FILE};
use crate::commands::sync::connect_fail;
use crate::fail::{DAMAGED, Exit, Fail};
use crate::told::count;

/// After so long without a sync, in seconds, one wonders whether it is still called: a day.
const SYNC_SECONDS_MAX: i64 = 24 * 60 * 60;

/// The line that calls it, with the path of this program: cron's own `PATH` is short.
fn cron() -> String {
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "ta".to_owned(), |path| path.display().to_string());
    format!(
        "A line in your crontab (crontab -e) keeps it going: */15 * * * * {program} sync --quiet"
    )
}

/// Whether the settings say all that a sync needs.
pub(super) fn settings(app: &App<'_>) -> Check {
    const NAME: &str = "settings";
    // What may not be meant, told here and not before. Of a line in clear the check of TLS tells.
    let warnings = app.settings.warnings().iter();
    let warnings: Vec<String> = warnings
        .filter(|warning| !matches!(warning, Warning::ClearOrigin { .. }))
        .map(ToString::to_string)
        .collect();
    // The way is looked at, too: a key may name a file that is not there.
    let remote = match (connect(&app.settings), app.settings.remote()) {
        (Ok(_), Ok(remote)) => remote,
        (Err(error), _) => {
            let fail = connect_fail(error);
            let message = [vec![fail.message], warnings].concat().join(". ");
            return Check::of_fail(NAME, Fail { message, ..fail });
        }
        (_, Err(error)) => return Check::of_fail(NAME, error.into()),
    };
    let found = match remote {
        RemoteSettings::Server { origin, .. } => {
            format!("complete; the server is {}", origin.as_str())
        }
        RemoteSettings::Directory(path) => {
            format!("complete; no server is set, the folder is {}", path.display())
        }
        _ => "complete".to_owned(),
    };
    match warnings.is_empty() {
        true => Check::well(NAME, found),
        false => Check::warning(
            NAME,
            warnings.join(" "),
            "`ta config list` shows where each value comes from",
        ),
    }
}

/// Whether the replica is sound and kept from others; and where it stands, if it could be read.
pub(super) fn replica(app: &App<'_>) -> (Vec<Check>, Option<Stand>) {
    const NAME: &str = "replica";
    match look(app) {
        Ok(looked) => looked,
        Err(fail) => {
            let folder = Check::skipped("folder", "the replica could not be opened");
            (vec![Check::of_fail(NAME, fail), folder], None)
        }
    }
}

fn look(app: &App<'_>) -> Result<(Vec<Check>, Option<Stand>), Fail> {
    let folder = app.data_dir()?;
    let path = folder.join(REPLICA_FILE);
    app.check_place(&folder)?;
    if !app.is_there()? {
        app.check_makeable(&folder)?;
        let nothing = Check::warning(
            "replica",
            format!("there is none in {} yet", folder.display()),
            "`ta sync` fetches a list, `ta add` begins one, `ta import` takes one over",
        );
        let replica = Replica::new(MemoryStorage::new());
        let stand = Stand { replica, base: VersionId::NIL, is_base_known: false, met: Vec::new() };
        return Ok((
            vec![nothing, Check::skipped("folder", "it is made with the replica")],
            Some(stand),
        ));
    }
    let (mut storage, notes) = SqliteStorage::open(&path, &OpenOptions::default())?;
    let problems = storage.integrity_check()?;
    let mut replica = Replica::new(storage);
    replica.notice(app.now)?;
    let findings = replica.check()?;
    let tasks = replica.read(|txn| txn.task_count())?;
    let waiting = replica.pending_changes()?;
    let base = replica.base_version()?;
    let (remotes, current) = replica.remotes()?;
    let sound = match (problems.len(), findings.len()) {
        (0, 0) if notes.read_only => Check::warning(
            "replica",
            format!("sound; {}, and it can only be read", count(tasks, "task")),
            match (notes.is_full, &notes.stopped_by) {
                (true, _) => "make room on the disk".to_owned(),
                (false, Some(file)) => format!("check the owner and mode of {}", file.display()),
                (false, None) => "check the owner and mode of the file and its folder".to_owned(),
            },
        ),
        (0, 0) => {
            let waiting = match waiting {
                0 => "nothing waiting".to_owned(),
                n => format!("{} waiting", count(n, "change")),
            };
            Check::well("replica", format!("sound; {}, {waiting}", count(tasks, "task")))
        }
        (0, n) => Check::warning(
            "replica",
            format!("{} of its own records do not fit together", n),
            "`ta verify` names them, `ta verify --repair` mends them",
        ),
        (n, _) => Check::ill(
            "replica",
            Exit::Failed,
            format!("the file is damaged ({})", count(n as u64, "problem")),
            DAMAGED,
        ),
    };
    Ok((
        vec![sound, folder_check(&folder, &notes.warnings)],
        Some(Stand { replica, base, is_base_known: current.is_some(), met: remotes }),
    ))
}

/// Whether a sync could begin there, and others keep out.
fn folder_check(folder: &Path, warnings: &[OpenWarning]) -> Check {
    match SyncLock::check(folder) {
        Err(error) => Check::of_fail("folder", error.into()),
        Ok(()) => modes(warnings, &folder.display().to_string()),
    }
}

/// Whether others on this machine may read the list.
fn modes(warnings: &[OpenWarning], folder: &str) -> Check {
    let open = warnings.iter().find_map(|warning| match warning {
        OpenWarning::FileOpenToOthers { path, mode }
        | OpenWarning::FolderOpenToOthers { path, mode } => Some((path.display(), mode & 0o777)),
        _ => None,
    });
    match open {
        None => Check::well("folder", format!("{folder} is closed to others")),
        Some((path, mode)) => Check::warning(
            "folder",
            format!("others may read {path} (mode {mode:o})"),
            format!("chmod go= {path}"),
        ),
    }
}

/// Whether it is called regularly.
pub(super) fn last_sync(app: &App<'_>, stand: Option<&Stand>) -> Check {
    const NAME: &str = "last sync";
    let Ok(folder) = app.data_dir() else { return Check::skipped(NAME, "there is no folder") };
    match LastSync::load(&folder) {
        Some(last) => {
            let seconds = app.now.seconds().saturating_sub(last.at.seconds()).max(0);
            let found = format!("in step {} ago, with {}", age(seconds), escape(&last.with));
            if seconds <= SYNC_SECONDS_MAX {
                Check::well(NAME, found)
            } else {
                Check::warning(NAME, found, cron())
            }
        }
        None if stand.is_some_and(|stand| !stand.base.is_nil()) => Check::warning(
            NAME,
            "not known: not by this program, or not since it keeps the time",
            cron(),
        ),
        None => Check::warning(NAME, "never", format!("run `ta sync` once by hand. {}", cron())),
    }
}
