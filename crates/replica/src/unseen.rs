//! What others changed without having seen ours, although ours had reached the server first.
//!
//! The transform meets what waits. A change of ours that the server has is met on the *other*
//! replica: its own later change stands, and it records the conflict. Here that change arrives as a
//! plain update over a value of ours, and nothing tells it from one that was made in full knowledge
//! of it, but the time: what was changed there before we had sent ours cannot have known it.
//!
//! ```text
//!   here    a (t=1) ──send (t=3)──▶ server                        ◀── b: told, since 2 < 3
//!   there            b (t=2, offline) ───── pulls a, b stands ──▶
//! ```
//!
//! Both times are read off clocks: by as much as the other one runs ahead something goes untold, by
//! as much as it runs behind a change that knew ours may be told. Two changes are exempt from that: one
//! that is stamped no later than ours knew it (else ours had stood), and one of what was sent
//! together with the task itself, without which nobody there could have changed it.

use std::collections::BTreeMap;

use tandem_core::{TaskId, Timestamp};
use tandem_tasks::deletion::is_work;
use tandem_tasks::session::{Lost, PullKind, is_worth_a_conflict};
use tandem_tasks::{LocalOperation, Operation, OperationId, Status, Task, Text};

use crate::image::log_trusted_after;
use crate::storage::{Origin, Result, Txn};

const LAST_SENT: &str = "last_sent";

/// When something was last made ready to be sent: until the server takes it, its own time.
pub(crate) fn last_sent(txn: &mut dyn Txn) -> Result<Option<Timestamp>> {
    Ok(txn.meta(LAST_SENT)?.and_then(|text| text.parse().ok()))
}

pub(crate) fn set_last_sent(txn: &mut dyn Txn, now: Timestamp) -> Result<()> {
    txn.set_meta(LAST_SENT, Some(&now.to_string()))
}

/// A pulled update that is older than what was sent from here last, and the value it met.
#[derive(Debug)]
pub(crate) struct Overwritten<'a> {
    property: &'a Text,
    timestamp: Timestamp,
    before: Option<Text>,
}

/// A value of ours that the server has.
#[derive(Debug)]
pub(crate) struct Unseen {
    /// What lost by it.
    pub(crate) lost: Lost,
    /// What the property said before ours.
    pub(crate) base: Option<Text>,
}

/// Looks for such changes while versions are pulled. Costs nothing for those that are younger than
/// what was sent last, which is nearly all.
#[derive(Debug)]
pub(crate) struct Lookout {
    last_sent: Option<Timestamp>,
    /// The marks of the applied versions in their order, and when they were sent from here. Read at
    /// the first use.
    versions: Option<Vec<(OperationId, Option<Timestamp>)>>,
}

/// What our log last says of a property.
#[derive(Debug)]
struct Word {
    place: OperationId,
    value: Option<Text>,
    old_value: Option<Text>,
    timestamp: Timestamp,
}

/// True if an operation was made on this replica, by us or by another program.
fn is_ours(txn: &mut dyn Txn, place: OperationId) -> Result<bool> {
    let step = txn.step_of(place)?;
    Ok(step.is_some_and(|step| !matches!(step.origin, Origin::Version(_))))
}

impl Lookout {
    pub(crate) fn new(txn: &mut dyn Txn, kind: PullKind) -> Result<Self> {
        let last_sent = match kind {
            PullKind::Usual => last_sent(txn)?,
            PullKind::FirstLoad | PullKind::Replay => None,
        };
        Ok(Self { last_sent, versions: None })
    }

