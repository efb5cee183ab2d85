//! A TaskChampion sync server over HTTP.
//!
//! A whole sync with one version to push, as it goes over the line:
//!
//! ```text
//!   GET  v1/client/get-child-version/<base>          404 no such version
//!   POST v1/client/add-version/<base>   (sealed)     200 X-Version-Id: <new>
//! ```
//!
//! # What it promises
//! * **AddVersion is sent once.** Neither this module nor the library below repeats it. Whatever is
//!   not a valid answer to it is [`Outcome::Unknown`], unless no byte of the body had left.
//! * A success is believed in the protocol's own words only: exact content type, both ids.
//! * Nothing is trusted before it opens with our key as the version that it is said to be.
//! * Client id and secret appear in no error, `Debug` or log.
//! * Every wait and every size has a limit; see [`HttpSettings`].
//!
//! # Cost
//! One connection, kept between requests. From a server that is a Tandem many versions come in one
//! answer (`children`); a sync with nothing to do is one request to any server. TLS is set up and the key derived when first needed.
//!
//! # Source
//! `protocols/taskchampion.md` sections 7, 8 and 10.

mod absolute_form;
mod agent;
mod answer;
mod children;
mod exchange;
mod failure;
mod origin;
mod peer;
mod pinned;
mod proxy;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tandem_core::{Backoff, ClientId, VersionId, limits};
use tandem_seal::{
    BoundId, LazyKey, NONCE_BYTES, OVERHEAD_BYTES, OpenError, Salt, Secret, is_proof,
    open_in_place, prove, seal_in_place,
};
use tandem_tasks::session::{Added, Child, Failure, Proof, Response};

use crate::{Call, Identity, OfItself, Outcome, Remote};
use answer::{AddAnswer, Answer, ChildAnswer, SEGMENT_TYPE, SNAPSHOT_TYPE, SealedBody};
use children::{Next, Row, Walk};
use exchange::{Broken, Exchange, Many, Request};

pub use origin::{Origin, OriginError};
pub use proxy::ProxySetting;

/// The word of a Tandem that begins no history for a client that it does not know.
const CLOSED: &str = "closed";

/// What a server offers that holds nothing of a client whom it expects.
const EXPECTED: &str = "expected";

/// Where a Tandem says whether it takes reads and writes.
const READY: &str = "readyz";

/// How a server is reached.
pub struct HttpSettings {
    /// The server's address.
    pub origin: Origin,
    /// Which history; also the only credential of the protocol.
    pub client_id: ClientId,
    /// What seals and opens. [`Self::new`] makes one that is derived when it is needed; a shell that
    /// keeps derived keys puts one made by [`LazyKey::from_key`] here.
    pub key: Arc<LazyKey>,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a name, and for a connection with its TLS handshake. 10 seconds, as the
    /// reference.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer, and for each piece of a body. 60 seconds, as the
    /// reference.
    pub read_timeout: Duration,
    /// What a body must move on average once `read_timeout` has passed, in bytes per second, so
    /// that no server can hold a cron job for ever by dripping. 1,024.
    pub bytes_per_second_min: u32,
    /// The largest sealed body that is read, in bytes.
    pub body_bytes_max: u64,
    /// When to repeat what may be repeated.
    pub backoff: Backoff,
    /// What we call ourselves.
    pub user_agent: String,
    /// The proxy.
    pub proxy: ProxySetting,
}

