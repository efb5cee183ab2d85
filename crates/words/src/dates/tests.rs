use proptest::prelude::*;

use super::*;
use crate::testing::{context, context_at, seconds};

/// What was typed, read at Friday 2026-11-20 15:30:00 local, and shown again.
fn read(text: &str) -> String {
    read_at(text, &context())
}

fn read_at(text: &str, context: &Context) -> String {
    match parse_date(text, context) {
        Ok(time) => date_time(time.seconds(), context).to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn iso_forms_are_read() {
    for (text, expected) in [
        ("2026-11-20", "2026-11-20 00:00:00"),
        ("2026-1-2", "2026-01-02 00:00:00"),
        ("2026-11", "2026-11-01 00:00:00"),
        ("20261120", "2026-11-20 00:00:00"),
        ("2026-324", "2026-11-20 00:00:00"),
        ("2026-W47", "2026-11-16 00:00:00"),
        ("2026-W47-5", "2026-11-20 00:00:00"),
        ("2026-11-20T10:00", "2026-11-20 10:00:00"),
        ("2026-11-20t10:00:30", "2026-11-20 10:00:30"),
        ("2026-11-20 10:00:30", "2026-11-20 10:00:30"),
        ("2026-11-20T10:00:30.999", "2026-11-20 10:00:30"),
        ("2026-11-20T10:00Z", "2026-11-20 11:00:00"),
        ("2026-11-20T10:00:00+03:30", "2026-11-20 07:30:00"),
        ("2026-11-20T10:00:00-0200", "2026-11-20 13:00:00"),
        ("20261120T100000Z", "2026-11-20 11:00:00"),
        ("20261120T100000", "2026-11-20 10:00:00"),
        ("20261120T1000", "2026-11-20 10:00:00"),
        ("1795188713", "2026-11-20 16:31:53"),
        ("999999999", "2001-09-09 03:46:39"),
        ("18:30", "2026-11-20 18:30:00"),
        ("9:30", "2026-11-21 09:30:00"),
        ("15:30", "2026-11-21 15:30:00"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn names_are_read() {
    for (text, expected) in [
        ("now", "2026-11-20 15:30:00"),
        ("today", "2026-11-20 00:00:00"),
        ("Tomorrow", "2026-11-21 00:00:00"),
        ("yesterday", "2026-11-19 00:00:00"),
        ("sod", "2026-11-20 00:00:00"),
        ("eod", "2026-11-20 23:59:59"),
        ("eond", "2026-11-21 23:59:59"),
        ("sow", "2026-11-16 00:00:00"),
        ("eow", "2026-11-22 23:59:59"),
        ("sonw", "2026-11-23 00:00:00"),
        ("eonw", "2026-11-29 23:59:59"),
        ("sopw", "2026-11-09 00:00:00"),
        ("socw", "2026-11-16 00:00:00"),
        ("soww", "2026-11-16 00:00:00"),
        ("eoww", "2026-11-20 23:59:59"),
        ("som", "2026-11-01 00:00:00"),
        ("EOM", "2026-11-30 23:59:59"),
        ("sonm", "2026-12-01 00:00:00"),
        ("soq", "2026-10-01 00:00:00"),
        ("eoq", "2026-12-31 23:59:59"),
        ("sonq", "2027-01-01 00:00:00"),
        ("soy", "2026-01-01 00:00:00"),
        ("eoy", "2026-12-31 23:59:59"),
        ("eony", "2027-12-31 23:59:59"),
        ("monday", "2026-11-23 00:00:00"),
        ("fri", "2026-11-27 00:00:00"),
        ("saturday", "2026-11-21 00:00:00"),
        ("november", "2027-11-01 00:00:00"),
        ("dec", "2026-12-01 00:00:00"),
        ("1st", "2026-12-01 00:00:00"),
        ("20th", "2026-12-20 00:00:00"),
        ("21st", "2026-11-21 00:00:00"),
        ("31st", "2026-12-31 00:00:00"),
        ("later", "9999-12-30 00:00:00"),
        ("someday", "9999-12-30 00:00:00"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn durations_and_sums_are_read() {
    for (text, expected) in [
        ("3d", "2026-11-23 15:30:00"),
        ("2weeks", "2026-12-04 15:30:00"),
        ("1h", "2026-11-20 16:30:00"),
        ("P1D", "2026-11-21 15:30:00"),
        ("PT2H", "2026-11-20 17:30:00"),
        ("-3d", "2026-11-17 15:30:00"),
        ("-P1D", "2026-11-19 15:30:00"),
        ("+1h", "2026-11-20 16:30:00"),
        ("today+3d", "2026-11-23 00:00:00"),
        ("today + 3 days", "2026-11-23 00:00:00"),
        ("eom-2d", "2026-11-28 23:59:59"),
        ("today+1d-2h+30min", "2026-11-20 22:30:00"),
        ("2026-11-20-3d", "2026-11-17 00:00:00"),
        ("2026-11-20T10:00+1h", "2026-11-20 11:00:00"),
        ("2026-11-20T10:00+01:00+1d", "2026-11-21 10:00:00"),
        ("1st+P1W", "2026-12-08 00:00:00"),
        ("3d+1h", "2026-11-23 16:30:00"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn changes_of_the_clocks_are_survived() {
    // Clocks go from 02:00 to 03:00 on 2026-03-29 and from 03:00 to 02:00 on 2026-10-25.
    let spring = context_at("2026-03-28T11:00:00Z");
    assert_eq!(read_at("tomorrow+1d", &spring), "2026-03-30 00:00:00");
    assert_eq!(read_at("2026-03-29T02:30", &spring), "2026-03-29 03:30:00");
    assert_eq!(read_at("now+24h", &spring), "2026-03-29 13:00:00");
    assert_eq!(read_at("now+1d", &spring), "2026-03-29 12:00:00");
    assert_eq!(
        parse_date("2026-10-25T02:30", &spring).unwrap().seconds(),
        seconds("2026-10-25T00:30:00Z")
    );
    // A zone where the clocks skip midnight itself.
    let zone = jiff::tz::TimeZone::posix("<-03>3<-02>,M10.3.0/0,M2.3.0/0").unwrap();
    let skips = Context::new("2026-10-17T12:00:00Z".parse().unwrap(), zone);
    assert_eq!(read_at("tomorrow", &skips), "2026-10-18 01:00:00");
    assert_eq!(read_at("eod", &skips), "2026-10-17 23:59:59");
}

#[test]
fn what_is_no_date_is_refused_by_name() {
    for text in [
        "",
        " ",
        "blah",
        "3",
        "2026",
        "202611",
        "2026-02-30",
        "2026-13-01",
        "2026-11-20T25:00",
        "2026-366-1",
        "0000-01-01",
        "2026-11-20T10",
        "32nd",
        "0th",
        "+1st",
        "today+",
        "+",
        "-",
        "today+blah",
        "today3d",
        "soz",
        "so",
        "e",
        "eonww2",
        "24:00",
        "9:5",
        "2026-W54",
        "１２",
        "é",
        "today+3é",
        "2026-11-20T10:00+1:0",
        "+5st",
    ] {
        assert_eq!(read(text), format!("`{text}` is not a date"), "{text}");
    }
    for text in ["5m", "today+5m", "1.5m"] {
        assert_eq!(read(text), format!("`{text}` could be minutes or months: write `min` or `mo`"));
    }
    for text in ["9999y", "later+1y", "999999999999", "-3000y", "999999999d"] {
        assert_eq!(read(text), format!("`{text}` is not between the years 1 and 9999"));
    }
    let long = "x".repeat(DATE_BYTES_MAX + 1);
    assert!(parse_date(&long, &context()).is_err());
}

#[test]
fn ages_are_vague_and_short() {
    const DAY: i64 = 86_400;
    for (seconds, expected) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1min"),
        (3_599, "59min"),
        (3_600, "1h"),
        (DAY - 1, "23h"),
        (DAY, "1d"),
        (13 * DAY, "13d"),
        (14 * DAY, "2w"),
        (83 * DAY, "11w"),
        (84 * DAY, "2mo"),
        (364 * DAY, "12mo"),
        (365 * DAY, "1.0y"),
        (600 * DAY, "1.6y"),
        (-3 * 3_600, "-3h"),
        (i64::MIN, "-292471208677.5y"),
    ] {
        assert_eq!(age(seconds), expected, "{seconds}");
    }
    assert_eq!(countdown(i64::MAX, &context()).chars().last(), Some('y'));
}

#[test]
fn times_are_shown_in_the_zone_and_in_utc() {
    let at = seconds("2026-07-01T22:30:00Z");
    assert_eq!(date(at, &context()), "2026-07-02");
    assert_eq!(date_time(at, &context()), "2026-07-02 00:30:00");
    assert_eq!(basic_utc(at), "20260701T223000Z");
    assert_eq!(date(i64::MAX, &context()), i64::MAX.to_string());
    assert_eq!(basic_utc(-99_999_999_999), "-99999999999");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,20}|[a-z0-9:+ .TtZzWwPp-]{0,24}", now in any::<i64>()) {
        let context = Context::new(Timestamp::from_seconds(now), context().zone().clone());
        let _ = parse_date(&text, &context);
        let _ = parse_duration(&text);
        let _ = date_time(now, &context);
    }

    #[test]
    fn what_is_shown_reads_back(at in SECONDS_MIN + 86_400..253_402_000_000i64) {
        let context = context();
        let utc = Context::new(Timestamp::EPOCH, jiff::tz::TimeZone::UTC);
        prop_assert_eq!(parse_date(&date_time(at, &utc), &utc).unwrap().seconds(), at);
        prop_assert_eq!(parse_date(&basic_utc(at), &context).unwrap().seconds(), at);
        // In a zone whose clocks change one text can mean two seconds, but stays one text.
        let shown = date_time(at, &context);
        let again = parse_date(&shown, &context).unwrap().seconds();
        prop_assert_eq!(date_time(again, &context), shown);
        let day = date(at, &context);
        prop_assert_eq!(date(parse_date(&day, &context).unwrap().seconds(), &context), day);
    }

    #[test]
    fn a_name_or_sum_is_never_refused_within_the_calendar(
        base in "now|today|eom|sow|fri|jan|1st|2026-11-20",
        days in 0..2000i64,
        sign in "[+-]",
    ) {
        let text = format!("{base}{sign}{days}d");
        prop_assert!(parse_date(&text, &context()).is_ok());
    }
}
