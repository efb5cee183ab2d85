//! A task and a set of tasks.
//!
//! A task is an unordered map of text to text; every map is valid, also the empty one, and readers
//! apply the defaults (`protocols/taskchampion.md` section 1).

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use tandem_core::TaskId;

/// A short text: property names and values. Up to 24 bytes live without a heap allocation, which
/// nearly all names, times and states do.
pub type Text = CompactString;

/// All tasks of a replica at one moment.
pub type TaskSet = BTreeMap<TaskId, Task>;

/// One task: property names to values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Task {
    /// The properties, ordered by name so that a task is always written the same way.
    pub properties: BTreeMap<Text, Text>,
}

/// Where a task stands in its life, read from `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// To be done. Also what a task without `status` is.
    Pending,
    /// Done.
    Completed,
    /// Deleted by a person; still stored until it expires.
    Deleted,
    /// The template of recurring tasks.
    Recurring,
    /// A status that another program invented: kept and shown.
    Unknown(Text),
}

impl Status {
    /// Reads the text of a `status` property.
    pub fn parse(text: &str) -> Self {
        match text {
            "pending" => Self::Pending,
            "completed" => Self::Completed,
            "deleted" => Self::Deleted,
            "recurring" => Self::Recurring,
            other => Self::Unknown(other.into()),
        }
    }

    /// The text of a `status` property.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Deleted => "deleted",
            Self::Recurring => "recurring",
            Self::Unknown(other) => other,
        }
    }

    /// True for tasks that carry a number (section 16: pending and recurring ones).
    pub fn is_numbered(&self) -> bool {
        matches!(self, Self::Pending | Self::Recurring)
    }
}

/// True if `text`, an optional `status` value, makes a task carry a number.
pub fn is_numbered_status(text: Option<&str>) -> bool {
    text.is_none_or(|text| Status::parse(text).is_numbered())
}

impl Task {
    /// The value of a property.
    pub fn get(&self, property: &str) -> Option<&str> {
        self.properties.get(property).map(CompactString::as_str)
    }

    /// Sets a property, or removes it when there is no value.
    pub fn set(&mut self, property: &str, value: Option<&str>) {
        match value {
            Some(value) => {
                self.properties.insert(property.into(), value.into());
            }
            None => {
                self.properties.remove(property);
            }
        }
    }

    /// The status, `Pending` where none is stored.
    pub fn status(&self) -> Status {
        self.get("status").map_or(Status::Pending, Status::parse)
    }

    /// A property that holds whole seconds since the epoch; absent when it does not parse.
    pub fn seconds(&self, property: &str) -> Option<i64> {
        self.get(property)?.trim().parse().ok()
    }
}

impl<K: Into<Text>, V: Into<Text>> FromIterator<(K, V)> for Task {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(properties: I) -> Self {
        Self { properties: properties.into_iter().map(|(k, v)| (k.into(), v.into())).collect() }
    }
}
