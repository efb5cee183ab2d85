//! `ta verify`: the replica against itself, and against the list rebuilt from the server.

use serde_json::json;
use tandem_client::{LOCK_WAIT, RebuildError, SyncLock, connect, rebuild, system_now};
use tandem_core::TaskId;
use tandem_replica::{Finding, Replica};
use tandem_words::text::escape;

use super::doctor::verdict::{Verdict, verdict};
use crate::app::App;
use crate::commands::sync::connect_fail;
use crate::cure::exit_and_cure;
use crate::fail::{DAMAGED, Exit, Fail};
use crate::told::count;

/// Differences named one by one.
const NAMED_MAX: usize = 20;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let flags = app.flags("verify", rest, &["--repair"])?;
    let repair = flags.contains(&"--repair");
    let (mut replica, mut problems, _lock) = match app.is_there()? {
        true => {
            let mut storage = app.storage()?;
            let lock = SyncLock::take(&app.data_dir()?, LOCK_WAIT, app.now)?;
            let problems = storage.integrity_check()?;
            (Replica::new(storage), problems, Some(lock))
        }
        false => (app.replica()?, Vec::new(), None),
    };
    let is_damaged = !problems.is_empty();
    // What another program has just written waits here; it is no part of the base.
    replica.notice(app.now)?;
    problems.extend(replica.check()?.iter().map(finding_text));
    let base = replica.base_version()?;
    let mut differing: Vec<TaskId> = Vec::new();
    let mut compared = None;
    let mut remote = connect(&app.settings).map_err(connect_fail)?;
    if !base.is_nil() {
        let rebuilt = rebuild(remote.as_mut(), Some(base), &system_now).map_err(rebuild_fail)?;
        if rebuilt.version == base {
            let ours = replica.base_tasks()?;
            let all = ours.keys().chain(rebuilt.tasks.keys());
            differing = all.filter(|id| ours.get(*id) != rebuilt.tasks.get(*id)).copied().collect();
            differing.sort_unstable();
            differing.dedup();
            compared = Some(rebuilt.tasks);
        }
    }
    // Why nothing was compared is what a sync would have to say first.
    let why_not = match compared {
        Some(_) => None,
        None => Some(verdict(&mut replica, remote.as_mut())),
    };
    let (why_not, cure, error) = match why_not {
        None => (None, None, None),
        Some(Ok(Verdict { state, text, cure })) => (Some((state, text)), cure, None),
        Some(Err(fail)) => {
            let cure = fail.hint.clone().unwrap_or_default();
            // Who stands on nothing has nothing to compare with, whether the server answers or not.
            let exit = match fail.exit {
                Exit::Unreachable if base.is_nil() => Exit::Done,
                exit => exit,
            };
            (Some(("failed", fail.message.clone())), Some((exit, cure)), Some(fail))
        }
    };
    let mut repaired = Vec::new();
    if repair && let Some(theirs) = &compared {
        repaired = replica.repair(theirs, base, app.now)?;
        if problems.iter().any(|problem| problem.contains("number")) {
            replica.renumber(app.now)?;
        }
    }
    let is_sound = problems.is_empty() && differing.is_empty();
    if app.output.is_json {
        app.output.json(&json!({
            "sound": is_sound,
            "problems": problems,
            "compared_with_server": compared.is_some(),
            "not_compared": why_not.as_ref().map(|(state, _)| state),
            "error": error.as_ref().map(Fail::as_json),
            "tasks_differing": differing.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "tasks_repaired": repaired.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }));
    } else {
        for problem in &problems {
            app.output.line(problem);
        }
        for id in differing.iter().take(NAMED_MAX) {
            app.output.line(format!("Task {id} differs from the server's history."));
        }
        if let Some(tasks) = &compared {
            app.output.line(format!(
                "Compared {} with the server's history: {}.",
                count(tasks.len() as u64, "task"),
                match differing.len() {
                    0 => "all equal".into(),
                    1 => "1 differs".to_owned(),
                    n => format!("{n} differ"),
                }
            ));
            let waiting = replica.pending_changes()?;
            if waiting > 0 {
                app.output.line(format!("What waits was not: {}.", count(waiting, "change")));
            }
        }
        if let Some((_, text)) = &why_not {
            app.output.line(format!("Not compared: {}.", escape(text)));
        }
        if let Some((_, cure)) = &cure {
            app.output.line(format!("→ {}", escape(cure)));
        }
        if !repaired.is_empty() {
            app.output.line(format!("Repaired {}.", count(repaired.len() as u64, "task")));
        }
    }
    if is_sound && let Some((exit, _)) = cure {
        // The lines above say it; the replica itself is sound.
        return Ok(exit);
    }
    if is_sound || (repair && !repaired.is_empty() && !is_damaged) {
        return Ok(Exit::Done);
    }
    let fail = match is_damaged {
        true => Fail::failed("the replica's file is damaged").hint(DAMAGED),
        false => Fail::failed("the replica does not fit its history").hint(
            "`ta verify --repair` takes the server's state for what differs and keeps what waits here.",
        ),
    };
    if app.output.is_json {
        // The document has said it; a second one would make none of the two readable.
        app.output.notice(format!("ta: {}", fail.message));
        return Ok(fail.exit);
    }
    Err(fail)
}

fn finding_text(finding: &Finding) -> String {
    match finding {
        Finding::StateDiffers { task } => {
            format!("Task {task} is not what its base and pending changes say.")
        }
        Finding::NeedlessImage { task } => {
            format!("Task {task} has a base image and nothing pending.")
        }
        Finding::NumberMissing { task } => {
            format!("Task {task} has no number: `ta gc` gives it one.")
        }
        Finding::NumberTwice { task } => format!("Task {task} has two numbers: `ta gc` mends it."),
    }
}

fn rebuild_fail(error: RebuildError) -> Fail {
    let (exit, cure) = match &error {
        RebuildError::Remote(failure) => exit_and_cure(failure),
        _ => (Exit::Failed, "Try again later."),
    };
    Fail::new(exit, crate::fail::chain(&error))
        .hint(format!("The replica itself was checked; the server could not be compared. {cure}"))
}
