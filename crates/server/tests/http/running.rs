//! A server on a port of its own, for one test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tandem_server::{Listeners, Options, SqliteStore, Store, run};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::line::{Answer, Line};
use crate::{CLIENT, SEGMENT, SNAPSHOT};

/// Ends with the test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    metrics_address: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    stop: Option<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

impl Running {
    pub(crate) fn start(options: Options) -> Self {
        let folder = TempDir::new().unwrap();
        let mut running = Self::on(folder.path(), options);
        running._folder = Some(folder);
        running
    }

    pub(crate) fn on(folder: &Path, options: Options) -> Self {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let operators = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics_address = operators.local_addr().unwrap();
        let listeners = Listeners { calls: vec![listener], metrics: vec![operators] };
        let (stop, told) = watch::channel(false);
        let kept = Arc::clone(&store);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(run(listeners, kept, options, told)).unwrap();
        });
        Self {
            address,
            metrics_address,
            store,
            stop: Some(stop),
            thread: Some(thread),
            _folder: None,
        }
    }

    pub(crate) fn line(&self) -> Line {
        Line::to(self.address)
    }

    /// A line to where operators look.
    pub(crate) fn metrics_line(&self) -> Line {
        Line::to(self.metrics_address)
    }

    /// Tells it to end, without waiting.
    pub(crate) fn tell_to_stop(&self) {
        self.stop.as_ref().unwrap().send(true).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.line().ask("GET", path, &[("X-Client-Id", CLIENT)], None)
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let headers = [("X-Client-Id", CLIENT), ("Content-Type", content_type)];
        self.line().ask("POST", path, &headers, Some(body))
    }

    /// Adds a version that must be taken; its id.
    pub(crate) fn add(&self, parent: &str, body: &[u8]) -> String {
        let answer = self.post(&format!("/v1/client/add-version/{parent}"), SEGMENT, body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-version-id").unwrap().to_owned()
    }

    pub(crate) fn snap(&self, version: &str, body: &[u8]) -> Answer {
        self.post(&format!("/v1/client/add-snapshot/{version}"), SNAPSHOT, body)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
