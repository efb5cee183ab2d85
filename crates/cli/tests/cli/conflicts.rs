//! What two machines changed before they met, as `ta sync` and `ta conflicts` tell it.

use std::path::Path;

use tempfile::TempDir;

use crate::home::{TestHome, assert_says};

/// Two replicas of one list with one task, in step.
fn two_in_step(server_dir: &Path) -> (TestHome, TestHome) {
    let (laptop, desktop) =
        (TestHome::at_directory(server_dir), TestHome::at_directory(server_dir));
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    (laptop, desktop)
}

#[test]
fn a_task_that_was_deleted_elsewhere_while_it_was_changed_is_told_in_words() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    desktop.ta(&["1", "delete"]).done();
    desktop.ta(&["sync"]).done();
    laptop.ta(&["1", "annotate", "the", "blue", "one"]).done();
    laptop.ta(&["1", "modify", "buy oat milk"]).done();
    let told = laptop.ta(&["sync"]).done();
    let uuid = laptop.state().into_keys().next().unwrap();
    let short = &uuid[..8];
    let sentence = format!(
        "Conflict 1: task {short} \"buy oat milk\" was deleted elsewhere while it was changed here. \
         It was left deleted; ta {short} info shows what it says."
    );
    assert_says(&told, &[&format!("{sentence} To restore it: ta conflicts restore 1")]);
    assert!(!told.contains("Conflict 2"), "{told}");
    assert_says(&laptop.ta(&["conflicts", "list"]).done(), &[&sentence]);
    let shown = laptop.ta(&["conflicts", "show", "1"]).done();
    assert_says(&shown, &[&sentence, "won       \"deleted\"", "To bring the task back"]);
    let row = laptop.ta(&["conflicts", "show", "1", "--json"]).json();
    assert_eq!((&row["kind"], &row["lost_here"]), (&"deleted".into(), &true.into()));
    assert_says(&laptop.ta(&[short, "history"]).done(), &["note \"the blue one\" added"]);
    laptop.ta(&["conflicts", "restore", "1"]).done();
    let settled = laptop.ta(&["conflicts", "list", "--all"]).done();
    assert_says(&settled, &["(Restored or put aside.) (Now it is \"pending\".)"]);
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    let info = desktop.ta(&["1", "info"]).done();
    assert_says(&info, &["buy oat milk", "pending", "the blue one"]);
    assert!(!info.contains("Ended"), "{info}");
}

/// The mirror: whoever deleted the task is told of what the others were at.
#[test]
fn a_task_that_was_changed_elsewhere_while_it_was_deleted_is_told_once() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "delete"]).done();
    // Two versions, so two chances to tell it.
    for project in ["home", "garden"] {
        desktop.ta(&["1", "modify", &format!("project:{project}")]).done();
        desktop.ta(&["sync"]).done();
    }
    let document = laptop.ta(&["sync", "--json"]).json();
    let conflicts = document["conflicts"].as_array().unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    let row = &conflicts[0];
    assert_eq!((&row["kind"], &row["lost_here"]), (&"deleted".into(), &false.into()));
    assert_eq!((&row["kept"], &row["lost"]), (&"deleted".into(), &"pending".into()));
    let listed = laptop.ta(&["conflicts"]).done();
    assert_says(&listed, &["\"buy milk\" was changed elsewhere while it was deleted here."]);
    laptop.ta(&["conflicts", "restore", "1"]).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    for home in [&laptop, &desktop] {
        assert_says(&home.ta(&["1", "info"]).done(), &["buy milk", "pending", "garden"]);
    }
}

