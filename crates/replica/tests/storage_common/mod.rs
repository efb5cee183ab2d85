//! Files of other programs, made by SQL from `protocols/taskchampion.md` section 15.
// Each test program uses some of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tandem_replica::storage::{Result, Storage};
use tandem_replica::{OpenNotes, OpenOptions, SqliteStorage};
use tandem_tasks::{LocalOperation, Task};
use tempfile::TempDir;

pub const TASK: &str = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
pub const VERSION: &str = "0a1b2c3d-c61f-494c-a54c-bdcfdd52d2a7";

const V08: &str = "
    CREATE TABLE operations (id INTEGER PRIMARY KEY AUTOINCREMENT, data STRING);
    CREATE TABLE sync_meta (key STRING PRIMARY KEY, value STRING);
    CREATE TABLE tasks (uuid STRING PRIMARY KEY, data STRING);
    CREATE TABLE working_set (id INTEGER PRIMARY KEY, uuid STRING);";
const COLUMNS_09: &str = r#"
    ALTER TABLE operations ADD COLUMN uuid GENERATED ALWAYS AS (
        coalesce(json_extract(data, "$.Update.uuid"), json_extract(data, "$.Create.uuid"),
                 json_extract(data, "$.Delete.uuid"))) VIRTUAL;
    CREATE INDEX operations_by_uuid ON operations (uuid);
    ALTER TABLE operations ADD COLUMN synced bool DEFAULT false;
    CREATE INDEX operations_by_synced ON operations (synced);"#;
const VERSION_TABLE: &str = "
    CREATE TABLE version (singleton INTEGER PRIMARY KEY CHECK (singleton = 0), major INTEGER,
                          minor INTEGER);";

/// The older schemas, and the current one as the real program makes it.
pub const SCHEMAS: [&str; 4] = ["0.8", "0.9", "0.1", "0.2"];

/// Makes a file of a schema, with some content; the connection is that of the other program.
pub fn foreign(path: &Path, schema: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    connection.execute_batch(V08).unwrap();
    let (columns, version) = match schema {
        "0.8" => (String::new(), None),
        "0.9" => (COLUMNS_09.into(), None),
        "0.1" => (COLUMNS_09.into(), Some((0, 1))),
        "0.2" => (COLUMNS_09.replace('"', "'"), Some((0, 2))),
        "0.3" => (COLUMNS_09.replace('"', "'"), Some((0, 3))),
        _ => (COLUMNS_09.replace('"', "'"), Some((1, 4))),
    };
    connection.execute_batch(&columns).unwrap();
    if let Some((major, minor)) = version {
        connection.execute_batch(VERSION_TABLE).unwrap();
        connection.execute("INSERT INTO version VALUES (0, ?1, ?2)", [major, minor]).unwrap();
    }
    fill(&connection);
    connection
}

fn fill(connection: &Connection) {
    let update = format!(
        r#"{{"Update":{{"uuid":"{TASK}","property":"description","old_value":null,"value":"milk","timestamp":"2023-11-14T22:13:20Z"}}}}"#
    );
    let delete = format!(r#"{{"Delete":{{"uuid":"{VERSION}","old_task":{{"a":"b"}}}}}}"#);
    let create = format!(r#"{{"Create":{{"uuid":"{TASK}"}}}}"#);
    for data in ["\"UndoPoint\"", &create, &update, &delete] {
        connection.execute("INSERT INTO operations (data) VALUES (?1)", [data]).unwrap();
    }
    let task = r#"{"description":"milk","status":"pending"}"#;
    connection.execute("INSERT INTO tasks VALUES (?1, ?2)", [TASK, task]).unwrap();
    connection.execute("INSERT INTO sync_meta VALUES ('base_version', ?1)", [VERSION]).unwrap();
    connection.execute("INSERT INTO working_set VALUES (4, ?1)", [TASK]).unwrap();
}

/// Asserts that a storage holds what [`foreign`] wrote.
#[track_caller]
pub fn assert_content(storage: &mut dyn Storage) {
    let mut txn = storage.read().unwrap();
    let task: Task = [("description", "milk"), ("status", "pending")].into_iter().collect();
    let id = TASK.parse().unwrap();
    assert_eq!(txn.task(id).unwrap(), Some(task));
    assert_eq!(txn.task_count().unwrap(), 1);
    assert_eq!(txn.base_version().unwrap().to_string(), VERSION);
    assert_eq!(txn.working_set().unwrap(), [(4, id)]);
    assert_eq!(txn.number_of(id).unwrap(), Some(4));
    assert_eq!(pending_count(txn.as_mut()), 4);
    let of_task = txn.pending_of(id).unwrap();
    assert_eq!(of_task.len(), 2);
    assert!(matches!(&of_task[1].1, LocalOperation::Update { value: Some(v), .. } if v == "milk"));
    assert_eq!(txn.last_operation_id().unwrap().unwrap().0, 4);
    assert_eq!(txn.in_flight().unwrap(), None);
    assert_eq!(txn.conflicts(true).unwrap(), []);
}

/// How many operations are pending, undo points included.
pub fn pending_count(txn: &mut dyn tandem_replica::storage::Txn) -> usize {
    let mut count = 0;
    txn.each_pending(&mut |_, _| {
        count += 1;
        Ok(())
    })
    .unwrap();
    count
}

/// Everything that can be read, read.
pub fn read_all(storage: &mut dyn Storage) -> Result<()> {
    let mut txn = storage.read()?;
    txn.each_task(&mut |_, _| Ok(()))?;
    txn.each_pending(&mut |_, _| Ok(()))?;
    let (first, last) = (tandem_replica::OperationId(0), tandem_replica::OperationId(i64::MAX));
    txn.operations_between(first, last)?;
    txn.working_set()?;
    txn.base_version()?;
    txn.base_images()?;
    txn.steps(None, 1000)?;
    txn.all_applied()?;
    txn.remotes()?;
    txn.conflicts(true)?;
    txn.in_flight()?;
    txn.meta("key").map(drop)
}

pub struct Folder(pub TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("taskchampion.sqlite3")
    }

    /// The files whose names begin with the database's and go on with `suffix`.
    pub fn beside(&self, suffix: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_prefix("taskchampion.sqlite3").map(str::to_owned))
            .filter(|rest| rest.starts_with(suffix))
            .collect();
        names.sort();
        names
    }
}

/// Writers wait a short time only.
pub fn hasty() -> OpenOptions {
    OpenOptions { busy_wait: Duration::from_millis(60), ..OpenOptions::default() }
}

pub fn open(path: &Path) -> Result<(SqliteStorage, OpenNotes)> {
    SqliteStorage::open(path, &hasty())
}
