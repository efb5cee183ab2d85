//! Answers: the protocol's, and the one JSON document for what it has no answer to.

use std::fmt;
use std::io::{Cursor, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde_json::json;
use tandem_core::VersionId;

use super::request::RequestId;
use crate::store::StoreError;

/// An answer on its way.
pub(super) type Reply = Response<Body>;

/// A version's body.
pub(super) const SEGMENT: &str = "application/vnd.taskchampion.history-segment";
/// A snapshot's body.
pub(super) const SNAPSHOT: &str = "application/vnd.taskchampion.snapshot";

pub(super) const VERSION_ID: HeaderName = HeaderName::from_static("x-version-id");
pub(super) const PARENT_VERSION_ID: HeaderName = HeaderName::from_static("x-parent-version-id");
pub(super) const SNAPSHOT_REQUEST: HeaderName = HeaderName::from_static("x-snapshot-request");
/// Which calls of ours are offered, beside the protocol's (`docs/protocol/tandem-http.md`).
pub(super) const TANDEM: HeaderName = HeaderName::from_static("x-tandem");
/// The value of [`TANDEM`]: names of calls, with a blank between them.
pub(super) const TANDEM_CALLS: HeaderValue = HeaderValue::from_static("head children");

/// The same of a server that begins no history for a client that it does not know.
pub(super) const TANDEM_CLOSED: HeaderValue = HeaderValue::from_static("head children closed");

/// The same on an answer to a client of whom nothing is here, and who is expected: a typo in the client
/// id would have been refused.
pub(super) const TANDEM_EXPECTED: HeaderValue = HeaderValue::from_static("head children expected");

/// Headers of the longest usual answer: room for them is taken once.
const HEADERS: usize = 8;

/// Whatever has no route: nothing, as the reference.
pub(super) async fn not_found() -> Reply {
    empty(StatusCode::NOT_FOUND)
}

pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = with_body(Body::empty());
    *reply.status_mut() = status;
    reply
}

fn with_body(body: Body) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().reserve(HEADERS);
    reply
}

/// The protocol's words.
pub(super) fn words(status: StatusCode, words: &'static str) -> Reply {
    let mut reply = with_type("text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()));
    *reply.status_mut() = status;
    reply
}

pub(super) fn with_type(content_type: &'static str, body: Bytes) -> Reply {
    let body = if body.len() > PIECE_BYTES { Body::new(Pieces(body)) } else { Body::from(body) };
    let mut reply = with_body(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// What is handed over at once of a large body, in bytes: few calls to the system, and a request
/// counts as under way until its last piece can be sent.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

/// A large body in pieces, none of them copied.
struct Pieces(Bytes);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

pub(super) fn put_id(reply: &mut Reply, name: HeaderName, id: VersionId) {
    reply.headers_mut().insert(name, short(format_args!("{id}")));
}

/// A header's value of at most 64 plain characters, without a text in between.
pub(super) fn short(text: fmt::Arguments<'_>) -> HeaderValue {
    let mut room = Cursor::new([0; 64]);
    let written = room.write_fmt(text);
    debug_assert!(written.is_ok(), "{text} is too long");
    let length = usize::try_from(room.position()).unwrap_or_default();
    let value = HeaderValue::from_bytes(&room.get_ref()[..length]);
    value.unwrap_or(HeaderValue::from_static("-"))
}

/// What the protocol has no answer of its own to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    /// For programs.
    pub(super) code: &'static str,
    /// What happened.
    pub(super) message: &'static str,
    /// What to do.
    pub(super) hint: &'static str,
}

/// Too much is going on.
pub(super) const BUSY: Trouble = Trouble {
    status: StatusCode::SERVICE_UNAVAILABLE,
    code: "busy",
    message: "The server has too much to do.",
    hint: "Try again in a moment. Nothing was changed.",
};

/// An address has shown too many wrong credentials.
pub(super) const TOO_MANY_GUESSES: Trouble = Trouble {
    status: StatusCode::TOO_MANY_REQUESTS,
    code: "too_many_guesses",
    message: "Too many wrong credentials came from this address.",
    hint: "Check the client id, then try again in ten minutes. Nothing was changed.",
};

/// The disk is nearly full, and the rest is for finishing what was begun.
pub(super) const DISK_LOW: Trouble = Trouble {
    status: StatusCode::SERVICE_UNAVAILABLE,
    code: "disk_low",
    message: "The server's disk is nearly full.",
    hint: "Its operator has to make room. Nothing was changed.",
};

/// A body came too slowly.
pub(super) const TOO_SLOW: Trouble = Trouble {
    status: StatusCode::REQUEST_TIMEOUT,
    code: "too_slow",
    message: "The body of the request came too slowly.",
    hint: "Look at the line, then try again. Nothing was changed.",
};

/// A body ended before its end.
pub(super) const CUT_OFF: Trouble = Trouble {
    status: StatusCode::BAD_REQUEST,
    code: "cut_off",
    message: "The body of the request was cut off.",
    hint: "Try again. Nothing was changed.",
};

/// No id can be made.
pub(super) const NO_RANDOMNESS: Trouble = Trouble {
    status: StatusCode::INTERNAL_SERVER_ERROR,
    code: "no_randomness",
    message: "The server's system gives no random numbers.",
    hint: "Nothing was changed. Its operator has to look.",
};

impl Trouble {
    pub(super) fn reply(self, id: &RequestId) -> Reply {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "request_id": id.as_str(),
        });
        let mut reply = with_type("application/json", body.to_string().into());
        *reply.status_mut() = self.status;
        let seconds = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some(HeaderValue::from_static("5")),
            StatusCode::TOO_MANY_REQUESTS => Some(HeaderValue::from_static("600")),
            _ => None,
        };
        if let Some(seconds) = seconds {
            reply.headers_mut().insert(RETRY_AFTER, seconds);
        }
        reply
    }
}

impl From<&StoreError> for Trouble {
    /// Never a 409: of a write whose outcome is open nobody is told that it lost.
    fn from(error: &StoreError) -> Self {
        let unavailable = |code, message, hint| Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code,
            message,
            hint,
        };
        match error {
            StoreError::Unavailable { .. } => unavailable(
                "storage_unavailable",
                "The server's storage does not answer.",
                "Try again later. Nothing was changed.",
            ),
            StoreError::Full => unavailable(
                "disk_full",
                "The server's disk is full.",
                "Its operator has to make room. Nothing was changed.",
            ),
            StoreError::Stopped { .. } => unavailable(
                "writes_stopped",
                "The server writes nothing since its disk failed.",
                "Its operator has to look. Nothing was changed.",
            ),
            StoreError::Unknown { .. } => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "outcome_unknown",
                message: "The server cannot tell whether this was stored.",
                hint: "Ask for the child of the version before to find out.",
            },
            StoreError::Damaged { .. } => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "storage_damaged",
                message: "What the server has stored cannot be read.",
                hint: "Its operator has to look. Nothing was changed.",
            },
        }
    }
}
