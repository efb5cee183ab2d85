//! The two phases of a run: safety with faults, liveness without, and what must hold at the end.

use tandem_replica::Replica;
use tandem_tasks::LocalOperation;
use tandem_tasks::session::{End, Failure};

use super::checks::differences;
use super::disk::Opened;
use super::workload::{Act, Occasion};
use super::{ACTS_MAX, DEPTH_MAX, LIVENESS_ROUNDS, Run, World};
use crate::ledger::Remains;
use crate::plan::Workload;

impl World {
    pub(super) fn safety(&self) {
        let steps = self.look().plan.steps;
        for _ in 0..steps {
            if self.has_failed() {
                return;
            }
            let act = self.choose(Occasion::Alone);
            self.perform(act);
        }
    }

    /// Between two steps of a sync: others may act.
    pub(crate) fn moment(&self, replica: usize, occasion: Occasion) {
        if let Some(memory) = self.memory_of(replica) {
            // A fault that was meant for a transaction without anything to commit.
            memory.forget_fault();
        }
        self.check_replica(replica);
        {
            let mut inner = self.look();
            let chance = inner.plan.interleave;
            if !inner.has_faults
                || inner.depth >= DEPTH_MAX
                || inner.acts >= ACTS_MAX
                || inner.failure.is_some()
                || !inner.random.chance(chance)
            {
                return;
            }
        }
        let (act, mut who) = self.choose(occasion);
        if act == Act::Race && who == replica {
            // Nobody races with themselves.
            who = (who + 1) % self.look().plan.replicas;
        }
        self.perform((act, who));
    }

    pub(super) fn liveness(&self) {
        if self.has_failed() {
            return;
        }
        let replicas = {
            let mut inner = self.look();
            inner.has_faults = false;
            for actor in &mut inner.actors {
                actor.server = 0;
            }
            inner.plan.replicas
        };
        self.tell("-- faults stop --");
        while !self.look().delayed.is_empty() {
            self.deliver();
        }
        let mut ends = Vec::new();
        let workload = self.look().plan.workload;
        // Where a history has lost its beginning, somebody's snapshot must cure it first.
        let is_broken = matches!(workload, Workload::MissingHistory | Workload::RestoredServer);
        for _ in 0..LIVENESS_ROUNDS + 2 * usize::from(is_broken) {
            ends = (0..replicas).map(|replica| self.sync(replica)).collect();
            for (replica, end) in ends.iter().enumerate() {
                // The server asks for the snapshot that cures it with the next version it takes.
                if is_broken && *end == Some(End::InStep) {
                    self.note_something(replica);
                }
            }
            for replica in 0..replicas {
                self.check_replica(replica);
            }
        }
        if is_broken {
            ends = (0..replicas).map(|replica| self.sync(replica)).collect();
            ends = ends.iter().enumerate().map(|(replica, _)| self.sync(replica)).collect();
        }
        self.check_servers();
        if self.has_failed() {
            return;
        }
        self.check_in_step(&ends);
    }

    fn check_in_step(&self, ends: &[Option<End>]) {
        let workload = self.look().plan.workload;
        let server = self.look().servers[0].clone();
        let latest = server.latest();
        let may_be_missing = workload == Workload::MissingHistory;
        let Some(expected) = self.look().archive.state_at(latest) else {
            return self.fail("the chain has no replay".into());
        };
        let mut remains = Vec::new();
        for (replica, end) in ends.iter().enumerate() {
            let mut ours = Replica::new(Opened(self.open(replica)));
            let (_, pending) = self.pending(replica);
            let pending: Vec<_> =
                pending.values().filter_map(LocalOperation::to_operation).collect();
            let conflicts = ours.conflicts(true).expect("a replica can be read");
            let is_told = match end {
                Some(End::InStep | End::NoHistory) => false,
                Some(End::Failed(Failure::HistoryMissing)) if may_be_missing => true,
                other => return self.fail(format!("replica {replica} ended with {other:?}")),
            };
            if !is_told {
                if !pending.is_empty() {
                    return self.fail(format!("replica {replica} still has {pending:?}"));
                }
                let base = ours.base_version().expect("a replica can be read");
                if base != latest {
                    return self.fail(format!(
                        "replica {replica} stands on {base}, the chain ends at {latest}"
                    ));
                }
                let tasks = ours.all_tasks().expect("a replica can be read");
                if tasks != *expected {
                    return self.fail(format!(
                        "replica {replica} is not what the chain says: {}",
                        differences(&tasks, &expected)
                    ));
                }
            }
            remains.push(Remains { pending, conflicts });
        }
        self.newcomer();
        if self.has_failed() {
            return;
        }
        let is_merged = !matches!(workload, Workload::Usual | Workload::ForeignSync);
        let inner = self.look();
        let lost = inner.ledger.check(&inner.archive, &remains, &expected, is_merged);
        let winners = match workload {
            Workload::Usual => {
                inner.ledger.check_winners(&inner.archive, latest, inner.plan.foreign)
            }
            _ => Ok(()),
        };
        drop(inner);
        if let Err(what) = lost.and(winners) {
            self.fail(what);
        }
    }

    pub(super) fn end(self) -> Run {
        let mut inner = self.look();
        if let Some(twin) = &inner.twin {
            let (compared, kills) = (twin.compared(), twin.kills());
            inner.counts.insert("compared with the storage".into(), compared);
            inner.counts.insert("server killed".into(), kills);
        }
        Run {
            plan: inner.plan.clone(),
            hash: inner.hash,
            counts: std::mem::take(&mut inner.counts),
            failure: inner.failure.take(),
            trace: std::mem::take(&mut inner.trace),
        }
    }
}
