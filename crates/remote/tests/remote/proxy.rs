//! Through a forwarding proxy: `CONNECT` for https, the absolute form for plain HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_remote::http::ProxySetting;
use tandem_remote::{HttpRemote, HttpSettings, Outcome};
use tandem_tasks::session::{Added, Child, Failure, ProxyTrouble, Response, TlsTrouble};

use crate::certificates::Authority;
use crate::scripted::{Received, Reply, Scripted, keep};
use crate::{add, answered, get_child, refused, settings, version};

/// A proxy that forwards to loopback, whatever host is asked for, and writes down what it was asked.
/// Its threads end with the connections they serve.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Proxy {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen) = (stream.unwrap(), Arc::clone(&inner));
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || forward(stream, &seen));
            }
        });
        Self { address, seen }
    }

    fn settings(&self, url: &str) -> HttpSettings {
        let mut settings = settings(url);
        settings.proxy = ProxySetting::Url(format!("http://{}", self.address));
        settings
    }

    fn seen(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().clone()
    }

    fn first_lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|head| head[0].clone()).collect()
    }
}

fn forward(stream: TcpStream, seen: &Mutex<Vec<Vec<String>>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        seen.lock().unwrap().push(head.clone());
        let words: Vec<&str> = head[0].split(' ').collect();
        if words[0] == "CONNECT" {
            let server = connect(words[1])?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
            return pipe(stream, server);
        }
        let (host, path) = words[1].strip_prefix("http://")?.split_once('/')?;
        let mut server = connect(host)?;
        let mut text = format!("{} /{path} HTTP/1.1\r\n", words[0]);
        for line in head[1..].iter().filter(|line| !line.to_lowercase().starts_with("proxy-")) {
            text += &format!("{line}\r\n");
        }
        server.write_all(text.as_bytes()).ok()?;
        server.write_all(b"\r\n").ok()?;
        let length = head
            .iter()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        std::io::copy(&mut reader.by_ref().take(length.unwrap_or(0)), &mut server).ok()?;
        // Our servers end each answer of theirs here, so the answer is what comes until then.
        std::io::copy(&mut server, &mut stream).ok()?;
    }
}

fn connect(host: &str) -> Option<TcpStream> {
    TcpStream::connect(("127.0.0.1", host.rsplit_once(':')?.1.parse::<u16>().ok()?)).ok()
}

fn pipe(client: TcpStream, server: TcpStream) -> Option<()> {
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    up.join().ok()
}

fn reply(request: &Received) -> Vec<u8> {
    match request.method.as_str() {
        "GET" => crate::scripted::response(404, &[], b"no such version"),
        _ => crate::scripted::response(200, &[("X-Version-Id", &version(2).to_string())], b""),
    }
}

#[test]
fn plain_http_goes_in_the_absolute_form() {
    let server = Scripted::new(|request| Reply::Close(reply(request)));
    let proxy = Proxy::new();
    // A name that only the proxy knows.
    let url = format!("http://tasks.invalid:{}/base/", server.port());
    let mut remote = HttpRemote::new(proxy.settings(&url));
    for _ in 0..2 {
        let outcome = answered(get_child(&mut remote, version(1)));
        assert_eq!(outcome, Response::Child(Child::UpToDate));
    }
    let outcome = answered(add(&mut remote, version(1), &vec![0; 300_000]));
    assert!(matches!(outcome, Response::Added(Added::Accepted { .. })));
    let get = format!("GET {url}v1/client/get-child-version/{} HTTP/1.1", version(1));
    let post = format!("POST {url}v1/client/add-version/{} HTTP/1.1", version(1));
    assert_eq!(proxy.first_lines(), [get.clone(), get, post]);
    let received = server.received();
    assert_eq!(received[0].path, format!("/base/v1/client/get-child-version/{}", version(1)));
    assert_eq!(
        received[0].header("host"),
        Some(format!("tasks.invalid:{}", server.port()).as_str())
    );
    assert_eq!(received[2].body.len(), 300_029);
    assert!(proxy.seen().iter().flatten().all(|line| !line.starts_with("Proxy-Authorization")));
}

#[test]
fn https_goes_through_a_tunnel_that_sees_nothing() {
    let authority = Authority::new();
    let server = authority.serve(&["tasks.invalid"], |request| Reply::Keep(reply(request)));
    let proxy = Proxy::new();
    let mut settings = proxy.settings(&format!("https://tasks.invalid:{}", server.port()));
    settings.ca_file = Some(authority.file());
    let mut remote = HttpRemote::new(settings);
    let outcome = answered(get_child(&mut remote, version(1)));
    assert_eq!(outcome, Response::Child(Child::UpToDate));
    answered(add(&mut remote, version(1), b"x"));
    let line = format!("CONNECT tasks.invalid:{} HTTP/1.1", server.port());
    assert_eq!(proxy.first_lines(), [line]);
    let seen = format!("{:?}", proxy.seen());
    assert!(!seen.to_lowercase().contains("x-client-id"), "{seen}");
}

