//! Kills: at every named place of a sync, and at random moments.
//!
//! A world (a victim, others, a server or a directory) is made once and copied for every kill. The
//! victim's sync dies, and then nothing but ordinary syncs may be needed: two of the victim's, one
//! of everybody's. Whatever a person had entered is there, once, everywhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tandem_remote::memory::Checkpoint;
use tandem_tasks::session::Urgency;
use tempfile::TempDir;

use crate::home::{State, TestHome, assert_says, copy_folder};
use crate::server::TestServer;

/// More places than any sync here has; reaching this many means that it never ends.
pub(crate) const PLACES_MAX: u32 = 200;

/// Runs a sync that is killed at its `n`th place; names the place, or none if it came to its end.
pub(crate) fn killed_at(home: &TestHome, words: &[&str], n: u32) -> Option<String> {
    let mut command = home.command(words);
    command.env("TANDEM_KILL_AT", n.to_string());
    let ran = home.run(command, b"");
    match ran.code {
        None => {
            let place = ran.err.lines().find_map(|line| line.strip_prefix("killed "));
            Some(place.unwrap_or_else(|| panic!("it died of something else: {ran:?}")).to_owned())
        }
        Some(0) => None,
        Some(_) => panic!("{ran:?}"),
    }
}

/// After a kill the next command says once that it has checked the file; nothing else is amiss.
#[track_caller]
fn sync(home: &TestHome) -> String {
    let (out, notices) = home.ta(&["sync"]).done_with_notices();
    assert!(notices.lines().all(|line| line.contains("not been closed properly")), "{notices}");
    out
}

#[track_caller]
fn assert_sound(home: &TestHome, place: &str) {
    let ran = home.ta(&["verify"]);
    assert_eq!(ran.code, Some(0), "killed {place}: {ran:?}");
}

/// Everybody's state after everybody has synced.
#[track_caller]
fn settle(homes: &[&TestHome], fresh: &TestHome, place: &str) -> State {
    for _ in 0..2 {
        homes.iter().for_each(|home| drop(sync(home)));
    }
    sync(fresh);
    let state = fresh.state();
    for home in homes {
        assert_eq!(home.state(), state, "killed {place}");
    }
    state
}

fn descriptions(state: &State) -> Vec<&str> {
    let mut all: Vec<&str> = state.values().map(|task| task["description"].as_str()).collect();
    all.sort_unstable();
    all
}

/// A world at a server: the victim and the server as they are before the sync.
struct World {
    server: TestServer,
    at: Checkpoint,
    victim: TestHome,
    other: TestHome,
}

impl World {
    fn new(server: TestServer, victim: TestHome, other: TestHome) -> Self {
        let at = server.memory.checkpoint();
        Self { server, at, victim, other }
    }

    /// Kills a copy of the victim at every place in turn and returns the places.
    fn kill_everywhere(
        &self,
        words: &[&str],
        mut check: impl FnMut(&State, &TestHome, &str),
    ) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for n in 1..PLACES_MAX {
            self.server.memory.restore(&self.at);
            let (victim, other) = (self.victim.copy(), self.other.copy());
            let killed = killed_at(&victim, words, n);
            let place = killed.clone().unwrap_or_else(|| "never".to_owned());
            if killed.is_some() {
                // The same words again, since some are a person's answer to a question.
                let ran = victim.ta(words);
                assert_eq!(ran.code, Some(0), "killed {place}: {ran:?}");
            }
            let state = settle(&[&victim, &other], &self.server.home(), &place);
            check(&state, &victim, &place);
            places.insert(place);
            if killed.is_none() {
                return places;
            }
        }
        panic!("the sync never came to its end");
    }
}

#[track_caller]
fn assert_places(places: &BTreeSet<String>, expected: &[&str]) {
    for place in expected {
        assert!(places.contains(*place), "`{place}` was never reached: {places:?}");
    }
}

