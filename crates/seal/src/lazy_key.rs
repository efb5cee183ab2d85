//! A key that is derived when somebody first needs it, and then never again.

use std::fmt;
use std::sync::OnceLock;

use crate::{Key, Salt, Secret};

/// A key that costs nothing until it is used.
///
/// A sync with nothing to do seals and opens nothing and so never pays for a derivation. Share it
/// in an `Arc`: a shell that expects work calls [`LazyKey::derive`] on a thread of its own beside
/// the first request, and whoever calls it meanwhile waits for that one derivation instead of
/// starting another.
///
/// Printing it shows only whether it has a key.
pub struct LazyKey {
    /// What to derive from; none if the key was there from the start. Kept after the derivation:
    /// callers share `self`, so it cannot be taken away from under them, and it is wiped on drop.
    source: Option<(Secret, Salt)>,
    key: OnceLock<Key>,
}

impl LazyKey {
    /// Remembers what to derive from. Free.
    pub const fn new(secret: Secret, salt: Salt) -> Self {
        Self { source: Some((secret, salt)), key: OnceLock::new() }
    }

    /// Holds a key that is already there, for instance one that was kept on disk. It derives
    /// nothing, ever.
    pub fn from_key(key: Key) -> Self {
        Self { source: None, key: OnceLock::from(key) }
    }

    /// The key; the first call derives it.
    ///
    /// # Cost
    /// The first call that of [`Key::derive`], and calls made meanwhile from other threads wait for
    /// it; all others nothing.
    pub fn derive(&self) -> &Key {
        self.derive_by(Key::derive)
    }

    /// [`LazyKey::derive`] by any rule, so that a test can count how often it is followed.
    fn derive_by(&self, derive: impl FnOnce(&Secret, &Salt) -> Key) -> &Key {
        self.key.get_or_init(|| {
            let (secret, salt) = self.source.as_ref().expect("without a source the key is there");
            derive(secret, salt)
        })
    }

    /// The key if using it costs nothing. Never derives, never waits.
    pub fn key_if_ready(&self) -> Option<&Key> {
        self.key.get()
    }

    /// True once a derivation has been paid for here; never true after [`LazyKey::from_key`].
    pub fn has_derived(&self) -> bool {
        self.source.is_some() && self.key.get().is_some()
    }
}

impl fmt::Debug for LazyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.key.get().is_some() {
            "LazyKey(ready)"
        } else {
            "LazyKey(not derived)"
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn lazy_key() -> LazyKey {
        let secret = Secret::new("correct-horse".to_owned()).unwrap();
        LazyKey::new(secret, Salt::from_client_id([3; 16]))
    }

    #[test]
    fn nothing_is_derived_until_the_key_is_asked_for() {
        let lazy = lazy_key();
        assert!(!lazy.has_derived());
        assert!(lazy.key_if_ready().is_none());
        assert_eq!(format!("{lazy:?}"), "LazyKey(not derived)");

        let key = lazy.derive();
        assert!(lazy.has_derived());
        assert_eq!(lazy.key_if_ready(), Some(key));
        assert_eq!(format!("{lazy:?} {lazy:#?}"), "LazyKey(ready) LazyKey(ready)");
    }

    #[test]
    fn all_callers_share_one_derivation() {
        let lazy = lazy_key();
        let derivations = AtomicUsize::new(0);
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let key = lazy.derive_by(|_, _| {
                        let count = derivations.fetch_add(1, Ordering::Relaxed);
                        // Long enough for the others to arrive in the middle of it.
                        std::thread::yield_now();
                        Key::from_bytes(&[u8::try_from(count).unwrap(); 32])
                    });
                    assert_eq!(key, &Key::from_bytes(&[0; 32]));
                });
            }
        });
        assert_eq!(derivations.into_inner(), 1);
        assert_eq!(lazy.derive(), &Key::from_bytes(&[0; 32]), "kept, not derived again");
    }

    #[test]
    fn a_given_key_is_never_derived() {
        let lazy = LazyKey::from_key(Key::from_bytes(&[9; 32]));
        assert_eq!(lazy.key_if_ready(), Some(&Key::from_bytes(&[9; 32])));
        assert_eq!(lazy.derive(), &Key::from_bytes(&[9; 32]));
        assert!(!lazy.has_derived());
    }
}
