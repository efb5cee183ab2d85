//! `ta sync` through the local directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use tandem_client::{Holder, LAST_SYNC_FILE, LOCK_FILE};
use tandem_core::Timestamp;
use tempfile::TempDir;

use crate::home::{TestHome, assert_says, look};
use crate::server::TestServer;

/// The file's name in the reference's format.
const DIRECTORY_FILE: &str = "taskchampion-local-sync-server.sqlite3";

/// Two replicas of one list with one task, in step.
fn two_in_step(server_dir: &Path) -> (TestHome, TestHome) {
    let (laptop, desktop) =
        (TestHome::at_directory(server_dir), TestHome::at_directory(server_dir));
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    (laptop, desktop)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_sync_uploads_and_the_second_finds_nothing_to_do() {
    let home = TestHome::new();
    home.add("buy milk");
    assert_eq!(
        home.ta(&["sync"]).done(),
        "up 4 changes · down 0 changes in 0 tasks · nothing waiting\n\
         A new history was begun at $HOME/.local/share/taskchampion-sync-server, which held none. \
         If it should have held one, check server_dir.\n"
    );
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
    assert_eq!(home.ta(&["sync", "--quiet"]).done(), "");
    let document = home.ta(&["sync", "--json"]).json();
    assert_eq!(document["outcome"], "in_step");
    assert_eq!(document["requests"], 1);
    assert_eq!(document["waiting"], 0);
}

#[test]
fn a_sync_with_nothing_to_do_writes_nothing() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    for home in [laptop, desktop] {
        let (mut replica, directory) = (look(&home.data_dir()), look(server_dir.path()));
        assert_eq!(home.ta(&["sync"]).done(), "in step\n");
        let mut replica_after = look(&home.data_dir());
        // They say who holds the lock and when it was in step, and are not flushed.
        for name in [LOCK_FILE, LAST_SYNC_FILE] {
            let file = home.data_dir().join(name);
            assert!(replica.remove(&file).is_some() && replica_after.remove(&file).is_some());
        }
        assert_eq!(replica, replica_after);
        assert_eq!(directory, look(server_dir.path()));
    }
}

#[test]
fn status_tells_when_it_was_in_step_last_and_with_whom() {
    let server_dir = TempDir::new().unwrap();
    let home = TestHome::at_directory(server_dir.path());
    home.add("buy milk");
    assert_says(&home.ta(&["status"]).done(), &["Last synced", "never"]);
    let status = home.ta(&["status", "--json"]).json();
    assert_eq!((&status["never_synced"], &status["last_sync"]), (&true.into(), &Value::Null));

    home.ta(&["sync"]).done();
    let with = server_dir.path().display().to_string();
    assert_says(&home.ta(&["status"]).done(), &["<time> (", "s ago), with ", &with]);
    let last = home.ta(&["status", "--json"]).json()["last_sync"].take();
    assert_eq!(last["with"], with);
    assert!(last["at"].is_string() && last["seconds_ago"].is_u64());

    // A sync with nothing to do counts, one that failed does not.
    let file = home.data_dir().join(LAST_SYNC_FILE);
    let old = r#"{"at":"2020-01-01T00:00:00Z","with":"elsewhere"}"#;
    fs::write(&file, old).unwrap();
    assert_says(&home.ta(&["status"]).done(), &["y ago), with elsewhere"]);
    let nowhere = home.copy().with("TA_SERVER_DIR", "/dev/null/none");
    assert_ne!(nowhere.ta(&["sync"]).code, Some(0));
    assert_says(&nowhere.ta(&["status"]).done(), &["with elsewhere"]);
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
    assert_says(&home.ta(&["status"]).done(), &["s ago), with ", &with]);
    // Without the file nobody knows, but "never" would be wrong.
    fs::remove_file(&file).unwrap();
    assert_says(&home.ta(&["status"]).done(), &["not known"]);
}