#[test]
fn a_kill_anywhere_in_a_sync_with_conflicts_versions_and_snapshot_loses_nothing() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    victim.add("shared");
    victim.ta(&["sync"]).done();
    other.ta(&["sync"]).done();
    for change in ["project:theirs", "+theirs"] {
        other.ta(&["1", "modify", change]).done();
        other.add(&format!("from the other {change}"));
        other.ta(&["sync"]).done();
    }
    victim.ta(&["1", "modify", "project:ours", "+ours"]).done();
    let long =
        |n| serde_json::json!({ "description": format!("long {n}"), "notes": "x".repeat(600_000) });
    let json = serde_json::to_vec(&[long(1), long(2)]).unwrap();
    victim.ta_with_input(&["import"], &json).done();
    victim.add("last");
    server.memory.force_urgency(Some(Urgency::High));
    let world = World::new(server, victim, other);
    let places = world.kill_everywhere(&["sync"], |state, victim, place| {
        assert_eq!(
            descriptions(state),
            [
                "from the other +theirs",
                "from the other project:theirs",
                "last",
                "long 1",
                "long 2",
                "shared"
            ],
            "killed {place}"
        );
        let shared = state.values().find(|task| task["description"] == "shared").unwrap();
        assert_eq!(shared["project"], "ours", "the later edit");
        assert!(shared.contains_key("tag_ours") && shared.contains_key("tag_theirs"));
        let conflicts = victim.ta(&["conflicts", "--json"]).json();
        let lost: Vec<_> = conflicts.as_array().unwrap().iter().map(|row| &row["lost"]).collect();
        assert_eq!(lost, ["theirs"], "killed {place}: told once and kept");
        // What was acknowledged is on the server once, whatever was sent twice.
        let segments = world.server.segments();
        let times = segments.iter().filter(|segment| segment.contains("\"last\"")).count();
        assert_eq!(times, 1, "killed {place}");
        assert!(world.server.memory.snapshot().is_some(), "killed {place}: the request survives");
    });
    assert_places(
        &places,
        &[
            "before commit pull",
            "after commit pull",
            "before commit in flight",
            "after commit in flight",
            "before send AddVersion",
            "after receive AddVersion",
            "before commit accepted and in flight",
            "after commit accepted and in flight",
            "before commit accepted",
            "after commit accepted",
            "before send AddSnapshot",
            "after receive AddSnapshot",
            "before commit note",
            "after commit note",
            "before commit prune",
        ],
    );
}

#[test]
fn a_kill_anywhere_in_the_first_sync_of_a_new_replica_loses_nothing() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    other.add("in the snapshot");
    server.memory.force_urgency(Some(Urgency::High));
    other.ta(&["sync"]).done();
    server.memory.force_urgency(Some(Urgency::None));
    other.add("after the snapshot");
    other.ta(&["sync"]).done();
    server.memory.expire(server.memory.chain()[0].version);
    victim.add("noted before the first sync");
    let world = World::new(server, victim, other);
    let places = world.kill_everywhere(&["sync"], |state, _, place| {
        assert_eq!(
            descriptions(state),
            ["after the snapshot", "in the snapshot", "noted before the first sync"],
            "killed {place}"
        );
    });
    assert_places(
        &places,
        &[
            "before commit snapshot",
            "after commit snapshot",
            "after commit pull",
            "after commit proof",
        ],
    );
}

#[test]
fn a_kill_anywhere_in_the_very_first_upload_begins_one_history() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    victim.add("the first");
    let world = World::new(server, victim, other);
    world.kill_everywhere(&["sync"], |state, _, place| {
        assert_eq!(descriptions(state), ["the first"], "killed {place}");
        assert_eq!(world.server.segments().len(), 1, "killed {place}");
    });
}

#[test]
fn a_kill_anywhere_while_beginning_again_after_trimmed_history_loses_nothing() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    other.add("shared");
    other.ta(&["sync"]).done();
    victim.ta(&["sync"]).done();
    other.ta(&["1", "modify", "project:theirs"]).done();
    other.ta(&["sync"]).done();
    server.memory.force_urgency(Some(Urgency::High));
    other.add("later");
    other.ta(&["sync"]).done();
    server.memory.force_urgency(Some(Urgency::None));
    server.memory.expire(server.memory.latest());
    victim.add("waits");
    victim.ta(&["1", "modify", "+ours"]).done();
    let world = World::new(server, victim, other);
    let places = world.kill_everywhere(&["sync"], |state, _, place| {
        assert_eq!(descriptions(state), ["later", "shared", "waits"], "killed {place}");
        let shared = state.values().find(|task| task["description"] == "shared").unwrap();
        assert_eq!((shared["project"].as_str(), shared["tag_ours"].as_str()), ("theirs", "x"));
    });
    assert_places(&places, &["before commit reinitialise", "after commit reinitialise"]);
}

