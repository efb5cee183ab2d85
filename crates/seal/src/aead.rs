//! The cipher, as the two kinds of sealed bytes use it: `format byte | nonce | ciphertext | tag`.
//!
//! Versions (`envelope`) and proofs (`proof`) differ in their format byte and in the additional
//! data that goes into the tag; all arithmetic on positions is here.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};

use crate::Key;

/// Length of a nonce, in bytes.
pub const NONCE_BYTES: usize = 12;

/// Length of the tag, in bytes.
const TAG_BYTES: usize = 16;

/// Where the ciphertext starts.
const HEADER_BYTES: usize = 1 + NONCE_BYTES;

/// What sealing adds, in bytes.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// The longest plain bytes that one nonce can seal: just below 256 GiB, where the cipher's 32-bit
/// block counter would start again.
///
/// A property of ChaCha20, not a limit for users: transports refuse far smaller bodies before they
/// take memory for them.
pub const PLAIN_BYTES_MAX: u64 = 64 * (u32::MAX as u64) - 1;

/// True if the cipher can take plain bytes of this length.
pub(crate) fn is_sealable(plain_bytes: usize) -> bool {
    u64::try_from(plain_bytes).is_ok_and(|bytes| bytes <= PLAIN_BYTES_MAX)
}

/// Turns plain bytes into `format | nonce | ciphertext | tag`, in the same memory if it has
/// [`OVERHEAD_BYTES`] of spare capacity.
///
/// # Panics
/// If the plain bytes are longer than [`PLAIN_BYTES_MAX`].
pub(crate) fn seal(
    key: &Key,
    format: u8,
    additional: &[u8],
    nonce: [u8; NONCE_BYTES],
    plain: Vec<u8>,
) -> Vec<u8> {
    assert!(is_sealable(plain.len()), "plain bytes of at most 256 GiB");
    let plain_bytes = plain.len();
    let mut sealed = plain;
    sealed.reserve_exact(OVERHEAD_BYTES);
    // One move of the bytes makes room at the front. It costs a small part of what enciphering
    // does.
    sealed.resize(HEADER_BYTES + plain_bytes, 0);
    sealed.copy_within(..plain_bytes, HEADER_BYTES);
    sealed[0] = format;
    sealed[1..HEADER_BYTES].copy_from_slice(&nonce);
    let tag = cipher(key)
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            additional,
            InOutBuf::from(&mut sealed[HEADER_BYTES..]),
        )
        .expect("the length was checked above, and nothing else can be refused");
    sealed.extend_from_slice(&tag);
    sealed
}

/// Undoes [`seal`] in the same memory. The caller has looked at the format byte.
///
/// The tag is checked before anything is deciphered; on `None` (tag does not fit, or no room for
/// one) the bytes are as they were.
pub(crate) fn open(key: &Key, additional: &[u8], sealed: &mut Vec<u8>) -> Option<()> {
    let (header, rest) = sealed.split_at_mut_checked(HEADER_BYTES)?;
    let (ciphertext, tag) = rest.split_at_mut_checked(rest.len().checked_sub(TAG_BYTES)?)?;
    let nonce = <[u8; NONCE_BYTES]>::try_from(&header[1..]).ok()?;
    let tag = Tag::try_from(&*tag).ok()?;
    let plain_bytes = ciphertext.len();
    cipher(key)
        .decrypt_inout_detached(&Nonce::from(nonce), additional, InOutBuf::from(ciphertext), &tag)
        .ok()?;
    sealed.copy_within(HEADER_BYTES..HEADER_BYTES + plain_bytes, 0);
    sealed.truncate(plain_bytes);
    Some(())
}

/// The cipher under a key. It wipes its copy of the key on drop.
fn cipher(key: &Key) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.as_bytes().into())
}
