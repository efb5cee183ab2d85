//! Taskwarrior's grammar that is not built here yet, recognised so that it is refused.
//!
//! As text it would find nothing, or become a description, and nobody would see why. `--` before a
//! word makes text of it.

use crate::WordsError;
use crate::attribute::Vocabulary;
use crate::tag::begins_like_a_tag;
use crate::text::shown;

/// Signs that compare an attribute with a value, longer ones first.
const COMPARISONS: [&str; 11] = ["!==", "==", "!=", "<=", ">=", "!~", ":=", "=", "<", ">", "~"];

/// Refuses a word of a filter that is an operator, a bracket, a comparison, a pattern or an
/// override of Taskwarrior's settings.
pub(crate) fn refuse_in_filter(word: &str, vocabulary: &Vocabulary) -> Result<(), WordsError> {
    let instead = if matches!(word, "and" | "or" | "xor" | "!") {
        "Words are joined by and as they stand; there is no or. To search for the word, put `--` \
         before it."
    } else if word.starts_with('(') || word == ")" || (word.ends_with(')') && !word.contains('(')) {
        "Leave brackets out: words are joined by and. To search for the text, put `--` before it."
    } else if COMPARISONS.contains(&word) || is_comparison(word, vocabulary) {
        "Use `:` and modifiers, for example `project.not:home` or `due.before:friday`. To search \
         for the text, put `--` before it."
    } else if is_pattern(word) {
        "Words are searched for as they are, whatever their case. To search for this text, put \
         `--` before it."
    } else if is_override(word) {
        OVERRIDE
    } else {
        return Ok(());
    };
    Err(WordsError::NotBuilt { word: shown(word), instead })
}

const OVERRIDE: &str = "Settings are changed with `ta config set`, or for one command by its \
    variable (`TA_HISTORY_DAYS=7 ta gc`). To make text of it, put `--` before it.";

/// Refuses a word of a change that is an override of Taskwarrior's settings or gives an attribute
/// with `=`.
pub(crate) fn refuse_in_change(word: &str, vocabulary: &Vocabulary) -> Result<(), WordsError> {
    let instead = if is_override(word) {
        OVERRIDE
    } else if let Some((name, _)) = word.split_once('=')
        && vocabulary.knows(name.strip_suffix(':').unwrap_or(name))
    {
        "Write `:` for `=`. To make it part of the description, put `--` before it."
    } else {
        return Ok(());
    };
    Err(WordsError::NotBuilt { word: shown(word), instead })
}

/// Commands of Taskwarrior that act on the tasks before them and are not built here.
const COMMANDS: [&str; 4] = ["duplicate", "edit", "purge", "undelete"];

/// Refuses a word beside an id that is a command of Taskwarrior (`3 edit`, `3 dup`): as a search it
/// would find nothing, and the change would be missed.
pub(crate) fn refuse_command(word: &str) -> Result<(), WordsError> {
    if word.len() < 3 || !COMMANDS.iter().any(|command| command.starts_with(word)) {
        return Ok(());
    }
    let instead = "`ta help` lists the commands that there are. \
        To search for the word, put `--` before it.";
    Err(WordsError::NotBuilt { word: shown(word), instead })
}

/// Refuses `/from/to/` after `modify`.
pub(crate) fn refuse_substitution(word: &str) -> Result<(), WordsError> {
    let is_one = word
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix("/g").or_else(|| rest.strip_suffix('/')))
        .is_some_and(|rest| rest.matches('/').count() == 1 && !rest.starts_with('/'));
    let instead =
        "Write the whole description anew. To make it the description, put `--` before it.";
    if is_one { Err(WordsError::NotBuilt { word: shown(word), instead }) } else { Ok(()) }
}

/// Refuses `modify +1`: all that would become the description begins like a tag, and is none.
pub(crate) fn refuse_lost_tags(words: &[String]) -> Result<(), WordsError> {
    let signed = |word: &&String| {
        let rest = word.strip_prefix(['+', '-']);
        rest.is_some_and(|rest| !begins_like_a_tag(rest) || rest.contains(char::is_whitespace))
    };
    let is_tag_or_attribute = |word: &String| word.contains(':') || word.starts_with(['+', '-']);
    match words.iter().find(signed).filter(|_| words.iter().all(is_tag_or_attribute)) {
        None => Ok(()),
        Some(word) => {
            let reason = "it is not one word that begins with a letter";
            Err(WordsError::Tag { word: shown(word), reason })
        }
    }
}

/// `project!=home`, `due<friday`: an attribute and a comparison, without a colon before it.
fn is_comparison(word: &str, vocabulary: &Vocabulary) -> bool {
    let is_sign = |c: char| "!<>=~".contains(c);
    let Some(at) = word.find(is_sign) else { return false };
    let (name, rest) = word.split_at(at);
    let name = name.strip_suffix(':').unwrap_or(name);
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    vocabulary.knows(name) && COMPARISONS.iter().any(|sign| rest.starts_with(sign))
}

/// `/text/`.
fn is_pattern(word: &str) -> bool {
    word.len() > 2 && word.starts_with('/') && word.ends_with('/')
}

/// `rc.name=value`, `rc.name:value`, `rc:file`.
fn is_override(word: &str) -> bool {
    let Some(rest) = word.strip_prefix("rc") else { return false };
    rest.strip_prefix('.').is_some_and(|rest| rest.contains([':', '=']))
        || rest.strip_prefix(':').is_some_and(|file| !file.is_empty() && !file.starts_with(' '))
}
