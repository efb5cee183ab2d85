//! The table of settings: one row each, one spelling everywhere.

use std::fmt;

/// What the values of a setting look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One text.
    Text,
    /// Several texts; on one line with commas between them.
    Texts,
    /// Yes or no. The flag alone means yes, `--no-…` means no.
    Bool,
    /// A whole number.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
}

macro_rules! keys {
    ($($key:ident $name:literal $kind:expr, $short:expr, $variable:expr, $default:literal, $help:literal;)*) => {
        /// A setting of the server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key {
            $(#[doc = $help] $key,)*
        }

        impl Key {
            /// All, in the order in which they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$key),*];

            /// The name in the file: `data_dir`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$key => $name,)* }
            }

            /// What its values look like.
            pub fn kind(self) -> Kind {
                match self { $(Self::$key => $kind,)* }
            }

            /// The reference's letter for the flag.
            pub fn short(self) -> Option<&'static str> {
                match self { $(Self::$key => $short,)* }
            }

            /// The reference's variable. Ours wins over it.
            pub fn reference_variable(self) -> Option<&'static str> {
                match self { $(Self::$key => $variable,)* }
            }

            /// Its default, as a person would write it; empty for none.
            pub fn default_text(self) -> &'static str {
                match self { $(Self::$key => $default,)* }
            }

            /// What it says.
            pub fn help(self) -> &'static str {
                match self { $(Self::$key => $help,)* }
            }
        }
    };
}

const DAYS: Kind = Kind::Number { min: 0, max: 36_500 };
const COUNT: Kind = Kind::Number { min: 0, max: u32::MAX as u64 };

keys! {
    Listen "listen" Kind::Texts, Some("-l"), Some("LISTEN"), "127.0.0.1:8080",
        "addresses or names with ports to listen on";
    DataDir "data_dir" Kind::Text, Some("-d"), Some("DATA_DIR"), "",
        "the folder of the database; `tandem-server` in the XDG data directory if none is named";
    Database "database" Kind::Text, Some("-c"), Some("CONNECTION"), "",
        "the address of a PostgreSQL that takes the place of that folder, or file:PATH of it";
    Access "access" Kind::Text, None, None, "open",
        "`open` serves every client id, `accounts` only those of enabled accounts";
    AllowClientId "allow_client_id" Kind::Texts, Some("-C"), Some("CLIENT_ID"), "",
        "serve only these client ids; others get 403";
    CreateClients "create_clients" Kind::Bool, None, Some("CREATE_CLIENTS"), "true",
        "whether a client that is not there yet is made by its first version";
    AllowOpenRegistration "allow_open_registration" Kind::Bool, None, None, "false",
        "let anybody who reaches the server keep lists there, unencrypted on the way";
    SnapshotVersions "snapshot_versions" COUNT, None, Some("SNAPSHOT_VERSIONS"), "100",
        "ask for a snapshot after so many versions";
    SnapshotDays "snapshot_days" COUNT, None, Some("SNAPSHOT_DAYS"), "14",
        "ask for a snapshot after so many days";
    GraceDays "grace_days" DAYS, None, None, "180",
        "how long a snapshot must have been there before versions go in its favour";
    VersionsKept "versions_kept" Kind::Number { min: 5, max: u32::MAX as u64 }, None, None, "5",
        "the newest versions that always stay";
    PublicUrl "public_url" Kind::Text, None, None, "",
        "where clients reach the server, for the lines that `ta server user add` prints";
    PathPrefix "path_prefix" Kind::Text, None, None, "",
        "a path before all others, as a proxy passes it on: `/tasks`";
    TrustedProxy "trusted_proxy" Kind::Texts, None, None, "",
        "addresses or networks of proxies whose X-Forwarded-For is believed";
    TlsCert "tls_cert" Kind::Text, None, None, "",
        "a PEM file of certificates, the server's first; read again when it changes";
    TlsKey "tls_key" Kind::Text, None, None, "",
        "a PEM file of the private key";
    MetricsListen "metrics_listen" Kind::Texts, None, None, "",
        "addresses for /metrics alone; without them this machine may ask on the others";
    DiskRoomMbMin "disk_room_mb_min" Kind::Number { min: 0, max: 1 << 40 }, None, None, "200",
        "with less room on the disk than this, in MB, writes are turned away";
    BodyMibMax "body_mib_max" Kind::Number { min: 1, max: 100 }, None, None, "100",
        "the largest version or snapshot that is taken, in MiB; the protocol allows 100";
    RequestsMax "requests_max" Kind::Number { min: 1, max: 100_000 }, None, None, "256",
        "requests that are worked on at once; others wait";
    ConnectionsMax "connections_max" Kind::Number { min: 16, max: 1_000_000 }, None, None, "900",
        "connections that are open at once; each takes a file of those that the process may open";
    DrainSeconds "drain_seconds" Kind::Number { min: 0, max: 3600 }, None, None, "0",
        "how long requests are still taken after the server was told to end, while it is not ready";
    Log "log" Kind::Text, None, Some("RUST_LOG"), "warn",
        "what is logged, in the words of RUST_LOG; `info` is a line for each request";
}

impl Key {
    /// The setting of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }

    /// The setting whose name is nearest.
    pub fn nearest(name: &str) -> Self {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let distance = |key: &&Self| tandem_core::edit_distance(&name, key.name());
        Self::ALL.iter().min_by_key(distance).copied().unwrap_or(Self::Listen)
    }

    /// The setting that a mistyped name was probably meant to be, if there is one.
    pub fn near(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let names = Self::ALL.iter().map(|key| key.name());
        tandem_core::nearest(&name, names.clone())
            .or_else(|| {
                // A part of it: `client_id`, `cert`.
                let mut whole = names.filter(|known| name.len() >= 4 && known.contains(&name));
                whole.next().filter(|_| whole.next().is_none())
            })
            .and_then(Self::find)
    }

    /// Our variable: `TA_SERVE_DATA_DIR`.
    pub fn variable(self) -> String {
        format!("TA_SERVE_{}", self.name().to_ascii_uppercase())
    }

    /// The flag: `--data-dir`.
    pub fn flag(self) -> String {
        format!("--{}", self.name().replace('_', "-"))
    }

    /// Whether its value is a credential and shown nowhere.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::AllowClientId | Self::Database)
    }

    /// Whether it names a file or folder.
    pub(super) fn is_path(self) -> bool {
        matches!(self, Self::DataDir | Self::TlsCert | Self::TlsKey)
    }

    /// What its values are, for a person.
    pub fn wanted(self) -> String {
        match (self, self.kind()) {
            (Self::AllowClientId, _) => "client ids (UUIDs)".to_owned(),
            (Self::TrustedProxy, _) => {
                "addresses without ports, or networks such as 10.0.0.0/8".to_owned()
            }
            (Self::Access, _) => "open or accounts".to_owned(),
            (Self::PathPrefix, _) => {
                "a path that begins with `/`, and not /healthz or such".to_owned()
            }
            (Self::PublicUrl, _) => "an address that begins with http:// or https://".to_owned(),
            (_, Kind::Text | Kind::Texts) => "a text".to_owned(),
            (_, Kind::Bool) => "true or false".to_owned(),
            (_, Kind::Number { min, max }) => format!("a whole number from {min} to {max}"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
