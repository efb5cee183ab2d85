//! One word of a filter.

use std::ops::Range;

use tandem_core::TaskId;
use tandem_tasks::{Status, Task, Text};

use super::resolve_ids;
use crate::attribute::{Kind, Named, Vocabulary, is_custom};
use crate::dates::{duration_seconds, parse_date};
use crate::error::Resolve;
use crate::keys::{dependencies, stored_tags};
use crate::tag::{Synthetic, begins_like_a_tag};
use crate::text::shown;
use crate::{Candidate, Context, WordsError};

/// One condition; a task must fulfil all.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// The key `tag_<name>` is there, or not.
    Tag { key: Text, wanted: bool },
    /// The synthetic tag holds, or not.
    Synthetic { tag: Synthetic, wanted: bool },
    /// There is a property beyond the known ones, by `declared` or not; or there is none.
    Custom { udas: Vec<Text>, declared: bool, wanted: bool },
    /// The status is this one, or not.
    Status { status: Status, wanted: bool },
    /// There is a tag, or none.
    AnyTag { wanted: bool },
    /// There is a dependency, or none.
    AnyDependency { wanted: bool },
    /// The task depends on this one.
    DependsOn(TaskId),
    /// A text property fulfils the test.
    Text { property: Text, test: TextTest, wanted: bool },
    /// A date property fulfils the test; one that holds no time fulfils none but [`DateTest::Any`].
    Date { property: Text, test: DateTest, wanted: bool },
    /// A number or a duration fulfils the test; one that holds neither fulfils none but
    /// [`AmountTest::Any`].
    Amount { property: Text, measure: Measure, test: AmountTest, wanted: bool },
}

