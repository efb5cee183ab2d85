//! The simulated world: replicas, servers, clocks and faults, all from one seed.
//!
//! # Fault model
//! **Network**, per call: the request is lost; the server does it and the reply is lost; the
//! request arrives later, perhaps after the process has died (its reply goes nowhere); the server
//! says 5xx and does nothing. Requests are not duplicated by the line and bodies are not altered:
//! sealing and TLS answer for that.
//! **Server**: accepts, refuses and asks for snapshots by the protocol's own rules; may delete what
//! lies behind its snapshot; may be restored from an older backup; in a directory, a program that
//! races leaves the latest version off the chain. It never loses a version otherwise.
//! **Process**: may die before a transaction, after its commit, before a call and after it. What
//! was committed stays, everything else is gone. A commit may also fail without effect (disk full)
//! in a process that lives on. Storage itself keeps its promises: a transaction is atomic.
//! **Clock**: one per replica, with an offset; may stand still, jump and go back.
//! **Others**: at any moment between two steps of a sync, other processes edit, undo, renumber or
//! prune the same replica, another program writes to its file (with old values that may be stale
//! where our log knows better), and other replicas sync. One sync at a time per replica is given
//! (the sync lock).
//!
//! # Two phases
//! *Safety*: all of that, checked after every step. *Liveness*: faults stop, every replica syncs
//! [`LIVENESS_ROUNDS`] times, and then everything must be in step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_client::{SyncOptions, sync};
use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_remote::{Call, MemoryRemote, MemoryServer, Remote as _};
use tandem_replica::{
    Finding, Keep, MemoryStorage, OpenOptions, Replica, SqliteStorage, Storage, Target, Undone,
};
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::session::{Consent, End, Failure};
use tandem_tasks::{LocalOperation, OperationId, TaskSet, snapshot};

use crate::archive::{Archive, without_mark};
use crate::faulty::{FaultyRemote, FaultyStorage};
use crate::foreign;
use crate::ledger::{Ledger, Remains};
use crate::plan::{DiskKind, Plan, Workload};
use crate::random::Random;

/// How often everybody syncs after the faults have stopped. Where the server's history has lost its
/// beginning somebody must first push something, so that the server asks for the snapshot that
/// cures it: then four times more, with edits between the first of them.
pub const LIVENESS_ROUNDS: usize = 2;

/// Others act inside others' actions only so deep.
const DEPTH_MAX: u32 = 3;

/// Calls in a run; the longest healthy one makes a tenth of it.
const CALLS_MAX: u64 = 50_000;

/// Acts in a run after which nobody slips in between any more: a moment begets moments.
const ACTS_MAX: u64 = 600;

const NANOS: i128 = 1_000_000_000;

/// Which run to make.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything follows from it.
    pub seed: u64,
    /// The story, or whichever the seed draws.
    pub workload: Option<Workload>,
    /// Where the replicas live.
    pub disk: DiskKind,
    /// Keep the whole trace, not only its hash.
    pub keeps_trace: bool,
}

/// What a run was.
#[derive(Debug)]
pub struct Run {
    /// How it was set up.
    pub plan: Plan,
    /// The hash of all that happened, in order.
    pub hash: u64,
    /// How often what happened.
    pub counts: BTreeMap<String, u64>,
    /// What a checker found, if anything.
    pub failure: Option<String>,
    /// All that happened, if asked for.
    pub trace: Vec<String>,
}

/// Makes one run.
pub fn run(options: &Options) -> Run {
    let world = World::new(options);
    world.safety();
    world.liveness();
    world.end()
}

pub(crate) enum Disk {
    Memory(MemoryStorage),
    Sqlite(PathBuf),
}

struct Actor {
    disk: Disk,
    server: usize,
    offset: i128,
    is_syncing: bool,
    /// Another program has written since we last looked: our tables may lag behind.
    is_foreign: bool,
    last_end: Option<End>,
}

