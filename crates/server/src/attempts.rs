//! Wrong credentials, counted for each address: who tries many is not listened to for a while.
//!
//! What counts is how many *different* ones were tried: a replica with a wrong client id, which tries
//! the same one all day, is no attacker and shuts nobody out who shares its address.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::network::household;
use crate::recent::Recent;

/// Addresses that are remembered. More are a flood, in which the oldest memories go.
const ADDRESSES_MAX: usize = 10_000;

/// Wrong credentials of each address.
#[derive(Debug)]
pub(crate) struct Attempts {
    guesses_max: usize,
    memory: Duration,
    failed: Mutex<Recent<IpAddr, Failed>>,
}

#[derive(Debug)]
struct Failed {
    since: Instant,
    /// The beginnings of keyed hashes.
    guesses: Vec<u64>,
}

/// What became of a guess that was to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It is one more, or one that was counted before.
    Yes,
    /// It is the last that is listened to.
    Last,
    /// Too many came before it.
    ShutOut,
}

impl Attempts {
    /// `guesses_max` different ones within `memory`.
    pub(crate) fn new(guesses_max: usize, memory: Duration) -> Self {
        Self { guesses_max, memory, failed: Mutex::new(Recent::new(ADDRESSES_MAX)) }
    }

    /// Whether this address has tried too many.
    pub(crate) fn is_shut_out(&self, address: IpAddr, now: Instant) -> bool {
        self.lock().get(&household(address)).is_some_and(|failed| {
            failed.guesses.len() >= self.guesses_max && self.is_fresh(failed, now)
        })
    }

    /// Counts a credential as wrong: one that proved so, or one that is to be looked at. Whoever looks
    /// first and counts afterwards can be asked a hundred times at once.
    pub(crate) fn note(&self, address: IpAddr, guess: u64, now: Instant) -> Counted {
        let mut all = self.lock();
        let begun = || Failed { since: now, guesses: Vec::new() };
        let failed = all.entry(household(address), begun);
        if !self.is_fresh(failed, now) {
            *failed = begun();
        }
        if failed.guesses.len() >= self.guesses_max {
            Counted::ShutOut
        } else if failed.guesses.contains(&guess) {
            Counted::Yes
        } else {
            failed.guesses.push(guess);
            if failed.guesses.len() < self.guesses_max { Counted::Yes } else { Counted::Last }
        }
    }

    /// A credential that was counted is right, or nobody looked at it.
    pub(crate) fn take_back(&self, address: IpAddr, guess: u64) {
        if let Some(failed) = self.lock().get_mut(&household(address)) {
            failed.guesses.retain(|counted| *counted != guess);
        }
    }

    fn is_fresh(&self, failed: &Failed, now: Instant) -> bool {
        now.saturating_duration_since(failed.since) < self.memory
    }

    fn lock(&self) -> MutexGuard<'_, Recent<IpAddr, Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_different_guesses_shut_an_address_out_for_a_while() {
        let attempts = Attempts::new(3, Duration::from_secs(60));
        let (now, here): (_, IpAddr) = (Instant::now(), [192, 0, 2, 1].into());
        for _ in 0..50 {
            attempts.note(here, 7, now);
        }
        assert!(!attempts.is_shut_out(here, now), "one wrong id all day is no attack");
        assert_eq!(attempts.note(here, 8, now), Counted::Yes);
        assert_eq!(attempts.note(here, 9, now), Counted::Last);
        assert_eq!(attempts.note(here, 9, now), Counted::ShutOut);
        assert!(attempts.is_shut_out(here, now));
        assert!(!attempts.is_shut_out([192, 0, 2, 2].into(), now));
        let later = now + Duration::from_secs(60);
        assert!(!attempts.is_shut_out(here, later));
        attempts.note(here, 10, later);
        assert!(!attempts.is_shut_out(here, later), "the count begins anew");
    }

    #[test]
    fn a_credential_that_proves_right_counts_for_nothing() {
        let attempts = Attempts::new(3, Duration::from_secs(60));
        let (now, here): (_, IpAddr) = (Instant::now(), [192, 0, 2, 1].into());
        for guess in 0..50 {
            assert_ne!(attempts.note(here, guess, now), Counted::ShutOut);
            attempts.take_back(here, guess);
        }
        // Many at once: what is being looked at is counted.
        let counted: Vec<_> = (0..50).map(|guess| attempts.note(here, guess, now)).collect();
        assert_eq!(counted.iter().filter(|it| **it != Counted::ShutOut).count(), 3);
    }

    #[test]
    fn an_address_is_a_network_in_ipv6_and_memory_is_bounded() {
        let attempts = Attempts::new(1, Duration::from_secs(60));
        let now = Instant::now();
        attempts.note("2001:db8::1".parse().unwrap(), 1, now);
        assert!(attempts.is_shut_out("2001:db8::ffff:1".parse().unwrap(), now));
        assert!(!attempts.is_shut_out("2001:db8:0:1::1".parse().unwrap(), now));
        for number in 0..20_000_u32 {
            attempts.note(IpAddr::V4(number.into()), 1, now);
        }
        assert!(attempts.lock().len() <= ADDRESSES_MAX);
    }
}
