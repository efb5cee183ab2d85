//! Which attribute holds what.

use std::collections::BTreeMap;

/// The dates that every Taskwarrior knows, without a declaration.
const DATES: [&str; 8] = ["due", "end", "entry", "modified", "scheduled", "start", "until", "wait"];

/// What an attribute's values are. All are stored as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AttributeType {
    /// Any text.
    #[default]
    Text,
    /// A decimal number; written to JSON as one where it is one.
    Number,
    /// An instant: seconds since the epoch as a property, `YYYYMMDDTHHMMSSZ` in JSON.
    Date,
    /// A length of time, such as `P1D`; text to us.
    Duration,
}

/// The types of attributes: those that Taskwarrior has built in, and declared user-defined ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Types {
    declared: BTreeMap<String, AttributeType>,
}

impl Types {
    /// Only the built-in ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a user-defined attribute. Built-in ones keep their types.
    pub fn declare(&mut self, name: impl Into<String>, attribute_type: AttributeType) {
        self.declared.insert(name.into(), attribute_type);
    }

    /// The type of an attribute; what nobody declared is text.
    pub fn of(&self, name: &str) -> AttributeType {
        if DATES.contains(&name) {
            return AttributeType::Date;
        }
        // The number of an instance within its recurring parent.
        if name == "imask" {
            return AttributeType::Number;
        }
        self.declared.get(name).copied().unwrap_or_default()
    }
}
