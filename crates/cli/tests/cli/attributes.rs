//! User-defined attributes, and attributes that are nearly said.

use serde_json::Value;

use crate::home::{TestHome, assert_says};

const TASKRC: &str = "uda.estimate.type=numeric\nuda.estimate.label=Est\n\
    uda.review.type=date\nuda.effort.type=duration\nuda.effort.default=1h\n\
    uda.risk.type=string\nuda.risk.values=low,high\ninclude no-such.theme\n";

/// The properties of the only task there is.
fn properties(home: &TestHome) -> Value {
    home.ta(&["all", "list", "--json"]).json()[0]["properties"].take()
}

#[test]
fn attributes_of_the_taskrc_are_set_checked_shown_found_and_exported() {
    let home = TestHome::new();
    std::fs::write(home.path("rc"), TASKRC).unwrap();
    let home = home.with("TASKRC", "rc");
    home.ta(&["add", "paint", "estimate:2.5", "review:2030-01-02", "risk:HIGH"]).done();
    let stored = properties(&home);
    assert_eq!(stored["estimate"], "2.5");
    assert_eq!(stored["review"], "1893542400");
    assert_eq!((&stored["risk"], &stored["effort"]), (&"high".into(), &"PT1H".into()));

    home.ta(&["1", "modify", "effort:90min", "est:3"]).done();
    assert_says(&home.ta(&["1", "info"]).done(), &["Est", "effort", "PT1H30M", "review"]);
    for (words, found) in [
        (["estimate:3", "list", "--json"], 1),
        (["estimate.above:3", "list", "--json"], 0),
        (["effort:5400s", "list", "--json"], 1),
        (["review.before:2031-01-01", "list", "--json"], 1),
        (["risk:low", "list", "--json"], 0),
    ] {
        assert_eq!(home.ta(&words).json().as_array().unwrap().len(), found, "{words:?}");
    }
    let exported = home.ta(&["export"]).json();
    assert_eq!(
        (&exported[0]["estimate"], &exported[0]["review"]),
        (&3.into(), &"20300102T000000Z".into())
    );

    for word in ["estimate:much", "review:blah", "effort:long", "risk:medium", "risks:low"] {
        assert_says(&home.ta(&["1", "modify", word]).failed(2), &[word]);
    }
    assert_says(&home.ta(&["add", "x", "estmate:3"]).failed(2), &["estimate"]);
    assert_eq!(properties(&home)["description"], "paint");

    // Without the declaration the same words are text, as they are to Taskwarrior.
    let home = home.without("TASKRC");
    home.ta(&["1", "modify", "paint", "estimate:4"]).done();
    assert_eq!(properties(&home)["description"], "paint estimate:4");
    // The line may name the file, too.
    let (_, notice) = home.ta(&["1", "modify", "estimate:5", "--taskrc", "rc"]).done_with_notices();
    assert_says(&notice, &["no-such.theme"]);
    assert_eq!(properties(&home)["estimate"], "5");
}

#[test]
fn the_taskrc_of_a_taskwarrior_folder_is_found_by_itself_and_no_other() {
    let home = TestHome::new();
    std::fs::write(home.path(".taskrc"), TASKRC).unwrap();
    home.ta(&["add", "text", "estimate:2"]).done();
    assert_eq!(properties(&home)["description"], "text estimate:2", "another list's .taskrc");
    std::fs::create_dir(home.path(".task")).unwrap();
    let folder = home.path(".task");
    let home = home.with("TA_DATA_DIR", &folder);
    home.ta(&["add", "paint", "estimate:2"]).done();
    assert_eq!(properties(&home)["estimate"], "2");
    // A list elsewhere, named by it.
    let elsewhere = home.path("lists");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(home.path(".taskrc"), format!("data.location=~/lists\n{TASKRC}")).unwrap();
    let home = home.with("TA_DATA_DIR", &elsewhere);
    home.ta(&["add", "paint", "estimate:7"]).done();
    assert_eq!(properties(&home)["estimate"], "7");
}

#[test]
fn a_taskrc_that_cannot_be_read_is_told_and_stops_only_who_named_it() {
    let home = TestHome::new().with("TASKRC", "nowhere");
    let (_, notice) = home.ta(&["add", "buy milk"]).done_with_notices();
    assert_says(&notice, &["TASKRC", "nowhere", "not known now"]);
    assert_says(&home.ta(&["list", "--taskrc", "gone"]).failed(1), &["gone"]);
    home.ta(&["list", "--taskrc"]).failed(2);
}

#[test]
fn a_near_miss_of_an_attribute_is_an_error_and_a_sentence_is_none() {
    let home = TestHome::new();
    for (word, meant) in [
        ("projct:home", "project"),
        ("deu:friday", "due"),
        ("tsgs:home", "tags"),
        ("shceduled:monday", "scheduled"),
    ] {
        let told = home.ta(&["add", "buy milk", word]).failed(2);
        assert_says(&told, &[word, &format!("`{meant}`"), "--"]);
        home.ta(&[word, "list"]).failed(2);
    }
    home.ta(&["add", "--", "tsgs:home"]).done();
    home.ta(&["add", "call bob: tsgs: him", "see", "http://x", "recurse:x"]).done();
    assert_eq!(home.descriptions(), ["call bob: tsgs: him see http://x recurse:x", "tsgs:home"]);
}

#[test]
fn dates_and_recurrence_of_taskwarrior_are_kept_and_shown() {
    let home = TestHome::new();
    let line = [
        "add",
        "pay rent",
        "due:2030-01-31",
        "scheduled:2030-01-20",
        "until:2031-01-01",
        "recur:monthly",
    ];
    home.ta(&line).done();
    let info = home.ta(&["1", "info"]).done();
    assert_says(&info, &["Scheduled", "Until", "Recurrence", "monthly"]);
    assert_says(&home.ta(&["1", "modify", "recur:often"]).failed(2), &["monthly"]);
    home.ta(&["1", "modify", "until:", "recur:"]).done();
    let stored = properties(&home);
    assert!(stored.get("until").is_none() && stored.get("recur").is_none());
}
