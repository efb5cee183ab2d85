//! Dates that have names, as the module above lists them. All are midnights of the zone, but `now`
//! and the ends of periods, which are the last second.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::local_seconds;
use crate::Context;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

const MONTHS: [(&str, i8); 12] = [
    ("january", 1),
    ("february", 2),
    ("march", 3),
    ("april", 4),
    ("may", 5),
    ("june", 6),
    ("july", 7),
    ("august", 8),
    ("september", 9),
    ("october", 10),
    ("november", 11),
    ("december", 12),
];

/// Reads a named date in lower case: nothing if there is no such name, nothing inside if the day
/// lies beyond the year 9999.
pub(super) fn parse(text: &str, context: &Context) -> Option<Option<i64>> {
    let today = context.date();
    let midnight = |date: Option<Date>| date.and_then(|date| context.midnight(date));
    Some(match text {
        "now" => Some(context.now().seconds()),
        "today" => midnight(Some(today)),
        "tomorrow" => midnight(today.tomorrow().ok()),
        "yesterday" => midnight(today.yesterday().ok()),
        "later" | "someday" => midnight(Date::new(9999, 12, 30).ok()),
        _ => {
            if let Some(weekday) = by_name(&WEEKDAYS, text) {
                midnight(next_weekday(today, weekday))
            } else if let Some(month) = by_name(&MONTHS, text) {
                midnight(next_month(today, month))
            } else if let Some(day) = ordinal(text) {
                midnight(next_day_of_month(today, day))
            } else {
                boundary(text, today, context)?
            }
        }
    })
}

/// Finds a name in full or by its first three letters.
fn by_name<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    let fits = |name: &str| name == text || (text.len() == 3 && name.starts_with(text));
    names.iter().find(|(name, _)| fits(name)).map(|(_, value)| *value)
}

fn next_weekday(today: Date, weekday: Weekday) -> Option<Date> {
    today.nth_weekday(1, weekday).ok()
}

fn next_month(today: Date, month: i8) -> Option<Date> {
    let year = if month > today.month() { today.year() } else { today.year().checked_add(1)? };
    Date::new(year, month, 1).ok()
}

/// `1st` to `31st`, with any of the four endings.
fn ordinal(text: &str) -> Option<i8> {
    let number = ["st", "nd", "rd", "th"].iter().find_map(|ending| text.strip_suffix(ending))?;
    let is_number = number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|day| is_number && (1..=31).contains(day))
}

fn next_day_of_month(today: Date, day: i8) -> Option<Date> {
    // No two months in a row lack a day of up to 31, but this one may be past and the next short.
    (0..3).find_map(|months| {
        let month = today.first_of_month().checked_add(months.months()).ok()?;
        Date::new(month.year(), month.month(), day).ok().filter(|date| *date > today)
    })
}

/// Reads `sod`, `eonw`, `socq`, …
fn boundary(text: &str, today: Date, context: &Context) -> Option<Option<i64>> {
    let (is_end, rest) = match text.strip_prefix("so") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("eo")?),
    };
    let (offset, period) = match rest.as_bytes().first()? {
        b'c' => (0, &rest[1..]),
        b'p' => (-1, &rest[1..]),
        b'n' => (1, &rest[1..]),
        _ => (0, rest),
    };
    let monday = || {
        let days = i64::from(today.weekday().to_monday_zero_offset());
        today.checked_sub(days.days()).ok()
    };
    let quarter = || Date::new(today.year(), (today.month() - 1) / 3 * 3 + 1, 1).ok();
    // The period's first day, its length, and the days by which a work week ends before its week.
    let (first, length, cut) = match period {
        "d" => (Some(today), 1.day(), 0),
        "w" => (monday(), 1.week(), 0),
        "ww" => (monday(), 1.week(), 2),
        "m" => (Some(today.first_of_month()), 1.month(), 0),
        "q" => (quarter(), 3.months(), 0),
        "y" => (Some(today.first_of_year()), 1.year(), 0),
        _ => return None,
    };
    let moved = |times: i64| first?.checked_add(length.checked_mul(times).ok()?).ok();
    Some(if is_end {
        moved(offset + 1)
            .and_then(|next| next.checked_sub((cut + 1).days()).ok())
            .and_then(|last| local_seconds(last.at(23, 59, 59, 0), context))
    } else {
        moved(offset).and_then(|first| context.midnight(first))
    })
}
