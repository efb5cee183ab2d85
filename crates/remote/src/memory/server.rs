//! The server's state and levers.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_core::VersionId;
use tandem_tasks::serve::{self, ChildVersion, SnapshotAge, SnapshotTargets};
use tandem_tasks::session::{Added, Child, DirectoryTrouble, Failure, Urgency};

use crate::ancestry::Chain;

/// A version as it is stored: opaque bytes with a place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its id.
    pub version: VersionId,
    /// Its parent.
    pub parent: VersionId,
    /// Its bytes: sealed or plain, as whoever added it gave them.
    pub bytes: Vec<u8>,
}

/// What a server has been asked since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Questions for a child.
    pub get_child_version: u64,
    /// Offered versions, refused ones included.
    pub add_version: u64,
    /// Questions for the snapshot.
    pub get_snapshot: u64,
    /// Offered snapshots, ignored ones included.
    pub add_snapshot: u64,
}

/// The whole state of a server at one moment, to go back to.
#[derive(Debug, Clone)]
pub struct Checkpoint(History);

/// One request of the protocol and what this server made of it.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A version was offered.
    AddVersion {
        /// After which one.
        parent: VersionId,
        /// Its bytes.
        bytes: &'a [u8],
        /// The answer.
        answer: &'a Added,
    },
    /// A child was asked for.
    ChildVersion {
        /// Of which version.
        parent: VersionId,
        /// The decision.
        answer: ChildVersion,
        /// The version, if there is one.
        stored: Option<&'a StoredVersion>,
    },
    /// A snapshot was offered.
    AddSnapshot {
        /// Of which version.
        version: VersionId,
        /// Its bytes.
        bytes: &'a [u8],
        /// Whether it was taken.
        is_accepted: bool,
    },
    /// The snapshot was asked for.
    Snapshot {
        /// What there is.
        stored: Option<(VersionId, &'a [u8])>,
    },
    /// A lever of a test has changed what is stored, beside the protocol.
    Lever,
}

/// Looks on while a server answers, to compare it with another one. It is called under the server's
/// lock and must not ask the server.
pub trait Witness: Send {
    /// Something happened on this day, with these targets.
    fn saw(&mut self, seen: &Seen<'_>, day: u32, targets: SnapshotTargets);
}

/// A task server for one client. Clones are handles on the same server.
#[derive(Debug, Clone)]
pub struct MemoryServer(Arc<Mutex<State>>);

struct State {
    history: History,
    /// The next id is made of the seed and this; going back to a checkpoint does not rewind it,
    /// since real ids are never repeated either.
    ids: (u64, u64),
    today: u32,
    targets: SnapshotTargets,
    forced_urgency: Option<Urgency>,
    counts: Counts,
    witness: Option<Box<dyn Witness>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("history", &self.history).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default)]
struct History {
    versions: BTreeMap<VersionId, (VersionId, Vec<u8>)>,
    children: HashMap<VersionId, VersionId>,
    latest: VersionId,
    snapshot: Option<Snapshot>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    version: VersionId,
    bytes: Vec<u8>,
    day: u32,
    versions_since: u32,
}

