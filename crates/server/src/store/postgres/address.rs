//! Reading an address: libpq's, with the words that the library under us does not know.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::OpenError;
use super::passwords;
use crate::database::Database;

/// How long one address of a host may take to answer, unless the address says otherwise. With
/// several hosts a dead one costs this much.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long sent bytes may stay unacknowledged before the connection counts as lost, and how long an
/// idle one is left before it is tried: a database that vanished is noticed in half a minute.
const UNACKNOWLEDGED_TIME: Duration = Duration::from_secs(30);
/// See [`UNACKNOWLEDGED_TIME`].
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The longest address or file of one, in bytes.
const ADDRESS_BYTES_MAX: u64 = 16 * 1024;

/// What is asked of a database's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing: encrypted against listeners, not against somebody in between.
    Anybody,
    /// The system's roots and the host's name.
    System,
    /// The roots in this file and the host's name.
    File(PathBuf),
}

/// An address that was understood.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) trust: Trust,
}

impl Address {
    /// Reads an address, and finds its password.
    pub(super) fn read(database: &Database) -> Result<Self, OpenError> {
        let text = match database.address.strip_prefix("file:") {
            Some(path) => read_file(Path::new(path))?,
            None => database.address.clone(),
        };
        check_kind(&text)?;
        let (text, extras) = take_extras(&text);
        let mut config: Config = text.parse().map_err(|error| bad(&error))?;
        let trust = trust(&mut config, &extras)?;
        // Half of a password would be a host: it must not be repeated anywhere.
        if config
            .get_hosts()
            .iter()
            .any(|host| matches!(host, Host::Tcp(name) if name.contains('@')))
        {
            return Err(OpenError::Address {
                what: "an `@` in a user or password is written %40".to_owned(),
            });
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(OpenError::Address { what: "it names no host".to_owned() });
        }
        if let (None, Some(user)) = (config.get_user(), &database.user) {
            config.user(user);
        }
        find_password(&mut config, database, &extras)?;
        set_defaults(&mut config);
        Ok(Self { config, trust })
    }

    /// What PostgreSQL's own tools take: libpq's words, which can say everything. Without a password.
    pub(super) fn for_tools(&self) -> String {
        let config = &self.config;
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
        let addresses: Vec<String> =
            config.get_hostaddrs().iter().map(ToString::to_string).collect();
        let (mode, roots) = match (&self.trust, config.get_ssl_mode()) {
            (Trust::File(path), _) => ("verify-full", path.display().to_string()),
            (Trust::System, _) => ("verify-full", String::new()),
            (Trust::Anybody, SslMode::Require) => ("require", String::new()),
            (Trust::Anybody, SslMode::Disable) => ("disable", String::new()),
            (Trust::Anybody, _) => ("", String::new()),
        };
        let words = [
            ("host", hosts.join(",")),
            ("hostaddr", addresses.join(",")),
            ("port", ports.join(",")),
            ("dbname", config.get_dbname().unwrap_or_default().to_owned()),
            ("user", config.get_user().unwrap_or_default().to_owned()),
            ("sslmode", mode.to_owned()),
            ("sslrootcert", roots),
        ];
        let words = words.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
            let is_plain =
                value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.,/:".contains(&b));
            if is_plain {
                return format!("{name}={value}");
            }
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            format!("{name}='{value}'")
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Host, port and database, for people and logs.
    pub(super) fn shown(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let mut hosts: Vec<String> = hosts.collect();
        if hosts.is_empty() {
            hosts.extend(self.config.get_hostaddrs().iter().map(ToString::to_string));
        }
        let ports = self.config.get_ports();
        for (at, host) in hosts.iter_mut().enumerate() {
            if let Some(port) =
                ports.get(at).or_else(|| ports.first()).filter(|port| **port != 5432)
            {
                *host = format!("{host}:{port}");
            }
        }
        let name = self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or_default();
        format!("{}/{name}", hosts.join(","))
    }
}

/// Whether it can be an address at all: the library's parser says of another database's only that it
/// has come to an end. Nothing of it is repeated, since it may be a password.
fn check_kind(text: &str) -> Result<(), OpenError> {
    let text = text.trim();
    let is_url = ["postgres://", "postgresql://"].iter().any(|start| text.starts_with(start));
    let what = match text.split_once("://") {
        _ if is_url => return Ok(()),
        _ if text.is_empty() => "it is empty",
        // A word's value may hold it.
        Some((scheme, _)) if !scheme.contains('=') => {
            "it is another kind of database's; ours begin with postgres://"
        }
        _ if !text.contains('=') => {
            "it is neither a URL (postgres://USER@HOST/NAME) nor words (host=… user=… dbname=…)"
        }
        _ => return Ok(()),
    };
    Err(OpenError::Address { what: what.to_owned() })
}

/// What the library's parser would refuse.
#[derive(Debug, Default)]
struct Extras {
    mode: Option<String>,
    roots: Option<String>,
    password_file: Option<String>,
    attributes: Option<String>,
}

/// Takes our words out of the query of an address.
fn take_extras(text: &str) -> (String, Extras) {
    let text = text.trim();
    let mut extras = Extras::default();
    let credentials = text.find('@').map_or(0, |at| at + 1);
    let query = text[credentials..].find('?').map(|at| credentials + at);
    let (Some(query), true) = (query, text.starts_with("postgres")) else {
        return (text.to_owned(), extras);
    };
    let rest: Vec<&str> = text[query + 1..]
        .split('&')
        .filter(|pair| {
            let Some((name, value)) = pair.split_once('=') else { return true };
            let place = match name {
                "sslmode" => &mut extras.mode,
                "sslrootcert" => &mut extras.roots,
                "passfile" => &mut extras.password_file,
                "target_session_attrs" => &mut extras.attributes,
                _ => return true,
            };
            *place = Some(decoded(value));
            false
        })
        .collect();
    let query_text = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    (format!("{}{query_text}", &text[..query]), extras)
}

/// Percent signs and two digits as the byte that they mean.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn trust(config: &mut Config, extras: &Extras) -> Result<Trust, OpenError> {
    let roots = match extras.roots.as_deref() {
        None => None,
        Some("system") => Some(Trust::System),
        Some(path) => Some(Trust::File(path.into())),
    };
    let (mode, trust) = match extras.mode.as_deref() {
        None => (config.get_ssl_mode(), roots),
        Some("disable") => (SslMode::Disable, None),
        Some("prefer") => (SslMode::Prefer, None),
        // As libpq: with roots of its own the certificate is looked at.
        Some("require") => (SslMode::Require, roots),
        Some("verify-full") => (SslMode::Require, Some(roots.unwrap_or(Trust::System))),
        Some(_) => {
            let what = "sslmode is disable, prefer, require or verify-full".to_owned();
            return Err(OpenError::Address { what });
        }
    };
    // What is checked only when the other side likes is not checked.
    let mode = if trust.is_some() { SslMode::Require } else { mode };
    config.ssl_mode(mode);
    if let Some(attributes) = extras.attributes.as_deref() {
        config.target_session_attrs(match attributes {
            "any" => TargetSessionAttrs::Any,
            "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
            _ => {
                let what = "target_session_attrs is any, read-write or primary: a server writes";
                return Err(OpenError::Address { what: what.to_owned() });
            }
        });
    } else if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    Ok(trust.unwrap_or(Trust::Anybody))
}

