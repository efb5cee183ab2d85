//! A list that moves to another place is told once as what it was, wherever the move is broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tandem_tasks::session::Urgency;
use tempfile::TempDir;

use crate::home::{TestHome, assert_says};
use crate::kills::{PLACES_MAX, killed_at};
use crate::scripted::Reply;
use crate::server::{TestServer, is_push};

/// What a sync may say of a whole list; of these one is true of a move.
const SENTENCES: [&str; 4] = [
    "The whole list was offered to",
    "This list was joined with the one at",
    "A new history was begun at",
    "again; ",
];

/// What a few syncs after a move that was broken off say of it.
#[track_caller]
fn told(home: &TestHome, what: &str) -> Vec<&'static str> {
    let mut told = Vec::new();
    for _ in 0..3 {
        let ran = home.ta(&["sync"]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        told.extend(SENTENCES.into_iter().filter(|sentence| ran.out.contains(sentence)));
    }
    told
}

/// Kills the move of copies of `home` everywhere; `reset` brings the place back to what it was, and
/// says with which variables it is reached.
fn killed_everywhere(
    home: &TestHome,
    words: &[&str],
    expected: &[&str],
    mut reset: impl FnMut(TestHome) -> TestHome,
) {
    for n in 1..PLACES_MAX {
        let copy = reset(home.copy());
        let Some(place) = killed_at(&copy, words, n) else {
            assert!(n > 9, "a move goes by more places");
            return;
        };
        // The same words, since some are a person's answer to a question.
        let ran = copy.ta(words);
        assert_eq!(ran.code, Some(0), "{place}: {ran:?}");
        let mut said: Vec<_> = SENTENCES.into_iter().filter(|it| ran.out.contains(it)).collect();
        said.extend(told(&copy, &place));
        assert_eq!(said, expected, "killed {place}: {ran:?}");
    }
    panic!("the sync never came to its end");
}

/// A list of these tasks, in step with its place.
fn synced(home: TestHome, descriptions: &[&str]) -> TestHome {
    for description in descriptions {
        home.add(description);
    }
    home.ta(&["sync"]).done();
    home
}

#[test]
fn a_move_to_a_server_that_was_killed_is_told_as_one() {
    let (from, to) = (TestServer::new(), TestServer::new());
    let home = synced(from.home(), &["milk"]);
    home.add("bread");
    let empty = to.memory.checkpoint();
    killed_everywhere(&home, &["sync"], &[SENTENCES[0]], |home| {
        to.memory.restore(&empty);
        to.give(home)
    });
}

#[test]
fn a_move_to_a_folder_that_was_killed_is_told_as_one() {
    let folder = TempDir::new().unwrap();
    let home = synced(TestHome::at_directory(folder.path()), &["milk"]);
    home.add("bread");
    let disk = TempDir::new().unwrap();
    let mut n = 0;
    killed_everywhere(&home, &["sync"], &[SENTENCES[0]], |home| {
        n += 1;
        home.with("TA_SERVER_DIR", disk.path().join(n.to_string()))
    });
}

#[test]
fn a_join_that_was_killed_is_told_as_one() {
    for urgency in [Urgency::None, Urgency::High] {
        let to = TestServer::new();
        let folder = TempDir::new().unwrap();
        let home = synced(TestHome::at_directory(folder.path()), &["milk"]);
        to.memory.force_urgency(Some(urgency));
        let _other = synced(to.home(), &["theirs"]);
        to.memory.force_urgency(Some(Urgency::None));
        let before = to.memory.checkpoint();
        killed_everywhere(&home, &["sync", "--join"], &[SENTENCES[1]], |home| {
            to.memory.restore(&before);
            to.give(home)
        });
    }
}

#[test]
fn a_move_back_that_was_killed_is_told_as_one() {
    let (first, second) = (TestServer::new(), TempDir::new().unwrap());
    let away = synced(first.home(), &["milk"]).without("TA_SERVER_ORIGIN");
    let away = away.without("TA_SERVER_CLIENT_KEY").without("TA_ENCRYPTION_SECRET");
    let home = away.with("TA_SERVER_DIR", second.path());
    home.ta(&["sync"]).done();
    home.add("bread");
    let before = first.memory.checkpoint();
    killed_everywhere(&home, &["sync"], &[SENTENCES[1], SENTENCES[3]], |home| {
        first.memory.restore(&before);
        first.give(home)
    });
}

