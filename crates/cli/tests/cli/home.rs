//! A home of its own for each replica, and what a run of `ta` in it brought.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a replica holds: the properties of every task, by uuid.
pub(crate) type State = BTreeMap<String, BTreeMap<String, String>>;

/// A private home folder, with the variables that `ta` sees in it.
pub(crate) struct TestHome {
    folder: TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl TestHome {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: Vec::new() }
    }

    /// A replica that syncs through `server_dir`.
    pub(crate) fn at_directory(server_dir: &Path) -> Self {
        Self::new().with("TA_SERVER_DIR", server_dir)
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// Another home in which everything is as it is here.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { folder: TempDir::new().unwrap(), variables: self.variables.clone() };
        copy_folder(self.folder.path(), copy.folder.path());
        copy
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path(".local/share/tandem")
    }

    pub(crate) fn replica_file(&self) -> PathBuf {
        self.data_dir().join("taskchampion.sqlite3")
    }

    /// `ta` with these words, not started yet; it sees this home and nothing of ours.
    pub(crate) fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        self.program(env!("CARGO_BIN_EXE_ta"), words)
    }

    /// Another program in this home's environment.
    pub(crate) fn program<W: AsRef<OsStr>>(&self, program: &str, words: &[W]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TZ", "UTC")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn ta(&self, words: &[&str]) -> Ran {
        self.run(self.command(words), b"")
    }

    pub(crate) fn ta_with_input(&self, words: &[&str], input: &[u8]) -> Ran {
        self.run(self.command(words), input)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, mut command: Command, input: &[u8]) -> Ran {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading is no error of ours.
            let _ = stdin.write_all(input);
        }
        self.ended(child, &format!("{command:?}"))
    }

    /// Waits for a started `ta`.
    pub(crate) fn ended(&self, child: Child, what: &str) -> Ran {
        let output = child.wait_with_output().unwrap();
        Ran {
            what: what.to_owned(),
            home: self.folder.path().to_owned(),
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts `ta` and lets it run.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    #[track_caller]
    pub(crate) fn add(&self, description: &str) {
        self.ta(&["add", description]).done();
    }

    /// What this replica holds, as `ta` tells it.
    #[track_caller]
    pub(crate) fn state(&self) -> State {
        let ran = self.ta(&["all", "list", "--json"]);
        // After a kill the next command says that it has checked the file.
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let tasks: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let task = |task: &Value| {
            let properties = task["properties"].as_object().unwrap();
            let properties = properties.iter().map(|(key, value)| (key.clone(), text(value)));
            (text(&task["uuid"]), properties.collect())
        };
        tasks.iter().map(task).collect()
    }

    /// The uuid of the task with this description: numbers differ from replica to replica.
    #[track_caller]
    pub(crate) fn uuid(&self, description: &str) -> String {
        let found = self.state().into_iter().find(|(_, task)| task["description"] == description);
        found.unwrap().0
    }

    /// The descriptions of all tasks, sorted.
    #[track_caller]
    pub(crate) fn descriptions(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .state()
            .into_values()
            .map(|mut task| task.remove("description").unwrap_or_default())
            .collect();
        all.sort();
        all
    }
}

/// What a run brought. Whoever runs `ta` looks at it.
#[must_use = "a run of ta says whether it went well"]
#[derive(Debug)]
pub(crate) struct Ran {
    #[expect(dead_code, reason = "for whoever reads the Debug of a failure")]
    what: String,
    home: PathBuf,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// It went well and had nothing to remark; what it printed, normalised.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.normal(&self.out)
    }

    /// It went well, and may have remarked something: output and remarks, normalised.
    #[track_caller]
    pub(crate) fn done_with_notices(self) -> (String, String) {
        assert_eq!(self.code, Some(0), "{self:?}");
        (self.normal(&self.out), self.normal(&self.err))
    }

    /// It failed with this code; what it said about it, normalised.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        // Remarks about files may stand before it.
        let lines: Vec<&str> = self.err.lines().collect();
        let place = lines.iter().position(|line| line.starts_with("ta: "));
        let place = place.unwrap_or_else(|| panic!("an error says whose it is: {self:?}"));
        assert!(lines.len() > place + 1, "an error comes with a cure: {self:?}");
        self.normal(&self.err)
    }

    /// It failed with this code and said so in a JSON document too; both, normalised.
    #[track_caller]
    pub(crate) fn failed_with_json(self, code: i32) -> String {
        let document: Value = serde_json::from_str(&self.out).unwrap();
        assert_eq!(document["error"]["code"], code, "{self:?}");
        let told = format!("{}{}", self.normal(&self.out), self.normal(&self.err));
        assert_eq!(self.code, Some(code), "{self:?}");
        told
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        match serde_json::from_str(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// Without what differs from run to run: folders, ids, ports, moments.
    fn normal(&self, text: &str) -> String {
        let text = text.replace(&self.home.display().to_string(), "$HOME");
        let text = replaced(&text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "<uuid>");
        let text = replaced(&text, "dddd-dd-dd dd:dd:dd", "<time>");
        let text = replaced(&text, "127.0.0.1:ddddd", "<server>");
        replaced(&text, "127.0.0.1:dddd", "<server>")
    }
}

/// Puts `with` where `text` fits `pattern`, in which `d` is a digit and `h` a hexadecimal one.
fn replaced(text: &str, pattern: &str, with: &str) -> String {
    let fits = |part: &str| {
        part.len() >= pattern.len()
            && part.bytes().zip(pattern.bytes()).all(|(byte, class)| match class {
                b'd' => byte.is_ascii_digit(),
                b'h' => byte.is_ascii_hexdigit(),
                other => byte == other,
            })
    };
    let mut result = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if fits(rest) {
            result.push_str(with);
            rest = &rest[pattern.len()..];
        } else {
            result.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    result
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
            std::fs::set_permissions(&target, entry.metadata().unwrap().permissions()).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A text has every one of these parts.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// What a folder's files hold and when they were last changed.
pub(crate) fn look(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(look(&path));
        } else {
            let changed = std::fs::metadata(&path).unwrap().modified().unwrap();
            found.insert(path.clone(), (std::fs::read(&path).unwrap(), changed));
        }
    }
    found
}
