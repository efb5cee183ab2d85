//! TLS: whom we trust, and how it is said when we don't.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use rcgen::{BasicConstraints, IsCa};
use tandem_remote::HttpRemote;
use tandem_tasks::session::{Added, Child, Failure, Response};

use crate::certificates::Authority;
use crate::scripted::{Received, Reply, Scripted, keep};
use crate::{add, answered, get_child, refused, settings, version};

fn task_server(request: &Received) -> Reply {
    match request.method.as_str() {
        "GET" => keep(404, &[], b"no such version"),
        _ => keep(200, &[("X-Version-Id", &version(2).to_string())], b""),
    }
}

fn remote(host: &str, server: &Scripted, authority: Option<&Authority>) -> HttpRemote {
    let mut settings = settings(&format!("https://{host}:{}/", server.port()));
    settings.ca_file = authority.map(Authority::file);
    HttpRemote::new(settings)
}

#[track_caller]
fn tls_failure(remote: &mut HttpRemote) -> String {
    match refused(get_child(remote, version(1))) {
        Failure::Tls { what } => what,
        other => panic!("{other:?}"),
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

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_what_makes_a_better_one() {
    let authority = Authority::new();
    let everybody = IsCa::Ca(BasicConstraints::Unconstrained);
    let server = authority.serve_as(everybody, &["localhost"], task_server);
    let what = tls_failure(&mut remote("localhost", &server, Some(&authority)));
    assert!(what.contains("CA:TRUE") && what.contains("CA:FALSE"), "{what}");
    // Of the same name, by another key.
    let server = authority.serve(&["localhost"], task_server);
    let what = tls_failure(&mut remote("localhost", &server, Some(&authority.made_anew())));
    assert!(what.contains("made anew"), "{what}");
    assert!(server.received().is_empty(), "nothing was said to it");
}

#[test]
fn a_server_without_tls_is_told() {
    let server = Scripted::always(Reply::Close(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let authority = Authority::new();
    // A plain server waits for the end of a head that never comes, so ours must be the one to go.
    let mut settings = settings(&format!("https://127.0.0.1:{}/", server.port()));
    settings.ca_file = Some(authority.file());
    settings.connect_timeout = std::time::Duration::from_millis(300);
    let outcome = get_child(&mut HttpRemote::new(settings), version(1));
    assert!(!matches!(outcome, crate::Outcome::Answer(_)), "{outcome:?}");
}

#[test]
fn an_answer_in_clear_where_tls_was_spoken_names_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // What was said first is read: an answer into unread bytes would be lost with the line.
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let authority = Authority::new();
    let mut settings = settings(&format!("https://localhost:{port}/"));
    settings.ca_file = Some(authority.file());
    let what = tls_failure(&mut HttpRemote::new(settings));
    assert!(what.contains("does not speak TLS") && what.contains("http://"), "{what}");
    answering.join().unwrap();
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
