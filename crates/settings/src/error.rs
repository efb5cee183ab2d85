//! What can be wrong with the settings. None of it ever shows a value.

use std::io;
use std::path::PathBuf;

use tandem_core::edit_distance;
use tandem_seal::SecretError;

use crate::file::NamedBy;
use crate::key::{Key, Kind};
use crate::origin::Origin;
use crate::server_origin::ServerOriginError;
use crate::source::SOURCE_BYTES_MAX;

/// Why the settings could not be read or changed.
///
/// All are the person's to fix ([`SettingsError::hint`] says how) and exit code 3; only
/// [`SettingsError::Busy`] is worth a retry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A name that is no key.
    #[error("unknown setting `{name}`{}", at(place.as_ref()))]
    UnknownKey {
        /// What was written, cut at 60 characters.
        name: String,
        /// Where; `None` if it was asked for on the command line.
        place: Option<Origin>,
        /// The key whose name is nearest.
        nearest: Key,
    },
    /// A section in the file, which has none.
    #[error("`[{name}]` in {place} is a section, and this file has none")]
    Section {
        /// Its name, cut at 60 characters.
        name: String,
        /// Where.
        place: Origin,
    },
    /// A value that its key cannot have.
    #[error("the value of `{key}` ({origin}) cannot be used: {problem}")]
    BadValue {
        /// The key.
        key: Key,
        /// Where the value was written.
        origin: Origin,
        /// What is wrong with it. Part of the message, so it is no `source` beside.
        problem: ValueError,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column} is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The character within the line, counted from 1.
        column: usize,
        /// What the reader expected. Never quotes the line, which may hold the secret.
        message: String,
    },
    /// The file holds bytes that are not UTF-8.
    #[error("{}:{line} is not UTF-8 text", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first such byte, counted from 1.
        line: usize,
    },
    /// The file is larger than [`crate::CONFIG_BYTES_MAX`].
    #[error("{} is too large for a configuration file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file that somebody named is not there.
    #[error("the configuration file {} (named by {named_by}) does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Who named it.
        named_by: NamedBy,
    },
    /// The file exists and could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file could not be written; it is as it was.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has been changing the settings for several seconds.
    #[error("another process is changing the settings in {}", folder.display())]
    Busy {
        /// The folder of the file.
        folder: PathBuf,
    },
    /// There is no home folder, and nothing else says where something belongs.
    #[error("there is no home folder, so `{wanted}` has no place")]
    NoHome {
        /// The key, or the file, that has no place.
        wanted: &'static str,
    },
    /// One or two of the three settings of a server are set.
    #[error(
        "the sync server is only half set up: {} set, {} missing",
        listed(present.iter().map(|(key, _)| *key)),
        listed(missing.iter().copied())
    )]
    IncompleteServer {
        /// What is set, and where.
        present: Vec<(Key, Origin)>,
        /// What is missing.
        missing: Vec<Key>,
    },
    /// Standard input, or the file of a `file:PATH`, could not be read.
    #[error("cannot read the value of `{key}` from {from}")]
    ReadValue {
        /// The key.
        key: Key,
        /// `standard input` or the file.
        from: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Standard input, or the file of a `file:PATH`, goes on and on.
    #[error("the value of `{key}` from {from} is longer than {SOURCE_BYTES_MAX} bytes")]
    ValueTooLong {
        /// The key.
        key: Key,
        /// `standard input` or the file.
        from: String,
    },
}

impl SettingsError {
    /// What the person can do about it, in a sentence or two.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownKey { name, nearest, .. } => {
                // Far from everything: a guess would only mislead.
                if edit_distance(name, nearest.name()) > nearest.name().len() / 2 {
                    return format!("The settings are: {}.", listed(Key::ALL.iter().copied()));
                }
                format!("Did you mean `{nearest}`?")
            }
            Self::Section { .. } => {
                "Leave the line with its name out: settings stand without one. Those of `ta serve` are \
                 in a file of their own, tandem/serve.toml."
                    .to_owned()
            }
            Self::BadValue { problem, .. } => problem.hint(),
            Self::Syntax { .. } => {
                "Write one setting a line, as in: server_dir = \"/path\"".to_owned()
            }
            Self::NotUtf8 { .. } => "Save the file as UTF-8.".to_owned(),
            Self::TooLarge { .. } => "Name another file with --config or TA_CONFIG.".to_owned(),
            Self::Missing { named_by: NamedBy::Flag, .. } => {
                "Name an existing file, or make it with `ta --config FILE config set …`.".to_owned()
            }
            Self::Missing { .. } => "Correct or remove TA_CONFIG.".to_owned(),
            Self::Read { .. } | Self::Write { .. } => {
                "Check that the file and its folder are yours and the disk has room.".to_owned()
            }
            Self::Busy { .. } => "Try again in a moment.".to_owned(),
            Self::NoHome { .. } => {
                "Set HOME, or name the place with --config, TA_DATA_DIR or TA_SERVER_DIR."
                    .to_owned()
            }
            Self::IncompleteServer { present, missing } => incomplete_hint(present, missing),
            Self::ReadValue { .. } => {
                "Give the value as `-` (standard input) or file:PATH, or on the line.".to_owned()
            }
            Self::ValueTooLong { .. } => "Name a file that holds the value alone.".to_owned(),
        }
    }
}

