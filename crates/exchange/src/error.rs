//! What can be wrong with an input, and what is worth saying about a good one.

use std::fmt;
use std::io;

use tandem_core::TaskId;
use tandem_core::limits::OPERATION_BYTES_MAX;

use crate::read::{DEPTH_MAX, INPUT_BYTES_MAX};

/// Why an input was not read. Nothing was changed; the cure is always in the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The source of bytes failed.
    #[error("cannot read the input")]
    Input(#[from] io::Error),
    /// More than [`INPUT_BYTES_MAX`].
    #[error("the input is larger than {INPUT_BYTES_MAX} bytes")]
    TooLarge,
    /// Bytes that are not UTF-8.
    #[error("line {line} is not UTF-8 text")]
    NotUtf8 {
        /// The line, counted from 1.
        line: usize,
    },
    /// The text is not JSON.
    #[error("record {record}, line {line}, column {column}: not JSON ({message})")]
    Syntax {
        /// The record, counted from 1.
        record: usize,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What the reader expected.
        message: String,
    },
    /// Where a record should begin there is something else.
    #[error("record {record}, line {line}: expected a task in braces, found `{found}`")]
    NotATask {
        /// The record, counted from 1.
        record: usize,
        /// The line, counted from 1.
        line: usize,
        /// The character that is there.
        found: char,
    },
    /// The array has no end: the file was cut.
    #[error("line {line}: the input ends in the middle of its list, after {}", counted(*records))]
    CutOff {
        /// The last line, counted from 1.
        line: usize,
        /// How many records were whole.
        records: usize,
    },
    /// A record that cannot become a task.
    #[error("record {record}, line {line}, field `{field}`: {problem}")]
    Record {
        /// The record, counted from 1.
        record: usize,
        /// The line on which the record begins, counted from 1.
        line: usize,
        /// The field, such as `due` or `annotations[2].entry`, cut at 60 characters.
        field: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

fn counted(records: usize) -> String {
    match records {
        0 => "no whole record".to_owned(),
        1 => "1 whole record".to_owned(),
        n => format!("{n} whole records"),
    }
}

impl ReadError {
    /// What the person can do about it, in a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Input(_) => "Check that the file can be read.",
            Self::TooLarge => "Import it in several parts.",
            Self::NotUtf8 { .. } => "Save the file as UTF-8.",
            Self::CutOff { .. } => "Export it again, or fetch the file again: its end is missing.",
            Self::Syntax { .. } | Self::NotATask { .. } => {
                "Give what `ta export` or `task export` prints: a JSON array of tasks, or one task a \
                 line."
            }
            Self::Record { problem, .. } => problem.hint(),
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The field is there twice.
    #[error("it is given twice")]
    Repeated,
    /// Not a UUID.
    #[error("`{0}` is not a UUID")]
    NotUuid(String),
    /// Not an instant in any spelling that we know.
    #[error("`{0}` is not a date such as 20240131T093000Z")]
    NotDate(String),
    /// A date without its time or zone.
    #[error("`{0}` does not say its time and zone")]
    DateWithoutZone(String),
    /// Neither a list nor a text.
    #[error("it is not a list")]
    NotList,
    /// An entry of a list that is not a text.
    #[error("it is not a text")]
    NotText,
    /// An annotation that is not an object.
    #[error("it is not an annotation with `entry` and `description`")]
    NotAnnotation,
    /// An annotation without its time.
    #[error("it is missing")]
    Missing,
    /// A text with an escape that stands for no character.
    #[error("it contains a broken escape")]
    BadText,
    /// A value that could never travel to a server.
    #[error("it is longer than {OPERATION_BYTES_MAX} bytes")]
    TooLong,
    /// Lists in lists in lists.
    #[error("it is nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

impl Problem {
    fn hint(&self) -> &'static str {
        match self {
            Self::Repeated => "Keep one of them.",
            Self::NotUuid(_) => "Give a UUID, or leave the field out to get a new task.",
            Self::NotDate(_) | Self::DateWithoutZone(_) => {
                "Write dates in UTC as 20240131T093000Z or 2024-01-31T09:30:00Z, or as seconds since 1970."
            }
            Self::NotList | Self::NotText | Self::NotAnnotation | Self::Missing => {
                "Write it as `ta export` and `task export` do."
            }
            Self::BadText => {
                "Write characters outside the basic plane as they are, or as a pair of escapes."
            }
            Self::TooLong | Self::TooDeep => "Shorten it.",
        }
    }
}

/// Something worth saying about an input that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A value with inner structure, kept as its JSON text.
    Nested {
        /// The record, counted from 1.
        record: usize,
        /// The field, cut at 60 characters.
        field: String,
    },
    /// A task that is there twice; the record with the later `modified` counts, the later record
    /// if they are equal.
    RepeatedTask {
        /// The task.
        uuid: TaskId,
        /// The record that counts.
        kept: usize,
        /// The record that does not.
        dropped: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nested { record, field } => {
                write!(f, "record {record}: `{field}` is not a plain value; its JSON text is kept.")
            }
            Self::RepeatedTask { uuid, kept, dropped } => write!(
                f,
                "records {kept} and {dropped} are the same task; record {kept} counts, being the \
                 later change. Task {uuid}"
            ),
        }
    }
}
