//! Rows in PostgreSQL, for any number of instances. The effect's row is the lock: whoever holds it looks up, and does or begins, and nobody else does
//! meanwhile. What may stand in a row says `table.rs`; nothing here decides.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::record::{Compensated, NothingThere, Refused, Succeeded};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{EffectId, Millis};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{PgConnection, Row as _};

use super::{EffectStoreError, Intent, ReplyPartition, Row, RowState};

mod open;
mod perform;
mod schema;
#[cfg(test)]
pub(super) mod tests;
mod transaction;

pub(crate) use perform::SharedEffects;
pub use transaction::Transaction;

use open::Open;
use schema::Schema;

/// How long a command waits for one of the connections before it says so, and waits on.
const ACQUIRE: Duration = Duration::from_secs(30);

/// How long the database may keep silent. A host that loses its power closes no connection: without these a command would wait for it for ever. What is
/// not done in time is given up with its connection and begun anew; what was done after all is found by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For what the store itself asks at once: a look at an effect's row, waiting for who holds it, a record with its commit.
    pub answer: Duration,
    /// For a handler with its transaction, from the first statement to its return. More than any of them takes.
    pub transaction: Duration,
}

impl Default for Limits {
    /// 30 s for an answer, 60 s for a handler with its transaction.
    fn default() -> Self {
        Self { answer: Duration::from_secs(30), transaction: Duration::from_secs(60) }
    }
}

/// Effects in a schema of a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresStore {
    /// The store's own connections: `Open` takes and gives them back, and nobody else.
    own: PgPool,
    /// Made when first asked for.
    pool: PgPool,
    limits: Limits,
    accepts_empty: bool,
    schema: Arc<Schema>,
    place: Arc<str>,
}

/// A row, how many runs it has seen begin, and the mark of the one that began last, while that is open.
struct Stored {
    row: Row,
    run: i64,
    mark: Option<String>,
}

impl Stored {
    /// Whether it is the open intent of this run. By number and mark: the intent that comes behind one that was withdrawn counts from 1 anew.
    fn is_of(&self, run: i64, mark: &str) -> bool {
        let intent = matches!(self.row.state, RowState::Intent(_));
        intent && self.run == run && self.mark.as_deref() == Some(mark)
    }
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
        let pool = || PgPoolOptions::new().max_connections(connections.max(1)).acquire_timeout(ACQUIRE);
        Ok(Self {
            // A connection that has died is found by the first statement, which is tried again.
            own: pool().test_before_acquire(false).connect_lazy_with(options.clone()),
            pool: pool().connect_lazy_with(options),
            limits: Limits::default(),
            accepts_empty: false,
            schema: Arc::new(schema),
            place,
        })
    }

    /// With these limits instead of the usual ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Begins with empty tables where commands were handled before, though nothing is known then of what was done.
    #[must_use]
    pub fn accept_empty(mut self) -> Self {
        self.accepts_empty = true;
        self
    }

    /// Connections to the same database for the business's own reads, as many again as the store's: a handler that waits for one of them keeps none of
    /// the store's from it. Nothing here limits what is asked over them. What a handler writes goes through its `Transaction`.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Connects, and makes the tables where they are not there. Any number of instances may do so at once.
    ///
    /// # Errors
    /// When the database can't be reached, or a newer version of this program wrote there.
    pub async fn prepare(&self) -> Result<(), EffectStoreError> {
        let limit = ACQUIRE + self.limits.answer;
        let silence = || Err(self.error(&open::silence(limit, "the database")));
        tokio::time::timeout(limit, schema::prepare(self)).await.unwrap_or_else(|_| silence())
    }

    /// Whether commands were ever handled with these tables, by whatever instance.
    pub(crate) async fn in_use(&self) -> Result<bool, EffectStoreError> {
        if self.accepts_empty {
            self.begin_use().await?;
        }
        let asking = async {
            let mut open = self.begin().await?;
            let in_use = self.within(sqlx::query_scalar(&self.schema.in_use).fetch_one(&mut *open)).await?;
            open.rollback().await?;
            Ok(in_use)
        };
        asking.await.map_err(|error: sqlx::Error| self.error(&error))
    }

    /// Commands are handled with these tables from now on.
    pub(crate) async fn begin_use(&self) -> Result<(), EffectStoreError> {
        let saying = async {
            let mut open = self.begin().await?;
            self.within(sqlx::query(&self.schema.begin_use).execute(&mut *open)).await?;
            open.commit().await
        };
        saying.await.map_err(|error: sqlx::Error| self.error(&error))
    }

    async fn begin(&self) -> Result<Open, sqlx::Error> {
        Open::begin(&self.own, self.limits.answer).await
    }

    /// What the store itself asks within a transaction.
    async fn within<T>(&self, asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        open::within(self.limits.answer, asking).await
    }

    /// Holds the effect's row until the transaction ends, and gives what it was. Where there was none, an intent with this mark stands there now, and goes
    /// with the transaction if that is rolled back.
    async fn take(
        &self,
        connection: &mut PgConnection,
        effect: EffectId,
        inbox: &ReplyPartition,
        first: Millis,
        mark: Option<&str>,
    ) -> Result<Found, sqlx::Error> {
        loop {
            let inserted = sqlx::query(&self.schema.intend)
                .bind(effect.to_string())
                .bind(&inbox.topic)
                .bind(i64::from(inbox.partition))
                .bind(first)
                .bind(mark)
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
    async fn look(&self, connection: &mut PgConnection, effect: EffectId, except: &str) -> Result<Found, sqlx::Error> {
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

    /// Counts a run that begins anew behind an open intent, which is this mark's from now on. Gives its number.
    async fn run_again(&self, connection: &mut PgConnection, effect: EffectId, mark: &str) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(&self.schema.run_again).bind(effect.to_string()).bind(mark).fetch_one(connection).await
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
    let mark = if matches!(state, RowState::Intent(_)) { row.try_get("detail")? } else { None };
    Ok(Stored { mark, run: row.try_get("run")?, row: Row { inbox, kept: row.try_get("kept")?, state } })
}

fn corrupt(column: &str, found: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: format!("{found:?} is none of ours").into() }
}
