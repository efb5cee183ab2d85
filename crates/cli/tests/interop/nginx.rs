//! `ta serve` behind a real nginx, with the very lines of `packaging/nginx.conf`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::our_server::OurServer;
use crate::ours::Ours;
use crate::real::Real;
use crate::{Meeting, Room, assert_same};

const SNIPPET: &str = include_str!("../../../../packaging/nginx.conf");

/// nginx on a port of its own; ended by its process id when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path, behind: &str) -> Self {
        // It cannot choose a port itself: one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = folder.display();
        let snippet = SNIPPET.replace("127.0.0.1:8080", behind);
        let text = format!(
            "daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/error.log;\n\
             events {{}}\nhttp {{\naccess_log {place}/access.log;\n\
             client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;\n\
             fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi;\n\
             scgi_temp_path {place}/scgi;\n\
             server {{\nlisten 127.0.0.1:{port};\n{snippet}\n}}\n}}\n"
        );
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("nginx")
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(folder.join("error.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is missing: `cargo xtask test` installs it");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "the proxy does not listen");
            std::thread::yield_now();
        }
        Self { child, port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn real_and_own_replicas_meet_behind_nginx_and_a_path() {
    let room = Room::new();
    let flags = ["--path-prefix", "/tasks", "--trusted-proxy", "127.0.0.1"];
    let server = OurServer::start(&room.join("server"), &flags);
    let behind = server.url.strip_prefix("http://").unwrap().strip_suffix("/tasks").unwrap();
    let nginx = Nginx::start(room.path(), behind);
    let meeting = Meeting::server(&format!("http://127.0.0.1:{}/tasks", nginx.port));
    let mut real = Real::new(room.path(), "real", &meeting);
    real.create("00000000-0000-4000-8000-000000000001", &[("description", "milk")]);
    real.sync();
    let ours = Ours::new(room.path(), "ours", &meeting);
    ours.sync();
    ours.add(&["a text of some length ".repeat(5_000).as_str()]);
    ours.sync();
    real.sync();
    assert_same("real", &real.dump(), "ours", &ours.dump());
    let log = std::fs::read_to_string(room.join("access.log")).unwrap();
    assert!(log.contains("/tasks/v1/client/"), "the proxy has seen the requests:\n{log}");
    let health = Command::new(env!("CARGO_BIN_EXE_ta"))
        .args(["server", "health", "-l", behind])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    assert!(health.unwrap().success());
}
