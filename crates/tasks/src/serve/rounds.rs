//! Whether the clock is believed before old history goes.
//!
//! The rules of [`retention`](super::retention) count days, and a clock that is half a year ahead for
//! a minute would have fulfilled them all. So a server notes the day of each of its hourly *rounds*.
//! A day that does not follow from the one before (a leap of more than [`LEAP_DAYS_MAX`], or a step
//! back) is noted and not acted on: first the server must have run for [`HOURS_WATCHED`] hours, in
//! which the date stays plausible. What is kept for a day longer costs nothing.
//!
//! The hours are hours of the process, so a server that is stopped every night gets there, too, and
//! one that is started again and again does not get there sooner.

use super::retention::Day;

/// The most days between two rounds that raise no doubt: a server may be away for a week.
pub const LEAP_DAYS_MAX: u32 = 7;

/// For how many hours a date must have been plausible after a doubt.
pub const HOURS_WATCHED: u32 = 24;

/// What a server remembers of its rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// The day of the last one.
    pub last: Day,
    /// Hours to go until days are acted on.
    pub hours_left: u32,
}

/// What is known of the time before a round besides the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Nothing: a first round after a start, or a single one.
    Nothing,
    /// The process has run for an hour since its round before.
    AnHour,
    /// A person says that the date is right.
    ByAPerson,
}

impl Rounds {
    /// The beginning: there is nothing yet that could go.
    pub fn from(today: Day) -> Self {
        Self { last: today, hours_left: 0 }
    }

    /// What is remembered after a round on this day. `before` is what was remembered so far, none
    /// if nobody knows.
    pub fn next(before: Option<Self>, today: Day, watched: Watched) -> Self {
        let doubted = Self { last: today, hours_left: HOURS_WATCHED };
        match (before, watched) {
            (_, Watched::ByAPerson) => Self::from(today),
            (None, _) => doubted,
            (Some(before), _) if today < before.last => doubted,
            (Some(before), _) if today.since(before.last) > LEAP_DAYS_MAX => doubted,
            (Some(before), Watched::AnHour) => {
                Self { last: today, hours_left: before.hours_left.saturating_sub(1) }
            }
            (Some(before), Watched::Nothing) => Self { last: today, ..before },
        }
    }

    /// Whether history may go in the round after which this is remembered.
    pub fn may_act(self) -> bool {
        self.hours_left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(20_000);

    fn after(before: Option<Rounds>, days: i64, watched: Watched) -> Rounds {
        Rounds::next(before, Day(TODAY.0 + days), watched)
    }

    #[test]
    fn a_day_that_does_not_follow_from_the_one_before_is_not_acted_on() {
        let calm = Some(Rounds::from(TODAY));
        for (name, before, days, may_act) in [
            ("an hour later", calm, 0, true),
            ("the next day", calm, 1, true),
            ("after a week away", calm, 7, true),
            ("a leap", calm, 8, false),
            ("half a year ahead", calm, 200, false),
            ("a step back", calm, -1, false),
            ("1970", calm, -TODAY.0, false),
            ("nobody knows", None, 0, false),
        ] {
            for watched in [Watched::Nothing, Watched::AnHour] {
                assert_eq!(after(before, days, watched).may_act(), may_act, "{name}");
            }
            assert!(after(before, days, Watched::ByAPerson).may_act(), "{name}");
        }
    }

    #[test]
    fn a_doubted_day_is_believed_after_a_day_of_hours() {
        let mut rounds = after(Some(Rounds::from(TODAY)), 200, Watched::Nothing);
        for hour in 1..=HOURS_WATCHED {
            assert!(!rounds.may_act());
            // Starts in between bring nothing nearer.
            rounds = after(Some(rounds), 200, Watched::Nothing);
            rounds = after(Some(rounds), 200 + i64::from(hour / 24), Watched::AnHour);
        }
        assert!(rounds.may_act());
    }

    #[test]
    fn a_clock_that_is_put_right_again_begins_anew() {
        let ahead = after(Some(Rounds::from(TODAY)), 200, Watched::Nothing);
        let right = after(Some(ahead), 0, Watched::AnHour);
        assert_eq!(right, Rounds { last: TODAY, hours_left: HOURS_WATCHED });
    }
}
