//! What a sync would do, learned from the session itself and without doing it.

use tandem_core::Timestamp;
use tandem_remote::Remote;
use tandem_replica::{Replica, Target};
use tandem_tasks::session::{
    Action, Change, End, Event, Failure, Question, Request, Session, SyncReport,
};

use crate::sync::{Driver, StartError, SyncError, SyncOptions, start};

/// What the next sync would do first. Later steps of the same sync may bring more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreseen {
    /// Nothing: both hold the same, or nothing is at either place.
    InStep,
    /// Nothing: there is no list here, and no history at the server.
    NoHistory,
    /// It would take in what is there.
    Pull,
    /// It would send what is here, and the remote has nothing that is not here.
    Push,
    /// It would give the remote a snapshot, and both hold the same.
    Snapshot,
    /// It would note that what was sent last had arrived, though its answer was not heard.
    Arrived,
    /// It would offer the whole list to a remote that it does not belong to now.
    Offer {
        /// It once belonged there, and would be joined with what is there by now.
        again: bool,
    },
    /// It would take the remote's present, since the version on which the replica stands has gone.
    Reinitialise,
    /// It would send once more what another program left off the chain of a directory.
    Unorphan,
    /// It would ask a person.
    Asks(Question),
    /// It would fail.
    Fails(Failure),
}

/// What was learned about the next sync.
#[derive(Debug, Clone)]
pub struct Foresight {
    /// What it would do first.
    pub foreseen: Foreseen,
    /// What it had found out until then.
    pub report: SyncReport,
}

/// Learns what [`sync()`](crate::sync()) would do, with the same session, which is stopped before it
/// changes anything here or at the remote. Only what other programs have done to the replica meanwhile
/// is taken notice of, as everywhere.
///
/// # Errors
/// [`SyncError`] if the replica's own database fails, or could not be written where the sync would.
pub fn foresee(
    replica: &mut Replica,
    remote: &mut dyn Remote,
    options: &SyncOptions,
    now: &dyn Fn() -> Timestamp,
) -> Result<Foresight, SyncError> {
    let mut target = Target { key: None, label: remote.label() };
    // The first version that would be taken in is enough to know.
    let options = SyncOptions { group_bytes_max: 1, ..options.clone() };
    let (start, proof) = match start(replica, remote, &options, now(), &mut target) {
        Ok(started) => started,
        Err(StartError::Storage(error)) => return Err(error.into()),
        Err(StartError::Failure(failure)) => {
            let foreseen = Foreseen::Fails(failure);
            return Ok(Foresight { foreseen, report: SyncReport::default() });
        }
    };
    let mut driver = Driver::new(replica, remote, &mut target, proof, now);
    let mut session = Session::new(start);
    let mut event = Event::Start;
    // Something would have been written on the way to what is foreseen.
    let mut writes = false;
    let foreseen = loop {
        event = match session.next(event) {
            Action::Done(report) => break ended(report.end),
            Action::Ask(Request::AddVersion { .. }) => break Foreseen::Push,
            Action::Ask(Request::AddSnapshot { .. }) => break Foreseen::Snapshot,
            Action::Ask(Request::RemoveOrphans { .. }) => break Foreseen::Unorphan,
            Action::Ask(request) => driver.ask(request)?,
            Action::Commit(batch) => match &batch.change {
                Change::Adopt | Change::Note { .. } => {
                    writes = true;
                    Event::Committed { first: batch.first, last: batch.last }
                }
                Change::Push { accepted: Some(_), .. } => break Foreseen::Arrived,
                Change::Push { .. } => break Foreseen::Push,
                Change::Pull { .. } | Change::LoadSnapshot { .. } => break Foreseen::Pull,
                Change::Restart { again } => break Foreseen::Offer { again: *again },
                Change::Unorphan { .. } => break Foreseen::Unorphan,
                Change::Reinitialise { .. } => {
                    break match driver.replica.rehearse(&batch)? {
                        Some(question) => Foreseen::Asks(question),
                        None => Foreseen::Reinitialise,
                    };
                }
            },
        };
    };
    writes |= driver.proof_to_keep().is_some();
    if writes || !ends(&foreseen) {
        driver.replica.storage_mut().check_writable()?;
    }
    Ok(Foresight { foreseen, report: session.report().clone() })
}

/// It is the end of a sync, and no write here.
fn ends(foreseen: &Foreseen) -> bool {
    matches!(
        foreseen,
        Foreseen::InStep | Foreseen::NoHistory | Foreseen::Asks(_) | Foreseen::Fails(_)
    )
}

fn ended(end: End) -> Foreseen {
    match end {
        End::InStep => Foreseen::InStep,
        End::NoHistory => Foreseen::NoHistory,
        End::Question(question) => Foreseen::Asks(question),
        End::Failed(failure) => Foreseen::Fails(failure),
    }
}

#[cfg(test)]
mod tests {
    use tandem_core::TaskId;
    use tandem_remote::{MemoryRemote, MemoryServer};
    use tandem_replica::{OpenOptions, SqliteStorage, StorageError};

    use super::*;
    use crate::{sync, system_now};

    #[test]
    fn a_replica_that_can_only_be_read_is_in_step_or_fails_as_its_sync() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replica.sqlite3");
        let open = |read_only| {
            let options = OpenOptions { read_only, ..OpenOptions::default() };
            Replica::new(SqliteStorage::open(&path, &options).unwrap().0)
        };
        let server = MemoryServer::new(1);
        let mut remote = MemoryRemote::new(&server, "memory");
        let options = SyncOptions::default();
        let add = |n: u8| {
            let id = TaskId::from_random_bytes([n; 16]);
            open(false).edit("add", system_now(), |editor| editor.create(id)).unwrap();
        };
        add(1);
        sync(&mut open(false), &mut remote, &options, &system_now, &mut |_| {}).unwrap();
        let foreseen = foresee(&mut open(true), &mut remote, &options, &system_now).unwrap();
        assert_eq!(foreseen.foreseen, Foreseen::InStep);
        add(2);
        let read_only = |error: SyncError| {
            assert!(
                matches!(error, SyncError::Storage(StorageError::ReadOnly { .. })),
                "{error:?}"
            );
        };
        read_only(foresee(&mut open(true), &mut remote, &options, &system_now).unwrap_err());
        let synced = sync(&mut open(true), &mut remote, &options, &system_now, &mut |_| {});
        read_only(synced.unwrap_err());
        let foreseen = foresee(&mut open(false), &mut remote, &options, &system_now).unwrap();
        assert_eq!(foreseen.foreseen, Foreseen::Push);
    }
}
