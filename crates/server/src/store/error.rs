//! Why a storage has no answer.

/// Why a storage has no answer. The texts are for the log; nobody outside is told more than the kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Certainly nothing was changed, and it may work later: the database is locked, closed, or
    /// cannot be reached.
    #[error("the storage is not available: {what}")]
    Unavailable {
        /// What happened.
        what: String,
    },
    /// Certainly nothing was changed: there is no room.
    #[error("the disk is full")]
    Full,
    /// Whether the change was made is not known.
    #[error("the outcome of a write is not known: {what}")]
    Unknown {
        /// What happened.
        what: String,
    },
    /// Certainly nothing was changed: after an earlier write of unknown outcome this storage takes no
    /// more of them until it is opened again.
    #[error("no more is written since an earlier write failed: {reason}")]
    Stopped {
        /// What happened then.
        reason: String,
    },
    /// Certainly nothing was changed: what is stored contradicts itself, or cannot be read.
    #[error("what is stored is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
}
