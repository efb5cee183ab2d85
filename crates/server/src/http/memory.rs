//! Room in memory for large bodies: whoever brings one or takes one away waits until there is some.
//!
//! What is held travels with the bytes ([`Held::with`]): a client that hangs up while its version waits
//! for the disk, or takes its answer slowly, gives nothing back before the last byte is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tandem_core::ClientId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::App;
use super::answer::{BUSY, Trouble};

/// Bytes for one permit. A semaphore counts them in 32 bits at once.
const UNIT_BYTES: usize = 1024;

/// Room for all, of which one client has a share.
#[derive(Debug)]
pub(crate) struct Memory {
    all: Arc<Semaphore>,
    share_units: usize,
    /// Of clients that hold some at present.
    shares: Mutex<HashMap<ClientId, Weak<Semaphore>>>,
}

/// Room that is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl Memory {
    /// `bytes` for all. One client has half of them, but always enough for a body of
    /// `body_bytes_max`.
    pub(super) fn new(bytes: usize, body_bytes_max: usize) -> Self {
        let share_bytes = (bytes / 2).max(body_bytes_max).min(bytes);
        Self {
            all: Arc::new(Semaphore::new(units(bytes))),
            share_units: units(share_bytes),
            shares: Mutex::default(),
        }
    }

    /// Waits for room, but not for long: bodies that grow could wait for each other. None if there
    /// was none in time.
    pub(super) async fn take(
        &self,
        client: ClientId,
        bytes: usize,
        time_max: Duration,
    ) -> Option<Held> {
        let count = u32::try_from(units(bytes)).ok()?;
        let share = self.share(client);
        let taking = async {
            // The client's own share first: one that has used it up is in nobody's way.
            let share = share.acquire_many_owned(count).await.ok()?;
            let all = Arc::clone(&self.all).acquire_many_owned(count).await.ok()?;
            Some(Held { all, share })
        };
        timeout(time_max, taking).await.ok()?
    }

    fn share(&self, client: ClientId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&client).and_then(Weak::upgrade) {
            return share;
        }
        // As many as there are large bodies, at most.
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share_units));
        shares.insert(client, Arc::downgrade(&share));
        share
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(super) fn free_bytes(&self) -> usize {
        self.all.available_permits() * UNIT_BYTES
    }
}

impl Held {
    /// Adds what the same client has taken of the same memory.
    pub(super) fn merge(&mut self, more: Self) {
        // Its share is the same semaphore as long as it holds some of it.
        self.all.merge(more.all);
        self.share.merge(more.share);
    }

    /// The bytes, which hold this room from now on: until the last part of them is gone.
    pub(super) fn with(self, bytes: Bytes) -> Bytes {
        struct Holding(Bytes, #[expect(dead_code, reason = "it is held")] Held);
        impl AsRef<[u8]> for Holding {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Holding(bytes, self))
    }
}

/// Room for one answer. Small bodies need none; of others the storage tells how much.
pub(super) struct Loading<'a> {
    app: &'a App,
    client: ClientId,
    bytes_max: u64,
    held: Option<Held>,
}

impl<'a> Loading<'a> {
    /// For a body of up to `bytes_max` that needs none.
    pub(super) fn new(app: &'a App, client: ClientId, bytes_max: u64) -> Self {
        Self { app, client, bytes_max, held: None }
    }

    /// What may be loaded.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Waits for room for a body of this length.
    pub(super) async fn grow(&mut self, bytes: u64) -> Result<(), Trouble> {
        // One that has become larger meanwhile does not wait for itself.
        drop(self.held.take());
        let length = usize::try_from(bytes).map_err(|_| BUSY)?;
        let time_max = self.app.limits.queue_time_max;
        let held = self.app.answers.take(self.client, length, time_max).await;
        self.held = Some(held.ok_or(BUSY)?);
        self.bytes_max = bytes;
        Ok(())
    }

    /// What was loaded, with the room that it needs.
    pub(super) fn done(self, body: Bytes) -> Bytes {
        match self.held {
            Some(held) => held.with(body),
            None => body,
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;
    const AT_ONCE: Duration = Duration::ZERO;

    #[tokio::test]
    async fn room_is_held_until_the_last_part_of_the_bytes_is_gone() {
        let memory = Memory::new(8 * MIB, MIB);
        let client = ClientId::from_bytes([1; 16]);
        let mut held = memory.take(client, MIB, AT_ONCE).await.unwrap();
        held.merge(memory.take(client, MIB, AT_ONCE).await.unwrap());
        let mut bytes = held.with(Bytes::from_static(b"sealed"));
        let part = bytes.split_to(2);
        drop(bytes);
        assert_eq!((&part[..], memory.free_bytes()), (&b"se"[..], 6 * MIB));
        drop(part);
        assert_eq!(memory.free_bytes(), 8 * MIB);
    }

    #[tokio::test]
    async fn one_client_leaves_room_for_others() {
        let memory = Memory::new(8 * MIB, MIB);
        let [one, other] = [1, 2].map(|byte| ClientId::from_bytes([byte; 16]));
        let held = memory.take(one, 4 * MIB, AT_ONCE).await.unwrap();
        assert!(memory.take(one, MIB, AT_ONCE).await.is_none(), "its share is used up");
        let others = memory.take(other, 4 * MIB, AT_ONCE).await;
        assert!(others.is_some() && memory.free_bytes() == 0);
        drop((held, others));
        assert!(memory.take(one, 4 * MIB, AT_ONCE).await.is_some());
        assert!(memory.take(one, 9 * MIB, AT_ONCE).await.is_none());
    }
}