#[test]
fn an_empty_replica_and_an_empty_directory_make_nothing_and_say_so() {
    let home = TestHome::new();
    let told = home.ta(&["sync"]).done();
    assert_says(&told, &["There is nothing at", "nothing here", "ta sync"]);
    assert!(!home.path(".local/share/taskchampion-sync-server").exists());
}

#[test]
fn changes_go_both_ways_and_are_counted() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "project:home", "+shop"]).done();
    laptop.add("call grandmother");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["1", "modify", "priority:H"]).done();
    assert_eq!(
        desktop.ta(&["sync"]).done(),
        "up 1 change · down 7 changes in 2 tasks · nothing waiting\n"
    );
    assert_eq!(
        laptop.ta(&["sync"]).done(),
        "up 0 changes · down 1 change in 1 task · nothing waiting\n"
    );
    assert_eq!(laptop.state(), desktop.state());
}

#[test]
fn an_edit_that_lost_is_told_on_the_machine_that_settles_it_and_can_be_restored() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "buy oat milk"]).done();
    desktop.ta(&["1", "modify", "buy goat milk"]).done();
    desktop.ta(&["sync"]).done();

    // A conflict that is settled does not fail a cron job, but is told even quietly.
    let told = laptop.ta(&["sync", "--quiet"]).done();
    let uuid = laptop.state().into_keys().next().unwrap();
    let short = &uuid[..8];
    assert_says(
        &told,
        &[&format!(
            "Conflict 1: description of task {short} \"buy oat milk\" became \"buy goat milk\"; \
             \"buy oat milk\" lost (made here). To restore it: ta conflicts restore 1"
        )],
    );
    assert_eq!(laptop.descriptions(), ["buy goat milk"]);
    assert_says(
        &laptop.ta(&["conflicts"]).done(),
        &["Conflict 1", "the others have lists of their own"],
    );
    let shown = laptop.ta(&["conflicts", "show", "1"]).done();
    assert_says(&shown, &["\"buy milk\"", "\"buy oat milk\"", "\"buy goat milk\""]);
    let row = laptop.ta(&["conflicts", "show", "1", "--json"]).json();
    assert_eq!(
        (row["base"].as_str(), row["kept"].as_str(), row["lost"].as_str()),
        (Some("buy milk"), Some("buy goat milk"), Some("buy oat milk"))
    );

    laptop.ta(&["conflicts", "restore", "1"]).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    assert_eq!(desktop.descriptions(), ["buy oat milk"]);
    assert_says(&laptop.ta(&["conflicts"]).done(), &["No conflict is open"]);
    assert_says(&laptop.ta(&["conflicts", "list", "--all"]).done(), &["Conflict 1"]);

    // Taken back, after a sync and before one, the conflict is open again.
    assert_says(
        &laptop.ta(&["undo"]).done(),
        &["by a new change", "open again: ta conflicts list"],
    );
    assert_eq!(laptop.descriptions(), ["buy goat milk"]);
    assert_says(&laptop.ta(&["conflicts"]).done(), &["Conflict 1"]);
    laptop.ta(&["conflicts", "restore", "1"]).done();
    assert_says(&laptop.ta(&["conflicts"]).done(), &["No conflict is open"]);
    assert_says(&laptop.ta(&["undo"]).done(), &["had not been synced", "open again"]);
    assert_eq!(laptop.ta(&["conflicts", "show", "1", "--json"]).json()["resolved"], false);
    assert_says(&laptop.ta(&["status"]).done(), &["1 to look at"]);
    laptop.ta(&["conflicts", "restore", "1"]).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    assert_eq!(desktop.descriptions(), ["buy oat milk"]);
}

