//! What the HTTP library's errors mean, in the session's words.

use std::io::ErrorKind;
use std::net::IpAddr;

use rustls::{AlertDescription, CertificateError};
use tandem_tasks::session::{Failure, ProxyTrouble, TlsTrouble};
use ureq::{Error, Timeout};

use super::HttpSettings;
use super::answer::{readable, strange};
use super::peer::{At, Peer, Stage};
use super::pinned::is_authoritys;

/// Translates an error. Names hosts, never a credential: the library's texts hold at most a URL,
/// and ours have version ids in them only.
pub(super) fn of(error: Error, settings: &HttpSettings) -> Failure {
    match error {
        Error::Other(inner) => match inner.downcast::<At>() {
            Ok(at) if at.stage == Stage::Lookup => lookup(at.error, &at.peer),
            Ok(at) => about(at.error, &at.peer, at.stage, settings),
            Err(other) => unreachable(&Peer::of(settings), readable(other.to_string().as_bytes())),
        },
        error => about(error, &Peer::of(settings), Stage::Connected, settings),
    }
}

fn unreachable(peer: &Peer, what: String) -> Failure {
    match peer.is_proxy {
        true => Failure::Proxy { trouble: ProxyTrouble::Unreachable, what },
        false => Failure::Unreachable { what },
    }
}

fn timed_out(peer: &Peer, what: String, stage: Stage) -> Failure {
    let is_connected = stage == Stage::Connected;
    match peer.is_proxy {
        true => Failure::Proxy { trouble: ProxyTrouble::TimedOut { is_connected }, what },
        false => Failure::TimedOut { what, is_connected },
    }
}

fn unsafe_line(peer: &Peer, trouble: TlsTrouble, what: String) -> Failure {
    match peer.is_proxy {
        true => Failure::Proxy { trouble: ProxyTrouble::Tls(trouble), what },
        false => Failure::Tls { trouble, what },
    }
}

/// Nothing answers to its name.
fn lookup(error: Error, peer: &Peer) -> Failure {
    match error {
        Error::Timeout(_) => {
            timed_out(peer, format!("looking up the name of {peer}"), Stage::Lookup)
        }
        Error::HostNotFound => unreachable(peer, format!("there is no host {peer}")),
        // Of the system, which does not say whose name it was.
        other => {
            let said = readable(other.to_string().as_bytes());
            unreachable(peer, format!("{peer} is not found by its name ({said})"))
        }
    }
}

fn about(error: Error, peer: &Peer, stage: Stage, settings: &HttpSettings) -> Failure {
    let server = settings.origin.host();
    match error {
        Error::Timeout(timeout) => {
            let what = match (stage, timeout) {
                (Stage::Asking, _) => format!("asking {peer} for a connection to {server}"),
                (_, Timeout::Resolve | Timeout::Connect) => format!("connecting to {peer}"),
                (_, timeout) if peer.is_proxy => {
                    format!("{}, by {peer} from {server}", wait(timeout))
                }
                (_, timeout) => wait(timeout).to_owned(),
            };
            // A wait for the connection may end late, but is no other for that.
            let stage = match timeout {
                Timeout::Resolve | Timeout::Connect => Stage::Connecting,
                _ => stage,
            };
            timed_out(peer, what, stage)
        }
        Error::ConnectProxyFailed(text) => not_connected(&text, peer),
        Error::Tls(text) => unsafe_line(peer, TlsTrouble::Other, text.to_owned()),
        Error::Rustls(error) => tls(&error, peer, settings),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => tls(inner, peer, settings),
            None if stage == Stage::Asking => asking(&error, peer, settings),
            None => io(&error, peer, stage, settings),
        },
        Error::Protocol(_) if peer.is_proxy => not_a_proxy(peer),
        // Whoever speaks TLS answers words in clear with an alert, which is none of HTTP's.
        Error::Protocol(_) if !settings.origin.is_https() => strange(format!(
            "it is not HTTP; if {peer} speaks TLS there, server_origin begins with https://"
        )),
        Error::Protocol(error) => strange(format!("it is not HTTP: {error}")),
        Error::LargeResponseHeader(..) => strange("its headers are too large".to_owned()),
        other => unreachable(peer, readable(other.to_string().as_bytes())),
    }
}

fn not_a_proxy(peer: &Peer) -> Failure {
    let what = format!("what answers at {peer} is none of the kind that its address begins with");
    Failure::Proxy { trouble: ProxyTrouble::NotAProxy, what }
}

