//! `ta server user`: accounts, with their client ids and tokens.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;

use serde_json::{Value, json};
use tandem_core::ClientId;
use tandem_server::account::{self, BadCredential, NoSecret, PASSWORD_BYTES_MAX, Token};
use tandem_server::config::{Config, Key, Origin};
use tandem_server::store::admin::{NewAccount, Scope, State};
use tandem_server::store::sqlite::DATABASE_FILE;
use tandem_words::Table;
use tandem_words::table::{Align, Fit};

use super::{Desk, tag};
use crate::fail::{Exit, Fail, misused};

/// Stands for the server's name, which only its operator knows.
const HOST: &str = "YOUR-SERVER";

/// Stands for its port, where the system chooses one.
const PORT: &str = "PORT";

/// What is typed at each replica of `ta`.
const SET_CLIENT_KEY: &str = "ta config set server_client_key -";

pub(super) fn run(desk: &mut Desk<'_>, words: &[&str]) -> Result<Exit, Fail> {
    match words {
        ["add", name] => add(desk, name),
        ["client", name] => add_client(desk, name),
        ["list"] | [] => list(desk),
        ["passwd", name] => set_password(desk, name),
        ["disable", name] => set_state(desk, name, State::Disabled),
        ["enable", name] => set_state(desk, name, State::Enabled),
        _ => Err(misused(
            "server user",
            words.first().copied(),
            &["list", "add", "client", "passwd", "disable", "enable"],
            "Use ta server user list | add|client|passwd|disable|enable NAME.",
        )),
    }
}

fn add(desk: &mut Desk<'_>, name: &str) -> Result<Exit, Fail> {
    account::check_name(name)?;
    let file = desk.data_dir.join(DATABASE_FILE);
    // The file is told, since another one may have been meant; a database was named by whoever asks.
    let was_there = desk.config.database.is_some() || file.exists();
    let store = desk.store_or_new()?;
    let known = desk.ask(&store, async |admin| admin.accounts().await)?;
    if known.iter().any(|account| account.name == name) {
        return Err(taken(name));
    }
    let password = account::hash_password(&read_password()?)?;
    let (read, write) = (Token::make()?, Token::make()?);
    let client = new_client_id()?;
    let new = NewAccount {
        name: name.to_owned(),
        password,
        client,
        tokens: vec![(read.hash(), Scope::Read), (write.hash(), Scope::Write)],
        at: desk.now,
    };
    if !desk.ask(&store, async |admin| admin.add_account(new).await)? {
        return Err(taken(name));
    }
    say_allowed(desk);
    let place = Place::of(&desk.config);
    let database = match &desk.config.database {
        None => file.display().to_string(),
        Some(_) => "the database that is named".to_owned(),
    };
    if desk.output.is_json {
        desk.output.json(&json!({
            "account": name,
            "client_id": client.to_string(),
            "read_token": read.dangerously_reveal(),
            "write_token": write.dangerously_reveal(),
            "server": place.known(),
            "database": desk.config.database.is_none().then_some(&database),
            "database_made": !was_there,
        }));
        return Ok(Exit::Done);
    }
    if !was_there {
        desk.output.notice(format!(
            "{database} was not there and was made now. If the server uses another folder, name it: \
             --data-dir, or data_dir in its file."
        ));
    }
    desk.output.line(format!("The account {name} was made in {database}"));
    desk.output.line("These are shown this once:");
    desk.output.once(format!("  client id    {client}"));
    desk.output.once(format!("  read token   {}", read.dangerously_reveal()));
    desk.output.once(format!("  write token  {}", write.dangerously_reveal()));
    say_how(desk, &place, client);
    Ok(Exit::Done)
}

fn taken(name: &str) -> Fail {
    Fail::failed(format!("there is an account {name} already"))
        .hint(format!("Another list for it: ta server user client {name}"))
}

fn add_client(desk: &mut Desk<'_>, name: &str) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let (client, now) = (new_client_id()?, desk.now);
    if !desk.ask(&store, async |admin| admin.add_account_client(name, client, now).await)? {
        return Err(unknown(name));
    }
    say_allowed(desk);
    let place = Place::of(&desk.config);
    if desk.output.is_json {
        desk.output.json(&json!({
            "account": name,
            "client_id": client.to_string(),
            "server": place.known(),
        }));
        return Ok(Exit::Done);
    }
    desk.output.once(format!("{name} has another client id, for another list: {client}"));
    say_how(desk, &place, client);
    Ok(Exit::Done)
}

