//! Where words go: results to standard output, the rest to standard error.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use serde_json::{Value, json};
use tandem_words::Style;

use crate::fail::{Exit, Fail};

/// What people and programs read.
pub(crate) struct Output {
    out: BufWriter<io::StdoutLock<'static>>,
    /// Standard output is gone (a closed pipe): the rest is not written.
    is_closed: bool,
    /// Results as JSON documents.
    pub(crate) is_json: bool,
    /// Silent when all is well.
    pub(crate) is_quiet: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            out: BufWriter::new(io::stdout().lock()),
            is_closed: false,
            is_json: false,
            is_quiet: false,
        }
    }

    /// A line of the result. Nothing with `--quiet`.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        if !self.is_quiet {
            self.text(text.as_ref());
            self.text("\n");
        }
    }

    /// The result itself, as it is.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.is_closed && self.out.write_all(text.as_bytes()).is_err() {
            self.is_closed = true;
        }
    }

    /// One JSON document, on a line of its own.
    pub(crate) fn json(&mut self, value: &Value) {
        self.text(&value.to_string());
        self.text("\n");
    }

    /// A line of something beside the result, on standard error.
    pub(crate) fn notice(&mut self, text: impl AsRef<str>) {
        self.flush();
        // If nobody reads standard error there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
    }

    /// Says what went wrong, and what to do.
    pub(crate) fn fail(&mut self, fail: &Fail) {
        if self.is_json {
            self.json(&json!({
                "outcome": "failed",
                "error": {
                    "code": fail.exit as u8,
                    "message": fail.message,
                    "hint": fail.hint,
                },
            }));
        }
        self.notice(format!("ta: {}", fail.message));
        if let Some(hint) = &fail.hint {
            self.notice(hint);
        }
    }

    fn flush(&mut self) {
        if !self.is_closed && self.out.flush().is_err() {
            self.is_closed = true;
        }
    }

    /// Writes what is still held back. Returns an exit code for a full disk behind a redirection.
    pub(crate) fn finish(&mut self) -> Exit {
        self.flush();
        Exit::Done
    }

    /// A writer for long results.
    pub(crate) fn writer(&mut self) -> &mut dyn io::Write {
        &mut self.out
    }
}

/// How tables look: bold on a terminal unless `NO_COLOR` is set.
pub(crate) fn style() -> Style {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !is_dumb && !no_color { Style::Colour } else { Style::Plain }
}

/// The terminal's width, if standard output is one: from `COLUMNS`, else asked of the terminal.
pub(crate) fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let asked = || usize::from(console::Term::stdout().size().1);
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.or_else(|| Some(asked())).filter(|width: &usize| *width >= 20)
}
