//! First uploads and new replicas.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use tandem_client::{Replica, SyncOptions, sync, system_now};
use tandem_remote::http::{HttpRemote, HttpSettings, Origin};
use tandem_replica::{OpenOptions, SqliteStorage};
use tandem_seal::{Key, LazyKey, Salt, Secret};

use crate::tools::{
    CLIENT, Cost, SECRET, Server, Spread, Tools, compare, folder, number, reference, run, ta,
    ta_http, write_tasks,
};

const ROUNDS: usize = 5;
const TASKS: usize = 10_000;

fn peaks(what: &str, ours: &[Cost], theirs: &[Cost]) {
    let peak = |costs: &[Cost]| Spread::of(costs.iter().map(|cost| cost.peak_mb).collect());
    println!(
        "  peak MB   ours {:.1}, reference {:.1} ({what})",
        peak(ours).median(),
        peak(theirs).median()
    );
}

fn ms(costs: &[Cost]) -> Vec<f64> {
    costs.iter().map(|cost| cost.ms).collect()
}

/// A replica file with a list that has never been synced, copied for each round.
fn lists(tools: &Tools, home: &Path) {
    let list = home.join("list.json");
    write_tasks(&list, TASKS, TASKS);
    run(ta(tools, &home.join("ours")).arg("import").arg(&list));
    run(reference(tools, &home.join("real")).args(["many", &TASKS.to_string(), "6"]));
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn reference_http(tools: &Tools, replica: &Path, url: &str) -> Command {
    let mut command = reference(tools, replica);
    command.args(["sync-http", url, CLIENT, SECRET]);
    command
}

/// [`our_call`] in a process of its own, so that what it holds does not count for others.
fn call(replica: &Path, url: &str) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let (_, out) = run(command.arg("our-call").arg(replica).arg(url));
    String::from_utf8_lossy(&out).trim().parse().unwrap()
}

/// The call alone, with the key derived before; in milliseconds.
pub(crate) fn our_call(replica: &Path, url: &str) -> f64 {
    let storage =
        SqliteStorage::open(&replica.join("taskchampion.sqlite3"), &OpenOptions::default());
    let mut replica = Replica::new(storage.unwrap().0);
    let client: tandem_core::ClientId = CLIENT.parse().unwrap();
    let secret = || Secret::new(SECRET.into()).unwrap();
    let mut settings = HttpSettings::new(Origin::parse(url).unwrap(), client, secret());
    let key = Key::derive(&secret(), &Salt::from_client_id(client.to_bytes()));
    settings.key = Arc::new(LazyKey::from_key(key));
    let mut remote = HttpRemote::new(settings);
    let began = Instant::now();
    let synced = sync(&mut replica, &mut remote, &SyncOptions::default(), &system_now, &mut |_| {});
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let end = synced.unwrap().report.end;
    assert_eq!(end, tandem_tasks::session::End::InStep);
    ms
}

/// First upload of 10,000 tasks with 6 properties, through the reference server.
pub(crate) fn upload(tools: &Tools) {
    let home = folder();
    lists(tools, home.path());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_calls, mut their_calls) = (Vec::new(), Vec::new());
    let mut directory = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let round = home.path().join(format!("round{round}"));
        copy_folder(&home.path().join("ours/replica"), &round.join("ours/replica"));
        copy_folder(&home.path().join("ours/replica"), &round.join("call"));
        copy_folder(&home.path().join("real"), &round.join("real"));
        copy_folder(&home.path().join("ours/replica"), &round.join("dir/replica"));
        copy_folder(&home.path().join("real"), &round.join("dir-real"));
        directory.0.push(run(ta(tools, &round.join("dir")).arg("sync")).0);
        let shared = round.join("dir-store");
        std::fs::create_dir_all(&shared).unwrap();
        let mut command = reference(tools, &round.join("dir-real"));
        directory.1.push(run(command.arg("sync-local").arg(&shared)).0);
        let server = Server::start(tools, &round.join("store-ours"));
        ours.push(run(ta_http(tools, &round.join("ours"), &server.url).arg("sync")).0);
        let server = Server::start(tools, &round.join("store-call"));
        our_calls.push(call(&round.join("call"), &server.url));
        let server = Server::start(tools, &round.join("store-real"));
        let (cost, out) = run(&mut reference_http(tools, &round.join("real"), &server.url));
        theirs.push(cost);
        their_calls.push(number(&out, "elapsed_ms"));
    }
    compare(
        "first upload of 10,000 tasks, whole process, key derivation in both",
        ms(&ours),
        ms(&theirs),
    );
    peaks("whole process", &ours, &theirs);
    compare(
        "first upload of 10,000 tasks, the call, key derived before in both",
        our_calls,
        their_calls,
    );
    compare(
        "first upload of 10,000 tasks to a directory, whole process",
        ms(&directory.0),
        ms(&directory.1),
    );
    peaks("directory", &directory.0, &directory.1);
}

