//! Goal: a Taskwarrior export is read as exactly these properties, and they are written as exactly
//! these bytes. Method: files in `tests/data`; review a change to them like code.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic, and clippy sees only the tests"
)]

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use tandem_exchange::{ExportTask, Outcome, Taskrc, Types, merge, read, write};

const EXPORT: &str = include_str!("data/taskwarrior-export.json");

fn types() -> Types {
    let rc = "uda.estimate.type=numeric\nuda.githubnumber.type=numeric\n\
              uda.githuburl.type=string\nuda.reviewed.type=date\n";
    let mut load = |path: &Path| match path.to_str() {
        Some("/home/u/.taskrc") => Ok(include_bytes!("data/taskrc").to_vec()),
        Some("/home/u/uda.rc") => Ok(rc.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let taskrc = Taskrc::read(Path::new("/home/u/.taskrc"), None, &mut load).unwrap();
    assert_eq!(taskrc.warnings().len(), 1, "the theme is not there");
    taskrc.types()
}

#[test]
fn an_export_is_read_as_these_properties() {
    let import = read(EXPORT.as_bytes(), &types()).unwrap();
    assert!(import.warnings.is_empty());
    let mut shown = String::new();
    for record in &import.records {
        writeln!(shown, "{}", record.uuid.unwrap()).unwrap();
        for (property, value) in &record.task.properties {
            writeln!(shown, "  {property}={value}").unwrap();
        }
    }
    assert_eq!(shown, include_str!("data/read.txt"));
}

#[test]
fn these_properties_are_written_as_these_bytes() {
    let types = types();
    let import = read(EXPORT.as_bytes(), &types).unwrap();
    let tasks = import.records.iter().zip(1_u32..).map(|(record, number)| {
        let is_numbered = record.task.status().is_numbered();
        ExportTask {
            uuid: record.uuid.unwrap(),
            task: &record.task,
            number: is_numbered.then_some(number),
            urgency: is_numbered.then_some(f64::from(number) * 1.1 - 0.1),
        }
    });
    let mut bytes = Vec::new();
    let exported = write(&mut bytes, tasks, &types).unwrap();
    assert_eq!(exported.tasks, 6);
    assert!(exported.left_out.is_empty());
    assert_eq!(String::from_utf8(bytes).unwrap(), include_str!("data/written.json"));
}

#[test]
fn a_repeated_import_changes_nothing() {
    let types = types();
    let first = read(EXPORT.as_bytes(), &types).unwrap();
    for text in [EXPORT, include_str!("data/written.json")] {
        let again = read(text.as_bytes(), &types).unwrap();
        for (first, again) in first.records.iter().zip(&again.records) {
            assert_eq!(merge(Some(&first.task), again, i64::MAX), Outcome::Unchanged);
        }
    }
}
