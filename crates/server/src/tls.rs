//! TLS from files, read again when they change: certificates are renewed every few weeks, and nobody
//! should have to end a connection for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig};
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
    /// The two do not fit.
    #[error("certificate and key do not fit: {what}")]
    Pair {
        /// What is wrong.
        what: String,
    },
}

/// What is said of an authority's certificate in the place of a server's, which some clients take and
/// those made with Rust do not.
pub const AUTHORITY: &str = "the certificate is an authority's (CA:TRUE), which `ta` and Taskwarrior refuse for a server: with \
     openssl, -addext basicConstraints=critical,CA:FALSE makes one that they take";

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
        .map_err(|error| unusable(path, error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it".to_owned()));
    }
    let path = &files.key;
    let key =
        PrivateKeyDer::from_pem_file(path).map_err(|error| unusable(path, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pair = |error: rustls::Error| TlsError::Pair {
        what: match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "the key in {} is not that of the certificate in {}",
                files.key.display(),
                files.certificates.display()
            ),
            error => error.to_string(),
        },
    };
    let is_authority = is_authority(&certificates[0], &provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(pair)?;
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
