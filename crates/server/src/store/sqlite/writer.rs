//! The one thread that writes, in groups.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{rows, schema, write};
use crate::store::StoreError;

/// Requests in one group. More would make the first of them wait without saving an fsync worth
/// having: groups of 128 are within a fifth of the disk's best.
const GROUP_COUNT_MAX: usize = 256;

/// Bytes of bodies in one group; a larger body is a group of its own. Bounds the write-ahead log and
/// how long a small request waits behind large ones.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a step of retention counts as in a group.
pub(super) const RETAIN_BYTES: usize = GROUP_BYTES_MAX / 4;

/// Requests that wait for the writer; the next one waits at the door.
const QUEUE_COUNT_MAX: usize = 1024;

/// What is written to the log, about, before its content is moved into the database, in bytes.
const LOG_BYTES_BEFORE_CHECKPOINT: usize = 4 * 1024 * 1024;

/// What a request adds to the log besides its body, about, in bytes: a few pages.
const REQUEST_LOG_BYTES: usize = 16 * 1024;

/// A request that waits for the writer.
trait Job: Send {
    /// About how much it moves, in bytes.
    fn bytes(&self) -> usize;
    /// Does it, inside a savepoint.
    fn run(&mut self, txn: &Connection) -> rusqlite::Result<()>;
    /// Answers: what [`Job::run`] found if the group is committed, or why there is no answer.
    fn answer(self: Box<Self>, group: Result<(), StoreError>);
}

/// The handle of the thread.
pub(super) struct Writer {
    /// None once it is closed.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    stopped: Arc<OnceLock<String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("stopped", &self.stopped.get()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_COUNT_MAX);
        let stopped = Arc::new(OnceLock::new());
        let work = Work { connection, stopped: Arc::clone(&stopped), log_bytes: 0 };
        let thread =
            std::thread::Builder::new().name("writer".to_owned()).spawn(move || work.run(jobs))?;
        Ok(Self { queue: Mutex::new(Some(queue)), stopped, thread: Mutex::new(Some(thread)) })
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
        queue.send(Box::new(job)).await.map_err(|_| match self.stopped() {
            Some(reason) => StoreError::Stopped { reason },
            None => closed(),
        })?;
        drop(queue);
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown { what: "the writer has ended".to_owned() })
        })
    }

    /// Has a note written at some time, or not at all if there is more to do than that.
    pub(super) fn note(&self, note: write::Note) {
        if let Some(queue) = self.queue() {
            // A full queue: tomorrow's note, or the next request's, will do.
            let _ = queue.try_send(Box::new(note));
        }
    }

    /// Why nothing is written any more, if that is so.
    pub(super) fn stopped(&self) -> Option<String> {
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

    fn queue(&self) -> Option<mpsc::Sender<Box<dyn Job>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the thread has.
struct Work {
    connection: Connection,
    stopped: Arc<OnceLock<String>>,
    log_bytes: usize,
}

impl Drop for Work {
    /// A defect that ends the thread is told by the health of the storage, not only by requests.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop("the writer has ended by a defect".to_owned());
        }
    }
}

impl Work {
    fn run(self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        // Dropped before the queue is: who finds that closed by a defect finds the reason, too.
        let mut work = self;
        while let Some(first) = jobs.blocking_recv() {
            work.group(first, &mut jobs);
            if work.log_bytes >= LOG_BYTES_BEFORE_CHECKPOINT {
                work.checkpoint();
            }
        }
        // The last connection's end moves the log into the database and removes it.
    }

