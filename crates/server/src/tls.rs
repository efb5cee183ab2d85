//! TLS from files, read again when they change: certificates are renewed every few weeks, and nobody
//! should have to end a connection for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// How often the files are looked at, at most: two questions to the system, at a new connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why TLS cannot be spoken. Nothing of a key is in the texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{} cannot be used: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The key is another certificate's.
    #[error(
        "the key in {} does not belong to the certificate in {}: name the two that were made together \
         (the server's own certificate comes first in its file)",
        key.display(),
        certificates.display()
    )]
    Pair {
        /// The file of certificates.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// They cannot be used together for another reason.
    #[error("{} and {} cannot be used: {what}", certificates.display(), key.display())]
    Together {
        /// The file of certificates.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// What is said of an authority's certificate in the place of a server's, which many programs refuse.
pub const AUTHORITY: &str = "the certificate is an authority's (CA:TRUE), which Taskwarrior refuses for a server, and `ta` takes \
     only where this very file is its ca_file: with openssl, -addext basicConstraints=critical,CA:FALSE \
     makes one that both take";

/// Certificates and key, as they are now.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    is_authority: bool,
    stamp: Stamp,
    looked: Instant,
}

/// What tells one state of the files from another.
type Stamp = [Option<(u64, SystemTime)>; 2];

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let stamp = stamp(files);
        let (config, is_authority) = read(files)?;
        let state = State { config, is_authority, stamp, looked: Instant::now() };
        Ok(Self { files: files.clone(), state: Mutex::new(state) })
    }

    /// Whether the certificate is one that [`AUTHORITY`] is to be said of.
    pub fn is_authority(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_authority
    }

    /// What takes the next connection. Files that changed are read first; as long as they cannot be
    /// used, the last that could are.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            let stamp = stamp(&self.files);
            state.looked = Instant::now();
            if stamp != state.stamp {
                self.read_into(&mut state, stamp);
            }
        }
        TlsAcceptor::from(Arc::clone(&state.config))
    }

    /// Reads the files now, whether they have changed or not.
    pub(crate) fn read_again(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_into(&mut state, stamp(&self.files));
    }

    fn read_into(&self, state: &mut State, stamp: Stamp) {
        state.stamp = stamp;
        match read(&self.files) {
            Ok((config, is_authority)) => {
                (state.config, state.is_authority) = (config, is_authority);
                tracing::info!("the certificate was read again");
                if is_authority {
                    tracing::warn!("{AUTHORITY}");
                }
            }
            Err(error) => tracing::error!(%error, "the new certificate cannot be used"),
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    [of(&files.certificates), of(&files.key)]
}

/// What is spoken with the files as they are, and whether the certificate is an authority's.
fn read(files: &TlsFiles) -> Result<(Arc<ServerConfig>, bool), TlsError> {
    let unusable = |path: &Path, what: String| TlsError::File { path: path.to_owned(), what };
    let path = &files.certificates;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, pem_words(error)))?;
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it".to_owned()));
    }
    let path = &files.key;
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| {
        unusable(
            path,
            match error {
                // What stands in a file that `openssl req` made without `-nodes`.
                pem::Error::NoItemsFound => {
                    "there is no private key in it, or one behind a password, which nobody could \
                     enter here"
                        .to_owned()
                }
                other => pem_words(other),
            },
        )
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let together = |error: Error| {
        let (certificates, key) = (files.certificates.clone(), files.key.clone());
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Pair { certificates, key }
            }
            Error::InvalidCertificate(_) => unusable(
                &certificates,
                "its first certificate is damaged, or of the old version 1".to_owned(),
            ),
            // The library's only words for a key that it cannot read.
            Error::General(_) => unusable(
                &key,
                "its key is damaged or of a kind that is not known here: RSA of 2048 bits or more, \
                 the curves P-256 and P-384, and Ed25519 are"
                    .to_owned(),
            ),
            other => TlsError::Together { certificates, key, what: other.to_string() },
        }
    };
    let is_authority = is_authority(&certificates[0], &provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(together)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(together)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), is_authority))
}

/// Whether clients that go by the letter will say that this certificate is no server's, which they look
/// at before they ask who has signed it. The library has no name of its own for that error.
fn is_authority(certificate: &CertificateDer<'static>, provider: &Arc<CryptoProvider>) -> bool {
    let mut roots = RootCertStore::empty();
    if roots.add(certificate.clone()).is_err() {
        return false;
    }
    let provider = Arc::clone(provider);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let (Ok(verifier), Ok(name)) = (verifier, ServerName::try_from("localhost")) else {
        return false;
    };
    let judged = verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
    judged.is_err_and(|error| error.to_string().contains("CaUsedAsEndEntity"))
}

/// What is wrong with a file of PEM.
fn pem_words(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        _ => "it is damaged, or not PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// What is said of two files with these texts.
    fn said(certificates: &str, key: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificates: folder.path().join("c.pem"),
            key: folder.path().join("k.pem"),
        };
        fs::write(&files.certificates, certificates).unwrap();
        fs::write(&files.key, key).unwrap();
        let folder = format!("{}/", folder.path().display());
        match Tls::load(&files) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => error.to_string().replace(&folder, ""),
        }
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said_plainly() {
        let pair = || {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let (certificate, key) = pair();
        let (_, other) = pair();
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let odd = |kind: &str| format!("-----BEGIN {kind}-----\nMAA=\n-----END {kind}-----\n");
        let (odd_certificate, odd_key) = (odd("CERTIFICATE"), odd("PRIVATE KEY"));
        let damaged = certificate.replace("-----END CERTIFICATE-----", "");
        let no_key = "k.pem cannot be used: there is no private key in it, or one behind a password, \
                      which nobody could enter here";
        for (certificate, key, words) in [
            (&*certificate, &*key, "nothing"),
            (
                &certificate,
                &other,
                "the key in k.pem does not belong to the certificate in c.pem: name the two that were \
                 made together (the server's own certificate comes first in its file)",
            ),
            (&certificate, &encrypted, no_key),
            (&certificate, &certificate, no_key),
            (&key, &key, "c.pem cannot be used: there is no certificate in it"),
            (&damaged, &key, "c.pem cannot be used: it is damaged, or not PEM"),
            (
                &odd_certificate,
                &key,
                "c.pem cannot be used: its first certificate is damaged, or of the old version 1",
            ),
            (
                &certificate,
                &odd_key,
                "k.pem cannot be used: its key is damaged or of a kind that is not known here: RSA of \
                 2048 bits or more, the curves P-256 and P-384, and Ed25519 are",
            ),
        ] {
            assert_eq!(said(certificate, key), words);
        }
        let files =
            TlsFiles { certificates: "/nowhere/c.pem".into(), key: "/nowhere/k.pem".into() };
        let error = Tls::load(&files).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/c.pem cannot be used: No such file"), "{error}");
    }
}
