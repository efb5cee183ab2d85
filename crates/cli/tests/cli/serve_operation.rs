//! TLS, proxies, metrics and a disk that runs full, with the real program.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, ask, ask_as};
use crate::server::{CLIENT_KEY, SECRET};

/// Writes a new certificate of its own for `localhost`, and its key; the certificate as PEM.
fn certify(home: &TestHome) -> String {
    certify_as(home, IsCa::NoCa)
}

fn certify_as(home: &TestHome, is_ca: IsCa) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap().pem();
    // The key first: between the two the pair does not fit, and the old one goes on.
    std::fs::write(home.path("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(home.path("cert.pem"), &certificate).unwrap();
    certificate
}

const TLS: [&str; 4] = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];

#[test]
fn tls_is_spoken_and_a_new_certificate_is_shown_without_a_restart() {
    let home = TestHome::new();
    let replica = |port: &str, trusted: &str| {
        let replica = TestHome::new()
            .with("TA_SERVER_ORIGIN", format!("https://localhost:{port}"))
            .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
            .with("TA_ENCRYPTION_SECRET", SECRET)
            .with("TA_CA_FILE", "ca.pem");
        std::fs::write(replica.path("ca.pem"), trusted).unwrap();
        replica
    };
    let first = certify(&home);
    let words = [&["serve", "-l", "127.0.0.1:0"][..], &TLS].concat();
    let serving = Serving::of(home.command(&words));
    let port = serving.address.rsplit(':').next().unwrap().to_owned();
    let one = replica(&port, &first);
    one.add("milk");
    one.ta(&["sync"]).done();
    assert_eq!(ask(&serving.address, "GET", "/", b""), None, "nothing is told in clear");
    let clear = replica(&port, &first).with("TA_SERVER_ORIGIN", format!("http://localhost:{port}"));
    clear.add("bread");
    assert_says(&clear.ta(&["sync"]).failed(1), &["speaks TLS", "begins with https://"]);
    let health = [&["server", "health", "-l", &serving.address][..], &TLS].concat();
    home.ta(&health).done();
    let told = home.ta(&["server", "health", "-l", &serving.address]).failed(4);
    assert_says(&told, &["perhaps it speaks TLS", "--tls-cert and --tls-key"]);
    let second = certify(&home);
    let two = replica(&port, &second);
    assert!((0..200).any(|_| two.ta(&["sync"]).code == Some(0)), "the new one is shown");
    assert_eq!(one.state(), two.state());
    home.ta(&health).done();
    std::fs::write(home.path("cert.pem"), "no certificate").unwrap();
    for _ in 0..20 {
        two.ta(&["sync"]).done();
    }
    home.ta(&[&["server", "check-config"][..], &TLS].concat()).failed(3);
}

/// The openssl command of the server's page.
#[test]
fn a_certificate_made_as_the_page_says_is_trusted_and_of_openssls_own_is_warned() {
    let page = include_str!("../../../../docs/reference/server.md");
    let (_, recipe) = page.split_once("openssl req").unwrap();
    let (recipe, _) = recipe.split_once("ta serve").unwrap();
    let recipe = format!("openssl req{recipe}").replace("tasks.home", "localhost");
    let home = TestHome::new();
    let make = |recipe: &str| {
        let mut shell = std::process::Command::new("sh");
        let ran = shell.args(["-ec", recipe]).current_dir(home.path(".")).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    let check = [&["server", "check-config"][..], &TLS].concat();
    make(&recipe.replace("-addext basicConstraints=critical,CA:FALSE", ""));
    assert_says(
        &home.ta(&check).done(),
        &["warning: the certificate is an authority's", "CA:FALSE"],
    );
    let words = [&["serve", "-l", "127.0.0.1:0"][..], &TLS].concat();
    let serving = Serving::of(home.command(&words));
    let port = serving.address.rsplit(':').next().unwrap().to_owned();
    let replica = TestHome::new()
        .with("TA_SERVER_ORIGIN", format!("https://localhost:{port}"))
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET)
        .with("TA_CA_FILE", home.path("cert.pem"));
    replica.add("milk");
    replica.ta(&["sync"]).done();
    make(&recipe);
    assert!(!home.ta(&check).done().contains("warning"));
    serving.signal("-HUP");
    assert!((0..200).any(|_| replica.ta(&["sync"]).code == Some(0)), "the new one is trusted");
}

