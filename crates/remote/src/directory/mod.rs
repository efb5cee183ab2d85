//! A task history in a directory, in the format of the reference's local server.
//!
//! One SQLite file without encryption, clients or snapshots, shared with real programs and with
//! other processes of ours. The format is the reference's to the letter; ours beside it are an index
//! and a table whose names begin with `tandem_`, made when we write, which the reference ignores.
//!
//! # What differs from the reference
//! * Check and insert are **one** immediate transaction, so two Tandems never race.
//! * The child of a version is the one on the way to `latest`. A real program that checked before
//!   and inserted after us leaves our version off the chain; that is told as [`Child::Orphaned`]
//!   and never walked onto. What it was stays in a table of ours, for others that stand on it.
//! * A directory that was in use and is suddenly empty or missing (an unmounted disk) is
//!   [`Failure::DirectoryMissing`], never a new history: a version that is not the first is not put
//!   into an empty directory.
//! * Whatever cannot be read is an error with a text, never a panic, and nothing is changed then.
//!
//! # Source
//! `protocols/taskchampion.md` sections 12 and 20 (defect 8); `design/README.md` section 3.

mod file;
mod history;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tandem_core::VersionId;
use tandem_tasks::serve;
use tandem_tasks::session::{Added, Child, DirectoryTrouble, Failure, Proof, Response, Urgency};

use crate::ancestry::Chain;
use crate::{Call, Identity, OfItself, Outcome, Remote};
use file::FileId;
use history::{CommitError, History};

pub use file::FILE_NAME;

/// How a directory is used.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    /// Make the folder and the file when the first version is added. Otherwise a missing one is
    /// [`Failure::DirectoryMissing`] then.
    pub create: bool,
    /// How long to wait for another program that holds the file.
    pub busy_wait: Duration,
}

impl Default for DirectoryOptions {
    /// Creates, and waits 10 seconds.
    fn default() -> Self {
        Self { create: true, busy_wait: Duration::from_secs(10) }
    }
}

/// A task history in a directory.
///
/// The file is opened when it is first needed and kept open; it is opened anew if another file has
/// taken its place. Reading writes nothing.
#[derive(Debug)]
pub struct DirectoryRemote {
    folder: PathBuf,
    options: DirectoryOptions,
    open: Option<Open>,
    /// This session has seen versions here, so from now on their absence is an error.
    has_seen_versions: bool,
}

#[derive(Debug)]
struct Open {
    history: History,
    file: FileId,
    chain: Chain,
}

