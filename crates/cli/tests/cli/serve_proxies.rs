//! `ta serve` behind real proxies, and what packages bring for it.

use std::path::Path;
use std::process::Command;

use crate::front::Front;
use crate::home::TestHome;
use crate::serve::{NIL, Serving, ask_as};
use crate::server::{CLIENT_KEY, SECRET};

/// Replicas meet, and who is refused is told so by the server's own answer, however large their
/// version is: proxies pass it on as it comes.
fn behind(front: impl FnOnce(&Path, &str) -> Front) {
    let home = TestHome::new();
    let flags = ["--path-prefix", "/tasks", "--trusted-proxy", "127.0.0.1"];
    let listed = home.with("TA_SERVE_ALLOW_CLIENT_ID", CLIENT_KEY);
    let serving = Serving::start(&listed, &flags);
    let (address, _) = serving.address.split_once('/').unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let front = front(folder.path(), address);
    let proxy = format!("127.0.0.1:{}", front.port);
    let replica = || {
        TestHome::new()
            .with("TA_SERVER_ORIGIN", format!("http://{proxy}/tasks"))
            .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
            .with("TA_ENCRYPTION_SECRET", SECRET)
    };
    let (one, two) = (replica(), replica());
    one.add("milk");
    one.add(&"a text of some length ".repeat(5_000));
    one.ta(&["sync"]).done();
    two.ta(&["sync"]).done();
    assert_eq!(one.state(), two.state());
    let post = format!("/tasks/v1/client/add-version/{NIL}");
    let body = vec![7; 8_000_000];
    for _ in 0..3 {
        let headers = [("X-Client-Id", "99999999-2222-4333-8444-555555555555")];
        let (status, ..) = ask_as(&proxy, "POST", &post, &headers, &body).unwrap();
        assert_eq!(status, 403);
    }
}

#[test]
fn replicas_meet_behind_nginx_and_refusals_come_through() {
    behind(Front::nginx);
}

#[test]
fn replicas_meet_behind_caddy_and_refusals_come_through() {
    behind(Front::caddy);
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let unit = include_str!("../../../../packaging/tandem-server.service");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("tandem-server.service");
    std::fs::write(&file, unit.replace("/usr/bin/ta", env!("CARGO_BIN_EXE_ta"))).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let verified = verify.arg("verify").arg(&file).output();
    let verified = verified.expect("systemd is missing: `cargo xtask test` installs it");
    // It exits well with lines that it ignores. What it says of other units is not ours.
    let told = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("tandem-server")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{told}");
}