/// As `docs/reference/server.md` tells it, with a certificate as `openssl req -x509` makes it: its own
/// authority.
#[test]
fn a_servers_own_certificate_is_trusted_by_its_file_and_another_one_is_told() {
    let home = TestHome::new();
    let own = || certify_as(&home, IsCa::Ca(BasicConstraints::Unconstrained));
    let first = own();
    let serving = Serving::of(
        home.command(&[&["serve", "-l", "127.0.0.1:0", "--log", "info"][..], &TLS].concat()),
    );
    let port = serving.address.rsplit(':').next().unwrap();
    let replica = TestHome::new()
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET);
    let file = replica.path("cert.pem");
    replica.ta(&["config", "set", "server_origin", &format!("https://localhost:{port}")]).done();
    replica.add("milk");
    let said = replica.ta(&["sync"]).failed(4);
    assert_says(&said, &["is an authority's own (CA:TRUE)", "ta config set ca_file FILE"]);
    std::fs::write(&file, &first).unwrap();
    replica.ta(&["config", "set", "ca_file", &file.display().to_string()]).done();
    replica.ta(&["sync"]).done();
    replica.ta(&["doctor"]).done();
    let origin = format!("https://127.0.0.1:{port}");
    replica.add("bread");
    let mut elsewhere = replica.command(&["sync"]);
    let said = elsewhere.env("TA_SERVER_ORIGIN", origin).output().unwrap();
    assert_eq!(said.status.code(), Some(4));
    let said = String::from_utf8(said.stderr).unwrap();
    assert_says(&said, &["is not for 127.0.0.1, but for localhost", "safely here"]);
    let second = own();
    serving.signal("-HUP");
    let refused = (0..200).any(|_| replica.ta(&["sync"]).code == Some(4));
    assert!(refused, "the new one is shown, and nobody has said yes to it");
    let said = replica.ta(&["sync"]).failed(4);
    assert_says(&said, &["another than those in ca_file", "cert.pem", "bring that from its disk"]);
    std::fs::write(&file, first + &second).unwrap();
    replica.ta(&["sync"]).done();
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let home = TestHome::new();
    certify(&home);
    std::fs::rename(home.path("key.pem"), home.path("old.pem")).unwrap();
    certify(&home);
    let words = ["--tls-cert", "cert.pem", "--tls-key", "old.pem"];
    for verb in [&["serve", "-l", "127.0.0.1:0"][..], &["server", "check-config"]] {
        let said = home.ta(&[verb, &words].concat()).failed(3);
        assert_says(
            &said,
            &["the key in ", "old.pem does not belong to the certificate in ", "cert.pem"],
        );
    }
}

#[test]
fn tls_at_a_server_in_clear_is_told() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let replica = TestHome::new()
        .with("TA_SERVER_ORIGIN", format!("https://{}", serving.address))
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET);
    replica.add("milk");
    let said = replica.ta(&["sync"]).failed(4);
    assert_says(&said, &["does not speak TLS there", "server_origin begins with http://"]);
}

/// Programs that renew certificates say so with this signal, and it ends most others.
#[test]
fn a_hang_up_has_the_certificate_read_and_ends_nothing() {
    let home = TestHome::new();
    certify(&home);
    let words = [&["serve", "-l", "127.0.0.1:0", "--log", "info"][..], &TLS].concat();
    let serving = Serving::of(home.command(&words));
    let health = [&["server", "health", "-l", &serving.address][..], &TLS].concat();
    certify(&home);
    serving.signal("-HUP");
    // The probe trusts the new certificate alone.
    assert!((0..200).any(|_| home.ta(&health).code == Some(0)));
    serving.signal("-TERM");
    let (code, log) = serving.ended();
    assert_eq!(code, Some(0));
    assert_says(&log, &["told to read its certificate again", "was read again"]);
    let plain = Serving::start(&home, &[]);
    plain.signal("-HUP");
    assert_eq!(ask(&plain.address, "GET", "/", b"").unwrap().0, 200);
}

