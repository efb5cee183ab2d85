//! `ta server client`: who has a history here, and shutting out or removing one.

use std::io::BufRead as _;
use std::sync::Arc;

use serde_json::{Value, json};
use tandem_core::ClientId;
use tandem_server::Store;
use tandem_server::access::Mode;
use tandem_server::store::admin::{ClientEntry, Extent, SnapshotDropped, State};
use tandem_tasks::serve::retention::SNAPSHOT_GENERATIONS;
use tandem_words::Table;
use tandem_words::table::{Align, Fit};

use super::{Desk, Own, bytes, counted, tag, user};
use crate::fail::{Exit, Fail, misused};

const USAGE: &str = "Use ta server client list | show|disable|enable|take|rotate|delete|reset CLIENT | \
    give CLIENT NAME | snapshot drop CLIENT.";

/// The commands, for one that is mistyped.
const COMMANDS: [&str; 10] =
    ["list", "show", "disable", "enable", "give", "take", "rotate", "delete", "reset", "snapshot"];

/// Clients that are read at once.
const PAGE: u32 = 1000;

/// Clients that a sentence names; more of them are counted.
const NAMED_MAX: usize = 3;

/// The longest line that can name a client, in bytes.
const LINE_BYTES_MAX: u64 = 256;

pub(super) fn run(desk: &mut Desk<'_>, words: &[&str], own: &mut Own) -> Result<Exit, Fail> {
    // An id in the place of a tag is typed, or comes from a file, where no list of processes shows it.
    let typed = match words.iter().position(|word| *word == "-") {
        Some(place) => Some((place, read_line()?)),
        None => None,
    };
    let mut words = words.to_vec();
    if let Some((place, line)) = &typed {
        words[*place] = line;
    }
    match words[..] {
        ["list"] | [] => list(desk, own.take_reveal()),
        ["show", name] => show(desk, name, own.take_reveal()),
        ["disable", name] => set_state(desk, name, State::Disabled),
        ["enable", name] => set_state(desk, name, State::Enabled),
        ["give", name, account] => give(desk, name, account),
        ["take", name] => take(desk, name),
        ["rotate", name] => rotate(desk, name),
        ["delete", name] => remove(desk, name, Extent::Client),
        ["reset", name] => remove(desk, name, Extent::History),
        ["snapshot", "drop", name] => drop_snapshot(desk, name),
        ["snapshot", word, ..] => {
            Err(misused("server client snapshot", Some(word), &["drop"], USAGE))
        }
        _ => Err(misused("server client", words.first().copied(), &COMMANDS, USAGE)),
    }
}

/// The first line of standard input.
fn read_line() -> Result<String, Fail> {
    let mut line = String::new();
    let read = std::io::Read::take(std::io::stdin().lock(), LINE_BYTES_MAX).read_line(&mut line);
    read.map_err(|error| {
        Fail::failed(format!("standard input could not be read: {error}"))
            .hint("Nothing was changed.")
    })?;
    Ok(line.trim().to_owned())
}

fn all(desk: &Desk<'_>, store: &Arc<dyn Store>) -> Result<Vec<ClientEntry>, Fail> {
    desk.ask(store, async |admin| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = admin.clients(after, PAGE).await?;
            all.extend(page.clients);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    })
}

/// Why no version may go: what it takes, and which clients are still far from it.
pub(super) fn why_all_stays(desk: &Desk<'_>, store: &Arc<dyn Store>) -> Result<String, Fail> {
    let clients = all(desk, store)?;
    if clients.is_empty() {
        return Ok("Nothing to delete: no client has a history here.".to_owned());
    }
    let is_short = |entry: &&ClientEntry| entry.facts.snapshots.len() < SNAPSHOT_GENERATIONS;
    let mut short: Vec<String> =
        clients.iter().filter(is_short).map(|entry| tag(store, entry.id)).collect();
    let more = short.len().saturating_sub(NAMED_MAX);
    short.truncate(NAMED_MAX);
    let names = short.join(", ");
    let who = match (short.len(), more) {
        (0, _) => "Every client has two snapshots.".to_owned(),
        (_, 0) => format!("Without two snapshots: {names}."),
        _ => format!("Without two snapshots: {names} and {more} more."),
    };
    let (days, kept) = (desk.config.rules.grace_days, desk.config.rules.versions_min);
    Ok(format!(
        "Nothing to delete yet. A version goes once its client has two snapshots of it or of later \
         versions, one such was stored {days} days ago, and no replica has asked for it since; the \
         newest {kept} stay. {who}"
    ))
}

