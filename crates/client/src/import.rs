//! Bringing tasks in: records of Taskwarrior's JSON, and whole replicas of other programs.

use std::path::{Path, PathBuf};

use tandem_core::{TaskId, Timestamp, VersionId};
use tandem_exchange::{ImportRecord, Outcome, merge};
use tandem_replica::{EditError, OpenOptions, Replica, SqliteStorage, StorageError, TakenOver};

use crate::{LOCK_WAIT, LockError, SyncLock, new_task_id, system_now};

/// What an import did, in tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Tasks that were not here.
    pub new: u64,
    /// Tasks that the records changed.
    pub updated: u64,
    /// Tasks that said already what the records say.
    pub unchanged: u64,
    /// Records older than what is here: left alone.
    pub older: u64,
    /// What is odd about records of an export. They were taken as they are.
    pub odd: Vec<Odd>,
}

/// Why records were not imported. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A record that somebody wrote, and that cannot be what was meant.
    #[error("{0}")]
    Odd(Odd),
    /// The replica's database, or the source of new ids.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is odd about a record: refused if a person wrote it, since it is a slip; told if an export
/// has it, since a replica may hold such a task, and an export must be able to carry it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Odd {
    /// A record of a new task that does not say what is to be done: somebody forgot its description,
    /// or slipped while writing the field's name. One that names a task that is here may say only
    /// what changes about it.
    #[error("record {record}{} has no description", named(*uuid))]
    NoDescription {
        /// The record, counted from 1.
        record: usize,
        /// The uuid in it, of a task that is not here.
        uuid: Option<TaskId>,
    },
    /// A record with a status that no program knows: hardly a list would show the task.
    #[error("record {record}{} has the status `{status}`", named(*uuid))]
    NotStatus {
        /// The record, counted from 1.
        record: usize,
        /// The uuid in it.
        uuid: Option<TaskId>,
        /// What it says, cut at 60 characters.
        status: String,
    },
}

/// The states of a task that Taskwarrior knows. (It reads `waiting` as pending with a `wait`.)
const STATUSES: [&str; 5] = ["pending", "waiting", "completed", "deleted", "recurring"];

fn named(uuid: Option<TaskId>) -> String {
    uuid.map(|uuid| format!(" (task {uuid})")).unwrap_or_default()
}

