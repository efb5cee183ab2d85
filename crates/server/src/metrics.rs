//! Counters for operators, in the text form that Prometheus reads.
//!
//! Labels are templates and words of ours: no path, id or address of anybody is in them, and their
//! number is bounded.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What was guessed wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    ClientId,
    Token,
    Password,
}

impl Guess {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::Token => "token",
            Self::Password => "password",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

/// What a path is called that is none of ours.
const OTHER: &str = "other";

/// All counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    received: Family<Route, Counter>,
    sent: Family<Route, Counter>,
    guesses: Family<What, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) versions_let_go: Counter,
    ready: Gauge,
    disk_free: Gauge,
}

/// From a tenth of a millisecond to 26 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 10))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tandem");
        let answered = Family::<Answered, Counter>::default();
        registry.register("requests", "Answers by route and status", answered.clone());
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (name, help) = ("request_duration", "From the head of a request to that of its answer");
        registry.register_with_unit(name, help, Unit::Seconds, seconds.clone());
        let received = Family::<Route, Counter>::default();
        let help = "Bytes of request bodies as they came";
        registry.register_with_unit("received", help, Unit::Bytes, received.clone());
        let sent = Family::<Route, Counter>::default();
        let help = "Bytes of answers of known length";
        registry.register_with_unit("sent", help, Unit::Bytes, sent.clone());
        let guesses = Family::<What, Counter>::default();
        registry.register("wrong_credentials", "Credentials that are none here", guesses.clone());
        let connections = Gauge::default();
        registry.register("connections", "Connections that are open", connections.clone());
        let versions_let_go = Counter::default();
        let help = "Old versions that were let go";
        registry.register("versions_let_go", help, versions_let_go.clone());
        let ready = Gauge::default();
        registry.register("ready", "1 if reads and writes are taken", ready.clone());
        let disk_free = Gauge::default();
        let help = "Room on the disk of the database";
        registry.register_with_unit("disk_free", help, Unit::Bytes, disk_free.clone());
        Self {
            registry,
            answered,
            seconds,
            received,
            sent,
            guesses,
            connections,
            versions_let_go,
            ready,
            disk_free,
        }
    }

    /// Counts an answer. `route` is the template of the path, if it is one that is answered.
    pub(crate) fn answer(
        &self,
        method: &str,
        route: Option<&'static str>,
        status: u16,
        elapsed: Duration,
        sizes: (Option<u64>, Option<u64>),
    ) {
        let route = route.unwrap_or(OTHER);
        let method = match method {
            "GET" => "GET",
            "POST" => "POST",
            _ => OTHER,
        };
        self.answered.get_or_create(&Answered { method, route, status }).inc();
        self.seconds.get_or_create(&Route { route }).observe(elapsed.as_secs_f64());
        for (family, size) in [(&self.received, sizes.0), (&self.sent, sizes.1)] {
            if let Some(bytes) = size.filter(|bytes| *bytes > 0) {
                family.get_or_create(&Route { route }).inc_by(bytes);
            }
        }
    }

    /// Counts a wrong credential.
    pub(crate) fn guess(&self, guess: Guess) {
        self.guesses.get_or_create(&What { what: guess.word() }).inc();
    }

    /// All of them as text.
    pub(crate) fn text(&self, is_ready: bool, disk_free_bytes: Option<u64>) -> String {
        self.ready.set(i64::from(is_ready));
        self.disk_free.set(disk_free_bytes.and_then(|b| i64::try_from(b).ok()).unwrap_or(-1));
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
