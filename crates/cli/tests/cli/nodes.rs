//! Several `ta serve` on one PostgreSQL: nodes are killed, replaced and restarted, PostgreSQL too,
//! while writers go on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tandem_server::testing::Cluster;

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, ask_as};

/// One request as any client; what came, if a whole answer came.
fn ask_for(
    client: &str,
    address: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<(u16, std::collections::BTreeMap<String, String>, Vec<u8>)> {
    ask_as(address, method, path, &[("X-Client-Id", client)], body)
}

/// Nodes of every test here.
const NODES: usize = 3;

/// If nothing gets on for so long, something hangs.
const HANG: Duration = Duration::from_secs(120);

/// The clients of a storm; several writers each.
const CLIENTS: [&str; 2] =
    ["11111111-2222-4333-8444-555555555555", "66666666-7777-4888-9999-aaaaaaaaaaaa"];

/// Nodes on one database, each in a place where writers find it.
struct Fleet {
    homes: Vec<TestHome>,
    nodes: Vec<Serving>,
    places: Arc<Mutex<Vec<String>>>,
}

impl Fleet {
    fn start(cluster: &Cluster) -> Self {
        let address = cluster.database("tandem");
        let homes: Vec<TestHome> = (0..NODES)
            .map(|_| {
                // What a node says while its database is away would fill its pipe.
                let home = TestHome::new().with("RUST_LOG", "off");
                home.with("TA_SERVE_DATABASE", address.clone())
            })
            .collect();
        let nodes: Vec<Serving> = homes.iter().map(|home| Serving::start(home, &[])).collect();
        let places = nodes.iter().map(|node| node.address.clone()).collect();
        Self { homes, nodes, places: Arc::new(Mutex::new(places)) }
    }

    /// Puts a new process into a place; the one that was there, which still runs.
    fn replace(&mut self, at: usize) -> Serving {
        let node = Serving::start(&self.homes[at], &[]);
        self.places.lock().unwrap()[at] = node.address.clone();
        std::mem::replace(&mut self.nodes[at], node)
    }

    /// Kills a node without a word and starts another in its place.
    fn kill(&mut self, at: usize) {
        // It is killed before there is another: for a while its place is empty.
        self.nodes[at].kill();
        drop(self.replace(at));
    }
}

/// A version that a writer was told to be accepted.
#[derive(Debug, Clone)]
struct Accepted {
    client: &'static str,
    parent: String,
    version: String,
    body: String,
}

/// What writers have seen.
struct Storm {
    stop: Arc<AtomicBool>,
    accepted: Receiver<Accepted>,
    writers: Vec<JoinHandle<Tries>>,
}

/// How many times a request was sent until it was answered, at most, and how many had to be repeated.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    most: u32,
    repeated: u32,
}

impl Storm {
    fn start(fleet: &Fleet, writers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, accepted) = channel();
        let writers = (0..writers)
            .map(|number| {
                let (stop, places) = (Arc::clone(&stop), Arc::clone(&fleet.places));
                let sender = sender.clone();
                std::thread::spawn(move || write(number, &stop, &places, &sender))
            })
            .collect();
        Self { stop, accepted, writers }
    }

    /// Waits until so many more versions were accepted.
    fn wait_for(&self, count: usize, into: &mut Vec<Accepted>) {
        for _ in 0..count {
            into.push(self.accepted.recv_timeout(HANG).expect("the writers get on"));
        }
    }

    fn end(self, into: &mut Vec<Accepted>) -> Tries {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tries::default();
        for writer in self.writers {
            let tries = writer.join().unwrap();
            all.most = all.most.max(tries.most);
            all.repeated += tries.repeated;
        }
        into.extend(self.accepted.iter());
        all
    }
}

