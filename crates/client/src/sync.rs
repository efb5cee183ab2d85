//! Driving a session: the loop between a replica and a remote.
//!
//! No transaction is open while the remote is asked, so edits never wait for a network. The loop may
//! be killed anywhere: what it must remember stands in the replica.

use std::path::Path;
use std::sync::Arc;

use tandem_core::limits::{PULL_GROUP_BYTES_MAX, SEGMENT_OPERATIONS_BYTES_MAX};
use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_remote::{Call, Outcome, Remote};
use tandem_replica::{
    CommitError, Committed, ConflictRow, Keep, Move, RemoteRow, Replica, StorageError, SyncFacts,
    Target,
};
use tandem_tasks::session::{
    Action, Change, Consent, End, Event, Failure, Proof, Relation, Request, Response, Session,
    Start, SyncReport,
};

use crate::kill_points;

/// How a sync is done.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// What a person has agreed to beforehand.
    pub consent: Consent,
    /// Make snapshots only when the server needs one badly.
    pub avoid_snapshots: bool,
    /// What of the synchronised log is kept.
    pub keep: Keep,
    /// Bytes of operations in one version; the reference's own limit unless a test says otherwise.
    pub segment_bytes_max: usize,
    /// Bytes of pulled segments committed together.
    pub group_bytes_max: usize,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            consent: Consent::default(),
            avoid_snapshots: false,
            keep: Keep::default(),
            segment_bytes_max: SEGMENT_OPERATIONS_BYTES_MAX,
            group_bytes_max: PULL_GROUP_BYTES_MAX,
        }
    }
}

/// How far a sync has come, told after each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Operations pulled so far.
    pub operations_down: u64,
    /// Operations pushed so far.
    pub operations_up: u64,
    /// Operations that still wait to be pushed.
    pub operations_waiting: u64,
}

/// Why a sync broke off. What had been committed stays; everything else waits in the replica.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The replica's database could not do what was needed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a sync did, and what a person should know.
#[derive(Debug, Clone)]
pub struct Synced {
    /// The session's own report.
    pub report: SyncReport,
    /// Changes that wait for the next sync, without the `modified` stamps that go with them.
    pub waiting: u64,
    /// Edits that lost in this sync.
    pub conflicts: Vec<ConflictRow>,
    /// Tasks kept although the server's trimmed history no longer had them.
    pub kept: Vec<TaskId>,
    /// The version on which the replica stands now.
    pub base: VersionId,
    /// What a person calls the remote.
    pub label: String,
    /// The remote is a local directory.
    pub is_directory: bool,
    /// Tasks in the snapshot that was loaded; none if none was.
    pub tasks_loaded: Option<u64>,
    /// The list has moved here from another place, and this is the first sync that can say so: the one
    /// that began the move may have been broken off.
    pub arrived: Option<Move>,
}

impl Synced {
    /// True if nothing moved in either direction.
    pub fn is_idle(&self) -> bool {
        let report = &self.report;
        report.versions_up == 0 && report.versions_down == 0 && report.snapshot_loaded.is_none()
    }
}

/// Synchronises `replica` with `remote` once.
///
/// `now` tells the time; `progress` is called after each step.
///
/// # Errors
/// [`SyncError`] if the replica's own database fails. Everything that the remote may do is told in
/// [`Synced::report`], failures included.
pub fn sync(
    replica: &mut Replica,
    remote: &mut dyn Remote,
    options: &SyncOptions,
    now: &dyn Fn() -> Timestamp,
    progress: &mut dyn FnMut(Progress),
) -> Result<Synced, SyncError> {
    let label = remote.label();
    let mut target = Target { key: None, label: label.clone() };
    let started = now();
    let mut was_empty = false;
    let mut tasks_loaded = None;
    let report = match start(replica, remote, options, started, &mut target) {
        Err(StartError::Storage(error)) => return Err(error.into()),
        Err(StartError::Failure(failure)) => failed(failure),
        Ok((start, proof)) => {
            was_empty = start.tail.base.is_nil() && start.tasks == 0;
            if !start.tail.pending.is_empty() || start.tail.base.is_nil() {
                remote.expect_to_seal();
            }
            let mut driver = Driver::new(replica, remote, &mut target, proof, now);
            let report = driver.run(Session::new(start), progress)?;
            driver.keep_proof()?;
            tasks_loaded = driver.tasks_loaded;
            report
        }
    };
    let since = if was_empty { None } else { Some(started) };
    let place = (label, remote.is_directory());
    Ok(Synced { tasks_loaded, ..conclude(replica, report, place, options, since, now())? })
}

