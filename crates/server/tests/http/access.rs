//! Wrong credentials: counted, and nobody else's trouble.

use std::collections::BTreeSet;

use base64ct::Encoding as _;
use tandem_server::access::Mode;
use tandem_server::server::system_now;
use tandem_server::store::admin::{Extent, NewAccount};
use tandem_server::{Access, Limits, Options};

use crate::running::Running;
use crate::{CLIENT, NIL, SEGMENT};

fn start(access: Access, trusted: &[&str]) -> Running {
    let trusted_proxies = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let queue_time_max = std::time::Duration::from_secs(60);
    let limits = Limits { guesses_max: 5, queue_time_max, ..Limits::default() };
    Running::start(Options { access, limits, trusted_proxies, ..Options::default() })
}

/// Asks as a client whose id ends so, through these proxies.
fn ask(server: &Running, number: u32, forwarded: &str) -> u16 {
    let client = format!("99999999-2222-4333-8444-{number:012}");
    ask_as(server, &client, forwarded)
}

fn ask_as(server: &Running, client: &str, forwarded: &str) -> u16 {
    let headers = [("X-Client-Id", client), ("X-Forwarded-For", forwarded)];
    let headers = &headers[..if forwarded.is_empty() { 1 } else { 2 }];
    server.line().ask("GET", &format!("/v1/client/get-child-version/{NIL}"), headers, None).status
}

fn only(client: &str) -> Access {
    let allowed = Some(BTreeSet::from([client.parse().unwrap()]));
    Access { allowed, ..Access::default() }
}

#[test]
fn where_no_clients_are_made_unknown_ones_are_wrong_credentials() {
    let access = Access { may_create: false, ..Access::default() };
    let server = start(access, &[]);
    let asked: Vec<u16> = (0..7).map(|number| ask(&server, number, "")).collect();
    assert_eq!(asked, [404, 404, 404, 404, 404, 429, 429]);
    // Where anybody's is made there are no wrong ones.
    let open = start(Access::default(), &[]);
    assert!((0..20).all(|number| ask(&open, number, "") == 404));
}

#[test]
fn a_client_that_was_served_is_served_on_whoever_guesses_beside_it() {
    let server = start(only(CLIENT), &["127.0.0.1"]);
    assert_eq!(ask_as(&server, CLIENT, "192.0.2.1"), 404);
    let asked: Vec<u16> = (0..6).map(|number| ask(&server, number, "192.0.2.1")).collect();
    assert_eq!(asked, [403, 403, 403, 403, 403, 429]);
    // Beyond the second for which it is remembered that it may.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ask_as(&server, CLIENT, "192.0.2.1"), 404);
    assert_eq!(ask(&server, 1, "192.0.2.2"), 403, "another address");
}

#[test]
fn behind_a_proxy_that_nobody_declared_strangers_shut_nobody_out() {
    let server = start(only(CLIENT), &[]);
    assert!((0..20).all(|number| ask(&server, number, "192.0.2.1") == 403));
    assert_eq!(ask_as(&server, CLIENT, "192.0.2.2"), 404);
    let declared = start(only(CLIENT), &["127.0.0.0/8"]);
    let asked: Vec<u16> = (0..6).map(|number| ask(&declared, number, "192.0.2.1:77")).collect();
    assert_eq!(asked.last(), Some(&429));
    assert_eq!(ask_as(&declared, CLIENT, "192.0.2.2:77"), 404);
}

/// Looking at a password takes a while, in which many more can be asked for.
#[test]
fn passwords_that_are_asked_at_once_are_counted_like_others() {
    let server = start(Access::default(), &["127.0.0.1"]);
    let guess = |number: u32, from: &str| {
        let words = base64ct::Base64::encode_string(format!("ann:wrong {number}").as_bytes());
        let credentials = format!("Basic {words}");
        let headers = [("Authorization", credentials.as_str()), ("X-Forwarded-For", from)];
        server.line().ask("GET", "/v1/tandem/account", &headers, None).status
    };
    let asked: Vec<u16> = std::thread::scope(|scope| {
        let guess = &guess;
        let all: Vec<_> = (0..12).map(|one| scope.spawn(move || guess(one, "192.0.2.1"))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |status| asked.iter().filter(|it| **it == status).count();
    assert_eq!((count(401), count(429)), (5, 7), "{asked:?}");
    assert_eq!(guess(1, "192.0.2.2"), 401, "another address is another visitor");
}

#[test]
fn a_client_that_was_just_removed_is_not_made_anew_from_what_is_remembered() {
    let server = start(Access { mode: Mode::Accounts, ..Access::default() }, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let admin = server.store.admin().unwrap();
    let client = CLIENT.parse().unwrap();
    let new = NewAccount {
        name: "ann".to_owned(),
        password: "hash".to_owned(),
        client,
        tokens: Vec::new(),
        at: system_now(),
    };
    assert_eq!(runtime.block_on(admin.add_account(new)), Ok(true));
    let add = || {
        let headers = [("X-Client-Id", CLIENT), ("Content-Type", SEGMENT)];
        let path = format!("/v1/client/add-version/{NIL}");
        server.line().ask("POST", &path, &headers, Some(b"sealed")).status
    };
    assert_eq!(add(), 200);
    let removed = runtime.block_on(admin.remove_history(client, Extent::Client));
    assert!(matches!(removed, Ok(Some(_))), "{removed:?}");
    assert_eq!(add(), 403, "it belongs to no account any more");
    assert_eq!(runtime.block_on(server.store.client(client)), Ok(None));
}
