//! The grammar of a line: `ta [filter] command [modification]`.
//!
//! The command is the first word that names one, in full or shortened; what stands before it is
//! the filter. What follows it depends on the command: a modification, more filter, or arguments
//! of its own that only the binary reads. This is the room in which the grammar grows: new words
//! of the filter live in [`crate::filter`], of the modification in [`crate::modification`], and
//! neither touches this file.

mod line;

pub use line::{Line, parse};

use crate::WordsError;
use crate::text::{is_one_slip_away, shown};

/// Letters that a shortened command needs at least.
const ABBREVIATION_CHARS_MIN: usize = 3;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "`Command::summary` says what each one does")]
pub enum Command {
    Add,
    Log,
    Modify,
    Append,
    Prepend,
    Annotate,
    Denotate,
    Start,
    Stop,
    Done,
    Delete,
    Undo,
    Info,
    List,
    Next,
    Completed,
    Waiting,
    Count,
    Ids,
    Uuids,
    Projects,
    Tags,
    History,
    Conflicts,
    Export,
    Import,
    Gc,
    Sync,
    Status,
    Doctor,
    Verify,
    Config,
    Version,
    Help,
    Serve,
    Server,
    Demo,
}

/// What the words around a command are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing before, a modification after: `add`.
    New,
    /// A filter before (needed), a modification after: `modify`, `done`, …
    Change,
    /// A filter before or after (needed), flags after: `info`, `history`.
    Chosen,
    /// A filter before or after (or none), flags after: `list`, `next`, `export`.
    Report,
    /// Nothing before, arguments of its own after: `sync`, `config`, …
    Own,
}

struct Entry {
    command: Command,
    /// The name, then other words for it.
    names: &'static [&'static str],
    shape: Shape,
    /// Whether three letters are enough. Not for commands that act on everything at once: a word
    /// of a search that happens to begin one must not set it off.
    can_shorten: bool,
    usage: &'static str,
    summary: &'static str,
}

macro_rules! entries {
    ($($command:ident $names:expr, $shape:ident, $can_shorten:literal, $usage:literal, $summary:literal;)*) => {
        &[$(Entry {
            command: Command::$command,
            names: &$names,
            shape: Shape::$shape,
            can_shorten: $can_shorten,
            usage: $usage,
            summary: $summary,
        }),*]
    };
}

/// In the order in which help lists them.
const ENTRIES: &[Entry] = entries! {
    Add ["add"], New, true, "add WORDS", "add a task";
    Log ["log"], New, false, "log WORDS", "add a task that is done already";
    Modify ["modify"], Change, true, "FILTER modify CHANGES", "change tasks";
    Append ["append"], Change, false, "FILTER append TEXT", "put text behind descriptions";
    Prepend ["prepend"], Change, false, "FILTER prepend TEXT", "put text before descriptions";
    Annotate ["annotate"], Change, true, "FILTER annotate TEXT", "add a note to tasks";
    Denotate ["denotate"], Change, false, "FILTER denotate TEXT", "remove a note from tasks";
    Start ["start"], Change, true, "FILTER start [NOTE]", "mark tasks as being worked on";
    Stop ["stop"], Change, true, "FILTER stop [NOTE]", "mark them as not being worked on";
    Done ["done"], Change, true, "FILTER done [NOTE]", "mark tasks as completed";
    Delete ["delete"], Change, true, "FILTER delete [NOTE]", "mark tasks as deleted";
    Undo ["undo"], Own, false, "undo", "take back the last command";
    Next ["next"], Report, true, "[FILTER] next", "show what is most urgent (what a bare `ta` does)";
    List ["list", "ls"], Report, true, "[FILTER] list", "show tasks by number";
    Completed ["completed"], Report, false, "[FILTER] completed", "show tasks that are done";
    Waiting ["waiting"], Report, false, "[FILTER] waiting", "show tasks that are hidden until their wait date";
    Count ["count"], Report, false, "[FILTER] count", "print how many tasks match, ended ones too";
    Ids ["ids"], Report, false, "[FILTER] ids", "print their numbers";
    Uuids ["uuids"], Report, false, "[FILTER] uuids", "print their uuids";
    Projects ["projects"], Report, false, "[FILTER] projects", "show projects, and how many tasks they have";
    Tags ["tags"], Report, false, "[FILTER] tags", "show tags, and how many tasks have them";
    Info ["info", "information"], Chosen, true, "FILTER info", "show all about tasks";
    History ["history"], Chosen, true, "FILTER history", "show who changed what, when, as far as it is known here";
    Conflicts ["conflicts"], Own, true, "conflicts list|show|restore|dismiss", "show and restore edits that lost";
    Export ["export"], Report, true, "[FILTER] export", "write tasks as Taskwarrior JSON";
    Import ["import"], Own, false, "import [FILE|FOLDER]", "read Taskwarrior JSON, or take a replica over";
    Sync ["sync", "synchronize"], Own, false, "sync", "exchange changes with the server or folder";
    Status ["status"], Own, true, "status", "show where this replica stands";
    Doctor ["doctor"], Own, false, "doctor", "check settings, replica and server, and say what to do";
    Verify ["verify"], Own, true, "verify", "check this replica against itself and the server";
    Gc ["gc"], Own, false, "gc", "renumber tasks, remove what has expired or is old";
    Config ["config"], Own, true, "config set|get|unset|list|path", "show and change settings";
    Serve ["serve"], Own, false, "serve", "run a sync server";
    Server ["server"], Own, false, "server client|user|stats|backup|…", "look after the storage of `ta serve`";
    Demo ["demo"], Own, false, "demo", "see replicas stay in step, in a temporary folder";
    Version ["version", "--version", "-V"], Own, true, "version", "show the version";
    Help ["help", "--help", "-h"], Own, true, "help [COMMAND]", "show this, or more about a command";
};

