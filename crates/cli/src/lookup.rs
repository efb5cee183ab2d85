//! From words to tasks: numbers and uuid prefixes looked up, filters carried out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tandem_core::TaskId;
use tandem_replica::{StorageError, TaskNumber, Txn};
use tandem_tasks::Task;
use tandem_words::text::escape;
use tandem_words::{Candidate, Context, Filter, IdWord, Vocabulary, WordsError};

use crate::fail::Fail;

/// Tasks that a uuid prefix may name before it is called ambiguous.
const PREFIX_MATCHES_MAX: usize = 1_000;

/// A task that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: TaskId,
    pub(crate) number: Option<TaskNumber>,
    pub(crate) task: Task,
    pub(crate) blocked: bool,
    pub(crate) blocking: bool,
    pub(crate) is_latest: bool,
}

impl Found {
    pub(crate) fn candidate(&self) -> Candidate<'_> {
        Candidate {
            id: self.id,
            number: self.number,
            task: &self.task,
            blocked: self.blocked,
            blocking: self.blocking,
            is_latest: self.is_latest,
        }
    }

    /// What a person calls the task: its number, or the beginning of its uuid.
    pub(crate) fn name(&self) -> String {
        name(self.id, self.number)
    }

    pub(crate) fn description(&self) -> String {
        escape(self.task.get("description").unwrap_or("")).into_owned()
    }
}

/// What a person calls a task.
pub(crate) fn name(id: TaskId, number: Option<TaskNumber>) -> String {
    match number {
        Some(number) => number.to_string(),
        None => id.to_string().chars().take(8).collect(),
    }
}

/// Reads tasks of one transaction.
pub(crate) struct Lookup<'t> {
    txn: RefCell<&'t mut dyn Txn>,
    failed: RefCell<Option<StorageError>>,
}

impl<'t> Lookup<'t> {
    pub(crate) fn new(txn: &'t mut dyn Txn) -> Self {
        Self { txn: RefCell::new(txn), failed: RefCell::new(None) }
    }

    /// Finds the task that a number, a uuid or the beginning of one names.
    pub(crate) fn resolve(&self, word: &str) -> Result<TaskId, WordsError> {
        let unknown = || WordsError::UnknownTask { word: escape(word).into_owned() };
        let is_number = word.len() < 8 && word.bytes().all(|byte| byte.is_ascii_digit());
        let mut txn = self.txn.borrow_mut();
        let found = if is_number {
            let number = word.parse().map_err(|_| unknown())?;
            txn.task_with_number(number).map(|id| id.into_iter().collect())
        } else if let Some(prefix) = dashed_prefix(word) {
            txn.task_ids_with_prefix(&prefix, PREFIX_MATCHES_MAX)
        } else {
            Ok(Vec::new())
        };
        match found {
            Ok(ids) => match ids[..] {
                [] => Err(unknown()),
                [id] => Ok(id),
                _ => Err(WordsError::AmbiguousTask {
                    word: escape(word).into_owned(),
                    count: ids.len(),
                }),
            },
            Err(error) => {
                *self.failed.borrow_mut() = Some(error);
                Err(unknown())
            }
        }
    }

    fn known(&self, word: &str) -> Result<TaskId, Fail> {
        let id = self.resolve(word);
        self.check()?;
        Ok(id?)
    }

    /// A storage error that [`Self::resolve`] met, which matters more than what it answered.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// The tasks that `words` mean, in the order of their numbers; an id that names none is an
    /// error. `default` adds what a report shows when the words leave it open.
    pub(crate) fn select(
        &self,
        words: &[String],
        context: &Context,
        vocabulary: &Vocabulary,
        default: bool,
    ) -> Result<Vec<Found>, Fail> {
        let resolve = |word: &str| self.resolve(word);
        let parsed = Filter::parse(words, context, vocabulary, &resolve);
        self.check()?;
        let mut filter = parsed?;
        if default {
            filter = filter.with_report_default();
        }
        let graph = self.dependencies()?;
        let latest = graph.tasks.iter().map(|(_, number, _)| *number).max();
        let ids = self.chosen(&filter)?;
        let mut found = Vec::new();
        let mut consider = |id: TaskId, number: Option<TaskNumber>, task: Task| {
            let (blocked, blocking) = (graph.is_blocked(id), graph.is_blocking(id));
            let is_latest = number.is_some() && number == latest;
            let candidate = Found { id, number, task, blocked, blocking, is_latest };
            if filter.matches(&candidate.candidate(), context) {
                found.push(candidate);
            }
        };
        if let Some(ids) = ids {
            for id in ids {
                let mut txn = self.txn.borrow_mut();
                let number = txn.number_of(id)?;
                if let Some(task) = txn.task(id)? {
                    consider(id, number, task);
                }
            }
        } else if filter.wants_only_pending() {
            for (id, number, task) in &graph.tasks {
                consider(*id, Some(*number), task.clone());
            }
        } else {
            let numbers: BTreeMap<TaskId, TaskNumber> =
                self.txn.borrow_mut().working_set()?.into_iter().map(|(n, id)| (id, n)).collect();
            self.txn.borrow_mut().each_task(&mut |id, task| {
                consider(id, numbers.get(&id).copied(), task);
                Ok(())
            })?;
        }
        found.sort_by_key(|found| (found.number.unwrap_or(TaskNumber::MAX), found.id));
        Ok(found)
    }

