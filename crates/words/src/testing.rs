//! What the tests of this crate share.

use jiff::tz::TimeZone;
use tandem_core::{TaskId, Timestamp};
use tandem_tasks::Task;

use crate::{Candidate, Context, WordsError};

/// Friday 2026-11-20, 15:30:00 in a zone with the rules of Berlin (UTC+1, in summer UTC+2).
pub(crate) fn context() -> Context {
    context_at("2026-11-20T14:30:00Z")
}

/// Some moment in the zone of [`context`].
pub(crate) fn context_at(instant: &str) -> Context {
    Context::new(instant.parse().unwrap(), TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
}

pub(crate) fn seconds(instant: &str) -> i64 {
    instant.parse::<Timestamp>().unwrap().seconds()
}

/// A task of `(property, value)` pairs.
pub(crate) fn task(properties: &[(&str, &str)]) -> Task {
    properties.iter().copied().collect()
}

pub(crate) fn id(last: u8) -> TaskId {
    let mut bytes = [0xab; 16];
    bytes[15] = last;
    TaskId::from_bytes(bytes)
}

pub(crate) fn candidate(task: &Task) -> Candidate<'_> {
    Candidate {
        id: id(1),
        number: Some(1),
        task,
        blocked: false,
        blocking: false,
        is_latest: false,
    }
}

pub(crate) fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Knows the numbers 1 to 9 only.
pub(crate) fn resolve(word: &str) -> Result<TaskId, WordsError> {
    match word.parse::<u8>() {
        Ok(number @ 1..=9) => Ok(id(number)),
        _ => Err(WordsError::UnknownTask { word: word.to_owned() }),
    }
}
