//! Where the value of `ta config set KEY VALUE` is read from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::{SettingsError, ValueError};
use crate::key::{Key, Kind};
use crate::notice::Notice;
use crate::origin::Origin;
use crate::value::expand_home;

/// The longest value that is read from standard input or a file, in bytes.
pub const SOURCE_BYTES_MAX: u64 = 64 * 1024;

/// A value that somebody gave, and how.
#[derive(Debug)]
pub struct Given {
    /// The value, not checked yet.
    pub text: Zeroizing<String>,
    /// Where it was read, for [`crate::set`] to name.
    pub origin: Origin,
    /// What the person should know about the way they took.
    pub notice: Option<Notice>,
}

/// Reads the value that an argument stands for: itself, or `-` (standard input) or `file:PATH` (a
/// leading `~/` is expanded; the shell does not do it there).
///
/// From standard input and files one line break at the end is dropped, since every tool that writes
/// one line adds it; what else is odd is left for [`crate::set`] to name. A secret that was typed on
/// the line comes with [`Notice::SecretOnLine`].
///
/// # Errors
/// [`SettingsError::ReadValue`], [`SettingsError::ValueTooLong`], or [`SettingsError::BadValue`] if
/// it is not UTF-8 or `~` has no meaning.
pub fn read_value(
    key: Key,
    argument: &str,
    stdin: &mut dyn Read,
    environment: &Environment,
) -> Result<Given, SettingsError> {
    if argument == "-" {
        return read_one(key, stdin, Origin::StandardInput);
    }
    let Some(path) = argument.strip_prefix("file:") else {
        // Not for the client key: operators hand it out to be pasted, and without the secret it
        // opens nothing.
        let notice = (key.kind() == Kind::Secret).then_some(Notice::SecretOnLine { key });
        let text = Zeroizing::new(argument.to_owned());
        return Ok(Given { text, origin: Origin::CommandLine, notice });
    };
    let bad = |problem| SettingsError::BadValue { key, origin: Origin::CommandLine, problem };
    let path = expand_home(Path::new(path), environment).map_err(bad)?;
    let origin = Origin::OtherFile { path: path.as_path().into() };
    match File::open(&path) {
        Ok(mut file) => read_one(key, &mut file, origin),
        Err(source) => {
            Err(SettingsError::ReadValue { key, from: path.display().to_string(), source })
        }
    }
}

fn read_one(key: Key, reader: &mut dyn Read, origin: Origin) -> Result<Given, SettingsError> {
    let failed =
        |source: io::Error| SettingsError::ReadValue { key, from: origin.to_string(), source };
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    reader.take(SOURCE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SOURCE_BYTES_MAX {
        return Err(SettingsError::ValueTooLong { key, from: origin.to_string() });
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => Ok(Given { text: Zeroizing::new(text.to_owned()), origin, notice: None }),
        Err(_) => Err(SettingsError::BadValue { key, origin, problem: ValueError::NotUtf8 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: Key, argument: &str, stdin: &[u8]) -> Result<(String, bool), SettingsError> {
        let given = read_value(key, argument, &mut { stdin }, &Environment::default())?;
        Ok((given.text.to_string(), given.notice.is_some()))
    }

    #[test]
    fn standard_input_loses_one_line_break() {
        for (stdin, value) in
            [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("abc\n\n", "abc\n"), ("", "")]
        {
            let read = read(Key::EncryptionSecret, "-", stdin.as_bytes()).unwrap();
            assert_eq!(read, (value.to_owned(), false), "{stdin:?}");
        }
        assert!(matches!(
            read(Key::EncryptionSecret, "-", b"\xff"),
            Err(SettingsError::BadValue { problem: ValueError::NotUtf8, .. })
        ));
        let endless = vec![b'a'; 70_000];
        assert!(matches!(
            read(Key::EncryptionSecret, "-", &endless),
            Err(SettingsError::ValueTooLong { .. })
        ));
    }

    #[test]
    fn every_key_is_read_from_standard_input() {
        for key in Key::ALL {
            assert_eq!(read(*key, "-", b"30\n").unwrap(), ("30".to_owned(), false), "{key}");
        }
    }

    #[test]
    fn a_file_is_read_and_a_line_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "from a file\n").unwrap();
        let argument = format!("file:{}", path.display());
        let key = Key::EncryptionSecret;
        assert_eq!(read(key, &argument, b"").unwrap(), ("from a file".to_owned(), false));
        assert_eq!(read(key, "typed", b"").unwrap(), ("typed".to_owned(), true));
        let client_key = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7".to_owned();
        let typed = read(Key::ServerClientKey, &client_key, b"").unwrap();
        assert_eq!(typed, (client_key, false));
        let missing = read(key, "file:/nonexistent/secret", b"").unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/secret"));
    }
}
