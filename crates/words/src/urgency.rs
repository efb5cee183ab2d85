//! How urgent a task is: Taskwarrior's sum of weighted terms, with its default weights.
//!
//! # Source
//! Taskwarrior's page on urgency (the weights, 0.8/0.9/1.0 for one, two, more tags or notes) and
//! its `taskrc` manual. A term is a factor between 0 and 1 times its weight. What the pages leave
//! open: `scheduled` counts once its time has come, and user-defined attributes weigh nothing.

use tandem_tasks::Status;

use crate::keys::annotations;
use crate::tag::user_tags;
use crate::{Candidate, Context};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Days before the due time at which its term begins to grow, and the term before that.
const DUE_DAYS_BEFORE: f64 = 14.0;
const DUE_FACTOR_MIN: f64 = 0.2;
/// Days after the due time at which its term is whole.
const DUE_DAYS_AFTER: f64 = 7.0;

/// Days after which a task's age counts whole.
const AGE_DAYS_MAX: f64 = 365.0;

/// The weights of the terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of the tag `next`.
    pub next: f64,
    /// Of a due time, times 0.2 until 14 days before, growing to 1 at 7 days after it.
    pub due: f64,
    /// Of a task on which others depend.
    pub blocking: f64,
    /// Of priority H.
    pub priority_high: f64,
    /// Of priority M.
    pub priority_medium: f64,
    /// Of priority L.
    pub priority_low: f64,
    /// Of a scheduled time that has come.
    pub scheduled: f64,
    /// Of a task that has been started.
    pub active: f64,
    /// Of a task that is a year old; less when younger.
    pub age: f64,
    /// Of three or more notes; 0.8 and 0.9 of it for one and two.
    pub annotations: f64,
    /// Of three or more tags; 0.8 and 0.9 of it for one and two.
    pub tags: f64,
    /// Of a project.
    pub project: f64,
    /// Of a task that is hidden until later.
    pub waiting: f64,
    /// Of a task that depends on others.
    pub blocked: f64,
}

impl Weights {
    /// Taskwarrior's defaults.
    pub const DEFAULT: Self = Self {
        next: 15.0,
        due: 12.0,
        blocking: 8.0,
        priority_high: 6.0,
        priority_medium: 3.9,
        priority_low: 1.8,
        scheduled: 5.0,
        active: 4.0,
        age: 2.0,
        annotations: 1.0,
        tags: 1.0,
        project: 1.0,
        waiting: -3.0,
        blocked: -5.0,
    };
}

/// How urgent the task is, with the default weights; higher is more urgent. A task that is done or
/// deleted has none: 0.
pub fn urgency(candidate: &Candidate<'_>, context: &Context) -> f64 {
    weighted(candidate, context, &Weights::DEFAULT)
}

/// How urgent the task is with these weights.
pub fn weighted(candidate: &Candidate<'_>, context: &Context, weights: &Weights) -> f64 {
    let task = candidate.task;
    if matches!(task.status(), Status::Completed | Status::Deleted) {
        return 0.0;
    }
    let now = context.now().seconds();
    let days_since = |property: &str| {
        #[expect(clippy::cast_precision_loss, reason = "a difference of days, shown to 0.01")]
        let days = |then: i64| now.saturating_sub(then) as f64 / SECONDS_PER_DAY;
        task.seconds(property).map(days)
    };
    let when = |holds: bool, weight: f64| if holds { weight } else { 0.0 };
    let is_set = |property: &str| task.get(property).is_some_and(|value| !value.is_empty());
    let priority = match task.get("priority") {
        Some("H") => weights.priority_high,
        Some("M") => weights.priority_medium,
        Some("L") => weights.priority_low,
        _ => 0.0,
    };
    [
        when(task.get("tag_next").is_some(), weights.next),
        days_since("due").map_or(0.0, due_factor) * weights.due,
        when(candidate.blocking, weights.blocking),
        priority,
        when(days_since("scheduled").is_some_and(|days| days >= 0.0), weights.scheduled),
        when(candidate.is_active(), weights.active),
        days_since("entry").map_or(0.0, |days| (days / AGE_DAYS_MAX).clamp(0.0, 1.0)) * weights.age,
        count_factor(annotations(task).take(3).count()) * weights.annotations,
        count_factor(user_tags(task).take(3).count()) * weights.tags,
        when(is_set("project"), weights.project),
        when(candidate.is_waiting(context), weights.waiting),
        when(candidate.blocked, weights.blocked),
    ]
    .iter()
    .sum()
}