#[test]
fn undo_says_what_it_left_alone_and_when_that_is_all() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    let both = |words: &[&str]| {
        laptop.ta(words).done();
        laptop.ta(&["sync"]).done();
        desktop.ta(&["sync"]).done();
        desktop.ta(&["1", "modify", "-u"]).done();
        desktop.ta(&["sync"]).done();
        laptop.ta(&["sync"]).done();
    };
    both(&["1", "modify", "+u", "project:home"]);
    let told = laptop.ta(&["undo"]).done();
    assert_says(&told, &["Undid `modify` on 1 task", "by a new change", "Left the tag u of"]);
    assert_eq!(told.matches("Left").count(), 1, "one tag is told once: {told}");
    both(&["1", "modify", "+u"]);
    let told = laptop.ta(&["undo"]).done();
    assert_says(&told, &["Nothing was undone: all that `modify` did on 1 task"]);
    assert!(!told.contains("Undid") && !told.contains("Left"), "{told}");
    assert_says(&laptop.ta(&["status"]).done(), &["Waiting", "nothing"]);
}

#[test]
fn a_circle_of_dependencies_that_two_machines_close_harms_nothing() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.add("bake a cake");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    laptop.ta(&["1", "modify", "depends:2"]).done();
    desktop.ta(&["2", "modify", "depends:1"]).done();
    for home in [&laptop, &desktop, &laptop] {
        home.ta(&["sync"]).done();
    }
    assert_eq!(laptop.state(), desktop.state());
    for home in [&laptop, &desktop] {
        assert_says(&home.ta(&["next"]).done(), &["buy milk", "bake a cake"]);
        assert_says(&home.ta(&["1", "info"]).done(), &["buy milk"]);
        assert_eq!(home.ta(&["+BLOCKED", "count"]).done(), "2\n");
        home.ta(&["1", "history"]).done();
        home.ta(&["verify"]).done();
    }
    // Either end of it can be taken away.
    desktop.ta(&["1", "modify", "depends:-2"]).done();
    assert_eq!(desktop.ta(&["+BLOCKED", "ids"]).done(), "2\n");
    desktop.ta(&["1", "done"]).done();
    assert_eq!(desktop.ta(&["+BLOCKED", "count"]).done(), "0\n");
}

#[test]
fn a_conflict_that_is_put_aside_is_not_listed_again() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "project:ours"]).done();
    desktop.ta(&["1", "modify", "project:theirs"]).done();
    desktop.ta(&["sync"]).done();
    laptop.ta(&["sync"]).done();
    assert_eq!(laptop.ta(&["conflicts", "dismiss", "1", "--json"]).json()["dismissed"], true);
    assert_says(&laptop.ta(&["conflicts", "dismiss", "1"]).done(), &["Put aside conflict 1"]);
    assert_says(&laptop.ta(&["conflicts"]).done(), &["No conflict is open"]);
    assert_says(&laptop.ta(&["conflicts", "show", "1"]).done(), &["restored or put aside"]);
    assert_eq!(laptop.descriptions(), ["buy milk"]);
}

#[test]
fn an_edit_made_elsewhere_that_lost_here_is_told_as_such() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "project:old"]).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["1", "modify", "project:new"]).done();
    let document = desktop.ta(&["sync", "--json"]).json();
    let conflict = &document["conflicts"][0];
    assert_eq!(conflict["property"], "project");
    assert_eq!((&conflict["kept"], &conflict["lost"]), (&"new".into(), &"old".into()));
    assert_eq!(conflict["lost_here"], false);
    laptop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
}

#[test]
fn tags_and_dates_of_both_sides_merge_without_a_conflict() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "+red", "due:2030-01-01"]).done();
    desktop.ta(&["1", "modify", "+blue", "wait:2030-01-01"]).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    laptop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
    let task = laptop.state().into_values().next().unwrap();
    for property in ["tag_red", "tag_blue", "due", "wait"] {
        assert!(task.contains_key(property), "{property}: {task:?}");
    }
    for home in [&laptop, &desktop] {
        assert_says(&home.ta(&["conflicts"]).done(), &["No conflict is open"]);
    }
}

