//! Opening: the schema and its migrations, the key for logs, and what is said about durability.

use std::io;
use std::path::PathBuf;

use deadpool_postgres::{Client, PoolError};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use super::pool::{self, Pools};
use super::rounds::{self, Shared};
use super::why::Why;
use super::{MIGRATE_LOCK, rows};
use crate::program::Tables;

/// The oldest PostgreSQL that is supported, as it numbers itself.
const SERVER_VERSION_MIN: i32 = 140_000;

/// What brings the schema from one version to the next. Only ever added to.
const MIGRATIONS: &[&str] =
    &[include_str!("sql/0001_first.sql"), include_str!("sql/0002_accounts.sql")];

/// Why the database could not be opened. Passwords are in none of the texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address cannot be understood.
    #[error("the database's address cannot be used: {what}")]
    Address {
        /// What is wrong with it.
        what: String,
    },
    /// A file that the address names cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Certificates cannot be had, or are none.
    #[error("TLS to the database cannot be set up: {what}")]
    Tls {
        /// What happened.
        what: String,
    },
    /// Nothing can be asked of the database.
    #[error("the database at {place} cannot be reached: {what}")]
    Unreachable {
        /// Host and name.
        place: String,
        /// What happened.
        what: String,
        /// The same for programs.
        why: Why,
    },
    /// What is in between gives each transaction any connection to the database.
    #[error(
        "a pooler in front of the database at {place} does not keep sessions (it shares its connections \
         out anew for each transaction)"
    )]
    NoSessions {
        /// Host and name.
        place: String,
    },
    /// PostgreSQL is too old.
    #[error("the database at {place} is PostgreSQL {found}; 14 is the oldest that does")]
    TooOld {
        /// Host and name.
        place: String,
        /// What it says that it is.
        found: String,
    },
    /// Nobody has made the schema.
    #[error("there is nothing of `ta serve` in the database at {place} yet")]
    Missing {
        /// Host and name.
        place: String,
    },
    /// The schema's name is taken by something else.
    #[error("the schema `tandem` at {place} is not this program's")]
    NotOurs {
        /// Host and name.
        place: String,
    },
    /// A later version of this program has made the schema.
    #[error("the schema at {place} is version {found}, this program knows {known}")]
    TooNew {
        /// Host and name.
        place: String,
        /// Its version.
        found: i32,
        /// The newest that we know.
        known: usize,
    },
    /// The schema cannot be made or brought up to date.
    #[error("the schema at {place} cannot be brought up to date: {what}")]
    Migration {
        /// Host and name.
        place: String,
        /// What PostgreSQL says.
        what: String,
    },
    /// No random numbers can be had.
    #[error("no random numbers can be had: {what}")]
    NoRandomness {
        /// The cause.
        what: String,
    },
}

/// Brings the schema up to date; the installation's key for logs.
pub(super) async fn prepare(
    pools: &Pools,
    place: &str,
    tables: Tables,
) -> Result<[u8; 32], OpenError> {
    let unreachable = |error: PoolError| OpenError::Unreachable {
        place: place.to_owned(),
        what: pool::text(&error),
        why: Why::of_pool(&error),
    };
    let mut client = pools.first().await.map_err(unreachable)?;
    {
        let other = pools.first().await.map_err(unreachable)?;
        check_sessions(&client, &other, place).await?;
    }
    look_at_settings(&client, place).await?;
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| OpenError::NoRandomness { what: error.to_string() })?;
    migrate(&mut client, place, tables, &key).await
}

/// Refuses a pooler that does not keep sessions.
///
/// What is prepared, and set, on one of our connections is then another's. That goes well while little
/// happens. Later a name may stand for the statement of another node, which would be carried out in
/// the place of ours.
async fn check_sessions(one: &Client, other: &Client, place: &str) -> Result<(), OpenError> {
    // In this order a pooler shows itself that gives out the connection that was used last, and one
    // that gives them out in turn, however many it has.
    let mut served_by = Vec::new();
    for client in [one, other, other, one] {
        let process = process_of(client).await.map_err(|error| OpenError::Unreachable {
            place: place.to_owned(),
            what: rows::text(&error),
            why: Why::of(&error),
        })?;
        served_by.push(process);
    }
    let is_kept = served_by[0] == served_by[3] && served_by[1] == served_by[2];
    if is_kept && served_by[0] != served_by[1] {
        return Ok(());
    }
    Err(OpenError::NoSessions { place: place.to_owned() })
}

