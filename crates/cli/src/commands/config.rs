//! `ta config`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use serde_json::json;
use tandem_settings::{ConfigFile, Edited, Environment, Key, Settings, read_value, set, unset};

use crate::fail::{Exit, Fail, misused};
use crate::output::Output;

const USAGE: &str = "ta config set KEY VALUE | get KEY | unset KEY | list | path";

pub(crate) fn run(
    rest: &[String],
    environment: &Environment,
    flag: Option<&Path>,
    output: &mut Output,
) -> Result<Exit, Fail> {
    let words: Vec<&str> = rest.iter().map(String::as_str).filter(|word| *word != "--").collect();
    match words[..] {
        ["set", key, ref values @ ..] if !values.is_empty() => {
            let key: Key = key.parse()?;
            let argument = values.join(" ");
            let given = match argument == "-" && io::stdin().is_terminal() {
                true => {
                    let typed = typed(key)?;
                    read_value(key, "-", &mut typed.as_bytes(), environment)?
                }
                false => read_value(key, &argument, &mut io::stdin().lock(), environment)?,
            };
            let file = ConfigFile::locate(environment, flag)?;
            let edited = set(&file.path, key, &given.text, given.origin, environment)?;
            if let Some(notice) = given.notice {
                output.notice(notice.to_string());
            }
            tell(output, key, &edited, "Set");
        }
        ["unset", key] => {
            let key: Key = key.parse()?;
            let file = ConfigFile::locate(environment, flag)?;
            let edited = unset(&file.path, key, environment)?;
            tell(output, key, &edited, "Unset");
        }
        ["get", key] => {
            let key: Key = key.parse()?;
            let settings = Settings::load(environment, flag)?;
            let Some(setting) = settings.get(key) else {
                return Err(Fail::failed(format!("{key} is not set")).hint(key.help()));
            };
            let value = setting.value.dangerously_reveal();
            if output.is_json {
                output.json(&json!({
                    "key": key.name(), "value": value, "origin": setting.origin.to_string(),
                }));
            } else {
                output.text(&format!("{value}\n"));
            }
        }
        ["list"] | [] => list(&Settings::load(environment, flag)?, output),
        ["path"] => {
            let file = ConfigFile::locate(environment, flag)?;
            if output.is_json {
                output.json(&json!({ "path": file.path.display().to_string() }));
            } else {
                output.text(&format!("{}\n", file.path.display()));
            }
        }
        _ => {
            let known = ["set", "get", "unset", "list", "path"];
            let usage = format!("Use {USAGE}.");
            return Err(misused("config", words.first().copied(), &known, &usage));
        }
    }
    Ok(Exit::Done)
}

/// One line from the terminal, unseen if it is a secret.
fn typed(key: Key) -> Result<String, Fail> {
    let term = console::Term::stderr();
    write!(&term, "{key}: ")
        .and_then(|()| if key.is_hidden() { term.read_secure_line() } else { term.read_line() })
        .map_err(|error| {
            Fail::failed(format!("nothing could be read: {error}")).hint("Nothing was changed.")
        })
}

fn tell(output: &mut Output, key: Key, edited: &Edited, verb: &str) {
    for notice in &edited.notices {
        output.notice(notice.to_string());
    }
    let path = edited.path.display();
    if output.is_json {
        output.json(&json!({
            "key": key.name(), "file": path.to_string(), "changed": edited.has_changed,
        }));
    } else if edited.has_changed {
        output.line(format!("{verb} {key} in {path}"));
    } else {
        output.line(format!("Nothing to change: {key} is so already in {path}"));
    }
}

fn list(settings: &Settings, output: &mut Output) {
    let listed = settings.list();
    if output.is_json {
        let values: Vec<_> = listed
            .iter()
            .map(|entry| {
                json!({
                    "key": entry.key.name(),
                    "value": entry.shown,
                    "origin": entry.origin.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        output.json(&serde_json::Value::Array(values));
        return;
    }
    for warning in settings.warnings() {
        output.notice(format!("warning: {warning}"));
    }
    let mut table = tandem_words::Table::new(&[
        ("Key", tandem_words::table::Align::Left, tandem_words::table::Fit::Keep),
        ("Value", tandem_words::table::Align::Left, tandem_words::table::Fit::Keep),
        ("From", tandem_words::table::Align::Left, tandem_words::table::Fit::Keep),
    ]);
    for entry in listed {
        table.push([
            entry.key.name().to_owned(),
            entry.shown.unwrap_or_else(|| "-".into()),
            entry.origin.map_or_else(String::new, |origin| origin.to_string()),
        ]);
    }
    output.text(&table.render(crate::output::width(), crate::output::style()));
}
