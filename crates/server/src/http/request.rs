//! What happens around every request: its id, its line in the log, its turn.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::service::Service as _;
use tandem_core::ClientId;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{BUSY, PIECE_BYTES, Reply, short};
use super::rest::lend;
use super::routes::Route;
use super::taskchampion::read_client;
use super::visitor::Visitor;
use super::{App, Site};
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
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId(short(format_args!("{:08x}-{number}", self.process)))
    }
}

impl Site {
    /// Answers a request from there: names it, lets it wait for its turn, notes it in the log, counts it, and
    /// forbids caches to keep the answer.
    pub(super) async fn answer(&self, peer: IpAddr, mut request: Request) -> Reply {
        let app = &*self.app;
        let began = Instant::now();
        let id = RequestId::from_client(&request).unwrap_or_else(|| app.ids.make());
        let visitor = Visitor::of(peer, request.headers(), &app.trusted_proxies);
        let route = self.routes.find(request.uri().path());
        let line = tracing::enabled!(tracing::Level::INFO).then(|| Line::of(app, &request));
        let method = request.method().clone();
        request.extensions_mut().insert(id.clone());
        request.extensions_mut().insert(visitor);
        let (request, rest) = lend(request);
        let mut reply = match route {
            Some(Route { is_call: true, .. }) => self.in_turn(request, &id).await,
            _ => self.routed(request).await,
        };
        let received = match rest {
            Some(rest) => rest.pass_over(&app.limits, reply.status()).await,
            None => 0,
        };
        let headers = reply.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, max-age=0"));
        headers.insert(REQUEST_ID, id.0.clone());
        let (status, sent) = (reply.status().as_u16(), reply.body().size_hint().exact());
        let (route, elapsed) = (route.map(|route| route.name), began.elapsed());
        app.metrics.answer(method.as_str(), route, status, elapsed, (Some(received), sent));
        if let Some(line) = line {
            // Tenths are enough, and what follows them is noise.
            let elapsed_ms = (elapsed.as_secs_f64() * 10_000.0).round() / 10.0;
            tracing::info!(
                request = %id,
                method = %line.method,
                route = route.unwrap_or("-"),
                client = %line.client,
                received,
                status,
                sent,
                elapsed_ms,
                "request"
            );
        }
        reply
    }

    /// Lets a limited number of requests be worked on at once; one counts until its answer has left.
    async fn in_turn(&self, request: Request, id: &RequestId) -> Reply {
        let turn = Arc::clone(&self.app.requests).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(self.app.limits.queue_time_max, turn).await else {
            return BUSY.reply(id);
        };
        let reply = self.routed(request).await;
        // What fits into one piece is handed over at once.
        match reply.body().size_hint().exact() {
            Some(bytes) if bytes <= PIECE_BYTES as u64 => reply,
            _ => reply.map(|body| Body::new(Counted { body, _turn: turn })),
        }
    }

    async fn routed(&self, request: Request) -> Reply {
        let Ok(reply) = self.router.call(request).await;
        reply
    }
}

/// What the log says of a request beside its route: a tag for its client.
struct Line {
    method: String,
    client: String,
}

impl Line {
    fn of(app: &App, request: &Request) -> Self {
        // Methods are the client's words, too.
        let method = request.method().as_str();
        let method = if method.len() <= 8 { method } else { "-" };
        let client = match read_client(request.headers()) {
            Some(client) => ClientTag::new(&app.log_key, client).to_string(),
            None => "-".to_owned(),
        };
        Self { method: method.to_owned(), client }
    }
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