impl MemoryServer {
    /// An empty server. The same seed gives the same version ids in the same order.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            history: History::default(),
            ids: (seed, 0),
            today: 0,
            targets: SnapshotTargets::default(),
            forced_urgency: None,
            counts: Counts::default(),
            witness: None,
        })))
    }

    /// Lets somebody look on from now on.
    pub fn witness(&self, witness: impl Witness + 'static) {
        self.state().witness = Some(Box::new(witness));
    }

    /// Adds a version, as section 6 says.
    pub fn add_version(&self, parent: VersionId, bytes: Vec<u8>) -> Added {
        let mut state = self.state();
        state.counts.add_version += 1;
        let answer = match serve::add_version(state.history.latest, parent) {
            serve::AddVersion::Conflict { latest } => Added::Conflict { latest },
            serve::AddVersion::Accept => {
                Added::Accepted { urgency: state.urgency(), version: state.next_id() }
            }
        };
        state.show(&Seen::AddVersion { parent, bytes: &bytes, answer: &answer });
        if let Added::Accepted { version, .. } = answer {
            state.history.insert(version, parent, bytes);
        }
        answer
    }

    /// Looks for the version after `parent`.
    pub fn child_version(&self, parent: VersionId) -> (ChildVersion, Option<StoredVersion>) {
        let mut state = self.state();
        state.counts.get_child_version += 1;
        let history = &state.history;
        let child = history.children.get(&parent).copied();
        let child = serve::child_version(history.latest, parent, child);
        let stored = match child {
            ChildVersion::Found(version) => history.stored(version),
            _ => None,
        };
        state.show(&Seen::ChildVersion { parent, answer: child, stored: stored.as_ref() });
        (child, stored)
    }

    /// Takes or ignores a snapshot; tells which, though the protocol does not.
    pub fn add_snapshot(&self, version: VersionId, bytes: Vec<u8>) -> bool {
        let mut state = self.state();
        state.counts.add_snapshot += 1;
        let recent = state.history.recent();
        let stored = state.history.snapshot.as_ref().map(|snapshot| snapshot.version);
        let is_accepted = serve::accepts_snapshot(&recent, stored, version);
        state.show(&Seen::AddSnapshot { version, bytes: &bytes, is_accepted });
        if is_accepted {
            let day = state.today;
            state.history.snapshot = Some(Snapshot { version, bytes, day, versions_since: 0 });
        }
        is_accepted
    }

    /// The stored snapshot.
    pub fn snapshot(&self) -> Option<(VersionId, Vec<u8>)> {
        let mut state = self.state();
        state.counts.get_snapshot += 1;
        let snapshot = state.history.snapshot.as_ref();
        let snapshot = snapshot.map(|snapshot| (snapshot.version, snapshot.bytes.clone()));
        let stored = snapshot.as_ref().map(|(version, bytes)| (*version, bytes.as_slice()));
        state.show(&Seen::Snapshot { stored });
        snapshot
    }

    /// The latest version, nil while there is none.
    pub fn latest(&self) -> VersionId {
        self.state().history.latest
    }

    /// The versions on the way to the latest, oldest first.
    pub fn chain(&self) -> Vec<StoredVersion> {
        let state = self.state();
        let mut chain = Vec::new();
        let mut at = state.history.latest;
        while let Some(stored) = state.history.stored(at) {
            at = stored.parent;
            chain.push(stored);
            assert!(chain.len() <= state.history.versions.len(), "the versions form a circle");
        }
        chain.reverse();
        chain
    }

    /// All stored versions in the order of their ids, those off the chain included.
    pub fn stored(&self) -> Vec<StoredVersion> {
        let state = self.state();
        state.history.versions.keys().filter_map(|version| state.history.stored(*version)).collect()
    }

    /// What the server has been asked.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Adds a version after the latest, as another client would: the race between pull and push.
    pub fn push(&self, bytes: Vec<u8>) -> VersionId {
        let latest = self.latest();
        match self.add_version(latest, bytes) {
            Added::Accepted { version, .. } => version,
            Added::Conflict { latest } => unreachable!("{latest} is the latest"),
        }
    }

    /// Stores any bytes under any id and makes it the latest, whatever the rules say: a damaged
    /// segment, a version seen before, a circle.
    pub fn plant(&self, version: VersionId, parent: VersionId, bytes: Vec<u8>) {
        let mut state = self.state();
        state.show(&Seen::Lever);
        state.history.insert(version, parent, bytes);
    }

    /// Puts a version beside the latest and makes it the latest, as a program that checked before
    /// the other wrote does in a local directory. Returns it; the former latest is now an orphan.
    pub fn orphan_latest(&self, bytes: Vec<u8>) -> VersionId {
        let mut state = self.state();
        state.show(&Seen::Lever);
        let latest = state.history.latest;
        let parent = state.history.versions.get(&latest).map_or(VersionId::NIL, |stored| stored.0);
        let version = state.next_id();
        state.history.insert(version, parent, bytes);
        version
    }

    /// Replaces the bytes of a stored version or snapshot.
    pub fn damage(&self, version: VersionId, bytes: &[u8]) {
        let mut state = self.state();
        state.show(&Seen::Lever);
        if let Some(stored) = state.history.versions.get_mut(&version) {
            bytes.clone_into(&mut stored.1);
        }
        if let Some(snapshot) = &mut state.history.snapshot
            && snapshot.version == version
        {
            bytes.clone_into(&mut snapshot.bytes);
        }
    }

    /// Deletes `version` and all its ancestors, as retention does. (It keeps the law that a history
    /// without beginning has a snapshot only if the caller does.)
    pub fn expire(&self, version: VersionId) {
        let mut state = self.state();
        state.show(&Seen::Lever);
        let mut at = version;
        while let Some((parent, _)) = state.history.versions.remove(&at) {
            state.history.children.remove(&parent);
            at = parent;
        }
    }

    /// Forgets the snapshot.
    pub fn drop_snapshot(&self) {
        let mut state = self.state();
        state.show(&Seen::Lever);
        state.history.snapshot = None;
    }

    /// Remembers the present state.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.state().history.clone())
    }

    /// Goes back to an earlier state, as a server restored from a backup does.
    pub fn restore(&self, checkpoint: &Checkpoint) {
        let mut state = self.state();
        state.show(&Seen::Lever);
        state.history = checkpoint.0.clone();
    }

    /// Lets days pass.
    pub fn pass_days(&self, days: u32) {
        let mut state = self.state();
        state.today = state.today.saturating_add(days);
    }

    /// Changes when snapshots are asked for.
    pub fn set_targets(&self, targets: SnapshotTargets) {
        self.state().targets = targets;
    }

    /// Answers every accepted version with this urgency, or by rule again.
    pub fn force_urgency(&self, urgency: Option<Urgency>) {
        let mut state = self.state();
        state.show(&Seen::Lever);
        state.forced_urgency = urgency;
    }

    /// The child on the way to the latest, and orphans told as a local directory tells them.
    pub(super) fn child_in_directory(&self, parent: VersionId) -> Result<Child, Failure> {
        let mut state = self.state();
        state.counts.get_child_version += 1;
        let history = &state.history;
        let segment = |version: VersionId| {
            history.stored(version).map(|stored| stored.bytes).ok_or_else(|| Failure::Directory {
                trouble: DirectoryTrouble::Other,
                what: format!("version {version} is not there"),
            })
        };
        if history.latest == parent {
            return Ok(Child::UpToDate);
        }
        if history.latest.is_nil() {
            return Err(Failure::DirectoryMissing { what: "there is none".to_owned() });
        }
        let parent_of = |version| Ok(history.versions.get(&version).map(|(parent, _)| *parent));
        let mut chain = Chain::default();
        chain.follow(history.latest, parent_of)?;
        if let Some(version) = chain.child(parent, parent_of)? {
            return Ok(Child::Version { version, parent, segment: segment(version)? });
        }
        if parent_of(parent)?.is_none() {
            return Ok(Child::Gone);
        }
        match chain.branch(parent, parent_of)? {
            None => Ok(Child::Gone),
            Some(branch) => chain.read_branch(&branch, segment).map(Child::Orphaned),
        }
    }

    /// Removes versions that are not on the way to the latest.
    pub(super) fn remove_orphans(&self, orphans: &[VersionId]) {
        let chain: Vec<_> = self.chain().into_iter().map(|stored| stored.version).collect();
        let mut state = self.state();
        state.show(&Seen::Lever);
        for orphan in orphans.iter().filter(|orphan| !chain.contains(orphan)) {
            if let Some((parent, _)) = state.history.versions.remove(orphan)
                && state.history.children.get(&parent) == Some(orphan)
            {
                state.history.children.remove(&parent);
            }
        }
    }

    /// The first version on the way to the latest.
    pub(super) fn first(&self) -> Option<VersionId> {
        self.chain().first().map(|stored| stored.version)
    }

    /// A test that panicked while it held the lock has failed already; others may go on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn show(&mut self, seen: &Seen<'_>) {
        if let Some(witness) = &mut self.witness {
            witness.saw(seen, self.today, self.targets);
        }
    }

    fn urgency(&self) -> Urgency {
        let age = self.history.snapshot.as_ref().map(|snapshot| SnapshotAge {
            days: self.today.saturating_sub(snapshot.day),
            versions: snapshot.versions_since,
        });
        self.forced_urgency.unwrap_or_else(|| serve::urgency(age, self.targets))
    }

    /// The next id: splitmix64 of seed and counter, twice. Any good mixing would do.
    fn next_id(&mut self) -> VersionId {
        let (seed, counter) = self.ids;
        self.ids.1 += 1;
        let mix = |input: u64| {
            let mut z = seed
                .wrapping_mul(0xd134_2543_de82_ef95)
                .wrapping_add(input.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mix(2 * counter).to_be_bytes());
        bytes[8..].copy_from_slice(&mix(2 * counter + 1).to_be_bytes());
        VersionId::from_random_bytes(bytes)
    }
}

impl History {
    fn insert(&mut self, version: VersionId, parent: VersionId, bytes: Vec<u8>) {
        self.versions.insert(version, (parent, bytes));
        self.children.insert(parent, version);
        self.latest = version;
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.versions_since = snapshot.versions_since.saturating_add(1);
        }
    }

    fn stored(&self, version: VersionId) -> Option<StoredVersion> {
        let (parent, bytes) = self.versions.get(&version)?;
        Some(StoredVersion { version, parent: *parent, bytes: bytes.clone() })
    }

    /// The latest version and a few ancestors, newest first.
    fn recent(&self) -> Vec<VersionId> {
        let parent_of = |version: &VersionId| self.versions.get(version).map(|(parent, _)| *parent);
        std::iter::successors(Some(self.latest), parent_of)
            .take(serve::SNAPSHOT_RECENT_VERSIONS)
            .filter(|version| !version.is_nil())
            .collect()
    }
}
