//! Rebasing the whole pending list over pulled operations.
//!
//! ```text
//!   base ──S1──S2──S3──▶ the server's chain
//!     \                \
//!     L1 L2 L3 …        L1' L2' L3' …   what is left of ours, to be pushed
//! ```
//!
//! Each server operation walks through the pending operations of its task in order. Every meeting
//! consumes one of the two ([`Meeting`] never keeps both unless they are apart), so with an index
//! by task and property the whole rebase is linear in the number of operations on both sides.
//!
//! The list never rewrites an operation; it only drops some. So operation ids stay true, and what
//! is kept beside the database always says the same as the database.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};

use serde::{Deserialize, Serialize};
use tandem_core::TaskId;
use tandem_core::limits::SEGMENT_OPERATIONS_BYTES_MAX;

use crate::model::Text;
use crate::operation::Operation;
use crate::segment::SegmentWriter;
use crate::transform::{Meeting, transform};

/// The place of an operation in the local log: grows, is never reused (`operations.id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub i64);

/// A pending operation: made here, not yet accepted by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the local log.
    pub id: OperationId,
    /// True for the first operation of a command (an undo point stands before it).
    pub starts_command: bool,
    /// What it does.
    pub operation: Operation,
}

/// Pending operations cut off for one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The plain segment.
    pub segment: Vec<u8>,
    /// How many operations it holds.
    pub count: usize,
    /// Their ids, as inclusive ranges that hold no other pending operation.
    pub ranges: Vec<(OperationId, OperationId)>,
}

/// Hashes without randomness: pure crates roll no dice, and the keys are a person's own tasks.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

const NONE: u32 = u32::MAX;

/// The pending operations of a replica, in order, as they shrink during a sync.
#[derive(Debug, Default)]
pub struct PendingList {
    items: Vec<Pending>,
    alive: Vec<bool>,
    alive_count: usize,
    /// No operation before this position is alive.
    front: usize,
    /// Made at the first meeting: an upload without anything to pull needs none.
    index: Option<Index>,
    /// A later change to a value that the server's history says too is kept all the same.
    keeps_later_repeats: bool,
    /// Those that were kept so, and say again what the history said last.
    repeats: BTreeSet<OperationId>,
    /// Per task, the position of its last operation, dead or alive. Made at the first cut.
    last_of_task: Option<Map<TaskId, u32>>,
}

#[derive(Debug)]
struct Index {
    /// Per position: the next one of the same task.
    next_of_task: Vec<u32>,
    /// Per position: the next update of the same property, or the next Create or Delete of the task.
    next_alike: Vec<u32>,
    tasks: Map<TaskId, Heads>,
    properties: Map<(TaskId, Text), u32>,
}

#[derive(Debug, Clone, Copy)]
struct Heads {
    any: u32,
    structural: u32,
}

impl Index {
    fn new(items: &[Pending]) -> Self {
        let mut index = Self {
            next_of_task: vec![NONE; items.len()],
            next_alike: vec![NONE; items.len()],
            tasks: Map::default(),
            properties: Map::default(),
        };
        for (position, item) in items.iter().enumerate().rev() {
            let place = u32::try_from(position).expect("a list holds fewer than 2^32 operations");
            let heads = index
                .tasks
                .entry(item.operation.task())
                .or_insert(Heads { any: NONE, structural: NONE });
            index.next_of_task[position] = heads.any;
            heads.any = place;
            let alike = match &item.operation {
                Operation::Update { uuid, property, .. } => {
                    index.properties.entry((*uuid, property.clone())).or_insert(NONE)
                }
                _ => &mut heads.structural,
            };
            index.next_alike[position] = *alike;
            *alike = place;
        }
        index
    }

