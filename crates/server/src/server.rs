//! A server: listeners, a storage, and the end of both.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tandem_core::Timestamp;
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::serve::retention::Rules;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::access::Access;
use crate::disk::Room;
use crate::http::{self, App, Clock, Door, Places, Site};
use crate::keeper;
use crate::limits::Limits;
use crate::network::Network;
use crate::store::Store;
use crate::tls::Tls;

/// Connections to the listeners of metrics at once.
const METRICS_CONNECTIONS_MAX: usize = 16;

/// How a server behaves.
#[derive(Clone)]
pub struct Options {
    /// Who is served.
    pub access: Access,
    /// When snapshots are asked for.
    pub targets: SnapshotTargets,
    /// How long history is kept.
    pub rules: Rules,
    /// What is taken from the network.
    pub limits: Limits,
    /// Tells the moment.
    pub clock: Clock,
    /// A path before all others: empty, or `/…` without a slash at the end.
    pub path_prefix: String,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// The room that must stay on the disk, where there is one.
    pub room: Option<Room>,
    /// If TLS is spoken on the listeners of calls.
    pub tls: Option<Arc<Tls>>,
    /// How long requests are still taken after the server was told to end, while it says that it is not
    /// ready.
    pub drain_time: Duration,
}

/// Where a server listens.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For clients.
    pub calls: Vec<std::net::TcpListener>,
    /// For operators: metrics and health alone, never with TLS.
    pub metrics: Vec<std::net::TcpListener>,
}

impl From<Vec<std::net::TcpListener>> for Listeners {
    fn from(calls: Vec<std::net::TcpListener>) -> Self {
        Self { calls, metrics: Vec::new() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access: Access::default(),
            targets: SnapshotTargets::default(),
            rules: Rules::default(),
            limits: Limits::default(),
            clock: Arc::new(system_now),
            path_prefix: String::new(),
            trusted_proxies: Vec::new(),
            room: None,
            tls: None,
            drain_time: Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("access", &self.access)
            .field("targets", &self.targets)
            .field("rules", &self.rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The system's clock.
pub fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp::new(seconds, since.subsec_nanos())
}

/// Serves on these listeners until `stop` turns true (or its sender is gone); then says that it is not
/// ready any more, takes no new connection after the time for that, lets the requests under way finish within their time, and closes the storage.
///
/// # Errors
/// A listener that cannot be used.
pub async fn run(
    listeners: impl Into<Listeners>,
    store: Arc<dyn Store>,
    options: Options,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listeners = listeners.into();
    let app = Arc::new(App::new(Arc::clone(&store), &options, !listeners.metrics.is_empty()));
    let Options { rules, limits, clock, tls, trusted_proxies, drain_time, .. } = options;
    if tls.as_ref().is_some_and(|tls| tls.is_authority()) {
        tracing::warn!("{}", crate::tls::AUTHORITY);
    }
    let calls = Door {
        site: Arc::new(Site::new(&app)),
        places: Arc::new(Places::new(
            limits.connections_max,
            limits.connections_per_address_max,
            trusted_proxies,
        )),
        tls,
        metrics: Arc::clone(&app.metrics),
        limits,
    };
    // Clients that fill all places do not keep an operator from looking.
    let places = METRICS_CONNECTIONS_MAX;
    let places = Arc::new(Places::new(places, places, Vec::new()));
    let site = Arc::new(Site::for_operators(&app));
    let metrics = Door { site, places, tls: None, ..calls.clone() };
    let (end_calls, calls_end) = watch::channel(false);
    let (end_metrics, metrics_end) = watch::channel(false);
    let mut calls = open(listeners.calls, &calls, &calls_end)?;
    let mut metrics = open(listeners.metrics, &metrics, &metrics_end)?;
    let counters = Arc::clone(&app.metrics);
    calls.spawn(keeper::keep(Arc::clone(&store), rules, clock, counters, stop.clone()));
    stopped(&mut stop).await;
    app.is_stopping.store(true, Ordering::Relaxed);
    // A balancer sees that we are not ready and sends its requests elsewhere, before the door closes.
    // Whoever has told us and is gone waits for nothing.
    let is_gone = async { while stop.changed().await.is_ok() {} };
    let _ = timeout(drain_time, is_gone).await;
    let _ = end_calls.send(true);
    while calls.join_next().await.is_some() {}
    // Operators can look to the end.
    let _ = end_metrics.send(true);
    while metrics.join_next().await.is_some() {}
    if let Err(error) = store.close().await {
        tracing::warn!(%error, "the storage could not be closed");
    }
    Ok(())
}

fn open(
    listeners: Vec<std::net::TcpListener>,
    door: &Door,
    end: &watch::Receiver<bool>,
) -> io::Result<JoinSet<()>> {
    let mut parts = JoinSet::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        parts.spawn(http::serve(listener, door.clone(), end.clone()));
    }
    Ok(parts)
}

/// Waits until the server is to end.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can never say it any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Binds to what a person wrote: an address or name with a port. A name may mean several addresses,
/// and all of them are listened on, with one port.
///
/// # Errors
/// The address that cannot be had.
pub fn bind(text: &str) -> io::Result<Vec<std::net::TcpListener>> {
    use std::net::{TcpListener, ToSocketAddrs as _};
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut failed = None;
    for mut address in text.to_socket_addrs()? {
        // Port 0: the system chooses for the first, and the others follow.
        if let (0, Some(first)) = (address.port(), listeners.first()) {
            address.set_port(first.local_addr()?.port());
        }
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 still knows the name for it.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    match failed {
        Some(error) if listeners.is_empty() => Err(error),
        _ if listeners.is_empty() => Err(io::ErrorKind::AddrNotAvailable.into()),
        _ => Ok(listeners),
    }
}

/// The addresses that a text means, before anything is bound.
///
/// # Errors
/// A name that is not known, or a text that is no address.
pub fn resolve(text: &str) -> io::Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs as _;
    Ok(text.to_socket_addrs()?.collect())
}