/// Why a text or a TOML value cannot be the value of a key. Carries nothing of it but a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Another type of TOML value.
    #[error("expected {}, found {found}", expected(*kind))]
    WrongType {
        /// What the key's values look like.
        kind: Kind,
        /// TOML's word for what is there.
        found: &'static str,
    },
    /// No characters.
    #[error("it is empty")]
    Empty,
    /// Bytes that are not UTF-8, in the environment.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// Not a truth value.
    #[error("it is neither true nor false")]
    NotBool,
    /// Not a whole number, or out of bounds.
    #[error("expected a whole number from {min} to {max}")]
    NotInRange {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// `~name/…`.
    #[error("`~` with a name is not understood")]
    OtherHome,
    /// `~/…` where there is no home folder.
    #[error("there is no home folder for `~/`")]
    NoHome,
    /// A relative path where there is no working folder.
    #[error("it is a relative path, and there is no working folder")]
    RelativePath,
    /// Not the address of a server.
    #[error("{0}")]
    ServerOrigin(ServerOriginError),
    /// `file:PATH` or `-` where a secret itself is wanted.
    #[error("it names a place to read a secret from, and is not the secret")]
    SecretSource,
    /// White space in or around a client key.
    #[error("it contains white space or a line break")]
    WhiteSpaceInClientKey,
    /// Not a UUID.
    #[error("it is not a UUID")]
    NotClientKey,
    /// A file that should hold certificates, and does not.
    #[error("{}: {what}", path.display())]
    NoCertificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file in the place of a folder.
    #[error("{} is a file, and not a folder", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// Not fit for a secret.
    #[error("{0}")]
    Secret(SecretError),
}

impl ValueError {
    /// What the person can do about it, in a sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::WrongType { kind: Kind::Bool, .. } => "Write true or false without quotes.".into(),
            Self::WrongType { kind: Kind::Number { .. }, .. } => {
                "Write a whole number without quotes.".into()
            }
            Self::WrongType { .. } => "Write the value in quotes.".into(),
            Self::Empty => "Give a value, or remove it with `ta config unset KEY`.".into(),
            Self::NotUtf8 => "Set the variable anew.".into(),
            Self::NotBool => "Give true or false.".into(),
            Self::NotInRange { min, max } => format!("Give a number from {min} to {max}."),
            Self::OtherHome | Self::NoHome | Self::RelativePath => "Give the whole path.".into(),
            Self::ServerOrigin(error) => error.hint().into(),
            Self::WhiteSpaceInClientKey => {
                "Remove the blanks or line breaks; copying often adds one at the end.".into()
            }
            Self::NotClientKey => {
                "Give the client key as the server's operator gave it: 32 hexadecimal digits, with or \
                 without dashes."
                    .into()
            }
            Self::NoCertificates { .. } => {
                "Name a PEM file: its certificates begin with -----BEGIN CERTIFICATE-----. Without \
                 `ca_file` the system's certificates are trusted: ta config unset ca_file"
                    .into()
            }
            Self::NoFolder { .. } => "Name a folder; it is made when it is first needed.".into(),
            Self::Secret(error) => error.hint().into(),
            Self::SecretSource => {
                "Only `ta config set` reads from `-` and `file:PATH`; put the secret itself here.".into()
            }
        }
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Path => "a path in quotes",
        Kind::ServerOrigin => "an address in quotes",
        Kind::ClientKey => "a UUID in quotes",
        Kind::Secret => "a text in quotes",
        Kind::Bool => "true or false",
        Kind::Number { .. } => "a whole number",
    }
}

fn at(place: Option<&Origin>) -> String {
    place.map(|place| format!(" in {place}")).unwrap_or_default()
}

fn listed(keys: impl Iterator<Item = Key>) -> String {
    keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn incomplete_hint(present: &[(Key, Origin)], missing: &[Key]) -> String {
    let mut hint = String::from("Set what is missing:");
    for (index, key) in missing.iter().enumerate() {
        let value = match key {
            // On the line it would end up in the shell's history.
            Key::EncryptionSecret => "-",
            _ => "VALUE",
        };
        let and = if index == 0 { "" } else { " and" };
        hint.push_str(&format!("{and} `ta config set {key} {value}`"));
    }
    hint.push_str("; or to sync through a local folder, remove");
    for (index, (key, origin)) in present.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        hint.push_str(&format!("{comma} `{key}` ({origin})"));
    }
    hint.push('.');
    hint
}
