//! Words of the command line: our flags, and the reference's as its own parser takes them.
//!
//! ```text
//!   --listen A   --listen=A   -l A   -lA   -l=A
//! ```
//!
//! A word that is not understood may be a credential that lost its flag or sits on a wrong one, so it
//! is repeated only if it surely is none.

use super::error::ConfigError;
use super::key::{Key, Kind};
use super::layers::{Layers, Origin, Value};

/// The longest word that is repeated, in bytes.
const REPEATED_BYTES_MAX: usize = 60;

/// Digits of a client id.
const ID_DIGITS: usize = 32;

impl Layers {
    /// Reads flags. Words that are none are given back.
    pub(super) fn take_flags(&mut self, words: &[String]) -> Result<Vec<String>, ConfigError> {
        let mut rest = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if !word.starts_with('-') || word == "-" {
                rest.push(word.clone());
                continue;
            }
            let (flag, attached) = split(word);
            // The reference's other word for it.
            let flag = if flag == "--connection" { "--database" } else { flag };
            let is_key = |key: &&Key| key.flag() == flag || key.short() == Some(flag);
            let is_negated = |key: &&Key| {
                key.kind() == Kind::Bool && flag == format!("--no-{}", &key.flag()[2..])
            };
            let origin = Origin::Flag(flag.to_owned());
            if let Some(key) = Key::ALL.iter().find(is_key).copied() {
                let value = match (key.kind(), attached) {
                    (Kind::Bool, None) => Some(Value::Bool(true)),
                    (kind, attached) => {
                        // What follows may be the next flag: then this one has no value. But no flag
                        // begins with a digit: `-1` is a value, and not one that is taken.
                        let is_value = |word: &&str| {
                            let after = word.strip_prefix('-');
                            after.is_none_or(|after| {
                                is_number(kind) && after.starts_with(|c: char| c.is_ascii_digit())
                            })
                        };
                        let text =
                            attached.or_else(|| words.next().map(String::as_str).filter(is_value));
                        let no_value = || ConfigError::NoValue { flag: flag.to_owned() };
                        Value::of_text(kind, text.filter(|it| !it.is_empty()).ok_or_else(no_value)?)
                    }
                };
                self.set_flag(key, value, origin)?;
            } else if let (Some(key), None) = (Key::ALL.iter().find(is_negated), attached) {
                self.set(*key, Some(Value::Bool(false)), origin)?;
            } else {
                return Err(unknown_word(flag));
            }
        }
        Ok(rest)
    }
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Number { .. })
}

/// A flag and what is attached to it.
fn split(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
    }
    match word.split_at_checked(2) {
        Some((flag, value)) if !value.is_empty() => {
            (flag, Some(value.strip_prefix('=').unwrap_or(value)))
        }
        _ => (word, None),
    }
}

/// The error for a word that means nothing.
pub(super) fn unknown_word(word: &str) -> ConfigError {
    ConfigError::UnknownWord { word: repeatable(word) }
}

/// A word as errors repeat it.
pub(super) fn repeatable(word: &str) -> String {
    let digits: String = word.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let has_id =
        digits.as_bytes().windows(ID_DIGITS).any(|window| window.iter().all(u8::is_ascii_hexdigit));
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if has_id {
        "a client id".to_owned()
    } else if word.len() <= REPEATED_BYTES_MAX && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        "a word that may be a credential".to_owned()
    }
}
