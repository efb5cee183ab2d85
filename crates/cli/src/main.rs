//! The `ta` program: reads words, does what they say through `tandem-client`, and says what
//! happened.
//!
//! One file per command in [`commands`]. Nothing here decides how data is merged: that is the
//! libraries' work. What people read is in one voice, on standard output for results and on
//! standard error for notices and errors.

mod app;
mod commands;
mod cure;
mod fail;
mod lookup;
mod output;
mod taskrc;
mod told;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Result<Vec<String>, _> =
        std::env::args_os().skip(1).map(std::ffi::OsString::into_string).collect();
    let mut output = output::Output::new();
    let result = match words {
        Ok(words) => app::run(words, &mut output),
        Err(word) => {
            Err(fail::Fail::usage(format!("`{}` is not UTF-8 text", word.to_string_lossy()))
                .hint("Type it in a terminal that is set to UTF-8."))
        }
    };
    let code = match result {
        Ok(exit) => exit,
        Err(fail) => {
            output.fail(&fail);
            fail.exit
        }
    };
    let written = output.finish();
    ExitCode::from(if code == fail::Exit::Done { written } else { code } as u8)
}