/// How a property is read as an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Number,
    /// In seconds, so that `PT24H` and `P1D` are one length.
    Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum AmountTest {
    /// Has a value that is not empty.
    Any,
    Is(f64),
    Below(f64),
    Above(f64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextTest {
    /// Has a value that is not empty.
    Any,
    Is(String),
    /// Is this dotted name or lies below it.
    Under(String),
    /// Contains this text, which is in lower case, whatever the property's case.
    Has(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DateTest {
    /// Has a value that is not empty.
    Any,
    /// Lies in this range of seconds.
    In(Range<i64>),
    Before(i64),
    After(i64),
}

/// What may stand between the dot and the colon, for the hint of an error.
const TEXT_MODIFIERS: &str = "`.is`, `.not`, `.has`, `.hasnt`, `.any` and `.none`";
const DATE_MODIFIERS: &str = "`.before`, `.after`, `.by`, `.is`, `.not`, `.any` and `.none`";
const AMOUNT_MODIFIERS: &str = "`.below`, `.above`, `.is`, `.not`, `.any` and `.none`";
const STATUS_MODIFIERS: &str = "`.is` and `.not`";
const TAGS_MODIFIERS: &str = "`.has`, `.hasnt`, `.any` and `.none`";
const PRESENCE_MODIFIERS: &str = "`.any` and `.none`";

impl Term {
    /// The description contains `word`.
    pub(super) fn description(word: &str) -> Self {
        let test = TextTest::Has(word.to_lowercase());
        Self::Text { property: Text::const_new("description"), test, wanted: true }
    }

    pub(super) fn synthetic(tag: Synthetic, wanted: bool) -> Self {
        Self::Synthetic { tag, wanted }
    }

    /// `+tag` or `-tag`. Capitals that are no synthetic tag are looked for as they are, since
    /// Taskwarrior stores such tags.
    pub(super) fn tag(word: &str, vocabulary: &Vocabulary) -> Option<Self> {
        let (wanted, name) = match word.split_at_checked(1)? {
            ("+", name) => (true, name),
            ("-", name) => (false, name),
            _ => return None,
        };
        if let Some(tag) = Synthetic::parse(name) {
            return Some(Self::Synthetic { tag, wanted });
        }
        if matches!(name, "UDA" | "ORPHAN") {
            let udas = vocabulary.udas().iter().map(|uda| uda.name.clone()).collect();
            return Some(Self::Custom { udas, declared: name == "UDA", wanted });
        }
        let is_tag = begins_like_a_tag(name) && !name.contains(char::is_whitespace);
        is_tag.then(|| Self::tag_key(name, wanted))
    }

    /// A tag of `tags:`, which Taskwarrior takes with a sign, too.
    fn named_tag(name: &str, wanted: bool) -> Self {
        let name = name.strip_prefix('+').unwrap_or(name);
        match Synthetic::parse(name) {
            Some(tag) => Self::Synthetic { tag, wanted },
            None => Self::tag_key(name, wanted),
        }
    }

    fn tag_key(name: &str, wanted: bool) -> Self {
        let mut key = Text::const_new("tag_");
        key.push_str(name);
        Self::Tag { key, wanted }
    }

    /// Reads `name.modifier:value` into one or more terms.
    pub(super) fn attribute(
        named: &Named<'_>,
        word: &str,
        context: &Context,
        resolve: &Resolve<'_>,
        terms: &mut Vec<Self>,
    ) -> Result<(), WordsError> {
        let value = named.value.trim();
        let unknown_modifier = |known| WordsError::Modifier {
            word: shown(word),
            attribute: shown(&named.name),
            known,
        };
        match named.kind {
            Kind::Status => {
                let wanted = match named.modifier {
                    "" | "is" => true,
                    "not" | "isnt" => false,
                    _ => return Err(unknown_modifier(STATUS_MODIFIERS)),
                };
                terms.push(status(value, wanted, word)?);
            }
            Kind::Date => {
                let property = named.name.clone();
                let (test, wanted) = date_test(named, value, word, context)?;
                terms.push(Self::Date { property, test, wanted });
            }
            Kind::Tags | Kind::Depends => {
                let any = |wanted| match named.kind {
                    Kind::Tags => Self::AnyTag { wanted },
                    _ => Self::AnyDependency { wanted },
                };
                match (named.modifier, value) {
                    ("any", "") => terms.push(any(true)),
                    ("none" | "", "") => terms.push(any(false)),
                    ("" | "is" | "has" | "contains", _) if named.kind == Kind::Tags => {
                        terms.extend(value.split(',').map(|tag| Self::named_tag(tag, true)));
                    }
                    ("not" | "isnt" | "hasnt", _) if named.kind == Kind::Tags => {
                        terms.extend(value.split(',').map(|tag| Self::named_tag(tag, false)));
                    }
                    ("", _) => {
                        let ids = resolve_ids(value, word, resolve)?;
                        terms.extend(ids.into_iter().map(Self::DependsOn));
                    }
                    _ if named.kind == Kind::Tags => return Err(unknown_modifier(TAGS_MODIFIERS)),
                    _ => return Err(unknown_modifier(PRESENCE_MODIFIERS)),
                }
            }
            Kind::Computed | Kind::Ids => {
                return Err(WordsError::NotFilterable {
                    word: shown(word),
                    attribute: shown(&named.name),
                });
            }
            Kind::Number | Kind::Duration => {
                let measure = match named.kind {
                    Kind::Number => Measure::Number,
                    _ => Measure::Duration,
                };
                let property = named.name.clone();
                let (test, wanted) = amount_test(named, value, measure, word)?;
                terms.push(Self::Amount { property, measure, test, wanted });
            }
            Kind::Text
            | Kind::Recurrence
            | Kind::Project
            | Kind::Priority
            | Kind::Description
            | Kind::Machinery => {
                let (test, wanted) =
                    text_test(named, value).ok_or_else(|| unknown_modifier(TEXT_MODIFIERS))?;
                terms.push(Self::Text { property: named.name.clone(), test, wanted });
            }
        }
        Ok(())
    }

    pub(super) fn matches(&self, candidate: &Candidate<'_>, context: &Context) -> bool {
        let task = candidate.task;
        match self {
            Self::Tag { key, wanted } => task.get(key).is_some() == *wanted,
            Self::Synthetic { tag, wanted } => tag.holds(candidate, context) == *wanted,
            Self::Custom { udas, declared, wanted } => {
                let is_one =
                    |property: &Text| is_custom(property) && udas.contains(property) == *declared;
                task.properties.keys().any(is_one) == *wanted
            }
            Self::Status { status, wanted } => (task.status() == *status) == *wanted,
            Self::AnyTag { wanted } => stored_tags(task).next().is_some() == *wanted,
            Self::AnyDependency { wanted } => dependencies(task).next().is_some() == *wanted,
            Self::DependsOn(id) => dependencies(task).any(|found| found == *id),
            Self::Text { property, test, wanted } => test.holds(task, property) == *wanted,
            Self::Date { property, test, wanted } => test.holds(task, property) == *wanted,
            Self::Amount { property, measure, test, wanted } => {
                test.holds(task.get(property).unwrap_or_default(), *measure) == *wanted
            }
        }
    }

    /// True if no task outside the working set can fulfil it.
    pub(super) fn is_only_for_pending(&self) -> bool {
        match self {
            Self::Synthetic { tag, wanted } => *wanted && tag.is_only_for_pending(),
            Self::Status { status, wanted } => *wanted && status.is_numbered(),
            _ => false,
        }
    }

    /// True if it asks for tasks that reports leave out, so that they add no wish of their own.
    /// A wish to leave out more (`-WAITING`) is none.
    pub(super) fn is_about_status(&self) -> bool {
        match self {
            Self::Synthetic { tag, wanted: true } => matches!(
                tag,
                Synthetic::Waiting
                    | Synthetic::Pending
                    | Synthetic::Completed
                    | Synthetic::Deleted
                    | Synthetic::Template
            ),
            Self::Synthetic { tag, wanted: false } => *tag == Synthetic::Pending,
            Self::Status { status, wanted } => *wanted || *status == Status::Pending,
            _ => false,
        }
    }
}

impl TextTest {
    fn holds(&self, task: &Task, property: &str) -> bool {
        let value = task.get(property).unwrap_or_default();
        match self {
            Self::Any => !value.is_empty(),
            Self::Is(text) => value == text,
            Self::Under(name) => value
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            Self::Has(text) => contains_lower(value, text),
        }
    }
}

impl DateTest {
    fn holds(&self, task: &Task, property: &str) -> bool {
        if *self == Self::Any {
            return task.get(property).is_some_and(|value| !value.is_empty());
        }
        task.seconds(property).is_some_and(|seconds| match self {
            Self::Any => true,
            Self::In(range) => range.contains(&seconds),
            Self::Before(limit) => seconds < *limit,
            Self::After(limit) => seconds > *limit,
        })
    }
}

impl Measure {
    fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Number => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            // Within 53 bits, as no length that can be typed is longer.
            Self::Duration => duration_seconds(text).map(|seconds| seconds as f64),
        }
    }
}

impl AmountTest {
    fn holds(self, value: &str, measure: Measure) -> bool {
        if self == Self::Any {
            return !value.is_empty();
        }
        measure.read(value).is_some_and(|amount| match self {
            Self::Any => true,
            Self::Is(wanted) => amount == wanted,
            Self::Below(limit) => amount < limit,
            Self::Above(limit) => amount > limit,
        })
    }
}

/// True if `text` contains `lower`, which is in lower case, whatever the case of `text`.
fn contains_lower(text: &str, lower: &str) -> bool {
    if lower.is_empty() {
        return true;
    }
    if text.is_ascii() {
        // Without an allocation: a search looks at every description.
        let (text, lower) = (text.as_bytes(), lower.as_bytes());
        return text.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower));
    }
    text.to_lowercase().contains(lower)
}

