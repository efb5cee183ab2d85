//! Lets old history go, now and then, in steps small enough that nobody notices.

use std::sync::Arc;
use std::time::Duration;

use tandem_tasks::serve::retention::Rules;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::Clock;
use crate::metrics::Metrics;
use crate::server::stopped;
use crate::store::{Retain, Retained, Store, StoreError};

/// How often it looks. The rules count days.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// The first look is not while everybody comes back after a restart.
const FIRST_AFTER: Duration = Duration::from_secs(30);

/// Between two steps, so that requests get in between.
const REST: Duration = Duration::from_millis(20);

/// Clients that one step looks at, and versions that it removes.
const STEP_CLIENTS: u32 = 64;
/// See [`STEP_CLIENTS`].
const STEP_VERSIONS: u32 = 200;

/// Keeps house until `stop` turns true.
pub(crate) async fn keep(
    store: Arc<dyn Store>,
    rules: Rules,
    clock: Clock,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut rest = FIRST_AFTER;
    loop {
        tokio::select! {
            () = sleep(rest) => {}
            () = stopped(&mut stop) => return,
        }
        rest = EVERY;
        let mut total = Retained::default();
        let outcome = tokio::select! {
            outcome = once(&store, rules, &clock, &mut total) => outcome,
            () = stopped(&mut stop) => return,
        };
        metrics.versions_let_go.inc_by(total.versions);
        if total.versions > 0 {
            let Retained { versions, bytes, .. } = total;
            tracing::info!(versions, bytes, "old history was let go");
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "old history could not be let go; it is tried again later");
        }
    }
}

/// One round over all clients, added to `total` step by step.
///
/// # Errors
/// The storage's; what was let go until then is gone.
pub async fn once(
    store: &Arc<dyn Store>,
    rules: Rules,
    clock: &Clock,
    total: &mut Retained,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let at = clock();
        let step =
            Retain { rules, at, after, clients_max: STEP_CLIENTS, versions_max: STEP_VERSIONS };
        let retained = store.retain(step).await?;
        total.versions += retained.versions;
        total.bytes += retained.bytes;
        total.is_left_to_another |= retained.is_left_to_another;
        after = retained.next;
        if after.is_none() {
            return Ok(());
        }
        sleep(REST).await;
    }
}
