//! What `ta doctor`, `ta status --server` and `ta verify` say before a sync is what it then says, also
//! where it would fail.

use tandem_tasks::session::Urgency;
use tempfile::TempDir;

use crate::home::{TestHome, assert_says};
use crate::scripted::keep;
use crate::server::{CLIENT_KEY, NOBODY, TestServer};

/// A server that has forgotten the version on which the second replica stands.
fn gone() -> (TestServer, TestHome) {
    let server = TestServer::new();
    let (ahead, behind) = (server.home(), server.home());
    ahead.add("one");
    ahead.ta(&["sync"]).done();
    behind.ta(&["sync"]).done();
    ahead.add("two");
    ahead.ta(&["sync"]).done();
    ahead.add("three");
    server.memory.force_urgency(Some(Urgency::High));
    ahead.ta(&["sync"]).done();
    server.memory.expire(server.memory.latest());
    (server, behind)
}

/// Another program writes all the while: whoever wanted to write, too, would wait for it in vain.
#[test]
fn looking_waits_for_no_writer_where_the_version_has_gone() {
    let (_server, home) = gone();
    let other = rusqlite::Connection::open(home.replica_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let document = home.ta(&["status", "--server", "--json"]).json();
    assert_eq!(document["server"]["state"], "gone", "{document}");
    assert_says(&home.ta(&["doctor"]).done(), &["`ta sync` takes the server's present"]);
    other.execute_batch("ROLLBACK").unwrap();
    home.ta(&["sync"]).done();
}

#[test]
fn a_wrong_path_is_told_in_one_sentence() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    server.twist(|_, _| Some(keep(404, &[("content-type", "text/html")], b"<html>")));
    let told = [
        "that is not a task server's answer (status 404)",
        "the path may be missing, or be one too many",
    ];
    assert_says(&home.ta(&["sync"]).failed(1), &told);
    let ran = home.ta(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_says(&ran.out, &told);
}

#[test]
fn a_line_in_clear_is_told_once() {
    let server = TestServer::new();
    server.twist(|_, _| Some(keep(404, &[], b"no such client")));
    // The server stands for a proxy on the way to one that is elsewhere.
    let home = server.home().with("http_proxy", server.url());
    let home = home.with("TA_SERVER_ORIGIN", "http://tasks.invalid/");
    let ran = home.ta(&["doctor"]);
    let told = format!("{}{}", ran.out, ran.err);
    assert_eq!(told.matches("not encrypted").count(), 1, "{told}");
    assert_says(&told, &["ok       settings", "warning  tls"]);
    // Other commands go on telling it.
    assert_says(&home.ta(&["list"]).err, &["is not encrypted"]);
    // What the settings may not mean is told beside what they lack.
    let home = home.without("TA_ENCRYPTION_SECRET").with("TA_ENCRYPTION_SECRT", "x");
    let ran = home.ta(&["doctor"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(3), ""), "{ran:?}");
    assert_says(&ran.out, &["problem  settings", "TA_ENCRYPTION_SECRT is set and means nothing"]);
}

#[test]
fn a_file_of_certificates_that_is_gone_is_a_matter_of_the_settings() {
    let home = TestServer::new().home().with("TA_SERVER_ORIGIN", "https://127.0.0.1:1");
    let home = home.with("TA_CA_FILE", "nowhere.pem");
    home.add("milk");
    home.ta(&["sync"]).failed(3);
    let ran = home.ta(&["doctor"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_says(&ran.out, &["problem  settings", "nowhere.pem", "skipped  server"]);
}

/// The same error by all three, but for what a sync says of that which waits.
#[track_caller]
fn told_alike(home: &TestHome, code: i32, kind: &str) {
    let json = |words: &[&str]| {
        let ran = home.ta(words);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        ran.json()
    };
    let sync = json(&["sync", "--json"]);
    let doctor = json(&["doctor", "--json"]);
    let status = json(&["status", "--server", "--json"]);
    assert_eq!(status["error"], doctor["error"]);
    assert_eq!((&status["error"]["kind"], &status["error"]["code"]), (&kind.into(), &code.into()));
    for key in ["code", "kind", "message"] {
        assert_eq!(status["error"][key], sync["error"][key], "{key}");
    }
}

#[test]
fn why_a_server_does_not_answer_is_told_to_programs_alike() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    for (status, code, kind) in
        [(403, 5, "client_forbidden"), (500, 1, "server_error"), (507, 4, "server_error")]
    {
        server.twist(move |_, _| Some(keep(status, &[], b"")));
        told_alike(&home, code, kind);
    }
    let home = home.with("TA_SERVER_ORIGIN", format!("http://{NOBODY}"));
    told_alike(&home, 4, "server_nobody_listens");
    let home = home
        .with("TA_SERVER_ORIGIN", "http://tasks.invalid")
        .with("http_proxy", format!("http://{NOBODY}"));
    told_alike(&home, 4, "proxy_unreachable");
    let home = home.with("http_proxy", "http://a b");
    told_alike(&home, 3, "proxy_address");
    let told = home.ta(&["sync"]).failed(3);
    assert_says(&told, &["the proxy cannot be used", "Correct the proxy's address in http_proxy"]);
    let well = TestHome::new();
    well.add("milk");
    assert!(well.ta(&["status", "--server", "--json"]).json()["error"].is_null());
    assert_eq!(well.ta(&["status", "--json"]).json().get("error"), None, "nobody was asked");
}

#[test]
fn the_kind_of_trouble_with_a_folder_is_told_to_programs() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let home = TestHome::at_directory(&file);
    home.add("milk");
    let sync = home.ta(&["sync", "--json"]).json();
    let doctor = home.ta(&["doctor", "--json"]).json();
    assert_eq!(doctor["error"]["kind"], "directory_not_a_folder");
    for key in ["code", "kind", "message"] {
        assert_eq!(doctor["error"][key], sync["error"][key], "{key}");
    }
    let well = TestHome::new();
    well.add("milk");
    assert!(well.ta(&["doctor", "--json"]).json()["error"].is_null());
}

/// `ta verify` ends with the code of the sync after it, and says why.
#[track_caller]
fn verified(home: &TestHome, state: &str, said: &[&str]) -> i32 {
    let document = home.ta(&["verify", "--json"]).json();
    assert_eq!((&document["sound"], &document["not_compared"]), (&true.into(), &state.into()));
    let ran = home.ta(&["verify"]);
    assert_says(&ran.out, said);
    let code = home.ta(&["sync"]).code;
    assert_eq!(ran.code, code, "{ran:?}");
    if state == "failed" {
        assert_eq!(document["error"]["code"].as_i64(), code.map(i64::from), "{document}");
    }
    code.unwrap()
}

#[test]
fn verify_says_of_a_place_without_the_history_what_a_sync_says() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    home.ta(&["sync"]).done();
    // A server that has lost everything gets it again.
    let lost = TestServer::new();
    let home = home.with("TA_SERVER_ORIGIN", lost.url());
    assert_eq!(verified(&home, "empty", &["ta sync offers the whole list"]), 0);
    // Another client id at the server of the list is rather a typo.
    let other = CLIENT_KEY.replace('1', "9");
    let typo = home.copy().with("TA_SERVER_CLIENT_KEY", &other);
    lost.twist(|_, _| Some(keep(404, &[], b"no such client")));
    assert_eq!(verified(&typo, "no_such_client", &["If this is a new list"]), 7);
    // A disk is not mounted.
    let disk = TempDir::new().unwrap();
    let folder = disk.path().join("server");
    let home = TestHome::at_directory(&folder);
    home.add("milk");
    home.ta(&["sync"]).done();
    std::fs::rename(&folder, disk.path().join("away")).unwrap();
    assert_eq!(verified(&home, "failed", &["is empty now", "Mount the disk"]), 3);
}

