//! Everything that servers ever accepted, and what it amounts to: the checkers' own memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_core::VersionId;
use tandem_tasks::{Operation, TaskSet, segment};

/// A version as the archive keeps it.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Its parent.
    pub parent: VersionId,
    /// What it says.
    pub operations: Vec<Operation>,
}

/// All versions of all servers of a run, those that were deleted or orphaned since included.
#[derive(Debug, Default)]
pub struct Archive {
    versions: BTreeMap<VersionId, Archived>,
    states: BTreeMap<VersionId, Arc<TaskSet>>,
}

impl Archive {
    /// Takes a version in. What it says is the server's bytes behind the mark that a sealing
    /// [`MemoryRemote`](tandem_remote::MemoryRemote) leaves.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, id: VersionId, parent: VersionId, bytes: &[u8]) -> Result<(), String> {
        let operations = segment::read(without_mark(bytes))
            .map_err(|error| format!("version {id} cannot be read: {error}"))?;
        if operations.is_empty() {
            return Err(format!("version {id} is empty"));
        }
        let mut state = self
            .state_at(parent)
            .ok_or_else(|| format!("version {id} has a parent {parent} that nobody made"))?
            .as_ref()
            .clone();
        for operation in &operations {
            operation.apply_to_set(&mut state);
        }
        self.states.insert(id, Arc::new(state));
        self.versions.insert(id, Archived { parent, operations });
        Ok(())
    }

    /// True if the version is known.
    pub fn holds(&self, id: VersionId) -> bool {
        self.versions.contains_key(&id)
    }

    /// The replay of the chain up to `id`.
    pub fn state_at(&self, id: VersionId) -> Option<Arc<TaskSet>> {
        if id.is_nil() {
            return Some(Arc::default());
        }
        self.states.get(&id).cloned()
    }

    /// The versions from the first one to `id`, oldest first.
    pub fn chain(&self, id: VersionId) -> Vec<(VersionId, &Archived)> {
        let mut chain = Vec::new();
        let mut at = id;
        while let Some(version) = self.versions.get(&at) {
            chain.push((at, version));
            at = version.parent;
        }
        chain.reverse();
        chain
    }

    /// All operations of all versions.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.versions.values().flat_map(|version| version.operations.iter())
    }
}

/// The bytes behind the mark `sealed with SECRET:`.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    match bytes.strip_prefix(b"sealed with ") {
        Some(rest) => {
            let mark = rest.iter().position(|byte| *byte == b':').map_or(rest.len(), |at| at + 1);
            &rest[mark..]
        }
        None => bytes,
    }
}
