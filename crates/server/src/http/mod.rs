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

mod answer;
mod body;
mod connection;
mod health;
mod request;
mod tandem;
mod taskchampion;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tandem_core::Timestamp;
use tandem_tasks::serve::SnapshotTargets;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::limits::Limits;
use crate::store::Store;

pub(crate) use connection::serve;

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
    /// One permit for each request that is worked on.
    pub(crate) requests: Arc<Semaphore>,
    /// One permit for each KiB of request bodies in memory.
    pub(crate) bodies: Arc<Semaphore>,
    /// For request ids: those of one process begin alike.
    pub(crate) ids: request::Ids,
    /// The server is about to end: no longer ready for new work.
    pub(crate) is_stopping: AtomicBool,
}

impl App {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        access: Access,
        targets: SnapshotTargets,
        limits: Limits,
        clock: Clock,
    ) -> Self {
        let log_key = store.log_key();
        let requests = Arc::new(Semaphore::new(limits.requests_max));
        let bodies = Arc::new(Semaphore::new(body::permits(limits.bodies_bytes_max)));
        let (ids, is_stopping) = (request::Ids::new(), AtomicBool::new(false));
        Self { store, access, targets, limits, clock, log_key, requests, bodies, ids, is_stopping }
    }
}

/// All routes. Whoever adds some of their own merges them here; the layers go around them.
pub(crate) fn router(app: &Arc<App>) -> Router {
    use answer::not_found;
    let worked = Router::new()
        .route("/", get(taskchampion::banner).head(not_found))
        .route("/v1/client/add-version/{parent}", post(taskchampion::add_version))
        .route(
            "/v1/client/get-child-version/{parent}",
            get(taskchampion::get_child_version).head(not_found),
        )
        .route("/v1/client/add-snapshot/{version}", post(taskchampion::add_snapshot))
        .route("/v1/client/snapshot", get(taskchampion::get_snapshot).head(not_found))
        .route("/v1/tandem/head", get(tandem::head).head(not_found))
        .route("/v1/tandem/children/{parent}", get(tandem::children).head(not_found))
        // Bodies are measured where they are read.
        .layer(DefaultBodyLimit::disable())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(app), request::in_turn));
    worked
        .merge(health::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(app), request::around))
        .with_state(Arc::clone(app))
}
