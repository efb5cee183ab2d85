//! A token that remembers that a key has opened something of a remote.
//!
//! A mistyped secret is a perfectly good key that would seal new versions which no other device can
//! open. So a key that has opened nothing of a remote yet must open its snapshot or a version
//! before it writes there, and [`prove`] turns that into a token for the replica to keep: the next
//! sync asks [`is_proof`] instead of the server. With another secret, client id or remote the token
//! is no proof, and the key is proved again.
//!
//! ```text
//!   byte 0     1 .. 13        the last 16
//!   0x70    |  nonce       |  tag over 0x70 + the remote's identity, and no content
//! ```
//!
//! A token is for local use: no server sees it and no other program knows it. It is worth nothing
//! without the key, tells nothing about it, and cannot be taken for a version nor a version for it:
//! its first byte is another, and so is the application byte in its additional data, which the tag
//! covers.
//!
//! **Frozen.** Replicas keep tokens on disk; a new shape needs a new first byte, and old tokens
//! merely cease to be proofs (the key is then proved once more).

use crate::{Key, NONCE_BYTES, aead};

/// First byte of a token, 'p'. Not 1, so that it is no envelope.
const FORMAT: u8 = 0x70;

/// First byte of the additional data. Not 1, which is the application "tasks", so that no tag of
/// one kind is ever a tag of the other.
const APPLICATION_PROOF: u8 = 0x70;

/// Length of a token, in bytes.
pub const PROOF_BYTES: usize = aead::OVERHEAD_BYTES;

/// Makes the token that says: this key has opened something of this remote.
///
/// Call it only after an [`open`](crate::open) that succeeded on bytes from that remote. The
/// identity is whatever tells remotes apart for the replica (origin and client id; a directory's
/// first version), in bytes that stay the same over time; where it has several parts, the caller
/// separates them without ambiguity. The nonce follows the same rule as for [`seal`](crate::seal):
/// fresh and random.
pub fn prove(key: &Key, remote_identity: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
    let token = Vec::with_capacity(PROOF_BYTES);
    aead::seal(key, FORMAT, &additional(remote_identity), nonce, token)
}

/// True if the token was made by [`prove`] with this key for this remote.
///
/// Any other bytes, damaged ones included, are no proof and no error: the cure is the same, open
/// something of the remote.
pub fn is_proof(key: &Key, remote_identity: &[u8], token: &[u8]) -> bool {
    if token.len() != PROOF_BYTES || token[0] != FORMAT {
        return false;
    }
    aead::open(key, &additional(remote_identity), &mut token.to_vec()).is_some()
}

/// The additional data: who asks, then for which remote. The identity is the last part and its
/// length goes into the tag, so two identities never give the same bytes.
fn additional(remote_identity: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + remote_identity.len());
    bytes.push(APPLICATION_PROOF);
    bytes.extend_from_slice(remote_identity);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoundId, OpenError, open, seal};

    const REMOTE: &[u8] = b"https://tasks.example.org/\x0011111111222243338444555555555555";

    fn key() -> Key {
        Key::from_bytes(&[0x42; 32])
    }

    #[test]
    fn a_token_proves_its_key_at_its_remote() {
        let token = prove(&key(), REMOTE, [1; 12]);
        assert_eq!(token.len(), PROOF_BYTES);
        assert!(is_proof(&key(), REMOTE, &token));
        assert!(!is_proof(&Key::from_bytes(&[0x43; 32]), REMOTE, &token), "another secret");
        assert!(!is_proof(&key(), b"https://other.example.org/", &token), "another remote");
        assert!(!is_proof(&key(), &REMOTE[..REMOTE.len() - 1], &token), "a shorter identity");
        assert!(!is_proof(&key(), b"", &token), "no identity");
        assert!(is_proof(&key(), b"", &prove(&key(), b"", [1; 12])));
    }

    #[test]
    fn damaged_tokens_prove_nothing() {
        let token = prove(&key(), REMOTE, [1; 12]);
        for len in 0..token.len() {
            assert!(!is_proof(&key(), REMOTE, &token[..len]), "cut to {len} bytes");
        }
        for bit in 0..token.len() * 8 {
            let mut changed = token.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_proof(&key(), REMOTE, &changed), "bit {bit} flipped");
        }
        let mut longer = token;
        longer.push(0);
        assert!(!is_proof(&key(), REMOTE, &longer));
    }

    #[test]
    fn a_token_is_no_version_and_a_version_no_token() {
        // An identity of 16 bytes makes the additional data as long as a version's, the closest
        // they get.
        let id = [5; 16];
        let mut token = prove(&key(), &id, [1; 12]);
        assert_eq!(
            open(&key(), BoundId::snapshot(id), &token),
            Err(OpenError::UnknownFormat { byte: FORMAT })
        );
        token[0] = 1;
        assert_eq!(open(&key(), BoundId::snapshot(id), &token), Err(OpenError::WrongKey));

        let mut version = seal(&key(), BoundId::snapshot(id), [1; 12], b"").into_bytes();
        assert!(!is_proof(&key(), &id, &version));
        version[0] = FORMAT;
        assert!(!is_proof(&key(), &id, &version));
    }
}
