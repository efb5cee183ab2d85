//! `ta demo`: replicas of a lively list, kept in step before your eyes, through a folder and through
//! a server.
//!
//! Everything happens in a temporary folder and in this process, and is removed at the end, also
//! when the demo is interrupted. Later kinds of data add acts of their own.

mod history;
#[cfg(feature = "server")]
mod server;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;
use tandem_client::{Replica, SyncOptions, Synced, import_records, sync, system_now};
use tandem_core::{TaskId, Timestamp};
use tandem_remote::directory::{DirectoryOptions, DirectoryRemote};
use tandem_replica::{OpenOptions, SqliteStorage, StorageError};
use tandem_tasks::session::End;

use crate::app::{REPLICA_FILE, known_flags};
use crate::fail::{Exit, Fail};
use crate::output::Output;
use crate::told;

pub(crate) fn run(rest: &[String], output: &mut Output) -> Result<Exit, Fail> {
    known_flags("demo", rest, &[])?;
    let folder = tempfile::Builder::new().prefix("tandem-demo-").tempdir()?;
    let began = Instant::now();
    let interrupted = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    // The document at the end is all that a program gets to read.
    output.is_quiet |= output.is_json;
    let mut stage = Stage { folder: folder.path(), output, interrupted: &interrupted };
    let played = stage.play()?;
    if stage.output.is_json {
        stage.output.json(&json!({
            "outcome": "done",
            "tasks": played.tasks,
            "conflicts": played.conflicts,
            "seconds": began.elapsed().as_secs_f64(),
        }));
        return Ok(Exit::Done);
    }
    stage.output.line(format!(
        "That took {:.1} s, and everything is removed again.",
        began.elapsed().as_secs_f64()
    ));
    stage.output.line("");
    stage.output.line("Try next:");
    stage.output.line("  ta add buy milk due:tomorrow +home     your own list");
    stage
        .output
        .line("  ta sync                                keep it in a folder that others can reach");
    stage.output.line("  ta config set server_dir FOLDER        where that folder is");
    stage
        .output
        .line("  ta serve                               or keep it on a server of your own");
    stage.output.line("  ta help                                everything else");
    Ok(Exit::Done)
}

/// What the demo has shown.
struct Played {
    /// Tasks that each of its replicas held in the end.
    tasks: u64,
    /// Edits that lost, and are kept where they were seen.
    conflicts: u64,
}

struct Stage<'a> {
    folder: &'a Path,
    output: &'a mut Output,
    /// Somebody wants it to end.
    interrupted: &'a AtomicBool,
}

