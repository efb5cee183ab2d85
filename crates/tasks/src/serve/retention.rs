//! Which versions and snapshots a server may let go, and when.
//!
//! The versions of a client are *numbered* from 1 in the order of its chain, and a replica that has
//! applied version `n` stands at *position* `n`; the version that it asks for next is `n + 1`.
//!
//! ```text
//!   number   1   2   3   4   5   6   7   8   9  10
//!            └─ may go ──┘   ▲   └ versions_min ─┘
//!                        ▲   │
//!              older snapshot, stored for the grace period
//! ```
//!
//! # The rules
//! * A version goes only if it is at or before a snapshot that was stored `grace_days` ago. So it was
//!   added even earlier, and whoever misses it has been away for the whole period.
//! * [`SNAPSHOT_GENERATIONS`] snapshots are kept, since a server cannot tell whether a sealed one is
//!   any good, and the versions after the older of them stay: both are ways to the present. So
//!   nothing goes before there are two.
//! * The newest `versions_min` stay.
//! * Whoever asked for a version within the period finds it, and all after it, for another period.
//!   Replicas of one list cannot be told apart, so this is an extra and days are the guarantee.
//! * Versions go from the oldest on, so that what stays is one chain at every moment.
//!
//! From these follows the law of `protocols/taskchampion.md` section 6: a client with versions has a
//! child of nil, or a snapshot whose later versions are all there, or its history was *adopted in
//! the middle* and a snapshot is asked for with high urgency until there is one.
//!
//! Days, not instants: a replica that polls then costs one write a day.

use tandem_core::Timestamp;

use super::SNAPSHOT_RECENT_VERSIONS;

/// How many snapshots of a client are kept: the newest and the one before.
pub const SNAPSHOT_GENERATIONS: usize = 2;

/// The least that [`Rules::versions_min`] may be: a snapshot may come for any of these.
pub const VERSIONS_MIN: u32 = 5;
const _: () = assert!(VERSIONS_MIN as usize == SNAPSHOT_RECENT_VERSIONS);

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The day of an instant.
    pub fn of(instant: Timestamp) -> Self {
        Self(instant.seconds().div_euclid(SECONDS_PER_DAY))
    }

    /// Whole days from `earlier` to this day; 0 if the clock went back.
    pub fn since(self, earlier: Self) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0).max(0)).unwrap_or(u32::MAX)
    }
}

/// Whole days from one instant to another; 0 if the clock went back.
pub fn days_between(earlier: Timestamp, later: Timestamp) -> u32 {
    let seconds = later.seconds().saturating_sub(earlier.seconds()).max(0);
    u32::try_from(seconds / SECONDS_PER_DAY).unwrap_or(u32::MAX)
}

/// How long history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Days for which a snapshot must have been stored before versions go in its favour.
    pub grace_days: u32,
    /// Newest versions that always stay; less than [`VERSIONS_MIN`] counts as that.
    pub versions_min: u32,
}

impl Default for Rules {
    /// 180 days, as the reference's object-store server, and 5 versions.
    fn default() -> Self {
        Self { grace_days: 180, versions_min: VERSIONS_MIN }
    }
}

/// A position and a day: when a snapshot of it was stored, or when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The position.
    pub number: u64,
    /// The day.
    pub day: Day,
}

/// What the rules need to know of a client.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// The number of the oldest version that is there; `latest + 1` if none is.
    pub first: u64,
    /// The number of the latest version, 0 while there was none.
    pub latest: u64,
    /// The older of the two snapshots that are stored, none while there are fewer.
    pub older_snapshot: Option<u64>,
    /// Which snapshots were stored when, those included that have been replaced since. In any order.
    pub stored: &'a [Mark],
    /// Which positions were asked for when, the lowest of a day. In any order.
    pub asked: &'a [Mark],
}

/// The number of the oldest version that stays: what comes before may go. Never less than the
/// oldest that is there.
pub fn keep_from(history: History<'_>, rules: Rules, today: Day) -> u64 {
    let is_over = |mark: &&Mark| today.since(mark.day) >= rules.grace_days;
    let settled = history.stored.iter().filter(is_over).map(|mark| mark.number).max();
    let (Some(settled), Some(older)) = (settled, history.older_snapshot) else {
        return history.first;
    };
    let asked = history.asked.iter().filter(|mark| !is_over(mark)).map(|mark| mark.number);
    let newest = history.latest.saturating_sub(u64::from(rules.versions_min.max(VERSIONS_MIN)));
    let last_to_go = asked.fold(settled.min(older).min(newest), u64::min);
    history.first.max(last_to_go.saturating_add(1))
}

/// The day before which marks decide nothing any more, and can be forgotten.
///
/// Of `stored`, the newest mark that is past the period and everything after it still count; of
/// asked positions, those within the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forget {
    /// Marks of stored snapshots before this day.
    pub stored_before: Day,
    /// Asked positions before this day.
    pub asked_before: Day,
}

