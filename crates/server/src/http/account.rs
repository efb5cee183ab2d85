//! Whose credentials these are: the one call of accounts so far.
//!
//! ```text
//!   GET /v1/tandem/account   Authorization: Bearer TOKEN | Basic NAME:PASSWORD
//!                            200 {"account":"ann","scope":"read"}
//! ```

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use base64ct::{Base64, Encoding as _};
use serde_json::json;
use tokio::time::timeout;

use super::App;
use super::answer::{self, BUSY, Reply, TOO_MANY_GUESSES, Trouble};
use super::gate::{keyed, note_wrong};
use super::request::RequestId;
use super::taskchampion::failed;
use super::visitor::Visitor;
use crate::account::{self, NOBODYS_HASH, PASSWORD_BYTES_MAX, Token};
use crate::attempts::Counted;
use crate::metrics::Guess;
use crate::store::StoreError;

/// The credentials are none, or none of an enabled account.
const NOT_AUTHORISED: Trouble = Trouble {
    status: StatusCode::UNAUTHORIZED,
    code: "not_authorised",
    message: "These are no credentials of an account here.",
    hint: "Give a token as `Bearer`, or name and password as `Basic`.",
};

/// What somebody shows.
enum Shown {
    Token(Token),
    Password { name: String, password: String },
}

/// Why there is no account.
enum NoAccount {
    Wrong,
    Busy,
    Store(StoreError),
}

pub(super) async fn account(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Reply {
    let now = Instant::now();
    let Some(shown) = read(&headers) else { return not_authorised(&id) };
    let (kind, secret) = match &shown {
        Shown::Token(token) => (Guess::Token, token.dangerously_reveal().to_owned()),
        Shown::Password { name, password } => (Guess::Password, format!("{name}:{password}")),
    };
    // It counts as wrong until it proves right: looking takes a while, and many may ask at once.
    let guess = keyed(&app, secret.as_bytes());
    let counted = app.attempts.note(visitor.address, guess, now);
    if counted == Counted::ShutOut {
        return TOO_MANY_GUESSES.reply(&id);
    }
    let found = find(&app, shown, now).await;
    if !matches!(found, Err(NoAccount::Wrong)) {
        app.attempts.take_back(visitor.address, guess);
    }
    match found {
        Ok((account, scope)) => {
            let body = json!({ "account": account, "scope": scope });
            answer::with_type("application/json", body.to_string().into())
        }
        Err(NoAccount::Wrong) => {
            note_wrong(&app, visitor, kind, counted);
            not_authorised(&id)
        }
        Err(NoAccount::Busy) => BUSY.reply(&id),
        Err(NoAccount::Store(error)) => failed(&error, &id),
    }
}

fn not_authorised(id: &RequestId) -> Reply {
    let mut reply = NOT_AUTHORISED.reply(id);
    let scheme = HeaderValue::from_static("Basic realm=\"tandem\", Bearer");
    reply.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    reply
}

fn read(headers: &HeaderMap) -> Option<Shown> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Token::read(rest).map(Shown::Token);
    }
    // The head of a request is limited, so what is decoded here is, too.
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| Base64::decode_vec(rest).ok())??;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    let is_possible = account::check_name(name).is_ok() && password.len() <= PASSWORD_BYTES_MAX;
    is_possible.then(|| Shown::Password { name: name.to_owned(), password: password.to_owned() })
}

/// The name of the account whose password is shown; empty for a token.
#[cfg(feature = "testing")]
pub(super) fn shown_name(headers: &HeaderMap) -> Option<String> {
    read(headers).map(|shown| match shown {
        Shown::Token(_) => String::new(),
        Shown::Password { name, .. } => name,
    })
}

async fn find(app: &App, shown: Shown, now: Instant) -> Result<(String, &'static str), NoAccount> {
    let admin = app.store.admin().ok_or(NoAccount::Wrong)?;
    match shown {
        Shown::Token(token) => {
            let found = admin.token(token.hash()).await.map_err(NoAccount::Store)?;
            let found = found.ok_or(NoAccount::Wrong)?;
            Ok((found.account, found.scope.word()))
        }
        Shown::Password { name, password } => {
            let hash = admin.password(&name).await.map_err(NoAccount::Store)?;
            let tried = keyed(app, name.as_bytes());
            let wait = app.delays.begin(tried, now).ok_or(NoAccount::Busy)?;
            tokio::time::sleep(wait).await;
            let checked = check(app, password, hash).await;
            if !matches!(checked, Err(NoAccount::Wrong)) {
                app.delays.take_back(tried);
            }
            checked.map(|()| (name, "password"))
        }
    }
}

async fn check(app: &App, password: String, hash: Option<String>) -> Result<(), NoAccount> {
    // Each takes 19 MiB and a core for some time: only some at once.
    let turn = timeout(app.limits.queue_time_max, Arc::clone(&app.hashing).acquire_owned());
    let Ok(Ok(turn)) = turn.await else { return Err(NoAccount::Busy) };
    let is_right = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        // As long for a name that is known as for another: who is here is not told.
        let is_right = account::is_password(&password, hash.as_deref().unwrap_or(NOBODYS_HASH));
        is_right && hash.is_some()
    });
    match is_right.await {
        Ok(true) => Ok(()),
        _ => Err(NoAccount::Wrong),
    }
}
