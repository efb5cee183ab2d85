//! The whole server as a program: from a configuration to its end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::database::Database;
use crate::disk::Room;
use crate::server::{self, Listeners, Options};
use crate::store::sqlite::OpenError;
use crate::store::{SqliteStore, Store};
use crate::tls::{Tls, TlsError};

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
    /// Certificates or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Database(#[from] crate::store::postgres::OpenError),
    /// A database is named that this program cannot speak to.
    #[error("this program was built without PostgreSQL")]
    NoPostgres,
    /// The system gives no threads or signals.
    #[error("the server cannot be started")]
    System(#[source] io::Error),
    /// A second signal ended it before its requests were answered.
    #[error("the server was ended before its requests were answered")]
    CutShort,
}

/// Where a server listens, once it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// For clients.
    pub calls: Vec<SocketAddr>,
    /// For operators.
    pub metrics: Vec<SocketAddr>,
}

/// Runs a server until the process is told to end (SIGTERM or SIGINT), then lets it finish; a second
/// signal does not wait for that. SIGHUP has its certificate read again.
///
/// `announce` is told where it listens, once it does and the storage is open.
///
/// # Errors
/// Why it does not run, or how it ended.
pub fn run_until_signal(
    config: Config,
    data_dir: &Path,
    announce: impl FnOnce(&Listening),
) -> Result<(), StartError> {
    let tls = check(&config)?.map(Arc::new);
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
        let mut hang_up = signal(SignalKind::hangup()).map_err(StartError::System)?;
        let store = tokio::select! {
            opened = open(&config, data_dir) => opened?,
            // A database may let one wait.
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let calls = bind(&config.listen)?;
        let metrics = bind(&config.metrics_listen)?;
        let listening = Listening {
            calls: addresses(&calls).map_err(StartError::System)?,
            metrics: addresses(&metrics).map_err(StartError::System)?,
        };
        announce(&listening);
        let listeners = Listeners { calls, metrics };
        // A database elsewhere looks after its own disk.
        let room = config
            .database
            .is_none()
            .then(|| Room { folder: data_dir.to_owned(), bytes_min: config.disk_room_bytes_min });
        let options = Options {
            access: config.access,
            targets: config.targets,
            rules: config.rules,
            path_prefix: config.path_prefix,
            trusted_proxies: config.trusted_proxies,
            room,
            tls: tls.clone(),
            drain_time: config.drain_time,
            limits: config.limits,
            ..Options::default()
        };
        let (stop, told) = watch::channel(false);
        let running = server::run(listeners, store, options, told);
        tokio::pin!(running);
        loop {
            tokio::select! {
                ended = running.as_mut() => return ended.map_err(StartError::System),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    tracing::info!("told to read its certificate again");
                    tls.iter().for_each(|tls| tls.read_again());
                }
            }
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

/// What a command waits with that has no runtime of its own. Connections to a database live in it, so
/// a command has one for all that it asks.
#[derive(Debug)]
pub struct Waiting(tokio::runtime::Runtime);

impl Waiting {
    /// Makes one.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new() -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(Self).map_err(StartError::System)
    }

    /// Runs something that asks a storage.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

/// Checks what shows without starting anything: addresses, certificates, how a database is named, and
/// that strangers are let in only if somebody said that this is wanted.
///
/// # Errors
/// Why a server would not start.
pub fn check(config: &Config) -> Result<Option<Tls>, StartError> {
    let resolve = |address: &String| {
        server::resolve(address)
            .map_err(|source| StartError::BadAddress { address: address.clone(), source })
    };
    let tls = config.tls.as_ref().map(Tls::load).transpose()?;
    for address in &config.listen {
        let resolved = resolve(address)?;
        let is_meant = config.is_open_on_purpose || tls.is_some();
        if let (Some(address), false) = (config.access.exposed(&resolved), is_meant) {
            return Err(StartError::OpenToStrangers { address: *address });
        }
    }
    config.metrics_listen.iter().try_for_each(|address| resolve(address).map(drop))?;
    if let Some(database) = &config.database {
        check_database(database)?;
    }
    Ok(tls)
}

#[cfg(feature = "postgres")]
fn check_database(database: &Database) -> Result<(), StartError> {
    Ok(crate::store::PostgresStore::check(database)?)
}

#[cfg(not(feature = "postgres"))]
fn check_database(_database: &Database) -> Result<(), StartError> {
    Err(StartError::NoPostgres)
}

/// The storage that is asked for.
async fn open(config: &Config, data_dir: &Path) -> Result<Arc<dyn Store>, StartError> {
    match &config.database {
        None => Ok(Arc::new(SqliteStore::open(data_dir)?)),
        Some(database) => open_database(database, Tables::MadeIfMissing).await,
    }
}

/// What becomes of a database without our tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// It gets them.
    MadeIfMissing,
    /// It is refused: whoever only asks has perhaps named another one.
    MustBeThere,
}

/// The storage in a PostgreSQL.
///
/// # Errors
/// [`StartError::Database`], or [`StartError::NoPostgres`] where this program has none.
pub async fn open_database(
    database: &Database,
    tables: Tables,
) -> Result<Arc<dyn Store>, StartError> {
    #[cfg(feature = "postgres")]
    {
        use crate::store::PostgresStore;
        Ok(match tables {
            Tables::MadeIfMissing => Arc::new(PostgresStore::open(database).await?),
            Tables::MustBeThere => Arc::new(PostgresStore::open_existing(database).await?),
        })
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = (database, tables);
        Err(StartError::NoPostgres)
    }
}

fn bind(texts: &[String]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for address in texts {
        let bound = server::bind(address)
            .map_err(|source| StartError::Listen { address: address.clone(), source })?;
        listeners.extend(bound);
    }
    Ok(listeners)
}

fn addresses(listeners: &[TcpListener]) -> io::Result<Vec<SocketAddr>> {
    listeners.iter().map(TcpListener::local_addr).collect()
}
