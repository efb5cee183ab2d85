//! What every command needs: settings, the moment, and the replica, opened when first asked for.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tandem_client::{Replica, system_now};
use tandem_core::Timestamp;
use tandem_remote::place;
use tandem_replica::{MemoryStorage, OpenOptions, OpenWarning, SqliteStorage};
use tandem_settings::{Environment, Key, Origin, Settings};
use tandem_words::Context;
use tandem_words::command::{Command, parse};

use crate::commands;
use crate::fail::{Exit, Fail};
use crate::output::Output;

/// The database's name in the data directory (`protocols/taskchampion.md` section 15).
pub(crate) const REPLICA_FILE: &str = "taskchampion.sqlite3";

/// What a command works with.
pub(crate) struct App<'a> {
    pub(crate) environment: Environment,
    pub(crate) config_flag: Option<PathBuf>,
    pub(crate) taskrc_flag: Option<PathBuf>,
    /// `--yes`: no question before many tasks are changed.
    pub(crate) says_yes: bool,
    /// The command may well be the first in a new folder, and makes the replica where there is none.
    pub(crate) may_begin: bool,
    pub(crate) settings: Settings,
    pub(crate) output: &'a mut Output,
    pub(crate) now: Timestamp,
}

/// Runs one command line; `words` are those after `ta`.
pub(crate) fn run(words: Vec<String>, output: &mut Output) -> Result<Exit, Fail> {
    let globals = Globals::take(words)?;
    output.is_json = globals.json;
    output.is_quiet = globals.quiet;
    let line = parse(&globals.words)?;
    let environment = Environment::from_process();
    // These say what they have to say whatever the settings are.
    match line.command {
        Command::Version => return commands::about::version(&line.rest, output),
        Command::Help => return commands::about::help(&line.rest, output),
        Command::Demo => return commands::demo::run(&line.rest, output),
        // A server has settings of its own.
        Command::Serve => {
            let config = globals.config.as_deref();
            return commands::serve::run(&line.rest, &environment, config, output);
        }
        #[cfg(feature = "server")]
        Command::Server => {
            let config = globals.config.as_deref();
            let rest = &line.rest;
            return commands::server::run(rest, &environment, config, globals.yes, output);
        }
        #[cfg(not(feature = "server"))]
        Command::Server => return Err(commands::serve::missing()),
        Command::Config => {
            return commands::config::run(
                &line.rest,
                &environment,
                globals.config.as_deref(),
                output,
            );
        }
        _ => {}
    }
    let settings = Settings::load(&environment, globals.config.as_deref())?;
    // The doctor tells them in the place of each.
    let warnings = settings.warnings().iter().filter(|_| line.command != Command::Doctor);
    for warning in warnings {
        output.notice(format!("warning: {warning}"));
    }
    let mut app = App {
        environment,
        config_flag: globals.config,
        taskrc_flag: globals.taskrc,
        says_yes: globals.yes,
        may_begin: matches!(
            line.command,
            Command::Add | Command::Log | Command::Import | Command::Sync
        ),
        settings,
        output,
        now: system_now(),
    };
    commands::run(&mut app, line)
}

/// Flags that belong to the program as a whole, wherever they stand before `--`.
#[derive(Default)]
struct Globals {
    config: Option<PathBuf>,
    taskrc: Option<PathBuf>,
    yes: bool,
    json: bool,
    quiet: bool,
    words: Vec<String>,
}

impl Globals {
    fn take(all: Vec<String>) -> Result<Self, Fail> {
        let mut globals = Self::default();
        let mut all = all.into_iter();
        while let Some(word) = all.next() {
            match word.as_str() {
                "--" => {
                    globals.words.push(word);
                    globals.words.extend(all);
                    break;
                }
                "--json" => globals.json = true,
                "--yes" => globals.yes = true,
                "--quiet" | "-q" => globals.quiet = true,
                "--config" => globals.config = Some(file_after("--config", &mut all)?),
                "--taskrc" => globals.taskrc = Some(file_after("--taskrc", &mut all)?),
                _ => {
                    if let Some(file) = word.strip_prefix("--config=") {
                        globals.config = Some(file.into());
                    } else if let Some(file) = word.strip_prefix("--taskrc=") {
                        globals.taskrc = Some(file.into());
                    } else {
                        globals.words.push(word);
                    }
                }
            }
        }
        Ok(globals)
    }
}

