//! The store on a real PostgreSQL: it answers as the local one does, it is exact where it promises a transaction, and instances that meet at one effect
//! do it once. Its rows go through the same suite as the others (`conformance.rs`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sagaline_schemas::command::{Command, KnownOutcome, KnownSucceeded, KnownUnknown};
use sagaline_schemas::record::{Answer, Happened, Kind, MarkKind};
use sagaline_test_postgres::{Door, Server, schema};
use tokio::runtime::Runtime;

use super::*;
use crate::effects::tests::{beside, command};
use crate::effects::{Begin, EffectRows, EffectStore, Idempotence, MemoryRows, Promise, Reach};
use crate::handler::{Call, Effect, HandlerError, HandlerOutcome, Outcome, Work};
use crate::participant::Plan;

mod vanishing;

const LONG: Duration = Duration::from_secs(1_000_000);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A store in this schema, with its tables.
async fn store(schema: &str) -> PostgresStore {
    let store = PostgresStore::new(Server::shared().url(), schema, 8).unwrap();
    store.prepare().await.unwrap();
    store
}

/// The rows as the suite for rows wants them: each call a transaction of its own.
pub(in crate::effects) struct Blocking {
    runtime: Runtime,
    store: PostgresStore,
}

impl Blocking {
    pub fn open(schema: &str) -> Self {
        let runtime = runtime();
        let store = runtime.block_on(store(schema));
        Self { runtime, store }
    }

    fn within<T>(
        &self,
        run: impl AsyncFnOnce(&PostgresStore, &mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, EffectStoreError> {
        let ran = self.runtime.block_on(async {
            let mut open = self.store.begin().await?;
            let ran = run(&self.store, &mut open).await?;
            open.commit().await?;
            Ok(ran)
        });
        ran.map_err(|error| self.store.error(&error))
    }
}

impl EffectRows for Blocking {
    fn row(&self, effect: EffectId) -> Result<Option<Row>, EffectStoreError> {
        let held = self.within(async |store, connection| store.hold(connection, effect).await)?;
        Ok(held.map(|stored| stored.row))
    }
    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        self.within(async |store, connection| store.put(connection, effect, row).await)
    }
    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError> {
        self.within(async |store, connection| store.remove(connection, effect).await)
    }
    fn horizon(&self, inbox: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError> {
        self.within(async |store, connection| store.horizon(connection, inbox).await)
    }
    fn latest_horizon(&self, except: &str) -> Result<Option<Millis>, EffectStoreError> {
        self.within(async |store, connection| store.latest_horizon(connection, except).await)
    }
    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        at_most: usize,
    ) -> Result<usize, EffectStoreError> {
        self.within(async |store, connection| store.drop_through(connection, inbox, through, at_most).await)
    }
    fn sync(&mut self) -> Result<(), EffectStoreError> {
        Ok(())
    }
    fn reach(&self) -> Reach {
        Reach::AllInstances
    }
}

fn effect_of(command: &Command) -> Effect {
    Effect::new(command, Arc::new(|_| {}))
}

/// What handlers say, in order.
#[derive(Clone, Default)]
struct Script {
    outcomes: Arc<Mutex<VecDeque<HandlerOutcome>>>,
    runs: Arc<AtomicUsize>,
}

impl Script {
    fn of(outcomes: impl IntoIterator<Item = HandlerOutcome>) -> Self {
        Self { outcomes: Arc::new(Mutex::new(outcomes.into_iter().collect())), runs: Arc::default() }
    }

    fn next(&self) -> HandlerOutcome {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.outcomes.lock().unwrap().pop_front().expect("the script goes on")
    }

