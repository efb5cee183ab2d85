//! The transform, by its law and cell by cell (`protocols/taskchampion.md` section 4).

use crate::common::{fits, id, operation, state, update};
use proptest::prelude::*;
use tandem_tasks::Operation;
use tandem_tasks::transform::transform;

fn create() -> Operation {
    Operation::Create { uuid: id(1) }
}

fn delete() -> Operation {
    Operation::Delete { uuid: id(1) }
}

/// The table of section 4: S, L, whether S' is S, whether L' is L.
#[test]
fn every_row_of_the_table_is_kept() {
    let p = |value, at| update(1, "p", value, at);
    let q = |value, at| update(1, "q", value, at);
    let cases = [
        ("Create, Create", create(), create(), false, false),
        ("Delete, Delete", delete(), delete(), false, false),
        ("Create, Delete", create(), delete(), true, false),
        ("Delete, Create", delete(), create(), false, true),
        ("Update, Create", p(Some("v"), 1), create(), true, false),
        ("Create, Update", create(), p(Some("v"), 1), false, true),
        ("Update, Delete", p(Some("v"), 9), delete(), false, true),
        ("Delete, Update", delete(), p(Some("v"), 9), true, false),
        ("other properties", p(Some("v"), 1), q(Some("w"), 2), true, true),
        ("equal values", p(Some("v"), 1), p(Some("v"), 2), false, false),
        ("equal values, both null", p(None, 2), p(None, 1), false, false),
        ("S is earlier", p(Some("v"), 1), p(Some("w"), 2), false, true),
        ("S is earlier, and L removes", p(Some("v"), 1), p(None, 2), false, true),
        ("S is later", p(Some("v"), 2), p(Some("w"), 1), true, false),
        ("S is later, and removes", p(None, 2), p(Some("w"), 1), true, false),
        ("a tie: the server's stands", p(Some("v"), 1), p(Some("w"), 1), true, false),
        ("a tie against a removal", p(Some("v"), 1), p(None, 1), true, false),
        ("another task", p(Some("v"), 1), update(2, "p", Some("w"), 1), true, true),
    ];
    for (name, server, local, server_survives, local_survives) in cases {
        let meeting = transform(&server, &local);
        assert_eq!(
            (meeting.server_survives(), meeting.local_survives()),
            (server_survives, local_survives),
            "{name}"
        );
    }
}

/// The first five worked examples of section 4; the sixth stands beside `rebase`.
#[test]
fn the_worked_examples_come_out() {
    let examples = [
        (update(1, "title", Some("y"), 10), update(1, "title", Some("z"), 20), Some("z")),
        (update(1, "title", Some("y"), 20), update(1, "title", Some("z"), 10), Some("y")),
        (update(1, "title", Some("y"), 10), update(1, "title", Some("z"), 10), Some("y")),
        (delete(), update(1, "title", Some("z"), 10), None),
    ];
    for (server, local, title) in examples {
        let mut task = Some(tandem_tasks::Task::from_iter([("title", "x")]));
        local.apply(&mut task);
        if transform(&server, &local).server_survives() {
            server.apply(&mut task);
        }
        assert_eq!(task.as_ref().and_then(|task| task.get("title")), title);
    }
    let tags = (update(1, "tag_home", Some(""), 1), update(1, "tag_work", Some(""), 1));
    assert!(transform(&tags.0, &tags.1).server_survives());
    assert!(transform(&tags.0, &tags.1).local_survives());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        max_global_rejects: 200_000, // half of all operations do not fit
        ..ProptestConfig::default()
    })]

    #[test]
    fn s_then_l_transformed_equals_l_then_s_transformed(
        state in state(2), server in operation(2), local in operation(2),
    ) {
        prop_assume!(fits(&server, &state) && fits(&local, &state));
        let meeting = transform(&server, &local);
        let mut there = state.clone();
        server.apply_to_set(&mut there);
        if meeting.local_survives() {
            local.apply_to_set(&mut there);
        }
        let mut here = state;
        local.apply_to_set(&mut here);
        if meeting.server_survives() {
            server.apply_to_set(&mut here);
        }
        prop_assert_eq!(there, here);
    }

    #[test]
    fn an_operation_meeting_itself_leaves_nothing(one in operation(2)) {
        let meeting = transform(&one, &one);
        prop_assert!(!meeting.server_survives() && !meeting.local_survives());
    }
}