    /// The tasks that stand as ids among the words, or none if there are no ids.
    fn chosen(&self, filter: &Filter) -> Result<Option<BTreeSet<TaskId>>, Fail> {
        let words = filter.explicit_ids();
        if words.is_empty() {
            return Ok(None);
        }
        let mut ids = BTreeSet::new();
        for word in words {
            match word {
                IdWord::Range(first, last) => {
                    let members = self.txn.borrow_mut().working_set()?;
                    let within = members.iter().filter(|(n, _)| (first..=last).contains(&n));
                    ids.extend(within.map(|(_, id)| *id));
                }
                IdWord::Number(number) => drop(ids.insert(self.known(&number.to_string())?)),
                IdWord::Id(id) => drop(ids.insert(self.known(&id.to_string())?)),
                IdWord::Prefix(prefix) => drop(ids.insert(self.known(prefix)?)),
            }
        }
        Ok(Some(ids))
    }

    /// Who waits for whom among numbered tasks (`protocols/taskchampion.md` section 16).
    fn dependencies(&self) -> Result<Graph, StorageError> {
        let mut tasks = Vec::new();
        self.txn.borrow_mut().each_numbered(&mut |number, id, task| {
            tasks.push((id, number, task));
            Ok(())
        })?;
        let mut graph = Graph { tasks, ..Graph::default() };
        let has_dependencies = |task: &Task| {
            let from: tandem_tasks::Text = "dep_".into();
            task.properties.range(from..).next().is_some_and(|(key, _)| key.starts_with("dep_"))
        };
        if !graph.tasks.iter().any(|(_, _, task)| has_dependencies(task)) {
            return Ok(graph);
        }
        let pending: BTreeSet<TaskId> = graph
            .tasks
            .iter()
            .filter(|(_, _, task)| task.status() == tandem_tasks::Status::Pending)
            .map(|(id, _, _)| *id)
            .collect();
        for (id, _, task) in &graph.tasks {
            for key in task.properties.keys() {
                let Some(other) = key.strip_prefix("dep_").and_then(|id| id.parse().ok()) else {
                    continue;
                };
                if pending.contains(&other) {
                    graph.blocked.insert(*id);
                    graph.blocking.insert(other);
                }
            }
        }
        Ok(graph)
    }
}

#[derive(Default)]
struct Graph {
    tasks: Vec<(TaskId, TaskNumber, Task)>,
    blocked: BTreeSet<TaskId>,
    blocking: BTreeSet<TaskId>,
}

impl Graph {
    fn is_blocked(&self, id: TaskId) -> bool {
        self.blocked.contains(&id)
    }

    fn is_blocking(&self, id: TaskId) -> bool {
        self.blocking.contains(&id)
    }
}

/// A uuid, or the beginning of one, as the dashed lower-case text begins.
fn dashed_prefix(word: &str) -> Option<String> {
    let digits: String = word.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
    if digits.len() < 8 || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut dashed = String::with_capacity(36);
    for (n, digit) in digits.chars().enumerate() {
        if matches!(n, 8 | 12 | 16 | 20) {
            dashed.push('-');
        }
        dashed.push(digit);
    }
    Some(dashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_dashed_where_the_whole_is() {
        for (word, prefix) in [
            ("56e0be07", Some("56e0be07")),
            ("56E0BE07-C61F", Some("56e0be07-c61f")),
            ("56e0be07c61f", Some("56e0be07-c61f")),
            ("56e0be0", None),
            ("hello-wo", None),
        ] {
            assert_eq!(dashed_prefix(word).as_deref(), prefix);
        }
    }
}