/// The client that a tag means, or the beginning of one, or a whole id. An id is a credential, and
/// the process list is read by many: tags are better.
fn find(desk: &Desk<'_>, store: &Arc<dyn Store>, name: &str) -> Result<ClientEntry, Fail> {
    only(store, all(desk, store)?, |entry| entry.id, name)
}

/// The one that is meant.
fn only<T>(
    store: &Arc<dyn Store>,
    all: Vec<T>,
    id_of: impl Fn(&T) -> ClientId,
    name: &str,
) -> Result<T, Fail> {
    let id: Option<ClientId> = name.parse().ok();
    let name = name.to_ascii_lowercase();
    let is_meant = |one: &T| match id {
        Some(id) => id_of(one) == id,
        None => name.len() >= 4 && tag(store, id_of(one)).starts_with(&name),
    };
    let mut found: Vec<T> = all.into_iter().filter(is_meant).collect();
    let hint = "`ta server client list` lists them; write the first column, or 4 of its characters at least.";
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Fail::usage("several clients are meant").hint(hint)),
        (None, _) => Err(Fail::failed("there is no such client here").hint(hint)),
    }
}

fn document(store: &Arc<dyn Store>, entry: &ClientEntry, reveals: bool) -> Value {
    let facts = &entry.facts;
    let snapshots: Vec<Value> = facts
        .snapshots
        .iter()
        .map(|snapshot| {
            json!({
                "version": snapshot.version.to_string(),
                "stored_at": snapshot.stored_at.to_string(),
                "bytes": snapshot.bytes,
            })
        })
        .collect();
    json!({
        "client": tag(store, entry.id),
        "client_id": reveals.then(|| entry.id.to_string()),
        "account": entry.account,
        "disabled": entry.is_disabled,
        "last_seen": Desk::day(facts.seen.0.saturating_mul(86_400)),
        "made_at": facts.made_at.to_string(),
        "changed_at": facts.changed_at.to_string(),
        "latest_version": facts.latest.to_string(),
        "versions": facts.versions,
        "versions_ever": facts.versions_ever,
        "version_bytes": facts.version_bytes,
        "snapshots": snapshots,
        "versions_since_snapshot": facts.versions_since_snapshot,
        "adopted": facts.is_adopted,
    })
}

fn list(desk: &mut Desk<'_>, reveals: bool) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let clients = all(desk, &store)?;
    if desk.output.is_json {
        let all = clients.iter().map(|entry| document(&store, entry, reveals)).collect();
        desk.output.json(&Value::Array(all));
        return Ok(Exit::Done);
    }
    let shut_out = desk.ask(&store, async |admin| admin.shut_out().await)?;
    if clients.is_empty() {
        desk.output.line("No client has a history here yet.");
        say_shut_out(desk, &store, &shut_out);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("Client", Align::Left, Fit::Keep),
        ("Account", Align::Left, Fit::Keep),
        ("Last seen", Align::Left, Fit::Keep),
        ("Versions", Align::Right, Fit::Keep),
        ("Size", Align::Right, Fit::Keep),
        ("Snapshot", Align::Left, Fit::Keep),
        ("State", Align::Left, Fit::Keep),
    ]);
    for entry in &clients {
        let facts = &entry.facts;
        let size: u64 = facts.snapshots.iter().map(|snapshot| snapshot.bytes).sum();
        let snapshot = facts.snapshots.first();
        let id = if reveals { entry.id.to_string() } else { tag(&store, entry.id) };
        table.push([
            id,
            entry.account.clone().unwrap_or_default(),
            Desk::day(facts.seen.0.saturating_mul(86_400)),
            facts.versions.to_string(),
            bytes(facts.version_bytes.saturating_add(size)),
            snapshot.map_or_else(|| "none".to_owned(), |one| Desk::day(one.stored_at.seconds())),
            if entry.is_disabled { "disabled" } else { "" }.to_owned(),
        ]);
    }
    desk.output.text(&table.render(crate::output::width(), crate::output::style()));
    say_shut_out(desk, &store, &shut_out);
    Ok(Exit::Done)
}

