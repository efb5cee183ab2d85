//! Goal: a `.taskrc` and what it includes give types and sync settings, and no arrangement of
//! includes hangs the reader.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tandem_exchange::{AttributeType, SyncSettings, Taskrc, TaskrcError, TaskrcWarning};

fn read(files: &[(&str, &str)]) -> Result<Taskrc, TaskrcError> {
    let files: BTreeMap<PathBuf, Vec<u8>> =
        files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
    let mut load =
        |path: &Path| files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
    Taskrc::read(Path::new("/home/u/.taskrc"), Some(Path::new("/home/u")), &mut load)
}

#[test]
fn lines_are_settings_includes_and_comments() {
    let taskrc = read(&[
        (
            "/home/u/.taskrc",
            "\u{feff}# comment\n a.b = c d # why\r\ninclude conf/one.rc\nx=1\nx=\nlater=second\nnonsense\ninclude ~/two.rc\ninclude gone.theme\n",
        ),
        ("/home/u/conf/one.rc", "include beside.rc\ninclude three=3.rc\nlater=first\none=1\n"),
        ("/home/u/conf/beside.rc", "beside=1\n"),
        ("/home/u/three=3.rc", "three=3\n"),
        ("/home/u/two.rc", "two=2"),
    ])
    .unwrap();
    for (name, value) in [
        ("a.b", Some("c d")),
        ("x", None),
        ("later", Some("second")),
        ("one", Some("1")),
        ("beside", Some("1")),
        ("three", Some("3")),
        ("two", Some("2")),
        ("missing", None),
    ] {
        assert_eq!(taskrc.get(name), value, "{name}");
    }
    assert_eq!(
        taskrc.warnings(),
        [
            TaskrcWarning::NotUnderstood { path: "/home/u/.taskrc".into(), line: 7 },
            TaskrcWarning::Unreadable { path: "gone.theme".into() },
        ]
    );
}

#[test]
fn declared_attributes_come_with_all_that_is_said_of_them() {
    let taskrc = read(&[(
        "/home/u/.taskrc",
        "uda.estimate.type=numeric\nuda.estimate.label=Est\nuda.estimate.default=1\n\
         uda.risk.type=string\nuda.risk.values=low, high,\nuda.effort.type=duration\n\
         uda.review.type=date\nuda.odd.type=thing\nuda.undeclared.label=x\n\
         uda.priority.values=A,B,\nuda..type=string\nuda.gone.type=\n",
    )])
    .unwrap();
    let shown: Vec<String> = taskrc
        .attributes()
        .into_iter()
        .map(|a| {
            let (label, default) = (a.label.unwrap_or_default(), a.default.unwrap_or_default());
            format!("{} {:?} {label} {} {default}", a.name, a.attribute_type, a.values.join("|"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "effort Duration   ",
            "estimate Number Est  1",
            "odd Text   ",
            "priority Text  A|B ",
            "review Date   ",
            "risk Text  low|high ",
        ]
    );
}

#[test]
fn circles_and_floods_of_includes_end() {
    let circle = read(&[("/home/u/.taskrc", "include .taskrc")]).unwrap_err();
    assert!(matches!(circle, TaskrcError::TooDeep { .. }));
    let twice = "include .taskrc\ninclude .taskrc\n".repeat(100);
    assert!(matches!(read(&[("/home/u/.taskrc", &twice)]), Err(TaskrcError::TooDeep { .. })));
    let flood = "include a.rc\n".repeat(200);
    let flood = read(&[("/home/u/.taskrc", &flood), ("/home/u/a.rc", "")]);
    assert!(matches!(flood, Err(TaskrcError::TooDeep { .. })));
    let missing = read(&[]).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /home/u/.taskrc");
}

#[test]
fn declared_attributes_have_their_types() {
    let text = "uda.a.type=numeric\nuda.b.type=date\nuda.c.type=duration\nuda.d.type=string\n\
                uda.e.label=E\nuda.f.type=new\nuda.due.type=string\n";
    let types = read(&[("/home/u/.taskrc", text)]).unwrap().types();
    for (name, expected) in [
        ("a", AttributeType::Number),
        ("b", AttributeType::Date),
        ("c", AttributeType::Duration),
        ("d", AttributeType::Text),
        ("e", AttributeType::Text),
        ("f", AttributeType::Text),
        ("due", AttributeType::Date),
        ("imask", AttributeType::Number),
        ("unheard.of", AttributeType::Text),
    ] {
        assert_eq!(types.of(name), expected, "{name}");
    }
}

#[test]
fn sync_settings_get_our_names_and_stay_hidden() {
    let text = "data.location=~/.task\nsync.server.origin=https://old.example.com\n\
                sync.server.url=https://example.com\nsync.server.client_id=56e0be07\n\
                sync.encryption_secret=hunter2\nsync.local.server_dir=~/local\nsync.gcp.bucket=b\n";
    let taskrc = read(&[("/home/u/.taskrc", text)]).unwrap();
    let home = Some(Path::new("/home/u"));
    assert_eq!(taskrc.data_location(home), Some("/home/u/.task".into()));
    let settings = taskrc.sync_settings(home);
    assert_eq!(
        settings,
        SyncSettings {
            server_dir: Some("/home/u/local".into()),
            server_origin: Some("https://example.com".into()),
            server_client_key: Some("56e0be07".into()),
            encryption_secret: Some("hunter2".into()),
            unsupported: Some("sync.gcp.bucket".into()),
        }
    );
    let shown = format!("{settings:?} {taskrc:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("56e0be07"), "{shown}");
    let old = "sync.server.origin=https://old.example.com\n";
    let old = read(&[("/home/u/.taskrc", old)]).unwrap().sync_settings(home);
    assert_eq!(old.server_origin.as_deref(), Some("https://old.example.com"));
    assert_eq!(old.unsupported, None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), include in "include [.~/a=#]{0,6}\n") {
        let mut first = true;
        let mut load = |_: &Path| {
            let bytes = if std::mem::take(&mut first) { [include.as_bytes(), &bytes].concat() } else { bytes.clone() };
            Ok(bytes)
        };
        let _ = Taskrc::read(Path::new("rc"), None, &mut load).map(|rc| (rc.types(), rc.sync_settings(None)));
    }
}