/// An address is read to check it, and read again to be used; the warning comes once.
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// libpq's order: the address, the variable, the file. `file:PATH` in the place of a password is a
/// file that holds it.
fn find_password(
    config: &mut Config,
    database: &Database,
    extras: &Extras,
) -> Result<(), OpenError> {
    if let Some(password) = config.get_password() {
        let path = std::str::from_utf8(password).ok().and_then(|text| text.strip_prefix("file:"));
        if let Some(path) = path {
            config.password(read_file(Path::new(path))?);
        } else if database.is_on_command_line && !IS_TOLD.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the database's password is on the command line, where everybody on this machine \
                 can read it; TA_SERVE_DATABASE, file:PATH and PGPASSFILE are for that"
            );
        }
        return Ok(());
    }
    if let Some(password) = &database.password {
        config.password(password);
        return Ok(());
    }
    let named = extras.password_file.as_ref().map(PathBuf::from);
    if let Some(path) = named.or_else(|| database.password_file.clone())
        && let Some(password) = passwords::look_up(&path, config)
    {
        config.password(password);
    }
    Ok(())
}

fn set_defaults(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIME);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED_TIME);
    }
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(IDLE_TIME);
    }
    if config.get_application_name().is_none() {
        config.application_name("ta serve");
    }
}

