//! AddVersion on PostgreSQL beside pgbench, which sends the same statement to the same database.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tandem_server::store::postgres::ADD_VERSION;
use tandem_server::testing::Cluster;

use crate::tools::Tools;

/// How long each round lasts.
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;

/// The bytes of a version.
const BODY: usize = 300;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// Versions a second of 300 bytes, each writer with a client of its own, durable.
pub(crate) fn add_version(tools: &Tools) {
    let cluster = Cluster::start();
    let server = Serving::start(&tools.ta, &cluster.database("tandem"));
    let script = cluster.data().with_file_name("add-version.sql");
    std::fs::write(&script, pgbench_script()).unwrap();
    for writers in [1, 8, 16, 32] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            ours.push(through_server(&server.address, writers, round));
            theirs.push(through_pgbench(&cluster, &script, writers, round));
        }
        let middle = |mut rates: Vec<f64>| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        };
        let (ours, theirs) = (middle(ours), middle(theirs));
        println!(
            "{writers:>3} writers: ta serve {ours:>6.0}/s, pgbench {theirs:>6.0}/s, ratio {:.2}",
            ours / theirs
        );
    }
}

/// The server's statement as pgbench can send it: names for numbers, and the answer of one as the
/// parameters of the next.
fn pgbench_script() -> String {
    let parameters = [
        ("$1", "lpad(:round::text || lpad(:client_id::text, 4, '0'), 32, '1')::uuid"),
        ("$2", "(:parent)::uuid"),
        ("$3", "(:version)::uuid"),
        ("$4", "(:body)::bytea"),
        ("$5", "(:now)::bigint"),
        ("$6", "true"),
        ("$7", "(:nil)::uuid"),
    ];
    let mut sql: String = ADD_VERSION
        .lines()
        .filter(|line| !line.starts_with("--"))
        .map(|line| format!("{line}\n"))
        .collect();
    for (number, name) in parameters {
        for cast in ["::uuid", "::bytea", "::bigint", "::boolean"] {
            sql = sql.replace(&format!("{number}{cast}"), number);
        }
        sql = sql.replace(number, name);
    }
    let answer = "EXISTS (SELECT FROM added) AS is_added";
    assert!(sql.contains(answer), "the statement has changed");
    sql = sql.replace(
        answer,
        "EXISTS (SELECT FROM added) AS is_added, (:version)::uuid AS parent, \
         gen_random_uuid() AS version",
    );
    format!("{}\n\\gset\n", sql.trim_end())
}

fn through_pgbench(cluster: &Cluster, script: &Path, writers: usize, round: usize) -> f64 {
    let before: f64 = count(cluster);
    let define = |name: &str, value: &str| ["-D".to_owned(), format!("{name}={value}")];
    let output = Command::new(cluster.program("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-U", "tandem", "-h", "127.0.0.1"])
        .args(["-p", &cluster.port().to_string(), "-c", &writers.to_string()])
        .args(["-T", &ROUND.as_secs().to_string(), "-f"])
        .arg(script)
        .args(define("round", &format!("{writers}{round}")))
        .args(define("parent", NIL))
        .args(define("version", "c0000000-0000-4000-8000-000000000001"))
        .args(define("nil", NIL))
        .args(define("body", &format!("\\x{}", "5a".repeat(BODY))))
        .args(define("now", "1760000000"))
        .arg("tandem")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.starts_with("tps = ")).expect("it tells its rate");
    let rate: f64 = line.split(' ').nth(2).unwrap().parse().unwrap();
    let added = count(cluster) - before;
    assert!(added > rate * ROUND.as_secs_f64() * 0.9, "each of its statements adds a version");
    rate
}

fn count(cluster: &Cluster) -> f64 {
    cluster.sql("tandem", "SELECT count(*) FROM tandem.versions").parse().unwrap()
}

fn through_server(address: &str, writers: usize, round: usize) -> f64 {
    let began = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|writer| {
            let address = address.to_owned();
            let client = format!("22222222-2222-4222-8222-{writers:04}{round:04}{writer:04}");
            std::thread::spawn(move || write(&address, &client, began))
        })
        .collect();
    let added: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    f64::from(added) / began.elapsed().as_secs_f64()
}

/// Adds versions in a row over one connection until the round is over; how many.
fn write(address: &str, client: &str, began: Instant) -> u32 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut parent, mut added) = (NIL.to_owned(), 0);
    while began.elapsed() < ROUND {
        let head = format!(
            "POST /v1/client/add-version/{parent} HTTP/1.1\r\nHost: t\r\nX-Client-Id: {client}\r\n\
             Content-Type: application/vnd.taskchampion.history-segment\r\n\
             Content-Length: {BODY}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), &[0x5a; BODY]].concat()).unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "x-version-id" => value.clone_into(&mut parent),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        added += 1;
    }
    added
}

/// `ta serve` on a database; ends when dropped.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(ta: &Path, database: &str) -> Self {
        let mut child = Command::new(ta)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("TA_SERVE_DATABASE", database)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
