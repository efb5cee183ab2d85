//! Why a configuration cannot be used. Client ids are in none of the texts.

use std::io;
use std::path::PathBuf;

use super::key::Key;
use super::layers::Origin;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A word that means nothing here.
    #[error("`{word}` means nothing to the server")]
    UnknownWord {
        /// The word as it was written, if it surely is no credential.
        word: String,
    },
    /// A flag stands without its value.
    #[error("`{flag}` needs a value")]
    NoValue {
        /// The flag.
        flag: String,
    },
    /// A value is not what the setting takes.
    #[error("{} takes {}", place(*key, origin), key.wanted())]
    BadValue {
        /// The setting.
        key: Key,
        /// Where it was written.
        origin: Origin,
    },
    /// A name in the file is no setting.
    #[error("{}:{line}: `{name}` is no setting", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// A section in the file, which has none.
    #[error("{}:{line}: `[{name}]` is a section, and this file has none", path.display())]
    Section {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The section's name.
        name: String,
    },
    /// The file is not TOML. What it says there is not repeated: it may be a client id.
    #[error("{}:{line} is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What was expected.
        message: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// One of two settings that belong together is missing.
    #[error("{} is set, and `{missing}` is not", place(*key, origin))]
    Half {
        /// What is set.
        key: Key,
        /// Where.
        origin: Origin,
        /// What is missing.
        missing: Key,
    },
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownWord { word } if word.starts_with("--") => {
                let meant = Key::near(word.trim_start_matches('-'));
                let meant = meant.map(|key| format!("Did you mean `{}`? ", key.flag()));
                format!("{}`ta help serve` lists the flags.", meant.unwrap_or_default())
            }
            Self::UnknownKey { name, .. } => {
                let meant = Key::near(name).map(|key| format!("Did you mean `{key}`? "));
                format!("{}`ta serve --print-config` lists all.", meant.unwrap_or_default())
            }
            Self::Section { .. } => {
                "Leave the line with the section's name out: settings stand without one, as in listen \
                 = \"127.0.0.1:8080\""
                    .to_owned()
            }
            Self::BadValue { key: Key::AllowClientId, .. } => {
                "An empty list would serve nobody. To serve everybody, leave the setting out.".to_owned()
            }
            Self::Syntax { .. } => {
                "Write one setting a line: listen = \"127.0.0.1:8080\"".to_owned()
            }
            Self::Read { .. } => "Check its name, owner and mode.".to_owned(),
            Self::Half { missing, .. } => format!("Set `{missing}` too, or neither of them."),
            _ => "`ta help serve` lists the flags.".to_owned(),
        }
    }

    /// Whether the words of the command line are wrong, and not a file or variable.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::UnknownWord { .. } | Self::NoValue { .. } => true,
            Self::BadValue { origin, .. } | Self::Half { origin, .. } => {
                matches!(origin, Origin::Flag(_))
            }
            _ => false,
        }
    }
}

/// A setting as it was written, with its place if it stands in a file.
fn place(key: Key, origin: &Origin) -> String {
    match origin {
        Origin::File { .. } => format!("{origin}: `{key}`"),
        Origin::Default => format!("`{key}`"),
        Origin::Variable(_) | Origin::Flag(_) => origin.to_string(),
    }
}