    /// What `operation` is about to overwrite, where that could be ours and unseen.
    pub(crate) fn before<'a>(
        &self,
        operation: &'a Operation,
        base: Option<&Task>,
    ) -> Option<Overwritten<'a>> {
        let Operation::Update { property, timestamp, .. } = operation else { return None };
        if *timestamp >= self.last_sent? || !is_worth_a_conflict(property) {
            return None;
        }
        let before = base?.properties.get(property).cloned();
        Some(Overwritten { property, timestamp: *timestamp, before })
    }

    /// The values of ours among what was overwritten, and the status of a task that was deleted over
    /// other changes of ours. `after` is what came of the task; a removed one has none to tell.
    pub(crate) fn unseen(
        &mut self,
        txn: &mut dyn Txn,
        id: TaskId,
        overwritten: &[Overwritten<'_>],
        after: Option<&Task>,
    ) -> Result<Vec<Unseen>> {
        let Some(after) = after.filter(|_| !overwritten.is_empty()) else {
            return Ok(Vec::new());
        };
        let (mut words, made) = self.own_words(txn, id)?;
        let mut found = Vec::new();
        let mut deleted_at = None;
        for Overwritten { property, timestamp, before } in overwritten {
            if *property == "status" && before.as_deref() != Some(Status::Deleted.as_str()) {
                deleted_at = Some((*timestamp, before));
            }
            let is_ours = words
                .get(*property)
                .is_some_and(|word| word.value == *before && word.timestamp < *timestamp);
            if is_ours
                && let Some(word) = words.remove(*property)
                && self.sent(txn, word.place, made)?.is_some_and(|sent| *timestamp < sent)
            {
                let property = Some((*property).clone());
                let lost = Lost { task: id, property, value: word.value, here: true, at: None };
                found.push(Unseen { lost, base: word.old_value });
            }
        }
        let is_told = found.iter().any(|unseen| unseen.lost.property.as_deref() == Some("status"));
        if let Some((timestamp, before)) = deleted_at
            && !is_told
            && after.status() == Status::Deleted
        {
            for (_, word) in words.iter().filter(|(property, _)| is_work(property)) {
                if self.sent(txn, word.place, made)?.is_some_and(|sent| timestamp < sent) {
                    let (property, value) = (Some(Text::from("status")), before.clone());
                    let lost = Lost { task: id, property, value, here: true, at: None };
                    found.push(Unseen { lost, base: before.clone() });
                    break;
                }
            }
        }
        Ok(found)
    }

    /// What the log last says of each property of a task, as far as that went to the server or came
    /// from it, and where the task was made, if that was here.
    fn own_words(
        &self,
        txn: &mut dyn Txn,
        id: TaskId,
    ) -> Result<(BTreeMap<Text, Word>, Option<OperationId>)> {
        let trusted = log_trusted_after(txn)?;
        let mut words = BTreeMap::new();
        let mut made = None;
        for row in txn.operations_of(id)? {
            let place = row.id;
            if !row.synced || trusted.is_some_and(|last| place <= last) {
                continue;
            }
            match row.operation {
                LocalOperation::Update { property, value, old_value, timestamp, .. } => {
                    words.insert(property, Word { place, value, old_value, timestamp });
                }
                LocalOperation::Create { .. } => {
                    words.clear();
                    made = is_ours(txn, place)?.then_some(place);
                }
                LocalOperation::Delete { .. } => words.clear(),
                LocalOperation::UndoPoint => {}
            }
        }
        Ok((words, made))
    }

    /// When an operation was sent, if it was from here and not together with the task, which was
    /// `made` at another place.
    fn sent(
        &mut self,
        txn: &mut dyn Txn,
        place: OperationId,
        made: Option<OperationId>,
    ) -> Result<Option<Timestamp>> {
        if !is_ours(txn, place)? {
            return Ok(None);
        }
        let versions = match &mut self.versions {
            Some(versions) => versions,
            None => {
                let rows = txn.all_applied()?;
                self.versions.insert(rows.into_iter().map(|row| (row.mark, row.sent)).collect())
            }
        };
        let version_of = |place| versions.iter().position(|(mark, _)| *mark > place);
        let version = version_of(place);
        if made.is_some_and(|made| version_of(made) == version) {
            return Ok(None);
        }
        Ok(version.and_then(|version| versions[version].1))
    }
}

#[cfg(test)]
mod tests;