impl fmt::Debug for HttpSettings {
    /// Without the client id, which is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("origin", &self.origin)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

impl HttpSettings {
    /// Settings with the defaults that the fields tell. Derives nothing yet.
    pub fn new(origin: Origin, client_id: ClientId, secret: Secret) -> Self {
        let salt = Salt::from_client_id(client_id.to_bytes());
        Self {
            origin,
            client_id,
            key: Arc::new(LazyKey::new(secret, salt)),
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            bytes_per_second_min: 1024,
            body_bytes_max: (limits::SEALED_BYTES_MAX + OVERHEAD_BYTES) as u64,
            backoff: Backoff::SYNC,
            user_agent: concat!("tandem/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxy: ProxySetting::Environment,
        }
    }

    /// Whether TLS is spoken: to the server, or to the proxy on the way to it. The environment is
    /// looked at where the proxy comes from there.
    pub fn uses_tls(&self) -> bool {
        let is_tls = |proxy: &ureq::Proxy| proxy.protocol() == ureq::ProxyProtocol::Https;
        // An address that cannot be read is told of when it is used.
        self.origin.is_https()
            || agent::proxy(self).is_ok_and(|proxy| proxy.as_ref().is_some_and(is_tls))
    }

    /// What tells this remote from others: the address, and which history there. The client id goes
    /// in as a hash, since this text is stored and shown.
    pub fn identity(&self) -> Identity {
        let mut hash = Sha256::new();
        hash.update(b"tandem remote identity\0");
        hash.update(self.client_id.to_bytes());
        let hash: String =
            hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let label = self.origin.to_string();
        Identity { key: format!("http {label} {hash}"), label }
    }

    /// A server that echoes our id must not bring it into an error text.
    fn hide_client_id(&self, answer: &mut Answer) {
        if answer.status == 200 || answer.body.is_empty() {
            return;
        }
        let mut text = String::from_utf8_lossy(&answer.body).into_owned();
        for id in [self.client_id.to_string(), self.client_id.to_simple()] {
            for spelling in [id.to_ascii_uppercase(), id] {
                if text.contains(&spelling) {
                    text = text.replace(&spelling, "***");
                    answer.body = text.clone().into_bytes();
                }
            }
        }
    }
}

/// A sync server over HTTP.
#[derive(Debug)]
pub struct HttpRemote {
    settings: HttpSettings,
    identity: Identity,
    exchange: Exchange,
    walk: Walk,
    /// The server's clock at its last answer to a question.
    date: Option<String>,
    /// What the server offered when it was asked for a version last, if it is a Tandem.
    offer: Option<String>,
    /// Our key has opened something of this remote or sealed its first version, in this process.
    is_proved: bool,
}

impl HttpRemote {
    /// A remote at this server. Connects to nothing yet.
    pub fn new(settings: HttpSettings) -> Self {
        let identity = settings.identity();
        {
            let (exchange, walk) = (Exchange::default(), Walk::default());
            Self { settings, identity, exchange, walk, date: None, offer: None, is_proved: false }
        }
    }

    /// Derives the key on a thread of its own, beside the first request, for a caller who knows that
    /// there is something to seal. Does nothing if the key is there.
    pub fn start_deriving(&self) {
        if self.settings.key.key_if_ready().is_none() {
            let key = Arc::clone(&self.settings.key);
            std::thread::spawn(move || {
                key.derive();
            });
        }
    }

    fn get(&mut self, path: String, wants: &'static str) -> Result<Answer, Broken> {
        let request = Request { path, upload: None, wants: Some(wants), is_repeatable: true };
        let answer = self.exchange.ask(&self.settings, &request)?;
        self.date.clone_from(&answer.date);
        Ok(answer)
    }

    fn get_snapshot(&mut self) -> Result<Response, Broken> {
        let answer = self.get("v1/client/snapshot".to_owned(), SNAPSHOT_TYPE)?;
        let Some(sealed) = answer.into_snapshot()? else { return Ok(Response::Snapshot(None)) };
        let version = sealed.version;
        let body = self.open(BoundId::snapshot(version.to_bytes()), sealed)?;
        Ok(Response::Snapshot(Some((version, body))))
    }

    fn get_child_version(&mut self, parent: VersionId) -> Result<Response, Broken> {
        if let Some(child) = self.child_in_a_row(parent) {
            return Ok(Response::Child(child));
        }
        let answer = self.get(format!("v1/client/get-child-version/{parent}"), SEGMENT_TYPE)?;
        self.walk.hear(answer.tandem.as_deref());
        self.offer.clone_from(&answer.tandem);
        Ok(Response::Child(match answer.into_child()? {
            ChildAnswer::Version(sealed) => {
                // The parent that the server states is the one that it was sealed for. Whether it
                // is the one that we asked about is the session's to judge.
                let (version, parent) = (sealed.version, sealed.parent);
                let segment = self.open(BoundId::history_segment(parent.to_bytes()), sealed)?;
                self.walk.stepped_to(version);
                Child::Version { version, parent, segment }
            }
            ChildAnswer::UpToDate => Child::UpToDate,
            ChildAnswer::NoSuchClient if self.says(EXPECTED) => Child::NothingYet,
            ChildAnswer::NoSuchClient => Child::NoSuchClient,
            ChildAnswer::StrangeNotFound => Child::StrangeNotFound,
            ChildAnswer::Gone => Child::Gone,
        }))
    }

