//! The attributes that words can name, their kinds, and how they may be shortened.

use tandem_tasks::Text;

use crate::WordsError;
use crate::text::{is_one_slip_away, shown};

/// Letters that a shortened attribute needs at least: two, as in Taskwarrior, so that the `du:` and
/// `sc:` of its users' fingers do not become text unseen.
const ABBREVIATION_CHARS_MIN: usize = 2;

/// Letters of a shortened attribute below which a value that looks like a sentence (`re: your
/// letter`) or an address makes text of the word.
const ABBREVIATION_CHARS_SURE: usize = 3;

/// Letters of an attribute from which on any one slip counts as a near miss of it. Of shorter ones
/// (`due`, `end`) too many words of a language are one letter away; there only two swapped
/// neighbours count.
const NEAR_MISS_CHARS_MIN: usize = 4;

/// What an attribute holds, which decides how its words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any one-line text.
    Text,
    /// Seconds since the epoch, typed as a date.
    Date,
    /// A decimal number.
    Number,
    /// A length of time, stored as ISO 8601 writes it.
    Duration,
    /// How often a task comes again, kept as typed: other programs make the instances.
    Recurrence,
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
    ("recur", Kind::Recurrence),
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
    /// `duration`: typed as `2h` or `P1D`, stored as ISO 8601 writes it.
    Duration,
}

/// A user-defined attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uda {
    /// Its name, the key in the task's map.
    pub name: Text,
    /// What it holds.
    pub kind: UdaKind,
    /// What people see as its name (`uda.<name>.label`).
    pub label: Option<Text>,
    /// The only values that it takes, besides none (`uda.<name>.values`); empty if it takes any.
    pub values: Vec<Text>,
    /// What a new task gets unless the line says otherwise, as typed (`uda.<name>.default`).
    pub default: Option<Text>,
}

impl Uda {
    /// An attribute that takes any value of its kind.
    pub fn new(name: impl Into<Text>, kind: UdaKind) -> Self {
        Self { name: name.into(), kind, label: None, values: Vec::new(), default: None }
    }

    fn kind(&self) -> Kind {
        match self.kind {
            UdaKind::Text => Kind::Text,
            UdaKind::Number => Kind::Number,
            UdaKind::Date => Kind::Date,
            UdaKind::Duration => Kind::Duration,
        }
    }
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
    /// The only values that it takes; empty if it takes any.
    pub(crate) values: &'a [Text],
}

impl Vocabulary {
    /// Makes a vocabulary of the known attributes and these user-defined ones. Where a name is
    /// known already, the known meaning stays (section 1: the library refuses such names); only
    /// the values of `priority` may be declared otherwise, as Taskwarrior lets people do.
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
    /// [`WordsError::AmbiguousAttribute`] for `sta:x`, which could be `start` or `status`;
    /// [`WordsError::NearlyAttribute`] for `projct:x`, which would otherwise become text unseen.
    pub(crate) fn split<'a>(&'a self, word: &'a str) -> Result<Option<Named<'a>>, WordsError> {
        let Some((whole, value)) = word.split_once(':') else { return Ok(None) };
        let named = |(name, kind): (Text, Kind), modifier| {
            let uda = self.udas.iter().find(|uda| uda.name == name);
            let values = uda.map_or(&[][..], |uda| &uda.values);
            Named { name, kind, modifier, value, values }
        };
        // A user-defined name may hold a dot itself, so the whole is tried first.
        if let Some(found) = self.exact(whole) {
            return Ok(Some(named(found, "")));
        }
        let (left, modifier) = whole.split_once('.').unwrap_or((whole, ""));
        // An address, or a sentence that was typed as one word, is none even if it begins so.
        let is_text = value.starts_with("//") || value.starts_with(char::is_whitespace);
        let found = match self.exact(left) {
            Some(found) => Some(found),
            None if is_text && left.len() < ABBREVIATION_CHARS_SURE => None,
            None => self.abbreviated(left, word)?,
        };
        if let Some(found) = found {
            return Ok(Some(named(found, modifier)));
        }
        match self.nearest(left).filter(|_| !is_text) {
            Some(attribute) => {
                Err(WordsError::NearlyAttribute { word: shown(word), attribute: shown(attribute) })
            }
            None => Ok(None),
        }
    }

    /// True if this is the whole name of an attribute.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.exact(name).is_some()
    }

    fn exact(&self, name: &str) -> Option<(Text, Kind)> {
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        known.map(|(known, kind)| (Text::const_new(known), *kind)).or_else(|| {
            let uda = self.udas.iter().find(|uda| uda.name == name)?;
            Some((uda.name.clone(), uda.kind()))
        })
    }

    /// The one attribute that a shortened name can stand for; those that every task has come
    /// before user-defined ones, so that a declaration takes no old habit away.
    fn abbreviated(&self, name: &str, word: &str) -> Result<Option<(Text, Kind)>, WordsError> {
        if name.len() < ABBREVIATION_CHARS_MIN {
            return Ok(None);
        }
        let mut fitting: Vec<(Text, Kind)> = KNOWN
            .iter()
            .filter(|(known, kind)| known.starts_with(name) && kind.is_typed_by_people())
            .map(|(known, kind)| (Text::const_new(known), *kind))
            .collect();
        if fitting.is_empty() {
            let udas = self.udas.iter().filter(|uda| uda.name.starts_with(name));
            fitting.extend(udas.map(|uda| (uda.name.clone(), uda.kind())));
        }
        if fitting.len() > 1 {
            let candidates = fitting.iter().map(|(name, _)| shown(name)).collect();
            return Err(WordsError::AmbiguousAttribute { word: shown(word), candidates });
        }
        Ok(fitting.pop())
    }

    /// The attribute that a mistyped name was probably meant to be.
    fn nearest(&self, name: &str) -> Option<&str> {
        let known = KNOWN.iter().filter(|(_, kind)| kind.is_typed_by_people());
        let udas = self.udas.iter().map(|uda| uda.name.as_str());
        known.map(|(known, _)| *known).chain(udas).find(|known| is_near_miss(name, known))
    }
}

