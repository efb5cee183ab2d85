//! Random edits, the same for the same seed.

use serde_json::json;

use crate::Tasks;
use crate::ours::Ours;
use crate::real::Real;

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn id(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }

    fn task(&mut self, tasks: &Tasks) -> Option<String> {
        match tasks.len() {
            0 => None,
            n => tasks.keys().nth(self.below(n)).cloned(),
        }
    }
}

/// Values that have made trouble somewhere: quotes, control characters, other scripts, emptiness.
const TEXTS: &[&str] = &[
    "milk",
    "bread & butter",
    "\"quoted\" \\ back",
    "naïve Ærø 牛乳 🥛",
    "tab\tand\nnewline",
    "",
    " leading and trailing ",
    "{\"operations\":[]}",
    "\u{0}nul\u{7f}",
    "e\u{301}",
];

/// Property names that a real program may write.
const NAMES: &[&str] = &[
    "description",
    "status",
    "due",
    "priority",
    "project",
    "tag_home",
    "tag_work",
    "annotation_1700000000",
    "modified",
    "tags",
    "brand new \"name\"",
    "",
];

const STATUSES: &[&str] = &["pending", "completed", "deleted", "recurring", "someday"];

/// One command of ours on a random task. Returns what it was.
pub(crate) fn edit_ours(random: &mut Random, ours: &Ours) -> String {
    let tasks = ours.dump();
    let text = random.below(1000).to_string();
    let Some(id) = random.task(&tasks).filter(|_| !random.once_in(4)) else {
        let id = ours.add(&[&format!("ours {text}"), "project:home", "+home"]);
        return format!("{}: add {id}", ours.name());
    };
    let due = format!("due:2026-12-{:02}", 1 + random.below(28));
    let description = format!("renamed {text}");
    let annotation = format!("note {text}");
    let project = format!("project:p{}", random.below(4));
    let words: Vec<&str> = match random.below(11) {
        0 => vec!["modify", &description],
        1 => vec!["modify", &due],
        2 => vec!["modify", "+home", "-work"],
        3 => vec!["modify", "-home", "+work"],
        4 => vec!["annotate", &annotation],
        5 => vec!["done"],
        6 => vec!["delete"],
        7 => vec!["start"],
        8 => vec!["modify", "status:pending"],
        9 => vec!["modify", "due:", "priority:H"],
        _ => vec!["modify", &project],
    };
    let words: Vec<&str> = ["all", &id].into_iter().chain(words).collect();
    let said = ours.run(&words);
    // Another program may have removed it since we looked.
    assert!(said.code == 0 || said.err.contains("there is no task"), "{words:?}: {said:?}");
    format!("{}: {words:?}", ours.name())
}

/// One edit by the real crate. Returns what it was.
pub(crate) fn edit_real(random: &mut Random, real: &mut Real, name: &str) -> String {
    let tasks = real.dump();
    let Some(id) = random.task(&tasks).filter(|_| !random.once_in(4)) else {
        let id = random.id();
        let text = format!("real {}", random.below(1000));
        real.create(
            &id,
            &[("status", random.pick(&["pending", "recurring"])), ("description", &text)],
        );
        return format!("{name}: create {id}");
    };
    if random.once_in(8) {
        real.delete(&id);
        if random.once_in(2) {
            // Gone and made again in the same breath.
            real.create(&id, &[("status", "pending"), ("description", "again")]);
        }
        return format!("{name}: delete {id}");
    }
    let property = random.pick(NAMES);
    let value = match property {
        "status" => Some(random.pick(STATUSES)),
        _ if random.once_in(4) => None,
        _ => Some(random.pick(TEXTS)),
    };
    if random.once_in(3) {
        // Another clock: up to a minute off, either way.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seconds = now.as_secs() - 60 + random.next() % 120;
        let at = tandem_core::Timestamp::from_seconds(seconds.cast_signed()).to_string();
        real.update_at(&id, property, value, &at);
    } else {
        real.update(&id, property, value);
    }
    format!("{name}: {property:?} = {value:?} {id}")
}

/// A change from a copy that may be out of date.
pub(crate) fn hold(random: &mut Random, real: &mut Real) -> Option<String> {
    let id = random.task(&real.dump())?;
    real.ok(json!({ "do": "hold", "uuid": id, "as": "held" }));
    Some(id)
}