    /// Whether the server's last answer about a version had this word among what it offers.
    fn says(&self, wanted: &str) -> bool {
        let offer = self.offer.as_deref().unwrap_or_default();
        offer.split_whitespace().any(|word| word == wanted)
    }

    /// The child of `parent` from an answer with many. None where it is to be asked for singly.
    fn child_in_a_row(&mut self, parent: VersionId) -> Option<Child> {
        if self.walk.row_at(parent).is_none() && !self.walk.may_begin(parent) {
            self.walk.stop();
            return None;
        }
        let child = self.read_in_a_row(parent);
        match &child {
            Some(Child::Version { version, .. }) => self.walk.stepped_to(*version),
            Some(_) => self.walk.stop(),
            // The single answer says what is the matter, if anything is.
            None => self.walk.spoil(),
        }
        child
    }

    /// See [`Self::child_in_a_row`]; whatever is not as it should be is none.
    fn read_in_a_row(&mut self, parent: VersionId) -> Option<Child> {
        loop {
            let Some(row) = self.walk.row_at(parent) else {
                match self.exchange.ask_children(&self.settings, parent)? {
                    Many::Row(body) => self.walk.begin(Row::new(parent, body, &self.settings)),
                    Many::None(ChildAnswer::UpToDate) => return Some(Child::UpToDate),
                    Many::None(_) => return None,
                }
                continue;
            };
            match row.read_next().ok()? {
                Next::Version(version, bytes) => {
                    let sealed = SealedBody { version, parent, bytes, is_delimited: true };
                    let bound = BoundId::history_segment(parent.to_bytes());
                    let segment = self.open(bound, sealed).ok()?;
                    return Some(Child::Version { version, parent, segment });
                }
                Next::Latest => return Some(Child::UpToDate),
                // At least one version has come, so this does not go round for ever.
                Next::More => self.walk.end_row(),
            }
        }
    }

    fn add_version(&mut self, parent: VersionId, segment: Vec<u8>) -> Outcome {
        let sealed = match self.seal(BoundId::history_segment(parent.to_bytes()), segment) {
            Ok(sealed) => sealed,
            Err(failure) => return Outcome::Refused(failure),
        };
        let request = Request {
            path: format!("v1/client/add-version/{parent}"),
            upload: Some((SEGMENT_TYPE, &sealed)),
            wants: None,
            is_repeatable: false,
        };
        let answer = match self.exchange.ask(&self.settings, &request) {
            Ok(answer) => answer,
            Err(Broken { failure, was_sent: true }) => return Outcome::Unknown(failure),
            Err(Broken { failure, was_sent: false }) => return Outcome::Refused(failure),
        };
        match answer.into_added() {
            Ok(AddAnswer::Accepted { version, urgency }) => {
                // Nobody else has sealed anything here yet, so ours is the key of this history.
                self.is_proved |= parent.is_nil();
                Outcome::Answer(Response::Added(Added::Accepted { version, urgency }))
            }
            Ok(AddAnswer::Conflict { latest }) => {
                Outcome::Answer(Response::Added(Added::Conflict { latest }))
            }
            Ok(AddAnswer::Unknown(failure)) => Outcome::Unknown(failure),
            Err(failure) => Outcome::Refused(failure),
        }
    }

    fn add_snapshot(&mut self, version: VersionId, body: Vec<u8>) -> Result<Response, Broken> {
        let sealed = self.seal(BoundId::snapshot(version.to_bytes()), body)?;
        let request = Request {
            path: format!("v1/client/add-snapshot/{version}"),
            upload: Some((SNAPSHOT_TYPE, &sealed)),
            wants: None,
            // The same snapshot twice is the same snapshot.
            is_repeatable: true,
        };
        self.exchange.ask(&self.settings, &request)?.check_snapshot_added()?;
        Ok(Response::SnapshotAdded)
    }

