//! What must hold for any input: the transform, rebasing and the frozen formats.

mod common;
mod formats;
mod rebase;
mod transform;
