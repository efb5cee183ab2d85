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
    if let [word, ..] = rest {
        return match Command::find(word)? {
            Some(command) => {
                output.text(&tandem_words::help::about(command));
                Ok(Exit::Done)
            }
            None => Err(Fail::usage(format!(
                "there is no command `{}`",
                tandem_words::text::escape(word)
            ))
            .hint("`ta help` lists all commands.")),
        };
    }
    output.text(&tandem_words::help::overview());
    Ok(Exit::Done)
}
