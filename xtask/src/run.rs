//! Running stages: one headline each, and what they counted.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tally::{Tally, is_noise};

/// What became of a stage.
pub(crate) type Outcome = Result<Tally, Vec<String>>;

/// Prints a line for the person who watches.
///
/// With `println!`, which the test harness catches: what these functions say in their own tests
/// must not be counted.
#[expect(clippy::print_stdout, reason = "this program is all output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The stages of one run, and the sum of what they said.
#[derive(Debug, Default)]
pub(crate) struct Run {
    tally: Tally,
    /// Stages that failed otherwise than by a test of theirs: each counts as one failure.
    broken: Vec<&'static str>,
    has_failed: bool,
    keeps_going: bool,
}

impl Run {
    /// A run that ends with the first failing stage, unless it keeps going.
    pub(crate) fn new(keeps_going: bool) -> Self {
        Self { keeps_going, ..Self::default() }
    }

    /// Runs a stage, unless one before it has failed.
    pub(crate) fn stage(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) {
        if self.has_failed && !self.keeps_going {
            return;
        }
        say(&format!("== {name}"));
        let began = Instant::now();
        let outcome = work();
        let time = shown(began.elapsed());
        match outcome {
            Ok(tally) => {
                self.tally.add(tally);
                let failed = tally.failures();
                self.has_failed |= failed > 0;
                let word = if failed > 0 { "FAILED" } else { "ok" };
                let mut counts = match tally.passed + failed {
                    0 => String::new(),
                    _ => format!(", {} passed, {failed} failed", tally.passed),
                };
                if tally.ignored > 0 {
                    counts = format!("{counts}, {} ignored", tally.ignored);
                }
                if tally.crashed > 0 {
                    counts = format!(
                        "{counts} ({} of them whole test programs that crashed)",
                        tally.crashed
                    );
                }
                say(&format!("== {name}: {word} in {time}{counts}"));
            }
            Err(findings) => {
                self.has_failed = true;
                self.broken.push(name);
                for finding in findings {
                    say(&finding);
                }
                say(&format!("== {name}: FAILED in {time}"));
            }
        }
    }

    /// Says what came of it all; the exit code of the program.
    pub(crate) fn end(self) -> u8 {
        if !self.broken.is_empty() {
            say(&format!("failed outside of tests: {}", self.broken.join(", ")));
        }
        let failed = self.tally.failures() + self.broken.len() as u64;
        say(&format!("{} passed, {failed} failed", self.tally.passed));
        u8::from(self.has_failed)
    }
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Runs a command whose success is all that counts.
pub(crate) fn command(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(Tally::default()),
        Ok(status) => Err(vec![format!("{} ended with {status}", line_of(command))]),
        Err(error) => Err(vec![format!("{} cannot be run: {error}", line_of(command))]),
    }
}

/// Runs test programs, shows what is worth seeing of their output as it comes, and counts.
pub(crate) fn tests(command: &mut Command) -> Outcome {
    let cannot = |error: std::io::Error| vec![format!("the tests cannot be run: {error}")];
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).map_err(cannot)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            tally.read(text);
            if !is_noise(text) {
                say(text);
            }
            line.clear();
        }
    }
    let status = child.wait().map_err(cannot)?;
    tally.close();
    // No failing test but a build that broke off.
    if !status.success() && tally.failures() == 0 {
        return Err(vec![format!("{} ended with {status}", line_of(command))]);
    }
    if status.success() && tally.failures() > 0 {
        return Err(vec!["the test programs contradict themselves".into()]);
    }
    if tally.passed == 0 && tally.failures() == 0 {
        return Err(vec![format!("{} ran no test", line_of(command))]);
    }
    Ok(tally)
}

fn line_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_stem().unwrap_or_default();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<String> =
        std::iter::once(program.to_string_lossy().into_owned()).chain(arguments).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn tests_are_counted_and_a_broken_program_is_told() {
        let ok = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'";
        assert_eq!(tests(&mut shell(ok)).unwrap().passed, 2);
        let failed =
            "echo 'test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured'; exit 101";
        assert_eq!(tests(&mut shell(failed)).unwrap().failed, 3);
        assert!(tests(&mut shell(&format!("{ok}; exit 1"))).is_err());
        let crash = "echo 'running 3 tests'; exit 101";
        assert_eq!(tests(&mut shell(crash)).unwrap().crashed, 1);
        assert!(tests(&mut shell("exit 0")).is_err(), "no test at all is no success");
    }

    #[test]
    fn a_failed_stage_ends_the_run_and_counts() {
        let mut run = Run::new(false);
        run.stage("a", || Ok(Tally::of(5, 0)));
        run.stage("b", || Err(vec!["no".into()]));
        run.stage("c", || panic!("must not be run"));
        assert_eq!((run.tally.passed, run.broken.as_slice()), (5, ["b"].as_slice()));
        assert_eq!(run.end(), 1);
    }

    #[test]
    fn a_run_can_keep_going() {
        let mut run = Run::new(true);
        run.stage("a", || Ok(Tally::of(1, 1)));
        run.stage("b", || Ok(Tally::of(1, 0)));
        assert_eq!(run.tally, Tally::of(2, 1));
        assert_eq!(run.end(), 1);
        assert_eq!(Run::new(false).end(), 0);
    }

    #[test]
    fn times_are_shown_for_people() {
        assert_eq!(shown(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(shown(Duration::from_secs(61)), "1 min 01 s");
    }
}
