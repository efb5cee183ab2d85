//! A real TaskChampion replica behind a pipe.
//!
//! ```text
//! reference-client DIR                              answers JSON commands from standard input
//! reference-client DIR sync-local SERVER_DIR        one sync with a local directory, timed
//! reference-client DIR sync-http URL CLIENT SECRET  one sync with a sync server, timed
//! reference-client DIR many COUNT PROPERTIES        one large commit, timed
//! ```
//!
//! In the first form every line read is one [`command::Command`] and is answered, in order, by one
//! line `{"ok":...}` or `{"error":"..."}`:
//!
//! ```text
//! > {"do":"create","uuid":"56e0be07-c61f-494c-a54c-bdcfdd52d2a7","set":{"status":"pending"}}
//! < {"ok":null}
//! > {"do":"dump"}
//! < {"ok":{"56e0be07-c61f-494c-a54c-bdcfdd52d2a7":{"status":"pending"}}}
//! ```
//!
//! The program ends with status 0 when its input does. The other forms print one answer line of the
//! same shape and end with 0 or, when the answer is an error, 1. A wrong command line ends with 2.
//!
//! Nothing here interprets tasks or repairs what the library does: the point is to see what the
//! library does.

mod command;
mod servers;
mod session;

use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use command::{Answer, Command, Failure};
use servers::ServerAddress;
use session::Session;
use taskchampion::Uuid;
use tokio::runtime::Runtime;

const USAGE: &str = "\
usage: reference-client DIR
       reference-client DIR sync-local SERVER_DIR
       reference-client DIR sync-http URL CLIENT_ID SECRET
       reference-client DIR many COUNT PROPERTIES";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((directory, timed)) = read_arguments(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // The library's futures cannot move between threads, so one thread drives them all.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match timed {
        Some(command) => run_once(&runtime, directory, command),
        None => serve(&runtime, directory),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("standard input or output broke: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line: the replica's folder and, for the timed forms, what to do there.
fn read_arguments(arguments: &[String]) -> Option<(PathBuf, Option<Command>)> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (directory, command) = match words.as_slice() {
        [directory] => (directory, None),
        [directory, "sync-local", server_dir] => (
            directory,
            Some(Command::SyncLocal {
                server_dir: server_dir.into(),
                avoid_snapshots: false,
            }),
        ),
        [directory, "sync-http", url, client_id, secret] => (
            directory,
            Some(Command::SyncHttp {
                url: (*url).to_owned(),
                client_id: Uuid::parse_str(client_id).ok()?,
                secret: (*secret).to_owned(),
                avoid_snapshots: false,
            }),
        ),
        [directory, "many", count, properties] => (
            directory,
            Some(Command::Many {
                count: count.parse().ok()?,
                properties: properties.parse().ok()?,
                prefix: "task".to_owned(),
                undo_point: false,
            }),
        ),
        _ => return None,
    };
    if directory.starts_with('-') {
        return None;
    }
    Some((PathBuf::from(directory), command))
}

/// Answers every line of standard input until it ends.
fn serve(runtime: &Runtime, directory: PathBuf) -> io::Result<ExitCode> {
    let mut output = io::stdout().lock();
    let mut session: Option<Session> = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str(&line) {
            Ok(command) => execute(runtime, &directory, &mut session, command),
            Err(error) => Err(Failure::new(format!("command not understood: {error}"))),
        };
        write_answer(&mut output, answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries out one command in a fresh session and prints its answer.
fn run_once(runtime: &Runtime, directory: PathBuf, command: Command) -> io::Result<ExitCode> {
    let answer = execute(runtime, &directory, &mut None, command);
    let code = match answer {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    };
    write_answer(&mut io::stdout().lock(), answer)?;
    Ok(code)
}

/// Runs `command`, opening the replica first where no session is open.
///
/// Some inputs make the library panic (a history segment it cannot read, a snapshot for the local
/// server). That becomes an error answer, and the session is dropped, because what a panic leaves
/// behind in it is unknown: the next command reopens the replica from disk. Tasks taken with `hold`
/// are lost with the session.
fn execute(
    runtime: &Runtime,
    directory: &Path,
    session: &mut Option<Session>,
    command: Command,
) -> Answer {
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let open = match session.take() {
                Some(open) => open,
                None => Session::open(directory).await?,
            };
            session.insert(open).execute(command).await
        })
    }));
    result.unwrap_or_else(|panic| {
        *session = None;
        Err(Failure::from_panic(panic.as_ref()))
    })
}

/// Writes one answer line and flushes it, so that a peer waiting for it cannot wait for ever.
fn write_answer(output: &mut impl Write, answer: Answer) -> io::Result<()> {
    let line = match answer {
        Ok(value) => serde_json::json!({ "ok": value }),
        Err(failure) => serde_json::json!({ "error": failure.to_string() }),
    };
    writeln!(output, "{line}")?;
    output.flush()
}