#[test]
fn a_new_replica_with_a_few_tasks_joins_without_being_asked() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, _) = two_in_step(server_dir.path());
    let phone = TestHome::at_directory(server_dir.path());
    phone.add("noted on the way");
    phone.ta(&["sync"]).done();
    laptop.ta(&["sync"]).done();
    assert_eq!(laptop.descriptions(), ["buy milk", "noted on the way"]);
    assert_eq!(laptop.state(), phone.state());
}

#[test]
fn two_lists_are_joined_only_when_a_person_says_so() {
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let home = TestHome::at_directory(ours.path());
    home.add("of the first list");
    home.ta(&["sync"]).done();
    let other = TestHome::at_directory(theirs.path());
    other.add("of the second list");
    other.ta(&["sync"]).done();

    let home = home.with("TA_SERVER_DIR", theirs.path());
    let (replica, directory) = (look(&home.data_dir()), look(theirs.path()));
    let told = home.ta(&["sync"]).failed(7);
    assert_says(&told, &["holds a list of its own", "(1 task)", "ta sync --join"]);
    let document = home.ta(&["sync", "--json"]);
    assert_eq!(document.code, Some(7));
    assert_eq!(document.json()["outcome"], "question");
    assert_eq!(replica[&home.replica_file()], look(&home.data_dir())[&home.replica_file()]);
    assert_eq!(directory, look(theirs.path()));

    home.ta(&["sync", "--join"]).done();
    other.ta(&["sync"]).done();
    assert_eq!(other.descriptions(), ["of the first list", "of the second list"]);
    assert_eq!(home.state(), other.state());
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
}

/// Many tasks need consent, a few none; both are told, once.
#[test]
fn a_list_that_was_never_synced_is_told_to_have_been_joined() {
    let place = TempDir::new().unwrap();
    let other = TestHome::at_directory(place.path());
    other.add("theirs");
    assert_says(&other.ta(&["sync"]).done(), &["A new history was begun"]);
    let many: String = (0..101).map(|n| format!("{{\"description\":\"task {n}\"}}\n")).collect();
    let told = "This list was joined with the one at";
    for (tasks, flag) in [(many.as_str(), Some("--join")), ("{\"description\":\"one\"}", None)] {
        let home = TestHome::at_directory(place.path());
        home.ta_with_input(&["import", "-"], tasks.as_bytes()).done();
        if flag.is_some() {
            assert_says(&home.ta(&["sync"]).failed(7), &["(101 tasks)", "ta sync --join"]);
        }
        let words: Vec<&str> = ["sync", "--quiet"].into_iter().chain(flag).collect();
        let said = home.ta(&words).done();
        assert_says(&said, &[told]);
        assert_eq!(said.matches(told).count(), 1, "{said}");
        home.add("later");
        assert_eq!(home.ta(&["sync", "--json"]).json()["joined"], false);
        // Who brings nothing joins nothing.
        let new = TestHome::at_directory(place.path());
        let document = new.ta(&["sync", "--json"]).json();
        assert_eq!((&document["joined"], &document["outcome"]), (&false.into(), &"synced".into()));
    }
}

#[test]
fn an_unmounted_directory_is_an_error_and_never_a_new_history() {
    let disk = TempDir::new().unwrap();
    let mounted = disk.path().join("server");
    let (laptop, _) = two_in_step(&mounted);
    laptop.add("while it is away");
    let away = disk.path().join("away");
    fs::rename(&mounted, &away).unwrap();
    let told = laptop.ta(&["sync"]).failed(3);
    assert_says(&told, &["not where it was", "safely here", "Nothing was begun anew"]);
    assert!(!mounted.exists());
    // The empty mount point.
    fs::create_dir(&mounted).unwrap();
    laptop.ta(&["sync"]).failed(3);
    assert_eq!(fs::read_dir(&mounted).unwrap().count(), 0);

    fs::remove_dir(&mounted).unwrap();
    fs::rename(&away, &mounted).unwrap();
    assert_says(&laptop.ta(&["sync"]).done(), &["up 4 changes", "nothing waiting"]);
}

