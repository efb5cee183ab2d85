//! Whether the database's clock is believed before old history goes, as all nodes know it.
//!
//! The rule is `tandem_tasks::serve::rounds`, the day the database's, and what is remembered a row of the
//! table of facts. Every node begins a round each hour, and one hour is one hour, however many tell of
//! it: it counts if the last that counted is as long ago.

use deadpool_postgres::Transaction;
use tandem_core::Timestamp;
use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::rounds::{Rounds, Watched};

use super::ROUNDS_LOCK;
use super::moments::Clock;
use super::pool::Pools;
use super::rows::sound;
use super::write::transaction_failed;
use crate::store::StoreError;

/// From one hour that counts to the next, in seconds. A node's hour and the database's are not the same
/// to the second, so a minute is forgiven.
const HOUR_SECONDS: i64 = 59 * 60;

/// One node at a time, while there is no row that could be locked, too.
const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

/// After the lock. Not `now()`, which is the time before the wait: it may be of the day before the one
/// that the last holder has noted.
const BEFORE: &str = "
    SELECT floor(extract(epoch FROM clock_timestamp()))::bigint AS now,
        (SELECT value FROM tandem.facts WHERE name = 'rounds') AS value";

pub(super) const SAVE: &str = "
    INSERT INTO tandem.facts (name, value) VALUES ('rounds', $1)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// What all nodes remember of their rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    rounds: Rounds,
    /// When the last hour was counted, or the counting began.
    counted_at: i64,
}

impl Shared {
    /// The beginning, in a database that is made at this instant.
    pub(super) fn from(now: i64) -> Self {
        let today = Day::of(Timestamp::from_seconds(now));
        Self { rounds: Rounds::from(today), counted_at: now }
    }

    /// What is remembered after a round. An hour that another node has told of is not told again,
    /// except where only the days of requests are known.
    fn next(before: Option<Self>, today: Day, now: i64, watched: Watched, clock: Clock) -> Self {
        let is_over = |before: Self| now.saturating_sub(before.counted_at) >= HOUR_SECONDS;
        let is_told = clock == Clock::Database && !before.is_none_or(is_over);
        let watched = match watched {
            Watched::AnHour if is_told => Watched::Nothing,
            watched => watched,
        };
        let rounds = Rounds::next(before.map(|before| before.rounds), today, watched);
        let follows = |before: Self| {
            Rounds::next(Some(Rounds::from(before.rounds.last)), today, Watched::Nothing).may_act()
        };
        let counted_at = match before {
            // A clock that was put back within the day does not stop the counting.
            Some(before) if watched == Watched::Nothing && follows(before) => {
                before.counted_at.min(now)
            }
            _ => now,
        };
        Self { rounds, counted_at }
    }

    /// 8 bytes of the day, 4 of the hours, 8 of the instant.
    pub(super) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.rounds.last.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.rounds.hours_left.to_be_bytes());
        bytes[12..].copy_from_slice(&self.counted_at.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; 20]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, counted_at @ ..] = bytes;
        let last = Day(i64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let hours_left = u32::from_be_bytes([i, j, k, l]);
        let counted_at = i64::from_be_bytes(counted_at);
        Self { rounds: Rounds { last, hours_left }, counted_at }
    }
}

/// Notes a round of retention; whether history may go in it.
pub(super) async fn begin(
    pools: &Pools,
    today: Day,
    watched: Watched,
    clock: Clock,
) -> Result<bool, StoreError> {
    let client = pools.for_writing().await?;
    let mut is_committing = false;
    let committing = &mut is_committing;
    let outcome = pools
        .bounded(client, async move |client| {
            let txn = client.transaction().await?;
            let may_act = inside(&txn, today, watched, clock).await?;
            if may_act.is_ok() {
                *committing = true;
                txn.commit().await?;
            } else {
                txn.rollback().await?;
            }
            Ok(may_act)
        })
        .await;
    outcome.map_err(|failed| transaction_failed(&failed, is_committing))?
}

async fn inside(
    txn: &Transaction<'_>,
    today: Day,
    watched: Watched,
    clock: Clock,
) -> Result<Result<bool, StoreError>, tokio_postgres::Error> {
    txn.execute(LOCK, &[&ROUNDS_LOCK]).await?;
    let row = txn.query_one(BEFORE, &[]).await?;
    let now: i64 = row.try_get("now")?;
    let today = match clock {
        Clock::Database => Day::of(Timestamp::from_seconds(now)),
        Clock::Requests => today,
    };
    let value: Option<&[u8]> = row.try_get("value")?;
    let before = sound!(value.map(read).transpose());
    let next = Shared::next(before, today, now, watched, clock);
    if before != Some(next) {
        txn.execute(SAVE, &[&&next.to_bytes()[..]]).await?;
    }
    Ok(Ok(next.rounds.may_act()))
}

fn read(value: &[u8]) -> Result<Shared, StoreError> {
    let bytes = value.try_into().map_err(|_| StoreError::Damaged {
        what: "what is remembered of the rounds of retention is damaged".to_owned(),
    })?;
    Ok(Shared::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use tandem_tasks::serve::rounds::HOURS_WATCHED;

    use super::*;

    const NOW: i64 = 20_000 * 86_400 + 7;
    const HOUR: i64 = 60 * 60;

    fn after(before: Shared, now: i64, watched: Watched) -> Shared {
        let today = Day::of(Timestamp::from_seconds(now));
        Shared::next(Some(before), today, now, watched, Clock::Database)
    }

    #[test]
    fn an_hour_counts_once_however_many_nodes_tell_of_it() {
        let ahead = NOW + 200 * 86_400;
        let mut shared = after(Shared::from(NOW), ahead, Watched::Nothing);
        for hour in 1..=i64::from(HOURS_WATCHED) {
            assert!(!shared.rounds.may_act());
            for second in 0..40 {
                shared = after(shared, ahead + hour * HOUR + second, Watched::AnHour);
            }
            assert_eq!(i64::from(shared.rounds.hours_left), i64::from(HOURS_WATCHED) - hour);
        }
        assert!(shared.rounds.may_act());
    }

    #[test]
    fn the_hour_before_a_doubt_brings_nothing_nearer() {
        let ahead = NOW + 200 * 86_400;
        let shared = after(Shared::from(NOW), ahead, Watched::AnHour);
        assert_eq!(shared.rounds.hours_left, HOURS_WATCHED);
        let shared = after(shared, ahead + 1, Watched::AnHour);
        assert_eq!(shared.rounds.hours_left, HOURS_WATCHED, "another node's, of the same hour");
    }

    #[test]
    fn a_clock_that_is_put_back_within_a_day_does_not_stop_the_counting() {
        let late = NOW + 20 * HOUR;
        let doubted = Shared::next(
            None,
            Day::of(Timestamp::from_seconds(late)),
            late,
            Watched::AnHour,
            Clock::Database,
        );
        let back = after(doubted, NOW, Watched::AnHour);
        assert_eq!((back.rounds.hours_left, back.counted_at), (HOURS_WATCHED, NOW));
        let next = after(back, NOW + HOUR, Watched::AnHour);
        assert_eq!(next.rounds.hours_left, HOURS_WATCHED - 1);
    }

    #[test]
    fn what_is_remembered_is_read_as_it_was_written() {
        let rounds = Rounds { last: Day(-3), hours_left: 24 };
        let shared = Shared { rounds, counted_at: -7 };
        assert_eq!(read(&shared.to_bytes()).unwrap(), shared);
        assert!(matches!(read(&[0; 12]), Err(StoreError::Damaged { .. })));
    }
}
