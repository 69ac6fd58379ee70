//! Rows in PostgreSQL, for any number of instances. The effect's row is the lock: whoever holds it looks up, and does or begins, and nobody else does
//! meanwhile. What may stand in a row says `table.rs`; nothing here decides.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::record::{Compensated, NothingThere, Refused, Succeeded};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{EffectId, Millis};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{PgConnection, Postgres, Row as _};

use super::{EffectStoreError, Intent, ReplyPartition, Row, RowState};

mod perform;
mod schema;
#[cfg(test)]
pub(super) mod tests;
mod transaction;

pub(crate) use perform::SharedEffects;
pub use transaction::Transaction;

use schema::Schema;

/// A transaction that is not handed out.
type Open = sqlx::Transaction<'static, Postgres>;

/// A stalled instance must not hold a row for longer: the server ends its transaction, and nothing of it has happened. So long may a handler that is
/// declared in one transaction do something else between two statements.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'";
/// How long a command waits for one of the connections before it says so, and waits on.
const ACQUIRE: Duration = Duration::from_secs(30);

/// Effects in a schema of a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    schema: Arc<Schema>,
    place: Arc<str>,
}

/// A row, and how many runs it has seen begin.
struct Stored {
    row: Row,
    run: i64,
}

/// What a look at a row may need beside it.
struct Found {
    stored: Option<Stored>,
    horizon: Option<Millis>,
}

impl PostgresStore {
    /// Effects in `schema` of the database at `url`, over at most so many connections. Nothing is connected yet; to be called within a tokio runtime.
    ///
    /// # Errors
    /// When the URL or the schema's name is none. The URL is never repeated: it may hold a password.
    pub fn new(url: &str, schema: &str, connections: u32) -> Result<Self, EffectStoreError> {
        let no_url = |error: sqlx::Error| EffectStoreError::Url { detail: error.to_string() };
        let options = PgConnectOptions::from_str(url).map_err(no_url)?;
        let schema = Schema::new(schema)?;
        let place = place(&options, &schema);
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(ACQUIRE)
            // A connection that has died is found by the first statement, which is tried again.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool, schema: Arc::new(schema), place })
    }

    /// The connections, for the business's own reads. What a handler writes goes through its `Transaction`.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Connects, and makes the tables where they are not there. Any number of instances may do so at once.
    ///
    /// # Errors
    /// When the database can't be reached, or a newer version of this program wrote there.
    pub async fn prepare(&self) -> Result<(), EffectStoreError> {
        schema::prepare(self).await
    }

    async fn begin(&self) -> Result<Open, sqlx::Error> {
        self.pool.begin_with(BEGIN).await
    }

    /// Holds the effect's row until the transaction ends, and gives what it was. Where there was none, an intent stands there now, and goes with the
    /// transaction if that is rolled back.
    async fn take(
        &self,
        connection: &mut PgConnection,
        effect: EffectId,
        inbox: &ReplyPartition,
        first: Millis,
    ) -> Result<Found, sqlx::Error> {
        loop {
            let inserted = sqlx::query(&self.schema.intend)
                .bind(effect.to_string())
                .bind(&inbox.topic)
                .bind(i64::from(inbox.partition))
                .bind(first)
                .execute(&mut *connection)
                .await?;
            if inserted.rows_affected() > 0 {
                // After the insert, which waits for whoever is dropping this row: what it has raised is seen.
                let horizon = self.horizon(connection, inbox).await?;
                return Ok(Found { stored: None, horizon });
            }
            if let Some(stored) = self.hold(&mut *connection, effect).await? {
                return Ok(Found { stored: Some(stored), horizon: None });
            }
            // It was dropped between the two.
        }
    }

    /// Holds the effect's row, where there is one, and puts none there. Without one: the latest horizon but for those of this topic.
    async fn look(
        &self,
        connection: &mut PgConnection,
        effect: EffectId,
        except: &str,
    ) -> Result<Found, sqlx::Error> {
        match self.hold(&mut *connection, effect).await? {
            Some(stored) => Ok(Found { stored: Some(stored), horizon: None }),
            None => Ok(Found { stored: None, horizon: self.latest_horizon(connection, except).await? }),
        }
    }

    /// Holds the effect's row, where there is one.
    async fn hold(&self, connection: &mut PgConnection, effect: EffectId) -> Result<Option<Stored>, sqlx::Error> {
        let held = sqlx::query(&self.schema.hold).bind(effect.to_string()).fetch_optional(connection);
        held.await?.map(|row| stored(&row)).transpose()
    }

    async fn horizon(
        &self,
        connection: &mut PgConnection,
        inbox: &ReplyPartition,
    ) -> Result<Option<Millis>, sqlx::Error> {
        let horizon = sqlx::query_scalar(&self.schema.horizon).bind(&inbox.topic).bind(i64::from(inbox.partition));
        horizon.fetch_optional(connection).await
    }

