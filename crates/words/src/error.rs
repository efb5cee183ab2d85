//! Why words were not understood, and what to type instead.

use std::borrow::Cow;

use tandem_core::TaskId;

use crate::dates::DateError;

/// Finds the task that a number or a uuid (or its prefix) names.
///
/// The text is one id as typed: `3`, `56e0be07`, a whole uuid. An unknown one is answered with
/// [`WordsError::UnknownTask`], a prefix of several with [`WordsError::AmbiguousTask`].
pub type Resolve<'a> = dyn Fn(&str) -> Result<TaskId, WordsError> + 'a;

/// Why a line of words was not understood.
///
/// `Display` says what is wrong with which word; [`WordsError::hint`] says what to do. Words in it
/// are shown as [`crate::text::escape`] shows them, cut at 60 characters. Every one is a person's
/// to fix, none is worth retrying: exit code 2 (wrong usage).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// A shortened command that several commands begin with.
    #[error("`{word}` could be any of {}", candidates.join(", "))]
    AmbiguousCommand {
        /// The word.
        word: String,
        /// The commands.
        candidates: Vec<&'static str>,
    },
    /// A word beside an id that is one slip away from a command.
    #[error("`{word}` is no command")]
    NearlyCommand {
        /// The word.
        word: String,
        /// The command.
        command: &'static str,
    },
    /// A command that must be told which tasks it is for.
    #[error("`{command}` needs to know which tasks")]
    FilterNeeded {
        /// The command.
        command: &'static str,
        /// The line that was probably meant, if the words after the command begin with ids.
        suggestion: Option<String>,
    },
    /// Ids after a command where they would become a note.
    #[error("`{word}` stands after `{command}`, where it would become a note")]
    IdsAfterCommand {
        /// The command.
        command: &'static str,
        /// The first id.
        word: String,
    },
    /// Words before a command that is not about chosen tasks.
    #[error("`{command}` is not about chosen tasks, but `{word}` stands before it")]
    FilterNotAllowed {
        /// The command.
        command: &'static str,
        /// The first word before it.
        word: String,
    },
    /// A `--flag` before the command.
    #[error("`{flag}` stands before the command `{command}`")]
    FlagBeforeCommand {
        /// The command.
        command: &'static str,
        /// The flag, without a value.
        flag: String,
        /// Whether a value was given with it (`--server_dir=x`).
        has_value: bool,
    },
    /// A shortened attribute that several attributes begin with.
    #[error("`{word}` could be any of {}", candidates.join(", "))]
    AmbiguousAttribute {
        /// The word.
        word: String,
        /// The attributes.
        candidates: Vec<String>,
    },
    /// A word that is one slip away from an attribute, and would become text unseen.
    #[error("`{word}` is nearly the attribute `{attribute}`")]
    NearlyAttribute {
        /// The whole word.
        word: String,
        /// The attribute.
        attribute: String,
    },
    /// The default that a user-defined attribute is declared with.
    #[error("the default value `{value}` of `{attribute}` is none that it can have")]
    Default {
        /// The attribute.
        attribute: String,
        /// The value, as declared.
        value: String,
    },
    /// An attribute's date that is none.
    #[error("`{word}` holds no date")]
    Date {
        /// The whole word.
        word: String,
        /// What is wrong with the part after the colon.
        #[source]
        source: DateError,
    },
    /// A value that the attribute cannot take.
    #[error("`{word}` is not a value that `{attribute}` can have")]
    Value {
        /// The whole word.
        word: String,
        /// The attribute.
        attribute: String,
        /// What it can have, as it follows "use": `H, M, L or nothing`.
        expected: Cow<'static, str>,
    },
    /// An attribute that nobody sets by hand.
    #[error("`{attribute}` cannot be set by hand, as `{word}` asks")]
    ReadOnly {
        /// The whole word.
        word: String,
        /// The attribute.
        attribute: String,
    },
    /// An attribute that a filter cannot look at.
    #[error("`{word}` asks for `{attribute}`, which filters cannot look at")]
    NotFilterable {
        /// The whole word.
        word: String,
        /// The attribute.
        attribute: String,
    },
    /// The part after a dot, as in `due.befor:`.
    #[error("`{word}` has a modifier that `{attribute}` does not know")]
    Modifier {
        /// The whole word.
        word: String,
        /// The attribute.
        attribute: String,
        /// The modifiers that there are.
        known: &'static str,
    },
    /// Grammar of Taskwarrior that this program does not have yet.
    #[error("`{word}` is not supported yet")]
    NotBuilt {
        /// The whole word.
        word: String,
        /// What to do instead, in sentences.
        instead: &'static str,
    },
    /// `limit:` with a command that does not show a list.
    #[error("`{command}` cannot be limited, as `{word}` asks")]
    LimitNotAllowed {
        /// The command.
        command: &'static str,
        /// The whole word.
        word: String,
    },
    /// A tag that cannot be stored.
    #[error("`{word}` is not a tag that can be given: {reason}")]
    Tag {
        /// The whole word.
        word: String,
        /// Why not.
        reason: &'static str,
    },
    /// A list of ids that cannot be read.
    #[error("`{word}` is not a list of ids: {reason}")]
    Ids {
        /// The whole word.
        word: String,
        /// Why not.
        reason: &'static str,
    },
    /// An id that no task has. Made by the caller's [`Resolve`].
    #[error("there is no task `{word}`")]
    UnknownTask {
        /// The id as typed.
        word: String,
    },
    /// A uuid prefix that several tasks have. Made by the caller's [`Resolve`].
    #[error("`{word}` is the beginning of {count} task ids")]
    AmbiguousTask {
        /// The prefix as typed.
        word: String,
        /// How many tasks have it.
        count: usize,
    },
    /// A task that would depend on itself. Made by the caller, who knows the task's id.
    #[error("a task cannot depend on itself (`{word}`)")]
    DependsOnItself {
        /// The id as typed.
        word: String,
    },
    /// Two tasks that would wait for each other, perhaps through others. Made by the caller, who can
    /// look at tasks ([`crate::circle`]).
    #[error("a circle of dependencies: task {on} waits for task {task} already")]
    Circle {
        /// The task that is changed, as people call it.
        task: String,
        /// The one that it would depend on.
        on: String,
    },
    /// A task that comes again, from no date on.
    #[error("a task with `recur:` needs a due date")]
    RecurWithoutDue,
    /// A new task, or a changed one, would have no description.
    #[error("a task needs a description")]
    NoDescription,
    /// Nothing after `annotate`.
    #[error("an annotation needs some text")]
    NoAnnotation,
    /// Nothing after `modify`.
    #[error("there is nothing to change")]
    NoChange,
    /// A word of a filter that names an attribute or a tag and cannot be read: there other words are
    /// searched for.
    #[error(transparent)]
    InFilter(Box<WordsError>),
}