/// A fresh replica of 10,000 tasks: from a good snapshot, from what a default server holds, from
/// history alone.
pub(crate) fn fresh(tools: &Tools) {
    let home = folder();
    lists(tools, home.path());
    // Ours uploads and leaves a good snapshot; the reference uploads and leaves what it leaves.
    let ours_up = Server::start(tools, &home.path().join("store-ours"));
    run(ta_http(tools, &home.path().join("ours"), &ours_up.url).arg("sync"));
    let theirs_up = Server::start(tools, &home.path().join("store-real"));
    run(&mut reference_http(tools, &home.path().join("real"), &theirs_up.url));
    // History alone: the local directory has no snapshots.
    let shared = home.path().join("history");
    std::fs::create_dir_all(&shared).unwrap();
    run(ta(tools, &home.path().join("ours")).env("TA_SERVER_DIR", &shared).arg("sync"));
    let mut good = (Vec::new(), Vec::new());
    let mut calls = (Vec::new(), Vec::new());
    let mut held = (Vec::new(), Vec::new());
    let mut alone = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let at = |name: &str| home.path().join(format!("fresh{round}-{name}"));
        good.0.push(run(ta_http(tools, &at("a"), &ours_up.url).arg("sync")).0);
        let (cost, out) = run(&mut reference_http(tools, &at("b"), &ours_up.url));
        good.1.push(cost);
        calls.1.push(number(&out, "elapsed_ms"));
        std::fs::create_dir_all(at("g")).unwrap();
        calls.0.push(call(&at("g"), &ours_up.url));
        held.0.push(run(ta_http(tools, &at("c"), &ours_up.url).arg("sync")).0);
        held.1.push(run(&mut reference_http(tools, &at("d"), &theirs_up.url)).0);
        alone.0.push(run(ta(tools, &at("e")).env("TA_SERVER_DIR", &shared).arg("sync")).0);
        alone.1.push(run(reference(tools, &at("f")).arg("sync-local").arg(&shared)).0);
    }
    compare(
        "fresh replica from the same good snapshot, whole process with derivation",
        ms(&good.0),
        ms(&good.1),
    );
    peaks("good snapshot", &good.0, &good.1);
    compare(
        "fresh replica from the same good snapshot, the call, key derived before",
        calls.0,
        calls.1,
    );
    compare(
        "fresh replica from what each one's own upload left at a default server, whole process",
        ms(&held.0),
        ms(&held.1),
    );
    compare(
        "fresh replica from history alone (directory), whole process",
        ms(&alone.0),
        ms(&alone.1),
    );
    peaks("history alone", &alone.0, &alone.1);
}

/// 100,000 tasks: upload, and a fresh replica in each mode; time and peak memory.
pub(crate) fn large(tools: &Tools) {
    let home = folder();
    let list = home.path().join("list.json");
    write_tasks(&list, 100_000, 50_000);
    let one = |what: &str, command: &mut Command| {
        let (cost, _) = run(command);
        println!("{what}: {:.0} ms, peak {:.1} MB", cost.ms, cost.peak_mb);
    };
    let ours = home.path().join("ours");
    one("import of 100,000 tasks", ta(tools, &ours).arg("import").arg(&list));
    let server = Server::start(tools, &home.path().join("store"));
    one("first upload of 100,000 tasks", ta_http(tools, &ours, &server.url).arg("sync"));
    one(
        "fresh replica of 100,000 tasks from the snapshot",
        ta_http(tools, &home.path().join("a"), &server.url).arg("sync"),
    );
    let shared = home.path().join("history");
    one(
        "upload of 100,000 tasks to a directory",
        ta(tools, &ours).env("TA_SERVER_DIR", &shared).arg("sync"),
    );
    one(
        "fresh replica of 100,000 tasks from history alone",
        ta(tools, &home.path().join("b")).env("TA_SERVER_DIR", &shared).arg("sync"),
    );
    one(
        "nothing to do, 100,000 tasks",
        ta(tools, &home.path().join("b")).env("TA_SERVER_DIR", &shared).arg("sync"),
    );
}
