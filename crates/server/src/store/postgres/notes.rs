//! That clients were here: written behind the answers, one after the other.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tandem_tasks::serve::retention::Day;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::pool::Pools;
use super::rows::cell;
use crate::store::StoreError;

/// Notes that wait. What finds no room is dropped: tomorrow's, or the next request's, will do.
const QUEUE_COUNT_MAX: usize = 1024;

/// That a client was here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    /// Its row.
    pub(super) client: i64,
    /// Today.
    pub(super) day: Day,
    /// The position whose child it was given, if that is the lowest of today.
    pub(super) asked: Option<u64>,
}

const WRITE: &str = "
    WITH here AS (
        UPDATE tandem.clients SET
            seen_day = $2,
            asked_day = CASE WHEN coalesce($3::bigint > latest_number, true) THEN asked_day ELSE $2 END,
            asked_number = CASE WHEN coalesce($3 > latest_number, true) THEN asked_number
                WHEN asked_day = $2 THEN least(asked_number, $3) ELSE $3 END
        WHERE id = $1
        RETURNING id, latest_number
    )
    INSERT INTO tandem.asked_days (client, day, number)
    SELECT id, $2, $3 FROM here WHERE $3 <= latest_number
    ON CONFLICT (client, day) DO UPDATE SET number = least(asked_days.number, excluded.number)";

/// The queue of notes, and who writes them.
pub(super) struct Notes {
    /// None once it is closed.
    queue: Mutex<Option<mpsc::Sender<Note>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").finish_non_exhaustive()
    }
}

impl Notes {
    pub(super) fn start(pools: Arc<Pools>) -> Self {
        let (queue, mut notes) = mpsc::channel::<Note>(QUEUE_COUNT_MAX);
        let writer = tokio::spawn(async move {
            while let Some(note) = notes.recv().await {
                if let Err(error) = write(&pools, note).await {
                    tracing::debug!(%error, "a note was not written");
                }
            }
        });
        Self { queue: Mutex::new(Some(queue)), writer: Mutex::new(Some(writer)) }
    }

    /// Has it written at some time, or not at all if there is more to do than that.
    pub(super) fn note(&self, note: Option<Note>) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(note), Some(queue)) = (note, queue.as_ref()) {
            let _ = queue.try_send(note);
        }
    }

    /// Writes what waits, and ends.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // One that panicked has nothing more to write.
            let _ = writer.await;
        }
    }
}

async fn write(pools: &Pools, note: Note) -> Result<(), StoreError> {
    let asked = note.asked.map(cell);
    pools.change(WRITE, &[&note.client, &note.day.0, &asked]).await.map(drop)
}
