//! `ta import` and `ta export`: what comes in, what is refused, and what goes out again.

use serde_json::{Value, json};

use crate::home::{TestHome, assert_says};
use crate::server::{CLIENT_KEY, SECRET, TestServer};
use crate::words::home_with;

#[test]
fn export_and_import_are_a_round_trip_that_says_unchanged_the_second_time() {
    let home = home_with(&[
        &["buy milk", "+shop", "due:2030-01-01", "priority:L"],
        &["then", "depends:1"],
    ]);
    home.ta(&["1", "annotate", "the \"blue\" one"]).done();
    let exported = home.ta(&["export"]).done();
    let tasks: Vec<Value> = serde_json::from_str(&home.ta(&["export"]).out).unwrap();
    assert_eq!(
        (tasks[0]["id"].as_u64(), tasks[0]["due"].as_str()),
        (Some(1), Some("20300101T000000Z"))
    );
    assert_says(&exported, &["the \\\"blue\\\" one"]);

    let other = TestHome::new();
    let json = home.ta(&["export"]).out;
    assert_eq!(other.ta_with_input(&["import"], json.as_bytes()).done(), "Imported: 2 new.\n");
    assert_eq!(other.state(), home.state());
    assert_eq!(
        other.ta_with_input(&["import", "-"], json.as_bytes()).done(),
        "Imported: 2 unchanged.\n"
    );
    std::fs::write(other.path("tasks.json"), &json).unwrap();
    assert_eq!(other.ta(&["import", "tasks.json"]).done(), "Imported: 2 unchanged.\n");
    // An older record never beats a newer edit.
    other.ta(&["1", "modify", "buy oat milk"]).done();
    let later = other.ta(&["1", "export"]).out.replace("buy oat milk", "from long ago");
    let modified = "\"modified\":\"";
    let at = later.find(modified).unwrap() + modified.len();
    let older = format!("{}2001{}", &later[..at], &later[at + 4..]);
    let said = other.ta_with_input(&["import"], older.as_bytes()).done();
    assert_eq!(said, "Imported: 1 older than what is here, left alone.\n");
    assert_says(&other.ta_with_input(&["import"], b"[]").done(), &["Nothing to import"]);
}

#[test]
fn imported_tasks_are_numbered_in_the_order_in_which_they_were_entered() {
    let home = home_with(&[&["here before"]]);
    // Uuids in the opposite order; the last two were entered in one second.
    let json = json!([
        { "uuid": "aaaaaaaa-0000-4000-8000-000000000000", "description": "third", "entry": "20260103T000000Z" },
        { "uuid": "bbbbbbbb-0000-4000-8000-000000000000", "description": "second", "entry": "20260102T000000Z" },
        { "uuid": "cccccccc-0000-4000-8000-000000000000", "description": "first", "entry": "20260101T000000Z" },
        { "uuid": "dddddddd-0000-4000-8000-000000000000", "description": "ended", "entry": "20260101T000000Z",
          "status": "completed", "end": "20260105T000000Z" },
        { "description": "fourth", "entry": "20260104T000000Z" },
        { "description": "fifth", "entry": "20260104T000000Z" },
    ]);
    home.ta_with_input(&["import"], &serde_json::to_vec(&json).unwrap()).done();
    let listed = home.ta(&["list", "--json"]).json();
    let shown: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (task["number"].as_u64(), task["properties"]["description"].as_str()))
        .collect();
    let expected = ["here before", "first", "second", "third", "fourth", "fifth"];
    let expected: Vec<_> = (1..).map(Some).zip(expected.map(Some)).collect();
    assert_eq!(shown, expected);
}

#[test]
fn an_import_that_cannot_be_read_changes_nothing() {
    let home = home_with(&[&["one"]]);
    for bad in [
        &b"{"[..],
        b"not json",
        b"[{\"uuid\":\"rubbish\",\"description\":\"x\"}]",
        b"[{\"description\":\"good\"},{\"due\":\"blah\",\"description\":\"bad\"}]",
        b"\xff\xfe",
    ] {
        let told = home.ta_with_input(&["import"], bad).failed(1);
        assert_says(&told, &["Nothing was imported"]);
    }
    assert_says(&home.ta(&["import", "nowhere.json"]).failed(1), &["nowhere.json"]);
    assert_eq!(home.descriptions(), ["one"]);
}

