//! `ta sync` with settings that are not right: secrets, client ids, keys that are missing.

use crate::home::{TestHome, assert_says, look};
use crate::scripted::keep;
use crate::server::{CLIENT_KEY, SECRET, TestServer};

const OTHER_SECRET: &str = "another secret of a good length, too";

#[test]
fn a_wrong_secret_is_exit_6_before_anything_is_written() {
    let server = TestServer::new();
    let laptop = server.home();
    laptop.add("buy milk");
    laptop.ta(&["sync"]).done();
    for has_tasks in [false, true] {
        let other = server.home().with("TA_ENCRYPTION_SECRET", OTHER_SECRET);
        if has_tasks {
            other.add("its own");
        }
        let told = other.ta(&["sync"]).failed(6);
        assert_says(&told, &["different secret", "ta config set encryption_secret -"]);
        assert_eq!(other.descriptions().len(), usize::from(has_tasks));
        let document = other.ta(&["sync", "--json"]);
        assert_eq!(document.code, Some(6));
        assert_eq!(document.json()["error"]["code"], 6);
    }
    assert_eq!(server.memory.chain().len(), 1);
}

#[test]
fn a_changed_secret_is_proved_again_before_it_writes() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    home.add("second");
    let home = home.with("TA_ENCRYPTION_SECRET", OTHER_SECRET);
    home.ta(&["sync"]).failed(6);
    assert_eq!(server.memory.chain().len(), 1, "nothing was pushed under the wrong secret");
    let home = home.with("TA_ENCRYPTION_SECRET", SECRET);
    home.ta(&["sync"]).done();
    assert_eq!(server.segments().len(), 2);
}

#[test]
fn an_empty_replica_that_finds_no_history_asks_whether_it_is_a_typo() {
    let server = TestServer::new();
    let home = server.home();
    for _ in 0..2 {
        let told = home.ta(&["sync"]).done();
        assert_says(&told, &["has no history for this client", "or a typo in server_client_key"]);
    }
    assert_says(&home.ta(&["sync", "--quiet"]).done(), &["no history for this client"]);
    assert_eq!(home.ta(&["sync", "--json"]).json()["outcome"], "no_history");
    home.add("the first task");
    let told = home.ta(&["sync"]).failed(7);
    assert_says(&told, &["no history for this client", "ta sync --new-history"]);
    assert_eq!(server.memory.counts().add_version, 0);
    assert_says(&home.ta(&["sync", "--new-history"]).done(), &["up 4 changes"]);
    home.add("second");
    home.ta(&["sync"]).done();
}

#[test]
fn a_replica_that_comes_with_tasks_just_uploads() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    assert_says(&home.ta(&["sync"]).done(), &["up 4 changes"]);
}

/// Nobody can tell a typo from a new list there, so that it is said which of the two it was taken for.
#[test]
fn a_list_that_never_synced_is_told_that_it_begins_a_history() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let told = home.ta(&["sync"]).done();
    let sentence = "which held none. If it should have held one, check server_client_key.";
    assert_says(&told, &["up 4 changes", "A new history was begun at http://", sentence]);
    let second = server.home();
    assert!(!second.ta(&["sync"]).done().contains("begun"));

    let asked = TestServer::new();
    let home = asked.home();
    home.add("buy milk");
    let told = home.ta(&["sync", "--new-history", "--json"]).json();
    assert_eq!(told["began_history"], false);
}

#[test]
fn a_mistyped_client_id_of_a_replica_in_use_changes_nothing_at_either_server() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    // The reference's words for an id that it has never seen.
    server.twist(|request, _| {
        (request.header("x-client-id") != Some(CLIENT_KEY)).then(|| {
            keep(404, &[], if request.path.ends_with("snapshot") { b"" } else { b"no such client" })
        })
    });
    let home = home.with("TA_SERVER_CLIENT_KEY", "11111111-2222-4333-8444-555555555556");
    let told = home.ta(&["sync", "--quiet"]).failed(7);
    assert_says(&told, &["has no history for this client", "--new-history"]);
    home.ta(&["sync", "--new-history"]).failed(5);
    let home = home.with("TA_SERVER_CLIENT_KEY", CLIENT_KEY);
    home.add("second");
    home.ta(&["sync"]).done();
    let fresh = server.home();
    fresh.ta(&["sync"]).done();
    assert_eq!(fresh.state(), home.state());
}

