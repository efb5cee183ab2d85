//! The chain that leads from the latest version back to the first, and what lies beside it.
//!
//! Where versions are only rows with a parent, a program that raced with another may have left some
//! off the chain: both were added after the same parent, and only one is an ancestor of the latest.
//!
//! ```text
//!   nil ◀── v1 ◀── v2 ◀── v4 ◀── latest     the chain: `child_of` of each is known after a walk
//!                   ▲
//!                   └──── o3 ◀── o5         a branch of orphans; the fork is v2
//! ```
//!
//! A walk goes back by parents and remembers every step, so following a chain for a whole session
//! costs one look per version. Links of stored versions never change; only `latest` moves, which
//! [`Chain::follow`] takes into account.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use tandem_core::VersionId;
use tandem_tasks::segment::{self, ReadSegmentError};
use tandem_tasks::session::{DirectoryTrouble, Failure, Orphaned};
use tandem_tasks::{Operation, TaskSet};

/// Looks a version up: its parent, or none if it is not stored.
pub(crate) trait Links: Fn(VersionId) -> Result<Option<VersionId>, Failure> {}
impl<F: Fn(VersionId) -> Result<Option<VersionId>, Failure>> Links for F {}

/// The part of the chain that has been walked, from the latest version backwards.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    latest: VersionId,
    child_of: HashMap<VersionId, VersionId>,
    /// The oldest id walked to; its own parent has not been looked up unless `is_whole`.
    reached: VersionId,
    /// `reached` is no stored version: the walk has come to the beginning.
    is_whole: bool,
}

/// Versions off the chain, oldest first, and where they leave it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) fork: VersionId,
    pub(crate) versions: Vec<VersionId>,
}

impl Chain {
    /// Makes `latest` the end of the chain. What is known is kept if the new end descends from the
    /// old one, which is what happens unless somebody wrote around the protocol.
    pub(crate) fn follow(
        &mut self,
        latest: VersionId,
        parent_of: impl Links,
    ) -> Result<(), Failure> {
        if latest == self.latest {
            return Ok(());
        }
        let mut links = Vec::new();
        let mut seen = HashSet::from([latest]);
        let mut at = latest;
        while !self.latest.is_nil() && at != self.latest {
            match parent_of(at)? {
                // Came to the old chain in its middle, or to a beginning: not a descendant.
                Some(parent) if self.child_of.contains_key(&parent) => break,
                None => break,
                Some(parent) => {
                    if !seen.insert(parent) {
                        return Err(circle(parent));
                    }
                    links.push((parent, at));
                    at = parent;
                }
            }
        }
        if at == self.latest && !self.latest.is_nil() {
            self.child_of.extend(links);
            self.latest = latest;
        } else {
            *self = Self { latest, reached: latest, ..Self::default() };
        }
        Ok(())
    }

    /// The version after `parent` on the chain, if `parent` is on it and is not its end.
    ///
    /// # Cost
    /// One look per version not walked yet, until `parent` is found.
    pub(crate) fn child(
        &mut self,
        parent: VersionId,
        parent_of: impl Links,
    ) -> Result<Option<VersionId>, Failure> {
        loop {
            if let Some(child) = self.child_of.get(&parent) {
                return Ok(Some(*child));
            }
            if !self.step(&parent_of)? {
                return Ok(None);
            }
        }
    }

    /// Walks to the beginning and returns what the first version states as its parent: nil, unless
    /// the history was adopted in its middle.
    pub(crate) fn root_parent(&mut self, parent_of: impl Links) -> Result<VersionId, Failure> {
        while self.step(&parent_of)? {}
        Ok(self.reached)
    }

    /// The number of versions on the chain; it must have been walked to its beginning.
    pub(crate) fn len(&self) -> usize {
        self.child_of.len()
    }

    /// True for the versions of a chain that has been walked to its beginning, and for what its
    /// first version states as parent.
    pub(crate) fn contains(&self, version: VersionId) -> bool {
        version == self.latest || self.child_of.contains_key(&version)
    }

    /// The orphans up to `tip`, a stored version that is not on the chain; none if they do not
    /// leave the chain anywhere.
    pub(crate) fn branch(
        &mut self,
        tip: VersionId,
        parent_of: impl Links,
    ) -> Result<Option<Branch>, Failure> {
        self.root_parent(&parent_of)?;
        let mut seen = HashSet::new();
        let mut versions = Vec::new();
        let mut at = tip;
        while !self.contains(at) {
            if !seen.insert(at) {
                return Err(circle(at));
            }
            let Some(parent) = parent_of(at)? else { return Ok(None) };
            versions.push(at);
            at = parent;
        }
        versions.reverse();
        Ok(Some(Branch { fork: at, versions }))
    }

    /// Reads the orphans and the tasks that they touch, as those are at the fork.
    ///
    /// # Errors
    /// Where a segment cannot be read, or where the chain does not begin at nil, since the tasks at
    /// the fork are then not to be had.
    ///
    /// # Cost
    /// Reads the orphans and every version from the first to the fork, one at a time.
    pub(crate) fn read_branch(
        &self,
        branch: &Branch,
        segment_of: impl Fn(VersionId) -> Result<Vec<u8>, Failure>,
    ) -> Result<Orphaned, Failure> {
        let mut touched = BTreeSet::new();
        let mut orphans = Vec::with_capacity(branch.versions.len());
        for version in &branch.versions {
            let plain = segment_of(*version)?;
            touched.extend(operations(*version, &plain)?.iter().map(Operation::task));
            orphans.push((*version, plain));
        }
        let mut tasks_at_fork = TaskSet::new();
        let mut at = VersionId::NIL;
        while at != branch.fork {
            let Some(child) = self.child_of.get(&at) else {
                return Err(Failure::Directory {
                    trouble: DirectoryTrouble::Damaged,
                    what: format!(
                        "the history does not begin at its beginning, so what version {} changed \
                         cannot be taken back",
                        branch.versions.first().unwrap_or(&branch.fork)
                    ),
                });
            };
            let plain = segment_of(*child)?;
            for operation in operations(*child, &plain)? {
                if touched.contains(&operation.task()) {
                    operation.apply_to_set(&mut tasks_at_fork);
                }
            }
            at = *child;
        }
        Ok(Orphaned { fork: branch.fork, orphans, tasks_at_fork })
    }

    /// Walks one version further back; false at the beginning.
    fn step(&mut self, parent_of: impl Links) -> Result<bool, Failure> {
        if self.is_whole || self.reached.is_nil() {
            self.is_whole = true;
            return Ok(false);
        }
        let Some(parent) = parent_of(self.reached)? else {
            self.is_whole = true;
            return Ok(false);
        };
        if parent == self.latest {
            return Err(circle(parent));
        }
        match self.child_of.entry(parent) {
            Entry::Occupied(_) => Err(circle(parent)),
            Entry::Vacant(entry) => {
                entry.insert(self.reached);
                self.reached = parent;
                Ok(true)
            }
        }
    }
}

/// Says that a walk came back to where it had been: no program writes that.
fn circle(version: VersionId) -> Failure {
    let what = format!("the versions form a circle at {version}");
    Failure::Directory { trouble: DirectoryTrouble::Damaged, what }
}

fn operations(version: VersionId, plain: &[u8]) -> Result<Vec<Operation>, Failure> {
    segment::read(plain).map_err(|error| match error {
        ReadSegmentError::UnknownKind { kind } => Failure::FutureKind { version, kind },
        other => Failure::Directory {
            trouble: DirectoryTrouble::Damaged,
            what: format!("version {version} cannot be read: {other}"),
        },
    })
}

#[cfg(test)]
mod tests;
