//! Lets old history go, now and then, in steps small enough that nobody notices.

use std::sync::Arc;
use std::time::Duration;

use tandem_tasks::serve::retention::{Day, Rules};
use tandem_tasks::serve::rounds::Watched;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::Clock;
use crate::metrics::Metrics;
use crate::server::stopped;
use crate::store::{Retain, Retained, Store, StoreError};

/// How often it looks. The rules count days; [`Watched::AnHour`] counts these.
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
    let mut watched = Watched::Nothing;
    let mut is_doubted = false;
    loop {
        tokio::select! {
            () = sleep(rest) => {}
            () = stopped(&mut stop) => return,
        }
        rest = EVERY;
        let mut total = Retained::default();
        let outcome = tokio::select! {
            outcome = once(&store, rules, &clock, watched, &mut total) => outcome,
            () = stopped(&mut stop) => return,
        };
        watched = Watched::AnHour;
        metrics.versions_let_go.inc_by(total.versions);
        if total.versions > 0 {
            let Retained { versions, bytes, .. } = total;
            tracing::info!(versions, bytes, "old history was let go");
        }
        match outcome {
            Ok(Round::Done) => is_doubted = false,
            // Said once, not for each of the hours that it lasts.
            Ok(Round::DateInDoubt) if is_doubted => {}
            Ok(Round::DateInDoubt) => {
                is_doubted = true;
                tracing::warn!(
                    "the date does not follow from that of the last look: no history goes before \
                     it has been plausible for a day"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "old history could not be let go; it is tried again later");
            }
        }
    }
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// All clients were looked at.
    Done,
    /// None was: today does not follow from the day of the last round
    /// (`tandem_tasks::serve::rounds`).
    DateInDoubt,
}

/// One round over all clients, added to `total` step by step.
///
/// # Errors
/// The storage's; what was let go until then is gone.
pub async fn once(
    store: &Arc<dyn Store>,
    rules: Rules,
    clock: &Clock,
    watched: Watched,
    total: &mut Retained,
) -> Result<Round, StoreError> {
    if !store.begin_round(Day::of(clock()), watched).await? {
        return Ok(Round::DateInDoubt);
    }
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
            return Ok(Round::Done);
        }
        sleep(REST).await;
    }
}
