//! `ta` beside the real TaskChampion programs: one history through the reference server, one local
//! directory at the same time, one replica file in turn.
//!
//! Ours is the real binary with a home of its own; theirs are the programs of `interop/`, spoken to
//! as processes. Each test is one claim. A replica's whole content is compared, every property of
//! every task. What the reference itself gets wrong (`protocols/taskchampion.md` section 20) is kept
//! away from long-lived real replicas; a fresh one tells what the history really says.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where they cannot go on, the test ends")]
#![expect(clippy::print_stdout, reason = "what happened in a random test, shown when it fails")]

mod answers;
mod directory;
#[expect(dead_code, reason = "shared with the tests of the program, which use all of it")]
#[path = "../cli/front.rs"]
mod front;
mod http;
mod known_defects;
mod large;
mod line;
mod moving;
mod nginx;
mod one_file;
mod our_server;
mod ours;
mod proxy;
mod python;
mod random;
mod real;
mod snapshots;
mod takeover;
mod taskwarrior;
mod working_set;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What a replica holds: tasks by id, properties by name.
type Tasks = BTreeMap<String, BTreeMap<String, String>>;

const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
const SECRET: &str = "correct-horse";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// Where replicas meet.
#[derive(Debug, Clone)]
enum Meeting {
    Directory(PathBuf),
    Server { url: String, client: String, secret: String },
}

impl Meeting {
    fn directory(path: impl Into<PathBuf>) -> Self {
        Self::Directory(path.into())
    }

    /// The list of [`CLIENT`] at a server.
    fn server(url: &str) -> Self {
        Self::Server { url: url.into(), client: CLIENT.into(), secret: SECRET.into() }
    }
}

/// A folder for one test, gone with it unless `TANDEM_KEEP` is set.
struct Room {
    folder: Option<TempDir>,
}

impl Room {
    fn new() -> Self {
        Self { folder: Some(TempDir::with_prefix("tandem-interop-").unwrap()) }
    }

    fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if std::env::var_os("TANDEM_KEEP").is_some() && std::thread::panicking() {
            let kept = self.folder.take().unwrap().keep();
            println!("kept {}", kept.display());
        }
    }
}

/// The path of a reference program.
fn reference(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!(
            "{variable} is not set: `cargo xtask test` builds the reference programs and sets it \
             (interop/README.md says how to do that by hand)"
        ),
    }
}

/// Ends the test unless both replicas hold the same; names what differs.
#[track_caller]
fn assert_same(left_name: &str, left: &Tasks, right_name: &str, right: &Tasks) {
    if left == right {
        return;
    }
    let mut text = format!("{left_name} and {right_name} differ:\n");
    let ids: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for id in ids {
        let (l, r) = (left.get(id), right.get(id));
        match (l, r) {
            (Some(l), Some(r)) => {
                let names: std::collections::BTreeSet<&String> = l.keys().chain(r.keys()).collect();
                for name in names.into_iter().filter(|name| l.get(*name) != r.get(*name)) {
                    text += &format!(
                        "  {id} {name:?}: {left_name} {:?}, {right_name} {:?}\n",
                        l.get(name),
                        r.get(name)
                    );
                }
            }
            _ => {
                let here = if l.is_some() { left_name } else { right_name };
                text += &format!("  {id} only in {here}: {:?}\n", l.or(r));
            }
        }
    }
    panic!("{text}");
}

/// The seed of a random test: `TANDEM_SEED` replays another.
fn seed(usual: u64) -> u64 {
    let seed = std::env::var("TANDEM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(usual);
    println!("TANDEM_SEED={seed}");
    seed
}
