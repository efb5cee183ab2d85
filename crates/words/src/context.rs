//! The moment and the place from which words are read, and a task as filters and reports see it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use tandem_core::{TaskId, Timestamp};
use tandem_tasks::{Status, Task};

/// Now and the time zone, passed in because this crate reads no clock.
///
/// Holds what many tasks are compared with (the bounds of today), worked out once.
#[derive(Debug, Clone)]
pub struct Context {
    now: Timestamp,
    zone: TimeZone,
    date: Date,
    today: i64,
    tomorrow: i64,
}

impl Context {
    /// Makes a context. A `now` beyond the last day of the year 9999 is read as that day.
    pub fn new(now: Timestamp, zone: TimeZone) -> Self {
        let seconds = now.seconds().clamp(Instant::MIN.as_second(), Instant::MAX.as_second());
        let date = zone.to_datetime(Instant::from_second(seconds).unwrap_or_default()).date();
        let mut context = Self { now, zone, date, today: i64::MIN, tomorrow: i64::MAX };
        context.today = context.midnight(date).unwrap_or(i64::MIN);
        context.tomorrow =
            date.tomorrow().ok().and_then(|date| context.midnight(date)).unwrap_or(i64::MAX);
        context
    }

    /// The moment.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The zone in which dates are read and shown.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Today in the zone.
    pub(crate) fn date(&self) -> Date {
        self.date
    }

    /// Seconds at which a local day begins: midnight, or the first moment after a gap there.
    /// Nothing when that is beyond what can be told.
    pub(crate) fn midnight(&self, date: Date) -> Option<i64> {
        let zoned = date.to_zoned(self.zone.clone()).ok()?;
        Some(zoned.timestamp().as_second())
    }

    /// True when `seconds` lies in today.
    pub(crate) fn is_today(&self, seconds: i64) -> bool {
        (self.today..self.tomorrow).contains(&seconds)
    }

    /// Seconds at which today began.
    pub(crate) fn today_seconds(&self) -> i64 {
        self.today
    }

    /// First and one past the last second of the local day around `seconds`.
    pub(crate) fn day_around(&self, seconds: i64) -> Option<std::ops::Range<i64>> {
        let date = Instant::from_second(seconds).ok()?.to_zoned(self.zone.clone()).date();
        let next = date.checked_add(1.day()).ok().and_then(|next| self.midnight(next));
        Some(self.midnight(date)?..next.unwrap_or(i64::MAX))
    }
}

/// A task together with what its own map cannot say.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The task's id.
    pub id: TaskId,
    /// Its small number in the working set, if it has one.
    pub number: Option<u32>,
    /// Its properties.
    pub task: &'a Task,
    /// It depends on a task that is still to be done.
    pub blocked: bool,
    /// A task that is still to be done depends on it.
    pub blocking: bool,
    /// No task has a higher number.
    pub is_latest: bool,
}

impl Candidate<'_> {
    /// True when the task is hidden until a time that is still to come (section 1: there is no
    /// waiting status in the map).
    pub fn is_waiting(&self, context: &Context) -> bool {
        self.task.status() == Status::Pending
            && self.task.seconds("wait").is_some_and(|wait| wait > context.now().seconds())
    }

    /// True when somebody has started the task and it is not done or deleted.
    ///
    /// Section 1 reads the presence of `start` alone; a done task that kept its `start` is not
    /// being worked on, so the status counts here too.
    pub fn is_active(&self) -> bool {
        self.task.get("start").is_some() && self.task.status().is_numbered()
    }
}
