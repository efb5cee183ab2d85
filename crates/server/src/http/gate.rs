//! Who is served: the list of client ids, accounts, and who was shut out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::HeaderMap;
use sha2::{Digest as _, Sha256};
use tandem_core::ClientId;

use super::App;
use super::answer::{self, Reply, TOO_MANY_GUESSES, Trouble};
use super::request::RequestId;
use super::taskchampion::read_client;
use super::visitor::Visitor;
use crate::access::Mode;
use crate::metrics::Guess;
use crate::store::StoreError;
use crate::store::admin::Standing;

/// How long it is remembered that a client is served: as long an operator waits, at most, for a
/// client that was shut out to be gone. That one is *not* served is never remembered.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Clients that are remembered. More ask the storage each time.
const REMEMBERED_MAX: usize = 10_000;

/// Why somebody is not served, in the protocol's words where it has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    BadContentType,
    BadClientId,
    Forbidden,
    Trouble(Trouble),
}

impl Refusal {
    pub(super) fn reply(self, id: &RequestId) -> Reply {
        match self {
            Self::BadContentType => answer::words(StatusCode::BAD_REQUEST, "Bad content-type"),
            Self::BadClientId => answer::words(StatusCode::BAD_REQUEST, "bad x-client-id"),
            Self::Forbidden => answer::empty(StatusCode::FORBIDDEN),
            Self::Trouble(trouble) => trouble.reply(id),
        }
    }
}

/// Clients that were served a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<ClientId, Instant>>);

impl Remembered {
    fn has(&self, client: ClientId, now: Instant) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.get(&client);
        at.is_some_and(|at| now.saturating_duration_since(*at) < REMEMBERED)
    }

    fn note(&self, client: ClientId, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED);
        }
        if all.len() < REMEMBERED_MAX {
            all.insert(client, now);
        }
    }
}

/// Who asks, or why they are not served.
pub(super) async fn check_client(
    app: &App,
    headers: &HeaderMap,
    visitor: Visitor,
) -> Result<ClientId, Refusal> {
    let client = read_client(headers).ok_or(Refusal::BadClientId)?;
    let now = Instant::now();
    if app.access.is_allowed(client) {
        if app.remembered.has(client, now) {
            return Ok(client);
        }
        if is_shut_out(app, visitor, now) {
            return Err(Refusal::Trouble(TOO_MANY_GUESSES));
        }
        match is_served(app, client).await {
            Ok(true) => {
                app.remembered.note(client, now);
                return Ok(client);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "the storage does not tell who is served");
                return Err(Refusal::Trouble(Trouble::from(&error)));
            }
        }
    } else if is_shut_out(app, visitor, now) {
        return Err(Refusal::Trouble(TOO_MANY_GUESSES));
    }
    note_guess(app, visitor, Guess::ClientId, &client.to_bytes(), now);
    Err(Refusal::Forbidden)
}

async fn is_served(app: &App, client: ClientId) -> Result<bool, StoreError> {
    let standing = match app.store.admin() {
        Some(admin) => admin.standing(client).await?,
        None => Standing::Plain,
    };
    Ok(match standing {
        Standing::Disabled => false,
        Standing::OfAccount => true,
        Standing::Plain => app.access.mode == Mode::Open,
    })
}

/// Whether this address has tried too many credentials.
pub(super) fn is_shut_out(app: &App, visitor: Visitor, now: Instant) -> bool {
    app.attempts.is_shut_out(visitor.address, now)
}

/// Notes a wrong credential.
pub(super) fn note_guess(app: &App, visitor: Visitor, kind: Guess, guess: &[u8], now: Instant) {
    // Keyed, so that what is remembered is of no use to whoever reads memory.
    let hash = Sha256::new().chain_update(app.log_key).chain_update(guess).finalize();
    let guess = u64::from_le_bytes(std::array::from_fn(|index| hash[index]));
    app.attempts.note(visitor.address, guess, now);
    app.metrics.guess(kind);
    tracing::info!(address = %visitor.address, what = kind.word(), "a wrong credential");
}
