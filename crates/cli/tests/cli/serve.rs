//! `ta serve`, the real program: how it starts and ends, and what is there after it was killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::home::TestHome;
use crate::server::CLIENT_KEY;

pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// `ta serve` as a process; killed at the end of the test if it still runs.
pub(crate) struct Serving {
    child: Child,
    /// Address and port, and the path before all others if there is one.
    pub(crate) address: String,
    output: BufReader<std::process::ChildStdout>,
    /// Reads standard error as it comes, so that a talkative server never waits for us.
    log: Option<JoinHandle<String>>,
}

impl Serving {
    pub(crate) fn start(home: &TestHome, words: &[&str]) -> Self {
        Self::of(home.command(&[&["serve", "-l", "127.0.0.1:0"], words].concat()))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let origin = line.trim().strip_prefix("listening on http");
        let address = origin.and_then(|rest| rest.split_once("://")).map(|(_, it)| it.to_owned());
        let address = address.unwrap_or_else(|| panic!("it did not start: {line:?}"));
        let mut errors = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, address, output, log: Some(log) }
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end: code, and what it said on standard error.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let error = self.log.take().unwrap().join().unwrap();
        (self.child.wait().unwrap().code(), error)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request; status, headers and body, if a whole answer came.
pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<(u16, BTreeMap<String, String>, Vec<u8>)> {
    ask_as(address, method, path, &[("X-Client-Id", CLIENT_KEY)], body)
}

/// The same with other headers.
pub(crate) fn ask_as(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<(u16, BTreeMap<String, String>, Vec<u8>)> {
    let own: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{own}\
         Content-Type: application/vnd.taskchampion.history-segment\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((status, headers, body))
}

/// The chain from nil on: version and body of each.
pub(crate) fn chain(address: &str) -> Vec<(String, Vec<u8>)> {
    let (mut chain, mut parent) = (Vec::new(), NIL.to_owned());
    loop {
        let path = format!("/v1/client/get-child-version/{parent}");
        let (status, headers, body) = ask(address, "GET", &path, b"").unwrap();
        if status != 200 {
            assert_eq!(status, 404, "after the last there is nothing yet");
            return chain;
        }
        assert_eq!(headers["x-parent-version-id"], parent);
        parent = headers["x-version-id"].clone();
        chain.push((parent.clone(), body));
    }
}

#[test]
fn it_starts_without_reading_anything_and_ends_when_told() {
    for signal in ["-TERM", "-INT"] {
        let home = TestHome::new();
        let serving = Serving::start(&home, &[]);
        assert!(serving.address.starts_with("127.0.0.1:"), "{}", serving.address);
        let (status, _, banner) = ask(&serving.address, "GET", "/", b"").unwrap();
        assert_eq!(status, 200);
        assert!(String::from_utf8(banner).unwrap().contains("Tandem"));
        assert!(home.path(".local/share/tandem-server/tandem-server.sqlite3").exists());
        serving.signal(signal);
        assert_eq!(serving.ended(), (Some(0), String::new()), "quietly, without an error");
    }
}

#[test]
fn two_replicas_meet_at_it_and_it_may_be_restarted_between() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let replica = |address: &str| {
        TestHome::new()
            .with("TA_SERVER_ORIGIN", format!("http://{address}"))
            .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
            .with("TA_ENCRYPTION_SECRET", crate::server::SECRET)
    };
    let one = replica(&serving.address);
    one.add("milk");
    one.ta(&["sync"]).done();
    serving.signal("-TERM");
    serving.ended();
    let serving = Serving::start(&home, &[]);
    let two = replica(&serving.address);
    two.ta(&["sync"]).done();
    assert_eq!(one.state(), two.state());
    two.add("tea");
    two.ta(&["sync"]).done();
    let one = one.with("TA_SERVER_ORIGIN", format!("http://{}", serving.address));
    one.ta(&["sync", "--join"]).done();
    assert_eq!(one.state(), two.state());
}

#[test]
fn the_references_variables_configure_it() {
    let home = TestHome::new()
        .with("LISTEN", "127.0.0.1:0")
        .with("CREATE_CLIENTS", "false")
        .with("RUST_LOG", "info");
    let home = home.with("DATA_DIR", "elsewhere");
    let serving = Serving::of(home.command(&["serve"]));
    let path = format!("/v1/client/add-version/{NIL}");
    let (status, _, words) = ask(&serving.address, "POST", &path, b"sealed").unwrap();
    assert_eq!((status, words.as_slice()), (404, b"no such client".as_slice()));
    assert!(home.path("elsewhere/tandem-server.sqlite3").exists());
    serving.signal("-TERM");
    let (code, log) = serving.ended();
    assert_eq!(code, Some(0));
    assert!(log.contains("/v1/client/add-version/{parent}") && log.contains("status=404"), "{log}");
    assert!(log.contains("elapsed_ms="), "{log}");
    for time in log.split("elapsed_ms=").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        let decimals = time.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        assert!(time.parse::<f64>().is_ok() && decimals <= 1, "{time}");
    }
    assert!(!log.contains(CLIENT_KEY) && !log.contains(&CLIENT_KEY.replace('-', "")), "{log}");
}