    fn alone(&self) -> Work {
        let script = self.clone();
        Work::Alone(Arc::new(move |_: Call| -> Outcome {
            let script = script.clone();
            Box::pin(async move { script.next() })
        }))
    }
}

fn refused() -> HandlerOutcome {
    Err(HandlerError::refused("No", ""))
}

fn plan(declared: Idempotence, work: Work) -> Plan {
    Plan { promise: Promise::from(declared), work }
}

/// In the tests' world an effect happens by a row here.
async fn make_business(store: &PostgresStore) {
    let make = format!("CREATE TABLE {}.done (effect text, what text)", store.schema.name);
    sqlx::raw_sql(&make).execute(store.pool()).await.unwrap();
}

async fn done(store: &PostgresStore) -> i64 {
    let count = format!("SELECT count(*) FROM {}.done", store.schema.name);
    sqlx::query_scalar(&count).fetch_one(store.pool()).await.unwrap()
}

/// Does it in the transaction, then says what the script says.
fn doing(store: &PostgresStore, script: &Script) -> Work {
    let (name, script) = (store.schema.name.clone(), script.clone());
    Work::InTransaction(Arc::new(move |call: Call, mut transaction: Transaction| -> Outcome {
        let (name, script) = (name.clone(), script.clone());
        Box::pin(async move {
            let insert = format!("INSERT INTO {name}.done VALUES ($1, 'done')");
            sqlx::query(&insert).bind(call.effect.id().to_string()).execute(&mut *transaction).await?;
            script.next()
        })
    }))
}

async fn state(store: &PostgresStore, command: &Command) -> Option<RowState> {
    let mut open = store.begin().await.unwrap();
    let held = store.hold(&mut open, command.effect_id).await.unwrap();
    // A row that is still held is not dropped.
    open.rollback().await.unwrap();
    held.map(|stored| stored.row.state)
}

fn do_it() -> Command {
    command(Kind::Do, None, 5, 5)
}

fn unknown() -> Option<KnownOutcome> {
    Some(KnownOutcome::Unknown(KnownUnknown {}))
}

fn succeeded() -> Option<KnownOutcome> {
    Some(KnownOutcome::Succeeded(KnownSucceeded { result: "1".into() }))
}

#[test]
fn what_is_done_in_a_transaction_is_done_with_its_record_or_not_at_all() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        make_business(&store).await;
        let effects = SharedEffects::new(store.clone(), LONG);
        let working = HandlerError::Working { until: 9 };
        let script = Script::of([Err(HandlerError::failed("after")), Err(working), Ok("1".into())]);
        let perform = async || {
            let plan = plan(Idempotence::Transaction, doing(&store, &script));
            effects.perform(&do_it(), plan, effect_of(&do_it())).await.unwrap()
        };
        assert!(matches!(perform().await, Answer::Failed(_)));
        assert_eq!((done(&store).await, state(&store, &do_it()).await), (0, None));
        assert!(matches!(perform().await, Answer::Failed(failed) if failed.error.contains("ByKey")));
        assert_eq!((done(&store).await, state(&store, &do_it()).await), (0, None));
        assert!(matches!(perform().await, Answer::Succeeded(_)));
        assert!(matches!(perform().await, Answer::Succeeded(done) if &*done.result == b"1"));
        assert_eq!(done(&store).await, 1);
        assert!(matches!(state(&store, &do_it()).await, Some(RowState::Succeeded(_))));
    });
}

#[test]
fn a_refusal_is_remembered_and_takes_back_what_the_handler_wrote() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        make_business(&store).await;
        let effects = SharedEffects::new(store.clone(), LONG);
        let script = Script::of([refused()]);
        for _ in 0..2 {
            let plan = plan(Idempotence::Transaction, doing(&store, &script));
            let answer = effects.perform(&do_it(), plan, effect_of(&do_it())).await.unwrap();
            assert!(matches!(answer, Answer::Refused(refused) if refused.code == "No"));
        }
        assert_eq!((done(&store).await, script.runs.load(Ordering::Relaxed)), (0, 1));
    });
}

