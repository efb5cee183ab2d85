//! JSON values as their text, and what they mean as a property.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Problem;

/// The fields of one JSON object in their order, values unread.
pub(crate) struct Fields<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A JSON value, looked at from outside.
pub(crate) enum Shape<'a> {
    Null,
    /// A string, number or boolean as the text of a property.
    Text(String),
    Array(Vec<&'a RawValue>),
    Object,
}

/// Reads a value as far as a task needs it.
pub(crate) fn shape(value: &RawValue) -> Result<Shape<'_>, Problem> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'n') => Ok(Shape::Null),
        Some(b'"') => serde_json::from_str(text).map(Shape::Text).map_err(|_| Problem::BadText),
        Some(b'[') => serde_json::from_str(text).map(Shape::Array).map_err(|_| Problem::NotList),
        Some(b'{') => Ok(Shape::Object),
        _ => Ok(Shape::Text(plain_number(text))),
    }
}

/// How deep lists and objects are nested in a JSON text that is known to be well formed.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Zeros that are written out for an exponent; a number beyond them stays as it is.
const EXPONENT_MAX: usize = 400;

/// A JSON number (or `true`, `false`) without exponent, digits otherwise as written.
///
/// `1.50` stays `1.50` and `12345678901234567890` keeps all its digits; only `1.5e3` becomes
/// `1500`, since nobody reads an exponent in a task.
fn plain_number(text: &str) -> String {
    expanded(text).unwrap_or_else(|| text.to_owned())
}

fn expanded(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i64 = exponent.parse().ok()?;
    let shift = usize::try_from(exponent.unsigned_abs()).ok().filter(|n| *n <= EXPONENT_MAX)?;
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = "0".repeat(shift);
    let (whole, fraction) = if exponent < 0 {
        let all = format!("{zeros}{whole}");
        let (whole, moved) = all.split_at(all.len() - shift);
        (whole.to_owned(), format!("{moved}{fraction}"))
    } else {
        let all = format!("{fraction}{zeros}");
        let (moved, fraction) = all.split_at(shift);
        (format!("{whole}{moved}"), fraction.to_owned())
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// True for a text that is a JSON number without exponent, and so is read back as it was written.
pub(crate) fn is_plain_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let is_whole = is_digits(whole) && (whole == "0" || !whole.starts_with('0'));
    is_whole && fraction.is_none_or(is_digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_lose_their_exponent_and_nothing_else() {
        for (given, plain) in [
            ("1", "1"),
            ("-0", "-0"),
            ("1.50", "1.50"),
            ("12345678901234567890", "12345678901234567890"),
            ("1e3", "1000"),
            ("1.5E+3", "1500"),
            ("1.2345e2", "123.45"),
            ("-1.5e-3", "-0.0015"),
            ("25e-1", "2.5"),
            ("100e-2", "1"),
            ("0e5", "0"),
            ("1e999999999999", "1e999999999999"),
            ("1e401", "1e401"),
            ("true", "true"),
            ("false", "false"),
        ] {
            assert_eq!(plain_number(given), plain, "{given}");
        }
        for (text, expected) in [
            ("1", true),
            ("-0.50", true),
            ("0", true),
            ("01", false),
            ("1.", false),
            (".5", false),
            ("1e3", false),
            ("+1", false),
            ("", false),
            ("-", false),
            ("1.2.3", false),
            ("١", false),
        ] {
            assert_eq!(is_plain_number(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_counts_no_brackets_in_texts() {
        for (text, expected) in
            [("1", 0), ("[]", 1), ("[[],{\"a\":[1]}]", 3), ("[\"[[[\\\"[\"]", 1)]
        {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn expanding_keeps_the_number(mantissa in -1_000_000_i64..1_000_000, fraction in 0..1000_u32, exponent in -8..8_i32) {
            let text = format!("{mantissa}.{fraction}e{exponent}");
            let (before, after): (f64, f64) = (text.parse().unwrap(), plain_number(&text).parse().unwrap());
            prop_assert_eq!(before, after);
        }
    }
}
