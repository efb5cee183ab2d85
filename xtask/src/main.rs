//! The project's own chores, as `cargo xtask COMMAND`.
//!
//! `test` is the one that matters: it installs or starts what the tests need, runs everything, and
//! is all that a landing must pass. It works from any folder of the project, on a machine with Rust
//! and a C compiler; nothing here depends on a crate.

mod deny;
mod fuzz;
mod json;
mod links;
mod needs;
mod pure;
mod python;
mod run;
mod source;
mod stages;
mod tally;
mod tidy;
mod workspace;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [--keep-going]   everything that a landing must pass: format, tidy, pure, needs, clippy,
                        docs, tests and doctests (properties over every decoder and a fixed set
                        of simulation seeds among them), interop with the reference programs.
                        Ends with the first stage that fails, unless told to keep going
  tidy                  the checks that need no build, the next one among them
  check-pure            the pure crates reach no runtime, file, socket, clock or randomness
  interop               builds the reference programs and runs the tests against them
  sim --seed N          replays one run of the simulator, told step by step
  sim --seeds N         runs N seeds, from --first N on
                        both: --workload NAME, --disk memory|sqlite, as a failure says
  fuzz [CASES]          the properties of the pure crates with many cases (20,000 each)
  fuzz --seconds N [DECODER]
                        fuzzing led by coverage, N seconds for each decoder (see fuzz/README.md)
  long                  what takes longer: many cases, many kills, thousands of seeds
  bench [ARGUMENTS]     the measurements against the reference programs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ExitCode::from(match words[..] {
        ["test"] => stages::test(false),
        ["test", "--keep-going"] => stages::test(true),
        ["tidy"] => stages::checks("tidy"),
        ["check-pure"] => stages::checks("check-pure"),
        ["interop"] => stages::interop_alone(),
        ["sim", ..] => stages::simulate(&arguments[1..]),
        ["fuzz"] => stages::fuzz(stages::FUZZ_CASES),
        ["fuzz", "--seconds", seconds] => stages::fuzz_programs(seconds, None),
        ["fuzz", "--seconds", seconds, name] => stages::fuzz_programs(seconds, Some(name)),
        ["fuzz", cases] => stages::fuzz(cases),
        ["long"] => stages::long(),
        ["bench", ..] => stages::bench(&arguments[1..]),
        ["help" | "--help" | "-h"] => {
            run::say(HELP);
            0
        }
        _ => {
            run::say(HELP);
            2
        }
    })
}
