//! Wrong passwords of each account name, from whatever address: whoever has many addresses gets no
//! further for it.
//!
//! Nobody is shut out, or strangers could do that to an owner. After some wrong ones the passwords for a
//! name are checked one after the other, with a pause between them. What is no account is counted
//! alike, so that this does not tell one from the other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::recent::Recent;

/// Names that are remembered.
const NAMES_MAX: usize = 10_000;

/// Between two passwords for one name.
const PAUSE: Duration = Duration::from_secs(1);

/// The names.
#[derive(Debug)]
pub(crate) struct Delays {
    free_max: usize,
    memory: Duration,
    wait_max: Duration,
    tried: Mutex<Recent<u64, Tried>>,
}

#[derive(Debug)]
struct Tried {
    since: Instant,
    count: usize,
    /// When the next one may be checked.
    next: Instant,
}

impl Delays {
    /// `free_max` within `memory` cost nothing; later ones wait, but none longer than `wait_max`.
    pub(crate) fn new(free_max: usize, memory: Duration, wait_max: Duration) -> Self {
        Self { free_max, memory, wait_max, tried: Mutex::new(Recent::new(NAMES_MAX)) }
    }

    /// Counts a password as wrong before it is checked, and tells how long it has to wait. None if too
    /// many wait already; that one counts for nothing.
    pub(crate) fn begin(&self, name: u64, now: Instant) -> Option<Duration> {
        let mut all = self.lock();
        let tried = all.entry(name, || Tried { since: now, count: 0, next: now });
        if now.saturating_duration_since(tried.since) >= self.memory {
            (tried.since, tried.count) = (now, 0);
        }
        if tried.count < self.free_max {
            tried.count += 1;
            return Some(Duration::ZERO);
        }
        let at = tried.next.max(now);
        let wait = at.saturating_duration_since(now);
        if wait > self.wait_max {
            return None;
        }
        tried.next = at + PAUSE;
        tried.count += 1;
        Some(wait)
    }

    /// It was right, or was not checked.
    pub(crate) fn take_back(&self, name: u64) {
        if let Some(tried) = self.lock().get_mut(&name) {
            tried.count = tried.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent<u64, Tried>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_some_wrong_passwords_a_name_is_asked_for_one_after_the_other() {
        let seconds = Duration::from_secs;
        let delays = Delays::new(3, seconds(600), seconds(2));
        let now = Instant::now();
        let waits: Vec<_> = (0..8).map(|_| delays.begin(1, now)).collect();
        let none = Some(Duration::ZERO);
        let waited = [none, Some(seconds(1)), Some(seconds(2))];
        assert_eq!(waits, [&[none; 3][..], &waited, &[None; 2]].concat());
        assert_eq!(delays.begin(2, now), none, "another name");
        let later = now + seconds(3);
        assert_eq!(delays.begin(1, later), none, "it may be tried again");
        assert_eq!(delays.begin(1, now + seconds(600)), none);
        for _ in 0..50 {
            assert_eq!(delays.begin(3, now), none);
            delays.take_back(3);
        }
    }
}
