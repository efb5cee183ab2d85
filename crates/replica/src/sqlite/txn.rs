//! One SQLite transaction, row by row.
//!
//! Two traps decide the form of the SQL here. A `STRING` column has numeric affinity, so a text
//! that looks like a number, the first eight digits of an id for instance, is compared as a
//! number: look-ups pass whole dashed ids only. And a column with a unary plus is kept from
//! choosing the index: of `synced` and `uuid` the second is by far the more selective.

use rusqlite::params;
use serde::Serialize;
use tandem_core::{TaskId, VersionId, limits};
use tandem_tasks::{LocalOperation, Task};

use super::cells::Cells;
use super::rows;
use super::statements::{SqliteTxn, WRITING};
use crate::storage::{
    AppliedRow, ConflictRow, InFlightRow, LoggedOperation, OperationId, PendingMark, RemoteRow,
    Result, StepRow, TaskNumber, Txn,
};

/// JSON of our own types.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("every map key is a string, and memory takes every write")
}

fn key(id: TaskId) -> String {
    id.to_string()
}

/// 0 stands for "give it a new number", which SQLite spells NULL.
fn new_if_zero(id: i64) -> Option<i64> {
    (id != 0).then_some(id)
}

/// Operations that one statement marks as synchronised at most.
const MARKED_PER_STATEMENT: i64 = 1_000;

