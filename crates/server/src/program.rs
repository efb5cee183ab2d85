//! The whole server as a program: from a configuration to its end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::server::{self, Options};
use crate::store::sqlite::OpenError;
use crate::store::{SqliteStore, Store};

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Strangers on other machines could register, unencrypted.
    #[error("anybody who reaches {address} could keep lists at this server")]
    OpenToStrangers {
        /// Where.
        address: SocketAddr,
    },
    /// An address is none, or a name is not known.
    #[error("`{address}` is no address to listen on")]
    BadAddress {
        /// As it was written.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// An address cannot be had.
    #[error("{address} cannot be listened on")]
    Listen {
        /// As it was written.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The storage cannot be opened.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// The system gives no threads or signals.
    #[error("the server cannot be started")]
    System(#[source] io::Error),
    /// A second signal ended it before its requests were answered.
    #[error("the server was ended before its requests were answered")]
    CutShort,
}

/// Runs a server until the process is told to end (SIGTERM or SIGINT), then lets it finish; a second
/// signal does not wait for that.
///
/// `announce` is told where it listens, once it does and the storage is open.
///
/// # Errors
/// Why it does not run, or how it ended.
pub fn run_until_signal(
    config: Config,
    data_dir: &Path,
    announce: impl FnOnce(&[SocketAddr]),
) -> Result<(), StartError> {
    check_exposure(&config)?;
    // Small questions are asked of the disk on these threads: more of them than cores, so that a
    // slow page keeps only one waiting.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((2 * cores).clamp(4, 64))
        .thread_name("server")
        .enable_all()
        .build()
        .map_err(StartError::System)?;
    runtime.block_on(async {
        // From here on a signal is heard, whenever it comes.
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::System)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::System)?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(data_dir)?);
        let mut listeners = Vec::new();
        for address in &config.listen {
            let bound = server::bind(address)
                .map_err(|source| StartError::Listen { address: address.clone(), source })?;
            listeners.extend(bound);
        }
        let addresses: Result<Vec<SocketAddr>, _> =
            listeners.iter().map(std::net::TcpListener::local_addr).collect();
        announce(&addresses.map_err(StartError::System)?);
        let options = Options {
            access: config.access,
            targets: config.targets,
            rules: config.rules,
            ..Options::default()
        };
        let (stop, told) = watch::channel(false);
        let running = server::run(listeners, store, options, told);
        tokio::pin!(running);
        tokio::select! {
            ended = running.as_mut() => return ended.map_err(StartError::System),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to end");
        let _ = stop.send(true);
        tokio::select! {
            ended = running.as_mut() => ended.map_err(StartError::System),
            _ = terminate.recv() => Err(StartError::CutShort),
            _ = interrupt.recv() => Err(StartError::CutShort),
        }
    })
}

/// Refuses to let strangers in unless somebody said that this is wanted.
fn check_exposure(config: &Config) -> Result<(), StartError> {
    for address in &config.listen {
        let resolved = server::resolve(address)
            .map_err(|source| StartError::BadAddress { address: address.clone(), source })?;
        if let (Some(address), false) =
            (config.access.exposed(&resolved), config.is_open_on_purpose)
        {
            return Err(StartError::OpenToStrangers { address: *address });
        }
    }
    Ok(())
}
