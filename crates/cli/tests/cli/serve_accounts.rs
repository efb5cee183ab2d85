//! Accounts through the real program: made, used by real replicas, shut out.

use serde_json::Value;
use tandem_seal::{BoundId, Key, Salt, Secret};

use crate::home::{TestHome, assert_says};
use crate::serve::{NIL, Serving, ask, ask_as};

const PASSWORD: &[u8] = b"correct horse\n";

/// What is said where the server's own address is without TLS.
const PROXY: &str = "the proxy's https:// address belongs there";

fn add_user(home: &TestHome, name: &str) -> Value {
    let ran = home.ta_with_input(&["server", "user", "add", name, "--json"], PASSWORD);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

/// Asks with these credentials whose they are.
fn whose(address: &str, credentials: &str) -> (u16, Value) {
    let headers = [("Authorization", credentials)];
    let (status, _, body) = ask_as(address, "GET", "/v1/tandem/account", &headers, b"").unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn the_lines_that_are_printed_bring_two_replicas_in_step() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &["--access", "accounts"]);
    let url = format!("http://{}", serving.address);
    let words = ["server", "user", "add", "ann", "--public-url", &url];
    let ran = home.ta_with_input(&words, PASSWORD);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_says(
        &ran.out,
        &["  sync.server.client_id=", "  sync.encryption_secret=", "openssl rand -hex 35"],
    );
    let client = ran.out.lines().find_map(|line| line.strip_prefix("  client id    ")).unwrap();
    let replica = || {
        let replica = TestHome::new();
        let lines = ran.out.lines().filter_map(|line| line.strip_prefix("  ta "));
        for line in lines.clone() {
            let words: Vec<&str> = line.split(' ').collect();
            // Neither stands in the history of a shell.
            let input = match words[2] {
                "server_client_key" => client,
                _ => "a secret that only replicas know",
            };
            let set = replica.ta_with_input(&words, input.as_bytes());
            assert_eq!(set.code, Some(0), "{set:?}");
        }
        assert_eq!(lines.count(), 3);
        replica
    };
    let (one, two) = (replica(), replica());
    one.add("milk");
    one.ta(&["sync"]).done();
    two.ta(&["sync"]).done();
    assert_eq!(one.state(), two.state());
    let told = home.ta(&["server", "user", "list"]).done();
    assert_says(&told, &["ann"]);
    home.ta(&["server", "user", "disable", "ann"]).done();
    // A client that was served a moment ago may be for a second more.
    let is_refused = || two.ta(&["sync"]).code == Some(5);
    assert!((0..200).any(|_| is_refused()), "it is shut out");
    home.ta(&["server", "user", "enable", "ann"]).done();
    two.ta(&["sync"]).done();
}

#[test]
fn it_is_told_where_an_account_was_made_and_what_is_not_known_of_the_server() {
    let home = TestHome::new();
    let everywhere = ["server", "user", "add", "ann", "-l", "0.0.0.0:8080", "--path-prefix=/t"];
    let ran = home.ta_with_input(&everywhere, PASSWORD);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_says(&ran.out, &["tandem-server.sqlite3", "server_origin http://YOUR-SERVER:8080/t\n"]);
    assert_says(
        &ran.err,
        &["was made now", "Put what clients use in the place of YOUR-SERVER:", PROXY],
    );
    let ran = home.ta_with_input(&["server", "user", "add", "bob", "-l", "127.0.0.1:81"], PASSWORD);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_says(&ran.out, &["server_origin http://127.0.0.1:81\n"]);
    assert_says(&ran.err, &["http://127.0.0.1:81 is without TLS", PROXY]);
    assert!(!ran.err.contains("in the place of"), "it is known: {}", ran.err);
    let made = add_user(&home, "eve");
    assert!(made["server"].is_null(), "the address that nobody set is none: {made}");
    assert_eq!(made["database_made"], false);
    assert!(made["database"].as_str().unwrap().ends_with("tandem-server.sqlite3"));
}

