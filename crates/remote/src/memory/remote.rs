//! A line to a server in memory, with faults.

use std::collections::VecDeque;
use std::fmt;

use tandem_core::VersionId;
use tandem_tasks::serve::ChildVersion;
use tandem_tasks::session::{Child, Failure, Proof, Response};

use super::{MemoryServer, StoredVersion};
use crate::{Call, Identity, Outcome, Remote};

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing: it is answered.
    #[default]
    None,
    /// The request never arrives. The caller cannot know that: unknown.
    LoseRequest,
    /// The server does what it was asked, and its reply is lost: unknown.
    LoseReply,
    /// Unknown to the caller; the request arrives when [`MemoryRemote::deliver_delayed`] is called,
    /// and its reply goes nowhere.
    DelayRequest,
    /// The server, or what stands before it, says no; nothing is done.
    Refuse(Failure),
    /// The reply is lost with this cause instead of "the line broke"; nothing is done.
    Unknown(Failure),
}

type Chooser = Box<dyn FnMut(&Call) -> Fault + Send>;

/// A way to a [`MemoryServer`].
///
/// By default it behaves like an HTTP server's that needs no sealing. [`Self::with_secret`] makes it
/// behave as if it sealed, without the cost; [`Self::as_directory`] as a local directory does.
pub struct MemoryRemote {
    server: MemoryServer,
    name: String,
    secret: Option<String>,
    is_directory: bool,
    has_opened: bool,
    knows_client: bool,
    queue: VecDeque<Fault>,
    chooser: Option<Chooser>,
    delayed: Vec<Call>,
}

impl fmt::Debug for MemoryRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRemote").field("name", &self.name).finish_non_exhaustive()
    }
}

impl MemoryRemote {
    /// A line to `server`. The name is what tells remotes apart: replicas of one server give the
    /// same.
    pub fn new(server: &MemoryServer, name: &str) -> Self {
        Self {
            server: server.clone(),
            name: name.to_owned(),
            secret: None,
            is_directory: false,
            has_opened: false,
            knows_client: true,
            queue: VecDeque::new(),
            chooser: None,
            delayed: Vec::new(),
        }
    }

    /// Behaves as if everything were sealed with this secret: what was stored with another one is
    /// [`Failure::WrongSecret`], and there are proofs. It is no cipher; the bytes are in the clear
    /// behind a mark.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// Behaves like a local directory: no snapshots, orphans are told, the identity is that of the
    /// first version.
    #[must_use]
    pub fn as_directory(mut self) -> Self {
        self.is_directory = true;
        self
    }

    /// Answers "no such client" where an HTTP server that has never seen one does. Ends with the
    /// first accepted version.
    #[must_use]
    pub fn with_unknown_client(mut self) -> Self {
        self.knows_client = false;
        self
    }

    /// The server at the other end.
    pub fn server(&self) -> &MemoryServer {
        &self.server
    }

    /// Adds a fault for a coming call: the first to the next one, and so on. `CheckProof` does not
    /// travel and meets none.
    pub fn fault_next(&mut self, fault: Fault) {
        self.queue.push_back(fault);
    }

    /// Lets `choose` decide on every call for which no fault is waiting. It runs before the server
    /// is asked and may use a handle on it, to slip a version in between pull and push.
    pub fn choose_faults(&mut self, choose: impl FnMut(&Call) -> Fault + Send + 'static) {
        self.chooser = Some(Box::new(choose));
    }

    /// Lets delayed requests arrive now, in the order in which they were sent. Returns how many
    /// there were.
    pub fn deliver_delayed(&mut self) -> usize {
        let delayed = std::mem::take(&mut self.delayed);
        let has_opened = self.has_opened;
        let count = delayed.len();
        for call in delayed {
            let _ = self.answer(call);
        }
        // Nobody read those replies.
        self.has_opened = has_opened;
        count
    }

    fn fault(&mut self, call: &Call) -> Fault {
        if matches!(call, Call::CheckProof { .. }) {
            return Fault::None;
        }
        if let Some(fault) = self.queue.pop_front() {
            return fault;
        }
        self.chooser.as_mut().map_or(Fault::None, |choose| choose(call))
    }