    /// The position of the first living operation that `server` does not simply pass by.
    fn first_met(&mut self, server: &Operation, alive: &[bool]) -> Option<usize> {
        let heads = self.tasks.get_mut(&server.task())?;
        let place = match server {
            Operation::Update { uuid, property, .. } => {
                let structural = skip_dead(&mut heads.structural, &self.next_alike, alive);
                match self.properties.get_mut(&(*uuid, property.clone())) {
                    Some(head) => structural.min(skip_dead(head, &self.next_alike, alive)),
                    None => structural,
                }
            }
            _ => skip_dead(&mut heads.any, &self.next_of_task, alive),
        };
        (place != NONE).then_some(place as usize)
    }
}

/// The same value on both sides, and ours was set later.
fn is_later_repeat(meeting: Meeting, server: &Operation, local: &Operation) -> bool {
    match (meeting, server, local) {
        (
            Meeting::Same,
            Operation::Update { timestamp: theirs, .. },
            Operation::Update { timestamp: ours, .. },
        ) => ours > theirs,
        _ => false,
    }
}

fn skip_dead(head: &mut u32, next: &[u32], alive: &[bool]) -> u32 {
    while *head != NONE && !alive[*head as usize] {
        *head = next[*head as usize];
    }
    *head
}

impl PendingList {
    /// Takes over the pending operations, in log order.
    pub fn new(items: Vec<Pending>) -> Self {
        let alive = vec![true; items.len()];
        Self {
            alive_count: items.len(),
            items,
            alive,
            front: 0,
            index: None,
            keeps_later_repeats: false,
            repeats: BTreeSet::new(),
            last_of_task: None,
        }
    }

    /// Says whether a change of ours to a value that the server's history set *earlier* survives.
    ///
    /// When a whole history is replayed under a list that has passed it before (two lists joined,
    /// a remote met again), a value may have come back: the history says a, then b, and we say a
    /// again, later. The first a must not use ours up, or b would win.
    pub fn keep_later_repeats(&mut self, keeps: bool) {
        self.keeps_later_repeats = keeps;
    }

    /// True if an operation says again, under a younger time, what the history said last of it: it
    /// changes nothing there.
    pub fn is_repeat(&self, id: OperationId) -> bool {
        self.repeats.contains(&id)
    }

    /// How many operations are left.
    pub fn len(&self) -> usize {
        self.alive_count
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.alive_count == 0
    }

