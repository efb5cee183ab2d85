//! `ta version` and `ta help`.

use serde_json::json;
use tandem_words::command::Command;

use crate::app::known_flags;
use crate::fail::{Exit, Fail};
use crate::output::Output;

pub(crate) fn version(rest: &[String], output: &mut Output) -> Result<Exit, Fail> {
    known_flags("version", rest, &[])?;
    let version = env!("CARGO_PKG_VERSION");
    if output.is_json {
        output.json(&json!({ "name": "Tandem", "version": version }));
    } else {
        output.text(&format!("Tandem {version}\n"));
    }
    Ok(Exit::Done)
}

pub(crate) fn help(rest: &[String], output: &mut Output) -> Result<Exit, Fail> {
    // `ta help config set`: what is said of the command says it of its parts.
    let command = match rest {
        [] => None,
        [word, ..] => match Command::find(word)? {
            Some(command) => Some(command),
            None => {
                let word = tandem_words::text::escape(word);
                return Err(Fail::usage(format!("there is no command `{word}`"))
                    .hint("`ta help` lists all commands."));
            }
        },
    };
    let text = match command {
        Some(command) => tandem_words::help::about(command),
        None => tandem_words::help::overview(),
    };
    if output.is_json {
        output.json(&json!({ "command": command.map(Command::name), "help": text }));
    } else {
        output.text(&text);
    }
    Ok(Exit::Done)
}