fn status(value: &str, wanted: bool, word: &str) -> Result<Term, WordsError> {
    if value == "waiting" {
        return Ok(Term::Synthetic { tag: Synthetic::Waiting, wanted });
    }
    match Status::parse(value) {
        Status::Unknown(_) => Err(WordsError::Value {
            word: shown(word),
            attribute: "status".to_owned(),
            expected: "pending, waiting, completed, deleted or recurring".into(),
        }),
        status => Ok(Term::Status { status, wanted }),
    }
}

fn text_test(named: &Named<'_>, value: &str) -> Option<(TextTest, bool)> {
    let is = || {
        // Any other word is taken as it is: what other programs wrote may be asked for, whether this
        // machine's .taskrc declares it or not. Only changes are held to what is declared.
        let is_priority = named.kind == Kind::Priority
            && matches!(value, "h" | "m" | "l")
            && !named.values.iter().any(|known| known == value);
        TextTest::Is(if is_priority { value.to_ascii_uppercase() } else { value.to_owned() })
    };
    Some(match (named.modifier, named.kind) {
        ("none", _) => (TextTest::Any, false),
        ("any", _) => (TextTest::Any, true),
        ("", _) if value.is_empty() => (TextTest::Any, false),
        ("", Kind::Project) => (TextTest::Under(value.to_owned()), true),
        ("has" | "contains", _) | ("", Kind::Description) => {
            (TextTest::Has(value.to_lowercase()), true)
        }
        ("hasnt", _) => (TextTest::Has(value.to_lowercase()), false),
        ("" | "is", _) => (is(), true),
        ("not" | "isnt", _) => (is(), false),
        _ => return None,
    })
}

