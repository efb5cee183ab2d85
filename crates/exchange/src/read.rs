//! An input as records: an array, one task a line, or a single task.

use std::collections::BTreeMap;
use std::io::Read;

use tandem_core::TaskId;
use tandem_tasks::Task;

use crate::error::{ReadError, Warning};
use crate::json::Fields;
use crate::record;
use crate::types::Types;

/// The largest input, in bytes: an export of two million ordinary tasks.
pub const INPUT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How deep a value may be nested. Taskwarrior's own go one deep (a list of annotations).
pub const DEPTH_MAX: usize = 32;

/// One task of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRecord {
    /// Its place in the input, counted from 1.
    pub number: usize,
    /// Which task it is; `None` asks for a new one.
    pub uuid: Option<TaskId>,
    /// Its properties, in the form of a replica's map.
    pub task: Task,
    /// When it was last changed, in seconds since the epoch; the same as its property `modified`.
    pub modified: Option<i64>,
    /// The record has both the uuid and the number (`id`) of a task, as programs write them that
    /// export one: what such a record lacks, nobody forgot.
    pub is_exported: bool,
}

/// A whole input that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Import {
    /// The records in their order, each task once.
    pub records: Vec<ImportRecord>,
    /// What is worth saying.
    pub warnings: Vec<Warning>,
}

/// Reads Taskwarrior's JSON.
///
/// Takes a JSON array of objects, objects one after the other (JSON lines; commas between or after
/// them are fine, as old versions of `task export` printed them), or a single object. An input
/// without any task is no error and has no records.
///
/// # Errors
/// The first thing that is wrong, with the number of its record. Nothing is returned of an input
/// with an error in it.
///
/// # Source
/// `protocols/taskchampion.md` sections 1, 18 (`import-tw`) and 19.
pub fn read(reader: impl Read, types: &Types) -> Result<Import, ReadError> {
    let mut bytes = Vec::new();
    reader.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(ReadError::TooLarge);
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.iter().take(error.valid_up_to());
        ReadError::NotUtf8 { line: 1 + before.filter(|byte| **byte == b'\n').count() }
    })?;
    let mut import = Import::default();
    let mut input = Input::new(text);
    while let Some(fields) = input.next_task()? {
        let number = input.record;
        let record = record::read(number, &fields.0, types, &mut import.warnings).map_err(
            |(field, problem)| ReadError::Record {
                record: number,
                line: input.record_line,
                field: shortened(&field),
                problem,
            },
        )?;
        import.records.push(record);
    }
    keep_the_latest(&mut import);
    Ok(import)
}

/// Field names are the input's own words: shown, but not at any length.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A walk over the text, task by task.
struct Input<'a> {
    text: &'a str,
    /// Where the next look begins, in bytes.
    position: usize,
    /// The line of `position`, counted from 1.
    line: usize,
    is_in_array: bool,
    /// The number of the task that was found last, and its line.
    record: usize,
    record_line: usize,
}

impl<'a> Input<'a> {
    fn new(text: &'a str) -> Self {
        let position = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, position, line: 1, is_in_array: false, record: 0, record_line: 1 }
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.text.as_bytes()[self.position..self.position + bytes];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.position += bytes;
    }

    /// The next task. Commas and white space between tasks mean nothing: versions of Taskwarrior
    /// disagree about them, and a task's own braces say where it ends.
    fn next_task(&mut self) -> Result<Option<Fields<'a>>, ReadError> {
        loop {
            let rest = &self.text[self.position..];
            let is_between = |c: char| c == ',' || c.is_whitespace();
            let Some(start) = rest.find(|c: char| !is_between(c)) else {
                if self.is_in_array {
                    return Err(self.cut_off(self.record));
                }
                return Ok(None);
            };
            self.advance(start);
            let rest = &rest[start..];
            match rest.chars().next() {
                Some('[') if !self.is_in_array => self.is_in_array = true,
                Some(']') if self.is_in_array => self.is_in_array = false,
                Some('{') => return self.task(rest).map(Some),
                found => {
                    let (record, line) = (self.record + 1, self.line);
                    return Err(ReadError::NotATask { record, line, found: found.unwrap_or(' ') });
                }
            }
            self.advance(1);
        }
    }

    fn task(&mut self, rest: &'a str) -> Result<Fields<'a>, ReadError> {
        self.record += 1;
        self.record_line = self.line;
        let mut objects = serde_json::Deserializer::from_str(rest).into_iter::<Fields<'a>>();
        match objects.next() {
            Some(Ok(fields)) => {
                let bytes = objects.byte_offset();
                self.advance(bytes);
                Ok(fields)
            }
            Some(Err(error)) if error.is_eof() && self.is_in_array => {
                Err(self.cut_off(self.record - 1))
            }
            Some(Err(error)) => {
                let full = error.to_string();
                // Its own place counts from the start of the record.
                let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what);
                Err(ReadError::Syntax {
                    record: self.record,
                    line: self.line + error.line().saturating_sub(1),
                    column: error.column(),
                    message: message.to_owned(),
                })
            }
            None => Err(self.cut_off(self.record - 1)),
        }
    }

    fn cut_off(&self, records: usize) -> ReadError {
        // A line break at the very end begins no line.
        let rest = self.text[self.position..].trim_end().bytes();
        let line = self.line + rest.filter(|byte| *byte == b'\n').count();
        ReadError::CutOff { line, records }
    }
}

/// Leaves one record of each task: the one that was changed last, the later one of equals. A record
/// that does not say when counts as changed now.
fn keep_the_latest(import: &mut Import) {
    let mut kept: BTreeMap<TaskId, usize> = BTreeMap::new();
    let mut dropped = vec![false; import.records.len()];
    for (index, record) in import.records.iter().enumerate() {
        let Some(uuid) = record.uuid else { continue };
        let Some(other) = kept.insert(uuid, index) else { continue };
        let when = |index: usize| import.records[index].modified.unwrap_or(i64::MAX);
        let (winner, loser) =
            if when(index) >= when(other) { (index, other) } else { (other, index) };
        kept.insert(uuid, winner);
        dropped[loser] = true;
        import.warnings.push(Warning::RepeatedTask {
            uuid,
            kept: import.records[winner].number,
            dropped: import.records[loser].number,
        });
    }
    let mut dropped = dropped.into_iter();
    import.records.retain(|_| !dropped.next().unwrap_or(false));
}