/// Who could not come back even without a history.
fn say_shut_out(desk: &mut Desk<'_>, store: &Arc<dyn Store>, clients: &[ClientId]) {
    if !clients.is_empty() {
        let tags: Vec<String> = clients.iter().map(|client| tag(store, *client)).collect();
        desk.output.line(format!("Shut out, without a history here: {}", tags.join(", ")));
    }
}

fn show(desk: &mut Desk<'_>, name: &str, reveals: bool) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let entry = find(desk, &store, name)?;
    if desk.output.is_json {
        desk.output.json(&document(&store, &entry, reveals));
        return Ok(Exit::Done);
    }
    let facts = &entry.facts;
    let mut say = |name: &str, value: String| desk.output.line(format!("{name:<24}{value}"));
    say("Client", tag(&store, entry.id));
    if reveals {
        say("Client id", entry.id.to_string());
    }
    say("Account", entry.account.clone().unwrap_or_else(|| "none".to_owned()));
    say("State", if entry.is_disabled { "disabled" } else { "served" }.to_owned());
    say("Last seen", Desk::day(facts.seen.0.saturating_mul(86_400)));
    say("First seen", Desk::day(facts.made_at.seconds()));
    say("Latest version", facts.latest.to_string());
    say("Versions", format!("{} ({} ever)", facts.versions, facts.versions_ever));
    say("Size of versions", bytes(facts.version_bytes));
    for snapshot in &facts.snapshots {
        let day = Desk::day(snapshot.stored_at.seconds());
        say("Snapshot", format!("{day}, {}, of {}", bytes(snapshot.bytes), snapshot.version));
    }
    say("Versions since", facts.versions_since_snapshot.to_string());
    if facts.is_adopted {
        say("Begins in the middle", "a snapshot is asked for".to_owned());
    }
    Ok(Exit::Done)
}

fn set_state(desk: &mut Desk<'_>, name: &str, state: State) -> Result<Exit, Fail> {
    let is_disabled = state == State::Disabled;
    // One that may have leaked can be shut out before it ever comes.
    let unseen: Option<ClientId> = name.parse().ok().filter(|_| is_disabled);
    let store = desk.store()?;
    let known = known(desk, &store)?;
    let (id, is_known) = match unseen {
        Some(id) => (id, known.contains(&id)),
        None => (only(&store, known, |id| *id, name)?, true),
    };
    let now = desk.now;
    desk.ask(&store, async |admin| admin.set_client_state(id, state, now).await)?;
    let tag = tag(&store, id);
    if desk.output.is_json {
        desk.output.json(&json!({ "client": tag, "disabled": is_disabled, "known": is_known }));
    } else if !is_known {
        desk.output.line(format!("{tag} is shut out. It was never here."));
    } else if is_disabled {
        desk.output.line(format!("{tag} is shut out. Its history stays."));
    } else {
        desk.output.line(format!("{tag} is served again."));
    }
    Ok(Exit::Done)
}

/// All client ids of which anything is known: those with a history, of accounts, and shut out.
fn known(desk: &Desk<'_>, store: &Arc<dyn Store>) -> Result<Vec<ClientId>, Fail> {
    let mut known: Vec<ClientId> = all(desk, store)?.iter().map(|entry| entry.id).collect();
    known.extend(desk.ask(store, async |admin| admin.shut_out().await)?);
    let accounts = desk.ask(store, async |admin| admin.accounts().await)?;
    known.extend(accounts.into_iter().flat_map(|account| account.clients));
    known.sort_unstable_by_key(|id| id.to_bytes());
    known.dedup();
    Ok(known)
}

fn is_shut_out(desk: &Desk<'_>, store: &Arc<dyn Store>, id: ClientId) -> Result<bool, Fail> {
    let with_history = all(desk, store)?.into_iter().find(|entry| entry.id == id);
    match with_history {
        Some(entry) => Ok(entry.is_disabled),
        None => Ok(desk.ask(store, async |admin| admin.shut_out().await)?.contains(&id)),
    }
}

/// Who owns a client id.
fn owner(desk: &Desk<'_>, store: &Arc<dyn Store>, id: ClientId) -> Result<Option<String>, Fail> {
    let accounts = desk.ask(store, async |admin| admin.accounts().await)?;
    let owner = accounts.into_iter().find(|account| account.clients.contains(&id));
    Ok(owner.map(|account| account.name))
}

