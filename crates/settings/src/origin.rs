//! Where a value comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::value::Value;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file.
    File {
        /// The file as it was named, links not followed.
        path: Arc<Path>,
        /// The line of the key, counted from 1.
        line: usize,
    },
    /// In the environment.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// On the command line (`ta config set`).
    CommandLine,
    /// On standard input (`ta config set KEY -`).
    StandardInput,
    /// In a file of its own (`ta config set KEY file:PATH`, or a program's settings taken over).
    OtherFile {
        /// The file.
        path: Arc<Path>,
    },
}

impl fmt::Display for Origin {
    /// `default`, `FILE:LINE`, the variable's name, `command line`, `standard input`, or `FILE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => f.write_str(variable),
            Self::CommandLine => f.write_str("command line"),
            Self::StandardInput => f.write_str("standard input"),
            Self::OtherFile { path } => write!(f, "{}", path.display()),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value, checked and in its normal form.
    pub value: Value,
    /// Where it was set.
    pub origin: Origin,
}
