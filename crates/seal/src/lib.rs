//! Secrets, the keys derived from them, and the sealed envelopes that a server stores.
//!
//! A person holds a [`Secret`] (a text). With the [`Salt`] of a remote it becomes a [`Key`], and
//! the key turns bytes into an envelope that only the same secret can open:
//!
//! ```text
//!   Secret ──┐ PBKDF2-HMAC-SHA256                  plain bytes      BoundId (which version)
//!            ├───────────────────▶ Key ──┐              │              │
//!   Salt ────┘  600,000 iterations       └─────▶ ChaCha20-Poly1305 ◀──┘◀── nonce (caller's dice)
//!                                                       │
//!                        ┌──────┬───────────┬───────────┴───┬─────────┐
//!   Sealed (an envelope) │ 0x01 │ nonce, 12 │  ciphertext   │ tag, 16 │  = plain bytes + 29
//!                        └──────┴───────────┴───────────────┴─────────┘
//! ```
//!
//! What an envelope is bound to (the [`BoundId`]) is not in it: whoever opens it must name the same
//! version, so a server cannot pass one version off as another.
//!
//! # Invariants
//! * Nothing here reads a clock, a file or a socket or rolls dice. Nonces and random salts come
//!   from the caller, who must draw them from the system's cryptographic source, a fresh one for
//!   every call: **a nonce used twice under one key gives both messages away.**
//! * No `Debug` or `Display` shows a secret, a key, a salt (a client id is a credential) or plain
//!   bytes.
//! * Bytes from outside never panic and are authenticated before they are looked at.
//!
//! # Left to others
//! Where a secret is kept, how long bodies may be (transports bound them before they take memory),
//! and compression: snapshots are zlib inside the envelope, and that is the tasks' affair.
//!
//! # Source
//! `protocols/taskchampion.md` sections 8 and 9; RFC 8018 (PBKDF2), RFC 8439 (ChaCha20-Poly1305).
//! The [`prove`] token is our own.
//!
//! # Example
//! ```
//! use tandem_seal::{BoundId, Key, Salt, Secret, open, seal};
//!
//! let secret = Secret::new("correct horse battery staple".to_owned())?;
//! let key = Key::derive(&secret, &Salt::from_client_id([0x11; 16]));
//!
//! let nonce = [7; 12]; // From the system's random source, never a constant.
//! let parent = [0; 16];
//! let sealed = seal(&key, BoundId::history_segment(parent), nonce, b"operations");
//! let opened = open(&key, BoundId::history_segment(parent), sealed.as_bytes())?;
//! assert_eq!(opened.as_bytes(), b"operations");
//!
//! // Under another version's name it stays shut.
//! assert!(open(&key, BoundId::history_segment([1; 16]), sealed.as_bytes()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aead;
mod envelope;
mod key;
mod lazy_key;
mod proof;
mod secret;

pub use aead::{NONCE_BYTES, PLAIN_BYTES_MAX};
pub use envelope::{
    BoundId, OVERHEAD_BYTES, OpenError, Opened, Sealed, open, open_in_place, seal, seal_in_place,
};
pub use key::{DERIVATION_ITERATIONS, KEY_BYTES, Key, SALT_BYTES, Salt};
pub use lazy_key::LazyKey;
pub use proof::{PROOF_BYTES, is_proof, prove};
pub use secret::{SECRET_BYTES_ADVISED, Secret, SecretError, Weakness};