#[test]
fn one_missing_key_of_three_is_exit_3_and_named() {
    let server = TestServer::new();
    for missing in ["TA_SERVER_ORIGIN", "TA_SERVER_CLIENT_KEY", "TA_ENCRYPTION_SECRET"] {
        let home = server.home().without(missing);
        home.add("local work goes on");
        let told = home.ta(&["sync"]).failed(3);
        assert_says(&told, &[&missing["TA_".len()..].to_lowercase()]);
        assert_says(&home.ta(&["status"]).done(), &["settings error"]);
    }
    assert!(server.received().is_empty());
}

#[test]
fn origin_and_client_id_are_normalised() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    home.ta(&["sync"]).done();
    let spelled =
        format!("HTTP://{}//", server.url().trim_start_matches("http://").trim_end_matches('/'));
    let upper = format!("{{{}}}", CLIENT_KEY.to_uppercase());
    let home = home.with("TA_SERVER_ORIGIN", spelled).with("TA_SERVER_CLIENT_KEY", upper);
    assert_eq!(home.ta(&["sync"]).done(), "in step\n");
}

#[test]
fn stray_white_space_in_a_secret_is_named() {
    let home = TestHome::new();
    for bad in ["abc ", " abc", "abc\t"] {
        let told = home.ta(&["config", "set", "encryption_secret", bad]).failed(3);
        assert_says(&told, &["white space"]);
        assert!(!told.contains("abc"), "{told}");
    }
    let told =
        home.ta_with_input(&["config", "set", "encryption_secret", "-"], b"abc\n\n").failed(3);
    assert_says(&told, &["white space"]);
    let from_environment = TestServer::new().home().with("TA_ENCRYPTION_SECRET", "abc ");
    assert_says(
        &from_environment.ta(&["sync"]).failed(3),
        &["white space", "TA_ENCRYPTION_SECRET"],
    );
}

#[test]
fn a_secret_comes_from_the_line_standard_input_or_a_file() {
    let server = TestServer::new();
    let home = TestHome::new();
    let (out, notice) =
        home.ta(&["config", "set", "encryption_secret", SECRET]).done_with_notices();
    assert_eq!(out, "Set encryption_secret in $HOME/.config/tandem/config.toml\n");
    assert_eq!(notice.lines().count(), 1, "{notice}");
    std::fs::write(home.path("secret"), format!("{SECRET}\n")).unwrap();
    for (argument, input) in [("-", format!("{SECRET}\n")), ("file:~/secret", String::new())] {
        let words = ["config", "set", "encryption_secret", argument];
        home.ta_with_input(&words, input.as_bytes()).done();
        let shown = home.ta(&["config", "get", "encryption_secret"]).done();
        assert_eq!(shown, format!("{SECRET}\n"));
    }
    home.ta(&["config", "set", "server_client_key", CLIENT_KEY]).done();
    home.ta(&["config", "set", "server_origin", &server.url()]).done();
    use std::os::unix::fs::PermissionsExt as _;
    let file = home.path(".config/tandem/config.toml");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    home.add("buy milk");
    home.ta(&["sync"]).done();
    assert_eq!(server.segments().len(), 1);
}

