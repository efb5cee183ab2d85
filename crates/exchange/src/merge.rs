//! What a record changes about the task that we have.

use std::collections::BTreeSet;

use tandem_core::TaskId;
use tandem_tasks::{Status, Task, Text};

use crate::read::ImportRecord;

/// One property to set or remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The property's name.
    pub property: Text,
    /// Its new value, or `None` to remove it.
    pub value: Option<Text>,
    /// When the change was made, in seconds since the epoch: what its operation is stamped with.
    pub seconds: i64,
}

/// What importing a record means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is no such task: create it with these properties.
    New(Vec<Change>),
    /// The task says already what the record says.
    Unchanged,
    /// The task gets these changes; never an empty list.
    Updated(Vec<Change>),
    /// The task was changed after the record was written: it stays as it is.
    Older,
}

/// Says what a record changes about the task of its id, if we have it. `now` is in seconds since the
/// epoch.
///
/// Changes are stamped with the record's own `modified`, so that they also lose against later
/// changes that another replica has made and we have not seen; a record from the future is stamped
/// `now`, or it would win over everything for years. A record without `modified` counts as changed
/// now. Properties that the record does not have are kept; only an `end` goes when the status
/// returns to pending or recurring without one (section 1: there it has no meaning).
///
/// Tags and dependencies are sets: new ones are added, and then the redundant `tags` and `depends`
/// lists are made anew from all of them. What their keys hold is not compared.
pub fn merge(existing: Option<&Task>, record: &ImportRecord, now: i64) -> Outcome {
    let seconds = record.modified.map_or(now, |modified| modified.min(now));
    let Some(existing) = existing else { return Outcome::New(all_of(record, seconds, now)) };
    if let (Some(theirs), Some(ours)) = (record.modified, existing.seconds("modified"))
        && theirs < ours
    {
        return Outcome::Older;
    }
    let mut changed = differences(existing, &record.task);
    if changed.is_empty() {
        return Outcome::Unchanged;
    }
    if record.modified.is_none() {
        changed.push(("modified".into(), Some(now.to_string().into())));
    }
    Outcome::Updated(stamped(changed, seconds))
}

fn stamped(changed: Vec<(Text, Option<Text>)>, seconds: i64) -> Vec<Change> {
    let change = |(property, value)| Change { property, value, seconds };
    changed.into_iter().map(change).collect()
}

/// A new task has at least a status, a creation time and a time of change.
fn all_of(record: &ImportRecord, seconds: i64, now: i64) -> Vec<Change> {
    let mut task = record.task.clone();
    let mut set_default = |property: &str, value: String| {
        task.properties.entry(property.into()).or_insert_with(|| value.into());
    };
    set_default("status", Status::Pending.as_str().to_owned());
    set_default("entry", seconds.to_string());
    set_default("modified", now.to_string());
    let properties = task.properties.into_iter();
    stamped(properties.map(|(property, value)| (property, Some(value))).collect(), seconds)
}

fn differences(existing: &Task, record: &Task) -> Vec<(Text, Option<Text>)> {
    let mut changed: Vec<(Text, Option<Text>)> = Vec::new();
    let mut has_new = [false, false];
    let known = dependencies(existing);
    for (property, value) in &record.properties {
        let ours = existing.properties.get(property);
        let is_same = match property.as_str() {
            // Made anew below, if it needs to be.
            "tags" | "depends" => true,
            name if name.starts_with("tag_") => ours.is_some(),
            name => match name.strip_prefix("dep_") {
                // The same id may be spelled otherwise.
                Some(id) => {
                    ours.is_some() || id.parse::<TaskId>().is_ok_and(|id| known.contains(&id))
                }
                None => ours == Some(value),
            },
        };
        if !is_same {
            has_new[0] |= property.starts_with("tag_");
            has_new[1] |= property.starts_with("dep_");
            changed.push((property.clone(), Some(value.clone())));
        }
    }
    if has_new[0] {
        let tags = tags(existing).chain(tags(record)).collect::<BTreeSet<_>>();
        set_list(&mut changed, existing, "tags", tags.into_iter().map(str::to_owned));
    }
    if has_new[1] {
        let ids = known.union(&dependencies(record)).copied().collect::<BTreeSet<_>>();
        set_list(&mut changed, existing, "depends", ids.into_iter().map(|id| id.to_string()));
    }
    let becomes_open = changed.iter().any(|(property, value)| {
        property == "status" && value.as_deref().is_some_and(|v| Status::parse(v).is_numbered())
    });
    if becomes_open && record.get("end").is_none() && existing.get("end").is_some() {
        changed.push(("end".into(), None));
    }
    changed
}

fn set_list(
    changed: &mut Vec<(Text, Option<Text>)>,
    existing: &Task,
    property: &str,
    names: impl Iterator<Item = String>,
) {
    let list = names.collect::<Vec<_>>().join(",");
    if !list.is_empty() && existing.get(property) != Some(&list) {
        changed.push((property.into(), Some(list.into())));
    }
}

fn tags(task: &Task) -> impl Iterator<Item = &str> {
    task.properties.keys().filter_map(|key| key.strip_prefix("tag_")).filter(|tag| !tag.is_empty())
}