/// What a proxy answered to `CONNECT`, in the library's words, which have the status in them.
fn not_connected(text: &str, peer: &Peer) -> Failure {
    let status = text.strip_prefix("proxy server responded ").and_then(|rest| rest.get(..3));
    let Some(status) = status.and_then(|status| status.parse().ok()) else {
        return unreachable(peer, format!("{peer} closed the connection without an answer"));
    };
    refused_by(peer, status)
}

/// A proxy's answer of this status in place of the server's.
pub(super) fn refused_by(peer: &Peer, status: u16) -> Failure {
    let trouble = match status {
        407 => ProxyTrouble::Password,
        500..=599 => ProxyTrouble::NoServer,
        _ => ProxyTrouble::Refuses,
    };
    Failure::Proxy { trouble, what: format!("{peer} answers with status {status}") }
}

/// What went wrong while a proxy was asked for a connection: the line to it, or what a proxy of SOCKS
/// answered, which the library words as an error of the system without the system's number.
fn asking(error: &std::io::Error, peer: &Peer, settings: &HttpSettings) -> Failure {
    let said = error.to_string();
    let trouble = match error.kind() {
        ErrorKind::PermissionDenied => ProxyTrouble::Password,
        ErrorKind::InvalidInput => ProxyTrouble::Address,
        ErrorKind::InvalidData => return not_a_proxy(peer),
        ErrorKind::Other if error.raw_os_error().is_none() => match said.as_str() {
            text if text.contains("auth method") => ProxyTrouble::Password,
            text if ["unreachable", "connection refused", "TTL expired"]
                .iter()
                .any(|words| text.contains(words)) =>
            {
                ProxyTrouble::NoServer
            }
            _ => ProxyTrouble::Refuses,
        },
        _ => return io(error, peer, Stage::Asking, settings),
    };
    let what = format!("{peer} says: {}", readable(said.as_bytes()));
    Failure::Proxy { trouble, what }
}

/// What a person calls the setting that holds the address.
fn address_of(peer: &Peer) -> &'static str {
    if peer.is_proxy { "its address" } else { "server_origin" }
}

fn io(error: &std::io::Error, peer: &Peer, stage: Stage, settings: &HttpSettings) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            timed_out(peer, readable(error.to_string().as_bytes()), stage)
        }
        ErrorKind::ConnectionRefused if !peer.is_proxy => Failure::NobodyListens {
            at: format!("{}:{}", peer.host, settings.origin.port()),
            is_here: settings.origin.is_loopback(),
        },
        ErrorKind::ConnectionRefused => unreachable(peer, format!("{peer} refuses connections")),
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => {
            unreachable(peer, format!("{peer} closed the connection in the middle"))
        }
        _ => unreachable(peer, readable(error.to_string().as_bytes())),
    }
}

fn tls(error: &rustls::Error, peer: &Peer, settings: &HttpSettings) -> Failure {
    let what = match error {
        rustls::Error::InvalidCertificate(error) => certificate(error, peer, settings),
        rustls::Error::InvalidMessage(_) => format!(
            "{peer} does not speak TLS there; if it speaks plain HTTP, {} begins with http://",
            address_of(peer)
        ),
        rustls::Error::NoCertificatesPresented => format!("{peer} shows no certificate"),
        rustls::Error::PeerIncompatible(_) => {
            format!("{peer} speaks TLS in no way that is known here (1.2 and 1.3 are)")
        }
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::UnrecognisedName => {
                format!("{peer} says that it does not go by this name")
            }
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
                format!("{peer} speaks TLS in no way that is known here (1.2 and 1.3 are)")
            }
            AlertDescription::CertificateRequired => {
                format!("{peer} asks for a certificate of ours, and ta has none to show")
            }
            other => format!("{peer} broke it off ({other:?})"),
        },
        other => {
            format!("what {peer} says is no proper TLS: {}", readable(other.to_string().as_bytes()))
        }
    };
    let trouble = match error {
        rustls::Error::InvalidCertificate(error) => trouble_with(error),
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => TlsTrouble::Name,
        _ => TlsTrouble::Other,
    };
    unsafe_line(peer, trouble, what)
}