/// A list of those who are served is the servers' own setting, and knows nothing of accounts.
fn say_allowed(desk: &mut Desk<'_>) {
    if desk.config.access.allowed.is_some() {
        desk.output.notice(
            "allow_client_id names who is served: put the new client id there, too, and start the \
             servers again.",
        );
    }
}

/// What its owner types. The encryption secret is theirs alone: it is not ours to make or to see.
fn say_how(desk: &mut Desk<'_>, place: &Place, client: ClientId) {
    let url = &place.url;
    if let Some(gap) = &place.gap {
        desk.output.notice(format!(
            "Put what clients use in the place of {gap}: neither public_url nor listen tells it here."
        ));
    }
    if place.may_have_proxy {
        desk.output.notice(format!(
            "{url} is without TLS. If a proxy in front of the server speaks it, the proxy's https:// \
             address belongs there; set as public_url, it is shown here."
        ));
    }
    desk.output.line("");
    desk.output.line(
        "For `ta` (one by one: the second asks for the client id, the third for the encryption secret, \
         which no server sees):",
    );
    desk.output.line(format!("  ta config set server_origin {url}"));
    desk.output.line(format!("  {SET_CLIENT_KEY}"));
    desk.output.line("  ta config set encryption_secret -");
    desk.output.line(
        "If this list has no secret yet, make one for all machines (keep a copy: without it the list \
         cannot be read):",
    );
    desk.output.line("  openssl rand -hex 35");
    desk.output.line("");
    // In a file, where no list of processes and no shell's history shows them.
    desk.output.line("For Taskwarrior 3, these lines in ~/.taskrc (chmod go= ~/.taskrc):");
    desk.output.line(format!("  sync.server.url={url}"));
    desk.output.line(taskrc_client(client));
    desk.output.line("  sync.encryption_secret=SECRET");
}

/// What its owner types where only the client id is another one.
pub(super) fn say_new_client(desk: &mut Desk<'_>, client: ClientId) {
    desk.output.line("");
    desk.output.line(
        "Only the client id is new; the server's address and the encryption secret stay. For `ta` (it \
         asks for the client id):",
    );
    desk.output.line(format!("  {SET_CLIENT_KEY}"));
    desk.output.line("For Taskwarrior 3, this line in ~/.taskrc, in the place of the old one:");
    desk.output.line(taskrc_client(client));
}

fn taskrc_client(client: ClientId) -> String {
    format!("  sync.server.client_id={client}")
}

/// Where clients reach the server, as far as these settings tell.
pub(super) struct Place {
    url: String,
    /// What whoever reads it must put right in it.
    gap: Option<String>,
    /// Without TLS of its own there may be a proxy in front, with an address of which nothing is known.
    may_have_proxy: bool,
}

impl Place {
    /// The built-in address tells nothing: the server that is meant may have been started with
    /// another one on its own command line. One that listens on all addresses tells no name, and
    /// port 0 no port.
    pub(super) fn of(config: &Config) -> Self {
        if let Some(url) = &config.public_url {
            return Self { url: url.clone(), gap: None, may_have_proxy: false };
        }
        let listen = config.listen.first().map_or("", String::as_str);
        let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "0"));
        let address: Option<SocketAddr> = listen.parse().ok();
        let has_name = config.origin(Key::Listen) != Origin::Default
            && address.is_none_or(|address| !address.ip().is_unspecified());
        let (host, no_host) = if has_name { (host, None) } else { (HOST, Some(HOST)) };
        let (port, no_port) = if port == "0" { (PORT, Some(PORT)) } else { (port, None) };
        let gaps: Vec<&str> = no_host.into_iter().chain(no_port).collect();
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        Self {
            url: format!("{scheme}://{host}:{port}{}", config.path_prefix),
            gap: (!gaps.is_empty()).then(|| gaps.join(" and ")),
            may_have_proxy: config.tls.is_none(),
        }
    }

    /// The address, for programs: none where it is not known.
    pub(super) fn known(&self) -> Option<&str> {
        self.gap.is_none().then_some(&*self.url)
    }
}

pub(super) fn new_client_id() -> Result<ClientId, Fail> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Fail::failed(format!("no random numbers can be had: {error}")).hint("Try again later.")
    })?;
    Ok(ClientId::from_random_bytes(bytes))
}