    async fn latest_horizon(&self, connection: &mut PgConnection, except: &str) -> Result<Option<Millis>, sqlx::Error> {
        sqlx::query_scalar(&self.schema.latest_horizon).bind(except).fetch_one(connection).await
    }

    async fn put(&self, connection: &mut PgConnection, effect: EffectId, row: &Row) -> Result<(), sqlx::Error> {
        let (state, result, refusal) = columns(&row.state);
        let put = sqlx::query(&self.schema.put)
            .bind(effect.to_string())
            .bind(&row.inbox.topic)
            .bind(i64::from(row.inbox.partition))
            .bind(row.kept)
            .bind(state)
            .bind(result.map(|result| &result[..]))
            .bind(refusal.map(|refused| refused.code.as_str()))
            .bind(refusal.map(|refused| refused.detail.as_str()));
        put.execute(connection).await.map(drop)
    }

    async fn remove(&self, connection: &mut PgConnection, effect: EffectId) -> Result<(), sqlx::Error> {
        sqlx::query(&self.schema.remove).bind(effect.to_string()).execute(connection).await.map(drop)
    }

    /// Counts a run that begins anew behind an open intent. Gives its number.
    async fn run_again(&self, connection: &mut PgConnection, effect: EffectId) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(&self.schema.run_again).bind(effect.to_string()).fetch_one(connection).await
    }

    /// Drops rows and raises the horizon, in one statement. Rows that somebody holds stay.
    async fn drop_through(
        &self,
        connection: &mut PgConnection,
        inbox: &ReplyPartition,
        through: Millis,
        at_most: usize,
    ) -> Result<usize, sqlx::Error> {
        let dropped: i64 = sqlx::query_scalar(&self.schema.drop_through)
            .bind(&inbox.topic)
            .bind(i64::from(inbox.partition))
            .bind(through)
            .bind(i64::try_from(at_most).unwrap_or(i64::MAX))
            .fetch_one(connection)
            .await?;
        Ok(usize::try_from(dropped).unwrap_or(0))
    }

    fn error(&self, error: &sqlx::Error) -> EffectStoreError {
        match error {
            sqlx::Error::ColumnDecode { index, source } => EffectStoreError::Corrupt {
                place: self.place.to_string(),
                key: index.clone(),
                detail: source.to_string(),
            },
            // sqlx's enum may grow.
            other => EffectStoreError::Database { place: self.place.to_string(), detail: other.to_string() },
        }
    }
}

/// Without what may be secret.
fn place(options: &PgConnectOptions, schema: &Schema) -> Arc<str> {
    let host = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| socket.display().to_string(),
    );
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("PostgreSQL at {host}, database {database}, schema {}", schema.name).into()
}

const INTENT: &str = "intent";
const SUCCEEDED: &str = "succeeded";
const REFUSED: &str = "refused";
const TOMBSTONE: &str = "tombstone";
const COMPENSATED: &str = "compensated";

fn columns(state: &RowState) -> (&'static str, Option<&Bytes>, Option<&Refused>) {
    match state {
        RowState::Intent(_) => (INTENT, None, None),
        RowState::Succeeded(done) => (SUCCEEDED, Some(&done.result), None),
        RowState::Refused(refused) => (REFUSED, None, Some(refused)),
        RowState::Tombstone(_) => (TOMBSTONE, None, None),
        RowState::Compensated(done) => (COMPENSATED, done.result.as_ref(), None),
    }
}

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let partition: i64 = row.try_get("reply_partition")?;
    let partition = u32::try_from(partition).map_err(|_| corrupt("reply_partition", &partition.to_string()))?;
    let inbox = ReplyPartition { topic: row.try_get("reply_topic")?, partition };
    let result: Option<Vec<u8>> = row.try_get("result")?;
    let result = result.map(Bytes);
    let state = match row.try_get("state")? {
        INTENT => RowState::Intent(Intent {}),
        SUCCEEDED => RowState::Succeeded(Succeeded { result: result.ok_or_else(|| corrupt("result", "null"))? }),
        REFUSED => RowState::Refused(Refused { code: row.try_get("code")?, detail: row.try_get("detail")? }),
        TOMBSTONE => RowState::Tombstone(NothingThere {}),
        COMPENSATED => RowState::Compensated(Compensated { result }),
        other => return Err(corrupt("state", other)),
    };
    Ok(Stored { run: row.try_get("run")?, row: Row { inbox, kept: row.try_get("kept")?, state } })
}

fn corrupt(column: &str, found: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: format!("{found:?} is none of ours").into() }
}
