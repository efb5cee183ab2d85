//! The table of keys: one row says all about a key.

use std::fmt;
use std::str::FromStr;

use crate::error::SettingsError;

/// What a key's values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A file or folder. A leading `~/` is the home folder; in the file, a relative path starts at
    /// the file's folder.
    Path,
    /// The address of a sync server.
    ServerOrigin,
    /// A UUID that names a task history at a server, and opens it.
    ClientKey,
    /// The text from which keys are derived.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number within inclusive bounds.
    Number {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
}

/// As the reference lists it: `1 to 3,600`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::ServerOrigin => f.write_str("address"),
            Self::ClientKey => f.write_str("UUID"),
            Self::Secret => f.write_str("secret"),
            Self::Bool => f.write_str("`true`, `false`"),
            Self::Number { min, max } => write!(f, "{} to {}", grouped(*min), grouped(*max)),
        }
    }
}

/// A number with its thousands apart: `1,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What holds where nobody set anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    /// Nothing: the feature is off.
    Unset,
    /// A folder of this name in the XDG data directory.
    DataFolder(&'static str),
    Bool(bool),
    Number(u64),
}

struct Row {
    name: &'static str,
    kind: Kind,
    default: DefaultValue,
    help: &'static str,
}

macro_rules! keys {
    ($($key:ident $name:literal, $kind:expr, $default:expr, $help:literal;)*) => {
        /// A key of the configuration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Key {
            $(#[doc = $help] $key,)*
        }

        impl Key {
            /// Every key, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$key,)*];

            fn row(self) -> Row {
                match self {
                    $(Self::$key => Row { name: $name, kind: $kind, default: $default, help: $help },)*
                }
            }
        }
    };
}

use DefaultValue::{Bool, DataFolder, Number, Unset};

// New keys are added here, and nowhere else (a typed accessor in `settings.rs` if code asks for it).
// A name is never used again for another meaning.
keys! {
    DataDir "data_dir", Kind::Path, DataFolder("tandem"),
        "The folder of the task list (the replica).";
    ServerDir "server_dir", Kind::Path, DataFolder("taskchampion-sync-server"),
        "The folder through which replicas on this machine are kept in step, when no server is set.";
    ServerOrigin "server_origin", Kind::ServerOrigin, Unset,
        "The address of the sync server, as its operator gave it.";
    ServerClientKey "server_client_key", Kind::ClientKey, Unset,
        "The client key (a UUID) that the server's operator gave.";
    EncryptionSecret "encryption_secret", Kind::Secret, Unset,
        "The secret that all replicas of one list share; the server never sees it.";
    AvoidSnapshots "avoid_snapshots", Kind::Bool, Bool(false),
        "Make a snapshot only when the server needs one urgently.";
    CaFile "ca_file", Kind::Path, Unset,
        "A PEM file of certificates to trust instead of the system's.";
    ConnectTimeoutSeconds "connect_timeout_seconds", Kind::Number { min: 1, max: 3_600 }, Number(10),
        "How long to wait for a connection to the server, in seconds.";
    ReadTimeoutSeconds "read_timeout_seconds", Kind::Number { min: 1, max: 86_400 }, Number(60),
        "How long to wait for the server to send something, in seconds.";
    HistoryDays "history_days", Kind::Number { min: 0, max: 36_500 }, Number(90),
        "How many days of synchronised changes this replica remembers.";
    HistoryCommands "history_commands", Kind::Number { min: 0, max: 1_000_000_000 }, Number(1_000),
        "How many of the last commands this replica remembers, however old.";
    ConfirmMoreThan "confirm_more_than", Kind::Number { min: 0, max: 1_000_000 }, Number(3),
        "How many tasks a command may change before it asks, on a terminal; 0 never asks.";
}

impl Key {
    /// The spelling in the file and on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The variable of the environment that sets this key: `TA_` and the name in capitals.
    pub fn variable(self) -> String {
        format!("TA_{}", self.name().to_ascii_uppercase())
    }

    /// What its values look like.
    pub fn kind(self) -> Kind {
        self.row().kind
    }

    /// What the key is for, in one sentence for people.
    pub fn help(self) -> &'static str {
        self.row().help
    }

    /// True for keys whose value lets others in: never shown whole, and the file that holds one is
    /// for its owner alone. The client key is one, since the protocol has no other credential.
    pub fn is_hidden(self) -> bool {
        matches!(self.kind(), Kind::Secret | Kind::ClientKey)
    }

    /// What holds where nobody set anything, for people; `None` where that is nothing.
    pub fn default_text(self) -> Option<String> {
        match self.default_value() {
            Unset => None,
            DataFolder(name) => Some(format!("`{name}` in the XDG data directory")),
            Bool(value) => Some(format!("`{value}`")),
            Number(number) => Some(grouped(number)),
        }
    }

    pub(crate) fn default_value(self) -> DefaultValue {
        self.row().default
    }

    /// The key whose name is nearest to `name`, however far that is.
    pub(crate) fn nearest(name: &str) -> Self {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let distance = |key: &&Self| tandem_core::edit_distance(&name, key.name());
        *Self::ALL.iter().min_by_key(distance).expect("the table has rows")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Key {
    type Err = SettingsError;

    /// Reads the one spelling of a key.
    ///
    /// # Errors
    /// [`SettingsError::UnknownKey`] without a place.
    fn from_str(name: &str) -> Result<Self, SettingsError> {
        Self::ALL.iter().copied().find(|key| key.name() == name).ok_or_else(|| {
            SettingsError::UnknownKey {
                name: name.chars().take(60).collect(),
                place: None,
                nearest: Self::nearest(name),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variables_have_one_spelling() {
        for key in Key::ALL {
            assert_eq!(key.name().parse::<Key>().unwrap(), *key);
            assert!(key.variable().starts_with("TA_"));
        }
        assert_eq!(Key::ServerOrigin.variable(), "TA_SERVER_ORIGIN");
        assert!("Server_Origin".parse::<Key>().is_err());
    }

    #[test]
    fn the_nearest_key_is_what_was_meant() {
        for (typed, meant) in [
            ("server_orign", Key::ServerOrigin),
            ("server-origin", Key::ServerOrigin),
            ("client_key", Key::ServerClientKey),
            ("encryption_secert", Key::EncryptionSecret),
            ("datadir", Key::DataDir),
            ("SERVER_DIR", Key::ServerDir),
        ] {
            assert_eq!(Key::nearest(typed), meant, "{typed}");
        }
    }
}