#[test]
fn a_handler_that_panics_or_keeps_its_transaction_has_done_nothing() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        make_business(&store).await;
        let effects = SharedEffects::new(store.clone(), LONG);
        let panics = doing(&store, &Script::default());
        let answer = effects.perform(&do_it(), plan(Idempotence::Transaction, panics), effect_of(&do_it())).await;
        assert!(matches!(answer.unwrap(), Answer::Failed(_)));

        let kept: Arc<Mutex<Vec<Transaction>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let keeps = Work::InTransaction(Arc::new(move |_: Call, transaction: Transaction| -> Outcome {
            keep.lock().unwrap().push(transaction);
            Box::pin(async { Ok("1".into()) })
        }));
        let answer = effects.perform(&do_it(), plan(Idempotence::Transaction, keeps), effect_of(&do_it())).await;
        assert!(matches!(answer.unwrap(), Answer::Failed(failed) if failed.error.contains("outlives")));
        kept.lock().unwrap().clear();
        assert_eq!((done(&store).await, state(&store, &do_it()).await), (0, None));
    });
}

#[test]
fn what_the_database_refuses_at_the_commit_is_a_failure_and_stops_nothing() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        make_business(&store).await;
        let late = format!("ALTER TABLE {}.done ADD UNIQUE (effect) DEFERRABLE INITIALLY DEFERRED", store.schema.name);
        sqlx::raw_sql(&late).execute(store.pool()).await.unwrap();
        let before = format!("INSERT INTO {}.done VALUES ($1, 'by hand')", store.schema.name);
        sqlx::query(&before).bind(do_it().effect_id.to_string()).execute(store.pool()).await.unwrap();
        let effects = SharedEffects::new(store.clone(), LONG);
        let script = Script::of([Ok("1".into())]);
        let plan = plan(Idempotence::Transaction, doing(&store, &script));
        let answer = effects.perform(&do_it(), plan, effect_of(&do_it())).await.unwrap();
        assert!(matches!(&answer, Answer::Failed(failed) if failed.error.contains("done_effect_key")), "{answer:?}");
        assert_eq!((done(&store).await, state(&store, &do_it()).await), (1, None));
    });
}

#[test]
fn words_that_a_database_takes_nowhere_stop_nothing() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        make_business(&store).await;
        let effects = SharedEffects::new(store.clone(), LONG);
        let refusal = Err(HandlerError::refused("No", "no account \u{0}"));
        let script = Script::of([refusal.clone(), refusal]);
        for (n, declared, work) in
            [(7, Idempotence::ByKey, script.alone()), (8, Idempotence::Transaction, doing(&store, &script))]
        {
            let mut command = do_it();
            command.effect_id = EffectId::from_bytes([n; 16]);
            for _ in 0..2 {
                let plan = plan(declared, work.clone());
                let answer = effects.perform(&command, plan, effect_of(&command)).await.unwrap();
                let is_told = |told: &Refused| told.code == "No" && told.detail == "no account \u{fffd}";
                assert!(matches!(&answer, Answer::Refused(told) if is_told(told)), "{answer:?}");
            }
        }
    });
}

#[test]
fn instances_that_meet_at_one_effect_do_it_once() {
    runtime().block_on(async {
        let name = schema();
        let here = store(&name).await;
        make_business(&here).await;
        let mut instances = Vec::new();
        for _ in 0..3 {
            instances.push(Arc::new(SharedEffects::new(store(&name).await, LONG)));
        }
        let script = Script::of(std::iter::repeat_n(Ok("1".into()), 100));
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..24_u8 {
            let (effects, mut command) = (Arc::clone(&instances[usize::from(n) % 3]), do_it());
            command.effect_id = EffectId::from_bytes([n / 6; 16]);
            let plan = plan(Idempotence::Transaction, doing(&here, &script));
            tasks.spawn(async move { effects.perform(&command, plan, effect_of(&command)).await.unwrap() });
        }
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Succeeded(_))), "{answers:?}");
        assert_eq!((done(&here).await, script.runs.load(Ordering::Relaxed)), (4, 4));
    });
}