fn amount_test(
    named: &Named<'_>,
    value: &str,
    measure: Measure,
    word: &str,
) -> Result<(AmountTest, bool), WordsError> {
    match (named.modifier, value) {
        ("none", _) | ("", "") => return Ok((AmountTest::Any, false)),
        ("any", _) => return Ok((AmountTest::Any, true)),
        _ => {}
    }
    let amount = || {
        measure.read(value).ok_or_else(|| WordsError::Value {
            word: shown(word),
            attribute: shown(&named.name),
            expected: match measure {
                Measure::Number => "a number".into(),
                Measure::Duration => "a duration such as 30min, 2h, 3days or P1W".into(),
            },
        })
    };
    Ok(match named.modifier {
        "" | "is" => (AmountTest::Is(amount()?), true),
        "not" | "isnt" => (AmountTest::Is(amount()?), false),
        "before" | "under" | "below" => (AmountTest::Below(amount()?), true),
        "after" | "over" | "above" => (AmountTest::Above(amount()?), true),
        _ => {
            return Err(WordsError::Modifier {
                word: shown(word),
                attribute: shown(&named.name),
                known: AMOUNT_MODIFIERS,
            });
        }
    })
}

fn date_test(
    named: &Named<'_>,
    value: &str,
    word: &str,
    context: &Context,
) -> Result<(DateTest, bool), WordsError> {
    match (named.modifier, value) {
        ("none", _) | ("", "") => return Ok((DateTest::Any, false)),
        ("any", _) => return Ok((DateTest::Any, true)),
        (
            "" | "is" | "not" | "isnt" | "before" | "under" | "below" | "after" | "over" | "above"
            | "by",
            _,
        ) => {}
        _ => {
            return Err(WordsError::Modifier {
                word: shown(word),
                attribute: shown(&named.name),
                known: DATE_MODIFIERS,
            });
        }
    }
    let seconds = parse_date(value, context)
        .map_err(|source| WordsError::Date { word: shown(word), source })?
        .seconds();
    let the_day = || context.day_around(seconds).unwrap_or(seconds..seconds + 1);
    Ok(match named.modifier {
        "before" | "under" | "below" => (DateTest::Before(seconds), true),
        "after" | "over" | "above" => (DateTest::After(seconds), true),
        "by" => (DateTest::Before(seconds.saturating_add(1)), true),
        "is" => (DateTest::In(seconds..seconds.saturating_add(1)), true),
        "not" | "isnt" => (DateTest::In(the_day()), false),
        _ => (DateTest::In(the_day()), true),
    })
}