impl Txn for SqliteTxn<'_> {
    fn commit(self: Box<Self>) -> Result<()> {
        self.still_open()?;
        let commit = || self.connection.prepare_cached("COMMIT")?.execute([]);
        // What is left open by an error is taken back by the drop.
        commit().map(drop).map_err(|error| self.place.error("committing", error))
    }

    fn task(&mut self, id: TaskId) -> Result<Option<Task>> {
        let sql = "SELECT uuid, data FROM tasks WHERE uuid = ?1";
        self.one("tasks", sql, [key(id)], |cells| cells.json(1))
    }

    fn put_task(&mut self, id: TaskId, task: Option<&Task>) -> Result<()> {
        // Not REPLACE: the row keeps its place, which is the order in which the reference numbers.
        let sql = "INSERT INTO tasks (uuid, data) VALUES (?1, ?2) \
                   ON CONFLICT (uuid) DO UPDATE SET data = excluded.data";
        match task {
            Some(task) => self.run(sql, params![key(id), json(task)]),
            None => self.run("DELETE FROM tasks WHERE uuid = ?1", [key(id)]),
        }
        .map(drop)
    }

    fn each_task(&mut self, visit: &mut dyn FnMut(TaskId, Task) -> Result<()>) -> Result<()> {
        self.each("tasks", "SELECT uuid, data FROM tasks", [], |cells| {
            visit(cells.parsed(0)?, cells.json(1)?)
        })
    }

    fn task_count(&mut self) -> Result<u64> {
        self.count("tasks", "SELECT count(*) FROM tasks")
    }

    fn task_ids_with_prefix(&mut self, prefix: &str, max: usize) -> Result<Vec<TaskId>> {
        let Some((low, high)) = rows::ids_with_prefix(prefix) else { return Ok(Vec::new()) };
        let sql = "SELECT uuid FROM tasks WHERE uuid BETWEEN ?1 AND ?2 ORDER BY uuid LIMIT ?3";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.many("tasks", sql, params![low, high, max], |cells| cells.parsed(0))
    }

    fn clear_tasks(&mut self) -> Result<()> {
        self.run("DELETE FROM tasks", []).map(drop)
    }

    fn append(&mut self, operation: &LocalOperation, synced: bool) -> Result<OperationId> {
        let sql = "INSERT INTO operations (data, synced) VALUES (?1, ?2)";
        self.run(sql, params![json(operation), synced])?;
        Ok(OperationId(self.connection.last_insert_rowid()))
    }

    fn each_pending(
        &mut self,
        visit: &mut dyn FnMut(OperationId, LocalOperation) -> Result<()>,
    ) -> Result<()> {
        let sql = "SELECT id, data FROM operations WHERE synced = 0 ORDER BY id";
        self.each("operations", sql, [], |cells| {
            visit(OperationId(cells.integer(0)?), cells.json(1)?)
        })
    }

    fn pending_of(&mut self, task: TaskId) -> Result<Vec<(OperationId, LocalOperation)>> {
        let sql = "SELECT id, data FROM operations WHERE uuid = ?1 AND +synced = 0 ORDER BY id";
        self.many("operations", sql, [key(task)], |cells| {
            Ok((OperationId(cells.integer(0)?), cells.json(1)?))
        })
    }

    fn pending_mark(&mut self) -> Result<PendingMark> {
        // Apart, each is one step in the index; together they would be a pass over all of them.
        let sql = "SELECT (SELECT min(id) FROM operations WHERE synced = 0), \
                          (SELECT max(id) FROM operations WHERE synced = 0)";
        let mark = self.one("operations", sql, [], |cells| {
            Ok(PendingMark {
                first: cells.optional(0, Cells::integer)?.map(OperationId),
                last: cells.optional(1, Cells::integer)?.map(OperationId),
            })
        })?;
        Ok(mark.unwrap_or_default())
    }

    fn operations_of(&mut self, task: TaskId) -> Result<Vec<LoggedOperation>> {
        let sql = "SELECT id, data, synced FROM operations WHERE uuid = ?1 ORDER BY id";
        self.many("operations", sql, [key(task)], rows::logged)
    }

    fn operations_between(
        &mut self,
        first: OperationId,
        last: OperationId,
    ) -> Result<Vec<LoggedOperation>> {
        let sql = "SELECT id, data, synced FROM operations WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        self.many("operations", sql, [first.0, last.0], rows::logged)
    }

    fn last_operation_id(&mut self) -> Result<Option<OperationId>> {
        let sql = "SELECT seq FROM main.sqlite_sequence WHERE name = 'operations' AND seq > 0";
        self.one("sqlite_sequence", sql, [], |cells| cells.integer(0).map(OperationId))
    }

    fn mark_synced(&mut self, first: OperationId, last: OperationId) -> Result<()> {
        // Undo points are about no task: the index on `uuid` finds them without reading the rest.
        let undo_points = "DELETE FROM operations WHERE uuid IS NULL AND id BETWEEN ?1 AND ?2 \
                           AND +synced = 0 AND data = '\"UndoPoint\"'";
        self.run(undo_points, [first.0, last.0])?;
        // In several statements: to be able to take one back SQLite keeps in memory every page that
        // it touches.
        let sql = "UPDATE operations SET synced = 1 WHERE id IN (SELECT id FROM operations \
                   WHERE synced = 0 AND id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3)";
        while self.run(sql, [first.0, last.0, MARKED_PER_STATEMENT])? > 0 {}
        Ok(())
    }

    fn replace_operation(&mut self, id: OperationId, operation: &LocalOperation) -> Result<()> {
        let sql = "UPDATE operations SET data = ?2 WHERE id = ?1";
        match self.run(sql, params![id.0, json(operation)])? {
            0 => Err(self.place.other(WRITING, format!("there is no operation {}", id.0))),
            _ => Ok(()),
        }
    }

    fn remove_operations(
        &mut self,
        first: OperationId,
        last: OperationId,
        synced: bool,
    ) -> Result<u64> {
        let sql = "DELETE FROM operations WHERE synced = ?3 AND id BETWEEN ?1 AND ?2";
        Ok(self.run(sql, params![first.0, last.0, synced])? as u64)
    }

    fn base_version(&mut self) -> Result<VersionId> {
        let sql = "SELECT key, value FROM sync_meta WHERE key = 'base_version'";
        let version = self.one("sync_meta", sql, [], |cells| cells.parsed(1))?;
        Ok(version.unwrap_or(VersionId::NIL))
    }

    fn set_base_version(&mut self, version: VersionId) -> Result<()> {
        if version.is_nil() {
            return self.run("DELETE FROM sync_meta WHERE key = 'base_version'", []).map(drop);
        }
        let sql = "INSERT INTO sync_meta (key, value) VALUES ('base_version', ?1) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.run(sql, [version.to_string()]).map(drop)
    }

    fn working_set(&mut self) -> Result<Vec<(TaskNumber, TaskId)>> {
        self.many("working_set", "SELECT id, uuid FROM working_set ORDER BY id", [], |cells| {
            Ok((cells.number(0)?, cells.parsed(1)?))
        })
    }

    fn each_numbered(
        &mut self,
        visit: &mut dyn FnMut(TaskNumber, TaskId, Task) -> Result<()>,
    ) -> Result<()> {
        // CROSS keeps the order of the two: by number, each task looked up by its id.
        let sql = "SELECT t.uuid, w.id, t.data \
                   FROM working_set AS w CROSS JOIN tasks AS t ON t.uuid = w.uuid ORDER BY w.id";
        self.each("tasks", sql, [], |cells| {
            visit(cells.number(1)?, cells.parsed(0)?, cells.json(2)?)
        })
    }

    fn task_with_number(&mut self, number: TaskNumber) -> Result<Option<TaskId>> {
        let sql = "SELECT id, uuid FROM working_set WHERE id = ?1";
        self.one("working_set", sql, [number], |cells| cells.parsed(1))
    }

    fn number_of(&mut self, task: TaskId) -> Result<Option<TaskNumber>> {
        let sql = "SELECT id FROM working_set WHERE uuid = ?1 ORDER BY id LIMIT 1";
        self.one("working_set", sql, [key(task)], |cells| cells.number(0))
    }

    fn give_number(&mut self, task: TaskId) -> Result<TaskNumber> {
        if let Some(number) = self.number_of(task)? {
            return Ok(number);
        }
        let sql = "SELECT coalesce(max(id), 0) + 1 FROM working_set";
        let number = self.one("working_set", sql, [], |cells| cells.number(0))?.unwrap_or(1);
        self.run("INSERT INTO working_set (id, uuid) VALUES (?1, ?2)", params![number, key(task)])?;
        Ok(number)
    }

    fn take_number(&mut self, task: TaskId) -> Result<()> {
        self.run("DELETE FROM working_set WHERE uuid = ?1", [key(task)]).map(drop)
    }

    fn set_working_set(&mut self, members: &[(TaskNumber, TaskId)]) -> Result<()> {
        self.run("DELETE FROM working_set", [])?;
        for (number, task) in members {
            let sql = "INSERT INTO working_set (id, uuid) VALUES (?1, ?2)";
            self.run(sql, params![number, key(*task)])?;
        }
        Ok(())
    }

    fn base_image(&mut self, task: TaskId) -> Result<Option<Option<Task>>> {
        let sql = "SELECT uuid, data FROM tandem_base WHERE uuid = ?1";
        self.one("tandem_base", sql, [key(task)], |cells| cells.optional(1, Cells::json))
    }

    fn put_base_image(&mut self, task: TaskId, image: Option<&Task>) -> Result<()> {
        let sql = "INSERT INTO tandem_base (uuid, data) VALUES (?1, ?2) \
                   ON CONFLICT (uuid) DO UPDATE SET data = excluded.data";
        self.run(sql, params![key(task), image.map(json)]).map(drop)
    }

    fn remove_base_image(&mut self, task: TaskId) -> Result<()> {
        self.run("DELETE FROM tandem_base WHERE uuid = ?1", [key(task)]).map(drop)
    }

    fn base_images(&mut self) -> Result<Vec<(TaskId, Option<Task>)>> {
        self.many("tandem_base", "SELECT uuid, data FROM tandem_base ORDER BY uuid", [], |cells| {
            Ok((cells.parsed(0)?, cells.optional(1, Cells::json)?))
        })
    }

    fn clear_base_images(&mut self) -> Result<()> {
        self.run("DELETE FROM tandem_base", []).map(drop)
    }

    fn put_step(&mut self, step: &StepRow) -> Result<i64> {
        let StepRow { id, first, last, at, origin, undone } = step;
        let row = params![new_if_zero(*id), first.0, last.0, at.to_string(), json(origin), undone];
        self.put(*id, include_str!("sql/put_step.sql"), row)
    }

    fn remove_step(&mut self, id: i64) -> Result<()> {
        self.run("DELETE FROM tandem_step WHERE id = ?1", [id]).map(drop)
    }

    fn steps(&mut self, before: Option<i64>, max: usize) -> Result<Vec<StepRow>> {
        let sql = "SELECT id, first, last, at, origin, undone FROM tandem_step \
                   WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.many("tandem_step", sql, [before.unwrap_or(i64::MAX), max], rows::step)
    }

    fn oldest_steps(&mut self, max: usize) -> Result<Vec<StepRow>> {
        let sql = "SELECT id, first, last, at, origin, undone FROM tandem_step \
                   ORDER BY id LIMIT ?1";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.many("tandem_step", sql, [max], rows::step)
    }

    fn step_of(&mut self, operation: OperationId) -> Result<Option<StepRow>> {
        // Steps do not overlap, so only the nearest one that begins before can hold it.
        let sql = "SELECT id, first, last, at, origin, undone FROM tandem_step \
                   WHERE first <= ?1 ORDER BY first DESC, id DESC LIMIT 1";
        let step = self.one("tandem_step", sql, [operation.0], rows::step)?;
        Ok(step.filter(|step| operation <= step.last))
    }

    fn step_count(&mut self) -> Result<u64> {
        self.count("tandem_step", "SELECT count(*) FROM tandem_step")
    }

    fn in_flight(&mut self) -> Result<Option<InFlightRow>> {
        let sql = "SELECT singleton, remote, parent, digest, count, ranges FROM tandem_in_flight";
        self.one("tandem_in_flight", sql, [], rows::in_flight)
    }

    fn set_in_flight(&mut self, row: Option<&InFlightRow>) -> Result<()> {
        let Some(InFlightRow { remote, parent, digest, count, ranges }) = row else {
            return self.run("DELETE FROM tandem_in_flight", []).map(drop);
        };
        let sql = "INSERT OR REPLACE INTO tandem_in_flight \
                   (singleton, remote, parent, digest, count, ranges) VALUES (0, ?1, ?2, ?3, ?4, ?5)";
        self.run(
            sql,
            params![
                remote,
                parent.to_string(),
                digest,
                i64::try_from(*count).unwrap_or(i64::MAX),
                json(ranges)
            ],
        )
        .map(drop)
    }

    fn put_applied(&mut self, row: &AppliedRow) -> Result<()> {
        let AppliedRow { version, parent, remote, hole, mark, sent } = row;
        // Counted once in a transaction: it reads an index of 10,000 entries.
        let count = match self.applied_count {
            Some(count) => count,
            None => self.count("tandem_applied", "SELECT count(*) FROM tandem_applied")?,
        };
        let again =
            self.run("DELETE FROM tandem_applied WHERE version = ?1", [version.to_bytes()])?;
        let sql = "INSERT INTO tandem_applied (version, parent, remote, hole, mark, sent) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let sent = sent.map(|at| at.to_string());
        let (version_bytes, parent) = (version.to_bytes(), parent.to_bytes());
        self.run(sql, params![version_bytes, parent, remote, hole, mark.0, sent])?;
        let mut count = count + 1 - again as u64;
        if let Some(excess @ 1..) = count.checked_sub(limits::APPLIED_VERSIONS_MAX) {
            let sql = "DELETE FROM tandem_applied WHERE id IN \
                       (SELECT id FROM tandem_applied ORDER BY id LIMIT ?1)";
            count -= self.run(sql, [excess.cast_signed()])? as u64;
        }
        self.applied_count = Some(count);
        Ok(())
    }

    fn applied(&mut self, version: VersionId) -> Result<Option<AppliedRow>> {
        let sql = "SELECT id, version, parent, remote, hole, mark, sent FROM tandem_applied \
                   WHERE version = ?1";
        self.one("tandem_applied", sql, [version.to_bytes()], rows::applied)
    }

    fn all_applied(&mut self) -> Result<Vec<AppliedRow>> {
        let sql = "SELECT id, version, parent, remote, hole, mark, sent FROM tandem_applied \
                   ORDER BY id";
        self.many("tandem_applied", sql, [], rows::applied)
    }

    fn remove_applied(&mut self, version: VersionId) -> Result<()> {
        self.applied_count = None;
        self.run("DELETE FROM tandem_applied WHERE version = ?1", [version.to_bytes()]).map(drop)
    }

    fn put_remote(&mut self, row: &RemoteRow) -> Result<i64> {
        let params = params![
            new_if_zero(row.id),
            row.key,
            row.label,
            row.last_base.to_string(),
            row.answered,
            row.needs_new_history,
            row.joining,
            row.proof,
            row.wanted_snapshot.map(|version| version.to_string()),
        ];
        self.put(row.id, include_str!("sql/put_remote.sql"), params)
    }

    fn remote(&mut self, id: i64) -> Result<Option<RemoteRow>> {
        let sql = "SELECT * FROM tandem_remote WHERE id = ?1";
        self.one("tandem_remote", sql, [id], rows::remote)
    }

    fn remote_by_key(&mut self, key: &str) -> Result<Option<RemoteRow>> {
        let sql = "SELECT * FROM tandem_remote WHERE key = ?1";
        self.one("tandem_remote", sql, [key], rows::remote)
    }

    fn remotes(&mut self) -> Result<Vec<RemoteRow>> {
        self.many("tandem_remote", "SELECT * FROM tandem_remote ORDER BY id", [], rows::remote)
    }

    fn put_conflict(&mut self, row: &ConflictRow) -> Result<i64> {
        let params = params![
            new_if_zero(row.id),
            row.at.to_string(),
            key(row.task),
            row.property.as_deref(),
            row.base.as_deref(),
            row.kept.as_deref(),
            row.lost.as_deref(),
            row.lost_here,
            row.lost_task.as_ref().map(json),
            row.description,
            row.resolved,
        ];
        self.put(row.id, include_str!("sql/put_conflict.sql"), params)
    }

    fn conflict(&mut self, id: i64) -> Result<Option<ConflictRow>> {
        let sql = "SELECT * FROM tandem_conflict WHERE id = ?1";
        self.one("tandem_conflict", sql, [id], rows::conflict)
    }

    fn conflicts(&mut self, with_resolved: bool) -> Result<Vec<ConflictRow>> {
        let sql = match with_resolved {
            true => "SELECT * FROM tandem_conflict ORDER BY id",
            false => "SELECT * FROM tandem_conflict WHERE resolved = 0 ORDER BY id",
        };
        self.many("tandem_conflict", sql, [], rows::conflict)
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>> {
        let sql = "SELECT key, value FROM tandem_meta WHERE key = ?1";
        self.one("tandem_meta", sql, [key], |cells| cells.text(1).map(str::to_owned))
    }

    fn set_meta(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        debug_assert_ne!(key, super::schema::TANDEM_SCHEMA_KEY, "the schema number is ours");
        let sql = "INSERT INTO tandem_meta (key, value) VALUES (?1, ?2) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        match value {
            Some(value) => self.run(sql, [key, value]),
            None => self.run("DELETE FROM tandem_meta WHERE key = ?1", [key]),
        }
        .map(drop)
    }
}
