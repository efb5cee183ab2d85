//! What happens around every request: its id, its line in the log, its turn.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use axum::middleware::Next;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tandem_core::ClientId;
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::answer::{BUSY, Reply};
use super::rest::lend;
use super::taskchampion::read_client;
use super::visitor::{Peer, Visitor};
use crate::access::ClientTag;
use crate::limits::REQUEST_ID_BYTES_MAX;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of one request in logs and error answers: the client's own, if it sent a decent one.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// A client's id goes into logs: plain characters only, and not many. (Whoever sends the client
    /// id here, too, is not to find it there, in whatever spelling. Other UUIDs are let through: that is
    /// what proxies name requests with.)
    fn from_client(request: &Request) -> Option<Self> {
        let value = request.headers().get(REQUEST_ID)?;
        let text = value.to_str().ok()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_decent = (1..=REQUEST_ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(is_plain)
            && !read_client(request.headers()).is_some_and(|client| is_in(client, text));
        is_decent.then(|| Self(value.clone()))
    }
}

/// Whether a text holds a client id, however it is written.
fn is_in(client: ClientId, text: &str) -> bool {
    let digits = |text: &str| text.to_ascii_lowercase().replace(['-', '_', '.'], "");
    digits(text).contains(&digits(&client.to_string()))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes request ids.
#[derive(Debug)]
pub(crate) struct Ids {
    process: u32,
    next: AtomicU64,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut bytes = [0; 4];
        // Without randomness the ids of two runs may meet; they are for reading logs.
        let _ = getrandom::fill(&mut bytes);
        Self { process: u32::from_le_bytes(bytes), next: AtomicU64::new(1) }
    }

    fn make(&self) -> RequestId {
        let text = format!("{:08x}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed));
        RequestId(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-")))
    }
}

/// Names the request, notes it in the log when it is answered, and forbids caches to keep the answer.
pub(super) async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Reply {
    let began = Instant::now();
    let id = RequestId::from_client(&request).unwrap_or_else(|| app.ids.make());
    request.extensions_mut().insert(id.clone());
    // Without a connection (in a test of the routes alone) nobody is anywhere.
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let visitor = Visitor::of(peer, request.headers(), &app.trusted_proxies);
    request.extensions_mut().insert(visitor);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let line = tracing::enabled!(tracing::Level::INFO).then(|| Line::of(&app, &request));
    let (request, rest) = lend(request);
    let mut reply = next.run(request).await;
    let received = match rest {
        Some(rest) => rest.pass_over(&app.limits, reply.status()).await,
        None => 0,
    };
    let headers = reply.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, max-age=0"));
    headers.insert(REQUEST_ID, id.0.clone());
    let sizes = (Some(received), reply.body().size_hint().exact());
    app.metrics.answer(
        method.as_str(),
        route.as_ref().map(MatchedPath::as_str),
        &app.path_prefix,
        reply.status().as_u16(),
        began.elapsed(),
        sizes,
    );
    if let Some(line) = line {
        // Tenths are enough, and what follows them is noise.
        let elapsed_ms = (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
        tracing::info!(
            request = %id,
            method = %line.method,
            route = %line.route,
            client = %line.client,
            received,
            status = reply.status().as_u16(),
            sent = reply.body().size_hint().exact(),
            elapsed_ms,
            "request"
        );
    }
    reply
}

/// What the log says of a request: its route, not its path, and a tag for its client.
struct Line {
    method: String,
    route: String,
    client: String,
}

impl Line {
    fn of(app: &App, request: &Request) -> Self {
        // Methods are the client's words, too.
        let method = request.method().as_str();
        let method = if method.len() <= 8 { method } else { "-" };
        let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
        let client = match read_client(request.headers()) {
            Some(client) => ClientTag::new(&app.log_key, client).to_string(),
            None => "-".to_owned(),
        };
        Self { method: method.to_owned(), route: route.to_owned(), client }
    }
}

/// Lets a limited number of requests be worked on at once; one counts until its answer has left.
pub(super) async fn in_turn(State(app): State<Arc<App>>, request: Request, next: Next) -> Reply {
    let turn = Arc::clone(&app.requests).acquire_owned();
    let Ok(Ok(turn)) = tokio::time::timeout(app.limits.queue_time_max, turn).await else {
        let id = request.extensions().get::<RequestId>().cloned();
        return BUSY.reply(&id.unwrap_or_else(|| app.ids.make()));
    };
    let reply = next.run(request).await;
    reply.map(|body| Body::new(Counted { body, _turn: turn }))
}

/// A body that gives the turn of its request back when it has been sent.
struct Counted {
    body: Body,
    _turn: OwnedSemaphorePermit,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
