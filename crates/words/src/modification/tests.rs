use proptest::prelude::*;

use super::*;
use crate::testing::{context, id, resolve, seconds, task, words};
use crate::{Uda, UdaKind};

fn vocabulary() -> Vocabulary {
    Vocabulary::new(vec![
        Uda::new("estimate", UdaKind::Number),
        Uda::new("review", UdaKind::Date),
        Uda::new("client", UdaKind::Text),
        Uda::new("effort", UdaKind::Duration),
        Uda { values: vec!["low".into(), "High".into()], ..Uda::new("risk", UdaKind::Text) },
    ])
}

fn parse(line: &str) -> Result<Modification, WordsError> {
    Modification::parse(&words(line), &context(), &vocabulary())
}

/// The changes of a line to a task, one per line: `key=value`, `key-` for a removed one.
fn changed(modification: &Modification, before: Option<&Task>) -> String {
    let changes = modification.apply(before, &context(), &resolve).unwrap();
    let lines: Vec<_> = changes
        .into_iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => format!("{key}-"),
        })
        .collect();
    lines.join(" ").replace(&now(), "NOW")
}

fn now() -> String {
    seconds("2026-11-20T14:30:00Z").to_string()
}

#[test]
fn a_new_task_has_what_it_needs() {
    for (line, expected) in [
        ("buy milk", "description=buy milk entry=NOW status=pending modified=NOW"),
        (
            "buy milk +shop project:home.kitchen pri:h",
            "description=buy milk entry=NOW priority=H project=home.kitchen status=pending \
             tag_shop=x tags=shop modified=NOW",
        ),
        (
            "see http://x?due=3 at 12:30 foo:bar a=b (c) or /d/ -5 + - +1",
            "description=see http://x?due=3 at 12:30 foo:bar a=b (c) or /d/ -5 + - +1 entry=NOW status=pending modified=NOW",
        ),
        ("-- +tag due:x -- y", "description=+tag due:x -- y entry=NOW status=pending modified=NOW"),
        ("description:a b", "description=a b entry=NOW status=pending modified=NOW"),
        ("x status:completed", "description=x end=NOW entry=NOW status=completed modified=NOW"),
        ("x entry:1000000000", "description=x entry=1000000000 status=pending modified=NOW"),
        (
            "x recur:weekly due:1000000000",
            "description=x due=1000000000 entry=NOW recur=weekly status=recurring modified=NOW",
        ),
        (
            "x estimate:2.5 client:",
            "description=x entry=NOW estimate=2.5 status=pending modified=NOW",
        ),
        ("x modified:1000000000", "description=x entry=NOW status=pending modified=1000000000"),
    ] {
        let expected = expected.replace("             ", "");
        assert_eq!(changed(&parse(line).unwrap(), None), expected, "{line}");
    }
    for line in ["", "+home", "--", "project:x"] {
        let refused = parse(line).unwrap().add(&context(), &resolve);
        assert_eq!(refused, Err(WordsError::NoDescription), "{line}");
    }
}

#[test]
fn user_defined_attributes_are_checked_by_their_kind() {
    for (word, stored) in [
        ("estimate:2.5", Some("estimate=2.5")),
        ("estimate:two", None),
        ("review:2026-11-27", Some("review=1795734000")),
        ("review:blah", None),
        ("effort:90min", Some("effort=PT1H30M")),
        ("effort:p1m", Some("effort=P1M")),
        ("effort:long", None),
        ("risk:low", Some("risk=low")),
        ("risk:HIGH", Some("risk=High")),
        ("risk:medium", None),
        ("due:friday recur:2weeks", Some("recur=2weeks")),
        ("recur:blah", None),
        ("scheduled:2026-11-27", Some("scheduled=1795734000")),
        ("until:2026-11-27", Some("until=1795734000")),
    ] {
        match (parse(&format!("x {word}")), stored) {
            (Ok(made), Some(stored)) => assert!(changed(&made, None).contains(stored), "{word}"),
            (Err(error), None) => assert!(error.to_string().contains(word), "{word}"),
            (made, _) => panic!("{word}: {made:?}"),
        }
    }
    let error = parse("x risk:medium").unwrap_err();
    assert!(error.hint().starts_with("Use one of low, High, or nothing."), "{}", error.hint());
}