fn list(desk: &mut Desk<'_>) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let accounts = desk.ask(&store, async |admin| admin.accounts().await)?;
    if desk.output.is_json {
        let all = accounts.iter().map(|account| {
            let clients: Vec<String> =
                account.clients.iter().map(|client| tag(&store, *client)).collect();
            json!({
                "account": account.name,
                "disabled": account.is_disabled,
                "made_at": account.made_at.to_string(),
                "clients": clients,
                "tokens": account.tokens,
            })
        });
        let all = Value::Array(all.collect());
        desk.output.json(&all);
        return Ok(Exit::Done);
    }
    if accounts.is_empty() {
        desk.output.line("There is no account yet. To make one: ta server user add NAME");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("Account", Align::Left, Fit::Keep),
        ("Since", Align::Left, Fit::Keep),
        ("Clients", Align::Left, Fit::Wrap),
        ("State", Align::Left, Fit::Keep),
    ]);
    for account in &accounts {
        let clients: Vec<String> =
            account.clients.iter().map(|client| tag(&store, *client)).collect();
        table.push([
            account.name.clone(),
            Desk::day(account.made_at.seconds()),
            clients.join(" "),
            if account.is_disabled { "disabled" } else { "" }.to_owned(),
        ]);
    }
    desk.output.text(&table.render(crate::output::width(), crate::output::style()));
    Ok(Exit::Done)
}

fn set_password(desk: &mut Desk<'_>, name: &str) -> Result<Exit, Fail> {
    let store = desk.store()?;
    let known = desk.ask(&store, async |admin| admin.accounts().await)?;
    if !known.iter().any(|account| account.name == name) {
        return Err(unknown(name));
    }
    let hash = account::hash_password(&read_password()?)?;
    if !desk.ask(&store, async |admin| admin.set_password(name, hash).await)? {
        return Err(unknown(name));
    }
    if desk.output.is_json {
        desk.output.json(&json!({ "account": name, "changed": true }));
    } else {
        desk.output.line(format!("{name} has a new password. Client ids and tokens stay."));
    }
    Ok(Exit::Done)
}

fn set_state(desk: &mut Desk<'_>, name: &str, state: State) -> Result<Exit, Fail> {
    let store = desk.store()?;
    if !desk.ask(&store, async |admin| admin.set_account_state(name, state).await)? {
        return Err(unknown(name));
    }
    let is_disabled = state == State::Disabled;
    if desk.output.is_json {
        desk.output.json(&json!({ "account": name, "disabled": is_disabled }));
    } else if is_disabled {
        desk.output.line(format!("{name} is shut out, with all its client ids and tokens."));
    } else {
        desk.output.line(format!("{name} is let in again."));
    }
    Ok(Exit::Done)
}

pub(super) fn unknown(name: &str) -> Fail {
    Fail::failed(format!("there is no account {name}")).hint("`ta server user list` lists them.")
}

/// A password from the terminal, unseen and typed twice, or the first line of standard input.
fn read_password() -> Result<String, Fail> {
    let gone = |error: std::io::Error| {
        Fail::failed(format!("no password could be read: {error}")).hint("Nothing was changed.")
    };
    let password = if std::io::stdin().is_terminal() {
        let term = console::Term::stderr();
        let ask = |prompt: &str| {
            write!(&term, "{prompt}").and_then(|()| term.read_secure_line()).map_err(gone)
        };
        let password = ask("Password: ")?;
        if ask("The same again: ")? != password {
            return Err(Fail::failed("the two are not the same").hint("Nothing was changed."));
        }
        password
    } else {
        let mut line = Vec::new();
        std::io::Read::take(std::io::stdin().lock(), PASSWORD_BYTES_MAX as u64 + 2)
            .read_until(b'\n', &mut line)
            .map_err(gone)?;
        let text = String::from_utf8(line).map_err(|_| {
            Fail::failed("the password is not UTF-8 text").hint("Nothing was changed.")
        })?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    account::check_password(&password)?;
    Ok(password)
}

impl From<BadCredential> for Fail {
    fn from(error: BadCredential) -> Self {
        Self::usage(error.to_string()).hint(match error {
            BadCredential::Name => "Write a name such as ann.",
            _ => "Give it on the terminal, or as the first line of standard input.",
        })
    }
}

impl From<NoSecret> for Fail {
    fn from(error: NoSecret) -> Self {
        Self::failed(error.to_string()).hint("Nothing was changed. Try again later.")
    }
}
