//! How a server is to be run, read from words and variables: the reference's own, and a few of ours.
//!
//! | flag | variable | default |
//! | --- | --- | --- |
//! | `-l`, `--listen ADDRESS:PORT` (repeatable, commas) | `LISTEN` | `127.0.0.1:8080` |
//! | `-d`, `--data-dir FOLDER` | `DATA_DIR` | given by the program |
//! | `-C`, `--allow-client-id UUID` (repeatable, commas) | `CLIENT_ID` | everybody |
//! | `--no-create-clients` | `CREATE_CLIENTS=false` | clients are made |
//! | `--snapshot-versions N` | `SNAPSHOT_VERSIONS` | 100 |
//! | `--snapshot-days N` | `SNAPSHOT_DAYS` | 14 |
//! | `--grace-days N` | | 180 |
//! | `--versions-kept N` | | 5 |
//! | `--allow-open-registration` | | refused away from loopback |
//!
//! # Source
//! `protocols/taskchampion.md` section 17.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use tandem_core::ClientId;
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::serve::retention::{Rules, VERSIONS_MIN};

use crate::access::Access;

/// Where a server listens unless told otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Addresses or names with ports, at least one.
    pub listen: Vec<String>,
    /// The folder of the database; none where the program's default is meant.
    pub data_dir: Option<PathBuf>,
    /// Who is served.
    pub access: Access,
    /// Strangers may register, unencrypted, from other machines.
    pub is_open_on_purpose: bool,
    /// When snapshots are asked for.
    pub targets: SnapshotTargets,
    /// How long history is kept.
    pub rules: Rules,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![LISTEN_DEFAULT.to_owned()],
            data_dir: None,
            access: Access::default(),
            is_open_on_purpose: false,
            targets: SnapshotTargets::default(),
            rules: Rules::default(),
        }
    }
}

/// Why a configuration cannot be used. Client ids are in none of the texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A word that means nothing here.
    #[error("`{word}` means nothing to the server")]
    UnknownWord {
        /// The word, as it was written.
        word: String,
    },
    /// A flag stands without its value.
    #[error("`{name}` needs a value")]
    NoValue {
        /// The flag.
        name: String,
    },
    /// A value is not what the flag or variable takes.
    #[error("{name} takes {wanted}")]
    BadValue {
        /// The flag or variable.
        name: String,
        /// What would do.
        wanted: &'static str,
    },
}

impl Config {
    /// Reads variables, then flags, which win. `variable` tells the value of one.
    ///
    /// # Errors
    /// The first thing that cannot be understood.
    pub fn read(
        words: &[String],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(listen) = set("LISTEN") {
            config.listen = list(&listen);
        }
        config.data_dir = set("DATA_DIR").map(PathBuf::from);
        if let Some(ids) = set("CLIENT_ID") {
            config.access.allowed = Some(client_ids("CLIENT_ID", &ids)?);
        }
        if let Some(value) = set("CREATE_CLIENTS") {
            config.access.may_create = truth("CREATE_CLIENTS", &value)?;
        }
        if let Some(value) = set("SNAPSHOT_VERSIONS") {
            config.targets.versions = number("SNAPSHOT_VERSIONS", &value)?;
        }
        if let Some(value) = set("SNAPSHOT_DAYS") {
            config.targets.days = number("SNAPSHOT_DAYS", &value)?;
        }
        config.take_flags(words)?;
        Ok(config)
    }

