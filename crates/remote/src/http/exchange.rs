//! One request and its answer over the HTTP library: limits, times, redirects, repetitions.
//!
//! The library repeats nothing by itself, not even on a kept connection that turns out dead, and
//! this module repeats only what it is told may be repeated.

use std::io::Read;
use std::time::{Duration, Instant};

use tandem_core::VersionId;
use tandem_tasks::session::{Failure, ProxyTrouble};
use ureq::http::{HeaderMap, Response, Uri, header};
use ureq::{Agent, Body, BodyReader, SendBody};

use super::answer::{Answer, ChildAnswer, readable, strange};
use super::children::CHILDREN_TYPE;
use super::peer::Peer;
use super::{HttpSettings, agent, failure};

/// Redirects that one GET follows, all within the same server.
const REDIRECTS_MAX: u32 = 5;

/// What is read of an answer that does not have the type that was asked for, in bytes: enough for
/// the protocol's words and for a person to see what it is.
const TEXT_BYTES_MAX: u64 = 4096;

/// The memory that is taken at once on a server's word about the length, in bytes.
const FIRST_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What to ask.
pub(super) struct Request<'a> {
    /// The path below the origin.
    pub(super) path: String,
    /// What to send and its content type; a GET if there is none.
    pub(super) upload: Option<(&'static str, &'a [u8])>,
    /// The content type of a successful answer's body, if it is to have one.
    pub(super) wants: Option<&'static str>,
    /// May be sent again when the line breaks or the server has a problem.
    pub(super) is_repeatable: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Some of the body has been handed to the system, so the server may have acted on it.
    pub(super) was_sent: bool,
}

impl From<Failure> for Broken {
    /// A failure before anything was sent.
    fn from(failure: Failure) -> Self {
        Self { failure, was_sent: false }
    }
}

/// What a server says to the question for many versions.
pub(super) enum Many {
    /// They follow.
    Row(BodyReader<'static>),
    /// An answer of GetChildVersion instead.
    None(ChildAnswer),
}

/// The line to one server; it is kept open between requests.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    agent: Option<Agent>,
}

impl Exchange {
    fn agent(&mut self, settings: &HttpSettings) -> Result<&Agent, Failure> {
        Ok(match &mut self.agent {
            Some(agent) => agent,
            // A wrong setting is not worth repeating.
            none => none.insert(agent::build(settings)?),
        })
    }

    /// Asks once for the versions after `parent`, in a row. None for whatever is not as
    /// `docs/protocol/tandem-http.md` says: a redirect, another type, a server in trouble.
    pub(super) fn ask_children(
        &mut self,
        settings: &HttpSettings,
        parent: VersionId,
    ) -> Option<Many> {
        let started = Instant::now();
        let url = settings.origin.join(&format!("v1/tandem/children/{parent}"));
        let request = self.agent(settings).ok()?.get(url);
        let response = request.header("X-Client-Id", settings.client_id.to_string()).call().ok()?;
        let headers = response.headers();
        let is_row = response.status() == 200
            && text_of(headers, "content-type").as_deref() == Some(CHILDREN_TYPE)
            && !headers.contains_key(header::CONTENT_ENCODING);
        if is_row {
            return Some(Many::Row(response.into_body().into_reader()));
        }
        let answer = read(response, settings, None, started).ok()?;
        // A success of another type is none.
        if answer.status == 200 { None } else { answer.into_child().ok().map(Many::None) }
    }

    /// Asks, repeats what may be repeated, follows what may be followed.
    pub(super) fn ask(
        &mut self,
        settings: &HttpSettings,
        request: &Request<'_>,
    ) -> Result<Answer, Broken> {
        let agent = self.agent(settings)?;
        let mut tries = 0;
        loop {
            let result = ask_once(agent, settings, request);
            tries += 1;
            let is_worth_repeating = match &result {
                Ok(answer) => answer.is_passing(),
                Err(broken) => match &broken.failure {
                    Failure::Unreachable { .. } | Failure::NobodyListens { .. } => true,
                    Failure::Proxy { trouble, .. } => {
                        matches!(trouble, ProxyTrouble::Unreachable | ProxyTrouble::NoServer)
                    }
                    _ => false,
                },
            };
            let jitter = crate::random_bytes().map_or(0, u32::from_ne_bytes);
            match settings.backoff.delay(tries, jitter) {
                Some(delay) if is_worth_repeating && request.is_repeatable => {
                    std::thread::sleep(delay);
                }
                _ => return result,
            }
        }
    }
}

fn ask_once(
    agent: &Agent,
    settings: &HttpSettings,
    request: &Request<'_>,
) -> Result<Answer, Broken> {
    let mut url = settings.origin.join(&request.path);
    for _ in 0..=REDIRECTS_MAX {
        let answer = match request.upload {
            Some((kind, bytes)) => post(agent, settings, &url, kind, bytes)?,
            None => get(agent, settings, &url, request.wants)?,
        };
        if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(answer);
        }
        let target = redirect_target(settings, answer.location.as_deref())?;
        if request.upload.is_some() {
            // The answer is whole and is no success: nothing was stored.
            let failure = strange(format!("it redirects uploads, to {}", shown(&target)));
            return Err(failure.into());
        }
        url = target;
    }
    Err(strange("it redirects without end".to_owned()).into())
}

fn get(
    agent: &Agent,
    settings: &HttpSettings,
    url: &str,
    wants: Option<&'static str>,
) -> Result<Answer, Failure> {
    let started = Instant::now();
    let response = agent
        .get(url)
        .header("X-Client-Id", settings.client_id.to_string())
        .call()
        .map_err(|error| failure::of(error, settings))?;
    read(response, settings, wants, started)
}

