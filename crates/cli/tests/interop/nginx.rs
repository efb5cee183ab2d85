//! `ta serve` behind a real nginx, with the very lines of `packaging/nginx.conf`.

use std::process::{Command, Stdio};

use crate::front::Front;
use crate::our_server::OurServer;
use crate::ours::Ours;
use crate::real::Real;
use crate::{Meeting, Room, assert_same};

#[test]
fn real_and_own_replicas_meet_behind_nginx_and_a_path() {
    let room = Room::new();
    let flags = ["--path-prefix", "/tasks", "--trusted-proxy", "127.0.0.1"];
    let server = OurServer::start(&room.join("server"), &flags);
    let behind = server.url.strip_prefix("http://").unwrap().strip_suffix("/tasks").unwrap();
    let nginx = Front::nginx(room.path(), behind);
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
