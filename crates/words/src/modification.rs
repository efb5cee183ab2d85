//! What a line changes.
//!
//! Words of a modification: `+tag`, `-tag`, `name:value` for attributes (an empty value clears),
//! and every other word, which joins the description, or with commands such as `done` a note. After
//! `--` all words are such text. A word that names an attribute but cannot be read is an error, never
//! description text; `http://x`, `12:30` or `foo:bar` name no attribute and are text.
//!
//! The changes come out as `protocols/taskchampion.md` sections 1 and 19 store them: one key per
//! tag and dependency with the value `x`, times as seconds, and the redundant lists `tags` and
//! `depends`, sorted, that Taskwarrior reads.

mod apply;
mod read;

use read::{Place, Read, attribute_changes, read};
use tandem_tasks::{Status, Task, Text};

use crate::attribute::Vocabulary;
use crate::error::Resolve;
use crate::text::{one_line, shown};
use crate::{Context, WordsError};

/// A property and its new value, or none to remove it: what one Update operation carries.
pub type PropertyChange = (Text, Option<Text>);

/// One wish about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Set a property to this value, or remove it. For properties without a rule of their own.
    Set(Text, Option<Text>),
    /// Give a tag.
    AddTag(Text),
    /// Take a tag away.
    RemoveTag(Text),
    /// Have these tags and no others.
    SetTags(Vec<Text>),
    /// Depend on these tasks, ids as typed (`3,5-7,56e0be07`).
    AddDependencies(String),
    /// Depend on these tasks no more.
    RemoveDependencies(String),
    /// Depend on nothing.
    ClearDependencies,
    /// Change the status; `end` is set when it becomes completed or deleted and there is none, and
    /// removed when it becomes pending or recurring (section 1).
    Status(Status),
    /// Set `start` to now, unless it is set. What had ended is pending again.
    Start,
    /// Remove `start`.
    Stop,
    /// Add a note at now, or the next second that has none (section 1).
    Annotate(Text),
    /// Remove the note that is this text, else the oldest one that contains it.
    Denotate(Text),
    /// Put this text behind the description.
    Append(Text),
    /// Put this text before the description.
    Prepend(Text),
}

/// What a line changes, ready to be applied to each task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modification {
    /// The words that are no attributes, joined by blanks.
    pub description: Option<String>,
    /// The rest, in the order typed; a later change of the same thing wins.
    pub changes: Vec<Change>,
}

impl Modification {
    /// Reads the words of [`crate::Line::rest`]. Dates are resolved against `context` here, ids in
    /// `depends:` only when the modification is applied.
    ///
    /// # Errors
    /// [`WordsError`], for the first word that names an attribute, or begins like a tag, and
    /// cannot be read.
    pub fn parse(
        words: &[String],
        context: &Context,
        vocabulary: &Vocabulary,
    ) -> Result<Self, WordsError> {
        let Read { changes, text } = read(words, context, vocabulary)?;
        let text: Vec<&str> = text.into_iter().map(|(_, text)| text).collect();
        let description = Some(one_line(&text.join(" "))).filter(|text| !text.is_empty());
        Ok(Self { description, changes })
    }

    /// The same for a command that says of itself what becomes of the task (`ta 3 done called
    /// them`): words that are no attributes are a note, as in Taskwarrior, and the description
    /// stays unless `description:` names it.
    ///
    /// # Errors
    /// As [`Modification::parse`].
    pub fn parse_with_note(
        words: &[String],
        context: &Context,
        vocabulary: &Vocabulary,
    ) -> Result<Self, WordsError> {
        let Read { mut changes, text } = read(words, context, vocabulary)?;
        let joined = |wanted: Place| {
            let parts: Vec<&str> =
                text.iter().filter(|(place, _)| *place == wanted).map(|(_, text)| *text).collect();
            Some(one_line(&parts.join(" "))).filter(|text| !text.is_empty())
        };
        changes.extend(joined(Place::Open).map(|note| Change::Annotate(note.into())));
        Ok(Self { description: joined(Place::Description), changes })
    }

