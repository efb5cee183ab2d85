//! The log, on standard error.

use tracing_subscriber::EnvFilter;

/// Begins to write the log. `filter` is in the words of `RUST_LOG`; what is no filter counts as
/// `info`. Once a process; later calls do nothing.
///
/// What is written: one line for each request with its id, route, status, sizes and time, and a tag
/// in place of the client id. Never a body, a client id or a secret.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .try_init();
}