/// The process that serves a connection. Asked without a prepared statement, which the other side may
/// not keep.
async fn process_of(client: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    let answer = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

async fn look_at_settings(client: &Client, place: &str) -> Result<(), OpenError> {
    let failed = |error: tokio_postgres::Error| OpenError::Unreachable {
        place: place.to_owned(),
        what: rows::text(&error),
        why: Why::of(&error),
    };
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::integer,
                 current_setting('server_version'), current_setting('synchronous_commit'),
                 current_setting('fsync')",
            &[],
        )
        .await
        .map_err(failed)?;
    let text = |column: usize| row.try_get::<_, String>(column).map_err(failed);
    if row.try_get::<_, i32>(0).map_err(failed)? < SERVER_VERSION_MIN {
        return Err(OpenError::TooOld { place: place.to_owned(), found: text(1)? });
    }
    for (name, column) in [("synchronous_commit", 2), ("fsync", 3)] {
        if text(column)? == "off" {
            tracing::warn!(
                "{name} is off in the database at {place}: what was answered may be lost when it \
                 or its machine fails"
            );
        }
    }
    Ok(())
}

/// All migrations that are missing, in one transaction, one node at a time.
async fn migrate(
    client: &mut Client,
    place: &str,
    tables: Tables,
    key: &[u8; 32],
) -> Result<[u8; 32], OpenError> {
    let failed = |error: tokio_postgres::Error| {
        let mut what = rows::text(&error);
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            what.push_str(
                "; its user needs CREATE on the database, or a schema `tandem` of its own",
            );
        }
        OpenError::Migration { place: place.to_owned(), what }
    };
    let txn = client.transaction().await.map_err(failed)?;
    // The first of many nodes may have much to do.
    txn.batch_execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        .await
        .map_err(failed)?;
    txn.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATE_LOCK]).await.map_err(failed)?;
    let row = txn
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'tandem') AS is_there,
                 EXISTS (SELECT FROM pg_class WHERE relnamespace =
                     (SELECT oid FROM pg_namespace WHERE nspname = 'tandem')) AS is_used,
                 to_regclass('tandem.migrations') IS NOT NULL AS is_ours",
            &[],
        )
        .await
        .map_err(failed)?;
    let says = |column: &str| row.try_get::<_, bool>(column).map_err(failed);
    if says("is_used")? && !says("is_ours")? {
        return Err(OpenError::NotOurs { place: place.to_owned() });
    }
    if !says("is_ours")? && tables == Tables::MustBeThere {
        return Err(OpenError::Missing { place: place.to_owned() });
    }
    if !says("is_there")? {
        txn.batch_execute("CREATE SCHEMA tandem").await.map_err(failed)?;
    }
    if !says("is_ours")? {
        txn.batch_execute(
            "CREATE TABLE tandem.migrations (
                 number integer PRIMARY KEY,
                 made_at timestamptz NOT NULL DEFAULT now())",
        )
        .await
        .map_err(failed)?;
    }
    let row = txn
        .query_one("SELECT coalesce(max(number), 0) FROM tandem.migrations", &[])
        .await
        .map_err(failed)?;
    let found: i32 = row.try_get(0).map_err(failed)?;
    let known = MIGRATIONS.len();
    let done = usize::try_from(found).ok().filter(|done| *done <= known);
    let Some(done) = done else {
        return Err(OpenError::TooNew { place: place.to_owned(), found, known });
    };
    for (number, migration) in (1_i32..).zip(MIGRATIONS).skip(done) {
        txn.batch_execute(migration).await.map_err(failed)?;
        txn.execute("INSERT INTO tandem.migrations (number) VALUES ($1)", &[&number])
            .await
            .map_err(failed)?;
    }
    if done == 0 {
        // Nothing can go yet: no date is doubted later because none was known.
        let now = "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint";
        let row = txn.query_one(now, &[]).await.map_err(failed)?;
        let shared = Shared::from(row.try_get(0).map_err(failed)?);
        txn.execute(rounds::SAVE, &[&&shared.to_bytes()[..]]).await.map_err(failed)?;
    }
    // The first node's key is everybody's.
    txn.execute(
        "INSERT INTO tandem.facts (name, value) VALUES ('log_key', $1) ON CONFLICT DO NOTHING",
        &[&&key[..]],
    )
    .await
    .map_err(failed)?;
    let row = txn
        .query_one("SELECT value FROM tandem.facts WHERE name = 'log_key'", &[])
        .await
        .map_err(failed)?;
    let stored: &[u8] = row.try_get(0).map_err(failed)?;
    let key = stored.try_into().map_err(|_| OpenError::Migration {
        place: place.to_owned(),
        what: "the key for logs is damaged".to_owned(),
    })?;
    txn.commit().await.map_err(failed)?;
    Ok(key)
}
