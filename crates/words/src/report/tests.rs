use proptest::prelude::*;
use tandem_tasks::Task;

use super::*;
use crate::testing::{context, id, seconds, task};
use crate::{Style, Uda, UdaKind, Vocabulary};

fn tasks() -> Vec<Task> {
    let at = |instant: &str| seconds(instant).to_string();
    vec![
        task(&[
            ("description", "water the garden"),
            ("entry", &at("2026-11-10T10:00:00Z")),
            ("project", "home.garden"),
            ("tag_green", "x"),
            ("tag_out", "x"),
        ]),
        task(&[
            ("description", "pay the rent"),
            ("entry", &at("2026-11-20T10:00:00Z")),
            ("due", &at("2026-11-22T14:30:00Z")),
            ("priority", "H"),
        ]),
        task(&[("description", "sweep"), ("start", "5"), ("wait", "9999999999")]),
        task(&[
            ("description", "gone"),
            ("status", "deleted"),
            ("entry", &at("2024-11-10T10:00:00Z")),
        ]),
    ]
}

fn candidates(tasks: &[Task]) -> Vec<Candidate<'_>> {
    (1u8..)
        .zip(tasks)
        .map(|(number, task)| Candidate {
            id: id(number),
            number: task.status().is_numbered().then_some(number.into()),
            task,
            blocked: false,
            blocking: false,
            is_latest: false,
        })
        .collect()
}

#[test]
fn next_shows_the_most_urgent_first() {
    let tasks = tasks();
    let expected = "\
ID Active Age P Project     Tags      Due Description        Urg
 2         4h H                        2d pay the rent     13.89
 1        10d   home.garden green out     water the garden  1.96
 3 *                                      sweep             1.00
";
    let table = next(candidates(&tasks[..3]), &context());
    let text = table.render(None, Style::Plain);
    assert_eq!(text, expected);
}

#[test]
fn list_shows_numbers_in_order_and_what_has_none_last() {
    let tasks = tasks();
    let mut mixed = candidates(&tasks);
    mixed.reverse();
    let expected = "      \
      ID Active  Age Status  P Project     Tags      Due        Description
       1         10d           home.garden green out            water the garden
       2          4h         H                       2026-11-22 pay the rent
       3 *           waiting                                    sweep
abababab        2.0y deleted                                    gone
";
    assert_eq!(list(mixed, &context()).render(None, Style::Plain), expected);
}

#[test]
fn info_shows_everything_known_and_unknown() {
    let (three, four) = (id(3), id(4));
    let (dep_three, dep_four) = (format!("dep_{three}"), format!("dep_{four}"));
    let task = task(&[
        ("description", "pay\u{7} the rent"),
        ("annotation_1795188000", "called"),
        ("annotation_x", "odd"),
        ("tag_money", "x"),
        ("tags", "money"),
        ("tag_1", "x"),
        (&dep_three, "x"),
        (&dep_four, "x"),
        ("dep_y", ""),
        ("entry", "1795188000"),
        ("due", "soon"),
        ("review", "1795274400"),
        ("githubissue", "42"),
        ("mask", "+-"),
    ]);
    let candidate = Candidate {
        id: id(1),
        number: Some(7),
        task: &task,
        blocked: true,
        blocking: false,
        is_latest: false,
    };
    let references = [Reference { id: three, number: Some(3), description: "earn money" }];
    let blocks = [Reference { id: id(5), number: None, description: "sleep" }];
    let vocabulary = Vocabulary::new(vec![Uda {
        label: Some("Look again".into()),
        ..Uda::new("review", UdaKind::Date)
    }]);
    let text =
        info(&candidate, &references, &blocks, &context(), &vocabulary).render(None, Style::Plain);
    let expected = "\
ID             7
Description    pay\\u{7} the rent
Annotation     2026-11-20 16:20:00  called
Status         pending
Tags           money
Synthetic tags PENDING BLOCKED ANNOTATED TAGGED TEMPLATE
Depends on     3 - earn money
Depends on     abababab-abab-abab-abab-ababababab04
Blocks         abababab - sleep
Entered        2026-11-20 16:20:00 (50min)
Due            soon (not a time)
Look again     2026-11-21 16:20:00 (1d)
annotation_x   odd
dep_y
githubissue    42
mask           +-
tag_1          x
UUID           abababab-abab-abab-abab-ababababab01
Urgency        -3.40
";
    assert_eq!(text, expected);
}

#[test]
fn ten_thousand_tasks_are_one_screenful_of_work() {
    let tasks = vec![tasks().remove(0); 10_000];
    let all = tasks.iter().map(|task| Candidate { task, ..candidates(&tasks[..1])[0] });
    assert_eq!(next(all, &context()).row_count(), 10_000);
}

proptest! {
    #[test]
    fn no_task_panics(
        properties in prop::collection::btree_map(
            "\\PC{0,6}|(tag|dep|annotation)_\\PC{0,4}|due|entry|wait|start|status|annotation_[0-9-]{1,20}",
            "\\PC{0,8}|-?[0-9]{1,19}",
            0..8,
        ),
        number in any::<Option<u32>>(),
        width in prop::option::of(0..100usize),
    ) {
        let task: Task = properties.into_iter().collect();
        let candidate = Candidate { id: id(1), number, task: &task, blocked: true, blocking: true, is_latest: false };
        let context = context();
        let _ = next([candidate], &context).render(width, Style::Plain);
        let _ = list([candidate], &context).render(width, Style::Colour);
        let _ = info(&candidate, &[], &[], &context, &Vocabulary::default()).render(width, Style::Plain);
    }
}
