//! What each command runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Outcome, Run, say};
use crate::tally::Tally;
use crate::workspace::{Metadata, cargo, files, root};
use crate::{fuzz, needs, pure, python, tidy};

/// Features that the tests build with, in whichever of our packages declares them: conformance
/// suites, planted defects, named places at which the program can be killed.
const TEST_FEATURES: &[&str] = &["testing", "planted-defects"];

/// The feature that lets the tests against the reference programs be built, and the name of their
/// test target. They are apart because they need programs from lock files of their own.
const INTEROP: &str = "interop";

/// The programs in `interop/` and the variables by which tests find them.
const REFERENCE_PROGRAMS: &[(&str, &str)] = &[
    ("reference-client", "TANDEM_REFERENCE_CLIENT"),
    ("reference-server", "TANDEM_REFERENCE_SERVER"),
];

/// Seeds that `long` runs over memory, and over SQLite.
const LONG_SEEDS: (&str, &str) = ("5000", "200");

/// Cases per property that `fuzz` and `long` run unless told otherwise; the tests' own default is
/// 256 or what a test says.
pub(crate) const FUZZ_CASES: &str = "20000";

/// Everything that a landing must pass, cheapest first.
///
/// Bounded fuzzing needs no stage of its own: it is the properties over every decoder and the inputs
/// in `fuzz/`, which are part of the test suites; and so are a fixed set of simulation seeds.
pub(crate) fn test(keeps_going: bool) -> u8 {
    let mut run = Run::new(keeps_going);
    run.stage("format", || run::command(&mut cargo(["fmt", "--all", "--check"])));
    run.stage("tidy", || findings(tidy::check(&files().map_err(one)?, &metadata()?)));
    run.stage("pure", || findings(pure::check(&files().map_err(one)?)));
    run.stage("needs", || findings(needs::provide()));
    run.stage("clippy", || {
        let mut command = cargo(["clippy", "--workspace", "--all-targets", "--locked"]);
        with_features(&mut command, &features(true)?);
        run::command(command.args(["--", "--deny", "warnings"]))
    });
    run.stage("docs", || {
        let mut command = cargo(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
        run::command(command.env("RUSTDOCFLAGS", "-D warnings"))
    });
    run.stage("tests", || {
        let mut command = cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
        with_features(&mut command, &features(false)?);
        run::tests(&mut command)
    });
    run.stage("interop", interop);
    run.end()
}

/// The checks that need no build of ours, one run for each name.
pub(crate) fn checks(name: &'static str) -> u8 {
    let mut run = Run::new(true);
    if name != "check-pure" {
        run.stage("tidy", || findings(tidy::check(&files().map_err(one)?, &metadata()?)));
    }
    run.stage("pure", || findings(pure::check(&files().map_err(one)?)));
    run.end()
}

/// The tests against the reference programs alone.
pub(crate) fn interop_alone() -> u8 {
    let mut run = Run::new(true);
    run.stage("needs", || findings(needs::provide()));
    run.stage("interop", interop);
    run.end()
}

/// Flags of `sim` and the variables by which the simulation's tests know them.
const SIMULATION_FLAGS: &[(&str, &str)] = &[
    ("--seed", "TANDEM_SEED"),
    ("--seeds", "TANDEM_SEEDS"),
    ("--first", "TANDEM_FIRST"),
    ("--workload", "TANDEM_WORKLOAD"),
    ("--disk", "TANDEM_DISK"),
];

/// Replays one seed with everything that happens in it, or runs many.
pub(crate) fn simulate(arguments: &[String]) -> u8 {
    match simulation(arguments) {
        Ok(mut command) => pass(&mut command),
        Err(problem) => {
            say(&problem);
            2
        }
    }
}

fn simulation(arguments: &[String]) -> Result<Command, String> {
    let mut variables = Vec::new();
    for pair in arguments.chunks(2) {
        let known = SIMULATION_FLAGS.iter().find(|(flag, _)| *flag == pair[0]);
        let Some((flag, variable)) = known else {
            let flags: Vec<&str> = SIMULATION_FLAGS.iter().map(|(flag, _)| *flag).collect();
            return Err(format!("`{}` is none of {}", pair[0], flags.join(", ")));
        };
        let value = pair.get(1).ok_or_else(|| format!("`{flag}` needs a value"))?;
        variables.push((*variable, value.as_str()));
    }
    let value_of = |name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    let test = match (value_of("TANDEM_SEED"), value_of("TANDEM_DISK")) {
        (Some(_), _) => "replay",
        (None, Some("sqlite")) => "every_replica_converges_over_sqlite",
        (None, _) => "every_replica_converges_over_memory",
    };
    if value_of("TANDEM_SEED").is_none() && value_of("TANDEM_SEEDS").is_none() {
        return Err("say which: `--seed N` replays one run, `--seeds N` runs N".into());
    }
    let mut command = cargo(["test", "--quiet", "--release", "--locked", "-p", "tandem-testkit"]);
    command.args(["--test", "simulation", "--", "--exact", test, "--nocapture"]);
    command.envs(variables);
    Ok(command)
}

/// What takes longer: many new seeds, many cases for every property, many random kills.
pub(crate) fn long() -> u8 {
    let mut run = Run::new(true);
    run.stage("needs", || findings(needs::provide()));
    run.stage("long tests", || long_tests(FUZZ_CASES, &[]));
    for (name, disk, seeds) in [
        ("simulation over memory", "memory", LONG_SEEDS.0),
        ("simulation over SQLite", "sqlite", LONG_SEEDS.1),
    ] {
        run.stage(name, || {
            let arguments = ["--seeds", seeds, "--disk", disk].map(str::to_owned);
            run::tests(&mut simulation(&arguments).map_err(one)?)
        });
    }
    run.end()
}

/// The properties over every decoder, with many cases.
pub(crate) fn fuzz(cases: &str) -> u8 {
    let mut run = Run::new(true);
    const PURE: &[&str] = &[
        "-p",
        "tandem-core",
        "-p",
        "tandem-seal",
        "-p",
        "tandem-tasks",
        "-p",
        "tandem-exchange",
        "-p",
        "tandem-words",
        "-p",
        "tandem-settings",
    ];
    run.stage("fuzz", || long_tests(cases, PURE));
    run.end()
}

/// The fuzzing programs, each for so many seconds.
pub(crate) fn fuzz_programs(seconds: &str, name: Option<&str>) -> u8 {
    let mut run = Run::new(true);
    run.stage("fuzz", || fuzz::run(&metadata()?.target, seconds, name));
    run.end()
}

/// The measurements, with their own arguments.
pub(crate) fn bench(arguments: &[String]) -> u8 {
    let folder = match reference_programs() {
        Ok((folder, _)) => folder,
        Err(findings) => {
            findings.iter().for_each(|finding| say(finding));
            return 1;
        }
    };
    // Measured as people have it, and found beside the measuring program.
    if pass(&mut cargo(["build", "--release", "--locked", "-p", "tandem-cli"])) != 0 {
        return 1;
    }
    let mut command = cargo(["run", "--release", "--locked", "-p", "tandem-bench", "--"]);
    pass(command.args(arguments).env("TANDEM_REFERENCE_BIN", folder))
}

fn interop() -> Outcome {
    let metadata = metadata()?;
    if !metadata.ours().any(|package| package.tests.iter().any(|name| name == INTEROP)) {
        return Err(one(format!("no package has the test target `{INTEROP}`")));
    }
    let (_, mut programs) = reference_programs()?;
    let python = python::environment(&metadata.target.join("interop"))?;
    programs.push(("TANDEM_REFERENCE_PYTHON", python));
    // The whole workspace, so that the features unify as in the stage before and nothing is built twice.
    let mut command = cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
    with_features(&mut command, &features(true)?);
    run::tests(command.args(["--test", INTEROP]).env("TANDEM_INTEROP", "1").envs(programs))
}

/// The programs by the variables that name them.
type Programs = Vec<(&'static str, PathBuf)>;

/// Builds the reference programs; their folder, and each of them.
fn reference_programs() -> Result<(PathBuf, Programs), Vec<String>> {
    let target = metadata()?.target.join("interop");
    let folder = target.join("release");
    let mut programs = Vec::new();
    for (name, variable) in REFERENCE_PROGRAMS {
        let manifest = root().join("interop").join(name).join("Cargo.toml");
        let mut command = cargo(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
        run::command(command.arg(manifest).env("CARGO_TARGET_DIR", &target))?;
        programs.push((*variable, folder.join(program_name(name))));
    }
    Ok((folder, programs))
}

fn long_tests(cases: &str, packages: &[&str]) -> Outcome {
    let mut command = cargo(["test", "--locked", "--no-fail-fast"]);
    if packages.is_empty() {
        command.arg("--workspace");
        with_features(&mut command, &features(false)?);
    }
    run::tests(command.args(packages).env("TANDEM_LONG", "1").env("PROPTEST_CASES", cases))
}

fn metadata() -> Result<Metadata, Vec<String>> {
    Metadata::load().map_err(one)
}

/// The features to test with, as `package/feature`.
fn features(with_interop: bool) -> Result<Vec<String>, Vec<String>> {
    let metadata = metadata()?;
    let mut features = metadata.features(TEST_FEATURES);
    if with_interop {
        features.extend(metadata.features(&[INTEROP]));
    }
    Ok(features)
}

fn with_features(command: &mut Command, features: &[String]) {
    if !features.is_empty() {
        command.arg("--features").arg(features.join(","));
    }
}

fn program_name(name: &str) -> PathBuf {
    Path::new(name).with_extension(std::env::consts::EXE_EXTENSION)
}

fn pass(command: &mut Command) -> u8 {
    match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => {
            say(&format!("cargo cannot be run: {error}"));
            1
        }
    }
}

fn findings(result: Result<(), Vec<String>>) -> Outcome {
    result.map(|()| Tally::default())
}

fn one(finding: String) -> Vec<String> {
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulated(line: &str) -> Result<String, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        simulation(&words).map(|command| format!("{command:?}"))
    }

    #[test]
    fn a_seed_is_replayed_and_seeds_are_run() {
        let replay = simulated("--seed 7 --disk sqlite").unwrap();
        assert!(replay.contains("\"replay\"") && replay.contains("TANDEM_SEED=\"7\""), "{replay}");
        assert!(simulated("--seeds 9").unwrap().contains("over_memory"));
        assert!(simulated("--seeds 9 --disk sqlite").unwrap().contains("over_sqlite"));
        for wrong in ["", "--seed", "--sead 1", "--workload busy"] {
            assert!(simulated(wrong).is_err(), "{wrong}");
        }
    }
}