impl DirectoryRemote {
    /// A remote in this folder. Nothing is opened or created yet.
    pub fn new(folder: impl Into<PathBuf>, options: DirectoryOptions) -> Self {
        Self { folder: folder.into(), options, open: None, has_seen_versions: false }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Bytes that the directory's files take, journals included; 0 if there is none. The format
    /// never shrinks.
    pub fn size_bytes(&self) -> u64 {
        file::size_bytes(&self.folder)
    }

    /// True if people other than the owner can read or write the folder or the file. The history is
    /// not encrypted, so that deserves a warning; it is never changed.
    pub fn is_open_to_others(&self) -> bool {
        file::is_open_to_others(&self.folder)
    }

    /// Number of versions, those off the chain included; 0 if there is no directory.
    ///
    /// # Errors
    /// [`Failure::Directory`] if the file cannot be used.
    pub fn versions(&mut self) -> Result<u64, Failure> {
        self.open_existing()?.map_or(Ok(0), |open| open.history.count())
    }

    /// Number of versions that a race left off the chain. Those of other programs stay: only the
    /// replica that made one knows what to do with it.
    ///
    /// # Errors
    /// [`Failure::Directory`] if the file cannot be used.
    ///
    /// # Cost
    /// One look per version.
    pub fn orphan_count(&mut self) -> Result<u64, Failure> {
        let Some(open) = self.open_existing()? else { return Ok(0) };
        let Open { history, chain, .. } = open;
        history.read(|history| {
            chain.follow(history.latest()?, |version| history.parent_of(version))?;
            chain.root_parent(|version| history.parent_of(version))?;
            let on_chain = u64::try_from(chain.len()).unwrap_or(u64::MAX);
            Ok(history.count()?.saturating_sub(on_chain))
        })
    }

    /// The history if its file is there, opened anew if it was replaced meanwhile.
    fn open_existing(&mut self) -> Result<Option<&mut Open>, Failure> {
        let Some(now) = file::find(&self.folder)? else {
            self.open = None;
            return Ok(None);
        };
        if self.open.as_ref().is_none_or(|open| open.file != now) {
            self.open = None;
            let path = self.folder.join(FILE_NAME);
            let history = History::open(&path, self.options.busy_wait)?;
            self.open = Some(Open { history, file: now, chain: Chain::default() });
        }
        Ok(self.open.as_mut())
    }

    fn missing(&self) -> Failure {
        Failure::DirectoryMissing { what: format!("there is none in {}", self.folder.display()) }
    }

    fn child_version(&mut self, parent: VersionId) -> Result<Child, Failure> {
        let missing = self.missing();
        let has_seen_versions = self.has_seen_versions;
        let may_be_new = parent.is_nil() && !has_seen_versions;
        let Some(Open { history, chain, .. }) = self.open_existing()? else {
            return if may_be_new { Ok(Child::UpToDate) } else { Err(missing) };
        };
        let child = history.read(|history| {
            let latest = history.latest()?;
            if latest.is_nil() {
                return if may_be_new { Ok(Child::UpToDate) } else { Err(missing) };
            }
            if latest == parent {
                return Ok(Child::UpToDate);
            }
            let parent_of = |version| history.parent_of(version);
            chain.follow(latest, parent_of)?;
            if let Some(version) = chain.child(parent, parent_of)? {
                return Ok(Child::Version { version, parent, segment: history.segment(version)? });
            }
            if parent.is_nil() || parent_of(parent)?.is_none() {
                return Ok(Child::Gone);
            }
            match chain.branch(parent, parent_of)? {
                None => Ok(Child::Gone),
                Some(branch) => chain
                    .read_branch(&branch, |version| history.segment(version))
                    .map(Child::Orphaned),
            }
        })?;
        self.has_seen_versions |= !(may_be_new && child == Child::UpToDate);
        Ok(child)
    }

    fn add_version(&mut self, parent: VersionId, segment: &[u8]) -> Outcome {
        match self.try_add_version(parent, segment) {
            Ok(added) => {
                self.has_seen_versions = true;
                Outcome::Answer(Response::Added(added))
            }
            Err(CommitError::NotDone(failure)) => Outcome::Refused(failure),
            Err(CommitError::PerhapsDone(failure)) => Outcome::Unknown(failure),
        }
    }

    fn try_add_version(&mut self, parent: VersionId, segment: &[u8]) -> Result<Added, CommitError> {
        let missing = self.missing();
        let may_be_new = parent.is_nil() && !self.has_seen_versions;
        if self.open_existing()?.is_none() {
            if !(may_be_new && self.options.create) {
                return Err(missing.into());
            }
            file::create(&self.folder)?;
        }
        let Some(Open { history, .. }) = self.open_existing()? else { return Err(missing.into()) };
        let version = random_version()?;
        history.write(|history| {
            history.prepare()?;
            let latest = history.latest()?;
            if latest.is_nil() && !may_be_new {
                return Err(missing);
            }
            match serve::add_version(latest, parent) {
                serve::AddVersion::Conflict { latest } => Ok(Added::Conflict { latest }),
                serve::AddVersion::Accept => {
                    history.add(version, parent, segment)?;
                    // The format has no snapshots, so there is never a wish for one.
                    Ok(Added::Accepted { version, urgency: Urgency::None })
                }
            }
        })
    }

    fn remove_orphans(&mut self, versions: &[VersionId]) -> Result<(), CommitError> {
        let missing = self.missing();
        let Some(Open { history, chain, .. }) = self.open_existing()? else {
            return Err(missing.into());
        };
        history.write(|history| {
            history.prepare()?;
            let latest = history.latest()?;
            if let Some(first) = history.first_version()? {
                // It may be one that goes; the directory keeps its name.
                history.note_first(first)?;
            }
            let parent_of = |version| history.parent_of(version);
            chain.follow(latest, parent_of)?;
            chain.root_parent(parent_of)?;
            // Whatever we believed when we asked: nothing on the way to the latest ever goes.
            for version in versions.iter().filter(|version| !chain.contains(**version)) {
                history.put_aside(*version)?;
            }
            Ok(())
        })
    }
}

impl Remote for DirectoryRemote {
    fn identity(&mut self) -> Result<Option<Identity>, Failure> {
        let label = self.folder.display().to_string();
        let Some(Open { history, chain, .. }) = self.open_existing()? else { return Ok(None) };
        let first = history.read(|history| {
            let latest = history.latest()?;
            if latest.is_nil() {
                return Ok(None);
            }
            if let Some(first) = history.first_version()? {
                return Ok(Some(first));
            }
            let parent_of = |version| history.parent_of(version);
            chain.follow(latest, parent_of)?;
            let root_parent = chain.root_parent(parent_of)?;
            chain.child(root_parent, parent_of)
        })?;
        self.has_seen_versions |= first.is_some();
        Ok(first.map(|first| Identity { key: format!("dir {first}"), label }))
    }

    fn call(&mut self, call: Call) -> Outcome {
        let answer = match call {
            Call::GetSnapshot => Ok(Response::Snapshot(None)),
            Call::GetChildVersion { parent } => self.child_version(parent).map(Response::Child),
            Call::AddVersion { parent, segment } => return self.add_version(parent, &segment),
            Call::AddSnapshot { .. } => Ok(Response::SnapshotAdded),
            Call::RemoveOrphans { versions } => match self.remove_orphans(&versions) {
                Ok(()) => Ok(Response::OrphansRemoved),
                Err(CommitError::NotDone(failure)) => Err(failure),
                Err(CommitError::PerhapsDone(failure)) => return Outcome::Unknown(failure),
            },
            Call::CheckProof { .. } => Ok(Response::Proof(Proof::NotNeeded)),
        };
        answer.map_or_else(Outcome::Refused, Outcome::Answer)
    }

    fn new_proof(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn is_directory(&self) -> bool {
        true
    }

    fn label(&self) -> String {
        self.folder.display().to_string()
    }

    fn ask_of_itself(&mut self) -> Option<OfItself> {
        Some(OfItself { not_ready: file::check(&self.folder).err(), takes_new_clients: true })
    }
}

/// Rolls the id of a new version.
fn random_version() -> Result<VersionId, Failure> {
    crate::random_bytes().map(VersionId::from_random_bytes).map_err(|error| Failure::Directory {
        trouble: DirectoryTrouble::Other,
        what: format!("no random numbers: {error}"),
    })
}

#[cfg(test)]
mod tests;
