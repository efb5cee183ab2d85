//! The commands, one file each.

pub(crate) mod about;
mod change;
pub(crate) mod config;
mod confirm;
mod conflicts;
pub(crate) mod demo;
mod doctor;
mod export;
mod gc;
mod history;
mod import;
mod import_folder;
mod listing;
mod report;
pub(crate) mod serve;
#[cfg(feature = "server")]
pub(crate) mod server;
mod status;
mod sync;
mod undo;
mod verify;

use tandem_words::Line;
use tandem_words::command::Command;

use crate::app::App;
use crate::fail::{Exit, Fail};

/// Runs the command of a line.
pub(crate) fn run(app: &mut App<'_>, line: Line) -> Result<Exit, Fail> {
    match line.command {
        Command::Add | Command::Log => change::add(app, &line),
        Command::Modify
        | Command::Append
        | Command::Prepend
        | Command::Annotate
        | Command::Denotate
        | Command::Start
        | Command::Stop
        | Command::Done
        | Command::Delete => change::change(app, &line),
        Command::Undo => undo::run(app, &line.rest),
        Command::Info => report::info(app, &line),
        Command::Count | Command::Ids | Command::Uuids => listing::list(app, &line),
        Command::Projects | Command::Tags => listing::groups(app, &line),
        Command::Next | Command::List | Command::Completed | Command::Waiting => {
            report::table(app, &line)
        }
        Command::History => history::run(app, &line),
        Command::Conflicts => conflicts::run(app, &line.rest),
        Command::Export => export::run(app, &line),
        Command::Import => import::run(app, &line.rest),
        Command::Gc => gc::run(app, &line.rest),
        Command::Sync => sync::run(app, &line.rest),
        Command::Status => status::run(app, &line.rest),
        Command::Doctor => doctor::run(app, &line.rest),
        Command::Verify => verify::run(app, &line.rest),
        Command::Config
        | Command::Demo
        | Command::Help
        | Command::Serve
        | Command::Server
        | Command::Version => Err(Fail::failed("a command that needs no replica came here")),
    }
}
