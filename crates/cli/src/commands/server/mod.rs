//! `ta server`: looking after the storage of `ta serve`, while it runs or not.

mod backup;
mod client;
mod health;
pub(super) mod settings;
mod upkeep;
mod user;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::{Timestamp, nearest};
use tandem_server::access::ClientTag;
use tandem_server::config::Key;
use tandem_server::program::{self, Tables, Waiting};
use tandem_server::store::sqlite::OpenError;
use tandem_server::store::{Admin, StoreError};
use tandem_server::{Config, Database, SqliteStore, Store};
use tandem_settings::Environment;
use tandem_words::text::escape;

use crate::fail::{Exit, Fail, chain, misused};
use crate::output::Output;
use crate::told::{bytes, count as counted};

const USAGE: &str = "`ta help server` lists them.";

/// What to do about a database that is damaged.
pub(super) const DAMAGED: &str = "Keep a copy of it. `ta server restore FILE --force` brings a backup \
    back and puts what is there aside (for PostgreSQL it says how); what came since, replicas send \
    again.";

/// What to do about a file that is none of ours.
pub(super) const NOT_OURS: &str = "Another file stands in its place, or its beginning is damaged. Keep \
    a copy of it; `ta server restore FILE --force` brings a backup back and puts what is there aside.";

/// The commands, for one that is mistyped.
const COMMANDS: [&str; 10] = [
    "client",
    "user",
    "stats",
    "verify",
    "gc",
    "check-config",
    "health",
    "backup",
    "restore",
    "import",
];

/// Flags of these commands that are no settings, and of the program, for one that is mistyped.
const FLAGS: [&str; 8] =
    ["--force", "--reveal", "--keep", "--yes", "--json", "--quiet", "--config", "--help"];

/// What each of these commands works with.
struct Desk<'a> {
    config: Config,
    data_dir: PathBuf,
    /// `--yes`: no question before something is removed.
    says_yes: bool,
    now: Timestamp,
    waiting: Waiting,
    output: &'a mut Output,
}

/// Runs one of them.
pub(crate) fn run(
    rest: &[String],
    environment: &Environment,
    config_file: Option<&Path>,
    says_yes: bool,
    output: &mut Output,
) -> Result<Exit, Fail> {
    if rest.iter().any(|word| word == "-h") {
        return super::about::help(&["server".to_owned()], output);
    }
    let mut own = Own::take(rest)?;
    // A slip in a flag that is no setting: the settings know nothing of it.
    let is_flag = |word: &&String| word.starts_with("--") && !FLAGS.contains(&word.as_str());
    let slip = own.others.iter().filter(is_flag).find_map(|word| {
        let is_setting = Key::near(word.trim_start_matches('-')).is_some();
        Some((word, nearest(word, FLAGS).filter(|_| !is_setting)?))
    });
    if let Some((word, flag)) = slip {
        let message = format!("`{}` means nothing here", escape(word));
        return Err(Fail::usage(message).hint(format!("Did you mean `{flag}`? {USAGE}")));
    }
    let (config, words) = settings::read_some(&own.others, environment, config_file, output)?;
    let data_dir = settings::data_dir(&config, environment)?;
    let now = tandem_server::server::system_now();
    let waiting = Waiting::new().map_err(super::serve::fail)?;
    let mut desk = Desk { config, data_dir, says_yes, now, waiting, output };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let exit = match words[..] {
        ["client", ref words @ ..] => client::run(&mut desk, words, &mut own)?,
        ["user", ref words @ ..] => user::run(&mut desk, words)?,
        ["stats"] => upkeep::stats(&mut desk)?,
        ["verify"] => upkeep::verify(&mut desk)?,
        ["gc"] => upkeep::gc(&mut desk, own.take_force())?,
        ["check-config"] => upkeep::check_config(&mut desk)?,
        ["health"] => health::run(&mut desk)?,
        ["backup", folder] => backup::backup(&mut desk, Path::new(folder), own.keep.take())?,
        ["restore", file] => backup::restore(&mut desk, Path::new(file), own.take_force())?,
        ["import", path] => backup::import(&mut desk, Path::new(path))?,
        ["backup" | "restore" | "import", ..] => {
            return Err(Fail::usage("one file or folder is needed").hint(USAGE));
        }
        _ => return Err(misused("server", words.first().copied(), &COMMANDS, USAGE)),
    };
    own.refuse_rest()?;
    Ok(exit)
}

/// Flags of these commands alone, beside the server's settings.
#[derive(Default)]
struct Own {
    keep: Option<usize>,
    has_force: bool,
    has_reveal: bool,
    others: Vec<String>,
}

