use proptest::prelude::*;
use tandem_tasks::Task;

use super::*;
use crate::testing::{candidate, context, id, resolve, seconds, task, words};
use crate::{Uda, UdaKind};

fn filter(line: &str) -> Result<Filter, WordsError> {
    let udas = vec![
        Uda::new("estimate", UdaKind::Number),
        Uda::new("effort", UdaKind::Duration),
        Uda::new("client", UdaKind::Text),
    ];
    Filter::parse(&words(line), &context(), &Vocabulary::new(udas), &resolve)
}

/// Tasks 1 to 6, as the cases below name them.
fn tasks() -> Vec<Task> {
    let at = |instant: &str| seconds(instant).to_string();
    let dep = format!("dep_{}", id(1));
    vec![
        task(&[
            ("description", "Buy milk"),
            ("tag_shop", "x"),
            ("project", "home"),
            ("priority", "H"),
        ]),
        task(&[
            ("description", "paint the fence"),
            ("project", "home.garden"),
            ("due", &at("2026-11-20T20:00:00Z")),
            (&dep, "x"),
        ]),
        task(&[("description", "Größe messen"), ("project", "homework"), ("wait", "9999999999")]),
        task(&[
            ("description", "old milk"),
            ("status", "completed"),
            ("end", "5"),
            ("tag_shop", ""),
            ("unheard", "of"),
        ]),
        task(&[
            ("status", "deleted"),
            ("tag_HOME", "x"),
            ("estimate", "3"),
            ("effort", "PT24H"),
            ("client", "acme"),
        ]),
        task(&[("description", "tomorrow"), ("start", "1"), ("due", &at("2026-11-21T23:30:00Z"))]),
    ]
}

