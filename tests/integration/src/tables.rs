//! A participant's tables in PostgreSQL, read by somebody who knows nothing of effect stores.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sagaline_test_postgres::Server;
use sqlx::{Connection, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::process::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
/// So many transactions are to be open at a death.
const BUSY: i64 = 4;

/// What became of an effect in the business: how often it was charged, how often refunded.
pub type Payments = BTreeMap<String, (usize, usize)>;

/// Counts a line of the business.
pub fn count(payments: &mut Payments, effect: &str, what: &str) {
    let times = payments.entry(effect.to_owned()).or_default();
    match what {
        "charged" => times.0 += 1,
        "refunded" => times.1 += 1,
        _ => {}
    }
}

/// Of one participant, in one database.
#[derive(Debug)]
pub struct Tables {
    runtime: Runtime,
    url: String,
    schema: String,
}

impl Tables {
    /// In the PostgreSQL that all tests share.
    ///
    /// # Errors
    /// When the system gives no runtime.
    pub fn new(schema: &str) -> Result<Self> {
        Self::of(Server::shared(), schema)
    }

    /// In this PostgreSQL.
    ///
    /// # Errors
    /// When the system gives no runtime.
    pub fn of(server: &Server, schema: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, url: server.url().to_owned(), schema: schema.to_owned() })
    }

    fn ask<T>(&self, ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>) -> Result<T> {
        Ok(self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.url).await?;
            let answer = ask(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(answer)
        })?)
    }

    /// What the ledger says of every effect.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn payments(&self) -> Result<Payments> {
        let query = format!("SELECT effect_id::text AS effect_id, what FROM {}.ledger", self.schema);
        let rows = self.ask(async |connection| sqlx::query(&query).fetch_all(connection).await)?;
        let mut payments = Payments::new();
        for row in rows {
            count(&mut payments, row.try_get("effect_id")?, row.try_get("what")?);
        }
        Ok(payments)
    }

    /// Accounts whose balance does not follow from their payments.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn unbalanced(&self) -> Result<Vec<String>> {
        let query = format!(
            "SELECT name FROM {0}.balances WHERE amount <> 1000000000 - (SELECT coalesce(sum(CASE what \
             WHEN 'charged' THEN (details->>'amount')::bigint WHEN 'refunded' THEN -(details->>'amount')::bigint END), 0) \
             FROM {0}.ledger WHERE details->>'account' = name)",
            self.schema
        );
        self.ask(async |connection| sqlx::query_scalar(&query).fetch_all(connection).await)
    }

    /// Waits until an instance has transactions open in which something was written.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn wait_busy(&self, instance: &str) -> Result<()> {
        let query = "SELECT count(*) FROM pg_stat_activity \
                     WHERE application_name = $1 AND state = 'idle in transaction' AND backend_xid IS NOT NULL";
        wait_until("open transactions", PATIENCE, || {
            let open: i64 =
                self.ask(async |connection| sqlx::query_scalar(query).bind(instance).fetch_one(connection).await)?;
            Ok((open >= BUSY).then_some(()))
        })
    }

    /// Writes the ledger as the services' files have it.
    ///
    /// # Errors
    /// When the database does not answer, or the file can't be written.
    pub fn export(&self, path: &Path) -> Result<()> {
        let query = format!(
            "SELECT (jsonb_build_object('effect_id', effect_id, 'saga', saga, 'operation', operation, 'what', what, \
             'at', (extract(epoch FROM at) * 1000)::bigint) || details)::text FROM {}.ledger ORDER BY number",
            self.schema
        );
        let mut lines: Vec<String> =
            self.ask(async |connection| sqlx::query_scalar(&query).fetch_all(connection).await)?;
        lines.push(String::new());
        Ok(std::fs::write(path, lines.join("\n"))?)
    }

    /// How many effects the store has in this state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn effects(&self, state: &str) -> Result<i64> {
        let query = format!("SELECT count(*) FROM {}.effects WHERE state = $1", self.schema);
        self.ask(async |connection| sqlx::query_scalar(&query).bind(state).fetch_one(connection).await)
    }

    /// From now on the effect store loses every success that it records.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn forget_successes(&self) -> Result<()> {
        let forget = format!(
            "CREATE FUNCTION {0}.forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             DELETE FROM {0}.effects WHERE effect = NEW.effect; RETURN NULL; END $$; \
             CREATE TRIGGER forget AFTER UPDATE ON {0}.effects FOR EACH ROW WHEN (NEW.state = 'succeeded') \
             EXECUTE FUNCTION {0}.forget()",
            self.schema
        );
        self.ask(async |connection| sqlx::raw_sql(&forget).execute(connection).await.map(drop))
    }
}
