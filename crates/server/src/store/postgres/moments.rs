//! Whose clock counts: the database's, so that all nodes have one.
//!
//! A node whose clock is wrong must not let history go early, nor make the mark of a snapshot look
//! older than it is. So statements ask PostgreSQL what time it is, and a mark is never of a day before
//! the client's last change, should the database's own clock be set back. Tests that let days pass
//! have the clock of their requests counted.

use tandem_core::Timestamp;
use tandem_tasks::serve::retention::Day;

/// Whose clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// The database's.
    Database,
    /// That of whoever asks.
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code))]
    Requests,
}

impl Clock {
    /// The moment of a request.
    pub(super) fn of(self, at: Timestamp) -> Moment {
        Moment(match self {
            Self::Database => None,
            Self::Requests => Some(at.seconds()),
        })
    }
}

/// The moment of a request, in seconds; none where the database knows it better.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Option<i64>);

impl Moment {
    /// This moment, else the one that the database has told.
    pub(super) fn or(self, told: i64) -> i64 {
        self.0.unwrap_or(told)
    }
}

/// The day of what a client does now. Never before its last change.
pub(super) fn day(now: i64, changed_at: i64) -> Day {
    Day::of(Timestamp::from_seconds(now.max(changed_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_believed_and_a_day_is_not_before_the_last_change() {
        let told = 20_000 * 86_400;
        let wrong = Timestamp::from_seconds(1);
        assert_eq!(Clock::Database.of(wrong).or(told), told);
        assert_eq!(Clock::Requests.of(wrong).or(told), 1);
        assert_eq!(day(told, 0), Day(20_000));
        assert_eq!(day(0, told), Day(20_000));
    }
}
