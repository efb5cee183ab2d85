//! ISO 8601 dates and times, and seconds since the epoch.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::local_seconds;
use crate::Context;

/// Reads a date, a date and time, a time, or epoch seconds, in lower case: nothing if it is none,
/// nothing inside if it lies beyond the year 9999.
pub(super) fn parse(text: &str, context: &Context) -> Option<Option<i64>> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let (9..=12, Some(seconds)) = (text.len(), digits(text)) {
        return Some(Some(seconds));
    }
    if let Some(date) = date(text) {
        return Some(context.midnight(date));
    }
    // Digits alone would be a year or half a date as well: only a `T` before them makes a time.
    if let Some(time) = time(text).filter(|_| text.contains(':')) {
        return Some(next_moment(time, context));
    }
    let (day, rest) = text.split_once(['t', ' '])?;
    let date = date(day)?;
    let (clock, offset_seconds) = zone(rest.trim_start())?;
    let local = DateTime::from_parts(date, time(clock)?);
    Some(match offset_seconds {
        None => local_seconds(local, context),
        Some(offset) => {
            let utc: Option<Zoned> = local.to_zoned(TimeZone::UTC).ok();
            utc.map(|utc| utc.timestamp().as_second() - offset)
        }
    })
}

/// Reads ASCII digits only: `parse` alone would take a sign.
fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// `2026-11-20`, `2026-1-2`, `2026-11`, `2026-324`, `2026-w47`, `2026-w47-5`, `20261120`.
fn date(text: &str) -> Option<Date> {
    if let (8, Some(_)) = (text.len(), digits::<u32>(text)) {
        return civil(&text[..4], &text[4..6], &text[6..]);
    }
    let (year, rest) = text.split_once('-').filter(|(year, _)| year.len() == 4)?;
    if let Some(week) = rest.strip_prefix('w') {
        let (week, day) = week.split_once('-').unwrap_or((week, "1"));
        let weekday = Weekday::from_monday_one_offset(digits(day)?).ok()?;
        let week = ISOWeekDate::new(digits(year)?, digits(week)?, weekday).ok()?;
        return Some(week.date()).filter(|_| year != "0000");
    }
    match rest.split_once('-') {
        Some((month, day)) => civil(year, month, day),
        None if rest.len() == 3 => {
            let first = civil(year, "1", "1")?;
            let day = digits::<i64>(rest).filter(|day| *day > 0)?;
            let date = first.checked_add((day - 1).days()).ok()?;
            Some(date).filter(|date| date.year() == first.year())
        }
        None => civil(year, rest, "1"),
    }
}

fn civil(year: &str, month: &str, day: &str) -> Option<Date> {
    if month.len() > 2 || day.len() > 2 {
        return None;
    }
    let year = digits(year).filter(|year| *year > 0)?;
    Date::new(year, digits(month)?, digits(day)?).ok()
}

/// `10:00`, `10:00:30`, `10:00:30.5` (the fraction is cut), `9:30`, `100030`, `1000`.
fn time(text: &str) -> Option<Time> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits::<u64>(fraction.get(..fraction.len().min(9))?)?;
    let (hour, minute, second) = if text.contains(':') {
        let mut parts = text.split(':');
        let (hour, minute) = (parts.next()?, parts.next()?);
        let second = parts.next().unwrap_or("00");
        if parts.next().is_some() || hour.len() > 2 || minute.len() != 2 || second.len() != 2 {
            return None;
        }
        (hour, minute, second)
    } else {
        digits::<u32>(text)?;
        match text.len() {
            4 => (&text[..2], &text[2..], "00"),
            6 => (&text[..2], &text[2..4], &text[4..]),
            _ => return None,
        }
    };
    Time::new(digits(hour)?, digits(minute)?, digits(second)?, 0).ok()
}

/// Splits a time from its zone: the offset in seconds, nothing for local time.
fn zone(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = text.strip_suffix('z') {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, None)) };
    let (clock, offset) = text.split_at(at);
    let (sign, offset) = offset.split_at(1);
    let (hours, minutes) = match offset.split_once(':') {
        Some(parts) => parts,
        None if offset.len() == 4 => offset.split_at_checked(2)?,
        None => (offset, "00"),
    };
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits(hours)?, digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3_600 + minutes * 60;
    Some((clock, Some(if sign == "-" { -seconds } else { seconds })))
}

/// Today at that time, or tomorrow when it has passed.
fn next_moment(time: Time, context: &Context) -> Option<i64> {
    let today = context.date();
    let seconds = local_seconds(today.to_datetime(time), context)?;
    if seconds > context.now().seconds() {
        return Some(seconds);
    }
    local_seconds(today.tomorrow().ok()?.to_datetime(time), context)
}
