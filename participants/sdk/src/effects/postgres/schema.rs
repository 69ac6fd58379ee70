//! The tables of the PostgreSQL store, how they are made, and every statement over them. One place for all SQL of the SDK; no statement is put together
//! from anything but the schema's checked name.

use sqlx::{Executor, PgConnection};

use super::PostgresStore;
use crate::effects::EffectStoreError;

/// What leads from one format to the next: the first from nothing to format 1. Only ever grows at its end.
const STEPS: [&str; 1] = ["
CREATE TABLE SCHEMA.effects (
    effect uuid PRIMARY KEY,
    reply_topic text NOT NULL,
    reply_partition bigint NOT NULL,
    kept bigint NOT NULL,
    run bigint NOT NULL DEFAULT 1,
    state text NOT NULL CHECK (state IN ('intent', 'succeeded', 'refused', 'tombstone', 'compensated')),
    result bytea,
    code text,
    detail text
);
COMMENT ON TABLE SCHEMA.effects IS 'What became of every effect. No cache: never delete a row by hand, an effect could happen twice.';
COMMENT ON COLUMN SCHEMA.effects.kept IS 'Log time of the latest command seen for it, milliseconds since 1970: it is kept by this.';
COMMENT ON COLUMN SCHEMA.effects.run IS 'How many runs of its handler have begun behind this intent.';
COMMENT ON COLUMN SCHEMA.effects.result IS 'The answer, JSON.';
CREATE INDEX effects_by_age ON SCHEMA.effects (reply_topic, reply_partition, kept, effect);
CREATE TABLE SCHEMA.horizons (
    reply_topic text NOT NULL,
    reply_partition bigint NOT NULL,
    horizon bigint NOT NULL,
    PRIMARY KEY (reply_topic, reply_partition)
);
COMMENT ON TABLE SCHEMA.horizons IS 'The latest log time of the effects that were dropped, for each reply partition.';
CREATE TABLE SCHEMA.effects_format (format bigint NOT NULL);
INSERT INTO SCHEMA.effects_format VALUES (0);
"];

/// A schema's name, checked, and the statements over its tables.
pub(super) struct Schema {
    pub name: String,
    pub intend: String,
    pub hold: String,
    pub horizon: String,
    pub latest_horizon: String,
    pub in_use: String,
    pub begin_use: String,
    pub put: String,
    pub remove: String,
    pub run_again: String,
    pub drop_through: String,
}

impl Schema {
    pub fn new(name: &str) -> Result<Self, EffectStoreError> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if !starts || !name.chars().all(good) || name.len() > 63 || name.starts_with("pg_") {
            return Err(EffectStoreError::Schema { name: name.to_owned() });
        }
        let sql = |text: &str| text.replace("SCHEMA", name);
        Ok(Self {
            name: name.to_owned(),
            // An intent's detail is its mark: which run, of which instance, it is. It keeps it while it is open.
            intend: sql("INSERT INTO SCHEMA.effects (effect, reply_topic, reply_partition, kept, state, detail) \
                         VALUES ($1::uuid, $2, $3, $4, 'intent', $5) ON CONFLICT (effect) DO NOTHING"),
            hold: sql(
                "SELECT reply_topic, reply_partition, kept, run, state, result, code, detail FROM SCHEMA.effects \
                       WHERE effect = $1::uuid FOR UPDATE",
            ),
            horizon: sql("SELECT horizon FROM SCHEMA.horizons WHERE reply_topic = $1 AND reply_partition = $2"),
            latest_horizon: sql("SELECT max(horizon) FROM SCHEMA.horizons WHERE reply_topic <> $1"),
            // A horizon of nowhere says that commands were handled here: no effect is older than it.
            in_use: sql("SELECT EXISTS (SELECT FROM SCHEMA.horizons) OR EXISTS (SELECT FROM SCHEMA.effects)"),
            begin_use: sql("INSERT INTO SCHEMA.horizons VALUES ('', 0, -9223372036854775808) ON CONFLICT DO NOTHING"),
            put: sql(
                "INSERT INTO SCHEMA.effects (effect, reply_topic, reply_partition, kept, state, result, code, detail) \
                      VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (effect) DO UPDATE SET \
                      reply_topic = excluded.reply_topic, reply_partition = excluded.reply_partition, kept = excluded.kept, \
                      state = excluded.state, result = excluded.result, code = excluded.code, \
                      detail = CASE WHEN excluded.state = 'intent' THEN effects.detail ELSE excluded.detail END",
            ),
            remove: sql("DELETE FROM SCHEMA.effects WHERE effect = $1::uuid"),
            run_again: sql(
                "UPDATE SCHEMA.effects SET run = run + 1, detail = $2 WHERE effect = $1::uuid RETURNING run",
            ),
            drop_through: sql(
                "WITH old AS (SELECT effect FROM SCHEMA.effects WHERE reply_topic = $1 AND reply_partition = $2 AND kept <= $3 \
                 ORDER BY kept, effect LIMIT $4 FOR UPDATE SKIP LOCKED), \
                 gone AS (DELETE FROM SCHEMA.effects USING old WHERE effects.effect = old.effect RETURNING effects.kept), \
                 raised AS (INSERT INTO SCHEMA.horizons SELECT $1, $2, max(kept) FROM gone HAVING count(*) > 0 \
                 ON CONFLICT (reply_topic, reply_partition) DO UPDATE SET horizon = greatest(horizons.horizon, excluded.horizon)) \
                 SELECT count(*) FROM gone",
            ),
        })
    }
}

