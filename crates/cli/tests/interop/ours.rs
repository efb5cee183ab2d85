//! One of ours: a replica and the real `ta` on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Meeting, Tasks};

/// A replica of ours with a home of its own.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    name: String,
    home: PathBuf,
    data: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// What `ta` said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Ours {
    /// A new replica below `room`.
    pub(crate) fn new(room: &Path, name: &str, meeting: &Meeting) -> Self {
        let data = room.join(name).join("data");
        Self::on(room, name, &data, meeting)
    }

    /// `ta` on the replica in the folder `data`, whoever made it.
    pub(crate) fn on(room: &Path, name: &str, data: &Path, meeting: &Meeting) -> Self {
        let home = room.join(name).join("home");
        fs::create_dir_all(&home).unwrap();
        let mut ours =
            Self { name: name.into(), home, data: data.to_owned(), variables: Vec::new() };
        ours.meet(meeting);
        ours
    }

    /// From now on it syncs there.
    pub(crate) fn meet(&mut self, meeting: &Meeting) {
        self.variables = match meeting {
            Meeting::Directory(path) => vec![("TA_SERVER_DIR", path.to_str().unwrap().into())],
            Meeting::Server { url, client, secret } => vec![
                ("TA_SERVER_ORIGIN", url.clone()),
                ("TA_SERVER_CLIENT_KEY", client.clone()),
                ("TA_ENCRYPTION_SECRET", secret.clone()),
            ],
        };
    }

    pub(crate) fn set(&mut self, variable: &'static str, value: &str) {
        self.variables.push((variable, value.into()));
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ta"));
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("TZ", "UTC")
            .env("TA_DATA_DIR", &self.data)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// Runs it, however it ends.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        let output = self.command(words).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it with something on standard input.
    pub(crate) fn feed(&self, words: &[&str], input: &str) -> Said {
        use std::io::Write as _;
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it and expects success.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{} ta {words:?}: {said:?}", self.name);
        said
    }

    /// Runs it and expects this exit code.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, code, "{} ta {words:?}: {said:?}", self.name);
        said
    }

    /// Adds a task and gives its id.
    #[track_caller]
    pub(crate) fn add(&self, words: &[&str]) -> String {
        let words: Vec<&str> = ["--json", "add"].iter().chain(words).copied().collect();
        self.ok(&words).json()["uuid"].as_str().unwrap().to_owned()
    }

    /// Changes one task, ended or not.
    #[track_caller]
    pub(crate) fn change(&self, id: &str, words: &[&str]) {
        let words: Vec<&str> = ["all", id].iter().chain(words).copied().collect();
        self.ok(&words);
    }

    /// Syncs once and gives the document.
    #[track_caller]
    pub(crate) fn sync(&self) -> Value {
        self.ok(&["sync", "--json"]).json()
    }

    #[track_caller]
    pub(crate) fn dump(&self) -> Tasks {
        let list = self.ok(&["all", "list", "--json"]).json();
        let tasks = list.as_array().unwrap().iter();
        tasks
            .map(|task| {
                let properties = serde_json::from_value(task["properties"].clone()).unwrap();
                (task["uuid"].as_str().unwrap().to_owned(), properties)
            })
            .collect()
    }

    /// The numbers of the working set with the tasks that have them.
    #[track_caller]
    pub(crate) fn numbers(&self) -> Vec<(u64, String)> {
        let list = self.ok(&["all", "list", "--json"]).json();
        let tasks = list.as_array().unwrap().iter();
        let mut numbers: Vec<_> = tasks
            .filter_map(|task| {
                Some((task["number"].as_u64()?, task["uuid"].as_str().unwrap().to_owned()))
            })
            .collect();
        numbers.sort();
        numbers
    }

    /// `ta verify` finds nothing wrong.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let said = self.run(&["verify", "--json"]);
        assert_eq!(said.code, 0, "{}: {said:?}", self.name);
        assert_eq!(said.json()["sound"], true, "{}: {said:?}", self.name);
    }
}
