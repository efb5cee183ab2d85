//! What people type and see for tasks, decided in pure code.
//!
//! A command line is words: `ta [filter] command [modification]`. [`command::parse`] finds the
//! command and splits the words around it, [`Filter`] decides which tasks are meant,
//! [`Modification`] turns words into property changes, [`report`] lays tasks out as a [`Table`].
//!
//! Pure: no files, sockets, clock or randomness. The moment and the time zone are in a [`Context`]
//! that the caller makes; numbers and uuid prefixes become ids through a function of the caller's.
//! Where this crate follows `protocols/taskchampion.md` it cites the section.

pub mod attribute;
pub mod circle;
pub mod command;
mod context;
pub mod dates;
mod error;
pub mod filter;
pub mod help;
pub mod keys;
pub mod modification;
pub mod report;
pub mod table;
pub mod tag;
pub mod text;
mod unbuilt;
pub mod urgency;

pub use attribute::{Uda, UdaKind, Vocabulary};
pub use command::{Command, Line};
pub use context::{Candidate, Context};
pub use dates::{DateError, parse_date};
pub use error::{Resolve, WordsError};
pub use filter::{Filter, IdWord};
pub use modification::{Change, Modification, PropertyChange};
pub use table::{Style, Table};

#[cfg(test)]
mod testing;
