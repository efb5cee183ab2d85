//! A map that forgets: bounded, and what was not made lately goes first.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations. When the newer is full it becomes the older, and what was that goes: each step costs
/// the same, however much a flood brings.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    generation_max: usize,
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// Keeps at least the last half of `count_max` entries that were made or used, and no more than
    /// that.
    pub(crate) fn new(count_max: usize) -> Self {
        let generation_max = (count_max / 2).max(1);
        Self { generation_max, newer: HashMap::new(), older: HashMap::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.newer.get(key).or_else(|| self.older.get(key))
    }

    /// Changes an entry that is there.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.newer.get_mut(key).or_else(|| self.older.get_mut(key))
    }

    /// The entry, made if it is not there.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.newer.contains_key(&key) && self.newer.len() >= self.generation_max {
            self.older = std::mem::take(&mut self.newer);
        }
        let older = &mut self.older;
        match self.newer.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let value = older.remove(entry.key()).unwrap_or_else(make);
                entry.insert(value)
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(10);
        for number in 0..1000 {
            *recent.entry(number, || 0) += 1;
            *recent.entry(7777, || 0) += 1;
            assert!(recent.len() <= 10);
        }
        assert_eq!(
            (recent.get(&7777), recent.get(&999), recent.get(&0)),
            (Some(&1000), Some(&1), None)
        );
        *recent.get_mut(&999).unwrap() = 5;
        assert_eq!(*recent.entry(999, || 0), 5);
    }
}
