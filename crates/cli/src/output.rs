//! Where words go: results to standard output, the rest to standard error.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use serde_json::{Value, json};
use tandem_words::Style;
use tandem_words::text::escape;

use crate::fail::{Exit, Fail};

/// What people and programs read.
pub(crate) struct Output {
    out: BufWriter<io::StdoutLock<'static>>,
    /// Why standard output takes no more: the rest is not written.
    broken: Option<io::Error>,
    /// Results as JSON documents.
    pub(crate) is_json: bool,
    /// Silent when all is well.
    pub(crate) is_quiet: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            out: BufWriter::new(io::stdout().lock()),
            broken: None,
            is_json: false,
            is_quiet: false,
        }
    }

    /// A line of the result. Nothing with `--quiet`.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        if !self.is_quiet {
            self.once(text);
        }
    }

    /// A line with what is shown only this once, `--quiet` or not.
    pub(crate) fn once(&mut self, text: impl AsRef<str>) {
        self.text(&escape(text.as_ref()));
        self.text("\n");
    }

    /// The result itself, as it is.
    pub(crate) fn text(&mut self, text: &str) {
        if self.broken.is_none() {
            self.broken = self.out.write_all(text.as_bytes()).err();
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
        // Names of files and texts of servers come from elsewhere. If nobody reads standard error
        // there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{}", escape(text.as_ref()));
    }

    /// Says what went wrong, and what to do.
    pub(crate) fn fail(&mut self, fail: &Fail) {
        if self.is_json {
            self.json(&json!({
                "outcome": "failed",
                "error": fail.as_json(),
            }));
        }
        self.notice(format!("ta: {}", fail.message));
        if let Some(hint) = &fail.hint {
            self.notice(hint);
        }
    }

    /// Lets what was written be read now, by whoever waits for it.
    pub(crate) fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.out.flush().err();
        }
    }

    /// Writes what is still held back. A reader that went away has what it wanted; anything else
    /// (a full disk behind a redirection) is a failure.
    pub(crate) fn finish(&mut self) -> Exit {
        self.flush();
        match self.broken.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = format!("standard output could not be written: {error}");
                self.is_json = false;
                self.fail(&Fail::failed(message).hint("What the command itself did stays done."));
                Exit::Failed
            }
            _ => Exit::Done,
        }
    }
}

/// For long results. Whether they arrive is told by [`Output::finish`].
impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken.is_none() {
            self.broken = self.out.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
