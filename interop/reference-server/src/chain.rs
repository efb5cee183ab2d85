//! The reference logic and storage, with the two rules that sit above them: who is served and who
//! may be new.

use std::collections::HashSet;
use std::path::Path;

use taskchampion_sync_server_core::{
    AddVersionResult, ClientId, GetVersionResult, HistorySegment, NIL_VERSION_ID, Server,
    ServerConfig, ServerError, SnapshotUrgency, VersionId,
};
use taskchampion_sync_server_storage_sqlite::SqliteStorage;

/// Which clients are served, and which may be new.
pub struct ClientRule {
    /// The only clients served, if any are named.
    pub allowed: Option<HashSet<ClientId>>,
    /// Whether an unknown client's first version makes that client.
    pub creates: bool,
}

/// Every client's chain of versions.
pub struct Chain {
    server: Server,
    clients: ClientRule,
}

impl Chain {
    /// Opens the database, making it and its folder where missing.
    pub fn open(
        data_dir: &Path,
        snapshots: ServerConfig,
        clients: ClientRule,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        std::fs::create_dir_all(data_dir)?;
        let storage = SqliteStorage::new(data_dir)?;
        Ok(Self {
            server: Server::new(snapshots, storage),
            clients,
        })
    }

    /// Tells whether `client` is served at all.
    pub fn allows(&self, client: ClientId) -> bool {
        match &self.clients.allowed {
            Some(allowed) => allowed.contains(&client),
            None => true,
        }
    }

    /// Adds a version, first making the client if it is unknown and that is allowed.
    pub async fn add_version(
        &self,
        client: ClientId,
        parent: VersionId,
        segment: HistorySegment,
    ) -> Result<(AddVersionResult, SnapshotUrgency), ServerError> {
        // The core answers a new client with an error and leaves it to its caller to make one.
        if self.clients.creates {
            let mut transaction = self.server.txn(client).await?;
            if transaction.get_client().await?.is_none() {
                transaction.new_client(NIL_VERSION_ID).await?;
                transaction.commit().await?;
            }
        }
        self.server.add_version(client, parent, segment).await
    }

    /// Finds the version that follows `parent`.
    pub async fn get_child_version(
        &self,
        client: ClientId,
        parent: VersionId,
    ) -> Result<GetVersionResult, ServerError> {
        self.server.get_child_version(client, parent).await
    }

    /// Takes a snapshot, or ignores it where it is of no use.
    pub async fn add_snapshot(
        &self,
        client: ClientId,
        version: VersionId,
        snapshot: Vec<u8>,
    ) -> Result<(), ServerError> {
        self.server.add_snapshot(client, version, snapshot).await
    }

    /// Finds the newest snapshot.
    pub async fn get_snapshot(
        &self,
        client: ClientId,
    ) -> Result<Option<(VersionId, Vec<u8>)>, ServerError> {
        self.server.get_snapshot(client).await
    }
}
