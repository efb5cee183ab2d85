//! The commands of the JSON lines, and the two kinds of answer.
//!
//! The table for people is in `interop/README.md`; keep the two together. Unknown keys are refused,
//! so that a misspelt option cannot pass for a default. (Serde checks that only for variants with
//! braces, hence the empty ones.)

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use taskchampion::chrono::{DateTime, Utc};
use taskchampion::{Error, Operation, Uuid};

use crate::ServerAddress;

/// What a command gives back: a JSON value, or why it did not work.
pub type Answer = Result<serde_json::Value, Failure>;

/// One line of input. The key `do` names the variant, in snake case.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Makes a task and sets properties on it, all in one commit.
    ///
    /// Exactly the given properties are written: no `entry` or `modified` is added.
    Create {
        uuid: Uuid,
        #[serde(default)]
        set: BTreeMap<String, String>,
        /// Time written into every Update; now when absent.
        timestamp: Option<DateTime<Utc>>,
        #[serde(default)]
        undo_point: bool,
    },
    /// Commits one Update, its old value read from the task as it is now.
    Update {
        uuid: Uuid,
        property: String,
        /// The new value; null or absent removes the property.
        value: Option<String>,
        timestamp: Option<DateTime<Utc>>,
        #[serde(default)]
        undo_point: bool,
    },
    /// Removes a task physically. The task must exist.
    Delete {
        uuid: Uuid,
        #[serde(default)]
        undo_point: bool,
    },
    /// Commits local operations just as they are given, in the JSON form the replica stores them
    /// in.
    Commit { operations: Vec<Operation> },
    /// Makes `count` pending tasks with random ids and `properties` properties each, in one commit.
    Many {
        count: usize,
        properties: usize,
        #[serde(default = "default_prefix")]
        prefix: String,
        #[serde(default)]
        undo_point: bool,
    },
    /// Takes a copy of a task into memory under the name `as`.
    Hold {
        uuid: Uuid,
        #[serde(rename = "as")]
        name: String,
    },
    /// Commits a change whose old value comes from the held copy, however stale that is by now.
    ///
    /// The held copy then knows its own change, so a second one starts from the first.
    ChangeHeld {
        #[serde(rename = "as")]
        name: String,
        property: String,
        value: Option<String>,
        #[serde(default)]
        undo_point: bool,
    },
    /// Takes back everything since the last undo point.
    Undo {},
    /// Removes tasks deleted long ago, as the library decides.
    Expire {},
    /// Tells all tasks.
    Dump {},
    /// Tells the version this replica has last synced.
    Base {},
    /// Tells how many local operations and undo points there are.
    Counts {},
    /// Tells the operations not yet synced, in their stored form.
    Pending {},
    /// Tells the operations known for one task, synced or not.
    History { uuid: Uuid },
    /// Tells the working set.
    WorkingSet {},
    /// Rebuilds the working set.
    RebuildWorkingSet {
        #[serde(default)]
        renumber: bool,
    },
    /// Syncs with a local server directory, made if missing.
    SyncLocal {
        server_dir: PathBuf,
        #[serde(default)]
        avoid_snapshots: bool,
    },
    /// Syncs with a sync server.
    SyncHttp {
        url: String,
        client_id: Uuid,
        secret: String,
        #[serde(default)]
        avoid_snapshots: bool,
    },
    /// Speaks to a server without the replica taking part. Over HTTP the library still seals and
    /// opens the bodies.
    RawServer {
        server: ServerAddress,
        call: RawCall,
    },
}

/// One call of the abstract server (section 6 of the protocol page).
///
/// Bodies are given either as `text` or as `hex`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawCall {
    AddVersion {
        parent: Uuid,
        text: Option<String>,
        hex: Option<String>,
    },
    GetChildVersion {
        parent: Uuid,
    },
    AddSnapshot {
        version: Uuid,
        text: Option<String>,
        hex: Option<String>,
    },
    GetSnapshot,
}

fn default_prefix() -> String {
    "task".to_owned()
}

/// Why a command did not work, as one line of text.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Tells what a panic said, after the word `panic`, by which a test can know it.
    pub fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Self(format!("panic: {text}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The library's kind of error comes first, so that a test can tell "out of sync" from a broken
/// connection.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Server(_) => "server",
            Error::Database(_) => "database",
            Error::OutOfSync => "out of sync",
            Error::Usage(_) => "usage",
            _ => "other",
        };
        let mut text = format!("{kind}: {error}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Transparent wrappers repeat the words of what they wrap.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self(text)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("no JSON form: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_readme_is_a_command() {
        let readme = include_str!("../../README.md");
        let lines: Vec<&str> = readme
            .lines()
            .filter_map(|line| line.split_once("| `{"))
            .filter_map(|(_, rest)| rest.split_once("}` |"))
            .map(|(command, _)| command)
            .collect();
        assert!(lines.len() > 15, "only {} commands found", lines.len());
        for line in lines {
            let line = format!("{{{line}}}");
            if let Err(error) = serde_json::from_str::<Command>(&line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn misspelt_keys_are_refused() {
        for line in [
            r#"{"do":"dump","all":true}"#,
            r#"{"do":"undo","force":true}"#,
            r#"{"do":"sync_local","server_dir":"d","avoid_snapshot":true}"#,
        ] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }
}
