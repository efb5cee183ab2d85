//! What is worth saying though nothing failed.

use std::fmt;
use std::path::PathBuf;

use tandem_seal::Weakness;

use crate::key::Key;

/// Something about the settings in force that may not be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The server is elsewhere and the connection is not encrypted.
    ClearOrigin {
        /// The server's host.
        host: String,
    },
    /// Others may read a file that holds a secret.
    WideMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A variable that looks like a mistyped one of ours, and does nothing.
    UnknownVariable {
        /// Its name.
        variable: String,
        /// The variable that may have been meant.
        nearest: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClearOrigin { host } => write!(
                f,
                "the connection to {host} is not encrypted: tasks are sealed, but the client key \
                 travels in the clear. Use https:// if the server can."
            ),
            Self::WideMode { path, mode } => write!(
                f,
                "{} holds a secret and others may read it (mode {mode:o}). Close it with: chmod 600 {}",
                path.display(),
                path.display()
            ),
            Self::UnknownVariable { variable, nearest } => {
                write!(f, "{variable} is set and means nothing. Was {nearest} meant?")
            }
        }
    }
}

/// Something that an edit did besides, or that the person should know after it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A secret was typed on the command line.
    SecretOnLine {
        /// The key.
        key: Key,
    },
    /// The secret is easily guessed.
    WeakSecret(Weakness),
    /// The file could be read by others and now holds a secret, so it was closed.
    Tightened {
        /// The file.
        path: PathBuf,
        /// Its permission bits before.
        mode_before: u32,
    },
    /// A variable of the environment sets the same key and wins.
    Overridden {
        /// The variable.
        variable: String,
    },
    /// The new server is elsewhere and the connection is not encrypted.
    ClearOrigin {
        /// The server's host.
        host: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretOnLine { key } => write!(
                f,
                "the value was typed on the line, so your shell may have kept it. Next time: \
                 `ta config set {key} -` or file:PATH."
            ),
            Self::WeakSecret(weakness) => write!(f, "{weakness}."),
            Self::Tightened { path, mode_before } => write!(
                f,
                "{} holds a secret now: its mode was {mode_before:o} and is 600.",
                path.display()
            ),
            Self::Overridden { variable } => {
                write!(f, "{variable} is set in the environment and wins over the file.")
            }
            Self::ClearOrigin { host } => Warning::ClearOrigin { host: host.clone() }.fmt(f),
        }
    }
}
