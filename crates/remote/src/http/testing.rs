//! The reading of answers without a line, for tests that throw bytes at it.

use tandem_core::VersionId;
use tandem_tasks::session::Failure;

use super::answer::Answer;
use super::children::{self, Next};

/// The largest body in a stream that [`read_children`] takes, in bytes.
pub const CHILD_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a stream of many versions: those that came, and whether its end says that this is all; none if
/// it has no end.
pub fn read_children(bytes: &[u8]) -> (Vec<(VersionId, Vec<u8>)>, Option<bool>) {
    let (versions, end) = children::read_all(bytes, CHILD_BYTES_MAX);
    (versions, end.map(|end| end == Next::Latest))
}

/// Reads one answer as that to each of the four requests; gives what each would tell a person of it,
/// or none where it is a success.
///
/// Of `headers` those count that the protocol has, by their names in lower case.
pub fn read_answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> [Option<Failure>; 4] {
    let header = |name: &str| {
        let found = headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let answer = Answer {
        status,
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        version: header("x-version-id"),
        parent: header("x-parent-version-id"),
        snapshot_request: header("x-snapshot-request"),
        location: header("location"),
        retry_after: header("retry-after"),
        date: header("date"),
        tandem: header("x-tandem"),
        forwarder: None,
        body: body.to_vec(),
        is_delimited: header("content-length").is_some(),
    };
    [
        answer.clone().into_child().err(),
        answer.clone().into_snapshot().err(),
        answer.clone().into_added().err(),
        answer.check_snapshot_added().err(),
    ]
}
