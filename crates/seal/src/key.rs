//! What is derived from a secret, and the salt that makes it differ between remotes.

use std::fmt;

use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Secret;

/// Iterations of PBKDF2-HMAC-SHA256 in a derivation.
///
/// Frozen: another number is another key. (The reference used 100,000 until 2024-01; such lists
/// cannot be opened by anything of today.)
pub const DERIVATION_ITERATIONS: u32 = 600_000;

/// Length of a key, in bytes.
pub const KEY_BYTES: usize = 32;

/// Length of a salt, in bytes.
pub const SALT_BYTES: usize = 16;

/// What makes one secret give different keys at different remotes.
///
/// Not secret, but a client id is a credential towards the server, so printing it shows
/// `Salt(***)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    /// The salt of an HTTP server: the 16 bytes of the client id, in the order in which its text
    /// shows them.
    pub const fn from_client_id(client_id: [u8; SALT_BYTES]) -> Self {
        Self(client_id)
    }

    /// The salt of an object store or git server: 16 random bytes that the store keeps and that the
    /// first replica to use it drew.
    pub const fn from_random(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storing a random salt beside the data.
    pub const fn as_bytes(&self) -> &[u8; SALT_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(***)")
    }
}

/// The key that seals and opens everything of one task list at one remote.
///
/// Its memory is wiped on drop, it cannot be cloned (share it by reference or in an `Arc`), and
/// printing it shows `Key(***)`. Comparison takes the same time wherever two keys differ.
// Boxed, so that moving a key copies a pointer and leaves no unwiped copies behind on the stack.
pub struct Key(Box<[u8; KEY_BYTES]>);

impl Key {
    /// Derives the key of a secret at a remote.
    ///
    /// The same for every program that speaks the protocol. See [`LazyKey`](crate::LazyKey) for how
    /// to pay for it only when it is needed.
    ///
    /// # Cost
    /// [`DERIVATION_ITERATIONS`] of two SHA-256 blocks each: 65 ms with SHA instructions, 220 ms
    /// without, on the machines we measured. Blocks its thread.
    ///
    /// # Source
    /// `protocols/taskchampion.md` section 8.
    pub fn derive(secret: &Secret, salt: &Salt) -> Self {
        // Derived in place, in the memory that will be wiped.
        let mut key = Self(Box::new([0; KEY_BYTES]));
        pbkdf2::pbkdf2_hmac::<Sha256>(
            secret.as_bytes(),
            salt.as_bytes(),
            DERIVATION_ITERATIONS,
            key.0.as_mut_slice(),
        );
        key
    }

    /// Takes a key that was derived earlier and kept.
    ///
    /// The caller wipes its own copy.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        key.0.copy_from_slice(bytes);
        key
    }

    /// Gives the key away, to keep it beside the secret so that the next start derives nothing.
    ///
    /// Whoever sees these bytes reads and forges the whole list and needs no secret. They may lie
    /// only where the secret itself lies in a file that nobody else can read (mode 0600).
    pub fn dangerously_expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The bytes for the cipher.
    pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Key {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_by_their_bytes() {
        let mut other = [7; KEY_BYTES];
        other[31] ^= 1;
        assert_eq!(Key::from_bytes(&[7; KEY_BYTES]), Key::from_bytes(&[7; KEY_BYTES]));
        assert_ne!(Key::from_bytes(&[7; KEY_BYTES]), Key::from_bytes(&other));
    }

    #[test]
    fn a_kept_key_comes_back_the_same() {
        let bytes = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(Key::from_bytes(&bytes).dangerously_expose(), &bytes);
    }

    #[test]
    fn printing_shows_nothing_of_them() {
        let key = Key::from_bytes(&[0xab; KEY_BYTES]);
        let salt = Salt::from_client_id([0xcd; SALT_BYTES]);
        for shown in [format!("{key:?}"), format!("{key:#?}"), format!("{:?}", Some(&key))] {
            assert!(shown.contains("Key(***)") && !shown.contains("ab"), "{shown}");
        }
        assert_eq!(format!("{salt:?} {salt:#?}"), "Salt(***) Salt(***)");
    }
}
