//! Whole runs from seeds. `TANDEM_SEEDS=10000` asks for more; `TANDEM_SEED=N` with the test
//! `replay` shows one run (with `TANDEM_WORKLOAD=retention`, `TANDEM_DISK=sqlite` as the failure
//! said; `TANDEM_TWIN=1` for the storage of the server beside).

use std::collections::BTreeMap;

use tandem_testkit::{DiskKind, Options, Workload, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn options(seed: u64, workload: Option<Workload>, disk: DiskKind) -> Options {
    let has_twin = std::env::var_os("TANDEM_TWIN").is_some();
    Options { seed, workload, disk, keeps_trace: false, has_twin }
}

fn named_workload() -> Option<Workload> {
    std::env::var("TANDEM_WORKLOAD").ok().as_deref().and_then(Workload::from_name)
}

#[expect(clippy::print_stdout, reason = "what the runs met, for whoever asks with --nocapture")]
fn many(disk: DiskKind, seeds: u64) {
    let workload = named_workload();
    let seeds = number("TANDEM_SEEDS").unwrap_or(seeds);
    let first = number("TANDEM_FIRST").unwrap_or(1);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in first..first + seeds {
        let run = run(&options(seed, workload, disk));
        for (what, count) in run.counts {
            *counts.entry(what).or_default() += count;
        }
        if let Some(failure) = run.failure {
            let story = format!("{:?}", run.plan.workload).to_lowercase();
            let on = if disk == DiskKind::Sqlite { " TANDEM_DISK=sqlite" } else { "" };
            let given = if workload.is_some() {
                format!(" TANDEM_WORKLOAD={story}")
            } else {
                String::new()
            };
            failures.push(format!(
                "{story}: {failure}\nreplay: TANDEM_SEED={seed}{given}{on} cargo test -p tandem-testkit --test simulation replay -- --nocapture\n"
            ));
            if failures.len() >= 10 {
                break;
            }
        }
    }
    println!("{counts:#?}");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_replica_converges_over_memory() {
    many(DiskKind::Memory, 400);
}

#[test]
fn every_replica_converges_over_sqlite() {
    many(DiskKind::Sqlite, 12);
}

/// The server in the simulator is the abstract one, with levers. This shows that over the same seeds
/// the storage of `ta serve` answers every request as that one does, killed and started again every
/// few answers, and that nothing which is wrong about it goes unseen because nobody asked.
#[test]
fn the_storage_of_the_server_answers_as_the_abstract_one() {
    let (mut compared, mut kills, mut failures) = (0, 0, Vec::new());
    for seed in 1..=10 {
        let options = Options { has_twin: true, ..options(seed, None, DiskKind::Memory) };
        let run = run(&options);
        compared += run.counts.get("compared with the storage").copied().unwrap_or(0);
        kills += run.counts.get("server killed").copied().unwrap_or(0);
        if let Some(failure) = run.failure {
            failures.push(format!("{failure}\nreplay: TANDEM_TWIN=1 TANDEM_SEED={seed} cargo test -p tandem-testkit --test simulation replay -- --nocapture"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 1000, "{compared} answers were compared");
    assert!(kills > 50, "the server was killed {kills} times");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        let twice = [1, 2].map(|_| run(&options(seed, None, DiskKind::Memory)).hash);
        assert_eq!(twice[0], twice[1], "seed {seed}");
    }
    let twice = [1, 2].map(|_| run(&options(3, None, DiskKind::Sqlite)).hash);
    assert_eq!(twice[0], twice[1], "over SQLite");
}

#[test]
fn replay() {
    let Some(seed) = number("TANDEM_SEED") else { return };
    let disk = match std::env::var("TANDEM_DISK").as_deref() {
        Ok("sqlite") => DiskKind::Sqlite,
        _ => DiskKind::Memory,
    };
    let run = run(&Options { keeps_trace: true, ..options(seed, named_workload(), disk) });
    for line in &run.trace {
        println!("{line}");
    }
    if let Some(failure) = run.failure {
        panic!("seed {seed}: {failure}");
    }
}
