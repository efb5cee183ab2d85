//! Setting the HTTP library up: times, proxy, TLS. Done once, when the first request is made.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tandem_tasks::session::{Failure, ProxyTrouble, TlsTrouble};
use ureq::config::Config;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, RustlsConnector, SocksConnector, TcpConnector,
};
use ureq::{Agent, Proxy, ProxyProtocol};

use super::HttpSettings;
use super::absolute_form::{AbsoluteFormConnector, ProxyResolver};
use super::peer::{Asking, Named, Way};
use super::pinned::Pinned;
use super::tls::TlsConnector;

/// Bytes that one socket read or write moves at most.
const BUFFER_BYTES: usize = 64 * 1024;

/// The crypto library under TLS. The only place that names one.
fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The largest file of certificates that is read, in bytes. The system's own have about 250 kB.
const CA_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The proxy on the way to the server, if there is to be one.
pub(super) fn proxy(settings: &HttpSettings) -> Result<Option<Proxy>, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let Some(url) = settings.proxy.choose(&settings.origin, environment) else { return Ok(None) };
    // Its text may hold a password.
    let what = "its address cannot be read; one is like http://proxy.example.org:3128".to_owned();
    let failure = Failure::Proxy { trouble: ProxyTrouble::Address, what };
    Proxy::new(&url).map(Some).map_err(|_| failure)
}

/// The proxy that gets whole requests and passes them on: of plain HTTP for plain HTTP. To all others
/// a connection is made through them.
pub(super) fn forwarding_proxy(settings: &HttpSettings) -> Result<Option<Proxy>, Failure> {
    let forwards = |proxy: &Proxy| proxy.protocol() == ProxyProtocol::Http;
    Ok(proxy(settings)?.filter(|proxy| forwards(proxy) && !settings.origin.is_https()))
}

/// Makes the agent. Costs next to nothing for plain HTTP; for https the given CA file is read here,
/// the system's roots when the first connection is made.
pub(super) fn build(settings: &HttpSettings) -> Result<Agent, Failure> {
    let proxy = proxy(settings)?;
    let is_absolute_form = forwarding_proxy(settings)?.is_some();
    let way = Way::new(proxy.as_ref(), is_absolute_form);
    let resolver = Named::new(DefaultResolver::default(), &way);
    let mut builder = Config::builder()
        // Statuses are answers.
        .http_status_as_error(false)
        // Followed here, where it can be seen where to.
        .max_redirects(0)
        .user_agent(settings.user_agent.as_str())
        .accept_encoding("")
        .timeout_resolve(Some(settings.connect_timeout))
        .timeout_connect(Some(settings.connect_timeout))
        .timeout_send_request(Some(settings.read_timeout))
        .timeout_recv_response(Some(settings.read_timeout))
        .timeout_per_read(Some(settings.read_timeout))
        .timeout_per_write(Some(settings.read_timeout))
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .max_idle_connections(1)
        .proxy(if is_absolute_form { None } else { proxy.clone() });
    if settings.uses_tls() {
        // A given CA file stands instead of the system's roots, not beside them: who names one
        // means it.
        if let Some(path) = &settings.ca_file {
            let connector = any_way(&way).chain(TlsConnector::new(trusting(path)?));
            return Ok(Agent::with_parts(builder.build(), Named::new(connector, &way), resolver));
        }
        builder = builder.tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::PlatformVerifier)
                .unversioned_rustls_crypto_provider(crypto_provider())
                .build(),
        );
    }
    let config = builder.build();
    Ok(match proxy.filter(|_| is_absolute_form) {
        None => {
            let connector = any_way(&way).chain(RustlsConnector::default());
            Agent::with_parts(config, Named::new(connector, &way), resolver)
        }
        Some(proxy) => {
            let connector =
                ().chain(TcpConnector::default())
                    .chain(AbsoluteFormConnector::new(settings.origin.root(), &proxy));
            let resolver = Named::new(ProxyResolver::new(&proxy), &way);
            Agent::with_parts(config, Named::new(connector, &way), resolver)
        }
    })
}

/// A connection in clear to the server, by the proxy if there is one: the library's own chain, with
/// links that say when they fail at the proxy.
fn any_way(way: &Way) -> impl Connector<()> {
    ().chain(Asking::new(SocksConnector::default(), way))
        .chain(Asking::new(ConnectProxyConnector::default(), way))
        .chain(TcpConnector::default())
}

/// TLS that believes the certificates in this file.
fn trusting(path: &Path) -> Result<ClientConfig, Failure> {
    let wrong = |what: &str| Failure::Tls {
        trouble: TlsTrouble::Authority,
        what: format!("the CA file {}: {what}", path.display()),
    };
    let unreadable = |error: std::io::Error| wrong(&error.to_string());
    // A pipe would be waited for.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(wrong("it is not a file"));
    }
    let mut pem = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut pem))
        .map_err(unreadable)?;
    if pem.len() as u64 > CA_FILE_BYTES_MAX {
        return Err(wrong("it is too large for a file of certificates"));
    }
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("it is not PEM"))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate"));
    }
    let provider = crypto_provider();
    let pinned = Pinned::new(certificates, Arc::clone(&provider))
        .ok_or_else(|| wrong("no certificate in it can be read"))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Tls { trouble: TlsTrouble::Other, what: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth())
}
