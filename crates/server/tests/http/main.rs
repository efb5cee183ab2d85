//! The server over a real socket: every answer of the protocol, our own calls, limits, the end.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where they cannot go on, the test ends")]

mod access;
mod limits;
mod line;
mod protocol;
mod running;
mod stopping;
mod tandem;

const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
const NIL: &str = "00000000-0000-0000-0000-000000000000";
const SEGMENT: &str = "application/vnd.taskchampion.history-segment";
const SNAPSHOT: &str = "application/vnd.taskchampion.snapshot";
