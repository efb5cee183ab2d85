//! Programs, folders and figures.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;
use wait4::Wait4 as _;

/// The programs that are measured.
pub(crate) struct Tools {
    pub(crate) ta: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) server: PathBuf,
}

/// The secret and the client id of every measurement.
pub(crate) const SECRET: &str = "correct-horse-battery-staple";
pub(crate) const CLIENT: &str = "11111111-2222-4333-8444-555555555555";

impl Tools {
    pub(crate) fn find() -> Self {
        let own = std::env::current_exe().unwrap();
        let folder = own.parent().unwrap();
        let reference = std::env::var_os("TANDEM_REFERENCE_BIN")
            .map_or_else(|| PathBuf::from("target/interop/release"), PathBuf::from);
        let tools = Self {
            ta: folder.join("ta"),
            client: reference.join("reference-client"),
            server: reference.join("reference-server"),
        };
        for program in [&tools.ta, &tools.client, &tools.server] {
            assert!(program.is_file(), "{} is missing: build it first", program.display());
        }
        tools
    }
}

/// A folder on the disk that is measured.
pub(crate) fn folder() -> TempDir {
    match std::env::var_os("TANDEM_BENCH_DIR") {
        Some(disk) => TempDir::new_in(disk).unwrap(),
        None => TempDir::new().unwrap(),
    }
}

/// What one whole process cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) ms: f64,
    pub(crate) peak_mb: f64,
}

/// Runs a program to its end; it must succeed.
pub(crate) fn run(command: &mut Command) -> (Cost, Vec<u8>) {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut out).unwrap();
    let used = child.wait4().unwrap();
    let ms = began.elapsed().as_secs_f64() * 1e3;
    assert!(used.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&out));
    (Cost { ms, peak_mb: used.rusage.maxrss as f64 / 1e6 }, out)
}

/// A `ta` command with settings of its own.
pub(crate) fn ta(tools: &Tools, home: &Path) -> Command {
    let mut command = Command::new(&tools.ta);
    command.env_clear().env("HOME", home).env("TA_DATA_DIR", home.join("replica"));
    command.env("TA_SERVER_DIR", home.join("server"));
    command
}

/// The same, with the server of the measurement.
pub(crate) fn ta_http(tools: &Tools, home: &Path, url: &str) -> Command {
    let mut command = ta(tools, home);
    command.env("TA_SERVER_ORIGIN", url);
    command.env("TA_SERVER_CLIENT_KEY", CLIENT).env("TA_ENCRYPTION_SECRET", SECRET);
    command
}

/// The real client.
pub(crate) fn reference(tools: &Tools, replica: &Path) -> Command {
    let mut command = Command::new(&tools.client);
    command.env_clear().arg(replica);
    command
}

/// A number in the one line of JSON that the real client prints.
pub(crate) fn number(out: &[u8], name: &str) -> f64 {
    let document: Value = serde_json::from_slice(out).unwrap();
    document["ok"][name].as_f64().unwrap_or(0.0)
}

/// A reference server on a port of its own; ends when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(tools: &Tools, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mut child = Command::new(&tools.server)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening ").unwrap().to_owned();
        Self { child, url: format!("http://{address}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Minimum, median and maximum.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    pub(crate) fn min(&self) -> f64 {
        self.0[0]
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:9.2} min {:9.2} median {:9.2} max",
            self.min(),
            self.median(),
            self.0[self.0.len() - 1]
        )
    }
}

/// Prints ours beside the reference's, and how many times faster ours is.
pub(crate) fn compare(what: &str, ours: Vec<f64>, theirs: Vec<f64>) {
    let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
    println!("{what} [ms]");
    println!("  ours      {ours}");
    println!("  reference {theirs}");
    println!(
        "  ratio     {:9.2} min {:9.2} median",
        theirs.min() / ours.min(),
        theirs.median() / ours.median()
    );
}

pub(crate) fn alone(what: &str, ours: Vec<f64>) {
    println!("{what} [ms]\n  ours      {}", Spread::of(ours));
}

/// A list of tasks in Taskwarrior's JSON, six properties each.
pub(crate) fn write_tasks(path: &Path, count: usize, pending: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for n in 0..count {
        let status = if n % count.max(1) < pending { "pending" } else { "completed" };
        let end = if status == "completed" { r#","end":"20261101T100000Z""# } else { "" };
        writeln!(
            file,
            r#"{{"uuid":"{:08x}-0000-4000-8000-{:012x}","status":"{status}","description":"task number {n} of the list","entry":"20261101T090000Z","modified":"20261101T100000Z","project":"project{}","priority":"M"{end}}}"#,
            (n as u64).wrapping_mul(2_654_435_761) as u32,
            n,
            n % 20,
        )
        .unwrap();
    }
    file.flush().unwrap();
}
