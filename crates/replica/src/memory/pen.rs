//! Changing a state so that it can be taken back.

use std::collections::BTreeMap;

use super::{State, Undo};

/// Changes the state and keeps how to take that back.
pub(super) struct Pen<'a> {
    pub(super) state: &'a mut State,
    pub(super) journal: &'a mut Vec<Undo>,
}

impl Pen<'_> {
    /// Sets or removes an entry of a table; returns what was there.
    pub(super) fn set<K, V>(
        &mut self,
        table: fn(&mut State) -> &mut BTreeMap<K, V>,
        key: K,
        value: Option<V>,
    ) -> Option<V>
    where
        K: Ord + Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let put = move |state: &mut State, key: K, value: Option<V>| match value {
            Some(value) => table(state).insert(key, value),
            None => table(state).remove(&key),
        };
        let old = put(self.state, key.clone(), value);
        let before = old.clone();
        self.journal.push(Box::new(move |state| {
            put(state, key.clone(), before.clone());
        }));
        old
    }

    /// Replaces a whole part of the state; returns what was there.
    pub(super) fn replace<V>(&mut self, part: fn(&mut State) -> &mut V, value: V) -> V
    where
        V: Clone + Send + 'static,
    {
        let old = std::mem::replace(part(self.state), value);
        let before = old.clone();
        self.journal.push(Box::new(move |state| *part(state) = before.clone()));
        old
    }

    /// The next number of a counter, which a rollback gives back as SQLite's does.
    pub(super) fn next(&mut self, counter: fn(&mut State) -> &mut i64) -> i64 {
        let next = *counter(self.state) + 1;
        self.replace(counter, next);
        next
    }

    /// `id`, or a new number of the counter where it is 0.
    pub(super) fn number(&mut self, id: i64, counter: fn(&mut State) -> &mut i64) -> i64 {
        match id {
            0 => self.next(counter),
            id => {
                if *counter(self.state) < id {
                    self.replace(counter, id);
                }
                id
            }
        }
    }
}
