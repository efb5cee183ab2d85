//! What `ta doctor`, `ta status --server` and `ta verify` say before a sync is what it then says, also
//! where it would fail.

use tandem_tasks::session::Urgency;

use crate::home::{TestHome, assert_says};
use crate::scripted::keep;
use crate::server::TestServer;

/// A server that has forgotten the version on which the second replica stands.
fn gone() -> (TestServer, TestHome) {
    let server = TestServer::new();
    let (ahead, behind) = (server.home(), server.home());
    ahead.add("one");
    ahead.ta(&["sync"]).done();
    behind.ta(&["sync"]).done();
    ahead.add("two");
    ahead.ta(&["sync"]).done();
    ahead.add("three");
    server.memory.force_urgency(Some(Urgency::High));
    ahead.ta(&["sync"]).done();
    server.memory.expire(server.memory.latest());
    (server, behind)
}

/// Another program writes all the while: whoever wanted to write, too, would wait for it in vain.
#[test]
fn looking_waits_for_no_writer_where_the_version_has_gone() {
    let (_server, home) = gone();
    let other = rusqlite::Connection::open(home.replica_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let document = home.ta(&["status", "--server", "--json"]).json();
    assert_eq!(document["server"]["state"], "gone", "{document}");
    assert_says(&home.ta(&["doctor"]).done(), &["`ta sync` takes the server's present"]);
    other.execute_batch("ROLLBACK").unwrap();
    home.ta(&["sync"]).done();
}

#[test]
fn a_wrong_path_is_told_in_one_sentence() {
    let server = TestServer::new();
    let home = server.home();
    home.add("milk");
    server.twist(|_, _| Some(keep(404, &[("content-type", "text/html")], b"<html>")));
    let told = [
        "that is not a task server's answer (status 404)",
        "the path may be missing, or be one too many",
    ];
    assert_says(&home.ta(&["sync"]).failed(1), &told);
    let ran = home.ta(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_says(&ran.out, &told);
}
