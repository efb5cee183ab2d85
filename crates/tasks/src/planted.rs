//! Defects of the reference (`protocols/taskchampion.md` section 20), for tests to plant.
//!
//! The simulator must find each of them, or it would not find one of ours. Without the feature
//! `planted-defects` nothing of this is compiled but a constant `false`.

/// A defect that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted-defects"),
    expect(dead_code, unreachable_pub, reason = "planted by tests only")
)]
pub enum Defect {
    /// Defect 1: pulled operations are walked through the first batch only.
    LaterBatchesNotRebased,
    /// Defect 2: after a rejected push the operations as they were at first are taken up again.
    ConflictForgetsRebase,
    /// Defect 3: a snapshot is made before the last batch, of everything that is here.
    EarlySnapshot,
    /// Defect 4: an empty replica that finds versions but no way to them says that all is well.
    MissingHistoryNotTold,
    /// Defect 5: a history that is gone ends every sync.
    GoneIsTheEnd,
}

#[cfg(feature = "planted-defects")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

/// Plants a defect in this thread, or none.
#[cfg(feature = "planted-defects")]
pub fn plant(defect: Option<Defect>) {
    PLANTED.set(defect);
}

/// True if that defect is planted in this thread.
#[cfg(feature = "planted-defects")]
pub fn is_planted(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}

/// Never.
#[cfg(not(feature = "planted-defects"))]
pub(crate) const fn is_planted(_: Defect) -> bool {
    false
}