fn file_after(flag: &str, words: &mut impl Iterator<Item = String>) -> Result<PathBuf, Fail> {
    let needs =
        || Fail::usage(format!("`{flag}` needs a file")).hint(format!("Write `{flag} FILE`."));
    words.next().map(PathBuf::from).ok_or_else(needs)
}

impl App<'_> {
    /// The moment and the zone, for reading and showing dates.
    pub(crate) fn context(&self) -> Context {
        Context::new(self.now, TimeZone::system())
    }

    /// The folder of the replica, which need not be there yet.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Fail> {
        let folder = self.settings.data_dir()?;
        // The folder need not be there yet; what is there must be one.
        match folder.ancestors().find(|place| place.exists()) {
            Some(file) if !file.is_dir() => {
                let origin = self.settings.get(Key::DataDir).map(|setting| &setting.origin);
                let origin = origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
                let message = format!(
                    "`data_dir`{origin} cannot be used: {} is a file, and not a folder",
                    file.display()
                );
                Err(Fail::new(Exit::Settings, message)
                    .hint("Name the folder of the task list: ta config set data_dir FOLDER"))
            }
            _ => Ok(folder),
        }
    }

    /// Opens the replica. Where there is none, a command that may be the first one makes it; every
    /// other has an empty one in memory, so that looking makes nothing.
    pub(crate) fn replica(&mut self) -> Result<Replica, Fail> {
        if self.may_begin || self.is_there()? {
            return Ok(Replica::new(self.storage()?));
        }
        let folder = self.data_dir()?;
        self.check_makeable(&folder)?;
        // A slip in the setting shows an empty list, and nobody would know why.
        if self.is_chosen() && !self.output.is_quiet {
            self.output.notice(format!(
                "There is no list in {} yet; the first task or sync makes it.",
                folder.display()
            ));
        }
        Ok(Replica::new(MemoryStorage::new()))
    }

    /// Whether there is a replica. A file that cannot be looked at is one, and so is a link that leads
    /// nowhere: opening it says what the matter is.
    pub(crate) fn is_there(&self) -> Result<bool, Fail> {
        let found = std::fs::symlink_metadata(self.data_dir()?.join(REPLICA_FILE));
        Ok(!found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound))
    }

    /// Whether the first command that makes a replica could make it in this folder. Makes nothing.
    pub(crate) fn check_makeable(&self, folder: &Path) -> Result<(), Fail> {
        self.check_place(folder)?;
        place::check_folder(folder).map_err(|error| {
            Fail::failed(format!("no replica can be made in {}: {error}", folder.display())).hint(
                "Check the owner and mode of the folder and whether its disk is mounted, or set another \
                 `data_dir`.",
            )
        })
    }

    /// Somebody set the folder of the list.
    fn is_chosen(&self) -> bool {
        self.settings.get(Key::DataDir).is_some_and(|setting| setting.origin != Origin::Default)
    }

    /// No replica is made in the folder of another program's list.
    pub(crate) fn check_place(&self, folder: &Path) -> Result<(), Fail> {
        if folder.join(REPLICA_FILE).exists() || !folder.join("pending.data").exists() {
            return Ok(());
        }
        let message = format!("{} holds a list of Taskwarrior 2", folder.display());
        Err(Fail::new(Exit::Settings, message).hint(
            "Set `data_dir` to another folder and bring the list over: task export | ta import",
        ))
    }

    /// Opens the replica's database.
    pub(crate) fn storage(&mut self) -> Result<SqliteStorage, Fail> {
        let folder = self.data_dir()?;
        let path = folder.join(REPLICA_FILE);
        self.check_place(&folder)?;
        let (storage, notes) = SqliteStorage::open(&path, &OpenOptions::default())?;
        let is_quiet = self.output.is_quiet;
        for warning in notes.warnings.iter().filter(|_| !is_quiet) {
            let (OpenWarning::FileOpenToOthers { path, mode }
            | OpenWarning::FolderOpenToOthers { path, mode }) = warning
            else {
                continue;
            };
            self.output.notice(format!(
                "warning: others may read {} (mode {:o}). Close it with: chmod go= {}",
                path.display(),
                mode & 0o777,
                path.display()
            ));
        }
        if let (Some(from), Some(copy)) = (&notes.upgraded_from, &notes.upgraded_copy) {
            self.output.notice(format!(
                "The replica had the older format {from} and was upgraded. A copy is in {}",
                copy.display()
            ));
        }
        if notes.checked && !is_quiet {
            self.output.notice(
                "The replica had not been closed properly (a program was killed, or the power \
                 went). It was checked and is sound; nothing is to be done.",
            );
        }
        if notes.created
            && let Some(words) = self.taskwarrior_words(&folder)
        {
            self.output.notice(words);
        }
        Ok(storage)
    }

    /// The words about a Taskwarrior 3 replica that could be used in place, if there is one.
    fn taskwarrior_words(&self, ours: &Path) -> Option<String> {
        let home = self.environment.home().filter(|_| !self.is_chosen())?;
        let data_home = self.environment.data_home().unwrap_or_else(|| home.join(".local/share"));
        let places = [home.join(".task"), data_home.join("task")];
        let found = places
            .iter()
            .find(|place| place.as_path() != ours && place.join(REPLICA_FILE).is_file())?;
        Some(format!(
            "There is a Taskwarrior list in {}. To use it in place: ta config set data_dir {}",
            found.display(),
            found.display()
        ))
    }

    /// What to do first, where there is no task at all.
    pub(crate) fn first_steps(&self) -> Result<Vec<String>, Fail> {
        let mut lines = vec!["No tasks yet. To add one: ta add Buy milk due:friday".to_owned()];
        match self.taskwarrior_words(&self.data_dir()?) {
            Some(words) => lines.push(words),
            None => lines.push(
                "A list from elsewhere: `ta sync` fetches it (`ta config list` shows its settings), `ta \
                 import FOLDER` takes one over."
                    .to_owned(),
            ),
        }
        Ok(lines)
    }

    /// Flags of a command: refuses those that it does not know.
    pub(crate) fn flags<'w>(
        &self,
        command: &str,
        rest: &'w [String],
        known: &[&str],
    ) -> Result<Vec<&'w str>, Fail> {
        known_flags(command, rest, known)
    }
}

/// Takes the flags of a command that has nothing but flags after it.
pub(crate) fn known_flags<'w>(
    command: &str,
    rest: &'w [String],
    known: &[&str],
) -> Result<Vec<&'w str>, Fail> {
    match rest.iter().find(|word| !known.contains(&word.as_str())) {
        None => Ok(rest.iter().map(String::as_str).collect()),
        Some(word) => {
            let hint = match known {
                [] => format!(
                    "`ta {command}` has no flags but those that stand everywhere: `--config FILE`, \
                     `--json`, `--quiet`, `--taskrc FILE`, `--yes`."
                ),
                _ => {
                    let meant = tandem_core::nearest(word, known.iter().copied());
                    let meant = meant.map(|flag| format!("Did you mean `{flag}`? "));
                    let meant = meant.unwrap_or_default();
                    format!("{meant}`ta {command}` knows {}.", known.join(", "))
                }
            };
            // What stands behind `=` may be a secret.
            let word = match word.split_once('=') {
                Some((flag, _)) if flag.starts_with("--") => flag,
                _ => word,
            };
            Err(Fail::usage(format!("`{}` means nothing here", tandem_words::text::escape(word)))
                .hint(hint))
        }
    }
}
