//! The frozen formats: history segments and snapshots, byte for byte and tolerantly
//! (`protocols/taskchampion.md` sections 3, 9 and 10).

use crate::common::{id, operation, state, update};
use proptest::collection::vec;
use proptest::prelude::*;
use tandem_core::Timestamp;
use tandem_tasks::segment::{ReadSegmentError, read, write};
use tandem_tasks::{LocalOperation, Operation, Task, snapshot};

/// The plaintext of test vector V1.
const V1: &str = r#"{"operations":[{"Create":{"uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7"}},{"Update":{"uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7","property":"modified","value":"1795188713","timestamp":"2026-11-20T15:31:53.830011266Z"}},{"Update":{"uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7","property":"description","value":"buy milk","timestamp":"2026-11-20T15:31:53.830011661Z"}}]}"#;

/// The plaintext of test vector V2.
const V2: &str = r#"{"operations":[{"Delete":{"uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7"}}]}"#;

#[test]
fn the_published_segments_are_read_and_written_byte_for_byte() {
    for golden in [V1, V2, r#"{"operations":[]}"#] {
        let operations = read(golden.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(write(&operations)).unwrap(), golden);
    }
    let operations = read(V1.as_bytes()).unwrap();
    let uuid = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7".parse().unwrap();
    assert_eq!(
        operations[2],
        Operation::Update {
            uuid,
            property: "description".into(),
            value: Some("buy milk".into()),
            timestamp: Timestamp::new(1_795_188_713, 830_011_661),
        }
    );
}

