//! Checkers that run at every step.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tandem_core::{TaskId, Timestamp};
use tandem_replica::{Finding, Replica, Target};
use tandem_tasks::{TaskSet, snapshot};

use super::World;
use super::disk::{Disk, Opened};
use crate::archive::without_mark;
use crate::twin::Twin;

impl World {
    /// The chain grows at its end only, every version can be read, and the snapshot is the replay.
    pub(crate) fn check_servers(&self) {
        let difference = self.look().twin.as_ref().and_then(Twin::difference);
        if let Some(difference) = difference {
            self.fail(difference);
        }
        for n in 0..2 {
            let server = self.look().servers[n].clone();
            if self.look().latest[n] == server.latest() {
                continue;
            }
            let chain = server.chain();
            let mut inner = self.look();
            let known = inner.latest[n];
            let mut error = None;
            let mut at = known;
            for version in &chain {
                if inner.archive.holds(version.version) {
                    continue;
                }
                if version.parent != at && !(at.is_nil() && inner.archive.holds(version.parent)) {
                    error.get_or_insert(format!(
                        "version {} follows {} and not {at}",
                        version.version, version.parent
                    ));
                }
                at = version.version;
                if let Err(what) =
                    inner.archive.take(version.version, version.parent, &version.bytes)
                {
                    error.get_or_insert(what);
                }
            }
            inner.latest[n] = server.latest();
            drop(inner);
            if let Some(error) = error {
                self.fail(error);
            }
        }
    }

    pub(crate) fn check_snapshot(&self, server: usize) {
        let server = self.look().servers[server].clone();
        let Some((version, bytes)) = server.snapshot() else { return };
        let shown = snapshot::read_all(without_mark(&bytes));
        let replayed = self.look().archive.state_at(version);
        match (shown, replayed) {
            (Ok(shown), Some(replayed)) if shown == *replayed => {}
            (Ok(shown), Some(replayed)) => self.fail(format!(
                "the snapshot of {version} is not the replay: {}",
                differences(&shown, &replayed)
            )),
            (shown, _) => self.fail(format!("the snapshot of {version}: {:?}", shown.err())),
        }
    }

    /// Base plus pending is the state, and the base is the replay of the chain.
    pub(super) fn check_replica(&self, replica: usize) {
        let copy = match &self.look().actors[replica].disk {
            Disk::Memory(storage) => Some(storage.copy()),
            Disk::Sqlite(_) => None,
        };
        let mut ours = match copy {
            Some(copy) => {
                let mut ours = Replica::new(copy);
                let target = Target { key: None, label: String::new() };
                ours.sync_facts(&target, Timestamp::EPOCH).expect("a copy can be read");
                ours
            }
            None if self.look().actors[replica].is_foreign => return,
            None => Replica::new(Opened(self.open(replica))),
        };
        match ours.check() {
            Ok(findings) if findings.is_empty() => {}
            other => {
                for finding in other.iter().flatten() {
                    if let Finding::StateDiffers { task } = finding {
                        self.tell_task(&mut ours, *task);
                    }
                }
                return self.fail(format!("replica {replica} does not fit: {other:?}"));
            }
        }
        let base = ours.base_version().expect("a replica can be read");
        let tasks = ours.base_tasks().expect("a replica can be read");
        let replayed = self.look().archive.state_at(base);
        match replayed {
            Some(replayed) if *replayed == tasks => {}
            Some(replayed) => {
                let ids: BTreeSet<_> = tasks.keys().chain(replayed.keys()).copied().collect();
                for id in ids.into_iter().filter(|id| tasks.get(id) != replayed.get(id)) {
                    self.tell_task(&mut ours, id);
                }
                self.fail(format!(
                    "the base of replica {replica} at {base} is not the replay: {}",
                    differences(&tasks, &replayed)
                ))
            }
            None => self.fail(format!("replica {replica} stands on {base}, which nobody made")),
        }
    }

    /// For whoever reads the trace: what the replica's tables say of a task that is wrong.
    fn tell_task(&self, ours: &mut Replica, id: TaskId) {
        let (rows, image, task) = ours
            .read(|txn| Ok((txn.operations_of(id)?, txn.base_image(id)?, txn.task(id)?)))
            .expect("a replica can be read");
        for row in rows {
            let state = if row.synced { "synced" } else { "pending" };
            self.tell(&format!("log {} {state} {:?}", row.id.0, row.operation));
        }
        self.tell(&format!("task {task:?}\nbase image {image:?}"));
    }
}

/// The tasks that differ, as found and as expected.
pub(super) fn differences(found: &TaskSet, expected: &TaskSet) -> String {
    let ids: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let mut told = String::new();
    for id in ids.into_iter().filter(|id| found.get(*id) != expected.get(*id)) {
        let show = |tasks: &TaskSet| tasks.get(id).map(|task| task.properties.clone());
        let _ = write!(told, "{id} is {:?}, expected {:?}; ", show(found), show(expected));
    }
    told
}