/// Gives a client id that is in use to an account. A whole id may be one that never came.
fn give(desk: &mut Desk<'_>, name: &str, account: &str) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let id = match name.parse() {
        Ok(id) => id,
        Err(_) => only(&store, known(desk, &store)?, |id| *id, name)?,
    };
    let before = owner(desk, &store, id)?.filter(|before| before != account);
    let now = desk.now;
    if !desk.ask(&store, async |admin| admin.add_account_client(account, id, now).await)? {
        return Err(user::unknown(account));
    }
    let tag = tag(&store, id);
    if desk.output.is_json {
        desk.output.json(&json!({ "client": tag, "account": account, "before": before }));
        return Ok(Exit::Done);
    }
    desk.output.line(match before {
        Some(before) => format!("{tag} belongs to {account} now, and to {before} no more."),
        None => format!("{tag} belongs to {account} now."),
    });
    if is_shut_out(desk, &store, id)? {
        desk.output.line(format!("It stays shut out; to let it in: ta server client enable {tag}"));
    }
    Ok(Exit::Done)
}

/// Takes a client id from its account.
fn take(desk: &mut Desk<'_>, name: &str) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let id = only(&store, known(desk, &store)?, |id| *id, name)?;
    let before = owner(desk, &store, id)?;
    let tag = tag(&store, id);
    if !desk.ask(&store, async |admin| admin.remove_account_client(id).await)? {
        return Err(Fail::failed(format!("{tag} belongs to no account"))
            .hint("`ta server user list` shows which client ids belong to whom."));
    }
    if desk.output.is_json {
        desk.output.json(&json!({ "client": tag, "account": null, "before": before }));
        return Ok(Exit::Done);
    }
    let before = before.unwrap_or_else(|| "its account".to_owned());
    desk.output.line(format!(
        "{tag} belongs to {before} no more; its history stays. A server for accounts alone refuses it; \
         to have it refused everywhere: ta server client disable {tag}"
    ));
    Ok(Exit::Done)
}

/// Puts a new client id in the place of one, which is shut out.
fn rotate(desk: &mut Desk<'_>, name: &str) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let old = only(&store, known(desk, &store)?, |id| *id, name)?;
    let (new, now) = (user::new_client_id()?, desk.now);
    let (old_tag, new_tag) = (tag(&store, old), tag(&store, new));
    let owner = owner(desk, &store, old)?;
    if owner.is_none() && is_shut_out(desk, &store, old)? {
        return Err(Fail::failed(format!("{old_tag} is shut out and belongs to nobody")).hint(format!(
            "It may have been replaced already: then look at `ta server client list --reveal`, or replace \
             the new one. To replace this one all the same: ta server client enable {old_tag}"
        )));
    }
    if owner.is_none() && desk.config.access.mode == Mode::Accounts {
        desk.output.notice(format!(
            "This server serves client ids of accounts, and the new one has none yet: ta server client \
             give {new_tag} NAME"
        ));
    }
    let has_history = all(desk, &store)?.iter().any(|entry| {
        entry.id == old && (entry.facts.versions > 0 || !entry.facts.snapshots.is_empty())
    });
    desk.confirm(&match has_history {
        true => format!(
            "This shuts out {old_tag}, and all replicas that use it until they have the new client id. \
             It is best when all have just synced."
        ),
        false => format!("This shuts out {old_tag}, under which nothing is stored yet."),
    })?;
    if !desk.ask(&store, async |admin| admin.rotate_client(old, new, now).await)? {
        return Err(Fail::failed("the client was removed meanwhile").hint("Nothing was changed."));
    }
    // The list is the servers' own setting; what another one was started with is not known here.
    desk.output.notice(match desk.config.access.allowed {
        Some(_) => {
            "allow_client_id names who is served: put the new client id in the place of the old one \
             there, and start the servers again. Until then they refuse it."
        }
        None => {
            "No allow_client_id is set here. If a server is started with such a list elsewhere, put the \
             new client id there, in the place of the old one."
        }
    });
    if desk.output.is_json {
        desk.output.json(&json!({
            "client": new_tag,
            "client_id": new.to_string(),
            "before": old_tag,
            "server": user::Place::of(&desk.config).known(),
        }));
        return Ok(Exit::Done);
    }
    desk.output.line(format!("{old_tag} is shut out. In its place: {new_tag}, with the client id"));
    desk.output.once(format!("  {new}"));
    desk.output.line("");
    if !has_history {
        desk.output.line(
            "Nothing was stored under the old one, so nothing has to move: whoever was to use it takes \
             this one.",
        );
        user::say_new_client(desk, new);
        return Ok(Exit::Done);
    }
    desk.output.line(
        "It begins empty: what is stored is sealed with a key that is made of the secret and the old \
         client id. Nothing is lost: each replica has the whole list.",
    );
    user::say_new_client(desk, new);
    desk.output.line("");
    desk.output.line(format!(
        "Then, at each replica: `task sync` for Taskwarrior, those that were in step first; then `ta \
         sync`. Where it asks: `ta sync --new-history` at the first, `ta sync --join` at the others. When \
         all have moved: ta server client delete {old_tag}"
    ));
    Ok(Exit::Done)
}

