//! The chain is not what we stood on: a history that is gone, and versions left off it.

use std::collections::BTreeSet;

use tandem_core::VersionId;

use crate::model::TaskSet;
use crate::segment::{self, ReadSegmentError};
use crate::session::machine::{CONFLICTS_MAX, Session, State};
use crate::session::messages::{Action, Change, Child, Failure, Orphaned, PulledVersion, Request};
use crate::snapshot;

/// The server's present, built beside our own state.
#[derive(Debug)]
pub(super) struct Lookout {
    position: VersionId,
    tasks: TaskSet,
    walked: Vec<(VersionId, VersionId)>,
    /// A history of its own: it may well pass versions that the session has pulled before.
    seen: BTreeSet<VersionId>,
}

impl Session {
    pub(super) fn look_out(&mut self, snapshot: Option<(VersionId, Vec<u8>)>) -> Action {
        if self.report.reinitialised {
            return self.fail(Failure::HistoryMissing);
        }
        let mut lookout = Lookout {
            position: VersionId::NIL,
            tasks: TaskSet::new(),
            walked: Vec::new(),
            seen: BTreeSet::new(),
        };
        if let Some((version, body)) = snapshot {
            match snapshot::read_all(&body) {
                Ok(tasks) => lookout.tasks = tasks,
                Err(error) => {
                    return self.fail(Failure::Malformed { version, what: error.to_string() });
                }
            }
            lookout.position = version;
            self.report.snapshot_loaded = Some(version);
        }
        self.look_on(Box::new(lookout))
    }

    pub(super) fn look_on(&mut self, lookout: Box<Lookout>) -> Action {
        let parent = lookout.position;
        self.ask(State::GoneWalk(lookout), Request::GetChildVersion { parent })
    }

    pub(super) fn looked_out(&mut self, mut lookout: Box<Lookout>, child: Child) -> Action {
        match child {
            Child::Version { version, parent, segment } => {
                if parent != lookout.position || version.is_nil() || !lookout.seen.insert(version) {
                    let what = format!("version {version} where it cannot be");
                    return self.fail(Failure::NotTheProtocol { what });
                }
                let operations = match segment::read(&segment) {
                    Ok(operations) => operations,
                    Err(ReadSegmentError::UnknownKind { kind }) => {
                        return self.fail(Failure::FutureKind { version, kind });
                    }
                    Err(error) => {
                        return self.fail(Failure::Malformed { version, what: error.to_string() });
                    }
                };
                for operation in operations {
                    operation.apply_to_set(&mut lookout.tasks);
                }
                lookout.walked.push((version, parent));
                lookout.position = version;
                self.look_on(lookout)
            }
            Child::UpToDate | Child::NoSuchClient if !lookout.position.is_nil() => {
                self.is_proved = true;
                let end = lookout.position;
                let change = Change::Reinitialise {
                    end,
                    theirs: lookout.tasks,
                    walked: lookout.walked,
                    consent: self.facts.consent,
                };
                self.commit(State::Reinitialising { end }, change)
            }
            // What we had walked has been trimmed or left off the chain meanwhile: once more.
            Child::Orphaned(_) | Child::Gone
                if !lookout.position.is_nil() && self.conflicts < CONFLICTS_MAX =>
            {
                self.conflicts += 1;
                self.ask(State::GoneSnapshot, Request::GetSnapshot)
            }
            _ => self.fail(Failure::HistoryMissing),
        }
    }

    pub(super) fn unorphan(&mut self, orphaned: Orphaned) -> Action {
        let mut parent = orphaned.fork;
        let mut versions = Vec::new();
        for (version, segment) in orphaned.orphans {
            match segment::read(&segment) {
                Ok(operations) => versions.push(PulledVersion { version, parent, operations }),
                Err(error) => {
                    return self.fail(Failure::Malformed { version, what: error.to_string() });
                }
            }
            parent = version;
        }
        let change = Change::Unorphan {
            fork: orphaned.fork,
            orphans: versions,
            tasks_at_fork: orphaned.tasks_at_fork,
        };
        self.commit(State::Unorphaning, change)
    }
}