/// At another place it would be taken for another list, or for one that has lost its history.
#[test]
fn who_takes_over_a_list_that_syncs_is_told_to_set_the_same_server_first() {
    const FIRST: &str = "Set the same server first";
    let server = TestServer::new();
    let source = server.home();
    source.add("milk");
    source.ta(&["sync"]).done();
    let folder = source.data_dir().display().to_string();
    let import = ["import", folder.as_str()];
    let told = TestHome::new().ta(&import).done();
    assert_says(&told, &["This list has been synchronised with http://<server>", FIRST]);
    assert!(!server.home().ta(&import).done().contains(FIRST), "it is the same place");

    let taskrc = format!(
        "data.location={folder}\nsync.server.url={}\nsync.server.client_id={CLIENT_KEY}\n\
         sync.encryption_secret={SECRET}\n",
        server.url()
    );
    let with_taskrc = |home: TestHome| {
        std::fs::write(home.path(".taskrc"), &taskrc).unwrap();
        home
    };
    let told = with_taskrc(TestHome::new()).ta(&import).done();
    assert_says(
        &told,
        &["settings server_origin, server_client_key, encryption_secret.", "or let both"],
    );
    let elsewhere = with_taskrc(server.home().with("TA_SERVER_ORIGIN", "http://127.0.0.1:1"));
    let told = elsewhere.copy().ta(&import).done();
    assert_says(&told, &["Did not take over server_origin: another value", FIRST]);
    assert!(!told.contains(SECRET), "{told}");
    let document = elsewhere.ta(&[&import[..], &["--json"]].concat()).json();
    assert_eq!(document["settings_not_taken"], json!(["server_origin"]));
    assert_eq!(document["set_server_first"], true);
    // What has never been synchronised may begin anywhere.
    let fresh = home_with(&[&["one"]]);
    let told = TestHome::new().ta(&["import", &fresh.data_dir().display().to_string()]).done();
    assert!(!told.contains(FIRST), "{told}");
}

#[test]
fn a_replica_folder_is_taken_over_with_its_settings_by_an_empty_replica_only() {
    let source = home_with(&[&["one"], &["two"]]);
    source.ta(&["sync"]).done();
    source.add("pending");
    let folder = source.data_dir();
    let before = crate::home::look(&folder);
    let target = TestHome::new();
    let taskrc = format!(
        "data.location={}\nsync.local.server_dir={}\n",
        folder.display(),
        source.path(".local/share/taskchampion-sync-server").display()
    );
    std::fs::write(target.path(".taskrc"), taskrc).unwrap();
    let told = target.ta(&["import", &folder.display().to_string()]).done();
    assert_says(&told, &["Took over 3 tasks and 4 changes", "untouched", "server_dir"]);
    assert_says(&told, &["(config.toml) are not in the folder and were not taken over"]);
    // Of a folder that `ta` has never used there is nothing of that kind to say.
    let theirs = source.copy();
    let database = rusqlite::Connection::open(theirs.replica_file()).unwrap();
    let tables = "SELECT group_concat('DROP TABLE ' || name, ';') FROM sqlite_schema
                  WHERE type = 'table' AND name GLOB 'tandem_*'";
    let drops: String = database.query_row(tables, [], |row| row.get(0)).unwrap();
    database.execute_batch(&drops).unwrap();
    drop(database);
    let folder_of_theirs = theirs.data_dir().display().to_string();
    let told = TestHome::new().ta(&["import", &folder_of_theirs]).done();
    assert!(told.contains("Took over 3 tasks") && !told.contains("config.toml"), "{told}");
    assert_says(&told, &["has been synchronised, and", "Set the same server first"]);
    assert_eq!(target.state(), source.state());
    assert_eq!(crate::home::look(&folder)[&source.replica_file()], before[&source.replica_file()]);
    assert_says(&target.ta(&["sync"]).done(), &["up 4 changes · down 0 changes"]);
    let again = target.ta(&["import", &folder.display().to_string()]).failed(1);
    assert_says(&again, &["holds 3 tasks already"]);
    let itself = source.ta(&["import", &folder.display().to_string()]).failed(1);
    assert_says(&itself, &["this replica already"]);
    assert_says(&target.ta(&["import", "."]).failed(1), &["holds no TaskChampion 3 replica"]);
}

