//! One open replica, and what each command does to it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taskchampion::chrono::Utc;
use taskchampion::storage::{AccessMode, Storage};
use taskchampion::{Operation, Operations, Replica, SqliteStorage, TaskData, Uuid};

use crate::command::{Answer, Command, Failure};
use crate::servers::{self, ServerAddress, Servers};

/// A replica with the things that must outlive one command.
pub struct Session {
    directory: PathBuf,
    replica: Replica<SqliteStorage>,
    /// Copies made by `hold`, by name.
    held: HashMap<String, TaskData>,
    servers: Servers,
    open_time: Duration,
}

impl Session {
    /// Opens the replica in `directory`, making both where missing.
    pub async fn open(directory: &Path) -> Result<Self, Failure> {
        let start = Instant::now();
        std::fs::create_dir_all(directory)
            .map_err(|error| Failure::new(format!("replica folder not made: {error}")))?;
        let storage = SqliteStorage::new(directory, AccessMode::ReadWrite, true).await?;
        Ok(Self {
            directory: directory.to_owned(),
            replica: Replica::new(storage),
            held: HashMap::new(),
            servers: Servers::default(),
            open_time: start.elapsed(),
        })
    }

    /// Carries out one command.
    pub async fn execute(&mut self, command: Command) -> Answer {
        match command {
            Command::Create {
                uuid,
                set,
                timestamp,
                undo_point,
            } => {
                let mut operations = start_operations(undo_point);
                operations.push(Operation::Create { uuid });
                operations.extend(set.into_iter().map(|(property, value)| Operation::Update {
                    uuid,
                    property,
                    old_value: None,
                    value: Some(value),
                    timestamp: timestamp.unwrap_or_else(Utc::now),
                }));
                self.commit(operations).await
            }
            Command::Update {
                uuid,
                property,
                value,
                timestamp,
                undo_point,
            } => {
                let task = self.replica.get_task_data(uuid).await?;
                let old_value = task.and_then(|task| task.get(&property).map(str::to_owned));
                let mut operations = start_operations(undo_point);
                operations.push(Operation::Update {
                    uuid,
                    property,
                    old_value,
                    value,
                    timestamp: timestamp.unwrap_or_else(Utc::now),
                });
                self.commit(operations).await
            }
            Command::Delete { uuid, undo_point } => {
                let mut task = self.existing_task(uuid).await?;
                let mut operations = start_operations(undo_point);
                task.delete(&mut operations);
                self.commit(operations).await
            }
            Command::Commit { operations } => self.commit(operations).await,
            Command::Many {
                count,
                properties,
                prefix,
                undo_point,
            } => {
                let mut operations = start_operations(undo_point);
                add_many(&mut operations, count, properties, &prefix);
                let start = Instant::now();
                self.replica.commit_operations(operations).await?;
                Ok(json!({
                    "elapsed_ms": milliseconds(start.elapsed()),
                    "open_ms": milliseconds(self.open_time),
                }))
            }
            Command::Hold { uuid, name } => {
                let task = self.existing_task(uuid).await?;
                self.held.insert(name, task);
                Ok(Value::Null)
            }
            Command::ChangeHeld {
                name,
                property,
                value,
                undo_point,
            } => {
                let task = self
                    .held
                    .get_mut(&name)
                    .ok_or_else(|| Failure::new(format!("nothing is held as {name}")))?;
                let mut operations = start_operations(undo_point);
                task.update(property, value, &mut operations);
                self.commit(operations).await
            }
            Command::Undo {} => {
                let operations = self.replica.get_undo_operations().await?;
                let is_done = self.replica.commit_reversed_operations(operations).await?;
                Ok(json!(is_done))
            }
            Command::Expire {} => {
                self.replica.expire_tasks().await?;
                Ok(Value::Null)
            }
            Command::Dump {} => {
                let tasks = self.replica.all_task_data().await?;
                let tasks: BTreeMap<String, BTreeMap<&String, &String>> = tasks
                    .iter()
                    .map(|(uuid, task)| (uuid.to_string(), task.iter().collect()))
                    .collect();
                Ok(serde_json::to_value(tasks)?)
            }
            Command::Base {} => {
                let mut storage = self.second_storage().await?;
                let base = storage.txn().await?.base_version().await?;
                Ok(json!(base))
            }
            Command::Counts {} => Ok(json!({
                "local_operations": self.replica.num_local_operations().await?,
                "undo_points": self.replica.num_undo_points().await?,
            })),
            Command::Pending {} => {
                let mut storage = self.second_storage().await?;
                let operations = storage.txn().await?.unsynced_operations().await?;
                Ok(serde_json::to_value(operations)?)
            }
            Command::History { uuid } => {
                let operations = self.replica.get_task_operations(uuid).await?;
                Ok(serde_json::to_value(operations)?)
            }
            Command::WorkingSet {} => {
                let working_set = self.replica.working_set().await?;
                Ok(working_set.iter().map(|entry| json!(entry)).collect())
            }
            Command::RebuildWorkingSet { renumber } => {
                self.replica.rebuild_working_set(renumber).await?;
                Ok(Value::Null)
            }
            Command::SyncLocal {
                server_dir,
                avoid_snapshots,
            } => {
                let address = ServerAddress::Local { server_dir };
                self.sync(address, avoid_snapshots).await
            }
            Command::SyncHttp {
                url,
                client_id,
                secret,
                avoid_snapshots,
            } => {
                let address = ServerAddress::Http {
                    url,
                    client_id,
                    secret,
                };
                self.sync(address, avoid_snapshots).await
            }
            Command::RawServer { server, call } => {
                let mut opened = self.servers.take(&server).await?;
                let answer = servers::call(opened.as_mut(), call).await;
                self.servers.keep(server, opened);
                answer
            }
        }
    }

