//! Goal: every layer wins where it should, every mistake is told with its place and cure, and no
//! hidden value is ever shown. Method: a temporary home folder; no test touches the process's own
//! environment.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic, and clippy sees only the tests"
)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tandem_settings::{
    Environment, Key, Origin, RemoteSettings, Settings, SettingsError, Value, Warning,
};

const CLIENT_KEY: &str = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
const SECRET: &str = "correct horse battery staple";

struct Home {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        Self { folder, variables: vec![("HOME".to_owned(), home)] }
    }

    fn with_file(text: impl AsRef<[u8]>) -> Self {
        let home = Self::new();
        std::fs::create_dir_all(home.config().parent().unwrap()).unwrap();
        std::fs::write(home.config(), text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(home.config(), std::fs::Permissions::from_mode(0o600))
                .unwrap();
        }
        home
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path(".config/tandem/config.toml")
    }

    fn environment(&self) -> Environment {
        Environment::from_variables(self.variables.clone())
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        Settings::load(&self.environment(), None)
    }
}

fn origin_line(settings: &Settings, key: Key) -> usize {
    match settings.get(key).unwrap().origin {
        Origin::File { line, .. } => line,
        ref other => panic!("{key} comes from {other}"),
    }
}

#[test]
fn without_anything_the_defaults_hold() {
    let home = Home::new();
    let settings = home.load().unwrap();
    assert_eq!(settings.data_dir().unwrap(), home.path(".local/share/tandem"));
    let server_dir = home.path(".local/share/taskchampion-sync-server");
    assert_eq!(settings.server_dir().unwrap(), server_dir);
    assert_eq!(settings.remote().unwrap(), RemoteSettings::Directory(server_dir));
    assert_eq!(settings.history_days(), 90);
    assert_eq!(settings.history_commands(), 1000);
    assert_eq!(settings.connect_timeout().as_secs(), 10);
    assert!(!settings.avoid_snapshots());
    assert_eq!(settings.get(Key::DataDir).unwrap().origin, Origin::Default);
    assert_eq!(settings.get(Key::ServerOrigin), None);
    assert!(settings.warnings().is_empty());
}

#[test]
fn the_server_folder_does_not_follow_the_data_folder() {
    let home = Home::with_file("data_dir = \"~/elsewhere\"\n");
    let settings = home.load().unwrap();
    assert_eq!(settings.data_dir().unwrap(), home.path("elsewhere"));
    assert_eq!(settings.server_dir().unwrap(), home.path(".local/share/taskchampion-sync-server"));
}

#[test]
fn without_a_home_only_what_needs_it_fails() {
    let environment = Environment::from_variables([("TA_DATA_DIR", "/data")]);
    let settings = Settings::load(&environment, None).unwrap();
    assert_eq!(settings.data_dir().unwrap(), Path::new("/data"));
    assert!(matches!(settings.server_dir(), Err(SettingsError::NoHome { wanted: "server_dir" })));
}

#[test]
fn the_environment_wins_over_the_file_and_each_value_knows_its_place() {
    let home = Home::with_file(
        "# mine\navoid_snapshots = true\n\nhistory_days = 1_000\nserver_dir = \"here/there\"\n",
    )
    .variable("TA_HISTORY_DAYS", "7")
    .variable("TA_CA_FILE", "certs/ca.pem")
    .variable("TA_DATA_DIR", "");
    let settings = home.load().unwrap();
    assert!(settings.avoid_snapshots());
    assert_eq!(origin_line(&settings, Key::AvoidSnapshots), 2);
    assert_eq!(origin_line(&settings, Key::ServerDir), 5);
    assert_eq!(settings.server_dir().unwrap(), home.path(".config/tandem/here/there"));
    assert_eq!(settings.history_days(), 7);
    let variable = "TA_HISTORY_DAYS".to_owned();
    assert_eq!(settings.get(Key::HistoryDays).unwrap().origin, Origin::Environment { variable });
    assert_eq!(settings.ca_file(), Some(Path::new("certs/ca.pem")));
    assert_eq!(settings.data_dir().unwrap(), home.path(".local/share/tandem"), "empty is unset");
}

