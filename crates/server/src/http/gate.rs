//! Who is served: the list of client ids, accounts, and who was shut out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::http::header::HeaderMap;
use sha2::{Digest as _, Sha256};
use tandem_core::ClientId;

use super::App;
use super::answer::{
    self, Reply, TANDEM, TANDEM_CLOSED, TANDEM_EXPECTED, TOO_MANY_GUESSES, Trouble,
};
use super::request::RequestId;
use super::taskchampion::{failed, no_such_client, read_client};
use super::visitor::Visitor;
use crate::access::Mode;
use crate::attempts::Counted;
use crate::metrics::Guess;
use crate::recent::Recent;
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
    /// The storage does not tell.
    Failed(StoreError),
}

impl Refusal {
    pub(super) fn reply(self, id: &RequestId) -> Reply {
        match self {
            Self::BadContentType => answer::words(StatusCode::BAD_REQUEST, "Bad content-type"),
            Self::BadClientId => answer::words(StatusCode::BAD_REQUEST, "bad x-client-id"),
            Self::Forbidden => answer::empty(StatusCode::FORBIDDEN),
            Self::Trouble(trouble) => trouble.reply(id),
            Self::Failed(error) => failed(&error, id),
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

    fn forget(&self, client: ClientId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
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

/// How long it is remembered that a client was served, for one question alone: whether it is listened to
/// where an address has shown too many wrong credentials.
const KNOWN: Duration = Duration::from_secs(12 * 60 * 60);

/// Clients that are remembered for it.
const KNOWN_MAX: usize = 20_000;

/// Clients that were served within the last hours.
#[derive(Debug)]
pub(crate) struct Known(Mutex<Recent<ClientId, Instant>>);

impl Default for Known {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(KNOWN_MAX)))
    }
}

impl Known {
    fn has(&self, client: ClientId, now: Instant) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&client).is_some_and(|at| now.saturating_duration_since(*at) < KNOWN)
    }

    fn note(&self, client: ClientId, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(client, || now) = now;
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
        // Others at the same address may guess.
        if is_shut_out(app, visitor, now) && !app.known.has(client, now) {
            return Err(Refusal::Trouble(TOO_MANY_GUESSES));
        }
        if is_served(app, client).await.map_err(Refusal::Failed)? {
            app.remembered.note(client, now);
            app.known.note(client, now);
            return Ok(client);
        }
    } else if is_shut_out(app, visitor, now) {
        return Err(Refusal::Trouble(TOO_MANY_GUESSES));
    }
    note_client(app, visitor, client, now);
    Err(Refusal::Forbidden)
}

/// The same of somebody who was let through, without what is remembered.
pub(super) async fn check_anew(
    app: &App,
    client: ClientId,
    visitor: Visitor,
) -> Result<(), Refusal> {
    if is_served(app, client).await.map_err(Refusal::Failed)? {
        return Ok(());
    }
    app.remembered.forget(client);
    note_client(app, visitor, client, Instant::now());
    Err(Refusal::Forbidden)
}

/// The answer to a client that is not here. Where none is made that is a wrong credential, too.
pub(super) async fn unknown_client(app: &App, visitor: Visitor, client: ClientId) -> Reply {
    let mut reply = no_such_client();
    if !app.access.may_create {
        note_client(app, visitor, client, Instant::now());
        reply.headers_mut().insert(TANDEM, TANDEM_CLOSED);
    } else if is_expected(app, client).await {
        reply.headers_mut().insert(TANDEM, TANDEM_EXPECTED);
    }
    reply
}

/// Whether somebody has named this client id beforehand, so that it is no typo.
async fn is_expected(app: &App, client: ClientId) -> bool {
    // Where only such are served it has been looked at.
    app.access.allowed.is_some()
        || app.access.mode == Mode::Accounts
        || matches!(standing(app, client).await, Ok(Standing::OfAccount))
}

async fn standing(app: &App, client: ClientId) -> Result<Standing, StoreError> {
    match app.store.admin() {
        Some(admin) => admin.standing(client).await,
        None => Ok(Standing::Plain),
    }
}

async fn is_served(app: &App, client: ClientId) -> Result<bool, StoreError> {
    Ok(match standing(app, client).await? {
        Standing::Disabled => false,
        Standing::OfAccount => true,
        Standing::Plain => app.access.mode == Mode::Open,
    })
}

/// Whether client ids are not listened to from there.
fn is_shut_out(app: &App, visitor: Visitor, now: Instant) -> bool {
    app.attempts.is_shut_out(visitor.address, now) && !visitor.is_shared()
}

/// Notes a wrong client id.
fn note_client(app: &App, visitor: Visitor, client: ClientId, now: Instant) {
    if visitor.is_shared() {
        // 2^122 client ids may be tried by whoever hides there; its neighbours are not to suffer for it.
        static IS_TOLD: AtomicBool = AtomicBool::new(false);
        if !IS_TOLD.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                proxy = %visitor.address,
                "a proxy that is not named in `trusted_proxy` passes requests on: wrong client ids \
                 cannot be counted for each visitor"
            );
        }
        return note_wrong(app, visitor, Guess::ClientId, Counted::Yes);
    }
    let counted = app.attempts.note(visitor.address, keyed(app, &client.to_bytes()), now);
    note_wrong(app, visitor, Guess::ClientId, counted);
}

/// What is remembered of a credential: of no use to whoever reads memory.
pub(super) fn keyed(app: &App, credential: &[u8]) -> u64 {
    let hash = Sha256::new().chain_update(app.log_key).chain_update(credential).finalize();
    u64::from_le_bytes(std::array::from_fn(|index| hash[index]))
}

/// Tells operators of a wrong credential that was counted.
pub(super) fn note_wrong(app: &App, visitor: Visitor, kind: Guess, counted: Counted) {
    app.metrics.guess(kind);
    let (address, what) = (visitor.address, kind.word());
    tracing::info!(%address, what, "a wrong credential");
    if counted == Counted::Last {
        tracing::warn!(%address, what, "too many wrong credentials: not listened to for a while");
    }
}