#[test]
fn where_the_disk_has_died_the_history_begins_again_on_request() {
    let disk = TempDir::new().unwrap();
    let mounted = disk.path().join("server");
    let (laptop, desk) = two_in_step(&mounted);
    fs::remove_dir_all(&mounted).unwrap();
    assert_says(&laptop.ta(&["sync"]).failed(3), &["ta sync --new-history"]);
    assert!(!mounted.exists());
    laptop.ta(&["sync", "--new-history"]).done();
    desk.add("while it was away");
    desk.ta(&["sync", "--join"]).done();
    laptop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desk.state());
    assert_eq!(laptop.ta(&["sync"]).done(), "in step\n");
    let fresh = TestHome::at_directory(&mounted);
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), laptop.state());
}

#[test]
fn a_list_that_cannot_move_to_its_new_folder_says_so_and_moves_later() {
    let home = TestHome::new();
    home.add("milk");
    home.ta(&["sync"]).done();
    // A disk that is not mounted: what leads there leads nowhere, for whoever asks.
    let (disk, folder) = (home.path("disk"), home.path("folder"));
    std::os::unix::fs::symlink(disk.join("list"), &folder).unwrap();
    home.ta(&["config", "set", "server_dir", &folder.display().to_string()]).done();
    let ran = home.ta(&["sync", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let document = ran.json();
    assert_eq!(document["outcome"], "failed");
    assert_eq!(document["restarted"], false, "nothing came anywhere: {document}");
    assert_eq!(document["error"]["kind"], "directory_cannot_be_made");
    let told = home.ta(&["sync"]).failed(3);
    assert_says(&told, &["cannot be made", "Mount the disk, or correct it", "server_dir"]);
    assert!(!told.contains("chown"), "{told}");
    fs::create_dir_all(disk.join("list")).unwrap();
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes", "nothing waiting"]);
    let fresh = TestHome::at_directory(&folder);
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}

#[test]
fn a_mistyped_directory_is_not_in_step() {
    let home = TestHome::new().with("TA_SERVER_DIR", "serevr");
    for words in [&["sync"][..], &["sync", "--quiet"]] {
        let told = home.ta(words).done();
        assert_says(&told, &["There is nothing at", "serevr yet", "server_dir?"]);
        assert!(!told.contains("in step"), "{told}");
    }
    assert_eq!(home.ta(&["sync", "--json"]).json()["outcome"], "no_history");
    // Nor does anything say later that it had been.
    assert_eq!(home.ta(&["status", "--json"]).json()["never_synced"], true);
    home.add("begun");
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
}

#[test]
fn another_empty_directory_gets_the_whole_list() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (laptop, _) = two_in_step(first.path());
    let laptop = laptop.with("TA_SERVER_DIR", second.path());
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["up 4 changes", "The whole list was offered to"]);
    // One line for all that was made anew, and nobody else is said to have done it.
    let history = laptop.ta(&["1", "history"]).done();
    assert_says(&history, &["offered as a whole  (here, by sync)", "(here, by add)"]);
    assert!(!history.contains("another program"), "{history}");
    assert_eq!(history.matches("description set to").count(), 1, "{history}");
    let fresh = TestHome::at_directory(second.path());
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), laptop.state());
}

#[test]
fn a_list_moves_to_a_server_and_back_with_all_edits() {
    let server_dir = TempDir::new().unwrap();
    let server = TestServer::new();
    let (laptop, desktop) = two_in_step(server_dir.path());
    let laptop = server.give(laptop);
    assert_says(&laptop.ta(&["sync"]).done(), &["up 4 changes", "The whole list was offered"]);
    laptop.add("made while at the server");
    laptop.ta(&["sync"]).done();
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), laptop.state());

    desktop.add("made at the directory meanwhile");
    desktop.ta(&["sync"]).done();
    let laptop = laptop
        .without("TA_SERVER_ORIGIN")
        .without("TA_SERVER_CLIENT_KEY")
        .without("TA_ENCRYPTION_SECRET");
    // Known from before: merged by property without asking.
    let told = laptop.ta(&["sync"]).done();
    assert_says(&told, &["joined with the one at", "again"]);
    assert!(!told.contains("property by property"), "{told}");
    desktop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
    assert_eq!(laptop.descriptions().len(), 3);
    assert_eq!(laptop.ta(&["sync"]).done(), "in step\n");
}

