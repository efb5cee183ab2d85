//! What a server may do to a history: trim it, go back, hold what we cannot read, want snapshots.

use tandem_core::VersionId;
use tandem_tasks::session::Urgency;

use crate::home::{TestHome, assert_says};
use crate::scripted::keep;
use crate::server::{TestServer, sealed, sealed_snapshot};

const TASK: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

fn operations(description: &str) -> String {
    format!(
        r#"[{{"Create":{{"uuid":"{TASK}"}}}},{{"Update":{{"uuid":"{TASK}","property":"description","value":"{description}","timestamp":"2026-01-02T03:04:05.5Z"}}}}]"#
    )
}

/// A version from elsewhere that cannot be used, after one that can.
#[track_caller]
fn stops_before(segment: &[u8]) -> (TestServer, TestHome, String) {
    let server = TestServer::new();
    let home = server.home();
    home.add("ours");
    home.ta(&["sync"]).done();
    server.push(&format!(r#"{{"operations":{}}}"#, operations("good")));
    let good = server.memory.latest();
    server.memory.push(crate::server::sealed_bytes(good, segment));
    home.add("waits");
    let told = home.ta(&["sync"]).failed(1);
    // What came before it is applied, nothing is pushed, and local work goes on.
    assert_eq!(home.descriptions(), ["good", "ours", "waits"]);
    assert_eq!(server.memory.chain().len(), 3);
    assert_says(&told, &["4 changes wait safely here"]);
    home.ta(&["1", "modify", "project:home"]).done();
    home.ta(&["undo"]).done();
    assert_eq!(home.ta(&["sync", "--json"]).json()["outcome"], "failed");
    (server, home, told)
}

#[test]
fn an_operation_of_a_future_kind_stops_the_sync_before_it() {
    let segment = format!(r#"{{"operations":[{{"Frobnicate":{{"uuid":"{TASK}"}}}}]}}"#);
    let (server, _, told) = stops_before(segment.as_bytes());
    assert_says(&told, &["`Frobnicate`", "Update ta on this machine"]);
    // A new replica gets as far, too.
    let fresh = server.home();
    assert_says(&fresh.ta(&["sync"]).failed(1), &["`Frobnicate`"]);
    assert_eq!(fresh.descriptions(), ["good", "ours"]);
}

#[test]
fn malformed_segments_stop_the_sync_before_them() {
    let deep = "[".repeat(100_000);
    for segment in [
        &b"this is no segment"[..],
        b"",
        b"{}",
        b"{\"operations\":17}",
        b"{\"operations\":[{\"Create\":{\"uuid\":\"rubbish\"}}]}",
        b"{\"operations\":[",
        b"\xff\xfe not UTF-8 \x80",
        deep.as_bytes(),
    ] {
        let (.., told) = stops_before(segment);
        assert_says(&told, &["cannot be read"]);
    }
}

#[test]
fn malformed_snapshots_change_nothing() {
    let good = tandem_tasks::snapshot::write(&tandem_tasks::TaskSet::from([(
        TASK.parse().unwrap(),
        [("description", "in the snapshot")].into_iter().collect(),
    )]));
    let server = TestServer::new();
    let behind = server.home();
    server.push(&operations("first"));
    behind.ta(&["sync"]).done();
    behind.add("waits");
    server.push(&operations("second"));
    let latest = server.memory.latest();
    for (body, is_good) in [
        (&b"no zlib at all"[..], false),
        (b"", false),
        (&good[..good.len() / 2], false),
        (&good[..good.len() - 1], false),
        (&good[..], true),
    ] {
        server.memory.add_snapshot(latest, sealed_snapshot(latest, body));
        server.memory.damage(latest, &sealed_snapshot(latest, body));
        server.memory.expire(latest);
        let fresh = server.home();
        fresh.add("its own");
        if is_good {
            behind.ta(&["sync"]).done();
            fresh.ta(&["sync"]).done();
            assert_eq!(fresh.descriptions(), ["in the snapshot", "its own", "waits"]);
            continue;
        }
        assert_says(&fresh.ta(&["sync"]).failed(1), &["cannot be read", "wait safely here"]);
        assert_eq!(fresh.descriptions(), ["its own"]);
        assert_says(&behind.ta(&["sync"]).failed(1), &["cannot be read", "wait safely here"]);
        assert_eq!(behind.descriptions(), ["first", "waits"]);
    }
}

#[test]
fn a_version_sealed_with_another_secret_is_exit_6() {
    let server = TestServer::new();
    let home = server.home();
    home.add("ours");
    home.ta(&["sync"]).done();
    let latest = server.memory.latest();
    server.memory.push(sealed(VersionId::NIL, "bound to another version"));
    assert_ne!(latest, server.memory.latest());
    assert_says(
        &home.ta(&["sync"]).failed(6),
        &["different secret", "config set encryption_secret"],
    );
}

#[test]
fn a_segment_as_a_bare_array_is_read() {
    let server = TestServer::new();
    server.push(&operations("bare"));
    let home = server.home();
    assert_says(&home.ta(&["sync"]).done(), &["down 2 changes in 1 task"]);
    assert_eq!(home.descriptions(), ["bare"]);
}

#[test]
fn more_than_a_megabyte_goes_up_in_several_versions() {
    let server = TestServer::new();
    let home = server.home();
    let tasks: Vec<serde_json::Value> = (0..6)
        .map(|n| {
            serde_json::json!({
                "uuid": format!("00000000-0000-4000-8000-00000000000{n}"),
                "description": format!("{n} {}", "long ".repeat(80_000)),
                "status": "pending", "entry": "20260101T000000Z", "modified": "20260101T000000Z",
            })
        })
        .collect();
    let json = serde_json::to_vec(&tasks).unwrap();
    assert_eq!(home.ta_with_input(&["import"], &json).done(), "Imported: 6 new.\n");
    let document = home.ta(&["sync", "--json"]).json();
    let segments = server.segments();
    assert!(segments.len() >= 3, "{} versions", segments.len());
    assert_eq!(document["up"]["versions"], segments.len());
    // Two requests to learn that there is nothing yet, then one for each version.
    assert_eq!(document["requests"], segments.len() + 2);
    assert!(segments.iter().all(|segment| segment.len() <= 1_000_100));
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}

#[test]
fn a_snapshot_is_made_when_asked_and_a_new_replica_begins_with_it() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    server.memory.force_urgency(Some(Urgency::Low));
    let document = home.ta(&["sync", "--json"]).json();
    assert_eq!(document["snapshot_made"], document["base_version"]);
    assert_eq!(server.memory.counts().add_snapshot, 1);
    // Once per request: a sync with nothing to do offers none.
    home.ta(&["sync"]).done();
    assert_eq!(server.memory.counts().add_snapshot, 1);

    server.memory.force_urgency(Some(Urgency::None));
    home.add("after the snapshot");
    home.ta(&["sync"]).done();
    server.memory.expire(server.memory.chain()[0].version);
    let fresh = server.home();
    fresh.add("a few of its own");
    // Neither its own task nor what came after the snapshot was in that.
    let told = fresh.ta(&["sync"]).done();
    assert_says(&told, &["Began from the server's snapshot, with 1 task in it."]);
    home.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
    assert_eq!(home.descriptions().len(), 3);
}

#[test]
fn avoid_snapshots_leaves_low_urgency_to_others() {
    let server = TestServer::new();
    let home = server.home().with("TA_AVOID_SNAPSHOTS", "true");
    for (urgency, offered) in [(Urgency::Low, 0), (Urgency::High, 1)] {
        server.memory.force_urgency(Some(urgency));
        home.add("buy milk");
        home.ta(&["sync"]).done();
        assert_eq!(server.memory.counts().add_snapshot, offered);
    }
}

#[test]
fn a_snapshot_that_could_not_be_stored_is_offered_again() {
    let server = TestServer::new();
    server.memory.force_urgency(Some(Urgency::High));
    server.twist(|request, _| {
        request.path.contains("/add-snapshot/").then(|| keep(507, &[], b"full"))
    });
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes", "will be tried again"]);
    assert_eq!(home.ta(&["status", "--json"]).json()["snapshot_wanted"], true);
    server.untwist();
    home.ta(&["sync"]).done();
    assert_eq!(server.memory.counts().add_snapshot, 1);
    assert_eq!(home.ta(&["status", "--json"]).json()["snapshot_wanted"], false);
}

#[test]
fn a_reference_servers_own_schedule_of_snapshots_is_followed() {
    let server = TestServer::new().with_targets();
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    assert_eq!(server.memory.counts().add_snapshot, 1, "the first version has urgency high");
}

/// A server that has forgotten its beginning, a replica in step with it and one that is behind.
fn trimmed() -> (TestServer, TestHome, TestHome) {
    let server = TestServer::new();
    let (ahead, behind) = (server.home(), server.home());
    for description in ["one", "three"] {
        ahead.add(description);
    }
    // Last changed long ago, so that every later change stamps it anew.
    let two = br#"[{"description":"two","status":"pending","modified":"20200101T000000Z"}]"#;
    ahead.ta_with_input(&["import"], two).done();
    ahead.ta(&["sync"]).done();
    behind.ta(&["sync"]).done();
    ahead.add("four");
    ahead.ta(&[&ahead.uuid("one"), "modify", "project:ahead"]).done();
    ahead.ta(&[&ahead.uuid("two"), "modify", "project:theirs"]).done();
    ahead.ta(&["sync"]).done();
    ahead.add("five");
    server.memory.force_urgency(Some(Urgency::High));
    ahead.ta(&["sync"]).done();
    server.memory.force_urgency(Some(Urgency::None));
    (server, ahead, behind)
}

#[test]
fn trimmed_history_is_survived_with_everything_that_waits() {
    let (server, ahead, behind) = trimmed();
    behind.add("six, made behind");
    behind.ta(&[&behind.uuid("one"), "modify", "+behind"]).done();
    behind.ta(&[&behind.uuid("three"), "done"]).done();
    let numbers = |home: &TestHome| -> Vec<(serde_json::Value, serde_json::Value)> {
        let tasks = home.ta(&["all", "list", "--json"]).json();
        let old = |task: &&serde_json::Value| task["number"].as_u64().is_some_and(|n| n <= 2);
        let pair = |task: &serde_json::Value| (task["number"].clone(), task["uuid"].clone());
        tasks.as_array().unwrap().iter().filter(old).map(pair).collect()
    };
    let before = numbers(&behind);
    server.memory.expire(server.memory.latest());
    let told = behind.ta(&["sync"]).done();
    assert_says(
        &told,
        &["began again from the server's present", "What had been changed here was kept"],
    );
    ahead.ta(&["sync"]).done();
    assert_eq!(ahead.state(), behind.state());
    assert_eq!(ahead.descriptions().len(), 6);
    let first = ahead.state().into_values().find(|task| task["description"] == "one").unwrap();
    assert_eq!((first["project"].as_str(), first["tag_behind"].as_str()), ("ahead", "x"));
    let after = numbers(&behind);
    assert!(after.iter().all(|pair| before.contains(pair)), "task numbers are kept");
    assert_eq!(behind.ta(&["sync"]).done(), "in step\n");
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), behind.state());
}

