//! The five calls of the TaskChampion protocol.
//!
//! The order of the checks is part of what clients see: path and method, content type, client id,
//! body.
//!
//! # Source
//! `protocols/taskchampion.md` section 7.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use bytes::Bytes;
use tandem_core::{ClientId, VersionId};
use tandem_tasks::session::Urgency;

use super::App;
use super::answer::{
    self, DISK_LOW, NO_RANDOMNESS, PARENT_VERSION_ID, Reply, SEGMENT, SNAPSHOT, SNAPSHOT_REQUEST,
    TANDEM, TANDEM_CALLS, Trouble, VERSION_ID,
};
use super::body::{self, NoBody};
use super::gate::{Refusal, check_anew, check_client, unknown_client};
use super::memory::Loading;
use super::request::RequestId;
use super::visitor::Visitor;
use crate::disk::Room;
use crate::limits::SMALL_BODY_BYTES_MAX;
use crate::store::{
    AddSnapshot, AddVersion, Added, Child, SnapshotAdded, SnapshotFound, StoreError,
};

/// What every call begins with.
type Asked = (State<Arc<App>>, Extension<RequestId>, Extension<Visitor>);

const BANNER: &str = concat!("TaskChampion sync server v", env!("CARGO_PKG_VERSION"), " (Tandem)");

pub(super) async fn banner() -> Reply {
    answer::words(StatusCode::OK, BANNER)
}

pub(super) async fn add_version(
    (State(app), Extension(id), Extension(visitor)): Asked,
    InPath(parent): InPath,
    request: Request,
) -> Reply {
    let wanted = (SEGMENT, "Empty body");
    let (client, body) = match take_upload(&app, request, wanted, visitor, &id).await {
        Ok(upload) => upload,
        Err(reply) => return reply,
    };
    let mut random = [0; 16];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(request = %id, %error, "no random numbers");
        return NO_RANDOMNESS.reply(&id);
    }
    let mut request = AddVersion {
        client,
        parent,
        version: VersionId::from_random_bytes(random),
        segment: body,
        at: (app.clock)(),
        targets: app.targets,
        may_create: false,
    };
    let mut added = app.store.add_version(request.clone()).await;
    if app.access.may_create && matches!(added, Ok(Added::NoSuchClient)) {
        // Nobody is made of what is remembered: an operator may have removed the client just now.
        if let Err(refusal) = check_anew(&app, client, visitor).await {
            return refusal.reply(&id);
        }
        request.may_create = true;
        added = app.store.add_version(request).await;
    }
    match added {
        Ok(Added::Accepted { version, urgency }) => {
            let mut reply = answer::empty(StatusCode::OK);
            answer::put_id(&mut reply, VERSION_ID, version);
            let wish = match urgency {
                Urgency::None => None,
                Urgency::Low => Some("urgency=low"),
                Urgency::High => Some("urgency=high"),
            };
            if let Some(wish) = wish {
                reply.headers_mut().insert(SNAPSHOT_REQUEST, HeaderValue::from_static(wish));
            }
            offer(reply)
        }
        Ok(Added::Conflict { latest }) => {
            let mut reply = answer::empty(StatusCode::CONFLICT);
            answer::put_id(&mut reply, PARENT_VERSION_ID, latest);
            offer(reply)
        }
        Ok(Added::NoSuchClient) => unknown_client(&app, visitor, client).await,
        Err(error) => failed(&error, &id),
    }
}

pub(super) async fn get_child_version(
    (State(app), Extension(id), Extension(visitor)): Asked,
    InPath(parent): InPath,
    headers: HeaderMap,
) -> Reply {
    let client = match check_client(&app, &headers, visitor).await {
        Ok(client) => client,
        Err(refusal) => return refusal.reply(&id),
    };
    let now = (app.clock)();
    let mut loading = Loading::new(&app, client, SMALL_BODY_BYTES_MAX as u64);
    loop {
        let child = app.store.child_version(client, parent, now, loading.bytes_max()).await;
        return match child {
            Ok(Child::Found(stored)) => {
                let mut reply = answer::with_type(SEGMENT, loading.done(stored.segment));
                answer::put_id(&mut reply, VERSION_ID, stored.version);
                answer::put_id(&mut reply, PARENT_VERSION_ID, stored.parent);
                offer(reply)
            }
            Ok(Child::TooLarge { bytes }) => match loading.grow(bytes).await {
                Ok(()) => continue,
                Err(trouble) => trouble.reply(&id),
            },
            Ok(Child::UpToDate) => offer(up_to_date()),
            Ok(Child::Gone) => offer(gone()),
            Ok(Child::NoSuchClient) => offer(unknown_client(&app, visitor, client).await),
            Err(error) => failed(&error, &id),
        };
    }
}

