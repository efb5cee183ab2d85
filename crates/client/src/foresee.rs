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
/// [`SyncError`] if the replica's own database fails.
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
    let mut driver = Driver {
        replica,
        remote,
        target: &mut target,
        proof,
        now,
        is_proved: true,
        tasks_loaded: None,
    };
    let mut session = Session::new(start);
    let mut event = Event::Start;
    let foreseen = loop {
        event = match session.next(event) {
            Action::Done(report) => break ended(report.end),
            Action::Ask(Request::AddVersion { .. } | Request::AddSnapshot { .. }) => {
                break Foreseen::Push;
            }
            Action::Ask(Request::RemoveOrphans { .. }) => break Foreseen::Unorphan,
            Action::Ask(request) => driver.ask(request)?,
            Action::Commit(batch) => match &batch.change {
                Change::Adopt | Change::Note { .. } => {
                    Event::Committed { first: batch.first, last: batch.last }
                }
                Change::Push { accepted: Some(_), .. } => break Foreseen::Arrived,
                Change::Push { .. } => break Foreseen::Push,
                Change::Pull { .. } | Change::LoadSnapshot { .. } => break Foreseen::Pull,
                Change::Restart => break Foreseen::Offer { again: session.report().rejoined },
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
    Ok(Foresight { foreseen, report: session.report().clone() })
}

fn ended(end: End) -> Foreseen {
    match end {
        End::InStep => Foreseen::InStep,
        End::NoHistory => Foreseen::NoHistory,
        End::Question(question) => Foreseen::Asks(question),
        End::Failed(failure) => Foreseen::Fails(failure),
    }
}