#[test]
fn a_conflict_across_trimmed_history_is_told_and_can_be_restored() {
    let (server, ahead, behind) = trimmed();
    behind.ta(&[&behind.uuid("two"), "modify", "project:ours"]).done();
    server.memory.expire(server.memory.latest());
    let told = behind.ta(&["sync"]).done();
    // Made within one second, as tests are: either may win, and the other one is told.
    assert_says(&told, &["ta conflicts restore 1", "\"theirs\"", "\"ours\""]);
    ahead.ta(&["sync"]).done();
    assert_eq!(ahead.state(), behind.state());
}

#[test]
fn an_older_edit_of_ours_that_lost_across_trimmed_history_is_one_conflict() {
    let (server, ahead, behind) = trimmed();
    let uuid = behind.uuid("two");
    behind.ta(&[&uuid, "modify", "project:ours", "+tag"]).done();
    let record = format!(
        r#"[{{"uuid":"{uuid}","description":"two","status":"pending","project":"much later","modified":"20300101T000000Z"}}]"#
    );
    ahead.ta_with_input(&["import"], record.as_bytes()).done();
    server.memory.force_urgency(Some(Urgency::High));
    ahead.ta(&["sync"]).done();
    server.memory.expire(server.memory.latest());
    behind.ta(&["sync"]).done();
    let rows = behind.ta(&["conflicts", "--json"]).json();
    let told: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["property"]).collect();
    assert_eq!(told, ["project"], "stamps and what merges by parts are no conflicts");
    assert_eq!((&rows[0]["kept"], &rows[0]["lost"]), (&"much later".into(), &"ours".into()));
    ahead.ta(&["sync"]).done();
    assert_eq!(ahead.state(), behind.state());
}