impl Stage<'_> {
    /// Ends the demo between two steps if it was interrupted: each takes a fraction of a second, and
    /// whoever returns from here leaves nothing behind.
    fn go_on(&mut self) -> Result<(), Fail> {
        self.output.flush();
        if !self.interrupted.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Fail::new(Exit::Interrupted, "the demo was interrupted")
            .hint("Everything is stopped and removed."))
    }

    fn play(&mut self) -> Result<Played, Fail> {
        let now = system_now();
        self.output.line("Two machines, a laptop and a desktop, share one task list.");
        let mut laptop = self.replica("laptop")?;
        let records = history::records(now);
        let total = records.len() as u64;
        import_records(&mut laptop, records, now).map_err(Fail::from)?;
        self.output.line(format!(
            "The laptop has {}, with tags, projects, notes, dependencies, dates and attributes of its own.",
            told::count(total, "task")
        ));
        self.sync("laptop", &mut laptop)?;
        let mut desktop = self.replica("desktop")?;
        self.sync("desktop", &mut desktop)?;

        self.output.line("");
        self.output.line("Now both edit, without a line between them:");
        let [shared, tagged, done] = self.pick(&mut laptop)?;
        edit(&mut desktop, shared, "description", "call the plumber about the leak", 1)?;
        edit(&mut desktop, tagged, "tag_urgent", "x", 1)?;
        edit(&mut laptop, shared, "description", "call the plumber before noon", 2)?;
        edit(&mut laptop, tagged, "project", "house.repairs", 2)?;
        edit(&mut laptop, done, "status", "completed", 2)?;
        self.output.line("  the desktop renames a task and tags another,");
        self.output.line("  the laptop renames the same task later, moves the other to a project, and ends a third.");
        self.sync("desktop", &mut desktop)?;
        self.sync("laptop", &mut laptop)?;
        self.sync("desktop", &mut desktop)?;

        let theirs = desktop.all_tasks()?;
        let ours = laptop.all_tasks()?;
        let mut fresh = self.replica("new machine")?;
        self.output.line("");
        self.output.line("A third machine joins:");
        self.sync("new machine", &mut fresh)?;
        let third = fresh.all_tasks()?;
        if ours != theirs || ours != third || ours.len() as u64 != total {
            return Err(Fail::failed("the three replicas differ")
                .hint("That must never happen: please report it."));
        }
        let shown = |task: TaskId, property: &str| {
            ours.get(&task).and_then(|task| task.get(property)).unwrap_or("nothing").to_owned()
        };
        self.output.line("");
        self.output.line(format!("All three hold the same {}:", told::count(total, "task")));
        self.output.line(format!("  the later name won: \"{}\"", shown(shared, "description")));
        self.output.line(format!(
            "  tag and project both stayed: +urgent, project:{}",
            shown(tagged, "project")
        ));
        let conflicts = laptop.conflicts(false)?.len() + desktop.conflicts(false)?.len();
        self.output.line(format!(
            "  the name that lost is kept where it was seen ({}), and can be restored.",
            told::count(conflicts as u64, "conflict")
        ));
        self.output.line("");
        #[cfg(feature = "server")]
        self.play_server(&mut laptop, [shared, tagged, done])?;
        Ok(Played { tasks: total, conflicts: conflicts as u64 })
    }

    fn replica(&mut self, name: &str) -> Result<Replica, Fail> {
        let path = self.folder.join(name).join(REPLICA_FILE);
        Ok(Replica::new(SqliteStorage::open(&path, &OpenOptions::default())?.0))
    }

    fn sync(&mut self, name: &str, replica: &mut Replica) -> Result<Synced, Fail> {
        self.go_on()?;
        let mut remote =
            DirectoryRemote::new(self.folder.join("shared"), DirectoryOptions::default());
        let began = Instant::now();
        let synced = sync(replica, &mut remote, &SyncOptions::default(), &system_now, &mut |_| {})
            .map_err(|error| Fail::failed(error.to_string()))?;
        let words = told::words(&synced);
        if let Some(fail) = words.fail {
            return Err(fail);
        }
        if synced.report.end != End::InStep {
            return Err(Fail::failed("the sync did not end in step"));
        }
        for line in words.lines {
            self.output.line(format!("  {name:<12} {line}"));
        }
        if began.elapsed().as_millis() > 100 {
            self.output.line(format!("  {:<12} ({:.2} s)", "", began.elapsed().as_secs_f64()));
        }
        Ok(synced)
    }

    /// Three pending tasks to play with.
    fn pick(&mut self, replica: &mut Replica) -> Result<[TaskId; 3], Fail> {
        let tasks = replica.numbered_tasks()?;
        match &tasks[..] {
            [(_, a, _), (_, b, _), (_, c, _), ..] => Ok([*a, *b, *c]),
            _ => Err(Fail::failed("the demo's list is too short")),
        }
    }
}

/// One edit, made `later` seconds from now so that the order of the two machines is plain.
fn edit(
    replica: &mut Replica,
    task: TaskId,
    property: &str,
    value: &str,
    later: i64,
) -> Result<(), Fail> {
    let now: Timestamp = system_now().plus_seconds(later);
    replica
        .edit("modify", now, |editor| {
            editor.set(task, property, Some(value))?;
            editor.set(task, "modified", Some(&now.seconds().to_string()))?;
            Ok::<_, StorageError>(())
        })
        .map_err(Fail::from)?;
    Ok(())
}
