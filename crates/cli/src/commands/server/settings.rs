//! The server's configuration, as `ta serve` and `ta server` read it, and how it is shown.

use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_server::Config;
use tandem_server::config::{ConfigError, Key, Origin, Places, Value};
use tandem_settings::Environment;
use tandem_words::Table;
use tandem_words::table::{Align, Fit};

use crate::fail::{Exit, Fail, chain};
use crate::output::Output;

/// Variables may be the reference's, too, which are not of our family: they are asked for by name.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn places(environment: &Environment, config_file: Option<&Path>) -> Places {
    let usual = environment.config_home().map(|folder| folder.join("tandem/serve.toml"));
    Places { named: config_file.map(Path::to_owned), usual }
}

/// Reads file, variables and flags.
pub(crate) fn read(
    words: &[String],
    environment: &Environment,
    config_file: Option<&Path>,
    output: &mut Output,
) -> Result<Config, Fail> {
    warn_of_variables(environment, output);
    Config::read(words, variable, &places(environment, config_file)).map_err(fail)
}

/// The same, giving back the words that are no flags.
pub(super) fn read_some(
    words: &[String],
    environment: &Environment,
    config_file: Option<&Path>,
    output: &mut Output,
) -> Result<(Config, Vec<String>), Fail> {
    warn_of_variables(environment, output);
    Config::read_some(words, variable, &places(environment, config_file)).map_err(fail)
}

/// A variable of ours that is no setting is a slip that nobody would notice.
fn warn_of_variables(environment: &Environment, output: &mut Output) {
    let known: Vec<String> = Key::ALL.iter().map(|key| key.variable()).collect();
    for name in environment.variable_names() {
        if let Some(rest) = name.strip_prefix("TA_SERVE_")
            && name != tandem_server::config::CONFIG_VARIABLE
            && !known.iter().any(|known| known == name)
        {
            let nearest = Key::nearest(rest).variable();
            output.notice(format!("warning: {name} is no setting. Did you mean {nearest}?"));
        }
    }
}

fn fail(error: ConfigError) -> Fail {
    let exit = if error.is_usage() { Exit::Usage } else { Exit::Settings };
    Fail::new(exit, chain(&error)).hint(error.hint())
}

/// The folder of the database.
pub(crate) fn data_dir(config: &Config, environment: &Environment) -> Result<PathBuf, Fail> {
    if let Some(folder) = &config.data_dir {
        return Ok(folder.clone());
    }
    usual_data_dir(environment).ok_or_else(|| {
        Fail::new(Exit::Settings, "there is no home folder to keep the database in")
            .hint("Name a folder with --data-dir FOLDER.")
    })
}

fn usual_data_dir(environment: &Environment) -> Option<PathBuf> {
    environment.data_home().map(|home| home.join("tandem-server"))
}

/// Shows every setting in force with where it comes from.
pub(crate) fn print(config: &Config, environment: &Environment, output: &mut Output) {
    let mut shown = config.shown();
    for one in &mut shown {
        if one.key == Key::DataDir && one.origin == Origin::Default {
            let folder = usual_data_dir(environment);
            one.value = folder.map(|folder| Value::Text(folder.to_string_lossy().into_owned()));
        }
    }
    if output.is_json {
        let values: Vec<_> = shown
            .iter()
            .map(|one| {
                json!({
                    "key": one.key.name(), "value": document(one.value.as_ref()), "origin": one.origin.to_string(),
                })
            })
            .collect();
        output.json(&serde_json::Value::Array(values));
        return;
    }
    let mut table = Table::new(&[
        ("Setting", Align::Left, Fit::Keep),
        ("Value", Align::Left, Fit::Keep),
        ("From", Align::Left, Fit::Keep),
    ]);
    for one in shown {
        let value = one.value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        table.push([one.key.name().to_owned(), value, one.origin.to_string()]);
    }
    output.text(&table.render(crate::output::width(), crate::output::style()));
}

/// A value as JSON has it.
fn document(value: Option<&Value>) -> serde_json::Value {
    match value {
        None => serde_json::Value::Null,
        Some(Value::Text(text)) => json!(text),
        Some(Value::Texts(texts)) => json!(texts),
        Some(Value::Bool(is_so)) => json!(is_so),
        Some(Value::Number(number)) => json!(number),
        Some(hidden @ Value::Hidden { .. }) => json!(hidden.to_string()),
    }
}
