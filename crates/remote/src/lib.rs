//! Ways to a task server: HTTP, a local directory, and memory for tests.
//!
//! A remote carries out the requests of a session, one at a time, and tells what is known of the
//! outcome. Sealing belongs here, because the version id that an envelope is bound to differs per
//! transport (`protocols/taskchampion.md` section 8).

mod ancestry;
pub mod directory;
pub mod http;
pub mod memory;
pub mod place;

use tandem_core::VersionId;
use tandem_tasks::session::{Failure, Response};

pub use directory::{DirectoryOptions, DirectoryRemote};
pub use http::{HttpRemote, HttpSettings};
pub use memory::{MemoryRemote, MemoryServer};

/// A request as the transport needs it: the session's, with the bodies that the shell adds.
#[derive(Debug)]
pub enum Call {
    /// The newest snapshot.
    GetSnapshot,
    /// The version after `parent`.
    GetChildVersion {
        /// The version before.
        parent: VersionId,
    },
    /// Add a version with this plain segment. Sent once, never repeated by the transport.
    AddVersion {
        /// The version before.
        parent: VersionId,
        /// The plain segment.
        segment: Vec<u8>,
    },
    /// Store a snapshot.
    AddSnapshot {
        /// The version that it shows.
        version: VersionId,
        /// The plain body (zlib).
        body: Vec<u8>,
    },
    /// Put versions aside that are off the chain (directories only).
    RemoveOrphans {
        /// The versions.
        versions: Vec<VersionId>,
    },
    /// Check the stored proof against our key. No network.
    CheckProof {
        /// What the replica has stored for this remote.
        token: Option<Vec<u8>>,
    },
}

/// What became of a call.
#[derive(Debug)]
pub enum Outcome {
    /// A valid answer.
    Answer(Response),
    /// No valid answer, and the other side may have done it.
    Unknown(Failure),
    /// No success, and certainly nothing was done.
    Refused(Failure),
}

/// What identifies a remote to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Unique, stable, and without any credential in clear.
    pub key: String,
    /// What a person calls it: origin or path.
    pub label: String,
}

/// What a server says of itself (`docs/protocol/tandem-http.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfItself {
    /// Why it takes nothing new at present; none if it does.
    pub not_ready: Option<Failure>,
    /// It begins a history for a client that it does not know.
    pub takes_new_clients: bool,
}

/// A way to one task history.
pub trait Remote: Send {
    /// Who this is. Free for a server; a directory looks at its first version, and has no identity
    /// before there is one.
    ///
    /// # Errors
    /// [`Failure::DirectoryMissing`] or [`Failure::Directory`] where the directory cannot be used.
    fn identity(&mut self) -> Result<Option<Identity>, Failure>;

    /// Carries out one call.
    fn call(&mut self, call: Call) -> Outcome;

    /// A proof to be stored, once our key has opened something of this remote or sealed its first
    /// accepted version, in this process. None for transports that do not seal.
    fn new_proof(&mut self) -> Option<Vec<u8>>;

    /// True for a local directory, where a history may begin without asking.
    fn is_directory(&self) -> bool;

    /// What a person calls it: origin or path. Known before it has an identity.
    fn label(&self) -> String;

    /// The server's clock when it answered last, as it wrote it (`Date`, RFC 9110 section 5.6.7).
    /// None if it has not answered yet or does not say.
    fn server_date(&self) -> Option<String> {
        None
    }

    /// What a server says of itself beside the protocol, which foresees what it would refuse. One
    /// question. None if it does not say, or has not answered anything yet. Of a directory: whether it
    /// could be written, or made, as far as that is seen without doing so.
    fn ask_of_itself(&mut self) -> Option<OfItself> {
        None
    }

    /// The session has something to push or to load: a transport that seals may derive its key
    /// meanwhile.
    fn expect_to_seal(&mut self) {}
}

/// Bytes from the system's cryptographic source.
fn random_bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
