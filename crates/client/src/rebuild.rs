//! Building the list anew from the remote, beside the replica: what `ta verify` compares with.

use tandem_core::{Timestamp, VersionId};
use tandem_remote::{Call, Outcome, Remote};
use tandem_replica::{MemoryStorage, Replica};
use tandem_tasks::TaskSet;
use tandem_tasks::session::{Consent, End, Failure, Request, Response};

use crate::sync::{SyncError, SyncOptions, sync};

/// The list as the remote tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// All tasks.
    pub tasks: TaskSet,
    /// The version that they show; nil if the remote has no history.
    pub version: VersionId,
}

/// Why it could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The remote gave no history.
    #[error(transparent)]
    Remote(#[from] Failure),
    /// The copy in memory could not be kept.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// Loads the newest snapshot and every version after it into memory, up to `stop` if the history
/// passes it, and changes nothing anywhere.
///
/// # Errors
/// [`RebuildError`].
pub fn rebuild(
    remote: &mut dyn Remote,
    stop: Option<VersionId>,
    now: &dyn Fn() -> Timestamp,
) -> Result<Rebuilt, RebuildError> {
    let mut reader = Reader { remote, stop, has_passed: false };
    let mut replica = Replica::new(MemoryStorage::new());
    let options = SyncOptions {
        consent: Consent { join: true, ..Consent::default() },
        ..SyncOptions::default()
    };
    let synced = sync(&mut replica, &mut reader, &options, now, &mut |_| {})?;
    if let End::Failed(failure) = synced.report.end {
        return Err(failure.into());
    }
    let tasks = replica.all_tasks().map_err(SyncError::from)?;
    Ok(Rebuilt { tasks, version: synced.base })
}

/// A remote that only reads, and that ends the history at a version.
struct Reader<'a> {
    remote: &'a mut dyn Remote,
    stop: Option<VersionId>,
    has_passed: bool,
}

impl Remote for Reader<'_> {
    fn identity(&mut self) -> Result<Option<tandem_remote::Identity>, Failure> {
        self.remote.identity()
    }

    fn call(&mut self, call: Call) -> Outcome {
        match call {
            Call::GetChildVersion { parent } if Some(parent) == self.stop => {
                self.has_passed = true;
                Outcome::Answer(Response::Child(tandem_tasks::session::Child::UpToDate))
            }
            call @ (Call::GetSnapshot | Call::GetChildVersion { .. } | Call::CheckProof { .. }) => {
                self.remote.call(call)
            }
            _ => Outcome::Refused(Failure::NotTheProtocol {
                what: format!("{:?} while only reading", Request::GetSnapshot),
            }),
        }
    }

    fn new_proof(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn is_directory(&self) -> bool {
        self.remote.is_directory()
    }

    fn label(&self) -> String {
        self.remote.label()
    }
}
