//! What people do to a replica, written into the ledger.

use tandem_core::TaskId;
use tandem_replica::{Replica, Undone};

use super::disk::Opened;
use super::{NANOS, World};
use crate::foreign;

impl World {
    pub(super) fn draw_changes(&self, replica: usize) -> Vec<foreign::Change> {
        let mut inner = self.look();
        let inner = &mut *inner;
        let count = 1 + inner.random.below(3);
        (0..count)
            .map(|_| {
                let space = if inner.plan.shared_ids { 0xee } else { 0xa0 + replica };
                // With ids of one's own, others' tasks are changed and own ones created.
                let space = if inner.plan.shared_ids || inner.random.chance(500) {
                    space
                } else {
                    0xa0 + inner.random.below(inner.plan.replicas)
                };
                let id = TaskId::from_bytes([
                    u8::try_from(space).unwrap_or(0),
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    u8::try_from(inner.random.below(inner.plan.tasks)).unwrap_or(0) + 1,
                ]);
                let may_create = inner.plan.shared_ids || space == 0xa0 + replica;
                let property = *inner.random.pick(&[
                    "description",
                    "description",
                    "project",
                    "status",
                    "priority",
                    "tag_home",
                    "modified",
                ]);
                inner.values += 1;
                let value = match property {
                    "status" => Some(
                        (*inner.random.pick(&["pending", "completed", "deleted", "recurring"]))
                            .to_owned(),
                    ),
                    _ if inner.random.chance(150) => None,
                    "tag_home" => Some(String::new()),
                    "modified" => Some((inner.time.div_euclid(NANOS)).to_string()),
                    _ if inner.plan.unique_values => Some(format!("v{}", inner.values)),
                    _ => Some((*inner.random.pick(&["a", "b", "c"])).to_owned()),
                };
                let is_purge = inner.random.chance(40);
                let earlier = if inner.random.chance(50) { inner.random.below(5_000) } else { 0 };
                foreign::Change { id, may_create, is_purge, property, value, earlier }
            })
            .collect()
    }

    pub(super) fn edit(&self, replica: usize) {
        let now = self.now(replica);
        let changes = self.draw_changes(replica);
        self.ledgered(replica, |world| {
            let mut ours = Replica::new(Opened(world.open(replica)));
            let edited = ours
                .edit("modify", now, |editor| {
                    for change in &changes {
                        if change.is_purge {
                            editor.purge(change.id)?;
                            continue;
                        }
                        if editor.task(change.id)?.is_none() {
                            if !change.may_create {
                                continue;
                            }
                            editor.create(change.id)?;
                            editor.set(change.id, "status", Some("pending"))?;
                        }
                        let at = now.plus_seconds(-(i64::try_from(change.earlier).unwrap_or(0)));
                        editor.set_at(change.id, change.property, change.value.as_deref(), at)?;
                    }
                    Ok::<_, tandem_replica::StorageError>(())
                })
                .expect("an edit finds its storage");
            if edited.operations > 0 {
                world.look().actors[replica].is_foreign = false;
            }
        });
    }

    /// Adds a task that nobody else knows of.
    pub(super) fn note_something(&self, replica: usize) {
        let now = self.now(replica);
        let count = {
            let mut inner = self.look();
            inner.values += 1;
            inner.values
        };
        let mut bytes = [0x77; 16];
        bytes[..8].copy_from_slice(&count.to_be_bytes());
        self.ledgered(replica, |world| {
            let mut ours = Replica::new(Opened(world.open(replica)));
            ours.edit("add", now, |editor| {
                editor.create(TaskId::from_bytes(bytes))?;
                editor.set(TaskId::from_bytes(bytes), "status", Some("pending"))
            })
            .expect("an edit finds its storage");
        });
    }

    pub(super) fn undo(&self, replica: usize) {
        let now = self.now(replica);
        self.ledgered(replica, |world| {
            let mut ours = Replica::new(Opened(world.open(replica)));
            let undone = ours.undo(now).expect("an undo finds its storage");
            let told = match undone {
                Undone::Nothing => "nothing to undo",
                Undone::Removed { .. } => "removed",
                Undone::Compensated { .. } => "compensated",
            };
            world.tell(told);
            world.count(&format!("undo {told}"));
        });
    }

    /// Another program takes its last command back, and no more than that may go.
    pub(super) fn foreign_undo(&self, replica: usize) {
        // A program that undoes from a stale memory what we have not seen damages the file beyond
        // what anybody could tell. So we look first.
        let now = self.now(replica);
        self.ledgered(replica, |world| {
            Replica::new(Opened(world.open(replica))).notice(now).expect("a replica can be read");
        });
        let (_, before) = self.pending(replica);
        self.ledgered(replica, |world| {
            let mut storage = world.open(replica);
            let done = foreign::undo(storage.as_mut()).expect("a foreign undo finds its storage");
            world.tell(&format!("undone: {done}"));
            world.look().actors[replica].is_foreign = true;
        });
        let (_, after) = self.pending(replica);
        let removed: Vec<_> = before
            .iter()
            .filter(|(id, _)| !after.contains_key(*id))
            .filter_map(|(_, operation)| operation.to_operation())
            .collect();
        let checked = self.look().ledger.check_undo(&removed);
        if let Err(what) = checked {
            self.fail(format!("replica {replica}: {what}"));
        }
    }

    /// Acts on a replica's file and writes into the ledger what that made and took back.
    pub(super) fn ledgered(&self, replica: usize, act: impl FnOnce(&Self)) {
        let (base, before) = self.pending(replica);
        act(self);
        let (_, after) = self.pending(replica);
        let made: Vec<_> = after
            .iter()
            .filter(|(id, _)| !before.contains_key(*id))
            .filter_map(|(id, operation)| Some((*id, operation.to_operation()?)))
            .collect();
        for (id, operation) in &made {
            self.tell(&format!("made {} {operation:?}", id.0));
        }
        let gone: Vec<_> = before.keys().filter(|id| !after.contains_key(*id)).copied().collect();
        let mut inner = self.look();
        for id in gone {
            inner.ledger.undone(replica, id);
        }
        inner.ledger.made(replica, base, made);
    }
}