    /// The operations that are left, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Pending> {
        let alive = &self.alive[self.front..];
        self.items[self.front..].iter().zip(alive).filter_map(|(item, alive)| alive.then_some(item))
    }

    /// Walks one server operation through the list; returns whether anything is left of it.
    ///
    /// `met` is told of each meeting that consumed something.
    pub fn meet(&mut self, server: &Operation, met: &mut dyn FnMut(Meeting, &Pending)) -> bool {
        if self.alive_count == 0 {
            return true;
        }
        let index = self.index.get_or_insert_with(|| Index::new(&self.items));
        while let Some(position) = index.first_met(server, &self.alive) {
            let item = &self.items[position];
            let mut meeting = transform(server, &item.operation);
            if self.keeps_later_repeats && is_later_repeat(meeting, server, &item.operation) {
                meeting = Meeting::LocalWins;
                self.repeats.insert(item.id);
            } else if !self.repeats.is_empty() {
                self.repeats.remove(&item.id);
            }
            if meeting == Meeting::Apart {
                debug_assert!(false, "the index offers only operations that meet");
                return true;
            }
            met(meeting, item);
            if !meeting.local_survives() {
                self.alive[position] = false;
                self.alive_count -= 1;
            }
            if !meeting.server_survives() {
                return false;
            }
        }
        true
    }

    /// Brings back operations that a meeting has dropped: what they met is not to be applied after
    /// all. Costs a pass over the list.
    pub fn revive(&mut self, ids: &[OperationId]) {
        let ids: BTreeSet<OperationId> = ids.iter().copied().collect();
        for (position, item) in self.items.iter().enumerate() {
            if !self.alive[position] && ids.contains(&item.id) {
                self.alive[position] = true;
                self.alive_count += 1;
                self.front = self.front.min(position);
            }
        }
        self.index = None;
    }

    /// Cuts the next segment off the front, without removing it from the list.
    ///
    /// At most `bytes_max` bytes of operations, between commands; inside a command only when that
    /// alone is larger; one operation that alone is larger travels alone.
    pub fn cut(&self, bytes_max: usize) -> Option<Cut> {
        let mut writer = SegmentWriter::with_room(bytes_max.min(SEGMENT_OPERATIONS_BYTES_MAX));
        let mut ranges: Vec<(OperationId, OperationId)> = Vec::new();
        let mut boundary: Option<(crate::segment::Mark, Vec<(OperationId, OperationId)>)> = None;
        let mut previous_position = None;
        for (position, item) in self.items.iter().enumerate().skip(self.front) {
            if !self.alive[position] {
                continue;
            }
            let before = writer.mark();
            if item.starts_command && writer.count() > 0 {
                boundary = Some((before, ranges.clone()));
            }
            let bytes = writer.push(&item.operation);
            if bytes > bytes_max && writer.count() > 1 {
                match boundary {
                    Some((mark, kept)) => {
                        writer.go_back(mark);
                        ranges = kept;
                    }
                    None => writer.go_back(before),
                }
                break;
            }
            match ranges.last_mut() {
                Some(range) if previous_position == position.checked_sub(1) => range.1 = item.id,
                _ => ranges.push((item.id, item.id)),
            }
            previous_position = Some(position);
        }
        let count = writer.count();
        (count > 0).then(|| Cut { segment: writer.finish(), count, ranges })
    }

    /// The tasks of the first `count` operations that have more operations after them.
    ///
    /// May name one whose later operations have been dropped since: a question too many, not a
    /// wrong answer.
    pub fn straddling(&mut self, count: usize) -> Vec<TaskId> {
        if count >= self.alive_count {
            return Vec::new();
        }
        let Self { items, alive, front, last_of_task, .. } = self;
        let last_of_task = last_of_task.get_or_insert_with(|| {
            let place = |n: usize| u32::try_from(n).expect("fewer than 2^32 operations");
            // Room for every operation would be several times what the tasks need.
            let mut places = Map::default();
            for (n, item) in items.iter().enumerate() {
                places.insert(item.operation.task(), place(n));
            }
            places
        });
        let mut tasks: Vec<TaskId> = Vec::new();
        let mut end = *front;
        let mut left = count;
        while left > 0 {
            left -= usize::from(alive[end]);
            end += 1;
        }
        for position in *front..end {
            let task = items[position].operation.task();
            let is_new = tasks.last() != Some(&task);
            if alive[position] && is_new && last_of_task[&task] as usize >= end {
                tasks.push(task);
            }
        }
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    /// Removes and returns the first `count` operations: the server has accepted them. They do not
    /// come back.
    pub fn accept(&mut self, count: usize) -> Vec<Operation> {
        let count = count.min(self.alive_count);
        let mut accepted = Vec::with_capacity(count);
        self.alive_count -= count;
        while accepted.len() < count {
            if std::mem::take(&mut self.alive[self.front]) {
                let operation = &mut self.items[self.front].operation;
                let gone = Operation::Create { uuid: operation.task() };
                accepted.push(std::mem::replace(operation, gone));
            }
            self.front += 1;
        }
        accepted
    }

    /// True if every operation of `ranges` is still here, at the front and nothing else between:
    /// then the segment that was cut from them still says what we want to say.
    pub fn begins_with(&self, ranges: &[(OperationId, OperationId)], count: usize) -> bool {
        self.len() >= count
            && self
                .iter()
                .take(count)
                .all(|item| ranges.iter().any(|(first, last)| (*first..=*last).contains(&item.id)))
    }
}

#[cfg(test)]
mod tests {
    use tandem_core::Timestamp;

    use super::*;

