//! Many versions from one answer, where the server is a Tandem.
//!
//! ```text
//!   session                 this module                       server
//!   child of A?  ─────────▶ (asks singly) ──────────────────▶ B, "X-Tandem: head children"
//!   child of B?  ─────────▶ GET v1/tandem/children/B ───────▶ C D E end, one stream
//!   child of C?  ─────────▶ reads on: D
//!   child of D?  ─────────▶ reads on: E
//!   child of E?  ─────────▶ reads on: the end, so E was the latest
//! ```
//!
//! The stream is read as the session asks, so never more than one body is in memory, and loading
//! and applying go side by side. A single question (the last one of a sync with nothing to do, the
//! look after an unknown outcome) stays the protocol's own request.
//!
//! Nothing depends on it: whatever is not as the page says (a stream cut in the middle, a length
//! that lies, a body that does not open) ends the use of it for this remote, and the version in
//! question is asked for singly, whose answer counts.
//!
//! # Source
//! `docs/protocol/tandem-http.md`.

use std::fmt;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use tandem_core::VersionId;
use ureq::BodyReader;

use super::HttpSettings;

/// Content type of many versions.
pub(super) const CHILDREN_TYPE: &str = "application/vnd.tandem.children";

/// The name in the header `X-Tandem`.
const CALL: &str = "children";

/// The memory that is taken at once on a server's word about the length of a body, in bytes.
const FIRST_BYTES_MAX: u64 = 1024 * 1024;

/// Where a walk along the chain stands.
#[derive(Debug, Default)]
pub(super) struct Walk {
    offer: Offer,
    /// The version that the session was given last; who asks for the child of this one is walking.
    last: Option<VersionId>,
    row: Option<Row>,
}

/// What is known of the server.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// It has not said that it can.
    #[default]
    None,
    Children,
    /// It said so, and then it did not work.
    Spoilt,
}

impl Walk {
    /// Takes note of the header of an answer.
    pub(super) fn hear(&mut self, tandem: Option<&str>) {
        let offers = tandem.is_some_and(|names| names.split_whitespace().any(|it| it == CALL));
        if offers && self.offer == Offer::None {
            self.offer = Offer::Children;
        }
    }

    /// Takes note of a version that the session was given.
    pub(super) fn stepped_to(&mut self, version: VersionId) {
        self.last = Some(version);
    }

    /// True if many versions are worth asking for.
    pub(super) fn may_begin(&self, parent: VersionId) -> bool {
        self.offer == Offer::Children && self.last == Some(parent)
    }

    /// The stream that goes on after `parent`, if one is open there.
    pub(super) fn row_at(&mut self, parent: VersionId) -> Option<&mut Row> {
        self.row.as_mut().filter(|row| row.position == parent)
    }

    pub(super) fn begin(&mut self, row: Row) {
        self.row = Some(row);
    }

    /// The stream has ended; who goes on asks for another.
    pub(super) fn end_row(&mut self) {
        self.row = None;
    }

    /// Ends the walk: the next question is a single one.
    pub(super) fn stop(&mut self) {
        self.row = None;
        self.last = None;
    }

    /// From now on versions are asked for singly.
    pub(super) fn spoil(&mut self) {
        self.stop();
        self.offer = Offer::Spoilt;
    }
}

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A version and its body, sealed.
    Version(VersionId, Vec<u8>),
    /// What came last was the latest version.
    Latest,
    /// The server has more, and wants to be asked again.
    More,
}

/// An answer with many versions, being read.
pub(super) struct Row {
    /// The version that came last, or after which the first one comes.
    pub(super) position: VersionId,
    frames: Frames<Waiting<BodyReader<'static>>>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Row {
    pub(super) fn new(
        parent: VersionId,
        body: BodyReader<'static>,
        settings: &HttpSettings,
    ) -> Self {
        let waiting = Waiting {
            inner: body,
            waited: Duration::ZERO,
            allowance: settings.read_timeout,
            bytes: 0,
            bytes_per_second_min: settings.bytes_per_second_min.max(1),
        };
        let frames = Frames { inner: waiting, body_bytes_max: settings.body_bytes_max, count: 0 };
        Self { position: parent, frames }
    }

    /// Reads on.
    ///
    /// # Errors
    /// The stream is not as the page says, or was cut off.
    pub(super) fn read_next(&mut self) -> io::Result<Next> {
        let next = self.frames.read_next()?;
        if let Next::Version(version, _) = next {
            self.position = version;
        }
        Ok(next)
    }
}

