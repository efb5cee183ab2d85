//! The real `ta`, run as people and cron run it: one module per theme.
//!
//! Every test has a home of its own, a fixed time zone and no variable of ours; servers are on
//! loopback, in this process. Nothing waits for a clock: where order matters, a server or a pipe
//! holds one side until the other has been seen.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where they cannot go on, the test ends")]

mod home;
#[expect(dead_code, reason = "shared with the remote's own tests, which use all of it")]
#[path = "../../../remote/tests/remote/scripted.rs"]
mod scripted;
mod server;
#[expect(dead_code, reason = "shared with the remote's own tests, which use all of it")]
#[path = "../../../remote/tests/remote/task_server.rs"]
mod task_server;

mod attributes;
mod bad_files;
mod carrying;
mod concurrency;
#[cfg(unix)]
mod confirm;
mod conflicts;
#[cfg(unix)]
mod demo;
mod doctor;
mod durability;
#[cfg(all(unix, feature = "server"))]
mod far;
mod foreseen;
#[cfg(all(unix, feature = "server"))]
mod front;
mod kills;
mod moves;
#[cfg(all(unix, feature = "server"))]
mod nodes;
#[cfg(all(unix, feature = "server"))]
mod nodes_upkeep;
mod output;
#[cfg(all(unix, feature = "server"))]
mod serve;
#[cfg(all(unix, feature = "server"))]
mod serve_accounts;
#[cfg(all(unix, feature = "server"))]
mod serve_disk;
#[cfg(all(unix, feature = "server"))]
mod serve_kills;
#[cfg(all(unix, feature = "server"))]
mod serve_operation;
#[cfg(all(unix, feature = "server"))]
mod serve_proxies;
#[cfg(all(unix, feature = "server"))]
mod serve_settings;
#[cfg(all(unix, feature = "server"))]
mod serve_upkeep;
mod sync_directory;
mod sync_history;
mod sync_http;
mod sync_settings;
mod words;

/// The client id of every test.
const CLIENT: &str = server::CLIENT_KEY;