    fn update(task: u8, property: &str, value: &str, at: i64) -> Operation {
        Operation::Update {
            uuid: TaskId::from_bytes([task; 16]),
            property: property.into(),
            value: Some(value.into()),
            timestamp: Timestamp::from_seconds(at),
        }
    }

    fn list(operations: Vec<(bool, Operation)>) -> PendingList {
        let items = operations.into_iter().enumerate().map(|(n, (starts_command, operation))| {
            Pending { id: OperationId(n as i64 + 1), starts_command, operation }
        });
        PendingList::new(items.collect())
    }

    #[test]
    fn worked_example_6_of_the_protocol_page() {
        let mut pending =
            list(vec![(true, update(1, "title", "z", 5)), (true, update(1, "due", "9", 6))]);
        assert!(pending.meet(&update(1, "title", "y", 10), &mut |_, _| {}));
        assert!(pending.meet(&update(1, "prio", "H", 11), &mut |_, _| {}));
        let left: Vec<_> = pending.iter().map(|item| item.id).collect();
        assert_eq!(left, [OperationId(2)]);
    }

    #[test]
    fn what_is_kept_to_say_again_what_is_there_is_known() {
        for (history, is_repeat) in [
            (&[("a", 1)][..], true),
            (&[("b", 1), ("a", 2)], true),
            // They said something else since, and we say a once more.
            (&[("a", 1), ("b", 2)], false),
            (&[("b", 1)], false),
            (&[], false),
        ] {
            let mut pending = list(vec![(true, update(1, "p", "a", 5))]);
            pending.keep_later_repeats(true);
            for (value, at) in history {
                pending.meet(&update(1, "p", value, *at), &mut |_, _| {});
            }
            assert_eq!(pending.len(), 1);
            assert_eq!(pending.is_repeat(OperationId(1)), is_repeat, "{history:?}");
        }
    }

    #[test]
    fn cuts_between_commands_and_inside_only_one_that_is_too_large() {
        let one = segment_bytes(&update(1, "p", "v", 1));
        let pending = list(vec![
            (true, update(1, "p", "v", 1)),
            (true, update(2, "p", "v", 1)),
            (false, update(3, "p", "v", 1)),
            (false, update(4, "p", "v", 1)),
        ]);
        assert_eq!(pending.cut(one * 3).unwrap().count, 1, "the second command does not fit whole");
        assert_eq!(pending.cut(one * 4).unwrap().count, 4);
        let mut pending = pending;
        pending.accept(1);
        let cut = pending.cut(one * 2).unwrap();
        assert_eq!((cut.count, cut.ranges), (2, vec![(OperationId(2), OperationId(3))]));
        assert_eq!(pending.cut(1).unwrap().count, 1, "one huge operation travels alone");
    }

    #[test]
    fn ranges_leave_out_what_was_dropped() {
        let mut pending = list((1..=5).map(|task| (true, update(task, "p", "v", 1))).collect());
        pending.meet(&update(3, "p", "w", 9), &mut |_, _| {});
        let id = OperationId;
        assert_eq!(pending.cut(10_000).unwrap().ranges, [(id(1), id(2)), (id(4), id(5))]);
        assert!(pending.begins_with(&[(id(1), id(2))], 2));
        assert!(!pending.begins_with(&[(id(1), id(3))], 3));
    }

    #[test]
    fn revived_operations_meet_and_are_cut_again() {
        let mut pending = list((1..=3).map(|task| (true, update(task, "p", "v", 1))).collect());
        let whole = pending.cut(10_000).unwrap();
        pending.meet(&update(2, "p", "w", 9), &mut |_, _| {});
        pending.accept(1);
        pending.revive(&[OperationId(2)]);
        assert_eq!(pending.cut(10_000).unwrap().count, 2);
        assert_eq!(whole.count, 3);
        assert!(pending.meet(&update(2, "p", "w", 9), &mut |_, _| {}));
        assert_eq!(pending.len(), 1);
    }

    fn segment_bytes(operation: &Operation) -> usize {
        SegmentWriter::default().push(operation)
    }
}
