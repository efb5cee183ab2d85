//! Durations: `3d`, `2 weeks`, `1.5h`, `day`, `P1DT2H`.

use std::fmt;

/// A length of time: days on the calendar, then seconds on the clock. Both parts have one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Whole days. Weeks are 7, months 30, quarters 91 and years 365 of them.
    pub days: i64,
    /// Seconds beyond whole days, or of units shorter than a day.
    pub seconds: i64,
}

impl Span {
    /// The same length backwards.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { days: -self.days, seconds: -self.seconds }
    }
}

/// As ISO 8601 writes it, in days, hours, minutes and seconds: `P1DT2H`. For lengths that are not
/// negative.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock =
            [(self.seconds / 3_600, 'H'), (self.seconds / 60 % 60, 'M'), (self.seconds % 60, 'S')];
        f.write_str("P")?;
        if self.days != 0 {
            write!(f, "{}D", self.days)?;
        }
        if self.seconds != 0 || self.days == 0 {
            f.write_str("T")?;
        }
        for (number, unit) in clock {
            if number != 0 || (unit == 'S' && *self == (Self { days: 0, seconds: 0 })) {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

const SECONDS_PER_DAY: i64 = 86_400;

/// Digits in a number, before and after its dot each: enough for anything, and no overflow.
const NUMBER_DIGITS_MAX: usize = 9;

struct Unit {
    /// The names that stand alone for one of the unit.
    singular: &'static [&'static str],
    /// Those that need a number before them.
    plural: &'static [&'static str],
    seconds: i64,
}

const UNITS: &[Unit] = &[
    Unit { singular: &["second", "sec"], plural: &["s", "secs", "seconds"], seconds: 1 },
    Unit { singular: &["minute", "min"], plural: &["mins", "minutes"], seconds: 60 },
    Unit { singular: &["hour", "hr"], plural: &["h", "hrs", "hours"], seconds: 3_600 },
    Unit { singular: &["day", "daily"], plural: &["d", "days"], seconds: SECONDS_PER_DAY },
    Unit {
        singular: &["week", "wk", "weekly", "sennight"],
        plural: &["w", "wks", "weeks"],
        seconds: 7 * SECONDS_PER_DAY,
    },
    Unit { singular: &["fortnight", "biweekly"], plural: &[], seconds: 14 * SECONDS_PER_DAY },
    Unit {
        singular: &["month", "mo", "mth", "monthly"],
        plural: &["mos", "mths", "mnths", "months"],
        seconds: 30 * SECONDS_PER_DAY,
    },
    Unit {
        singular: &["quarter", "qtr", "qrtr", "quarterly"],
        plural: &["q", "qtrs", "qrtrs", "quarters"],
        seconds: 91 * SECONDS_PER_DAY,
    },
    Unit {
        singular: &["year", "yr", "yearly", "annual"],
        plural: &["y", "yrs", "years"],
        seconds: 365 * SECONDS_PER_DAY,
    },
];

/// Reads a duration in lower case: a whole or decimal number and a unit, a singular unit alone, or
/// an ISO 8601 duration (`p1dt2h`, fractions allowed anywhere, weeks too). Nothing if it is none.
///
/// # Source
/// `protocols/taskchampion.md` section 18; Taskwarrior's page on durations.
pub fn parse_duration(text: &str) -> Option<Span> {
    let text = text.trim();
    if let Some(period) = text.strip_prefix('p') {
        return iso_period(period);
    }
    let (number, unit) = text.split_at(number_length(text));
    let unit = unit.trim_start();
    let found = UNITS.iter().find(|one| {
        one.singular.contains(&unit) || (!number.is_empty() && one.plural.contains(&unit))
    })?;
    let number = if number.is_empty() { "1" } else { number };
    Some(span(times(number, found.seconds)?, found.seconds >= SECONDS_PER_DAY))
}

/// Reads a duration as [`parse_duration`] does, whatever its case, as a number of seconds.
pub(crate) fn duration_seconds(text: &str) -> Option<i64> {
    let span = parse_duration(&text.to_ascii_lowercase())?;
    span.days.checked_mul(SECONDS_PER_DAY)?.checked_add(span.seconds)
}

