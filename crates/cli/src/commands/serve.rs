//! `ta serve`: a sync server in this process, until it is told to end.

use std::path::Path;

use tandem_settings::Environment;

use crate::fail::{Exit, Fail};
use crate::output::Output;

/// Without the server's crates there is nothing to run.
#[cfg(not(feature = "server"))]
pub(crate) fn run(
    _rest: &[String],
    _environment: &Environment,
    _config_file: Option<&Path>,
    _output: &mut Output,
) -> Result<Exit, Fail> {
    Err(missing())
}

#[cfg(not(feature = "server"))]
pub(crate) fn missing() -> Fail {
    Fail::failed("this `ta` was built without its server")
        .hint("Build it with the feature `server`, which is on by default.")
}

/// Runs the server.
#[cfg(feature = "server")]
pub(crate) fn run(
    rest: &[String],
    environment: &Environment,
    config_file: Option<&Path>,
    output: &mut Output,
) -> Result<Exit, Fail> {
    use super::server::settings;
    use tandem_server::program::run_until_signal;

    if rest.iter().any(|word| word == "-h") {
        return super::about::help(&["serve".to_owned()], output);
    }
    // As the reference has it.
    if rest.iter().any(|word| word == "-V") {
        return super::about::version(&[], output);
    }
    let is_print = |word: &&String| word.as_str() == "--print-config";
    let prints = rest.iter().any(|word| is_print(&word));
    let words: Vec<String> = rest.iter().filter(|word| !is_print(word)).cloned().collect();
    let config = settings::read(&words, environment, config_file, output)?;
    if prints {
        settings::print(&config, environment, output);
        return Ok(Exit::Done);
    }
    let data_dir = settings::data_dir(&config, environment)?;
    tandem_server::log::start(&config.log);
    let is_json = output.is_json;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let prefix = config.path_prefix.clone();
    // The address of a database may hold a password: it is not shown.
    let in_folder = config.database.is_none().then(|| data_dir.to_string_lossy().into_owned());
    run_until_signal(config, &data_dir, |listening| {
        let origins: Vec<String> =
            listening.calls.iter().map(|at| format!("{scheme}://{at}{prefix}")).collect();
        let metrics: Vec<String> =
            listening.metrics.iter().map(|at| format!("http://{at}/metrics")).collect();
        if is_json {
            output.json(&serde_json::json!({
                "listening": origins,
                "metrics": metrics,
                "data_dir": in_folder,
                "storage": if in_folder.is_some() { "sqlite" } else { "postgresql" },
            }));
        } else {
            for origin in &origins {
                output.line(format!("listening on {origin}"));
            }
            for origin in &metrics {
                output.line(format!("metrics at {origin}"));
            }
        }
        output.flush();
    })
    .map_err(fail)?;
    Ok(Exit::Done)
}

/// Why a server does not run, and what to do.
#[cfg(feature = "server")]
pub(super) fn fail(error: tandem_server::program::StartError) -> Fail {
    use tandem_server::program::StartError;
    use tandem_server::store::postgres::OpenError;
    use tandem_server::store::sqlite::OpenError as StorageError;

    let text = crate::fail::chain(&error);
    match &error {
        StartError::OpenToStrangers { .. } => Fail::new(Exit::Settings, text).hint(
            "Name the clients with --allow-client-id, serve accounts alone with --access accounts, \
             take no new ones with --no-create-clients, speak TLS (--tls-cert, --tls-key), or say that \
             this is wanted with --allow-open-registration: nothing is encrypted on the way then.",
        ),
        StartError::BadAddress { .. } => Fail::usage(text).hint("Write ADDRESS:PORT, or NAME:PORT."),
        StartError::Listen { .. } => Fail::failed(text)
            .hint("Perhaps another server listens there. Name another address with --listen."),
        StartError::Storage(StorageError::Damaged { .. }) => {
            Fail::failed(text).hint(super::server::DAMAGED)
        }
        StartError::Storage(StorageError::NotOurs { .. }) => {
            Fail::failed(text).hint(super::server::NOT_OURS)
        }
        StartError::Storage(_) => Fail::failed(text)
            .hint("Check the folder's owner and room, or name another with --data-dir."),
        StartError::Tls(_) => Fail::new(Exit::Settings, text)
            .hint("Give PEM files: the certificates with the server's first, and its private key."),
        StartError::Database(OpenError::Missing { .. }) => Fail::failed(text).hint(
            "Is it the right one? `ta serve` makes its tables there when it starts, and so does \
             `ta server user add`.",
        ),
        StartError::Database(OpenError::Unreachable { why, .. }) => {
            Fail::failed(text).hint(cure(*why))
        }
        StartError::Database(OpenError::Address { .. } | OpenError::File { .. }) => {
            Fail::new(Exit::Settings, text).hint(
                "Write --database postgres://USER@HOST/NAME; the password comes from PGPASSFILE or \
                 ~/.pgpass, or the whole address from TA_SERVE_DATABASE or file:PATH.",
            )
        }
        StartError::Database(OpenError::Tls { .. }) => Fail::new(Exit::Settings, text)
            .hint("Name a PEM file of certificates with sslrootcert=PATH, or sslrootcert=system."),
        StartError::Database(OpenError::NotOurs { .. }) => Fail::failed(text)
            .hint("Make a database for `ta serve` alone: CREATE DATABASE tandem OWNER tandem;"),
        StartError::Database(OpenError::TooNew { .. }) => {
            Fail::failed(text).hint("Use the version of `ta` that the other nodes have.")
        }
        StartError::Database(OpenError::NoSessions { .. }) => Fail::failed(text).hint(
            "With PgBouncer set pool_mode=session for this database, or name PostgreSQL itself: each \
             node has up to 24 connections of its own.",
        ),
        StartError::Database(OpenError::TooOld { .. }) => {
            Fail::failed(text).hint("Use PostgreSQL 14 or newer.")
        }
        StartError::Database(_) => Fail::failed(text).hint(
            "As its owner or superuser: GRANT CREATE ON DATABASE tandem TO tandem; PostgreSQL's log \
             tells more.",
        ),
        _ => Fail::failed(text),
    }
}