impl Own {
    fn take(rest: &[String]) -> Result<Self, Fail> {
        let mut own = Self::default();
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--force" => own.has_force = true,
                "--reveal" => own.has_reveal = true,
                "--keep" => own.keep = Some(count(words.next().map(String::as_str))?),
                _ => match word.strip_prefix("--keep=") {
                    Some(text) => own.keep = Some(count(Some(text))?),
                    None => own.others.push(word.clone()),
                },
            }
        }
        Ok(own)
    }

    fn take_force(&mut self) -> bool {
        std::mem::take(&mut self.has_force)
    }

    fn take_reveal(&mut self) -> bool {
        std::mem::take(&mut self.has_reveal)
    }

    /// A flag that nobody took was meant for something.
    fn refuse_rest(&self) -> Result<(), Fail> {
        if self.keep.is_some() || self.has_force || self.has_reveal {
            let message = "--keep, --force and --reveal belong to other commands";
            return Err(Fail::usage(message).hint("What the command itself did stays done."));
        }
        Ok(())
    }
}

fn count(text: Option<&str>) -> Result<usize, Fail> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| {
        Fail::usage("`--keep` needs a number of backups, at least 1").hint("Write --keep 7.")
    })
}

impl Desk<'_> {
    /// The storage, which must be there.
    fn store(&self) -> Result<Arc<dyn Store>, Fail> {
        match &self.config.database {
            None => Ok(Arc::new(SqliteStore::open_existing(&self.data_dir)?)),
            Some(database) => self.database(database, Tables::MustBeThere),
        }
    }

    /// The storage, made if it is not there yet.
    fn store_or_new(&self) -> Result<Arc<dyn Store>, Fail> {
        match &self.config.database {
            None => Ok(Arc::new(SqliteStore::open_or_make(&self.data_dir)?)),
            Some(database) => self.database(database, Tables::MadeIfMissing),
        }
    }

    fn database(&self, database: &Database, tables: Tables) -> Result<Arc<dyn Store>, Fail> {
        self.waiting.block_on(program::open_database(database, tables)).map_err(super::serve::fail)
    }

    /// Asks the storage something.
    fn ask<T>(
        &self,
        store: &Arc<dyn Store>,
        question: impl AsyncFnOnce(&dyn Admin) -> Result<T, StoreError>,
    ) -> Result<T, Fail> {
        let admin = store.admin().ok_or_else(|| {
            Fail::failed("this storage answers no operators").hint("Use its own tools.")
        })?;
        Ok(self.waiting.block_on(question(admin))?)
    }

    /// A day as people read it.
    fn day(seconds: i64) -> String {
        Timestamp::from_seconds(seconds).to_string().chars().take(10).collect()
    }

    /// Asks before something is removed. Without a terminal `--yes` must have been said.
    fn confirm(&self, what: &str) -> Result<(), Fail> {
        use std::io::{BufRead as _, IsTerminal as _, Write as _};
        if self.says_yes {
            return Ok(());
        }
        let refused = || Fail::failed("nothing was changed").hint("To do it unasked: --yes.");
        if !std::io::stdin().is_terminal() {
            return Err(refused());
        }
        let mut answer = String::new();
        // A terminal that went away gives no answer, which is no.
        let _ = write!(std::io::stderr(), "{what} Go on? (yes/no) ");
        let _ = std::io::stdin().lock().read_line(&mut answer);
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(refused()),
        }
    }
}

/// A client as logs and lists show it.
fn tag(store: &Arc<dyn Store>, client: tandem_core::ClientId) -> String {
    ClientTag::new(&store.log_key(), client).to_string()
}

impl From<OpenError> for Fail {
    fn from(error: OpenError) -> Self {
        let hint = match &error {
            OpenError::Missing { .. } => {
                "Start `ta serve` once, or name the right folder: --data-dir, or the server's settings \
                 with --config."
            }
            OpenError::BeingRestored { .. } => {
                "Wait for `ta server restore`, or the new version's start, to end."
            }
            OpenError::UsedByOlder { .. } => {
                "Start the server anew, with this version: that brings the database up to date."
            }
            OpenError::Damaged { .. } => DAMAGED,
            OpenError::NotOurs { .. } => NOT_OURS,
            OpenError::Unusable { .. } => "Check the folder's owner. Nothing was changed.",
            OpenError::NoRoom { .. } => "Make room on the disk. Nothing was changed.",
            OpenError::NoLog { .. } => "Use a folder on a disk of this machine.",
            _ => "Check the folder's owner and room. Nothing was changed.",
        };
        Self::failed(chain(&error)).hint(hint)
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Unknown { .. } => {
                "Perhaps it was done. Look at the disk or the database; `ta server verify` tells more."
            }
            StoreError::Damaged { .. } => DAMAGED,
            _ => "Nothing was changed. Try again, and look at the disk or the database.",
        };
        Self::failed(chain(&error)).hint(hint)
    }
}
