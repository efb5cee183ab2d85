//! The reference server's real database, taken over by `ta serve`.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::our_server::OurServer;
use crate::real::{Real, Server, fresh};
use crate::{Room, assert_same};

#[test]
fn what_the_reference_server_kept_is_served_on_by_ours() {
    let room = Room::new();
    let reference = Server::start(&room.join("old"), &[]);
    let meeting = reference.meeting();
    let mut real = Real::new(room.path(), "real", &meeting);
    for number in 0..8 {
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        real.create(&id, &[("description", "milk"), ("status", "pending")]);
        real.sync();
    }
    let tasks = real.dump();
    let import = || {
        let output = Command::new(env!("CARGO_BIN_EXE_ta"))
            .args(["server", "import", "--json", "--data-dir"])
            .arg(room.join("new"))
            .arg(room.join("old"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    // While it still runs, then again after its end with what came since.
    let first = import();
    assert_eq!(first["versions"], first["added"]);
    real.create("00000000-0000-4000-8000-00000000ffff", &[("description", "tea")]);
    real.sync();
    assert_ne!(real.dump(), tasks);
    drop(reference);
    let second = import();
    assert_eq!(second["added"], 1, "{second}");
    assert_eq!(import()["added"], 0);
    let ours = OurServer::start(&room.join("new"), &[]);
    let moved = crate::Meeting::server(&ours.url);
    assert_same("real", &real.dump(), "fresh", &fresh(room.path(), &moved));
}
