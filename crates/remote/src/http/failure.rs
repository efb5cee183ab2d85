//! What the HTTP library's errors mean, in the session's words.

use std::io::ErrorKind;

use rustls::CertificateError;
use tandem_tasks::session::Failure;
use ureq::{Error, Timeout};

use super::HttpSettings;
use super::answer::{readable, strange};

/// Translates an error. Names hosts, never a credential: the library's texts hold at most a URL,
/// and ours have version ids in them only.
pub(super) fn of(error: Error, settings: &HttpSettings) -> Failure {
    let unreachable = |what: String| Failure::Unreachable { what };
    let host = settings.origin.host();
    match error {
        Error::Timeout(timeout) => Failure::TimedOut { what: wait(timeout).to_owned() },
        Error::HostNotFound => unreachable(format!("there is no host {host}")),
        Error::ConnectProxyFailed(text) => {
            unreachable(format!("the proxy does not connect: {}", readable(text.as_bytes())))
        }
        Error::Tls(text) => Failure::Tls { what: text.to_owned() },
        Error::Rustls(error) => tls(&error, host),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => tls(inner, host),
            None => io(&error, host),
        },
        // Whoever speaks TLS answers words in clear with an alert, which is none of HTTP's.
        Error::Protocol(_) if !settings.origin.is_https() => strange(format!(
            "it is not HTTP; if {host} speaks TLS there, server_origin begins with https://"
        )),
        Error::Protocol(error) => strange(format!("it is not HTTP: {error}")),
        Error::LargeResponseHeader(..) => strange("its headers are too large".to_owned()),
        other => unreachable(readable(other.to_string().as_bytes())),
    }
}

fn io(error: &std::io::Error, host: &str) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            Failure::TimedOut { what: readable(error.to_string().as_bytes()) }
        }
        ErrorKind::ConnectionRefused => {
            Failure::Unreachable { what: format!("{host} refuses connections") }
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => {
            Failure::Unreachable { what: format!("{host} closed the connection in the middle") }
        }
        _ => Failure::Unreachable { what: readable(error.to_string().as_bytes()) },
    }
}

fn tls(error: &rustls::Error, host: &str) -> Failure {
    let what = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => {
                format!("the certificate of {host} comes from an authority that is not known here")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is not for {host}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired (or the clock here is wrong)")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet (or the clock here is wrong)")
            }
            CertificateError::BadSignature => format!(
                "the certificate of {host} is not signed by the authority of that name that is known \
                 here: either may have been made anew"
            ),
            // The library has no name of its own for it. `openssl req -x509` makes such ones.
            other if other.to_string().contains("CaUsedAsEndEntity") => format!(
                "the certificate of {host} is an authority's (CA:TRUE) and may not stand for a server: \
                 make it with `-addext basicConstraints=critical,CA:FALSE`"
            ),
            other => format!("the certificate of {host}: {other}"),
        },
        rustls::Error::InvalidMessage(_) => format!(
            "{host} does not speak TLS there; if it speaks plain HTTP, server_origin begins with http://"
        ),
        other => other.to_string(),
    };
    Failure::Tls { what }
}

fn wait(timeout: Timeout) -> &'static str {
    match timeout {
        Timeout::Resolve => "looking up its name",
        Timeout::Connect => "connecting",
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => "sending the request",
        _ => "waiting for the answer",
    }
}
