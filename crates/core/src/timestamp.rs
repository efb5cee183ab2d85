//! Instants with nanoseconds, as operations carry them.
//!
//! Pure crates may not read a clock, and need no calendar but the one in RFC 3339 texts, so this
//! type parses and prints those exactly and leaves time zones and arithmetic in months to shells.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::NANOS_PER_SECOND;

const SECONDS_PER_DAY: i64 = 86_400;
/// Seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z: what four digits can write.
const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;

/// An instant: whole seconds since the Unix epoch in UTC, and nanoseconds below one second.
///
/// Kept between the years 1 and 9999, so that every value can be written as RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// Says why a text is not an RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 instant")]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self { seconds: 0, nanos: 0 };

    /// Makes an instant; out-of-range parts are clamped to the years 1 to 9999.
    pub fn new(seconds: i64, nanos: u32) -> Self {
        let seconds = seconds.saturating_add(i64::from(nanos / NANOS_PER_SECOND));
        Self { seconds: seconds.clamp(SECONDS_MIN, SECONDS_MAX), nanos: nanos % NANOS_PER_SECOND }
    }

    /// An instant at a whole second.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::new(seconds, 0)
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds below the second, 0 to 999,999,999.
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// The next instant that this type can tell apart.
    pub fn next(self) -> Self {
        Self::new(self.seconds, self.nanos + 1)
    }

    /// Moves by whole seconds, clamped to the years 1 to 9999.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::new(self.seconds.saturating_add(seconds), self.nanos)
    }
}

/// Days since the epoch of a civil date. Source: H. Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The civil date of days since the epoch: year, month, day. Source: as [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The longest text of a [`Timestamp`], in bytes: nine digits of nanoseconds.
const TEXT_BYTES_MAX: usize = "2026-11-20T15:31:53.830011266Z".len();

/// A text of digits being written; the formatting machinery would take several times as long, and
/// every operation carries a timestamp.
struct Digits {
    bytes: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Digits {
    fn push(&mut self, mark: u8) {
        self.bytes[self.length] = mark;
        self.length += 1;
    }

    /// Appends `number` with exactly `width` digits.
    fn number(&mut self, mut number: u32, width: usize) {
        for place in (self.length..self.length + width).rev() {
            self.bytes[place] = b'0' + u8::try_from(number % 10).expect("one digit");
            number /= 10;
        }
        self.length += width;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only ASCII was written")
    }
}

impl Timestamp {
    /// RFC 3339 in UTC with `Z` and 0, 3, 6 or 9 fractional digits, as many as are needed
    /// (`protocols/taskchampion.md` section 3).
    fn text(self) -> Digits {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = Digits { bytes: [0; TEXT_BYTES_MAX], length: 0 };
        for (number, width, mark) in
            [(year, 4, b'-'), (month, 2, b'-'), (day, 2, b'T'), (hour, 2, b':'), (minute, 2, b':')]
        {
            text.number(u32::try_from(number).expect("parts of a year up to 9999"), width);
            text.push(mark);
        }
        text.number(u32::try_from(second).expect("below 60"), 2);
        let (fraction, width) = match self.nanos {
            0 => (0, 0),
            nanos if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
            nanos if nanos % 1_000 == 0 => (nanos / 1_000, 6),
            nanos => (nanos, 9),
        };
        if width > 0 {
            text.push(b'.');
            text.number(fraction, width);
        }
        text.push(b'Z');
        text
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339 in UTC (`protocols/taskchampion.md` section 3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads any RFC 3339 instant: any offset, any number of fractional digits (those beyond
    /// nanoseconds are cut), `t`, `z` and a blank as separators. A leap second (`:60`) is read as
    /// the start of the next minute, since the epoch count has no place for it.
    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        parse(text.as_bytes())
            .ok_or_else(|| ParseTimestampError { text: text.chars().take(60).collect() })
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = *date_time
    else {
        return None;
    };
    let (year, month, day) = (digits(&[y1, y2, y3, y4])?, digits(&[m1, m2])?, digits(&[d1, d2])?);
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[n1, n2])?, digits(&[s1, s2])?);
    let year = i64::from(year);
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, offset) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            let mut nanos = [b'0'; 9];
            let kept = length.min(9);
            nanos[..kept].copy_from_slice(&rest[..kept]);
            (digits(&nanos)?, &rest[length..])
        }
    };
    let offset_seconds = match *offset {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let day_seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + day_seconds;
    Some(Timestamp::new(seconds - offset_seconds, nanos))
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl serde::de::Visitor<'_> for Reader {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 instant")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_as_many_groups_of_three_digits_as_needed() {
        for (seconds, nanos, text) in [
            (1_700_000_000, 0, "2023-11-14T22:13:20Z"),
            (1_795_188_713, 830_011_266, "2026-11-20T15:31:53.830011266Z"),
            (0, 500_000_000, "1970-01-01T00:00:00.500Z"),
            (0, 1_000, "1970-01-01T00:00:00.000001Z"),
            (-1, 0, "1969-12-31T23:59:59Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
        ] {
            let timestamp = Timestamp::new(seconds, nanos);
            assert_eq!(timestamp.to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap(), timestamp);
        }
    }

    #[test]
    fn reads_any_offset_and_fraction() {
        for (text, written) in [
            ("2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20Z"),
            ("2023-11-14t22:13:20.5z", "2023-11-14T22:13:20.500Z"),
            ("2023-11-14 22:13:20.1234567899Z", "2023-11-14T22:13:20.123456789Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1:00",
            "２023-11-14T22:13:20Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in SECONDS_MIN..=SECONDS_MAX, nanos in 0..NANOS_PER_SECOND) {
            let timestamp = Timestamp::new(seconds, nanos);
            prop_assert_eq!(timestamp.to_string().parse::<Timestamp>().unwrap(), timestamp);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
