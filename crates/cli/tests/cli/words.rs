//! The words of `ta`: adding, changing, showing, taking back.

use serde_json::json;

use crate::home::{TestHome, assert_says};

pub(crate) fn home_with(tasks: &[&[&str]]) -> TestHome {
    let home = TestHome::new();
    for words in tasks {
        let mut line = vec!["add"];
        line.extend_from_slice(words);
        home.ta(&line).done();
    }
    home
}

/// The only task there is.
pub(crate) fn task(home: &TestHome) -> std::collections::BTreeMap<String, String> {
    home.state().into_values().next().unwrap()
}

#[test]
fn add_prints_the_number_and_stores_what_was_said() {
    let home = TestHome::new();
    let line = ["add", "buy", "milk", "+shop", "project:home", "priority:H", "due:2030-01-02"];
    assert_eq!(home.ta(&line).done(), "Added task 1.\n");
    assert_eq!(home.ta(&["add", "--", "+this", "is:text"]).done(), "Added task 2.\n");
    let added = home.ta(&["add", "third", "--json"]).json();
    assert_eq!(added["number"], 3);
    let info = home.ta(&["info", added["uuid"].as_str().unwrap()]).done();
    assert_says(&info, &["third", "pending"]);
    assert_eq!(home.descriptions(), ["+this is:text", "buy milk", "third"]);
    let listed = home.ta(&["1", "list", "--json"]).json();
    let properties = &listed[0]["properties"];
    assert_eq!(properties["due"], "1893542400");
    assert_eq!((&properties["tag_shop"], &properties["tags"]), (&"x".into(), &"shop".into()));
    assert_eq!((&properties["project"], &properties["priority"]), (&"home".into(), &"H".into()));
}

#[test]
fn each_command_says_what_it_did_and_does_it_once() {
    let home = home_with(&[&["buy milk"]]);
    for (words, said) in [
        (&["1", "modify", "project:home"][..], "Modified task 1 \"buy milk\".\n"),
        (&["1", "modify", "project:home"], "Nothing to change: it is so already.\n"),
        (&["1", "annotate", "the", "blue", "one"], "Annotated task 1 \"buy milk\".\n"),
        (&["1", "start"], "Started task 1 \"buy milk\".\n"),
        (&["1", "start"], "Nothing to change: it is so already.\n"),
        (&["1", "stop"], "Stopped task 1 \"buy milk\".\n"),
        (&["1", "modify", "+shop", "buy oat milk"], "Modified task 1 \"buy oat milk\".\n"),
        (&["1", "done"], "Completed task 1 \"buy oat milk\".\n"),
        (&["1", "done"], "Nothing to change: it is so already.\n"),
        (&["1", "delete"], "Deleted task 1 \"buy oat milk\".\n"),
    ] {
        assert_eq!(home.ta(words).done(), said, "{words:?}");
    }
    let task = task(&home);
    assert_eq!(task["status"], "deleted");
    assert!(task.contains_key("end") && !task.contains_key("start"));
    assert!(
        task.iter().any(|(key, value)| key.starts_with("annotation_") && value == "the blue one")
    );
}

#[test]
fn text_after_done_is_a_note_and_the_description_stays() {
    for command in ["start", "stop", "done", "delete"] {
        let home = home_with(&[&["alpha"]]);
        home.ta(&["1", "modify", "start:"]).done();
        home.ta(&["1", command, "called", "them", "+late"]).done();
        let task = task(&home);
        assert_eq!((task["description"].as_str(), task["tags"].as_str()), ("alpha", "late"));
        let is_note = |(key, value): (&String, &String)| {
            key.starts_with("annotation_") && value == "called them"
        };
        assert!(task.iter().any(is_note), "{command}: {task:?}");
    }
}