/// What helps where a database cannot be reached.
#[cfg(feature = "server")]
fn cure(why: tandem_server::store::postgres::Why) -> &'static str {
    use tandem_server::store::postgres::Why;
    match why {
        Why::NobodyListens => {
            "Is PostgreSQL running there? Does it listen on that address and port (listen_addresses, \
             port)?"
        }
        Why::NoSuchHost => "Check the host's name in the address.",
        Why::NoAnswer => "Check host and port; a firewall may be in between.",
        Why::NotPostgres => {
            "Check the port: whoever answers there is no PostgreSQL, or a proxy with none behind it."
        }
        Why::NoPassword => {
            "Give it in ~/.pgpass or PGPASSFILE (a line HOST:PORT:DATABASE:USER:PASSWORD, for its owner \
             alone to read), in PGPASSWORD, or in the address in a file: TA_SERVE_DATABASE=file:PATH."
        }
        Why::WrongPassword => {
            "Check user and password. It comes from the address, else PGPASSWORD, else PGPASSFILE or \
             ~/.pgpass. To set it (psql): ALTER ROLE tandem PASSWORD '…';"
        }
        Why::NoSuchUser => {
            "Check the user in the address, or make one (psql): CREATE ROLE tandem LOGIN PASSWORD '…';"
        }
        Why::NoSuchDatabase => {
            "Check the name in the address, or make one (psql): CREATE DATABASE tandem OWNER tandem;"
        }
        Why::NeedsTls => {
            "Add sslmode=require, or better verify-full, to the address. If it speaks no TLS, pg_hba.conf \
             there needs a line for this user, database and machine."
        }
        Why::HasNoTls => {
            "Turn TLS on there (ssl = on), or, where the line is yours alone, write sslmode=disable."
        }
        Why::Certificate => {
            "Name the authority's file with sslrootcert=PATH, and the host by a name that is in its \
             certificate."
        }
        Why::AuthoritysCertificate => {
            "Its certificate is an authority's (CA:TRUE), as openssl makes it by default, and is taken for \
             no server's: with -addext basicConstraints=critical,CA:FALSE openssl makes one that is."
        }
        Why::NotLetIn => "pg_hba.conf there needs a line for this user, database and machine.",
        Why::NoLogin => "Let the user log in: ALTER ROLE the_user LOGIN.",
        Why::NoRight => "Let the user in: GRANT CONNECT ON DATABASE the_database TO the_user.",
        Why::Full => {
            "Each node takes up to 24 connections: raise max_connections there, or end something."
        }
        Why::NotReady => {
            "It is starting, ending, or follows another. Try again, or name all hosts."
        }
        Why::Damaged => {
            "Keep a copy of its data directory and look at PostgreSQL's log; then bring a backup back."
        }
        _ => "Look at PostgreSQL's log, and check the address: postgres://USER@HOST/NAME.",
    }
}