#[test]
fn a_refusal_is_told_of_a_list_that_was_never_synced_too() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    server.twist(|_, _| Some(keep(403, &[], b"")));
    let said = ["Not compared: the server does not allow this client.", "Ask the operator"];
    assert_eq!(verified(&home, "failed", &said), 5);
}

/// The one thing that is told before it matters (docs/reference/cli.md).
#[test]
fn a_secret_that_was_changed_is_noticed_by_doctor_before_a_sync_needs_it() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    home.ta(&["sync"]).done();
    let home = home.with("TA_ENCRYPTION_SECRET", "quite another secret, as long as the other");
    assert_eq!(home.ta(&["doctor"]).code, Some(6));
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
    home.add("tea");
    assert_eq!(home.ta(&["doctor"]).code, Some(6));
    home.ta(&["sync"]).failed(6);
}

/// What `ta doctor` and `ta status --server` end with is what the sync after them does.
#[track_caller]
fn foreseen_code(home: &TestHome) -> i32 {
    let doctor = home.ta(&["doctor", "--json"]);
    let status = home.ta(&["status", "--server"]);
    let sync = home.ta(&["sync"]);
    assert_eq!(
        (doctor.code, status.code),
        (sync.code, sync.code),
        "{doctor:?} {status:?} {sync:?}"
    );
    sync.code.unwrap()
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_made_is_foreseen() {
    use std::os::unix::fs::symlink;
    let disk = TempDir::new().unwrap();
    let folder = disk.path().join("server");
    let home = TestHome::at_directory(&folder);
    assert_says(
        &home.ta(&["doctor"]).done(),
        &["is not there yet; the first sync of a list makes it"],
    );
    assert!(!folder.exists(), "looking makes nothing");
    // A link to a disk that is not mounted.
    symlink(disk.path().join("unmounted"), &folder).unwrap();
    assert_says(&home.ta(&["doctor"]).done(), &["nothing new can be put there at present"]);
    assert_eq!(foreseen_code(&home), 0, "nothing is to be put there yet");
    home.add("milk");
    let document = home.ta(&["doctor", "--json"]).json();
    assert_eq!(document["error"]["kind"], "directory_cannot_be_made", "{document}");
    assert_says(&home.ta(&["status"]).done(), &["cannot be made"]);
    assert_eq!(foreseen_code(&home), 3);
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(foreseen_code(&home), 0);
    assert_says(&home.ta(&["doctor"]).done(), &["can be read and written"]);
}

/// In step with one folder, and sent to another that is not there: it stays where it was.
#[cfg(unix)]
#[test]
fn a_list_that_finds_no_room_at_its_new_place_still_belongs_to_the_old_one() {
    let (first, other, disk) =
        (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let neighbour = TestHome::at_directory(other.path());
    neighbour.add("of another list");
    neighbour.ta(&["sync"]).done();
    let home = TestHome::at_directory(first.path());
    home.add("milk");
    home.ta(&["sync"]).done();
    let unmounted = disk.path().join("tasks");
    std::os::unix::fs::symlink(disk.path().join("unmounted"), &unmounted).unwrap();

    let home = home.with("TA_SERVER_DIR", &unmounted);
    assert_eq!(foreseen_code(&home), 3);
    let status = home.ta(&["status", "--json"]).json();
    assert_eq!(status["waiting"], 0, "{status}");
    let home = home.with("TA_SERVER_DIR", other.path());
    assert_says(&home.ta(&["sync"]).failed(7), &["holds a list of its own", "ta sync --join"]);
    let home = home.with("TA_SERVER_DIR", first.path());
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
}

#[cfg(unix)]
#[test]
fn a_replica_that_cannot_be_made_is_foreseen() {
    let home = TestHome::new();
    std::fs::create_dir_all(home.path(".local/share")).unwrap();
    std::os::unix::fs::symlink(home.path("unmounted"), home.data_dir()).unwrap();
    assert_says(&home.ta(&["doctor"]).out, &["problem  replica", "no replica can be made in"]);
    assert_eq!(foreseen_code(&home), 1);
    // The folder of another program's list.
    let home = TestHome::new();
    std::fs::create_dir_all(home.data_dir()).unwrap();
    std::fs::write(home.data_dir().join("pending.data"), "").unwrap();
    assert_eq!(foreseen_code(&home), 3);
}

#[test]
fn a_lock_that_cannot_be_taken_is_foreseen() {
    let home = TestHome::new();
    home.add("milk");
    std::fs::create_dir(home.data_dir().join("tandem-sync.lock")).unwrap();
    assert_says(&home.ta(&["doctor"]).out, &["problem  folder", "tandem-sync.lock cannot be used"]);
    assert_eq!(foreseen_code(&home), 1);
}