    fn take_flags(&mut self, words: &[String]) -> Result<(), ConfigError> {
        // Lists of flags take the place of those of variables, and add to one another.
        let (mut listen, mut allowed) = (Vec::new(), None::<BTreeSet<ClientId>>);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let has_value = attached.is_some();
            let mut value = || {
                attached
                    .clone()
                    .or_else(|| words.next().cloned())
                    .ok_or_else(|| ConfigError::NoValue { name: name.to_owned() })
            };
            match name {
                "-l" | "--listen" => listen.extend(list(&value()?)),
                "-d" | "--data-dir" => self.data_dir = Some(value()?.into()),
                "-C" | "--allow-client-id" => {
                    allowed.get_or_insert_default().extend(client_ids(name, &value()?)?);
                }
                "--snapshot-versions" => self.targets.versions = number(name, &value()?)?,
                "--snapshot-days" => self.targets.days = number(name, &value()?)?,
                "--grace-days" => self.rules.grace_days = number(name, &value()?)?,
                "--versions-kept" => {
                    self.rules.versions_min = number(name, &value()?)?;
                    if self.rules.versions_min < VERSIONS_MIN {
                        let wanted = "a number of versions, at least 5";
                        return Err(ConfigError::BadValue { name: name.to_owned(), wanted });
                    }
                }
                "--no-create-clients" if !has_value => self.access.may_create = false,
                "--allow-open-registration" if !has_value => self.is_open_on_purpose = true,
                // A word may be a client id that lost its flag: it is not repeated.
                _ if word.parse::<ClientId>().is_ok() => {
                    return Err(ConfigError::UnknownWord { word: "a client id".to_owned() });
                }
                _ => return Err(ConfigError::UnknownWord { word: name.to_owned() }),
            }
        }
        if !listen.is_empty() {
            self.listen = listen;
        }
        if allowed.is_some() {
            self.access.allowed = allowed;
        }
        Ok(())
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn client_ids(name: &str, text: &str) -> Result<BTreeSet<ClientId>, ConfigError> {
    let ids: Option<BTreeSet<ClientId>> = list(text).iter().map(|id| id.parse().ok()).collect();
    let bad = || ConfigError::BadValue { name: name.to_owned(), wanted: "client ids (UUIDs)" };
    ids.filter(|ids| !ids.is_empty()).ok_or_else(bad)
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, ConfigError> {
    let bad = |_| ConfigError::BadValue { name: name.to_owned(), wanted: "a whole number" };
    text.trim().parse().map_err(bad)
}

fn truth(name: &str, text: &str) -> Result<bool, ConfigError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ConfigError::BadValue { name: name.to_owned(), wanted: "true or false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-2222-4333-8444-555555555555";
    const TWO: &str = "99999999222243338444555555555555";

    fn read(line: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Config::read(&words, |name| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_said_is_loopback_and_the_references_numbers() {
        let config = read("", &[]).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.listen, ["127.0.0.1:8080"]);
        assert_eq!((config.targets.versions, config.targets.days), (100, 14));
        assert_eq!((config.rules.grace_days, config.rules.versions_min), (180, 5));
    }

    #[test]
    fn the_references_flags_and_variables_mean_what_they_mean_there() {
        let flags = format!(
            "-l 127.0.0.1:1,[::1]:2 --listen host:3 -d /data -C {ONE} --allow-client-id={TWO} \
             --no-create-clients --snapshot-versions 7 --snapshot-days=3"
        );
        let config = read(&flags, &[]).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:1", "[::1]:2", "host:3"]);
        assert_eq!(config.data_dir, Some("/data".into()));
        assert_eq!(config.access.allowed.as_ref().unwrap().len(), 2);
        assert!(!config.access.may_create);
        assert_eq!((config.targets.versions, config.targets.days), (7, 3));
        let ids = format!("{ONE},{TWO}");
        let variables = [
            ("LISTEN", "127.0.0.1:1, [::1]:2,host:3"),
            ("DATA_DIR", "/data"),
            ("CLIENT_ID", ids.as_str()),
            ("CREATE_CLIENTS", "false"),
            ("SNAPSHOT_VERSIONS", "7"),
            ("SNAPSHOT_DAYS", "3"),
        ];
        assert_eq!(read("", &variables).unwrap(), config, "both ways say the same");
        let both = read("-l other:9 --snapshot-days 30", &variables).unwrap();
        assert_eq!((both.listen, both.targets.days), (vec!["other:9".to_owned()], 30));
        assert_eq!(both.targets.versions, 7, "flags win, one by one");
    }

    #[test]
    fn what_is_not_understood_is_named_and_ids_are_not_repeated() {
        for (line, text) in [
            ("--lisen x", "`--lisen` means nothing to the server"),
            ("--listen", "`--listen` needs a value"),
            ("--snapshot-days soon", "--snapshot-days takes a whole number"),
            ("--versions-kept 4", "--versions-kept takes a number of versions, at least 5"),
            ("-C me", "-C takes client ids (UUIDs)"),
            ("-C ,", "-C takes client ids (UUIDs)"),
            ("--no-create-clients=yes", "`--no-create-clients` means nothing to the server"),
            (ONE, "`a client id` means nothing to the server"),
        ] {
            assert_eq!(read(line, &[]).unwrap_err().to_string(), text, "{line}");
        }
        assert!(read("", &[("CREATE_CLIENTS", "perhaps")]).is_err());
        let half = format!("-C {ONE},x");
        assert!(!read(&half, &[]).unwrap_err().to_string().contains("1111"));
    }
}