#[test]
fn a_kill_anywhere_while_a_server_that_forgot_the_list_gets_it_again_leaves_a_way_in() {
    for waiting in [None, Some("waits")] {
        let server = TestServer::new();
        server.memory.force_urgency(Some(Urgency::None));
        let empty = server.memory.checkpoint();
        let (victim, other) = (server.home(), server.home());
        victim.add("known to both");
        victim.ta(&["sync"]).done();
        other.ta(&["sync"]).done();
        server.memory.restore(&empty);
        if let Some(text) = waiting {
            victim.add(text);
        }
        let world = World::new(server, victim, other);
        let expected: Vec<&str> = ["known to both"].into_iter().chain(waiting).collect();
        let places = world.kill_everywhere(&["sync"], |state, _, place| {
            // What the fresh replica has came with the snapshot: nobody asked for one.
            assert_eq!(descriptions(state), expected, "killed {place}");
            assert!(world.server.memory.snapshot().is_some(), "killed {place}");
        });
        assert_places(&places, &["after receive AddVersion", "before send AddSnapshot"]);
    }
}

#[test]
fn a_task_kept_by_a_sync_that_was_killed_is_told_by_the_next() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    other.add("purged by another program");
    other.add("stays");
    other.ta(&["sync"]).done();
    victim.ta(&["sync"]).done();
    let uuid = other.uuid("purged by another program");
    server.push(&format!(r#"{{"operations":[{{"Delete":{{"uuid":"{uuid}"}}}}]}}"#));
    server.memory.force_urgency(Some(Urgency::High));
    other.add("makes the snapshot");
    other.ta(&["sync"]).done();
    server.memory.expire(server.memory.latest());
    let place = (1..PLACES_MAX).find(|n| {
        let place = killed_at(&victim.copy(), &["sync"], *n);
        place.as_deref() == Some("after commit reinitialise")
    });
    drop(killed_at(&victim, &["sync"], place.unwrap()));
    assert_says(&sync(&victim), &["1 task that the server no longer had", &uuid[..8]]);
    assert_eq!(victim.state().len(), 3);
}

#[test]
fn a_kill_anywhere_while_a_restored_server_is_brought_up_loses_nothing() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    victim.add("before the backup");
    victim.ta(&["sync"]).done();
    other.ta(&["sync"]).done();
    let backup = server.memory.checkpoint();
    victim.add("after the backup");
    victim.ta(&["sync"]).done();
    server.memory.restore(&backup);
    victim.add("waits");
    let world = World::new(server, victim, other);
    world.kill_everywhere(&["sync", "--upload-difference"], |state, _, place| {
        let expected = ["after the backup", "before the backup", "waits"];
        assert_eq!(descriptions(state), expected, "killed {place}");
    });
}

#[test]
fn a_kill_anywhere_while_two_lists_are_joined_loses_nothing() {
    let server = TestServer::new();
    let other = server.home();
    other.add("theirs");
    other.ta(&["sync"]).done();
    // The victim's base belongs to its own directory.
    let victim = TestHome::new();
    victim.add("ours");
    victim.ta(&["sync"]).done();
    victim.add("waits");
    let victim = server.give(victim);
    let world = World::new(server, victim, other);
    let places = world.kill_everywhere(&["sync", "--join"], |state, _, place| {
        assert_eq!(descriptions(state), ["ours", "theirs", "waits"], "killed {place}");
    });
    assert_places(&places, &["before commit restart", "after commit restart"]);
}

#[test]
fn a_kill_anywhere_while_a_list_returns_to_a_server_that_it_knew_loses_nothing() {
    let server = TestServer::new();
    let (victim, other) = (server.home(), server.home());
    victim.add("at the server first");
    victim.ta(&["sync"]).done();
    other.ta(&["sync"]).done();
    // To its own directory, and back.
    let victim = victim
        .without("TA_SERVER_ORIGIN")
        .without("TA_SERVER_CLIENT_KEY")
        .without("TA_ENCRYPTION_SECRET");
    victim.ta(&["sync"]).done();
    victim.add("made while away");
    victim.ta(&["sync"]).done();
    victim.add("waits");
    other.add("made at the server meanwhile");
    other.ta(&["sync"]).done();
    let victim = server.give(victim);
    let world = World::new(server, victim, other);
    let places = world.kill_everywhere(&["sync"], |state, _, place| {
        assert_eq!(
            descriptions(state),
            ["at the server first", "made at the server meanwhile", "made while away", "waits"],
            "killed {place}"
        );
    });
    assert_places(&places, &["after commit restart", "after commit pull"]);
}

