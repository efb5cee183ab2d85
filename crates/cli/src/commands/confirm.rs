//! Asking a person before a command changes many tasks at once.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use tandem_words::command::Command;
use tandem_words::text::escape;

use crate::app::App;
use crate::fail::Fail;
use crate::lookup::Found;

/// Tasks that the question names one by one.
const NAMED_MAX: usize = 10;

/// The number of tasks beyond which a person is asked; none where nobody is asked: with `--yes`,
/// when the setting is 0, and without a terminal on standard input (`protocols/taskchampion.md`
/// section 18: cron and scripts go on).
pub(crate) fn limit(app: &App<'_>) -> Option<usize> {
    let limit = usize::try_from(app.settings.confirm_more_than()).unwrap_or(usize::MAX);
    (limit > 0 && !app.says_yes && io::stdin().is_terminal()).then_some(limit)
}

/// Asks whether `command` may change these tasks.
///
/// # Errors
/// A [`Fail`] unless the answer is yes.
pub(crate) fn ask(command: Command, tasks: &[Found]) -> Result<(), Fail> {
    let verb = match command {
        Command::Annotate => "annotate",
        Command::Start => "start",
        Command::Stop => "stop",
        Command::Done => "complete",
        Command::Delete => "delete",
        _ => "modify",
    };
    let mut question = format!("This would {verb} {} tasks:\n", tasks.len());
    for task in tasks.iter().take(NAMED_MAX) {
        question.push_str(&format!("  {} \"{}\"\n", task.name(), task.description()));
    }
    if tasks.len() > NAMED_MAX {
        question.push_str(&format!("  and {} more\n", tasks.len() - NAMED_MAX));
    }
    let mut err = io::stderr();
    let mut answer = String::new();
    // A terminal that went away gives no answer, which is no.
    let heard = write!(err, "{question}Go on? (yes/no) ")
        .and_then(|()| err.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    if !answer.ends_with('\n') {
        // The terminal shows the end of a line that is typed, and nothing for the end of input.
        let _ = writeln!(err);
    }
    match (heard, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        (_, other) => {
            let what = match other {
                "" | "n" | "no" => String::new(),
                other => format!(" (`{}` is not yes)", escape(other)),
            };
            Err(Fail::failed(format!("nothing was changed{what}")).hint(
                "To change them without being asked: --yes. From how many on to ask: \
                 ta config set confirm_more_than NUMBER (0 never asks).",
            ))
        }
    }
}
