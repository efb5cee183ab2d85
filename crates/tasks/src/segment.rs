//! History segments: the plain text of a version.
//!
//! Reading is tolerant, writing is exact (`protocols/taskchampion.md` section 3). A segment that
//! cannot be read is an error that names what is wrong, never a panic: the reference dies of one,
//! again and again, on every replica.

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::operation::Operation;

/// Why a history segment could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadSegmentError {
    /// An operation of a kind that this program does not know, so a later Tandem or TaskChampion
    /// wrote it. Cure: update this program; until then nothing after it can be applied.
    #[error("it holds an operation of the unknown kind `{kind}`")]
    UnknownKind {
        /// The kind, shortened to 40 characters.
        kind: String,
    },
    /// Not the JSON that section 3 describes.
    #[error("it is not a history segment")]
    Malformed(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Wrapped<O> {
    operations: Vec<O>,
}

/// Reads a segment: the wrapped form that programs write, and the bare array that the reference's
/// documentation describes.
///
/// # Errors
/// [`ReadSegmentError`]; nothing of the segment is returned then.
pub fn read(plain: &[u8]) -> Result<Vec<Operation>, ReadSegmentError> {
    let error = match read_as::<Operation>(plain) {
        Ok(operations) => return Ok(operations),
        Err(error) => error,
    };
    // Only a segment that is well formed but for its kinds may blame a newer program.
    if let Ok(kinds) = read_as::<Kind>(plain) {
        let unknown = kinds.into_iter().find(|kind| !kind.is_known());
        if let Some(Kind(kind)) = unknown {
            return Err(ReadSegmentError::UnknownKind { kind: kind.chars().take(40).collect() });
        }
    }
    Err(ReadSegmentError::Malformed(error))
}

fn read_as<'a, O: Deserialize<'a>>(plain: &'a [u8]) -> Result<Vec<O>, serde_json::Error> {
    let first = plain.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        serde_json::from_slice(plain)
    } else {
        serde_json::from_slice::<Wrapped<O>>(plain).map(|wrapped| wrapped.operations)
    }
}

/// The kind of an operation, whatever follows it.
struct Kind(String);

impl Kind {
    fn is_known(&self) -> bool {
        matches!(self.0.as_str(), "Create" | "Delete" | "Update")
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Kind;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an operation")
            }
            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind(text.into()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let mut kind = String::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
                    if kind.is_empty() {
                        kind = key;
                    }
                }
                Ok(Kind(kind))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

const OPENING: &[u8] = br#"{"operations":["#;
const CLOSING: &[u8] = b"]}";

/// Spare room behind a finished segment, in bytes: more than an envelope adds (29).
const SEALING_ROOM_BYTES: usize = 64;

/// Writes a segment, operation by operation, and tells its size as it grows.
#[derive(Debug)]
pub struct SegmentWriter {
    bytes: Vec<u8>,
    count: usize,
    operations_bytes: usize,
}

impl Default for SegmentWriter {
    fn default() -> Self {
        Self { bytes: OPENING.to_vec(), count: 0, operations_bytes: 0 }
    }
}

/// A place in a [`SegmentWriter`] to go back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    length: usize,
    count: usize,
    operations_bytes: usize,
}

impl SegmentWriter {
    /// A writer with room for `operations_bytes` bytes of operations, so that a full segment is
    /// written without moving. Room that stays unused costs no memory.
    pub fn with_room(operations_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(operations_bytes + operations_bytes / 16 + 4_096);
        bytes.extend_from_slice(OPENING);
        Self { bytes, count: 0, operations_bytes: 0 }
    }

    /// Appends one operation and returns the sum of the JSON lengths of all of them, in bytes:
    /// the figure that [`SEGMENT_OPERATIONS_BYTES_MAX`] limits.
    ///
    /// [`SEGMENT_OPERATIONS_BYTES_MAX`]: tandem_core::limits::SEGMENT_OPERATIONS_BYTES_MAX
    pub fn push(&mut self, operation: &Operation) -> usize {
        if self.count > 0 {
            self.bytes.push(b',');
        }
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, operation)
            .expect("writing to memory, and every map key is a string");
        self.count += 1;
        self.operations_bytes += self.bytes.len() - start;
        self.operations_bytes
    }

    /// How many operations it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The place to which [`Self::go_back`] returns.
    pub fn mark(&self) -> Mark {
        Mark {
            length: self.bytes.len(),
            count: self.count,
            operations_bytes: self.operations_bytes,
        }
    }

    /// Takes back everything that was pushed since `mark`.
    pub fn go_back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.length);
        self.count = mark.count;
        self.operations_bytes = mark.operations_bytes;
    }

    /// The finished segment.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(CLOSING);
        // What sealing adds finds its room: it seals where the segment stands.
        self.bytes.shrink_to(self.bytes.len() + SEALING_ROOM_BYTES);
        self.bytes
    }
}

/// Writes `operations` as one segment.
pub fn write<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> Vec<u8> {
    let mut writer = SegmentWriter::default();
    for operation in operations {
        writer.push(operation);
    }
    writer.finish()
}

/// Names the content of a segment: SHA-256 of its plain bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentDigest(pub [u8; 32]);

impl SegmentDigest {
    /// The digest of a plain segment.
    pub fn of(plain: &[u8]) -> Self {
        Self(Sha256::digest(plain).into())
    }
}
