//! Text on its way to a person: its width on a terminal, and nothing in it that drives one.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

/// Characters of a word that an error repeats: enough to know it again, never a screenful.
const SHOWN_CHARS_MAX: usize = 60;

/// True for characters that could drive a terminal or turn the order of what follows: control
/// characters (C0, DEL, C1), the Unicode line ends, and the marks that change writing direction.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows every character that could drive a terminal as an escape (`\n`, `\t`, `\u{1b}`).
///
/// A task's text comes from other devices and programs; printed raw it could retitle a window,
/// hide a line or worse. A backslash stays as it is: this is for reading, not for reading back.
/// Costs one pass; text without such characters is borrowed.
pub fn escape(text: &str) -> Cow<'_, str> {
    // Nearly all text is plain ASCII, where a byte scan answers.
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_unsafe(c) => {
                write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("a String takes every write");
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Columns that a text takes on a terminal (wide East Asian characters take two).
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// A word as an error repeats it: escaped, and shortened to 60 characters.
pub(crate) fn shown(word: &str) -> String {
    let mut characters = word.chars();
    let mut start: String = characters.by_ref().take(SHOWN_CHARS_MAX).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    escape(&start).into_owned()
}

/// Turns line ends and tabs into blanks and cuts blanks at both ends.
///
/// Descriptions and annotations are one line (`protocols/taskchampion.md` section 1); a pasted
/// text should stay readable rather than be refused.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.trim().replace("\r\n", " ");
    text.replace(['\n', '\r', '\t', '\u{2028}', '\u{2029}'], " ")
}

/// True if one letter is wrong, missing or too much, or two neighbours are swapped.
pub(crate) fn is_one_slip_away(left: &[u8], right: &[u8]) -> bool {
    let same_start = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[same_start..], &right[same_start..]);
    match (left, right) {
        ([a, b, left @ ..], [c, d, right @ ..]) if a == d && b == c && left == right => true,
        ([_, left @ ..], [_, right @ ..]) if left == right => true,
        ([_, left @ ..], right) if left == right => true,
        (left, [_, right @ ..]) if left == right => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_could_drive_a_terminal() {
        for (text, shown) in [
            ("plain", "plain"),
            ("grüße 世界", "grüße 世界"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("abc\u{202e}def", "abc\\u{202e}def"),
            ("back\\slash", "back\\slash"),
        ] {
            assert_eq!(escape(text), shown);
        }
    }

    #[test]
    fn counts_columns_not_bytes() {
        assert_eq!((width("abc"), width("grüße"), width("世界"), width("")), (3, 5, 4, 0));
    }

    #[test]
    fn errors_never_repeat_a_screenful() {
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN_CHARS_MAX + 1);
    }

    proptest::proptest! {
        #[test]
        fn nothing_unsafe_gets_through(text in "\\PC{0,20}[\u{0}-\u{ff}]{0,20}") {
            proptest::prop_assert!(!escape(&text).contains(is_unsafe));
        }
    }
}