#[test]
fn a_second_sync_names_the_first_and_ends_well() {
    let home = TestHome::new();
    home.add("buy milk");
    let lock = fs::File::create(home.data_dir().join(LOCK_FILE)).unwrap();
    lock.lock().unwrap();
    let holder = Holder { pid: 4711, since: Timestamp::from_seconds(1_700_000_000) };
    serde_json::to_writer(&lock, &holder).unwrap();
    assert_eq!(
        home.ta(&["sync", "--wait", "0"]).done(),
        "Another sync of this replica is running (process 4711 since <time>); nothing to do here.\n"
    );
    let document = home.ta(&["sync", "--wait", "0", "--json"]).json();
    assert_eq!((&document["outcome"], &document["pid"]), (&"already_running".into(), &4711.into()));
    assert_eq!(home.ta(&["sync", "--wait", "0", "--quiet"]).done(), "");
    assert_says(&home.ta(&["status"]).done(), &["4 changes for the next sync"]);
    assert_says(&home.ta(&["verify", "--json"]).failed_with_json(1), &["another sync", "4711"]);
    drop(lock);
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
}

#[test]
fn the_default_directory_is_the_same_whatever_data_dir_is_and_private() {
    let home = TestHome::new();
    let elsewhere = home.path("elsewhere");
    let home = home.with("TA_DATA_DIR", &elsewhere);
    home.add("buy milk");
    let server_dir = home.path(".local/share/taskchampion-sync-server");
    assert!(!server_dir.exists(), "made when first needed");
    home.ta(&["sync"]).done();
    assert_eq!(mode(&server_dir), 0o700);
    assert_eq!(mode(&server_dir.join(DIRECTORY_FILE)), 0o600);
    assert_eq!(mode(&elsewhere), 0o700);
    assert_eq!(mode(&elsewhere.join("taskchampion.sqlite3")), 0o600);
    let second = home.with("TA_DATA_DIR", "relative/folder");
    second.ta(&["sync"]).done();
    assert_eq!(second.descriptions(), ["buy milk"]);
}

#[test]
fn status_tells_sizes_and_what_waits() {
    let home = TestHome::new();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    home.ta(&["1", "done"]).done();
    let told = home.ta(&["status"]).done();
    assert_says(
        &told,
        &["taskchampion.sqlite3 (", " kB)", "(its format never shrinks)", "for the next sync"],
    );
    let document = home.ta(&["status", "--json"]).json();
    assert_eq!(document["tasks"], 1);
    assert!(document["directory_bytes"].as_u64().unwrap() >= 4096);
    assert_eq!(document["conflicts"], 0);
    assert_eq!(document["in_flight"], false);
}

#[test]
fn verify_compares_with_the_history_and_repairs_what_differs() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, _) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "+pending"]).done();
    assert_says(&laptop.ta(&["verify"]).done(), &["Compared 1 task", "all equal"]);

    let connection = rusqlite::Connection::open(laptop.replica_file()).unwrap();
    let changed = connection
        .execute("UPDATE tandem_base SET data = replace(data, 'buy milk', 'buy silk')", [])
        .unwrap();
    assert_eq!(changed, 1);
    drop(connection);
    let ran = laptop.ta(&["verify"]);
    assert_says(&ran.out, &["differs from the server's history"]);
    assert_says(&ran.failed(1), &["ta verify --repair"]);
    laptop.ta(&["verify", "--repair"]).done();
    laptop.ta(&["verify"]).done();
    let task = laptop.state().into_values().next().unwrap();
    assert_eq!((task["description"].as_str(), task["tag_pending"].as_str()), ("buy milk", "x"));
}