/// One instance begins and stalls; another one takes the command over.
async fn overtaken(first: HandlerOutcome, other: HandlerOutcome, undo: bool) -> (Answer, RowState) {
    let name = schema();
    let (slow, quick) = (SharedEffects::new(store(&name).await, LONG), SharedEffects::new(store(&name).await, LONG));
    let command_of_other = if undo { command(Kind::Compensate, unknown(), 5, 6) } else { do_it() };
    let quick = Arc::new(quick);
    let gate: Work = Work::Alone(Arc::new(move |_: Call| -> Outcome {
        let (quick, command, first) = (Arc::clone(&quick), command_of_other.clone(), first.clone());
        let script = Script::of([other.clone()]);
        Box::pin(async move {
            let plan = plan(Idempotence::ByKey, script.alone());
            quick.perform(&command, plan, effect_of(&command)).await.expect("the other instance's database works");
            first
        })
    }));
    let answer = slow.perform(&do_it(), plan(Idempotence::ByKey, gate), effect_of(&do_it())).await.unwrap();
    (answer, state(&store(&name).await, &do_it()).await.expect("there is a row"))
}

#[test]
fn who_was_overtaken_says_what_was_recorded_and_overwrites_nothing() {
    let come_again = || Err(HandlerError::retry(Duration::ZERO, ""));
    runtime().block_on(async {
        let (answer, state) = overtaken(refused(), Ok("2".into()), false).await;
        assert!(matches!(answer, Answer::Succeeded(done) if &*done.result == b"2"));
        assert!(matches!(state, RowState::Succeeded(_)));
        let (answer, state) = overtaken(Ok("1".into()), Ok("undone".into()), true).await;
        assert!(matches!(answer, Answer::Mark(mark) if mark.mark == MarkKind::AlreadyCompensated));
        assert!(matches!(state, RowState::Compensated(_)));
        // The other run is under way still, or died: its intent stands, whatever the first one says of itself.
        for first in [refused(), come_again()] {
            let (answer, state) = overtaken(first, Err(HandlerError::failed("")), false).await;
            assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
            assert!(matches!(state, RowState::Intent(_)));
        }
        let (answer, state) = overtaken(Ok("1".into()), Err(HandlerError::failed("")), false).await;
        assert!(matches!(answer, Answer::Succeeded(_)));
        assert!(matches!(state, RowState::Succeeded(_)));
    });
}

#[test]
fn what_was_dropped_is_forgotten_and_what_is_held_is_not_dropped() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        let effects = SharedEffects::new(store.clone(), Duration::ZERO);
        let answer = |command: Command| {
            let plan = plan(Idempotence::ByKey, Script::of([Ok("1".into())]).alone());
            let effects = &effects;
            async move { effects.perform(&command, plan, effect_of(&command)).await.unwrap() }
        };
        assert!(matches!(answer(do_it()).await, Answer::Succeeded(_)));
        let mut holding = store.begin().await.unwrap();
        assert!(store.hold(&mut holding, do_it().effect_id).await.unwrap().is_some());
        effects.drop_expired(10).await.unwrap();
        holding.rollback().await.unwrap();
        assert!(state(&store, &do_it()).await.is_some(), "somebody worked with it");
        effects.drop_expired(10).await.unwrap();
        assert!(state(&store, &do_it()).await.is_none());
        assert!(matches!(answer(do_it()).await, Answer::Mark(mark) if mark.mark == MarkKind::Forgotten));
        assert!(state(&store, &do_it()).await.is_none(), "nothing is left of what was forgotten");
        let probe = answer(command(Kind::Probe, None, 5, 9)).await;
        assert!(matches!(probe, Answer::Probed(probed) if probed.happened == Happened::Unknown));
        assert!(matches!(answer(command(Kind::Compensate, succeeded(), 5, 9)).await, Answer::Compensated(_)));
    });
}

#[test]
fn who_reconciles_hears_that_it_is_forgotten_and_leaves_nothing() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        let effects = SharedEffects::new(store.clone(), Duration::ZERO);
        let happened = async |probe: Command| {
            let plan = plan(Idempotence::ByKey, Script::of([Ok("null".into())]).alone());
            match effects.perform(&probe, plan, effect_of(&probe)).await.unwrap() {
                Answer::Probed(probed) => probed.happened,
                other => panic!("{other:?} is no answer to a probe"),
            }
        };
        let doing = plan(Idempotence::ByKey, Script::of([Ok("1".into())]).alone());
        assert!(matches!(effects.perform(&do_it(), doing, effect_of(&do_it())).await.unwrap(), Answer::Succeeded(_)));
        assert_eq!(happened(beside(5)).await, Happened::Yes);
        effects.drop_expired(10).await.unwrap();
        assert!(state(&store, &do_it()).await.is_none(), "who reconciles keeps nothing");
        assert_eq!(happened(beside(5)).await, Happened::Unknown);
        assert_eq!(happened(beside(6)).await, Happened::No);
        assert!(state(&store, &do_it()).await.is_none());
    });
}

