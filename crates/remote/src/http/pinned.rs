//! Whom a given CA file trusts: the authorities in it, and a server whose own certificate is in it.
//!
//! `openssl req -x509` makes a certificate that is its own authority (CA:TRUE), and who runs a server
//! for themselves uses it as it comes. The library refuses such a one as a server's, whatever is
//! trusted ([decision 15](../../../../docs/decisions/0015-a-certificate-in-the-ca-file.md)).
//!
//! What is accepted beyond the library's own rules, and nothing else:
//!
//! * the library refuses the server's certificate *because it is an authority's*, which it says after
//!   it has looked at the dates;
//! * that certificate is in the file, byte for byte;
//! * it is for the name that was asked for.
//!
//! Whoever has the key of an authority in the file could sign themselves a certificate that the
//! library accepts. So nobody is believed who was not believed before.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Believes the certificates of a CA file.
#[derive(Debug)]
pub(super) struct Pinned {
    /// The library's own rules, with the file's certificates as authorities.
    library: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Pinned {
    /// None if no certificate among these can stand for an authority.
    pub(super) fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        Some(Self { library: builder.build().ok()?, certificates })
    }
}

/// Whether a certificate was refused for this alone: it is an authority's, and shown as a server's.
pub(super) fn is_authoritys(error: &CertificateError) -> bool {
    let CertificateError::Other(other) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.library.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(Error::InvalidCertificate(error))
                if is_authoritys(&error) && self.certificates.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
