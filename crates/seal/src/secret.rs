//! The text that a person holds, and what is wrong with it before it is used.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Length below which [`Secret::weakness`] advises a longer secret, in bytes of UTF-8.
///
/// The server knows the salt and may guess at leisure, so the secret's length is the defence.
/// Sixteen is our own advice, a round figure rather than a proof; the protocol has no minimum.
pub const SECRET_BYTES_ADVISED: usize = 16;

/// The text from which every key of a task list is derived.
///
/// The key comes from the text's UTF-8 bytes exactly as given: no trimming, no Unicode
/// normalisation, so that every program that speaks the protocol derives the same key. Never empty.
/// Its memory is wiped on drop, it cannot be cloned, and printing it shows `Secret(***)`.
/// Comparison takes the same time wherever two secrets of equal length differ (the length itself is
/// not hidden).
///
/// ```
/// let secret = tandem_seal::Secret::new("correct horse battery staple".to_owned())?;
/// assert_eq!(format!("{secret} {secret:?}"), "Secret(***) Secret(***)");
/// # Ok::<(), tandem_seal::SecretError>(())
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text that a person typed, pasted or stored, unless it shows a slip of the hand.
    ///
    /// A stray line break at the end of a file is the usual one: it gives a different key, and then
    /// nothing opens on the other devices. A text that is refused is wiped.
    ///
    /// # Errors
    /// The [`SecretError`] that names the slip.
    pub fn new(text: String) -> Result<Self, SecretError> {
        // Wrapped first, so that a refused text is wiped like an accepted one.
        let text = Zeroizing::new(text);
        if text.chars().all(is_blank) {
            return Err(SecretError::Empty);
        }
        if text.starts_with(is_blank) || text.ends_with(is_blank) {
            return Err(SecretError::OuterWhiteSpace);
        }
        if text.contains(is_line_break) {
            return Err(SecretError::LineBreak);
        }
        if text.contains(char::is_control) {
            return Err(SecretError::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// Takes a text with all its oddities, for a list that another program sealed with such a
    /// secret.
    ///
    /// The reference takes any text, so an existing list may really have a secret that ends with a
    /// blank; its owner must be able to say "yes, exactly so".
    ///
    /// # Errors
    /// [`SecretError::Empty`] if there is not a single character.
    pub fn exactly_as_given(text: String) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text);
        if text.is_empty() { Err(SecretError::Empty) } else { Ok(Self(text)) }
    }

    /// Says why this secret is easily guessed, if it is. For a notice only: it works all the same,
    /// and an existing list cannot change its secret.
    pub fn weakness(&self) -> Option<Weakness> {
        (self.0.len() < SECRET_BYTES_ADVISED).then_some(Weakness::Short)
    }

    /// Gives the text away, to write it where secrets are kept. Whoever sees it reads the whole
    /// list.
    pub fn dangerously_expose(&self) -> &str {
        &self.0
    }

    /// The bytes that go into the derivation.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for Secret {
    type Error = SecretError;

    /// The same as [`Secret::new`].
    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

// By its field; there is no `Zeroize`, which would leave an empty secret behind.
impl ZeroizeOnDrop for Secret {}

/// Says which slip a text shows that was to become a [`Secret`]. Never carries any of the text.
///
/// All are the person's to fix; none is worth a retry with the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is no character that can be seen. Cure: give a secret.
    #[error("the secret is empty")]
    Empty,
    /// It begins or ends with white space, a line break or an invisible mark (a byte order mark, a
    /// zero width space), as a copied text or a file written by `echo` does. Cure: remove it, or
    /// use [`Secret::exactly_as_given`] if the other devices really have it.
    #[error("the secret begins or ends with white space")]
    OuterWhiteSpace,
    /// It has more than one line. Cure: keep the line that is meant.
    #[error("the secret contains a line break")]
    LineBreak,
    /// It has a character that does not print, such as a tab or an escape that a terminal sent.
    /// Cure: type it anew, or use [`Secret::exactly_as_given`].
    #[error("the secret contains a control character")]
    ControlCharacter,
}

impl SecretError {
    /// What the person can do about it, in a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "Give the secret that your other devices use, or make a new one.",
            Self::OuterWhiteSpace => {
                "Remove the blanks or the line break around it; a file should hold the secret alone."
            }
            Self::LineBreak => "Keep the one line that is the secret.",
            Self::ControlCharacter => {
                "Type the secret again; it contains a key press that is not text."
            }
        }
    }
}

