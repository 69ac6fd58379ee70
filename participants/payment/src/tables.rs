//! Accounts and what was charged to them, in PostgreSQL. A handler writes only through the transaction that it is given; nothing here looks whether an
//! effect has happened before: that is the effect store's word alone, and `payments`, which has no key to stop a double, is the witness.

use sagaline_participant::effects::PostgresStore;
use sagaline_participant::sqlx::{self, Executor, PgPool, Row, postgres::PgRow};
use sagaline_participant::{Effect, HandlerError, Transaction};
use sagaline_service::{Act, Acted};

use crate::Arguments;
use crate::accounts::{Charge, Charged, Opening, PaymentStatus, insufficient, reference};

const MAKE: &str = "
CREATE TABLE IF NOT EXISTS SCHEMA.accounts (account text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE IF NOT EXISTS SCHEMA.payments (
    number bigserial PRIMARY KEY,
    effect_id uuid NOT NULL,
    saga text NOT NULL,
    operation text NOT NULL,
    what text NOT NULL,
    account text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    reference text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS payments_by_effect ON SCHEMA.payments (effect_id);
CREATE TABLE IF NOT EXISTS SCHEMA.deaths (effect_id uuid NOT NULL, operation text NOT NULL, PRIMARY KEY (effect_id, operation));
";

/// All accounts.
pub struct Tables {
    pool: PgPool,
    opening: Opening,
    make: String,
    open: String,
    take: String,
    give: String,
    balance: String,
    pay: String,
    charged: String,
    status: String,
    die: String,
}

impl Tables {
    /// Accounts in this schema. Nothing is asked yet.
    pub fn new(arguments: &Arguments, pool: PgPool, schema: String) -> anyhow::Result<Self> {
        let sql = |text: &str| text.replace("SCHEMA", &schema);
        Ok(Self {
            pool,
            opening: Opening::read(arguments)?,
            make: sql(MAKE),
            open: sql("INSERT INTO SCHEMA.accounts VALUES ($1, $2) ON CONFLICT DO NOTHING"),
            take: sql("UPDATE SCHEMA.accounts SET balance = balance - $2 WHERE account = $1 AND balance >= $2"),
            give: sql("UPDATE SCHEMA.accounts SET balance = balance + $2 WHERE account = $1"),
            balance: sql("SELECT balance FROM SCHEMA.accounts WHERE account = $1"),
            pay: sql(
                "INSERT INTO SCHEMA.payments (effect_id, saga, operation, what, account, amount, currency, reference) \
                      VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8)",
            ),
            charged: sql("SELECT account, amount, currency, reference FROM SCHEMA.payments \
                          WHERE effect_id = $1::uuid AND what = 'charged'"),
            status: sql("SELECT max(reference) AS reference, \
                         coalesce(sum(amount) FILTER (WHERE what = 'charged'), 0)::bigint AS charged, \
                         coalesce(sum(amount) FILTER (WHERE what = 'refunded'), 0)::bigint AS refunded \
                         FROM SCHEMA.payments WHERE effect_id = $1::uuid"),
            die: sql("INSERT INTO SCHEMA.deaths VALUES ($1::uuid, $2) ON CONFLICT DO NOTHING"),
        })
    }

    /// Makes the tables where they are not there. The effect store's come first: they bring the schema, and one instance after the other.
    pub async fn prepare(&self, store: &PostgresStore) -> anyhow::Result<()> {
        store.prepare().await?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('payment', 0))").execute(&mut *transaction).await?;
        transaction.execute(self.make.as_str()).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes money.
    pub async fn charge(
        &self,
        effect: &Effect,
        charge: &Charge,
        mut transaction: Transaction,
        act: Act,
    ) -> Result<Acted<Charged>, HandlerError> {
        let (account, amount) = (&charge.account, charge.amount);
        self.opening.check_card(account)?;
        let opening = self.opening.balance(account);
        sqlx::query(&self.open).bind(account).bind(opening).execute(&mut *transaction).await?;
        let taken = sqlx::query(&self.take).bind(account).bind(amount).execute(&mut *transaction).await?;
        if taken.rows_affected() == 0 {
            let balance = sqlx::query_scalar(&self.balance).bind(account).fetch_one(&mut *transaction).await?;
            return Err(insufficient(charge, balance));
        }
        let reference = reference(&effect.id().to_string());
        let payment = Line { what: "charged", account, amount, currency: &charge.currency, reference: &reference };
        self.write(effect, payment, &mut transaction).await?;
        Ok(Acted { act, result: Charged { reference, captured: amount } })
    }

    /// Gives back what was charged, if anything was.
    pub async fn refund(
        &self,
        effect: &Effect,
        mut transaction: Transaction,
        act: Act,
    ) -> Result<Acted<()>, HandlerError> {
        let charged =
            sqlx::query(&self.charged).bind(effect.id().to_string()).fetch_optional(&mut *transaction).await?;
        if let Some(row) = charged {
            let payment = Line { what: "refunded", ..line(&row)? };
            let (account, amount) = (payment.account, payment.amount);
            sqlx::query(&self.give).bind(account).bind(amount).execute(&mut *transaction).await?;
            self.write(effect, payment, &mut transaction).await?;
        }
        Ok(Acted { act, result: () })
    }

    async fn write(&self, effect: &Effect, line: Line<'_>, transaction: &mut Transaction) -> Result<(), sqlx::Error> {
        let pay = sqlx::query(&self.pay)
            .bind(effect.id().to_string())
            .bind(effect.saga_name())
            .bind(effect.operation())
            .bind(line.what)
            .bind(line.account)
            .bind(line.amount)
            .bind(line.currency)
            .bind(line.reference);
        pay.execute(&mut **transaction).await.map(drop)
    }

    /// What became of a charge.
    pub async fn status(&self, effect_id: &str) -> Result<PaymentStatus, HandlerError> {
        let row = sqlx::query(&self.status).bind(effect_id).fetch_one(&self.pool).await?;
        let (charged, refunded): (i64, i64) = (row.try_get("charged")?, row.try_get("refunded")?);
        Ok(PaymentStatus { reference: row.try_get("reference")?, captured: charged - refunded, refunded })
    }

    /// For the fault that kills the process: the first time, and only once. A death takes the transaction back, so that the effect alone could not tell.
    pub async fn act(&self, effect: &Effect, kills: bool) -> Result<Act, HandlerError> {
        if !kills {
            return Ok(Act::Before);
        }
        let die = sqlx::query(&self.die).bind(effect.id().to_string()).bind(effect.operation());
        Ok(if die.execute(&self.pool).await?.rows_affected() > 0 { Act::First } else { Act::Before })
    }
}

/// A line of `payments`.
struct Line<'a> {
    what: &'static str,
    account: &'a str,
    amount: i64,
    currency: &'a str,
    reference: &'a str,
}

fn line(row: &PgRow) -> Result<Line<'_>, sqlx::Error> {
    Ok(Line {
        what: "charged",
        account: row.try_get("account")?,
        amount: row.try_get("amount")?,
        currency: row.try_get("currency")?,
        reference: row.try_get("reference")?,
    })
}
