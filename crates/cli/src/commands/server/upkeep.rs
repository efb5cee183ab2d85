//! `ta server stats|verify|gc|check-config`.

use std::sync::Arc;

use serde_json::json;
use tandem_server::keeper::{self, Round};
use tandem_server::store::Retained;
use tandem_server::tls::AUTHORITY;
use tandem_tasks::serve::retention::Day;
use tandem_tasks::serve::rounds::Watched;

use super::{Desk, bytes, client, counted, tag};
use crate::fail::{Exit, Fail};

pub(super) fn stats(desk: &mut Desk<'_>) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let totals = desk.ask(&store, async |admin| admin.totals().await)?;
    if desk.output.is_json {
        desk.output.json(&json!({
            "clients": totals.clients,
            "accounts": totals.accounts,
            "versions": totals.versions,
            "version_bytes": totals.version_bytes,
            "snapshots": totals.snapshots,
            "snapshot_bytes": totals.snapshot_bytes,
            "storage_bytes": totals.storage_bytes,
            "free_bytes": totals.free_bytes,
        }));
        return Ok(Exit::Done);
    }
    let mut say = |name: &str, value: String| desk.output.line(format!("{name:<12}{value}"));
    say("Clients", totals.clients.to_string());
    say("Accounts", totals.accounts.to_string());
    say("Versions", format!("{}, {}", totals.versions, bytes(totals.version_bytes)));
    say("Snapshots", format!("{}, {}", totals.snapshots, bytes(totals.snapshot_bytes)));
    let free = totals.free_bytes.map(|free| format!(", {} of it free", bytes(free)));
    say("Storage", bytes(totals.storage_bytes) + &free.unwrap_or_default());
    Ok(Exit::Done)
}

pub(super) fn verify(desk: &mut Desk<'_>) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let mut findings = desk.ask(&store, async |admin| admin.check_storage().await)?;
    let (mut clients, mut versions, mut after) = (0_u64, 0_u64, None);
    loop {
        let checked = desk.ask(&store, async |admin| admin.check_client(after).await)?;
        let Some(checked) = checked else { break };
        let tag = tag(&store, checked.id);
        findings.extend(checked.findings.iter().map(|finding| format!("client {tag}: {finding}")));
        clients += 1;
        versions += checked.versions;
        after = Some(checked.next);
    }
    // A day of grace: midnight may have passed.
    let tomorrow = Day(Day::of(desk.now).0 + 1);
    let ahead = desk.ask(&store, async |admin| admin.clients_ahead_of(tomorrow).await)?;
    if ahead > 0 {
        findings.push(format!(
            "{} with days that are still to come: a clock was ahead, and their history stays \
             until then",
            counted(ahead, "client")
        ));
    }
    let is_sound = findings.is_empty();
    if desk.output.is_json {
        desk.output.json(&json!({
            "sound": is_sound, "clients": clients, "versions": versions, "findings": findings,
        }));
    } else {
        findings.iter().for_each(|finding| desk.output.notice(finding));
        if is_sound {
            desk.output.line(format!(
                "Sound: {} of {}, every chain single and whole.",
                counted(versions, "version"),
                counted(clients, "client")
            ));
        }
    }
    if is_sound {
        return Ok(Exit::Done);
    }
    let hint = match desk.config.database {
        None => {
            "Keep a copy of the folder. `ta server restore` brings a backup back; what came since, \
             replicas send again."
        }
        Some(_) => {
            "Keep a copy of the database. `ta server restore` says how a backup is brought back; what \
             came since, replicas send again."
        }
    };
    let wrong = match findings.len() {
        1 => "one thing is wrong with the storage".to_owned(),
        many => format!("{many} things are wrong with the storage"),
    };
    Err(Fail::failed(wrong).hint(hint))
}

pub(super) fn gc(desk: &mut Desk<'_>, has_force: bool) -> Result<Exit, Fail> {
    let store = desk.store()?;
    // What PostgreSQL does with the space is its own affair.
    let has_file = desk.config.database.is_none();
    let file = desk.data_dir.join(tandem_server::store::sqlite::DATABASE_FILE);
    let size = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let (before, rules) = (size(), desk.config.rules);
    let mut total = Retained::default();
    let clock: tandem_server::Clock = Arc::new(tandem_server::server::system_now);
    let watched = if has_force { Watched::ByAPerson } else { Watched::Nothing };
    let once = keeper::once(&store, rules, &clock, watched, &mut total);
    let round = desk.waiting.block_on(once)?;
    if total.is_left_to_another {
        let message = "another node is letting old history go at this moment";
        return Err(Fail::failed(message).hint("It looks at all clients. Run it again later."));
    }
    if round == Round::DateInDoubt {
        // Whose date is in doubt is what a person is asked about: not this machine's where the
        // database has its own.
        let (date, question) = if has_file {
            let today = Desk::day(desk.now.seconds());
            (format!("today is {today}, which does"), "If that date is right")
        } else {
            let question = "If it is right (psql: SELECT now())";
            ("the date of the database's clock does".to_owned(), question)
        };
        let message = format!("nothing was let go: {date} not follow from when it was last looked");
        return Err(Fail::failed(message).hint(format!(
            "{question}: ta server gc --force. A running server believes it after a day."
        )));
    }
    let reason = match total.versions {
        0 => Some(client::why_all_stays(desk, &store)?),
        _ => None,
    };
    desk.waiting.block_on(store.close())?;
    // The last connection's end moved the log into the file; beside a running server it is later.
    let given_back = has_file.then(|| before.saturating_sub(size()));
    if desk.output.is_json {
        desk.output.json(&json!({
            "versions": total.versions, "bytes": total.bytes, "given_back_bytes": given_back,
        }));
    } else if let Some(reason) = reason {
        desk.output.line(reason);
    } else {
        let space = given_back.map_or_else(
            || "PostgreSQL's VACUUM makes the space free for new ones".to_owned(),
            |given_back| format!("{} given back to the disk", bytes(given_back)),
        );
        desk.output.line(format!(
            "Let go: {} ({}); {space}.",
            counted(total.versions, "old version"),
            bytes(total.bytes)
        ));
    }
    Ok(Exit::Done)
}

/// Whether a server could start with this configuration, as far as that shows without starting one.
pub(super) fn check_config(desk: &mut Desk<'_>) -> Result<Exit, Fail> {
    let tls = tandem_server::program::check(&desk.config).map_err(super::super::serve::fail)?;
    let warning = tls.is_some_and(|tls| tls.is_authority()).then_some(AUTHORITY);
    if desk.output.is_json {
        desk.output.json(&json!({ "good": true, "warning": warning }));
    } else {
        if let Some(warning) = warning {
            desk.output.line(format!("warning: {warning}"));
        }
        desk.output.line("The settings are good; database, folder and ports were not tried. `ta serve --print-config` shows them.");
    }
    Ok(Exit::Done)
}
