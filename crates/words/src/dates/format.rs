//! Times as people read them.
//!
//! A stored time can be any number; one outside the years 1 to 9999 is shown as that number.

use std::fmt::Write;

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tandem_tasks::Text;

use crate::Context;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The local date of seconds since the epoch: `2026-11-20`.
pub fn date(seconds: i64, context: &Context) -> Text {
    written(seconds, context.zone(), |text, local| {
        write!(text, "{:04}-{:02}-{:02}", local.year(), local.month(), local.day())
    })
}

/// The local date and time of seconds since the epoch: `2026-11-20 15:30:00`.
pub fn date_time(seconds: i64, context: &Context) -> Text {
    written(seconds, context.zone(), |text, local| {
        write!(
            text,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second()
        )
    })
}

/// The UTC form in which Taskwarrior's JSON writes times: `20261120T143000Z`.
pub fn basic_utc(seconds: i64) -> Text {
    written(seconds, &TimeZone::UTC, |text, utc| {
        write!(
            text,
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            utc.year(),
            utc.month(),
            utc.day(),
            utc.hour(),
            utc.minute(),
            utc.second()
        )
    })
}

fn written(
    seconds: i64,
    zone: &TimeZone,
    write: impl FnOnce(&mut Text, DateTime) -> std::fmt::Result,
) -> Text {
    let mut text = Text::default();
    let local = Instant::from_second(seconds).map(|instant| zone.to_datetime(instant));
    let result = match local {
        Ok(local) if local.year() >= 1 => write(&mut text, local),
        _ => write!(text, "{seconds}"),
    };
    result.expect("a text takes every write");
    text
}

/// A length of time in its largest fitting unit, as Taskwarrior's reports show it: `5s`, `10min`,
/// `4h`, `3d`, `2w` (from 14 days), `5mo` (from 12 weeks), `1.2y` (from 365 days). A negative
/// length has a `-` before it. Seconds.
pub fn age(seconds: i64) -> Text {
    let mut text = Text::default();
    if seconds < 0 {
        text.push('-');
    }
    let length = seconds.unsigned_abs();
    let days = length / DAY;
    match length {
        _ if days >= 365 => write!(text, "{}.{}y", days / 365, days % 365 * 10 / 365),
        _ if days >= 84 => write!(text, "{}mo", days / 30),
        _ if days >= 14 => write!(text, "{}w", days / 7),
        DAY.. => write!(text, "{days}d"),
        HOUR.. => write!(text, "{}h", length / HOUR),
        MINUTE.. => write!(text, "{}min", length / MINUTE),
        _ => write!(text, "{length}s"),
    }
    .expect("a text takes every write");
    text
}

/// How far away a time is: `2d` still to come, `-3h` gone by.
pub fn countdown(seconds: i64, context: &Context) -> Text {
    age(seconds.saturating_sub(context.now().seconds()))
}
