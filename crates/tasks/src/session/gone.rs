//! The chain is not what we stood on: a history that is gone, and versions left off it.
//!
//! When the history behind our base is gone, the server's present is looked at beside our own
//! state, and if it is no version of ours, so is the way it took since it turned off ours:
//!
//! ```text
//!   ── v1 ── v2 ── v3        applied here; v3 is our base, and the server knows it no longer
//!        └── w1 ── w2        the server went back to v1, and another replica went on there
//! ```
//!
//! The children of the newest versions that we have applied are asked for; only the one at the fork
//! has a child that we do not know. What the branch changed is theirs, everything else that differs
//! is ours (`reinitialise`). A history that was only trimmed has no such fork.

use std::collections::BTreeSet;

use tandem_core::VersionId;

use crate::model::TaskSet;
use crate::operation::Operation;
use crate::reinitialise::Branch;
use crate::segment;
use crate::session::failure::Failure;
use crate::session::machine::{CONFLICTS_MAX, Session, State};
use crate::session::messages::{Action, Change, Child, Orphaned, PulledVersion, Request};
use crate::snapshot;

/// How many of the newest applied versions are asked about one by one; a reset server on which
/// another replica went on has a child for one of them only.
const NEWEST_ASKED: usize = 16;

/// The versions that this replica has applied, on whichever remote.
#[derive(Debug, Default)]
pub(super) struct Ancestors {
    newest_first: Vec<VersionId>,
    all: BTreeSet<VersionId>,
}

impl Ancestors {
    pub(super) fn new(newest_first: Vec<VersionId>) -> Self {
        let all = newest_first.iter().copied().collect();
        Self { newest_first, all }
    }

    fn contains(&self, version: VersionId) -> bool {
        self.all.contains(&version)
    }
}

/// Where the newest applied version with a child is looked for: one by one at first, then in
/// strides that double, then between the last stride's ends (on a server restored from a backup every
/// version up to the fork has a child, and none after it).
#[derive(Debug, Clone, Copy)]
pub(super) struct ForkSearch {
    /// This one is asked about.
    place: usize,
    /// Newer ones, up to here, have none.
    without_child_until: usize,
    /// One that has a child of ours: the fork is newer.
    with_child_of_ours: Option<usize>,
}

impl ForkSearch {
    const FIRST: Self = Self { place: 0, without_child_until: 0, with_child_of_ours: None };

    /// After an answer that says that there is no child.
    fn older(self) -> Option<Self> {
        let without_child_until = self.place + 1;
        let place = match self.with_child_of_ours {
            Some(end) if without_child_until >= end => return None,
            Some(end) => without_child_until.midpoint(end),
            None if self.place < NEWEST_ASKED => self.place + 1,
            None => self.place * 2,
        };
        Some(Self { place, without_child_until, ..self })
    }

    /// The same among `count` versions: a stride beyond the oldest falls between it and the last one.
    fn within(self, count: usize) -> Option<Self> {
        if self.place < count {
            return Some(self);
        }
        let place = self.without_child_until.midpoint(count);
        (place < count).then_some(Self { place, with_child_of_ours: Some(count), ..self })
    }

    /// After an answer that names a child of ours.
    fn newer(self) -> Option<Self> {
        let end = self.place;
        if self.without_child_until >= end {
            return None;
        }
        let place = self.without_child_until.midpoint(end);
        Some(Self { place, with_child_of_ours: Some(end), ..self })
    }
}

/// The server's present, built beside our own state.
#[derive(Debug)]
pub(super) struct Lookout {
    position: VersionId,
    tasks: TaskSet,
    walked: Vec<(VersionId, VersionId)>,
    /// A history of its own: it may well pass versions that the session has pulled before.
    seen: BTreeSet<VersionId>,
    /// What happened since the walk passed a version of ours.
    branch: Option<Branch>,
    /// What happened since the beginning, where the walk began there.
    whole: Option<Branch>,
    /// Versions on the branch, walked a second time.
    seen_on_branch: BTreeSet<VersionId>,
}

impl Session {
    pub(super) fn look_out(&mut self, snapshot: Option<(VersionId, Vec<u8>)>) -> Action {
        if self.report.reinitialised {
            return self.fail(Failure::GoneAgain);
        }
        let mut lookout = Lookout {
            position: VersionId::NIL,
            tasks: TaskSet::new(),
            walked: Vec::new(),
            seen: BTreeSet::new(),
            branch: None,
            whole: Some(Branch::after(VersionId::NIL)),
            seen_on_branch: BTreeSet::new(),
        };
        if let Some((version, body)) = snapshot {
            match snapshot::read_all(&body) {
                Ok(tasks) => lookout.tasks = tasks,
                Err(error) => {
                    return self.fail(Failure::Malformed { version, what: error.to_string() });
                }
            }
            lookout.position = version;
            lookout.whole = None;
            self.report.snapshot_loaded = Some(version);
        }
        self.look_on(Box::new(lookout))
    }