#[test]
fn who_waits_for_a_row_that_is_being_dropped_sees_the_horizon() {
    runtime().block_on(async {
        let store = store(&schema()).await;
        let effects = Arc::new(SharedEffects::new(store.clone(), LONG));
        let perform = |script: Script| {
            let effects = Arc::clone(&effects);
            let plan = plan(Idempotence::Transaction, doing(&store, &script));
            async move { effects.perform(&do_it(), plan, effect_of(&do_it())).await.unwrap() }
        };
        make_business(&store).await;
        assert!(matches!(perform(Script::of([Ok("1".into())])).await, Answer::Succeeded(_)));
        let mut dropping = store.begin().await.unwrap();
        assert_eq!(store.drop_through(&mut dropping, &ReplyPartition::of(&do_it()), 5, 10).await.unwrap(), 1);
        let waiting = tokio::spawn(perform(Script::of([Ok("1".into())])));
        // It waits for the row: the lock that is not granted says so.
        let blocked =
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND query LIKE $1";
        let mut count: i64 = 0;
        while count == 0 {
            let like = format!("%{}.effects%", store.schema.name);
            count = sqlx::query_scalar(blocked).bind(like).fetch_one(store.pool()).await.unwrap();
        }
        dropping.commit().await.unwrap();
        assert!(matches!(waiting.await.unwrap(), Answer::Mark(mark) if mark.mark == MarkKind::Forgotten));
        assert_eq!(done(&store).await, 1);
    });
}

#[test]
fn any_number_of_instances_make_the_tables_and_a_newer_format_is_refused() {
    runtime().block_on(async {
        let mut stores = Vec::new();
        // With one connection each: what its backend remembers of a schema that is not there yet must not count.
        for round in 0..8 {
            let name = schema();
            let instance = |_| PostgresStore::new(Server::shared().url(), &name, 1).unwrap();
            stores = (0..4).map(instance).collect::<Vec<_>>();
            let mut tasks = tokio::task::JoinSet::new();
            for store in stores.clone() {
                tasks.spawn(async move { store.prepare().await });
            }
            let prepared = tasks.join_all().await;
            assert!(prepared.iter().all(Result::is_ok), "round {round}: {prepared:?}");
        }
        let name = &stores[0].schema.name;
        let newer = format!("UPDATE {name}.effects_format SET format = 9");
        sqlx::raw_sql(&newer).execute(stores[0].pool()).await.unwrap();
        let error = stores[0].prepare().await.unwrap_err();
        assert!(matches!(error, EffectStoreError::Format { found, .. } if found == "9"));
    });
}

#[test]
fn tables_are_in_use_from_the_first_command_or_word_on() {
    runtime().block_on(async {
        let (used, told) = (store(&schema()).await, store(&schema()).await);
        assert!(!used.in_use().await.unwrap() && !told.in_use().await.unwrap());
        let doing = plan(Idempotence::ByKey, Script::of([Ok("1".into())]).alone());
        let effects = SharedEffects::new(used.clone(), LONG);
        effects.perform(&do_it(), doing, effect_of(&do_it())).await.unwrap();
        assert!(used.in_use().await.unwrap());
        assert!(told.clone().accept_empty().in_use().await.unwrap());
        assert!(told.in_use().await.unwrap(), "said once");
        let mut open = told.begin().await.unwrap();
        assert_eq!(told.latest_horizon(&mut open, "reconcile").await.unwrap(), Some(Millis::MIN), "before all times");
    });
}