/// Says why a secret is easily guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weakness {
    /// Shorter than [`SECRET_BYTES_ADVISED`]. How short is not said: notices end up in logs.
    Short,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(
                f,
                "the secret is shorter than {SECRET_BYTES_ADVISED} characters and may be guessed"
            ),
        }
    }
}

/// White space, or a mark without width that copying leaves at the ends of a text.
///
/// Only the ends are judged by this: inside, such marks belong to words of several scripts.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}

/// Line feed, carriage return, next line, line separator, paragraph separator (and the two old
/// vertical ones), as Unicode counts line breaks.
fn is_line_break(character: char) -> bool {
    matches!(character, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_named() {
        let cases = [
            ("", Err(SecretError::Empty)),
            (" \n", Err(SecretError::Empty)),
            ("\u{FEFF}", Err(SecretError::Empty)),
            ("ends with a break\n", Err(SecretError::OuterWhiteSpace)),
            ("ends with a windows break\r\n", Err(SecretError::OuterWhiteSpace)),
            (" begins with a blank", Err(SecretError::OuterWhiteSpace)),
            ("\tbegins with a tab", Err(SecretError::OuterWhiteSpace)),
            ("ends with a no-break space\u{A0}", Err(SecretError::OuterWhiteSpace)),
            ("\u{FEFF}begins with a byte order mark", Err(SecretError::OuterWhiteSpace)),
            ("ends with a zero width space\u{200B}", Err(SecretError::OuterWhiteSpace)),
            ("two\nlines", Err(SecretError::LineBreak)),
            ("two\r\nlines", Err(SecretError::LineBreak)),
            ("two\u{2028}lines", Err(SecretError::LineBreak)),
            ("two\u{85}lines", Err(SecretError::LineBreak)),
            ("a\ttab inside", Err(SecretError::ControlCharacter)),
            ("an escape \u{1b}[A inside", Err(SecretError::ControlCharacter)),
            ("a nul \0 inside", Err(SecretError::ControlCharacter)),
            ("x", Ok(())),
            ("blanks inside are fine", Ok(())),
            ("Grüße, 世界 🐎", Ok(())),
            // A zero width joiner that makes one picture of two, and a non-joiner in a Persian
            // word.
            ("👩\u{200D}🌾 می\u{200C}خواهم", Ok(())),
        ];
        for (text, expected) in cases {
            assert_eq!(Secret::new(text.to_owned()).map(drop), expected, "{text:?}");
        }
    }

    #[test]
    fn the_text_is_kept_exactly() {
        let text = "e\u{301} is not \u{e9}";
        assert_eq!(Secret::new(text.to_owned()).unwrap().dangerously_expose(), text);
        for odd in [" a \n", "\0", " "] {
            let secret = Secret::exactly_as_given(odd.to_owned()).unwrap();
            assert_eq!(secret.dangerously_expose(), odd);
        }
        assert_eq!(Secret::exactly_as_given(String::new()), Err(SecretError::Empty));
    }

    #[test]
    fn secrets_compare_by_their_bytes() {
        let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
        assert_eq!(secret("same"), secret("same"));
        assert_ne!(secret("same"), secret("Same"));
        assert_ne!(secret("same"), secret("same but longer"));
        assert_ne!(secret("e\u{301}"), secret("\u{e9}"));
    }

    #[test]
    fn only_short_secrets_are_called_weak() {
        let weakness = |text: &str| Secret::new(text.to_owned()).unwrap().weakness();
        assert_eq!(weakness("fifteen bytes.."), Some(Weakness::Short));
        assert_eq!(weakness("sixteen bytes..."), None);
        assert_eq!(
            Weakness::Short.to_string(),
            "the secret is shorter than 16 characters and may be guessed"
        );
    }

    #[test]
    fn printing_shows_nothing_of_it() {
        let secret = Secret::new("correct horse".to_owned()).unwrap();
        for shown in [format!("{secret}"), format!("{secret:?}"), format!("{secret:#?}")] {
            assert_eq!(shown, "Secret(***)");
        }
        // Errors cannot carry the text; this guards the day when somebody adds a field.
        let error = Secret::new("correct\nhorse".to_owned()).unwrap_err();
        assert!(!format!("{error:?} {error} {}", error.hint()).contains("correct"));
    }
}
