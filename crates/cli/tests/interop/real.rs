//! The reference programs as child processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::{Meeting, Tasks, reference};

/// A real replica: the published crate, or its Python binding, behind a pipe. Ends when its input does.
pub(crate) struct Real {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    meeting: Meeting,
}

impl Real {
    /// Opens or makes the replica in the folder `data`.
    pub(crate) fn on(data: &Path, meeting: &Meeting) -> Self {
        Self::behind(Command::new(reference("TANDEM_REFERENCE_CLIENT")), data, meeting)
    }

    /// The same through the Python binding, which knows fewer commands.
    pub(crate) fn python(data: &Path, meeting: &Meeting) -> Self {
        let mut program = Command::new(reference("TANDEM_REFERENCE_PYTHON"));
        program.args(["-X", "utf8"]);
        program.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/python-client/client.py"));
        Self::behind(program, data, meeting)
    }

    fn behind(mut program: Command, data: &Path, meeting: &Meeting) -> Self {
        let mut child = program
            .env_clear()
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its panics are answers too; what it prints of them would only frighten.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output, meeting: meeting.clone() }
    }

    /// A replica below `room`.
    pub(crate) fn new(room: &Path, name: &str, meeting: &Meeting) -> Self {
        Self::on(&room.join(name), meeting)
    }

    /// One command, whatever the answer.
    pub(crate) fn ask(&mut self, command: &Value) -> Result<Value, String> {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap().to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// One command that must work.
    #[track_caller]
    pub(crate) fn ok(&mut self, command: Value) -> Value {
        match self.ask(&command) {
            Ok(answer) => answer,
            Err(error) => panic!("{command}: {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn create(&mut self, id: &str, set: &[(&str, &str)]) {
        let set: serde_json::Map<String, Value> =
            set.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        self.ok(json!({ "do": "create", "uuid": id, "set": set, "undo_point": true }));
    }

    #[track_caller]
    pub(crate) fn update(&mut self, id: &str, property: &str, value: Option<&str>) {
        self.ok(json!({
            "do": "update", "uuid": id, "property": property, "value": value, "undo_point": true,
        }));
    }

    #[track_caller]
    pub(crate) fn update_at(&mut self, id: &str, property: &str, value: Option<&str>, at: &str) {
        self.ok(json!({
            "do": "update", "uuid": id, "property": property, "value": value, "timestamp": at,
            "undo_point": true,
        }));
    }

    #[track_caller]
    pub(crate) fn delete(&mut self, id: &str) {
        self.ok(json!({ "do": "delete", "uuid": id, "undo_point": true }));
    }

    /// True if something was taken back.
    #[track_caller]
    pub(crate) fn undo(&mut self) -> bool {
        self.ok(json!({ "do": "undo" })).as_bool().unwrap()
    }

    #[track_caller]
    pub(crate) fn dump(&mut self) -> Tasks {
        serde_json::from_value(self.ok(json!({ "do": "dump" }))).unwrap()
    }

    #[track_caller]
    pub(crate) fn base(&mut self) -> String {
        self.ok(json!({ "do": "base" })).as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn numbers(&mut self) -> Vec<(u64, String)> {
        serde_json::from_value(self.ok(json!({ "do": "working_set" }))).unwrap()
    }

    pub(crate) fn meet(&mut self, meeting: &Meeting) {
        self.meeting = meeting.clone();
    }

    pub(crate) fn try_sync(&mut self) -> Result<Value, String> {
        let command = match &self.meeting {
            Meeting::Directory(path) => json!({ "do": "sync_local", "server_dir": path }),
            Meeting::Server { url, client, secret } => json!({
                "do": "sync_http", "url": url, "client_id": client, "secret": secret,
            }),
        };
        self.ask(&command)
    }

    #[track_caller]
    pub(crate) fn sync(&mut self) {
        if let Err(error) = self.try_sync() {
            panic!("the real replica cannot sync: {error}");
        }
    }

    /// A call of the abstract server, without the replica.
    #[track_caller]
    pub(crate) fn call(&mut self, call: Value) -> Value {
        let server = match &self.meeting {
            Meeting::Directory(path) => json!({ "server_dir": path }),
            Meeting::Server { url, client, secret } => {
                json!({ "url": url, "client_id": client, "secret": secret })
            }
        };
        self.ok(json!({ "do": "raw_server", "server": server, "call": call }))
    }

    /// The number of versions after `parent`, and the last of them.
    #[track_caller]
    pub(crate) fn walk(&mut self, parent: &str) -> (usize, String) {
        let (mut count, mut at) = (0, parent.to_owned());
        loop {
            let child = self.call(json!({ "get_child_version": { "parent": at } }));
            match child["version"].as_str() {
                Some(version) => at = version.to_owned(),
                None => return (count, at),
            }
            count += 1;
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// What a fresh real replica makes of the history.
#[track_caller]
pub(crate) fn fresh(room: &Path, meeting: &Meeting) -> Tasks {
    let folder = tempfile::TempDir::new_in(room).unwrap();
    let mut real = Real::on(folder.path(), meeting);
    real.sync();
    real.dump()
}

/// The reference server. Ends when its input does.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) data: PathBuf,
}

impl Server {
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Self {
        Self::start_at(data, "127.0.0.1:0", flags)
    }

    pub(crate) fn start_at(data: &Path, listen: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(reference("TANDEM_REFERENCE_SERVER"))
            .env_clear()
            .args(["--listen", listen, "--data-dir", data.to_str().unwrap()])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening ").unwrap_or_else(|| {
            panic!("the reference server did not start: {line:?}");
        });
        Self { url: format!("http://{address}"), data: data.to_owned(), child }
    }

    /// The list of the usual client.
    pub(crate) fn meeting(&self) -> Meeting {
        Meeting::server(&self.url)
    }

    /// Ends it; its address and data can be used again.
    pub(crate) fn stop(self) -> (String, PathBuf) {
        let listen = self.url.trim_start_matches("http://").to_owned();
        (listen, self.data.clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
