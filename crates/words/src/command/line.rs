//! A line, taken apart, and what is refused of it before anything is looked at.

use super::{Command, Shape};
use crate::WordsError;
use crate::filter::is_id_word;
use crate::text::shown;
use crate::unbuilt::{refuse_command, refuse_lost_tags, refuse_substitution};

/// Letters of a command from which on a letter too many or too few makes a near miss.
const SLIP_CHARS_MIN: usize = 4;

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
        if !neighbours.any(|word| is_id_word(word)) {
            continue;
        }
        refuse_command(word)?;
        if let Some(command) = Command::nearest(word) {
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