/// The numbers of the tasks that match.
fn found(line: &str) -> Vec<u8> {
    let filter = filter(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    found_by(&filter)
}

fn found_by(filter: &Filter) -> Vec<u8> {
    let mut found = Vec::new();
    for (number, task) in (1u8..).zip(&tasks()) {
        let pending = task.status().is_numbered();
        let candidate = Candidate {
            id: id(number),
            number: pending.then_some(number.into()),
            task,
            blocked: number == 2,
            blocking: number == 1,
            is_latest: number == 6,
        };
        if filter.matches(&candidate, &context()) {
            found.push(number);
        }
    }
    found
}

#[test]
fn words_find_tasks() {
    for (line, expected) in [
        ("", &[1, 2, 3, 4, 5, 6][..]),
        ("all", &[1, 2, 3, 4, 5, 6]),
        ("1", &[1]),
        ("1,3 6", &[1, 3, 6]),
        ("2-4", &[2, 3]),
        ("4", &[]),
        ("id:2", &[2]),
        ("abababab", &[1, 2, 3, 4, 5, 6]),
        ("ABABABAB-abab", &[1, 2, 3, 4, 5, 6]),
        ("abababababababababababababababab", &[]),
        ("abababab-abab-abab-abab-ababababab04", &[4]),
        ("uuid:ababababababababababababababab05", &[5]),
        ("12345678", &[]),
        ("1,2,3 +shop", &[1]),
        ("+shop", &[1, 4]),
        ("-shop project:home", &[2]),
        ("tags:shop", &[1, 4]),
        ("tag:shop", &[1, 4]),
        ("tags:+shop", &[1, 4]),
        ("tag:PENDING", &[1, 2, 3, 6]),
        ("tags.is:shop", &[1, 4]),
        ("tags.has:shop", &[1, 4]),
        ("tags.not:shop", &[2, 3, 5, 6]),
        ("tags:", &[2, 3, 6]),
        ("+HOME", &[5]),
        ("+PENDING", &[1, 2, 3, 6]),
        ("-PENDING", &[4, 5]),
        ("+WAITING", &[3]),
        ("+ACTIVE", &[6]),
        ("+BLOCKED", &[2]),
        ("+BLOCKING", &[1]),
        ("+LATEST", &[6]),
        ("+TOMORROW", &[]),
        ("+PROJECT -PRIORITY", &[2, 3]),
        ("+UDA", &[5]),
        ("+ORPHAN", &[4]),
        ("-UDA -ORPHAN", &[1, 2, 3, 6]),
        ("+NONSENSE", &[]),
        ("status:completed", &[4]),
        ("status:pending", &[1, 2, 3, 6]),
        ("status:waiting", &[3]),
        ("status.not:pending", &[4, 5]),
        ("project:home", &[1, 2]),
        ("pro:home.garden", &[2]),
        ("project.is:home", &[1]),
        ("project.not:home", &[2, 3, 4, 5, 6]),
        ("project: +PENDING", &[6]),
        ("project.any:", &[1, 2, 3]),
        ("priority:H", &[1]),
        ("pri:h", &[1]),
        ("priority: status:deleted", &[5]),
        ("due:today", &[2]),
        ("due:tomorrow", &[]),
        ("due:2026-11-22", &[6]),
        ("due.any:", &[2, 6]),
        ("due: +PENDING", &[1, 3]),
        ("due.none: +PENDING", &[1, 3]),
        ("due.before:tomorrow", &[2]),
        ("due.after:tomorrow", &[6]),
        ("due.by:2026-11-20T21:00", &[2]),
        ("due.before:2026-11-20T21:00", &[]),
        ("due.is:2026-11-20T21:00", &[2]),
        ("wait.after:now", &[3]),
        ("depends:1", &[2]),
        ("depends: +PENDING", &[1, 3, 6]),
        ("milk", &[1, 4]),
        ("MILK buy", &[1]),
        ("grÖsse", &[]),
        ("GRÖßE", &[3]),
        ("description:fence", &[2]),
        ("description.hasnt:milk +PENDING", &[2, 3, 6]),
        ("-- tomorrow", &[6]),
        ("-- +shop", &[]),
        ("-- 1", &[]),
        ("http://x", &[]),
        ("foo:bar", &[]),
        ("estimate:3", &[5]),
        ("estimate:3.0", &[5]),
        ("estimate.above:2", &[5]),
        ("estimate.below:3", &[]),
        ("estimate.not:4", &[1, 2, 3, 4, 5, 6]),
        ("estimate.any:", &[5]),
        ("effort:1d", &[5]),
        ("effort.above:23h", &[5]),
        ("client:acme", &[5]),
        ("cli:acme", &[5]),
        ("-5", &[]),
        ("+", &[]),
    ] {
        assert_eq!(found(line), expected, "{line}");
    }
}

#[test]
fn refusals_name_the_word() {
    for (line, error) in [
        ("due:blah", "`due:blah` holds no date"),
        ("due.befor:today", "`due.befor:today` has a modifier that `due` does not know"),
        ("project.x:y", "`project.x:y` has a modifier that `project` does not know"),
        ("status:foo", "`status:foo` is not a value that `status` can have"),
        ("status:", "`status:` is not a value that `status` can have"),
        ("urgency:5", "`urgency:5` asks for `urgency`, which filters cannot look at"),
        ("depends:99", "there is no task `99`"),
        (
            "depends:x",
            "`depends:x` is not a list of ids: each part is a number, a range, or a uuid's first 8 digits or more",
        ),
        ("sta:x", "`sta:x` could be any of status, start"),
        ("milk or bread", "`or` is not supported yet"),
        ("( milk )", "`(` is not supported yet"),
        ("(milk", "`(milk` is not supported yet"),
        ("milk)", "`milk)` is not supported yet"),
        ("project!=home", "`project!=home` is not supported yet"),
        ("due<friday", "`due<friday` is not supported yet"),
        ("estimate.is>=3", "`estimate.is>=3` is not supported yet"),
        ("/milk/", "`/milk/` is not supported yet"),
        ("rc.context=none", "`rc.context=none` is not supported yet"),
        ("rc.context:none", "`rc.context:none` is not supported yet"),
        ("limit:page", "`limit:page` is not a value that `limit` can have"),
        ("limit:0", "`limit:0` is not a value that `limit` can have"),
        ("0", "`0` is not a list of ids: numbers begin at 1"),
        ("7-5", "`7-5` is not a list of ids: a range goes from the smaller to the larger number"),
        ("1-999999", "`1-999999` is not a list of ids: a range holds at most 10,000 numbers"),
        ("id:", "`id:` is not a list of ids: there is no id in it"),
    ] {
        assert_eq!(filter(line).unwrap_err().to_string(), error, "{line}");
    }
}

#[test]
fn a_refused_word_may_be_searched_for_and_is_no_description() {
    for line in ["due:blah", "status:foo", "estimate:many", "sta:x", "projct:x", "limit:0"] {
        let hint = filter(line).unwrap_err().hint();
        assert!(hint.ends_with("To search for the text, put `--` before it."), "{line}: {hint}");
    }
}

#[test]
fn a_priority_that_another_program_wrote_is_found_whether_it_is_declared_or_not() {
    let declared =
        Uda { values: vec!["now".into(), "h".into()], ..Uda::new("priority", UdaKind::Text) };
    let declared = Vocabulary::new(vec![declared]);
    let found = |line: &str, vocabulary: &Vocabulary, priority: &str| {
        let filter = Filter::parse(&words(line), &context(), vocabulary, &resolve).unwrap();
        let task = task(&[("status", "pending"), ("priority", priority)]);
        filter.matches(&candidate(&task), &context())
    };
    for (line, priority) in [
        ("priority:now", "now"),
        ("priority:Q", "Q"),
        ("pri.is:Q", "Q"),
        ("pri.not:HM", "H"),
        ("pri:l", "L"),
        ("priority:M", "M"),
        ("priority:", ""),
        ("priority.has:q", "Q"),
    ] {
        for vocabulary in [&Vocabulary::default(), &declared] {
            assert!(found(line, vocabulary, priority), "{line}");
            assert!(!found(line, vocabulary, "other") || line == "pri.not:HM", "{line}");
        }
    }
    // The small letter stands for the capital, unless it is a value of its own.
    assert!(found("priority:h", &Vocabulary::default(), "H"));
    assert!(found("priority:h", &declared, "h"));
}

#[test]
fn ids_are_told_to_the_caller() {
    let all = filter("3,5-7 56E0be07-C61F 56e0be07c61f494ca54cbdcfdd52d2a7 56e0be07c61f4").unwrap();
    let told: Vec<_> = all.explicit_ids().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["3", "5-7", "56e0be07-c61f", "56e0be07-c61f-494c-a54c-bdcfdd52d2a7", "56e0be07-c61f-4"]
    );
    assert!(matches!(all.explicit_ids()[3], IdWord::Id(_)));
}

