//! What a storage answers.

use bytes::Bytes;
use tandem_core::{Timestamp, VersionId};
use tandem_tasks::serve::retention::Day;
use tandem_tasks::session::Urgency;

/// What became of an offered version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is stored and is the latest now.
    Accepted {
        /// Its id.
        version: VersionId,
        /// How much a snapshot is wanted.
        urgency: Urgency,
    },
    /// Another one is the latest.
    Conflict {
        /// That one.
        latest: VersionId,
    },
    /// The client is unknown and may not be made.
    NoSuchClient,
}

/// What follows a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// This one.
    Found(StoredVersion),
    /// One whose body is larger than was asked for.
    TooLarge {
        /// The length of its body.
        bytes: u64,
    },
    /// Nothing yet: the asker is up to date.
    UpToDate,
    /// It was removed, or the asker was never on this chain.
    Gone,
    /// The client is unknown.
    NoSuchClient,
}

/// A version as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its id.
    pub version: VersionId,
    /// The version before.
    pub parent: VersionId,
    /// Its body.
    pub segment: Bytes,
}

/// What follows a version, in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Children {
    /// These, oldest first, each the parent of the next.
    Found {
        /// At least one.
        versions: Vec<StoredVersion>,
        /// The latest version at that moment; not the last of `versions` if more are to come.
        latest: VersionId,
    },
    /// The first of them is larger than was asked for.
    TooLarge {
        /// The length of its body.
        bytes: u64,
    },
    /// Nothing yet: the asker is up to date.
    UpToDate,
    /// Removed, or the asker was never on this chain.
    Gone,
    /// The client is unknown.
    NoSuchClient,
}

/// What became of an offered snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotAdded {
    /// It is stored and is the newest now.
    Accepted,
    /// It was passed over: not among the latest versions, or not newer than the stored one.
    PassedOver,
    /// The client is unknown.
    NoSuchClient,
}

/// The answer to a question for the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotFound {
    /// The newest.
    Found(StoredSnapshot),
    /// It is larger than was asked for.
    TooLarge {
        /// The length of its body.
        bytes: u64,
    },
    /// There is none.
    None,
    /// The client is unknown.
    NoSuchClient,
}

/// A snapshot as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The version that it shows.
    pub version: VersionId,
    /// Its body.
    pub body: Bytes,
}

/// Where a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The latest version, nil while there is none.
    pub latest: VersionId,
    /// The version that the newest snapshot shows.
    pub snapshot: Option<VersionId>,
}

/// What is known of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFacts {
    /// The latest version, nil while there is none.
    pub latest: VersionId,
    /// How many versions there ever were.
    pub versions_ever: u64,
    /// How many are there.
    pub versions: u64,
    /// The bytes of their bodies.
    pub version_bytes: u64,
    /// The stored snapshots, newest first, at most two.
    pub snapshots: Vec<SnapshotFacts>,
    /// Versions added since the newest snapshot was stored.
    pub versions_since_snapshot: u32,
    /// The first version was offered after one that was never here, and no snapshot has come since:
    /// a new replica cannot reach the present.
    pub is_adopted: bool,
    /// When the client was made.
    pub made_at: Timestamp,
    /// When it last added a version or a snapshot.
    pub changed_at: Timestamp,
    /// The last day on which it asked for anything.
    pub seen: Day,
}

/// A stored snapshot without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// The version that it shows.
    pub version: VersionId,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// The bytes of its body.
    pub bytes: u64,
}

/// What a step of [`super::Store::retain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Versions removed.
    pub versions: u64,
    /// The bytes of their bodies.
    pub bytes: u64,
    /// Where the next step goes on; none if this one reached the end.
    pub next: Option<i64>,
    /// Nothing was looked at: another node is at it.
    pub is_left_to_another: bool,
}

/// The state of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It takes reads and writes.
    Ready,
    /// It takes reads, but no writes, and this is why, for a person. Nothing of a client's in it.
    WritesStopped {
        /// What happened.
        reason: String,
    },
    /// What is stored is damaged, as a look at it or a request has shown. Some of it may be served still.
    Damaged {
        /// What was found, for a person. Nothing of a client's in it.
        reason: String,
    },
    /// It takes nothing.
    Unavailable {
        /// What happened.
        reason: String,
    },
}