struct Inner {
    random: Random,
    plan: Plan,
    time: i128,
    actors: Vec<Actor>,
    servers: Vec<MemoryServer>,
    latest: Vec<VersionId>,
    backup: Option<tandem_remote::memory::Checkpoint>,
    has_restored: bool,
    delayed: Vec<(usize, Call)>,
    archive: Archive,
    ledger: Ledger,
    depth: u32,
    has_faults: bool,
    values: u64,
    calls: u64,
    acts: u64,
    failure: Option<String>,
    hash: u64,
    keeps_trace: bool,
    trace: Vec<String>,
    counts: BTreeMap<String, u64>,
    /// Removed with the world.
    _folder: Option<tempfile::TempDir>,
}

/// A handle on the world. Every lock is held for one look only, so that what happens at a moment
/// may itself use the world.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Inner>>);

/// A process, until it dies.
#[derive(Clone, Default)]
pub(crate) struct Process(Arc<AtomicBool>);

impl Process {
    pub(crate) fn is_dead(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    pub(crate) fn die(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the network does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Good,
    LoseRequest,
    LoseReply,
    Delay,
    Refuse,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Edit,
    Undo,
    Sync,
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
    fn new(options: &Options) -> Self {
        let mut random = Random::new(options.seed);
        let plan = Plan::draw(&mut random, options.workload, options.disk);
        let folder = (options.disk == DiskKind::Sqlite)
            .then(|| tempfile::tempdir().expect("a folder for the replicas can be made"));
        let actors = (0..plan.replicas)
            .map(|n| Actor {
                disk: match &folder {
                    Some(folder) => Disk::Sqlite(folder.path().join(format!("{n}.sqlite3"))),
                    None => Disk::Memory(MemoryStorage::new()),
                },
                server: 0,
                offset: if plan.bad_clocks {
                    (random.below(7_200) as i128 - 3_600) * NANOS
                } else {
                    0
                },
                is_syncing: false,
                is_foreign: false,
                last_end: None,
            })
            .collect();
        let targets = SnapshotTargets { days: 14, versions: plan.snapshot_versions };
        let servers: Vec<MemoryServer> = (0..2)
            .map(|n| {
                let server = MemoryServer::new(random.bits() ^ n);
                server.set_targets(targets);
                server
            })
            .collect();
        let inner = Inner {
            random,
            time: 1_700_000_000 * NANOS,
            actors,
            latest: vec![VersionId::NIL; servers.len()],
            servers,
            backup: None,
            has_restored: false,
            delayed: Vec::new(),
            archive: Archive::default(),
            ledger: Ledger::default(),
            depth: 0,
            has_faults: true,
            values: 0,
            calls: 0,
            acts: 0,
            failure: None,
            hash: 0xcbf2_9ce4_8422_2325,
            keeps_trace: options.keeps_trace,
            trace: Vec::new(),
            counts: BTreeMap::new(),
            _folder: folder,
            plan,
        };
        let world = Self(Arc::new(Mutex::new(inner)));
        let told = format!("{:?}", world.look().plan);
        world.tell(&told);
        world
    }

    fn look(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what happened.
    pub(crate) fn tell(&self, what: &str) {
        let mut inner = self.look();
        for byte in what.bytes() {
            inner.hash = (inner.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if inner.keeps_trace {
            let line = format!("{}{what}", "    ".repeat(inner.depth as usize));
            inner.trace.push(line);
        }
    }

    pub(crate) fn count(&self, what: &str) {
        *self.look().counts.entry(what.to_owned()).or_default() += 1;
    }

    /// The first failure ends the run.
    pub(crate) fn fail(&self, what: String) {
        if self.has_failed() {
            return;
        }
        self.tell(&format!("FAILED: {what}"));
        self.look().failure.get_or_insert(what);
    }

    fn has_failed(&self) -> bool {
        self.look().failure.is_some()
    }

    /// What a replica's clock says; looking at it lets time pass.
    pub(crate) fn now(&self, replica: usize) -> Timestamp {
        let mut inner = self.look();
        let passes = if inner.plan.coarse_clock {
            i128::from(inner.random.chance(50)) * NANOS
        } else {
            i128::from(inner.random.bits() % 2_000_000_000)
        };
        inner.time += passes;
        let time = inner.time + inner.actors[replica].offset;
        let seconds = i64::try_from(time.div_euclid(NANOS)).unwrap_or(0);
        let nanos = u32::try_from(time.rem_euclid(NANOS)).unwrap_or(0);
        Timestamp::new(seconds, if inner.plan.coarse_clock { 0 } else { nanos })
    }

    // Processes.

    /// A handle on a replica's file, as a process of its own has it.
    fn open(&self, replica: usize) -> Box<dyn Storage> {
        let path = match &self.look().actors[replica].disk {
            Disk::Memory(storage) => return Box::new(storage.clone()),
            Disk::Sqlite(path) => path.clone(),
        };
        let (storage, _) = SqliteStorage::open(&path, &OpenOptions::default())
            .expect("a replica file can be opened");
        Box::new(storage)
    }

    /// The shared handle of a replica in memory, to make its commits fail.
    pub(crate) fn memory_of(&self, replica: usize) -> Option<MemoryStorage> {
        match &self.look().actors[replica].disk {
            Disk::Memory(storage) => Some(storage.clone()),
            Disk::Sqlite(_) => None,
        }
    }

    /// Decides whether a process dies here.
    pub(crate) fn dies(&self) -> bool {
        let mut inner = self.look();
        if inner.failure.is_some() {
            return true;
        }
        let crash = inner.plan.crash;
        inner.has_faults && inner.random.chance(crash)
    }

    pub(crate) fn fills_disk(&self) -> bool {
        let mut inner = self.look();
        let chance = inner.plan.disk_full;
        inner.has_faults && inner.random.chance(chance)
    }

    pub(crate) fn line(&self) -> Line {
        let mut inner = self.look();
        inner.calls += 1;
        if inner.calls > CALLS_MAX {
            drop(inner);
            self.fail(format!("more than {CALLS_MAX} calls: somebody does not come to an end"));
            return Line::LoseRequest;
        }
        if !inner.has_faults {
            return Line::Good;
        }
        let plan = inner.plan.clone();
        for (chance, line) in [
            (plan.lose_request, Line::LoseRequest),
            (plan.lose_reply, Line::LoseReply),
            (plan.delay, Line::Delay),
            (plan.refuse, Line::Refuse),
        ] {
            if inner.random.chance(chance) {
                return line;
            }
        }
        Line::Good
    }

    pub(crate) fn delay(&self, server: usize, call: Call) {
        self.look().delayed.push((server, call));
    }

    /// A line to a server.
    pub(crate) fn connect(&self, server: usize) -> MemoryRemote {
        let inner = self.look();
        let mut remote = MemoryRemote::new(&inner.servers[server], &format!("server {server}"));
        if inner.plan.workload == Workload::Directory {
            remote = remote.as_directory();
        } else if inner.plan.has_secret {
            remote = remote.with_secret("correct horse");
        }
        remote
    }

    // Phases.

    fn safety(&self) {
        let steps = self.look().plan.steps;
        for _ in 0..steps {
            if self.has_failed() {
                return;
            }
            let act = self.choose(true);
            self.perform(act);
        }
    }

    /// Between two steps of a sync: others may act.
    pub(crate) fn moment(&self, replica: usize) {
        if let Some(memory) = self.memory_of(replica) {
            // A fault that was meant for a transaction without anything to commit.
            memory.forget_fault();
        }
        self.check_replica(replica);
        let act = {
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
            drop(inner);
            self.choose(false)
        };
        self.perform(act);
    }

    fn choose(&self, is_outermost: bool) -> (Act, usize) {
        let mut inner = self.look();
        let plan = inner.plan.clone();
        let mut acts = vec![(Act::Edit, 30), (Act::Undo, 4), (Act::Days, 1), (Act::Renumber, 1)];
        acts.push((Act::Sync, if is_outermost { 30 } else { 10 }));
        acts.push((Act::Newcomer, if plan.workload == Workload::MissingHistory { 4 } else { 1 }));
        if plan.delay > 0 {
            acts.push((Act::Deliver, 8));
        }
        if plan.foreign {
            acts.push((Act::ForeignEdit, 12));
            // After whole states were merged, everything that waits is one command to others, and
            // their undo takes all of it back: known, and told in the report of this crate's docs.
            if matches!(plan.workload, Workload::Usual | Workload::ForeignSync) {
                acts.push((Act::ForeignUndo, 3));
            }
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

    fn perform(&self, (act, replica): (Act, usize)) {
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
            Act::ForeignUndo => self.ledgered(replica, |world| {
                // A program that undoes from a stale memory what we have not seen damages the file
                // beyond what anybody could tell.
                let now = world.now(replica);
                Replica::new(Opened(world.open(replica)))
                    .notice(now)
                    .expect("a replica can be read");
                let mut storage = world.open(replica);
                let done =
                    foreign::undo(storage.as_mut()).expect("a foreign undo finds its storage");
                world.tell(&format!("undone: {done}"));
                world.look().actors[replica].is_foreign = true;
            }),
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

    // Acts.

    fn draw_changes(&self, replica: usize) -> Vec<foreign::Change> {
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

    fn edit(&self, replica: usize) {
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
    fn note_something(&self, replica: usize) {
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

    fn undo(&self, replica: usize) {
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

    fn pending(&self, replica: usize) -> (VersionId, BTreeMap<OperationId, LocalOperation>) {
        let mut storage = self.open(replica);
        let mut txn = storage.read().expect("a replica can be read");
        let mut pending = BTreeMap::new();
        txn.each_pending(&mut |id, operation| {
            pending.insert(id, operation);
            Ok(())
        })
        .expect("a replica can be read");
        (txn.base_version().expect("a replica can be read"), pending)
    }

    /// Acts on a replica's file and writes into the ledger what that made and took back.
    fn ledgered(&self, replica: usize, act: impl FnOnce(&Self)) {
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

    fn sync(&self, replica: usize) -> Option<End> {
        let (server, options) = {
            let mut inner = self.look();
            if inner.actors[replica].is_syncing {
                return None;
            }
            inner.actors[replica].is_syncing = true;
            (inner.actors[replica].server, self.sync_options(&inner))
        };
        let process = Process::default();
        let storage =
            FaultyStorage::new(self.clone(), replica, process.clone(), self.open(replica));
        let mut ours = Replica::new(storage);
        let mut remote = FaultyRemote::new(self.clone(), replica, server, process.clone());
        let now = || self.now(replica);
        let result = sync(&mut ours, &mut remote, &options, &now, &mut |_| {});
        drop((ours, remote));
        self.look().actors[replica].is_syncing = false;
        if !process.is_dead() {
            // It has looked at the file at least once, but others may have written since.
            self.look().actors[replica].is_foreign = true;
        }
        let end = match result {
            Ok(synced) => {
                let end = synced.report.end.clone();
                let mut told = format!(
                    "synced {replica}: {end:?}, up {} down {}",
                    synced.report.operations_up, synced.report.operations_down
                );
                for (is, word) in [
                    (synced.report.reinitialised, "reinitialised"),
                    (synced.report.restarted, "restarted"),
                    (synced.report.snapshot_made.is_some(), "snapshot made"),
                    (synced.report.snapshot_loaded.is_some(), "snapshot loaded"),
                    (!synced.conflicts.is_empty(), "conflicts"),
                    (!synced.kept.is_empty(), "kept"),
                ] {
                    if is {
                        let _ = write!(told, ", {word}");
                        self.count(word);
                    }
                }
                self.tell(&told);
                self.count(&match &end {
                    End::Failed(failure) => {
                        let debug = format!("{failure:?}");
                        let kind = debug.split([' ', '{', '(']).next().unwrap_or("");
                        format!("end Failed {kind}")
                    }
                    End::Question(question) => {
                        let debug = format!("{question:?}");
                        format!("end Question {}", debug.split([' ', '{']).next().unwrap_or(""))
                    }
                    other => format!("end {other:?}"),
                });
                self.check_end(replica, &end);
                Some(end)
            }
            Err(error) => {
                self.tell(&format!("sync of {replica} broke off: {error}"));
                self.count("end broke off");
                None
            }
        };
        self.look().actors[replica].last_end.clone_from(&end);
        end
    }

    fn sync_options(&self, inner: &Inner) -> SyncOptions {
        SyncOptions {
            consent: Consent {
                join: inner.plan.workload != Workload::Usual,
                new_history: true,
                upload_difference: true,
            },
            avoid_snapshots: inner.plan.avoid_snapshots,
            keep: if inner.plan.prunes { Keep { days: 0, commands: 2 } } else { Keep::default() },
            segment_bytes_max: inner.plan.segment_bytes_max,
            group_bytes_max: inner.plan.group_bytes_max,
        }
    }

    /// Ends that can never be right in a world whose servers keep the protocol.
    fn check_end(&self, replica: usize, end: &End) {
        let workload = self.look().plan.workload;
        let is_wrong = match end {
            // Refused after its parent had been taken back: the next sync finds the server as it is.
            End::Failed(Failure::OutOfSync { .. }) => workload != Workload::RestoredServer,
            End::Failed(
                Failure::Malformed { .. }
                | Failure::FutureKind { .. }
                | Failure::WrongSecret { .. },
            ) => true,
            End::Failed(Failure::NotTheProtocol { what }) => {
                !what.contains("moved on before its snapshot")
            }
            End::Failed(Failure::HistoryMissing) => {
                // A server that was restored empty is adopted in the middle of a history: until the
                // snapshot that it asks for arrives, others find no way.
                !matches!(
                    workload,
                    Workload::MissingHistory
                        | Workload::Retention
                        | Workload::RestoredServer
                        // Gone twice in one sync, which begins again only once.
                        | Workload::Directory
                )
            }
            _ => false,
        };
        if is_wrong {
            self.fail(format!("sync of {replica} ended with {end:?}"));
        }
    }

    fn foreign_sync(&self, replica: usize) {
        // The real program does not know our lock: it may sync while we do.
        let server = self.look().actors[replica].server;
        let mut storage = self.open(replica);
        let mut remote = self.connect(server);
        let told = match foreign::sync(storage.as_mut(), &mut remote) {
            Ok((told, dropped)) => {
                let mut inner = self.look();
                dropped.into_iter().for_each(|id| inner.ledger.undone(replica, id));
                told
            }
            Err(error) => format!("foreign sync failed: {error}"),
        };
        self.look().actors[replica].is_foreign = true;
        self.tell(&told);
        self.count("foreign sync");
    }

    fn deliver(&self) {
        let delayed = {
            let mut inner = self.look();
            if inner.delayed.is_empty() {
                return;
            }
            let count = inner.delayed.len();
            let at = inner.random.below(count);
            inner.delayed.remove(at)
        };
        let (server, call) = delayed;
        let mut remote = self.connect(server);
        let told = format!("delayed {}", crate::faulty::name(&call));
        let outcome = remote.call(call);
        self.tell(&format!("{told}: {}", crate::faulty::told(&outcome)));
        self.check_servers();
    }

    fn expire(&self) {
        let (servers, workload) = {
            let inner = self.look();
            (inner.servers.clone(), inner.plan.workload)
        };
        let server = &servers[0];
        let Some((version, _)) = server.snapshot() else { return };
        // A server that keeps the law keeps its latest version.
        if version != server.latest() {
            server.expire(version);
            self.count("expired");
        }
        if workload == Workload::MissingHistory {
            server.drop_snapshot();
        }
    }

    fn restore(&self) {
        let mut guard = self.look();
        let inner = &mut *guard;
        if inner.has_restored {
            return;
        }
        if let Some(backup) = &inner.backup {
            inner.servers[0].restore(backup);
            let latest = inner.servers[0].latest();
            inner.latest[0] = latest;
            // The lines broke when it went down.
            inner.delayed.clear();
            inner.has_restored = true;
            *inner.counts.entry("restored".into()).or_default() += 1;
        }
    }

    /// A fresh replica syncs, undisturbed, and holds what the chain says or is told that it cannot.
    fn newcomer(&self) {
        let (server, workload, options) = {
            let inner = self.look();
            (inner.servers[0].clone(), inner.plan.workload, self.sync_options(&inner))
        };
        let may_be_missing =
            matches!(workload, Workload::MissingHistory | Workload::RestoredServer);
        let Some(expected) = self.look().archive.state_at(server.latest()) else {
            return self.fail("the chain has no replay".into());
        };
        let mut fresh = Replica::new(MemoryStorage::new());
        let mut remote = self.connect(0);
        let now = || Timestamp::from_seconds(1_800_000_000);
        match sync(&mut fresh, &mut remote, &options, &now, &mut |_| {}) {
            Ok(synced) => match synced.report.end {
                End::InStep | End::NoHistory => {
                    let tasks = fresh.all_tasks().expect("memory can be read");
                    if tasks != *expected {
                        self.fail(format!(
                            "a fresh replica is not what the chain says: {}",
                            differences(&tasks, &expected)
                        ));
                    }
                }
                End::Failed(Failure::HistoryMissing) if may_be_missing => {}
                end => self.fail(format!("a fresh replica ended with {end:?}")),
            },
            Err(error) => self.fail(format!("a fresh replica: {error}")),
        }
    }

    /// A racing program adds a version beside the latest one, over the same parent.
    fn orphan(&self) {
        let server = self.look().servers[0].clone();
        if server.latest().is_nil() || server.chain().len() < 2 {
            return;
        }
        let parent = server.chain().iter().rev().nth(1).map_or(VersionId::NIL, |v| v.version);
        let at_parent = self.look().archive.state_at(parent).unwrap_or_default();
        let changes = self.draw_changes(0);
        let now = self.now(0);
        let operations: Vec<_> = changes
            .iter()
            .filter(|change| !change.is_purge && at_parent.contains_key(&change.id))
            .map(|change| tandem_tasks::Operation::Update {
                uuid: change.id,
                property: change.property.into(),
                value: change.value.as_deref().map(Into::into),
                timestamp: now,
            })
            .collect();
        if operations.is_empty() {
            return;
        }
        let version = server.orphan_latest(tandem_tasks::segment::write(&operations));
        self.look().latest[0] = parent;
        self.tell(&format!("orphaned by {version}: {operations:?}"));
        self.count("orphaned");
    }

    // Checkers that run at every step.

    /// The chain grows at its end only, every version can be read, and the snapshot is the replay.
    pub(crate) fn check_servers(&self) {
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
    fn check_replica(&self, replica: usize) {
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

    // The end.

    fn liveness(&self) {
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

    fn end(self) -> Run {
        let mut inner = self.look();
        Run {
            plan: inner.plan.clone(),
            hash: inner.hash,
            counts: std::mem::take(&mut inner.counts),
            failure: inner.failure.take(),
            trace: std::mem::take(&mut inner.trace),
        }
    }
}

/// The tasks that differ, as found and as expected.
fn differences(found: &TaskSet, expected: &TaskSet) -> String {
    let ids: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let mut told = String::new();
    for id in ids.into_iter().filter(|id| found.get(*id) != expected.get(*id)) {
        let show = |tasks: &TaskSet| tasks.get(id).map(|task| task.properties.clone());
        let _ = write!(told, "{id} is {:?}, expected {:?}; ", show(found), show(expected));
    }
    told
}

/// A boxed storage is a storage.
struct Opened(Box<dyn Storage>);

impl Storage for Opened {
    fn write<'a>(
        &'a mut self,
    ) -> tandem_replica::storage::Result<Box<dyn tandem_replica::Txn + 'a>> {
        self.0.write()
    }
    fn read<'a>(
        &'a mut self,
    ) -> tandem_replica::storage::Result<Box<dyn tandem_replica::Txn + 'a>> {
        self.0.read()
    }
}
