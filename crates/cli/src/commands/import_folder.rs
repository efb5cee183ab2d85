//! `ta import FOLDER`: takes over a TaskChampion 3 replica with everything in it.

use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_client::{AdoptError, adopt_replica};
use tandem_exchange::Taskrc;
use tandem_settings::{ConfigFile, Key, Origin, RemoteSettings, Settings, Value, set};
use tandem_words::text::escape;

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
    let theirs = match taskrc {
        Some(taskrc) => take_settings(app, &taskrc)?,
        None => Theirs::default(),
    };
    let settings = Settings::load(&app.environment, app.config_flag.as_deref())?;
    // What has never been synchronised may begin anywhere.
    let is_elsewhere =
        !adopted.base.is_nil() && !is_same_place(&settings, &theirs, adopted.place.as_deref());
    if app.output.is_json {
        app.output.json(&json!({
            "tasks": adopted.tasks,
            "waiting": adopted.pending,
            "base_version": adopted.base.to_string(),
            "settings": theirs.taken,
            "settings_not_taken": theirs.not_taken,
            "was_ours": adopted.was_ours,
            "synchronised_with": adopted.place,
            "set_server_first": is_elsewhere,
        }));
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "Took over {} and {} that wait for a sync. The originals are untouched.",
        crate::told::count(adopted.tasks, "task"),
        crate::told::count(adopted.pending, "change")
    ));
    if !theirs.taken.is_empty() {
        app.output.line(format!("Took over the settings {}.", theirs.taken.join(", ")));
    }
    if !theirs.not_taken.is_empty() {
        app.output.line(format!(
            "Did not take over {}: another value is set here, and holds.",
            theirs.not_taken.join(", ")
        ));
    }
    if adopted.was_ours {
        app.output.line(
            "The settings that `ta` had for it (config.toml) are not in the folder and were not taken \
             over: `ta config list` shows what holds here.",
        );
    }
    if is_elsewhere {
        let with = adopted.place.map(|place| format!(" with {}", escape(&place)));
        app.output.line(format!(
            "This list has been synchronised{}, and what is set here is not known to be the same place. \
             Set the same server first (server_origin, server_client_key and encryption_secret, or \
             server_dir for a folder, with `ta config set`), then run: ta sync",
            with.unwrap_or_default()
        ));
    } else {
        app.output.line("From now on use one of the two, or let both sync: `ta sync`.");
    }
    Ok(Exit::Done)
}

/// The sync settings of a `.taskrc`, and what became of them.
#[derive(Debug, Default)]
struct Theirs {
    taken: Vec<&'static str>,
    /// Another value is set here.
    not_taken: Vec<&'static str>,
    /// Where Taskwarrior synchronises the list; nothing where that is not said in full.
    place: Option<Place>,
}

/// A place for a list, as far as settings say it.
#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Server,
}

/// True if what is set here is where the list has been synchronised, as far as is known of that.
fn is_same_place(settings: &Settings, theirs: &Theirs, place: Option<&str>) -> bool {
    let ours = match settings.remote() {
        Ok(RemoteSettings::Directory(path)) => Place::Folder(path),
        Ok(RemoteSettings::Server { origin, .. })
            if place.is_some_and(|place| same_address(origin.as_str(), place)) =>
        {
            return true;
        }
        Ok(RemoteSettings::Server { .. }) => Place::Server,
        _ => return false,
    };
    match (ours, &theirs.place) {
        (Place::Folder(ours), _) if place.is_some_and(|place| ours == Path::new(place)) => true,
        (Place::Folder(ours), Some(Place::Folder(theirs))) => ours == *theirs,
        (Place::Server, Some(Place::Server)) => theirs.not_taken.is_empty(),
        _ => false,
    }
}

fn same_address(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// True if a setting here says the same as one of theirs.
fn says_the_same(ours: &Value, theirs: &str) -> bool {
    match ours {
        Value::Path(path) => path == Path::new(theirs),
        Value::ServerOrigin(origin) => same_address(origin.as_str(), theirs),
        Value::ClientKey(key) => theirs.parse() == Ok(*key),
        // Compared, and shown nowhere.
        Value::Secret(secret) => secret.dangerously_expose() == theirs,
        _ => false,
    }
}

/// Sets our keys from the `.taskrc`, unless they are set already.
fn take_settings(app: &mut App<'_>, taskrc: &Taskrc) -> Result<Theirs, Fail> {
    let sync = taskrc.sync_settings(app.environment.home());
    if let Some(key) = &sync.unsupported {
        app.output.notice(format!(
            "warning: {key} names a remote that ta cannot sync with yet; set up another one"
        ));
    }
    let file = ConfigFile::locate(&app.environment, app.config_flag.as_deref())?;
    let mut theirs = Theirs {
        place: match &sync.server_dir {
            Some(folder) => Some(Place::Folder(folder.clone())),
            None => [&sync.server_origin, &sync.server_client_key, &sync.encryption_secret]
                .iter()
                .all(|value| value.is_some())
                .then_some(Place::Server)
                .filter(|_| sync.unsupported.is_none()),
        },
        ..Theirs::default()
    };
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    for (key, value) in [
        (Key::ServerDir, sync.server_dir.map(path)),
        (Key::ServerOrigin, sync.server_origin),
        (Key::ServerClientKey, sync.server_client_key),
        (Key::EncryptionSecret, sync.encryption_secret),
    ] {
        let Some(value) = value else { continue };
        match app.settings.get(key).filter(|setting| setting.origin != Origin::Default) {
            None => {
                let from = Origin::OtherFile { path: Path::new(".taskrc").into() };
                for notice in set(&file.path, key, &value, from, &app.environment)?.notices {
                    app.output.notice(notice.to_string());
                }
                theirs.taken.push(key.name());
            }
            Some(ours) if says_the_same(&ours.value, &value) => {}
            Some(_) => theirs.not_taken.push(key.name()),
        }
    }
    Ok(theirs)
}