/// Merges records into a replica, as one step. Each change is stamped with the record's own
/// `modified`, so an older record never beats a newer edit, here or elsewhere. New tasks are
/// numbered in the order of their `entry`.
///
/// # Errors
/// [`EditError`], with an [`ImportError`] for a record that cannot be what was meant; nothing was
/// changed then.
pub fn import_records(
    replica: &mut Replica,
    records: Vec<ImportRecord>,
    now: Timestamp,
) -> Result<Imported, EditError<ImportError>> {
    let edited = replica.edit("import", now, |editor| {
        let mut imported = Imported::default();
        let mut touched: Vec<Place> = Vec::new();
        for (place, record) in records.into_iter().enumerate() {
            let described =
                record.task.get("description").is_some_and(|text| !text.trim().is_empty());
            let id = match record.uuid {
                Some(id) => id,
                None => new_id()?,
            };
            let existing = editor.task(id)?;
            let changes = match merge(existing.as_ref(), &record, now.seconds()) {
                Outcome::New(changes) => {
                    if !described {
                        let (number, uuid) = (record.number, record.uuid);
                        imported.take(&record, Odd::NoDescription { record: number, uuid })?;
                    }
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
                let status = change.value.as_deref().filter(|_| change.property == "status");
                if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
                    let status = status.chars().take(60).collect();
                    let (number, uuid) = (record.number, record.uuid);
                    imported.take(&record, Odd::NotStatus { record: number, uuid, status })?;
                }
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
        Ok(imported)
    })?;
    Ok(edited.result)
}

impl Imported {
    /// Keeps what is odd about a record of an export; refuses any other.
    fn take(&mut self, record: &ImportRecord, odd: Odd) -> Result<(), ImportError> {
        if !record.is_exported {
            return Err(ImportError::Odd(odd));
        }
        self.odd.push(odd);
        Ok(())
    }
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
    /// A sync of ours, or another import into it, is running.
    #[error(transparent)]
    Locked(#[from] LockError),
}

/// What was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Tasks.
    pub tasks: u64,
    /// Changes that wait for a server.
    pub pending: u64,
    /// The base version.
    pub base: VersionId,
    /// `ta` has used the source before; its settings are kept elsewhere and were not taken over.
    pub was_ours: bool,
    /// What the base belongs to, by its address or folder, where `ta` has synchronised the source.
    pub place: Option<String>,
}

/// Makes the empty replica at `target` a copy of the one at `source`: tasks, base version, pending
/// operations, working set. The source is only read, also when it has an older format: the copy is
/// upgraded.
///
/// The copy is made beside the target first, then taken over in one transaction of the target's own
/// file, so that what another program adds meanwhile is either found (and then nothing is taken
/// over) or added to what was. No sync and no second import of the target runs meanwhile.
///
/// # Errors
/// [`AdoptError`]; the target was left as it is.
pub fn adopt_replica(source: &Path, target: &Path) -> Result<Adopted, AdoptError> {
    let same = std::fs::canonicalize(source).ok() == std::fs::canonicalize(target).ok();
    if same && target.exists() {
        return Err(AdoptError::SameFile);
    }
    let (mut storage, _) = SqliteStorage::open(target, &OpenOptions::default())?;
    let folder = target.parent().unwrap_or(Path::new("."));
    let _lock = SyncLock::take(folder, LOCK_WAIT, system_now())?;
    let mut copy_name = target.as_os_str().to_owned();
    copy_name.push(".taken-over");
    let copy = Copy(PathBuf::from(copy_name));
    // What an import that was killed left.
    copy.remove();
    let only_read = OpenOptions { read_only: true, create: false, ..OpenOptions::default() };
    let (theirs, notes) = SqliteStorage::open(source, &only_read)?;
    theirs.copy_to(&copy.0)?;
    let place = match notes.had_our_tables {
        true => place_of(Replica::new(theirs))?,
        false => None,
    };
    // Opening it brings it to our schema.
    drop(SqliteStorage::open(&copy.0, &OpenOptions::default())?);
    if let TakenOver::NotEmpty { tasks } = storage.take_over(&copy.0)? {
        return Err(AdoptError::NotEmpty { tasks });
    }
    let mut ours = Replica::new(storage);
    Ok(Adopted {
        tasks: ours.read(|txn| txn.task_count())?,
        pending: ours.pending_changes()?,
        base: ours.base_version()?,
        was_ours: notes.had_our_tables,
        place,
    })
}

/// What the base of a replica belongs to.
fn place_of(mut replica: Replica) -> Result<Option<String>, StorageError> {
    let (met, current) = replica.remotes()?;
    Ok(met.into_iter().find(|row| Some(row.id) == current).map(|row| row.label))
}

/// The copy beside the target, removed with all that SQLite puts beside it.
struct Copy(PathBuf);

impl Copy {
    fn remove(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(suffix);
            // Usually it is not there; if it cannot be removed, the next copy says why.
            let _ = std::fs::remove_file(PathBuf::from(name));
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open;

    fn add(replica: &mut Replica, description: &str) {
        let id = new_task_id().unwrap();
        let added = replica.edit("add", system_now(), |editor| {
            editor.create(id)?;
            editor.set(id, "status", Some("pending"))?;
            editor.set(id, "description", Some(description))
        });
        added.unwrap();
    }

    #[test]
    fn a_program_that_has_the_empty_replica_open_goes_on_in_what_was_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        let file = |folder: &Path| folder.join(crate::REPLICA_FILE);
        let mut theirs = open(&source).unwrap();
        add(&mut theirs, "one");
        add(&mut theirs, "two");
        theirs.undo(system_now()).unwrap();

        let mut ours = open(&target).unwrap();
        let adopted = adopt_replica(&file(&source), &file(&target)).unwrap();
        assert_eq!((adopted.tasks, adopted.pending), (1, 3));
        add(&mut ours, "meanwhile");
        assert_eq!(ours.numbered_tasks().unwrap().len(), 2);
        let mut again = open(&target).unwrap();
        assert_eq!(again.all_tasks().unwrap(), ours.all_tasks().unwrap());
        assert_eq!(again.steps(9).unwrap().len(), 2);
        assert!(again.check().unwrap().is_empty());
        // Numbers of operations that are gone are not given again.
        let highest = |replica: &mut Replica| replica.read(|txn| txn.last_operation_id()).unwrap();
        assert!(highest(&mut again) > highest(&mut theirs));

        let refused = adopt_replica(&file(&source), &file(&target));
        assert!(matches!(refused, Err(AdoptError::NotEmpty { tasks: 2 })), "{refused:?}");
        let left: Vec<_> = std::fs::read_dir(&target).unwrap().collect();
        assert!(
            left.iter().all(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                !name.to_string_lossy().contains("taken-over")
            }),
            "{left:?}"
        );
    }
}
