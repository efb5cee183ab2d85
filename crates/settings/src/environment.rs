//! What the settings need of the world around the process, as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The home and XDG folders, the working folder, and the variables that begin with `TA_`.
///
/// Its `Debug` shows the names of variables and no values.
#[derive(Clone, Default)]
pub struct Environment {
    home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    current_dir: Option<PathBuf>,
    variables: BTreeMap<String, OsString>,
}

impl Environment {
    /// Reads the environment of this process: the one place that does.
    pub fn from_process() -> Self {
        let mut environment = Self::from_variables(std::env::vars_os());
        environment.current_dir = std::env::current_dir().ok();
        if environment.home.is_none() {
            // Cron and service managers may start programs without HOME; the user database knows.
            environment.home = etcetera::home_dir().ok().filter(|home| home.is_absolute());
        }
        #[cfg(windows)]
        if let Ok(native) = etcetera::base_strategy::Windows::new() {
            use etcetera::BaseStrategy as _;
            environment.config_home.get_or_insert_with(|| native.config_dir());
            environment.data_home.get_or_insert_with(|| native.data_dir());
        }
        environment
    }

    /// Makes an environment of variables: `HOME`, `XDG_CONFIG_HOME`, `XDG_DATA_HOME` and `TA_…`;
    /// others are dropped. There is no working folder.
    ///
    /// Relative XDG folders are ignored, as the XDG specification asks; so are empty variables.
    pub fn from_variables<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<OsStr>,
        V: Into<OsString>,
    {
        let mut environment = Self::default();
        for (name, value) in variables {
            let Some(name) = name.as_ref().to_str() else { continue };
            let value: OsString = value.into();
            if value.is_empty() {
                continue;
            }
            let absolute = || Some(PathBuf::from(&value)).filter(|path| path.is_absolute());
            match name {
                "HOME" => environment.home = absolute(),
                "XDG_CONFIG_HOME" => environment.config_home = absolute(),
                "XDG_DATA_HOME" => environment.data_home = absolute(),
                _ if name.starts_with("TA_") => {
                    environment.variables.insert(name.to_owned(), value);
                }
                _ => {}
            }
        }
        environment
    }

    /// The same with a working folder, from which relative paths on the command line start.
    #[must_use]
    pub fn with_current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// A variable whose name begins with `TA_`. An empty one counts as not set.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// The names of all variables that begin with `TA_` and are not empty.
    pub fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The home folder.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The XDG configuration directory.
    pub fn config_home(&self) -> Option<PathBuf> {
        self.config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// The XDG data directory.
    pub fn data_home(&self) -> Option<PathBuf> {
        self.data_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/share")))
    }

    /// The folder in which the program runs.
    pub fn current_dir(&self) -> Option<&Path> {
        self.current_dir.as_deref()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("home", &self.home)
            .field("config_home", &self.config_home)
            .field("data_home", &self.data_home)
            .field("current_dir", &self.current_dir)
            .field("variables", &self.variables.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_follow_the_xdg_rules() {
        let plain = Environment::from_variables([("HOME", "/home/u")]);
        assert_eq!(plain.config_home(), Some("/home/u/.config".into()));
        assert_eq!(plain.data_home(), Some("/home/u/.local/share".into()));
        let set = Environment::from_variables([
            ("HOME", "/home/u"),
            ("XDG_CONFIG_HOME", "/etc/u"),
            ("XDG_DATA_HOME", "relative"),
        ]);
        assert_eq!(set.config_home(), Some("/etc/u".into()));
        assert_eq!(set.data_home(), Some("/home/u/.local/share".into()));
        let none = Environment::from_variables([("HOME", "")]);
        assert_eq!(none.config_home(), None);
    }

    #[test]
    fn debug_shows_no_values() {
        let environment =
            Environment::from_variables([("TA_ENCRYPTION_SECRET", "hunter2"), ("PATH", "/bin")]);
        let shown = format!("{environment:?}");
        assert!(shown.contains("TA_ENCRYPTION_SECRET"));
        assert!(!shown.contains("hunter2") && !shown.contains("PATH"));
    }
}
