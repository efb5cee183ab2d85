//! What a session asks for, what it is told, and what it has to report.

use std::sync::Arc;

use tandem_core::{TaskId, Timestamp, VersionId};

use crate::model::{TaskSet, Text};
use crate::operation::Operation;
use crate::rebase::{OperationId, Pending};
use crate::reinitialise::Branch;
use crate::segment::SegmentDigest;
use crate::session::failure::Failure;

/// What the session asks of the server (`protocols/taskchampion.md` section 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The newest snapshot, if there is one.
    GetSnapshot,
    /// The version that follows `parent`.
    GetChildVersion {
        /// The version before.
        parent: VersionId,
    },
    /// Add a version after `parent`. The transport sends it once and never repeats it by itself.
    AddVersion {
        /// The version before.
        parent: VersionId,
        /// The plain segment; sealing belongs to the transport.
        segment: Arc<Vec<u8>>,
    },
    /// Store a snapshot of the base at `version`; the shell reads it from the replica.
    AddSnapshot {
        /// The version that it shows.
        version: VersionId,
    },
    /// Remove these versions, which a racing program left off the chain, from a directory.
    /// Safe to repeat.
    RemoveOrphans {
        /// The versions.
        versions: Vec<VersionId>,
    },
    /// Say whether the stored proof shows that our key has opened something of this remote.
    /// Answered without the network.
    CheckProof,
    /// Tell the versions that the replica has applied. Answered without the network.
    ListApplied,
    /// Say whether the remote would take something new, as far as it tells that beside the protocol:
    /// before a list leaves where it stands for a place that takes nothing, and before a person is
    /// told how a history is begun there.
    AskReady,
}

/// How much the server wants a snapshot (section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Not at all.
    #[default]
    None,
    /// When it costs little.
    Low,
    /// In any case.
    High,
}

/// What the server answered. Every one of these is a normal outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// To GetSnapshot: the version and the opened body (zlib), or none.
    Snapshot(Option<(VersionId, Vec<u8>)>),
    /// To GetChildVersion.
    Child(Child),
    /// To AddVersion.
    Added(Added),
    /// To AddSnapshot: taken, or silently ignored; the protocol does not tell.
    SnapshotAdded,
    /// To RemoveOrphans.
    OrphansRemoved,
    /// To CheckProof.
    Proof(Proof),
    /// To ListApplied: all that are remembered, of every remote, newest first.
    Applied(Vec<VersionId>),
    /// To AskReady: why it takes nothing new; none if it does, or does not say.
    Ready(Option<Failure>),
}

/// Answers to GetChildVersion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// There is one.
    Version {
        /// Its id.
        version: VersionId,
        /// Its parent, as the server states it.
        parent: VersionId,
        /// The opened segment.
        segment: Vec<u8>,
    },
    /// None: the parent is the latest version, in the words of the protocol.
    UpToDate,
    /// None: the server does not know this client.
    NoSuchClient,
    /// None: the server holds no history of this client, and says that it expects one (a server of
    /// ours: `docs/protocol/tandem-http.md` section 1). So the client id is no typo.
    NothingYet,
    /// A 404 in words that are not the protocol's: perhaps no task server at all.
    StrangeNotFound,
    /// There was one, and it has been deleted; or the parent was never on this chain.
    Gone,
    /// The parent is there but not on the way to the latest version: a program that raced with us
    /// in a local directory left it off the chain (protocol page section 20, defect 8).
    Orphaned(Orphaned),
}

/// The versions between the chain and an orphaned base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Orphaned {
    /// The last version that the orphaned branch and the chain share.
    pub fork: VersionId,
    /// The orphaned versions from the fork to the base, oldest first, with their plain segments.
    pub orphans: Vec<(VersionId, Vec<u8>)>,
    /// The tasks that those segments touch, as they are at the fork, by replay of the chain.
    pub tasks_at_fork: TaskSet,
}

/// Answers to AddVersion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Taken as this version.
    Accepted {
        /// The new version.
        version: VersionId,
        /// How much the server wants a snapshot of it.
        urgency: Urgency,
    },
    /// Refused, because `latest` is not the stated parent.
    Conflict {
        /// The server's latest version.
        latest: VersionId,
    },
}