#[test]
fn no_error_tells_a_password() {
    runtime().block_on(async {
        let none = PostgresStore::new("not a url of secret", "s", 1).err().expect("it is no URL");
        let nowhere = PostgresStore::new("postgres://me:secret@127.0.0.1:1/there", "s", 1).unwrap();
        let unreachable = nowhere.prepare().await.unwrap_err().to_string();
        assert!(unreachable.contains("127.0.0.1:1, database there, schema s"), "{unreachable}");
        for told in [none.to_string(), unreachable] {
            assert!(!told.contains("secret"), "{told}");
        }
        for name in ["", "Upper", "1st", "pg_mine", "a-b", "a;b"] {
            let refused = PostgresStore::new("postgres:///there", name, 1).err();
            assert!(matches!(refused, Some(EffectStoreError::Schema { .. })), "{name}");
        }
    });
}

/// A command, and what its handler says if it is asked.
type Step = (Command, HandlerOutcome);

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        4 => Just((Kind::Do, None)),
        2 => Just((Kind::Compensate, unknown())),
        1 => Just((Kind::Compensate, succeeded())),
        1 => Just((Kind::Probe, None)),
        1 => Just((Kind::Ask, None)),
    ];
    let kind = (kind, prop::bool::weighted(0.2));
    let outcome = prop_oneof![
        3 => Just(Ok("1".into())),
        1 => Just(refused()),
        1 => Just(Err(HandlerError::retry(Duration::from_secs(1), "later"))),
        1 => Just(Err(HandlerError::failed("no"))),
        1 => Just(Err(HandlerError::Working { until: 7 })),
    ];
    (0..3_u8, kind, 1..4_i64, 0..3_i64, outcome).prop_map(|(effect, (kind, reconciles), decided, more, outcome)| {
        let mut command = if reconciles { beside(decided) } else { command(kind.0, kind.1, decided, decided + more) };
        command.effect_id = EffectId::from_bytes([effect; 16]);
        (command, outcome)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn it_answers_as_the_local_store_and_holds_the_same(
        steps in prop::collection::vec((step(), any::<bool>()), 1..25),
        by_key in any::<bool>(),
    ) {
        let declared = if by_key { Idempotence::ByKey } else { Idempotence::None };
        runtime().block_on(async {
            let keep = Duration::from_millis(2);
            let (store, rows) = (store(&schema()).await, MemoryRows::new());
            let shared = SharedEffects::new(store.clone(), keep);
            let mut local = EffectStore::new(Box::new(rows.clone()), keep);
            for ((command, outcome), drops) in steps {
                let plan = plan(declared, Script::of([outcome.clone()]).alone());
                let answer = shared.perform(&command, plan, effect_of(&command)).await.unwrap();
                let expected = match local.begin(&command, declared).unwrap() {
                    Begin::Answer(answer) => answer,
                    Begin::Run(run) => local.finish(run, outcome).unwrap(),
                };
                prop_assert_eq!(&answer, &expected, "{:?}", command);
                if drops {
                    shared.drop_expired(10).await.unwrap();
                    local.drop_expired(10).unwrap();
                }
                let mut open = store.begin().await.unwrap();
                for n in 0..3 {
                    let effect = EffectId::from_bytes([n; 16]);
                    let held = store.hold(&mut open, effect).await.unwrap().map(|stored| stored.row);
                    prop_assert_eq!(held, rows.row(effect).unwrap());
                }
                // A row that is still held is not dropped.
                open.rollback().await.unwrap();
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_database_that_cannot_hold_every_text_is_refused() {
    runtime().block_on(async {
        let named = store(&schema()).await;
        let name = schema();
        let make = format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        sqlx::query(&make).execute(named.pool()).await.unwrap();
        let options: PgConnectOptions = named.pool().connect_options().as_ref().clone();
        let url = sqlx::ConnectOptions::to_url_lossy(&options.database(&name));
        let latin = PostgresStore::new(url.as_str(), "effects", 1).unwrap();
        let error = latin.prepare().await.unwrap_err();
        assert!(matches!(error, EffectStoreError::Encoding { .. }) && error.to_string().contains("LATIN1"), "{error}");
    });
}
