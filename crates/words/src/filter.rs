//! Which tasks a line is about.
//!
//! Words are joined by *and*; ids alone are joined by *or* (`1,2 5-7` means any of them, and with
//! `+home` those of them that have the tag). The words:
//!
//! * ids: `3`, `1,2,5-7`, a uuid, or its first 8 or more hexadecimal digits (`56e0be07`,
//!   `56e0be07-c61f`); 8 digits are a uuid's beginning, not a number;
//! * `+tag`, `-tag`, synthetic tags included ([`crate::tag::Synthetic`]);
//! * `name:value`, `name.modifier:value` for attributes; an empty value asks for those without;
//!   `project:home` also finds `home.garden`; `due:friday` finds that whole day;
//! * `limit:N`: of what a report would show, only the first N;
//! * `all`: every task, also those that are done or deleted;
//! * any other word: the description contains it, whatever its case. After `--` all words are such.
//!
//! Operators, brackets, comparisons and patterns are refused ([`WordsError::NotBuilt`]).

mod ids;
mod term;

use tandem_core::TaskId;

pub use ids::IdWord;
pub(crate) use ids::{is_id_word, parse as parse_ids};
use term::Term;

use crate::attribute::{Kind, Vocabulary};
use crate::error::Resolve;
use crate::tag::Synthetic;
use crate::text::shown;
use crate::unbuilt::refuse_in_filter;
use crate::{Candidate, Context, WordsError};

/// Decides which tasks are meant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    ids: Vec<IdWord>,
    terms: Vec<Term>,
    has_all: bool,
}

impl Filter {
    /// Reads the words of [`crate::Line::filter`]. No words match every task.
    ///
    /// `resolve` is asked for the ids of `depends:` only; ids that stand alone are matched against
    /// each candidate and listed by [`Filter::explicit_ids`], so that the caller can look them up.
    ///
    /// # Errors
    /// [`WordsError`] for a word that names an attribute and cannot be read, or what `resolve`
    /// answers.
    pub fn parse(
        words: &[String],
        context: &Context,
        vocabulary: &Vocabulary,
        resolve: &Resolve<'_>,
    ) -> Result<Self, WordsError> {
        let mut filter = Self::default();
        let mut words = words.iter().map(String::as_str);
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            filter.add(word, context, vocabulary, resolve).map_err(WordsError::in_filter)?;
        }
        filter.terms.extend(words.map(Term::description));
        Ok(filter)
    }

    fn add(
        &mut self,
        word: &str,
        context: &Context,
        vocabulary: &Vocabulary,
        resolve: &Resolve<'_>,
    ) -> Result<(), WordsError> {
        refuse_in_filter(word, vocabulary)?;
        if word == "all" {
            self.has_all = true;
        } else if let Some(count) = word.strip_prefix("limit:") {
            limit(count, word)?;
        } else if is_id_word(word) {
            self.ids.extend(parse_ids(word, word)?);
        } else if let Some(term) = Term::tag(word, vocabulary) {
            self.terms.push(term);
        } else if let Some(named) = vocabulary.split(word)? {
            if named.kind == Kind::Ids {
                if named.value.is_empty() || !named.modifier.is_empty() {
                    return Err(WordsError::Ids {
                        word: shown(word),
                        reason: "there is no id in it",
                    });
                }
                self.ids.extend(parse_ids(named.value, word)?);
            } else {
                Term::attribute(&named, word, context, resolve, &mut self.terms)?;
            }
        } else {
            self.terms.push(Term::description(word));
        }
        Ok(())
    }

    /// True if the task is meant. Costs a look at the task's properties for each word.
    pub fn matches(&self, candidate: &Candidate<'_>, context: &Context) -> bool {
        (self.ids.is_empty() || self.ids.iter().any(|id| id.matches(candidate)))
            && self.terms.iter().all(|term| term.matches(candidate, context))
    }

    /// The ids among the words, in the order typed. If there are any, only these tasks can match,
    /// so the caller needs to load no others; one that does not exist is the caller's error to
    /// report ([`WordsError::UnknownTask`]), except inside a range.
    pub fn explicit_ids(&self) -> &[IdWord] {
        &self.ids
    }

    /// How many tasks a report shows at most, by the last `limit:N` among the words: it is about the
    /// report, and decides nothing about a task ([`crate::report::first`]).
    pub fn limit(words: &[String]) -> Option<usize> {
        let words = words.iter().take_while(|word| *word != "--");
        words.filter_map(|word| word.strip_prefix("limit:")?.parse().ok()).last()
    }

    /// True if only tasks of the working set (pending and recurring ones) can match, so that the
    /// caller needs to look at no others.
    pub fn wants_only_pending(&self) -> bool {
        let by_number = |id: &IdWord| matches!(id, IdWord::Number(_) | IdWord::Range(..));
        (!self.ids.is_empty() && self.ids.iter().all(by_number))
            || self.terms.iter().any(Term::is_only_for_pending)
    }

    /// True if there is no restriction at all, not even `all`: a command that changes tasks should
    /// have refused before ([`WordsError::FilterNeeded`]).
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.terms.is_empty() && !self.has_all
    }

    /// What `next` and `list` show where the words leave it open: tasks that are pending and not
    /// waiting. Ids, `all`, `-PENDING`, and a word that asks for a status or for WAITING,
    /// COMPLETED, DELETED or PENDING do not leave it open.
    #[must_use]
    pub fn with_report_default(mut self) -> Self {
        let is_open =
            self.ids.is_empty() && !self.has_all && !self.terms.iter().any(Term::is_about_status);
        if is_open {
            self.terms.push(Term::synthetic(Synthetic::Pending, true));
            self.terms.push(Term::synthetic(Synthetic::Waiting, false));
        }
        self
    }
}

fn limit(count: &str, word: &str) -> Result<usize, WordsError> {
    let number = count.parse().ok().filter(|count| *count > 0);
    number.ok_or_else(|| WordsError::Value {
        word: shown(word),
        attribute: "limit".to_owned(),
        expected: "a number from 1".into(),
    })
}

/// Reads the ids of `depends:` through the caller.
pub(crate) fn resolve_ids(
    value: &str,
    word: &str,
    resolve: &Resolve<'_>,
) -> Result<Vec<TaskId>, WordsError> {
    let mut found = Vec::new();
    for id in parse_ids(value, word)? {
        match id {
            IdWord::Range(from, to) => {
                for number in from..=to {
                    found.push(resolve(&number.to_string())?);
                }
            }
            id => found.push(resolve(&id.to_string())?),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