#[test]
fn a_proxy_gets_its_password_and_the_server_does_not() {
    let server = Scripted::new(|request| Reply::Close(reply(request)));
    let proxy = Proxy::new();
    let mut settings = proxy.settings(&format!("http://tasks.invalid:{}", server.port()));
    settings.proxy = ProxySetting::Url(format!("http://me:pass%3Aword@{}", proxy.address));
    answered(get_child(&mut HttpRemote::new(settings), version(1)));
    let seen = proxy.seen();
    // "me:pass:word"
    assert!(
        seen[0].contains(&"Proxy-Authorization: Basic bWU6cGFzczp3b3Jk".to_owned()),
        "{seen:?}"
    );
    assert_eq!(server.received()[0].header("proxy-authorization"), None);
}

/// What is told of a question to `url` by this proxy.
fn told(url: &str, proxy: String) -> Failure {
    let mut settings = settings(url);
    settings.proxy = ProxySetting::Url(proxy);
    told_by(settings)
}

fn told_by(settings: HttpSettings) -> Failure {
    match get_child(&mut HttpRemote::new(settings), version(1)) {
        Outcome::Refused(failure) | Outcome::Unknown(failure) => failure,
        Outcome::Answer(answer) => panic!("{answer:?}"),
    }
}

/// For both kinds of server: whole requests go to the proxy, or one for a connection.
const URLS: [&str; 2] = ["http://tasks.invalid", "https://tasks.invalid"];

#[test]
fn a_proxy_that_refuses_is_named_with_what_it_wants() {
    let page = [("content-type", "text/html")];
    for (status, trouble, said) in [
        (407, ProxyTrouble::Password, "the proxy asks for a name and a password"),
        (403, ProxyTrouble::Refuses, "the proxy does not connect to the server"),
        (502, ProxyTrouble::NoServer, "the server cannot be reached by the proxy"),
        (500, ProxyTrouble::NoServer, "the server cannot be reached by the proxy"),
    ] {
        for url in URLS {
            let proxy = Scripted::always(keep(status, &page, b"<html>"));
            let failure = told(url, proxy.url());
            let Failure::Proxy { trouble: found, .. } = &failure else { panic!("{failure:?}") };
            assert_eq!(*found, trouble, "{url}");
            let named = format!("the proxy 127.0.0.1 answers with status {status}");
            assert_eq!(failure.to_string(), format!("{said}: {named}"), "{url}");
        }
    }
    // Nothing was sent by a proxy that does not connect.
    let proxy = Scripted::always(keep(407, &[], b"who are you?"));
    let mut settings = settings("https://tasks.invalid");
    settings.proxy = ProxySetting::Url(proxy.url());
    let failure = refused(add(&mut HttpRemote::new(settings), version(1), b"x"));
    assert!(matches!(failure, Failure::Proxy { .. }), "{failure}");
    // A password in an address that cannot be read is not shown.
    let failure = told("http://tasks.invalid", "http://me:secret@a b".to_owned());
    assert!(
        matches!(failure, Failure::Proxy { trouble: ProxyTrouble::Address, .. }),
        "{failure:?}"
    );
    assert!(!failure.to_string().contains("secret"), "{failure}");
}

#[test]
fn what_a_server_says_by_a_proxy_is_the_servers() {
    let proxy = Proxy::new();
    for (status, expected) in
        [(403, Failure::Forbidden), (500, Failure::ServerError { status: 500 })]
    {
        let server =
            Scripted::new(move |_| Reply::Close(crate::scripted::response(status, &[], b"")));
        let url = format!("http://tasks.invalid:{}", server.port());
        assert_eq!(told(&url, format!("http://{}", proxy.address)), expected);
    }
}