/// A restoration is a change as any other, and other programs go by `modified`.
#[test]
fn a_restored_task_was_modified_when_it_was_restored() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    let long_ago = "\"modified\":\"20200101T000000Z\"";
    laptop.ta(&["1", "modify", "buy oat milk"]).done();
    desktop.ta(&["1", "modify", "buy goat milk"]).done();
    let (uuid, task) = laptop.state().into_iter().next().unwrap();
    for home in [&laptop, &desktop, &laptop] {
        home.ta(&["sync"]).done();
    }
    // Its stamp says that nobody touched it for long.
    let database = rusqlite::Connection::open(laptop.replica_file()).unwrap();
    let aged = "UPDATE tasks SET data = json_set(data, '$.modified', '1577836800')";
    assert_eq!(database.execute(aged, []).unwrap(), 1);
    drop(database);
    assert!(laptop.ta(&["export"]).out.contains(long_ago));
    laptop.ta(&["conflicts", "restore", "1"]).done();
    let restored = &laptop.state()[&uuid];
    assert_eq!(restored["description"], "buy oat milk");
    assert!(restored["modified"] >= task["modified"], "{restored:?}");
}

/// Each deletion over a change is news, also where an older conflict about the task is still open.
#[test]
fn a_second_deletion_over_a_change_is_told_as_the_first_one_was() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    for project in ["home", "garden"] {
        laptop.ta(&["milk", "modify", &format!("project:{project}")]).done();
        desktop.ta(&["milk", "delete"]).done();
        desktop.ta(&["sync"]).done();
        let told = laptop.ta(&["sync"]).done();
        assert_says(&told, &["Conflict 1:", "was deleted elsewhere while it was changed here"]);
        laptop.ta(&["all", "milk", "modify", "status:pending"]).done();
        laptop.ta(&["sync"]).done();
        desktop.ta(&["sync"]).done();
    }
    assert_eq!(
        laptop.ta(&["conflicts", "list", "--json"]).json().as_array().map(Vec::len),
        Some(1)
    );
}

/// The other device was at work before ours was sent, so it cannot have known of it.
#[test]
fn who_was_first_at_the_server_is_told_too_that_their_change_lost() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "description:buy oat milk"]).done();
    desktop.ta(&["1", "modify", "description:buy goat milk"]).done();
    laptop.ta(&["sync"]).done();
    let told = desktop.ta(&["sync"]).done();
    assert_says(&told, &["\"buy oat milk\" lost (made elsewhere)"]);
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["became \"buy goat milk\"; \"buy oat milk\" lost (made here)"]);
    let row = laptop.ta(&["conflicts", "show", "1", "--json"]).json();
    assert_eq!(row["base"], "buy milk");
    assert!(!laptop.ta(&["conflicts", "list"]).done().contains("Now"));
    laptop.ta(&["1", "modify", "description:buy rice milk"]).done();
    let moved_on = laptop.ta(&["conflicts", "list"]).done();
    assert_says(&moved_on, &["lost (made here). (Now it is \"buy rice milk\".)"]);
    laptop.ta(&["undo"]).done();
    laptop.ta(&["conflicts", "restore", "1"]).done();

    // Whoever has seen a value may change it: that is no conflict.
    for home in [&laptop, &desktop] {
        home.ta(&["sync"]).done();
    }
    desktop.ta(&["1", "modify", "description:buy butter"]).done();
    for home in [&desktop, &laptop] {
        home.ta(&["sync"]).done();
    }
    assert_eq!(laptop.descriptions(), ["buy butter"]);
    assert_says(&laptop.ta(&["conflicts"]).done(), &["No conflict is open"]);
}

#[test]
fn who_was_first_at_the_server_is_told_too_that_the_task_was_deleted() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "annotate", "the", "blue", "one"]).done();
    desktop.ta(&["1", "delete"]).done();
    laptop.ta(&["sync"]).done();
    let told = desktop.ta(&["sync"]).done();
    assert_says(&told, &["was changed elsewhere while it was deleted here"]);
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["was deleted elsewhere while it was changed here"]);
    laptop.ta(&["conflicts", "restore", "1"]).done();
    for home in [&laptop, &desktop] {
        home.ta(&["sync"]).done();
        assert_says(&home.ta(&["1", "info"]).done(), &["buy milk", "pending", "the blue one"]);
    }
}