pub(super) async fn add_snapshot(
    (State(app), Extension(id), Extension(visitor)): Asked,
    InPath(version): InPath,
    request: Request,
) -> Reply {
    let wanted = (SNAPSHOT, "No snapshot supplied");
    let (client, body) = match take_upload(&app, request, wanted, visitor, &id).await {
        Ok(upload) => upload,
        Err(reply) => return reply,
    };
    let request = AddSnapshot { client, version, body, at: (app.clock)() };
    match app.store.add_snapshot(request).await {
        // One that is passed over is a success, too: the client could do nothing about it.
        Ok(SnapshotAdded::Accepted | SnapshotAdded::PassedOver) => answer::empty(StatusCode::OK),
        Ok(SnapshotAdded::NoSuchClient) => unknown_client(&app, visitor, client).await,
        Err(error) => failed(&error, &id),
    }
}

pub(super) async fn get_snapshot(
    (State(app), Extension(id), Extension(visitor)): Asked,
    headers: HeaderMap,
) -> Reply {
    let client = match check_client(&app, &headers, visitor).await {
        Ok(client) => client,
        Err(refusal) => return refusal.reply(&id),
    };
    let now = (app.clock)();
    let mut loading = Loading::new(&app, client, SMALL_BODY_BYTES_MAX as u64);
    loop {
        return match app.store.snapshot(client, now, loading.bytes_max()).await {
            Ok(SnapshotFound::Found(stored)) => {
                let mut reply = answer::with_type(SNAPSHOT, loading.done(stored.body));
                answer::put_id(&mut reply, VERSION_ID, stored.version);
                offer(reply)
            }
            Ok(SnapshotFound::TooLarge { bytes }) => match loading.grow(bytes).await {
                Ok(()) => continue,
                Err(trouble) => trouble.reply(&id),
            },
            Ok(SnapshotFound::None) => offer(answer::empty(StatusCode::NOT_FOUND)),
            Ok(SnapshotFound::NoSuchClient) => offer(unknown_client(&app, visitor, client).await),
            Err(error) => failed(&error, &id),
        };
    }
}

/// Who asks, if the header says so in any spelling of an id.
pub(super) fn read_client(headers: &HeaderMap) -> Option<ClientId> {
    headers.get("x-client-id")?.to_str().ok()?.parse().ok()
}

/// The version that a path names. A path that names none is no path.
pub(super) struct InPath(pub(super) VersionId);

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| answer::empty(StatusCode::NOT_FOUND))
    }
}

/// Who uploads, and what; else the answer. `wanted` is its content type, which is looked at before the
/// client id (what follows a `;` is let through), and what is said of an empty body.
async fn take_upload(
    app: &App,
    request: Request,
    wanted: (&str, &'static str),
    visitor: Visitor,
    id: &RequestId,
) -> Result<(ClientId, Bytes), Reply> {
    let (parts, body) = request.into_parts();
    let (content_type, if_empty) = wanted;
    let given = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split(';').next()).map(str::trim);
    if given != Some(content_type) {
        return Err(Refusal::BadContentType.reply(id));
    }
    let client = check_client(app, &parts.headers, visitor).await;
    let client = client.map_err(|refusal| refusal.reply(id))?;
    if app.room.as_ref().is_some_and(Room::is_low) {
        return Err(DISK_LOW.reply(id));
    }
    let body = body::read(app, client, body).await.map_err(|no_body| match no_body {
        NoBody::Overflow => answer::words(StatusCode::BAD_REQUEST, "overflow"),
        NoBody::Trouble(trouble) => trouble.reply(id),
    })?;
    if body.is_empty() {
        return Err(answer::words(StatusCode::BAD_REQUEST, if_empty));
    }
    Ok((client, body))
}

pub(super) fn up_to_date() -> Reply {
    answer::words(StatusCode::NOT_FOUND, "no such version")
}

pub(super) fn gone() -> Reply {
    answer::words(StatusCode::GONE, "version has been deleted")
}

pub(super) fn no_such_client() -> Reply {
    answer::words(StatusCode::NOT_FOUND, "no such client")
}

/// The cause is for the log, the kind for the client.
pub(super) fn failed(error: &StoreError, id: &RequestId) -> Reply {
    tracing::error!(request = %id, %error, "the storage has no answer");
    Trouble::from(error).reply(id)
}

/// Tells other Tandems what they may ask for beside the protocol.
fn offer(mut reply: Reply) -> Reply {
    reply.headers_mut().entry(TANDEM).or_insert(TANDEM_CALLS);
    reply
}
