//! `ta serve`: a sync server in this process, until it is told to end.

use tandem_settings::Environment;

use crate::fail::{Exit, Fail};
use crate::output::Output;

/// Without the server's crates there is nothing to run.
#[cfg(not(feature = "server"))]
pub(crate) fn run(
    _rest: &[String],
    _environment: &Environment,
    _output: &mut Output,
) -> Result<Exit, Fail> {
    Err(Fail::failed("this `ta` was built without its server")
        .hint("Build it with the feature `server`, which is on by default."))
}

/// Runs the server.
#[cfg(feature = "server")]
pub(crate) fn run(
    rest: &[String],
    environment: &Environment,
    output: &mut Output,
) -> Result<Exit, Fail> {
    use tandem_server::Config;
    use tandem_server::program::run_until_signal;

    // The reference's variables are not of our family: they are asked for by name.
    let variable =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if rest.iter().any(|word| word == "-h") {
        return super::about::help(&["serve".to_owned()], output);
    }
    let config = Config::read(rest, variable)
        .map_err(|error| Fail::usage(error.to_string()).hint("`ta help serve` lists the flags."))?;
    let data_dir = match &config.data_dir {
        Some(folder) => folder.clone(),
        None => {
            environment.data_home().map(|home| home.join("tandem-server")).ok_or_else(|| {
                Fail::new(Exit::Settings, "there is no home folder to keep the database in")
                    .hint("Name a folder with --data-dir FOLDER.")
            })?
        }
    };
    tandem_server::log::start(&variable("RUST_LOG").unwrap_or_else(|| "warn".to_owned()));
    let is_json = output.is_json;
    run_until_signal(config, &data_dir, |addresses| {
        let origins: Vec<String> =
            addresses.iter().map(|address| format!("http://{address}")).collect();
        if is_json {
            output.json(&serde_json::json!({
                "listening": origins,
                "data_dir": data_dir.to_string_lossy(),
            }));
        } else {
            for origin in &origins {
                output.line(format!("listening on {origin}"));
            }
        }
        output.flush();
    })
    .map_err(fail)?;
    Ok(Exit::Done)
}

#[cfg(feature = "server")]
fn fail(error: tandem_server::program::StartError) -> Fail {
    use tandem_server::program::StartError;

    let text = crate::fail::chain(&error);
    match &error {
        StartError::OpenToStrangers { .. } => Fail::new(Exit::Settings, text).hint(
            "Name the clients with --allow-client-id, take no new ones with --no-create-clients, or \
             say that this is wanted with --allow-open-registration. Nothing is encrypted on the \
             way: put a TLS proxy in front.",
        ),
        StartError::BadAddress { .. } => Fail::usage(text).hint("Write ADDRESS:PORT, or NAME:PORT."),
        StartError::Listen { .. } => Fail::failed(text)
            .hint("Perhaps another server listens there. Name another address with --listen."),
        StartError::Storage(_) => Fail::failed(text)
            .hint("Check the folder's owner and room, or name another with --data-dir."),
        _ => Fail::failed(text),
    }
}