/// The first line of a file that holds a secret.
fn read_file(path: &Path) -> Result<String, OpenError> {
    let file = |source| OpenError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(file)?.len() > ADDRESS_BYTES_MAX {
        return Err(file(std::io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read_to_string(path).map_err(file)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn bad(error: &tokio_postgres::Error) -> OpenError {
    let cause =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    // The library names what it does not know, and that may be a password that stands where an
    // address, or the value of another word, should.
    let is_unknown = cause.contains("unknown option");
    let what =
        if is_unknown { "one of its words (NAME=…) is not known".to_owned() } else { cause };
    OpenError::Address { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Result<Address, OpenError> {
        Address::read(&Database { address: address.to_owned(), ..Database::default() })
    }

    #[test]
    fn an_address_says_where_and_how() {
        let cases = [
            ("postgres://u:p@h/d", "h/d", SslMode::Prefer, Trust::Anybody),
            ("postgresql://u@h:99/d?sslmode=disable", "h:99/d", SslMode::Disable, Trust::Anybody),
            ("postgres://u@h/d?sslmode=require", "h/d", SslMode::Require, Trust::Anybody),
            ("postgres://u@h/d?sslmode=verify-full", "h/d", SslMode::Require, Trust::System),
            (
                "postgres://u@h/d?sslrootcert=%2Froots.pem&sslmode=verify-full",
                "h/d",
                SslMode::Require,
                Trust::File("/roots.pem".into()),
            ),
            (
                "postgres://u@h/d?sslmode=require&sslrootcert=/r",
                "h/d",
                SslMode::Require,
                Trust::File("/r".into()),
            ),
            ("postgres:///d?host=/run/pg&user=u", "/run/pg/d", SslMode::Prefer, Trust::Anybody),
            ("host=h dbname=d sslmode=require", "h/d", SslMode::Require, Trust::Anybody),
        ];
        for (text, shown, mode, trust) in cases {
            let address = read(text).unwrap();
            assert_eq!(address.shown(), shown, "{text}");
            assert_eq!((address.config.get_ssl_mode(), address.trust), (mode, trust), "{text}");
        }
    }

    #[test]
    fn tools_are_told_everything_but_the_password() {
        let cases = [
            ("postgres://u:p@h:1/d", "host=h port=1 dbname=d user=u"),
            (
                "postgres://u:p@h:1/d?sslmode=require",
                "host=h port=1 dbname=d user=u sslmode=require",
            ),
            (
                "postgres://u@h:1/d?sslmode=verify-full&sslrootcert=/r",
                "host=h port=1 dbname=d user=u sslmode=verify-full sslrootcert=/r",
            ),
            ("postgres://u:p@a:1,b:2/d", "host=a,b port=1,2 dbname=d user=u"),
            (
                "postgres:///d?host=/run/pg&user=u%20v&port=1",
                "host=/run/pg port=1 dbname=d user='u v'",
            ),
            (
                r"host=h port=1 dbname='it\'s' user=u password=p",
                r"host=h port=1 dbname='it\'s' user=u",
            ),
        ];
        for (text, told) in cases {
            assert_eq!(read(text).unwrap().for_tools(), told, "{text}");
        }
    }

    #[test]
    fn several_hosts_mean_the_one_that_writes() {
        let attributes = |text: &str| read(text).unwrap().config.get_target_session_attrs();
        use TargetSessionAttrs::{Any, ReadWrite};
        assert_eq!(attributes("postgres://u@h/d"), Any);
        assert_eq!(attributes("postgres://u@a,b:7/d"), ReadWrite);
        assert_eq!(attributes("postgres://u@a,b/d?target_session_attrs=any"), Any);
        assert_eq!(attributes("postgres://u@h/d?target_session_attrs=primary"), ReadWrite);
        assert_eq!(read("postgres://u@a,b:7/d").unwrap().shown(), "a,b:7/d");
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_secret() {
        for text in [
            "postgres://u:hunter2@h/d?sslmode=verify-ca",
            "postgres://u:hunter2@h/d?target_session_attrs=standby",
            "postgres://u:hunter2@h/d?colour=red",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:x@hunter2@h/d",
            "postgres:///d?password=hunter2",
            "hunter2",
            "hunter2==",
            "host=h hunter2=1",
            "postgres://u@h/d?hunter2=x",
            "mysql://u:hunter2@h/d",
            "hunter2://u@h/d",
            "",
            "file:/nowhere/at/all",
        ] {
            let error = read(text).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn another_kind_of_address_is_said_to_be_one() {
        for (text, said) in [
            ("mysql://u@h/d", "another kind of database"),
            ("sqlite:///d", "another kind of database"),
            ("tandem", "neither a URL"),
            (" ", "it is empty"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        read("host=h user=u password=a://b dbname=d").unwrap();
    }

    #[test]
    fn a_password_comes_from_the_address_the_variable_or_a_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        fs::write(path("password"), "from a file\nand more").unwrap();
        fs::write(path("address"), "postgres://u:inside@h/d\n").unwrap();
        let password = |address: String, variable: Option<&str>| {
            let password = variable.map(str::to_owned);
            let read = Address::read(&Database { address, password, ..Database::default() });
            read.unwrap()
                .config
                .get_password()
                .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        assert_eq!(password("postgres://u:a%40b@h/d".into(), Some("v")).unwrap(), "a@b");
        assert_eq!(password("postgres://u@h/d".into(), Some("v")).unwrap(), "v");
        assert_eq!(password("postgres://u@h/d".into(), None), None);
        let file = format!("postgres://u@h/d?password=file:{}", path("password"));
        assert_eq!(password(file, None).unwrap(), "from a file");
        assert_eq!(password(format!("file:{}", path("address")), None).unwrap(), "inside");
    }
}
