//! The simulator finds what it is there to find: five defects of the reference (protocol page
//! section 20), planted one at a time, each within a stated number of seeds.
#![cfg(feature = "planted-defects")]

use tandem_tasks::planted::{Defect, plant};
use tandem_testkit::{DiskKind, Options, Workload, run};

/// The first seed whose run fails, and how.
#[expect(clippy::print_stdout, reason = "how soon, for whoever asks with --nocapture")]
fn found(defect: Defect, workload: Workload, seeds: u64) -> (u64, String) {
    plant(Some(defect));
    let found = (1..=seeds).find_map(|seed| {
        let options =
            Options { seed, workload: Some(workload), disk: DiskKind::Memory, keeps_trace: false };
        Some((seed, run(&options).failure?))
    });
    plant(None);
    let (seed, failure) = found.unwrap_or_else(|| panic!("{defect:?} not found in {seeds} seeds"));
    println!("{defect:?} found with seed {seed}: {failure}");
    (seed, failure)
}

#[test]
fn later_batches_that_are_never_rebased_are_found_within_100_seeds() {
    found(Defect::LaterBatchesNotRebased, Workload::Usual, 100);
}

#[test]
fn a_rebase_thrown_away_by_a_conflict_is_found_within_100_seeds() {
    found(Defect::ConflictForgetsRebase, Workload::Usual, 100);
}

#[test]
fn a_snapshot_made_in_the_middle_of_an_upload_is_found_within_20_seeds() {
    let (_, failure) = found(Defect::EarlySnapshot, Workload::Usual, 20);
    assert!(failure.contains("snapshot"), "{failure}");
}

#[test]
fn a_missing_history_that_nobody_tells_of_is_found_within_500_seeds() {
    found(Defect::MissingHistoryNotTold, Workload::MissingHistory, 500);
}

#[test]
fn a_410_without_a_way_out_is_found_within_20_seeds() {
    found(Defect::GoneIsTheEnd, Workload::Retention, 20);
}
