//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use taskchampion_sync_server_core::ServerConfig;

use crate::chain::ClientRule;

pub const USAGE: &str = "\
usage: reference-server --listen ADDRESS:PORT --data-dir DIR
                        [--snapshot-versions N] [--snapshot-days N]
                        [--allow-client-id UUID]... [--no-create-clients]";

/// What the command line asks for.
pub struct Arguments {
    /// Where to listen; port 0 lets the system choose.
    pub listen: String,
    /// Where the database is kept; made if missing.
    pub data_dir: PathBuf,
    /// When to ask clients for snapshots.
    pub snapshots: ServerConfig,
    /// Which clients are served, and which may be new.
    pub clients: ClientRule,
}

impl Arguments {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// A sentence saying what is wrong.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words;
        let mut listen = None;
        let mut data_dir = None;
        let mut snapshots = ServerConfig::default();
        let mut clients = ClientRule {
            allowed: None,
            creates: true,
        };
        while let Some(option) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{option} wants a value"))
            };
            match option.as_str() {
                "--listen" => listen = Some(value()?),
                "--data-dir" => data_dir = Some(PathBuf::from(value()?)),
                "--snapshot-versions" => snapshots.snapshot_versions = read(&option, &value()?)?,
                "--snapshot-days" => snapshots.snapshot_days = read(&option, &value()?)?,
                "--allow-client-id" => {
                    let client = read(&option, &value()?)?;
                    clients.allowed.get_or_insert_default().insert(client);
                }
                "--no-create-clients" => clients.creates = false,
                _ => return Err(format!("unknown option {option}")),
            }
        }
        Ok(Self {
            listen: listen.ok_or("--listen is missing")?,
            data_dir: data_dir.ok_or("--data-dir is missing")?,
            snapshots,
            clients,
        })
    }
}

fn read<T: FromStr>(option: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{option} does not understand {value}"))
}