fn post(
    agent: &Agent,
    settings: &HttpSettings,
    url: &str,
    content_type: &str,
    bytes: &[u8],
) -> Result<Answer, Broken> {
    let started = Instant::now();
    let mut body = PacedBody { bytes, sent: 0, pace: Pace::new(settings, started) };
    let result = agent
        .post(url)
        .header("X-Client-Id", settings.client_id.to_string())
        .header(header::CONTENT_TYPE, content_type)
        // Known beforehand, so that it is not sent in chunks, which some servers do not take.
        .header(header::CONTENT_LENGTH, bytes.len())
        .send(SendBody::from_reader(&mut body));
    let was_sent = body.sent > 0;
    result
        .map_err(|error| failure::of(error, settings))
        .and_then(|response| read(response, settings, None, Instant::now()))
        .map_err(|failure| Broken { failure, was_sent })
}

/// Reads an answer: all of it if it is what was asked for, else its beginning.
fn read(
    mut response: Response<Body>,
    settings: &HttpSettings,
    wants: Option<&'static str>,
    started: Instant,
) -> Result<Answer, Failure> {
    let headers = response.headers();
    let text = |name: &str| text_of(headers, name);
    let mut answer = Answer {
        status: response.status().as_u16(),
        content_type: text("content-type"),
        content_encoding: text("content-encoding"),
        version: text("x-version-id"),
        parent: text("x-parent-version-id"),
        snapshot_request: text("x-snapshot-request"),
        location: text("location"),
        retry_after: text("retry-after"),
        date: text("date"),
        tandem: text("x-tandem"),
        forwarder: Some(Peer::of(settings)).filter(|peer| peer.is_proxy),
        body: Vec::new(),
        is_delimited: headers.contains_key(header::CONTENT_LENGTH)
            || headers.contains_key(header::TRANSFER_ENCODING),
    };
    let is_wanted =
        answer.status == 200 && wants.is_some() && answer.content_type.as_deref() == wants;
    let bytes_max = if is_wanted { settings.body_bytes_max } else { TEXT_BYTES_MAX };
    let length = response.body().content_length();
    let too_large = || Failure::TooLarge { what: "the server's answer".to_owned(), bytes_max };
    if is_wanted && length.is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let first = length.unwrap_or(0).min(bytes_max).min(FIRST_BYTES_MAX);
    answer.body.reserve_exact(usize::try_from(first).unwrap_or(0));
    let mut body = PacedReader {
        inner: response.body_mut().as_reader(),
        read: 0,
        pace: Pace::new(settings, started),
    };
    body.by_ref()
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut answer.body)
        .map_err(|error| failure::of(error.into(), settings))?;
    if answer.body.len() as u64 > bytes_max {
        if is_wanted {
            return Err(too_large());
        }
        answer.body.truncate(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    }
    settings.hide_client_id(&mut answer);
    Ok(answer)
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Where a redirect leads, if that is the same server.
fn redirect_target(settings: &HttpSettings, location: Option<&str>) -> Result<String, Failure> {
    let location = location.unwrap_or_default().trim();
    let root = settings.origin.root();
    if location.starts_with('/') && !location.starts_with("//") {
        return Ok(format!("{root}{location}"));
    }
    let elsewhere = || strange(format!("it redirects to {}", shown(location)));
    let uri: Uri = location.parse().map_err(|_| elsewhere())?;
    let origin = uri.scheme_str().zip(uri.authority());
    let (scheme, authority) = origin.ok_or_else(elsewhere)?;
    let other =
        super::Origin::parse(&format!("{scheme}://{authority}")).map_err(|_| elsewhere())?;
    if other.root() == root { Ok(location.to_owned()) } else { Err(elsewhere()) }
}

/// A redirect's target for a person's eyes: without path and query, which may hold anything.
fn shown(location: &str) -> String {
    if location.is_empty() {
        return "nowhere".to_owned();
    }
    let end = location.find("://").map_or(0, |scheme| scheme + 3);
    let rest = &location[end..];
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    readable(format!("{}{host}", &location[..end]).as_bytes())
}

/// How fast a body must travel: after a first allowance, at least so many bytes a second in all.
#[derive(Clone, Copy)]
struct Pace {
    started: Instant,
    allowance: Duration,
    bytes_per_second_min: u32,
}

impl Pace {
    fn new(settings: &HttpSettings, started: Instant) -> Self {
        let allowance = settings.read_timeout;
        Self { started, allowance, bytes_per_second_min: settings.bytes_per_second_min.max(1) }
    }

    fn check(&self, bytes: usize) -> std::io::Result<()> {
        let seconds = bytes as u64 / u64::from(self.bytes_per_second_min);
        if self.started.elapsed() <= self.allowance.saturating_add(Duration::from_secs(seconds)) {
            return Ok(());
        }
        let text = format!("less than {} bytes a second arrive", self.bytes_per_second_min);
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
    }
}

/// A body on its way out.
struct PacedBody<'a> {
    bytes: &'a [u8],
    sent: usize,
    pace: Pace,
}

impl Read for PacedBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.pace.check(self.sent)?;
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.sent += length;
        Ok(length)
    }
}

/// A body on its way in.
struct PacedReader<R> {
    inner: R,
    read: usize,
    pace: Pace,
}

impl<R: Read> Read for PacedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.pace.check(self.read)?;
        let length = self.inner.read(buffer)?;
        self.read += length;
        Ok(length)
    }
}
