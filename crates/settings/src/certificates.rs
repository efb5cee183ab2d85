//! Whether a file holds certificates.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error as PemError, PemObject as _};

use crate::error::ValueError;

/// The largest file of certificates that is read, in bytes. The system's own have about 250 kB.
const CERTIFICATES_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Whether a file is there and holds at least one certificate in PEM. What is in a certificate, and
/// whether anybody trusts it, is seen when a connection is made.
pub(crate) fn check(path: &Path) -> Result<(), ValueError> {
    let wrong =
        |what: &str| ValueError::NoCertificates { path: path.to_owned(), what: what.to_owned() };
    // A pipe would be waited for, perhaps for ever.
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(wrong("it is not a file")),
        Ok(_) => {}
        Err(error) => return Err(wrong(&error.to_string())),
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CERTIFICATES_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(&error.to_string()))?;
    if bytes.len() as u64 > CERTIFICATES_BYTES_MAX {
        return Err(wrong("it is too large for a file of certificates"));
    }
    match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, PemError>>() {
        Ok(certificates) if certificates.is_empty() => Err(wrong("it holds no certificate in PEM")),
        Ok(_) => Ok(()),
        Err(_) => Err(wrong("its PEM is damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

    #[test]
    fn only_a_file_with_a_certificate_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for (content, said) in [
            (CERTIFICATE.to_owned(), ""),
            (format!("a comment\n{KEY}{CERTIFICATE}"), ""),
            (KEY.to_owned(), "it holds no certificate in PEM"),
            ("hello".to_owned(), "it holds no certificate in PEM"),
            (String::new(), "it holds no certificate in PEM"),
            (CERTIFICATE.replace("MAA=", "?"), "its PEM is damaged"),
            (CERTIFICATE.replace("-----END CERTIFICATE-----", ""), "its PEM is damaged"),
        ] {
            fs::write(&path, &content).unwrap();
            match check(&path) {
                Ok(()) => assert_eq!(said, "", "{content}"),
                Err(error) => {
                    assert_eq!(error.to_string(), format!("{}: {said}", path.display()));
                    assert!(error.hint().contains("PEM"), "{content}");
                }
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("ca.pem: No such file"));
        let refused = check(folder.path()).unwrap_err().to_string();
        assert!(refused.ends_with("it is not a file"), "{refused}");
        // One that nobody writes to would be read for ever.
        #[cfg(unix)]
        {
            let pipe = folder.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            let refused = check(&pipe).unwrap_err().to_string();
            assert!(refused.ends_with("it is not a file"), "{refused}");
        }
    }
}
