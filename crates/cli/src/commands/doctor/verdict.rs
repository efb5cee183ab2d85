//! What the next sync would say, for `ta doctor`, `ta status --server` and `ta verify`: found out by the
//! sync's own session, so that none of them says anything else than the others.

use tandem_client::{Foreseen, Foresight, SyncOptions, foresee, system_now};
use tandem_remote::Remote;
use tandem_replica::Replica;
use tandem_tasks::session::{Failure, Question};

use super::Check;
use crate::cure::failed;
use crate::fail::{Exit, Fail};
use crate::told::explain_question;

/// What is foreseen of the next sync.
#[derive(Debug)]
pub(in crate::commands) struct Verdict {
    /// The word for programs.
    pub(in crate::commands) state: &'static str,
    /// The sentence for people, about the server.
    pub(in crate::commands) text: String,
    /// What to do, and the exit code of a sync that is done all the same.
    pub(in crate::commands) cure: Option<(Exit, String)>,
}

/// Asks.
///
/// # Errors
/// What the sync would fail with.
pub(in crate::commands) fn verdict(
    replica: &mut Replica,
    remote: &mut dyn Remote,
) -> Result<Verdict, Fail> {
    let options = SyncOptions::default();
    let foresight = foresee(replica, remote, &options, &system_now)?;
    let base = replica.base_version()?;
    let key = remote.identity().ok().flatten().map(|identity| identity.key);
    let (met, _) = replica.remotes()?;
    let place = Place {
        label: remote.label(),
        is_new: base.is_nil(),
        is_known: met.iter().any(|row| Some(&row.key) == key.as_ref() && !row.last_base.is_nil()),
        guards: remote.is_directory() || foresight.report.client_is_expected,
    };
    // What would be sent a server or a folder may not take: the session would hear of it too late.
    let would_send = matches!(
        &foresight.foreseen,
        Foreseen::Push | Foreseen::Offer { again: false } | Foreseen::Unorphan
    );
    let says = if would_send { remote.ask_of_itself() } else { None };
    let would_begin = match &foresight.foreseen {
        Foreseen::Push => place.is_new || foresight.report.client_was_forgotten,
        Foreseen::Offer { again } => !again,
        _ => false,
    };
    if would_begin && says.as_ref().is_some_and(|says| !says.takes_new_clients) {
        return Err(failed(&Failure::ClientUnknown));
    }
    if let Some(failure) = says.and_then(|says| says.not_ready) {
        return Err(failed(&failure));
    }
    of(&foresight, &place)
}

/// What stands between the replica and the remote.
struct Place {
    label: String,
    /// The replica stands on no version: it has never been in step with anything, or a move to this
    /// place has begun and not come to its end.
    is_new: bool,
    /// The replica was in step with this history before.
    is_known: bool,
    /// A mistyped client id would not have come so far.
    guards: bool,
}

/// What to look at where a history begins that should perhaps have been there.
const CHECK_CLIENT: &str = "if its history should be there already, check server_client_key";

fn of(foresight: &Foresight, place: &Place) -> Result<Verdict, Fail> {
    let report = &foresight.report;
    let well = |state, text: &str| Verdict { state, text: text.to_owned(), cure: None };
    let seen = |state, text: &str, cure: &str| {
        let cure = Some((Exit::Done, cure.to_owned()));
        Verdict { state, text: text.to_owned(), cure }
    };
    Ok(match &foresight.foreseen {
        Foreseen::InStep if place.is_new => well("empty", "no history there yet"),
        _ if report.client_was_forgotten => seen(
            "no_such_client",
            "this list is no longer known there",
            "`ta sync` brings the whole list there again; ask the operator whether it was reset",
        ),
        Foreseen::InStep => well("in_step", "nothing there that is not here"),
        Foreseen::NoHistory if report.client_is_expected => {
            well("empty", "no history there yet of this client, which is expected")
        }
        Foreseen::NoHistory => seen(
            "no_such_client",
            "no history there for this client: a new list, or a typo",
            "if it is a new list, add tasks and run `ta sync --new-history`; else check \
             server_client_key",
        ),
        Foreseen::Pull if place.is_new && place.is_known => well(
            "other_history",
            "this list was in step there before and is not joined with it again yet: ta sync does that",
        ),
        Foreseen::Pull if place.is_new => well(
            "other_history",
            "a list is there that has not been brought together with this one: ta sync does that",
        ),
        Foreseen::Pull => well("ahead", "newer versions there: ta sync"),
        Foreseen::Push if place.is_new && place.guards => {
            well("empty", "no history there yet: ta sync begins one")
        }
        Foreseen::Push if place.is_new => {
            let found = "no history there yet for this client: ta sync begins one";
            seen("empty", found, CHECK_CLIENT)
        }
        Foreseen::Push | Foreseen::Snapshot => well("in_step", "nothing there that is not here"),
        Foreseen::Arrived => {
            well("in_step", "what was sent last has arrived, and its answer was not heard: ta sync")
        }
        Foreseen::Offer { again: true } => seen(
            "other_history",
            "this list was in step there before, and elsewhere since",
            "`ta sync` joins the two again; if that is not wanted, correct the settings first: \
             ta config list",
        ),
        Foreseen::Offer { again: false } => seen(
            "empty",
            "no history there yet: ta sync offers the whole list",
            match place.guards {
                true => "if that is not wanted, correct the settings first: ta config list",
                false => CHECK_CLIENT,
            },
        ),
        Foreseen::Reinitialise => seen(
            "gone",
            "the version on which this replica stands has gone",
            "`ta sync` takes the server's present and keeps what is only here",
        ),
        Foreseen::Unorphan => seen(
            "orphaned",
            "another program left versions of this replica off the chain",
            "`ta sync` sends them again",
        ),
        Foreseen::Asks(asked) => {
            let state = match asked {
                Question::TwoLists { .. } => "other_history",
                Question::NewHistory => "no_such_client",
                Question::ServerWentBack { .. } => "went_back",
                Question::ForeignHistory { .. } => "foreign_history",
            };
            let fail = explain_question(asked, &place.label);
            let cure = Some((fail.exit, fail.hint.unwrap_or_default()));
            Verdict { state, text: fail.message, cure }
        }
        Foreseen::Fails(failure) => return Err(failed(failure)),
        _ => well("ahead", "the next sync tells: ta sync"),
    })
}

/// The verdict as `ta doctor` shows it.
pub(super) fn check(replica: &mut Replica, remote: &mut dyn Remote) -> Check {
    const NAME: &str = "next sync";
    match verdict(replica, remote) {
        Err(fail) => Check::of_fail(NAME, fail),
        Ok(Verdict { text, cure: None, .. }) => Check::well(NAME, text),
        Ok(Verdict { text, cure: Some((Exit::Done, cure)), .. }) => {
            Check::warning(NAME, text, cure)
        }
        Ok(Verdict { text, cure: Some((exit, cure)), .. }) => Check::ill(NAME, exit, text, cure),
    }
}
