//! Whose clock counts: the database's, so that all nodes have one.
//!
//! A node whose clock is wrong must not let history go early, nor make the mark of a snapshot look
//! older than it is. So statements ask PostgreSQL what time it is, and a mark is never of a day before
//! the client's last change, should the database's own clock be set back. Tests that let days pass
//! have the clock of their requests counted.

use tandem_core::Timestamp;
use tandem_tasks::serve::retention::Day;

/// The moment in seconds, in SQL: the given one, else the database's.
macro_rules! moment {
    ($given:literal) => {
        concat!("coalesce(", $given, "::bigint, floor(extract(epoch FROM now()))::bigint)")
    };
}
pub(super) use moment;

/// Whose clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moments {
    /// The database's.
    Database,
    /// That of whoever asks.
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code))]
    Requests,
}

impl Moments {
    /// What a statement is given for a request of this moment.
    pub(super) fn given(self, at: Timestamp) -> Given {
        Given(match self {
            Self::Database => None,
            Self::Requests => Some(at.seconds()),
        })
    }
}

/// The first parameter of [`moment`]: none for the database's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given(pub(super) Option<i64>);

/// The day of what a client does now. Never before its last change.
pub(super) fn day(now: i64, changed_at: i64) -> Day {
    Day::of(Timestamp::from_seconds(now.max(changed_at)))
}
