//! Reading the body of a request, within what it may be.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tandem_core::ClientId;
use tokio::time::{Instant, timeout};

use super::App;
use super::answer::{BUSY, CUT_OFF, TOO_SLOW, Trouble};
use super::memory::Held;
use crate::limits::{Limits, SMALL_BODY_BYTES_MAX};

/// Why there is no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It is larger than the protocol allows.
    Overflow,
    /// Something that the protocol has no words for.
    Trouble(Trouble),
}

/// Reads a whole body. One that is not small holds room in memory, for as long as anything of it is
/// there. The room is taken as the body grows and not by what it announces, so that a few clients that
/// announce much and send little are in nobody's way.
pub(super) async fn read(app: &App, client: ClientId, mut body: Body) -> Result<Bytes, NoBody> {
    let bytes_max = app.limits.body_bytes_max;
    let announced = match body.size_hint().exact().map(usize::try_from) {
        Some(Ok(bytes)) if bytes <= bytes_max => Some(bytes),
        Some(_) => return Err(NoBody::Overflow),
        None => None,
    };
    let mut kept = BytesMut::new();
    let mut room: Option<Held> = None;
    let mut bytes_allowed = SMALL_BODY_BYTES_MAX;
    let mut coming = Coming::new(&mut body, &app.limits);
    while let Some(piece) = coming.piece().await.map_err(NoBody::Trouble)? {
        let bytes = kept.len().saturating_add(piece.len());
        if bytes > bytes_max {
            return Err(NoBody::Overflow);
        }
        if bytes > bytes_allowed {
            // Twice what it had: it grows in few steps.
            let wanted = bytes.max(bytes_allowed.saturating_mul(2));
            let wanted = wanted.min(announced.unwrap_or(bytes_max));
            let bytes_held = if room.is_some() { bytes_allowed } else { 0 };
            let queue_time_max = app.limits.queue_time_max;
            let more = app.bodies.take(client, wanted - bytes_held, queue_time_max).await;
            let more = more.ok_or(NoBody::Trouble(BUSY))?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes_allowed = wanted;
        }
        if kept.capacity() < bytes {
            let ahead = announced.map_or(bytes, |announced| announced.min(bytes_allowed));
            kept.reserve(ahead.max(bytes) - kept.len());
        }
        kept.extend_from_slice(&piece);
    }
    let kept = kept.freeze();
    Ok(match room {
        Some(room) => room.with(kept),
        None => kept,
    })
}

/// A body as it comes, given up if it does so too slowly.
pub(super) struct Coming<'a> {
    body: &'a mut Body,
    limits: &'a Limits,
    began: Instant,
    bytes: u64,
}

impl<'a> Coming<'a> {
    pub(super) fn new(body: &'a mut Body, limits: &'a Limits) -> Self {
        Self { body, limits, began: Instant::now(), bytes: 0 }
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> std::time::Duration {
        self.began.elapsed()
    }

    /// The next piece; none at its end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            let frame = timeout(self.limits.stall_time_max, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| TOO_SLOW)? else { return Ok(None) };
            let frame = frame.map_err(|_| CUT_OFF)?;
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.bytes = self.bytes.saturating_add(bytes as u64);
            if self.is_too_slow() {
                return Err(TOO_SLOW);
            }
            // What is no data says nothing to us.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    fn is_too_slow(&self) -> bool {
        let elapsed = self.began.elapsed();
        let bytes_min = elapsed.as_secs().saturating_mul(self.limits.bytes_per_second_min);
        elapsed > self.limits.body_time_max
            || (elapsed > self.limits.stall_time_max && self.bytes < bytes_min)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use http_body::{Frame, SizeHint};
    use tokio::time::{Sleep, sleep};

    use super::*;
    use crate::{Options, SqliteStore};

    const MIB: usize = 1024 * 1024;
    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);

    fn app(folder: &tempfile::TempDir, limits: Limits) -> App {
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        App::new(store, &Options { limits, ..Options::default() }, false)
    }

    /// A body that comes in pieces of some length, each after a while.
    pub(in crate::http) struct Slow {
        bytes_left: usize,
        piece_bytes: usize,
        pause: Duration,
        waits: Pin<Box<Sleep>>,
    }

    impl Slow {
        pub(in crate::http) fn body(bytes: usize, piece_bytes: usize, pause: Duration) -> Body {
            Body::new(Self { bytes_left: bytes, piece_bytes, pause, waits: Box::pin(sleep(pause)) })
        }
    }

    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            if self.bytes_left == 0 {
                return Poll::Ready(None);
            }
            std::task::ready!(self.waits.as_mut().poll(context));
            self.waits = Box::pin(sleep(self.pause));
            let bytes = self.piece_bytes.min(self.bytes_left);
            self.bytes_left -= bytes;
            Poll::Ready(Some(Ok(Frame::data(vec![7; bytes].into()))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.bytes_left as u64)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_held_as_long_as_the_bytes_are() {
        let folder = tempfile::TempDir::new().unwrap();
        let app = app(&folder, Limits::default());
        let free = app.bodies.free_bytes();
        let body = read(&app, CLIENT, Body::from(vec![1; 3 * MIB])).await.unwrap();
        // Whoever asked has hung up; the version waits for the disk.
        let waiting = body.clone();
        drop(body);
        assert_eq!(app.bodies.free_bytes(), free - 3 * MIB);
        drop(waiting);
        assert_eq!(app.bodies.free_bytes(), free);
        let small = read(&app, CLIENT, Body::from(vec![1; SMALL_BODY_BYTES_MAX])).await.unwrap();
        assert_eq!((small.len(), app.bodies.free_bytes()), (SMALL_BODY_BYTES_MAX, free));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_announces_much_takes_room_for_what_has_come() {
        let folder = tempfile::TempDir::new().unwrap();
        let limits = Limits { bodies_bytes_max: 100 * MIB, ..Limits::default() };
        let app = app(&folder, limits);
        let second = Duration::from_secs(1);
        let mut slow = Box::pin(read(&app, CLIENT, Slow::body(100 * MIB, MIB, second)));
        assert!(timeout(second * 5, slow.as_mut()).await.is_err(), "it is under way");
        assert!(app.bodies.free_bytes() > 80 * MIB, "{} are free", app.bodies.free_bytes());
        let other = ClientId::from_bytes([2; 16]);
        let quick = read(&app, other, Body::from(vec![1; 20 * MIB])).await;
        assert_eq!(quick.map(|bytes| bytes.len()), Ok(20 * MIB));
        assert_eq!(slow.await.map(|bytes| bytes.len()), Ok(100 * MIB));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_an_average_to_keep_and_an_end_to_reach() {
        let folder = tempfile::TempDir::new().unwrap();
        let app = app(&folder, Limits::default());
        let dripping = Slow::body(1000, 1, Duration::from_secs(10));
        assert_eq!(read(&app, CLIENT, dripping).await, Err(NoBody::Trouble(TOO_SLOW)));
        // More than the average, and yet for half a day.
        let endless = Slow::body(80 * MIB, 2048, Duration::from_secs(1));
        assert_eq!(read(&app, CLIENT, endless).await, Err(NoBody::Trouble(TOO_SLOW)));
        let slow = Slow::body(MIB, 4096, Duration::from_secs(2));
        assert_eq!(read(&app, CLIENT, slow).await.map(|bytes| bytes.len()), Ok(MIB));
    }
}