/// Kills at every place of a sync through a directory that `prepare` has made.
fn kill_everywhere_at_directory(
    prepare: impl Fn(&Path) -> (TestHome, TestHome),
    expected: &[&str],
) -> BTreeSet<String> {
    let made = TempDir::new().unwrap();
    let (victim, other) = prepare(made.path());
    let mut places = BTreeSet::new();
    for n in 1..PLACES_MAX {
        let server_dir = TempDir::new().unwrap();
        copy_folder(made.path(), server_dir.path());
        let moved = |home: &TestHome| {
            // The same folder to both, under another name: a disk that was mounted elsewhere.
            home.copy().with("TA_SERVER_DIR", server_dir.path())
        };
        let (victim, other) = (moved(&victim), moved(&other));
        let killed = killed_at(&victim, &["sync"], n);
        let place = killed.clone().unwrap_or_else(|| "never".to_owned());
        let fresh = TestHome::at_directory(server_dir.path());
        let state = settle(&[&victim, &other], &fresh, &place);
        assert_eq!(descriptions(&state), expected, "killed {place}");
        assert_sound(&victim, &place);
        places.insert(place);
        if killed.is_none() {
            return places;
        }
    }
    panic!("the sync never came to its end");
}

#[test]
fn a_kill_anywhere_in_a_sync_through_a_directory_loses_nothing() {
    let places = kill_everywhere_at_directory(
        |folder| {
            let (victim, other) = (TestHome::at_directory(folder), TestHome::at_directory(folder));
            victim.add("shared");
            victim.ta(&["sync"]).done();
            other.ta(&["sync"]).done();
            other.add("theirs");
            other.ta(&["sync"]).done();
            victim.add("ours");
            (victim, other)
        },
        &["ours", "shared", "theirs"],
    );
    assert_places(
        &places,
        &["after commit pull", "after receive AddVersion", "after commit accepted"],
    );
}

#[test]
fn a_kill_anywhere_in_the_first_sync_through_a_directory_begins_one_history() {
    let places = kill_everywhere_at_directory(
        |folder| {
            let (victim, other) = (TestHome::at_directory(folder), TestHome::at_directory(folder));
            victim.add("ours");
            (victim, other)
        },
        &["ours"],
    );
    assert_places(&places, &["after receive AddVersion"]);
}

#[test]
fn a_kill_anywhere_while_an_orphaned_version_is_taken_back_loses_nothing() {
    let places = kill_everywhere_at_directory(orphaned, &["ours", "raced", "shared"]);
    assert_places(
        &places,
        &["after commit unorphan", "before send RemoveOrphans", "after receive RemoveOrphans"],
    );
}

