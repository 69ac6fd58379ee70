//! A transaction of the store: it ends within its time, or its connection is closed. Nothing here waits for ever: a host that loses its power closes no
//! connection, and what was sent to it is acknowledged by the network and never answered.

use std::io::{Error, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{Database, PgConnection, Postgres, TransactionManager};

/// A stalled instance must not hold a row for longer: the server ends its transaction, and nothing of it has happened. So long may a handler that is
/// declared in one transaction do something else between two statements.
///
/// A lock is waited for less long than that. Where many want one row, those of a stalled instance stand in the queue, too: each would be given the lock
/// when the one before is ended, and hold it for as long again. So they have all given up by then; whoever is awake comes again.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'; \
                     SET LOCAL lock_timeout = '8s'";
/// How long that is.
pub(super) const LOCK: Duration = Duration::from_secs(8);

type Manager = <Postgres as Database>::TransactionManager;

/// A transaction. Where it does not end well, its connection is closed and its place in the pool is free: only what has answered is used again.
///
/// sqlx's own gives every connection back, and the pool asks it whether it lives, for as long as it takes.
pub(super) struct Open {
    connection: Option<PoolConnection<Postgres>>,
    limit: Duration,
}

const ENDED: &str = "the connection is there until the transaction has ended";

impl Open {
    /// Begins one. A connection is waited for as long as the pool says, and each answer of the server within it for `limit`.
    pub async fn begin(pool: &PgPool, limit: Duration) -> Result<Self, sqlx::Error> {
        let mut open = Self { connection: Some(pool.acquire().await?), limit };
        within(limit, Manager::begin(&mut open, Some(BEGIN.into()))).await?;
        Ok(open)
    }

    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        within(self.limit, Manager::commit(&mut self)).await?;
        self.give_back();
        Ok(())
    }

    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        within(self.limit, Manager::rollback(&mut self)).await?;
        self.give_back();
        Ok(())
    }

    /// The pool asks whether the connection lives before it is used again. Who does not hear of it in time closes it.
    fn give_back(mut self) {
        if let Some(mut connection) = self.connection.take() {
            tokio::spawn(tokio::time::timeout(self.limit, connection.return_to_pool()));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Without a word: the server takes back what a closed connection had open.
            drop(connection.detach());
        }
    }
}

impl Deref for Open {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(ENDED)
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(ENDED)
    }
}

/// What is not done in time fails as a connection that broke, and is dropped with all that it holds.
pub(super) async fn within<T>(
    limit: Duration,
    doing: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| Err(silence(limit, "the database")))
}

/// Nothing was heard in time.
pub(super) fn silence(limit: Duration, of: &str) -> sqlx::Error {
    sqlx::Error::Io(Error::new(ErrorKind::TimedOut, format!("{of} has not answered within {limit:?}")))
}