    fn seal(&self, bound: BoundId, plain: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let bytes_max = limits::SEALED_BYTES_MAX;
        if plain.len().saturating_add(OVERHEAD_BYTES) > bytes_max {
            let what = "the request".to_owned();
            return Err(Failure::TooLarge { what, bytes_max: bytes_max as u64 });
        }
        Ok(seal_in_place(self.settings.key.derive(), bound, nonce()?, plain).into_bytes())
    }

    fn open(&mut self, bound: BoundId, sealed: SealedBody) -> Result<Vec<u8>, Failure> {
        let SealedBody { version, bytes, is_delimited, .. } = sealed;
        let malformed = |what: String| Failure::Malformed { version, what };
        let opened = open_in_place(self.settings.key.derive(), bound, bytes).map_err(|error| {
            match error {
                OpenError::WrongKey if is_delimited => Failure::WrongSecret { version },
                // The end of the connection ended the body, so nobody knows where that was.
                OpenError::WrongKey => malformed(format!("{error}, or it was cut off")),
                other => malformed(other.to_string()),
            }
        })?;
        self.is_proved = true;
        Ok(opened.into_bytes())
    }

    fn check_proof(&self, token: Option<Vec<u8>>) -> Proof {
        let is_proved = self.is_proved
            || token.is_some_and(|token| {
                is_proof(self.settings.key.derive(), self.identity.key.as_bytes(), &token)
            });
        if is_proved { Proof::Proved } else { Proof::Unproved }
    }
}

impl Remote for HttpRemote {
    fn identity(&mut self) -> Result<Option<Identity>, Failure> {
        Ok(Some(self.identity.clone()))
    }

    fn call(&mut self, call: Call) -> Outcome {
        if matches!(call, Call::AddVersion { .. } | Call::AddSnapshot { .. } | Call::GetSnapshot) {
            // What is asked after this is asked anew.
            self.walk.stop();
        }
        let result = match call {
            Call::GetSnapshot => self.get_snapshot(),
            Call::GetChildVersion { parent } => self.get_child_version(parent),
            Call::AddVersion { parent, segment } => return self.add_version(parent, segment),
            Call::AddSnapshot { version, body } => self.add_snapshot(version, body),
            // A server has none.
            Call::RemoveOrphans { .. } => Ok(Response::OrphansRemoved),
            Call::CheckProof { token } => Ok(Response::Proof(self.check_proof(token))),
        };
        match result {
            Ok(response) => Outcome::Answer(response),
            Err(Broken { failure, .. }) if is_open_question(&failure) => Outcome::Unknown(failure),
            Err(Broken { failure, .. }) => Outcome::Refused(failure),
        }
    }

    fn new_proof(&mut self) -> Option<Vec<u8>> {
        if !self.is_proved {
            return None;
        }
        let nonce = nonce().ok()?;
        Some(prove(self.settings.key.derive(), self.identity.key.as_bytes(), nonce))
    }

    fn is_directory(&self) -> bool {
        false
    }

    fn label(&self) -> String {
        self.identity.label.clone()
    }

    fn server_date(&self) -> Option<String> {
        self.date.clone()
    }

    fn ask_of_itself(&mut self) -> Option<OfItself> {
        self.offer.as_ref()?;
        let takes_new_clients = !self.says(CLOSED);
        let request =
            Request { path: READY.to_owned(), upload: None, wants: None, is_repeatable: false };
        // A proxy may not let the question through: then there is no word of it.
        let not_ready = match self.exchange.ask(&self.settings, &request) {
            Ok(answer) => answer.told().filter(|_| answer.status == 503),
            Err(_) => None,
        };
        Some(OfItself { not_ready, takes_new_clients })
    }

    fn expect_to_seal(&mut self) {
        self.start_deriving();
    }
}

/// True for failures after which nobody knows what the server would say.
fn is_open_question(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. }
        | Failure::NobodyListens { .. }
        | Failure::TimedOut { .. }
        | Failure::ServerError { .. } => true,
        Failure::Told { status, .. } => *status >= 500,
        Failure::Proxy { trouble, .. } => trouble.is_passing(),
        _ => false,
    }
}

fn nonce() -> Result<[u8; NONCE_BYTES], Failure> {
    crate::random_bytes().map_err(|error| Failure::Unreachable {
        what: format!("nothing can be sealed without random numbers: {error}"),
    })
}
