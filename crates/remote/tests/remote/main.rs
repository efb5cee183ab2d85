//! The remotes from outside: one suite for all of them, and HTTP against servers that do what no
//! good server does. Every server is on loopback, on a port of its own, and ends with its test.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where they cannot go on, the test ends")]

mod certificates;
mod conformance;
mod http_answers;
mod http_line;
mod http_tls;
mod in_a_row;
mod memory_faults;
mod proxy;
mod scripted;
mod task_server;

use std::sync::Arc;
use std::time::Duration;

use tandem_core::{Backoff, ClientId, VersionId};
use tandem_remote::http::{Origin, ProxySetting};
use tandem_remote::{Call, HttpRemote, HttpSettings, Outcome, Remote};
use tandem_seal::{BoundId, Key, LazyKey, Secret, seal};
use tandem_tasks::session::{Failure, Response};

const CLIENT: &str = "11111111-2222-4333-8444-555555555555";

fn client() -> ClientId {
    CLIENT.parse().unwrap()
}

fn version(number: u8) -> VersionId {
    VersionId::from_bytes([number; 16])
}

fn key() -> Key {
    Key::from_bytes(&[7; 32])
}

/// Settings that suit a test: a key that costs nothing, short waits, no proxy.
fn settings(url: &str) -> HttpSettings {
    let secret = Secret::new("correct-horse".to_owned()).unwrap();
    let mut settings = HttpSettings::new(Origin::parse(url).unwrap(), client(), secret);
    settings.key = Arc::new(LazyKey::from_key(key()));
    settings.connect_timeout = Duration::from_secs(5);
    settings.read_timeout = Duration::from_secs(5);
    settings.proxy = ProxySetting::Direct;
    let wait = Duration::from_millis(2);
    settings.backoff = Backoff { first: wait, max: wait, tries_max: 3 };
    settings
}

fn sealed(parent: VersionId, plain: &[u8]) -> Vec<u8> {
    seal(&key(), BoundId::history_segment(parent.to_bytes()), [3; 12], plain).into_bytes()
}

fn get_child(remote: &mut dyn Remote, parent: VersionId) -> Outcome {
    remote.call(Call::GetChildVersion { parent })
}

fn add(remote: &mut dyn Remote, parent: VersionId, segment: &[u8]) -> Outcome {
    remote.call(Call::AddVersion { parent, segment: segment.to_vec() })
}

#[track_caller]
fn answered(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Answer(response) => response,
        other => panic!("no answer: {other:?}"),
    }
}

#[track_caller]
fn unknown(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Unknown(failure) => failure,
        other => panic!("not unknown: {other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Refused(failure) => failure,
        other => panic!("not refused: {other:?}"),
    }
}

fn http(url: &str) -> HttpRemote {
    HttpRemote::new(settings(url))
}