#[test]
fn the_flag_wins_over_the_variable_and_both_must_exist() {
    let home = Home::with_file("history_days = 1\n");
    std::fs::write(home.path("two.toml"), "history_days = 2\n").unwrap();
    std::fs::write(home.path("three.toml"), "history_days = 3\n").unwrap();
    let home = home.variable("TA_CONFIG", "~/two.toml");
    assert_eq!(home.load().unwrap().history_days(), 2);
    let three = home.path("three.toml");
    let settings = Settings::load(&home.environment(), Some(&three)).unwrap();
    assert_eq!(settings.history_days(), 3);
    assert_eq!(settings.file().unwrap().path, three);

    let missing = home.path("missing.toml");
    let error = Settings::load(&home.environment(), Some(&missing)).unwrap_err();
    assert!(error.to_string().contains("named by --config"), "{error}");
    let error = Home::new().variable("TA_CONFIG", "/nowhere.toml").load().unwrap_err();
    assert!(error.to_string().contains("/nowhere.toml (named by TA_CONFIG)"), "{error}");
}

/// Each case: a file, what the message must contain, what the hint must contain.
#[test]
fn mistakes_in_the_file_are_told_with_place_and_cure() {
    for (text, message, hint) in [
        ("\n\nserver_orign = \"x\"\n", "`server_orign` in {}:3", "`server_origin`"),
        ("xyzzy = 1\n", "`xyzzy` in {}:1", "The settings are: `data_dir`, "),
        ("[server]\norigin = 1\n", "`[server]` in {}:1 is a section", "tandem/serve.toml"),
        (
            "history_days = \"7\"\n",
            "`history_days` ({}:1) cannot be used: expected a whole number, found string",
            "without quotes",
        ),
        (
            "\navoid_snapshots = 1\n",
            "({}:2) cannot be used: expected true or false",
            "true or false",
        ),
        (
            "data_dir = 5\n",
            "({}:1) cannot be used: expected a path in quotes, found integer",
            "quotes",
        ),
        ("encryption_secret = 12345\n", "expected a text in quotes, found integer", "quotes"),
        ("history_days = -1\n", "from 0 to 36500", ""),
        ("history_days = 1.5\n", "found float", ""),
        ("server_origin = \"example.com\"\n", "does not begin with https://", "https://"),
        ("server_client_key = \"56e0be07\\n\"\n", "white space", "Remove"),
        ("encryption_secret = \" x\"\n", "white space", "Remove"),
        ("history_days = 1\nhistory_days = 2\n", "{}:2:1 is not valid TOML", "one setting a line"),
        ("a = \"ü\" b\n", "{}:1:9 is not valid TOML", ""),
        ("encryption_secret = hunter2hunter2\n", "{}:1:21 is not valid TOML", ""),
        ("encryption_secret = \"hunter2hunter2\n", "{}:1:", ""),
        ("encryption_secret \"hunter2hunter2\"\n", "{}:1:", ""),
    ] {
        let home = Home::with_file(text);
        let error = home.load().unwrap_err();
        let shown = error.to_string();
        let message = message.replace("{}", home.config().to_str().unwrap());
        assert!(shown.contains(&message), "{text:?}: {shown}");
        assert!(error.hint().contains(hint), "{text:?}: {}", error.hint());
        assert!(!format!("{error:?}{shown}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn other_files_than_text_are_refused() {
    let error = Home::with_file(b"# one\n# \xff\n").load().unwrap_err();
    assert!(matches!(error, SettingsError::NotUtf8 { line: 2, .. }), "{error}");
    let error = Home::with_file(vec![b'#'; 2_000_000]).load().unwrap_err();
    assert!(matches!(error, SettingsError::TooLarge { .. }), "{error}");
    let home = Home::new();
    std::fs::create_dir_all(home.config()).unwrap();
    assert!(matches!(home.load(), Err(SettingsError::Read { .. })));
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    assert_eq!(Home::with_file("\u{feff}history_days = 4\r\n").load().unwrap().history_days(), 4);
}

#[test]
fn mistakes_in_the_environment_are_named_by_variable() {
    let error = Home::new().variable("TA_HISTORY_DAYS", "many").load().unwrap_err();
    assert!(error.to_string().contains("`history_days` (TA_HISTORY_DAYS)"), "{error}");
    let settings = Home::new()
        .variable("TA_SERVER_ORIGN", "https://example.com")
        .variable("TA_LIB_PATH", "/usr/lib")
        .load()
        .unwrap();
    assert_eq!(
        settings.warnings(),
        [Warning::UnknownVariable {
            variable: "TA_SERVER_ORIGN".to_owned(),
            nearest: "TA_SERVER_ORIGIN".to_owned(),
        }]
    );
}

#[cfg(unix)]
#[test]
fn a_path_of_the_environment_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = std::ffi::OsStr::from_bytes(b"/d\xff");
    let environment = Environment::from_variables([("TA_DATA_DIR", bytes)]);
    let settings = Settings::load(&environment, None).unwrap();
    assert_eq!(settings.data_dir().unwrap().as_os_str(), bytes);
    let environment = Environment::from_variables([("TA_ENCRYPTION_SECRET", bytes)]);
    let error = Settings::load(&environment, None).unwrap_err();
    assert!(error.to_string().contains("TA_ENCRYPTION_SECRET"), "{error}");
}

#[test]
fn three_keys_make_a_server() {
    let home = Home::with_file(format!(
        "server_origin = \"HTTPS://Tasks.Example.com/\"\nserver_client_key = \"{}\"\n",
        CLIENT_KEY.to_uppercase().replace('-', "")
    ))
    .variable("TA_ENCRYPTION_SECRET", SECRET);
    let settings = home.load().unwrap();
    let remote = settings.remote().unwrap();
    let RemoteSettings::Server { origin, client_key, secret } = &remote else { panic!() };
    assert_eq!(origin.as_str(), "https://tasks.example.com");
    assert_eq!(client_key.to_string(), CLIENT_KEY);
    assert_eq!(secret.dangerously_expose(), SECRET);

    // Nothing that may be printed shows what must not be.
    let listed = settings.list();
    assert_eq!(listed.len(), Key::ALL.len());
    let all = format!("{settings:?} {remote:?} {listed:?} {:?}", home.environment());
    assert!(!all.contains(SECRET) && !all.contains(CLIENT_KEY), "{all}");
    let shown =
        |key| listed.iter().find(|listed| listed.key == key).unwrap().shown.clone().unwrap();
    assert_eq!(shown(Key::EncryptionSecret), "set (hidden)");
    assert_eq!(shown(Key::ServerClientKey), "56e0be07…");
    // But who asks for a key gets it.
    let value = |key| settings.get(key).unwrap().value.dangerously_reveal();
    assert_eq!(value(Key::EncryptionSecret), SECRET);
    assert_eq!(value(Key::ServerClientKey), CLIENT_KEY);
}

#[test]
fn half_a_server_is_a_mistake() {
    let pairs = [
        ("TA_SERVER_ORIGIN", "https://example.com", "`server_origin`"),
        ("TA_SERVER_CLIENT_KEY", CLIENT_KEY, "`server_client_key`"),
        ("TA_ENCRYPTION_SECRET", SECRET, "`encryption_secret`"),
    ];
    for chosen in 1..7_u8 {
        let mut home = Home::new();
        for (bit, (variable, value, _)) in pairs.iter().enumerate() {
            if chosen & (1 << bit) != 0 {
                home = home.variable(variable, value);
            }
        }
        let error = home.load().unwrap().remote().unwrap_err();
        let (present, missing) = error
            .to_string()
            .split_once(" set, ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        for (bit, (_, _, name)) in pairs.iter().enumerate() {
            let is_set = chosen & (1 << bit) != 0;
            assert_eq!(present.contains(name), is_set, "{error}");
            assert_eq!(missing.contains(name), !is_set, "{error}");
            let cure = format!("ta config set {}", name.trim_matches('`'));
            assert_eq!(error.hint().contains(&cure), !is_set, "{}", error.hint());
        }
    }
}

#[test]
fn an_open_connection_to_elsewhere_is_warned_about() {
    for (origin, count) in
        [("http://example.com", 1), ("https://example.com", 0), ("http://localhost:8080", 0)]
    {
        let settings = Home::new().variable("TA_SERVER_ORIGIN", origin).load().unwrap();
        assert_eq!(settings.warnings().len(), count, "{origin}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_a_secret_that_others_may_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    for (text, count) in [("encryption_secret = \"abc\"\n", 1), ("history_days = 1\n", 0)] {
        let home = Home::with_file(text);
        std::fs::set_permissions(home.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let settings = home.load().unwrap();
        assert_eq!(settings.warnings().len(), count, "{text}");
    }
}

#[test]
fn values_have_their_types() {
    let settings = Home::new().load().unwrap();
    assert_eq!(settings.get(Key::AvoidSnapshots).unwrap().value, Value::Bool(false));
    assert_eq!(settings.get(Key::HistoryDays).unwrap().value, Value::Number(90));
}

proptest! {
    #[test]
    fn no_file_panics(text in "(([a-z_]{1,12}|server_origin|encryption_secret) ?=? ?\"?[ -~ü\\n]{0,12}\"?\\n){0,4}") {
        let _ = Home::with_file(&text).load();
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Home::with_file(&bytes).load();
    }
}