#[test]
fn undo_after_a_sync_is_a_new_change_that_reaches_the_others() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "project:garden"]).done();
    assert_eq!(
        laptop.ta(&["undo"]).done(),
        "Undid `modify` on 1 task (1 \"buy milk\"). It had not been synced.\n"
    );
    laptop.ta(&["1", "modify", "project:garden"]).done();
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    assert_eq!(
        laptop.ta(&["undo"]).done(),
        "Undid `modify` on 1 task (1 \"buy milk\") by a new change, since it had been synced already.\n"
    );
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
    assert_eq!(desktop.state().into_values().next().unwrap().get("project"), None);
}

#[test]
fn history_says_who_changed_what_before_and_after_a_sync() {
    let server_dir = TempDir::new().unwrap();
    let (laptop, desktop) = two_in_step(server_dir.path());
    laptop.ta(&["1", "modify", "project:garden"]).done();
    let told = laptop.ta(&["1", "history"]).done();
    assert_says(&told, &["project set to \"garden\"  (here, by modify, waits for a sync)"]);
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    assert_says(&desktop.ta(&["1", "history"]).done(), &["project set to", "from version"]);
}

/// A new replica numbers the tasks that it gets as a person would have met them, not by their uuids.
#[test]
fn a_new_replica_numbers_tasks_by_their_age() {
    let shared = tempfile::tempdir().unwrap();
    let first = TestHome::at_directory(shared.path());
    let records: Vec<String> = [(3, "third"), (1, "first"), (2, "second"), (4, "fourth")]
        .iter()
        .map(|(day, text)| {
            // The uuids fall as the days rise.
            let uuid = format!("{}0000000-0000-4000-8000-000000000000", 9 - day);
            format!(
                r#"{{"uuid":"{uuid}","description":"{text}","status":"pending","entry":"2026010{day}T000000Z"}}"#
            )
        })
        .collect();
    let input = format!("[{}]", records.join(","));
    first.ta_with_input(&["import"], input.as_bytes()).done();
    first.ta(&["sync"]).done();
    let second = TestHome::at_directory(shared.path());
    second.ta(&["sync"]).done();
    for (number, text) in [(1, "first"), (2, "second"), (3, "third"), (4, "fourth")] {
        let told = second.ta(&[&number.to_string(), "export"]).done();
        assert_says(&told, &[text]);
    }
}

#[test]
fn verify_before_two_lists_are_joined_is_no_success() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let laptop = TestHome::at_directory(one.path());
    assert_says(&laptop.ta(&["verify"]).done(), &["Not compared: no history there yet"]);
    assert_eq!(fs::read_dir(one.path()).unwrap().count(), 0, "asking makes nothing");
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    // One that was never synced, beside a list that is there.
    let desktop = TestHome::at_directory(one.path());
    desktop.add("bread");
    let told = desktop.ta(&["verify"]).done();
    assert_says(
        &told,
        &[
            "Not compared: a list is there that has not been brought together with this one",
            "ta sync",
        ],
    );
    let document = desktop.ta(&["verify", "--json"]).json();
    assert_eq!(document["not_compared"], "other_history");
    assert_eq!(document["compared_with_server"], false);
    desktop.ta(&["sync"]).done();
    assert_eq!(desktop.ta(&["verify", "--json"]).json()["not_compared"], Value::Null);
    // One that stands on another history.
    let elsewhere = TestHome::at_directory(other.path());
    elsewhere.add("another list");
    elsewhere.ta(&["sync"]).done();
    let moved = elsewhere.with("TA_SERVER_DIR", one.path());
    let ran = moved.ta(&["verify"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert_says(&ran.out, &["Not compared:", "holds a list of its own", "ta sync --join"]);
}
