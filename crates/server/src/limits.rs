//! Every limit of the server towards the network, with its unit and its reason.

use std::time::Duration;

/// What a server takes from the network at most. The defaults fit a small machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes: the protocol's 100 MiB.
    pub body_bytes_max: usize,
    /// Bytes of request bodies that are held at once, over all requests: memory is not the client's
    /// to fill. A body that finds no room waits, then is turned away. At least `body_bytes_max`. One
    /// client has half of it, or `body_bytes_max` if that is more.
    pub bodies_bytes_max: usize,
    /// Bytes of answers that are held at once, in the same way, until their readers have them.
    pub answers_bytes_max: usize,
    /// The line and headers of a request, in bytes. Ours need 400.
    pub head_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// How long a connection may take for the head of a request, and how long it may be idle between
    /// two.
    pub head_time_max: Duration,
    /// How long a connection may go without moving a byte of a body, in either direction.
    pub stall_time_max: Duration,
    /// What a request body must move on average once `stall_time_max` has passed, in bytes per
    /// second, so that nobody holds memory by dripping. Whoever keeps an answer waiting must take as
    /// much of it in each `stall_time_max`.
    pub bytes_per_second_min: u64,
    /// How long a request body may take to come as a whole.
    pub body_time_max: Duration,
    /// Requests that are worked on at once; others wait for `queue_time_max`.
    pub requests_max: usize,
    /// How long a request waits for its turn, or for room for its body.
    pub queue_time_max: Duration,
    /// Connections that are open at once; for others, those that were idle for longest are closed. Below the 1,024 files that a
    /// process may usually open.
    pub connections_max: usize,
    /// The same from one address (of IPv6: from one network of 64 bits); more are closed at once. For
    /// trusted proxies, and for addresses nearby, where undeclared ones stand, it does not hold.
    pub connections_per_address_max: usize,
    /// How long requests that are under way may take to finish when the server stops.
    pub stop_time_max: Duration,
    /// Different wrong credentials from one address (of IPv6: from one network of 64 bits) within
    /// `guesses_time`, after which nobody unknown there is listened to until that has passed.
    pub guesses_max: usize,
    /// See `guesses_max`.
    pub guesses_time: Duration,
    /// Passwords that are checked at once: each takes 19 MiB and a core for some time.
    pub passwords_max: usize,
    /// Versions in one streamed answer.
    pub children_max: u32,
    /// Bytes of bodies in one streamed answer; the version that passes it is the last.
    pub children_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: tandem_core::limits::SEALED_BYTES_MAX,
            bodies_bytes_max: 256 * 1024 * 1024,
            answers_bytes_max: 256 * 1024 * 1024,
            head_bytes_max: 32 * 1024,
            headers_max: 64,
            head_time_max: Duration::from_secs(30),
            stall_time_max: Duration::from_secs(30),
            bytes_per_second_min: 1024,
            body_time_max: Duration::from_secs(10 * 60),
            requests_max: 256,
            queue_time_max: Duration::from_secs(10),
            connections_max: 900,
            connections_per_address_max: 64,
            stop_time_max: Duration::from_secs(20),
            guesses_max: 20,
            guesses_time: Duration::from_secs(10 * 60),
            passwords_max: 2,
            children_max: 10_000,
            children_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Versions that are read from the storage at once for a streamed answer, and their bytes: what one
/// such answer holds in memory.
pub(crate) const PAGE_VERSIONS_MAX: u32 = 256;
/// See [`PAGE_VERSIONS_MAX`].
pub(crate) const PAGE_BYTES_MAX: u64 = 1024 * 1024;

/// Bodies up to this size are not counted in [`Limits::bodies_bytes_max`] and
/// [`Limits::answers_bytes_max`], in bytes: the number of requests bounds them.
pub(crate) const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest request id that is taken from a client, in bytes.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 64;
