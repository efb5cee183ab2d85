//! What happens between two steps: which act is drawn, and what people and other programs do.

use tandem_replica::{Keep, Replica};

use super::disk::Opened;
use super::{NANOS, World};
use crate::foreign;
use crate::plan::Workload;
use crate::random::Random;

/// When something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Nothing else is under way.
    Alone,
    /// Between two steps of a sync.
    Between,
    /// Between a sync's last look at the server and its push.
    BeforePush,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Edit,
    Undo,
    Sync,
    /// Somebody edits and syncs at once: before another's push that wins the race.
    Race,
    ForeignEdit,
    ForeignUndo,
    ForeignSync,
    Deliver,
    Expire,
    Days,
    Clock,
    Renumber,
    Prune,
    Backup,
    Restore,
    Switch,
    Orphan,
    Newcomer,
}

impl World {
    pub(super) fn choose(&self, occasion: Occasion) -> (Act, usize) {
        let mut inner = self.look();
        let plan = inner.plan.clone();
        let mut acts = vec![(Act::Edit, 30), (Act::Undo, 4), (Act::Days, 1), (Act::Renumber, 1)];
        acts.push((Act::Sync, if occasion == Occasion::Alone { 30 } else { 10 }));
        if occasion == Occasion::BeforePush {
            acts.push((Act::Race, 60));
        }
        acts.push((Act::Newcomer, if plan.workload == Workload::MissingHistory { 4 } else { 1 }));
        if plan.delay > 0 {
            acts.push((Act::Deliver, 8));
        }
        if plan.foreign {
            acts.push((Act::ForeignEdit, 12));
            acts.push((Act::ForeignUndo, 3));
        }
        if plan.prunes {
            acts.push((Act::Prune, 2));
        }
        if plan.bad_clocks {
            acts.push((Act::Clock, 2));
        }
        match plan.workload {
            Workload::Usual => {}
            Workload::Retention | Workload::MissingHistory => acts.push((Act::Expire, 5)),
            Workload::ForeignSync => acts.push((Act::ForeignSync, 12)),
            Workload::RestoredServer => {
                acts.push((Act::Backup, 4));
                acts.push((Act::Restore, 2));
            }
            Workload::Switching => acts.push((Act::Switch, 4)),
            Workload::Directory => acts.push((Act::Orphan, 4)),
        }
        let sum = acts.iter().map(|(_, weight)| weight).sum();
        let mut at = inner.random.below(sum);
        let act = acts
            .iter()
            .find(|(_, weight)| match at.checked_sub(*weight) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            })
            .map_or(Act::Edit, |(act, _)| *act);
        let replica = inner.random.below(plan.replicas);
        (act, replica)
    }

    pub(super) fn perform(&self, (act, replica): (Act, usize)) {
        self.tell(&format!("{act:?} {replica}"));
        {
            let mut inner = self.look();
            inner.depth += 1;
            inner.acts += 1;
        }
        match act {
            Act::Edit => self.edit(replica),
            Act::Undo => self.undo(replica),
            Act::Sync => {
                self.sync(replica);
            }
            Act::Race => {
                self.edit(replica);
                self.sync(replica);
            }
            Act::ForeignEdit => {
                let now = self.now(replica);
                let changes = self.draw_changes(replica);
                self.ledgered(replica, |world| {
                    let mut storage = world.open(replica);
                    let mut random = world.fork_random();
                    foreign::edit(storage.as_mut(), &changes, now, &mut random)
                        .expect("a foreign edit finds its storage");
                    world.look().actors[replica].is_foreign = true;
                });
            }
            Act::ForeignUndo => self.foreign_undo(replica),
            Act::ForeignSync => self.foreign_sync(replica),
            Act::Deliver => self.deliver(),
            Act::Expire => self.expire(),
            Act::Days => {
                let servers = self.look().servers.clone();
                servers.iter().for_each(|server| server.pass_days(7));
            }
            Act::Clock => {
                let mut inner = self.look();
                let jump = i128::from(inner.random.bits() % 7_200) - 3_600;
                inner.actors[replica].offset = jump * NANOS;
            }
            Act::Renumber => {
                let now = self.now(replica);
                let mut ours = Replica::new(Opened(self.open(replica)));
                ours.renumber(now).expect("a replica can be renumbered");
                self.look().actors[replica].is_foreign = false;
            }
            Act::Prune => {
                let now = self.now(replica);
                let mut ours = Replica::new(Opened(self.open(replica)));
                ours.prune(Keep { days: 0, commands: 2 }, now.plus_seconds(1))
                    .expect("a replica can be pruned");
            }
            Act::Backup => {
                let mut inner = self.look();
                inner.backup = Some(inner.servers[0].checkpoint());
            }
            Act::Restore => self.restore(),
            Act::Switch => {
                let mut inner = self.look();
                if !inner.actors[replica].is_syncing {
                    inner.actors[replica].server ^= 1;
                }
            }
            Act::Orphan => self.orphan(),
            Act::Newcomer => self.newcomer(),
        }
        self.look().depth -= 1;
        self.check_servers();
        self.check_replica(replica);
    }

    pub(crate) fn fork_random(&self) -> Random {
        Random::new(self.look().random.bits())
    }
}
