//! Debian's Taskwarrior (2.6, which knows no TaskChampion) on the other side of import and export.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::ours::Ours;
use crate::{Meeting, Room};

/// A Taskwarrior with a folder and a `.taskrc` of its own.
struct Taskwarrior {
    home: PathBuf,
}

impl Taskwarrior {
    fn new(room: &Room, name: &str) -> Self {
        let home = room.join(name);
        fs::create_dir_all(home.join("data")).unwrap();
        let settings = format!(
            "data.location={}\nconfirmation=no\nverbose=nothing\nrecurrence=off\n\
             uda.estimate.type=duration\nuda.size.type=numeric\nuda.reviewed.type=date\n\
             uda.ticket.type=string\n",
            home.join("data").display()
        );
        fs::write(home.join("taskrc"), settings).unwrap();
        Self { home }
    }

    fn taskrc(&self) -> PathBuf {
        self.home.join("taskrc")
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let output = Command::new("task")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("TASKRC", self.taskrc())
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8")
            .args(words)
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "Taskwarrior cannot be run ({error}); on Debian: apt-get install taskwarrior"
                )
            });
        assert!(output.status.success(), "task {words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn export(&self) -> BTreeMap<String, Value> {
        by_uuid(&self.run(&["export"]))
    }
}

/// Records by uuid, without what each program computes for itself, numbers as numbers.
fn by_uuid(json: &str) -> BTreeMap<String, Value> {
    let records: Vec<serde_json::Map<String, Value>> = serde_json::from_str(json).unwrap();
    let records = records.into_iter().map(|mut record| {
        record.remove("id");
        record.remove("urgency");
        for value in record.values_mut() {
            // Taskwarrior itself makes 3.0 of its 3 on the way through a file.
            if let Some(number) = value.as_f64() {
                *value = Value::from(number);
            }
        }
        (record["uuid"].as_str().unwrap().to_owned(), Value::from(record))
    });
    records.collect()
}

#[test]
fn what_taskwarrior_exports_comes_back_unchanged_through_ours() {
    let room = Room::new();
    let theirs = Taskwarrior::new(&room, "theirs");
    for words in [
        "add milk-\"quoted\"-\\-Ærø-牛乳 project:home.kitchen due:2026-12-24T10:30 priority:H +shop +food \
         estimate:2h size:3 reviewed:2026-01-01 ticket:ABC-1",
        "add second depends:1 wait:2037-01-01 scheduled:2026-12-01 until:2038-01-01",
        "1 annotate first/note",
        "1 annotate second[note]",
        "add weekly recur:weekly due:2026-11-21",
        "1 start",
        "add gone",
        "+LATEST delete",
        "add finished depends:2",
        "+LATEST done",
    ] {
        theirs.run(&words.split_whitespace().collect::<Vec<_>>());
    }
    let exported = theirs.run(&["export"]);
    let taskrc = theirs.taskrc();
    let taskrc = taskrc.to_str().unwrap();

    let ours = Ours::new(room.path(), "ours", &Meeting::directory(room.join("server")));
    let import = ["import", "-", "--taskrc", taskrc, "--json"];
    let said = ours.feed(&import, &exported);
    assert_eq!((said.code, said.json()["new"].as_u64()), (0, Some(5)), "{said:?}");
    let ours_exported = ours.ok(&["all", "export", "--taskrc", taskrc]).out;
    assert_eq!(by_uuid(&ours_exported), by_uuid(&exported));
    let said = ours.feed(&import, &exported);
    assert_eq!(said.json()["unchanged"], 5, "{said:?}");

    let back = Taskwarrior::new(&room, "back");
    let file = room.join("ours.json");
    fs::write(&file, &ours_exported).unwrap();
    back.run(&["import", file.to_str().unwrap()]);
    assert_eq!(back.export(), by_uuid(&exported));

    // Edited there later, it is newer here too; an older record never beats it. (What a record
    // does not say is kept, so nothing is removed there.)
    std::thread::sleep(std::time::Duration::from_secs(1));
    back.run(&["project:home.kitchen", "modify", "priority:L", "+more", "due:2027-01-01"]);
    let said = ours.feed(&import, &back.run(&["export"]));
    assert_eq!(
        (said.json()["updated"].as_u64(), said.json()["unchanged"].as_u64()),
        (Some(1), Some(4))
    );
    let said = ours.feed(&import, &exported);
    assert_eq!(said.json()["older"], 1, "{said:?}");
    let ours_exported = ours.ok(&["all", "export", "--taskrc", taskrc]).out;
    assert_eq!(by_uuid(&ours_exported), back.export());
}

/// Urgencies are computed alike, to what Taskwarrior prints of them.
#[test]
fn urgency_is_taskwarriors() {
    let room = Room::new();
    let theirs = Taskwarrior::new(&room, "theirs");
    for words in [
        "add plain",
        "add one project:p priority:H +a +b +c due:tomorrow",
        "add blocked depends:1 scheduled:yesterday",
        "add waiting wait:2037-01-01 priority:L",
        "add next +next due:2020-01-01 entry:2020-01-01",
    ] {
        theirs.run(&words.split_whitespace().collect::<Vec<_>>());
    }
    theirs.run(&["2", "annotate", "x"]);
    theirs.run(&["2", "start"]);
    let exported = theirs.run(&["export"]);
    let ours = Ours::new(room.path(), "ours", &Meeting::directory(room.join("server")));
    assert_eq!(ours.feed(&["import", "-"], &exported).code, 0);
    let urgencies = |json: &str| -> BTreeMap<String, f64> {
        let records: Vec<Value> = serde_json::from_str(json).unwrap();
        let records = records.iter();
        records
            .map(|record| {
                let description = record["description"].as_str().unwrap().to_owned();
                (description, record["urgency"].as_f64().unwrap())
            })
            .collect()
    };
    let (theirs, ours) = (urgencies(&exported), urgencies(&ours.ok(&["all", "export"]).out));
    for (description, urgency) in &theirs {
        // Time passes between the two.
        assert!((urgency - ours[description]).abs() < 0.001, "{description}: {theirs:?} {ours:?}");
    }
}
