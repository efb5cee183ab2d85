//! Servers to sync with: where they are, how they are opened, and calls made to them directly.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};
use taskchampion::server::{AddVersionResult, GetVersionResult, SnapshotUrgency};
use taskchampion::{Server, ServerConfig, Uuid};

use crate::command::{Answer, Failure, RawCall};

/// Which server: a directory, or a sync server with what is needed to use it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(untagged, deny_unknown_fields)]
pub enum ServerAddress {
    Local {
        server_dir: PathBuf,
    },
    Http {
        url: String,
        client_id: Uuid,
        secret: String,
    },
}

/// Opened servers.
///
/// Opening an HTTP server derives the key, which takes a noticeable part of a second, so those are
/// kept. A local server holds an open database; it is opened anew each time, so that a test may
/// replace the directory between two syncs.
#[derive(Default)]
pub struct Servers {
    http: HashMap<ServerAddress, Box<dyn Server>>,
}

impl Servers {
    /// Takes the server at `address` out of the store, opening it where needed.
    pub async fn take(&mut self, address: &ServerAddress) -> Result<Box<dyn Server>, Failure> {
        if let Some(server) = self.http.remove(address) {
            return Ok(server);
        }
        let config = match address.clone() {
            ServerAddress::Local { server_dir } => {
                // The library expects the directory to be there.
                std::fs::create_dir_all(&server_dir)
                    .map_err(|error| Failure::new(format!("server directory not made: {error}")))?;
                ServerConfig::Local { server_dir }
            }
            ServerAddress::Http {
                url,
                client_id,
                secret,
            } => ServerConfig::Remote {
                url,
                client_id,
                encryption_secret: secret.into_bytes(),
            },
        };
        Ok(config.into_server().await?)
    }

    /// Puts a server back for the next command.
    pub fn keep(&mut self, address: ServerAddress, server: Box<dyn Server>) {
        if matches!(address, ServerAddress::Http { .. }) {
            self.http.insert(address, server);
        }
    }
}

/// Makes one call to `server` and tells its outcome.
pub async fn call(server: &mut dyn Server, call: RawCall) -> Answer {
    match call {
        RawCall::AddVersion { parent, text, hex } => {
            let (result, urgency) = server.add_version(parent, read_body(text, hex)?).await?;
            let urgency = match urgency {
                SnapshotUrgency::None => "none",
                SnapshotUrgency::Low => "low",
                SnapshotUrgency::High => "high",
            };
            Ok(match result {
                AddVersionResult::Ok(version) => json!({ "version": version, "urgency": urgency }),
                AddVersionResult::ExpectedParentVersion(parent) => {
                    json!({ "expected_parent": parent, "urgency": urgency })
                }
            })
        }
        RawCall::GetChildVersion { parent } => Ok(match server.get_child_version(parent).await? {
            GetVersionResult::NoSuchVersion => Value::Null,
            GetVersionResult::Version {
                version_id,
                parent_version_id,
                history_segment,
            } => json!({
                "version": version_id,
                "parent": parent_version_id,
                "text": String::from_utf8(history_segment.clone()).ok(),
                "hex": write_hex(&history_segment),
            }),
        }),
        RawCall::AddSnapshot { version, text, hex } => {
            server.add_snapshot(version, read_body(text, hex)?).await?;
            Ok(Value::Null)
        }
        RawCall::GetSnapshot => Ok(match server.get_snapshot().await? {
            None => Value::Null,
            Some((version, body)) => json!({ "version": version, "hex": write_hex(&body) }),
        }),
    }
}

/// Reads a body given in exactly one of the two ways.
fn read_body(text: Option<String>, hex: Option<String>) -> Result<Vec<u8>, Failure> {
    match (text, hex) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(hex)) => read_hex(&hex).ok_or_else(|| Failure::new("hex not understood")),
        _ => Err(Failure::new("give either text or hex")),
    }
}

fn read_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| value.try_into().ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn write_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_comes_back_as_it_went() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(read_hex(&write_hex(&bytes)), Some(bytes));
        assert_eq!(read_hex("0"), None);
        assert_eq!(read_hex("0g"), None);
    }
}
