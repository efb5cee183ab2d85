//! Bringing tasks in: records of Taskwarrior's JSON, and whole replicas of other programs.

use std::path::{Path, PathBuf};

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_exchange::{ImportRecord, Outcome, merge};
use tandem_replica::{EditError, OpenOptions, Replica, SqliteStorage, StorageError};

use crate::new_task_id;

/// What an import did, in tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Tasks that were not here.
    pub new: u64,
    /// Tasks that the records changed.
    pub updated: u64,
    /// Tasks that said already what the records say.
    pub unchanged: u64,
    /// Records older than what is here: left alone.
    pub older: u64,
}

/// Merges records into a replica, as one step. Each change is stamped with the record's own
/// `modified`, so an older record never beats a newer edit, here or elsewhere. New tasks are
/// numbered in the order of their `entry`.
///
/// # Errors
/// [`EditError`]; nothing was changed then.
pub fn import_records(
    replica: &mut Replica,
    records: Vec<ImportRecord>,
    now: Timestamp,
) -> Result<Imported, EditError<StorageError>> {
    let edited = replica.edit("import", now, |editor| {
        let mut imported = Imported::default();
        let mut touched: Vec<Place> = Vec::new();
        for (place, record) in records.into_iter().enumerate() {
            let id = match record.uuid {
                Some(id) => id,
                None => new_id()?,
            };
            let existing = editor.task(id)?;
            let changes = match merge(existing.as_ref(), &record, now.seconds()) {
                Outcome::New(changes) => {
                    imported.new += 1;
                    editor.create(id)?;
                    changes
                }
                Outcome::Updated(changes) => {
                    imported.updated += 1;
                    changes
                }
                Outcome::Unchanged => {
                    imported.unchanged += 1;
                    continue;
                }
                Outcome::Older => {
                    imported.older += 1;
                    continue;
                }
            };
            for change in changes {
                let at = Timestamp::from_seconds(change.seconds);
                editor.set_at(id, &change.property, change.value.as_deref(), at)?;
            }
            let entry = editor.task(id)?.and_then(|task| task.seconds("entry"));
            touched.push(Place { entry, uuid: record.uuid, place, id });
        }
        // A list that comes in keeps the order in which it was made.
        touched.sort_unstable();
        for task in touched {
            editor.number_of(task.id)?;
        }
        Ok::<_, StorageError>(imported)
    })?;
    Ok(edited.result)
}

/// Where an imported task stands among the others that get a number: by its entry, then by its
/// uuid; those that came without one by their place in the input, since theirs is random.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    entry: Option<i64>,
    uuid: Option<TaskId>,
    place: usize,
    id: TaskId,
}

fn new_id() -> Result<TaskId, StorageError> {
    new_task_id().map_err(|source| StorageError::Other {
        file: "random numbers".into(),
        doing: "making a task id",
        source: Box::new(source),
    })
}

/// Why a replica could not be taken over. Neither was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// Ours is not empty.
    #[error("the replica holds {tasks} tasks already")]
    NotEmpty {
        /// How many tasks it holds.
        tasks: u64,
    },
    /// Both names are one file.
    #[error("both are the same file")]
    SameFile,
    /// A database could not be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The copy could not be put in place.
    #[error("{path} cannot be replaced")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// Tasks.
    pub tasks: u64,
    /// Changes that wait for a server.
    pub pending: u64,
    /// The base version.
    pub base: VersionId,
}

/// Makes the empty replica at `target` a copy of the one at `source`: tasks, base version, pending
/// operations, working set. The source is only read, also when it has an older format: the copy is
/// upgraded.
///
/// # Errors
/// [`AdoptError`].
pub fn adopt_replica(source: &Path, target: &Path) -> Result<Adopted, AdoptError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| AdoptError::Io { path, source }
    };
    let same = std::fs::canonicalize(source).ok() == std::fs::canonicalize(target).ok();
    if same && target.exists() {
        return Err(AdoptError::SameFile);
    }
    if target.exists() {
        let (storage, _) = SqliteStorage::open(target, &OpenOptions::default())?;
        let mut ours = Replica::new(storage);
        let (tasks, base, operations) = ours.read(|txn| {
            Ok((txn.task_count()?, txn.base_version()?, txn.last_operation_id()?.is_some()))
        })?;
        if tasks > 0 || !base.is_nil() || operations {
            return Err(AdoptError::NotEmpty { tasks });
        }
    }
    let mut copy_name = target.as_os_str().to_owned();
    copy_name.push(".taken-over");
    let copy = PathBuf::from(copy_name);
    let _ = std::fs::remove_file(&copy);
    let only_read = OpenOptions { read_only: true, create: false, ..OpenOptions::default() };
    SqliteStorage::open(source, &only_read)?.0.copy_to(&copy)?;
    // The copy is a good replica before it takes the place of ours.
    drop(SqliteStorage::open(&copy, &OpenOptions::default())?);
    for suffix in ["-wal", "-shm"] {
        let mut name = target.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
    std::fs::rename(&copy, target).map_err(io(target))?;
    let (storage, _) = SqliteStorage::open(target, &OpenOptions::default())?;
    let mut ours = Replica::new(storage);
    Ok(Adopted {
        tasks: ours.read(|txn| txn.task_count())?,
        pending: ours.pending_changes()?,
        base: ours.base_version()?,
    })
}
