//! The calls of the sync protocol as HTTP requests (section 7 of the protocol page).
//!
//! The order of the checks is part of what clients can see: path and method, then content type,
//! then client id, then body.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use taskchampion_sync_server_core::{
    AddVersionResult, ClientId, GetVersionResult, ServerError, SnapshotUrgency, VersionId,
};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::chain::Chain;

/// The largest body taken, in bytes.
const BODY_BYTES_MAX: usize = 100 * 1024 * 1024;

const HISTORY_SEGMENT: &str = "application/vnd.taskchampion.history-segment";
const SNAPSHOT: &str = "application/vnd.taskchampion.snapshot";
const CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
const VERSION_ID: HeaderName = HeaderName::from_static("x-version-id");
const PARENT_VERSION_ID: HeaderName = HeaderName::from_static("x-parent-version-id");
const SNAPSHOT_REQUEST: HeaderName = HeaderName::from_static("x-snapshot-request");

type Reply = Response<Full<Bytes>>;

/// An answer that ends a call early.
struct Refusal {
    status: StatusCode,
    words: Option<&'static str>,
}

impl Refusal {
    fn bad_request(words: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            words: Some(words),
        }
    }

    /// A refusal with an empty body.
    fn silent(status: StatusCode) -> Self {
        Self {
            status,
            words: None,
        }
    }

    fn into_reply(self) -> Reply {
        match self.words {
            Some(words) => text(self.status, words),
            None => empty(self.status),
        }
    }
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::NoSuchClient => Self {
                status: StatusCode::NOT_FOUND,
                words: Some("no such client"),
            },
            ServerError::Other(cause) => {
                eprintln!("storage failed: {cause:#}");
                Self::silent(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// What a path and method ask for.
enum Call {
    Banner,
    AddVersion { parent: VersionId },
    GetChildVersion { parent: VersionId },
    AddSnapshot { version: VersionId },
    GetSnapshot,
}

/// Answers one request.
pub async fn answer(chain: Arc<Chain>, request: Request<Incoming>) -> Reply {
    let mut reply = match read_call(request.method(), request.uri().path()) {
        None => empty(StatusCode::NOT_FOUND),
        Some(call) => carry_out(chain, call, request)
            .await
            .unwrap_or_else(Refusal::into_reply),
    };
    reply.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store, max-age=0"),
    );
    reply
}

fn read_call(method: &Method, path: &str) -> Option<Call> {
    if path == "/" {
        return (method == Method::GET).then_some(Call::Banner);
    }
    let words: Vec<&str> = path.strip_prefix("/v1/client/")?.split('/').collect();
    match (method.as_str(), words.as_slice()) {
        ("POST", ["add-version", parent]) => Some(Call::AddVersion {
            parent: Uuid::parse_str(parent).ok()?,
        }),
        ("GET", ["get-child-version", parent]) => Some(Call::GetChildVersion {
            parent: Uuid::parse_str(parent).ok()?,
        }),
        ("POST", ["add-snapshot", version]) => Some(Call::AddSnapshot {
            version: Uuid::parse_str(version).ok()?,
        }),
        ("GET", ["snapshot"]) => Some(Call::GetSnapshot),
        _ => None,
    }
}

async fn carry_out(
    chain: Arc<Chain>,
    call: Call,
    request: Request<Incoming>,
) -> Result<Reply, Refusal> {
    match call {
        Call::Banner => Ok(text(
            StatusCode::OK,
            concat!("TaskChampion sync server v", env!("CARGO_PKG_VERSION")),
        )),
        Call::AddVersion { parent } => {
            check_content_type(request.headers(), HISTORY_SEGMENT)?;
            let client = read_client(&chain, request.headers())?;
            let segment = read_body(request, "Empty body").await?;
            store(move || async move {
                let (result, urgency) = chain.add_version(client, parent, segment).await?;
                Ok(added(result, urgency))
            })
            .await
        }
        Call::GetChildVersion { parent } => {
            let client = read_client(&chain, request.headers())?;
            store(move || async move {
                let result = chain.get_child_version(client, parent).await?;
                Ok(child(result))
            })
            .await
        }
        Call::AddSnapshot { version } => {
            check_content_type(request.headers(), SNAPSHOT)?;
            let client = read_client(&chain, request.headers())?;
            let snapshot = read_body(request, "No snapshot supplied").await?;
            store(move || async move {
                chain.add_snapshot(client, version, snapshot).await?;
                Ok(empty(StatusCode::OK))
            })
            .await
        }
        Call::GetSnapshot => {
            let client = read_client(&chain, request.headers())?;
            store(move || async move {
                let snapshot = chain.get_snapshot(client).await?;
                Ok(match snapshot {
                    None => empty(StatusCode::NOT_FOUND),
                    Some((version, body)) => {
                        let mut reply = sealed(SNAPSHOT, body);
                        reply.headers_mut().insert(VERSION_ID, id_value(version));
                        reply
                    }
                })
            })
            .await
        }
    }
}

/// Runs work on the storage away from the threads that serve connections.
///
/// The storage blocks, and its futures may not move between threads: so each is made and finished
/// on one thread of the blocking pool.
async fn store<W, F>(work: W) -> Result<Reply, Refusal>
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<Reply, ServerError>>,
{
    let runtime = Handle::current();
    match tokio::task::spawn_blocking(move || runtime.block_on(work())).await {
        Ok(outcome) => outcome.map_err(Refusal::from),
        Err(panic) => {
            eprintln!("storage panicked: {panic}");
            Err(Refusal::silent(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

fn added(result: AddVersionResult, urgency: SnapshotUrgency) -> Reply {
    match result {
        AddVersionResult::ExpectedParentVersion(latest) => {
            let mut reply = empty(StatusCode::CONFLICT);
            reply
                .headers_mut()
                .insert(PARENT_VERSION_ID, id_value(latest));
            reply
        }
        AddVersionResult::Ok(version) => {
            let mut reply = empty(StatusCode::OK);
            let headers = reply.headers_mut();
            headers.insert(VERSION_ID, id_value(version));
            let request = match urgency {
                SnapshotUrgency::None => None,
                SnapshotUrgency::Low => Some("urgency=low"),
                SnapshotUrgency::High => Some("urgency=high"),
            };
            if let Some(request) = request {
                headers.insert(SNAPSHOT_REQUEST, HeaderValue::from_static(request));
            }
            reply
        }
    }
}

fn child(result: GetVersionResult) -> Reply {
    match result {
        GetVersionResult::NotFound => text(StatusCode::NOT_FOUND, "no such version"),
        GetVersionResult::Gone => text(StatusCode::GONE, "version has been deleted"),
        GetVersionResult::Success {
            version_id,
            parent_version_id,
            history_segment,
        } => {
            let mut reply = sealed(HISTORY_SEGMENT, history_segment);
            let headers = reply.headers_mut();
            headers.insert(VERSION_ID, id_value(version_id));
            headers.insert(PARENT_VERSION_ID, id_value(parent_version_id));
            reply
        }
    }
}

/// Refuses a body of another kind; parameters after the kind are let through.
fn check_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), Refusal> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if given == Some(wanted) {
        Ok(())
    } else {
        Err(Refusal::bad_request("Bad content-type"))
    }
}

/// Reads who is asking, and refuses those who are not on the list.
fn read_client(chain: &Chain, headers: &HeaderMap) -> Result<ClientId, Refusal> {
    let client = headers
        .get(CLIENT_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| Uuid::parse_str(value).ok())
        .ok_or(Refusal::bad_request("bad x-client-id"))?;
    if chain.allows(client) {
        Ok(client)
    } else {
        Err(Refusal::silent(StatusCode::FORBIDDEN))
    }
}

/// Reads the whole body, which may be neither empty nor larger than [`BODY_BYTES_MAX`].
async fn read_body(
    request: Request<Incoming>,
    when_empty: &'static str,
) -> Result<Vec<u8>, Refusal> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::bad_request("overflow")
            } else {
                Refusal::bad_request("body broken off")
            }
        })?
        .to_bytes();
    if body.is_empty() {
        return Err(Refusal::bad_request(when_empty));
    }
    Ok(body.into())
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

fn text(status: StatusCode, words: &'static str) -> Reply {
    let mut reply = Response::new(Full::from(words));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    reply
}

/// A body that only clients can read.
fn sealed(content_type: &'static str, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::from(body));
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

fn id_value(id: Uuid) -> HeaderValue {
    HeaderValue::from_str(&id.to_string()).expect("a dashed id is plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";

    #[test]
    fn only_the_protocols_paths_are_calls() {
        let is_call = |method: Method, path: &str| read_call(&method, path).is_some();
        assert!(is_call(Method::GET, "/"));
        assert!(is_call(Method::GET, "/v1/client/snapshot"));
        assert!(is_call(
            Method::POST,
            &format!("/v1/client/add-version/{ID}")
        ));
        assert!(!is_call(
            Method::GET,
            &format!("/v1/client/add-version/{ID}")
        ));
        assert!(!is_call(
            Method::GET,
            &format!("/v1/client/get-child-version/{ID}/")
        ));
        assert!(!is_call(Method::GET, "/v1/client/get-child-version/latest"));
        assert!(!is_call(Method::HEAD, "/"));
    }

    #[test]
    fn content_types_may_carry_parameters() {
        let check = |given: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(given));
            check_content_type(&headers, SNAPSHOT).is_ok()
        };
        assert!(check(SNAPSHOT));
        assert!(check("application/vnd.taskchampion.snapshot; version=1"));
        assert!(!check(HISTORY_SEGMENT));
        assert!(!check(""));
    }
}
