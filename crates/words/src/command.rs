//! The grammar of a line: `ta [filter] command [modification]`.
//!
//! The command is the first word that names one, in full or shortened; what stands before it is
//! the filter. What follows it depends on the command: a modification, more filter, or arguments
//! of its own that only the binary reads. This is the room in which the grammar grows: new words
//! of the filter live in [`crate::filter`], of the modification in [`crate::modification`], and
//! neither touches this file.

use crate::WordsError;
use crate::filter::is_id_word;
use crate::text::{is_one_slip_away, shown};
use crate::unbuilt::{refuse_lost_tags, refuse_substitution};

/// Letters that a shortened command needs at least.
const ABBREVIATION_CHARS_MIN: usize = 3;

/// Letters of a command from which on a letter too many or too few makes a near miss.
const SLIP_CHARS_MIN: usize = 4;

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

/// A line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What to do.
    pub command: Command,
    /// No word named the command: the words are searched for.
    pub is_bare: bool,
    /// The words that say which tasks, for [`crate::Filter::parse`].
    pub filter: Vec<String>,
    /// The rest, as typed: a modification for [`crate::Modification::parse`], or the command's own
    /// arguments and flags.
    pub rest: Vec<String>,
}

impl Line {
    /// What to refuse a search with that found nothing: its first word is one slip away from a
    /// command, so it was one (`lost > tasks` for `list`).
    pub fn missed_command(&self) -> Option<WordsError> {
        let word = self.filter.first().filter(|word| self.is_bare && *word != "--")?;
        let command = Command::nearest(word)?.name();
        Some(WordsError::NearlyCommand { word: shown(word), command })
    }
}

/// Takes a line apart. `words` are those after `ta`, without flags that belong to the program as
/// a whole (`--config FILE`), which the binary takes out first.
///
/// No command at all means `next`, or `info` for a single id; no words at all mean `next`. After
/// `--` no word is a command, a flag, a tag or an attribute; the `--` itself is kept, for the
/// filter and the modification to see. Flags (`--json`) after a command that takes a filter are
/// put into [`Line::rest`]. A command with `--help` after it, or with `-h` alone, is `help COMMAND`,
/// whatever else is missing or wrong.
///
/// # Errors
/// [`WordsError::AmbiguousCommand`], [`WordsError::FilterNeeded`], [`WordsError::IdsAfterCommand`],
/// [`WordsError::FilterNotAllowed`], [`WordsError::FlagBeforeCommand`], [`WordsError::NearlyCommand`],
/// [`WordsError::LimitNotAllowed`], [`WordsError::NotBuilt`].
pub fn parse(words: &[String]) -> Result<Line, WordsError> {
    let mut found = None;
    for (index, word) in words.iter().enumerate() {
        if word == "--" {
            break;
        }
        if let Some(command) = Command::find(word)? {
            found = Some((command, index));
            break;
        }
    }
    let Some((command, index)) = found else {
        refuse_slip(words)?;
        if let Some(word) = words.first() {
            refuse_command_slip(word)?;
        }
        return Ok(bare(words));
    };
    let (before, after) = (&words[..index], &words[index + 1..]);
    let name = command.name();
    // Before anything is refused: who asks for help does not know yet what is missing.
    if asks_for_help(after) {
        let rest = vec![name.to_owned()];
        return Ok(Line { command: Command::Help, is_bare: false, filter: vec![], rest });
    }
    if let Some(word) = before.first() {
        refuse_command_slip(word)?;
    }
    if let Some(flag) = before.iter().find(|word| is_flag(word)) {
        // What stands behind `=` may be a secret, which no error repeats.
        let (flag, value) =
            flag.split_once('=').map_or((flag.as_str(), None), |(f, v)| (f, Some(v)));
        let (flag, has_value) = (shown(flag), value.is_some());
        return Err(WordsError::FlagBeforeCommand { command: name, flag, has_value });
    }
    let line = match command.shape() {
        Shape::New | Shape::Own => {
            if let Some(word) = before.first() {
                return Err(WordsError::FilterNotAllowed { command: name, word: shown(word) });
            }
            Line { command, is_bare: false, filter: vec![], rest: after.to_vec() }
        }
        Shape::Change => {
            Line { command, is_bare: false, filter: before.to_vec(), rest: after.to_vec() }
        }
        Shape::Chosen | Shape::Report => {
            let (mut filter, rest) = split_flags(after);
            filter.splice(..0, before.iter().cloned());
            Line { command, is_bare: false, filter, rest }
        }
    };
    // An empty word matches everything, and comes of a variable that is not set: `ta "$ID" done`.
    let says_nothing = line.filter.iter().all(|word| word.trim().is_empty());
    if says_nothing && matches!(command.shape(), Shape::Change | Shape::Chosen) {
        return Err(WordsError::FilterNeeded { command: name, suggestion: reorder(name, after) });
    }
    let limit = before_text(&line.filter).iter().find(|word| word.starts_with("limit:"));
    if let Some(word) = limit.filter(|_| !command.shows_a_list()) {
        return Err(WordsError::LimitNotAllowed { command: name, word: shown(word) });
    }
    if command == Command::Modify {
        let words = before_text(&line.rest);
        words.iter().try_for_each(|word| refuse_substitution(word))?;
        refuse_lost_tags(words)?;
    }
    // `3 done 4` would complete task 3 and note "4" in it: surely not what was meant.
    if let Some(word) = line.rest.first()
        && command.takes_a_note()
        && line.rest.iter().all(|word| is_id_word(word))
    {
        return Err(WordsError::IdsAfterCommand { command: name, word: shown(word) });
    }
    Ok(line)
}