impl Command {
    /// All commands, in the order in which help lists them.
    pub fn all() -> impl Iterator<Item = Self> {
        ENTRIES.iter().map(|entry| entry.command)
    }

    /// The name, as typed in full.
    pub fn name(self) -> &'static str {
        self.entry().names[0]
    }

    /// The name and other words for it.
    pub fn names(self) -> &'static [&'static str] {
        self.entry().names
    }

    /// Whether three letters are enough.
    pub fn can_shorten(self) -> bool {
        self.entry().can_shorten
    }

    /// How the line looks, without `ta`.
    pub fn usage(self) -> &'static str {
        self.entry().usage
    }

    /// What it does, in a few words.
    pub fn summary(self) -> &'static str {
        self.entry().summary
    }

    /// What the words around it are.
    pub fn shape(self) -> Shape {
        self.entry().shape
    }

    /// Finds the command that a word names, in full or shortened to three letters or more.
    ///
    /// # Errors
    /// [`WordsError::AmbiguousCommand`] if it shortens several.
    pub fn find(word: &str) -> Result<Option<Self>, WordsError> {
        if let Some(entry) = ENTRIES.iter().find(|entry| entry.names.contains(&word)) {
            return Ok(Some(entry.command));
        }
        if word.len() < ABBREVIATION_CHARS_MIN {
            return Ok(None);
        }
        let fits = |entry: &&Entry| {
            entry.can_shorten
                && entry.names.iter().any(|name| !name.starts_with('-') && name.starts_with(word))
        };
        let fitting: Vec<&Entry> = ENTRIES.iter().filter(fits).collect();
        match fitting[..] {
            [] => Ok(None),
            [entry] => Ok(Some(entry.command)),
            _ => Err(WordsError::AmbiguousCommand {
                word: shown(word),
                candidates: fitting.iter().map(|entry| entry.names[0]).collect(),
            }),
        }
    }

    /// The command that a mistyped word was probably meant to be (`dnoe`, `lsit`, `modfy`), for a
    /// hint when a search finds nothing, and for an error. Never acted upon.
    pub fn nearest(word: &str) -> Option<Self> {
        let near = |entry: &&Entry| {
            let name = entry.names[0];
            name.len() >= 3 && word.len() >= 3 && is_one_slip_away(word.as_bytes(), name.as_bytes())
        };
        ENTRIES.iter().find(near).map(|entry| entry.command)
    }

    /// True for commands that say of themselves what becomes of a task, so that text after them is
    /// a note about that ([`crate::Modification::parse_with_note`]).
    pub fn takes_a_note(self) -> bool {
        matches!(self, Self::Start | Self::Stop | Self::Done | Self::Delete)
    }

    fn shows_a_list(self) -> bool {
        matches!(self, Self::Next | Self::List | Self::Completed | Self::Waiting)
    }

    fn entry(self) -> &'static Entry {
        let entry = ENTRIES.iter().find(|entry| entry.command == self);
        entry.expect("every command has an entry, as a test shows")
    }
}

#[cfg(test)]
mod tests;
