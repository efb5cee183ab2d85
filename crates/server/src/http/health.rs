//! Whether the process lives, and whether it can be given work: for supervisors and balancers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};

use super::App;
use super::answer::{self, Reply, Trouble};
use super::request::RequestId;
use crate::store::Health;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
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
    let health = app
        .store
        .health()
        .await
        .unwrap_or_else(|error| Health::Unavailable { reason: error.to_string() });
    match health {
        Health::Ready => answer::words(StatusCode::OK, "ready"),
        Health::WritesStopped { reason } => {
            tracing::warn!(request = %id, %reason, "not ready");
            not_ready(
                "writes_stopped",
                "The server writes nothing since its disk failed.",
                "Look at the disk and the log, then start the server again.",
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
