//! When to try again: a pure schedule, the shell sleeps.

use std::time::Duration;

/// Waits that double from `first` to `max`, with jitter passed in.
///
/// Clients of one server start from cron at the same second; without jitter they also return at
/// the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the second try.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How often to try in all, the first try included.
    pub tries_max: u32,
}

impl Backoff {
    /// For one `ta sync` by a person or cron: three tries within about two seconds.
    pub const SYNC: Self =
        Self { first: Duration::from_millis(300), max: Duration::from_secs(2), tries_max: 3 };

    /// The wait after `tries` tries, or `None` when it is time to give up.
    ///
    /// `jitter` is a random number of the caller's; the wait lies between half and all of the
    /// doubled delay.
    pub fn delay(&self, tries: u32, jitter: u32) -> Option<Duration> {
        if tries == 0 || tries >= self.tries_max {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (tries - 1).min(16)).min(self.max);
        let half = doubled / 2;
        Some(half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_bound_and_ends() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            max: Duration::from_millis(300),
            tries_max: 4,
        };
        let waits: Vec<_> = (0..6).map(|tries| backoff.delay(tries, u32::MAX)).collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(waits, [None, ms(100), ms(200), ms(300), None, None]);
        assert_eq!(backoff.delay(1, 0), ms(50));
    }
}
