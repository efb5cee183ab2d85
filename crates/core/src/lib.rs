//! The few words that every kind of data in Tandem shares.
//!
//! Pure: no files, sockets, clock or randomness. Ids and instants come from outside as values.

mod id;
pub mod limits;
mod retry;
mod spelling;
mod timestamp;

pub use id::{ClientId, ParseIdError, TaskId, VersionId};
pub use retry::Backoff;
pub use spelling::{edit_distance, nearest};
pub use timestamp::{ParseTimestampError, Timestamp};
