//! Goal: what we write, we read as unchanged; and a new task made of it is the task itself.
//! Method: tasks whose names and values come close to everything that has a meaning.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic, and clippy sees only the tests"
)]

use proptest::prelude::*;
use tandem_core::TaskId;
use tandem_exchange::{AttributeType, ExportTask, Outcome, Types, merge, read, write};
use tandem_tasks::Task;

fn types() -> Types {
    let mut types = Types::new();
    types.declare("reviewed", AttributeType::Date);
    types.declare("estimate", AttributeType::Number);
    types.declare("length", AttributeType::Duration);
    types
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(description|project|due|entry|modified|wait|reviewed|estimate|length|imask|status)",
        "(tags|depends|id|uuid|urgency|annotations|tag_|dep_|annotation_)",
        "(tag_|dep_|annotation_)(-?[0-9]{1,12}|[a-b ,]{0,2}|0[0-9])",
        "dep_[0-9a-fA-F]{8}-0000-4000-8000-000000000000",
        "\\PC{0,6}",
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "(|x|-?[0-9]{1,19}|0[0-9]{1,4}| [0-9]{8} |[+]?[0-9]{7,8})",
        "-?[0-9]{1,5}(\\.[0-9]{0,4})?(e[0-9])?",
        "(20231114T221320Z|2023-11-14|soon|pending|completed)",
        any::<String>(),
    ]
}

fn round_trip(task: &Task) -> (tandem_exchange::ImportRecord, Vec<String>) {
    let export = ExportTask { uuid: TaskId::NIL, task, number: None, urgency: Some(1.0 / 3.0) };
    let mut bytes = Vec::new();
    let exported = write(&mut bytes, [export, export], &types()).unwrap();
    let import = read(&bytes[..], &types()).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&bytes));
    });
    assert_eq!(import.records.len(), 1, "both are one task");
    let left_out = exported.left_out.into_iter().map(|left_out| left_out.property).collect();
    (import.records.into_iter().next().unwrap(), left_out)
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_unchanged(
        properties in proptest::collection::btree_map(name(), value(), 0..12)
    ) {
        let task: Task = properties.into_iter().collect();
        let (record, left_out) = round_trip(&task);
        prop_assert_eq!(merge(Some(&task), &record, i64::MAX), Outcome::Unchanged);

        // Everything that was not left out is there again.
        let Outcome::New(changes) = merge(None, &record, 0) else { panic!() };
        for (property, value) in &task.properties {
            let name = property.as_str();
            let is_set = name.starts_with("tag_") || name.starts_with("dep_");
            let has_it = |c: &&tandem_exchange::Change| {
                c.property.eq_ignore_ascii_case(name) && (is_set || c.value.as_ref() == Some(value))
            };
            let is_list = name == "tags" || name == "depends";
            let is_there = changes.iter().any(|change| has_it(&change));
            prop_assert!(is_there || is_list || left_out.iter().any(|l| l == name), "{name}={value}");
        }
    }
}

#[test]
fn what_has_no_place_is_named() {
    let task: Task =
        [("due", "soon"), ("id", "5"), ("uuid", "x"), ("project", "p")].into_iter().collect();
    let (record, left_out) = round_trip(&task);
    assert_eq!(left_out[..3], ["due", "id", "uuid"]);
    assert_eq!(record.task, [("project", "p")].into_iter().collect());
}

#[test]
fn an_empty_export_is_an_empty_list() {
    let mut bytes = Vec::new();
    let exported = write(&mut bytes, [], &types()).unwrap();
    assert_eq!((exported.tasks, &bytes[..]), (0, &b"[\n]\n"[..]));
    assert!(read(&bytes[..], &types()).unwrap().records.is_empty());
}

#[test]
fn urgency_is_written_as_a_plain_number() {
    let task = Task::default();
    for (urgency, expected) in [
        (Some(4.9), ",\"urgency\":4.9}"),
        (Some(9.060_273_97), ",\"urgency\":9.060274}"),
        (Some(10.0), ",\"urgency\":10}"),
        (Some(-1e-9), ",\"urgency\":0}"),
        (Some(f64::NAN), "000\"}"),
        (None, "000\"}"),
    ] {
        let export = ExportTask { uuid: TaskId::NIL, task: &task, number: Some(7), urgency };
        let mut bytes = Vec::new();
        write(&mut bytes, [export], &types()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("[\n{\"id\":7,\"uuid\":\"0000"), "{text}");
        assert!(text.trim_end_matches("\n]\n").ends_with(expected), "{text}");
    }
}
