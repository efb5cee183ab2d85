//! A PostgreSQL of a test's own: Debian's programs, a cluster in a temporary folder, gone at the end.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A start that takes longer than this has failed.
const START_TIME: Duration = Duration::from_secs(60);

/// PostgreSQL does not run as root; whom tests that do run it as, the first that is there.
const USERS: &[&str] = &["postgres", "nobody"];

/// A running PostgreSQL on loopback and a socket, with a superuser `tandem` that needs no password.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    user: Option<String>,
    port: u16,
    /// None while it is stopped.
    running: Option<Child>,
    settings: Vec<String>,
}

impl Cluster {
    /// Makes one and starts it.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One that tests of a process share while any of them holds it: for those that neither stop it
    /// nor change its settings, each with a database of its own.
    ///
    /// # Panics
    /// See [`Cluster::start`].
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Self::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// The same with settings, as `name=value`.
    ///
    /// # Panics
    /// See [`Cluster::start`].
    pub fn start_with(settings: &[&str]) -> Self {
        let programs = programs().expect("PostgreSQL is installed (Debian's package `postgresql`)");
        let folder = tempfile::Builder::new().prefix("tandem-pg-").tempdir().expect("a folder");
        let user = is_root().then(|| {
            let known = |user: &&&str| {
                let id = Command::new("id").arg("-u").arg(user).stderr(Stdio::null()).output();
                id.is_ok_and(|id| id.status.success())
            };
            USERS.iter().find(known).expect("a user who is not root").to_string()
        });
        let allowed = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), allowed).expect("our folder");
        if let Some(user) = &user {
            let owned = Command::new("chown").arg(user).arg(folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "the folder is given away");
        }
        let mut cluster = Self {
            folder,
            programs,
            user,
            port: free_port(),
            running: None,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        };
        let made = cluster
            .command("initdb")
            .args(["--username=tandem", "--auth=trust", "--no-sync", "--encoding=UTF8"])
            .arg("--locale=C")
            .arg("-D")
            .arg(cluster.data())
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.run();
        cluster
    }

    /// The address of the database of this name, which is made if it is not there.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn database(&self, name: &str) -> String {
        let is_there =
            self.sql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"));
        if is_there.is_empty() {
            self.sql("postgres", &format!("CREATE DATABASE {name}"));
        }
        format!("postgres://tandem@127.0.0.1:{}/{name}", self.port)
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Where its files are: `pg_hba.conf`, certificates.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Puts a file into its folder, for nobody else to read.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn install(&self, name: &str, content: &[u8]) {
        let path = self.data().join(name);
        fs::write(&path, content).expect("the folder is there");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our file");
        if let Some(user) = &self.user {
            let owned = Command::new("chown").arg(user).arg(&path).status();
            assert!(owned.is_ok_and(|status| status.success()), "the file is given away");
        }
    }

    /// Runs statements; the rows, without headings.
    ///
    /// # Panics
    /// If PostgreSQL refuses.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-U", "tandem", "-d", database])
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-c", statements])
            .env_remove("PGPASSWORD")
            .output()
            .expect("psql can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Changes a setting; sessions read it a moment later.
    ///
    /// # Panics
    /// If PostgreSQL refuses.
    pub fn set(&self, name: &str, value: &str) {
        self.sql("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Another session, which carries out these statements and then stays as it is, with its locks,
    /// until it is dropped.
    ///
    /// # Panics
    /// If PostgreSQL refuses.
    pub fn session(&self, database: &str, statements: &str) -> Session {
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-U", "tandem", "-d", database])
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql can be run");
        let words = psql.stdin.as_mut().expect("it is ours");
        writeln!(words, "{statements}; SELECT 'done';").expect("it listens");
        let output = psql.stdout.take().expect("it is ours");
        let done = BufReader::new(output).lines().any(|line| line.is_ok_and(|line| line == "done"));
        assert!(done, "the statements were refused");
        Session { psql }
    }

    /// Ends it as an operator does: connections are cut, what is committed is there.
    pub fn stop(&mut self) {
        self.end("-INT");
    }

    /// Ends it as a crash does: no checkpoint, its log is read at the next start.
    pub fn crash(&mut self) {
        self.end("-QUIT");
    }

    /// Starts it again, where it was.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&mut self) {
        if self.running.is_some() {
            return;
        }
        let log = fs::File::options().create(true).append(true).open(self.log());
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        // Small, and its data is on no disk that anybody wants to keep: but it does flush.
        command.args(["-c", "shared_buffers=32MB", "-c", "max_connections=300"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let errors = log.map_or_else(|_| Stdio::null(), Stdio::from);
        let child = command.stdout(Stdio::null()).stderr(errors).spawn();
        self.running = Some(child.expect("postgres can be run"));
        let began = Instant::now();
        while !self.is_ready() {
            let ended = self.running.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let has_failed = ended.is_some() || began.elapsed() > START_TIME;
            assert!(!has_failed, "it does not start: {}", self.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What PostgreSQL has logged.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn is_ready(&self) -> bool {
        Command::new(self.programs.join("pg_isready"))
            .args(["-q", "-t", "1", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .status()
            .is_ok_and(|status| status.success())
    }

    fn end(&mut self, signal: &str) {
        let Some(mut child) = self.running.take() else { return };
        // The process that was started became the server: no shell in between.
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        let _ = child.wait();
    }

    /// A program of PostgreSQL, as a user who is not root.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match &self.user {
            None => Command::new(path),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={}", group(user))]);
                command.arg("--clear-groups").arg(path);
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
    }
}

/// See [`Cluster::session`].
#[derive(Debug)]
pub struct Session {
    psql: Child,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its locks are gone once it has carried this out, which it does before it ends.
        if let Some(mut words) = self.psql.stdin.take() {
            let _ = writeln!(words, "ROLLBACK;");
        }
        let _ = self.psql.wait();
    }
}

/// The newest PostgreSQL that Debian has installed, or the one on the path.
fn programs() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest_first = versions.into_iter().rev().map(|(_, folder)| folder);
    newest_first.chain(std::env::split_paths(&path)).find(|folder| has_all(folder))
}

fn has_all(folder: &Path) -> bool {
    ["initdb", "postgres", "psql"].iter().all(|program| folder.join(program).is_file())
}

fn group(user: &str) -> String {
    let id = Command::new("id").args(["-g", user]).output();
    id.map(|id| String::from_utf8_lossy(&id.stdout).trim().to_owned()).unwrap_or_default()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let port = listener.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(|error: io::Error| error.to_string()).expect("a port on loopback")
}
