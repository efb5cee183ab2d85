//! The simulated world: replicas, servers, clocks and faults, all from one seed.
//!
//! # Fault model
//! What the lines and the servers may do stands at the top of `network.rs`, what processes and their
//! disks may do at the top of `disk.rs`. Besides:
//!
//! **Clock**: one per replica, with an offset; may stand still, jump and go back.
//! **Others**: at any moment between two steps of a sync, other processes edit, undo, renumber or
//! prune the same replica, another program writes to its file (with old values that may be stale
//! where our log knows better), and other replicas sync. One sync at a time per replica is given
//! (the sync lock).
//!
//! # Two phases
//! *Safety*: all of that, checked after every step. *Liveness*: faults stop, every replica syncs
//! [`LIVENESS_ROUNDS`] times, and then everything must be in step.

mod checks;
mod disk;
mod edits;
mod foresight;
mod network;
mod phases;
mod syncs;
mod workload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_core::{Timestamp, VersionId};
use tandem_remote::{Call, MemoryServer};
use tandem_replica::MemoryStorage;
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::session::End;

use crate::archive::Archive;
use crate::ledger::Ledger;
use crate::plan::{DiskKind, Plan, Workload};
use crate::random::Random;
use crate::twin::Twin;
use disk::Disk;

pub(crate) use disk::Process;
pub(crate) use network::Line;
pub(crate) use workload::Occasion;

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
    /// The real storage of `ta serve` is asked everything that the servers in memory are asked, and
    /// must give the same answers.
    pub has_twin: bool,
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
    twin: Option<Twin>,
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
        let twin = options.has_twin.then(|| Twin::beside(&servers));
        let inner = Inner {
            random,
            twin,
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
}
