//! A replica that is a thousand versions behind, over a line with a long delay.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tandem_client::{Replica, SyncOptions, sync, system_now};
use tandem_core::TaskId;
use tandem_remote::http::{HttpRemote, HttpSettings, Origin};
use tandem_replica::{OpenOptions, SqliteStorage, StorageError};
use tandem_seal::Secret;

use crate::load::copy_folder;
use crate::serving::Serving;
use crate::tools::{CLIENT, SECRET, Spread, Tools, folder, reference, run, ta_http};

const VERSIONS: usize = 1000;
/// What the reference walks: it makes a round trip for each.
const VERSIONS_REFERENCE: usize = 100;
const ROUNDS: usize = 5;
/// There and back.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// A line to a server that lets bytes through after half of `round_trip` in each direction, in any
/// number at once, as a long wire does.
struct Wire {
    url: String,
    round_trip_ms: Arc<AtomicU64>,
}

impl Wire {
    /// Its threads end with the process.
    fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let round_trip_ms = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&round_trip_ms);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(&address).unwrap());
                let half = Duration::from_millis(delay.load(Ordering::SeqCst) / 2);
                // On this machine a connection is there at once; on the wire it takes a round trip.
                let open_at = Instant::now() + half * 2;
                carry(near.try_clone().unwrap(), far.try_clone().unwrap(), half, open_at);
                carry(far, near, half, open_at);
            }
        });
        Self { url, round_trip_ms }
    }

    fn set(&self, round_trip: Duration) {
        self.round_trip_ms.store(round_trip.as_millis() as u64, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, to: TcpStream, delay: Duration, open_at: Instant) {
    from.set_nodelay(true).unwrap();
    let (send, receive) = channel();
    std::thread::spawn(move || deliver(&receive, to));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length) = from.read(&mut buffer) {
            let due = Instant::now().max(open_at) + delay;
            if send.send((due, buffer[..length].to_vec())).is_err() || length == 0 {
                return;
            }
        }
    });
}

/// Nothing to deliver is the end of that direction.
fn deliver(receive: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    while let Ok((due, bytes)) = receive.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Write);
            return;
        }
    }
}

/// Adds versions, one change each, from a replica elsewhere.
fn grow(folder: &Path, url: &str, count: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("taskchampion.sqlite3");
    let mut replica = Replica::new(SqliteStorage::open(&file, &OpenOptions::default()).unwrap().0);
    let secret = Secret::new(SECRET.into()).unwrap();
    let settings = HttpSettings::new(Origin::parse(url).unwrap(), CLIENT.parse().unwrap(), secret);
    let mut remote = HttpRemote::new(settings);
    let task = TaskId::from_random_bytes([9; 16]);
    for number in 0..=count {
        if number > 0 {
            let edit = |editor: &mut tandem_replica::Editor<'_>| {
                editor.create(task)?;
                editor.set(task, "description", Some(&format!("text number {number}")))?;
                Ok::<_, StorageError>(())
            };
            replica.edit("bench", system_now(), edit).unwrap();
        }
        let synced =
            sync(&mut replica, &mut remote, &SyncOptions::default(), &system_now, &mut |_| {});
        assert_eq!(synced.unwrap().report.end, tandem_tasks::session::End::InStep);
    }
}

pub(crate) fn far(tools: &Tools) {
    let home = folder();
    let at = |name: &str| home.path().join(name);
    let serving = Serving::ours(tools, &at("store"));
    let wire = Wire::to(serving.address.clone());
    // Both stand at the beginning of the list; then it grows elsewhere.
    let ours = at("behind");
    std::fs::create_dir_all(&ours).unwrap();
    run(ta_http(tools, &ours, &wire.url).args(["add", "first"]));
    run(ta_http(tools, &ours, &wire.url).arg("sync"));
    let sync_reference = |replica: &Path| {
        let mut command = reference(tools, replica);
        command.args(["sync-http", &wire.url, CLIENT, SECRET]);
        command
    };
    run(&mut sync_reference(&at("real")));
    grow(&at("elsewhere"), &wire.url, VERSIONS_REFERENCE);
    wire.set(ROUND_TRIP);
    let theirs = run(&mut sync_reference(&at("real"))).0.ms;
    wire.set(Duration::ZERO);
    grow(&at("elsewhere"), &wire.url, VERSIONS - VERSIONS_REFERENCE);
    let task = TaskId::from_random_bytes([9; 16]).to_string();
    let (mut near, mut far, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for (delay, times) in [(Duration::ZERO, &mut near), (ROUND_TRIP, &mut far)] {
            let copy = at(&format!("round{round}-{}", delay.as_millis()));
            copy_folder(&ours.join("replica"), &copy.join("replica"));
            private(&copy.join("replica"));
            wire.set(delay);
            times.push(run(ta_http(tools, &copy, &wire.url).arg("sync")).0.ms);
            let (_, out) = run(ta_http(tools, &copy, &wire.url).args(["export", &task]));
            let text = format!("text number {}", VERSIONS - VERSIONS_REFERENCE);
            assert!(String::from_utf8_lossy(&out).contains(&text), "it has come to the end");
            if delay == ROUND_TRIP {
                nothing.push(run(ta_http(tools, &copy, &wire.url).arg("sync")).0.ms);
            }
        }
    }
    let (near, far) = (Spread::of(near), Spread::of(far));
    let trips = (far.median() - near.median()) / (ROUND_TRIP.as_secs_f64() * 1e3);
    println!("{VERSIONS} versions behind, whole process [ms]");
    println!("  no delay          {near}");
    println!("  {} ms round trip  {far}", ROUND_TRIP.as_millis());
    println!("  difference: {trips:.1} round trips, that of the connection among them");
    println!("  nothing to do over the same line {}", Spread::of(nothing));
    println!("reference client, {VERSIONS_REFERENCE} versions behind, same line: {theirs:.0} ms");
}

/// Closed to others, so that nothing is remarked.
fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}