#[test]
fn behind_a_path_everything_is_behind_it() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &["--path-prefix", "/tasks/"]);
    let (address, prefix) = serving.address.split_once('/').unwrap();
    assert_eq!(prefix, "tasks");
    for path in ["/tasks", "/tasks/", "/tasks/healthz", "/healthz", "/tasks/metrics"] {
        assert_eq!(ask(address, "GET", path, b"").unwrap().0, 200, "{path}");
    }
    for path in ["/", "/tasksx", "/v1/client/snapshot"] {
        assert_eq!(ask(address, "GET", path, b"").unwrap().0, 404, "{path}");
    }
    let replica = TestHome::new()
        .with("TA_SERVER_ORIGIN", format!("http://{}", serving.address))
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET);
    replica.add("milk");
    replica.ta(&["sync"]).done();
    let (_, _, metrics) = ask(address, "GET", "/metrics", b"").unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    let line = "route=\"/v1/client/add-version/{parent}\",status=\"200\"} 1";
    assert_says(&metrics, &[line]);
}

#[test]
fn metrics_name_templates_only_and_may_have_a_listener_of_their_own() {
    let home = TestHome::new();
    let mut serving = Serving::start(&home, &["--metrics-listen", "127.0.0.1:0"]);
    let line = serving.line();
    let metrics =
        line.strip_prefix("metrics at http://").unwrap().strip_suffix("/metrics").unwrap();
    let post = format!("/v1/client/add-version/{NIL}");
    assert_eq!(ask(&serving.address, "POST", &post, b"sealed").unwrap().0, 200);
    assert_eq!(ask(&serving.address, "GET", "/a/secret/path", b"").unwrap().0, 404);
    assert_eq!(ask(&serving.address, "GET", "/metrics", b"").unwrap().0, 404, "not here");
    let (status, headers, text) = ask(metrics, "GET", "/metrics", b"").unwrap();
    assert_eq!(status, 200);
    assert!(headers["content-type"].starts_with("application/openmetrics-text"));
    let text = String::from_utf8(text).unwrap();
    assert_says(
        &text,
        &[
            "tandem_requests_total{method=\"POST\",route=\"/v1/client/add-version/{parent}\",status=\"200\"} 1",
            "route=\"other\",status=\"404\"} 2",
            "tandem_ready 1",
            "tandem_disk_free_bytes",
            "# EOF",
        ],
    );
    for secret in [CLIENT_KEY, NIL, "secret"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(ask(metrics, "GET", "/readyz", b"").unwrap().0, 200);
    assert_eq!(
        ask(metrics, "GET", &format!("/v1/client/get-child-version/{NIL}"), b"").unwrap().0,
        404
    );
}

#[test]
fn metrics_beside_the_calls_are_for_this_machine_alone() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &["--trusted-proxy", "127.0.0.1"]);
    let from = |address: &str| {
        ask_as(&serving.address, "GET", "/metrics", &[("X-Forwarded-For", address)], b"").unwrap().0
    };
    assert_eq!(ask(&serving.address, "GET", "/metrics", b"").unwrap().0, 200);
    assert_eq!((from("192.0.2.1"), from("127.0.0.1, 192.0.2.1")), (404, 404));
    let serving = Serving::start(&home, &[]);
    let headers = [("X-Forwarded-For", "192.0.2.1")];
    let through = ask_as(&serving.address, "GET", "/metrics", &headers, b"").unwrap().0;
    assert_eq!(through, 404, "a proxy that nobody named may hide anybody");
}

#[test]
fn with_little_room_on_the_disk_writes_are_turned_away_and_reading_goes_on() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &[]);
    let post = format!("/v1/client/add-version/{NIL}");
    assert_eq!(ask(&serving.address, "POST", &post, b"sealed").unwrap().0, 200);
    drop(serving);
    // More than any disk has.
    let serving = Serving::start(&home, &["--disk-room-mb-min", "1000000000000"]);
    let (status, headers, body) = ask(&serving.address, "POST", &post, &[7; 100_000]).unwrap();
    assert_eq!(status, 503);
    assert!(headers.contains_key("retry-after"));
    assert_says(&String::from_utf8(body).unwrap(), &["disk_low", "Nothing was changed"]);
    assert_eq!(crate::serve::chain(&serving.address).len(), 1);
    let (status, _, body) = ask(&serving.address, "GET", "/readyz", b"").unwrap();
    assert_eq!(status, 503);
    assert_says(&String::from_utf8(body).unwrap(), &["disk_low"]);
    let told = home.ta(&["server", "health", "-l", &serving.address]).failed(1);
    assert_says(&told, &["not ready", "disk is nearly full"]);
}
