//! Connections that read, each used by one question at a time.
//!
//! A question that is answered from a few pages is asked on the thread that has it: it takes
//! microseconds, and a thread of its own would cost more than the answer. What moves a large body is
//! done away from the threads that serve connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::{open, rows};
use crate::store::StoreError;
use crate::store::damage::Damage;

/// Connections that are kept open while nobody reads. Each has at most 2 MB of pages in memory.
const KEPT_MAX: usize = 8;

/// The pool.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    /// None once it is closed.
    kept: Mutex<Option<Vec<Connection>>>,
    damage: Arc<Damage>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, kept: Mutex::new(Some(Vec::new())), damage: Arc::default() }
    }

    /// What was found to be damaged.
    pub(super) fn damage(&self) -> &Arc<Damage> {
        &self.damage
    }

    /// Asks the file anew, by a connection that has nothing of it in memory.
    pub(super) fn with_fresh<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if self.kept.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(closed());
        }
        let answer = open::open_for_reading(&self.path).and_then(|fresh| question(&fresh));
        answer.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        rows::noted(error, &self.damage)
    }

    /// Asks here and now. A question that finds no connection opens one: nobody waits for another.
    pub(super) fn with<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.take()?;
        let answer = question(&connection);
        // After an error the connection is looked at with suspicion and not used again.
        if answer.is_ok() {
            self.give_back(connection);
        }
        answer.map_err(|error| self.failed(&error))
    }

    /// Asks on a thread that may be kept waiting by the disk.
    pub(super) async fn with_away<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        match tokio::task::spawn_blocking(move || readers.with(question)).await {
            Ok(answer) => answer,
            Err(error) => Err(StoreError::Unavailable { what: error.to_string() }),
        }
    }

    /// Closes what is open; what is in use is closed when it is given back.
    pub(super) fn close(&self) {
        drop(self.kept.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let kept = match self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            None => return Err(closed()),
            Some(kept) => kept.pop(),
        };
        match kept {
            Some(connection) => Ok(connection),
            None => open::open_for_reading(&self.path).map_err(|error| self.failed(&error)),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut().filter(|kept| kept.len() < KEPT_MAX) {
            kept.push(connection);
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable { what: "it is closed".to_owned() }
}
