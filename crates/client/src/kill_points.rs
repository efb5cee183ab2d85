//! Places at which a test kills the program.
//!
//! With the feature `kill-points`, `TANDEM_KILL_AT=3` ends the process at the third place that it
//! reaches, as abruptly as a power cut does for the process itself: nothing is written, closed or
//! given back. The place is named on standard error first. Without the feature this is nothing.

/// Something is about to happen, or has just happened: "before commit push".
#[cfg(feature = "kill-points")]
#[expect(clippy::print_stderr, reason = "the test wants to know which place it was")]
pub(crate) fn reached(when: &str, what: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static KILL_AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("TANDEM_KILL_AT").ok()?.parse().ok());
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let Some(kill_at) = *KILL_AT else { return };
    if REACHED.fetch_add(1, Ordering::Relaxed) + 1 == kill_at {
        eprintln!("killed {when} {what}");
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(feature = "kill-points"))]
pub(crate) fn reached(_when: &str, _what: &str) {}