impl Kind {
    /// False for what nobody sets or asks for by hand, so that `last:`, `task:` or `type:` in a
    /// sentence is rarely taken for one of them.
    fn is_typed_by_people(self) -> bool {
        !matches!(self, Self::Machinery | Self::Computed | Self::Ids)
    }
}

/// True if one slip makes `known` of `name`. The first letter is rarely the wrong one.
fn is_near_miss(name: &str, known: &str) -> bool {
    let (left, right) = (name.as_bytes(), known.as_bytes());
    if !is_one_slip_away(left, right) {
        return false;
    }
    let has_swap = left.len() == right.len()
        && left.iter().zip(right).filter(|(left, right)| left != right).count() == 2;
    has_swap || (known.len() >= NEAR_MISS_CHARS_MIN && left.first() == right.first())
}

/// True for properties that [`crate::report::info`] shows in lines of their own.
pub(crate) fn is_known(property: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == property)
}

/// True for properties that are neither known nor a member of a set.
pub(crate) fn is_custom(property: &str) -> bool {
    let is_member = ["tag_", "dep_", "annotation_"].iter().any(|set| property.starts_with(set));
    !is_member && !is_known(property)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(vec![
            Uda::new("estimate", UdaKind::Number),
            Uda::new("jira.id", UdaKind::Text),
            Uda::new("review", UdaKind::Date),
            Uda::new("projection", UdaKind::Text),
        ])
    }

    #[test]
    fn splits_what_names_an_attribute() {
        for (word, name, kind, modifier, value) in [
            ("due:tomorrow", "due", Kind::Date, "", "tomorrow"),
            ("due.before:eom", "due", Kind::Date, "before", "eom"),
            ("pro:a:b", "project", Kind::Project, "", "a:b"),
            ("pri:H", "priority", Kind::Priority, "", "H"),
            ("du:friday", "due", Kind::Date, "", "friday"),
            ("sc.before:eom", "scheduled", Kind::Date, "before", "eom"),
            ("es:3", "estimate", Kind::Number, "", "3"),
            ("desc:x", "description", Kind::Description, "", "x"),
            ("project:", "project", Kind::Project, "", ""),
            ("estimate:3", "estimate", Kind::Number, "", "3"),
            ("jira.id:7", "jira.id", Kind::Text, "", "7"),
            ("review.after:eow", "review", Kind::Date, "after", "eow"),
            ("est:3", "estimate", Kind::Number, "", "3"),
            ("estimat:3", "estimate", Kind::Number, "", "3"),
            ("projecti:x", "projection", Kind::Text, "", "x"),
        ] {
            let named = Named { name: name.into(), kind, modifier, value, values: &[] };
            assert_eq!(vocabulary().split(word), Ok(Some(named)), "{word}");
        }
    }

    #[test]
    fn leaves_other_words_alone() {
        for word in [
            "http://x",
            "12:30",
            "foo:bar",
            ":x",
            "Due:x",
            "re: your letter",
            "ta://x",
            "d:x",
            "mas:x",
            "a b:c",
            "plain",
            "",
            "dye:x",
            "and:x",
            "task:x",
            "list:x",
            "type:x",
            "tags x:y",
            "wat: is this",
            "stars://x",
            "bait:x",
        ] {
            assert_eq!(vocabulary().split(word), Ok(None), "{word}");
        }
    }

    #[test]
    fn a_near_miss_is_an_error_that_names_what_was_meant() {
        for (word, attribute) in [
            ("projct:home", "project"),
            ("projetc:home", "project"),
            ("priorty:H", "priority"),
            ("priorty.is:H", "priority"),
            ("esimate:3", "estimate"),
            ("estimates:3", "estimate"),
            ("tagz:home", "tags"),
            ("deu:friday", "due"),
            ("duedate.before:x", ""),
            ("sheduled:x", "scheduled"),
            ("estmate:3", "estimate"),
            ("esitmate.over:3", "estimate"),
            ("reviews:", "review"),
        ] {
            match vocabulary().split(word) {
                Err(WordsError::NearlyAttribute { attribute: found, .. }) => {
                    assert_eq!(found, attribute, "{word}");
                }
                other => assert!(attribute.is_empty() && other == Ok(None), "{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_short_name_for_two_attributes_is_an_error() {
        for (word, told) in [
            ("sta:x", "`sta:x` could be any of status, start"),
            ("pr:x", "`pr:x` could be any of project, priority"),
        ] {
            assert_eq!(vocabulary().split(word).unwrap_err().to_string(), told);
        }
    }
}
