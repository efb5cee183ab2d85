//! Tasks laid out for people: the tables behind `next`, `list` and `info`.
//!
//! A report takes the tasks that the filter chose ([`crate::Filter::with_report_default`]) and
//! decides order and cells; columns that no task fills are left out by the table.

mod info;

use std::collections::BTreeSet;
use std::fmt::Write;

pub use info::{Reference, info};
use tandem_core::TaskId;
use tandem_tasks::{Status, Text};

use crate::dates::{age, countdown, date};
use crate::table::{Align, Fit, Table};
use crate::tag::user_tags;
use crate::urgency::urgency;
use crate::{Candidate, Context};

/// Digits of a uuid that stand for a task without a number: enough for a filter to find it again.
const SHORT_ID_CHARS: usize = 8;

/// What is most urgent, first. Equal ones stand in the order of their numbers, then ids.
///
/// Columns: `ID`, `Active` (`*` when started), `Age`, `P` (priority), `Project`, `Tags`, `Due` (as
/// time to go, `-3h` when past), `Description`, `Urg`.
pub fn next<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>, context: &Context) -> Table {
    let mut rows: Vec<(f64, Candidate<'_>)> =
        candidates.into_iter().map(|candidate| (urgency(&candidate, context), candidate)).collect();
    rows.sort_by(|(left, a), (right, b)| {
        right.total_cmp(left).then_with(|| order(a).cmp(&order(b)))
    });
    let mut table = Table::new(&[
        ("ID", Align::Right, Fit::Keep),
        ("Active", Align::Left, Fit::Keep),
        ("Age", Align::Right, Fit::Keep),
        ("P", Align::Left, Fit::Keep),
        ("Project", Align::Left, Fit::Cut),
        ("Tags", Align::Left, Fit::Cut),
        ("Due", Align::Right, Fit::Keep),
        ("Description", Align::Left, Fit::Wrap),
        ("Urg", Align::Right, Fit::Keep),
    ]);
    let mut number = Text::default();
    for (urgency, candidate) in rows {
        begin_row(&mut table, &candidate, context);
        table.cell(property(&candidate, "priority"));
        table.cell(property(&candidate, "project"));
        table.cell(&tags(&candidate));
        let due = candidate.task.seconds("due");
        table.cell(&due.map(|due| countdown(due, context)).unwrap_or_default());
        table.cell(property(&candidate, "description"));
        number.clear();
        write!(number, "{urgency:.2}").expect("a text takes every write");
        table.cell(&number);
    }
    table
}

/// Tasks by number, those without one last, by their entry.
///
/// Columns as in [`next`], with `Status` (unless pending), the due *date*, and no urgency.
pub fn list<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>, context: &Context) -> Table {
    let mut rows: Vec<Candidate<'_>> = candidates.into_iter().collect();
    rows.sort_by_key(order);
    let mut table = Table::new(&[
        ("ID", Align::Right, Fit::Keep),
        ("Active", Align::Left, Fit::Keep),
        ("Age", Align::Right, Fit::Keep),
        ("Status", Align::Left, Fit::Keep),
        ("P", Align::Left, Fit::Keep),
        ("Project", Align::Left, Fit::Cut),
        ("Tags", Align::Left, Fit::Cut),
        ("Due", Align::Left, Fit::Keep),
        ("Description", Align::Left, Fit::Wrap),
    ]);
    for candidate in rows {
        begin_row(&mut table, &candidate, context);
        table.cell(match &candidate.task.status() {
            Status::Pending if candidate.is_waiting(context) => "waiting",
            Status::Pending => "",
            status => status.as_str(),
        });
        table.cell(property(&candidate, "priority"));
        table.cell(property(&candidate, "project"));
        table.cell(&tags(&candidate));
        let due = candidate.task.seconds("due");
        table.cell(&due.map(|due| date(due, context)).unwrap_or_default());
        table.cell(property(&candidate, "description"));
    }
    table
}

/// Which tasks stand first in a report, `count` of them: in [`next`] if it is `by_urgency`, else in
/// [`list`].
pub fn first<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    count: usize,
    by_urgency: bool,
    context: &Context,
) -> BTreeSet<TaskId> {
    let mut candidates: Vec<Candidate<'_>> = candidates.into_iter().collect();
    candidates.sort_by_key(order);
    if by_urgency {
        candidates
            .sort_by(|left, right| urgency(right, context).total_cmp(&urgency(left, context)));
    }
    candidates.iter().take(count).map(|candidate| candidate.id).collect()
}

/// What people call the task: its number, or the first eight digits of its uuid.
pub fn short_id(candidate: &Candidate<'_>) -> Text {
    let mut text = Text::default();
    match candidate.number {
        Some(number) => write!(text, "{number}"),
        None => write!(text, "{:.SHORT_ID_CHARS$}", candidate.id.to_string()),
    }
    .expect("a text takes every write");
    text
}

fn order(candidate: &Candidate<'_>) -> (u32, Option<i64>, TaskId) {
    let number = candidate.number.unwrap_or(u32::MAX);
    (number, candidate.task.seconds("entry"), candidate.id)
}

/// The cells with which both reports begin: number, `*` when started, age.
fn begin_row(table: &mut Table, candidate: &Candidate<'_>, context: &Context) {
    table.cell(&short_id(candidate));
    table.cell(if candidate.is_active() { "*" } else { "" });
    let entry = candidate.task.seconds("entry");
    let since = |entry: i64| age(context.now().seconds().saturating_sub(entry));
    table.cell(&entry.map(since).unwrap_or_default());
}

fn property<'a>(candidate: &Candidate<'a>, name: &str) -> &'a str {
    candidate.task.get(name).unwrap_or_default()
}

fn tags(candidate: &Candidate<'_>) -> Text {
    let mut text = Text::default();
    for tag in user_tags(candidate.task) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(tag);
    }
    text
}

#[cfg(test)]
mod tests;
