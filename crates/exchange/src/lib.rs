//! Taskwarrior's JSON and `.taskrc`, read and written as values.
//!
//! ```text
//!   bytes ── read ──▶ ImportRecord ── merge with the task we have ──▶ Outcome (changes to make)
//!   tasks ── write ─▶ bytes that `task import` takes, and that our own `read` finds unchanged
//! ```
//!
//! Words: an *attribute* is a field of the JSON; a *property* is a key of a task's map
//! (`protocols/taskchampion.md` section 1). One attribute may be several properties: `tags` are
//! `tag_home`, `tag_work` and the redundant list `tags`.
//!
//! # Invariants
//! * Nothing here opens a file or reads a clock: bytes, files and the time are passed in.
//! * One bad record rejects the whole input, and before anything was changed: half an import is
//!   worse than none.
//! * Merging never lets an older record win, never removes what a record does not mention, and
//!   finds nothing to do the second time.
//!
//! # Left to others
//! Making ids for records without one, finding the existing task, and turning changes into
//! operations.
//!
//! # Example
//! ```
//! use tandem_exchange::{Outcome, Types, merge, read};
//!
//! let json = r#"[{"description":"Water the plants","due":"20260401T060000Z","tags":["home"]}]"#;
//! let import = read(json.as_bytes(), &Types::new())?;
//! let task = &import.records[0].task;
//! assert_eq!(task.seconds("due"), Some(1_775_023_200));
//! assert_eq!(task.get("tag_home"), Some("x"));
//!
//! let now = 1_775_000_000;
//! assert!(matches!(merge(None, &import.records[0], now), Outcome::New(_)));
//! assert_eq!(merge(Some(task), &import.records[0], now), Outcome::Unchanged);
//! # Ok::<(), tandem_exchange::ReadError>(())
//! ```

mod date;
mod error;
mod json;
mod merge;
mod read;
mod record;
mod taskrc;
mod types;
mod write;

pub use error::{Problem, ReadError, Warning};
pub use merge::{Change, Outcome, merge};
pub use read::{DEPTH_MAX, INPUT_BYTES_MAX, Import, ImportRecord, read};
pub use taskrc::{
    Attribute, INCLUDE_DEPTH_MAX, INCLUDES_MAX, SyncSettings, Taskrc, TaskrcError, TaskrcWarning,
};
pub use types::{AttributeType, Types};
pub use write::{ExportTask, Exported, Exporter, LeftOut, write};
