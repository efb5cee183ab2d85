//! Layers, the reference's spellings, and what is refused.

use super::*;

const ONE: &str = "11111111-2222-4333-8444-555555555555";
const TWO: &str = "99999999222243338444555555555555";

fn read(line: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let variable = |name: &str| {
        variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    };
    Config::read(&words, variable, &Places::default())
}

fn read_file(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("serve.toml");
    std::fs::write(&path, text).unwrap();
    let named = Places { named: Some(path), usual: None };
    let read = Config::read(&[], |_| None, &named);
    drop(folder);
    read
}

/// Without where its values come from.
fn bare(mut config: Config) -> Config {
    config.layers = Layers::defaults();
    config
}

#[test]
fn nothing_said_is_loopback_and_the_references_numbers() {
    let config = read("", &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.listen, ["127.0.0.1:8080"]);
    assert_eq!((config.targets.versions, config.targets.days), (100, 14));
    assert_eq!((config.rules.grace_days, config.rules.versions_min), (180, 5));
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn the_references_flags_and_variables_mean_what_they_mean_there() {
    let flags = format!(
        "-l 127.0.0.1:1,[::1]:2 --listen host:3 -d /data -C {ONE} --allow-client-id={TWO} \
         --no-create-clients --snapshot-versions 7 --snapshot-days=3"
    );
    let config = read(&flags, &[]).unwrap();
    assert_eq!(config.listen, ["127.0.0.1:1", "[::1]:2", "host:3"]);
    assert_eq!(config.data_dir, Some("/data".into()));
    assert_eq!(config.access.allowed.as_ref().unwrap().len(), 2);
    assert!(!config.access.may_create);
    assert_eq!((config.targets.versions, config.targets.days), (7, 3));
    let ids = format!("{ONE},{TWO}");
    let variables = [
        ("LISTEN", "127.0.0.1:1, [::1]:2,host:3"),
        ("DATA_DIR", "/data"),
        ("CLIENT_ID", ids.as_str()),
        ("CREATE_CLIENTS", "false"),
        ("SNAPSHOT_VERSIONS", "7"),
        ("SNAPSHOT_DAYS", "3"),
    ];
    let config = bare(config);
    assert_eq!(bare(read("", &variables).unwrap()), config, "both ways say the same");
    let ours: Vec<(String, &str)> = [
        ("LISTEN", variables[0].1),
        ("DATA_DIR", "/data"),
        ("ALLOW_CLIENT_ID", ids.as_str()),
        ("CREATE_CLIENTS", "no"),
        ("SNAPSHOT_VERSIONS", "7"),
        ("SNAPSHOT_DAYS", "3"),
    ]
    .map(|(name, value)| (format!("TA_SERVE_{name}"), value))
    .to_vec();
    let ours: Vec<(&str, &str)> =
        ours.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(bare(read("", &ours).unwrap()), config);
    let file = format!(
        "listen = [\"127.0.0.1:1\", \"[::1]:2\", \"host:3\"]\ndata_dir = \"/data\"\n\
         allow_client_id = \"{ids}\"\ncreate_clients = false\nsnapshot_versions = 7\n\
         snapshot_days = 3\n"
    );
    assert_eq!(bare(read_file(&file).unwrap()), config);
    for attached in [format!("-l127.0.0.1:1 -C{ONE}"), format!("-l=127.0.0.1:1 -C={ONE}")] {
        let config = read(&attached, &[]).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:1"]);
        assert_eq!(config.access.allowed.unwrap().len(), 1);
    }
    assert_eq!(read("-cfile:/pg", &[]).unwrap().database.unwrap().address, "file:/pg");
    let both = read("-l other:9 --snapshot-days 30", &variables).unwrap();
    assert_eq!((both.listen, both.targets.days), (vec!["other:9".to_owned()], 30));
    assert_eq!(both.targets.versions, 7, "flags win, one by one");
}

#[test]
fn what_is_not_understood_is_named_and_ids_are_not_repeated() {
    for (line, text) in [
        ("--lisen x", "`--lisen` means nothing to the server"),
        ("--listen", "`--listen` needs a value"),
        ("--snapshot-days soon", "--snapshot-days takes a whole number from 0 to 4294967295"),
        ("--versions-kept 4", "--versions-kept takes a whole number from 5 to 4294967295"),
        ("-C me", "-C takes client ids (UUIDs)"),
        ("-C ,", "-C takes client ids (UUIDs)"),
        ("--no-create-clients=yes", "`--no-create-clients` means nothing to the server"),
        ("--create-clients=perhaps", "--create-clients takes true or false"),
        ("--access all", "--access takes open or accounts"),
        (
            "--path-prefix x",
            "--path-prefix takes a path that begins with `/`, and not /healthz or such",
        ),
        (
            "--trusted-proxy here",
            "--trusted-proxy takes addresses without ports, or networks such as 10.0.0.0/8",
        ),
        ("--public-url host", "--public-url takes an address that begins with http:// or https://"),
        ("--tls-key k", "--tls-key is set, and `tls_cert` is not"),
        (ONE, "`a client id` means nothing to the server"),
        (TWO, "`a client id` means nothing to the server"),
        ("postgres://u:pw@h/db", "`a word that may be a credential` means nothing to the server"),
        ("-x5d0c0a4e-8c0b-4c2b-9b4f-3f6d3f3f7a11", "`-x` means nothing to the server"),
        ("--postgres://u:pw@h/db", "`a word that may be a credential` means nothing to the server"),
        ("--5d0c0a4e-8c0b-4c2b-9b4f-3f6d3f3f7a11", "`a client id` means nothing to the server"),
        ("-C5d0c0a4e-8c0b", "-C takes client ids (UUIDs)"),
        ("--listen --data-dir /x", "`--listen` needs a value"),
        ("--data-dir=", "`--data-dir` needs a value"),
        ("-l=", "`-l` needs a value"),
    ] {
        assert_eq!(read(line, &[]).unwrap_err().to_string(), text, "{line}");
    }
    assert!(read("", &[("CREATE_CLIENTS", "perhaps")]).is_err());
    for nobody in ["CLIENT_ID", "TA_SERVE_ALLOW_CLIENT_ID"] {
        let told = read("", &[(nobody, "")]).unwrap_err().to_string();
        assert_eq!(told, format!("{nobody} takes client ids (UUIDs)"), "nobody is not everybody");
    }
    for prefix in ["/", "/tasks", "/a/b.c~d/", "/healthz/x", "/v1"] {
        assert!(read(&format!("--path-prefix {prefix}"), &[]).is_ok(), "{prefix}");
    }
    for prefix in ["/healthz", "/readyz/", "/metrics", "/a//b", "/.", "/a/../b", "a/b", "/{x}"] {
        assert!(read(&format!("--path-prefix {prefix}"), &[]).is_err(), "{prefix}");
    }
    let half = format!("-C {ONE},x");
    assert!(!read(&half, &[]).unwrap_err().to_string().contains("1111"));
}

#[test]
fn paths_in_the_file_begin_at_its_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("serve.toml");
    let text = "database = \"file:pg.txt\"\ndata_dir = \"data\"\ntls_cert = \"\"\n";
    std::fs::write(&path, text).unwrap();
    let config = read("", &[(CONFIG_VARIABLE, path.to_str().unwrap())]).unwrap();
    let database = format!("file:{}", folder.path().join("pg.txt").display());
    assert_eq!(config.database.unwrap().address, database);
    assert_eq!((config.data_dir, config.tls), (Some(folder.path().join("data")), None));
}

