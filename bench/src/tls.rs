//! A server behind TLS that knows three answers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Accepts every version, has no snapshot and nothing new. Its thread ends with the process.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) ca_file: PathBuf,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, issuer.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that hangs up ends its conversation, nothing else.
                let _ = serve(StreamOwned::new(connection, stream));
            }
        });
        Self { url, ca_file }
    }
}

/// Versions accepted so far.
static VERSIONS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);

fn serve(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |text| text.trim().parse::<u64>().unwrap_or(0));
        std::io::copy(&mut std::io::Read::by_ref(&mut stream).take(length), &mut std::io::sink())?;
        let number = VERSIONS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let version = format!("x-version-id: 11111111-2222-4333-8444-{number:012x}\r\n");
        let answer = if head.starts_with("post") {
            format!("HTTP/1.1 200 OK\r\n{version}content-length: 0\r\n\r\n")
        } else {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 15\r\n\r\nno such version".to_owned()
        };
        stream.write_all(answer.as_bytes())?;
        stream.flush()?;
    }
}
