//! The configuration of `ta`, in layers, so that every value can say where it comes from.
//!
//! ```text
//!   environment   TA_SERVER_ORIGIN=…          wins
//!   file          tandem/config.toml          --config FILE, else TA_CONFIG, else the XDG folder
//!   default       the table of keys           loses
//! ```
//!
//! A key is one row of the table in [`Key`]: its one spelling (file `server_origin`, environment
//! `TA_SERVER_ORIGIN`), its kind, its default, whether it is hidden. Everything else (reading,
//! checking, listing, editing) follows from the row.
//!
//! # Invariants
//! * No `Debug`, `Display`, list, error or warning shows the secret or a whole client key; only
//!   [`Value::dangerously_reveal`] does, for an explicit `ta config get`.
//! * An edit is atomic, keeps comments and order, and what it writes was checked before. A file
//!   that holds a secret can be read by nobody else, at no moment of the edit.
//! * The process's environment is read once, by [`Environment::from_process`]; everything else
//!   works from that value.
//!
//! # Left to others
//! Printing, exit codes (every [`SettingsError`] is exit code 3), and whether a named folder or
//! server is there. A certificate file is looked at when it is set and before it is used.
//!
//! # Example
//! ```
//! use tandem_settings::{Environment, Key, RemoteSettings, Settings};
//!
//! // A program takes `Environment::from_process()`.
//! let environment =
//!     Environment::from_variables([("HOME", "/home/me"), ("TA_HISTORY_DAYS", "30")]);
//! let settings = Settings::load(&environment, None)?;
//! assert_eq!(settings.history_days(), 30);
//! assert_eq!(settings.get(Key::HistoryDays).unwrap().origin.to_string(), "TA_HISTORY_DAYS");
//! let folder = "/home/me/.local/share/taskchampion-sync-server".into();
//! assert_eq!(settings.remote()?, RemoteSettings::Directory(folder));
//! # Ok::<(), tandem_settings::SettingsError>(())
//! ```

mod certificates;
mod edit;
mod environment;
mod error;
mod file;
mod key;
mod notice;
mod origin;
mod remote;
mod server_origin;
mod settings;
mod source;
mod value;
mod write;

pub use edit::{Edited, set, unset};
pub use environment::Environment;
pub use error::{SettingsError, ValueError};
pub use file::{CONFIG_BYTES_MAX, ConfigFile, NamedBy};
pub use key::{Key, Kind};
pub use notice::{Notice, Warning};
pub use origin::{Origin, Setting};
pub use remote::RemoteSettings;
pub use server_origin::{ServerOrigin, ServerOriginError};
pub use settings::{Listed, Settings};
pub use source::{Given, SOURCE_BYTES_MAX, read_value};
pub use tandem_seal::Secret;
pub use value::Value;