/// A line without a command.
fn bare(words: &[String]) -> Line {
    let (filter, rest) = split_flags(words);
    let is_one_task = |word: &String| is_id_word(word) && !word.contains(',') && !is_range(word);
    let command = match &filter[..] {
        [word] if is_one_task(word) => Command::Info,
        _ => Command::Next,
    };
    Line { command, is_bare: true, filter, rest }
}

/// Refuses `3 doen` and `doen 3`: beside an id, a word that is one slip away from a command is no
/// search. Elsewhere it may well be one (`lost keys`).
fn refuse_slip(words: &[String]) -> Result<(), WordsError> {
    let words = before_text(words);
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| words.get(before));
        let mut neighbours = before.into_iter().chain(words.get(index + 1));
        if let Some(command) = Command::nearest(word)
            && neighbours.any(|word| is_id_word(word))
        {
            return Err(WordsError::NearlyCommand { word: shown(word), command: command.name() });
        }
    }
    Ok(())
}

/// Refuses `snyc --quiet`, `exprot` and `confg list`: a search that finds nothing would end well, and
/// nobody would miss the sync. A wrong letter is left alone here, since it may make a word of a
/// language (`lost keys`); a search for it that finds nothing is refused by
/// [`Line::missed_command`].
fn refuse_command_slip(word: &str) -> Result<(), WordsError> {
    let is_slip = |command: &Command| {
        let (left, right) = (word.as_bytes(), command.name().as_bytes());
        let has_swap = left.len() == right.len()
            && left.iter().zip(right).filter(|(left, right)| left != right).count() == 2;
        has_swap
            || (left.len() != right.len()
                && right.len() >= SLIP_CHARS_MIN
                && left.first() == right.first())
    };
    match Command::nearest(word).filter(is_slip) {
        Some(command) => {
            Err(WordsError::NearlyCommand { word: shown(word), command: command.name() })
        }
        None => Ok(()),
    }
}

/// The words before `--`, after which all are text.
fn before_text(words: &[String]) -> &[String] {
    words.split(|word| word == "--").next().unwrap_or_default()
}

/// `--help` anywhere, or `-h` alone.
fn asks_for_help(after: &[String]) -> bool {
    before_text(after).iter().any(|word| word == "--help")
        || matches!(after, [word] if word == "-h")
}

fn is_range(word: &str) -> bool {
    word.split_once('-').is_some_and(|(from, _)| from.len() < 8)
}

fn is_flag(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Separates filter words from `--flags`, up to a `--`, after which all are filter words.
fn split_flags(words: &[String]) -> (Vec<String>, Vec<String>) {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (flags, mut filter): (Vec<_>, Vec<_>) =
        words[..end].iter().cloned().partition(|word| is_flag(word));
    filter.extend_from_slice(&words[end..]);
    (filter, flags)
}

/// `done 3 4` was probably meant to be `3 4 done`.
fn reorder(command: &str, after: &[String]) -> Option<String> {
    let count = after.iter().take_while(|word| is_id_word(word)).count();
    let (ids, rest) = after.split_at(count);
    let line: Vec<&str> = ids
        .iter()
        .map(String::as_str)
        .chain([command])
        .chain(rest.iter().map(String::as_str))
        .collect();
    (count > 0).then(|| shown(&line.join(" ")))
}

#[cfg(test)]
mod tests;
