//! The envelope in which task data travels: sealed for one version, opened as that version.
//!
//! ```text
//!   byte 0     1 .. 13        13 .. length - 16      the last 16
//!   0x01    |  nonce       |  ciphertext          |  tag over 0x01 + version id and the ciphertext
//! ```
//!
//! Of a version only its place in the chain is bound, never its kind: a history segment and a
//! snapshot of the same id could be taken for one another if a server swapped them, and their
//! readers must refuse each other's content (JSON text against a zlib stream). That is the
//! reference's format and cannot be changed here.

use std::fmt;

use crate::{Key, NONCE_BYTES, aead};

/// First byte of every envelope; the only format there is.
const FORMAT: u8 = 1;

/// First byte of the additional data: the application called "tasks".
const APPLICATION_TASKS: u8 = 1;

/// Length of a version id, in bytes.
const VERSION_ID_BYTES: usize = 16;

/// What sealing adds to the plain bytes: format byte, nonce and tag.
pub const OVERHEAD_BYTES: usize = aead::OVERHEAD_BYTES;

/// The version that an envelope is bound to.
///
/// It goes into the tag and does not travel, so an envelope opens only under the id it was sealed
/// for. *Which* id that is depends on the server and the content, hence one constructor for each.
/// Ids are the 16 bytes in the order in which the text shows them.
///
/// # Source
/// `protocols/taskchampion.md` section 8: 17 bytes, the application id and the version id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BoundId([u8; 1 + VERSION_ID_BYTES]);

impl BoundId {
    /// A history segment at an HTTP server: its **parent** version, since the server names the
    /// child only after it has the bytes.
    pub const fn history_segment(parent: [u8; VERSION_ID_BYTES]) -> Self {
        Self::new(APPLICATION_TASKS, parent)
    }

    /// A history segment in an object store or git server: its **own** (child) version, which the
    /// replica names there.
    pub const fn object_store_segment(child: [u8; VERSION_ID_BYTES]) -> Self {
        Self::new(APPLICATION_TASKS, child)
    }

    /// A snapshot, at every server: the version whose state it is.
    pub const fn snapshot(version: [u8; VERSION_ID_BYTES]) -> Self {
        Self::new(APPLICATION_TASKS, version)
    }

    const fn new(application: u8, version: [u8; VERSION_ID_BYTES]) -> Self {
        let mut bytes = [application; 1 + VERSION_ID_BYTES];
        bytes.split_at_mut(1).1.copy_from_slice(&version);
        Self(bytes)
    }
}

impl fmt::Debug for BoundId {
    /// The bytes as digits: version ids are no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundId(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// An envelope: what a server may see. Printing it shows its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Marks bytes that came from a server as sealed. Nothing is checked until they are opened.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The envelope's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The envelope's bytes, for sending.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Plain bytes that came out of an envelope, so their holder of the key wrote them for that
/// version.
///
/// Printing it shows its length only. Its memory is *not* wiped on drop: it may be large, and the
/// same text lies in the replica's database beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened(Vec<u8>);

impl Opened {
    /// The plain bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The plain bytes, for reading on.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Opened {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({} bytes)", self.0.len())
    }
}

/// Seals plain bytes for a version. The envelope is [`OVERHEAD_BYTES`] longer.
///
/// The nonce must be 12 fresh random bytes, never used before under this key (see the crate's
/// invariants).
///
/// # Panics
/// If the plain bytes are longer than [`PLAIN_BYTES_MAX`](crate::PLAIN_BYTES_MAX), which no
/// transport could carry.
///
/// # Source
/// `protocols/taskchampion.md` section 8.
pub fn seal(key: &Key, bound: BoundId, nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Sealed {
    let mut copy = Vec::with_capacity(plain.len().saturating_add(OVERHEAD_BYTES));
    copy.extend_from_slice(plain);
    seal_in_place(key, bound, nonce, copy)
}

/// Seals like [`seal`], in the memory of the plain bytes.
///
/// Takes no further memory if the vector has [`OVERHEAD_BYTES`] of spare capacity.
///
/// # Panics
/// As [`seal`].
pub fn seal_in_place(
    key: &Key,
    bound: BoundId,
    nonce: [u8; NONCE_BYTES],
    plain: Vec<u8>,
) -> Sealed {
    Sealed(aead::seal(key, FORMAT, &bound.0, nonce, plain))
}

/// Opens an envelope as the version it is said to be.
///
/// # Errors
/// As [`OpenError`] says. Nothing of the content is given out unless all of it is genuine.
///
/// # Source
/// `protocols/taskchampion.md` section 8.
pub fn open(key: &Key, bound: BoundId, envelope: &[u8]) -> Result<Opened, OpenError> {
    // Checked before the copy is made, so that rubbish costs no memory.
    check(envelope)?;
    open_in_place(key, bound, envelope.to_vec())
}

/// Opens like [`open`], in the memory of the envelope, which is dropped if it does not open.
///
/// # Errors
/// As [`open`].
pub fn open_in_place(key: &Key, bound: BoundId, envelope: Vec<u8>) -> Result<Opened, OpenError> {
    check(&envelope)?;
    let mut bytes = envelope;
    aead::open(key, &bound.0, &mut bytes).ok_or(OpenError::WrongKey)?;
    Ok(Opened(bytes))
}

/// Says what can be said of an envelope without its key.
fn check(envelope: &[u8]) -> Result<(), OpenError> {
    // The reference draws its first line at 13 bytes and lets the cipher refuse those up to 28; one
    // line is enough, since neither can open.
    let Some(plain_bytes) = envelope.len().checked_sub(OVERHEAD_BYTES) else {
        return Err(OpenError::TooShort { len: envelope.len() });
    };
    if envelope[0] != FORMAT {
        return Err(OpenError::UnknownFormat { byte: envelope[0] });
    }
    if !aead::is_sealable(plain_bytes) {
        return Err(OpenError::TooLarge);
    }
    Ok(())
}

/// Says why an envelope could not be opened.
///
/// None is worth a retry with the same bytes and the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Fewer bytes than an envelope of nothing has: cut off, or never an envelope (a local server
    /// directory, for instance, holds plain JSON). Cure: fetch it again; if it stays so, the
    /// server's copy is damaged.
    #[error("{len} bytes are too short for an envelope")]
    TooShort {
        /// How many bytes there were.
        len: usize,
    },
    /// Another first byte than 1: not an envelope (a proxy's page, a plain file), or one that a
    /// later program made. Cure: check the server's address; bring Tandem up to date.
    #[error("the envelope has the unknown format {byte}")]
    UnknownFormat {
        /// The first byte.
        byte: u8,
    },
    /// The tag does not fit. One of four, which cannot be told apart: another secret, another
    /// client id or salt, bytes that were changed or damaged, or an envelope of another version.
    /// Cure: compare the secret and the client id with a device that works. Nothing was changed
    /// here.
    #[error("the secret does not open this envelope, or its bytes were changed")]
    WrongKey,
    /// Longer than [`PLAIN_BYTES_MAX`](crate::PLAIN_BYTES_MAX), so no program made it. Cure: none;
    /// the server's copy is damaged.
    #[error("the envelope is longer than any that can be sealed")]
    TooLarge,
}

