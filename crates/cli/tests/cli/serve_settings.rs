//! The server's settings through the real program: one spelling, origins, and what is refused.

use serde_json::Value;

use crate::home::{TestHome, assert_says};
use crate::serve::{Serving, ask};
use crate::server::CLIENT_KEY;

#[test]
fn a_setting_has_one_spelling_in_file_variable_and_flag() {
    let home = TestHome::new();
    std::fs::write(home.path("serve.toml"), "listen = \"127.0.0.1:0\"\ndata_dir = \"file\"\n")
        .unwrap();
    for (name, flags) in [("file", &[][..]), ("flag", &["--data-dir", "flag"])] {
        let words = [&["serve", "--config", "serve.toml"], flags].concat();
        let serving = Serving::of(home.command(&words));
        assert_eq!(ask(&serving.address, "GET", "/", b"").unwrap().0, 200);
        assert!(home.path(&format!("{name}/tandem-server.sqlite3")).exists(), "{name}");
    }
    let home = home.with("TA_SERVE_CONFIG", "serve.toml").with("TA_SERVE_DATA_DIR", "variable");
    let _serving = Serving::of(home.command(&["serve"]));
    assert!(home.path("variable/tandem-server.sqlite3").exists());
}

#[test]
fn the_usual_place_is_read_where_nobody_names_another() {
    let home = TestHome::new();
    std::fs::create_dir_all(home.path(".config/tandem")).unwrap();
    std::fs::write(home.path(".config/tandem/serve.toml"), "grace_days = 30\n").unwrap();
    let printed = home.ta(&["serve", "--print-config"]).done();
    assert_says(&printed, &["grace_days              30", "$HOME/.config/tandem/serve.toml:1"]);
}

#[test]
fn the_settings_that_packages_begin_with_are_good() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/serve.toml");
    TestHome::new().ta(&["server", "check-config", "--config", file]).done();
}