#[test]
fn a_proxy_that_is_none_that_breaks_off_or_says_nothing_is_told_of_as_itself() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let wait = Duration::from_secs(1);
    let not_http = || Scripted::always(Reply::Close(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    let hangs_up = || Scripted::always(Reply::Close(Vec::new()));
    for url in URLS {
        let failure = told(url, not_http().url());
        let is_none = matches!(failure, Failure::Proxy { trouble: ProxyTrouble::NotAProxy, .. });
        assert!(is_none, "{url}: {failure:?}");
        let text = failure.to_string();
        assert!(
            !text.contains("server_origin") && text.contains("at the proxy 127.0.0.1"),
            "{text}"
        );

        let failure = told(url, hangs_up().url());
        let is_gone = matches!(failure, Failure::Proxy { trouble: ProxyTrouble::Unreachable, .. });
        assert!(is_gone, "{url}: {failure:?}");
        assert!(failure.to_string().contains("the proxy 127.0.0.1 closed"), "{failure}");

        let mut settings = settings(url);
        settings.proxy = ProxySetting::Url(format!("http://{}", silent.local_addr().unwrap()));
        let is_connected = !url.starts_with("https");
        match is_connected {
            true => settings.read_timeout = wait,
            false => settings.connect_timeout = wait,
        }
        let failure = told_by(settings);
        let trouble = ProxyTrouble::TimedOut { is_connected };
        let is_late =
            matches!(&failure, Failure::Proxy { trouble: found, .. } if *found == trouble);
        assert!(is_late, "{url}: {failure:?}");
        let text = failure.to_string();
        assert!(text.contains("the proxy 127.0.0.1") && text.contains("tasks.invalid"), "{text}");
        assert!(!text.contains("the server did not answer"), "{text}");
    }
}

#[test]
fn what_a_proxy_of_socks_says_is_told_of_it() {
    // The answer to the greeting, then that to the wish for a connection.
    for (greeting, reply, trouble) in [
        (&[5, 0xff][..], &[][..], ProxyTrouble::Password),
        (&[5, 0], &[5, 2], ProxyTrouble::Refuses),
        (&[5, 0], &[5, 4], ProxyTrouble::NoServer),
        (&[5, 0], &[5, 5], ProxyTrouble::NoServer),
        (b"HTTP/1.1 400 no\r\n\r\n", &[], ProxyTrouble::NotAProxy),
        (&[], &[], ProxyTrouble::Unreachable),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (greeting, reply) = (greeting.to_vec(), reply.to_vec());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer_socks(&mut stream.unwrap(), &greeting, &reply);
            }
        });
        for url in URLS {
            let failure = told(url, format!("socks5h://{address}"));
            let is_told =
                matches!(&failure, Failure::Proxy { trouble: found, .. } if *found == trouble);
            assert!(is_told, "{url}, {trouble:?}: {failure:?}");
            assert!(failure.to_string().contains("the proxy 127.0.0.1"), "{failure}");
        }
    }
}

fn answer_socks(stream: &mut TcpStream, greeting: &[u8], reply: &[u8]) -> std::io::Result<()> {
    let mut asked = [0; 3];
    stream.read_exact(&mut asked)?;
    stream.write_all(greeting)?;
    if !reply.is_empty() {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let mut rest = vec![0; usize::from(head[4]) + 2];
        stream.read_exact(&mut rest)?;
        stream.write_all(reply)?;
    }
    // Until the other side goes, so that the answer is not lost to a reset.
    stream.shutdown(Shutdown::Write)?;
    std::io::copy(stream, &mut std::io::sink()).map(drop)
}

#[test]
fn what_is_wrong_with_the_way_to_a_proxy_is_told_of_the_proxy() {
    let authority = Authority::new();
    let tls = authority.serve(&["localhost"], |request| Reply::Keep(reply(request)));
    let told = |url: &str, proxy: String, ca_file| {
        let mut settings = settings(url);
        let uses_tls = url.starts_with("https") || proxy.starts_with("https");
        settings.proxy = ProxySetting::Url(proxy);
        settings.ca_file = ca_file;
        assert_eq!(settings.uses_tls(), uses_tls);
        told_by(settings)
    };
    for url in ["http://tasks.invalid", "https://tasks.invalid"] {
        let proxy = format!("https://localhost:{}", tls.port());
        let other = Authority::new();
        for ca_file in [None, Some(other.file())] {
            let failure = told(url, proxy.clone(), ca_file);
            let trouble = ProxyTrouble::Tls(TlsTrouble::Authority);
            let is_tls =
                matches!(&failure, Failure::Proxy { trouble: found, .. } if *found == trouble);
            assert!(is_tls, "{failure:?}");
            let said = "the certificate of the proxy localhost comes from an authority";
            assert!(failure.to_string().contains(said), "{failure}");
        }
        let failure = told(url, proxy.replace("localhost", "127.0.0.1"), Some(authority.file()));
        assert!(failure.to_string().contains("is not for the proxy 127.0.0.1"), "{failure}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let failure = told(url, closed, None);
        assert!(failure.to_string().contains("the proxy 127.0.0.1 refuses"), "{failure}");
    }
    assert!(tls.received().is_empty());
    // The server behind a proxy is told of as itself.
    let server = authority.serve(&["tasks.invalid"], |request| Reply::Keep(reply(request)));
    let proxy = format!("http://{}", Proxy::new().address);
    let failure = told(&format!("https://tasks.invalid:{}", server.port()), proxy, None);
    assert!(failure.to_string().contains("the certificate of tasks.invalid comes"), "{failure}");
}