#[test]
fn tasks_that_a_trimmed_server_no_longer_has_are_kept_and_told() {
    let (server, ahead, behind) = trimmed();
    // A program that purges writes a real Delete; its version and the one before go.
    let uuid = ahead.uuid("two");
    let purge = format!(r#"{{"operations":[{{"Delete":{{"uuid":"{uuid}"}}}}]}}"#);
    server.push(&purge);
    server.memory.force_urgency(Some(Urgency::High));
    ahead.add("makes the snapshot");
    ahead.ta(&["sync"]).done();
    server.memory.expire(server.memory.latest());
    let told = behind.copy().ta(&["sync"]).done();
    let kept = format!("were kept and sent again: {}", &uuid[..8]);
    assert_says(&told, &["1 task that the server no longer had", &kept]);
}

#[test]
fn a_history_without_beginning_or_snapshot_is_an_error_for_all() {
    let (server, _, behind) = trimmed();
    behind.add("waits");
    server.memory.drop_snapshot();
    server.memory.expire(server.memory.chain()[1].version);
    let told = behind.ta(&["sync"]).failed(1);
    assert_says(&told, &["no beginning and no snapshot", "wait safely here"]);
    assert_says(&server.home().ta(&["sync"]).failed(1), &["no beginning and no snapshot"]);
    assert_eq!(behind.descriptions().len(), 4);
}

#[test]
fn a_server_restored_from_a_backup_is_brought_up_only_when_a_person_says_so() {
    let server = TestServer::new();
    let (laptop, desktop) = (server.home(), server.home());
    laptop.add("before the backup");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    let backup = server.memory.checkpoint();
    laptop.add("after the backup");
    laptop.ta(&["1", "modify", "project:later"]).done();
    laptop.ta(&["sync"]).done();
    server.memory.restore(&backup);
    laptop.add("not synced yet");

    let ran = laptop.ta(&["sync"]);
    assert_eq!(ran.out, "", "nothing was done, so nothing is told");
    let told = ran.failed(7);
    assert_says(&told, &["gone back to an older state", "differ", "ta sync --upload-difference"]);
    assert_eq!(server.memory.chain().len(), 1);
    assert_eq!(laptop.descriptions().len(), 3);
    laptop.ta(&["sync", "--upload-difference"]).done();
    desktop.ta(&["sync"]).done();
    assert_eq!(laptop.state(), desktop.state());
    assert_eq!(desktop.descriptions().len(), 3);
    assert_eq!(laptop.ta(&["sync"]).done(), "in step\n");
}

#[test]
fn a_server_that_was_emptied_gets_the_list_again() {
    let server = TestServer::new();
    let empty = server.memory.checkpoint();
    let (laptop, desktop) = (server.home(), server.home());
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    desktop.ta(&["sync"]).done();
    server.memory.restore(&empty);
    laptop.add("second");
    let ran = laptop.ta(&["sync"]);
    assert!(ran.code.is_some_and(|code| code == 0 || code == 7), "{ran:?}");
    assert_eq!(laptop.descriptions(), ["buy milk", "second"], "nothing is lost here");
}

#[test]
fn a_foreign_list_under_the_same_id_is_asked_about() {
    let server = TestServer::new();
    let home = server.home();
    home.add("ours");
    home.ta(&["sync"]).done();
    let empty = TestServer::new().memory.checkpoint();
    server.memory.restore(&empty);
    server.push(&format!(r#"{{"operations":{}}}"#, operations("theirs")));
    server.push(&format!(r#"{{"operations":{}}}"#, operations("theirs")));
    let ran = home.ta(&["sync"]);
    assert_eq!(ran.out, "", "nothing was done, so nothing is told");
    assert_says(&ran.failed(7), &["no task in common", "ta sync --join"]);
    assert_eq!(home.descriptions(), ["ours"]);
    home.ta(&["sync", "--join"]).done();
    assert_eq!(home.descriptions(), ["ours", "theirs"]);
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}
