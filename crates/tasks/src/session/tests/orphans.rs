//! Versions that a racing program left off the chain.

use super::*;

#[test]
fn an_orphaned_base_goes_back_to_the_fork_and_its_rows_are_removed() {
    let lost = [edit(1, "a", 5)];
    let mut back = tail(2, &lost);
    back.orphans = vec![v(3)];
    Talk::begin(Start { is_directory: true, ..start(tail(3, &[])) })
        .hears(&child(3), orphaned(2, &[(3, &lost)]))
        .asks_unorphan(2)
        .tell(Event::Moved(back))
        .hears(&Request::RemoveOrphans { versions: vec![v(3)] }, Response::OrphansRemoved)
        .commits(|change| {
            assert!(matches!(change, Change::Note { orphans_removed: true, .. }));
        })
        .hears(&child(2), raw_version(4, 2, segment::write([])))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[])
        .prepares(4)
        .pushes(4, &lost, accepted(5))
        .takes_in(5, false)
        .ends(&End::InStep);
}

impl Talk {
    #[track_caller]
    fn asks_unorphan(self, fork: u8) -> Self {
        assert!(matches!(&self.batch().change, Change::Unorphan { fork: f, .. } if *f == v(fork)));
        self
    }
}

/// Found by the simulator: versions that were pulled but not committed yet were orphaned, and the
/// base went to a fork that had never been applied.
#[test]
fn orphaned_versions_that_were_not_committed_yet_are_only_forgotten() {
    let ours = [edit(1, "older", 5)];
    Talk::begin(Start { is_directory: true, ..start(tail(3, &ours)) })
        .hears(&child(3), version(4, &[edit(2, "b", 1)]))
        .hears(&child(4), version(5, &[edit(1, "newer", 9)]))
        .hears(&child(5), orphaned(4, &[(5, &[edit(1, "newer", 9)])]))
        .pulls(&[4], &[])
        .hears(&child(4), raw_version(6, 4, segment::write([])))
        .hears(&child(6), UP_TO_DATE)
        .pulls(&[6], &[])
        .prepares(6)
        .pushes(6, &ours, accepted(7))
        .takes_in(7, false)
        .ends(&End::InStep);
}
