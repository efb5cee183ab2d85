//! The settings in force: default, file and environment laid over each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tandem_core::edit_distance;

use crate::certificates;
use crate::environment::Environment;
use crate::error::SettingsError;
use crate::file::{ConfigFile, NamedBy, parse, read_text};
use crate::key::{DefaultValue, Key};
use crate::notice::Warning;
use crate::origin::{Origin, Setting};
use crate::remote::RemoteSettings;
use crate::value::{Context, Relative, Value, from_text};
use crate::write;

/// The settings in force. `Debug` shows no hidden value.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<Key, Setting>,
    file: Option<ConfigFile>,
    warnings: Vec<Warning>,
}

/// One line of `ta config list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: Key,
    /// The value as people may see it (hidden ones hidden), or `None` if the key is not set.
    pub shown: Option<String>,
    /// Where the value comes from; `None` if the key is not set.
    pub origin: Option<Origin>,
}

impl Settings {
    /// Reads the file and the environment.
    ///
    /// The file is the flag's (`--config`), else that of `TA_CONFIG`, else `tandem/config.toml` in
    /// the XDG config directory. The last may be absent; a file that somebody named may not.
    ///
    /// # Errors
    /// Everything that is wrong with the file, and values of the environment that their keys cannot
    /// have. The first one is told; nothing is half in force.
    pub fn load(
        environment: &Environment,
        config_flag: Option<&Path>,
    ) -> Result<Self, SettingsError> {
        let mut values = defaults(environment);
        let mut warnings = Vec::new();
        // Without a home folder there is no usual place, and that is as good as no file there.
        let file = ConfigFile::locate(environment, config_flag).ok();
        if let Some(file) = &file {
            match read_text(&file.path)? {
                Some(text) => {
                    let settings = parse(&file.path, &text, environment)?;
                    let has_hidden = settings.iter().any(|(key, _)| key.is_hidden());
                    values.extend(settings);
                    if has_hidden && let Some(mode) = write::wide_mode(&file.path) {
                        warnings.push(Warning::WideMode { path: file.path.clone(), mode });
                    }
                }
                None if file.named_by == NamedBy::Default => {}
                None => {
                    let ConfigFile { path, named_by } = file.clone();
                    return Err(SettingsError::Missing { path, named_by });
                }
            }
        }
        let context = Context { environment, relative: Relative::Kept };
        for key in Key::ALL.iter().copied() {
            let variable = key.variable();
            let Some(text) = environment.variable(&variable) else { continue };
            let origin = Origin::Environment { variable };
            match from_text(key.kind(), text, context) {
                Ok(value) => values.insert(key, Setting { value, origin }),
                Err(problem) => return Err(SettingsError::BadValue { key, origin, problem }),
            };
        }
        warnings.extend(unknown_variables(environment));
        if let Some(Value::ServerOrigin(origin)) = values.get(&Key::ServerOrigin).map(|s| &s.value)
            && !origin.is_https()
            && !origin.is_loopback()
        {
            warnings.push(Warning::ClearOrigin { host: origin.host().to_owned() });
        }
        Ok(Self { values, file, warnings })
    }

    /// The value of a key and where it comes from; `None` if it is not set and has no default.
    pub fn get(&self, key: Key) -> Option<&Setting> {
        self.values.get(&key)
    }

    /// Every key with its value and origin, hidden values hidden, in the order of [`Key::ALL`].
    pub fn list(&self) -> Vec<Listed> {
        let listed = |key: &Key| {
            let setting = self.get(*key);
            Listed {
                key: *key,
                shown: setting.map(|setting| setting.value.to_string()),
                origin: setting.map(|setting| setting.origin.clone()),
            }
        };
        Key::ALL.iter().map(listed).collect()
    }

    /// The configuration file, whether it exists or not; `None` without a home folder.
    pub fn file(&self) -> Option<&ConfigFile> {
        self.file.as_ref()
    }

    /// What may not be meant; for standard error, once per command.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The folder of the replica: by default `tandem` in the XDG data directory.
    ///
    /// # Errors
    /// [`SettingsError::NoHome`] if it is not set and there is no home folder.
    pub fn data_dir(&self) -> Result<PathBuf, SettingsError> {
        self.folder(Key::DataDir)
    }

    /// The folder of the local remote: by default `taskchampion-sync-server` in the XDG data
    /// directory, whatever `data_dir` is.
    ///
    /// # Errors
    /// [`SettingsError::NoHome`] if it is not set and there is no home folder.
    pub fn server_dir(&self) -> Result<PathBuf, SettingsError> {
        self.folder(Key::ServerDir)
    }