#[test]
fn words_that_are_no_ids() {
    for word in [
        "",
        ",",
        "1,",
        "a",
        "1234567x",
        "5-",
        "-5",
        "1--2",
        "56e0be0",
        "56e0be07c61f-494c",
        "56e0be07--c61f",
        "56e0-be07",
    ] {
        assert!(!is_id_word(word), "{word}");
    }
    for word in ["56e0be07-", "56e0be07-c", "99999999999"] {
        assert!(is_id_word(word), "{word}");
    }
}

#[test]
fn the_caller_learns_how_far_to_look() {
    for (line, only_pending) in [
        ("", false),
        ("all", false),
        ("1,2", true),
        ("1 abababab", false),
        ("status:pending", true),
        ("status:waiting", true),
        ("status.not:pending", false),
        ("status:completed", false),
        ("+ACTIVE", true),
        ("-ACTIVE", false),
        ("+OVERDUE milk", true),
    ] {
        assert_eq!(filter(line).unwrap().wants_only_pending(), only_pending, "{line}");
    }
    assert!(filter("").unwrap().with_report_default().wants_only_pending());
    assert!(filter("").unwrap().is_empty());
    assert!(!filter("all").unwrap().is_empty());
}

#[test]
fn a_limit_is_told_to_the_report() {
    assert_eq!(Filter::limit(&words("milk limit:5 limit:3")), Some(3));
    assert_eq!(found("milk limit:1"), [1, 4], "it decides nothing about a task");
    assert_eq!(Filter::limit(&words("-- limit:3")), None);
}

#[test]
fn what_only_looks_like_grammar_is_searched_for() {
    for line in ["-- or", "-- ( /x/ rc.a=b", "oracle", "a=b", "x<y", "/etc/hosts", "milk(s)", "rc"]
    {
        assert!(filter(line).is_ok(), "{line}");
    }
}

#[test]
fn reports_show_pending_tasks_unless_told_otherwise() {
    for (line, expected) in [
        ("", &[1, 2, 6][..]),
        ("milk", &[1]),
        ("all milk", &[1, 4]),
        ("+WAITING", &[3]),
        ("status:pending", &[1, 2, 3, 6]),
        ("status:completed", &[4]),
        ("-PENDING", &[4, 5]),
        ("-WAITING", &[1, 2, 6]),
        ("-COMPLETED", &[1, 2, 6]),
        ("+ORPHAN", &[]),
        ("3", &[3]),
    ] {
        assert_eq!(found_by(&filter(line).unwrap().with_report_default()), expected, "{line}");
    }
}

proptest! {
    #[test]
    fn no_words_panic(
        words in prop::collection::vec(
            "\\PC{0,8}|[+-][A-Za-z]{0,4}|(due|status|pro|depends|tags|estimate)[.:][a-z0-9:.,-]{0,8}|[0-9a-f,-]{1,12}",
            0..5,
        ),
        key in "\\PC{0,8}|tag_x|due|dep_.{0,4}",
        value in "\\PC{0,8}",
    ) {
        let task = task(&[(&key, &value)]);
        if let Ok(filter) = Filter::parse(&words, &context(), &Vocabulary::default(), &resolve) {
            let _ = filter.matches(&candidate(&task), &context());
            let _ = (filter.explicit_ids(), filter.wants_only_pending());
        }
    }
}