    /// The same for a new task: what it does not say about a user-defined attribute with a default
    /// is as that default.
    ///
    /// # Errors
    /// [`WordsError::Default`] for a default that its attribute cannot have.
    pub fn with_defaults(
        mut self,
        context: &Context,
        vocabulary: &Vocabulary,
    ) -> Result<Self, WordsError> {
        let is_said = |name: &Text, changes: &[Change]| {
            changes.iter().any(|change| matches!(change, Change::Set(set, _) if set == name))
        };
        for uda in vocabulary.udas() {
            let Some(default) = uda.default.as_ref().filter(|_| !is_said(&uda.name, &self.changes))
            else {
                continue;
            };
            let word = format!("{}:{default}", uda.name);
            let named = vocabulary.split(&word)?;
            let bad = || WordsError::Default { attribute: shown(&uda.name), value: shown(default) };
            // A name that means something else is not a user-defined attribute's.
            let Some(named) = named.filter(|named| named.name == uda.name) else { continue };
            attribute_changes(&named, &word, context, &mut self.changes).map_err(|_| bad())?;
        }
        Ok(self)
    }

    /// A note made of all `words`, tags and attributes included; a `--` at the beginning is left
    /// out.
    ///
    /// # Errors
    /// [`WordsError::NoAnnotation`] if there is no text.
    pub fn annotation(words: &[String]) -> Result<Self, WordsError> {
        let words = words.strip_prefix(&["--".to_owned()]).unwrap_or(words);
        let text = one_line(&words.join(" "));
        if text.is_empty() {
            return Err(WordsError::NoAnnotation);
        }
        Ok(Self::default().with(Change::Annotate(text.into())))
    }

    /// The removal of the note that `words` name; a `--` at the beginning is left out.
    ///
    /// # Errors
    /// [`WordsError::NoAnnotation`] if there is no text.
    pub fn denotation(words: &[String]) -> Result<Self, WordsError> {
        let mut noted = Self::annotation(words)?;
        for change in &mut noted.changes {
            if let Change::Annotate(text) = change {
                *change = Change::Denotate(std::mem::take(text));
            }
        }
        Ok(noted)
    }

    /// The same, with its text put behind the description instead of in its place: `ta 3 append`.
    #[must_use]
    pub fn append(mut self) -> Self {
        let text = self.description.take();
        self.changes.extend(text.map(|text| Change::Append(text.into())));
        self
    }

    /// The same, with its text put before the description: `ta 3 prepend`.
    #[must_use]
    pub fn prepend(mut self) -> Self {
        let text = self.description.take();
        self.changes.extend(text.map(|text| Change::Prepend(text.into())));
        self
    }

    /// Adds a change after the others: `Modification::parse(…)?.with(Change::Start)`.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// The same, completing the task: `ta 3 done`.
    #[must_use]
    pub fn done(self) -> Self {
        self.with(Change::Status(Status::Completed))
    }

    /// The same, deleting the task as a person does (it stays stored): `ta 3 delete`.
    #[must_use]
    pub fn delete(self) -> Self {
        self.with(Change::Status(Status::Deleted))
    }

    /// The same, starting the task: `ta 3 start`.
    #[must_use]
    pub fn start(self) -> Self {
        self.with(Change::Start)
    }

    /// The same, stopping the task: `ta 3 stop`.
    #[must_use]
    pub fn stop(self) -> Self {
        self.with(Change::Stop)
    }

    /// True if no word asks for anything ([`WordsError::NoChange`] for `modify`).
    pub fn is_empty(&self) -> bool {
        self.description.is_none() && self.changes.is_empty()
    }

    /// The property changes that make a new task: `entry`, `status` and `modified` included.
    /// The caller creates the task first.
    ///
    /// # Errors
    /// [`WordsError::NoDescription`], or what `resolve` answers.
    pub fn add(
        &self,
        context: &Context,
        resolve: &Resolve<'_>,
    ) -> Result<Vec<PropertyChange>, WordsError> {
        self.apply(None, context, resolve)
    }

    /// The property changes that this makes to a task, ordered by name, with `modified` last; none
    /// at all when the task is already as wished. Without a task, a new one is made
    /// ([`Modification::add`]).
    ///
    /// `resolve` finds the tasks of `depends:`. A dependency on the task itself
    /// ([`WordsError::DependsOnItself`]) and circles are the caller's to look for.
    ///
    /// # Errors
    /// [`WordsError::NoDescription`] for a new task without one, or what `resolve` answers.
    pub fn apply(
        &self,
        task: Option<&Task>,
        context: &Context,
        resolve: &Resolve<'_>,
    ) -> Result<Vec<PropertyChange>, WordsError> {
        apply::apply(self, task, context, resolve)
    }
}

#[cfg(test)]
mod tests;
