//! A list that moves to another place.
//!
//! The place is remembered from the commit that lets the whole list wait anew until a sync that got
//! there has told it: whether an answer was lost or the program was killed in between, it is told
//! once, and as what it was.

use serde::{Deserialize, Serialize};

use crate::replica::Replica;
use crate::storage::{Result, StorageError, Txn};

const MOVE: &str = "move";

/// A move of the whole list, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The place held the version on which this list had stood there before.
    pub again: bool,
    /// Something was taken in from there: the two lists were joined.
    pub joined: bool,
}

/// Remembers that the list is on its way.
pub(crate) fn set_out(txn: &mut dyn Txn, again: bool) -> Result<()> {
    put(txn, Move { again, joined: false })
}

/// Something is about to be taken in on an empty base: if the list is on its way, it meets another.
pub(crate) fn meet(txn: &mut dyn Txn) -> Result<()> {
    match read(txn)? {
        Some(it) => put(txn, Move { joined: true, ..it }),
        None => Ok(()),
    }
}

/// Forgets it: another program has synchronised the list since, nobody knows where.
pub(crate) fn forget(txn: &mut dyn Txn) -> Result<()> {
    txn.set_meta(MOVE, None)
}

fn read(txn: &mut dyn Txn) -> Result<Option<Move>> {
    // One that cannot be read goes untold; nothing else depends on it.
    Ok(txn.meta(MOVE)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn put(txn: &mut dyn Txn, it: Move) -> Result<()> {
    let text = serde_json::to_string(&it).map_err(|source| StorageError::Other {
        file: "memory".into(),
        doing: "writing that the list moves",
        source: Box::new(source),
    })?;
    txn.set_meta(MOVE, Some(&text))
}

impl Replica {
    /// The move of this list that no sync has told yet; told once.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn take_move(&mut self) -> Result<Option<Move>> {
        // Nearly always there is none, and nothing is written.
        if self.read(read)?.is_none() {
            return Ok(None);
        }
        let mut txn = self.storage_mut().write()?;
        let it = read(txn.as_mut())?;
        forget(txn.as_mut())?;
        txn.commit()?;
        Ok(it)
    }
}
