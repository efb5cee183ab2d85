//! Rows of the tables as values. The order of columns is that of `sql/tandem_tables.sql`.

use tandem_core::VersionId;

use super::cells::Cells;
use crate::storage::{
    AppliedRow, ConflictRow, InFlightRow, LoggedOperation, OperationId, RemoteRow, Result, StepRow,
};

pub(super) fn logged(cells: &Cells<'_>) -> Result<LoggedOperation> {
    Ok(LoggedOperation {
        id: OperationId(cells.integer(0)?),
        operation: cells.json(1)?,
        synced: cells.truth(2)?,
    })
}

pub(super) fn step(cells: &Cells<'_>) -> Result<StepRow> {
    Ok(StepRow {
        id: cells.integer(0)?,
        first: OperationId(cells.integer(1)?),
        last: OperationId(cells.integer(2)?),
        at: cells.parsed(3)?,
        origin: cells.json(4)?,
        undone: cells.truth(5)?,
    })
}

pub(super) fn in_flight(cells: &Cells<'_>) -> Result<InFlightRow> {
    Ok(InFlightRow {
        remote: cells.integer(1)?,
        parent: cells.parsed(2)?,
        digest: cells.bytes(3)?.try_into().map_err(|error| cells.wrong(3, error))?,
        count: cells.number(4)?,
        ranges: cells.json(5)?,
    })
}

pub(super) fn applied(cells: &Cells<'_>) -> Result<AppliedRow> {
    Ok(AppliedRow {
        version: cells.version(1)?,
        parent: cells.version(2)?,
        remote: cells.integer(3)?,
        hole: cells.truth(4)?,
        mark: OperationId(cells.integer(5)?),
        sent: cells.optional(6, Cells::parsed)?,
    })
}

pub(super) fn remote(cells: &Cells<'_>) -> Result<RemoteRow> {
    Ok(RemoteRow {
        id: cells.integer(0)?,
        key: cells.text(1)?.to_owned(),
        label: cells.text(2)?.to_owned(),
        last_base: cells.parsed(3)?,
        answered: cells.truth(4)?,
        needs_new_history: cells.truth(5)?,
        joining: cells.truth(6)?,
        proof: cells.optional(7, |cells, index| cells.bytes(index).map(<[u8]>::to_vec))?,
        wanted_snapshot: cells.optional(8, Cells::parsed::<VersionId>)?,
    })
}

pub(super) fn conflict(cells: &Cells<'_>) -> Result<ConflictRow> {
    let text = |index| cells.optional(index, |cells, index| cells.text(index).map(Into::into));
    Ok(ConflictRow {
        id: cells.integer(0)?,
        at: cells.parsed(1)?,
        task: cells.parsed(2)?,
        property: text(3)?,
        base: text(4)?,
        kept: text(5)?,
        lost: text(6)?,
        lost_here: cells.truth(7)?,
        lost_task: cells.optional(8, Cells::json)?,
        description: cells.text(9)?.to_owned(),
        resolved: cells.truth(10)?,
    })
}

/// The lowest and the highest dashed id that begin with `prefix`; none if no id can.
///
/// Whole ids, because a bare prefix may look like a number to SQLite, see [`super::txn`].
pub(super) fn ids_with_prefix(prefix: &str) -> Option<(String, String)> {
    const LOW: &str = "00000000-0000-0000-0000-000000000000";
    const HIGH: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    let fits = prefix.len() <= LOW.len()
        && prefix.bytes().zip(LOW.bytes()).all(|(byte, place)| match place {
            b'-' => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    fits.then(|| {
        (format!("{prefix}{}", &LOW[prefix.len()..]), format!("{prefix}{}", &HIGH[prefix.len()..]))
    })
}
