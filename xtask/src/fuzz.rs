//! Fuzzing led by coverage: the programs of `fuzz/`, built with the compiler that is here.
//!
//! The instrumentation that libFuzzer needs is a pass of LLVM, which the stable compiler takes, so
//! neither `cargo-fuzz` nor a nightly compiler is needed; only the address sanitizer would need one,
//! and nothing of ours is unsafe.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{self, Outcome};
use crate::tally::Tally;
use crate::workspace::{cargo, root};

/// What the compiler is told, beside the usual: count the edges that are passed, and show the
/// fuzzer what values are compared with.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Megabytes that one decoder may take: more is a bomb that went off.
const MEMORY_MB_MAX: u32 = 1024;

/// Seconds that one input may take.
const INPUT_SECONDS_MAX: u32 = 10;

/// Builds the programs, and runs those that `name` names (all without) for `seconds` each.
///
/// What they find goes to `target/fuzz/corpus/`, what breaks them to `fuzz/crashers/`, where a test
/// of `tandem-testkit` reads it from then on.
///
/// # Errors
/// What does not build or breaks.
pub(crate) fn run(target: &Path, seconds: &str, name: Option<&str>) -> Outcome {
    let target = target.join("fuzz");
    let triple = host()?;
    let mut build = cargo(["build", "--release", "--quiet", "--target", &triple]);
    build.arg("--manifest-path").arg(root().join("fuzz/Cargo.toml"));
    // Not `--locked`: the lock file also names what our own crates need, and they change.
    // With a target named, build scripts and macros are built without instrumentation.
    run::command(build.env("RUSTFLAGS", RUSTFLAGS).env("CARGO_TARGET_DIR", &target))?;
    let mut findings = Vec::new();
    for program in programs()? {
        if name.is_some_and(|name| name != program) {
            continue;
        }
        let found = target.join("corpus").join(&program);
        let crashers = root().join("fuzz/crashers").join(&program);
        for folder in [&found, &crashers] {
            fs::create_dir_all(folder).map_err(|error| vec![error.to_string()])?;
        }
        let mut command = Command::new(target.join(&triple).join("release").join(&program));
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"));
        command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
        command.arg(format!("-artifact_prefix={}/", crashers.display()));
        command.arg(&found).arg(root().join("fuzz/corpus").join(&program));
        if let Err(what) = run::command(&mut command) {
            findings.extend(what);
        }
        // Only kept where something lies in it.
        let _ = fs::remove_dir(&crashers);
    }
    let _ = fs::remove_dir(root().join("fuzz/crashers"));
    if findings.is_empty() { Ok(Tally::default()) } else { Err(findings) }
}

fn programs() -> Result<Vec<String>, Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| vec![error.to_string()])?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            Some(name.to_str()?.strip_suffix(".rs")?.to_owned())
        })
        .collect();
    names.sort();
    Ok(names)
}

/// What the compiler builds for without being told.
fn host() -> Result<String, Vec<String>> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|error| vec![format!("rustc cannot be run: {error}")])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| vec!["rustc names no host".to_owned()])
}