/// Offers versions, each with a body of its own, after what it last heard to be the latest; goes to
/// the next node whenever there is no answer.
fn write(
    number: usize,
    stop: &AtomicBool,
    places: &Mutex<Vec<String>>,
    accepted: &Sender<Accepted>,
) -> Tries {
    let client = CLIENTS[number % CLIENTS.len()];
    let (mut parent, mut at, mut tries) = (NIL.to_owned(), number, Tries::default());
    let mut sent = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let mut count = 0;
        // One request, until it is answered. Each time it is another body: had the one before been
        // taken after all, this one is refused.
        loop {
            (sent, count, at) = (sent + 1, count + 1, at + 1);
            let body = format!("writer {number}, version {sent}");
            let place = places.lock().unwrap()[at % NODES].clone();
            let path = format!("/v1/client/add-version/{parent}");
            match ask_for(client, &place, "POST", &path, body.as_bytes()) {
                Some((200, headers, _)) => {
                    let version = headers["x-version-id"].clone();
                    let before = std::mem::replace(&mut parent, version.clone());
                    let _ = accepted.send(Accepted { client, parent: before, version, body });
                    break;
                }
                Some((409, headers, _)) => {
                    parent = headers["x-parent-version-id"].clone();
                    break;
                }
                // No answer, or a server that says that it does not know.
                None | Some((500..=599, ..)) => std::thread::yield_now(),
                Some((status, ..)) => panic!("{status}"),
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        tries.most = tries.most.max(count);
        tries.repeated += u32::from(count > 1);
    }
    tries
}

/// Every chain is single, the same from every node, and holds what was answered with 200.
fn check(cluster: &Cluster, fleet: &Fleet, accepted: &[Accepted]) {
    let mut stored = 0;
    for client in CLIENTS {
        let chains: Vec<Vec<(String, String, String)>> =
            fleet.nodes.iter().map(|node| chain(client, &node.address)).collect();
        assert!(chains.windows(2).all(|two| two[0] == two[1]), "one chain, from every node");
        let chain = &chains[0];
        for taken in accepted.iter().filter(|taken| taken.client == client) {
            let wanted = (taken.parent.clone(), taken.version.clone(), taken.body.clone());
            assert!(chain.contains(&wanted), "answered with 200 and not there: {taken:?}");
        }
        let bodies: BTreeSet<&str> = chain.iter().map(|(_, _, body)| body.as_str()).collect();
        assert_eq!(bodies.len(), chain.len(), "nothing is there twice");
        stored += chain.len();
    }
    let rows = cluster.sql("tandem", "SELECT count(*) FROM tandem.versions");
    assert_eq!(rows, stored.to_string(), "nothing is stored beside the chains");
    assert!(stored >= accepted.len());
    let told = fleet.homes[0].ta(&["server", "verify"]).done();
    assert_says(&told, &[&format!("Sound: {stored} versions")]);
}

/// The chain from nil on: parent, version and body of each.
fn chain(client: &str, address: &str) -> Vec<(String, String, String)> {
    let (mut chain, mut parent) = (Vec::new(), NIL.to_owned());
    loop {
        let path = format!("/v1/client/get-child-version/{parent}");
        let (status, headers, body) = ask_for(client, address, "GET", &path, b"").unwrap();
        if status != 200 {
            assert_eq!(status, 404, "after the last there is nothing yet");
            return chain;
        }
        let version = headers["x-version-id"].clone();
        let before = std::mem::replace(&mut parent, version.clone());
        chain.push((before, version, String::from_utf8(body).unwrap()));
    }
}

#[test]
fn nodes_and_postgresql_die_under_a_storm_and_nothing_answered_is_lost() {
    let mut cluster = Cluster::start();
    let mut fleet = Fleet::start(&cluster);
    let storm = Storm::start(&fleet, 6);
    let mut accepted = Vec::new();
    for round in 0..12_usize {
        storm.wait_for(15, &mut accepted);
        match round {
            3 | 9 => {
                cluster.crash();
                cluster.run();
            }
            6 => {
                cluster.stop();
                cluster.run();
            }
            // Any of them, one after the other or the same again.
            _ => fleet.kill(round * 7 / 3 % NODES),
        }
    }
    storm.wait_for(15, &mut accepted);
    let tries = storm.end(&mut accepted);
    assert!(tries.repeated > 0, "the storm noticed");
    check(&cluster, &fleet, &accepted);
}

#[test]
fn a_rolling_restart_fails_no_request_that_another_node_does_not_answer() {
    let cluster = Cluster::start();
    let mut fleet = Fleet::start(&cluster);
    let storm = Storm::start(&fleet, 4);
    let mut accepted = Vec::new();
    for round in 0..2 * NODES {
        storm.wait_for(15, &mut accepted);
        // The new one is there before the old one is told to go.
        let old = fleet.replace(round % NODES);
        old.signal("-TERM");
        assert_eq!(old.ended(), (Some(0), String::new()), "quietly, and in order");
    }
    storm.wait_for(15, &mut accepted);
    let tries = storm.end(&mut accepted);
    assert!(tries.most <= 2, "the next node answers: {tries:?}");
    check(&cluster, &fleet, &accepted);
}

#[test]
fn a_database_that_is_away_is_named_and_its_password_is_not() {
    let home = TestHome::new();
    let address = "postgres://tandem:hunter2@127.0.0.1:1/tandem";
    let output = home.command(&["serve", "-l", "127.0.0.1:0", "--database", address]).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("127.0.0.1:1/tandem cannot be reached"), "{said}");
    assert!(said.contains("the database's password is on the command line"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