#[test]
fn an_error_in_the_file_names_file_line_and_the_nearest_setting() {
    for (text, told, hint) in [
        ("\nlisen = \"x\"\n", "serve.toml:2: `lisen` is no setting", "Did you mean `listen`?"),
        ("client_id = 1", "serve.toml:1: `client_id` is no setting", "mean `allow_client_id`?"),
        (
            "[serve]\nlisten = \"x\"\n",
            "serve.toml:1: `[serve]` is a section, and this file has none",
            "Leave the line with the section's name out",
        ),
        (
            "allow_client_id = []",
            "serve.toml:1: `allow_client_id` takes client ids (UUIDs)",
            "To serve everybody, leave the setting out.",
        ),
        ("snapshot_days = -1", "serve.toml:1: `snapshot_days` takes a whole number from 0 to", ""),
        ("body_mib_max = 101", "`body_mib_max` takes a whole number from 1 to 100", ""),
        ("# x\n\ngrace_days = \"soon\"", "serve.toml:3: `grace_days` takes a whole number", ""),
        ("listen = ", "serve.toml:1 is not valid TOML", "Write one setting a line"),
        ("grace_days = 0x10", "serve.toml:1: `grace_days` takes a whole number", ""),
        ("listen = [1]", "serve.toml:1: `listen` takes a text", ""),
        ("listen = []", "serve.toml:1: `listen` takes a text", ""),
        (
            "tls_cert = \"c\"",
            "serve.toml:1: `tls_cert` is set, and `tls_key` is not",
            "Set `tls_key`",
        ),
    ] {
        let error = read_file(text).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hint().contains(hint), "{}", error.hint());
        assert!(!error.is_usage());
    }
    let secret = read_file(&format!("allow_client_id = \"{ONE}\" x")).unwrap_err();
    assert!(!secret.to_string().contains("1111"), "{secret}");
    let secret = read_file(&format!("{ONE} = true")).unwrap_err();
    assert!(!secret.to_string().contains("1111"), "{secret}");
    assert!(read("--lisen x", &[]).unwrap_err().is_usage());
    assert!(!read_file("colour = 1").unwrap_err().hint().contains("mean"), "far from all");
}