#[test]
fn text_is_put_before_and_behind_and_notes_are_removed() {
    let before = task(&[
        ("description", "buy milk"),
        ("annotation_10", "call back"),
        ("annotation_9", "call"),
        ("annotation_8", "recall the name"),
    ]);
    let denote = |text: &str| Modification::denotation(&words(text)).unwrap();
    for (change, expected) in [
        (
            parse("today +x").unwrap().append(),
            "description=buy milk today tag_x=x tags=x modified=NOW",
        ),
        (parse("please").unwrap().prepend(), "description=please buy milk modified=NOW"),
        (denote("call"), "annotation_9- modified=NOW"),
        (denote("name"), "annotation_8- modified=NOW"),
        (denote("all"), "annotation_8- modified=NOW"),
        (denote("nothing like it"), ""),
    ] {
        assert_eq!(changed(&change, Some(&before)), expected);
    }
}

#[test]
fn defaults_fill_what_a_new_task_does_not_say() {
    let with_default = |default: &str| {
        let uda = Uda { default: Some(default.into()), ..Uda::new("estimate", UdaKind::Number) };
        Vocabulary::new(vec![uda])
    };
    let made = |line: &str, default: &str| {
        let vocabulary = with_default(default);
        Modification::parse(&words(line), &context(), &vocabulary)
            .and_then(|made| made.with_defaults(&context(), &vocabulary))
    };
    for (line, estimate) in [("x", Some("estimate=1 ")), ("x estimate:3", Some("estimate=3 "))] {
        assert!(changed(&made(line, "1").unwrap(), None).contains(estimate.unwrap()), "{line}");
    }
    assert!(!changed(&made("x estimate:", "1").unwrap(), None).contains("estimate"));
    assert_eq!(
        made("x", "some"),
        Err(WordsError::Default { attribute: "estimate".into(), value: "some".into() })
    );
}

#[test]
fn attributes_change() {
    let friday = seconds("2026-11-26T23:00:00Z");
    let before = task(&[
        ("description", "old"),
        ("project", "home"),
        ("due", "5"),
        ("tag_b", ""),
        ("start", "9"),
        ("status", "pending"),
    ]);
    for (line, expected) in [
        ("", String::new()),
        ("old", String::new()),
        ("new text", "description=new text tags=b modified=NOW".into()),
        ("project:", "project- tags=b modified=NOW".into()),
        ("pro:home", String::new()),
        ("due:fri", format!("due={friday} tags=b modified=NOW")),
        ("due:", "due- tags=b modified=NOW".into()),
        ("+a", "tag_a=x tags=a,b modified=NOW".into()),
        ("+b", String::new()),
        ("-b", "tag_b- modified=NOW".into()),
        ("-c", String::new()),
        ("+a -b", "tag_a=x tag_b- tags=a modified=NOW".into()),
        ("tags:c,b", "tag_c=x tags=b,c modified=NOW".into()),
        ("tags:", "tag_b- modified=NOW".into()),
        ("status:completed", "end=NOW status=completed tags=b modified=NOW".into()),
        (
            "end:1000000000 status:deleted",
            "end=1000000000 status=deleted tags=b modified=NOW".into(),
        ),
        ("status:pending", String::new()),
        ("wait:5d wait:", String::new()),
        ("start:", "start- tags=b modified=NOW".into()),
        ("review:1000000000", "review=1000000000 tags=b modified=NOW".into()),
    ] {
        assert_eq!(changed(&parse(line).unwrap(), Some(&before)), expected, "{line}");
    }
}

#[test]
fn dependencies_change() {
    let (two, three) = (id(2), id(3));
    let upper = format!("dep_{}", two.to_string().to_uppercase());
    let before = task(&[(&upper, "")]);
    for (line, expected) in [
        ("depends:2", String::new()),
        ("depends:3", format!("dep_{three}=x depends={two},{three} modified=NOW")),
        ("depends:+3", format!("dep_{three}=x depends={two},{three} modified=NOW")),
        ("depends:-2", format!("{upper}- modified=NOW")),
        ("depends:3,-2", format!("{upper}- dep_{three}=x depends={three} modified=NOW")),
        ("depends:", format!("{upper}- modified=NOW")),
        ("depends:2-3", format!("dep_{three}=x depends={two},{three} modified=NOW")),
    ] {
        assert_eq!(changed(&parse(line).unwrap(), Some(&before)), expected, "{line}");
    }
    let unknown = parse("depends:99").unwrap().apply(Some(&before), &context(), &resolve);
    assert_eq!(unknown, Err(WordsError::UnknownTask { word: "99".into() }));
}