#[test]
fn strangers_are_not_let_in_unless_somebody_says_so() {
    let home = TestHome::new();
    let ran = home.ta(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("--allow-open-registration"), "{ran:?}");
    for words in [
        &["--allow-open-registration"][..],
        &["--no-create-clients"],
        &["--allow-client-id", CLIENT_KEY],
    ] {
        let line = [&["serve", "--listen", "0.0.0.0:0"], words].concat();
        drop(Serving::of(home.command(&line)));
    }
}

#[test]
fn what_it_does_not_understand_is_wrong_usage() {
    let home = TestHome::new();
    for words in
        [&["--lisen", "x"][..], &["--listen"], &["--snapshot-days", "soon"], &["-l", "nowhere"]]
    {
        let ran = home.ta(&[&["serve"], words].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.lines().count() >= 2, "what to do is said: {ran:?}");
    }
    let help = home.ta(&["help", "serve"]);
    assert!(help.out.contains("--allow-client-id"), "{help:?}");
}

/// Goal: nothing that was answered 200 is missing after a kill, and the chain is single.
/// Method: writers race on one client; the process is killed in the storm, several times, each time
/// after so many answers; after each kill a new one on the same data is asked for the whole chain.
#[test]
fn what_was_answered_is_there_after_a_kill_in_a_storm() {
    let home = TestHome::new();
    // What was answered: version id to its body.
    let answered: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
    for round in 0..6_u32 {
        let mut serving = Serving::start(&home, &[]);
        let (answers, enough) = (Arc::new(AtomicU32::new(0)), 20 + 7 * round);
        let writers: Vec<_> = (0..8_u32)
            .map(|writer| {
                let (address, answered) = (serving.address.clone(), Arc::clone(&answered));
                let answers = Arc::clone(&answers);
                std::thread::spawn(move || {
                    storm(round * 100 + writer, &address, &answered, &answers)
                })
            })
            .collect();
        while answers.load(Ordering::Relaxed) < enough {
            std::thread::yield_now();
        }
        serving.child.kill().unwrap();
        serving.child.wait().unwrap();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let serving = Serving::start(&home, &[]);
        let chain = chain(&serving.address);
        let stored: BTreeMap<String, Vec<u8>> = chain.iter().cloned().collect();
        assert_eq!(stored.len(), chain.len(), "no version comes twice");
        for (version, body) in answered.lock().unwrap().iter() {
            assert_eq!(stored.get(version), Some(body), "{version} was answered 200");
        }
        serving.signal("-KILL");
    }
    assert!(answered.lock().unwrap().len() > 100);
}

/// Adds versions, each after what it believes to be the latest, until nobody answers.
fn storm(
    writer: u32,
    address: &str,
    answered: &Mutex<BTreeMap<String, Vec<u8>>>,
    answers: &AtomicU32,
) {
    let mut parent = NIL.to_owned();
    for number in 0_u32.. {
        let body = format!("version {number} of writer {writer}").into_bytes();
        let path = format!("/v1/client/add-version/{parent}");
        let Some((status, headers, _)) = ask(address, "POST", &path, &body) else { return };
        match status {
            200 => {
                parent = headers["x-version-id"].clone();
                answered.lock().unwrap().insert(parent.clone(), body);
                answers.fetch_add(1, Ordering::Relaxed);
            }
            409 => parent = headers["x-parent-version-id"].clone(),
            other => panic!("{other} is no answer to a version"),
        }
    }
}

/// Adds a version after `parent`; status and headers.
pub(crate) fn add(address: &str, parent: &str, body: &[u8]) -> (u16, BTreeMap<String, String>) {
    let path = format!("/v1/client/add-version/{parent}");
    let (status, headers, _) = ask(address, "POST", &path, body).unwrap();
    (status, headers)
}
