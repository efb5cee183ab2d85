//! `ta version` and `ta help`.

use serde_json::json;
use tandem_words::command::Command;

use crate::app::known_flags;
use crate::fail::{Exit, Fail};
use crate::output::Output;

pub(crate) fn version(output: &mut Output) -> Result<Exit, Fail> {
    let version = env!("CARGO_PKG_VERSION");
    if output.is_json {
        output.json(&json!({ "name": "Tandem", "version": version }));
    } else {
        output.text(&format!("Tandem {version}\n"));
    }
    Ok(Exit::Done)
}

pub(crate) fn help(rest: &[String], output: &mut Output) -> Result<Exit, Fail> {
    if let [word] = rest {
        return match Command::find(word)? {
            Some(command) => {
                output.text(&format!("ta {}\n\n{}.\n", command.usage(), command.summary()));
                let more = details(command);
                if !more.is_empty() {
                    output.text(&format!("\n{more}"));
                }
                Ok(Exit::Done)
            }
            None => Err(Fail::usage(format!(
                "there is no command `{}`",
                tandem_words::text::escape(word)
            ))
            .hint("`ta help` lists all commands.")),
        };
    }
    known_flags("help", rest, &[])?;
    output.text("Task lists that stay in step between machines.\n\n");
    output.text("Usage: ta [FILTER] COMMAND [CHANGES]\n\nCommands:\n");
    for command in Command::all() {
        output.text(&format!("  {:<40} {}\n", command.usage(), command.summary()));
    }
    output.text(WORDS);
    Ok(Exit::Done)
}

const WORDS: &str = "
Filter words, joined by and: 3  1,2,5-7  56e0be07  +tag  -tag  status:pending  project:home
  due:friday  due.before:eom  priority:H  depends:3  all  text
Changes: +tag  -tag  project:home  due:friday  wait:3d  scheduled:monday  until:eoy  priority:H
  depends:3,-5  recur:weekly  status:pending, and the user-defined attributes of your .taskrc.
  An empty value clears (due:). Every other word is the description; after -- all words are.
Flags everywhere: --config FILE  --json  --quiet  --taskrc FILE (its user-defined attributes)
  --yes (change many tasks without asking)

Settings: ta config list. The README has the exit codes and a cron line.
";

fn details(command: Command) -> &'static str {
    match command {
        Command::Sync => {
            "Flags:\n  --join               join this list with the one at the server\n  \
             --new-history        begin a new history where none was found before\n  \
             --upload-difference  upload what a server that went back no longer has\n  \
             --wait SECONDS       wait for another sync of this replica (3)\n"
        }
        Command::Verify => "Flags:\n  --repair   take the server's state where ours differs\n",
        Command::Import => {
            "From a file, standard input (-), or the folder of a TaskChampion 3 replica. With\n\
             --taskrc FILE also the sync settings in it, for a folder.\n"
        }
        Command::Conflicts => {
            "conflicts list [--all]   edits that lost, the unresolved ones\n\
             conflicts show ID        both values and the base\n\
             conflicts restore ID     set the value that lost again, as a new change\n\
             conflicts dismiss ID     put it aside\n"
        }
        Command::Config => {
            "config set KEY VALUE     VALUE may be - (standard input) or file:PATH\n\
             config get KEY\nconfig unset KEY\nconfig list\nconfig path\n"
        }
        Command::Gc => "Flags:\n  --rewrite   also rewrite the whole file to give space back\n",
        _ => "",
    }
}