/// Bytes of the digits and dots that a text begins with.
fn number_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count()
}

/// A decimal number times seconds, cut to whole seconds.
fn times(number: &str, seconds: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fits = whole.len() <= NUMBER_DIGITS_MAX && fraction.len() <= NUMBER_DIGITS_MAX;
    if whole.is_empty() || !fits || fraction.contains('.') {
        return None;
    }
    let scale = 10i128.pow(u32::try_from(fraction.len()).ok()?);
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    i64::try_from(digits * i128::from(seconds) / scale).ok()
}

fn span(seconds: i64, on_calendar: bool) -> Span {
    if on_calendar {
        Span { days: seconds / SECONDS_PER_DAY, seconds: seconds % SECONDS_PER_DAY }
    } else {
        Span { days: 0, seconds }
    }
}

/// What follows the `P`: numbers with units in falling order, those after `T` being times of day.
fn iso_period(period: &str) -> Option<Span> {
    const DATE_UNITS: [(char, i64); 4] = [('y', 365), ('m', 30), ('w', 7), ('d', 1)];
    const TIME_UNITS: [(char, i64); 3] = [('h', 3_600), ('m', 60), ('s', 1)];
    let (dates, clock) = match period.split_once('t') {
        Some((_, "")) => return None,
        Some((dates, times)) => (dates, times),
        None => (period, ""),
    };
    if dates.is_empty() && clock.is_empty() {
        return None;
    }
    let mut total = Span { days: 0, seconds: 0 };
    for (mut text, units, on_calendar) in
        [(dates, &DATE_UNITS[..], true), (clock, &TIME_UNITS[..], false)]
    {
        let mut units = units.iter();
        while !text.is_empty() {
            let (number, rest) = text.split_at(number_length(text));
            let letter = rest.chars().next()?;
            let (_, size) = units.find(|(unit, _)| *unit == letter)?;
            let size = if on_calendar { size * SECONDS_PER_DAY } else { *size };
            let part = span(times(number, size)?, on_calendar);
            total.days = total.days.checked_add(part.days)?;
            total.seconds = total.seconds.checked_add(part.seconds)?;
            text = &rest[letter.len_utf8()..];
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = SECONDS_PER_DAY;

    #[test]
    fn durations_are_read() {
        for (text, days, seconds) in [
            ("3d", 3, 0),
            ("3 days", 3, 0),
            ("day", 1, 0),
            ("1.5d", 1, DAY / 2),
            ("0d", 0, 0),
            ("2weeks", 14, 0),
            ("fortnight", 14, 0),
            ("mo", 30, 0),
            ("2mths", 60, 0),
            ("1q", 91, 0),
            ("2years", 730, 0),
            ("1h", 0, 3_600),
            ("25h", 0, 90_000),
            ("0.5min", 0, 30),
            ("90s", 0, 90),
            ("p1d", 1, 0),
            ("pt2h", 0, 7_200),
            ("p1y2m3dt12h40m50s", 428, 45_650),
            ("p2w", 14, 0),
            ("p0.5d", 0, DAY / 2),
            ("pt1.5s", 0, 1),
        ] {
            assert_eq!(parse_duration(text), Some(Span { days, seconds }), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_so_that_it_reads_back() {
        for (text, written) in [
            ("2h", "PT2H"),
            ("90min", "PT1H30M"),
            ("3d", "P3D"),
            ("1.5d", "P1DT12H"),
            ("weekly", "P7D"),
            ("61s", "PT1M1S"),
            ("0d", "PT0S"),
        ] {
            let span = parse_duration(text).unwrap();
            assert_eq!(span.to_string(), written, "{text}");
            assert_eq!(parse_duration(&written.to_ascii_lowercase()), Some(span), "{text}");
            assert_eq!(duration_seconds(written), duration_seconds(text), "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "3",
            "d",
            "s",
            "5m",
            "m",
            ".d",
            ".5d",
            "1.2.3d",
            "3 d d",
            "3x",
            "p",
            "pt",
            "p1dt",
            "p1",
            "p1d2y",
            "pt1d",
            "1234567890d",
            "-3d",
            "p-1d",
            "３d",
            "weekend",
            "pé",
            "p1é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
