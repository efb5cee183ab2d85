//! Taskwarrior's spelling of instants.

use tandem_core::Timestamp;

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateError {
    /// No spelling that we know.
    Unknown,
    /// A date or time without its zone, so that nobody can say which instant it is.
    NoZone,
}

/// Writes seconds since the epoch as `YYYYMMDDTHHMMSSZ`; `None` outside the years 1 to 9999.
pub(crate) fn format(seconds: i64) -> Option<String> {
    let timestamp = Timestamp::from_seconds(seconds);
    if timestamp.seconds() != seconds {
        return None;
    }
    Some(timestamp.to_string().replace(['-', ':'], ""))
}

/// Reads `YYYYMMDDTHHMMSSZ` or RFC 3339 as seconds since the epoch; fractions are cut.
pub(crate) fn parse(text: &str) -> Result<i64, DateError> {
    let dashed = with_separators(text);
    let text = dashed.as_deref().unwrap_or(text);
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.seconds());
    }
    // Says so if adding what is missing would make an instant of it.
    let complete = [format!("{text}Z"), format!("{text}T00:00:00Z"), format!("{text}:00Z")];
    if complete.iter().any(|text| text.parse::<Timestamp>().is_ok()) {
        return Err(DateError::NoZone);
    }
    Err(DateError::Unknown)
}

/// True for eight digits that are a day of our times: as seconds they would be a day in 1970, which
/// nobody means.
pub(crate) fn is_compact_day(text: &str) -> bool {
    let is_day = |text: &str| parse(text) == Err(DateError::NoZone);
    text.len() == 8 && (text.starts_with("19") || text.starts_with("20")) && is_day(text)
}

/// `20240131T235959Z` as `2024-01-31T23:59:59Z`, also without zone or time.
fn with_separators(text: &str) -> Option<String> {
    let is_compact = text.len() >= 8 && text.bytes().take(8).all(|byte| byte.is_ascii_digit());
    if !is_compact {
        return None;
    }
    let (day, rest) = (text.get(..8)?, text.get(8..)?);
    let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    if rest.is_empty() {
        return Some(day);
    }
    let time = rest.strip_prefix('T')?;
    let (clock, zone) = (time.get(..6)?, time.get(6..)?);
    let colons = format!("{}:{}:{}", clock.get(..2)?, clock.get(2..4)?, clock.get(4..)?);
    Some(format!("{day}T{colons}{zone}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_are_read() {
        for (text, seconds) in [
            ("20231114T221320Z", Ok(1_700_000_000)),
            ("2023-11-14T22:13:20Z", Ok(1_700_000_000)),
            ("2023-11-14T23:13:20.9+01:00", Ok(1_700_000_000)),
            ("20231114T231320+01:00", Ok(1_700_000_000)),
            ("20231114T221320", Err(DateError::NoZone)),
            ("20231114", Err(DateError::NoZone)),
            ("2023-11-14", Err(DateError::NoZone)),
            ("2023-11-14T22:13", Err(DateError::NoZone)),
            ("20231314T221320Z", Err(DateError::Unknown)),
            ("tomorrow", Err(DateError::Unknown)),
            ("", Err(DateError::Unknown)),
            ("20231114Tüü1320Z", Err(DateError::Unknown)),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
        }
        assert!(is_compact_day("20240229") && !is_compact_day("20230229"));
        assert!(!is_compact_day("17000000") && !is_compact_day("1700000000"));
    }

    #[test]
    fn years_of_four_digits_are_written() {
        assert_eq!(format(1_700_000_000).as_deref(), Some("20231114T221320Z"));
        assert_eq!(format(-1).as_deref(), Some("19691231T235959Z"));
        assert_eq!(format(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in any::<i64>(), near in -70_000_000_000_i64..260_000_000_000) {
            for seconds in [seconds, near] {
                if let Some(text) = format(seconds) {
                    prop_assert_eq!(parse(&text), Ok(seconds));
                }
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9TZü:-]{0,20}") {
            let _ = (parse(&text), is_compact_day(&text));
        }
    }
}
