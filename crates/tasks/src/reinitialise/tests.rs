//! Tests of the merge, case by case.

use super::*;
use crate::rebase::OperationId;

fn id(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

fn task(description: &str, modified: i64) -> Task {
    Task::from_iter([("description", description), ("modified", &modified.to_string())])
}

fn edit(n: u8, value: &str, at: i64) -> Pending {
    Pending {
        id: OperationId(i64::from(n)),
        starts_command: true,
        operation: Operation::Update {
            uuid: id(n),
            property: "description".into(),
            value: Some(value.into()),
            timestamp: Timestamp::from_seconds(at),
        },
    }
}

fn run(
    state: &TaskSet,
    bases: &[(TaskId, Option<Task>)],
    pending: &[Pending],
    theirs: &TaskSet,
    passed: bool,
    consent: Consent,
) -> Result<Plan, Question> {
    let base_images = bases.iter().cloned().collect();
    let ours = Ours {
        state,
        base_images: &base_images,
        pending,
        had_passed_end: passed,
        fork: None,
        logged: &BTreeMap::new(),
    };
    plan(&ours, theirs, VersionId::NIL, consent)
}

#[test]
fn trimmed_history_keeps_the_newer_edit_and_tells_the_loser() {
    let state = TaskSet::from([
        (id(1), task("ours", 50)),
        (id(2), task("ours", 50)),
        (id(3), task("ours", 9)),
    ]);
    let bases = [
        (id(1), Some(task("base", 1))),
        (id(2), Some(task("base", 1))),
        (id(3), Some(task("base", 1))),
    ];
    let theirs = TaskSet::from([
        (id(1), task("theirs", 40)),
        (id(2), task("theirs", 60)),
        (id(3), task("base", 70)),
    ]);
    let pending = [edit(1, "ours", 50), edit(2, "ours", 50), edit(3, "ours", 9)];
    let plan = run(&state, &bases, &pending, &theirs, false, Consent::default()).unwrap();
    let kept: Vec<_> = plan.pending.iter().map(Operation::task).collect();
    let why = "newer than theirs, and untouched there";
    assert_eq!(kept, [id(1), id(3)], "{why}");
    let lost: Vec<_> = plan.lost.iter().map(|lost| (lost.task, lost.here)).collect();
    assert_eq!(lost, [(id(1), false), (id(2), true)]);
}

fn update(n: u8, property: &str, value: Option<&str>, at: i64) -> Operation {
    Operation::Update {
        uuid: id(n),
        property: property.into(),
        value: value.map(Into::into),
        timestamp: Timestamp::from_seconds(at),
    }
}

fn logged(value: &str, at: i64, is_after_fork: bool) -> Logged {
    Logged { value: Some(value.into()), timestamp: Timestamp::from_seconds(at), is_after_fork }
}

/// The server went back and another went on there. Each case: the property as our log has it,
/// the branch's own change of it, what stays, and who is told to have lost.
#[test]
fn what_we_had_synced_meets_a_branch_as_the_transform_would_have_it() {
    let there = |at| update(1, "description", Some("theirs"), at);
    for (name, ours_at, is_after, branch, stays, lost_here) in [
        ("untouched there", 50, true, None, "ours", None),
        ("later here", 50, true, Some(there(40)), "ours", Some(false)),
        ("later there", 50, true, Some(there(60)), "theirs", Some(true)),
        ("at once", 50, true, Some(there(50)), "theirs", Some(true)),
        ("not changed here since, by a clock of 2099", 999, false, Some(there(60)), "theirs", None),
    ] {
        let state = TaskSet::from([(id(1), task("ours", 50)), (id(2), task("made here", 50))]);
        let their_text = if branch.is_some() { "theirs" } else { "before" };
        let theirs = TaskSet::from([(id(1), task(their_text, 10)), (id(3), task("made there", 5))]);
        let mut since = Branch::after(VersionId::NIL);
        since.take_in(&Operation::Create { uuid: id(3) });
        branch.iter().for_each(|operation| since.take_in(operation));
        let log =
            BTreeMap::from([((id(1), "description".into()), logged("ours", ours_at, is_after))]);
        let ours = Ours {
            state: &state,
            base_images: &BTreeMap::new(),
            pending: &[],
            had_passed_end: false,
            fork: Some(Fork { branch: &since, purged: &BTreeSet::new(), is_log_complete: true }),
            logged: &log,
        };
        let plan = plan(&ours, &theirs, VersionId::NIL, Consent::default()).unwrap();
        let mut result = theirs.clone();
        for operation in &plan.pending {
            operation.apply_to_set(&mut result);
        }
        assert_eq!(result[&id(1)].get("description"), Some(stays), "{name}");
        assert_eq!(result[&id(2)], state[&id(2)], "{name}");
        assert_eq!(result[&id(3)], theirs[&id(3)], "{name}");
        let lost: Vec<_> = plan.lost.iter().map(|lost| (lost.task, lost.here)).collect();
        assert_eq!(
            lost,
            lost_here.map(|here| (id(1), here)).into_iter().collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(plan.kept, [], "{name}: a task made here since is no riddle");
    }
}

/// A server whose data was lost got the whole list again from another replica, a fraction of a
/// second after the change that our log holds: `modified` does not tell fractions.
#[test]
fn what_was_removed_in_the_same_second_stays_removed() {
    let mut ours_synced = task("milk", 50);
    ours_synced.set("due", Some("1700000000"));
    let state = TaskSet::from([(id(1), ours_synced)]);
    let theirs = TaskSet::from([(id(1), task("milk", 50))]);
    let mut since = Branch::after(VersionId::NIL);
    since.take_in(&Operation::Create { uuid: id(1) });
    let when = Timestamp::new(50, 400_000_000);
    let due = Logged { value: Some("1700000000".into()), timestamp: when, is_after_fork: true };
    let ours = Ours {
        state: &state,
        base_images: &BTreeMap::new(),
        pending: &[],
        had_passed_end: false,
        fork: Some(Fork { branch: &since, purged: &BTreeSet::new(), is_log_complete: true }),
        logged: &BTreeMap::from([((id(1), "due".into()), due)]),
    };
    let plan = plan(&ours, &theirs, VersionId::NIL, Consent::default()).unwrap();
    assert_eq!(plan.pending, []);
    let lost: Vec<_> = plan.lost.iter().map(|lost| (lost.property.clone(), lost.here)).collect();
    assert_eq!(lost, [(Some("due".into()), true)], "told, since nobody knows which was first");
}

#[test]
fn what_waits_wins_where_the_branch_did_not_touch_it() {
    let base = task("synced here", 50);
    let state = TaskSet::from([(id(1), task("waiting", 55))]);
    let theirs = TaskSet::from([(id(1), task("before", 90))]);
    let bases = BTreeMap::from([(id(1), Some(base))]);
    let pending = [edit(1, "waiting", 55)];
    let mut since = Branch::after(VersionId::NIL);
    since.take_in(&update(1, "modified", Some("90"), 90));
    let ours = Ours {
        state: &state,
        base_images: &bases,
        pending: &pending,
        had_passed_end: false,
        fork: Some(Fork { branch: &since, purged: &BTreeSet::new(), is_log_complete: true }),
        logged: &BTreeMap::new(),
    };
    let plan = plan(&ours, &theirs, VersionId::NIL, Consent::default()).unwrap();
    assert_eq!(plan.pending, [pending[0].operation.clone()]);
    assert_eq!(plan.lost, []);
}

#[test]
fn a_task_that_would_vanish_undeleted_is_kept_and_told() {
    let mut expired = task("deleted long ago", 1);
    expired.set("status", Some("deleted"));
    let state =
        TaskSet::from([(id(1), task("both", 1)), (id(2), task("only here", 1)), (id(3), expired)]);
    let theirs = TaskSet::from([(id(1), task("both", 1))]);
    let plan = run(&state, &[], &[], &theirs, false, Consent::default()).unwrap();
    assert_eq!(plan.kept, [id(2)]);
    let mut result = theirs.clone();
    for operation in &plan.pending {
        operation.apply_to_set(&mut result);
    }
    assert_eq!(result.get(&id(2)), state.get(&id(2)));
    assert!(!result.contains_key(&id(3)));
}

/// Found by the simulator: the Create was left out, and what followed it fell into the void.
#[test]
fn a_task_that_we_deleted_and_made_again_is_made_again_there() {
    let state = TaskSet::from([(id(1), task("again", 50))]);
    let bases = [(id(1), Some(task("base", 1)))];
    let theirs = TaskSet::from([(id(1), task("theirs", 90))]);
    let mut pending = vec![edit(1, "lost with it", 40), edit(1, "", 0), edit(1, "", 0)];
    pending[1].operation = Operation::Delete { uuid: id(1) };
    pending[2].operation = Operation::Create { uuid: id(1) };
    pending.push(edit(1, "again", 50));
    let plan = run(&state, &bases, &pending, &theirs, false, Consent::default()).unwrap();
    let mut result = theirs;
    for operation in &plan.pending {
        operation.apply_to_set(&mut result);
    }
    assert_eq!(result, TaskSet::from([(id(1), Task::from_iter([("description", "again")]))]));
}

/// Found by the simulator: the edits went with it, and nobody was told.
#[test]
fn a_deleted_task_with_edits_of_ours_does_not_vanish() {
    let mut deleted = task("edited", 50);
    deleted.set("status", Some("deleted"));
    let state = TaskSet::from([(id(1), deleted.clone()), (id(2), task("both", 1))]);
    let theirs = TaskSet::from([(id(2), task("both", 1))]);
    let bases = [(id(1), Some(task("base", 1)))];
    let plan =
        run(&state, &bases, &[edit(1, "edited", 50)], &theirs, false, Consent::default()).unwrap();
    let mut result = theirs;
    for operation in &plan.pending {
        operation.apply_to_set(&mut result);
    }
    assert_eq!(result.get(&id(1)), Some(&deleted));
}

/// Each case: the status that waits here and that of the server, where else the task was
/// changed, and whose work is told.
#[test]
fn a_task_deleted_on_one_side_and_changed_on_the_other_is_told() {
    for (here, there, changed_there, lost_here) in [
        (None, "deleted", false, Some(true)),
        (Some("deleted"), "pending", true, Some(false)),
        (Some("deleted"), "pending", false, None),
        (None, "completed", false, None),
    ] {
        let mut base = task("base", 1);
        base.set("status", Some("pending"));
        let mut theirs = base.clone();
        theirs.set("status", Some(there));
        if changed_there {
            theirs.set("project", Some("home"));
        }
        let mut state = base.clone();
        let mut pending = edit(1, "ours", 50);
        if let Some(status) = here {
            state.set("status", Some(status));
            pending.operation = update(1, "status", Some(status), 50);
        } else {
            state.set("description", Some("ours"));
        }
        let (state, theirs) = (TaskSet::from([(id(1), state)]), TaskSet::from([(id(1), theirs)]));
        let bases = [(id(1), Some(base))];
        let plan = run(&state, &bases, &[pending], &theirs, false, Consent::default()).unwrap();
        let lost: Vec<_> =
            plan.lost.iter().map(|lost| (lost.property.as_deref(), lost.here)).collect();
        let expected: Vec<_> = lost_here.map(|here| (Some("status"), here)).into_iter().collect();
        assert_eq!(lost, expected, "{here:?} {there} {changed_there}");
    }
}

#[test]
fn a_server_that_went_back_gets_the_difference_only_with_consent() {
    let state = TaskSet::from([(id(1), task("new", 5)), (id(2), task("added", 5))]);
    let theirs = TaskSet::from([(id(1), task("old", 1)), (id(3), task("deleted since", 1))]);
    let question = run(&state, &[], &[], &theirs, true, Consent::default()).unwrap_err();
    assert_eq!(question, Question::ServerWentBack { version: VersionId::NIL, tasks_differing: 3 });
    let consent = Consent { upload_difference: true, ..Consent::default() };
    let plan = run(&state, &[], &[], &theirs, true, consent).unwrap();
    let mut result = theirs;
    for operation in &plan.pending {
        operation.apply_to_set(&mut result);
    }
    assert_eq!(result, state);
}

#[test]
fn a_foreign_history_stops() {
    let state = TaskSet::from([(id(1), task("ours", 5))]);
    let theirs = TaskSet::from([(id(2), task("theirs", 5))]);
    assert!(matches!(
        run(&state, &[], &[], &theirs, false, Consent::default()),
        Err(Question::ForeignHistory { tasks_here: 1, tasks_there: 1 })
    ));
}
