//! Stories of a replica, a server and another program at the same file, told step by step.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where they cannot go on, the test ends")]

mod bench;
mod deleted;
mod joined;
mod regressions;
mod restored;