/// What is known of our key and this remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The transport does not seal.
    NotNeeded,
    /// The key has opened something of this remote.
    Proved,
    /// It has not, as far as is known.
    Unproved,
}

/// Something that only a person can decide. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// This replica and the remote hold two separate lists. Join them (`--join`)?
    TwoLists {
        /// Tasks here.
        tasks_here: u64,
    },
    /// An empty replica found no history at this server before. Begin one (`--new-history`)?
    NewHistory,
    /// The server has gone back to a version that we had passed. Upload the difference
    /// (`--upload-difference`)?
    ServerWentBack {
        /// The version at which the server stands.
        version: VersionId,
        /// Tasks that differ.
        tasks_differing: u64,
    },
    /// The server's history has no task in common with ours (case c of the design).
    ForeignHistory {
        /// Tasks here.
        tasks_here: u64,
        /// Tasks there.
        tasks_there: u64,
    },
}

/// What a person has said yes to beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consent {
    /// Two lists may be joined.
    pub join: bool,
    /// A new history may begin at a server where none was found.
    pub new_history: bool,
    /// The difference to a server that went back may be uploaded.
    pub upload_difference: bool,
}

/// The pending operations and what they stand on, as the replica holds them now.
#[derive(Debug, Default)]
pub struct Tail {
    /// The base version.
    pub base: VersionId,
    /// Its parent, where it is known (to prove a secret against the base version itself).
    pub base_parent: Option<VersionId>,
    /// The pending operations in order, without undo points.
    pub pending: Vec<Pending>,
    /// The highest id among pending operations, undo points included.
    pub last: Option<OperationId>,
    /// The lowest one.
    pub first: Option<OperationId>,
    /// The segment that may or may not have reached this remote.
    pub in_flight: Option<InFlight>,
    /// Orphaned versions whose rows are still to be removed from the directory.
    pub orphans: Vec<VersionId>,
}

/// A segment that was made durable before it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// The version that it was to follow.
    pub parent: VersionId,
    /// The digest by which the segment is known again. The segment itself need not be kept: while
    /// its operations are pending it can be written again byte for byte, and once it has been
    /// accepted the server has it.
    pub digest: SegmentDigest,
    /// How many operations it holds.
    pub count: usize,
    /// Its operations, as id ranges.
    pub ranges: Vec<(OperationId, OperationId)>,
}

/// How the replica and the remote know each other when a session starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The base belongs to this remote, or the replica has never met any.
    Ours,
    /// The base belongs to another remote. `last_base` is where we stood on this one, if we have
    /// met it before.
    Other {
        /// Our last base on this remote.
        last_base: Option<VersionId>,
    },
}

/// Everything a session must know at its start.
#[derive(Debug)]
pub struct Start {
    /// The pending operations and the base.
    pub tail: Tail,
    /// How the two know each other.
    pub relation: Relation,
    /// The base was met at a remote of ours. A base that another program left may belong anywhere.
    pub is_base_known: bool,
    /// Number of tasks in the replica.
    pub tasks: u64,
    /// The remote has answered before in a way that only a task server does.
    pub answered: bool,
    /// An empty replica has found no history there before.
    pub needs_new_history: bool,
    /// The whole state is pending because two lists are being joined with consent.
    pub joining: bool,
    /// True if a history may begin at this remote without asking (a local directory).
    pub is_directory: bool,
    /// The snapshot that is still to be made.
    pub wanted_snapshot: Option<VersionId>,
    /// Make snapshots only when the urgency is high.
    pub avoid_snapshots: bool,
    /// What a person has agreed to.
    pub consent: Consent,
    /// Bytes of operations in one version; [`SEGMENT_OPERATIONS_BYTES_MAX`] but for tests.
    ///
    /// [`SEGMENT_OPERATIONS_BYTES_MAX`]: tandem_core::limits::SEGMENT_OPERATIONS_BYTES_MAX
    pub segment_bytes_max: usize,
    /// Bytes of pulled segments committed together;
    /// [`PULL_GROUP_BYTES_MAX`](tandem_core::limits::PULL_GROUP_BYTES_MAX) but for tests.
    pub group_bytes_max: usize,
}

