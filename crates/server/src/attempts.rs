//! Wrong credentials, counted for each address: who tries many is not listened to for a while.
//!
//! What counts is how many *different* ones were tried: a replica with a wrong client id, which tries
//! the same one all day, is no attacker and shuts nobody out who shares its address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are remembered. More are a flood, in which the oldest memories go.
const ADDRESSES_MAX: usize = 10_000;

/// Wrong credentials of each address.
#[derive(Debug)]
pub(crate) struct Attempts {
    guesses_max: usize,
    memory: Duration,
    failed: Mutex<HashMap<IpAddr, Failed>>,
}

#[derive(Debug)]
struct Failed {
    since: Instant,
    /// The beginnings of keyed hashes.
    guesses: Vec<u64>,
}

impl Attempts {
    /// `guesses_max` different ones within `memory`.
    pub(crate) fn new(guesses_max: usize, memory: Duration) -> Self {
        Self { guesses_max, memory, failed: Mutex::default() }
    }

    /// Whether this address has tried too many.
    pub(crate) fn is_shut_out(&self, address: IpAddr, now: Instant) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(&key(address)).is_some_and(|failed| {
            failed.guesses.len() >= self.guesses_max && self.is_fresh(failed, now)
        })
    }

    /// Notes a wrong credential.
    pub(crate) fn note(&self, address: IpAddr, guess: u64, now: Instant) {
        let mut all = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES_MAX {
            all.retain(|_, failed| self.is_fresh(failed, now));
            if all.len() >= ADDRESSES_MAX {
                let oldest = all.iter().min_by_key(|(_, failed)| failed.since).map(|(key, _)| *key);
                oldest.and_then(|key| all.remove(&key));
            }
        }
        let begun = || Failed { since: now, guesses: Vec::new() };
        let failed = all.entry(key(address)).or_insert_with(begun);
        if !self.is_fresh(failed, now) {
            *failed = begun();
        }
        if failed.guesses.len() < self.guesses_max && !failed.guesses.contains(&guess) {
            failed.guesses.push(guess);
        }
    }

    fn is_fresh(&self, failed: &Failed, now: Instant) -> bool {
        now.saturating_duration_since(failed.since) < self.memory
    }
}

/// Whoever has one address of IPv6 has 2^64 of them.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
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
        attempts.note(here, 8, now);
        attempts.note(here, 9, now);
        assert!(attempts.is_shut_out(here, now));
        assert!(!attempts.is_shut_out([192, 0, 2, 2].into(), now));
        let later = now + Duration::from_secs(60);
        assert!(!attempts.is_shut_out(here, later));
        attempts.note(here, 10, later);
        assert!(!attempts.is_shut_out(here, later), "the count begins anew");
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
        assert!(attempts.failed.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