/// Makes the tables, or brings them to this program's format.
pub(super) async fn prepare(store: &PostgresStore) -> Result<(), EffectStoreError> {
    let failed = |error: sqlx::Error| store.error(&error);
    let mut looking = store.begin().await.map_err(failed)?;
    check_encoding(store, &mut looking).await?;
    // Who may only read and write needs no more once somebody else has made the tables.
    let from = found(store, &mut looking).await?;
    looking.rollback().await.map_err(failed)?;
    if from == STEPS.len() {
        return Ok(());
    }
    let mut transaction = store.begin().await.map_err(failed)?;
    let (name, lock) = (&store.schema.name, "SELECT pg_advisory_xact_lock(hashtextextended('sagaline ' || $1, 0))");
    sqlx::query(lock).bind(name).execute(&mut *transaction).await.map_err(failed)?;
    let from = found(store, &mut transaction).await?;
    if from == 0 {
        let make = format!("CREATE SCHEMA IF NOT EXISTS {name}");
        transaction.execute(make.as_str()).await.map_err(failed)?;
    }
    for step in STEPS.iter().skip(from) {
        transaction.execute(step.replace("SCHEMA", name).as_str()).await.map_err(failed)?;
    }
    let raise = format!("UPDATE {name}.effects_format SET format = {}", STEPS.len());
    transaction.execute(raise.as_str()).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// A refusal's words may come from anywhere: one that the database can't write would stop whoever meets its command, again and again.
async fn check_encoding(store: &PostgresStore, connection: &mut PgConnection) -> Result<(), EffectStoreError> {
    let asked = sqlx::query_scalar("SHOW server_encoding").fetch_one(connection).await;
    let found: String = asked.map_err(|error| store.error(&error))?;
    // SQL_ASCII takes any bytes as they are.
    match found.as_str() {
        "UTF8" | "SQL_ASCII" => Ok(()),
        _ => Err(EffectStoreError::Encoding { place: store.place.to_string(), found }),
    }
}

/// The format that is there; 0: none.
async fn found(store: &PostgresStore, connection: &mut PgConnection) -> Result<usize, EffectStoreError> {
    let failed = |error: sqlx::Error| store.error(&error);
    let name = &store.schema.name;
    // By the catalogue's rows, not by to_regclass, which may answer from a cache that has not heard of what was made while we waited for the lock.
    let there = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
         WHERE nspname = $1 AND relname = 'effects_format')",
    )
    .bind(name);
    if !there.fetch_one(&mut *connection).await.map_err(failed)? {
        return Ok(0);
    }
    let format = format!("SELECT format FROM {name}.effects_format");
    let format: i64 = sqlx::query_scalar(&format).fetch_one(connection).await.map_err(failed)?;
    match usize::try_from(format) {
        Ok(format) if format <= STEPS.len() => Ok(format),
        Ok(_) | Err(_) => Err(EffectStoreError::Format {
            place: store.place.to_string(),
            found: format.to_string(),
            expected: STEPS.len().to_string(),
        }),
    }
}
