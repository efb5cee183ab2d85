//! Setting the HTTP library up: times, proxy, TLS. Done once, when the first request is made.

use std::fs;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use tandem_tasks::session::Failure;
use ureq::config::Config;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::{Connector as _, TcpConnector};
use ureq::{Agent, Proxy, ProxyProtocol};

use super::HttpSettings;
use super::absolute_form::{AbsoluteFormConnector, ProxyResolver};

/// Bytes that one socket read or write moves at most.
const BUFFER_BYTES: usize = 64 * 1024;

/// The crypto library under TLS. The only place that names one.
fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes the agent. Costs next to nothing for plain HTTP; for https the given CA file is read here,
/// the system's roots when the first connection is made.
pub(super) fn build(settings: &HttpSettings) -> Result<Agent, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let proxy = match settings.proxy.choose(&settings.origin, environment) {
        None => None,
        Some(url) => Some(Proxy::new(&url).map_err(|_| Failure::Unreachable {
            what: "the proxy's address cannot be read".to_owned(),
        })?),
    };
    let is_absolute_form = proxy.as_ref().is_some_and(|proxy| {
        proxy.protocol() == ProxyProtocol::Http && !settings.origin.is_https()
    });
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
    let needs_tls = settings.origin.is_https()
        || proxy.as_ref().is_some_and(|proxy| proxy.protocol() == ProxyProtocol::Https);
    if needs_tls {
        builder = builder.tls_config(tls(settings)?);
    }
    let config = builder.build();
    Ok(match proxy.filter(|_| is_absolute_form) {
        None => Agent::new_with_config(config),
        Some(proxy) => {
            let connector =
                ().chain(TcpConnector::default())
                    .chain(AbsoluteFormConnector::new(settings.origin.root(), &proxy));
            Agent::with_parts(config, connector, ProxyResolver::new(&proxy))
        }
    })
}

/// A given CA file stands instead of the system's roots, not beside them: who names one means it.
fn tls(settings: &HttpSettings) -> Result<TlsConfig, Failure> {
    let root_certs = match &settings.ca_file {
        None => RootCerts::PlatformVerifier,
        Some(path) => {
            let wrong = |what: &str| Failure::Tls {
                what: format!("the CA file {}: {what}", path.display()),
            };
            let pem = fs::read(path).map_err(|error| wrong(&error.to_string()))?;
            let mut certificates: Vec<Certificate<'static>> = Vec::new();
            for item in parse_pem(&pem) {
                match item {
                    Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                    Ok(_) => {}
                    Err(_) => return Err(wrong("it is not PEM")),
                }
            }
            if certificates.is_empty() {
                return Err(wrong("it holds no certificate"));
            }
            RootCerts::new_with_certs(&certificates)
        }
    };
    Ok(TlsConfig::builder()
        .root_certs(root_certs)
        .unversioned_rustls_crypto_provider(crypto_provider())
        .build())
}
