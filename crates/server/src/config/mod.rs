//! How a server is to be run: a file, variables and flags, with one spelling everywhere.
//!
//! ```text
//!   flag        --data-dir FOLDER            wins
//!   variable    TA_SERVE_DATA_DIR            then the reference's own: DATA_DIR
//!   file        data_dir = "FOLDER"          --config FILE, TA_SERVE_CONFIG, or the usual place
//!   default     the table of settings        loses
//! ```
//!
//! [`key`] holds the table; adding a setting is a row there and a field of [`Config`].
//!
//! # Source
//! `protocols/taskchampion.md` section 17 for the reference's flags and variables.

mod error;
mod flags;
pub mod key;
mod layers;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tandem_core::ClientId;
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::serve::retention::Rules;

use crate::access::{Access, Mode};
use crate::database::Database;
use crate::limits::Limits;
use crate::network::Network;
pub use error::ConfigError;
pub use key::Key;
use layers::Layers;
pub use layers::{CONFIG_BYTES_MAX, Origin, Value};

/// Names the configuration file where no flag does.
pub const CONFIG_VARIABLE: &str = "TA_SERVE_CONFIG";

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Addresses or names with ports, at least one.
    pub listen: Vec<String>,
    /// The folder of the database; none where the program's default is meant.
    pub data_dir: Option<PathBuf>,
    /// The PostgreSQL that takes the place of that folder.
    pub database: Option<Database>,
    /// Who is served.
    pub access: Access,
    /// Strangers may register, unencrypted, from other machines.
    pub is_open_on_purpose: bool,
    /// When snapshots are asked for.
    pub targets: SnapshotTargets,
    /// How long history is kept.
    pub rules: Rules,
    /// Where clients reach the server, if somebody said so.
    pub public_url: Option<String>,
    /// A path before all others: empty, or `/…` without a slash at the end.
    pub path_prefix: String,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// The files of certificates and key, if TLS is spoken here.
    pub tls: Option<TlsFiles>,
    /// Addresses for metrics alone.
    pub metrics_listen: Vec<String>,
    /// How long requests are still taken after the server was told to end.
    pub drain_time: Duration,
    /// What is taken from the network.
    pub limits: Limits,
    /// With less room on the disk than this, in bytes, writes are turned away.
    pub disk_room_bytes_min: u64,
    /// What is logged.
    pub log: String,
    layers: Layers,
}

/// Where certificates and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates, the server's first.
    pub certificates: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self::of(Layers::defaults()).expect("the table's defaults are values, as a test shows")
    }
}

/// Where the configuration file is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// The file that somebody named. It must be there.
    pub named: Option<PathBuf>,
    /// The file that is read if nobody names one. It need not be there.
    pub usual: Option<PathBuf>,
}

/// One setting in force, as people may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub key: Key,
    /// Its value; none if it has none; a credential hidden.
    pub value: Option<Value>,
    /// Where the value comes from.
    pub origin: Origin,
}

impl Config {
    /// Reads the file, then variables, then flags. `variable` tells the value of one.
    ///
    /// # Errors
    /// The first thing that cannot be understood.
    pub fn read(
        words: &[String],
        variable: impl Fn(&str) -> Option<String>,
        places: &Places,
    ) -> Result<Self, ConfigError> {
        let (config, rest) = Self::read_some(words, variable, places)?;
        match rest.first() {
            None => Ok(config),
            Some(word) => Err(flags::unknown_word(word)),
        }
    }

    /// The same, giving back the words that are neither flags nor their values.
    ///
    /// # Errors
    /// The first thing that cannot be understood.
    pub fn read_some(
        words: &[String],
        variable: impl Fn(&str) -> Option<String>,
        places: &Places,
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let mut layers = Layers::defaults();
        let by_variable = variable(CONFIG_VARIABLE).filter(|name| !name.is_empty());
        match places.named.clone().or(by_variable.map(PathBuf::from)) {
            Some(path) => layers.take_file(&path)?,
            None => {
                if let Some(path) = places.usual.as_deref().filter(|path| Path::exists(path)) {
                    layers.take_file(path)?;
                }
            }
        }
        layers.take_variables(&variable)?;
        let rest = layers.take_flags(words)?;
        let mut config = Self::of(layers)?;
        let is_on_command_line = matches!(config.origin(Key::Database), Origin::Flag(_));
        config.database = Reader(&config.layers)
            .text(Key::Database)
            .map(|address| Database::new(address, is_on_command_line, &variable));
        Ok((config, rest))
    }

    /// Every setting with its value and origin.
    pub fn shown(&self) -> Vec<Shown> {
        let shown = |key: &Key| {
            let found = self.layers.get(*key);
            let value = found.and_then(|(value, _)| match value {
                Value::Text(text) if text.is_empty() => None,
                Value::Texts(texts) if key.is_hidden() => {
                    Some(Value::Hidden { count: texts.len() })
                }
                // Its address may hold a password.
                _ if key.is_hidden() => Some(Value::Hidden { count: 1 }),
                value => Some(value.clone()),
            });
            let origin = found.map_or(Origin::Default, |(_, origin)| origin.clone());
            Shown { key: *key, value, origin }
        };
        Key::ALL.iter().map(shown).collect()
    }

