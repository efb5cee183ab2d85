//! A group of requests: one transaction, one fsync, and then all answers.

use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use super::{rows, schema};
use crate::store::StoreError;
use crate::store::damage::Damage;

/// Requests in one group. More would make the first of them wait without saving an fsync worth
/// having: groups of 128 are within a fifth of the disk's best.
const GROUP_COUNT_MAX: usize = 256;

/// Bytes of bodies in one group; a larger body is a group of its own. Bounds the write-ahead log and
/// how long a small request waits behind large ones.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a step of retention counts as in a group.
pub(super) const RETAIN_BYTES: usize = GROUP_BYTES_MAX / 4;

/// What is written to the log, about, before its content is moved into the database, in bytes.
const LOG_BYTES_BEFORE_CHECKPOINT: usize = 4 * 1024 * 1024;

/// What a request adds to the log besides its body, about, in bytes: a few pages.
const REQUEST_LOG_BYTES: usize = 16 * 1024;

/// A request that waits for the writer.
pub(super) trait Job: Send {
    /// About how much it moves, in bytes.
    fn bytes(&self) -> usize;
    /// Does it, inside a savepoint.
    fn run(&mut self, txn: &Connection) -> rusqlite::Result<()>;
    /// Answers: what [`Job::run`] found if the group is committed, or why there is no answer.
    fn answer(self: Box<Self>, group: Result<(), StoreError>);
}

/// What whoever writes has in hands.
pub(super) struct Work {
    connection: Connection,
    /// What everybody is told since nothing is written any more.
    stopped: Arc<OnceLock<StoreError>>,
    damage: Arc<Damage>,
    log_bytes: usize,
}

impl Work {
    pub(super) fn new(
        connection: Connection,
        stopped: Arc<OnceLock<StoreError>>,
        damage: Arc<Damage>,
    ) -> Self {
        Self { connection, stopped, damage, log_bytes: 0 }
    }

    /// Whether so much stands in the log that it is time to move it.
    pub(super) fn is_log_long(&self) -> bool {
        self.log_bytes >= LOG_BYTES_BEFORE_CHECKPOINT
    }

    /// One transaction for the first request and those that `next` gives as long as there is room.
    /// Answers all of them.
    pub(super) fn group(
        &mut self,
        first: Box<dyn Job>,
        mut more: impl FnMut() -> Option<Box<dyn Job>>,
    ) {
        if let Some(why) = self.stopped.get() {
            first.answer(Err(why.clone()));
            return;
        }
        if let Err(error) = self.run("BEGIN IMMEDIATE") {
            first.answer(Err(self.failed(&error)));
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
            done.push((job, outcome.map_err(|error| self.failed(&error))));
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
            next = if is_full { None } else { more() };
        }
        let committed = self.commit();
        self.log_bytes += bytes;
        for (job, outcome) in done {
            job.answer(committed.clone().and(outcome));
        }
    }

    /// Whether the tables are still those that our statements were written for. One look for a group.
    fn check_schema(&self) -> Result<(), StoreError> {
        let found = schema::version(&self.connection).map_err(|error| self.failed(&error))?;
        if usize::try_from(found) == Ok(schema::MIGRATIONS.len()) {
            return Ok(());
        }
        let why =
            StoreError::Stopped { reason: format!("another program has made the schema {found}") };
        self.stop(why.clone());
        Err(why)
    }

    /// One request in its savepoint: what it wrote before it failed is taken back.
    fn one(&self, job: &mut dyn Job) -> rusqlite::Result<()> {
        self.run("SAVEPOINT request")?;
        match job.run(&self.connection) {
            Ok(()) => self.run("RELEASE request"),
            Err(error) if self.connection.is_autocommit() => Err(error),
            Err(error) => {
                self.run("ROLLBACK TO request")?;
                self.run("RELEASE request")?;
                Err(error)
            }
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let planned = planned_failure(Step::Commit);
        let Err(error) = planned.map_or_else(|| self.run("COMMIT"), Err) else {
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
        self.stop_for("a commit failed", &error);
        Err(StoreError::Unknown { what: error.to_string() })
    }

    /// Moves the log's content into the database, as far as no reader needs it.
    pub(super) fn checkpoint(&mut self) {
        self.log_bytes = 0;
        let moved = || self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match planned_failure(Step::Checkpoint).map_or_else(moved, Err) {
            Ok(()) => {}
            // Everything is in the log still; with room again it goes on.
            Err(error) if rows::is_full(&error) => {
                tracing::warn!(%error, "the log could not be moved into the database");
            }
            Err(error) => self.stop_for("the log could not be moved into the database", &error),
        }
    }

    /// Writes nothing more: the disk failed, or what is on it is not what was written.
    fn stop_for(&self, what: &str, error: &rusqlite::Error) {
        let what = format!("{what}: {error}");
        if rows::is_damage(error) {
            self.damage.note(&what);
            self.stop(StoreError::Damaged { what });
        } else {
            self.stop(StoreError::Stopped { reason: what });
        }
    }

    /// Writes nothing more, and tells everybody this.
    pub(super) fn stop(&self, why: StoreError) {
        tracing::error!(%why, "nothing is written until the server is started again");
        let _ = self.stopped.set(why);
    }

    /// What an error means before anything was committed.
    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        rows::noted(error, &self.damage)
    }
}

/// What a test lets fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next COMMIT of this thread.
    Commit,
    /// The next time that this thread moves the log.
    Checkpoint,
}

#[cfg(not(test))]
fn planned_failure(_: Step) -> Option<rusqlite::Error> {
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

    use super::Step;

    thread_local! {
        /// The next such step of this thread fails so, and is not tried.
        static PLANNED: Cell<Option<(Step, i32)>> = const { Cell::new(None) };
    }

    pub(super) fn planned_failure(step: Step) -> Option<rusqlite::Error> {
        let (_, code) = PLANNED.get().filter(|(planned, _)| *planned == step)?;
        PLANNED.set(None);
        Some(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    }

    /// Plans a failure: for a request, on whichever thread it is written.
    pub(in crate::store::sqlite) fn plan_failure(step: Step, code: i32) {
        PLANNED.set(Some((step, code)));
    }
}