#[test]
fn what_people_know_from_taskwarrior_is_there() {
    let home = home_with(&[
        &["milk", "project:home", "+shop"],
        &["bread", "project:home", "+shop", "+fresh"],
        &["later", "wait:2099-01-01", "project:far"],
    ]);
    let logged = home.ta(&["log", "swept", "project:home"]).done();
    assert_says(&logged, &["Logged task "]);
    home.ta(&["1", "append", "and", "honey", "+sweet"]).done();
    home.ta(&["1", "prepend", "buy"]).done();
    assert_eq!(home.descriptions(), ["bread", "buy milk and honey", "later", "swept"]);
    home.ta(&["1", "annotate", "the blue one"]).done();
    home.ta(&["1", "annotate", "the red one"]).done();
    home.ta(&["1", "denotate", "blue"]).done();
    let info = home.ta(&["1", "info"]).done();
    assert_says(&info, &["the red one"]);
    assert!(!info.contains("blue"));
    let told = home.ta(&["1,2", "denotate", "green"]).failed(1);
    assert_says(&told, &["no note is or contains \"green\"", "ta ID info"]);

    assert_eq!(home.ta(&["count"]).done(), "4\n");
    assert_eq!(home.ta(&["status:pending", "count"]).done(), "3\n");
    assert_eq!(home.ta(&["ids"]).done(), "1-3\n");
    assert_eq!(home.ta(&["+shop", "uuids"]).done(), "<uuid> <uuid>\n");
    assert_eq!(home.ta(&["projects"]).done(), "Project Tasks\nhome        2\n");
    assert_eq!(home.ta(&["tags", "--json"]).json(), json!({ "fresh": 1, "shop": 2, "sweet": 1 }));
    assert_eq!(home.ta(&["-shop", "tags"]).done(), "No tags.\n");
    let shown = |words: &[&str]| {
        let tasks = home.ta(words).json();
        tasks[0]["properties"]["description"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown(&["completed", "--json"]), "swept");
    assert_eq!(shown(&["waiting", "project:far", "--json"]), "later");
    assert_says(&home.ta(&["undo"]).done(), &["Undid `denotate`"]);
}

#[test]
fn one_command_is_one_step_and_undo_takes_them_back_in_turn() {
    let home = home_with(&[&["one"], &["two"], &["three"]]);
    home.ta(&["1,2", "modify", "project:home", "+tag"]).done();
    home.ta(&["1", "done"]).done();
    assert_eq!(
        home.ta(&["undo"]).done(),
        "Undid `done` on 1 task (1 \"one\"). It had not been synced.\n"
    );
    assert_eq!(
        home.ta(&["undo"]).done(),
        "Undid `modify` on 2 tasks (1 \"one\", 2 \"two\"). It had not been synced.\n"
    );
    assert!(home.state().values().all(|task| !task.contains_key("project")));
    for description in ["three", "two", "one"] {
        let told = home.ta(&["undo"]).done();
        assert_says(&told, &["Undid `add` on 1 task (", &format!(" \"{description}\")")]);
    }
    assert!(home.state().is_empty());
    assert_eq!(home.ta(&["undo"]).done(), "Nothing to undo.\n");
    assert_eq!(home.ta(&["undo", "--json"]).json(), json!({ "outcome": "nothing" }));
}

#[test]
fn numbers_stay_until_a_sync_or_gc_and_are_closed_up_by_gc() {
    let home = home_with(&[&["one"], &["two"], &["three"]]);
    home.ta(&["1", "done"]).done();
    // Whoever looks at the last list and types a number gets the task that stood there.
    assert_eq!(home.ta(&["2", "done"]).done(), "Completed task 2 \"two\".\n");
    assert_eq!(home.ta(&["add", "four"]).done(), "Added task 4.\n");
    assert_says(&home.ta(&["gc"]).done(), &["2 tasks numbered · 0 expired tasks purged"]);
    let listed = home.ta(&["list", "--json"]).json();
    let numbers: Vec<_> = listed.as_array().unwrap().iter().map(|task| &task["number"]).collect();
    assert_eq!(numbers, [1, 2]);
    home.ta(&["1", "info"]).done();
    assert_eq!(home.ta(&["3", "info"]).failed(2).lines().next(), Some("ta: there is no task `3`"));
}

#[test]
fn tasks_are_named_by_number_range_uuid_and_prefix() {
    let home = home_with(&[&["one"], &["two"], &["three"]]);
    let uuid = home.ta(&["2", "list", "--json"]).json()[0]["uuid"].as_str().unwrap().to_owned();
    for word in ["2", &uuid, &uuid[..8], &uuid.to_uppercase(), &uuid[..13], &uuid.replace('-', "")]
    {
        assert_says(&home.ta(&[word, "info"]).done(), &["two"]);
    }
    let listed = home.ta(&["1,3", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let listed = home.ta(&["2-3", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    // A bare id shows all about it. (Its age goes on meanwhile.)
    let without_age = |told: String| -> Vec<String> {
        told.lines().filter(|line| !line.contains(" ago")).map(String::from).collect()
    };
    let (bare, info) = (home.ta(&["2"]).done(), home.ta(&["2", "info"]).done());
    assert_says(&bare, &["two"]);
    assert_eq!(without_age(bare), without_age(info));
}

#[test]
fn an_id_that_does_not_exist_is_an_error_everywhere() {
    let home = home_with(&[&["one"]]);
    for id in ["7", "12345678", "99999999-9999-4999-8999-999999999999"] {
        for command in [
            "modify", "annotate", "start", "stop", "done", "delete", "info", "history", "list",
            "next", "export",
        ] {
            let mut words = vec![id, command];
            if matches!(command, "modify" | "annotate") {
                words.push("text");
            }
            let told = home.ta(&words).failed(2);
            assert_says(&told, &["there is no task"]);
        }
        home.ta(&["add", "needs", &format!("depends:{id}")]).failed(2);
        home.ta(&["1", "modify", &format!("depends:{id}")]).failed(2);
    }
    assert_eq!(home.descriptions(), ["one"]);
    assert_says(&home.ta(&["1", "modify", "depends:1"]).failed(2), &["cannot depend on itself"]);
}

#[test]
fn a_command_without_flags_names_those_that_stand_everywhere() {
    let home = home_with(&[&["buy milk"]]);
    let told = home.ta(&["undo", "--dry-run"]).failed(2);
    assert_says(&told, &["`--dry-run` means nothing here", "`ta undo` has no flags but those"]);
    for flag in ["--config", "--json", "--quiet", "--taskrc", "--yes"] {
        assert_says(&told, &[flag]);
    }
    std::fs::write(home.path("rc"), "").unwrap();
    std::fs::write(home.path("config"), "").unwrap();
    let all = ["undo", "--json", "--quiet", "--yes", "--taskrc", "rc", "--config", "config"];
    home.ta(&all).done();
}

#[test]
fn a_word_after_a_known_attribute_that_does_not_parse_is_never_description() {
    let home = TestHome::new();
    for word in
        ["due:blah", "wait:32.13.", "priority:Q", "due.befor:friday", "depends:x", "status:maybe"]
    {
        let told = home.ta(&["add", "text", word]).failed(2);
        assert_says(&told, &[word]);
    }
    for text in ["http://example.org/x", "12:30", "foo:bar"] {
        home.add(text);
    }
    assert_eq!(home.state().len(), 3);
    for words in [&["due:blah", "list"][..], &["list", "due:blah"], &["1", "modify", "due:blah"]] {
        home.ta(words).failed(2);
    }
}

#[test]
fn a_limit_shows_the_first_of_a_report_and_other_grammar_is_refused() {
    let home = home_with(&[&["one"], &["two"], &["three", "+next"]]);
    let numbers = |words: &[&str]| -> Vec<u64> {
        let listed = home.ta(words).json();
        listed.as_array().unwrap().iter().map(|task| task["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&["limit:2", "list", "--json"]), [1, 2]);
    assert_eq!(numbers(&["next", "limit:1", "--json"]), [3]);
    assert_eq!(numbers(&["tag:next", "list", "--json"]), [3]);
    for words in [
        &["list", "project!=x"][..],
        &["one", "or", "two"],
        &["list", "/one/"],
        &["rc.context=none", "list"],
        &["add", "foo", "rc.context=none"],
        &["1", "modify", "/one/two/"],
    ] {
        assert_says(&home.ta(words).failed(2), &["is not supported yet", "`--`"]);
    }
    assert_says(&home.ta(&["limit:1", "done"]).failed(2), &["cannot be limited"]);
    assert_eq!(home.descriptions(), ["one", "three", "two"]);
}

#[test]
fn help_is_given_whatever_else_is_missing() {
    let home = home_with(&[&["one"]]);
    for command in ["modify", "append", "annotate", "denotate", "start", "done", "info", "history"]
    {
        let help = home.ta(&["help", command]).done();
        for words in [
            &[command, "--help"][..],
            &[command, "-h"],
            &["1", command, "--help"],
            &["1", command, "-h"],
        ] {
            assert_eq!(home.ta(words).done(), help, "{words:?}");
        }
    }
    assert_says(&home.ta(&["1", "list"]).done(), &["one"]);
}

#[test]
fn a_value_in_a_flag_is_not_repeated() {
    let home = home_with(&[&["one"]]);
    for words in [
        &["--encryption_secret=hush", "list"][..],
        &["list", "--encryption_secret=hush"],
        &["sync", "--encryption_secret=hush"],
    ] {
        let ran = home.ta(words);
        assert_eq!(ran.code, Some(2), "{words:?}");
        assert!(!ran.err.contains("hush") && !ran.out.contains("hush"), "{}", ran.err);
    }
    home.ta(&["version", "foo"]).failed(2);
    assert_eq!(home.ta(&["help", "config", "set"]).done(), home.ta(&["help", "config"]).done());
    assert_says(&home.ta(&["import", "a.json", "b.json"]).failed(2), &["`b.json`"]);
}

#[test]
fn what_had_ended_begins_again_with_start() {
    let home = home_with(&[&["one"]]);
    home.ta(&["1", "done"]).done();
    home.ta(&["1", "start"]).done();
    let task = task(&home);
    assert_eq!(task["status"], "pending");
    assert!(task.contains_key("start") && !task.contains_key("end"));
    assert_says(&home.ta(&["1", "modify", "+1"]).failed(2), &["is not a tag"]);
}

#[test]
fn a_replica_begun_where_a_setting_says_is_told_of() {
    let home = TestHome::new().with("TA_DATA_DIR", "mistyped");
    let (_, notice) = home.ta(&["list"]).done_with_notices();
    assert_says(&notice, &["There is no list in", "mistyped yet"]);
    home.add("one");
    home.ta(&["list"]).done();
}

#[test]
fn looking_makes_nothing() {
    let home = TestHome::new();
    for words in [
        &[][..],
        &["list"],
        &["next"],
        &["completed"],
        &["waiting"],
        &["count"],
        &["ids"],
        &["uuids"],
        &["projects"],
        &["tags"],
        &["export"],
        &["conflicts", "list"],
        &["status"],
        &["status", "--server"],
        &["doctor"],
        &["verify"],
        &["undo"],
        &["gc"],
        &["config", "list"],
    ] {
        home.ta(words).done();
        assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 0, "{words:?}");
    }
    // Nothing is there to be looked at or changed.
    for (words, code) in [
        (&["1", "info"][..], 2),
        (&["1", "history"], 2),
        (&["1", "done"], 2),
        (&["all", "modify", "+x"], 1),
        (&["conflicts", "show", "1"], 1),
    ] {
        home.ta(words).failed(code);
        assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 0, "{words:?}");
    }
    let told = home.ta(&["status"]).done();
    assert_says(&told, &["none yet; the first task or sync makes", "tandem/taskchampion.sqlite3"]);
    let document = home.ta(&["status", "--json"]).json();
    assert_eq!((&document["exists"], &document["tasks"]), (&false.into(), &0.into()));
    home.add("one");
    assert_eq!(home.ta(&["status", "--json"]).json()["exists"], true);
}

#[test]
fn wrong_usage_is_exit_2_with_a_cure() {
    let home = home_with(&[&["one"], &["two"]]);
    for words in [
        &["modify", "x"][..],
        &["done"],
        &["done", "1"],
        &["1", "done", "2"],
        &["1", "modify"],
        &["1", "annotate"],
        &["add"],
        &["add", "project:home"],
        &["sync", "--frobnicate"],
        &["--frobnicate", "sync"],
        &["list", "--frobnicate"],
        &["status", "now"],
        &["undo", "2"],
        &["sync", "--wait"],
        &["sync", "--wait", "long"],
        &["conflicts", "frob"],
        &["conflicts", "show", "x"],
        &["config", "frob"],
        &["config", "set", "data_dir"],
        &["help", "frob"],
        &["import", "--frob"],
        &["--config"],
        &["1", "sync"],
    ] {
        let _ = home.ta(words).failed(2);
    }
    assert_eq!(home.descriptions(), ["one", "two"]);
    assert_eq!(
        home.ta(&["done", "1"]).failed(2).lines().next(),
        Some("ta: `done` needs to know which tasks")
    );
}

#[test]
fn what_matches_nothing_is_an_error_for_changes_and_a_word_for_reports() {
    let home = home_with(&[&["one"]]);
    assert_says(&home.ta(&["+nothing", "done"]).failed(1), &["no task matches"]);
    assert_says(&home.ta(&["project:x", "info"]).failed(1), &["no task matches"]);
    assert_eq!(home.ta(&["+nothing", "list"]).done(), "No matching tasks.\n");
    // A slip of a command is no search that ends well: nobody would miss the sync.
    for words in [
        &["lsit"][..],
        &["snyc", "--quiet"],
        &["exprot"],
        &["ecport", "--json"],
        &["improt", "x.json"],
        &["confg", "list"],
    ] {
        let ran = home.ta(words);
        assert_eq!(ran.code, Some(2), "{words:?}");
        assert_says(&ran.err, &["is no command", "meant?", "`--`"]);
    }
    let (out, notice) = home.ta(&["frobnicate"]).done_with_notices();
    assert_eq!(out, "No matching tasks.\n");
    assert_says(&notice, &["`frobnicate` is no command", "ta help"]);
    // Found, there is nothing to remark.
    assert_says(&home.ta(&["on"]).done(), &["one"]);
    home.add("lost keys");
    assert_says(&home.ta(&["lost", "keys"]).done(), &["lost keys"]);
    home.ta(&["undo"]).done();
    // Beside an id a slip is no search.
    for words in [&["1", "doen"][..], &["1", "modfy", "project:x"], &["doen", "1"]] {
        assert_says(&home.ta(words).failed(2), &["is no command", "meant?", "`--`"]);
    }
    assert_eq!(home.ta(&["1", "--", "doen"]).done(), "No matching tasks.\n");
    for id in ["1", "9"] {
        assert_says(&home.ta(&["conflicts", "show", id]).failed(1), &["there is no conflict"]);
        assert_says(&home.ta(&["conflicts", "restore", id]).failed(1), &["there is no conflict"]);
    }
}

#[test]
fn tables_show_what_is_there_and_leave_empty_columns_out() {
    let home =
        home_with(&[&["buy milk", "+shop", "project:home"], &["call grandmother", "priority:H"]]);
    home.ta(&["2", "start"]).done();
    let age = |text: String| text.replace("1s", "0s").replace("2s", "0s").replace("3s", "0s");
    assert_eq!(
        age(home.ta(&["list"]).done()),
        "ID Active Age P Project Tags Description\n\
         \x201         0s   home    shop buy milk\n\
         \x202 *       0s H              call grandmother\n"
    );
    let next = home.ta(&[]).done();
    assert_says(&next, &["Urg", "call grandmother"]);
    assert_eq!(next.lines().nth(1).unwrap().trim_start().split(' ').next(), Some("2"));
    assert_eq!(age(next), age(home.ta(&["next"]).done()));
    assert_says(
        &home.ta(&["1", "info"]).done(),
        &["Description", "buy milk", "Project", "home", "Tags", "shop", "Status", "pending"],
    );
}

#[test]
fn dependencies_are_told_from_both_sides_until_one_ends() {
    let home = home_with(&[&["first"], &["then", "depends:1"]]);
    let tasks = home.ta(&["list", "--json"]).json();
    assert_eq!((&tasks[0]["blocking"], &tasks[1]["blocked"]), (&true.into(), &true.into()));
    assert_says(&home.ta(&["2", "info"]).done(), &["first"]);
    assert_says(&home.ta(&["1", "info"]).done(), &["then"]);
    home.ta(&["1", "done"]).done();
    assert_eq!(home.ta(&["list", "--json"]).json()[0]["blocked"], false);
    home.ta(&["2", "modify", "depends:"]).done();
    assert!(!home.state().values().any(|task| task.contains_key("depends")));
}

#[test]
fn a_circle_of_dependencies_is_refused() {
    let home = home_with(&[&["first"], &["second", "depends:1"], &["third", "depends:2"]]);
    let before = home.state();
    for words in [&["1", "modify", "depends:3"][..], &["1", "modify", "depends:2"]] {
        let told = home.ta(words).failed(2);
        assert_says(&told, &["circle of dependencies", "waits for task 1 already"]);
    }
    // Also where one command would close it by itself.
    home.add("fourth");
    home.add("fifth");
    assert_says(
        &home.ta(&["4,5", "modify", "depends:4,5"]).failed(2),
        &["cannot depend on itself"],
    );
    home.ta(&["3", "modify", "depends:1"]).done();
    assert_eq!(home.state().len(), before.len() + 2);
    assert!(!home.state()[&home.uuid("first")].contains_key("depends"));
}

#[test]
fn a_task_that_recurs_is_stored_as_taskwarrior_wants_it() {
    let home = home_with(&[&["here"]]);
    assert_says(&home.ta(&["add", "no date", "recur:weekly"]).failed(2), &["needs a due date"]);
    let told = home.ta(&["add", "sweep", "recur:weekly", "due:2099-01-01"]).done();
    assert_says(&told, &["Added task 2.", "It recurs", "ta status:recurring list"]);
    assert_eq!(home.state()[&home.uuid("sweep")]["status"], "recurring");
    let listed = home.ta(&["status:recurring", "list", "--json"]).json();
    assert_eq!(listed[0]["number"], 2);
    assert_says(&home.ta(&["2", "modify", "due:"]).failed(2), &["needs a due date"]);
    home.ta(&["2", "modify", "recur:"]).done();
    assert_eq!(home.state()[&home.uuid("sweep")]["status"], "pending");
}

#[test]
fn reports_leave_out_what_waits_or_has_ended_and_all_shows_it() {
    let home = home_with(&[&["open"], &["later", "wait:2099-01-01"], &["finished"], &["dropped"]]);
    home.ta(&["3", "done"]).done();
    home.ta(&["4", "delete"]).done();
    let shown = |words: &[&str]| home.ta(words).json().as_array().unwrap().len();
    assert_eq!(shown(&["list", "--json"]), 1);
    assert_eq!(shown(&["next", "--json"]), 1);
    assert_eq!(shown(&["all", "list", "--json"]), 4);
    assert_eq!(shown(&["status:completed", "list", "--json"]), 1);
    assert_eq!(shown(&["status:waiting", "list", "--json"]), 1);
    assert_eq!(shown(&["export"]), 4);
}

#[test]
fn history_speaks_of_notes_tags_and_dependencies_in_words() {
    let home = home_with(&[&["buy milk"], &["bake a cake"]]);
    home.ta(&["2", "annotate", "the", "blue", "one"]).done();
    home.ta(&["2", "modify", "depends:1", "+home"]).done();
    home.ta(&["2", "modify", "depends:-1", "-home"]).done();
    home.ta(&["2", "denotate", "blue"]).done();
    let told = home.ta(&["2", "history"]).done();
    assert_says(
        &told,
        &[
            "note \"the blue one\" added  (here, by annotate",
            "depends on 1 \"buy milk\"  (here, by modify",
            "tag home given",
            "depends no longer on 1 \"buy milk\"",
            "tag home taken away",
            "note \"the blue one\" removed",
        ],
    );
    for raw in ["annotation_", "dep_", "tag_"] {
        assert!(!told.contains(raw), "{told}");
    }
}

#[test]
fn undo_passes_over_upkeep() {
    let home = home_with(&[&["buy milk"]]);
    let expired = br#"{"description":"old","status":"deleted","modified":"20200101T000000Z"}"#;
    home.ta_with_input(&["import"], expired).done();
    home.ta(&["1", "modify", "project:home"]).done();
    assert_says(&home.ta(&["gc"]).done(), &["1 expired task purged"]);
    assert_eq!(
        home.ta(&["undo"]).done(),
        "Undid `modify` on 1 task (1 \"buy milk\") by a new change, since other changes stand behind it.\n"
    );
    assert!(!task(&home).contains_key("project"));
    // What has expired stays away, and each undo goes one command further back.
    assert_says(
        &home.ta(&["undo"]).done(),
        &["Nothing was undone: all that `import` did on 1 task"],
    );
    assert_says(&home.ta(&["undo"]).done(), &["Undid `add` on 1 task"]);
    assert_eq!(home.ta(&["undo"]).done(), "Nothing to undo.\n");
    assert_eq!(home.state().len(), 1);
    assert_eq!(task(&home)["status"], "deleted");
}

#[test]
fn a_value_that_could_never_travel_is_refused_at_entry() {
    let home = TestHome::new();
    // A record on standard input may be longer than any command line.
    let json = format!("[{{\"description\":\"{}\"}}]", "x".repeat(101 << 20));
    let ran = home.ta_with_input(&["import"], json.as_bytes());
    assert_eq!(ran.code, Some(1), "{} {}", &ran.out, &ran.err);
    assert!(home.state().is_empty());
}

#[test]
fn help_version_and_config_need_no_replica_and_make_none() {
    let home = TestHome::new();
    assert_eq!(home.ta(&["version"]).done(), format!("Tandem {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(home.ta(&["--version"]).done(), home.ta(&["version"]).done());
    assert_eq!(home.ta(&["version", "--json"]).json()["name"], "Tandem");
    let help = home.ta(&["help"]).done();
    for command in [
        "add WORDS",
        "FILTER modify CHANGES",
        "undo",
        "sync",
        "verify",
        "gc",
        "demo",
        "conflicts list|show|restore|dismiss",
    ] {
        assert_says(&help, &[command]);
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    assert_eq!(home.ta(&["--help"]).done(), help);
    assert_says(
        &home.ta(&["help", "sync"]).done(),
        &["--join", "--new-history", "--upload-difference", "--wait"],
    );
    assert_eq!(home.ta(&["config", "path"]).done(), "$HOME/.config/tandem/config.toml\n");
    home.ta(&["config", "list"]).done();
    assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 0, "nothing was made");
}

#[test]
fn config_sets_gets_and_unsets_and_keeps_comments() {
    let home = TestHome::new();
    let file = home.path(".config/tandem/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "# mine\nhistory_days = 7 # a week\n").unwrap();
    home.ta(&["config", "set", "avoid_snapshots", "yes"]).done();
    home.ta(&["config", "set", "history_days", "8"]).done();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "# mine\nhistory_days = 8 # a week\navoid_snapshots = true\n");
    assert_eq!(home.ta(&["config", "get", "avoid_snapshots"]).done(), "true\n");
    assert_says(
        &home.ta(&["config", "set", "history_days", "8"]).done(),
        &["Nothing to change", "$HOME/.config/tandem/config.toml"],
    );
    home.ta(&["config", "unset", "avoid_snapshots"]).done();
    assert_eq!(home.ta(&["config", "get", "avoid_snapshots"]).done(), "false\n");
    assert_says(&home.ta(&["config", "get", "server_origin"]).failed(1), &["is not set"]);
    assert_says(&home.ta(&["config", "get", "server_orgin"]).failed(3), &["server_origin"]);
    assert_says(&home.ta(&["config", "set", "history_days", "soon"]).failed(3), &["history_days"]);
    // The line, then the environment, then another file.
    let home = home.with("TA_HISTORY_DAYS", "9");
    assert_eq!(home.ta(&["config", "get", "history_days"]).done(), "9\n");
    let home = home.without("TA_HISTORY_DAYS");
    std::fs::write(home.path("other.toml"), "history_days = 3\n").unwrap();
    assert_eq!(home.ta(&["--config", "other.toml", "config", "get", "history_days"]).done(), "3\n");
    assert_eq!(home.ta(&["config", "get", "history_days", "--config=other.toml"]).done(), "3\n");
    let home = home.with("TA_CONFIG", "other.toml");
    assert_eq!(home.ta(&["config", "get", "history_days"]).done(), "3\n");
}

#[test]
fn a_taskwarrior_list_in_its_usual_place_is_told_of_once() {
    let home = TestHome::new();
    let source = home_with(&[&["from taskwarrior"]]);
    std::fs::create_dir(home.path(".task")).unwrap();
    std::fs::copy(source.replica_file(), home.path(".task/taskchampion.sqlite3")).unwrap();
    let there = "There is a Taskwarrior list in $HOME/.task. To use it in place: ta config set data_dir $HOME/.task\n";
    // Until there is a list; and when one is begun all the same.
    let steps = "No tasks yet. To add one: ta add Buy milk due:friday\n";
    assert_eq!(home.ta(&["list"]).done(), format!("{steps}{there}"));
    let (_, notice) = home.ta(&["add", "one"]).done_with_notices();
    assert_eq!(notice, there);
    home.ta(&["list"]).done();
    home.ta(&["config", "set", "data_dir", "~/.task"]).done();
    let (out, _) = home.ta(&["list"]).done_with_notices();
    assert_says(&out, &["from taskwarrior"]);
}

#[test]
fn the_first_look_at_an_empty_list_says_what_to_do() {
    let home = TestHome::new();
    for words in [&[][..], &["list"], &["next"]] {
        let told = home.ta(words).done();
        assert_says(&told, &["No tasks yet.", "ta add Buy milk", "ta sync", "ta import FOLDER"]);
    }
    assert_eq!(home.ta(&["--json"]).json(), json!([]));
    assert_eq!(home.ta(&["+x", "list"]).done(), "No matching tasks.\n");
    // Where Taskwarrior's list is, that is named, and once in a run.
    let source = TestHome::new();
    source.add("buy milk");
    let home = TestHome::new();
    std::fs::create_dir(home.path(".task")).unwrap();
    std::fs::copy(source.replica_file(), home.path(".task/taskchampion.sqlite3")).unwrap();
    for _ in 0..2 {
        let ran = home.ta(&[]);
        let told = ran.out + &ran.err;
        assert_says(&told, &["No tasks yet.", "ta config set data_dir"]);
        assert_eq!(told.matches("There is a Taskwarrior list").count(), 1, "{told}");
    }
    home.ta(&["add", "one"]).done_with_notices();
    home.ta(&["1", "done"]).done();
    assert_eq!(home.ta(&[]).done(), "No matching tasks.\n");
}