    fn answer(&mut self, call: Call) -> Result<Response, Failure> {
        Ok(match call {
            Call::GetSnapshot if self.is_directory => Response::Snapshot(None),
            Call::GetSnapshot => Response::Snapshot(match self.server.snapshot() {
                None => None,
                Some((version, bytes)) => Some((version, self.open(version, bytes)?)),
            }),
            Call::GetChildVersion { parent } if self.is_directory => {
                Response::Child(self.server.child_in_directory(parent)?)
            }
            Call::GetChildVersion { parent } => Response::Child(self.child(parent)?),
            Call::AddVersion { parent, segment } => {
                let added = self.server.add_version(parent, self.seal(&segment));
                self.knows_client = true;
                if parent.is_nil() {
                    // The first accepted version proves the key as well as an opened one.
                    self.has_opened |=
                        matches!(added, tandem_tasks::session::Added::Accepted { .. });
                }
                Response::Added(added)
            }
            Call::AddSnapshot { version, body } => {
                if !self.is_directory {
                    self.server.add_snapshot(version, self.seal(&body));
                }
                Response::SnapshotAdded
            }
            Call::RemoveOrphans { versions } => {
                if self.is_directory {
                    self.server.remove_orphans(&versions);
                }
                Response::OrphansRemoved
            }
            Call::CheckProof { token } => Response::Proof(match &self.secret {
                None => Proof::NotNeeded,
                Some(_) if token.is_some() && token == self.token() => Proof::Proved,
                Some(_) => Proof::Unproved,
            }),
        })
    }

    fn child(&mut self, parent: VersionId) -> Result<Child, Failure> {
        if !self.knows_client && self.server.latest().is_nil() {
            return Ok(Child::NoSuchClient);
        }
        Ok(match self.server.child_version(parent) {
            (_, Some(StoredVersion { version, parent, bytes })) => {
                Child::Version { version, parent, segment: self.open(version, bytes)? }
            }
            (ChildVersion::UpToDate, None) => Child::UpToDate,
            (_, None) => Child::Gone,
        })
    }

    fn mark(&self) -> Option<Vec<u8>> {
        self.secret.as_ref().map(|secret| format!("sealed with {secret}:").into_bytes())
    }

    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut bytes = self.mark().unwrap_or_default();
        bytes.extend_from_slice(plain);
        bytes
    }

    fn open(&mut self, version: VersionId, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let Some(mark) = self.mark() else { return Ok(bytes) };
        match bytes.strip_prefix(mark.as_slice()) {
            Some(plain) => {
                self.has_opened = true;
                Ok(plain.to_vec())
            }
            None if bytes.starts_with(b"sealed with ") => Err(Failure::WrongSecret { version }),
            None => Err(Failure::Malformed { version, what: "it is not sealed".to_owned() }),
        }
    }

    fn token(&self) -> Option<Vec<u8>> {
        self.secret.as_ref().map(|secret| format!("{}:{secret}", self.name).into_bytes())
    }
}

impl Remote for MemoryRemote {
    fn identity(&mut self) -> Result<Option<Identity>, Failure> {
        let label = self.name.clone();
        if self.is_directory {
            let first = self.server.first();
            return Ok(first.map(|first| Identity { key: format!("dir {first}"), label }));
        }
        Ok(Some(Identity { key: format!("memory {label}"), label }))
    }

    fn call(&mut self, call: Call) -> Outcome {
        let broken = || Failure::Unreachable { what: "the line broke".to_owned() };
        match self.fault(&call) {
            Fault::None => self.answer(call).map_or_else(Outcome::Refused, Outcome::Answer),
            Fault::LoseRequest => Outcome::Unknown(broken()),
            Fault::LoseReply => {
                let has_opened = self.has_opened;
                let _ = self.answer(call);
                self.has_opened = has_opened;
                Outcome::Unknown(broken())
            }
            Fault::DelayRequest => {
                self.delayed.push(call);
                Outcome::Unknown(broken())
            }
            Fault::Refuse(failure) => Outcome::Refused(failure),
            Fault::Unknown(failure) => Outcome::Unknown(failure),
        }
    }

    fn new_proof(&mut self) -> Option<Vec<u8>> {
        if self.has_opened { self.token() } else { None }
    }

    fn is_directory(&self) -> bool {
        self.is_directory
    }

    fn label(&self) -> String {
        self.name.clone()
    }
}
