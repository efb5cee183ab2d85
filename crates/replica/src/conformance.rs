//! The promises of [`Storage`], as tests that run on every implementation.
//!
//! Behind the feature `testing`. Each function takes a [`Bench`], begins with an empty store and
//! panics where a promise is broken; [`suite`] runs them all. What a promise means in detail, where
//! the trait leaves it open, is decided here: a second write waits and is refused, a row that is
//! not there may be removed, an operation that is not there may not be replaced.

use crate::storage::Storage;

mod log;
mod notes;
mod samples;
mod state;
mod transactions;

/// Makes the stores that the suite tests.
pub trait Bench {
    /// Begins with a new, empty store.
    fn reset(&mut self);

    /// Opens the current store once more, as another process would. Writers should wait for each
    /// other a short time only, since the suite is one thread.
    fn open(&mut self) -> Box<dyn Storage>;
}

/// Runs every test.
///
/// # Panics
/// Where a promise is broken.
pub fn suite(bench: &mut dyn Bench) {
    type Test = fn(&mut dyn Bench);
    let tests: [&[Test]; 4] = [transactions::TESTS, state::TESTS, log::TESTS, notes::TESTS];
    for test in tests.into_iter().flatten() {
        bench.reset();
        test(bench);
    }
}