/// A list that comes back to a folder goes through a history that is its own.
#[test]
fn what_this_list_has_replaced_itself_is_no_conflict_when_it_comes_back() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (laptop, desktop) = two_in_step(first.path());
    laptop.ta(&["1", "modify", "description:buy oat milk"]).done();
    laptop.ta(&["1", "modify", "project:home"]).done();
    laptop.ta(&["sync"]).done();
    let mut laptop = laptop.with("TA_SERVER_DIR", second.path());
    laptop.ta(&["sync"]).done();
    laptop.ta(&["1", "modify", "project:garden"]).done();
    laptop.ta(&["sync"]).done();

    laptop = laptop.with("TA_SERVER_DIR", first.path());
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["up 1 change ·", "again; what differed was sent."]);
    assert!(!told.contains("Conflict"), "{told}");
    for folder in [second.path(), first.path()] {
        laptop = laptop.with("TA_SERVER_DIR", folder);
        let told = laptop.ta(&["sync"]).done();
        assert_says(&told, &["up 0 changes ·", "again; nothing was missing there."]);
        assert!(!told.contains("Conflict"), "{told}");
    }

    // What others changed meanwhile, and lost, is told as ever, and once.
    laptop = laptop.with("TA_SERVER_DIR", second.path());
    desktop.ta(&["1", "modify", "description:buy goat milk"]).done();
    desktop.ta(&["sync"]).done();
    laptop.ta(&["1", "modify", "description:buy butter"]).done();
    laptop.ta(&["sync"]).done();
    laptop = laptop.with("TA_SERVER_DIR", first.path());
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["became \"buy butter\"; \"buy goat milk\" lost (made elsewhere)"]);
    assert!(!told.contains("Conflict 2"), "{told}");
    for folder in [second.path(), first.path()] {
        laptop = laptop.with("TA_SERVER_DIR", folder);
        let told = laptop.ta(&["sync"]).done();
        assert!(!told.contains("Conflict"), "{told}");
    }
}

/// Done is a proper end, a stamp is no work, and what both have deleted nobody misses.
#[test]
fn what_ends_as_it_should_is_no_conflict() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.add("call Ann");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    desktop.ta(&["milk", "done"]).done();
    laptop.ta(&["milk", "annotate", "the", "blue", "one"]).done();
    desktop.ta(&["Ann", "delete"]).done();
    laptop.ta(&["Ann", "modify", "project:family"]).done();
    laptop.ta(&["Ann", "delete"]).done();
    for home in [&desktop, &laptop, &desktop] {
        home.ta(&["sync"]).done();
    }
    assert_eq!(laptop.state(), desktop.state());
    for home in [&laptop, &desktop] {
        assert_eq!(home.ta(&["conflicts", "list", "--all"]).done(), "No edits have lost.\n");
    }
    assert_says(&laptop.ta(&["completed"]).done(), &["buy milk"]);
}

#[test]
fn a_task_that_was_removed_elsewhere_while_it_was_edited_is_told_in_words() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    let uuid = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
    let record = format!(
        r#"{{"uuid":"{uuid}","description":"old","status":"deleted","entry":"20200101T000000Z",
            "modified":"20200101T000000Z","project":"home","tags":["late"]}}"#
    );
    laptop.ta_with_input(&["import"], record.as_bytes()).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    assert_says(&desktop.ta(&["gc"]).done(), &["1 expired task purged"]);
    desktop.ta(&["sync"]).done();
    laptop.ta(&[uuid, "modify", "priority:H"]).done();
    let told = laptop.ta(&["sync"]).done();
    assert_says(
        &told,
        &["Conflict 1: task 56e0be07 \"old\" was removed elsewhere while it was edited here. The \
             removal won; what the task said here is kept aside (description, priority, project, \
             tag late). To restore it: ta conflicts restore 1"],
    );
    let shown = laptop.ta(&["conflicts", "show", "1"]).done();
    assert_says(
        &shown,
        &[
            "changed   priority: \"H\" (before: nothing)",
            "had       tag late:",
            "had       priority: \"H\"",
            "make the task again",
        ],
    );
    let row = laptop.ta(&["conflicts", "show", "1", "--json"]).json();
    let edits = serde_json::json!([{ "property": "priority", "before": null, "value": "H" }]);
    assert_eq!((&row["kind"], &row["edits"]), (&"removed".into(), &edits));
    laptop.ta(&["conflicts", "restore", "1"]).done();
    assert_eq!(laptop.state()[uuid]["priority"], "H");
}
