//! Looking after several `ta serve` on one PostgreSQL, from any machine that reaches it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem_server::testing::Cluster;

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, ask, ask_as, chain};
use crate::serve_upkeep::{json, make_reference_database, reference_version, row, snapshot};
use crate::server::CLIENT_KEY;

/// How long a change may take to be known on every node: a node asks again after a second.
const KNOWN_AFTER: Duration = Duration::from_secs(30);

/// A home whose commands work on this database.
fn home_at(cluster: &Cluster) -> TestHome {
    TestHome::new().with("TA_SERVE_DATABASE", cluster.database("tandem"))
}

fn add_user(home: &TestHome, name: &str) -> Value {
    let ran = home.ta_with_input(&["server", "user", "add", name, "--json"], b"correct horse\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

/// Asks a node for a client's next version; its status.
fn ask_node(node: &Serving, client: &str) -> u16 {
    let get = format!("/v1/client/get-child-version/{NIL}");
    ask_as(&node.address, "GET", &get, &[("X-Client-Id", client)], b"").unwrap().0
}

#[test]
fn an_account_is_known_on_every_node_and_one_that_is_shut_out_is_refused_on_all() {
    let cluster = Cluster::start();
    let home = home_at(&cluster);
    let nodes: Vec<Serving> =
        (0..3).map(|_| Serving::start(&home, &["--access", "accounts"])).collect();
    let stranger = "99999999-2222-4333-8444-555555555555";
    assert!(nodes.iter().all(|node| ask_node(node, stranger) == 403));
    let made = add_user(&home, "ann");
    let client = made["client_id"].as_str().unwrap();
    assert!(nodes.iter().all(|node| ask_node(node, client) == 404), "at once, on each");
    let post = format!("/v1/client/add-version/{NIL}");
    let headers = [("X-Client-Id", client)];
    assert_eq!(ask_as(&nodes[1].address, "POST", &post, &headers, b"sealed").unwrap().0, 200);
    assert!(nodes.iter().all(|node| ask_node(node, client) == 200));
    let bearer = format!("Bearer {}", made["write_token"].as_str().unwrap());
    let whose = |node: &Serving| {
        let headers = [("Authorization", bearer.as_str())];
        ask_as(&node.address, "GET", "/v1/tandem/account", &headers, b"").unwrap().0
    };
    assert!(nodes.iter().all(|node| whose(node) == 200));
    let all_say = |status: u16| {
        let began = Instant::now();
        while !nodes.iter().all(|node| ask_node(node, client) == status) {
            assert!(began.elapsed() < KNOWN_AFTER, "not every node says {status}");
        }
    };
    home.ta(&["server", "user", "disable", "ann"]).done();
    all_say(403);
    assert!(nodes.iter().all(|node| whose(node) == 401));
    home.ta(&["server", "user", "enable", "ann"]).done();
    assert!(nodes.iter().all(|node| ask_node(node, client) == 200), "at once again");
    let tag = json(&home, &["client", "list"])[0]["client"].as_str().unwrap().to_owned();
    home.ta(&["server", "client", "disable", &tag]).done();
    all_say(403);
    home.ta(&["server", "client", "enable", &tag]).done();
    assert!(nodes.iter().all(|node| ask_node(node, client) == 200));
}

#[test]
fn with_accounts_a_version_is_one_round_trip_and_who_is_served_is_asked_once_a_second() {
    let cluster = Cluster::start_with(&["log_statement=all"]);
    let home = home_at(&cluster);
    let made = add_user(&home, "ann");
    let node = Serving::start(&home, &["--access", "accounts"]);
    let headers = [("X-Client-Id", made["client_id"].as_str().unwrap())];
    let count = |part: &str| cluster.log_text().matches(part).count();
    let (asked, added) = ("execute s", "Compare and swap on the client's");
    let add = |parent: &str| {
        let path = format!("/v1/client/add-version/{parent}");
        let (status, told, _) = ask_as(&node.address, "POST", &path, &headers, b"sealed").unwrap();
        assert_eq!(status, 200);
        told["x-version-id"].clone()
    };
    // The first one makes the client: whether that may be is asked then, whatever is remembered.
    let mut parent = add(NIL);
    let before = (count(asked), count(added));
    let began = Instant::now();
    for _ in 0..50 {
        parent = add(&parent);
    }
    let seconds = began.elapsed().as_secs();
    let (asked, added) = (count(asked) - before.0, count(added) - before.1);
    // Each connection prepares its statements once, which is no round trip of a version.
    assert!(added >= 50, "{added}");
    let others = asked - 50;
    assert!(others as u64 <= seconds + 1, "{others} other questions in {seconds} seconds");
}

#[test]
fn every_command_works_on_a_database() {
    let cluster = Cluster::start();
    let home = home_at(&cluster);
    let told = home.ta(&["server", "stats"]).failed(1);
    assert_says(&told, &["nothing of `ta serve` in the database", "Is it the right one?"]);
    assert_eq!(cluster.sql("tandem", "SELECT to_regnamespace('tandem')"), "", "asking makes none");
    let node = Serving::start(&home, &[]);
    let mut last = NIL.to_owned();
    for _ in 0..2 {
        last = row(&node.address, last, 10);
        let path = format!("/v1/client/add-snapshot/{last}");
        assert_eq!(snapshot(&node.address, &path, &[("X-Client-Id", CLIENT_KEY)]), 200);
    }
    let stats = json(&home, &["stats"]);
    assert_eq!((&stats["clients"], &stats["versions"]), (&1.into(), &20.into()));
    assert_eq!((&stats["snapshots"], &stats["free_bytes"]), (&2.into(), &Value::Null));
    assert!(stats["storage_bytes"].as_u64().unwrap() > 20);
    assert!(!home.ta(&["server", "stats"]).done().contains("free"));
    assert_says(&home.ta(&["server", "verify"]).done(), &["Sound: 20 versions of 1 client"]);
    assert_says(&home.ta(&["server", "gc"]).done(), &["Every client has two snapshots."]);
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(6080232738198126594)";
    let other = cluster.session("tandem", lock);
    let told = home.ta(&["server", "gc", "--grace-days", "0"]).failed(1);
    assert_says(&told, &["another node is letting old history go"]);
    drop(other);
    // When it was last looked, as a clock of the database that has leapt would make it appear.
    let leap =
        "UPDATE tandem.facts SET value = int8send(17000) || substr(value, 9) WHERE name = 'rounds'";
    cluster.sql("tandem", leap);
    let told = home.ta(&["server", "gc", "--grace-days", "0"]).failed(1);
    assert_says(&told, &["date of the database's clock", "SELECT now()", "gc --force"]);
    let gone = home.ta(&["server", "gc", "--grace-days", "0", "--force"]).done();
    assert_says(&gone, &["Let go: 10 old versions", "VACUUM"]);
    assert_says(&home.ta(&["server", "verify"]).done(), &["Sound: 10 versions of 1 client"]);
    home.ta(&["server", "health", "-l", &node.address]).done();
    home.ta(&["server", "check-config"]).done();
    let tag = json(&home, &["client", "list"])[0]["client"].as_str().unwrap().to_owned();
    let shown = home.ta(&["server", "client", "show", &tag[..6]]).done();
    assert_says(&shown, &[&tag, "10 (20 ever)"]);
    home.ta(&["server", "client", "reset", &tag, "--yes"]).done();
    row(&node.address, NIL.to_owned(), 1);
    assert_eq!(chain(&node.address).len(), 1, "it began anew");
    home.ta(&["server", "client", "delete", &tag, "--yes"]).done();
    assert_eq!(json(&home, &["client", "list"]), Value::Array(Vec::new()));
    add_user(&home, "ann");
    let second = json(&home, &["user", "client", "ann"]);
    assert_ne!(second["client_id"], Value::Null);
    let set = home.ta_with_input(&["server", "user", "passwd", "ann"], b"another one\n");
    assert_eq!(set.code, Some(0), "{set:?}");
    let all = json(&home, &["user", "list"]);
    assert_eq!(all[0]["clients"].as_array().unwrap().len(), 2);
    assert!(!home.path(".local/share/tandem-server").exists(), "no folder was needed");
    row(&node.address, NIL.to_owned(), 3);
    cluster.sql("tandem", "DELETE FROM tandem.versions WHERE number = 2");
    let told = home.ta(&["server", "verify"]).failed(1);
    assert_says(&told, &["version 3 follows 1: a hole", "copy of the database"]);
}

/// The command that a hint ends with.
fn command_in(told: &str, program: &str) -> String {
    let line = told.lines().find(|line| line.contains(program)).unwrap();
    line[line.find(program).unwrap()..].trim().to_owned()
}

#[test]
fn the_printed_commands_back_a_database_up_and_bring_it_back() {
    let cluster = Cluster::start();
    let home = home_at(&cluster);
    let node = Serving::start(&home, &[]);
    let last = row(&node.address, NIL.to_owned(), 4);
    let made = add_user(&home, "ann");
    let before = chain(&node.address);
    let folder = cluster.program("pg_dump").parent().unwrap().to_owned();
    let run = |command: &str| {
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env("PATH", path).current_dir(home.path(""));
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let told = home.ta(&["server", "backup", "it's a copy"]).failed(1);
    assert_says(&told, &["PostgreSQL makes backups of its own"]);
    run(&command_in(&told, "pg_dump"));
    row(&node.address, last, 3);
    node.signal("-TERM");
    assert_eq!(node.ended().0, Some(0));
    let told = home.ta(&["server", "restore", "it's a copy"]).failed(1);
    run(&command_in(&told, "pg_restore"));
    assert_says(&home.ta(&["server", "verify"]).done(), &["Sound: 4 versions of 1 client"]);
    let node = Serving::start(&home, &[]);
    assert_eq!(chain(&node.address), before);
    // Whoever comes next gets a row of its own.
    assert_eq!(ask_node(&node, made["client_id"].as_str().unwrap()), 404);
    let post = format!("/v1/client/add-version/{NIL}");
    let headers = [("X-Client-Id", made["client_id"].as_str().unwrap())];
    assert_eq!(ask_as(&node.address, "POST", &post, &headers, b"sealed").unwrap().0, 200);
    assert_says(&home.ta(&["server", "verify"]).done(), &["Sound: 5 versions of 2 clients"]);
}

#[test]
fn the_references_database_is_taken_over_into_a_database() {
    let cluster = Cluster::start();
    let home = home_at(&cluster);
    make_reference_database(&home);
    for added in [10, 0] {
        let told = json(&home, &["import", "old"]);
        assert_eq!((&told["versions"], &told["added"]), (&10.into(), &added.into()));
        assert_eq!(told["clients"][0]["snapshot"], "here");
    }
    let node = Serving::start(&home, &[]);
    let expected: Vec<(String, Vec<u8>)> =
        (1..=10).map(|number| (reference_version(number), vec![number])).collect();
    assert_eq!(chain(&node.address), expected);
    let (status, headers, body) = ask(&node.address, "GET", "/v1/client/snapshot", b"").unwrap();
    let found = (status, headers["x-version-id"].as_str(), body.as_slice());
    assert_eq!(found, (200, reference_version(7).as_str(), &[1][..]));
    let clients = json(&home, &["client", "list"]);
    let stored_at = clients[0]["snapshots"][0]["stored_at"].as_str().unwrap();
    assert!(stored_at.starts_with("2023-11-14"), "with its day: {stored_at}");
    // However old it is, it has been here for no day: nobody who knew the other server is cut off.
    let path = format!("/v1/client/add-snapshot/{}", reference_version(10));
    assert_eq!(snapshot(&node.address, &path, &[("X-Client-Id", CLIENT_KEY)]), 200);
    assert_says(
        &home.ta(&["server", "gc", "--grace-days", "1"]).done(),
        &["Nothing to delete yet"],
    );
    home.ta(&["server", "verify"]).done();
}

#[test]
fn a_database_that_does_not_wait_for_its_disk_is_warned_of_at_the_start() {
    for (setting, is_warned) in
        [("synchronous_commit=off", true), ("fsync=off", true), ("synchronous_commit=local", false)]
    {
        let cluster = Cluster::start_with(&[setting]);
        let node = Serving::start(&home_at(&cluster), &[]);
        node.signal("-TERM");
        let (code, said) = node.ended();
        assert_eq!(code, Some(0));
        let name = setting.split('=').next().unwrap();
        assert_eq!(said.contains(&format!("{name} is off")), is_warned, "{setting}: {said}");
    }
}
