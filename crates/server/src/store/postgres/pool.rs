//! Connections: who waits for one, for how long, and what becomes of one that failed.

use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime,
};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::rows::{self, Known};
use super::{READ_FIRST, WRITE_FIRST};
use crate::store::StoreError;
use crate::store::damage::Damage;

/// Connections of one node that read, and that write. Apart, since reading never waits for writing.
/// A hundred connections, PostgreSQL's own default, are enough for four nodes.
const READS_MAX: usize = 8;
/// See [`READS_MAX`]. Commits that wait together share one flush.
const WRITES_MAX: usize = 16;

/// How long a request waits for a connection: as long as for any other room in the server.
const WAIT_TIME: Duration = Duration::from_secs(10);

/// How long a connection may take to be made and prepared, all hosts together.
const CREATE_TIME: Duration = Duration::from_secs(20);

/// The longest that any statement takes, as we see it. PostgreSQL is told to give up before, so that
/// what became of it is known.
const STATEMENT_TIME: Duration = Duration::from_secs(40);

/// The same for what an operator waits for: removing or checking a whole history.
pub(super) const WORK_TIME: Duration = Duration::from_secs(60 * 60);

/// How often reading is tried again over a new connection after one was lost. When PostgreSQL
/// restarts, the pool's idle connections are dead before anybody has noticed.
const TRIES: usize = 3;

/// What every connection is set to. Statement times are below [`STATEMENT_TIME`]; a row that a node
/// locked and vanished with comes free with its connection. The compare-and-swap wants to see what
/// the one before it has committed, which is what this isolation is for.
const SETTINGS: &str = "
    SET lock_timeout = '15s';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s';
    SET default_transaction_isolation = 'read committed'";

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The connections of one node.
#[derive(Debug)]
pub(super) struct Pools {
    reads: Pool,
    writes: Pool,
    damage: Damage,
}

impl Pools {
    pub(super) fn new(address: &Address, tls: &MakeRustlsConnect) -> Self {
        let pool = |size, first: &'static [&'static str]| {
            let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
            let manager = Manager::from_config(address.config.clone(), tls.clone(), config);
            Pool::builder(manager)
                .max_size(size)
                .wait_timeout(Some(WAIT_TIME))
                .create_timeout(Some(CREATE_TIME))
                .runtime(Runtime::Tokio1)
                .post_create(Hook::async_fn(move |client, _| {
                    Box::pin(async move {
                        client.batch_execute(SETTINGS).await.map_err(HookError::Backend)?;
                        for sql in first {
                            // Before the schema is there it cannot be prepared; later it is.
                            let _ = client.prepare_cached(sql).await;
                        }
                        Ok(())
                    })
                }))
                .build()
        };
        let reads = pool(READS_MAX, READ_FIRST).expect("a runtime is given for its times");
        let writes = pool(WRITES_MAX, WRITE_FIRST).expect("a runtime is given for its times");
        Self { reads, writes, damage: Damage::default() }
    }

    /// The first connection, with all that is known if there is none.
    pub(super) async fn first(&self) -> Result<Client, PoolError> {
        self.writes.get().await
    }

    /// What any statement was told to be damaged.
    pub(super) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// A connection for a transaction of several statements.
    pub(super) async fn for_writing(&self) -> Result<Client, StoreError> {
        take(&self.writes).await
    }

    /// A connection for questions of several statements.
    pub(super) async fn for_reading(&self) -> Result<Client, StoreError> {
        take(&self.reads).await
    }

    /// Asks: one statement, one round trip. Tried again after a lost connection.
    pub(super) async fn read(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut tries = 1;
        loop {
            let client = take(&self.reads).await?;
            match self
                .bounded(client, async |client| {
                    let statement = client.prepare_cached(sql).await?;
                    client.query(&statement, parameters).await
                })
                .await
            {
                Ok(rows) => return Ok(rows),
                Err(Failed::Statement(error)) => {
                    if rows::known(&error) == Known::Refused || tries >= TRIES {
                        return Err(rows::unchanged(&error));
                    }
                    tries += 1;
                }
                Err(Failed::Time) => {
                    return Err(StoreError::Unavailable { what: "no answer in time".to_owned() });
                }
            }
        }
    }

    /// Changes something: one statement that commits by itself, one round trip. Tried again only
    /// where it certainly was not carried out.
    pub(super) async fn change(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut tries = 1;
        loop {
            let client = take(&self.writes).await?;
            let mut was_sent = false;
            let sent = &mut was_sent;
            let outcome = self
                .bounded(client, async move |client| {
                    let statement = client.prepare_cached(sql).await?;
                    *sent = true;
                    client.query(&statement, parameters).await
                })
                .await;
            match outcome {
                Ok(rows) => return Ok(rows),
                Err(Failed::Statement(error)) => {
                    let is_open = match rows::known(&error) {
                        Known::Refused => return Err(rows::unchanged(&error)),
                        Known::Outdated => false,
                        Known::Lost => was_sent,
                    };
                    if is_open || tries >= TRIES {
                        return Err(if is_open {
                            rows::changing(&error)
                        } else {
                            rows::unchanged(&error)
                        });
                    }
                    tries += 1;
                }
                Err(Failed::Time) => {
                    let what = "no answer in time".to_owned();
                    return Err(if was_sent {
                        StoreError::Unknown { what }
                    } else {
                        StoreError::Unavailable { what }
                    });
                }
            }
        }
    }

    /// Does something with a connection, within the time. One that is of no more use is not given back.
    pub(super) async fn bounded<T>(
        &self,
        client: Client,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failed> {
        self.bounded_for(client, STATEMENT_TIME, work).await
    }

    /// The same within a time of its own.
    pub(super) async fn bounded_for<T>(
        &self,
        mut client: Client,
        time: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failed> {
        let outcome = timeout(time, work(&mut client)).await;
        let failed = match outcome {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => Failed::Statement(error),
            Err(_) => Failed::Time,
        };
        let mut is_good = false;
        if let Failed::Statement(error) = &failed {
            is_good = rows::known(error) == Known::Refused;
            if rows::is_damage(error) {
                self.damage.note(&rows::text(error));
            }
        }
        if !is_good {
            drop(Object::take(client));
        }
        Err(failed)
    }

    /// Takes no more work, and ends idle connections.
    pub(super) fn close(&self) {
        self.reads.close();
        self.writes.close();
    }
}

/// Why there is no answer.
pub(super) enum Failed {
    Statement(tokio_postgres::Error),
    Time,
}

async fn take(pool: &Pool) -> Result<Client, StoreError> {
    pool.get().await.map_err(|error| StoreError::Unavailable { what: text(&error) })
}

/// Why there is no connection, for people.
pub(super) fn text(error: &PoolError) -> String {
    match error {
        PoolError::Timeout(_) => "no connection in time".to_owned(),
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            rows::text(error)
        }
        PoolError::Closed => "it is closed".to_owned(),
        other => other.to_string(),
    }
}