    fn group(&mut self, first: Box<dyn Job>, jobs: &mut mpsc::Receiver<Box<dyn Job>>) {
        if let Some(reason) = self.stopped.get() {
            first.answer(Err(StoreError::Stopped { reason: reason.clone() }));
            return;
        }
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            first.answer(Err(rows::store_error(&error)));
            return;
        }
        if let Err(error) = self.check_schema() {
            let _ = self.connection.execute_batch("ROLLBACK");
            first.answer(Err(error));
            return;
        }
        let mut done: Vec<(Box<dyn Job>, Result<(), StoreError>)> = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(mut job) = next {
            bytes += job.bytes() + REQUEST_LOG_BYTES;
            let outcome = self.one(job.as_mut());
            let is_lost = self.connection.is_autocommit();
            done.push((job, outcome.map_err(|error| rows::store_error(&error))));
            if is_lost {
                // SQLite has taken the whole transaction back (no room, a failed read): so it is
                // with everything that was in it.
                let why = done.last().and_then(|(_, outcome)| outcome.clone().err());
                let why = why.unwrap_or_else(|| StoreError::Unavailable {
                    what: "the transaction was taken back".to_owned(),
                });
                done.into_iter().for_each(|(job, _)| job.answer(Err(why.clone())));
                return;
            }
            let is_full = done.len() >= GROUP_COUNT_MAX || bytes >= GROUP_BYTES_MAX;
            next = if is_full { None } else { jobs.try_recv().ok() };
        }
        let committed = self.commit();
        self.log_bytes += bytes;
        for (job, outcome) in done {
            job.answer(committed.clone().and(outcome));
        }
    }

    /// Whether the tables are still those that our statements were written for. One look for a group.
    fn check_schema(&self) -> Result<(), StoreError> {
        let found = schema::version(&self.connection).map_err(|error| rows::store_error(&error))?;
        if usize::try_from(found) == Ok(schema::MIGRATIONS.len()) {
            return Ok(());
        }
        let reason = format!("another program has made the schema {found}");
        self.stop(reason.clone());
        Err(StoreError::Stopped { reason })
    }

    /// One request in its savepoint: what it wrote before it failed is taken back.
    fn one(&self, job: &mut dyn Job) -> rusqlite::Result<()> {
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]).map(drop);
        run("SAVEPOINT request")?;
        match job.run(&self.connection) {
            Ok(()) => run("RELEASE request"),
            Err(error) if self.connection.is_autocommit() => Err(error),
            Err(error) => {
                run("ROLLBACK TO request")?;
                run("RELEASE request")?;
                Err(error)
            }
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let Err(error) =
            planned_failure().map_or_else(|| self.connection.execute_batch("COMMIT"), Err)
        else {
            return Ok(());
        };
        let is_full = rows::is_full(&error);
        let is_taken_back =
            self.connection.is_autocommit() || self.connection.execute_batch("ROLLBACK").is_ok();
        if is_full && is_taken_back {
            // The log could not grow to the mark that ends a transaction.
            return Err(StoreError::Full);
        }
        // An fsync that failed may not be tried again: the system may have dropped the pages and
        // would say that all is well. What is really on disk shows when the file is opened anew.
        self.stop(format!("a commit failed: {error}"));
        Err(StoreError::Unknown { what: error.to_string() })
    }

    /// Moves the log's content into the database, as far as no reader needs it.
    fn checkpoint(&mut self) {
        self.log_bytes = 0;
        let outcome = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match outcome {
            Ok(()) => {}
            // Everything is in the log still; with room again it goes on.
            Err(error) if rows::is_full(&error) => {
                tracing::warn!(%error, "the log could not be moved into the database");
            }
            Err(error) => {
                self.stop(format!("the log could not be moved into the database: {error}"))
            }
        }
    }

    fn stop(&self, reason: String) {
        tracing::error!(%reason, "no more is written; look at the disk, then start again");
        let _ = self.stopped.set(reason);
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

#[cfg(not(test))]
fn planned_failure() -> Option<rusqlite::Error> {
    None
}

#[cfg(test)]
pub(super) use planned::plan_failure;
#[cfg(test)]
use planned::planned_failure;

/// A disk that fails when a test says so.
#[cfg(test)]
mod planned {
    use std::cell::Cell;

    thread_local! {
        /// The next commit of this thread fails so, and is not tried.
        static PLANNED: Cell<Option<i32>> = const { Cell::new(None) };
    }

    pub(super) fn planned_failure() -> Option<rusqlite::Error> {
        let code = PLANNED.take()?;
        Some(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    }

    /// Plans the failure of the next commit: for work that runs on the writer's thread.
    pub(in crate::store::sqlite) fn plan_failure(code: i32) {
        PLANNED.set(Some(code));
    }
}
