//! `ta verify`: the replica against itself, and against the list rebuilt from the server.

use serde_json::json;
use tandem_client::{LOCK_WAIT, RebuildError, SyncLock, connect, rebuild, system_now};
use tandem_core::{TaskId, VersionId};
use tandem_remote::{Call, Outcome, Remote};
use tandem_replica::{Finding, Replica};
use tandem_tasks::session::{Child, Failure, Response};

use crate::app::App;
use crate::commands::sync::connect_fail;
use crate::fail::{Exit, Fail};
use crate::told::{count, exit_and_cure};

/// Differences named one by one.
const NAMED_MAX: usize = 20;

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let flags = app.flags("verify", rest, &["--repair"])?;
    let repair = flags.contains(&"--repair");
    let mut storage = app.storage()?;
    let _lock = SyncLock::take(&app.data_dir()?, LOCK_WAIT, app.now)?;
    let mut problems = storage.integrity_check()?;
    let mut replica = Replica::new(storage);
    // What another program has just written waits here; it is no part of the base.
    replica.notice(app.now)?;
    problems.extend(replica.check()?.iter().map(finding_text));
    let base = replica.base_version()?;
    let mut differing: Vec<TaskId> = Vec::new();
    let mut compared = None;
    let mut remote = connect(&app.settings).map_err(connect_fail)?;
    // Why nothing is compared, if nothing is.
    let mut why_not = WhyNot::NeverSynced;
    if base.is_nil() {
        // What is there may be ours: the reply was lost, or the program was killed.
        let is_cut_off = replica.read(|txn| txn.in_flight())?.is_some();
        if has_child(remote.as_mut(), base)? {
            why_not = if is_cut_off { WhyNot::CutOff } else { WhyNot::NotJoined };
        }
    } else {
        let rebuilt = rebuild(remote.as_mut(), Some(base), &system_now).map_err(rebuild_fail)?;
        if rebuilt.version.is_nil() {
            return Err(Fail::new(
                Exit::Settings,
                format!("{} holds no history, and this replica stands on one", remote.label()),
            )
            .hint(match remote.is_directory() {
                true => "Mount the disk, or correct server_dir. The replica itself is unchanged.",
                false => "Check server_origin and server_client_key. If the server was reset, `ta sync` gives it the list again. The replica itself is unchanged.",
            }));
        }
        if rebuilt.version == base {
            let ours = replica.base_tasks()?;
            let all = ours.keys().chain(rebuilt.tasks.keys());
            differing = all.filter(|id| ours.get(*id) != rebuilt.tasks.get(*id)).copied().collect();
            differing.sort_unstable();
            differing.dedup();
            compared = Some(rebuilt.tasks);
        } else if has_child(remote.as_mut(), base)? {
            why_not = WhyNot::Behind;
        } else {
            why_not = WhyNot::NotJoined;
        }
    }
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
            "not_compared": compared.is_none().then_some(why_not.code()),
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
        app.output.line(match &compared {
            Some(tasks) => format!(
                "Compared {} with the server's history: {}.",
                count(tasks.len() as u64, "task"),
                match differing.len() {
                    0 => "all equal".into(),
                    1 => "1 differs".to_owned(),
                    n => format!("{n} differ"),
                }
            ),
            None => why_not.text(&remote.label()),
        });
        if !repaired.is_empty() {
            app.output.line(format!("Repaired {}.", count(repaired.len() as u64, "task")));
        }
    }
    if is_sound && compared.is_none() && why_not == WhyNot::NotJoined {
        // The line above says it; the replica itself is sound.
        return Ok(Exit::Person);
    }
    if is_sound || (repair && !repaired.is_empty()) {
        return Ok(Exit::Done);
    }
    let fail = Fail::failed("the replica does not fit its history").hint(
        "`ta verify --repair` takes the server's state for what differs and keeps what waits here.",
    );
    if app.output.is_json {
        // The document has said it; a second one would make none of the two readable.
        app.output.notice(format!("ta: {}", fail.message));
        return Ok(fail.exit);
    }
    Err(fail)
}

/// Why there is nothing to compare the replica with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhyNot {
    /// Neither here nor there is any history.
    NeverSynced,
    /// The remote holds a list, and this replica stands on no version of it.
    NotJoined,
    /// The first sync did not come to its end.
    CutOff,
    /// The remote's snapshot shows a later version than the one here.
    Behind,
}

impl WhyNot {
    /// For programs.
    fn code(self) -> &'static str {
        match self {
            Self::NeverSynced => "never_synced",
            Self::NotJoined => "not_joined",
            Self::CutOff => "cut_off",
            Self::Behind => "behind",
        }
    }

    fn text(self, label: &str) -> String {
        match self {
            Self::NeverSynced => "Never synced: there is nothing to compare with.".into(),
            Self::NotJoined => format!(
                "Not compared: {label} holds a list of its own, with which this one was not joined. \
                 `ta sync` says more, and `ta sync --join` joins the two."
            ),
            Self::CutOff => {
                "Not compared: the last sync was cut off. Run `ta sync`, then verify again.".into()
            }
            Self::Behind => {
                "The server's snapshot is newer than this replica: run `ta sync`, then \
                 verify again."
                    .into()
            }
        }
    }
}

/// True if the remote has a version after this one on its chain, or had one after no version at all.
fn has_child(remote: &mut dyn Remote, parent: VersionId) -> Result<bool, Fail> {
    let failure = match remote.call(Call::GetChildVersion { parent }) {
        Outcome::Answer(Response::Child(child)) => match child {
            Child::Version { .. } => return Ok(true),
            Child::UpToDate | Child::NothingYet | Child::NoSuchClient => return Ok(false),
            // Trimmed: for a replica that stands on nothing there is a history all the same.
            Child::Gone | Child::Orphaned(_) => return Ok(parent.is_nil()),
            Child::StrangeNotFound => {
                Failure::NotTheProtocol { what: "status 404 in words of another program".into() }
            }
        },
        Outcome::Answer(_) => Failure::NotTheProtocol { what: "it answers something else".into() },
        Outcome::Unknown(failure) | Outcome::Refused(failure) => failure,
    };
    Err(rebuild_fail(failure.into()))
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