#[test]
fn print_config_shows_every_value_with_its_origin_and_no_credential() {
    let home = TestHome::new().with("SNAPSHOT_DAYS", "3").with("CLIENT_ID", CLIENT_KEY);
    let ran = home.ta(&["serve", "--print-config", "--json", "--path-prefix=/tasks/"]);
    assert!(!ran.out.contains("1111"), "{ran:?}");
    let all: Value = ran.json();
    let of = |key: &str| all.as_array().unwrap().iter().find(|one| one["key"] == key).unwrap();
    assert_eq!(
        (&of("snapshot_days")["value"], &of("snapshot_days")["origin"]),
        (&3.into(), &"SNAPSHOT_DAYS".into())
    );
    assert_eq!(of("path_prefix")["origin"], "--path-prefix");
    assert_eq!(of("path_prefix")["value"], "/tasks/");
    assert_eq!(of("listen")["value"], serde_json::json!(["127.0.0.1:8080"]));
    assert_eq!(
        (&of("create_clients")["value"], &of("tls_cert")["value"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(of("versions_kept")["origin"], "default");
    assert_eq!(of("allow_client_id")["value"], "(1 hidden)");
    assert!(!home.path(".local").exists(), "nothing was made");
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_nearest_setting() {
    let home = TestHome::new();
    std::fs::write(home.path("bad.toml"), "\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let told = home.ta(&["serve", "--config", "bad.toml"]).failed(3);
    assert_says(&told, &["bad.toml:2: `lisen` is no setting", "Did you mean `listen`?"]);
    let told = home.ta(&["server", "check-config", "--config", "missing.toml"]).failed(3);
    assert_says(&told, &["missing.toml cannot be read"]);
    let told = home.ta(&["serve", "--snapshot-day", "3"]).failed(2);
    assert_says(&told, &["`--snapshot-day` means nothing", "`--snapshot-days`"]);
    let told = home.ta(&["server", "check-config", "-l", "0.0.0.0:8080"]).failed(3);
    assert_says(&told, &["anybody who reaches 0.0.0.0:8080", "--access accounts"]);
    let told = home.ta(&["server", "check-config", "--tls-cert", "c", "--tls-key", "k"]).failed(3);
    assert_says(&told, &["c cannot be used"]);
    for (words, told) in [
        (&["--path-prefix", "/healthz"], "--path-prefix takes a path"),
        (&["-c", "file:missing.txt"], "missing.txt"),
        (&["-c", "postgres://u@h/d?sslmode=allow-all"], "sslmode"),
    ] {
        let ran = home.ta(&[&["server", "check-config"][..], words].concat());
        assert!(ran.code != Some(0) && ran.err.contains(told), "{ran:?}");
    }
    home.ta(&["server", "check-config"]).done();
    home.ta(&["server", "check-config", "-l", "0.0.0.0:80", "--access", "accounts"]).done();
    let home = home.with("TA_SERVE_LISEN", "x");
    let (_, notices) = home.ta(&["server", "check-config"]).done_with_notices();
    assert_says(&notices, &["TA_SERVE_LISEN is no setting", "TA_SERVE_LISTEN"]);
}

#[test]
fn the_references_way_to_ask_for_help_and_version_works_and_help_names_every_flag() {
    let home = TestHome::new();
    let help = home.ta(&["help", "serve"]).done();
    let all: Value = home.ta(&["serve", "--print-config", "--json"]).json();
    for one in all.as_array().unwrap() {
        let name = one["key"].as_str().unwrap().replace('_', "-");
        assert!(help.contains(&format!("-{name}")), "{name}");
    }
    assert_eq!(home.ta(&["serve", "-h"]).done(), help);
    assert_says(&home.ta(&["server", "-h"]).done(), &["server user add NAME"]);
    assert_eq!(home.ta(&["serve", "-V"]).done(), home.ta(&["version"]).done());
}

/// The storage is elsewhere: what the folder holds is not what the server serves.
#[test]
fn where_a_database_is_named_commands_do_not_look_at_the_folder_and_tell_no_password() {
    let home = TestHome::new();
    let made = home.ta_with_input(&["server", "user", "add", "ann"], b"correct horse\n");
    assert_eq!(made.code, Some(0), "there is something in the folder: {made:?}");
    let database = ["--database", "postgres://nobody:hunter2@127.0.0.1:1/none"];
    let away = "127.0.0.1:1/none cannot be reached";
    for (words, said) in [
        (&["stats"][..], away),
        (&["verify"], away),
        (&["gc"], away),
        (&["client", "list"], away),
        (&["user", "list"], away),
        (&["backup", "b"], "--dbname='host=127.0.0.1 port=1 dbname=none user=nobody'"),
        (&["restore", "b"], "--dbname='host=127.0.0.1 port=1 dbname=none user=nobody'"),
    ] {
        let told = home.ta(&[&["server"][..], words, &database].concat()).failed(1);
        assert_says(&told, &[said]);
        assert!(!told.contains("hunter2") && !told.contains("nobody:"), "{told}");
    }
    let keep = ["server", "backup", "b", "--keep", "3"];
    let told = home.ta(&[&keep[..], &database].concat()).failed(2);
    assert_says(&told, &["`--keep` is for backups of SQLite"]);
    let told = home.ta(&[&["server", "backup", "none/"][..], &database].concat()).failed(1);
    assert_says(&told, &["there is no folder none/"]);
    std::fs::create_dir(home.path("folder")).unwrap();
    let told = home.ta(&[&["server", "restore", "folder"][..], &database].concat()).failed(1);
    assert_says(&told, &["folder is a folder"]);
    let told = home.ta(&[&["server", "backup", "folder"][..], &database].concat()).failed(1);
    assert_says(&told, &["--file='folder/tandem-"]);
    home.ta(&[&["server", "check-config"][..], &database].concat()).done_with_notices();
}

#[test]
fn why_a_database_cannot_be_used_is_told_with_its_cure_and_a_shown_password_once() {
    let home = TestHome::new();
    let stats = |address: &str| home.ta(&["server", "stats", "--database", address]);
    let told = stats("mysql://ann@127.0.0.1/list").failed(3);
    assert_says(&told, &["another kind of database", "postgres://USER@HOST/NAME"]);
    let told = stats("postgres://ann@127.0.0.1:1/list").failed(1);
    assert_says(&told, &["cannot be reached", "Is PostgreSQL running there?"]);
    let shown = "postgres://ann:hunter2@127.0.0.1:1/list";
    let ran = home.ta(&["serve", "--database", shown]);
    assert_eq!(ran.err.matches("on the command line").count(), 1, "{ran:?}");
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
}

#[test]
fn a_mistyped_command_or_flag_of_the_server_is_answered_with_the_near_one() {
    let home = TestHome::new();
    for (words, meant) in [
        (&["server", "usr"][..], "`ta server user`"),
        (&["server", "vrify"], "`ta server verify`"),
        (&["server", "client", "lst"], "`ta server client list`"),
        (&["server", "client", "snapshot", "dro", "x"], "`ta server client snapshot drop`"),
        (&["server", "user", "ad", "ann"], "`ta server user add`"),
        (&["server", "gc", "--forse"], "`--force`"),
        (&["server", "restore", "file", "--forse"], "`--force`"),
        (&["server", "stats", "--data-dri", "x"], "`--data-dir`"),
        (&["serve", "--liste", "x"], "`--listen`"),
        (&["config", "st", "a", "b"], "`ta config set`"),
        (&["conflicts", "lst"], "`ta conflicts list`"),
        (&["sync", "--new-histroy"], "`--new-history`"),
        (&["gc", "--rewrit"], "`--rewrite`"),
    ] {
        assert_says(&home.ta(words).failed(2), &[&format!("Did you mean {meant}?")]);
    }
    for words in
        [&["serve", "--forse"][..], &["sync", "--forse"], &["server", "colour"], &["server"]]
    {
        let told = home.ta(words).failed(2);
        assert!(!told.contains("Did you mean"), "{told}");
    }
    let told = home.ta(&["serve", "--body-mib-max", "101"]).failed(2);
    assert_says(&told, &["--body-mib-max takes a whole number from 1 to 100"]);
    let told = home.ta(&["serve", "--snapshot-days", "-1"]).failed(2);
    assert_says(&told, &["--snapshot-days takes a whole number from 0 to"]);
}