#[test]
fn what_comes_again_is_recurring_and_has_a_due_date() {
    let once = task(&[("description", "x"), ("due", "5")]);
    let again = task(&[("status", "recurring"), ("due", "5"), ("recur", "weekly")]);
    let instance = task(&[("due", "5"), ("recur", "weekly"), ("parent", "p")]);
    let ended = task(&[("status", "completed"), ("end", "5"), ("due", "5")]);
    for (name, line, before, expected) in [
        ("made so", "recur:daily", &once, "recur=daily status=recurring modified=NOW"),
        ("so already", "recur:daily", &again, "recur=daily modified=NOW"),
        ("no more", "recur:", &again, "recur- status=pending modified=NOW"),
        ("at another time", "due:1000000000", &again, "due=1000000000 modified=NOW"),
        ("its instance", "due:1000000000", &instance, "due=1000000000 modified=NOW"),
        ("an instance alone", "recur:", &instance, "recur- modified=NOW"),
        ("ended", "recur:daily", &ended, "recur=daily modified=NOW"),
    ] {
        assert_eq!(changed(&parse(line).unwrap(), Some(before)), expected, "{name}");
    }
    for (line, before) in
        [("x recur:weekly", None), ("due:", Some(&again)), ("recur:daily due:", Some(&once))]
    {
        let refused = parse(line).unwrap().apply(before, &context(), &resolve);
        assert_eq!(refused, Err(WordsError::RecurWithoutDue), "{line}");
    }
}

#[test]
fn acts_change_what_their_names_say() {
    let plain = task(&[("description", "x")]);
    let started = task(&[("description", "x"), ("start", "5")]);
    let completed = task(&[("status", "completed"), ("end", "5")]);
    let nothing = Modification::default();
    for (name, modification, before, expected) in [
        ("done", nothing.clone().done(), &plain, "end=NOW status=completed modified=NOW"),
        ("done twice", nothing.clone().done(), &completed, ""),
        ("delete", nothing.clone().delete(), &plain, "end=NOW status=deleted modified=NOW"),
        (
            "delete what was done",
            nothing.clone().delete(),
            &completed,
            "status=deleted modified=NOW",
        ),
        ("start", nothing.clone().start(), &plain, "start=NOW modified=NOW"),
        ("start twice", nothing.clone().start(), &started, ""),
        (
            "start what had ended",
            nothing.clone().start(),
            &completed,
            "end- start=NOW status=pending modified=NOW",
        ),
        ("stop", nothing.clone().stop(), &started, "start- modified=NOW"),
        ("stop twice", nothing.clone().stop(), &plain, ""),
        (
            "reopen",
            parse("status:pending").unwrap(),
            &completed,
            "end- status=pending modified=NOW",
        ),
        (
            "done with a change",
            parse("+late").unwrap().done(),
            &plain,
            "end=NOW status=completed tag_late=x tags=late modified=NOW",
        ),
    ] {
        assert_eq!(changed(&modification, Some(before)), expected, "{name}");
    }
}

#[test]
fn text_with_an_act_is_a_note_and_the_description_stays() {
    let before = task(&[("description", "alpha")]);
    let acted = |line: &str| {
        Modification::parse_with_note(&words(line), &context(), &vocabulary()).unwrap().done()
    };
    for (line, expected) in [
        ("called them", "annotation_NOW=called them end=NOW status=completed modified=NOW"),
        ("+late", "end=NOW status=completed tag_late=x tags=late modified=NOW"),
        (
            "called project:home twice -- +x",
            "annotation_NOW=called twice +x end=NOW project=home status=completed modified=NOW",
        ),
        (
            "description:beta called",
            "annotation_NOW=called description=beta end=NOW status=completed modified=NOW",
        ),
    ] {
        assert_eq!(changed(&acted(line), Some(&before)), expected, "{line}");
    }
}

