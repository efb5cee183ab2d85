//! What one run does: drawn from its seed, so that runs differ in kind and not only in order.

use crate::random::Random;

/// The kind of story that a run tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// Several replicas, one server that keeps everything.
    Usual,
    /// The server deletes what lies behind its snapshot: 410.
    Retention,
    /// Other programs sync the same replica files as well.
    ForeignSync,
    /// The server is restored from an older backup once.
    RestoredServer,
    /// Replicas move between two servers.
    Switching,
    /// A local directory in the reference's format, where racing programs leave orphans.
    Directory,
    /// The server's history has lost its beginning and has no snapshot.
    MissingHistory,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Usual,
        Self::Retention,
        Self::ForeignSync,
        Self::RestoredServer,
        Self::Switching,
        Self::Directory,
        Self::MissingHistory,
    ];

    /// Reads its name, as a person types it.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::ALL.into_iter().find(|workload| format!("{workload:?}").to_ascii_lowercase() == name)
    }
}

/// Where replicas live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskKind {
    /// In memory.
    Memory,
    /// In SQLite files, in a folder of their own.
    Sqlite,
}

/// How one run is set up. Chances are per mille.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The story.
    pub workload: Workload,
    /// Number of replicas.
    pub replicas: usize,
    /// Actions in the safety phase.
    pub steps: usize,
    /// Number of task ids in play.
    pub tasks: usize,
    /// All replicas may create the same ids.
    pub shared_ids: bool,
    /// Every written value is new; otherwise values repeat, and equal edits meet.
    pub unique_values: bool,
    /// Bytes of operations in one version.
    pub segment_bytes_max: usize,
    /// Bytes of pulled segments in one commit.
    pub group_bytes_max: usize,
    /// Make snapshots only at high urgency.
    pub avoid_snapshots: bool,
    /// Versions after which the server wants a snapshot.
    pub snapshot_versions: u32,
    /// The remote seals.
    pub has_secret: bool,
    /// Old log entries are forgotten at once.
    pub prunes: bool,
    /// Chance that others act at a moment between two steps of a sync.
    pub interleave: u32,
    /// Chance that a request is lost.
    pub lose_request: u32,
    /// Chance that a reply is lost after the server has done what was asked.
    pub lose_reply: u32,
    /// Chance that a request arrives later.
    pub delay: u32,
    /// Chance that the server says 5xx and does nothing.
    pub refuse: u32,
    /// Chance that the process dies at a call or a transaction.
    pub crash: u32,
    /// Chance that the disk is full.
    pub disk_full: u32,
    /// Other programs edit the replica files.
    pub foreign: bool,
    /// Clocks stand still for long (many equal times) instead of running.
    pub coarse_clock: bool,
    /// Clocks differ, jump and go back.
    pub bad_clocks: bool,
}

impl Plan {
    /// Draws a plan.
    pub fn draw(random: &mut Random, workload: Option<Workload>, disk: DiskKind) -> Self {
        let weighted = [
            Workload::Usual,
            Workload::Usual,
            Workload::Usual,
            Workload::Retention,
            Workload::Retention,
            Workload::ForeignSync,
            Workload::RestoredServer,
            Workload::Switching,
            Workload::Directory,
            Workload::MissingHistory,
        ];
        let drawn = *random.pick(&weighted);
        let workload = workload.unwrap_or(drawn);
        let mut sometimes = |chances: &[u32]| *random.pick(chances);
        let (interleave, lose_request, lose_reply) =
            (sometimes(&[0, 100, 300, 500]), sometimes(&[0, 0, 50]), sometimes(&[0, 50, 150, 300]));
        let (delay, refuse, crash, disk_full) = (
            sometimes(&[0, 50, 150]),
            sometimes(&[0, 30]),
            sometimes(&[0, 20, 60]),
            sometimes(&[0, 0, 20]),
        );
        Self {
            workload,
            replicas: 3 + random.below(3),
            steps: match disk {
                DiskKind::Memory => 20 + random.below(60),
                DiskKind::Sqlite => 20 + random.below(20),
            },
            tasks: 1 + random.below(6),
            shared_ids: random.chance(500),
            unique_values: random.chance(600),
            segment_bytes_max: *random.pick(&[1, 200, 500, 2_000, 1_000_000]),
            group_bytes_max: *random.pick(&[1, 300, 2_000, 1_000_000]),
            avoid_snapshots: random.chance(300),
            snapshot_versions: *random.pick(&[1, 3, 8]),
            has_secret: random.chance(500),
            prunes: random.chance(200),
            interleave,
            lose_request,
            lose_reply,
            delay,
            refuse,
            crash,
            disk_full,
            foreign: workload == Workload::ForeignSync || random.chance(400),
            coarse_clock: random.chance(300),
            bad_clocks: random.chance(400),
        }
    }
}
