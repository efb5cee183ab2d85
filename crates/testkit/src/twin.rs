//! The storage of `ta serve` beside the servers in memory: asked the same, it must answer the same.
//!
//! All servers of a world are clients in one database. Every so often its process is killed and started
//! again on what is on the disk at that moment, so that every answer until then is asked of that, too.
//! A lever that changes a history beside the
//! protocol (a deletion without the rules of retention, a restored backup, an orphan in a directory)
//! ends the comparison for that history: the storage offers no such thing.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_remote::MemoryServer;
use tandem_remote::memory::{Seen, Witness};
use tandem_server::store::{AddSnapshot, AddVersion, Answer, Child, SnapshotAdded, SnapshotFound};
use tandem_server::{SqliteStore, Store};
use tandem_tasks::serve::{ChildVersion, SnapshotTargets};
use tandem_tasks::session::Added;

/// The moment of day 0.
const BEGAN: i64 = 1_700_000_000;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// After so many answers the server is killed.
const KILLED_AFTER: u64 = 16;

/// What was seen, for the world.
#[derive(Debug, Default)]
struct Findings {
    difference: Option<String>,
    compared: u64,
    kills: u64,
}

/// The process of a server: its folder, and the storage that is open in it.
struct Process {
    /// None only while it starts.
    store: Option<SqliteStore>,
    folder: tempfile::TempDir,
}

impl Process {
    fn start(folder: tempfile::TempDir) -> Self {
        let store = SqliteStore::open(folder.path()).expect("the database can be opened");
        Self { store: Some(store), folder }
    }

    /// Starts again on a copy of the files as they are now, log included: what the old process does
    /// at its end (it moves the log into the database) is not in it.
    fn kill(&mut self) {
        let folder = tempfile::tempdir().expect("a folder for the server can be made");
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder is there") {
            let entry = entry.expect("the folder can be read");
            let is_shared_memory = entry.file_name().to_string_lossy().ends_with("-shm");
            if entry.path().is_file() && !is_shared_memory {
                let to = folder.path().join(entry.file_name());
                std::fs::copy(entry.path(), to).expect("a file can be copied");
            }
        }
        self.store = None;
        *self = Self::start(folder);
    }
}

/// The storage, and what differed.
pub(crate) struct Twin {
    findings: Arc<Mutex<Findings>>,
}

impl Twin {
    /// Lets the storage look on at all of them.
    pub(crate) fn beside(servers: &[MemoryServer]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server can be made");
        let process = Arc::new(Mutex::new(Process::start(folder)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = Arc::new(runtime.expect("a runtime can be made"));
        let findings: Arc<Mutex<Findings>> = Arc::default();
        for (number, server) in (1..).zip(servers) {
            server.witness(Beside {
                client: ClientId::from_bytes([number; 16]),
                process: Arc::clone(&process),
                runtime: Arc::clone(&runtime),
                findings: Arc::clone(&findings),
                is_parted: false,
            });
        }
        Self { findings }
    }

    /// The first answer that differed.
    pub(crate) fn difference(&self) -> Option<String> {
        self.look().difference.clone()
    }

    /// Answers that were compared.
    pub(crate) fn compared(&self) -> u64 {
        self.look().compared
    }

    /// How often the server was killed.
    pub(crate) fn kills(&self) -> u64 {
        self.look().kills
    }

    fn look(&self) -> std::sync::MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One history in the storage.
struct Beside {
    client: ClientId,
    process: Arc<Mutex<Process>>,
    runtime: Arc<tokio::runtime::Runtime>,
    findings: Arc<Mutex<Findings>>,
    is_parted: bool,
}

impl Beside {
    fn wait<T>(&self, answer: Answer<'_, T>) -> T {
        self.runtime.block_on(answer).expect("the storage has an answer")
    }

    /// What the storage says in the abstract server's words, and what that one said.
    fn ask(&self, seen: &Seen<'_>, at: Timestamp, targets: SnapshotTargets) -> (String, String) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let store = process.store.as_ref().expect("the server runs");
        match seen {
            Seen::AddVersion { parent, bytes, answer } => {
                let version = match answer {
                    Added::Accepted { version, .. } => *version,
                    // Refused, it is not used.
                    Added::Conflict { .. } => VersionId::from_bytes([0xff; 16]),
                };
                let ours = self.wait(store.add_version(AddVersion {
                    client: self.client,
                    parent: *parent,
                    version,
                    segment: Bytes::copy_from_slice(bytes),
                    at,
                    targets,
                    may_create: true,
                }));
                (format!("{ours:?}"), format!("{answer:?}"))
            }
            Seen::ChildVersion { parent, answer, stored } => {
                let ours = self.wait(store.child_version(self.client, *parent, at, u64::MAX));
                let told = |version, parent, bytes: &[u8]| format!("{version} {parent} {bytes:?}");
                let ours = match ours {
                    Child::Found(it) => told(it.version, it.parent, &it.segment),
                    Child::UpToDate => "up to date".to_owned(),
                    Child::Gone => "gone".to_owned(),
                    Child::TooLarge { bytes } => format!("{bytes} bytes are too many"),
                    // In memory nobody is unknown; an empty history says what it says to anybody.
                    Child::NoSuchClient => "up to date".to_owned(),
                };
                let theirs = match (answer, stored) {
                    (_, Some(it)) => told(it.version, it.parent, &it.bytes),
                    (ChildVersion::UpToDate, None) => "up to date".to_owned(),
                    (_, None) => "gone".to_owned(),
                };
                (ours, theirs)
            }
            Seen::AddSnapshot { version, bytes, is_accepted } => {
                let ours = self.wait(store.add_snapshot(AddSnapshot {
                    client: self.client,
                    version: *version,
                    body: Bytes::copy_from_slice(bytes),
                    at,
                }));
                let is_taken = ours == SnapshotAdded::Accepted;
                (format!("snapshot taken: {is_taken}"), format!("snapshot taken: {is_accepted}"))
            }
            Seen::Snapshot { stored } => {
                let ours = match self.wait(store.snapshot(self.client, at, u64::MAX)) {
                    SnapshotFound::Found(it) => Some((it.version, it.body.to_vec())),
                    SnapshotFound::None
                    | SnapshotFound::NoSuchClient
                    | SnapshotFound::TooLarge { .. } => None,
                };
                let theirs = stored.map(|(version, bytes)| (version, bytes.to_vec()));
                (format!("{ours:?}"), format!("{theirs:?}"))
            }
            Seen::Lever => (String::new(), String::new()),
        }
    }
}

impl Witness for Beside {
    fn saw(&mut self, seen: &Seen<'_>, day: u32, targets: SnapshotTargets) {
        self.is_parted |= matches!(seen, Seen::Lever);
        if self.is_parted {
            return;
        }
        let at = Timestamp::from_seconds(BEGAN + i64::from(day) * SECONDS_PER_DAY);
        let (ours, theirs) = self.ask(seen, at, targets);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.compared += 1;
        if findings.compared.is_multiple_of(KILLED_AFTER) {
            findings.kills += 1;
            self.process.lock().unwrap_or_else(PoisonError::into_inner).kill();
        }
        if ours != theirs {
            findings.difference.get_or_insert(format!(
                "the server's storage answers {ours}, the abstract one {theirs}, to {seen:?}"
            ));
        }
    }
}
