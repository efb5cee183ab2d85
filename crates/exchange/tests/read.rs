//! Goal: every spelling of an input is understood, every bad one is refused with its place, and no
//! bytes make the reader panic.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic, and clippy sees only the tests"
)]

use proptest::prelude::*;
use tandem_exchange::{AttributeType, ReadError, Types, Warning, read};

fn types() -> Types {
    let mut types = Types::new();
    types.declare("reviewed", AttributeType::Date);
    types.declare("estimate", AttributeType::Number);
    types
}

/// The only record's properties as `a=1 b=2`.
fn properties(text: &str) -> String {
    let import = read(text.as_bytes(), &types()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let [record] = &import.records[..] else { panic!("{text}: {} records", import.records.len()) };
    let properties = record.task.properties.iter();
    properties.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn error(text: impl AsRef<[u8]>) -> String {
    let error = read(text.as_ref(), &types()).unwrap_err();
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn every_layout_of_an_input_is_read() {
    for (text, count) in [
        ("", 0),
        (" \n", 0),
        ("[]", 0),
        ("[\n]\n", 0),
        ("{\"a\":1}", 1),
        ("[{\"a\":1}]", 1),
        ("\u{feff}[{\"a\":1},{\"a\":2}]", 2),
        ("{\"a\":1}\n{\"a\":2}\n", 2),
        ("{\"a\":1},\n{\"a\":2},\n", 2),
        ("{\"a\":1},\r\n{\"a\":2}\r\n", 2),
        ("[\n{\"a\":1},\n{\"a\":2},\n]", 2),
        ("[{\"a\":1}]\n[{\"a\":2}]", 2),
        ("{\n  \"a\": 1\n}", 1),
    ] {
        assert_eq!(read(text.as_bytes(), &types()).unwrap().records.len(), count, "{text:?}");
    }
}

#[test]
fn values_become_properties() {
    let id = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
    for (text, expected) in [
        (r#"{"id":4,"urgency":1.5,"uuid":"56E0BE07C61F494CA54CBDCFDD52D2A7"}"#, String::new()),
        (
            r#"{"status":"waiting","wait":"20231114T221320Z"}"#,
            "status=pending wait=1700000000".into(),
        ),
        (r#"{"status":"mystery"}"#, "status=mystery".into()),
        (
            r#"{"due":"2023-11-14T22:13:20Z","reviewed":"20231114T221320Z"}"#,
            "due=1700000000 reviewed=1700000000".into(),
        ),
        (
            r#"{"due":1700000000,"end":"1700000000","start":1.7e9,"until":1700000000.75}"#,
            "due=1700000000 end=1700000000 start=1700000000 until=1700000000".into(),
        ),
        (r#"{"due":"","wait":null,"project":null,"priority":""}"#, "priority=".into()),
        (r#"{"other":"20231114T221320Z"}"#, "other=20231114T221320Z".into()),
        (
            r#"{"a":1e21,"b":0.1,"c":true,"d":123456789012345678901,"e":-1E-2}"#,
            "a=1000000000000000000000 b=0.1 c=true d=123456789012345678901 e=-0.01".into(),
        ),
        (r#"{"tags":["b","a","b"]}"#, "tag_a=x tag_b=x tags=b,a".into()),
        (r#"{"tags":"b, a,"}"#, "tag_a=x tag_b=x tags=b,a".into()),
        (r#"{"tags":[],"depends":"","annotations":[]}"#, String::new()),
        (
            r#"{"depends":["56E0BE07-C61F-494C-A54C-BDCFDD52D2A7"]}"#,
            format!("dep_{id}=x depends={id}"),
        ),
        (
            r#"{"depends":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7"}"#,
            format!("dep_{id}=x depends={id}"),
        ),
        (
            r#"{"annotations":[{"entry":"19700101T000010Z","description":"a"},{"entry":"10","description":"b"},{"entry":11,"description":"c"},{"entry":10}]}"#,
            "annotation_10=a annotation_11=b annotation_12=c annotation_13=".into(),
        ),
        (
            r#"{"annotations":[{"entry":10,"description":"a"}],"annotation_10":"kept"}"#,
            "annotation_10=kept annotation_11=a".into(),
        ),
        (r#"{"description":"\u00fc \ud83d\ude00 \/ \n"}"#, "description=ü 😀 / \n".into()),
        (r#"{"github":{"a": [1e9]},"list":[1, 2]}"#, r#"github={"a": [1e9]} list=[1, 2]"#.into()),
    ] {
        assert_eq!(properties(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_a_task_is_refused_with_record_and_field() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let many = "[".repeat(200_000);
    for (text, message) in [
        (
            "{\"a\":1}\n{\"due\":\"tomorrow\"}",
            "record 2, line 2, field `due`: `tomorrow` is not a date",
        ),
        (
            "[{\"a\":1},\n\n{\"due\":\"20240131\"}]",
            "record 2, line 3, field `due`: `20240131` does not say its time and zone",
        ),
        ("{\"due\":\"2024-01-31\"}", "does not say its time and zone"),
        ("{\"due\":20240131}", "does not say its time and zone"),
        ("{\"due\":true}", "`true` is not a date"),
        ("{\"due\":[1]}", "`[1]` is not a date"),
        ("{\"reviewed\":\"x\"}", "field `reviewed`: `x` is not a date"),
        ("{\"uuid\":\"x\"}", "field `uuid`: `x` is not a UUID"),
        ("{\"uuid\":{}}", "field `uuid`: `{}` is not a UUID"),
        ("{\"depends\":[\"1\"]}", "field `depends`: `1` is not a UUID"),
        ("{\"depends\":{}}", "field `depends`: it is not a list"),
        ("{\"tags\":[\"a\",[]]}", "field `tags[1]`: it is not a text"),
        ("{\"annotations\":\"a\"}", "field `annotations`: it is not a list"),
        ("{\"annotations\":[\"a\"]}", "field `annotations[0]`: it is not an annotation"),
        (
            "{\"annotations\":[{\"description\":\"a\"}]}",
            "field `annotations[0].entry`: it is missing",
        ),
        (
            "{\"annotations\":[{\"entry\":\"x\"}]}",
            "field `annotations[0].entry`: `x` is not a date",
        ),
        (
            "{\"annotations\":[{\"entry\":1,\"entry\":2}]}",
            "field `annotations[0].entry`: it is given twice",
        ),
        ("{\"a\":1,\"b\":2,\"a\":3}", "field `a`: it is given twice"),
        ("{\"a\":\"\\ud800\"}", "field `a`: it contains a broken escape"),
        (&deep, "field `a`: it is nested more than 32 deep"),
        ("{\"a\":1}\n{\"a\":,}", "record 2, line 2, column 6: not JSON (expected value)"),
        ("{\"a\":1", "record 1, line 1, column 6: not JSON (EOF"),
        (
            "[{\"a\":1},\n{\"a\"",
            "line 2: the input ends in the middle of its list, after 1 whole record",
        ),
        ("[{\"a\":1}\n", "line 1: the input ends in the middle of its list, after 1 whole record"),
        (
            "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":\n",
            "line 4: the input ends in the middle of its list, after 2 whole records",
        ),
        ("[{", "line 1: the input ends in the middle of its list, after no whole record"),
        ("[{\"a\":1}]]", "expected a task in braces, found `]`"),
        ("[[{\"a\":1}]]", "expected a task in braces, found `[`"),
        (&many, "found `[`"),
        ("\n\nhello", "record 1, line 3: expected a task in braces, found `h`"),
        ("[1]", "found `1`"),
    ] {
        let shown = error(text);
        assert!(shown.contains(message), "{shown}, not {message}");
    }
    assert_eq!(error(b"{}\n{\"a\":\"\xff\"}"), "line 2 is not UTF-8 text");
}

#[test]
fn the_later_of_two_records_of_one_task_counts() {
    let id = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
    for (first, second, kept) in [
        ("\"modified\":20,\"a\":1", "\"modified\":10,\"a\":2", 1),
        ("\"modified\":10,\"a\":1", "\"modified\":20,\"a\":2", 2),
        ("\"modified\":10,\"a\":1", "\"modified\":10,\"a\":2", 2),
        ("\"a\":1", "\"modified\":20,\"a\":2", 1),
        ("\"modified\":20,\"a\":1", "\"a\":2", 2),
    ] {
        let text =
            format!("{{\"uuid\":\"{id}\",{first}}}{{\"a\":0}}{{\"uuid\":\"{id}\",{second}}}");
        let import = read(text.as_bytes(), &types()).unwrap();
        assert_eq!(import.records.len(), 2);
        let number = |is_named: bool| {
            import.records.iter().find(|r| r.uuid.is_some() == is_named).unwrap().number
        };
        let (kept, dropped) = if kept == 1 { (1, 3) } else { (3, 1) };
        assert_eq!(number(true), kept, "{text}");
        assert_eq!(number(false), 2);
        let uuid = id.parse().unwrap();
        assert_eq!(import.warnings, [Warning::RepeatedTask { uuid, kept, dropped }]);
    }
}

#[test]
fn inner_structure_is_warned_about() {
    let import = read(&b"{}{\"a\":{\"b\":1}}"[..], &types()).unwrap();
    assert_eq!(import.warnings, [Warning::Nested { record: 2, field: "a".to_owned() }]);
    assert!(import.warnings[0].to_string().contains("record 2: `a`"));
}

#[test]
fn a_source_that_fails_is_said() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    assert!(matches!(read(Broken, &types()), Err(ReadError::Input(_))));
}

#[test]
fn many_annotations_of_one_second_take_no_quadratic_time() {
    let list = vec!["{\"entry\":1,\"description\":\"\"}"; 50_000].join(",");
    let text = format!("{{\"annotations\":[{list}]}}");
    let import = read(text.as_bytes(), &types()).unwrap();
    assert_eq!(import.records[0].task.properties.len(), 50_000);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = read(&bytes[..], &types());
    }

    #[test]
    fn nothing_like_json_panics(text in "[\\[\\]{},:\"\\\\a1ue.E\\n ü-]{0,40}") {
        let _ = read(text.as_bytes(), &types());
    }

    #[test]
    fn nothing_like_a_task_panics(
        field in "(due|tags|depends|annotations|uuid|status|modified|x)",
        value in "(\"[0-9TZe.:-]{0,18}\"|-?[0-9]{1,20}(\\.[0-9]{1,3})?(e[0-9]{1,12})?|null|true|\\[\"a\",1,null\\]|\\[\\{\"entry\":\"?[0-9]{1,19}\"?\\}\\])",
    ) {
        let _ = read(format!("{{\"{field}\":{value}}}").as_bytes(), &types());
    }
}
