//! Certificates and a TLS server for the tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::scripted::{Received, Reply, Scripted};

/// An authority of our own.
pub(crate) struct Authority {
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Two authorities of one name would be taken for each other until the signature is looked at.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params.clone(), key), params, folder }
    }

    /// The file that holds its certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// One of the same name with another key, as a second run of the same command makes it.
    pub(crate) fn made_anew(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { params: self.params.clone(), issuer: Issuer::new(self.params.clone(), key), folder }
    }

    /// A server with a certificate for these names.
    pub(crate) fn serve(
        &self,
        names: &[&str],
        handler: impl FnMut(&Received) -> Reply + Send + 'static,
    ) -> Scripted {
        self.serve_as(IsCa::NoCa, names, handler)
    }

    /// The same with a certificate that is an authority's, too, or is not.
    pub(crate) fn serve_as(
        &self,
        is_ca: IsCa,
        names: &[&str],
        handler: impl FnMut(&Received) -> Reply + Send + 'static,
    ) -> Scripted {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = is_ca;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        serve_as(certificate.der(), &key, rustls::DEFAULT_VERSIONS, handler)
    }
}

/// A server's own certificate that is its own authority, as `openssl req -x509` makes it.
pub(crate) struct SelfSigned {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
    folder: TempDir,
}

impl SelfSigned {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    pub(crate) fn with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        Self { certificate, key, folder }
    }

    /// The file that holds it.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }
}

/// A server that shows this certificate and signs with this key, whether they belong together or not.
pub(crate) fn serve_as(
    certificate: &CertificateDer<'static>,
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
    handler: impl FnMut(&Received) -> Reply + Send + 'static,
) -> Scripted {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = CertifiedKey::new(vec![certificate.clone()], key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let config = Arc::new(config);
    Scripted::with_wrapper(
        move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        },
        handler,
    )
}