/// What to forget of a client's marks. `stored` in any order.
pub fn forget(stored: &[Mark], rules: Rules, today: Day) -> Forget {
    let first_in_period = today.0.saturating_sub(i64::from(rules.grace_days)).saturating_add(1);
    let settled = stored.iter().map(|mark| mark.day).filter(|day| day.0 < first_in_period).max();
    Forget { stored_before: settled.unwrap_or(Day(i64::MIN)), asked_before: Day(first_in_period) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(20_000);

    fn mark(number: u64, days_ago: i64) -> Mark {
        Mark { number, day: Day(TODAY.0 - days_ago) }
    }

    #[test]
    fn versions_go_only_behind_what_all_rules_agree_on() {
        let settled = [mark(60, 180), mark(80, 20)];
        let history = History {
            first: 1,
            latest: 100,
            older_snapshot: Some(80),
            stored: &settled,
            asked: &[],
        };
        let cases: &[(&str, History<'_>, u64)] = &[
            ("behind the snapshot that is old enough", history, 61),
            ("nothing is old enough", History { stored: &[mark(60, 179)], ..history }, 1),
            ("no snapshot was ever stored", History { stored: &[], ..history }, 1),
            ("one snapshot alone is not trusted", History { older_snapshot: None, ..history }, 1),
            (
                "the older snapshot is a way too",
                History { older_snapshot: Some(30), ..history },
                31,
            ),
            ("asked for within the period", History { asked: &[mark(10, 179)], ..history }, 11),
            ("asked for before it", History { asked: &[mark(10, 180)], ..history }, 61),
            ("asked for the very first", History { asked: &[mark(0, 1)], ..history }, 1),
            ("the newest five stay", History { latest: 62, ..history }, 58),
            ("some have gone before", History { first: 70, ..history }, 70),
            ("a short history", History { latest: 3, ..history }, 1),
            ("no history", History { first: 1, latest: 0, ..history }, 1),
        ];
        for (name, history, expected) in cases {
            assert_eq!(keep_from(*history, Rules::default(), TODAY), *expected, "{name}");
        }
        let short = Rules { grace_days: 0, versions_min: 0 };
        assert_eq!(keep_from(history, short, TODAY), 81, "no period: behind the older snapshot");
        let none = Rules { versions_min: 50, ..Rules::default() };
        assert_eq!(keep_from(history, none, TODAY), 51, "fifty are to stay");
    }

    #[test]
    fn a_clock_that_went_back_lets_nothing_go() {
        let ahead = [mark(60, -1000)];
        let history =
            History { first: 1, latest: 100, older_snapshot: Some(80), stored: &ahead, asked: &[] };
        assert_eq!(keep_from(history, Rules::default(), TODAY), 1);
        assert_eq!(days_between(Timestamp::from_seconds(10), Timestamp::EPOCH), 0);
        assert_eq!(Day::of(Timestamp::from_seconds(-1)), Day(-1));
    }

    /// The law, by small random histories: after the versions went, whoever begins from either
    /// snapshot finds every version after it, and whoever asked within the period finds theirs.
    #[test]
    fn what_stays_reaches_the_present_from_every_way_in() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            (state >> 33) % below
        };
        let mut gone = 0;
        for _ in 0..20_000 {
            let latest = random(40);
            let first = 1 + random(latest + 1);
            let mut stored: Vec<Mark> = (0..random(4))
                .filter(|_| latest > 0)
                .map(|_| mark(1 + random(latest), i64::try_from(random(400)).unwrap()))
                .collect();
            // Snapshots are stored in the order of their numbers.
            stored.sort_by_key(|mark| mark.number);
            let mut days: Vec<Day> = stored.iter().map(|mark| mark.day).collect();
            days.sort();
            stored.iter_mut().zip(days).for_each(|(mark, day)| mark.day = day);
            let older_snapshot =
                stored.len().checked_sub(2).map(|at| stored[at].number).filter(|_| first == 1);
            let asked: Vec<Mark> = (0..random(2))
                .map(|_| mark(random(latest + 1), i64::try_from(random(400)).unwrap()))
                .collect();
            let rules = Rules { grace_days: 180, versions_min: 0 };
            let history = History { first, latest, older_snapshot, stored: &stored, asked: &asked };
            let kept = keep_from(history, rules, TODAY);
            assert!(kept >= first, "{history:?}");
            if kept == first {
                continue;
            }
            gone += 1;
            assert!(older_snapshot.is_some_and(|older| kept <= older + 1), "{history:?}");
            assert!(latest - kept + 1 >= 5, "{history:?}");
            let after = forget(&stored, rules, TODAY);
            for mark in &asked {
                let is_recent = mark.day >= after.asked_before;
                assert!(!is_recent || kept <= mark.number + 1, "{history:?}");
            }
            let counting: Vec<Mark> =
                stored.iter().copied().filter(|mark| mark.day >= after.stored_before).collect();
            let history = History { stored: &counting, ..history };
            assert_eq!(keep_from(history, rules, TODAY), kept, "what is forgotten decides nothing");
        }
        assert!(gone > 100, "{gone}");
    }
}
