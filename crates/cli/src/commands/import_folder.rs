//! `ta import FOLDER`: takes over a TaskChampion 3 replica with everything in it.

use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_client::{AdoptError, adopt_replica};
use tandem_exchange::Taskrc;
use tandem_settings::{ConfigFile, Key, Origin, set};

use crate::app::{App, REPLICA_FILE};
use crate::fail::{Exit, Fail, chain};
use crate::taskrc::taskrc_of;

pub(crate) fn run(app: &mut App<'_>, folder: &Path) -> Result<Exit, Fail> {
    let source = folder.join(REPLICA_FILE);
    if !source.is_file() {
        return Err(Fail::failed(format!("{} holds no TaskChampion 3 replica", folder.display()))
            .hint(format!("There is no {REPLICA_FILE} in it. Taskwarrior 2 lists: `task export` to a file, then `ta import FILE`.")));
    }
    let data_dir = app.data_dir()?;
    // Opening it says what there is to say about the file and its folder.
    drop(app.storage()?);
    let target = data_dir.join(REPLICA_FILE);
    let adopted = adopt_replica(&source, &target).map_err(|error| match error {
        AdoptError::NotEmpty { tasks } => {
            Fail::failed(format!("{} holds {tasks} tasks already", data_dir.display())).hint(
                "Only an empty replica can take another one over. Set `data_dir` to a new folder, \
                 or bring the tasks over with `task export` and `ta import FILE`.",
            )
        }
        AdoptError::SameFile => Fail::failed("that folder is this replica already")
            .hint("Nothing needs to be imported: `ta list` shows its tasks."),
        AdoptError::Storage(error) => error.into(),
        AdoptError::Locked(error) => error.into(),
        other => Fail::failed(chain(&other)).hint("Nothing was changed."),
    })?;
    let taskrc = match app.named_taskrc()? {
        Some(taskrc) => Some(taskrc),
        None => taskrc_of(folder, app.environment.home()),
    };
    let mut taken = Vec::new();
    if let Some(taskrc) = taskrc {
        taken = take_settings(app, &taskrc)?;
    }
    if app.output.is_json {
        app.output.json(&json!({
            "tasks": adopted.tasks,
            "waiting": adopted.pending,
            "base_version": adopted.base.to_string(),
            "settings": taken,
            "was_ours": adopted.was_ours,
        }));
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "Took over {} and {} that wait for a sync. The originals are untouched.",
        crate::told::count(adopted.tasks, "task"),
        crate::told::count(adopted.pending, "change")
    ));
    if !taken.is_empty() {
        app.output.line(format!("Took over the settings {}.", taken.join(", ")));
    }
    if adopted.was_ours {
        app.output.line(
            "The settings that `ta` had for it (config.toml) are not in the folder and were not taken \
             over: `ta config list` shows what holds here.",
        );
    }
    app.output.line("From now on use one of the two, or let both sync: `ta sync`.");
    Ok(Exit::Done)
}

/// Sets our keys from the `.taskrc`, unless they are set already.
fn take_settings(app: &mut App<'_>, taskrc: &Taskrc) -> Result<Vec<&'static str>, Fail> {
    let sync = taskrc.sync_settings(app.environment.home());
    if let Some(key) = &sync.unsupported {
        app.output.notice(format!(
            "warning: {key} names a remote that ta cannot sync with yet; set up another one"
        ));
    }
    let file = ConfigFile::locate(&app.environment, app.config_flag.as_deref())?;
    let mut taken = Vec::new();
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    for (key, value) in [
        (Key::ServerDir, sync.server_dir.map(path)),
        (Key::ServerOrigin, sync.server_origin),
        (Key::ServerClientKey, sync.server_client_key),
        (Key::EncryptionSecret, sync.encryption_secret),
    ] {
        let Some(value) = value else { continue };
        let is_free = app.settings.get(key).is_none_or(|setting| setting.origin == Origin::Default);
        if is_free {
            let from = Origin::OtherFile { path: Path::new(".taskrc").into() };
            for notice in set(&file.path, key, &value, from, &app.environment)?.notices {
                app.output.notice(notice.to_string());
            }
            taken.push(key.name());
        }
    }
    Ok(taken)
}