impl OpenError {
    /// What the person can do about it, in a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => {
                "Sync again; if it stays so, the server's copy is damaged or not a sync server's."
            }
            Self::UnknownFormat { .. } => {
                "Check the server's address, and that this program is up to date."
            }
            Self::WrongKey => {
                "Compare the secret and the client id with a device that syncs; nothing was changed here."
            }
            Self::TooLarge => {
                "The server's copy is damaged; start from a device that has the data."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::from_bytes(&[0x42; 32])
    }

    #[test]
    fn bound_ids_are_the_application_and_the_version() {
        let version = std::array::from_fn(|index| u8::try_from(index).unwrap() + 0xa0);
        for bound in [
            BoundId::history_segment(version),
            BoundId::object_store_segment(version),
            BoundId::snapshot(version),
        ] {
            assert_eq!(bound.0[0], 1);
            assert_eq!(bound.0[1..], version);
            assert_eq!(format!("{bound:?}"), "BoundId(01a0a1a2a3a4a5a6a7a8a9aaabacadaeaf)");
        }
    }

    #[test]
    fn another_application_does_not_open_ours() {
        let sealed = seal(&key(), BoundId::snapshot([5; 16]), [6; 12], b"plain");
        for application in [0, 2, 0x70, 0xff] {
            assert_eq!(
                open(&key(), BoundId::new(application, [5; 16]), sealed.as_bytes()),
                Err(OpenError::WrongKey)
            );
        }
    }

    #[test]
    fn every_first_byte_but_one_is_an_unknown_format() {
        let mut envelope = seal(&key(), BoundId::snapshot([5; 16]), [6; 12], b"x").into_bytes();
        for byte in (0..=u8::MAX).filter(|byte| *byte != FORMAT) {
            envelope[0] = byte;
            let expected = Err(OpenError::UnknownFormat { byte });
            assert_eq!(open(&key(), BoundId::snapshot([5; 16]), &envelope), expected);
            assert_eq!(
                open_in_place(&key(), BoundId::snapshot([5; 16]), envelope.clone()),
                expected
            );
        }
    }

    #[test]
    fn nothing_can_be_sealed_too() {
        let sealed = seal(&key(), BoundId::snapshot([5; 16]), [6; 12], b"");
        assert_eq!(sealed.as_bytes().len(), OVERHEAD_BYTES);
        assert_eq!(open(&key(), BoundId::snapshot([5; 16]), sealed.as_bytes()).unwrap().0, b"");
    }

    #[test]
    fn sealing_and_opening_in_place_keep_the_memory() {
        let mut plain = Vec::with_capacity(1000 + OVERHEAD_BYTES);
        plain.resize(1000, 9);
        let memory = plain.as_ptr();
        let sealed = seal_in_place(&key(), BoundId::snapshot([5; 16]), [6; 12], plain);
        assert_eq!(sealed.as_bytes().as_ptr(), memory);
        let opened =
            open_in_place(&key(), BoundId::snapshot([5; 16]), sealed.into_bytes()).unwrap();
        assert_eq!(opened.as_bytes().as_ptr(), memory);
        assert_eq!(opened.as_bytes(), [9; 1000]);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_cipher_ends_below_256_gib() {
        let most = usize::try_from(crate::PLAIN_BYTES_MAX).unwrap();
        assert!(aead::is_sealable(most));
        assert!(!aead::is_sealable(most + 1));
        assert_eq!(most + 65, 256 * 1024 * 1024 * 1024);
    }

    #[test]
    fn printing_shows_lengths_only() {
        let sealed = seal(&key(), BoundId::snapshot([5; 16]), [6; 12], b"buy milk");
        let opened = open(&key(), BoundId::snapshot([5; 16]), sealed.as_bytes()).unwrap();
        assert_eq!(format!("{sealed:?} {sealed:#?}"), "Sealed(37 bytes) Sealed(37 bytes)");
        assert_eq!(format!("{opened:?} {opened:#?}"), "Opened(8 bytes) Opened(8 bytes)");
    }
}
