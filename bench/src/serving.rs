//! Servers as processes of their own: ours, the reference's, and an empty handler.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::line::Storm;
use crate::tools::Tools;

/// A server that ends when this is dropped.
pub(crate) struct Serving {
    child: Child,
    /// Host and port.
    pub(crate) address: String,
    /// From the start of the process until it said that it listens, in milliseconds.
    pub(crate) start_ms: f64,
}

impl Serving {
    pub(crate) fn ours(tools: &Tools, folder: &Path) -> Self {
        let mut command = Command::new(&tools.ta);
        command.args(["serve", "-l", "127.0.0.1:0", "-d"]).arg(folder);
        // As long as the measurement, nobody is asked for a snapshot.
        command.args(["--snapshot-versions", "100000000"]);
        Self::start(command, "listening on http://")
    }

    pub(crate) fn reference(tools: &Tools, folder: &Path) -> Self {
        let mut command = Command::new(&tools.server);
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder);
        command.args(["--snapshot-versions", "100000000"]);
        Self::start(command, "listening ")
    }

    /// Answers every request with so many bytes, the same ones each time.
    pub(crate) fn empty(bytes: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["empty-handler", &bytes.to_string()]);
        Self::start(command, "listening ")
    }

    fn start(mut command: Command, words: &str) -> Self {
        let began = Instant::now();
        let mut child = command
            .env("RUST_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let start_ms = began.elapsed().as_secs_f64() * 1e3;
        let address = line.trim().strip_prefix(words).unwrap().to_owned();
        Self { child, address, start_ms }
    }

    /// Time that the process has had of the cores so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).unwrap();
        // Behind the name, which may hold blanks: user and system time are the 14th and 15th field, in
        // hundredths of a second on every Linux.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11..13].iter().map(|it| it.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Runs a storm of requests to this server and notes what it cost the server.
    pub(crate) fn under(&self, storm: impl FnOnce(&str) -> Storm) -> Storm {
        let before = self.cpu_s();
        let mut storm = storm(&self.address);
        storm.server_cpu_s = self.cpu_s() - before;
        storm
    }

    /// Memory that the process holds now, and the most that it ever held, in megabytes.
    pub(crate) fn memory_mb(&self) -> (f64, f64) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
        };
        (of("VmRSS:"), of("VmHWM:"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