    async fn commit(&mut self, operations: Operations) -> Answer {
        self.replica.commit_operations(operations).await?;
        Ok(Value::Null)
    }

    async fn existing_task(&mut self, uuid: Uuid) -> Result<TaskData, Failure> {
        let task = self.replica.get_task_data(uuid).await?;
        task.ok_or_else(|| Failure::new(format!("no task {uuid}")))
    }

    /// Opens the same database beside the replica, for the facts the replica does not tell.
    async fn second_storage(&self) -> Result<SqliteStorage, Failure> {
        Ok(SqliteStorage::new(&self.directory, AccessMode::ReadOnly, false).await?)
    }

    /// Syncs, and tells how long that took apart from opening the server (which derives the key).
    async fn sync(&mut self, address: ServerAddress, avoid_snapshots: bool) -> Answer {
        let start = Instant::now();
        let mut server = self.servers.take(&address).await?;
        let connect_time = start.elapsed();
        let start = Instant::now();
        let outcome = self.replica.sync(&mut server, avoid_snapshots).await;
        let elapsed = start.elapsed();
        self.servers.keep(address, server);
        outcome?;
        Ok(json!({
            "elapsed_ms": milliseconds(elapsed),
            "connect_ms": milliseconds(connect_time),
            "open_ms": milliseconds(self.open_time),
        }))
    }
}

/// Begins a list of operations, with an undo point if one is wanted.
fn start_operations(undo_point: bool) -> Operations {
    if undo_point {
        vec![Operation::UndoPoint]
    } else {
        Operations::new()
    }
}

/// Adds the operations of `count` new tasks with `properties` properties each.
fn add_many(operations: &mut Operations, count: usize, properties: usize, prefix: &str) {
    let timestamp = Utc::now();
    let epoch_seconds = timestamp.timestamp().to_string();
    for index in 0..count {
        let uuid = Uuid::new_v4();
        operations.push(Operation::Create { uuid });
        for number in 0..properties {
            // A pending task with the usual keys first, then as many made-up ones as are asked for.
            let (property, value) = match number {
                0 => ("status".to_owned(), "pending".to_owned()),
                1 => ("description".to_owned(), format!("{prefix} {index}")),
                2 => ("entry".to_owned(), epoch_seconds.clone()),
                3 => ("modified".to_owned(), epoch_seconds.clone()),
                4 => ("project".to_owned(), format!("project-{}", index % 10)),
                5 => ("priority".to_owned(), "M".to_owned()),
                _ => (format!("field_{number}"), format!("value {index}")),
            };
            operations.push(Operation::Update {
                uuid,
                property,
                old_value: None,
                value: Some(value),
                timestamp,
            });
        }
    }
}

/// Gives `duration` in milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
