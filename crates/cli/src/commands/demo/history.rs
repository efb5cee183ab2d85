//! The demo's task list: made by a small deterministic generator, the same on every machine.

use tandem_core::{TaskId, Timestamp};
use tandem_exchange::ImportRecord;
use tandem_tasks::Task;

/// Tasks in the list.
const TASKS: u64 = 3_000;

const VERBS: [&str; 12] = [
    "call", "write to", "repair", "order", "water", "read", "clean", "plan", "pay", "visit",
    "sort", "measure",
];
const THINGS: [&str; 16] = [
    "the plumber",
    "grandmother",
    "the bicycle",
    "new shelves",
    "the tomatoes",
    "the café menu",
    "the gutters",
    "the summer trip",
    "the electricity bill",
    "Zoë & Łukasz",
    "the photographs",
    "the attic",
    "the club's minutes",
    "the garden gate",
    "winter tyres",
    "東京の切符",
];
const PROJECTS: [&str; 6] = ["house", "house.repairs", "garden", "club", "travel", "work.reports"];
const TAGS: [&str; 7] = ["home", "phone", "errand", "later", "computer", "next", "garden"];
const NOTES: [&str; 5] = [
    "left a message",
    "costs about 40 €",
    "ask for \"the blue one\"",
    "see https://example.org/x",
    "waiting for an answer",
];

/// A linear congruential generator (Knuth, MMIX): the same list on every machine needs no more.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let index = self.roll(from.len() as u64);
        from[usize::try_from(index).unwrap_or(0)]
    }

    fn id(&mut self) -> TaskId {
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = u8::try_from(self.roll(256)).unwrap_or(0);
        }
        TaskId::from_random_bytes(bytes)
    }
}

/// The list, with its last change some hours before `now`.
pub(super) fn records(now: Timestamp) -> Vec<ImportRecord> {
    let mut dice = Dice(20_261_120);
    let mut ids: Vec<TaskId> = Vec::new();
    let mut records = Vec::new();
    for number in 0..TASKS {
        let id = dice.id();
        let (task, modified) = task(&mut dice, now, number, &ids);
        ids.push(id);
        records.push(ImportRecord {
            number: usize::try_from(number).unwrap_or(0) + 1,
            uuid: Some(id),
            task,
            modified: Some(modified),
            is_exported: true,
        });
    }
    records
}

fn task(dice: &mut Dice, now: Timestamp, number: u64, earlier: &[TaskId]) -> (Task, i64) {
    const HOUR: i64 = 3_600;
    let mut hours = |from: i64, span: u64| from + i64::try_from(dice.roll(span)).unwrap_or(0);
    // Older tasks first, over two years; every one a little later than the one before.
    let age = i64::try_from(TASKS - number).unwrap_or(0) * 6 + hours(2, 5);
    let entry = now.seconds() - age * HOUR;
    let modified = entry + HOUR * hours(0, 24).min(age - 1);
    let due = entry + HOUR * hours(24, 2_000);
    let mut task = Task::default();
    let mut set = |property: &str, value: &str| task.set(property, Some(value));
    set("entry", &entry.to_string());
    set("modified", &modified.to_string());
    set("description", &format!("{} {}", dice.pick(&VERBS), dice.pick(&THINGS)));
    // The last ones are pending, of the older ones most are done.
    let is_open = number + 400 > TASKS || dice.roll(5) == 0;
    match dice.roll(12) {
        _ if is_open => set("status", "pending"),
        0 => {
            set("status", "deleted");
            set("end", &modified.to_string());
        }
        _ => {
            set("status", "completed");
            set("end", &modified.to_string());
        }
    }
    if dice.roll(3) > 0 {
        set("project", dice.pick(&PROJECTS));
    }
    let mut tags: Vec<&str> = (0..dice.roll(4)).map(|_| dice.pick(&TAGS)).collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in &tags {
        set(&format!("tag_{tag}"), "x");
    }
    if !tags.is_empty() {
        set("tags", &tags.join(","));
    }
    if dice.roll(4) == 0 {
        set("due", &due.to_string());
    }
    if dice.roll(6) == 0 {
        set("priority", dice.pick(&["H", "M", "L"]));
    }
    if is_open && dice.roll(15) == 0 {
        set("start", &modified.to_string());
    }
    if is_open && dice.roll(12) == 0 {
        set("wait", &(now.seconds() + HOUR * 200).to_string());
    }
    for note in 0..dice.roll(3) {
        let second = entry + i64::try_from(note).unwrap_or(0) * 60;
        set(&format!("annotation_{second}"), dice.pick(&NOTES));
    }
    if dice.roll(8) == 0
        && let Some(other) =
            earlier.len().checked_sub(1 + usize::try_from(dice.roll(20)).unwrap_or(0))
        && let Some(other) = earlier.get(other)
    {
        set(&format!("dep_{other}"), "x");
        set("depends", &other.to_string());
    }
    if dice.roll(20) == 0 {
        set("estimate", &format!("PT{}H", 1 + dice.roll(8)));
        set("github.issue", &dice.roll(900).to_string());
    }
    (task, modified)
}
