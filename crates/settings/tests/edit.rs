//! Goal: an edit changes its key and nothing else, leaves no moment in which the file is half
//! there or open to others, and refuses what could not be read again.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic, and clippy sees only the tests"
)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tandem_settings::{
    Edited, Environment, Key, Notice, Origin, Settings, SettingsError, ValueError, unset,
};

/// A value that was typed on the line.
fn set(
    path: &Path,
    key: Key,
    value: &str,
    environment: &Environment,
) -> Result<Edited, SettingsError> {
    tandem_settings::set(path, key, value, Origin::CommandLine, environment)
}

fn environment() -> Environment {
    Environment::from_variables([("HOME", "/home/u")]).with_current_dir("/cwd")
}

fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_first_setting_creates_file_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/config.toml");
    let edited = set(&path, Key::HistoryDays, "30", &environment()).unwrap();
    assert!(edited.has_changed && edited.notices.is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), "history_days = 30\n");
    #[cfg(unix)]
    {
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    }
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn what_a_path_names_is_looked_at_before_it_is_set() {
    let (folder, path) = file_with("history_days = 1\n");
    let file = folder.path().join("file");
    fs::write(&file, "no certificate\n").unwrap();
    for (key, value, told) in [
        (Key::CaFile, "nowhere", "cannot be used: /cwd/nowhere: No such file"),
        (Key::CaFile, file.to_str().unwrap(), "file: it holds no certificate in PEM"),
        (Key::CaFile, folder.path().to_str().unwrap(), "it is not a file"),
        (Key::DataDir, file.to_str().unwrap(), "file is a file, and not a folder"),
        (Key::ServerDir, file.to_str().unwrap(), "file is a file, and not a folder"),
    ] {
        let error = set(&path, key, value, &environment()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(matches!(
            error,
            SettingsError::BadValue {
                problem: ValueError::NoCertificates { .. } | ValueError::NoFolder { .. },
                ..
            }
        ));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "history_days = 1\n");
    let missing = folder.path().join("later");
    set(&path, Key::DataDir, missing.to_str().unwrap(), &environment()).unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    fs::write(&file, pem).unwrap();
    set(&path, Key::CaFile, file.to_str().unwrap(), &environment()).unwrap();
    let settings = Settings::load(&environment(), Some(&path)).unwrap();
    assert_eq!(settings.checked_ca_file().unwrap(), Some(file.as_path()));
    fs::remove_file(&file).unwrap();
    let error = settings.checked_ca_file().unwrap_err().to_string();
    assert!(error.contains("config.toml:3") && error.contains("No such file"), "{error}");
}

#[test]
fn where_a_bad_value_came_from_is_said() {
    let (_folder, path) = file_with("");
    for (origin, told) in [
        (Origin::CommandLine, "(command line)"),
        (Origin::StandardInput, "(standard input)"),
        (Origin::OtherFile { path: Path::new("/k").into() }, "(/k)"),
    ] {
        let error =
            tandem_settings::set(&path, Key::HistoryDays, "x", origin, &environment()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

/// Each case: the file before, the key, the value (`None` is unset), the file after.
#[test]
fn comments_and_order_stay() {
    for (before, key, value, after) in [
        (
            "# top\n\nhistory_days = 1 # why\n# below\navoid_snapshots = true\n",
            Key::HistoryDays,
            Some("2"),
            "# top\n\nhistory_days = 2 # why\n# below\navoid_snapshots = true\n",
        ),
        (
            "history_days=1\n# end\n",
            Key::AvoidSnapshots,
            Some("yes"),
            "history_days=1\n# end\navoid_snapshots = true\n",
        ),
        (
            "history_days = 1",
            Key::DataDir,
            Some("~/x"),
            "history_days = 1\ndata_dir = \"/home/u/x\"\n",
        ),
        ("# a headline", Key::HistoryDays, Some("2"), "# a headline\nhistory_days = 2\n"),
        ("\n# a headline\n\n", Key::HistoryDays, Some("2"), "\n# a headline\n\nhistory_days = 2\n"),
        (
            "# about days\nhistory_days = 1\n# about snapshots\navoid_snapshots = true\n",
            Key::HistoryDays,
            None,
            "# about days\n# about snapshots\navoid_snapshots = true\n",
        ),
        (
            "avoid_snapshots = true\n# about days\nhistory_days = 1\n",
            Key::HistoryDays,
            None,
            "avoid_snapshots = true\n# about days\n",
        ),
        ("later_key = 1\n", Key::HistoryDays, Some("2"), "later_key = 1\nhistory_days = 2\n"),
        ("[later]\na = 1\n", Key::HistoryDays, Some("2"), "history_days = 2\n[later]\na = 1\n"),
        ("history_days = \"wrong\"\n", Key::HistoryDays, Some("2"), "history_days = 2\n"),
    ] {
        let (_folder, path) = file_with(before);
        let edited = match value {
            Some(value) => set(&path, key, value, &environment()).unwrap(),
            None => unset(&path, key, &environment()).unwrap(),
        };
        assert!(edited.has_changed);
        assert_eq!(fs::read_to_string(&path).unwrap(), after, "{before:?}");
    }
}

#[test]
fn what_is_so_already_is_not_written() {
    let (_folder, path) = file_with("history_days = 2\n");
    assert!(!set(&path, Key::HistoryDays, "2", &environment()).unwrap().has_changed);
    assert!(!unset(&path, Key::DataDir, &environment()).unwrap().has_changed);
}

#[test]
fn a_value_that_could_not_be_read_again_is_not_written() {
    let (_folder, path) = file_with("history_days = 2\n");
    for (key, value) in [
        (Key::HistoryDays, "two"),
        (Key::ServerOrigin, "example.com"),
        (Key::ServerClientKey, "x"),
        (Key::EncryptionSecret, "hunter2\n"),
        (Key::DataDir, ""),
    ] {
        let error = set(&path, key, value, &environment()).unwrap_err();
        assert!(matches!(error, SettingsError::BadValue { .. }));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "history_days = 2\n");
    }
    let (_folder, broken) = file_with("encryption_secret = hunter2\n");
    let error = set(&broken, Key::HistoryDays, "3", &environment()).unwrap_err();
    assert!(matches!(error, SettingsError::Syntax { line: 1, column: 21, .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[test]
fn what_is_set_is_what_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    for (key, given, loaded) in [
        (Key::ServerOrigin, "HTTP://LocalHost:80/", "http://localhost"),
        (
            Key::ServerClientKey,
            "56E0BE07C61F494CA54CBDCFDD52D2A7",
            "56e0be07-c61f-494c-a54c-bdcfdd52d2a7",
        ),
        (Key::EncryptionSecret, "quotes \" and \\ and ü", "quotes \" and \\ and ü"),
        (Key::ServerDir, "relative/./x", "/cwd/relative/x"),
        (Key::AvoidSnapshots, "on", "true"),
        (Key::HistoryCommands, "5", "5"),
    ] {
        set(&path, key, given, &environment()).unwrap();
        let settings = Settings::load(&environment(), Some(&path)).unwrap();
        assert_eq!(settings.get(key).unwrap().value.dangerously_reveal(), loaded);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_gets_a_secret_is_closed() {
    let (_folder, path) = file_with("history_days = 2\n");
    set_mode(&path, 0o644);
    set(&path, Key::HistoryDays, "3", &environment()).unwrap();
    assert_eq!(mode(&path), 0o644, "without a secret the mode is the owner's business");
    let edited = set(&path, Key::EncryptionSecret, "a long enough secret", &environment()).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(edited.notices, [Notice::Tightened { path: path.clone(), mode_before: 0o644 }]);
    // Opened again by hand: the next edit closes it, even one that changes nothing.
    set_mode(&path, 0o640);
    let edited = set(&path, Key::HistoryDays, "3", &environment()).unwrap();
    assert!(!edited.has_changed);
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(edited.notices[..], [Notice::Tightened { mode_before: 0o640, .. }]));
}

#[cfg(unix)]
#[test]
fn links_are_written_through() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dotfiles")).unwrap();
    let (link, target) =
        (folder.path().join("config.toml"), folder.path().join("dotfiles/ta.toml"));
    std::os::unix::fs::symlink("dotfiles/ta.toml", &link).unwrap();
    // The link leads to nothing at first.
    for days in ["1", "2"] {
        let edited = set(&link, Key::HistoryDays, days, &environment()).unwrap();
        assert_eq!(edited.path, target);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), format!("history_days = {days}\n"));
    }
    let circle = folder.path().join("circle.toml");
    std::os::unix::fs::symlink("circle.toml", &circle).unwrap();
    assert!(set(&circle, Key::HistoryDays, "1", &environment()).is_err());
}

#[test]
fn notices_tell_what_is_worth_knowing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let edited = set(&path, Key::EncryptionSecret, "short", &environment()).unwrap();
    assert!(matches!(edited.notices[..], [Notice::WeakSecret(_)]));
    let edited = set(&path, Key::ServerOrigin, "http://example.com", &environment()).unwrap();
    assert!(matches!(edited.notices[..], [Notice::ClearOrigin { .. }]));
    let overridden = Environment::from_variables([("TA_HISTORY_DAYS", "1")]);
    let edited = set(&path, Key::HistoryDays, "2", &overridden).unwrap();
    assert_eq!(edited.notices, [Notice::Overridden { variable: "TA_HISTORY_DAYS".to_owned() }]);
    for notice in &edited.notices {
        assert!(notice.to_string().ends_with('.'));
    }
}

#[test]
fn edits_in_one_moment_all_stay() {
    let (_folder, path) = file_with("");
    let edits = [
        (Key::HistoryDays, "1"),
        (Key::HistoryCommands, "2"),
        (Key::ReadTimeoutSeconds, "3"),
        (Key::ConnectTimeoutSeconds, "4"),
    ];
    std::thread::scope(|scope| {
        for (key, value) in edits {
            let path = &path;
            scope.spawn(move || set(path, key, value, &environment()).unwrap());
        }
    });
    let settings = Settings::load(&environment(), Some(&path)).unwrap();
    for (key, value) in edits {
        assert_eq!(settings.get(key).unwrap().value.to_string(), value, "{key}");
    }
}

proptest! {
    #[test]
    fn any_secret_survives_the_file(secret in "\\PC{1,40}") {
        let (_folder, path) = file_with("# kept\n");
        if set(&path, Key::EncryptionSecret, &secret, &environment()).is_ok() {
            let settings = Settings::load(&environment(), Some(&path)).unwrap();
            let value = &settings.get(Key::EncryptionSecret).unwrap().value;
            prop_assert_eq!(value.dangerously_reveal(), secret);
            prop_assert!(fs::read_to_string(&path).unwrap().contains("# kept"));
        }
    }
}