pub(crate) enum StartError {
    Storage(StorageError),
    Failure(Failure),
}

fn failed(failure: Failure) -> SyncReport {
    SyncReport { end: End::Failed(failure), ..SyncReport::default() }
}

/// Reads what the session must know, and makes sure that the remote is the one we believe in.
pub(crate) fn start(
    replica: &mut Replica,
    remote: &mut dyn Remote,
    options: &SyncOptions,
    now: Timestamp,
    target: &mut Target,
) -> Result<(Start, Option<Vec<u8>>), StartError> {
    target.key = remote.identity().map_err(StartError::Failure)?.map(|identity| identity.key);
    let facts = replica.sync_facts(target, now).map_err(StartError::Storage)?;
    let SyncFacts { tail, tasks, remote: row, current, is_ours } = facts;
    let is_fresh = tail.base.is_nil();
    let mut is_to_begin = false;
    if target.key.is_none() && remote.is_directory() {
        let (met, _) = replica.remotes().map_err(StartError::Storage)?;
        match missing_history(&met, current.is_some(), tail.base, &target.label) {
            Some(failure) if !options.consent.new_history => {
                return Err(StartError::Failure(failure));
            }
            // A person has said that it is to begin there all the same.
            Some(_) => is_to_begin = true,
            None => {}
        }
    }
    // It left its place for another that took nothing of it: a list all the same, which has been in
    // step somewhere and is joined with no other unasked.
    let mut is_astray = false;
    if is_fresh && current.is_none() && row.as_ref().is_none_or(|row| !row.joining) {
        let (met, _) = replica.remotes().map_err(StartError::Storage)?;
        is_astray = met.iter().any(|row| !row.last_base.is_nil());
    }
    let last_base = row.as_ref().map(|row| row.last_base).filter(|version| !version.is_nil());
    let is_astray = is_astray && last_base.is_none();
    let start = Start {
        tail,
        relation: if is_ours && !is_to_begin && !is_astray {
            Relation::Ours
        } else {
            Relation::Other { last_base }
        },
        is_base_known: current.is_some(),
        tasks,
        answered: row.as_ref().is_some_and(|row| row.answered),
        // Another client id at the server that this list belongs to is more often a typo than a
        // wish: like an empty replica, it needs a yes before a history begins there, unless the
        // server says that it knows the id (decision 7).
        needs_new_history: row.as_ref().is_some_and(|row| row.needs_new_history)
            || (row.is_none()
                && !is_ours
                && !remote.is_directory()
                && current.as_ref().is_some_and(|current| current.label == target.label)),
        // Back at nil on a remote where we once stood: the whole list is pending, by our own doing.
        joining: row
            .as_ref()
            .is_some_and(|row| row.joining || (is_fresh && !row.last_base.is_nil())),
        is_directory: remote.is_directory(),
        wanted_snapshot: row.as_ref().and_then(|row| row.wanted_snapshot),
        avoid_snapshots: options.avoid_snapshots,
        consent: options.consent,
        segment_bytes_max: options.segment_bytes_max,
        group_bytes_max: options.group_bytes_max,
    };
    Ok((start, row.and_then(|row| row.proof)))
}

/// Why a sync begins no history in the directory `label`, which holds none: this list's was there, or
/// another program has synchronised the list, perhaps there.
///
/// `met` are the remotes that the replica has met, `is_base_known` says that `base` belongs to one of
/// them.
pub fn missing_history(
    met: &[RemoteRow],
    is_base_known: bool,
    base: VersionId,
    label: &str,
) -> Option<Failure> {
    let same = |other: &str| Path::new(other).components().eq(Path::new(label).components());
    let was_there = met
        .iter()
        .any(|row| row.key.starts_with("dir ") && !row.last_base.is_nil() && same(&row.label));
    let what = if was_there {
        format!("{label} held this list's history and is empty now")
    } else if !is_base_known && !base.is_nil() {
        format!("another program has synchronised this list, and {label} is empty")
    } else {
        return None;
    };
    Some(Failure::DirectoryMissing { what })
}

