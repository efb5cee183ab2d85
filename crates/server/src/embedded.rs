//! A server inside another program, on loopback: for showing one, and for tests of clients.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tandem_core::Timestamp;
use tandem_tasks::serve::retention::Rules;
use tokio::sync::watch;

use crate::server::{Options, run};
use crate::store::sqlite::OpenError;
use crate::store::{Retain, SqliteStore, Store, StoreError};

/// Clients that one step of [`EmbeddedServer::retain`] looks at, and versions that it removes.
const STEP_MAX: u32 = 200;

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// The database cannot be opened.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// No port or no thread is to be had.
    #[error("the server cannot be started")]
    System(#[from] io::Error),
}

/// A server on a port of its own. Ends, after the requests that are under way, when it is dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    address: SocketAddr,
    store: Arc<dyn Store>,
    runtime: tokio::runtime::Handle,
    stop: Option<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedServer {
    /// Starts one over the database in `folder`, on a port of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub fn start(folder: &Path, options: Options) -> Result<Self, EmbeddedError> {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder)?);
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, told) = watch::channel(false);
        let kept = Arc::clone(&store);
        let serve = move || {
            if let Err(error) = runtime.block_on(run(vec![listener], kept, options, told)) {
                tracing::error!(%error, "the server has ended");
            }
        };
        let thread = std::thread::Builder::new().name("embedded server".into()).spawn(serve)?;
        Ok(Self { address, store, runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets old history go at once, as the server does by itself every hour; the number of versions
    /// that went.
    ///
    /// # Errors
    /// [`StoreError`]; what had gone before stays gone.
    pub fn retain(&self, rules: Rules, at: Timestamp) -> Result<u64, StoreError> {
        let (mut after, mut versions) = (None, 0);
        loop {
            let step = Retain { rules, at, after, clients_max: STEP_MAX, versions_max: STEP_MAX };
            let retained = self.runtime.block_on(self.store.retain(step))?;
            versions += retained.versions;
            after = retained.next;
            if after.is_none() {
                return Ok(versions);
            }
        }
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
