//! Asking a running server on this machine whether it is ready, as its operator does.
//!
//! Over TLS the server must show the certificate that its own settings name. Whether that is in date,
//! or for which name it is, is the clients' concern: here somebody asks their own server on its own
//! address, and sends nothing that could be of use to another.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::config::{Config, TlsFiles};
use crate::proven::Proven;
use crate::server::resolve;

/// How long each step may take: a supervisor waits for the answer.
const STEP_TIME_MAX: Duration = Duration::from_secs(5);

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Where it was asked.
    pub address: SocketAddr,
    /// Whether it takes reads and writes.
    pub is_ready: bool,
    /// Its words: `ready`, or a JSON document that says why not.
    pub words: String,
}

/// Asks the server that runs with this configuration.
///
/// # Errors
/// Nobody answers, or nobody whom we know.
pub fn ready(config: &Config) -> io::Result<Readiness> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "no address is known");
    let listen = config.listen.first().ok_or_else(none)?;
    let mut address = *resolve(listen)?.first().ok_or_else(none)?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let stream = TcpStream::connect_timeout(&address, STEP_TIME_MAX)?;
    stream.set_read_timeout(Some(STEP_TIME_MAX))?;
    stream.set_write_timeout(Some(STEP_TIME_MAX))?;
    let answer = match &config.tls {
        None => in_clear(ask(stream, address)),
        Some(files) => {
            let name = ServerName::IpAddress(address.ip().into());
            let connection = ClientConnection::new(Arc::new(client(files)?), name);
            ask(StreamOwned::new(connection.map_err(io::Error::other)?, stream), address)
        }
    }?;
    let (head, words) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let is_http = head.starts_with("HTTP/1.");
    if !is_http {
        return Err(not_so("the answer is not HTTP"));
    }
    let is_ready = head.split(' ').nth(1) == Some("200");
    Ok(Readiness { address, is_ready, words: words.to_owned() })
}

fn ask(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;
    let mut answer = Vec::new();
    match stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer) {
        // A peer that ends without a goodbye of TLS has said all the same.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        other => drop(other?),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The answer to plain words. A TLS server has none for them, and may end the connection first.
fn in_clear(answer: io::Result<String>) -> io::Result<String> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    let is_silent = match &answer {
        Ok(text) => text.is_empty() || text.starts_with("\u{15}\u{3}"),
        Err(error) => matches!(error.kind(), BrokenPipe | ConnectionReset),
    };
    if is_silent {
        return Err(not_so("it takes no plain HTTP; perhaps it speaks TLS"));
    }
    answer
}

/// Somebody answers, and in another way than the settings say.
fn not_so(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn client(files: &TlsFiles) -> io::Result<ClientConfig> {
    let ours = CertificateDer::from_pem_file(&files.certificates).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let only_ours = Proven::new(&provider, move |shown: &CertificateDer<'_>| {
        let what = "it shows another certificate than the one in its settings";
        if *shown == ours { Ok(()) } else { Err(rustls::Error::General(what.to_owned())) }
    });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(only_ours))
        .with_no_client_auth())
}
