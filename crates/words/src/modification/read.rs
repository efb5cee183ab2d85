//! From words to wishes.

use std::borrow::Cow;

use tandem_tasks::{Status, Text};

use super::Change;
use crate::attribute::{Kind, Named, Vocabulary};
use crate::dates::{parse_date, parse_duration};
use crate::filter::parse_ids;
use crate::tag;
use crate::text::{one_line, shown};
use crate::unbuilt::refuse_in_change;
use crate::{Context, WordsError};

/// Where a piece of text was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the words.
    Open,
    /// Behind `description:`.
    Description,
}

/// The words of a modification, told apart.
pub(super) struct Read<'w> {
    pub(super) changes: Vec<Change>,
    pub(super) text: Vec<(Place, &'w str)>,
}

pub(super) fn read<'w>(
    words: &'w [String],
    context: &Context,
    vocabulary: &'w Vocabulary,
) -> Result<Read<'w>, WordsError> {
    let mut changes = Vec::new();
    let mut text: Vec<(Place, &str)> = Vec::new();
    let mut words = words.iter().map(String::as_str);
    for word in words.by_ref() {
        if word == "--" {
            break;
        }
        refuse_in_change(word, vocabulary)?;
        if let Some(change) = tag_change(word)? {
            changes.push(change);
        } else if let Some(named) = vocabulary.split(word)? {
            if named.kind == Kind::Description && named.modifier.is_empty() {
                if named.value.trim().is_empty() {
                    return Err(WordsError::NoDescription);
                }
                text.push((Place::Description, named.value));
            } else {
                attribute_changes(&named, word, context, &mut changes)?;
            }
        } else {
            text.push((Place::Open, word));
        }
    }
    text.extend(words.map(|word| (Place::Open, word)));
    Ok(Read { changes, text })
}

/// Reads `+tag` and `-tag`. What does not begin like a tag after the sign (`-5`, `+49 30 1`,
/// `--x`, `-`) is text; what does is a tag or an error.
fn tag_change(word: &str) -> Result<Option<Change>, WordsError> {
    let Some((sign @ ("+" | "-"), name)) = word.split_at_checked(1) else { return Ok(None) };
    if !tag::begins_like_a_tag(name) || name.contains(char::is_whitespace) {
        return Ok(None);
    }
    if sign == "-" && !name.contains(':') {
        // Also a tag that could not be given today: another program may have stored it.
        return Ok(Some(Change::RemoveTag(name.into())));
    }
    let checked = tag::check(name);
    checked.map_err(|reason| WordsError::Tag { word: shown(word), reason })?;
    Ok(Some(Change::AddTag(name.into())))
}

pub(super) fn attribute_changes(
    named: &Named<'_>,
    word: &str,
    context: &Context,
    changes: &mut Vec<Change>,
) -> Result<(), WordsError> {
    let attribute = || shown(&named.name);
    let refuse = |expected: &str| {
        let expected = Cow::Owned(expected.to_owned());
        Err(WordsError::Value { word: shown(word), attribute: attribute(), expected })
    };
    if !named.modifier.is_empty() {
        let known = "no modifiers in a change, only in a filter";
        return Err(WordsError::Modifier { word: shown(word), attribute: attribute(), known });
    }
    let value = one_line(named.value);
    let set = |value: Option<Text>| Change::Set(named.name.clone(), value);
    if !named.values.is_empty() && !value.is_empty() {
        let same = |known: &&Text| known.eq_ignore_ascii_case(&value);
        let exact = named.values.iter().find(|known| **known == value);
        let Some(known) = exact.or_else(|| named.values.iter().find(same)) else {
            return refuse(&format!("one of {}, or nothing", named.values.join(", ")));
        };
        changes.push(set(Some(known.clone())));
        return Ok(());
    }
    let change = match named.kind {
        Kind::Date if value.is_empty() => match named.name.as_str() {
            "entry" | "modified" => return refuse("a date, since every task has one"),
            _ => set(None),
        },
        Kind::Date => {
            let time = parse_date(&value, context)
                .map_err(|source| WordsError::Date { word: shown(word), source })?;
            set(Some(time.seconds().to_string().into()))
        }
        Kind::Number if value.parse::<f64>().is_ok_and(f64::is_finite) => set(Some(value.into())),
        Kind::Number if !value.is_empty() => return refuse("a number or nothing"),
        Kind::Duration if value.is_empty() => set(None),
        Kind::Duration => match parse_duration(&value.to_ascii_lowercase()) {
            // What is in the stored form already stays as it is: `P1M` is no number of days.
            Some(_) if value.starts_with(['P', 'p']) => {
                set(Some(value.to_ascii_uppercase().into()))
            }
            Some(span) => set(Some(span.to_string().into())),
            None => return refuse("a duration such as 30min, 2h, 3days or P1W, or nothing"),
        },
        Kind::Recurrence
            if !value.is_empty()
                && value != "weekdays"
                && parse_duration(&value.to_ascii_lowercase()).is_none() =>
        {
            return refuse("how often, such as daily, weekly, 2weeks or monthly, or nothing");
        }
        Kind::Priority => match value.as_str() {
            "" => set(None),
            "H" | "h" => set(Some(Text::const_new("H"))),
            "M" | "m" => set(Some(Text::const_new("M"))),
            "L" | "l" => set(Some(Text::const_new("L"))),
            _ => return refuse("H, M, L or nothing"),
        },
        Kind::Status => match Status::parse(&value) {
            Status::Unknown(other) if other == "waiting" => {
                return refuse("wait:DATE to hide a task until then");
            }
            Status::Unknown(_) => return refuse("pending, completed, deleted or recurring"),
            status => Change::Status(status),
        },
        Kind::Tags => {
            let tags: Vec<&str> = value.split(',').filter(|tag| !tag.is_empty()).collect();
            for tag in &tags {
                tag::check(tag).map_err(|reason| WordsError::Tag { word: shown(word), reason })?;
            }
            Change::SetTags(tags.into_iter().map(Text::from).collect())
        }
        Kind::Depends => return dependency_changes(&value, word, changes),
        Kind::Ids | Kind::Machinery | Kind::Computed => {
            return Err(WordsError::ReadOnly { word: shown(word), attribute: attribute() });
        }
        Kind::Text | Kind::Recurrence | Kind::Project | Kind::Number | Kind::Description => {
            set(Some(value).filter(|value| !value.is_empty()).map(Text::from))
        }
    };
    changes.push(change);
    Ok(())
}

/// `depends:3,-5`: each part adds, or with a sign removes; empty removes all.
fn dependency_changes(
    value: &str,
    word: &str,
    changes: &mut Vec<Change>,
) -> Result<(), WordsError> {
    if value.is_empty() {
        changes.push(Change::ClearDependencies);
        return Ok(());
    }
    for part in value.split(',') {
        let (is_removed, ids) = match part.strip_prefix('-') {
            Some(ids) => (true, ids),
            None => (false, part.strip_prefix('+').unwrap_or(part)),
        };
        parse_ids(ids, word)?;
        changes.push(if is_removed {
            Change::RemoveDependencies(ids.to_owned())
        } else {
            Change::AddDependencies(ids.to_owned())
        });
    }
    Ok(())
}