fn dependencies(task: &Task) -> BTreeSet<TaskId> {
    let ids = task.properties.keys().filter_map(|key| key.strip_prefix("dep_")?.parse().ok());
    ids.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 2_000;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn record(properties: Pairs<'_>) -> ImportRecord {
        let task: Task = properties.iter().copied().collect();
        let modified = task.seconds("modified");
        ImportRecord { number: 1, uuid: None, task, modified, is_exported: false }
    }

    /// `property=value@seconds`, `property-@seconds` for a removal.
    fn shown(outcome: Outcome) -> String {
        let changes = |changes: Vec<Change>| {
            let change = |change: Change| match change.value {
                Some(value) => format!("{}={value}@{}", change.property, change.seconds),
                None => format!("{}-@{}", change.property, change.seconds),
            };
            changes.into_iter().map(change).collect::<Vec<_>>().join(" ")
        };
        match outcome {
            Outcome::New(list) => format!("new {}", changes(list)),
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Updated(list) => format!("updated {}", changes(list)),
            Outcome::Older => "older".to_owned(),
        }
    }

    /// Each case: what we have, the record, the outcome.
    #[test]
    fn the_later_change_wins_and_nothing_is_removed() {
        let id = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
        let (dep, upper) = (format!("dep_{id}"), format!("dep_{}", id.to_uppercase()));
        let cases: [(Pairs<'_>, Pairs<'_>, &str); 16] = [
            (
                &[("modified", "10"), ("due", "5"), ("project", "kept")],
                &[("modified", "20"), ("due", "6")],
                "updated due=6@20 modified=20@20",
            ),
            (&[("modified", "30"), ("due", "5")], &[("modified", "20"), ("due", "6")], "older"),
            (
                &[("modified", "20"), ("due", "5")],
                &[("modified", "20"), ("due", "6")],
                "updated due=6@20",
            ),
            (&[("modified", "20"), ("due", "5")], &[("modified", "20"), ("due", "5")], "unchanged"),
            (&[("modified", "20"), ("due", "5")], &[("due", "5")], "unchanged"),
            (
                &[("modified", "20"), ("due", "5")],
                &[("due", "6")],
                "updated due=6@2000 modified=2000@2000",
            ),
            (
                &[("due", "5")],
                &[("modified", "20"), ("due", "6")],
                "updated due=6@20 modified=20@20",
            ),
            (&[("due", "5")], &[("modified", "9000"), ("due", "5")], "updated modified=9000@2000"),
            (&[("tag_a", "")], &[("tag_a", "x"), ("tags", "a")], "unchanged"),
            (
                &[("tag_b", ""), ("tags", "b")],
                &[("tag_c", "x"), ("tag_a", "x"), ("tags", "c,a"), ("modified", "9")],
                "updated modified=9@9 tag_a=x@9 tag_c=x@9 tags=a,b,c@9",
            ),
            (&[(&upper, "")], &[(&dep, "x"), ("depends", id)], "unchanged"),
            (
                &[],
                &[(&dep, "x"), ("depends", id), ("modified", "9")],
                "updated dep_56e0be07-c61f-494c-a54c-bdcfdd52d2a7=x@9 modified=9@9 depends=56e0be07-c61f-494c-a54c-bdcfdd52d2a7@9",
            ),
            (
                &[("status", "completed"), ("end", "7"), ("modified", "7")],
                &[("status", "pending"), ("modified", "9")],
                "updated modified=9@9 status=pending@9 end-@9",
            ),
            (
                &[("status", "pending"), ("modified", "7")],
                &[("status", "completed"), ("end", "9"), ("modified", "9")],
                "updated end=9@9 modified=9@9 status=completed@9",
            ),
            (&[("modified", "soon"), ("due", "5")], &[("modified", "9")], "updated modified=9@9"),
            (
                &[("annotation_5", "a")],
                &[("annotation_6", "b"), ("modified", "9")],
                "updated annotation_6=b@9 modified=9@9",
            ),
        ];
        for (existing, incoming, expected) in cases {
            let existing: Task = existing.iter().copied().collect();
            let record = record(incoming);
            let outcome = merge(Some(&existing), &record, NOW);
            let mut after = existing.clone();
            if let Outcome::Updated(changes) = &outcome {
                for change in changes {
                    after.set(&change.property, change.value.as_deref());
                }
                assert_eq!(merge(Some(&after), &record, NOW + 5), Outcome::Unchanged);
            }
            assert_eq!(shown(outcome), expected, "{existing:?} {incoming:?}");
        }
    }

    #[test]
    fn a_new_task_has_what_every_task_has() {
        for (incoming, expected) in [
            (
                &[("description", "a"), ("modified", "9")][..],
                "new description=a@9 entry=9@9 modified=9@9 status=pending@9",
            ),
            (&[], "new entry=2000@2000 modified=2000@2000 status=pending@2000"),
            (
                &[("status", "deleted"), ("entry", "1"), ("modified", "9000")],
                "new entry=1@2000 modified=9000@2000 status=deleted@2000",
            ),
        ] {
            assert_eq!(shown(merge(None, &record(incoming), NOW)), expected);
        }
    }
}
