//! What only the server can tell, in a few questions that change nothing.

use jiff::Timestamp as Instant;
use tandem_client::{SyncLock, connect, missing_history, system_now};
use tandem_core::VersionId;
use tandem_remote::{Call, Outcome, Remote};
use tandem_replica::{RemoteRow, Replica};
use tandem_settings::RemoteSettings;
use tandem_tasks::session::{Child, Failure, Response};
use tandem_words::dates::age;

use super::verdict::{self, Verdict};
use super::{Check, Health};
use crate::app::App;
use crate::commands::sync::connect_fail;
use crate::cure::{exit_and_cure, failed};
use crate::fail::{Exit, Fail};

/// A clock that is further off than this, in seconds, is worth a word: of two edits the later one
/// stands, and which one that is the clocks say.
const CLOCK_SECONDS_MAX: i64 = 60;

/// The replica, and where it stands.
pub(super) struct Stand {
    /// An empty one in memory where none has been made yet.
    pub(super) replica: Replica,
    /// The version that it has applied last.
    pub(super) base: VersionId,
    /// That version is of a remote that it has met.
    pub(super) is_base_known: bool,
    /// The remotes that the replica has met.
    pub(super) met: Vec<RemoteRow>,
}

impl Stand {
    /// Why a sync begins nothing in a folder that is empty.
    fn missing(&self, remote: &mut dyn Remote) -> Option<Failure> {
        let is_empty = remote.is_directory() && matches!(remote.identity(), Ok(None));
        is_empty
            .then(|| missing_history(&self.met, self.is_base_known, self.base, &remote.label()))?
    }
}

/// What the server says about the version after `parent`.
fn child(remote: &mut dyn Remote, parent: VersionId) -> Result<Child, Failure> {
    match remote.call(Call::GetChildVersion { parent }) {
        Outcome::Answer(Response::Child(child)) => Ok(child),
        Outcome::Answer(_) => {
            Err(Failure::NotTheProtocol { what: "an answer to another question".into() })
        }
        Outcome::Unknown(failure) | Outcome::Refused(failure) => Err(failure),
    }
}

/// Where the server stands, for `ta status --server`.
pub(in crate::commands) fn stand(app: &App<'_>, replica: &mut Replica) -> Result<Verdict, Fail> {
    let mut remote = connect(&app.settings).map_err(connect_fail)?;
    SyncLock::check(&app.data_dir()?)?;
    verdict::verdict(replica, remote.as_mut())
}

/// Everything about the server, or the folder in its place.
pub(super) fn checks(app: &App<'_>, stand: Option<&mut Stand>) -> Vec<Check> {
    let (Ok(settings), Ok(mut remote)) = (app.settings.remote(), connect(&app.settings)) else {
        return skipped(0, "the settings come first");
    };
    let is_tls = match &settings {
        RemoteSettings::Server { origin, .. } => Some(origin.is_https()),
        _ => None,
    };
    if let Some(failure) = stand.as_ref().and_then(|stand| stand.missing(remote.as_mut())) {
        let mut checks = vec![Check::of_fail(NAMES[0], failed(&failure))];
        checks.append(&mut skipped(1, "the folder comes first"));
        return checks;
    }
    let first = child(remote.as_mut(), VersionId::NIL);
    let says = remote.ask_of_itself();
    let mut checks = Vec::new();
    // A version that does not open has come from a server that answers well.
    let has_answered = match &first {
        Ok(_) | Err(Failure::WrongSecret { .. } | Failure::Malformed { .. }) => true,
        Err(Failure::Forbidden | Failure::ClientUnknown) => true,
        Err(_) => false,
    };
    match &first {
        Err(failure @ Failure::Tls { .. }) => {
            checks.push(Check::well("server", "somebody answers there"));
            checks.push(Check::of_fail("tls", failed(failure)));
            checks.append(&mut skipped(2, "the connection comes first"));
            return checks;
        }
        Err(failure) if !has_answered => {
            checks.push(Check::of_fail("server", failed(failure)));
            checks.append(&mut skipped(1, "the server could not be asked"));
            return checks;
        }
        Ok(Child::StrangeNotFound) => {
            checks.push(Check::of_fail("server", failed(&Failure::StrangeNotFound)));
            checks.append(&mut skipped(1, "the server comes first"));
            return checks;
        }
        _ => {
            let place = remote.label();
            checks.push(
                match (says.as_ref().and_then(|says| says.not_ready.as_ref()), &settings) {
                    (Some(failure), _) => Check::warning(
                        "server",
                        match remote.is_directory() {
                            true => format!("nothing new can be put there at present: {failure}"),
                            false => format!(
                                "{place} answers, but takes nothing new at present: {failure}"
                            ),
                        },
                        exit_and_cure(failure).1,
                    ),
                    (None, RemoteSettings::Directory(path)) if !path.exists() => Check::well(
                        "server",
                        format!("{place} is not there yet; the first sync of a list makes it"),
                    ),
                    (None, RemoteSettings::Directory(_)) => {
                        Check::well("server", format!("{place} can be read and written"))
                    }
                    (None, _) => Check::well("server", format!("{place} answers")),
                },
            );
        }
    }
    checks.push(tls(is_tls, &settings));
    checks.push(match is_tls {
        None => Check::skipped("clock", "a folder has none"),
        Some(_) => clock(remote.server_date().as_deref(), system_now().seconds()),
    });
    if let Err(failure @ (Failure::Forbidden | Failure::ClientUnknown)) = &first {
        checks.push(Check::of_fail("client", failed(failure)));
        checks.append(&mut skipped(4, "the client comes first"));
        return checks;
    }
    let is_closed = says.is_some_and(|says| !says.takes_new_clients);
    if is_closed && matches!(first, Ok(Child::NoSuchClient)) {
        let (exit, cure) = exit_and_cure(&Failure::ClientUnknown);
        let found = "the server does not know this client, and begins no list for new ones";
        checks.push(Check::ill("client", exit, found, cure));
        checks.append(&mut skipped(4, "the client comes first"));
        return checks;
    }
    checks.append(&mut history(remote.as_mut(), first, is_tls.is_some()));
    checks.push(match stand {
        _ if checks.iter().any(|check| matches!(check.health, Health::Ill(_))) => {
            Check::skipped("next sync", "what is above comes first")
        }
        None => Check::skipped("next sync", "the replica comes first"),
        Some(stand) => verdict::check(&mut stand.replica, remote.as_mut()),
    });
    checks
}

