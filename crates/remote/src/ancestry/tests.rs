use super::*;

fn version(number: u8) -> VersionId {
    VersionId::from_bytes([number; 16])
}

/// Stored versions as (version, parent).
fn links(stored: &[(u8, u8)]) -> impl Links + use<> {
    let stored: HashMap<_, _> = stored.iter().map(|(v, p)| (version(*v), version(*p))).collect();
    move |wanted| Ok(stored.get(&wanted).copied())
}

fn chain(latest: u8, stored: &[(u8, u8)]) -> Chain {
    let mut chain = Chain::default();
    chain.follow(version(latest), links(stored)).unwrap();
    chain
}

const FORKED: &[(u8, u8)] = &[(1, 0), (2, 1), (4, 2), (6, 4), (3, 2), (5, 3)];

#[test]
fn children_are_those_on_the_way_to_the_latest() {
    let mut chain = chain(6, FORKED);
    for (parent, expected) in [(4, Some(6)), (2, Some(4)), (0, Some(1)), (3, None), (9, None)] {
        let child = chain.child(version(parent), links(FORKED)).unwrap();
        assert_eq!(child, expected.map(version), "after {parent}");
    }
    assert_eq!(chain.root_parent(links(FORKED)).unwrap(), VersionId::NIL);
    assert_eq!(chain.len(), 4);
}

#[test]
fn a_walk_stops_where_it_finds_what_was_asked_for() {
    let looks = std::cell::Cell::new(0);
    let stored = links(FORKED);
    let counted = |wanted| {
        looks.set(looks.get() + 1);
        stored(wanted)
    };
    assert_eq!(chain(6, FORKED).child(version(4), counted).unwrap(), Some(version(6)));
    assert_eq!(looks.get(), 1);
}

#[test]
fn a_later_end_keeps_what_is_known_and_another_branch_does_not() {
    let mut chain = chain(4, FORKED);
    chain.root_parent(links(FORKED)).unwrap();
    chain.follow(version(6), links(FORKED)).unwrap();
    assert_eq!(chain.len(), 4, "descends from the old end");
    assert!(chain.is_whole);

    chain.follow(version(5), links(FORKED)).unwrap();
    assert_eq!(chain.len(), 0, "another branch is walked anew");
    assert_eq!(chain.child(version(2), links(FORKED)).unwrap(), Some(version(3)));
    chain.follow(VersionId::NIL, links(FORKED)).unwrap();
    assert_eq!(chain.child(version(2), links(FORKED)).unwrap(), None);
}

#[test]
fn a_branch_is_told_from_its_fork() {
    let mut chain = chain(6, FORKED);
    let branch = chain.branch(version(5), links(FORKED)).unwrap().unwrap();
    assert_eq!(branch, Branch { fork: version(2), versions: vec![version(3), version(5)] });

    // Two first versions: the fork is the empty history.
    let first_race = [(1, 0), (2, 0)];
    let mut chain = tests::chain(2, &first_race);
    let branch = chain.branch(version(1), links(&first_race)).unwrap().unwrap();
    assert_eq!(branch, Branch { fork: VersionId::NIL, versions: vec![version(1)] });

    // A leftover of another history leaves this chain nowhere.
    let strange = [(1, 0), (8, 7)];
    let mut chain = tests::chain(1, &strange);
    assert_eq!(chain.branch(version(8), links(&strange)).unwrap(), None);
}

#[test]
fn circles_are_errors_not_endless_walks() {
    let through_latest = [(1, 2), (2, 1)];
    assert!(chain(2, &through_latest).root_parent(links(&through_latest)).is_err());
    let before_latest = [(1, 2), (2, 1), (3, 2)];
    assert!(chain(3, &before_latest).root_parent(links(&before_latest)).is_err());
    let to_itself = [(1, 1)];
    assert!(chain(1, &to_itself).root_parent(links(&to_itself)).is_err());
    let beside = [(1, 0), (5, 6), (6, 5)];
    assert!(chain(1, &beside).branch(version(5), links(&beside)).is_err());
    let mut moved = chain(1, &beside);
    assert!(moved.follow(version(5), links(&beside)).is_err());
}

fn text(number: u8, title: &str) -> Vec<u8> {
    let uuid = version(number);
    format!(
        r#"{{"operations":[{{"Create":{{"uuid":"{uuid}"}}}},{{"Update":{{"uuid":"{uuid}","property":"title","value":"{title}","timestamp":"2026-01-01T00:00:00Z"}}}}]}}"#
    )
    .into_bytes()
}

#[test]
fn the_fork_shows_only_the_tasks_that_the_orphans_touch() {
    let segment_of = |wanted: VersionId| {
        Ok(match wanted.to_bytes()[0] {
            1 => text(0xa, "at the fork"),
            2 => text(0xb, "not touched"),
            3 => text(0xa, "orphaned"),
            4 => text(0xa, "after the fork"),
            _ => text(0xc, "new in an orphan"),
        })
    };
    let mut chain = chain(6, FORKED);
    let branch = chain.branch(version(5), links(FORKED)).unwrap().unwrap();
    let orphaned = chain.read_branch(&branch, segment_of).unwrap();
    assert_eq!(orphaned.orphans.len(), 2);
    assert_eq!(orphaned.orphans[0], (version(3), text(0xa, "orphaned")));
    assert_eq!(orphaned.tasks_at_fork.len(), 1);
    let task = orphaned.tasks_at_fork.values().next().unwrap();
    assert_eq!(task.get("title"), Some("at the fork"));
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let mut chain = chain(6, FORKED);
    let branch = chain.branch(version(5), links(FORKED)).unwrap().unwrap();
    let failure = chain.read_branch(&branch, |_| Ok(b"rubbish".to_vec())).unwrap_err();
    let damaged = DirectoryTrouble::Damaged;
    assert!(matches!(&failure, Failure::Directory { trouble, .. } if *trouble == damaged));
    let future = |_| Ok(br#"{"operations":[{"Merge":{}}]}"#.to_vec());
    let failure = chain.read_branch(&branch, future).unwrap_err();
    assert!(matches!(failure, Failure::FutureKind { .. }), "{failure}");

    let adopted = [(2, 1), (3, 2), (4, 2)];
    let mut chain = tests::chain(4, &adopted);
    let branch = chain.branch(version(3), links(&adopted)).unwrap().unwrap();
    let failure = chain.read_branch(&branch, |_| Ok(text(1, "x"))).unwrap_err();
    assert!(matches!(&failure, Failure::Directory { trouble, .. } if *trouble == damaged));
}
