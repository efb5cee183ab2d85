//! A sync server in this process, that a test can make misbehave.

use std::sync::{Arc, LazyLock, Mutex};

use tandem_core::VersionId;
use tandem_remote::MemoryServer;
use tandem_seal::{BoundId, Key, Salt, Secret};
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::session::Urgency;

use crate::home::TestHome;
use crate::scripted::{Received, Reply, Scripted};
use crate::task_server;

pub(crate) const CLIENT_KEY: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const SECRET: &str = "correct horse battery staple, long enough";

/// An address on which nobody listens: below the ports that the system hands out, so that no other
/// test gets it meanwhile.
pub(crate) const NOBODY: &str = "127.0.0.1:9";

/// What `ta` derives from the two above.
static KEY: LazyLock<Key> = LazyLock::new(|| {
    let client: tandem_core::ClientId = CLIENT_KEY.parse().unwrap();
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    Key::derive(&secret, &Salt::from_client_id(client.to_bytes()))
});

/// Seals a segment as another client of the same list would.
pub(crate) fn sealed(parent: VersionId, segment: &str) -> Vec<u8> {
    sealed_bytes(parent, segment.as_bytes())
}

/// Seals any bytes in the place of a segment.
pub(crate) fn sealed_bytes(parent: VersionId, bytes: &[u8]) -> Vec<u8> {
    let bound = BoundId::history_segment(parent.to_bytes());
    tandem_seal::seal(&KEY, bound, [9; 12], bytes).into_bytes()
}

/// Seals any bytes in the place of a snapshot.
pub(crate) fn sealed_snapshot(version: VersionId, bytes: &[u8]) -> Vec<u8> {
    let bound = BoundId::snapshot(version.to_bytes());
    tandem_seal::seal(&KEY, bound, [9; 12], bytes).into_bytes()
}

/// Opens what was stored as the version after `parent`.
pub(crate) fn opened(parent: VersionId, bytes: &[u8]) -> String {
    let bound = BoundId::history_segment(parent.to_bytes());
    let opened = tandem_seal::open(&KEY, bound, bytes).unwrap();
    String::from_utf8(opened.as_bytes().to_vec()).unwrap()
}

type Twist = Box<dyn FnMut(&Received, &MemoryServer) -> Option<Reply> + Send>;

/// A sync server on loopback.
pub(crate) struct TestServer {
    pub(crate) memory: MemoryServer,
    line: Scripted,
    twist: Arc<Mutex<Option<Twist>>>,
}

impl TestServer {
    pub(crate) fn new() -> Self {
        let memory = MemoryServer::new(7);
        // Snapshots are asked for when a test says so.
        memory.force_urgency(Some(Urgency::None));
        let twist: Arc<Mutex<Option<Twist>>> = Arc::default();
        let (inner, twisted) = (memory.clone(), Arc::clone(&twist));
        let line = Scripted::new(move |request| {
            let twisted = match twisted.lock().unwrap().as_mut() {
                Some(twist) => twist(request, &inner),
                None => None,
            };
            twisted.unwrap_or_else(|| task_server::answer(&inner, request))
        });
        Self { memory, line, twist }
    }

    /// Snapshots are asked for as the reference does.
    pub(crate) fn with_targets(self) -> Self {
        self.memory.force_urgency(None);
        self.memory.set_targets(SnapshotTargets::default());
        self
    }

    pub(crate) fn url(&self) -> String {
        self.line.url()
    }

    /// A new replica of this server's list.
    pub(crate) fn home(&self) -> TestHome {
        self.give(TestHome::new())
    }

    /// Settings for this server.
    pub(crate) fn give(&self, home: TestHome) -> TestHome {
        home.with("TA_SERVER_ORIGIN", self.url())
            .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
            .with("TA_ENCRYPTION_SECRET", SECRET)
    }

    /// Lets `twist` answer where it has something to say, from now on.
    pub(crate) fn twist(
        &self,
        twist: impl FnMut(&Received, &MemoryServer) -> Option<Reply> + Send + 'static,
    ) {
        *self.twist.lock().unwrap() = Some(Box::new(twist));
    }

    pub(crate) fn untwist(&self) {
        *self.twist.lock().unwrap() = None;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.line.received()
    }

    /// The plain segments on the chain, oldest first.
    pub(crate) fn segments(&self) -> Vec<String> {
        let chain = self.memory.chain();
        chain.iter().map(|stored| opened(stored.parent, &stored.bytes)).collect()
    }

    /// A version after the latest, as another client of the list would push it.
    pub(crate) fn push(&self, segment: &str) -> VersionId {
        self.memory.push(sealed(self.memory.latest(), segment))
    }
}

/// True for the one request that a server may have acted on.
pub(crate) fn is_push(request: &Received) -> bool {
    request.path.contains("/add-version/")
}