impl WordsError {
    /// What to do about it: one or two plain sentences for the person who typed.
    pub fn hint(&self) -> String {
        match self {
            Self::InFilter(error) => error.hint_with("To search for the text, put `--` before it."),
            error => error.hint_with("To make it part of the description, put `--` before it."),
        }
    }

    /// The same as of a filter's word. What is said of a word in any place stays as it is.
    pub(crate) fn in_filter(self) -> Self {
        match self {
            Self::AmbiguousAttribute { .. }
            | Self::NearlyAttribute { .. }
            | Self::Date { .. }
            | Self::Value { .. }
            | Self::Tag { .. } => Self::InFilter(Box::new(self)),
            other => other,
        }
    }

    /// What to do, with `literal` for whoever means the word as it stands.
    fn hint_with(&self, literal: &str) -> String {
        match self {
            Self::InFilter(error) => error.hint_with(literal),
            Self::AmbiguousCommand { .. } => {
                "Write the command in full. To search for the word, put `--` before it.".to_owned()
            }
            Self::NearlyCommand { command, .. } => {
                format!("Was `{command}` meant? To search for the word, put `--` before it.")
            }
            Self::FilterNeeded { command, suggestion: Some(line) } => {
                format!(
                    "Ids stand before the command: `ta {line}`. For every task: `ta all {command}`."
                )
            }
            Self::FilterNeeded { command, suggestion: None } => format!(
                "Say which before the command, for example `ta 3 {command}` or `ta +home {command}`. \
                 For every task: `ta all {command}`."
            ),
            Self::IdsAfterCommand { .. } => {
                "Put all ids before the command. To make it a note, put `--` before it.".to_owned()
            }
            Self::FilterNotAllowed { command, .. } => {
                format!("Leave out what stands before: `ta {command} …`.")
            }
            Self::FlagBeforeCommand { has_value: true, .. } => {
                "Settings are no flags: set them with `ta config set KEY VALUE`. Flags of a command \
                 stand after it."
                    .to_owned()
            }
            Self::FlagBeforeCommand { command, flag, has_value: false } => {
                format!("Flags of a command stand after it: `ta {command} {flag}`.")
            }
            Self::AmbiguousAttribute { .. } => format!("Write the attribute in full. {literal}"),
            Self::NearlyAttribute { attribute, .. } => {
                format!("Write `{attribute}:` if that was meant. {literal}")
            }
            Self::Default { attribute, .. } => format!(
                "Mend `uda.{attribute}.default` in the .taskrc, or say the value: `{attribute}:…`."
            ),
            Self::Date { source: DateError::MinutesOrMonths { .. }, .. } => {
                format!("Write `min` for minutes or `mo` for months. {literal}")
            }
            Self::Date { source: DateError::OutOfRange { .. }, .. } => {
                format!("Use a date between the years 1 and 9999. {literal}")
            }
            Self::Date { .. } => format!(
                "Use a date such as 2026-11-20, 2026-11-20T10:00, tomorrow, friday, eom, 3d or \
                 today+2weeks. {literal}"
            ),
            Self::Value { expected, .. } => format!("Use {expected}. {literal}"),
            Self::ReadOnly { .. } => literal.to_owned(),
            Self::NotFilterable { .. } => {
                "Leave it out. To search for the text, put `--` before it.".to_owned()
            }
            Self::Modifier { known, .. } => format!("There are {known}."),
            Self::NotBuilt { instead, .. } => (*instead).to_owned(),
            Self::LimitNotAllowed { .. } => {
                "`next`, `list`, `completed` and `waiting` take `limit:N`; leave it out here. To \
                 search for the text, put `--` before it."
                    .to_owned()
            }
            Self::Tag { .. } => {
                format!("A tag is one word that begins with a letter, for example +home. {literal}")
            }
            Self::Ids { .. } => "Use numbers, ranges and uuids, for example 1,2,5-7.".to_owned(),
            Self::UnknownTask { .. } => {
                "`ta list` shows the numbers, `ta all list` also what is done or deleted."
                    .to_owned()
            }
            Self::AmbiguousTask { .. } => "Type more of the uuid.".to_owned(),
            Self::DependsOnItself { .. } => "Name another task.".to_owned(),
            Self::Circle { task, on } => format!(
                "Neither could ever begin. Name another task, or first: `ta {on} modify depends:-{task}`."
            ),
            Self::RecurWithoutDue => {
                "Say when it is due first, for example `recur:weekly due:friday`, or let it come \
                 but once: `recur:`."
                    .to_owned()
            }
            Self::NoDescription => {
                "Say what is to be done, for example `ta add buy milk`.".to_owned()
            }
            Self::NoAnnotation => {
                "Write it after the command: `ta 3 annotate called, no answer`.".to_owned()
            }
            Self::NoChange => {
                "Say what, for example `ta 3 modify project:home due:friday +garden`.".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_and_what_to_do() {
        let error = WordsError::Value {
            word: "pri:Q".into(),
            attribute: "priority".into(),
            expected: "H, M, L or nothing".into(),
        };
        assert_eq!(error.to_string(), "`pri:Q` is not a value that `priority` can have");
        assert!(error.hint().starts_with("Use H, M, L or nothing. "));
    }
}
