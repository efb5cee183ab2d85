//! TLS: whom we trust, and how it is said when we don't.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tandem_remote::HttpRemote;
use tandem_tasks::session::{Added, Child, Failure, Response, TlsTrouble};

use crate::certificates::{Authority, SelfSigned, serve_as};
use crate::scripted::{Received, Reply, Scripted, keep};
use crate::{add, answered, get_child, refused, settings, version};

fn task_server(request: &Received) -> Reply {
    match request.method.as_str() {
        "GET" => keep(404, &[], b"no such version"),
        _ => keep(200, &[("X-Version-Id", &version(2).to_string())], b""),
    }
}

fn remote(host: &str, server: &Scripted, authority: Option<&Authority>) -> HttpRemote {
    pinning(host, server, authority.map(Authority::file))
}

fn pinning(host: &str, server: &Scripted, file: Option<PathBuf>) -> HttpRemote {
    let mut settings = settings(&format!("https://{host}:{}/", server.port()));
    settings.ca_file = file;
    HttpRemote::new(settings)
}

#[track_caller]
fn tls_failure(remote: &mut HttpRemote) -> String {
    tls_trouble(remote).1
}

#[track_caller]
fn tls_trouble(remote: &mut HttpRemote) -> (TlsTrouble, String) {
    match refused(get_child(remote, version(1))) {
        Failure::Tls { trouble, what } => (trouble, what),
        other => panic!("{other:?}"),
    }
}

/// From the kind follows what to do.
#[test]
fn what_is_wrong_with_a_certificate_has_its_kind() {
    let ordinary = || SelfSigned::with(&["localhost"], |params| params.is_ca = IsCa::ExplicitNoCa);
    let ended =
        |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2001, 1, 1);
    let begins = |params: &mut rcgen::CertificateParams| {
        params.not_before = date_time_ymd(4000, 1, 1);
    };
    let cases: [(SelfSigned, Option<SelfSigned>, TlsTrouble); 7] = [
        (SelfSigned::new(&["localhost"]), None, TlsTrouble::Authority),
        (ordinary(), None, TlsTrouble::Authority),
        (ordinary(), Some(ordinary()), TlsTrouble::Authority),
        (SelfSigned::new(&["localhost"]), Some(SelfSigned::new(&[])), TlsTrouble::Authority),
        (SelfSigned::with(&["localhost"], ended), None, TlsTrouble::Time),
        (SelfSigned::with(&["localhost"], begins), None, TlsTrouble::Time),
        (SelfSigned::new(&["elsewhere"]), None, TlsTrouble::Name),
    ];
    for (n, (own, trusted, expected)) in cases.into_iter().enumerate() {
        let server =
            serve_as(own.certificate.der(), &own.key, rustls::DEFAULT_VERSIONS, task_server);
        let file = match expected {
            TlsTrouble::Authority => trusted.as_ref().map(SelfSigned::file),
            _ => Some(own.file()),
        };
        let (trouble, what) = tls_trouble(&mut pinning("localhost", &server, file));
        assert_eq!(trouble, expected, "case {n}: {what}");
    }
}

#[test]
fn a_server_is_trusted_by_a_given_authority() {
    let authority = Authority::new();
    let server = authority.serve(&["localhost", "127.0.0.1"], task_server);
    for host in ["localhost", "127.0.0.1"] {
        let mut remote = remote(host, &server, Some(&authority));
        let outcome = answered(get_child(&mut remote, version(1)));
        assert_eq!(outcome, Response::Child(Child::UpToDate));
        let outcome = answered(add(&mut remote, version(1), &vec![0; 500_000]));
        assert!(matches!(outcome, Response::Added(Added::Accepted { .. })));
    }
    assert_eq!(server.connections(), 2, "kept between requests");
}

