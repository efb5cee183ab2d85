//! From settings to a way to the task history.

use std::time::Duration;

use tandem_core::ClientId;
use tandem_remote::Remote;
use tandem_remote::directory::{DirectoryOptions, DirectoryRemote};
use tandem_remote::http::{HttpRemote, HttpSettings, Origin};
use tandem_seal::{Secret, SecretError};
use tandem_settings::{RemoteSettings, Settings, SettingsError};

/// Why there is no way to the history. Each is a person's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The settings do not say where, or not all of it.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The server's address cannot be used.
    #[error("`{origin}` is no server's address: {what}")]
    Origin {
        /// The address.
        origin: String,
        /// What is wrong with it.
        what: String,
    },
}

/// The way to the history that `settings` name: the server if its three keys are set, else the
/// directory. Opens nothing yet and sends nothing.
///
/// # Errors
/// [`ConnectError`].
pub fn connect(settings: &Settings) -> Result<Box<dyn Remote>, ConnectError> {
    match settings.remote()? {
        RemoteSettings::Server { origin, client_key, secret } => Ok(Box::new(HttpRemote::new(
            http_settings(origin.as_str(), client_key, secret.dangerously_expose(), settings)?,
        ))),
        RemoteSettings::Directory(path) => {
            Ok(Box::new(DirectoryRemote::new(path, DirectoryOptions::default())))
        }
        _ => Err(ConnectError::Origin {
            origin: "the settings".into(),
            what: "this program does not know that kind of remote".into(),
        }),
    }
}

fn http_settings(
    origin: &str,
    client_key: ClientId,
    secret: &str,
    settings: &Settings,
) -> Result<HttpSettings, ConnectError> {
    let parsed = Origin::parse(origin)
        .map_err(|error| ConnectError::Origin { origin: origin.into(), what: error.to_string() })?;
    // Checked when it was set; here it is used as it stands.
    let secret = Secret::exactly_as_given(secret.to_owned())?;
    let at_least = |time: Duration| time.max(Duration::from_secs(1));
    let mut http = HttpSettings::new(parsed, client_key, secret);
    // Where TLS is spoken neither to the server nor to a proxy, nobody reads it.
    http.ca_file = match http.uses_tls() {
        true => settings.checked_ca_file()?.map(ToOwned::to_owned),
        false => settings.ca_file().map(ToOwned::to_owned),
    };
    http.connect_timeout = at_least(settings.connect_timeout());
    http.read_timeout = at_least(settings.read_timeout());
    Ok(http)
}