    /// What `ta sync` talks to: the server if its three keys are set, the folder if none is.
    ///
    /// # Errors
    /// [`SettingsError::IncompleteServer`] if one or two of the three are set: syncing with the
    /// folder then would look like success. [`SettingsError::NoHome`] as for [`Self::server_dir`].
    pub fn remote(&self) -> Result<RemoteSettings, SettingsError> {
        let keys = [Key::ServerOrigin, Key::ServerClientKey, Key::EncryptionSecret];
        match keys.map(|key| self.get(key).map(|setting| setting.value.clone())) {
            [
                Some(Value::ServerOrigin(origin)),
                Some(Value::ClientKey(client_key)),
                Some(Value::Secret(secret)),
            ] => Ok(RemoteSettings::Server { origin, client_key, secret }),
            [None, None, None] => Ok(RemoteSettings::Directory(self.server_dir()?)),
            _ => {
                let origin = |key| Some((key, self.get(key)?.origin.clone()));
                Err(SettingsError::IncompleteServer {
                    present: keys.into_iter().filter_map(origin).collect(),
                    missing: keys.into_iter().filter(|key| self.get(*key).is_none()).collect(),
                })
            }
        }
    }

    /// True if snapshots are made only when the server needs one urgently.
    pub fn avoid_snapshots(&self) -> bool {
        matches!(self.get(Key::AvoidSnapshots), Some(Setting { value: Value::Bool(true), .. }))
    }

    /// A PEM file of certificates to trust instead of the system's.
    pub fn ca_file(&self) -> Option<&Path> {
        match &self.get(Key::CaFile)?.value {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The same file, looked at: for whoever is about to use it.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] if it is not there or holds no certificate.
    pub fn checked_ca_file(&self) -> Result<Option<&Path>, SettingsError> {
        let Some(path) = self.ca_file() else { return Ok(None) };
        let key = Key::CaFile;
        let origin = self.get(key).map_or(Origin::Default, |setting| setting.origin.clone());
        certificates::check(path).map_err(|problem| SettingsError::BadValue {
            key,
            origin,
            problem,
        })?;
        Ok(Some(path))
    }

    /// How long to wait for a connection to the server.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.number(Key::ConnectTimeoutSeconds))
    }

    /// How long to wait for the server to send something.
    pub fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.number(Key::ReadTimeoutSeconds))
    }

    /// How many days of synchronised changes the replica remembers.
    pub fn history_days(&self) -> u64 {
        self.number(Key::HistoryDays)
    }

    /// How many of the last commands the replica remembers, however old.
    pub fn history_commands(&self) -> u64 {
        self.number(Key::HistoryCommands)
    }

    /// How many tasks a command may change before it asks a person; 0 never asks.
    pub fn confirm_more_than(&self) -> u64 {
        self.number(Key::ConfirmMoreThan)
    }

    fn folder(&self, key: Key) -> Result<PathBuf, SettingsError> {
        match self.get(key).map(|setting| &setting.value) {
            Some(Value::Path(path)) => Ok(path.clone()),
            _ => Err(SettingsError::NoHome { wanted: key.name() }),
        }
    }

    fn number(&self, key: Key) -> u64 {
        match self.get(key).map(|setting| &setting.value) {
            Some(Value::Number(number)) => *number,
            _ => unreachable!("every number has a default in the table"),
        }
    }
}

fn defaults(environment: &Environment) -> BTreeMap<Key, Setting> {
    let data_home = environment.data_home();
    let value = |key: Key| match key.default_value() {
        DefaultValue::Unset => None,
        DefaultValue::DataFolder(name) => Some(Value::Path(data_home.as_ref()?.join(name))),
        DefaultValue::Bool(value) => Some(Value::Bool(value)),
        DefaultValue::Number(number) => Some(Value::Number(number)),
    };
    let setting =
        |key: &Key| Some((*key, Setting { value: value(*key)?, origin: Origin::Default }));
    Key::ALL.iter().filter_map(setting).collect()
}

/// Variables that are nearly one of ours. Others that begin with `TA_` may belong to anybody.
fn unknown_variables(environment: &Environment) -> Vec<Warning> {
    let mut known: Vec<String> = Key::ALL.iter().map(|key| key.variable()).collect();
    known.push("TA_CONFIG".to_owned());
    let is_unknown = |name: &&str| !known.iter().any(|known| known == name);
    let warning = |name: &str| {
        let nearest = known.iter().min_by_key(|known| edit_distance(name, known))?;
        (edit_distance(name, nearest) <= 2).then(|| Warning::UnknownVariable {
            variable: name.to_owned(),
            nearest: nearest.clone(),
        })
    };
    environment.variable_names().filter(is_unknown).filter_map(warning).collect()
}