fn remove(desk: &mut Desk<'_>, name: &str, extent: Extent) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let entry = find(desk, &store, name)?;
    let tag = tag(&store, entry.id);
    let what = match extent {
        Extent::Client => "the client and its history",
        Extent::History => "the history of the client",
    };
    desk.confirm(&format!(
        "This removes {what}: {tag}, {}, {}. What its replicas have not sent, they keep.",
        counted(entry.facts.versions, "version"),
        bytes(entry.facts.version_bytes)
    ))?;
    let removed = desk.ask(&store, async |admin| admin.remove_history(entry.id, extent).await)?;
    let Some(removed) = removed else {
        return Err(Fail::failed("the client was removed meanwhile").hint("Nothing is left to do."));
    };
    if desk.output.is_json {
        desk.output.json(&json!({
            "client": tag,
            "versions": removed.versions,
            "snapshots": removed.snapshots,
            "bytes": removed.bytes,
        }));
        return Ok(Exit::Done);
    }
    let counts = format!(
        "Removed: {} and {} ({}).",
        counted(removed.versions, "version"),
        counted(removed.snapshots, "snapshot"),
        bytes(removed.bytes)
    );
    desk.output.line(match extent {
        Extent::Client if entry.is_disabled => format!("{counts} {tag} stays shut out."),
        Extent::Client => format!(
            "{counts} {tag} is not known any more, nor of any account; an open server makes it anew \
             when it comes back."
        ),
        Extent::History => {
            format!("{counts} {tag} begins anew with whichever replica comes first.")
        }
    });
    Ok(Exit::Done)
}

/// For replicas that cannot use the newest snapshot: the one before is handed out again.
fn drop_snapshot(desk: &mut Desk<'_>, name: &str) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let entry = find(desk, &store, name)?;
    let tag = tag(&store, entry.id);
    let none = || {
        Fail::failed(format!("{tag} has no snapshot")).hint(
            "A new replica walks through all versions; the next one that syncs is asked for a \
             snapshot.",
        )
    };
    let newest = entry.facts.snapshots.first().ok_or_else(none)?;
    desk.confirm(&format!(
        "This removes the newest snapshot of {tag}: {}, {}. The one before is handed out then.",
        Desk::day(newest.stored_at.seconds()),
        bytes(newest.bytes)
    ))?;
    let dropped = desk.ask(&store, async |admin| admin.drop_snapshot(entry.id).await)?;
    match dropped {
        SnapshotDropped::Dropped(facts) => {
            if desk.output.is_json {
                let version = facts.version.to_string();
                desk.output.json(&json!({ "client": tag, "dropped": version }));
                return Ok(Exit::Done);
            }
            let next = match entry.facts.snapshots.get(1) {
                Some(older) => {
                    format!("New replicas get that of {}", Desk::day(older.stored_at.seconds()))
                }
                None => "New replicas walk through all versions".to_owned(),
            };
            desk.output
                .line(format!("Removed: the snapshot of version {}. {next}.", facts.version));
            Ok(Exit::Done)
        }
        SnapshotDropped::None | SnapshotDropped::NoSuchClient => Err(none()),
        SnapshotDropped::OnlyWayIn => Err(Fail::failed(format!(
            "{tag} has no other snapshot, and its first versions are gone"
        ))
        .hint(
            "Without it a new replica has no way in. A replica that is in step stores a new one \
             when it syncs; or `ta server client reset`, and it sends everything again.",
        )),
    }
}
