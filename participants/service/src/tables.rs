//! What a demonstration service did and what it has, in PostgreSQL. A handler writes only through the transaction that it is given; nothing here looks whether
//! an effect has happened before: that is the effect store's word alone, and `ledger`, which has no key to stop a double, is the witness.

use std::marker::PhantomData;

use sagaline_participant::cli::StartError;
use sagaline_participant::effects::PostgresStore;
use sagaline_participant::sqlx::{self, Executor, Row};
use sagaline_participant::{Effect, HandlerError, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::book::{Act, Standing, Words};
use crate::{Command, Faults};

const MAKE: &str = "
CREATE TABLE IF NOT EXISTS SCHEMA.balances (name text PRIMARY KEY, amount bigint NOT NULL CHECK (amount >= 0));
CREATE TABLE IF NOT EXISTS SCHEMA.ledger (
    number bigserial PRIMARY KEY,
    effect_id uuid NOT NULL,
    saga text NOT NULL,
    operation text NOT NULL,
    what text NOT NULL,
    details jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS ledger_by_effect ON SCHEMA.ledger (effect_id);
CREATE TABLE IF NOT EXISTS SCHEMA.deaths (effect_id uuid, operation text, PRIMARY KEY (effect_id, operation));
";

/// The tables of one service, beside its effect store.
pub struct Tables<D> {
    store: PostgresStore,
    words: Words,
    make: String,
    open: String,
    take: String,
    give: String,
    balance: String,
    write: String,
    read: String,
    die: String,
    details: PhantomData<fn() -> D>,
}

impl<D: Serialize + DeserializeOwned> Tables<D> {
    /// Where the command line names a database. Nothing is asked yet. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address or the schema's name is none.
    pub fn configured(command: &Command, participant: &str, words: Words) -> Result<Option<Self>, StartError> {
        let Some(store) = command.options.postgres(participant)? else { return Ok(None) };
        let schema = command.options.schema(participant);
        let sql = |text: &str| text.replace("SCHEMA", &schema);
        Ok(Some(Self {
            store,
            words,
            make: sql(MAKE),
            open: sql("INSERT INTO SCHEMA.balances VALUES ($1, $2) ON CONFLICT DO NOTHING"),
            take: sql("UPDATE SCHEMA.balances SET amount = amount - $2 WHERE name = $1 AND amount >= $2"),
            give: sql("UPDATE SCHEMA.balances SET amount = amount + $2 WHERE name = $1"),
            balance: sql("SELECT amount FROM SCHEMA.balances WHERE name = $1"),
            write: sql("INSERT INTO SCHEMA.ledger (effect_id, saga, operation, what, details) \
                        VALUES ($1::uuid, $2, $3, $4, $5::jsonb)"),
            read: sql(
                "SELECT what, details::text AS details FROM SCHEMA.ledger WHERE effect_id = $1::uuid ORDER BY number",
            ),
            die: sql("INSERT INTO SCHEMA.deaths VALUES ($1::uuid, $2) ON CONFLICT DO NOTHING"),
            details: PhantomData,
        }))
    }

    /// Makes the tables where they are not there. The effect store's come first: they bring the schema.
    ///
    /// # Errors
    /// When the database can't be reached, or does not let us.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        self.store.prepare().await?;
        let mut transaction = self.store.pool().begin().await?;
        // One instance after the other.
        transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended('sagaline service', 0))").await?;
        transaction.execute(self.make.as_str()).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes so much of what `name` has, if it has enough. It opens with `opening`.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(
        &self,
        transaction: &mut Transaction,
        name: &str,
        amount: i64,
        opening: i64,
    ) -> Result<Taken, HandlerError> {
        sqlx::query(&self.open).bind(name).bind(opening).execute(&mut **transaction).await?;
        let taken = sqlx::query(&self.take).bind(name).bind(amount).execute(&mut **transaction).await?;
        if taken.rows_affected() > 0 {
            return Ok(Taken::All);
        }
        let there = sqlx::query_scalar(&self.balance).bind(name).fetch_one(&mut **transaction).await?;
        Ok(Taken::TooLittle { there })
    }

    /// Gives back what was taken.
    ///
    /// # Errors
    /// The database's.
    pub async fn give(&self, transaction: &mut Transaction, name: &str, amount: i64) -> Result<(), HandlerError> {
        sqlx::query(&self.give).bind(name).bind(amount).execute(&mut **transaction).await?;
        Ok(())
    }

    /// The effect happens.
    ///
    /// # Errors
    /// The database's.
    pub async fn act(&self, transaction: &mut Transaction, effect: &Effect, details: &D) -> Result<(), HandlerError> {
        self.line(transaction, effect, self.words.done, details).await
    }

    /// The effect is undone, if it ever happened. Gives what it was about.
    ///
    /// # Errors
    /// The database's.
    pub async fn undo(&self, transaction: &mut Transaction, effect: &Effect) -> Result<Option<D>, HandlerError> {
        let lines = sqlx::query(&self.read).bind(effect.id().to_string()).fetch_all(&mut **transaction).await?;
        let Some(details) = self.standing_of(&lines)?.details else { return Ok(None) };
        self.line(transaction, effect, self.words.undone, &details).await?;
        Ok(Some(details))
    }

    async fn line(
        &self,
        transaction: &mut Transaction,
        effect: &Effect,
        what: &str,
        details: &D,
    ) -> Result<(), HandlerError> {
        let line = sqlx::query(&self.write)
            .bind(effect.id().to_string())
            .bind(effect.saga_name())
            .bind(effect.operation())
            .bind(what)
            .bind(serde_json::to_string(details)?);
        line.execute(&mut **transaction).await?;
        Ok(())
    }

    /// What became of an effect.
    ///
    /// # Errors
    /// The database's.
    pub async fn standing(&self, effect_id: &str) -> Result<Standing<D>, HandlerError> {
        let lines = sqlx::query(&self.read).bind(effect_id).fetch_all(self.store.pool()).await?;
        self.standing_of(&lines)
    }

    fn standing_of(&self, lines: &[sqlx::postgres::PgRow]) -> Result<Standing<D>, HandlerError> {
        let mut standing = Standing::default();
        for line in lines {
            let what: &str = line.try_get("what")?;
            if what == self.words.done {
                standing.done += 1;
                standing.details = Some(serde_json::from_str(line.try_get("details")?)?);
            } else {
                standing.undone += 1;
            }
        }
        Ok(standing)
    }

    /// For the fault that kills the process: the first time, and only once. A death takes the transaction back, so the effect alone can't tell.
    ///
    /// # Errors
    /// The database's, or when the words for the effect's faults are none.
    pub async fn tried(&self, effect: &Effect, faults: &Faults, simulate: Option<&str>) -> Result<Act, HandlerError> {
        if !faults.kills(effect, simulate)? {
            return Ok(Act::Before);
        }
        let die = sqlx::query(&self.die).bind(effect.id().to_string()).bind(effect.operation());
        Ok(if die.execute(self.store.pool()).await?.rows_affected() > 0 { Act::First } else { Act::Before })
    }
}

/// What became of a taking.
pub enum Taken {
    /// It was taken.
    All,
    /// Nothing was taken.
    TooLittle {
        /// So much is there.
        there: i64,
    },
}