#[test]
fn a_move_whose_answer_was_lost_is_told_by_the_next_sync() {
    let (from, to) = (TestServer::new(), TestServer::new());
    let home = to.give(synced(from.home(), &["milk"]));
    let is_down = Arc::new(AtomicBool::new(false));
    to.twist(move |request, memory| {
        if is_push(request) && !is_down.swap(true, Ordering::SeqCst) {
            drop(crate::task_server::answer(memory, request));
        }
        is_down.load(Ordering::SeqCst).then(|| Reply::Close(Vec::new()))
    });
    let document = home.ta(&["sync", "--json"]).json();
    assert_eq!(document["error"]["code"], 4, "{document}");
    assert_eq!(document["restarted"], false, "nobody knows yet: {document}");
    to.untwist();
    assert_eq!(to.memory.chain().len(), 1);
    let as_json = home.copy().ta(&["sync", "--json"]).json();
    assert_eq!((&as_json["restarted"], &as_json["rejoined"]), (&true.into(), &false.into()));
    assert_eq!(told(&home, "its answer was lost"), [SENTENCES[0]]);
    let document = home.ta(&["sync", "--json"]).json();
    assert_eq!(document["restarted"], false, "once: {document}");
}

/// Decision 4: the work lies in a task that no list shows.
#[test]
fn a_task_that_was_deleted_here_and_changed_where_the_list_goes_is_told_and_comes_back() {
    let (first, second) = (TestServer::new(), TempDir::new().unwrap());
    let laptop = synced(first.home(), &["milk", "tea", "bread"]);
    let desktop = synced(first.home(), &[]);
    let moved = |home: TestHome| {
        let home = home.without("TA_SERVER_ORIGIN").without("TA_SERVER_CLIENT_KEY");
        home.without("TA_ENCRYPTION_SECRET").with("TA_SERVER_DIR", second.path())
    };
    desktop.ta(&["milk", "delete"]).done();
    desktop.ta(&["bread", "delete"]).done();
    let laptop = moved(laptop);
    laptop.ta(&["milk", "annotate", "two litres"]).done();
    laptop.ta(&["tea", "delete"]).done();
    laptop.ta(&["sync"]).done();
    let desktop = moved(desktop);
    let told = desktop.ta(&["sync", "--join"]).done();
    let sentence = "\"milk\" was changed elsewhere while it was deleted here. It was left deleted;";
    assert_says(&told, &["This list was joined", sentence]);
    assert_eq!(told.matches("Conflict").count(), 1, "the others were just deleted: {told}");
    let uuid = desktop.uuid("milk");
    assert_says(&desktop.ta(&[&uuid, "history"]).done(), &["note \"two litres\" added"]);
    desktop.ta(&["conflicts", "restore", "1"]).done();
    assert_says(&desktop.ta(&["list"]).done(), &["milk"]);
}

/// A first load knows no times: what it offers may be younger than what is there, and say the same.
#[test]
fn what_a_joined_list_says_again_is_no_change() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let homes = [(); 3].map(|()| TestHome::at_directory(first.path()));
    let record = br#"[{"description":"milk","status":"pending","entry":"20200101T000000Z","modified":"20200101T000000Z"}]"#;
    homes[0].ta_with_input(&["import"], record).done();
    homes[0].ta(&["milk", "modify", "+home"]).done();
    homes.iter().for_each(|home| drop(home.ta(&["sync"]).done()));
    let [made, loaded, last] = homes.map(|home| home.with("TA_SERVER_DIR", second.path()));
    made.ta(&["sync"]).done();
    let document = loaded.ta(&["sync", "--join", "--json"]).json();
    let up = &document["up"];
    assert_eq!((&up["versions"], &up["changes"]), (&1.into(), &0.into()), "{document}");
    last.ta(&["sync", "--join"]).done();
    let history = last.ta(&["milk", "history"]).done();
    assert_says(&history, &["entry set to"]);
    assert!(!history.contains("changed from"), "{history}");
}