#[test]
fn the_built_in_address_is_not_told_as_that_of_the_server() {
    let home = TestHome::new();
    let add = ["server", "user", "add", "ann", "--path-prefix=/t"];
    let client = ["server", "user", "client", "ann", "--path-prefix=/t"];
    for words in [&add, &client] {
        let ran = home.ta_with_input(words, PASSWORD);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_says(
            &ran.out,
            &[
                "server_origin http://YOUR-SERVER:8080/t\n",
                "sync.server.url=http://YOUR-SERVER:8080/t\n",
            ],
        );
        assert_says(&ran.err, &["Put what clients use in the place of YOUR-SERVER:", PROXY]);
    }
    // Wherever it was set, it is what somebody meant.
    let with = home.with("TA_SERVE_LISTEN", "127.0.0.1:8080");
    let ran = with.ta_with_input(&client, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_says(&ran.out, &["server_origin http://127.0.0.1:8080/t\n"]);
    let public = with.with("TA_SERVE_PUBLIC_URL", "https://tasks.example.com/t");
    let ran = public.ta_with_input(&client, b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_says(&ran.out, &["server_origin https://tasks.example.com/t\n"]);
}

#[test]
fn a_port_that_the_system_chooses_is_not_told_and_tls_is() {
    let home = TestHome::new();
    add_user(&home, "ann");
    let client = ["server", "user", "client", "ann"];
    // Nothing reads them here: `ta serve` does.
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    for (listen, flags, origin, gap) in [
        ("127.0.0.1:0", &[][..], "http://127.0.0.1:PORT\n", Some("PORT:")),
        ("localhost:0", &tls, "https://localhost:PORT\n", Some("PORT:")),
        ("[::]:0", &tls, "https://YOUR-SERVER:PORT\n", Some("YOUR-SERVER and PORT:")),
        ("[::1]:8443", &tls, "https://[::1]:8443\n", None),
    ] {
        let words = [&client[..], &["-l", listen], flags].concat();
        let ran = home.ta(&words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_says(&ran.out, &[&format!("server_origin {origin}"), &format!("url={origin}")]);
        match gap {
            Some(gap) => assert_says(&ran.err, &[&format!("in the place of {gap}")]),
            None => assert_eq!(ran.err, ""),
        }
        assert_eq!(ran.err.contains(PROXY), flags.is_empty(), "{}", ran.err);
        let json = home.ta(&[&words[..], &["--json"]].concat()).json();
        assert_eq!(json["server"].is_null(), gap.is_some(), "{json}");
    }
}

#[test]
fn a_rotation_tells_the_new_client_id_alone_and_what_a_list_of_them_needs() {
    let home = TestHome::new();
    let client = add_user(&home, "ann")["client_id"].as_str().unwrap().to_owned();
    let list = home.ta(&["server", "user", "list", "--json"]).json();
    let old = list[0]["clients"][0].as_str().unwrap().to_owned();
    let ran = home.ta(&["server", "client", "rotate", &old, "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_says(&ran.out, &["Only the client id is new", "  sync.server.client_id="]);
    for other in ["server_origin", "sync.server.url", "encryption_secret", "openssl"] {
        assert!(!ran.out.contains(other), "{other} does not change: {}", ran.out);
    }
    assert_says(&ran.err, &["No allow_client_id is set here", "put the new client id there"]);
    // Nobody has synced yet.
    assert_says(&ran.out, &["Nothing was stored under the old one", "takes this one"]);
    for untrue in ["what is stored is sealed", "client delete", "in step first"] {
        assert!(!ran.out.contains(untrue), "{untrue}: {}", ran.out);
    }
    let list = home.ta(&["server", "user", "list", "--json"]).json();
    let new = list[0]["clients"][0].as_str().unwrap().to_owned();
    let listed = home.with("TA_SERVE_ALLOW_CLIENT_ID", &client);
    let ran = listed.ta(&["server", "client", "rotate", &new, "--yes", "--json"]);
    assert_says(&ran.err, &["in the place of the old one", "Until then they refuse it"]);
    assert!(ran.json()["server"].is_null());
    let ran = listed.ta_with_input(&["server", "user", "client", "ann"], b"");
    assert_says(&ran.err, &["put the new client id there, too"]);
    let ran = listed.ta(&["server", "user", "client", "ann", "--json"]);
    assert_says(&ran.err, &["put the new client id there, too"]);
    ran.json();
}

/// What can never be shown again is no chatter.
#[test]
fn what_is_shown_only_once_is_shown_when_quiet_too() {
    let home = TestHome::new();
    let ran = home.ta_with_input(&["server", "user", "add", "ann", "--quiet"], PASSWORD);
    let names: Vec<&str> =
        ran.out.lines().filter_map(|line| line.trim().split("  ").next()).collect();
    assert_eq!(names, ["client id", "read token", "write token"], "{ran:?}");
    let client = |ran: &str| ran.split_whitespace().last().unwrap().to_owned();
    let another = home.ta(&["server", "user", "client", "ann", "--quiet"]).out;
    assert_eq!(another.lines().count(), 1, "{another}");
    let listed = home.ta(&["server", "user", "list", "--json"]).json();
    let tag = listed[0]["clients"][0].as_str().unwrap().to_owned();
    let rotated = home.ta(&["server", "client", "rotate", &tag, "--yes", "--quiet"]).out;
    assert_eq!(rotated.lines().count(), 1, "{rotated}");
    for shown in [another, rotated] {
        client(&shown).parse::<tandem_core::ClientId>().unwrap();
    }
}

#[test]
fn a_client_id_without_an_account_gets_the_protocols_403() {
    let home = TestHome::new();
    let serving = Serving::start(&home, &["--access", "accounts"]);
    let get = format!("/v1/client/get-child-version/{NIL}");
    let (status, _, body) = ask(&serving.address, "GET", &get, b"").unwrap();
    assert_eq!((status, body.len()), (403, 0));
    let post = format!("/v1/client/add-version/{NIL}");
    assert_eq!(ask(&serving.address, "POST", &post, b"sealed").unwrap().0, 403);
    let client = add_user(&home, "bob")["client_id"].as_str().unwrap().to_owned();
    let headers = [("X-Client-Id", client.as_str())];
    assert_eq!(ask_as(&serving.address, "POST", &post, &headers, b"sealed").unwrap().0, 200);
    assert_eq!(ask_as(&serving.address, "GET", &get, &headers, b"").unwrap().0, 200);
    assert_eq!(ask(&serving.address, "GET", &get, b"").unwrap().0, 403, "as before");
}

#[test]
fn passwords_and_tokens_tell_whose_they_are_and_are_nowhere_in_clear() {
    let home = TestHome::new();
    let made = add_user(&home, "ann");
    let serving = Serving::start(&home, &[]);
    let token = |scope: &str| made[format!("{scope}_token")].as_str().unwrap().to_owned();
    for scope in ["read", "write"] {
        let (status, told) = whose(&serving.address, &format!("Bearer {}", token(scope)));
        assert_eq!((status, &told["account"], &told["scope"]), (200, &"ann".into(), &scope.into()));
        assert_eq!(token(scope).len(), 32);
    }
    // ann:correct horse
    let right = "Basic YW5uOmNvcnJlY3QgaG9yc2U=";
    assert_eq!(whose(&serving.address, right).0, 200);
    assert_eq!(whose(&serving.address, "Basic YW5uOndyb25n").0, 401);
    assert_eq!(whose(&serving.address, "Basic !").0, 401);
    let set = home.ta_with_input(&["server", "user", "passwd", "ann"], b"another one\n");
    assert_eq!(set.code, Some(0), "{set:?}");
    assert_eq!(whose(&serving.address, right).0, 401, "the old one is none any more");
    serving.signal("-TERM");
    let (_, log) = serving.ended();
    let mut stored =
        std::fs::read(home.path(".local/share/tandem-server/tandem-server.sqlite3")).unwrap();
    stored.extend(log.as_bytes());
    for secret in ["correct horse", "another one", &token("read"), &token("write")] {
        let is_there = stored.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!is_there, "a secret is stored or logged as it is");
    }
}

#[test]
fn who_tries_many_credentials_is_not_listened_to() {
    let home = TestHome::new();
    let made = add_user(&home, "ann");
    let serving = Serving::start(&home, &["--access", "accounts", "--trusted-proxy", "127.0.0.1"]);
    let guess = |number: u32, from: &str| {
        let credentials = format!("Bearer {number:032x}");
        let headers = [("Authorization", credentials.as_str()), ("X-Forwarded-For", from)];
        ask_as(&serving.address, "GET", "/v1/tandem/account", &headers, b"").unwrap().0
    };
    for number in 0..20 {
        assert_eq!(guess(number, "192.0.2.1"), 401);
    }
    assert_eq!(guess(20, "192.0.2.1"), 429);
    assert_eq!(guess(20, "192.0.2.2"), 401, "another address is another visitor");
    assert_eq!(guess(20, "192.0.2.2, 192.0.2.1"), 429, "what the proxy saw counts");
    let token = format!("Bearer {}", made["read_token"].as_str().unwrap());
    assert_eq!(whose(&serving.address, &token).0, 200);
}

#[test]
fn a_bad_name_or_password_makes_no_account() {
    let home = TestHome::new();
    add_user(&home, "ann");
    let add =
        |name: &str, input: &[u8]| home.ta_with_input(&["server", "user", "add", name], input);
    assert_says(&add("ann", PASSWORD).failed(1), &["there is an account ann already"]);
    assert_says(&add("a b", PASSWORD).failed(2), &["letters, digits"]);
    assert_says(&add("bob", b"short\n").failed(2), &["at least 8 characters"]);
    let unknown = home.ta_with_input(&["server", "user", "passwd", "bob"], PASSWORD);
    assert_says(&unknown.failed(1), &["no account bob"]);
    let all = home.ta(&["server", "user", "list", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 1);
}

/// A replica of the list with this client id at the server.
fn replica_of(serving: &Serving, client: &str) -> TestHome {
    TestHome::new()
        .with("TA_SERVER_ORIGIN", format!("http://{}", serving.address))
        .with("TA_SERVER_CLIENT_KEY", client)
        .with("TA_ENCRYPTION_SECRET", "a secret that only replicas know")
}

#[test]
fn a_new_client_id_takes_the_place_of_one_and_replicas_bring_the_list_along() {
    let home = TestHome::new();
    let client = add_user(&home, "ann")["client_id"].as_str().unwrap().to_owned();
    let flags = ["--access", "accounts", "--no-create-clients"];
    let first = Serving::start(&home, &["--access", "accounts"]);
    let (one, two) = (replica_of(&first, &client), replica_of(&first, &client));
    one.add("milk");
    one.ta(&["sync"]).done();
    two.ta(&["sync"]).done();
    first.signal("-TERM");
    assert_eq!(first.ended().0, Some(0));
    let serving = Serving::start(&home, &flags);
    let list = || home.ta(&["server", "user", "list", "--json"]).json();
    let old = list()[0]["clients"][0].as_str().unwrap().to_owned();
    let rotate = ["server", "client", "rotate", &old];
    assert_says(&home.ta(&rotate).failed(1), &["nothing was changed", "--yes"]);
    let ran = home.ta(&[&rotate[..], &["--yes"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told = ran.out.as_str();
    assert_says(
        told,
        &["It begins empty", "ta config set server_client_key -", "ta server client delete"],
    );
    let new = told.lines().find_map(|line| line.trim().parse::<tandem_core::ClientId>().ok());
    let new = new.expect("it is shown").to_string();
    assert_says(told, &[&format!("  sync.server.client_id={new}\n")]);
    assert_ne!(list()[0]["clients"][0], old, "the account has the new one");
    let again = home.ta(&[&rotate[..], &["--yes"]].concat()).failed(1);
    assert_says(&again, &["shut out and belongs to nobody", "client enable"]);
    let given = home.ta(&["server", "client", "give", &old, "ann"]).done();
    assert_says(&given, &["belongs to ann now", "stays shut out"]);
    home.ta(&["server", "client", "take", &old]).done();
    let at = |home: TestHome, client: &str| {
        let origin = format!("http://{}", serving.address);
        home.with("TA_SERVER_ORIGIN", origin).with("TA_SERVER_CLIENT_KEY", client)
    };
    let one = at(one, &client);
    one.ta(&["sync"]).failed(5);
    let (one, two) = (at(one, &new), at(two, &new));
    one.add("bread");
    two.add("eggs");
    assert_says(&one.ta(&["sync"]).done(), &["The whole list was offered"]);
    assert_says(&two.ta(&["sync"]).failed(7), &["ta sync --join"]);
    two.ta(&["sync", "--join"]).done();
    one.ta(&["sync"]).done();
    assert_eq!(one.state(), two.state());
    assert_eq!(one.state().len(), 3);
    let third = replica_of(&serving, &new);
    third.ta(&["sync"]).done();
    assert_eq!(third.state(), one.state());
    home.ta(&["server", "verify"]).done();
    home.ta(&["server", "client", "delete", &old, "--yes"]).done();
    replica_of(&serving, &client).ta(&["sync"]).failed(5);
}

#[test]
fn the_first_replica_after_a_rotation_is_not_asked_whether_it_mistyped() {
    // Also where strangers are served: the new client id is an account's.
    for access in ["open", "accounts"] {
        let home = TestHome::new();
        let client = add_user(&home, "ann")["client_id"].as_str().unwrap().to_owned();
        let serving = Serving::start(&home, &["--access", access]);
        let one = replica_of(&serving, &client);
        one.add("milk");
        one.ta(&["sync"]).done();
        let list = home.ta(&["server", "client", "list", "--json"]).json();
        let old = list[0]["client"].as_str().unwrap();
        let made = home.ta(&["server", "client", "rotate", old, "--yes", "--json"]).json();
        let one = one.with("TA_SERVER_CLIENT_KEY", made["client_id"].as_str().unwrap());
        let doctor = one.ta(&["doctor"]);
        assert_eq!(doctor.code, Some(0), "{doctor:?}");
        assert_says(&doctor.out, &["warning  next sync", "ta sync offers the whole list"]);
        let status = one.ta(&["status", "--server", "--json"]).json();
        assert_eq!(status["server"]["state"], "empty");
        assert_says(&one.ta(&["sync"]).done(), &["The whole list was offered"]);
        assert_eq!(one.ta(&["sync"]).done(), "in step\n");
    }
}

#[test]
fn where_another_program_goes_on_under_the_new_client_id_ours_goes_on_with_it() {
    let home = TestHome::new();
    let client = add_user(&home, "ann")["client_id"].as_str().unwrap().to_owned();
    let serving = Serving::start(&home, &["--access", "accounts"]);
    let one = replica_of(&serving, &client);
    one.add("milk");
    one.ta(&["sync"]).done();
    let old = home.ta(&["server", "client", "list", "--json"]).json()[0].clone();
    let base = old["latest_version"].as_str().unwrap().to_owned();
    let rotate = ["server", "client", "rotate", old["client"].as_str().unwrap(), "--yes", "--json"];
    let new = home.ta(&rotate).json()["client_id"].as_str().unwrap().to_owned();
    // As Taskwarrior does, which asks nobody: the next version, after the one on which it stands.
    let segment = r#"{"operations":[{"Create":{"uuid":"7e4a1c3e-6a54-4c39-9d2f-1b6d0e9a0001"}}]}"#;
    let id: tandem_core::ClientId = new.parse().unwrap();
    let secret = Secret::new("a secret that only replicas know".to_owned()).unwrap();
    let key = Key::derive(&secret, &Salt::from_client_id(id.to_bytes()));
    let parent: tandem_core::VersionId = base.parse().unwrap();
    let bound = BoundId::history_segment(parent.to_bytes());
    let sealed = tandem_seal::seal(&key, bound, [9; 12], segment.as_bytes()).into_bytes();
    let post = format!("/v1/client/add-version/{base}");
    let headers = [("X-Client-Id", new.as_str())];
    let (status, told, _) = ask_as(&serving.address, "POST", &post, &headers, &sealed).unwrap();
    assert_eq!((status, told["x-snapshot-request"].as_str()), (200, "urgency=high"));
    let one = one.with("TA_SERVER_CLIENT_KEY", &new);
    assert_says(&one.ta(&["sync"]).done(), &["down 1 change in 1 task"]);
    assert_eq!(one.state().len(), 2);
    // What the next one sends brings the snapshot, and with it a way in for new replicas.
    one.add("bread");
    one.ta(&["sync"]).done();
    let other = replica_of(&serving, &new);
    other.ta(&["sync"]).done();
    assert_eq!(other.state(), one.state());
}

#[test]
fn client_ids_are_given_taken_and_shut_out_before_they_ever_came() {
    let home = TestHome::new();
    add_user(&home, "ann");
    let serving = Serving::start(&home, &["--access", "accounts"]);
    let unseen = "5d0c0a4e-8c0b-4c2b-9b4f-3f6d3f3f7a11";
    let get = format!("/v1/client/get-child-version/{NIL}");
    let status = || {
        let headers = [("X-Client-Id", unseen)];
        ask_as(&serving.address, "GET", &get, &headers, b"").unwrap().0
    };
    assert_eq!(status(), 403);
    let id = format!("{unseen}\n").into_bytes();
    let client = |words: &[&str]| home.ta_with_input(&[&["server", "client"], words].concat(), &id);
    assert_says(&client(&["give", "-", "bob"]).failed(1), &["no account bob"]);
    assert_says(&client(&["give", "-", "ann"]).done(), &["belongs to ann now"]);
    assert_eq!(status(), 404, "it is served, and has nothing yet");
    assert_says(&client(&["take", "-"]).done(), &["belongs to ann no more"]);
    assert!((0..1_000_000).any(|_| status() == 403), "it is nobody's");
    client(&["take", "-"]).failed(1);
    client(&["give", "-", "ann"]).done();
    assert_says(&client(&["disable", "-"]).done(), &["is shut out"]);
    assert!((0..1_000_000).any(|_| status() == 403), "it is shut out");
    client(&["enable", "-"]).done();
    assert_eq!(status(), 404);
    let another = b"5d0c0a4e-8c0b-4c2b-9b4f-3f6d3f3f7a12\n";
    let told = home.ta_with_input(&["server", "client", "disable", "-"], another);
    assert_says(&told.done(), &["It was never here"]);
    let told = home.ta_with_input(&["server", "client", "enable", "-"], b"1234567\n");
    assert_says(&told.failed(1), &["no such client"]);
}
