//! Tags that people give, and tags that are worked out.
//!
//! Source: `protocols/taskchampion.md` section 1 (the rule for user tags, synthetic tags); the
//! meanings of the others follow Taskwarrior's page on virtual tags. What is in capitals and is none
//! of them (`+HOME`) is looked for as a tag that somebody gave.

use tandem_core::Timestamp;
use tandem_tasks::{Status, Task};

use crate::keys::{annotations, stored_tags};
use crate::{Candidate, Context, parse_date};

/// Days ahead within which a task counts as [`Synthetic::Due`] (Taskwarrior's default of `due`).
const DUE_DAYS: i64 = 7;

const SECONDS_PER_DAY: i64 = 86_400;

/// Checks that a text may be given as a tag; the error is the reason, for [`crate::WordsError`].
///
/// Stricter than section 1 in one place: a comma is refused, since the `tags` list that
/// Taskwarrior reads is separated by commas.
///
/// # Errors
/// One clause that says what is wrong with it.
pub fn check(tag: &str) -> Result<(), &'static str> {
    if !begins_like_a_tag(tag) {
        return Err("it does not begin with a letter");
    }
    if tag.contains(char::is_whitespace) {
        return Err("it contains a blank");
    }
    if tag.contains(':') {
        return Err("it contains a colon");
    }
    if tag.contains(',') {
        return Err("it contains a comma; give two tags as two words");
    }
    if is_reserved(tag) {
        return Err("words in capitals are worked out, not given; use small letters");
    }
    Ok(())
}

/// True if the first character is one that a tag may begin with.
pub(crate) fn begins_like_a_tag(tag: &str) -> bool {
    tag.chars().next().is_some_and(|first| {
        !first.is_whitespace()
            && !first.is_control()
            && !first.is_ascii_digit()
            && !"+-*/()<>^!%=~".contains(first)
    })
}

fn is_reserved(tag: &str) -> bool {
    tag.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The tags that people gave a task, in alphabetical order. Stored `tag_` keys that break the rule
/// of section 1 are skipped.
pub fn user_tags(task: &Task) -> impl Iterator<Item = &str> {
    stored_tags(task).filter(|tag| {
        begins_like_a_tag(tag)
            && !tag.contains(|c: char| c.is_whitespace() || c == ':')
            && !is_reserved(tag)
    })
}

/// A tag that is worked out from a task, and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synthetic {
    /// Pending, and hidden until a time to come.
    Waiting,
    /// Started, and not yet done.
    Active,
    /// Status pending, whether waiting or not.
    Pending,
    /// Status completed.
    Completed,
    /// Status deleted.
    Deleted,
    /// Depends on a task that is still to be done.
    Blocked,
    /// Does not.
    Unblocked,
    /// A task still to be done depends on it.
    Blocking,
    /// Still to be done, and its due time has passed.
    Overdue,
    /// Still to be done, and due from the beginning of today to 7 days from now.
    Due,
    /// Still to be done, and due on this day of the zone.
    Today,
    /// Has an annotation.
    Annotated,
    /// Has a tag that somebody gave.
    Tagged,
    /// Still to be done, and due on the day before this one.
    Yesterday,
    /// Still to be done, and due on the day after this one.
    Tomorrow,
    /// Still to be done, and due in this week, which begins on Monday.
    Week,
    /// Still to be done, and due in this month.
    Month,
    /// Still to be done, and due in this quarter of the year.
    Quarter,
    /// Still to be done, and due in this year.
    Year,
    /// Has a scheduled date.
    Scheduled,
    /// Has a date at which it expires.
    Until,
    /// Can be begun now: pending, not waiting, not blocked, and not scheduled for later.
    Ready,
    /// Belongs to a project.
    Project,
    /// Has a priority.
    Priority,
    /// Recurs: the task of which instances are made.
    Template,
    /// An instance of a task that recurs.
    Instance,
    /// Has the highest number of all.
    Latest,
}

impl Synthetic {
    /// All, with the words for them.
    pub const ALL: [(&'static str, Self); 30] = [
        ("WAITING", Self::Waiting),
        ("ACTIVE", Self::Active),
        ("PENDING", Self::Pending),
        ("COMPLETED", Self::Completed),
        ("DELETED", Self::Deleted),
        ("BLOCKED", Self::Blocked),
        ("UNBLOCKED", Self::Unblocked),
        ("BLOCKING", Self::Blocking),
        ("OVERDUE", Self::Overdue),
        ("DUE", Self::Due),
        ("TODAY", Self::Today),
        ("DUETODAY", Self::Today),
        ("ANNOTATED", Self::Annotated),
        ("TAGGED", Self::Tagged),
        ("YESTERDAY", Self::Yesterday),
        ("TOMORROW", Self::Tomorrow),
        ("WEEK", Self::Week),
        ("MONTH", Self::Month),
        ("QUARTER", Self::Quarter),
        ("YEAR", Self::Year),
        ("SCHEDULED", Self::Scheduled),
        ("UNTIL", Self::Until),
        ("READY", Self::Ready),
        ("PROJECT", Self::Project),
        ("PRIORITY", Self::Priority),
        ("TEMPLATE", Self::Template),
        ("PARENT", Self::Template),
        ("INSTANCE", Self::Instance),
        ("CHILD", Self::Instance),
        ("LATEST", Self::Latest),
    ];

    /// Reads the word for one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, tag)| *tag)
    }