fn trouble_with(error: &CertificateError) -> TlsTrouble {
    match error {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            TlsTrouble::Authority
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsTrouble::Time,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsTrouble::Name
        }
        error if is_authoritys(error) => TlsTrouble::Authority,
        _ => TlsTrouble::Other,
    }
}

/// What is wrong with the certificate that was shown.
fn certificate(error: &CertificateError, peer: &Peer, settings: &HttpSettings) -> String {
    let kind = if peer.is_proxy { "proxy" } else { "server" };
    let file = settings.ca_file.as_ref().map(|path| path.display().to_string());
    match error {
        CertificateError::UnknownIssuer => match file {
            None => {
                format!("the certificate of {peer} comes from an authority that is not known here")
            }
            Some(file) => format!(
                "the certificate of {peer} comes from an authority that is not known here: \
                 ca_file ({file}) stands in place of the system's, and does not hold it"
            ),
        },
        CertificateError::NotValidForName => format!("the certificate is not for {peer}"),
        CertificateError::NotValidForNameContext { presented, .. } => not_for(peer, presented),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {peer} has expired (or the clock here is wrong)")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {peer} is not valid yet (or the clock here is wrong)")
        }
        // `openssl req -x509` makes such ones.
        error if is_authoritys(error) => match file {
            None => format!(
                "the certificate of {peer} is an authority's own (CA:TRUE), and none that is known \
                 here; if the {kind} is yours, bring its file from the {kind}'s disk and trust it: \
                 ta config set ca_file FILE"
            ),
            Some(file) => format!(
                "the certificate of {peer} is an authority's own (CA:TRUE), and another than those in \
                 ca_file ({file}): if the {kind} has a new one, bring that from its disk; otherwise \
                 somebody else answers"
            ),
        },
        // Of the certificate, or of the handshake: then whoever answers does not have its key.
        // The authority of that name that is known here has another key, perhaps of another kind.
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => match file {
            None => format!("the certificate of {peer} is signed by nobody that is trusted here"),
            Some(file) => format!(
                "the certificate of {peer} is not signed by the one of its authority's name in \
                 ca_file ({file}): if the {kind} or its authority has a new one, bring that from \
                 there; otherwise somebody else answers"
            ),
        },
        CertificateError::Revoked => {
            format!("the certificate of {peer} was revoked by its authority")
        }
        CertificateError::BadEncoding => format!("the certificate of {peer} is damaged"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("the certificate of {peer} is not made for a server (extendedKeyUsage)")
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => format!(
            "the certificate of {peer} is signed in a way that is not trusted here: make it with \
             RSA of 2048 bits or more, or the curve P-256, and SHA-256"
        ),
        other if is_of_version_1(other) => format!(
            "the certificate of {peer} is of the old version 1: make it with \
             `-addext subjectAltName={}`",
            alternative_name(&peer.host)
        ),
        other => format!(
            "the certificate of {peer} cannot be trusted: {}",
            readable(other.to_string().as_bytes())
        ),
    }
}

/// A certificate for other names, which are its maker's words.
fn not_for(peer: &Peer, presented: &[String]) -> String {
    /// Names that are told; a large site's certificate has hundreds.
    const TOLD_MAX: usize = 3;
    let mut names: Vec<&str> = presented.iter().filter_map(|name| name_shown(name)).collect();
    if names.is_empty() {
        return format!(
            "the certificate is not for {peer}: it names no host (its subject does not count); make \
             it with `-addext subjectAltName={}`",
            alternative_name(&peer.host)
        );
    }
    let more = if names.len() > TOLD_MAX { " and others" } else { "" };
    names.truncate(TOLD_MAX);
    format!(
        "the certificate is not for {peer}, but for {}{more}",
        readable(names.join(", ").as_bytes())
    )
}

/// The name in the library's words for it: `DnsName("host")`, `IpAddress(127.0.0.1)`.
fn name_shown(text: &str) -> Option<&str> {
    let host = text.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
    host.or_else(|| text.strip_prefix("IpAddress(")?.strip_suffix(')'))
}

/// A host as openssl wants it among the names of a certificate.
fn alternative_name(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let kind = if bare.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!("{kind}:{bare}")
}

fn is_of_version_1(error: &CertificateError) -> bool {
    let CertificateError::Other(other) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::UnsupportedCertVersion))
}

fn wait(timeout: Timeout) -> &'static str {
    match timeout {
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => "sending the request",
        _ => "waiting for the answer",
    }
}