/// A directory in which a racing real program has left the victim's last version off the chain.
fn orphaned(folder: &Path) -> (TestHome, TestHome) {
    const RACED: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    let (victim, other) = (TestHome::at_directory(folder), TestHome::at_directory(folder));
    victim.add("shared");
    victim.ta(&["sync"]).done();
    other.ta(&["sync"]).done();
    let file = folder.join("taskchampion-local-sync-server.sqlite3");
    let latest = |connection: &Connection| -> String {
        let sql = "SELECT value FROM data WHERE key = 'latest_version_id'";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let fork = latest(&Connection::open(&file).unwrap());
    victim.add("ours");
    victim.ta(&["sync"]).done();
    let connection = Connection::open(&file).unwrap();
    let update = |property: &str, value: &str| {
        format!(
            r#"{{"Update":{{"uuid":"{RACED}","property":"{property}","value":"{value}","timestamp":"2026-01-02T03:04:05Z"}}}}"#
        )
    };
    let segment = format!(
        r#"{{"operations":[{{"Create":{{"uuid":"{RACED}"}}}},{},{}]}}"#,
        update("description", "raced"),
        update("status", "pending")
    );
    let version = "99999999-9999-4999-8999-999999999999";
    connection
        .execute("INSERT INTO versions VALUES (?1, ?2, ?3)", (version, &fork, segment.as_bytes()))
        .unwrap();
    connection
        .execute("UPDATE data SET value = ?1 WHERE key = 'latest_version_id'", [version])
        .unwrap();
    (victim, other)
}

/// A linear congruential generator (Knuth, MMIX): a seed gives the same moments again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Kills real processes at random moments. What was said to be added is there at the end, once;
/// what was killed while it was added is there once or not at all.
/// Returns how many were said to be added.
fn kill_at_random(seed: u64, kills: u32, homes: [TestHome; 2], fresh: TestHome) -> usize {
    let mut dice = Dice(seed);
    // How long a sync takes here, so that the moments lie within it.
    homes[0].add("measured");
    let began = Instant::now();
    sync(&homes[0]);
    let usual = u64::try_from(began.elapsed().as_micros()).unwrap().max(2_000);
    let (mut said, mut tried) = (vec!["measured".to_owned()], BTreeSet::new());
    for n in 0..kills {
        let home = &homes[usize::from(dice.roll(2) == 0)];
        let description = format!("task {n}");
        let words = match dice.roll(5) {
            0 | 1 => vec!["add", &description, "+tag"],
            2 => vec!["all", "modify", "project:changed"],
            _ => vec!["sync", "--wait", "0"],
        };
        let is_add = words[0] == "add";
        let mut child = home.start(&words);
        std::thread::sleep(Duration::from_micros(dice.roll(usual + usual / 2)));
        child.kill().unwrap();
        let ran = home.ended(child, &words.join(" "));
        if is_add && ran.out.starts_with("Added task") {
            said.push(description.clone());
        }
        if is_add {
            tried.insert(description);
        }
        assert!(
            !ran.err.contains("ta: ") || ran.err.contains("no task matches"),
            "seed {seed}: {ran:?}"
        );
    }
    let [first, second] = &homes;
    let state = settle(&[first, second], &fresh, &format!("at random, seed {seed}"));
    assert_sound(first, "at random");
    assert_sound(second, "at random");
    let there = descriptions(&state);
    for description in &said {
        let times = there.iter().filter(|known| *known == description).count();
        assert_eq!(times, 1, "seed {seed}: {description}");
    }
    let known = |name: &&&str| **name == "measured" || tried.contains(**name);
    assert_eq!(there.iter().filter(known).count(), there.len(), "seed {seed}: {there:?}");
    said.len() - 1
}

#[test]
fn a_hundred_random_kills_through_a_directory_lose_nothing() {
    let said = (0..4).map(|seed| {
        let server_dir = TempDir::new().unwrap();
        let home = || TestHome::at_directory(server_dir.path());
        kill_at_random(seed, 25, [home(), home()], home())
    });
    assert!(said.sum::<usize>() > 0, "nothing ever came to its end");
}

#[test]
fn a_hundred_random_kills_through_a_server_lose_nothing() {
    let said = (10..14).map(|seed| {
        let server = TestServer::new().with_targets();
        kill_at_random(seed, 25, [server.home(), server.home()], server.home())
    });
    assert!(said.sum::<usize>() > 0, "nothing ever came to its end");
}

#[test]
fn after_a_kill_the_file_is_checked_and_that_is_told_once() {
    let server_dir = TempDir::new().unwrap();
    let home = TestHome::at_directory(server_dir.path());
    home.add("buy milk");
    let place = (1..PLACES_MAX).find(|n| {
        let place = killed_at(&home, &["sync"], *n).expect("a sync passes a commit");
        place.starts_with("after commit")
    });
    place.expect("a sync passes a commit");
    let quiet = home.copy();
    let (_, notice) = home.ta(&["list"]).done_with_notices();
    assert_says(&notice, &["not been closed properly", "sound"]);
    home.ta(&["list"]).done();
    quiet.ta(&["sync", "--quiet"]).done();
    quiet.ta(&["list"]).done();
    assert_sound(&home, "after a commit");
}

/// A list that went elsewhere and is on its way back is not told as a stranger's.
#[test]
fn a_move_back_that_was_killed_in_the_middle_is_told_as_one() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let home = TestHome::at_directory(first.path());
    home.add("milk");
    home.ta(&["sync"]).done();
    let home = home.with("TA_SERVER_DIR", second.path());
    home.ta(&["sync"]).done();
    home.add("bread");
    let home = home.with("TA_SERVER_DIR", first.path());
    let restarted = (1..PLACES_MAX).find_map(|n| {
        let copy = home.copy();
        let place = killed_at(&copy, &["sync"], n).expect("the list is on its way back");
        (place == "after commit restart").then_some(copy)
    });
    let home = restarted.expect("it comes by there").with("TA_SERVER_DIR", first.path());
    let ran = home.ta(&["status", "--server", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let server = &ran.json()["server"];
    assert_eq!(server["state"], "other_history");
    let told = "this list was in step there before and is not joined with it again yet";
    assert!(server["text"].as_str().unwrap().starts_with(told), "{server}");
    home.ta(&["sync"]).done();
    assert_eq!(home.ta(&["status", "--server", "--json"]).json()["server"]["state"], "in_step");
}