/// A version to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledVersion {
    /// Its id.
    pub version: VersionId,
    /// Its parent.
    pub parent: VersionId,
    /// Its operations, as they came.
    pub operations: Vec<Operation>,
}

/// An edit that lost against another, as the rebase saw it. The replica fills in what it knows of
/// base and outcome when it commits, and drops it if nothing was lost after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The task.
    pub task: TaskId,
    /// The property; none when a deletion took the whole task here.
    pub property: Option<Text>,
    /// The value that lost; none if the loser was a removal or the whole task.
    pub value: Option<Text>,
    /// True if the loser was made on this replica.
    pub here: bool,
    /// When the value that lost was set, where one did and that is known.
    pub at: Option<Timestamp>,
}

/// What pulled versions meet in the replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullKind {
    /// What was changed here since the last sync.
    Usual,
    /// Nothing: a first load. Log no more than pruning would keep.
    FirstLoad,
    /// The whole list, which waits anew because two lists are joined: what waits is no change.
    Replay,
}

/// A version of ours that the server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedVersion {
    /// Its id.
    pub version: VersionId,
    /// Its parent.
    pub parent: VersionId,
    /// What it does, as it was sent or as the server has it.
    pub operations: Arc<Vec<Operation>>,
    /// Where those operations stand in the log.
    pub ranges: Vec<(OperationId, OperationId)>,
    /// Tasks that have operations in it and more pending ones after it, as far as the session
    /// knows: those after the batch's `last` are the replica's to find.
    pub straddling: Vec<TaskId>,
    /// The server wants a snapshot at this version and we are going to make it.
    pub wants_snapshot: bool,
}

/// One local transaction that moves the replica forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The base version that the session believes in.
    pub base: VersionId,
    /// The last pending operation that it knows.
    pub last: Option<OperationId>,
    /// The first pending operation that it knows, undo points included.
    pub first: Option<OperationId>,
    /// What to do.
    pub change: Change,
}

/// What a [`Batch`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The base becomes nil and belongs to this remote; the whole state becomes pending. Answered
    /// with `Moved`.
    Restart {
        /// The remote holds the version on which this list had stood there before.
        again: bool,
    },
    /// The remote turned out to be the one that the base belongs to, under another address.
    Adopt,
    /// All tasks come from a snapshot; pending operations stay on top.
    LoadSnapshot {
        /// The version that it shows.
        version: VersionId,
        /// The opened body (zlib).
        body: Vec<u8>,
        /// Pending operations that have nothing left to do.
        dropped: Vec<OperationId>,
        /// Edits that lost.
        lost: Vec<Lost>,
    },
    /// Pulled versions are applied.
    Pull {
        /// The versions, in chain order, beginning at the base.
        versions: Vec<Arc<PulledVersion>>,
        /// Pending operations that have nothing left to do.
        dropped: Vec<OperationId>,
        /// Edits that lost.
        lost: Vec<Lost>,
        /// What it meets here.
        kind: PullKind,
    },
    /// A pushed version has been accepted, or the next one is about to be sent, or both.
    Push {
        /// What was accepted.
        accepted: Option<AcceptedVersion>,
        /// What is to be made durable before it is sent.
        next: Option<InFlight>,
        /// The server has nothing from before, so that a snapshot is to follow: remembered with `next`,
        /// since the answer to it may never be heard.
        owes_snapshot: bool,
    },
    /// The base goes back to the fork and what the orphaned versions did becomes pending again.
    Unorphan {
        /// The last version on the chain that we share.
        fork: VersionId,
        /// The orphaned versions, oldest first.
        orphans: Vec<PulledVersion>,
        /// The tasks they touch, as they are at the fork.
        tasks_at_fork: TaskSet,
    },
    /// The history behind our base is gone: take the server's present and keep what is ours.
    Reinitialise {
        /// The end of the server's chain.
        end: VersionId,
        /// All tasks at that version.
        theirs: TaskSet,
        /// The versions that were walked, oldest first, with their parents.
        walked: Vec<(VersionId, VersionId)>,
        /// What it did since it turned off our way, where that was found.
        branch: Option<Branch>,
        /// What a person has agreed to.
        consent: Consent,
    },
    /// Something to remember about the remote.
    Note {
        /// An empty replica found no history there.
        needs_new_history: bool,
        /// The wanted snapshot has been offered.
        snapshot_done: bool,
        /// The orphaned versions have been removed from the directory.
        orphans_removed: bool,
    },
}

