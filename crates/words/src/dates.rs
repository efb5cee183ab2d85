//! Dates and times as people type and read them.
//!
//! What is understood, upper and lower case alike:
//!
//! * ISO 8601: `2026-11-20`, `2026-11`, `2026-W47`, `2026-W47-5`, `2026-324`, `20261120`, each
//!   but the plain year forms with a time after `T` or a blank: `T10:00`, `T10:00:30`, `T100030`,
//!   and a zone `Z`, `+01:00`, `+0100`; `YYYY-M-D` with single digits; a time alone (`18:30`) is
//!   the next such moment;
//! * seconds since the epoch: 9 to 12 digits (8 digits are a date);
//! * names: `now`; `today`, `tomorrow`, `yesterday`; `monday` or `mon`, `january` or `jan` (its
//!   first day), `1st` … `31st`, each the next one after today; `later` and `someday` (9999-12-30);
//!   and starts and ends of periods: `s` or `e`, `o`, nothing or `c` for the current, `p` for the
//!   previous, `n` for the next, then `d` day, `w` week, `ww` work week (to Friday), `m` month,
//!   `q` quarter, `y` year: `sod eod eond sow eow sonw eoww som eom sopm soq eoy`;
//! * a duration from now: `3d`, `2weeks`, `1.5h`, `day`, `P1DT2H`, `-3d`;
//! * any of these plus or minus durations: `today+3d`, `eom-2d`, `2026-11-20T10:00+1h`.
//!
//! **Which program is followed.** `protocols/taskchampion.md` section 18 (the old `ta`) and
//! Taskwarrior agree on most; where they differ Taskwarrior 3 is followed, whose users these are:
//! `eod`, `eow`, `eom`, … are the *last second* of the period (the old `ta`: the midnight after),
//! `sow`, `som`, … are the start of the *current* period (its own pages have said "next" at
//! times; `sonw` says that plainly), weeks begin on Monday. Both take a month as 30 days and a
//! year as 365.
//!
//! Ours: a number of days, weeks, months or years is added on the calendar of the zone, so
//! `today+7d` is a midnight also across a change of the clocks (Taskwarrior adds 86,400 seconds a
//! day). `5m` is refused, as in the old `ta`: it could be minutes or months. `31st` in a short
//! month is the 31st of the next month that has one. A local time that the clocks skip is read as
//! if they had not been changed yet (02:30 becomes 03:30), one that happens twice as the first.

mod duration;
mod format;
mod iso;
mod named;

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use tandem_core::Timestamp;

use crate::Context;
use crate::text::shown;
pub(crate) use duration::duration_seconds;
pub use duration::{Span, parse_duration};
pub use format::{age, basic_utc, countdown, date, date_time};

/// Bytes of the longest date that is looked at; the longest sensible one has about 40.
pub const DATE_BYTES_MAX: usize = 100;

/// Seconds of 0001-01-01T00:00:00Z, the first moment that can be written with four digits.
const SECONDS_MIN: i64 = -62_135_596_800;

/// Why a text is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DateError {
    /// Nothing that we know.
    #[error("`{text}` is not a date")]
    Unknown {
        /// What was read, escaped and shortened.
        text: String,
    },
    /// A number of `m`.
    #[error("`{text}` could be minutes or months: write `min` or `mo`")]
    MinutesOrMonths {
        /// What was read.
        text: String,
    },
    /// Before the year 1 or after the year 9999.
    #[error("`{text}` is not between the years 1 and 9999")]
    OutOfRange {
        /// What was read.
        text: String,
    },
}

/// Reads a date as [the module](self) describes, as a whole second in UTC.
///
/// # Errors
/// [`DateError`], which repeats the text.
pub fn parse_date(text: &str, context: &Context) -> Result<Timestamp, DateError> {
    let unknown = || DateError::Unknown { text: shown(text) };
    let out_of_range = || DateError::OutOfRange { text: shown(text) };
    if text.len() > DATE_BYTES_MAX {
        return Err(unknown());
    }
    let lower = text.trim().to_ascii_lowercase();
    if lower.is_empty() {
        return Err(unknown());
    }
    // Terms are taken off the end until what is left is a date: a `-` or `+` inside a date would
    // otherwise have to be told from one before a duration.
    let mut head = lower.as_str();
    let mut terms = Vec::new();
    let mut seconds = loop {
        if head.is_empty() {
            break context.now().seconds();
        }
        if let Some(found) = absolute(head, context) {
            break found.ok_or_else(out_of_range)?;
        }
        if let Some(span) = parse_duration(head) {
            terms.push(span);
            break context.now().seconds();
        }
        let at = head.rfind(['+', '-']).ok_or_else(|| why_unknown(head, text))?;
        let (rest, term) = head.split_at(at);
        let term = term.trim_start();
        let span = parse_duration(&term[1..]).ok_or_else(|| why_unknown(&term[1..], text))?;
        terms.push(if term.starts_with('-') { span.negated() } else { span });
        head = rest.trim_end();
    };
    for span in terms.into_iter().rev() {
        seconds = add(seconds, span, context).ok_or_else(out_of_range)?;
    }
    if seconds < SECONDS_MIN || Instant::from_second(seconds).is_err() {
        return Err(out_of_range());
    }
    Ok(Timestamp::from_seconds(seconds))
}

/// Reads one date that is no sum: the outer option is whether it is one, the inner whether it
/// lies in the range of times.
fn absolute(text: &str, context: &Context) -> Option<Option<i64>> {
    named::parse(text, context).or_else(|| iso::parse(text, context))
}

fn why_unknown(part: &str, text: &str) -> DateError {
    let number = part.trim().strip_suffix('m').unwrap_or_default().trim_end();
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return DateError::MinutesOrMonths { text: shown(text) };
    }
    DateError::Unknown { text: shown(text) }
}

/// Moves by the span's days on the zone's calendar, then by its seconds.
fn add(seconds: i64, span: Span, context: &Context) -> Option<i64> {
    let mut seconds = seconds;
    if span.days != 0 {
        let local = Instant::from_second(seconds).ok()?.to_zoned(context.zone().clone());
        let days = jiff::Span::new().try_days(span.days).ok()?;
        seconds = local_seconds(local.datetime().checked_add(days).ok()?, context)?;
    }
    seconds.checked_add(span.seconds)
}

/// The seconds of a local date and time; times that the clocks skip or repeat as the module says.
fn local_seconds(local: DateTime, context: &Context) -> Option<i64> {
    Some(local.to_zoned(context.zone().clone()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests;