#[test]
fn nobody_else_is_trusted() {
    let authority = Authority::new();
    let server = authority.serve(&["localhost"], task_server);
    let what = tls_failure(&mut remote("localhost", &server, None));
    assert!(what.contains("authority that is not known here"), "{what}");
    let what = tls_failure(&mut remote("localhost", &server, Some(&Authority::new())));
    assert!(what.contains("authority"), "{what}");
    let what = tls_failure(&mut remote("127.0.0.1", &server, Some(&authority)));
    assert!(what.contains("is not for 127.0.0.1"), "{what}");
    assert!(server.received().is_empty(), "nothing was said to them");
    // An upload certainly never left.
    let failure = refused(add(&mut remote("localhost", &server, None), version(1), b"x"));
    assert!(matches!(failure, Failure::Tls { .. }), "{failure:?}");
}

const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

#[test]
fn a_server_whose_own_certificate_is_in_the_ca_file_is_trusted() {
    let own = SelfSigned::new(&["localhost", "127.0.0.1", "::1"]);
    for versions in VERSIONS {
        let server = serve_as(own.certificate.der(), &own.key, versions, task_server);
        for host in ["localhost", "127.0.0.1"] {
            let mut remote = pinning(host, &server, Some(own.file()));
            let outcome = answered(get_child(&mut remote, version(1)));
            assert_eq!(outcome, Response::Child(Child::UpToDate));
            let outcome = answered(add(&mut remote, version(1), &vec![0; 500_000]));
            assert!(matches!(outcome, Response::Added(Added::Accepted { .. })));
        }
        assert_eq!(server.connections(), 2, "kept between requests");
    }
}

