//! The HTTP routes of a sync server over a [`MemoryServer`], as section 7 describes them.

use tandem_core::VersionId;
use tandem_remote::MemoryServer;
use tandem_tasks::serve::ChildVersion;
use tandem_tasks::session::{Added, Urgency};

use crate::CLIENT;
use crate::scripted::{Received, Reply, Scripted, keep};

const SEGMENT: &str = "application/vnd.taskchampion.history-segment";
const SNAPSHOT: &str = "application/vnd.taskchampion.snapshot";

/// A sync server on loopback.
pub(crate) fn start(server: &MemoryServer) -> Scripted {
    let server = server.clone();
    Scripted::new(move |request| answer(&server, request))
}

/// What a sync server says to a request.
pub(crate) fn answer(server: &MemoryServer, request: &Received) -> Reply {
    if request.header("x-client-id") != Some(CLIENT) {
        return keep(400, &[], b"bad x-client-id");
    }
    let path = request.path.trim_start_matches('/');
    let path = path.strip_prefix("v1/client/").unwrap_or_default();
    let (route, id) = path.split_once('/').unwrap_or((path, ""));
    let id: Option<VersionId> = id.parse().ok();
    let kind = request.header("content-type").unwrap_or_default();
    match (request.method.as_str(), route, id) {
        ("GET", "get-child-version", Some(parent)) => match server.child_version(parent) {
            (_, Some(child)) => {
                let (version, parent) = (child.version.to_string(), child.parent.to_string());
                let headers = [
                    ("content-type", SEGMENT),
                    ("X-Version-Id", version.as_str()),
                    ("X-Parent-Version-Id", parent.as_str()),
                ];
                keep(200, &headers, &child.bytes)
            }
            _ if server.latest().is_nil() => keep(404, &[], b"no such client"),
            (ChildVersion::UpToDate, None) => keep(404, &[], b"no such version"),
            (_, None) => keep(410, &[], b"version has been deleted"),
        },
        ("POST", "add-version", Some(_)) if kind != SEGMENT => keep(400, &[], b"Bad content-type"),
        ("POST", "add-version", Some(_)) if request.body.is_empty() => {
            keep(400, &[], b"Empty body")
        }
        ("POST", "add-version", Some(parent)) => {
            match server.add_version(parent, request.body.clone()) {
                Added::Accepted { version, urgency } => {
                    let version = version.to_string();
                    let mut headers = vec![("X-Version-Id", version.as_str())];
                    match urgency {
                        Urgency::None => {}
                        Urgency::Low => headers.push(("X-Snapshot-Request", "urgency=low")),
                        Urgency::High => headers.push(("X-Snapshot-Request", "urgency=high")),
                    }
                    keep(200, &headers, b"")
                }
                Added::Conflict { latest } => {
                    keep(409, &[("X-Parent-Version-Id", &latest.to_string())], b"")
                }
            }
        }
        ("POST", "add-snapshot", Some(version)) if kind == SNAPSHOT => {
            server.add_snapshot(version, request.body.clone());
            keep(200, &[], b"")
        }
        ("GET", "snapshot", None) => match server.snapshot() {
            Some((version, bytes)) => {
                let version = version.to_string();
                keep(200, &[("content-type", SNAPSHOT), ("X-Version-Id", &version)], &bytes)
            }
            None => keep(404, &[], b""),
        },
        _ => keep(404, &[], b""),
    }
}