/// What the session wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the server; answer with `Answer`, `Unknown` or `Refused`.
    Ask(Request),
    /// Commit locally; answer with `Committed`, `Moved` or `Asked`.
    Commit(Box<Batch>),
    /// The session has ended.
    Done(Box<SyncReport>),
}

/// What the session is told.
#[derive(Debug)]
pub enum Event {
    /// Begin.
    Start,
    /// A valid answer.
    Answer(Response),
    /// No valid answer; the other side may have done what was asked.
    Unknown(Failure),
    /// No success, and certainly nothing was done.
    Refused(Failure),
    /// The batch is durable. `first` and `last` tell where the pending operations
    /// begin and end after it.
    Committed {
        /// The lowest id among pending operations, undo points included.
        first: Option<OperationId>,
        /// The highest one.
        last: Option<OperationId>,
    },
    /// Another process has changed the replica since we looked: this is how it stands now. What of
    /// the batch was done can be told from the base.
    Moved(Tail),
    /// The batch needs a person's decision; nothing was done.
    Asked(Question),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum End {
    /// Replica and server agree on everything this session knew of.
    #[default]
    InStep,
    /// The empty replica found no history: a new list, or a typo?
    NoHistory,
    /// A person has to decide.
    Question(Question),
    /// It could not go on. What was committed stays; the rest waits.
    Failed(Failure),
}

/// What a session did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncReport {
    /// How it ended.
    pub end: End,
    /// Versions pushed.
    pub versions_up: u64,
    /// Operations pushed.
    pub operations_up: u64,
    /// Of these, changes that a person made: not the `modified` stamp that goes with them, nor what a
    /// whole list says again of what is there already.
    pub changes_up: u64,
    /// Versions pulled.
    pub versions_down: u64,
    /// Operations pulled.
    pub operations_down: u64,
    /// Of these, changes that a person made.
    pub changes_down: u64,
    /// Tasks that pulled operations were about.
    pub tasks_down: u64,
    /// The snapshot that was loaded.
    pub snapshot_loaded: Option<VersionId>,
    /// The snapshot that was made.
    pub snapshot_made: Option<VersionId>,
    /// Why a wanted snapshot was not made; it will be tried again.
    pub snapshot_failure: Option<Failure>,
    /// The session began again from the server's present because the history behind it was gone.
    pub reinitialised: bool,
    /// The last version that both histories share, where the server was found to have gone back and
    /// then another way than this replica.
    pub forked_at: Option<VersionId>,
    /// With `reinitialised`: the server had gone back to a version of ours, and was given the
    /// difference, as a person had asked for.
    pub brought_forward: bool,
    /// The whole state was made pending for a remote never met, or met long ago.
    pub restarted: bool,
    /// With `restarted`: the remote held the version on which this list once stood there, so that
    /// the two were joined again.
    pub rejoined: bool,
    /// Tasks were here, of a list that was in step nowhere before, and the remote held a list: once
    /// something of that is taken in, the two are one.
    pub joined: bool,
    /// The remote is the one that the base belongs to, under another address than before.
    pub address_changed: bool,
    /// The server did not know this client although we have synced with it before.
    pub client_was_forgotten: bool,
    /// The server holds nothing of this client and knows it: it said that it expects it, or answered
    /// the question for the first version with "no such version", which none says of a client that
    /// it does not know. So the client id is no typo.
    pub client_is_expected: bool,
    /// The remote held nothing, and nobody had said that a history is to begin there: what was
    /// pushed begins one.
    pub began_history: bool,
    /// Requests made.
    pub requests: u64,
}
