//! What went wrong, told so that a person can do something about it.

use serde_json::{Value, json};
use tandem_client::{EditError, ImportError, LockError, Odd, SyncError};
use tandem_exchange::{ReadError, TaskrcError};
use tandem_replica::StorageError;
use tandem_settings::SettingsError;
use tandem_words::WordsError;
use tandem_words::text::escape;

/// What to do about a replica's file that is damaged.
pub(crate) const DAMAGED: &str = "Keep a copy of the folder: what waits for a sync is nowhere else. Then \
    put the file aside, or set `data_dir` to a new folder: `ta sync` brings back what the server has.";

/// Exit codes, as the README publishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// Wrong settings.
    Settings = 3,
    /// The server cannot be reached, is too busy for now, or has no room.
    Unreachable = 4,
    /// Not authorised.
    Forbidden = 5,
    /// Wrong secret.
    Secret = 6,
    /// Something waits for a person.
    Person = 7,
    /// Interrupted.
    Interrupted = 130,
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Fail {
    /// What failed, on which thing.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The exit code.
    pub(crate) exit: Exit,
    /// What it is, for programs, where the code does not say all.
    pub(crate) kind: Option<String>,
}

impl Fail {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit, kind: None }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same for programs (`docs/reference/sync-json.md`).
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "code": self.exit as u8,
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
        })
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A command below another one that is not there. `word` is what stands in its place; a slip away from
/// one of `known`, that one is named.
pub(crate) fn misused(command: &str, word: Option<&str>, known: &[&str], usage: &str) -> Fail {
    let meant = word.and_then(|word| tandem_core::nearest(word, known.iter().copied()));
    let meant = meant.filter(|meant| Some(*meant) != word);
    let meant = meant.map(|meant| format!("Did you mean `ta {command} {meant}`? "));
    Fail::usage(format!("that is not how `{command}` is used"))
        .hint(format!("{}{usage}", meant.unwrap_or_default()))
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text, SQLite's behind a number.
        let numbered =
            cause_text.strip_prefix("Error code ").and_then(|text| text.split_once(": "));
        if !text.contains(numbered.map_or(cause_text.as_str(), |(_, said)| said)) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<StorageError> for Fail {
    fn from(error: StorageError) -> Self {
        let hint = match &error {
            StorageError::Busy { .. } => {
                "A `task sync` holds the file while it travels. Wait for it to end, then try again."
            }
            StorageError::DiskFull { .. } => {
                "Make room and try again. Nothing was changed, and nothing is lost."
            }
            StorageError::ReadOnly { .. } => {
                "Check the owner and mode of the file and its folder, or set another `data_dir`."
            }
            StorageError::Unfinished { .. } => {
                "Open it once with the program that wrote it (`task list`), which takes the change back from \
                 the journal beside it; then try again."
            }
            StorageError::Corrupt { .. } => DAMAGED,
            StorageError::NotAReplica { .. } => {
                "Set `data_dir` to the folder of a TaskChampion 3 replica, or to a new folder. If it was \
                 one, its beginning is damaged: keep a copy of the folder, since what waits for a sync \
                 is nowhere else; in a new folder `ta sync` brings back what the server has."
            }
            StorageError::TooNew { .. } => "Update `ta`. The file was left as it is.",
            _ => "Nothing was changed. If it happens again, `ta verify` tells more.",
        };
        Self::failed(chain(&error)).hint(hint)
    }
}

impl From<SyncError> for Fail {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Storage(error) => error.into(),
            other => Self::failed(chain(&other)).hint("What was done stays; the rest waits here."),
        }
    }
}

impl From<WordsError> for Fail {
    fn from(error: WordsError) -> Self {
        let hint = error.hint();
        Self::usage(chain(&error)).hint(hint)
    }
}

impl From<SettingsError> for Fail {
    fn from(error: SettingsError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Settings, chain(&error)).hint(hint)
    }
}

impl From<ImportError> for Fail {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Storage(error) => error.into(),
            ImportError::Odd(odd) => {
                let hint = match odd {
                    Odd::NoDescription { .. } => {
                        "Every task needs one: give the record a `description`. Nothing was imported."
                    }
                    _ => {
                        "Write pending, waiting, completed, deleted or recurring, or leave `status` \
                         out. Nothing was imported."
                    }
                };
                Self::failed(escape(&odd.to_string())).hint(hint)
            }
            other => Self::failed(other.to_string()),
        }
    }
}

impl<E: Into<Fail>> From<EditError<E>> for Fail {
    fn from(error: EditError<E>) -> Self {
        match error {
            EditError::Storage(error) => error.into(),
            EditError::Refused(error) => error.into(),
            EditError::TooLarge { property, bytes } => {
                Self::failed(format!("the value of {property} is too large ({bytes} bytes)"))
                    .hint("No server would take it. Shorten it; nothing was changed.")
            }
            _ => Self::failed("the change was refused"),
        }
    }
}

impl From<LockError> for Fail {
    fn from(error: LockError) -> Self {
        match &error {
            LockError::Held { holder: Some(holder) } => {
                Self::failed(format!("{error} (process {})", holder.pid))
                    .hint("Wait for it to end, then try again.")
            }
            LockError::Held { holder: None } => {
                Self::failed(error.to_string()).hint("Wait for it to end, then try again.")
            }
            LockError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Self::failed(chain(&error))
                    .hint("Make room and try again. Nothing was changed, and nothing is lost.")
            }
            _ => Self::failed(chain(&error)).hint("Check the mode of `data_dir`."),
        }
    }
}

impl From<ReadError> for Fail {
    fn from(error: ReadError) -> Self {
        Self::failed(chain(&error)).hint("Nothing was imported. Mend the input and try again.")
    }
}

impl From<TaskrcError> for Fail {
    fn from(error: TaskrcError) -> Self {
        Self::failed(chain(&error)).hint("Name the file with --taskrc FILE.")
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, each the cause of the one before it.
    #[derive(Debug)]
    struct Texts(&'static str, Option<Box<Texts>>);

    impl Texts {
        fn of(texts: &[&'static str]) -> Self {
            let (first, rest) = texts.split_first().expect("a text");
            let cause = (!rest.is_empty()).then(|| Box::new(Self::of(rest)));
            Self(first, cause)
        }
    }

    impl std::fmt::Display for Texts {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Texts {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn what_a_cause_only_repeats_is_said_once() {
        for (texts, told) in [
            (&["opening failed", "no such file"][..], "opening failed: no such file"),
            (&["opening failed: no such file", "no such file"], "opening failed: no such file"),
            (
                &["writing", "it is read-only", "Error code 8: it is read-only"],
                "writing: it is read-only",
            ),
            (
                &["writing", "cannot open: /there", "Error code 14: cannot open"],
                "writing: cannot open: /there",
            ),
            (&["a", "Error code 8: other"], "a: Error code 8: other"),
        ] {
            assert_eq!(chain(&Texts::of(texts)), told);
        }
    }
}
