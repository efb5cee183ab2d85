//! Reading the body of a request, within what it may be.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::App;
use super::answer::{BUSY, CUT_OFF, TOO_SLOW, Trouble};
use crate::limits::SMALL_BODY_BYTES_MAX;

/// A body, and the room in memory that it holds until this is dropped.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
pub(super) enum NoBody {
    /// It is larger than the protocol allows.
    Overflow,
    /// Something that the protocol has no words for.
    Trouble(Trouble),
}

/// What is allowed at once, as permits of the semaphore: one for a KiB.
pub(super) fn permits(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// Reads a whole body. Room for all that it announces is taken before the first byte is kept; one
/// that announces nothing takes room as it grows.
pub(super) async fn read(app: &App, mut body: Body) -> Result<Received, NoBody> {
    let limits = &app.limits;
    let bytes_max = limits.body_bytes_max;
    let announced = body.size_hint().exact();
    let announced = match announced.map(usize::try_from) {
        Some(Ok(bytes)) if bytes <= bytes_max => Some(bytes),
        Some(_) => {
            pass_over(app, body).await;
            return Err(NoBody::Overflow);
        }
        None => None,
    };
    let mut room = None;
    let mut bytes_allowed = SMALL_BODY_BYTES_MAX;
    if let Some(bytes) = announced.filter(|bytes| *bytes > SMALL_BODY_BYTES_MAX) {
        room = Some(take_room(app, bytes).await?);
        bytes_allowed = bytes;
    }
    let mut kept = BytesMut::new();
    let began = Instant::now();
    loop {
        let frame = timeout(limits.stall_time_max, body.frame()).await;
        let frame = match frame.map_err(|_| NoBody::Trouble(TOO_SLOW))? {
            None => break,
            Some(frame) => frame.map_err(|_| NoBody::Trouble(CUT_OFF))?,
        };
        let Ok(piece) = frame.into_data() else { continue };
        let bytes = kept.len().saturating_add(piece.len());
        if bytes > bytes_max {
            drop(kept);
            pass_over(app, body).await;
            return Err(NoBody::Overflow);
        }
        if bytes > bytes_allowed {
            let more = take_room(app, bytes).await?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes_allowed = bytes_allowed.saturating_add(bytes);
        }
        if kept.is_empty() {
            kept.reserve(announced.unwrap_or(piece.len()));
        }
        kept.extend_from_slice(&piece);
        let elapsed = began.elapsed();
        let bytes_min = elapsed.as_secs().saturating_mul(limits.bytes_per_second_min);
        if elapsed > limits.stall_time_max && (kept.len() as u64) < bytes_min {
            return Err(NoBody::Trouble(TOO_SLOW));
        }
    }
    Ok(Received { bytes: kept.freeze(), _room: room })
}

/// Reads the rest of a body that is too large and keeps nothing of it: a client that is still sending
/// would not see the answer otherwise. Only as much again as a body may be; then it is cut off.
pub(super) async fn pass_over(app: &App, mut body: Body) {
    let mut bytes_left = app.limits.body_bytes_max;
    while let Ok(Some(Ok(frame))) = timeout(app.limits.stall_time_max, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        bytes_left = match bytes_left.checked_sub(bytes) {
            Some(left) => left,
            None => return,
        };
    }
}

/// Waits for room in memory, but not for long: two large bodies that grow could wait for each other.
async fn take_room(app: &App, bytes: usize) -> Result<OwnedSemaphorePermit, NoBody> {
    let permits = u32::try_from(permits(bytes)).unwrap_or(u32::MAX);
    let room = Arc::clone(&app.bodies).acquire_many_owned(permits);
    match timeout(app.limits.queue_time_max, room).await {
        Ok(Ok(room)) => Ok(room),
        _ => Err(NoBody::Trouble(BUSY)),
    }
}