    fn look_on(&mut self, lookout: Box<Lookout>) -> Action {
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
                let operations = match read(version, &segment) {
                    Ok(operations) => operations,
                    Err(failure) => return self.fail(failure),
                };
                if self.ancestors.contains(parent) {
                    lookout.branch = Some(Branch::after(parent));
                    lookout.whole = None;
                }
                for operation in operations {
                    for branch in [&mut lookout.branch, &mut lookout.whole].into_iter().flatten() {
                        branch.take_in(&operation);
                    }
                    operation.apply_to_set(&mut lookout.tasks);
                }
                lookout.walked.push((version, parent));
                lookout.position = version;
                self.look_on(lookout)
            }
            Child::UpToDate | Child::NoSuchClient if !lookout.position.is_nil() => {
                self.is_proved = true;
                let is_ours = self.ancestors.contains(lookout.position);
                if is_ours || lookout.branch.is_some() {
                    return self.reinitialise(*lookout);
                }
                self.find_fork(lookout, Some(ForkSearch::FIRST))
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

    /// Asks about the next ancestor, if there is one.
    fn find_fork(&mut self, mut lookout: Box<Lookout>, search: Option<ForkSearch>) -> Action {
        let versions = &self.ancestors.newest_first;
        let next = search
            .and_then(|search| search.within(versions.len()))
            .map(|search| (search, versions[search.place]));
        match next {
            // That of the base is known: it is gone.
            Some((search, parent)) if parent == self.base || parent.is_nil() => {
                self.find_fork(lookout, search.older())
            }
            Some((search, parent)) => {
                self.ask(State::FindingFork(lookout, search), Request::GetChildVersion { parent })
            }
            None => {
                // Walked from its beginning to its end without meeting any version of ours: nothing
                // was trimmed, and all of it is another way.
                lookout.branch = lookout.whole.take();
                self.reinitialise(*lookout)
            }
        }
    }

    pub(super) fn fork_found(
        &mut self,
        mut lookout: Box<Lookout>,
        search: ForkSearch,
        child: Child,
    ) -> Action {
        match child {
            Child::Version { version, parent, segment } if !self.ancestors.contains(version) => {
                lookout.branch = Some(Branch::after(parent));
                self.follow(lookout, version, &segment)
            }
            Child::Version { .. } => self.find_fork(lookout, search.newer()),
            Child::Gone | Child::Orphaned(_) => self.find_fork(lookout, search.older()),
            // A version of ours is the latest: no fork then.
            _ => self.find_fork(lookout, None),
        }
    }

    /// Takes in one version of the branch; it ends where the look-out ended.
    fn follow(&mut self, mut lookout: Box<Lookout>, version: VersionId, segment: &[u8]) -> Action {
        if !lookout.seen_on_branch.insert(version) {
            let what = format!("version {version} for the second time");
            return self.fail(Failure::NotTheProtocol { what });
        }
        let operations = match read(version, segment) {
            Ok(operations) => operations,
            Err(failure) => return self.fail(failure),
        };
        if let Some(branch) = &mut lookout.branch {
            operations.iter().for_each(|operation| branch.take_in(operation));
        }
        if version == lookout.position {
            return self.reinitialise(*lookout);
        }
        self.ask(
            State::FollowingBranch(lookout, version),
            Request::GetChildVersion { parent: version },
        )
    }

    pub(super) fn branch_followed(
        &mut self,
        mut lookout: Box<Lookout>,
        position: VersionId,
        child: Child,
    ) -> Action {
        match child {
            Child::Version { version, parent, segment } if parent == position => {
                self.follow(lookout, version, &segment)
            }
            // It does not lead to the present that we have seen: nothing is known of a fork.
            _ => {
                lookout.branch = None;
                self.reinitialise(*lookout)
            }
        }
    }

    fn reinitialise(&mut self, lookout: Lookout) -> Action {
        let end = lookout.position;
        // Where it ends with a version of ours, nobody went on there.
        let fork = lookout.branch.as_ref().map(|branch| branch.fork);
        self.report.brought_forward = self.ancestors.contains(end);
        self.report.forked_at = fork.filter(|_| !self.report.brought_forward);
        let change = Change::Reinitialise {
            end,
            theirs: lookout.tasks,
            walked: lookout.walked,
            branch: lookout.branch,
            consent: self.facts.consent,
        };
        self.commit(State::Reinitialising { end }, change)
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

fn read(version: VersionId, segment: &[u8]) -> Result<Vec<Operation>, Failure> {
    segment::read(segment).map_err(|error| Failure::of_segment(version, error))
}
