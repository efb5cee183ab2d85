//! Through a real HTTP proxy (tinyproxy), which `cargo xtask test` installs.
//!
//! The environment's proxy is never used for loopback, so the proxy is named explicitly here and
//! the way through it is the library's, with the reference server behind.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tandem_client::{Replica, SyncOptions, sync, system_now};
use tandem_core::TaskId;
use tandem_remote::http::{HttpRemote, HttpSettings, Origin, ProxySetting};
use tandem_replica::{MemoryStorage, StorageError};
use tandem_seal::Secret;
use tandem_tasks::session::End;

use crate::real::Server;
use crate::{CLIENT, Room, SECRET};

/// A proxy on a port of its own; ended by its process id when dropped.
struct Proxy {
    child: Child,
    url: String,
}

impl Proxy {
    fn start(folder: &Path) -> Self {
        // tinyproxy cannot choose a port itself: one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.join("proxy.log");
        let config = folder.join("proxy.conf");
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nLogFile \"{}\"\n\
             LogLevel Connect\nMaxClients 10\n",
            log.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("tinyproxy")
            .arg("-d")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("tinyproxy is missing: `cargo xtask test` installs it");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "the proxy does not listen");
            std::thread::yield_now();
        }
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_list_syncs_through_a_real_http_proxy() {
    let room = Room::new();
    let server = Server::start(&room.join("store"), &[]);
    let crate::Meeting::Server { url, .. } = server.meeting() else { panic!("a server's meeting") };
    let proxy = Proxy::start(room.path());
    let remote = || {
        let secret = Secret::exactly_as_given(SECRET.into()).unwrap();
        let origin = Origin::parse(&url).unwrap();
        let mut settings = HttpSettings::new(origin, CLIENT.parse().unwrap(), secret);
        settings.proxy = ProxySetting::Url(proxy.url.clone());
        HttpRemote::new(settings)
    };
    let id = TaskId::from_random_bytes([9; 16]);
    let mut laptop = Replica::new(MemoryStorage::new());
    laptop
        .edit("add", system_now(), |editor| {
            editor.create(id)?;
            editor.set(id, "description", Some("through the proxy"))
        })
        .map_err(|error: tandem_client::EditError<StorageError>| error.to_string())
        .unwrap();
    let go = |replica: &mut Replica| {
        let options = SyncOptions::default();
        let synced = sync(replica, &mut remote(), &options, &system_now, &mut |_| {}).unwrap();
        assert_eq!(synced.report.end, End::InStep);
    };
    go(&mut laptop);
    let mut desktop = Replica::new(MemoryStorage::new());
    go(&mut desktop);
    assert_eq!(desktop.all_tasks().unwrap(), laptop.all_tasks().unwrap());
    let log = std::fs::read_to_string(room.join("proxy.log")).unwrap();
    assert!(log.contains("/v1/client/"), "the proxy has seen the requests:\n{log}");
}