/// 0.2 until 14 days before the due time, then growing evenly to 1 at 7 days after it.
fn due_factor(days_overdue: f64) -> f64 {
    let share = (days_overdue + DUE_DAYS_BEFORE) / (DUE_DAYS_BEFORE + DUE_DAYS_AFTER);
    DUE_FACTOR_MIN + (1.0 - DUE_FACTOR_MIN) * share.clamp(0.0, 1.0)
}

fn count_factor(count: usize) -> f64 {
    match count {
        0 => 0.0,
        1 => 0.8,
        2 => 0.9,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{candidate, context, task};

    fn days_from_now(days: i64) -> String {
        (context().now().seconds() + days * 86_400).to_string()
    }

    /// A name, a task's properties, and its urgency.
    type Case = (&'static str, Vec<(&'static str, String)>, f64);

    #[test]
    fn each_term_counts_as_taskwarriors_does() {
        let cases: Vec<Case> = vec![
            ("an empty task", vec![], 0.0),
            ("next, which is a tag too", vec![("tag_next", String::new())], 15.8),
            ("due in 20 days", vec![("due", days_from_now(20))], 2.4),
            ("due in 14 days", vec![("due", days_from_now(14))], 2.4),
            ("due now", vec![("due", days_from_now(0))], 8.8),
            ("due 7 days ago", vec![("due", days_from_now(-7))], 12.0),
            ("due a year ago", vec![("due", days_from_now(-365))], 12.0),
            ("due at no known time", vec![("due", "soon".into())], 0.0),
            ("priority H", vec![("priority", "H".into())], 6.0),
            ("priority M", vec![("priority", "M".into())], 3.9),
            ("priority L", vec![("priority", "L".into())], 1.8),
            ("another priority", vec![("priority", "X".into())], 0.0),
            ("scheduled yesterday", vec![("scheduled", days_from_now(-1))], 5.0),
            ("scheduled tomorrow", vec![("scheduled", days_from_now(1))], 0.0),
            ("started", vec![("start", "5".into())], 4.0),
            (
                "half a year old",
                vec![("entry", (context().now().seconds() - 15_768_000).to_string())],
                1.0,
            ),
            ("ten years old", vec![("entry", days_from_now(-3650))], 2.0),
            ("entered tomorrow", vec![("entry", days_from_now(1))], 0.0),
            ("one note", vec![("annotation_1", "x".into())], 0.8),
            ("two notes", vec![("annotation_1", "x".into()), ("annotation_2", "x".into())], 0.9),
            ("two tags", vec![("tag_a", "x".into()), ("tag_b", "x".into())], 0.9),
            (
                "four tags",
                ["tag_a", "tag_b", "tag_c", "tag_d"].map(|tag| (tag, String::new())).to_vec(),
                1.0,
            ),
            ("a project", vec![("project", "home".into())], 1.0),
            ("waiting", vec![("wait", days_from_now(1))], -3.0),
            ("waited", vec![("wait", days_from_now(-1))], 0.0),
            ("an attribute of the user's", vec![("estimate", "5".into())], 0.0),
            ("done", vec![("status", "completed".into()), ("priority", "H".into())], 0.0),
        ];
        for (name, properties, expected) in cases {
            let task = properties.into_iter().collect();
            let urgency = urgency(&candidate(&task), &context());
            assert!((urgency - expected).abs() < 1e-9, "{name}: {urgency}");
        }
    }

    #[test]
    fn dependencies_count_both_ways() {
        let task = task(&[]);
        let blocked = Candidate { blocked: true, ..candidate(&task) };
        let both = Candidate { blocking: true, ..blocked };
        assert_eq!((urgency(&blocked, &context()), urgency(&both, &context())), (-5.0, 3.0));
    }
}
