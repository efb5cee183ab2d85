//! Whether the process lives, and whether it can be given work: for supervisors and balancers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::Mutex;

use super::App;
use super::answer::{self, Reply, Trouble};
use super::request::RequestId;
use super::routes;
use super::visitor::Visitor;
use crate::disk::Room;
use crate::store::Health;

/// The text form that Prometheus reads.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long an answer of the storage is good: these questions wait for no turn, and each would take a
/// connection to a database.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The last answer of the storage.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Option<(Instant, Health)>>);

impl Remembered {
    /// The state of the storage, a second old at most. Whoever asks meanwhile waits for one answer.
    async fn ask(&self, app: &App) -> Health {
        let mut last = self.0.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < REMEMBERED
        {
            return health.clone();
        }
        let health = app.store.health().await;
        let health =
            health.unwrap_or_else(|error| Health::Unavailable { reason: error.to_string() });
        *last = Some((Instant::now(), health.clone()));
        health
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(routes::HEALTHZ, get(healthz)).route(routes::READYZ, get(readyz))
}

/// The counters, where they have no listener of their own: for this machine alone.
pub(super) async fn local_metrics(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
) -> Reply {
    if visitor.is_local() { metrics(State(app)).await } else { answer::not_found().await }
}

/// The counters.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Reply {
    let health = app.health.ask(&app).await;
    let is_low = app.room.as_ref().is_some_and(Room::is_low);
    let is_stopping = app.is_stopping.load(Ordering::Relaxed);
    let is_ready = !is_stopping && !is_low && health == Health::Ready;
    let free = app.room.as_ref().and_then(Room::free_bytes);
    answer::with_type(METRICS, app.metrics.text(is_ready, free).into())
}

/// The process answers.
async fn healthz() -> Reply {
    answer::words(StatusCode::OK, "ok")
}

/// The process can do its work: it is not about to end, and its storage takes reads and writes.
async fn readyz(State(app): State<Arc<App>>, Extension(id): Extension<RequestId>) -> Reply {
    let not_ready = |code, message, hint| {
        Trouble { status: StatusCode::SERVICE_UNAVAILABLE, code, message, hint }.reply(&id)
    };
    if app.is_stopping.load(Ordering::Relaxed) {
        return not_ready("stopping", "The server is about to end.", "Ask another, or later.");
    }
    if app.room.as_ref().is_some_and(Room::is_low) {
        let hint = "Make room. Reading goes on, and so does writing once there is room.";
        return not_ready("disk_low", "The server's disk is nearly full.", hint);
    }
    match app.health.ask(&app).await {
        Health::Ready => answer::words(StatusCode::OK, "ready"),
        Health::WritesStopped { reason } => {
            tracing::warn!(request = %id, %reason, "not ready");
            not_ready(
                "writes_stopped",
                "The server writes nothing since its disk failed.",
                "Look at the disk and the log, then start the server again.",
            )
        }
        Health::Damaged { reason } => {
            tracing::warn!(request = %id, %reason, "not ready");
            not_ready(
                "storage_damaged",
                "The server's database is damaged.",
                "Keep a copy of it. `ta server verify` tells more, `ta server restore` brings a backup \
                 back, or says how. After the repair start the server again: until then it says this.",
            )
        }
        Health::Unavailable { reason } => {
            tracing::warn!(request = %id, %reason, "not ready");
            not_ready(
                "storage_unavailable",
                "The server's storage does not answer.",
                "Look at the log.",
            )
        }
    }
}
