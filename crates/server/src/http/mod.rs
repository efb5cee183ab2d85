//! What travels: the TaskChampion protocol, our own few calls beside it, and whether we are well.
//!
//! A whole sync with one version to push, as it goes over the line:
//!
//! ```text
//!   GET  /v1/client/get-child-version/<base>          404 no such version
//!   POST /v1/client/add-version/<base>   (sealed)     200 X-Version-Id: <new>
//! ```
//!
//! Every answer is the protocol's own where it has one (`protocols/taskchampion.md` section 7), else
//! one JSON document, `{code, message, hint, request_id}`.

mod account;
mod answer;
mod body;
mod connection;
mod gate;
mod health;
mod memory;
mod places;
mod request;
mod rest;
mod routes;
mod stalling;
mod tandem;
mod taskchampion;
#[cfg(feature = "testing")]
pub mod testing;
mod visitor;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use hyper_util::service::TowerToHyperService;
use tandem_core::Timestamp;
use tandem_tasks::serve::SnapshotTargets;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::attempts::Attempts;
use crate::delays::Delays;
use crate::disk::Room;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::server::Options;
use crate::store::Store;
use routes::Routes;

pub(crate) use connection::{Door, serve};
pub(crate) use places::Places;

/// Tells the moment.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What every request is answered from.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) access: Access,
    pub(crate) targets: SnapshotTargets,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) log_key: [u8; 32],
    /// A path before all others, or nothing.
    pub(crate) path_prefix: String,
    pub(crate) trusted_proxies: Vec<Network>,
    /// The disk, where the storage is on one of this machine.
    pub(crate) room: Option<Room>,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether the counters are somewhere else.
    pub(crate) has_metrics_apart: bool,
    pub(crate) attempts: Attempts,
    pub(crate) delays: Delays,
    pub(crate) remembered: gate::Remembered,
    pub(crate) known: gate::Known,
    /// One permit for each password that is checked.
    pub(crate) hashing: Arc<Semaphore>,
    /// One permit for each request that is worked on.
    pub(crate) requests: Arc<Semaphore>,
    /// For request bodies.
    pub(crate) bodies: memory::Memory,
    /// For bodies of answers.
    pub(crate) answers: memory::Memory,
    /// For request ids: those of one process begin alike.
    pub(crate) ids: request::Ids,
    pub(crate) health: health::Remembered,
    /// The server is about to end: no longer ready for new work.
    pub(crate) is_stopping: AtomicBool,
}

impl App {
    pub(crate) fn new(store: Arc<dyn Store>, options: &Options, has_metrics_apart: bool) -> Self {
        let limits = options.limits.clone();
        Self {
            log_key: store.log_key(),
            store,
            access: options.access.clone(),
            targets: options.targets,
            clock: Arc::clone(&options.clock),
            path_prefix: options.path_prefix.clone(),
            trusted_proxies: options.trusted_proxies.clone(),
            room: options.room.clone(),
            metrics: Arc::new(Metrics::new()),
            has_metrics_apart,
            attempts: Attempts::new(limits.guesses_max, limits.guesses_time),
            delays: Delays::new(limits.guesses_max, limits.guesses_time, limits.queue_time_max),
            remembered: gate::Remembered::default(),
            known: gate::Known::default(),
            hashing: Arc::new(Semaphore::new(limits.passwords_max)),
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            bodies: memory::Memory::new(limits.bodies_bytes_max, limits.body_bytes_max),
            answers: memory::Memory::new(limits.answers_bytes_max, limits.body_bytes_max),
            ids: request::Ids::new(),
            health: health::Remembered::default(),
            is_stopping: AtomicBool::new(false),
            limits,
        }
    }
}

/// What a listener answers.
#[derive(Clone)]
pub(crate) struct Site {
    app: Arc<App>,
    routes: Routes,
    router: TowerToHyperService<Router>,
}

impl Site {
    /// Everything, the counters too unless they are somewhere else. Whoever adds routes of their own
    /// names them in [`routes`] and merges them here.
    pub(crate) fn new(app: &Arc<App>) -> Self {
        use answer::not_found;
        let calls = Router::new()
            .route(routes::BANNER, get(taskchampion::banner).head(not_found))
            .route(routes::ADD_VERSION, post(taskchampion::add_version))
            .route(routes::GET_CHILD_VERSION, get(taskchampion::get_child_version).head(not_found))
            .route(routes::ADD_SNAPSHOT, post(taskchampion::add_snapshot))
            .route(routes::SNAPSHOT, get(taskchampion::get_snapshot).head(not_found))
            .route(routes::HEAD, get(tandem::head).head(not_found))
            .route(routes::CHILDREN, get(tandem::children).head(not_found))
            .route(routes::ACCOUNT, get(account::account).head(not_found))
            // Bodies are measured where they are read.
            .layer(DefaultBodyLimit::disable());
        let mut looks = health::routes();
        if !app.has_metrics_apart {
            looks = looks.route(routes::METRICS, get(health::local_metrics));
        }
        let mut all = calls.merge(looks.clone());
        // Supervisors beside the server need not know of the proxy's paths.
        if !app.path_prefix.is_empty() {
            let root = format!("{}/", app.path_prefix);
            all = Router::new()
                .nest(&app.path_prefix, all)
                .route(&root, get(taskchampion::banner).head(not_found))
                .merge(looks);
        }
        let routes = Routes {
            prefix: app.path_prefix.clone(),
            has_calls: true,
            has_metrics: !app.has_metrics_apart,
        };
        Self::of(app, routes, all)
    }

    /// What operators alone ask.
    pub(crate) fn for_operators(app: &Arc<App>) -> Self {
        let routes = Routes { prefix: String::new(), has_calls: false, has_metrics: true };
        Self::of(app, routes, health::routes().route(routes::METRICS, get(health::metrics)))
    }

    fn of(app: &Arc<App>, routes: Routes, router: Router<Arc<App>>) -> Self {
        let router = router
            .fallback(answer::not_found)
            .method_not_allowed_fallback(answer::not_found)
            .with_state(Arc::clone(app));
        Self { app: Arc::clone(app), routes, router: TowerToHyperService::new(router) }
    }
}