    /// The word for it; the first where there are two (`PARENT` for `TEMPLATE`).
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, tag)| *tag == self).map_or("", |(word, _)| word)
    }

    /// True if the task has it.
    pub fn holds(self, candidate: &Candidate<'_>, context: &Context) -> bool {
        let task = candidate.task;
        let now = context.now().seconds();
        let due = || task.seconds("due").filter(|_| task.status() == Status::Pending);
        let is_due_in = |first: &str, last: &str| {
            let bound = |name| parse_date(name, context).map_or(i64::MAX, Timestamp::seconds);
            due().is_some_and(|due| (bound(first)..=bound(last)).contains(&due))
        };
        let has = |name: &str| task.get(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Waiting => candidate.is_waiting(context),
            Self::Active => candidate.is_active(),
            Self::Pending => task.status() == Status::Pending,
            Self::Completed => task.status() == Status::Completed,
            Self::Deleted => task.status() == Status::Deleted,
            Self::Blocked => candidate.blocked,
            Self::Unblocked => !candidate.blocked,
            Self::Blocking => candidate.blocking,
            Self::Overdue => due().is_some_and(|due| due < now),
            Self::Due => due().is_some_and(|due| {
                due >= context.today_seconds() && due <= now + DUE_DAYS * SECONDS_PER_DAY
            }),
            Self::Today => due().is_some_and(|due| context.is_today(due)),
            Self::Annotated => annotations(task).next().is_some(),
            Self::Tagged => user_tags(task).next().is_some(),
            Self::Yesterday => due().is_some_and(|due| {
                let day = context.day_around(context.today_seconds().saturating_sub(1));
                day.is_some_and(|day| day.contains(&due))
            }),
            Self::Tomorrow => due().is_some_and(|due| {
                let day = context.day_around(due);
                day.is_some_and(|day| context.is_today(day.start.saturating_sub(1)))
            }),
            Self::Week => is_due_in("sow", "eow"),
            Self::Month => is_due_in("som", "eom"),
            Self::Quarter => is_due_in("soq", "eoq"),
            Self::Year => is_due_in("soy", "eoy"),
            Self::Scheduled => has("scheduled"),
            Self::Until => has("until"),
            Self::Ready => {
                task.status() == Status::Pending
                    && !candidate.blocked
                    && !candidate.is_waiting(context)
                    && task.seconds("scheduled").is_none_or(|scheduled| scheduled <= now)
            }
            Self::Project => has("project"),
            Self::Priority => has("priority"),
            Self::Template => {
                task.status() == Status::Recurring || has("mask") || task.get("last").is_some()
            }
            Self::Instance => has("parent") || has("template"),
            Self::Latest => candidate.is_latest,
        }
    }

    /// True if only tasks that carry a number can have it.
    pub(crate) fn is_only_for_pending(self) -> bool {
        matches!(
            self,
            Self::Waiting
                | Self::Active
                | Self::Pending
                | Self::Overdue
                | Self::Due
                | Self::Today
                | Self::Yesterday
                | Self::Tomorrow
                | Self::Week
                | Self::Month
                | Self::Quarter
                | Self::Year
                | Self::Ready
                | Self::Latest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{candidate, context, seconds, task};

    #[test]
    fn tags_keep_the_rule() {
        for tag in ["home", "Home", "größe", "a-b", "a+b", "x1", "_x", "@home", "#1", "NEXTx"] {
            assert_eq!(check(tag), Ok(()), "{tag}");
        }
        for tag in
            ["", " a", "1st", "+a", "-a", "(a", "~", "a b", "a\tb", "a:b", "a,b", "PENDING", "HOME"]
        {
            assert!(check(tag).is_err(), "{tag}");
        }
    }

    #[test]
    fn stored_tags_that_break_the_rule_are_not_listed() {
        let task =
            task(&[("tag_b", ""), ("tag_a", "x"), ("tag_HOME", ""), ("tag_", ""), ("tag_1", "")]);
        assert_eq!(user_tags(&task).collect::<Vec<_>>(), ["a", "b"]);
    }

    /// A name, a task's properties, and the synthetic tags that it should have.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

    #[test]
    fn synthetic_tags_are_worked_out() {
        // Friday 2026-11-20 15:30 local.
        let context = context();
        let at = |instant: &str| seconds(instant).to_string();
        let cases: &[Case<'_>] = &[
            ("an empty task is pending", &[], &["PENDING", "UNBLOCKED", "READY"]),
            ("done", &[("status", "completed"), ("start", "1")], &["COMPLETED", "UNBLOCKED"]),
            (
                "deleted and once due",
                &[("status", "deleted"), ("due", "1")],
                &["DELETED", "UNBLOCKED"],
            ),
            ("another program's status", &[("status", "odd")], &["UNBLOCKED"]),
            (
                "started at no known time",
                &[("start", "")],
                &["ACTIVE", "PENDING", "UNBLOCKED", "READY"],
            ),
            ("waits no more", &[("wait", "100")], &["PENDING", "UNBLOCKED", "READY"]),
            ("waits", &[("wait", "9999999999")], &["WAITING", "PENDING", "UNBLOCKED"]),
            ("a wait that is no time", &[("wait", "soon")], &["PENDING", "UNBLOCKED", "READY"]),
            (
                "due earlier today",
                &[("due", &at("2026-11-20T01:00:00Z"))],
                &[
                    "PENDING",
                    "UNBLOCKED",
                    "OVERDUE",
                    "DUE",
                    "TODAY",
                    "DUETODAY",
                    "WEEK",
                    "MONTH",
                    "QUARTER",
                    "YEAR",
                    "READY",
                ],
            ),
            (
                "due in the last second of the local day",
                &[("due", &at("2026-11-20T22:59:59Z"))],
                &[
                    "PENDING",
                    "UNBLOCKED",
                    "DUE",
                    "TODAY",
                    "DUETODAY",
                    "WEEK",
                    "MONTH",
                    "QUARTER",
                    "YEAR",
                    "READY",
                ],
            ),
            (
                "due when tomorrow begins",
                &[("due", &at("2026-11-20T23:00:00Z"))],
                &[
                    "PENDING",
                    "UNBLOCKED",
                    "DUE",
                    "TOMORROW",
                    "WEEK",
                    "MONTH",
                    "QUARTER",
                    "YEAR",
                    "READY",
                ],
            ),
            (
                "due yesterday",
                &[("due", &at("2026-11-19T12:00:00Z"))],
                &[
                    "PENDING",
                    "UNBLOCKED",
                    "OVERDUE",
                    "YESTERDAY",
                    "WEEK",
                    "MONTH",
                    "QUARTER",
                    "YEAR",
                    "READY",
                ],
            ),
            (
                "due in 8 days",
                &[("due", &at("2026-11-28T14:30:00Z"))],
                &["PENDING", "UNBLOCKED", "MONTH", "QUARTER", "YEAR", "READY"],
            ),
            (
                "with tag and annotation",
                &[("tag_x", ""), ("annotation_5", "note")],
                &["PENDING", "UNBLOCKED", "ANNOTATED", "TAGGED", "READY"],
            ),
            (
                "due when the week ends",
                &[("due", &at("2026-11-22T22:59:59Z"))],
                &["PENDING", "UNBLOCKED", "DUE", "WEEK", "MONTH", "QUARTER", "YEAR", "READY"],
            ),
            (
                "due when the year begins",
                &[("due", &at("2025-12-31T23:00:00Z"))],
                &["PENDING", "UNBLOCKED", "OVERDUE", "YEAR", "READY"],
            ),
            (
                "scheduled for later, until then",
                &[("scheduled", "9999999999"), ("until", "9999999999")],
                &["PENDING", "UNBLOCKED", "SCHEDULED", "UNTIL"],
            ),
            (
                "scheduled before",
                &[("scheduled", "5"), ("project", "p"), ("priority", "L")],
                &["PENDING", "UNBLOCKED", "SCHEDULED", "READY", "PROJECT", "PRIORITY"],
            ),
            ("recurs", &[("status", "recurring")], &["UNBLOCKED", "TEMPLATE", "PARENT"]),
            (
                "an instance",
                &[("parent", "p")],
                &["PENDING", "UNBLOCKED", "READY", "INSTANCE", "CHILD"],
            ),
        ];
        for (name, properties, expected) in cases {
            let task = task(properties);
            let candidate = candidate(&task);
            let held: Vec<_> = Synthetic::ALL
                .iter()
                .filter(|(_, tag)| tag.holds(&candidate, &context))
                .map(|(word, _)| *word)
                .collect();
            assert_eq!(held, *expected, "{name}");
        }
    }
}
