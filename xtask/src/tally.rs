//! Counting tests by what the test programs themselves say at their end.

/// What test programs said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) ignored: u64,
    /// Test programs that began and never summed up: they crashed.
    pub(crate) crashed: u64,
    /// A test program has begun and not yet summed up.
    is_open: bool,
}

impl Tally {
    /// A tally with these counts.
    #[cfg(test)]
    pub(crate) fn of(passed: u64, failed: u64) -> Self {
        Self { passed, failed, ..Self::default() }
    }

    /// Adds what one line says, if it is a test program's summary.
    pub(crate) fn read(&mut self, line: &str) {
        if is_beginning(line) {
            self.crashed += u64::from(self.is_open);
            self.is_open = true;
        }
        let Some(summary) = line.strip_prefix("test result: ") else { return };
        // `ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
        self.is_open = false;
        let Some((_, counts)) = summary.split_once(". ") else { return };
        for part in counts.split("; ") {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// No more lines will come.
    pub(crate) fn close(&mut self) {
        self.crashed += u64::from(self.is_open);
        self.is_open = false;
    }

    /// Tests that failed and test programs that crashed.
    pub(crate) fn failures(&self) -> u64 {
        self.failed + self.crashed
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Self) {
        self.crashed += other.crashed;
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// True for lines of a test program that say nothing a person needs when all is well.
pub(crate) fn is_noise(line: &str) -> bool {
    line.is_empty()
        || (line.starts_with("test ") && line.ends_with(" ... ok"))
        || is_beginning(line)
        || line.starts_with("test result: ok. ")
}

fn is_beginning(line: &str) -> bool {
    let count = line
        .strip_prefix("running ")
        .and_then(|rest| rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test")));
    count.is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 3.20s",
            "   test result: ok. 100 passed; 0 failed;",
            "test result_is_shown ... ok",
        ] {
            tally.read(line);
        }
        tally.close();
        assert_eq!(tally, Tally { ignored: 1, ..Tally::of(13, 2) });
    }

    #[test]
    fn a_program_that_never_sums_up_has_crashed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "running 1 test",
            "test result: ok. 1 passed; 0 failed; 0 ignored",
            "running 2 tests",
        ] {
            tally.read(line);
        }
        tally.close();
        assert_eq!((tally.passed, tally.crashed, tally.failures()), (1, 2, 2));
    }

    #[test]
    fn only_what_is_well_is_noise() {
        assert!(is_noise("test a::b ... ok"));
        assert!(is_noise("running 1 test"));
        assert!(!is_noise("test a::b ... FAILED"));
        assert!(!is_noise("test result: FAILED. 1 passed; 1 failed; 0 ignored"));
        assert!(!is_noise("thread 'a' panicked"));
    }
}
