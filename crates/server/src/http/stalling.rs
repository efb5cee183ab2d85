//! A stream that gives a reader up who keeps an answer waiting. (How a request comes is watched where its
//! body is read.)

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits::Limits;

/// The stream. Watching costs nothing while everything is taken at once.
pub(super) struct Stalling<S> {
    stream: S,
    time_max: Duration,
    bytes_min: u64,
    waiting: Option<Waiting>,
}

/// A while in which bytes wait to be taken: from the first that was not to the last that was, at most
/// `time_max`, at whose end enough must have been taken for another.
struct Waiting {
    patience: Pin<Box<Sleep>>,
    bytes_taken: u64,
}

impl<S> Stalling<S> {
    pub(super) fn new(stream: S, limits: &Limits) -> Self {
        let time_max = limits.stall_time_max;
        let bytes_min = time_max.as_secs().saturating_mul(limits.bytes_per_second_min).max(1);
        Self { stream, time_max, bytes_min, waiting: None }
    }

    fn watch(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(taken) = outcome {
            if let (Some(waiting), Ok(bytes)) = (&mut self.waiting, &taken) {
                waiting.bytes_taken = waiting.bytes_taken.saturating_add(*bytes as u64);
            }
            return Poll::Ready(taken);
        }
        loop {
            let begun = || Waiting { patience: Box::pin(sleep(self.time_max)), bytes_taken: 0 };
            let waiting = self.waiting.get_or_insert_with(begun);
            if waiting.patience.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if waiting.bytes_taken < self.bytes_min {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.waiting = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for when all that was handed over has been taken.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A reader that takes so many bytes at once, each time after a pause.
    struct Reader {
        bytes: usize,
        pause: Duration,
        rests: Pin<Box<Sleep>>,
    }

    impl AsyncWrite for Reader {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            std::task::ready!(self.rests.as_mut().poll(context));
            self.rests = Box::pin(sleep(self.pause));
            Poll::Ready(Ok(self.bytes.min(bytes.len())))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn reader(bytes: usize, pause_seconds: u64) -> Stalling<Reader> {
        let pause = Duration::from_secs(pause_seconds);
        let limits = Limits::default();
        Stalling::new(Reader { bytes, pause, rests: Box::pin(sleep(pause)) }, &limits)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_keeps_an_average_or_is_given_up() {
        let answer = vec![7; 1024 * 1024];
        for (bytes, pause_seconds, is_kept) in [
            (answer.len(), 29, true),
            (answer.len(), 31, false),
            (2_000, 1, true),
            (40_000, 25, true),
            // It moves, and yet the answer would take a day.
            (1, 1, false),
            (10_000, 25, false),
        ] {
            let written = reader(bytes, pause_seconds).write_all(&answer).await;
            assert_eq!(written.is_ok(), is_kept, "{bytes} bytes each {pause_seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_between_two_answers_is_no_waiting() {
        let mut reader = reader(100, 20);
        for _ in 0..5 {
            reader.write_all(&[7; 100]).await.unwrap();
            reader.flush().await.unwrap();
            sleep(Duration::from_secs(60)).await;
        }
    }
}