/// Nobody gets a request who has not the key of the very certificate in the file.
#[test]
fn nobody_else_is_trusted_beside_a_certificate_of_its_own() {
    let own = SelfSigned::new(&["localhost"]);
    let other = SelfSigned::new(&["localhost"]);
    for versions in VERSIONS {
        let server = serve_as(other.certificate.der(), &other.key, versions, task_server);
        let what = tls_failure(&mut pinning("localhost", &server, Some(own.file())));
        assert!(what.contains("another than those in ca_file"), "{what}");
        assert!(what.contains(&own.file().display().to_string()), "{what}");
        assert!(server.received().is_empty());
        // The certificate can be had by everybody; its key cannot.
        let server = serve_as(own.certificate.der(), &other.key, versions, task_server);
        let what = tls_failure(&mut pinning("localhost", &server, Some(own.file())));
        assert!(what.contains("somebody else answers"), "{what}");
        let failure =
            refused(add(&mut pinning("localhost", &server, Some(own.file())), version(1), b"x"));
        assert!(matches!(failure, Failure::Tls { .. }), "{failure:?}");
        assert!(server.received().is_empty());
        let server = serve_as(own.certificate.der(), &own.key, versions, task_server);
        let what = tls_failure(&mut pinning("127.0.0.1", &server, Some(own.file())));
        assert_eq!(what, "the certificate is not for 127.0.0.1, but for localhost");
        let what = tls_failure(&mut pinning("localhost", &server, None));
        assert!(what.contains("CA:TRUE") && what.contains("ta config set ca_file FILE"), "{what}");
        assert!(server.received().is_empty());
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_with_its_cure() {
    let cases: [(&str, SelfSigned, &str); 4] = [
        (
            "expired",
            SelfSigned::with(&["localhost"], |params| params.not_after = date_time_ymd(2001, 1, 1)),
            "has expired (or the clock here is wrong)",
        ),
        (
            "from the future",
            SelfSigned::with(&["localhost"], |params| {
                params.not_before = date_time_ymd(4000, 1, 1)
            }),
            "is not valid yet (or the clock here is wrong)",
        ),
        (
            "nameless",
            SelfSigned::new(&[]),
            "it names no host (its subject does not count); make it with `-addext \
             subjectAltName=DNS:localhost`",
        ),
        (
            "nobody's authority, with other purposes",
            SelfSigned::with(&["localhost"], |params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "is not made for a server (extendedKeyUsage)",
        ),
    ];
    for (name, own, said) in cases {
        let server =
            serve_as(own.certificate.der(), &own.key, rustls::DEFAULT_VERSIONS, task_server);
        let what = tls_failure(&mut pinning("localhost", &server, Some(own.file())));
        assert!(what.contains(said), "{name}: {what}");
        assert!(server.received().is_empty(), "{name}");
    }
}

/// As where a server has a new certificate, and the old one is trusted.
#[test]
fn a_new_certificate_of_the_same_name_is_told() {
    let ordinary = || SelfSigned::with(&["localhost"], |params| params.is_ca = IsCa::ExplicitNoCa);
    let (old, new) = (ordinary(), ordinary());
    let server = serve_as(new.certificate.der(), &new.key, rustls::DEFAULT_VERSIONS, task_server);
    let what = tls_failure(&mut pinning("localhost", &server, Some(old.file())));
    assert!(what.contains("is not signed by the one of its authority's name in ca_file"), "{what}");
    assert!(what.contains("bring that from there; otherwise somebody else answers"), "{what}");
    let mut remote = pinning("localhost", &server, Some(new.file()));
    assert_eq!(answered(get_child(&mut remote, version(1))), Response::Child(Child::UpToDate));
}

#[test]
fn an_authority_below_ours_is_no_server_and_one_made_anew_is_another() {
    let authority = Authority::new();
    let everybody = IsCa::Ca(BasicConstraints::Unconstrained);
    let server = authority.serve_as(everybody, &["localhost"], task_server);
    let what = tls_failure(&mut remote("localhost", &server, Some(&authority)));
    assert!(what.contains("CA:TRUE") && what.contains("another than those in ca_file"), "{what}");
    // Of the same name, by another key.
    let server = authority.serve(&["localhost"], task_server);
    let what = tls_failure(&mut remote("localhost", &server, Some(&authority.made_anew())));
    assert!(what.contains("is not signed by the one of its authority's name"), "{what}");
    assert!(server.received().is_empty(), "nothing was said to it");
}

#[test]
fn a_server_without_tls_is_told() {
    // Whatever comes first, as most servers do.
    let server = Scripted::with_wrapper(
        |mut stream| {
            let mut first = [0];
            while stream.read(&mut first).is_err() {}
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            Box::new(stream)
        },
        |_| Reply::Hang,
    );
    for file in [None, Some(Authority::new().file())] {
        let what = tls_failure(&mut pinning("127.0.0.1", &server, file));
        let said = "127.0.0.1 does not speak TLS there; if it speaks plain HTTP, server_origin \
                    begins with http://";
        assert_eq!(what, said);
    }
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let server = authority.serve(&["localhost"], task_server);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("authorities.pem");
    let what = || {
        let mut settings = settings(&format!("https://localhost:{}/", server.port()));
        settings.ca_file = Some(path.clone());
        let what = tls_failure(&mut HttpRemote::new(settings));
        assert!(what.contains("authorities.pem"), "{what}");
        what
    };
    what();
    fs::write(&path, "not a certificate").unwrap();
    assert!(what().contains("no certificate"));
    fs::write(&path, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
    what();
    // For plain HTTP it is never looked at.
    let server = Scripted::new(task_server);
    let mut settings = settings(&server.url());
    settings.ca_file = Some(path.clone());
    answered(get_child(&mut HttpRemote::new(settings), version(1)));
}

#[test]
fn a_ca_file_is_a_file_of_a_size_that_such_files_have() {
    let authority = Authority::new();
    let server = authority.serve(&["localhost"], task_server);
    let folder = tempfile::tempdir().unwrap();
    let what = tls_failure(&mut pinning("localhost", &server, Some(folder.path().to_owned())));
    assert!(what.ends_with("it is not a file"), "{what}");
    let large = folder.path().join("large.pem");
    fs::File::create(&large).unwrap().set_len(16 * 1024 * 1024 + 1).unwrap();
    let what = tls_failure(&mut pinning("localhost", &server, Some(large)));
    assert!(what.ends_with("it is too large for a file of certificates"), "{what}");
}