pub(crate) struct Driver<'a> {
    pub(crate) replica: &'a mut Replica,
    pub(crate) remote: &'a mut dyn Remote,
    pub(crate) target: &'a mut Target,
    pub(crate) proof: Option<Vec<u8>>,
    pub(crate) now: &'a dyn Fn() -> Timestamp,
    pub(crate) is_proved: bool,
    /// Tasks in the snapshot that was loaded.
    pub(crate) tasks_loaded: Option<u64>,
}

impl<'a> Driver<'a> {
    /// `proof` is the stored one, that our key has opened something of this remote.
    pub(crate) fn new(
        replica: &'a mut Replica,
        remote: &'a mut dyn Remote,
        target: &'a mut Target,
        proof: Option<Vec<u8>>,
        now: &'a dyn Fn() -> Timestamp,
    ) -> Self {
        Self { replica, remote, target, proof, now, is_proved: true, tasks_loaded: None }
    }

    fn run(
        &mut self,
        mut session: Session,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<SyncReport, SyncError> {
        let mut event = Event::Start;
        loop {
            event = match session.next(event) {
                Action::Ask(request) => self.ask(request)?,
                Action::Commit(batch) => {
                    if self.target.key.is_none()
                        && let Ok(Some(identity)) = self.remote.identity()
                    {
                        self.target.key = Some(identity.key);
                    }
                    let what = name_of(&batch.change);
                    kill_points::reached("before commit", what);
                    let committed = self.replica.commit(self.target, *batch, (self.now)());
                    kill_points::reached("after commit", what);
                    match committed {
                        Ok(Committed::Done { first, last, loaded }) => {
                            self.tasks_loaded = loaded.or(self.tasks_loaded);
                            Event::Committed { first, last }
                        }
                        Ok(Committed::Moved(tail)) => Event::Moved(tail),
                        Ok(Committed::Asked(question)) => Event::Asked(question),
                        Err(CommitError::Storage(error)) => return Err(error.into()),
                        Err(error) => {
                            return Ok(SyncReport {
                                end: End::Failed(explain_commit(error)),
                                ..session.report().clone()
                            });
                        }
                    }
                }
                Action::Done(report) => return Ok(*report),
            };
            let report = session.report();
            progress(Progress {
                operations_down: report.operations_down,
                operations_up: report.operations_up,
                operations_waiting: session.pending_count() as u64,
            });
        }
    }

    pub(crate) fn ask(&mut self, request: Request) -> Result<Event, SyncError> {
        let call = match request {
            Request::GetSnapshot => Call::GetSnapshot,
            Request::GetChildVersion { parent } => Call::GetChildVersion { parent },
            Request::AddVersion { parent, segment } => {
                Call::AddVersion { parent, segment: Arc::unwrap_or_clone(segment) }
            }
            Request::RemoveOrphans { versions } => Call::RemoveOrphans { versions },
            Request::ListApplied => {
                let rows = self.replica.applied_versions()?;
                let versions = rows.iter().rev().map(|row| row.version).collect();
                return Ok(Event::Answer(Response::Applied(versions)));
            }
            Request::AskReady => {
                let refusal = self.remote.ask_of_itself().and_then(|says| {
                    match says.takes_new_clients || self.remote.is_directory() {
                        true => says.not_ready,
                        false => Some(Failure::ClientUnknown),
                    }
                });
                return Ok(Event::Answer(Response::Ready(refusal)));
            }
            Request::CheckProof => Call::CheckProof { token: self.proof.clone() },
            #[cfg(feature = "planted-defects")]
            Request::AddSnapshot { version }
                if tandem_tasks::planted::is_planted(
                    tandem_tasks::planted::Defect::EarlySnapshot,
                ) =>
            {
                let body = tandem_tasks::snapshot::write(&self.replica.all_tasks()?);
                Call::AddSnapshot { version, body }
            }
            Request::AddSnapshot { version } => match self.replica.snapshot_at(version)? {
                Some(body) => Call::AddSnapshot { version, body },
                // Another program moved the base: the snapshot stays wanted.
                None => {
                    let what = "the replica moved on before its snapshot was taken".into();
                    return Ok(Event::Refused(Failure::NotTheProtocol { what }));
                }
            },
        };
        let what = name_of_call(&call);
        kill_points::reached("before send", what);
        let outcome = self.remote.call(call);
        kill_points::reached("after receive", what);
        Ok(match outcome {
            Outcome::Answer(response) => {
                if response == Response::Proof(Proof::Unproved) {
                    self.is_proved = false;
                }
                Event::Answer(response)
            }
            Outcome::Unknown(failure) => Event::Unknown(failure),
            Outcome::Refused(failure) => Event::Refused(failure),
        })
    }

    /// The proof of the key that is to be stored, if there is a new one.
    pub(crate) fn proof_to_keep(&mut self) -> Option<Vec<u8>> {
        match self.proof.is_none() || !self.is_proved {
            true => self.remote.new_proof(),
            false => None,
        }
    }

    /// Stores the proof of the key, once: a sync with nothing to do writes nothing.
    fn keep_proof(&mut self) -> Result<(), SyncError> {
        if let Some(proof) = self.proof_to_keep() {
            kill_points::reached("before commit", "proof");
            self.replica.keep_proof(self.target, &proof)?;
            kill_points::reached("after commit", "proof");
        }
        Ok(())
    }
}

/// What a commit does, for naming a place in a sync.
fn name_of(change: &Change) -> &'static str {
    match change {
        Change::Adopt => "adopt",
        Change::Restart { .. } => "restart",
        Change::LoadSnapshot { .. } => "snapshot",
        Change::Pull { .. } => "pull",
        Change::Push { accepted: None, .. } => "in flight",
        Change::Push { next: None, .. } => "accepted",
        Change::Push { .. } => "accepted and in flight",
        Change::Unorphan { .. } => "unorphan",
        Change::Reinitialise { .. } => "reinitialise",
        Change::Note { .. } => "note",
    }
}

