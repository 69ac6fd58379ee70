//! `sagaline reconcile` beside a participant of the SDK that has forgotten what it did, on both of its stores: nothing differs, and what is asked
//! leaves nothing behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sagaline_integration::dev::Dev;
use sagaline_integration::process::wait_until;
use sagaline_integration::tables::Tables;
use sagaline_participant::effects::{PostgresStore, RocksRows, Store};
use sagaline_participant::{Config, Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant};
use sagaline_test_postgres::{Server, schema};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// How long a condition may take. Bounds a test that hangs; nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

const DEFINITION: &str = r"
saga: errand
version: 1.0.0
owner: team-desk
use: [desk]
types:
  Errand: { type: record, fields: [{ name: errand, type: string }] }
start: { topic: errands, if: event.type == 'sent', key: event.errand, type: Errand }
deadline: { after: 1d, else: compensate }
steps:
  - { step: booked, call: desk.book, with: { errand: '${input.errand}' } }
";

sagaline_participant::payload! {
    /// What is to be booked.
    pub struct Errand {
        /// Which.
        pub errand: String,
    }
}

fn desk() -> Participant {
    Participant::new("desk")
        .version("1.0.0")
        .owner("team-desk")
        .on("book", Idempotence::ByKey, |_: Errand, _: Effect| async { Ok::<_, HandlerError>(Nothing) })
        .compensate("book", "unbook", |_: Errand, _: Known<Nothing>, _: Effect| async {
            Ok::<_, HandlerError>(Nothing)
        })
        .probe("book", "look", |_: EffectKey, _: Effect| async { Ok::<_, HandlerError>(Nothing) })
}

/// A coordinator, and a desk that remembers an effect for a millisecond of the log's time.
struct Forgetting {
    dev: Dev,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    desk: tokio::task::JoinHandle<Result<(), sagaline_participant::RunError>>,
}

impl Forgetting {
    fn start(store: impl FnOnce() -> Result<Store>) -> Result<Self> {
        let mut dev = Dev::new(&[])?;
        std::fs::create_dir_all(dev.dir().join("definitions/contracts"))?;
        std::fs::write(dev.dir().join("definitions/errand.yaml"), DEFINITION)?;
        std::fs::write(dev.dir().join("definitions/contracts/desk.yaml"), desk().contract()?)?;
        dev.start(PATIENCE)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let within = runtime.enter();
        let config = Config {
            log: dev.log()?,
            store: store()?,
            prefix: String::new(),
            instance: "a".into(),
            in_flight: 8,
            retention: Duration::from_millis(1),
        };
        drop(within);
        let (stop, stopped) = oneshot::channel::<()>();
        let desk = runtime.spawn(desk().run_until(config, async move { drop(stopped.await) }));
        Ok(Self { dev, runtime, stop, desk })
    }

    fn completed(&self, key: &str) -> Result<()> {
        self.dev.sagaline(&["start", "errand", key, &format!(r#"{{"errand": "{key}"}}"#)])?;
        wait_until("the saga's end", PATIENCE, || {
            let shown = self.dev.sagaline(&["show", &format!("errand/{key}"), "--json"])?;
            let shown: Value = serde_json::from_str(&shown)?;
            Ok((shown["saga"]["status"] == "completed").then_some(()))
        })
    }

    /// How many effects are forgotten. An error where anything differs, or somebody keeps silent.
    fn unknown(&self) -> Result<u64> {
        let told: Value = serde_json::from_str(&self.dev.sagaline(&["reconcile", "--json"])?)?;
        told["participants"]["desk"]["unknown"].as_u64().with_context(|| format!("no count in {told}"))
    }

    fn forgets_and_says_so(mut self) -> Result<()> {
        let (mut sagas, mut unknown) = (0, 0);
        while unknown < 3 {
            ensure!(sagas < 100, "of {sagas} effects {unknown} were forgotten");
            sagas += 1;
            self.completed(&format!("E-{sagas}"))?;
            unknown = self.unknown()?;
        }
        ensure!(self.unknown()? >= unknown, "what was forgotten was known again");
        self.stop.send(()).ok().context("the desk runs until it is asked to stop")?;
        self.runtime.block_on(self.desk)??;
        self.dev.stop()
    }
}

#[test]
fn what_local_disk_has_forgotten_does_not_differ() -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("sagaline-")?;
    Forgetting::start(|| Ok(Store::Local(Box::new(RocksRows::open(dir.path())?))))?.forgets_and_says_so()
}

#[test]
fn what_postgres_has_forgotten_does_not_differ_and_no_tombstone_is_left() -> Result<()> {
    let schema = schema();
    let store = || Ok(Store::Postgres(PostgresStore::new(Server::shared().url(), &schema, 4)?));
    Forgetting::start(store)?.forgets_and_says_so()?;
    ensure!(Tables::new(&schema)?.effects("tombstone")? == 0, "who reconciles left tombstones");
    Ok(())
}
