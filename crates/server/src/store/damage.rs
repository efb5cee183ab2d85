//! Damage that somebody came upon.

use std::fmt::Display;
use std::sync::OnceLock;

/// The first damage that anybody came upon. It stays until the storage is opened anew: what one
/// question has found, the next one may not touch. Looking again at the row that was met was
/// considered: it may be whole by then, which says nothing of the others on that disk.
#[derive(Debug, Default)]
pub(super) struct Damage(OnceLock<String>);

impl Damage {
    /// Notes what was found.
    pub(super) fn note(&self, error: &dyn Display) {
        if self.0.set(error.to_string()).is_ok() {
            tracing::error!(%error, "the database is damaged; keep a copy of it");
        }
    }

    /// What was found.
    pub(super) fn found(&self) -> Option<String> {
        self.0.get().cloned()
    }
}
