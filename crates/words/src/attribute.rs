//! The attributes that words can name, their kinds, and how they may be shortened.

use tandem_tasks::Text;

use crate::WordsError;
use crate::text::shown;

/// Letters that a shortened attribute needs at least.
const ABBREVIATION_CHARS_MIN: usize = 3;

/// What an attribute holds, which decides how its words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any one-line text.
    Text,
    /// Seconds since the epoch, typed as a date.
    Date,
    /// A decimal number.
    Number,
    /// Dotted names, the part before a dot holding the part after it.
    Project,
    /// The state of a task.
    Status,
    /// `H`, `M`, `L` or nothing.
    Priority,
    /// A comma list of tags.
    Tags,
    /// A comma list of ids.
    Depends,
    /// The task's text.
    Description,
    /// Ids, for filters only.
    Ids,
    /// What the recurrence of another program keeps: shown and filtered, never set by hand.
    Machinery,
    /// Worked out; neither set nor looked at.
    Computed,
}

/// The attributes that every task can have. Those of `Machinery` and `Computed` must be written in
/// full, so that `last:` or `par:` in a sentence is rarely taken for one of them.
const KNOWN: [(&str, Kind); 25] = [
    ("description", Kind::Description),
    ("status", Kind::Status),
    ("project", Kind::Project),
    ("priority", Kind::Priority),
    ("tags", Kind::Tags),
    ("depends", Kind::Depends),
    ("due", Kind::Date),
    ("wait", Kind::Date),
    ("scheduled", Kind::Date),
    ("until", Kind::Date),
    ("entry", Kind::Date),
    ("start", Kind::Date),
    ("end", Kind::Date),
    ("modified", Kind::Date),
    ("recur", Kind::Text),
    ("id", Kind::Ids),
    ("uuid", Kind::Ids),
    ("mask", Kind::Machinery),
    ("imask", Kind::Machinery),
    ("parent", Kind::Machinery),
    ("rtype", Kind::Machinery),
    ("template", Kind::Machinery),
    ("last", Kind::Machinery),
    ("urgency", Kind::Computed),
    ("annotations", Kind::Computed),
];

/// What a user-defined attribute holds, as `uda.<name>.type` in a `.taskrc` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdaKind {
    /// `string`: any one-line text.
    Text,
    /// `numeric`: a decimal number.
    Number,
    /// `date`: typed as a date, stored as seconds since the epoch.
    Date,
    /// `duration`: kept as typed.
    Duration,
}

/// A user-defined attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uda {
    /// Its name, the key in the task's map.
    pub name: Text,
    /// What it holds.
    pub kind: UdaKind,
}

/// The attributes that words may name: the known ones and those that the caller declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    udas: Vec<Uda>,
}

/// A word of the form `name.modifier:value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    /// The attribute's full name.
    pub(crate) name: Text,
    pub(crate) kind: Kind,
    /// What stands between a dot and the colon; empty without a dot.
    pub(crate) modifier: &'a str,
    pub(crate) value: &'a str,
}

impl Vocabulary {
    /// Makes a vocabulary of the known attributes and these user-defined ones. Where a name is
    /// known already, the known meaning stays (section 1: the library refuses such names).
    pub fn new(udas: Vec<Uda>) -> Self {
        Self { udas }
    }

    /// The user-defined attributes.
    pub fn udas(&self) -> &[Uda] {
        &self.udas
    }

    /// Splits `name:value` or `name.modifier:value` if the name is an attribute; nothing for any
    /// other word (`http://x`, `12:30`, `foo:bar`), which is plain text.
    ///
    /// # Errors
    /// [`WordsError::AmbiguousAttribute`] for `sta:x`, which could be `start` or `status`.
    pub(crate) fn split<'a>(&self, word: &'a str) -> Result<Option<Named<'a>>, WordsError> {
        let Some((left, value)) = word.split_once(':') else { return Ok(None) };
        // A user-defined name may hold a dot itself, so the whole is tried first.
        if let Some((name, kind)) = self.exact(left) {
            return Ok(Some(Named { name, kind, modifier: "", value }));
        }
        let (left, modifier) = left.split_once('.').unwrap_or((left, ""));
        let found = match self.exact(left) {
            Some(found) => Some(found),
            None => abbreviated(left, word)?,
        };
        Ok(found.map(|(name, kind)| Named { name, kind, modifier, value }))
    }

    fn exact(&self, name: &str) -> Option<(Text, Kind)> {
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        known.map(|(known, kind)| (Text::const_new(known), *kind)).or_else(|| {
            let uda = self.udas.iter().find(|uda| uda.name == name)?;
            let kind = match uda.kind {
                UdaKind::Text | UdaKind::Duration => Kind::Text,
                UdaKind::Number => Kind::Number,
                UdaKind::Date => Kind::Date,
            };
            Some((uda.name.clone(), kind))
        })
    }
}

fn abbreviated(name: &str, word: &str) -> Result<Option<(Text, Kind)>, WordsError> {
    if name.len() < ABBREVIATION_CHARS_MIN {
        return Ok(None);
    }
    let fitting: Vec<_> = KNOWN
        .iter()
        .filter(|(known, kind)| {
            known.starts_with(name) && !matches!(kind, Kind::Machinery | Kind::Computed | Kind::Ids)
        })
        .collect();
    match fitting[..] {
        [] => Ok(None),
        [(known, kind)] => Ok(Some((Text::const_new(known), *kind))),
        _ => Err(WordsError::AmbiguousAttribute {
            word: shown(word),
            candidates: fitting.iter().map(|(known, _)| *known).collect(),
        }),
    }
}

/// True for properties that [`crate::report::info`] shows in lines of their own.
pub(crate) fn is_known(property: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == property)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(vec![
            Uda { name: "estimate".into(), kind: UdaKind::Number },
            Uda { name: "jira.id".into(), kind: UdaKind::Text },
            Uda { name: "review".into(), kind: UdaKind::Date },
        ])
    }

    #[test]
    fn splits_what_names_an_attribute() {
        for (word, name, kind, modifier, value) in [
            ("due:tomorrow", "due", Kind::Date, "", "tomorrow"),
            ("due.before:eom", "due", Kind::Date, "before", "eom"),
            ("pro:a:b", "project", Kind::Project, "", "a:b"),
            ("pri:H", "priority", Kind::Priority, "", "H"),
            ("desc:x", "description", Kind::Description, "", "x"),
            ("project:", "project", Kind::Project, "", ""),
            ("estimate:3", "estimate", Kind::Number, "", "3"),
            ("jira.id:7", "jira.id", Kind::Text, "", "7"),
            ("review.after:eow", "review", Kind::Date, "after", "eow"),
        ] {
            let named = Named { name: name.into(), kind, modifier, value };
            assert_eq!(vocabulary().split(word), Ok(Some(named)), "{word}");
        }
    }

    #[test]
    fn leaves_other_words_alone() {
        for word in [
            "http://x", "12:30", "foo:bar", "pr:x", ":x", "Due:x", "est:3", "mas:x", "a b:c",
            "plain", "",
        ] {
            assert_eq!(vocabulary().split(word), Ok(None), "{word}");
        }
    }

    #[test]
    fn a_short_name_for_two_attributes_is_an_error() {
        let error = vocabulary().split("sta:x").unwrap_err();
        assert_eq!(error.to_string(), "`sta:x` could be any of status, start");
    }
}
