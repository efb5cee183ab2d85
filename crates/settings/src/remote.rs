//! What `ta sync` talks to, as the settings say.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tandem_core::ClientId;
use tandem_seal::Secret;

use crate::server_origin::ServerOrigin;
use crate::value::shortened;

/// What a replica is kept in step with. `Debug` hides the secret and shortens the client key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteSettings {
    /// A folder on this machine, in the reference's local format.
    Directory(PathBuf),
    /// A sync server.
    Server {
        /// Its address.
        origin: ServerOrigin,
        /// Which task history there.
        client_key: ClientId,
        /// What seals it.
        secret: Arc<Secret>,
    },
}

impl fmt::Debug for RemoteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Server { origin, client_key, secret } => f
                .debug_struct("Server")
                .field("origin", &origin.as_str())
                .field("client_key", &shortened(*client_key))
                .field("secret", secret)
                .finish(),
        }
    }
}
