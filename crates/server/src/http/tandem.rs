//! Our own calls beside the protocol, which save round trips between two Tandems.
//!
//! ```text
//!   GET /v1/tandem/head                  200 {"latest":"…","snapshot":null}
//!   GET /v1/tandem/children/<parent>     200 frame frame … end
//!
//!   frame    version id (16 bytes) · length (4 bytes, big-endian) · that many bytes
//!   end      16 zero bytes · 0: this is all, 1: more are to come
//! ```
//!
//! # Source
//! `docs/protocol/tandem-http.md`.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::HeaderMap;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use serde_json::json;
use tandem_core::{ClientId, VersionId};

use super::App;
use super::answer::{self, BUSY, Reply};
use super::gate::{check_client, unknown_client};
use super::memory::{Held, Loading};
use super::request::RequestId;
use super::taskchampion::{InPath, failed, gone, up_to_date};
use super::visitor::Visitor;
use crate::limits::{PAGE_BYTES_MAX, PAGE_VERSIONS_MAX};
use crate::store::{Children, ReadChildren, StoreError, StoredVersion};

/// Content type of [`children`].
const CHILDREN: &str = "application/vnd.tandem.children";

type Page = Pin<Box<dyn Future<Output = Result<Children, NoPage>> + Send>>;

/// Why a page cannot be loaded.
enum NoPage {
    /// There is no room for its first version at present.
    NoRoom,
    Store(StoreError),
}

/// Where the history ends.
pub(super) async fn head(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Reply {
    let client = match check_client(&app, &headers, visitor).await {
        Ok(client) => client,
        Err(refusal) => return refusal.reply(&id),
    };
    match app.store.head(client, (app.clock)()).await {
        Ok(Some(head)) => {
            let snapshot = head.snapshot.map(|version| version.to_string());
            let body = json!({ "latest": head.latest.to_string(), "snapshot": snapshot });
            answer::with_type("application/json", body.to_string().into())
        }
        Ok(None) => unknown_client(&app, visitor, client).await,
        Err(error) => failed(&error, &id),
    }
}

/// Versions in a row, streamed.
pub(super) async fn children(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    Extension(visitor): Extension<Visitor>,
    InPath(parent): InPath,
    headers: HeaderMap,
) -> Reply {
    let client = match check_client(&app, &headers, visitor).await {
        Ok(client) => client,
        Err(refusal) => return refusal.reply(&id),
    };
    let limits = &app.limits;
    let page_bytes = usize::try_from(PAGE_BYTES_MAX).unwrap_or(usize::MAX);
    let room = app.answers.take(client, page_bytes, limits.queue_time_max).await;
    let Some(room) = room else { return BUSY.reply(&id) };
    let mut row = Row {
        client,
        request: id,
        versions_left: limits.children_max.max(1),
        bytes_left: limits.children_bytes_max,
        ready: VecDeque::new(),
        page: None,
        is_done: false,
        _room: room,
        app: Arc::clone(&app),
    };
    match row.load(parent).await {
        Ok(Children::Found { versions, latest }) => {
            row.take(versions, latest);
            let mut reply = answer::with_type(CHILDREN, Bytes::new());
            *reply.body_mut() = Body::new(row);
            reply
        }
        Ok(Children::UpToDate) => up_to_date(),
        Ok(Children::Gone) => gone(),
        Ok(Children::NoSuchClient) => unknown_client(&app, visitor, client).await,
        Ok(Children::TooLarge { .. }) | Err(NoPage::NoRoom) => BUSY.reply(&row.request),
        Err(NoPage::Store(error)) => failed(&error, &row.request),
    }
}

/// The body of a streamed answer: one page in memory, the next is read when that has left.
struct Row {
    app: Arc<App>,
    client: ClientId,
    request: RequestId,
    versions_left: u32,
    bytes_left: u64,
    ready: VecDeque<Bytes>,
    page: Option<Page>,
    is_done: bool,
    /// For a page. A first version that is larger brings its own.
    _room: Held,
}

impl Row {
    fn load(&self, parent: VersionId) -> Page {
        let app = Arc::clone(&self.app);
        let mut request = ReadChildren {
            client: self.client,
            parent,
            count_max: PAGE_VERSIONS_MAX.min(self.versions_left),
            bytes_max: PAGE_BYTES_MAX.min(self.bytes_left),
            first_bytes_max: PAGE_BYTES_MAX,
            at: (app.clock)(),
        };
        Box::pin(async move {
            let mut loading = Loading::new(&app, request.client, PAGE_BYTES_MAX);
            loop {
                match app.store.children(request).await.map_err(NoPage::Store)? {
                    Children::TooLarge { bytes } => {
                        loading.grow(bytes).await.map_err(|_| NoPage::NoRoom)?;
                        request.first_bytes_max = loading.bytes_max();
                    }
                    Children::Found { mut versions, latest } => {
                        if let Some(first) = versions.first_mut() {
                            first.segment = loading.done(std::mem::take(&mut first.segment));
                        }
                        return Ok(Children::Found { versions, latest });
                    }
                    other => return Ok(other),
                }
            }
        })
    }

    /// Makes frames of a page, and an end or the question for the next page.
    fn take(&mut self, versions: Vec<StoredVersion>, latest: VersionId) {
        let mut last = latest;
        for stored in versions {
            last = stored.version;
            self.versions_left = self.versions_left.saturating_sub(1);
            self.bytes_left = self.bytes_left.saturating_sub(stored.segment.len() as u64);
            let mut head = BytesMut::with_capacity(20);
            head.put_slice(&stored.version.to_bytes());
            // Bodies are limited to 100 MiB where they come in.
            head.put_u32(u32::try_from(stored.segment.len()).unwrap_or(u32::MAX));
            self.ready.push_back(head.freeze());
            self.ready.push_back(stored.segment);
        }
        let is_all = last == latest;
        if is_all || self.versions_left == 0 || self.bytes_left == 0 {
            self.end(is_all);
        } else {
            self.page = Some(self.load(last));
        }
    }

    fn end(&mut self, is_all: bool) {
        let mut end = BytesMut::zeroed(16);
        end.put_u8(u8::from(!is_all));
        self.ready.push_back(end.freeze());
        self.is_done = true;
    }
}

impl http_body::Body for Row {
    type Data = Bytes;
    type Error = io::Error;

    /// An error ends the connection before the end has been told, so that nobody takes a part for
    /// the whole.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            let Some(page) = &mut self.page else { return Poll::Ready(None) };
            let Poll::Ready(page) = page.as_mut().poll(context) else { return Poll::Pending };
            self.page = None;
            match page {
                Ok(Children::Found { versions, latest }) => self.take(versions, latest),
                Ok(_) => {
                    // Let go while we were sending.
                    self.is_done = true;
                    return Poll::Ready(Some(Err(io::Error::other("the history has moved"))));
                }
                // What has come is good; the rest is asked for again.
                Err(NoPage::NoRoom) => self.end(false),
                Err(NoPage::Store(error)) => {
                    tracing::error!(request = %self.request, %error, "the storage has no answer");
                    self.is_done = true;
                    return Poll::Ready(Some(Err(io::Error::other("the storage has no answer"))));
                }
            }
        }
    }
}