fn name_of_call(call: &Call) -> &'static str {
    match call {
        Call::GetSnapshot => "GetSnapshot",
        Call::GetChildVersion { .. } => "GetChildVersion",
        Call::AddVersion { .. } => "AddVersion",
        Call::AddSnapshot { .. } => "AddSnapshot",
        Call::RemoveOrphans { .. } => "RemoveOrphans",
        Call::CheckProof { .. } => "CheckProof",
    }
}

fn explain_commit(error: CommitError) -> Failure {
    match error {
        CommitError::Snapshot { version, what } => Failure::Malformed { version, what },
        other => Failure::NotTheProtocol { what: other.to_string() },
    }
}

/// Looks at the replica once more, for what the session cannot know.
fn conclude(
    replica: &mut Replica,
    report: SyncReport,
    (label, is_directory): (String, bool),
    options: &SyncOptions,
    started: Option<Timestamp>,
    now: Timestamp,
) -> Result<Synced, SyncError> {
    let moved = report.versions_down > 0
        || report.versions_up > 0
        || report.snapshot_loaded.is_some()
        || report.reinitialised;
    let mut conflicts = match started {
        Some(_) if moved => replica.conflicts(false)?,
        // A first load is no occasion for conflicts: nothing was here to lose.
        _ => Vec::new(),
    };
    conflicts.retain(|row| Some(row.at) >= started);
    // Also those of a sync that was killed before it could tell.
    let kept = match moved {
        true => {
            kill_points::reached("before commit", "kept tasks told");
            replica.take_kept_tasks()?
        }
        false => Vec::new(),
    };
    if moved {
        kill_points::reached("before commit", "prune");
        replica.prune(options.keep, now)?;
        kill_points::reached("after commit", "prune");
    }
    let waiting = replica.pending_changes()?;
    let base = replica.base_version()?;
    // Where nothing went there or came from there, a later sync tells of it.
    let arrived = match moved || (report.end == End::InStep && !base.is_nil()) {
        true => {
            kill_points::reached("before commit", "move told");
            replica.take_move()?
        }
        false => None,
    };
    let tasks_loaded = None;
    Ok(Synced {
        report,
        waiting,
        conflicts,
        kept,
        base,
        label,
        is_directory,
        tasks_loaded,
        arrived,
    })
}