#[test]
fn a_record_without_a_description_is_refused_unless_it_says_which_task() {
    let home = home_with(&[&["buy milk"]]);
    let before = home.state();
    let forgotten = br#"[{"description":"fine"},{"descripton":"slip"}]"#;
    assert_says(
        &home.ta_with_input(&["import"], forgotten).failed(1),
        &["record 2 has no description", "Nothing was imported."],
    );
    assert_eq!(home.state(), before);
    // Part of a task that is here; and of one that is not.
    let uuid = home.uuid("buy milk");
    let part = format!(r#"{{"uuid":"{uuid}","project":"home"}}"#);
    assert_eq!(home.ta_with_input(&["import"], part.as_bytes()).done(), "Imported: 1 updated.\n");
    let unnamed = br#"{"uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7","project":"home"}"#;
    let before = home.state();
    assert_says(
        &home.ta_with_input(&["import"], unnamed).failed(1),
        &["record 1 (task <uuid>) has no description"],
    );
    assert_eq!(home.state(), before);
}

#[test]
fn a_record_with_a_status_that_no_program_knows_is_refused_with_all_others() {
    let home = home_with(&[&["buy milk"]]);
    let (before, uuid) = (home.state(), home.uuid("buy milk"));
    let weird = format!(
        r#"[{{"description":"fine"}},{{"uuid":"{uuid}","description":"buy milk","status":"weird"}}]"#
    );
    assert_says(
        &home.ta_with_input(&["import"], weird.as_bytes()).failed(1),
        &["record 2 (task <uuid>) has the status `weird`", "recurring", "Nothing was imported."],
    );
    assert_eq!(home.state(), before);
    let known = ["pending", "waiting", "completed", "deleted", "recurring"]
        .map(|status| format!(r#"{{"description":"{status}","status":"{status}"}}"#));
    let told = home.ta_with_input(&["import"], known.join("\n").as_bytes()).done();
    assert_eq!(told, "Imported: 5 new.\n");
}

#[test]
fn an_export_carries_every_task_that_a_replica_can_hold() {
    let home = home_with(&[&["buy milk"], &["no words"], &["odd one"], &["ended"]]);
    home.ta(&["4", "done"]).done();
    // As another program may have left them.
    let database = rusqlite::Connection::open(home.replica_file()).unwrap();
    let remove = "UPDATE tasks SET data = json_remove(data, '$.description')
                  WHERE data ->> 'description' IN ('no words', 'ended')";
    assert_eq!(database.execute(remove, []).unwrap(), 2);
    let weird = "UPDATE tasks SET data = json_set(data, '$.status', 'weird')
                 WHERE data ->> 'description' = 'odd one'";
    assert_eq!(database.execute(weird, []).unwrap(), 1);
    let bare = "INSERT INTO tasks (uuid, data) VALUES ('56e0be07-c61f-494c-a54c-bdcfdd52d2a7',
                '{\"status\":\"pending\",\"entry\":\"1\",\"modified\":\"1\"}')";
    assert_eq!(database.execute(bare, []).unwrap(), 1);
    drop(database);
    let json = home.ta(&["export"]).out;
    let other = TestHome::new();
    let (said, noticed) =
        other.ta_with_input(&["import", "-"], json.as_bytes()).done_with_notices();
    assert_eq!(said, "Imported: 5 new.\n");
    assert_eq!(noticed.matches("has no description; it was taken").count(), 3, "{noticed}");
    assert_says(&noticed, &["has the status `weird`; it was taken as the export has it."]);
    assert_eq!(other.state(), home.state());
    let again = other.ta_with_input(&["import", "-"], json.as_bytes()).done();
    assert_eq!(again, "Imported: 5 unchanged.\n");
}

#[test]
fn a_circle_of_dependencies_that_is_imported_is_named_and_harms_nothing() {
    let home = home_with(&[&["bystander"]]);
    let ids: Vec<String> =
        (1..=4).map(|n| format!("56e0be07-c61f-494c-a54c-bdcfdd52d2a{n}")).collect();
    let record = |n: usize, on: usize, said: &str| {
        format!(
            r#"{{"uuid":"{}","description":"{said}","entry":{n},"depends":["{}"]}}"#,
            ids[n], ids[on]
        )
    };
    let all =
        [record(0, 1, "hen"), record(1, 0, "egg"), record(2, 0, "cake"), record(3, 3, "self")];
    let (said, noticed) =
        home.ta_with_input(&["import"], all.join("\n").as_bytes()).done_with_notices();
    assert_eq!(said, "Imported: 4 new.\n");
    let warned = "warning: a circle of dependencies, in which none could ever begin: ";
    assert_says(
        &noticed,
        &[
            &format!("{warned}2 \"hen\", 3 \"egg\". To break it: ta 2 modify depends:-3"),
            &format!("{warned}5 \"self\". To break it: ta 5 modify depends:-5"),
        ],
    );
    assert!(!noticed.contains("cake"), "{noticed}");
    // Everything that looks at dependencies ends, and takes them for blocked.
    for words in [&["next"][..], &["list"], &["2", "info"], &["2", "history"], &["export"]] {
        home.ta(words).done();
    }
    assert_eq!(home.ta(&["+BLOCKED", "ids"]).done(), "2-5\n");
    assert_eq!(home.ta(&["+READY", "ids"]).done(), "1\n");
    // The cure that is named works, and an import of something else warns of no old circle.
    home.ta(&["2", "modify", "depends:-3"]).done();
    home.ta(&["5", "modify", "depends:-5"]).done();
    assert_eq!(home.ta(&["+READY", "ids"]).done(), "1-2 5\n");
}

#[test]
fn undo_of_an_import_or_a_change_of_many_is_one_step() {
    let home = home_with(&[&["one"]]);
    let tasks: Vec<Value> =
        (0..30).map(|n| json!({ "description": format!("task {n}") })).collect();
    let json = serde_json::to_vec(&tasks).unwrap();
    home.ta_with_input(&["import"], &json).done();
    let told = home.ta(&["all", "modify", "+many"]).done();
    assert_says(&told, &["Modified 31 tasks in all."]);
    assert_says(&home.ta(&["undo"]).done(), &["Undid `modify` on 31 tasks"]);
    assert_says(&home.ta(&["undo"]).done(), &["Undid `import` on 30 tasks"]);
    assert_eq!(home.descriptions(), ["one"]);
}