    /// Where a setting comes from.
    pub fn origin(&self, key: Key) -> Origin {
        self.layers.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    fn of(layers: Layers) -> Result<Self, ConfigError> {
        let read = Reader(&layers);
        let allowed = match layers.get(Key::AllowClientId) {
            None => None,
            Some(_) => Some(read.client_ids(Key::AllowClientId)?),
        };
        let mode = match read.text(Key::Access).as_deref() {
            Some("open") => Mode::Open,
            Some("accounts") => Mode::Accounts,
            _ => return Err(read.bad(Key::Access)),
        };
        let path_prefix = read.text(Key::PathPrefix).unwrap_or_default();
        let path_prefix = path_prefix.trim_end_matches('/').to_owned();
        if !path_prefix.is_empty() && !is_prefix(&path_prefix) {
            return Err(read.bad(Key::PathPrefix));
        }
        let public_url = read.text(Key::PublicUrl).map(|url| url.trim_end_matches('/').to_owned());
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if public_url.as_ref().is_some_and(|url| !is_url(url)) {
            return Err(read.bad(Key::PublicUrl));
        }
        let proxies = read.texts(Key::TrustedProxy);
        let trusted_proxies = proxies
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| read.bad(Key::TrustedProxy))?;
        let tls = match (read.text(Key::TlsCert), read.text(Key::TlsKey)) {
            (None, None) => None,
            (Some(certificates), Some(key)) => {
                Some(TlsFiles { certificates: certificates.into(), key: key.into() })
            }
            (Some(_), None) => return Err(read.half(Key::TlsCert, Key::TlsKey)),
            (None, Some(_)) => return Err(read.half(Key::TlsKey, Key::TlsCert)),
        };
        let listen = read.texts(Key::Listen);
        if listen.is_empty() {
            return Err(read.bad(Key::Listen));
        }
        let targets = SnapshotTargets {
            versions: read.number_u32(Key::SnapshotVersions),
            days: read.number_u32(Key::SnapshotDays),
        };
        let rules = Rules {
            grace_days: read.number_u32(Key::GraceDays),
            versions_min: read.number_u32(Key::VersionsKept),
        };
        Ok(Self {
            listen,
            data_dir: read.text(Key::DataDir).map(PathBuf::from),
            database: None,
            access: Access { allowed, may_create: read.is_set(Key::CreateClients), mode },
            is_open_on_purpose: read.is_set(Key::AllowOpenRegistration),
            targets,
            rules,
            public_url,
            path_prefix,
            trusted_proxies,
            tls,
            metrics_listen: read.texts(Key::MetricsListen),
            limits: Limits {
                body_bytes_max: read.size(Key::BodyMibMax).saturating_mul(1024 * 1024),
                requests_max: read.size(Key::RequestsMax),
                connections_max: read.size(Key::ConnectionsMax),
                ..Limits::default()
            },
            drain_time: Duration::from_secs(read.number(Key::DrainSeconds)),
            disk_room_bytes_min: read.number(Key::DiskRoomMbMin).saturating_mul(1_000_000),
            log: read.text(Key::Log).unwrap_or_default(),
            layers,
        })
    }
}

/// Whether a path can stand before all others: as clients write it, and none that supervisors ask for
/// beside it.
fn is_prefix(path: &str) -> bool {
    let is_name = |name: &str| {
        !["", ".", ".."].contains(&name)
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    let mut names = path.strip_prefix('/').unwrap_or_default().split('/');
    names.all(is_name) && !["/healthz", "/readyz", "/metrics"].contains(&path)
}

/// Values by what their kinds hold.
struct Reader<'a>(&'a Layers);

impl Reader<'_> {
    fn text(&self, key: Key) -> Option<String> {
        match self.0.get(key) {
            Some((Value::Text(text), _)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    fn texts(&self, key: Key) -> Vec<String> {
        match self.0.get(key) {
            Some((Value::Texts(texts), _)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    fn is_set(&self, key: Key) -> bool {
        matches!(self.0.get(key), Some((Value::Bool(true), _)))
    }

    fn number(&self, key: Key) -> u64 {
        match self.0.get(key) {
            Some((Value::Number(number), _)) => *number,
            _ => 0,
        }
    }

    fn size(&self, key: Key) -> usize {
        usize::try_from(self.number(key)).unwrap_or(usize::MAX)
    }

    fn number_u32(&self, key: Key) -> u32 {
        u32::try_from(self.number(key)).unwrap_or(u32::MAX)
    }

    fn client_ids(&self, key: Key) -> Result<BTreeSet<ClientId>, ConfigError> {
        let ids: Option<BTreeSet<ClientId>> =
            self.texts(key).iter().map(|id| id.parse().ok()).collect();
        ids.filter(|ids| !ids.is_empty()).ok_or_else(|| self.bad(key))
    }

    fn origin(&self, key: Key) -> Origin {
        self.0.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    fn bad(&self, key: Key) -> ConfigError {
        ConfigError::BadValue { key, origin: self.origin(key) }
    }

    fn half(&self, key: Key, missing: Key) -> ConfigError {
        ConfigError::Half { key, origin: self.origin(key), missing }
    }
}