#[test]
fn secret_and_client_id_are_in_no_output_and_no_file_but_the_settings() {
    let server = TestServer::new();
    let home = server.home();
    home.add("buy milk");
    let mut told = Vec::new();
    for words in [
        &["sync"][..],
        &["sync", "--json"],
        &["status"],
        &["status", "--json"],
        &["config", "list"],
        &["config", "list", "--json"],
        &["verify", "--json"],
        &["help"],
        &["help", "config"],
        &["help", "sync"],
        &["export"],
    ] {
        let ran = home.ta(words);
        told.push(ran.out.clone() + &ran.err);
        let _ = ran.done();
    }
    // A server that echoes what it was sent.
    for status in [400, 403, 404, 500] {
        server.twist(move |request, _| {
            Some(keep(status, &[], request.header("x-client-id").unwrap_or("").as_bytes()))
        });
        for words in [&["sync"][..], &["sync", "--json"], &["verify", "--json"]] {
            let ran = home.ta(words);
            told.push(ran.out.clone() + &ran.err);
            assert_ne!((ran.code, status == 404), (Some(0), false), "{ran:?}");
        }
    }
    for text in told {
        for hidden in [SECRET, CLIENT_KEY, &CLIENT_KEY.replace('-', "")] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    for (path, (bytes, _)) in look(&home.data_dir()) {
        for hidden in [SECRET, CLIENT_KEY] {
            let found = bytes.windows(hidden.len()).any(|part| part == hidden.as_bytes());
            assert!(!found, "{} holds a credential", path.display());
        }
    }
}

#[test]
fn a_file_of_certificates_that_is_none_is_exit_3_when_it_is_set_and_when_it_is_used() {
    let home = TestHome::new();
    std::fs::write(home.path("no.pem"), "hello\n").unwrap();
    for (file, what) in [("nowhere.pem", "No such file"), ("no.pem", "holds no certificate")] {
        let told = home.ta(&["config", "set", "ca_file", file]).failed(3);
        assert_says(&told, &["`ca_file` (command line)", file, what, "BEGIN CERTIFICATE"]);
    }
    assert!(!home.path(".config/tandem/config.toml").exists());
    let server = TestServer::new();
    let home = server.home().with("TA_CA_FILE", "nowhere.pem");
    home.add("buy milk");
    // Nothing is encrypted on the way there, so nobody reads it.
    home.ta(&["sync"]).done();
    let home = home.with("TA_SERVER_ORIGIN", "https://127.0.0.1:1");
    assert_says(&home.ta(&["sync"]).failed(3), &["`ca_file` (TA_CA_FILE)", "nowhere.pem: No such"]);
    assert_eq!(home.ta(&["sync", "--json"]).code, Some(3));
    // Nor to a proxy that speaks TLS on the way to a server that does not.
    let home = home.with("TA_SERVER_ORIGIN", "http://tasks.invalid");
    let home = home.with("http_proxy", "https://127.0.0.1:1");
    assert_says(&home.ta(&["sync"]).failed(3), &["`ca_file` (TA_CA_FILE)", "nowhere.pem: No such"]);
    // A pipe is not waited for.
    assert!(
        std::process::Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success()
    );
    assert_says(&home.ta(&["config", "set", "ca_file", "pipe"]).failed(3), &["it is not a file"]);
}

#[test]
fn a_bad_value_from_standard_input_is_not_called_the_command_lines() {
    let home = TestHome::new();
    for (key, given) in [("server_client_key", "x"), ("history_days", "-1"), ("server_origin", "x")]
    {
        let told = home.ta_with_input(&["config", "set", key, "-"], given.as_bytes()).failed(3);
        assert_says(&told, &[key, "(standard input)"]);
        std::fs::write(home.path("value"), given).unwrap();
        let told = home.ta(&["config", "set", key, "file:value"]).failed(3);
        assert_says(&told, &[key, "(value)"]);
        let told = home.ta(&["config", "set", key, given]).failed(3);
        assert_says(&told, &[key, "(command line)"]);
    }
    home.ta_with_input(&["config", "set", "history_days", "-"], b"30\n").done();
    assert_eq!(home.ta(&["config", "get", "history_days"]).done(), "30\n");
}
