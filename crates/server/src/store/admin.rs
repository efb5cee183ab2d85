//! What an operator asks of a storage, and who may use it.
//!
//! A trait of its own beside [`Store`](super::Store), reached by [`Store::admin`](super::Store::admin):
//! the calls of clients stay few, and a storage may grow these later. The promises are the same
//! (each call one transaction, durable before its answer), and everything is safe while servers run
//! on the same storage.

use tandem_core::{ClientId, Timestamp};

use tandem_tasks::serve::retention::Day;

use super::{AddSnapshot, Answer, ClientFacts, SnapshotAdded, SnapshotFacts};

/// What an operator asks of a storage.
pub trait Admin: std::fmt::Debug + Send + Sync {
    /// What is said of a client id. One small question; callers may remember the answer for a second.
    fn standing(&self, client: ClientId) -> Answer<'_, Standing>;

    /// Clients with a history here, in the order in which they came.
    fn clients(&self, after: Option<i64>, count_max: u32) -> Answer<'_, ClientPage>;

    /// Shuts a client id out, whether it was ever seen or not, since it may have leaked before its first
    /// use; or lets one in again. False if that one is not known in any way.
    fn set_client_state(&self, client: ClientId, state: State, at: Timestamp) -> Answer<'_, bool>;

    /// Removes the history of a client; none for an unknown one.
    fn remove_history(&self, client: ClientId, extent: Extent) -> Answer<'_, Option<Removed>>;

    /// Removes the newest snapshot of a client, so that the one before is handed out: a server cannot
    /// tell whether a sealed one is any good, its replicas can.
    fn drop_snapshot(&self, client: ClientId) -> Answer<'_, SnapshotDropped>;

    /// Takes a snapshot over from another server, for a client that has none: of any version of the
    /// chain or of the one before its first, stored at `snapshot.at`. Else it is passed over.
    fn import_snapshot(&self, snapshot: AddSnapshot) -> Answer<'_, SnapshotAdded>;

    /// Client ids that are shut out and have no history here.
    fn shut_out(&self) -> Answer<'_, Vec<ClientId>>;

    /// How many clients have marks of days after this one: a clock was ahead when they were made. A
    /// storage that takes the day from a clock of its own, and not from those who ask, tells how many
    /// have marks of days after its tomorrow.
    fn clients_ahead_of(&self, day: Day) -> Answer<'_, u64>;

    /// How much there is.
    fn totals(&self) -> Answer<'_, Totals>;

    /// Checks the chain, the snapshots and the sums of the next client after `after`, all of one
    /// moment. None after the last.
    fn check_client(&self, after: Option<i64>) -> Answer<'_, Option<Checked>>;

    /// Checks what only the storage knows: its pages, its references. Findings, for a person.
    fn check_storage(&self) -> Answer<'_, Vec<String>>;

    /// Makes an account with its client id and tokens. False if the name is taken.
    fn add_account(&self, account: NewAccount) -> Answer<'_, bool>;

    /// Gives a client id to an account. False for an unknown account.
    fn add_account_client(&self, name: &str, client: ClientId, at: Timestamp) -> Answer<'_, bool>;

    /// Takes a client id from the account that it belongs to; a shutting out stays. False if it belongs
    /// to none.
    fn remove_account_client(&self, client: ClientId) -> Answer<'_, bool>;

    /// Puts the client id `new`, random and never used before, in the place of `old`: it belongs to the
    /// account of `old`, and is a client with an empty history. `old` is shut out, belongs to nobody
    /// any more, and keeps its history: that is sealed with a key that was derived from the old id, so
    /// nobody could open it under the new one. False if `old` is not known in any way.
    fn rotate_client(&self, old: ClientId, new: ClientId, at: Timestamp) -> Answer<'_, bool>;

    /// All accounts, by name.
    fn accounts(&self) -> Answer<'_, Vec<AccountFacts>>;

    /// Sets a password, as its hash. False for an unknown account.
    fn set_password(&self, name: &str, password: String) -> Answer<'_, bool>;

    /// Shuts an account out, or lets it in again. False for an unknown one.
    fn set_account_state(&self, name: &str, state: State) -> Answer<'_, bool>;

    /// The hash of an enabled account's password.
    fn password(&self, name: &str) -> Answer<'_, Option<String>>;

    /// Whose token has this SHA-256, among enabled accounts.
    fn token(&self, hash: [u8; 32]) -> Answer<'_, Option<TokenFacts>>;
}

/// What became of a snapshot that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotDropped {
    /// It is gone.
    Dropped(SnapshotFacts),
    /// There was none.
    None,
    /// It stays: a new replica would have no way to the present without it.
    OnlyWayIn,
    /// The client is unknown.
    NoSuchClient,
}

/// What is said of a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Plain,
    /// It belongs to an enabled account.
    OfAccount,
    /// It, or its account, is shut out.
    Disabled,
}

/// Whether somebody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Let in.
    Enabled,
    /// Shut out.
    Disabled,
}

/// How much of a client is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Versions and snapshots: the client begins anew with whichever replica comes first.
    History,
    /// The client, too, and what is said of its id, except that it is shut out.
    Client,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Versions.
    pub versions: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// The bytes of their bodies.
    pub bytes: u64,
}

/// Some clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPage {
    /// In order.
    pub clients: Vec<ClientEntry>,
    /// Where the next page begins; none after the last.
    pub next: Option<i64>,
}

/// A client in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientEntry {
    /// Its id.
    pub id: ClientId,
    /// What is known of it.
    pub facts: ClientFacts,
    /// The account that it belongs to.
    pub account: Option<String>,
    /// It is shut out.
    pub is_disabled: bool,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Clients with a history.
    pub clients: u64,
    /// Accounts.
    pub accounts: u64,
    /// Versions.
    pub versions: u64,
    /// The bytes of their bodies.
    pub version_bytes: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// The bytes of their bodies.
    pub snapshot_bytes: u64,
    /// Bytes that the storage takes.
    pub storage_bytes: u64,
    /// Bytes of those that are free for new data, where the storage knows.
    pub free_bytes: Option<u64>,
}

/// The check of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which.
    pub id: ClientId,
    /// How many versions were looked at.
    pub versions: u64,
    /// What is wrong, for a person; empty if nothing is. No ids of clients in it.
    pub findings: Vec<String>,
    /// Where the next check goes on.
    pub next: i64,
}

/// An account to be made. No secret in it: only hashes.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its name.
    pub name: String,
    /// The hash of its password, in the text form of Argon2.
    pub password: String,
    /// Its first client id.
    pub client: ClientId,
    /// SHA-256 of its tokens.
    pub tokens: Vec<([u8; 32], Scope)>,
    /// Now.
    pub at: Timestamp,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To read.
    Read,
    /// To read and write.
    Write,
}

impl Scope {
    /// Its word in storages and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The account.
    pub account: String,
    /// What it allows.
    pub scope: Scope,
}

/// An account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its name.
    pub name: String,
    /// It is shut out.
    pub is_disabled: bool,
    /// When it was made.
    pub made_at: Timestamp,
    /// Its client ids.
    pub clients: Vec<ClientId>,
    /// How many tokens it has.
    pub tokens: u64,
}
