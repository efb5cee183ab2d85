//! Who writes: one at a time, in groups.
//!
//! A request that finds nobody before it writes on the thread that has it: two changes of thread would
//! be half of what it waits for. Others queue up, and the writer's thread makes the next group of them.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, oneshot};

use super::group::{Job, Work};
use super::write;
use crate::store::StoreError;
use crate::store::damage::Damage;

/// Requests that wait for the writer; the next one waits at the door.
const QUEUE_COUNT_MAX: usize = 1024;

/// The one place where writing is done; empty once there is no more to be written.
type Desk = Mutex<Option<Work>>;

/// A request on its way to the writer's thread, and its place among those that wait.
struct Queued {
    job: Box<dyn Job>,
    /// Kept until its group is answered.
    place: Place,
}

/// Counts as long as it is there.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The handle of the thread, and of its desk.
pub(super) struct Writer {
    /// None once it is closed.
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    /// Requests that wait for the thread, the ones at the door and in its hands included.
    waiting: Arc<AtomicUsize>,
    desk: Arc<Desk>,
    /// What everybody is told since nothing is written any more.
    stopped: Arc<OnceLock<StoreError>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("stopped", &self.stopped.get()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection, damage: Arc<Damage>) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_COUNT_MAX);
        let stopped = Arc::new(OnceLock::new());
        let work = Work::new(connection, Arc::clone(&stopped), damage);
        let desk = Arc::new(Mutex::new(Some(work)));
        let theirs = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write_groups(&theirs, jobs))?;
        let (queue, thread) = (Mutex::new(Some(queue)), Mutex::new(Some(thread)));
        Ok(Self { queue, waiting: Arc::default(), desk, stopped, thread })
    }

    /// Has something written, and waits until it is durable.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable { what: "it is closed".to_owned() };
        let queue = self.queue().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Asked { bytes, work: Some(work), found: None, reply };
        if let Some(job) = self.write_here(Box::new(job)) {
            // Queued after its end it would only be dropped, and nobody could say whether it was done.
            if let Some(stopped) = self.stopped() {
                return Err(stopped);
            }
            let queued = Queued { job, place: Place::take(&self.waiting) };
            queue.send(queued).await.map_err(|_| self.stopped().unwrap_or_else(closed))?;
        }
        drop(queue);
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown { what: "the writer has ended".to_owned() })
        })
    }

    /// Has a note written at some time, or not at all if there is more to do than that.
    pub(super) fn note(&self, note: write::Note) {
        if let Some(queue) = self.queue() {
            let queued = Queued { job: Box::new(note), place: Place::take(&self.waiting) };
            // A full queue: tomorrow's note, or the next request's, will do.
            let _ = queue.try_send(queued);
        }
    }

    /// Writes on this thread if nobody writes or waits, and the runtime has others that go on
    /// meanwhile. Gives back what it did not begin.
    fn write_here(&self, job: Box<dyn Job>) -> Option<Box<dyn Job>> {
        let has_others = |runtime: &Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        // Whoever waits goes first: the lock alone may be taken again and again before they wake.
        if self.waiting.load(Ordering::Acquire) > 0
            || !Handle::try_current().as_ref().is_ok_and(has_others)
        {
            return Some(job);
        }
        let mut desk = match self.desk.try_lock() {
            Ok(desk) => desk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(job),
        };
        if desk.is_none() {
            return Some(job);
        }
        tokio::task::block_in_place(|| write_group(&mut desk, job, || None));
        let is_log_long = desk.as_ref().is_some_and(Work::is_log_long);
        drop(desk);
        if is_log_long && let Some(queue) = self.queue() {
            // Nobody should wait for this; whoever is in the queue already will do as well.
            let queued = Queued { job: Box::new(Nothing), place: Place::take(&self.waiting) };
            let _ = queue.try_send(queued);
        }
        None
    }

    /// What everybody is told if nothing is written any more.
    pub(super) fn stopped(&self) -> Option<StoreError> {
        self.stopped.get().cloned()
    }

    /// Finishes what is queued, and ends the thread.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A writer that panicked has nothing more to finish.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// The same here and now, for whoever has no runtime any more.
    pub(super) fn end(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It ends as soon as what is queued is written, whatever became of those who asked.
        let _ = thread.map(JoinHandle::join);
    }

    /// Requests that wait for the thread.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn queue(&self) -> Option<mpsc::Sender<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the thread does.
fn write_groups(desk: &Desk, mut jobs: mpsc::Receiver<Queued>) {
    let lock = || desk.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(first) = jobs.blocking_recv() {
        let mut desk = lock();
        // Their places are kept until their group is answered.
        let mut places = vec![first.place];
        let more = || {
            let Queued { job, place } = jobs.try_recv().ok()?;
            places.push(place);
            Some(job)
        };
        write_group(&mut desk, first.job, more);
        // After a defect nobody writes here any more.
        let Some(work) = desk.as_mut() else { return };
        if work.is_log_long() {
            work.checkpoint();
        }
    }
    // The last connection's end moves the log into the database and removes it.
    drop(lock().take());
}

/// Writes one group. A defect in it ends all writing, of which the health of the storage tells, and not
/// the thread: the request has no answer then, and its client is told so.
fn write_group(
    desk: &mut Option<Work>,
    first: Box<dyn Job>,
    more: impl FnMut() -> Option<Box<dyn Job>>,
) {
    let Some(work) = desk.as_mut() else { return };
    // What was in hands is not looked at again: the connection is closed, and so takes back what was
    // not committed.
    if catch_unwind(AssertUnwindSafe(|| work.group(first, more))).is_err() {
        let reason = "the writer has ended by a defect".to_owned();
        work.stop(StoreError::Stopped { reason });
        *desk = None;
    }
}

/// A request of somebody who waits.
struct Asked<T, W> {
    bytes: usize,
    work: Option<W>,
    found: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Job for Asked<T, W> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn run(&mut self, txn: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.found = Some(work(txn)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, group: Result<(), StoreError>) {
        let Self { found, reply, .. } = *self;
        let answer = group.and_then(|()| {
            found.ok_or_else(|| StoreError::Unavailable { what: "it was not tried".to_owned() })
        });
        // Whoever asked may have gone away.
        let _ = reply.send(answer);
    }
}

impl Job for write::Note {
    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, txn: &Connection) -> rusqlite::Result<()> {
        write::note(txn, self)
    }

    fn answer(self: Box<Self>, group: Result<(), StoreError>) {
        if let Err(error) = group {
            tracing::debug!(%error, "a note was not written");
        }
    }
}

/// Only wakes the thread.
struct Nothing;

impl Job for Nothing {
    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, _: &Connection) -> rusqlite::Result<()> {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
}
