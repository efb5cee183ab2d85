//! Places for connections: bounded, and nobody keeps them from others by doing nothing.
//!
//! When all are taken, one that has not been used for long is asked to leave, in the manner of a clock's
//! hand: it passes over whoever has asked for something since it last came by. An answer under way is
//! never cut off.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::network::{Network, household, is_near};

/// How long somebody has to leave before the next is asked to: they may be sending an answer.
const LEAVING: Duration = Duration::from_millis(50);

/// The places of one or more listeners.
#[derive(Debug)]
pub(crate) struct Places {
    count_max: usize,
    per_address_max: usize,
    trusted: Vec<Network>,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Oldest first.
    all: BTreeMap<u64, (IpAddr, Arc<Sign>)>,
    of_address: HashMap<IpAddr, usize>,
    /// Where the clock's hand stands.
    hand: u64,
}

/// What is known of a connection, and how it is told to leave.
#[derive(Debug, Default)]
pub(super) struct Sign {
    /// A request has come since the hand came by.
    is_used: AtomicBool,
    /// A request has ever come.
    has_asked: AtomicBool,
    is_leaving: AtomicBool,
    leave: Notify,
}

impl Sign {
    /// A request has come.
    pub(super) fn use_it(&self) {
        self.is_used.store(true, Ordering::Relaxed);
        self.has_asked.store(true, Ordering::Relaxed);
    }

    /// Whether a request has ever come: if not, nothing is cut off.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// Waits to be asked to leave.
    pub(super) async fn left(&self) {
        self.leave.notified().await;
    }
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(super) sign: Arc<Sign>,
}

impl Places {
    /// `count_max` for all, `per_address_max` for one address, unless it is of a trusted proxy or
    /// nearby.
    pub(crate) fn new(count_max: usize, per_address_max: usize, trusted: Vec<Network>) -> Self {
        let (taken, freed) = (Mutex::default(), Notify::new());
        Self { count_max, per_address_max, trusted, taken, freed }
    }

    /// Waits for a place. None if this address has all that it can have.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let is_limited = !is_near(peer) && !self.trusted.iter().any(|it| it.contains(peer));
        let address = household(peer);
        loop {
            {
                let mut taken = self.lock();
                let count = taken.of_address.get(&address).copied().unwrap_or(0);
                if is_limited && count >= self.per_address_max {
                    return None;
                }
                if taken.all.len() < self.count_max {
                    let (number, sign) = (taken.next, Arc::new(Sign::default()));
                    taken.next += 1;
                    taken.all.insert(number, (address, Arc::clone(&sign)));
                    taken.of_address.insert(address, count + 1);
                    return Some(Place { places: Arc::clone(self), number, sign });
                }
                taken.ask_one_to_leave();
            }
            let _ = timeout(LEAVING, self.freed.notified()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn ask_one_to_leave(&mut self) {
        let (before, after) = (self.all.range(..self.hand), self.all.range(self.hand..));
        // Once around finds everybody unused, so twice is enough.
        let around = after.chain(before);
        let found = around.clone().chain(around).find(|(_, (_, sign))| {
            let is_used = sign.is_used.swap(false, Ordering::Relaxed);
            !is_used && !sign.is_leaving.load(Ordering::Relaxed)
        });
        if let Some((number, (_, sign))) = found {
            sign.is_leaving.store(true, Ordering::Relaxed);
            sign.leave.notify_one();
            self.hand = number + 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some((address, _)) = taken.all.remove(&self.number) {
            let left = taken.of_address.get(&address).map_or(0, |count| count - 1);
            match left {
                0 => taken.of_address.remove(&address),
                _ => taken.of_address.insert(address, left),
            };
        }
        drop(taken);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(count_max: usize) -> Arc<Places> {
        Arc::new(Places::new(count_max, 3, vec!["198.51.100.0/24".parse().unwrap()]))
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_some_places_and_proxies_have_all() {
        let places = places(100);
        let take = async |address: &str| places.take(address.parse().unwrap()).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(take("192.0.2.1").await.unwrap());
        }
        assert!(take("192.0.2.1").await.is_none());
        for other in ["192.0.2.2", "198.51.100.7", "198.51.100.7", "198.51.100.7", "198.51.100.7"] {
            held.push(take(other).await.unwrap());
        }
        for _ in 0..10 {
            held.push(take("172.17.0.1").await.unwrap());
        }
        held.remove(0);
        assert!(take("192.0.2.1").await.is_some(), "one has left");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_been_idle_for_long_leaves_first_and_only_when_all_are_taken() {
        let places = places(3);
        let near = "127.0.0.1".parse().unwrap();
        let [one, two, three] = [(); 3].map(|()| places.clone());
        let mut held = Vec::new();
        for places in [one, two, three] {
            held.push(places.take(near).await.unwrap());
        }
        held.iter().for_each(|place| place.sign.use_it());
        let is_asked = |place: &Place| place.sign.is_leaving.load(Ordering::Relaxed);
        assert!(!held.iter().any(is_asked));
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(near).await }
        });
        // All were used alike, so it is the oldest.
        held[0].sign.left().await;
        assert_eq!(held.iter().map(is_asked).collect::<Vec<_>>(), [true, false, false]);
        held.remove(0);
        held.push(waiting.await.unwrap().unwrap());
        // The hand goes on from there, past one that has been used since.
        held[0].sign.use_it();
        assert!(timeout(LEAVING / 2, places.take(near)).await.is_err());
        assert_eq!(held.iter().map(is_asked).collect::<Vec<_>>(), [false, true, false]);
        // One that does not leave, since it sends an answer, is asked once.
        let (second, fourth) = (held.remove(0), held.remove(1));
        second.sign.use_it();
        drop(fourth);
        assert!(places.take(near).await.is_some());
    }
}
