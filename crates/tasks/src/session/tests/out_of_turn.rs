//! Events in any turn: properties.

use proptest::prelude::*;

use super::*;

fn any_event() -> impl Strategy<Value = Event> {
    fn operations() -> Vec<Operation> {
        vec![create(1), edit(1, "x", 7)]
    }
    let n = || 0..6u8;
    prop_oneof![
        Just(()).prop_map(|()| Event::Start),
        Just(()).prop_map(|()| Event::Unknown(broken())),
        Just(()).prop_map(|()| Event::Refused(broken())),
        Just(()).prop_map(|()| Event::Committed { first: None, last: None }),
        Just(()).prop_map(|()| Event::Asked(Question::NewHistory)),
        (n(), any::<bool>()).prop_map(|(base, has)| {
            Event::Moved(tail(base, if has { &[][..] } else { &[] as &[Operation] }))
        }),
        n().prop_map(|base| Event::Moved(tail(base, &operations()))),
        (n(), n()).prop_map(|(n, parent)| {
            Event::Answer(raw_version(n, parent, segment::write(&operations())))
        }),
        (n(), n()).prop_map(|(n, parent)| Event::Answer(raw_version(n, parent, b"[".to_vec()))),
        Just(()).prop_map(|()| Event::Answer(UP_TO_DATE)),
        Just(()).prop_map(|()| Event::Answer(GONE)),
        Just(()).prop_map(|()| Event::Answer(Response::Child(Child::StrangeNotFound))),
        n().prop_map(|fork| Event::Answer(orphaned(fork, &[(5, &[create(3)])]))),
        n().prop_map(|n| Event::Answer(accepted(n))),
        n().prop_map(|n| Event::Answer(conflict(n))),
        Just(()).prop_map(|()| Event::Answer(Response::Snapshot(None))),
        n().prop_map(|n| {
            Event::Answer(Response::Snapshot(Some((v(n), snapshot::write(&TaskSet::new())))))
        }),
        Just(()).prop_map(|()| Event::Answer(Response::SnapshotAdded)),
        Just(()).prop_map(|()| Event::Answer(Response::OrphansRemoved)),
        Just(()).prop_map(|()| Event::Answer(Response::Proof(Proof::Unproved))),
        Just(()).prop_map(|()| Event::Answer(PROVED)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is told in whatever turn: no panic, and after the end only ends.
    #[test]
    fn events_out_of_turn_never_panic(
        base in 0..4u8,
        has_pending in any::<bool>(),
        is_ours in any::<bool>(),
        events in proptest::collection::vec(any_event(), 0..25),
    ) {
        let operations = if has_pending { vec![create(1), edit(1, "mine", 5)] } else { Vec::new() };
        let mut start = start(tail(base, &operations));
        if !is_ours {
            start.relation = Relation::Other { last_base: Some(v(2)) };
        }
        let mut session = Session::new(start);
        session.next(Event::Start);
        let mut has_ended = false;
        for event in events {
            let action = session.next(event);
            prop_assert!(!has_ended || matches!(action, Action::Done(_)));
            has_ended |= matches!(action, Action::Done(_));
        }
    }

    /// A committed group of random versions drops nothing twice and a push after it holds only what
    /// was not dropped.
    #[test]
    fn nothing_that_was_dropped_is_pushed(
        at in proptest::collection::vec(0..10i64, 1..5), theirs in proptest::collection::vec((0..4u8, 0..10i64), 0..6),
    ) {
        let ours: Vec<Operation> =
            at.iter().zip(1..).map(|(at, n)| edit(n, "mine", *at)).collect();
        let other: Vec<Operation> = theirs.iter().map(|(n, at)| edit(n + 1, "theirs", *at)).collect();
        let talk = Talk::begin(start(tail(3, &ours)))
            .hears(&child(3), version(4, &other))
            .hears(&child(4), UP_TO_DATE);
        let Change::Pull { dropped, .. } = talk.batch().change.clone() else { panic!() };
        let left: Vec<Operation> = ours
            .iter()
            .zip(1..)
            .filter(|(_, n)| !dropped.contains(&id(2 * n)))
            .map(|(operation, _)| operation.clone())
            .collect();
        let talk = talk.commits(|_| {});
        if left.is_empty() {
            talk.ends(&End::InStep);
        } else {
            talk.prepares(4).sends(4, &left);
        }
    }
}
