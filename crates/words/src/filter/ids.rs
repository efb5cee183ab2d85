//! Ids as words: numbers, ranges, uuids and their beginnings.

use std::fmt;

use tandem_core::TaskId;

use crate::text::shown;
use crate::{Candidate, WordsError};

/// Digits of the longest task number; more are the beginning of a uuid.
const NUMBER_DIGITS_MAX: usize = 7;

/// Hexadecimal digits that the beginning of a uuid needs at least.
const PREFIX_DIGITS_MIN: usize = 8;

const UUID_DIGITS: usize = 32;

/// Places of the hyphens in a uuid's text.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Numbers in one range, at most: a range is for a screenful of tasks, not for a loop.
const RANGE_COUNT_MAX: u32 = 10_000;

/// One id in a filter. `Display` gives it in the one form that [`crate::Resolve`] and a lookup
/// expect: numbers in decimal, uuids and their beginnings in lower case with hyphens in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdWord {
    /// A number of the working set, from 1.
    Number(u32),
    /// Numbers of the working set, both ends included. Those that no task has are no error.
    Range(u32, u32),
    /// A whole uuid.
    Id(TaskId),
    /// The beginning of a uuid: 8 to 31 hexadecimal digits in lower case, with the hyphens between
    /// them (`56e0be07-c6`, never with one at the end).
    Prefix(String),
}

impl IdWord {
    /// True if this names the candidate.
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Self::Number(number) => candidate.number == Some(*number),
            Self::Range(from, to) => {
                candidate.number.is_some_and(|number| (*from..=*to).contains(&number))
            }
            Self::Id(id) => candidate.id == *id,
            Self::Prefix(prefix) => candidate.id.to_string().starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for IdWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Range(from, to) => write!(f, "{from}-{to}"),
            Self::Id(id) => write!(f, "{id}"),
            Self::Prefix(prefix) => f.write_str(prefix),
        }
    }
}

/// True for a word that can only be a list of ids: `3`, `1,2,5-7`, `56e0be07`.
pub(crate) fn is_id_word(word: &str) -> bool {
    word.split(',').all(|part| number(part).is_some() || range(part).is_some() || is_prefix(part))
}

/// Reads a comma list of ids; `word` is what an error repeats.
///
/// # Errors
/// [`WordsError::Ids`].
pub(crate) fn parse(list: &str, word: &str) -> Result<Vec<IdWord>, WordsError> {
    list.split(',')
        .map(|part| one(part).map_err(|reason| WordsError::Ids { word: shown(word), reason }))
        .collect()
}

fn one(part: &str) -> Result<IdWord, &'static str> {
    let number_from_one =
        |number: u32| if number == 0 { Err("numbers begin at 1") } else { Ok(number) };
    if let Some(number) = number(part) {
        return number_from_one(number).map(IdWord::Number);
    }
    if let Some((from, to)) = range(part) {
        number_from_one(from)?;
        if from > to {
            return Err("a range goes from the smaller to the larger number");
        }
        if to - from >= RANGE_COUNT_MAX {
            return Err("a range holds at most 10,000 numbers");
        }
        return Ok(IdWord::Range(from, to));
    }
    if !is_prefix(part) {
        return Err("each part is a number, a range, or a uuid's first 8 digits or more");
    }
    let mut prefix = String::with_capacity(36);
    for digit in part.chars().filter(|c| *c != '-') {
        if HYPHENS.contains(&prefix.len()) {
            prefix.push('-');
        }
        prefix.push(digit.to_ascii_lowercase());
    }
    Ok(prefix.parse().map_or(IdWord::Prefix(prefix), IdWord::Id))
}

fn number(part: &str) -> Option<u32> {
    let is_number =
        part.len() <= NUMBER_DIGITS_MAX && part.bytes().all(|byte| byte.is_ascii_digit());
    part.parse().ok().filter(|_| is_number)
}

fn range(part: &str) -> Option<(u32, u32)> {
    let (from, to) = part.split_once('-')?;
    Some((number(from)?, number(to)?))
}

/// Eight or more hexadecimal digits, cut anywhere; if there are hyphens, then where a uuid has them.
fn is_prefix(part: &str) -> bool {
    let bytes = part.as_bytes();
    if bytes.iter().all(u8::is_ascii_hexdigit) {
        return (PREFIX_DIGITS_MIN..=UUID_DIGITS).contains(&bytes.len());
    }
    let fits = |(place, byte): (usize, &u8)| {
        if HYPHENS.contains(&place) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
    };
    (PREFIX_DIGITS_MIN + 1..=UUID_DIGITS + HYPHENS.len()).contains(&bytes.len())
        && bytes.iter().enumerate().all(fits)
}