/// The names of the checks, in order.
const NAMES: [&str; 7] = ["server", "tls", "clock", "client", "secret", "history", "next sync"];

fn skipped(from: usize, why: &str) -> Vec<Check> {
    NAMES[from..].iter().map(|name| Check::skipped(name, why)).collect()
}

fn tls(is_tls: Option<bool>, settings: &RemoteSettings) -> Check {
    let is_loopback = match settings {
        RemoteSettings::Server { origin, .. } => origin.is_loopback(),
        _ => false,
    };
    match is_tls {
        None => Check::skipped("tls", "a folder needs none"),
        Some(true) => Check::well("tls", "the certificate is good"),
        Some(false) if is_loopback => {
            Check::well("tls", "not used, and not needed on this machine")
        }
        Some(false) => Check::warning(
            "tls",
            "the line is not encrypted: the list is sealed, the client key travels in clear",
            "give the server a certificate, or put a TLS proxy in front, and set server_origin to https://…",
        ),
    }
}

/// Compares the server's clock with ours.
fn clock(date: Option<&str>, now: i64) -> Check {
    let theirs = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(theirs) = theirs.map(|date| Instant::as_second(date.timestamp())) else {
        return Check::skipped("clock", "the server does not tell the time");
    };
    let ahead = now.saturating_sub(theirs);
    if ahead.abs() <= CLOCK_SECONDS_MAX {
        return Check::well("clock", "agrees with the server's");
    }
    let (off, way) = (age(ahead.abs()), if ahead > 0 { "ahead of" } else { "behind" });
    Check::warning(
        "clock",
        format!("{off} {way} the server's"),
        "set the clock by the network (timedatectl set-ntp true): of two edits the later one stands, \
         and clocks say which that is",
    )
}

/// Whether the server knows the client, the secret opens what is there, and a new replica could be
/// made from it.
fn history(remote: &mut dyn Remote, first: Result<Child, Failure>, is_server: bool) -> Vec<Check> {
    let is_unknown = matches!(first, Ok(Child::NoSuchClient | Child::NothingYet));
    let known = match is_server {
        false => Check::skipped("client", "a folder knows none"),
        true if is_unknown => Check::well("client", "the server serves it, and has no list of it"),
        true => Check::well("client", "the server knows it"),
    };
    if is_unknown || matches!(first, Ok(Child::UpToDate)) {
        let why = "there is nothing at the server";
        return vec![known, Check::skipped("secret", why), Check::skipped("history", why)];
    }
    let begins = match first {
        Ok(Child::Version { .. }) => Ok("from its first version on"),
        Ok(_) => match remote.call(Call::GetSnapshot) {
            Outcome::Answer(Response::Snapshot(Some(_))) => Ok("from a snapshot on"),
            Outcome::Answer(_) => Err(None),
            Outcome::Unknown(failure) | Outcome::Refused(failure) => Err(Some(failure)),
        },
        Err(failure) => Err(Some(failure)),
    };
    let (secret, history) = match begins {
        Ok(begins) => (
            Check::well(
                "secret",
                if is_server { "opens what is there" } else { "a folder needs none" },
            ),
            Check::well("history", format!("complete {begins}")),
        ),
        Err(None) => (
            Check::skipped("secret", "there was nothing to open"),
            Check::ill(
                "history",
                Exit::Failed,
                "it begins in the middle and has no snapshot: a new replica could not be made from it",
                "run `ta sync` on a replica that is in step, so that the server gets a snapshot",
            ),
        ),
        Err(Some(failure @ Failure::WrongSecret { .. })) => (
            Check::of_fail("secret", failed(&failure)),
            Check::skipped("history", "the secret comes first"),
        ),
        Err(Some(failure)) => (
            Check::skipped("secret", "nothing could be opened"),
            Check::of_fail("history", failed(&failure)),
        ),
    };
    vec![known, secret, history]
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_clock_that_is_more_than_a_minute_off_is_worth_a_word() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let there = 784_111_777;
        for (ahead, health) in [
            (0, Health::Well),
            (60, Health::Well),
            (-60, Health::Well),
            (61, Health::Warning),
            (-61, Health::Warning),
        ] {
            assert_eq!(clock(date, there + ahead).health, health, "{ahead}");
        }
        assert!(clock(date, there - 7200).found.contains("behind"));
        for strange in [None, Some(""), Some("yesterday")] {
            assert_eq!(clock(strange, there).health, Health::Skipped);
        }
    }
}