/// Reads a whole stream that is in memory: the versions before it ends or is wrong, and what its end
/// says, if it has one.
#[cfg(feature = "testing")]
pub(super) fn read_all(
    bytes: &[u8],
    body_bytes_max: u64,
) -> (Vec<(VersionId, Vec<u8>)>, Option<Next>) {
    let mut frames = Frames { inner: bytes, body_bytes_max, count: 0 };
    let mut versions = Vec::new();
    loop {
        match frames.read_next() {
            Ok(Next::Version(version, body)) => versions.push((version, body)),
            Ok(end) => return (versions, Some(end)),
            Err(_) => return (versions, None),
        }
    }
}

/// Takes a stream apart.
struct Frames<R> {
    inner: R,
    body_bytes_max: u64,
    count: u64,
}

impl<R: Read> Frames<R> {
    fn read_next(&mut self) -> io::Result<Next> {
        let mut id = [0; 16];
        self.inner.read_exact(&mut id)?;
        let version = VersionId::from_bytes(id);
        if version.is_nil() {
            return self.read_end();
        }
        let mut length = [0; 4];
        self.inner.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length));
        if length > self.body_bytes_max {
            return Err(strange("a body longer than any may be"));
        }
        let first = usize::try_from(length.min(FIRST_BYTES_MAX)).unwrap_or(0);
        let mut body = Vec::with_capacity(first);
        self.inner.by_ref().take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.count += 1;
        Ok(Next::Version(version, body))
    }

    /// Reads up to the end of the answer, too, so that the connection can be used again.
    fn read_end(&mut self) -> io::Result<Next> {
        let mut rest = Vec::with_capacity(2);
        self.inner.by_ref().take(2).read_to_end(&mut rest)?;
        match rest[..] {
            _ if self.count == 0 => Err(strange("an end without a beginning")),
            [0] => Ok(Next::Latest),
            [1] => Ok(Next::More),
            _ => Err(strange("an end that says something else")),
        }
    }
}

fn strange(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Counts the time that is spent waiting for the server, and ends when it is too much. What the
/// session does between two versions does not count.
struct Waiting<R> {
    inner: R,
    waited: Duration,
    allowance: Duration,
    bytes: u64,
    bytes_per_second_min: u32,
}

impl<R: Read> Read for Waiting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let earned = Duration::from_secs(self.bytes / u64::from(self.bytes_per_second_min));
        if self.waited > self.allowance.saturating_add(earned) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let began = Instant::now();
        let length = self.inner.read(buffer)?;
        self.waited += began.elapsed();
        self.bytes += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8]) -> Frames<&[u8]> {
        Frames { inner: bytes, body_bytes_max: 1000, count: 0 }
    }

    fn frame(id: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id; 16];
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn end(last: u8) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.push(last);
        bytes
    }

    #[test]
    fn versions_come_one_by_one_up_to_the_end() {
        let bytes = [frame(1, b"one"), frame(2, b""), end(0)].concat();
        let mut row = frames(&bytes);
        let version = |id| VersionId::from_bytes([id; 16]);
        assert_eq!(row.read_next().unwrap(), Next::Version(version(1), b"one".to_vec()));
        assert_eq!(row.read_next().unwrap(), Next::Version(version(2), Vec::new()));
        assert_eq!(row.read_next().unwrap(), Next::Latest);
        let bytes = [frame(1, b"one"), end(1)].concat();
        let mut row = frames(&bytes);
        row.read_next().unwrap();
        assert_eq!(row.read_next().unwrap(), Next::More);
    }

    #[test]
    fn whatever_is_not_the_whole_is_an_error() {
        let whole = [frame(1, b"one"), frame(2, b"two"), end(0)].concat();
        for length in 0..whole.len() {
            let mut row = frames(&whole[..length]);
            let came = std::iter::from_fn(|| row.read_next().ok()).count();
            assert!(came <= 2, "a stream of {length} bytes has no end");
        }
        for bytes in [
            end(0),
            [frame(1, b"one"), end(2)].concat(),
            [frame(1, b"one"), end(0), vec![0]].concat(),
            [frame(1, b"one"), vec![0; 16]].concat(),
        ] {
            let mut row = frames(&bytes);
            assert!(row.read_next().is_err() || row.read_next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_length_is_checked_before_memory_is_taken() {
        let mut bytes = vec![1; 16];
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(frames(&bytes).read_next().unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut row = Frames { inner: &bytes[..], body_bytes_max: u64::MAX, count: 0 };
        assert_eq!(row.read_next().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
