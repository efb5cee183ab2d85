//! Side-by-side measurements: the real crate `taskchampion` and ours in one run.
//!
//! `cargo run --release -p tandem-bench -- [NAME…]` with the names of [`benches`]; all without.
//! It needs the release binaries of `ta` (beside this program) and of `interop/` (their folder in
//! `TANDEM_REFERENCE_BIN`, `target/interop/release` by default). Everything runs on loopback and in
//! temporary folders (`TANDEM_BENCH_DIR` says on which disk), a few rounds each, ours and the
//! reference in turn, because machines are noisy: read the ratios.
#![expect(clippy::print_stdout, reason = "a report on standard output is what this program is for")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "counters of a measurement, far below every limit"
)]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends with its reason")]

mod bare;
mod empty;
mod far;
mod idle;
mod line;
mod load;
mod local;
mod postgres;
mod pure;
mod server;
mod serving;
mod size;
mod tls;
mod tools;

use tools::Tools;

type Bench = (&'static str, fn(&Tools));

fn benches() -> [Bench; 15] {
    [
        ("fsync", local::fsync),
        ("rebase", pure::rebase),
        ("edit", local::edit),
        ("idle", idle::directory),
        ("idle-http", idle::http),
        ("idle-tls", idle::tls),
        ("upload", load::upload),
        ("fresh", load::fresh),
        ("large", load::large),
        ("add-version", server::add_version),
        ("get-child", server::get_child),
        ("server-idle", server::idle),
        ("far", far::far),
        ("server-size", size::size),
        ("postgres", postgres::add_version),
    ]
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [call, replica, url] = &wanted[..]
        && call == "our-call"
    {
        println!("{}", load::our_call(replica.as_ref(), url));
        return;
    }
    if let [call, bytes] = &wanted[..]
        && call == "empty-handler"
    {
        empty::serve(bytes.parse().unwrap());
        return;
    }
    let tools = Tools::find();
    for (name, bench) in benches() {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("\n== {name}");
            bench(&tools);
        }
    }
}
