//! Snapshots: all tasks at one version, as zlib-compressed JSON.
//!
//! Source: `protocols/taskchampion.md` section 10. Both directions stream: a snapshot of 100,000
//! tasks is 19 MB of JSON that nobody needs to hold at once.

use std::fmt;
use std::io::{self, BufWriter, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use tandem_core::TaskId;
use tandem_core::limits::SNAPSHOT_BYTES_MAX;

use crate::model::{Task, TaskSet};

/// Why a snapshot could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadSnapshotError<E> {
    /// Neither zlib nor the JSON of section 10.
    #[error("it is not a snapshot")]
    Malformed(#[source] serde_json::Error),
    /// It opens to more than [`SNAPSHOT_BYTES_MAX`] bytes.
    #[error("it opens to more than {SNAPSHOT_BYTES_MAX} bytes")]
    TooLarge,
    /// The receiver of the tasks stopped; its own reason.
    #[error("{0}")]
    Stopped(E),
}

/// Reads a snapshot and hands its tasks out one by one, in the order in which they stand.
///
/// # Errors
/// [`ReadSnapshotError`]. Tasks may have been handed out before: take them back.
pub fn read<E>(
    body: &[u8],
    mut take: impl FnMut(TaskId, Task) -> Result<(), E>,
) -> Result<(), ReadSnapshotError<E>> {
    read_limited(body, SNAPSHOT_BYTES_MAX, &mut take)
}

fn read_limited<E>(
    body: &[u8],
    bytes_max: u64,
    take: &mut dyn FnMut(TaskId, Task) -> Result<(), E>,
) -> Result<(), ReadSnapshotError<E>> {
    let mut limited = ZlibDecoder::new(body).take(bytes_max + 1);
    let mut stopped = None;
    let result = {
        let reader = io::BufReader::with_capacity(64 * 1024, &mut limited);
        let mut deserializer = serde_json::Deserializer::from_reader(reader);
        Tasks { take, stopped: &mut stopped }
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
    };
    if let Some(reason) = stopped {
        return Err(ReadSnapshotError::Stopped(reason));
    }
    if limited.limit() == 0 {
        return Err(ReadSnapshotError::TooLarge);
    }
    result.map_err(ReadSnapshotError::Malformed)
}

struct Tasks<'a, E> {
    take: &'a mut dyn FnMut(TaskId, Task) -> Result<(), E>,
    stopped: &'a mut Option<E>,
}

impl<'de, E> DeserializeSeed<'de> for Tasks<'_, E> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, E> Visitor<'de> for Tasks<'_, E> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tasks")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((id, task)) = map.next_entry::<TaskId, Task>()? {
            if let Err(reason) = (self.take)(id, task) {
                *self.stopped = Some(reason);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// Reads a whole snapshot into memory.
///
/// # Errors
/// [`ReadSnapshotError`], never `Stopped`.
pub fn read_all(body: &[u8]) -> Result<TaskSet, ReadSnapshotError<std::convert::Infallible>> {
    let mut tasks = TaskSet::new();
    read(body, |id, task| {
        tasks.insert(id, task);
        Ok(())
    })?;
    Ok(tasks)
}

/// Writes a snapshot, task by task.
pub struct SnapshotWriter {
    /// Buffered: the compressor is slow when it is fed a word at a time.
    encoder: BufWriter<ZlibEncoder<Vec<u8>>>,
    count: u64,
}

/// Twice as fast as the usual level 6 for a tenth more bytes, and read by every zlib.
const COMPRESSION_LEVEL: u32 = 3;

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWriter").field("count", &self.count).finish()
    }
}

impl Default for SnapshotWriter {
    fn default() -> Self {
        let encoder = ZlibEncoder::new(Vec::new(), Compression::new(COMPRESSION_LEVEL));
        Self { encoder: BufWriter::with_capacity(64 * 1024, encoder), count: 0 }
    }
}

impl SnapshotWriter {
    /// Appends one task. Each id may come once; the order is free.
    pub fn push(&mut self, id: TaskId, task: &Task) {
        let opening: &[u8] = if self.count == 0 { b"{" } else { b"," };
        self.count += 1;
        let written = self
            .encoder
            .write_all(opening)
            .and_then(|()| write!(self.encoder, "\"{id}\":"))
            .and_then(|()| Ok(serde_json::to_writer(&mut self.encoder, task)?));
        written.expect("writing to memory");
    }

    /// The finished snapshot.
    pub fn finish(mut self) -> Vec<u8> {
        let closing: &[u8] = if self.count == 0 { b"{}" } else { b"}" };
        self.encoder.write_all(closing).expect("writing to memory");
        let encoder = self.encoder.into_inner().expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }
}

/// Writes `tasks` as a snapshot.
pub fn write(tasks: &TaskSet) -> Vec<u8> {
    let mut writer = SnapshotWriter::default();
    for (id, task) in tasks {
        writer.push(*id, task);
    }
    writer.finish()
}

/// Reads one task of its stored JSON text (a replica's `tasks.data`).
///
/// # Errors
/// If the text is not an object of texts.
pub fn read_task(json: &str) -> Result<Task, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let task = Task::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(task)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The zlib bytes of test vector V3 (protocol page section 9).
    const V3: &str = "789c0dc94b0a80201000d0abc4ac13b2f27b1b75148632a3cf22c4bbe7e66d5e0521e3e4e3a458903cb1d5ac8139d1f11812a29871760a6c855c901245040b5c19c1b5567c811130dee1a2f3a172f4f2ef3764da3768ed07b0d91b62";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|n| u8::from_str_radix(&text[n..n + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn reads_the_published_vector() {
        let tasks = read_all(&hex(V3)).unwrap();
        let task = &tasks[&"56e0be07-c61f-494c-a54c-bdcfdd52d2a7".parse().unwrap()];
        assert_eq!(task.get("description"), Some("buy milk"));
        assert_eq!(task.get("modified"), Some("1795188713"));
        assert_eq!(read_all(&write(&tasks)).unwrap(), tasks);
        assert_eq!(read_all(&write(&TaskSet::new())).unwrap(), TaskSet::new());
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(b"{\"").unwrap();
        for _ in 0..100 {
            encoder.write_all(&[b' '; 10_000]).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        let mut take = |_, _| Ok::<(), ()>(());
        assert!(matches!(
            read_limited(&bomb, 100_000, &mut take),
            Err(ReadSnapshotError::TooLarge)
        ));
    }

    #[test]
    fn what_is_no_snapshot_is_an_error() {
        for body in [&b""[..], b"{}", b"<html>", &hex(V3)[..50]] {
            assert!(matches!(read_all(body), Err(ReadSnapshotError::Malformed(_))));
        }
    }
}
