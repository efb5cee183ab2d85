//! The configuration file: which one it is, and its text as values with their lines.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::SettingsError;
use crate::key::Key;
use crate::origin::{Origin, Setting};
use crate::value::{Context, Relative, expand_home, from_toml};

/// The largest configuration file that is read, in bytes. One with every key has about 500.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Who named the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedBy {
    /// `--config FILE`.
    Flag,
    /// `TA_CONFIG`.
    Variable,
    /// Nobody: it is the usual place, where it may be absent.
    Default,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "--config",
            Self::Variable => "TA_CONFIG",
            Self::Default => "default",
        })
    }
}

/// Which file is the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is; it need not exist.
    pub path: PathBuf,
    /// Who said so.
    pub named_by: NamedBy,
}

impl ConfigFile {
    /// Finds the file: the flag's, else that of `TA_CONFIG`, else `tandem/config.toml` in the XDG
    /// config directory. Looks at no file.
    ///
    /// # Errors
    /// [`SettingsError::NoHome`] if nobody names a file and there is no home folder.
    pub fn locate(environment: &Environment, flag: Option<&Path>) -> Result<Self, SettingsError> {
        if let Some(path) = flag {
            return Ok(Self { path: path.to_owned(), named_by: NamedBy::Flag });
        }
        if let Some(path) = environment.variable("TA_CONFIG") {
            // Crontabs do not expand `~`; what cannot be expanded is taken as it is.
            let path = Path::new(path);
            let path = expand_home(path, environment).unwrap_or_else(|_| path.to_owned());
            return Ok(Self { path, named_by: NamedBy::Variable });
        }
        let folder = environment.config_home();
        let folder = folder.ok_or(SettingsError::NoHome { wanted: "tandem/config.toml" })?;
        Ok(Self { path: folder.join("tandem/config.toml"), named_by: NamedBy::Default })
    }
}

/// Reads a whole file; `None` if it does not exist.
pub(crate) fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, SettingsError> {
    let failed = |source| SettingsError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // One allocation of the right size, so that growing leaves no copies of a secret behind.
    let size = file.metadata().map_err(failed)?.len().min(CONFIG_BYTES_MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 2));
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(SettingsError::TooLarge { path: path.to_owned() });
    }
    match String::from_utf8(std::mem::take(&mut bytes)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = Zeroizing::new(error.into_bytes());
            let line = 1 + bytes[..valid].iter().filter(|byte| **byte == b'\n').count();
            Err(SettingsError::NotUtf8 { path: path.to_owned(), line })
        }
    }
}

/// Reads every setting of a file's text, each with its line.
pub(crate) fn parse(
    path: &Path,
    text: &str,
    environment: &Environment,
) -> Result<Vec<(Key, Setting)>, SettingsError> {
    let table = DeTable::parse(text).map_err(|error| {
        syntax_error(path, text, error.span().map(|s| s.start), error.message())
    })?;
    let shared: Arc<Path> = path.into();
    let folder = path.parent().unwrap_or(Path::new(""));
    let context = Context { environment, relative: Relative::From(folder) };
    let mut settings = Vec::new();
    for (name, value) in table.get_ref() {
        let (line, _) = line_and_column(text, name.span().start);
        let origin = Origin::File { path: Arc::clone(&shared), line };
        let key = match name.get_ref().parse::<Key>() {
            Err(SettingsError::UnknownKey { name, .. })
                if matches!(value.get_ref(), DeValue::Table(_)) =>
            {
                return Err(SettingsError::Section { name, place: origin });
            }
            Err(SettingsError::UnknownKey { name, nearest, .. }) => {
                return Err(SettingsError::UnknownKey { name, place: Some(origin), nearest });
            }
            other => other?,
        };
        match from_toml(key.kind(), value.get_ref(), context) {
            Ok(value) => settings.push((key, Setting { value, origin })),
            Err(problem) => return Err(SettingsError::BadValue { key, origin, problem }),
        }
    }
    Ok(settings)
}

/// Makes an error of a TOML reader's place and message.
///
/// The readers' own `Display` quotes the line, which may hold the secret: it must not be used, nor
/// kept as a source.
pub(crate) fn syntax_error(
    path: &Path,
    text: &str,
    offset: Option<usize>,
    message: &str,
) -> SettingsError {
    let (line, column) = line_and_column(text, offset.unwrap_or(text.len()));
    let message = message.lines().collect::<Vec<_>>().join(", ");
    SettingsError::Syntax { path: path.to_owned(), line, column, message }
}

/// The line and the character within it, both counted from 1.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // Continuation bytes of UTF-8 are no characters of their own.
    let column = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    (line, column + 1)
}
