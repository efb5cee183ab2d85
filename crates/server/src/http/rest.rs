//! What is left of a request's body once its answer is known.
//!
//! A client that is still sending would not see a refusal, and a proxy that passes bodies on as they
//! come would make a 502 of it. So the rest is read, within bounds, and nothing of it is kept.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::body::Coming;
use crate::limits::Limits;

/// How long the rest of a body is listened to at most: whoever sends it has been refused.
const REST_TIME_MAX: Duration = Duration::from_secs(120);

/// The body that a handler has lent.
pub(super) struct Rest {
    lent: Arc<Mutex<Lent>>,
    /// The client sends nothing before it is told to, which whoever reads the body does.
    waits_for_word: bool,
}

struct Lent {
    body: Body,
    bytes: u64,
}

/// Gives the handlers a body of which the rest stays here. A request without one is left alone.
pub(super) fn lend(request: Request) -> (Request, Option<Rest>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let waits_for_word = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let lent = Arc::new(Mutex::new(Lent { body, bytes: 0 }));
    let request = Request::from_parts(parts, Body::new(Borrowed(Arc::clone(&lent))));
    (request, Some(Rest { lent, waits_for_word }))
}

impl Rest {
    /// Reads the rest before an answer of this status leaves: as much as a body may be, at most. The
    /// bytes that came of the body in all.
    pub(super) async fn pass_over(self, limits: &Limits, status: StatusCode) -> u64 {
        let (mut body, bytes) = {
            let mut lent = lock(&self.lent);
            (std::mem::take(&mut lent.body), lent.bytes)
        };
        let is_unasked = self.waits_for_word && bytes == 0;
        if body.is_end_stream() || is_unasked || status == StatusCode::REQUEST_TIMEOUT {
            return bytes;
        }
        let mut coming = Coming::new(&mut body, limits);
        let mut passed = 0;
        while let Ok(Some(piece)) = coming.piece().await {
            passed += piece.len();
            if passed > limits.body_bytes_max || coming.elapsed() > REST_TIME_MAX {
                break;
            }
        }
        bytes.saturating_add(passed as u64)
    }
}

fn lock(lent: &Mutex<Lent>) -> MutexGuard<'_, Lent> {
    lent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body as handlers see it.
struct Borrowed(Arc<Mutex<Lent>>);

impl http_body::Body for Borrowed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut lent = lock(&self.0);
        let frame = std::task::ready!(Pin::new(&mut lent.body).poll_frame(context));
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        let bytes = data.map_or(0, Bytes::len) as u64;
        lent.bytes = lent.bytes.saturating_add(bytes);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::tests::Slow;

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_refused_body_is_listened_to_within_bounds() {
        let limits = Limits { body_bytes_max: 100_000, ..Limits::default() };
        let second = Duration::from_secs(1);
        for (bytes, piece, pause, read) in [
            (90_000, 9_000, second, 90_000..=90_000),
            // No larger than a body may be, no slower, and not for long.
            (900_000, 9_000, second, 100_001..=109_000),
            (90_000, 1, second * 10, 1..=10),
            (90_000, 2_000, second * 2, 1..=90_000),
            (90_000, 1_100, second, 1..=133_000),
        ] {
            let (_, rest) = lend(Request::new(Slow::body(bytes, piece, pause)));
            let began = tokio::time::Instant::now();
            let came = rest.unwrap().pass_over(&limits, StatusCode::FORBIDDEN).await;
            assert!(read.contains(&came), "{came} of {bytes}");
            assert!(began.elapsed() < REST_TIME_MAX + limits.stall_time_max);
        }
        let (_, rest) = lend(Request::new(Slow::body(90_000, 9_000, second)));
        let came = rest.unwrap().pass_over(&limits, StatusCode::REQUEST_TIMEOUT).await;
        assert_eq!(came, 0, "who was too slow is not waited for again");
    }
}
