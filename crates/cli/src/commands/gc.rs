//! `ta gc`: numbers without holes, expired tasks purged, old history forgotten, space given back.

use serde_json::json;
use tandem_core::TaskId;
use tandem_replica::{Keep, Reclaim, StorageError};
use tandem_tasks::Status;

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::told::count;

/// Deleted tasks are purged after this long without a change (protocol page section 16).
const EXPIRY_SECONDS: i64 = 180 * 86_400;

/// Tasks purged in one go, so that the undo step and its version stay small.
const PURGED_MAX: usize = 10_000;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let flags = app.flags("gc", rest, &["--rewrite"])?;
    let rewrite = flags.contains(&"--rewrite");
    let keep = keep(app);
    let now = app.now;
    let mut replica = app.replica()?;
    let cutoff = now.seconds().saturating_sub(EXPIRY_SECONDS);
    let purged = replica.edit("gc", now, |editor| {
        let mut expired: Vec<TaskId> = Vec::new();
        editor.txn().each_task(&mut |id, task| {
            let is_old = task.seconds("modified").is_some_and(|modified| modified < cutoff);
            if task.status() == Status::Deleted && is_old && expired.len() < PURGED_MAX {
                expired.push(id);
            }
            Ok(())
        })?;
        for id in &expired {
            editor.purge(*id)?;
        }
        Ok::<_, StorageError>(expired.len())
    })?;
    let numbered = replica.renumber(now)?;
    let pruned = replica.prune(keep, now)?;
    drop(replica);
    let how = if rewrite { Reclaim::Rewrite } else { Reclaim::FreePages };
    let bytes = match app.is_there()? {
        true => app.storage()?.give_back_space(how)?,
        false => 0,
    };
    if app.output.is_json {
        app.output.json(&json!({
            "numbered": numbered, "purged": purged.result,
            "steps_forgotten": pruned.steps, "bytes_given_back": bytes,
        }));
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "{} numbered · {} purged · {} forgotten · {} given back",
        count(numbered, "task"),
        count(purged.result as u64, "expired task"),
        count(pruned.steps, "old step"),
        crate::told::bytes(bytes)
    ));
    Ok(Exit::Done)
}

/// What of the synchronised log is kept, by the settings.
pub(crate) fn keep(app: &App<'_>) -> Keep {
    Keep {
        days: u32::try_from(app.settings.history_days()).unwrap_or(u32::MAX),
        commands: app.settings.history_commands(),
    }
}