#[test]
fn text_is_written_as_utf_8_with_only_the_needed_escapes() {
    let one = update(1, "a/b", Some("\"ü\" \\ \u{1} 漢 /"), 1_700_000_000);
    assert_eq!(
        String::from_utf8(write([&one])).unwrap(),
        concat!(
            r#"{"operations":[{"Update":{"uuid":"01010101-0101-0101-0101-010101010101","#,
            r#""property":"a/b","value":"\"ü\" \\ \u0001 漢 /","timestamp":"2023-11-14T22:13:20Z"}}]}"#
        )
    );
    let null = write([&update(1, "p", None, 0)]);
    assert!(String::from_utf8(null).unwrap().contains(r#""value":null,"#), "null is written");
}

#[test]
fn stored_operations_are_written_as_section_3_has_them() {
    let uuid = id(1);
    let old_task = Task::from_iter([("status", "pending")]);
    for (operation, golden) in [
        (LocalOperation::UndoPoint, r#""UndoPoint""#),
        (
            LocalOperation::Create { uuid },
            r#"{"Create":{"uuid":"01010101-0101-0101-0101-010101010101"}}"#,
        ),
        (
            LocalOperation::Delete { uuid, old_task },
            r#"{"Delete":{"uuid":"01010101-0101-0101-0101-010101010101","old_task":{"status":"pending"}}}"#,
        ),
        (
            LocalOperation::Update {
                uuid,
                property: "p".into(),
                old_value: None,
                value: Some("v".into()),
                timestamp: Timestamp::new(0, 500_000_000),
            },
            r#"{"Update":{"uuid":"01010101-0101-0101-0101-010101010101","property":"p","old_value":null,"value":"v","timestamp":"1970-01-01T00:00:00.500Z"}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&operation).unwrap(), golden);
        assert_eq!(serde_json::from_str::<LocalOperation>(golden).unwrap(), operation);
    }
}

#[test]
fn what_other_writers_may_write_is_read() {
    let expected = vec![update(0x1a, "p", Some("v"), 1_700_000_000)];
    let removal = vec![update(0x1a, "p", None, 1_700_000_000)];
    let wrap = |inner: &str| format!(r#"{{"operations":[{{"Update":{{{inner}}}}}]}}"#);
    for (name, text, operations) in [
        (
            "upper case",
            wrap(
                r#""uuid":"1A1A1A1A-1A1A-1A1A-1A1A-1A1A1A1A1A1A","property":"p","value":"v","timestamp":"2023-11-14T22:13:20Z""#,
            ),
            &expected,
        ),
        (
            "no dashes",
            wrap(
                r#""uuid":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","property":"p","value":"v","timestamp":"2023-11-14T22:13:20Z""#,
            ),
            &expected,
        ),
        (
            "an offset",
            wrap(
                r#""uuid":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","property":"p","value":"v","timestamp":"2023-11-14T23:13:20+01:00""#,
            ),
            &expected,
        ),
        (
            "another order and unknown keys",
            wrap(
                r#""extra":[{"deep":1}],"timestamp":"2023-11-14T22:13:20Z","value":"v","property":"p","uuid":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a""#,
            ),
            &expected,
        ),
        (
            "a missing value",
            wrap(
                r#""uuid":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","property":"p","timestamp":"2023-11-14T22:13:20Z""#,
            ),
            &removal,
        ),
    ] {
        assert_eq!(&read(text.as_bytes()).unwrap(), operations, "{name}");
        let bare = text.strip_prefix(r#"{"operations":"#).unwrap().strip_suffix('}').unwrap();
        assert_eq!(&read(bare.as_bytes()).unwrap(), operations, "{name}, as a bare array");
        let more = text.replacen('{', r#" { "version": 7, "#, 1);
        assert_eq!(&read(more.as_bytes()).unwrap(), operations, "{name}, with a key before");
    }
    let nest = format!(r#"{{"operations":[],"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(nest.as_bytes()).unwrap(), [], "unknown keys are passed over at any depth");
    let half = read(
        br#"[{"Update":{"uuid":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","property":"p","timestamp":"2023-11-14T22:13:20.5Z"}}]"#,
    );
    assert!(String::from_utf8(write(&half.unwrap())).unwrap().contains("22:13:20.500Z"));
}

#[test]
fn an_unknown_kind_is_told_from_nonsense() {
    for (text, expected) in [
        (r#"{"operations":[{"Rename":{"uuid":"x","to":1}}]}"#, "Rename"),
        (r#"[{"Create":{"uuid":"01010101-0101-0101-0101-010101010101"}},{"Merge":[]}]"#, "Merge"),
        (r#"{"operations":["Checkpoint"]}"#, "Checkpoint"),
    ] {
        match read(text.as_bytes()) {
            Err(ReadSegmentError::UnknownKind { kind }) => assert_eq!(kind, expected),
            other => panic!("{text}: {other:?}"),
        }
    }
    let long = format!(r#"[{{"{}":{{}}}}]"#, "K".repeat(10_000));
    assert!(matches!(
        read(long.as_bytes()),
        Err(ReadSegmentError::UnknownKind { kind }) if kind.chars().count() == 40
    ));
}

#[test]
fn what_is_no_segment_is_malformed() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for bytes in [
        &b""[..],
        b"<html>captive portal</html>",
        b"null",
        b"{}",
        br#"{"operations":{}}"#,
        br#"{"operations":[{"Create":{"uuid":"no"}}]}"#,
        br#"{"operations":[{"Create":{}}]}"#,
        br#"{"operations":[{"Update":{"uuid":"01010101-0101-0101-0101-010101010101","property":"p","value":3,"timestamp":"2023-11-14T22:13:20Z"}}]}"#,
        br#"{"operations":[{"Update":{"uuid":"01010101-0101-0101-0101-010101010101","property":"p","value":"v","timestamp":"yesterday"}}]}"#,
        br#"{"operations":[]} and more"#,
        b"{\"operations\":[\"\xff\xfe\"]}",
        deep.as_bytes(),
        &[0; 1_000],
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert!(matches!(read(bytes), Err(ReadSegmentError::Malformed(_))), "{shown}");
    }
}

#[test]
fn a_large_segment_is_read() {
    let large = "x".repeat(3_000_000);
    let operations: Vec<Operation> = (0..50_000)
        .map(|n| update(1, "p", Some("v"), n))
        .chain([update(2, "p", Some(&large), 1)])
        .collect();
    assert_eq!(read(&write(&operations)).unwrap(), operations);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", Just("\u{0}\"\\/\u{7f}\n".to_owned())]
}

proptest! {
    #[test]
    fn segments_come_back(operations in vec(operation(3), 0..10), text in any_text(), name in any_text(), nanos in 0..1_000_000_000u32) {
        let mut operations = operations;
        operations.push(Operation::Update {
            uuid: id(9),
            property: name.as_str().into(),
            value: Some(text.as_str().into()),
            timestamp: Timestamp::new(1_700_000_000, nanos),
        });
        prop_assert_eq!(read(&write(&operations)).unwrap(), operations);
    }

    #[test]
    fn snapshots_come_back(state in state(3), text in any_text(), name in any_text()) {
        let mut state = state;
        state.insert(id(9), Task::from_iter([(name.as_str(), text.as_str())]));
        prop_assert_eq!(snapshot::read_all(&snapshot::write(&state)).unwrap(), state);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = snapshot::read_all(&bytes);
    }

    /// Damage in the right place: a well-formed segment with some bytes changed or cut off.
    #[test]
    fn damaged_segments_do_not_panic(
        operations in vec(operation(2), 1..5), place in 0..2_000usize, byte in any::<u8>(), end in 0..2_000usize,
    ) {
        let mut bytes = write(&operations);
        let length = bytes.len();
        bytes[place % length] = byte;
        let _ = read(&bytes);
        let _ = read(&bytes[..end % length]);
    }

    #[test]
    fn damaged_snapshots_do_not_panic(state in state(3), place in 0..500usize, byte in any::<u8>(), end in 0..500usize) {
        let mut bytes = snapshot::write(&state);
        let length = bytes.len();
        bytes[place % length] = byte;
        let _ = snapshot::read_all(&bytes);
        let _ = snapshot::read_all(&bytes[..end % length]);
    }
}