#[test]
fn a_flag_that_is_near_no_other_is_not_guessed_and_a_number_below_zero_is_a_value() {
    for (line, told, hint) in [
        ("--liste x", "`--liste` means nothing", "Did you mean `--listen`?"),
        ("--forse", "`--forse` means nothing", "`ta help serve` lists"),
        ("--snapshot-days -1", "--snapshot-days takes a whole number from 0 to 4294967295", ""),
        ("--snapshot-days=-1", "--snapshot-days takes a whole number from 0 to", ""),
        ("--snapshot-days --log x", "`--snapshot-days` needs a value", ""),
        ("--drain-seconds 9999", "--drain-seconds takes a whole number from 0 to 3600", ""),
    ] {
        let error = read(line, &[]).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hint().starts_with(hint), "{}", error.hint());
    }
}

#[test]
fn every_value_knows_where_it_comes_from_and_credentials_are_hidden() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("serve.toml");
    std::fs::write(&path, "grace_days = 7\ndata_dir = \"data\"\nlisten = \"a:1\"\n").unwrap();
    let variables = [
        (CONFIG_VARIABLE, path.to_str().unwrap()),
        ("CLIENT_ID", ONE),
        ("LISTEN", "b:2"),
        ("TA_SERVE_LISTEN", "c:3"),
        ("SNAPSHOT_DAYS", "3"),
    ];
    let config = read("--snapshot-days 5 -C ", &variables);
    assert!(config.is_err());
    let config = read("--snapshot-days 5", &variables).unwrap();
    assert_eq!(config.listen, ["c:3"], "our variable wins over the reference's");
    assert_eq!(config.data_dir, Some(folder.path().join("data")), "from the file's folder");
    let shown = config.shown();
    let of = |key: Key| shown.iter().find(|shown| shown.key == key).unwrap();
    assert_eq!(of(Key::GraceDays).origin.to_string(), format!("{}:1", path.display()));
    assert_eq!(of(Key::Listen).origin.to_string(), "TA_SERVE_LISTEN");
    assert_eq!(of(Key::SnapshotDays).origin.to_string(), "--snapshot-days");
    assert_eq!(of(Key::VersionsKept).origin, Origin::Default);
    assert_eq!(of(Key::AllowClientId).value, Some(Value::Hidden { count: 1 }));
    assert_eq!(Value::Hidden { count: 1 }.to_string(), "(1 hidden)");
    assert!(!format!("{config:?}").contains("1111"), "{config:?}");
    assert_eq!(of(Key::TlsCert).value, None);
    assert_eq!(shown.len(), Key::ALL.len());
}