#[test]
fn annotations_take_the_next_free_second() {
    let second = seconds("2026-11-20T14:30:00Z");
    let taken = format!("annotation_{second}");
    let before = task(&[(&taken, "first")]);
    let note = Modification::annotation(&words("called due:blah +x -- no answer")).unwrap();
    let changes = note.apply(Some(&before), &context(), &resolve).unwrap();
    assert_eq!(changes[0].0, format!("annotation_{}", second + 1));
    assert_eq!(changes[0].1.as_deref(), Some("called due:blah +x -- no answer"));
    assert_eq!(Modification::annotation(&words("--")), Err(WordsError::NoAnnotation));
}

#[test]
fn line_ends_become_blanks() {
    let pasted = vec!["one\r\ntwo\tthree\n".to_owned(), "project:a\nb".to_owned()];
    let modification = Modification::parse(&pasted, &context(), &vocabulary()).unwrap();
    assert_eq!(modification.description.as_deref(), Some("one two three"));
    assert_eq!(modification.changes, [Change::Set("project".into(), Some("a b".into()))]);
}

#[test]
fn what_cannot_be_read_is_never_description() {
    for (line, error) in [
        ("due:blah", "`due:blah` holds no date"),
        ("wait:5m", "`wait:5m` holds no date"),
        ("status:foo", "`status:foo` is not a value that `status` can have"),
        ("status:waiting", "`status:waiting` is not a value that `status` can have"),
        ("status:", "`status:` is not a value that `status` can have"),
        ("pri:Q", "`pri:Q` is not a value that `priority` can have"),
        ("estimate:lots", "`estimate:lots` is not a value that `estimate` can have"),
        ("entry:", "`entry:` is not a value that `entry` can have"),
        ("due.before:eom", "`due.before:eom` has a modifier that `due` does not know"),
        ("id:3", "`id` cannot be set by hand, as `id:3` asks"),
        ("parent:x", "`parent` cannot be set by hand, as `parent:x` asks"),
        ("sta:x", "`sta:x` could be any of status, start"),
        ("rc.context=none", "`rc.context=none` is not supported yet"),
        ("rc:other", "`rc:other` is not supported yet"),
        ("project=home", "`project=home` is not supported yet"),
        ("estimate:=3", "`estimate:=3` is not supported yet"),
        (
            "depends:milk",
            "`depends:milk` is not a list of ids: each part is a number, a range, or a uuid's first 8 digits or more",
        ),
        (
            "+PENDING",
            "`+PENDING` is not a tag that can be given: words in capitals are worked out, not given; use small letters",
        ),
        ("+a:b", "`+a:b` is not a tag that can be given: it contains a colon"),
        ("tags:a,1", "`tags:a,1` is not a tag that can be given: it does not begin with a letter"),
        ("description:", "a task needs a description"),
    ] {
        let refused = parse(&format!("buy milk {line}")).unwrap_err();
        assert_eq!(refused.to_string(), error, "{line}");
        assert!(!refused.hint().is_empty());
    }
}

#[test]
fn tags_that_could_not_be_given_can_be_taken() {
    let before = task(&[("tag_HOME", "x"), ("tag_a,b", "x"), ("tags", "HOME")]);
    assert_eq!(changed(&parse("-HOME").unwrap(), Some(&before)), "tag_HOME- tags- modified=NOW");
    assert_eq!(changed(&parse("-a,b").unwrap(), Some(&before)), "tag_a,b- modified=NOW");
}

proptest! {
    #[test]
    fn no_words_panic_and_applying_twice_changes_nothing(
        words in prop::collection::vec(
            "\\PC{0,8}|[+-][a-c]|(due|wait|status|pro|pri|tags|end):[a-z0-9,+-]{0,6}|depends:[+-]?[1-9]|due:(fri|eom|3d)|status:(pending|completed)",
            0..6,
        ),
        stored in prop::collection::vec("(tag_[a-c]|start|end|due|tags|status|dep_.{0,3})", 0..5),
    ) {
        let context = context();
        if let Ok(modification) = Modification::parse(&words, &context, &Vocabulary::default()) {
            let mut task: Task = stored.iter().map(|key| (key.as_str(), "5")).collect();
            let _ = modification.add(&context, &resolve);
            let Ok(changes) = modification.apply(Some(&task), &context, &resolve) else { return Ok(()) };
            for (property, value) in changes {
                task.set(&property, value.as_deref());
            }
            prop_assert_eq!(modification.apply(Some(&task), &context, &resolve).unwrap(), vec![]);
        }
    }
}
