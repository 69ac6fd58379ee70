//! A database's host that vanishes: what is sent to it is taken and never answered. Nobody waits for it for ever, no connection is lost to the pool, and
//! what was done without a word of it is done once.

use super::super::perform::Begun;
use super::*;

/// Far beyond all limits of the store. Bounds a test that hangs; nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A store behind this door, with so few connections that losing one is felt.
async fn behind(door: &Door, schema: &str) -> PostgresStore {
    let limits = Limits { answer: Duration::from_secs(2), transaction: Duration::from_secs(2) };
    let store = PostgresStore::new(door.url(), schema, 2).unwrap().limits(limits);
    store.prepare().await.unwrap();
    store
}

async fn perform(store: &PostgresStore, declared: Idempotence, work: Work) -> Answer {
    let (effects, command) = (SharedEffects::new(store.clone(), LONG), do_it());
    let performing = effects.perform(&command, plan(declared, work), effect_of(&command));
    tokio::time::timeout(PATIENCE, performing).await.expect("nobody waits for ever").unwrap()
}

/// Calls this before it says what the script says.
fn first(call: impl Fn() + Send + Sync + 'static, script: &Script) -> Work {
    let (script, call) = (script.clone(), Arc::new(call));
    Work::Alone(Arc::new(move |_: Call| -> Outcome {
        let (script, call) = (script.clone(), Arc::clone(&call));
        Box::pin(async move {
            call();
            script.next()
        })
    }))
}

fn succeeds() -> Script {
    Script::of(std::iter::repeat_n(Ok("1".into()), 10))
}

#[test]
fn a_host_that_vanishes_before_a_command_is_not_waited_for() {
    runtime().block_on(async {
        let door = Server::shared().door().unwrap();
        // More often than there are connections: each of them is given up, and its place in the pool with it.
        for _ in 0..4 {
            let store = behind(&door, &schema()).await;
            door.vanish();
            let script = succeeds();
            assert!(matches!(perform(&store, Idempotence::ByKey, script.alone()).await, Answer::Succeeded(_)));
            assert_eq!(script.runs.load(Ordering::Relaxed), 1);
        }
    });
}

#[test]
fn a_host_that_vanishes_during_a_handler_costs_no_connection() {
    runtime().block_on(async {
        let door = Arc::new(Server::shared().door().unwrap());
        let store = behind(&door, &schema()).await;
        for n in 0..4 {
            let (script, away) = (succeeds(), Arc::clone(&door));
            let effects = SharedEffects::new(store.clone(), LONG);
            let mut command = do_it();
            command.effect_id = EffectId::from_bytes([n; 16]);
            let plan = plan(Idempotence::ByKey, first(move || away.vanish(), &script));
            let performing = effects.perform(&command, plan, effect_of(&command));
            let answer = tokio::time::timeout(PATIENCE, performing).await.expect("nobody waits for ever").unwrap();
            assert!(matches!(answer, Answer::Succeeded(_)));
            assert_eq!(script.runs.load(Ordering::Relaxed), 1, "its outcome was kept until it could be recorded");
        }
    });
}

#[test]
fn a_handler_whose_transaction_is_not_answered_is_run_again() {
    runtime().block_on(async {
        let door = Arc::new(Server::shared().door().unwrap());
        let store = behind(&door, &schema()).await;
        make_business(&store).await;
        let (runs, name) = (Arc::<AtomicUsize>::default(), store.schema.name.clone());
        let (counted, away) = (Arc::clone(&runs), Arc::clone(&door));
        let work = Work::InTransaction(Arc::new(move |call: Call, mut transaction: Transaction| -> Outcome {
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                away.vanish();
            }
            let name = name.clone();
            Box::pin(async move {
                let insert = format!("INSERT INTO {name}.done VALUES ($1, 'done')");
                sqlx::query(&insert).bind(call.effect.id().to_string()).execute(&mut *transaction).await?;
                Ok("1".into())
            })
        }));
        let name = store.schema.name.clone();
        assert!(matches!(perform(&store, Idempotence::Transaction, work).await, Answer::Succeeded(_)));
        // Not by the door: the business's own connections there are silent, too.
        let witness = super::store(&name).await;
        assert_eq!((done(&witness).await, runs.load(Ordering::Relaxed)), (1, 2));
    });
}

#[test]
fn a_transaction_whose_commit_is_not_answered_has_happened_once() {
    runtime().block_on(async {
        let door = Server::shared().door().unwrap();
        let store = behind(&door, &schema()).await;
        make_business(&store).await;
        let script = succeeds();
        door.lose_the_answer_to("COMMIT");
        let answer = perform(&store, Idempotence::Transaction, doing(&store, &script)).await;
        assert!(door.has_lost() && matches!(answer, Answer::Succeeded(_)), "{answer:?}");
        assert_eq!((done(&store).await, script.runs.load(Ordering::Relaxed)), (1, 1), "the record was found");
    });
}

#[test]
fn an_outcome_whose_commit_is_not_answered_is_recorded_once() {
    runtime().block_on(async {
        for outcome in [Ok("1".into()), refused()] {
            let door = Arc::new(Server::shared().door().unwrap());
            let store = behind(&door, &schema()).await;
            let (script, lost) = (Script::of([outcome.clone()]), Arc::clone(&door));
            let work = first(move || lost.lose_the_answer_to("COMMIT"), &script);
            let answer = perform(&store, Idempotence::None, work).await;
            assert!(door.has_lost());
            match outcome {
                Ok(_) => assert!(matches!(answer, Answer::Succeeded(_)), "{answer:?}"),
                Err(_) => assert!(matches!(answer, Answer::Refused(_)), "{answer:?}"),
            }
        }
    });
}

#[test]
fn an_intent_whose_commit_is_not_answered_is_still_its_own() {
    runtime().block_on(async {
        for declared in [Idempotence::None, Idempotence::ByKey] {
            let door = Server::shared().door().unwrap();
            let store = behind(&door, &schema()).await;
            let script = Script::of([refused()]);
            door.lose_the_answer_to("COMMIT");
            let answer = perform(&store, declared, script.alone()).await;
            assert!(door.has_lost());
            assert!(matches!(answer, Answer::Refused(_)), "no run was begun behind it: {answer:?}");
        }
    });
}

/// A business says to come again later, so the intent goes, and the answer to that commit is lost. Meanwhile another instance has begun the same anew.
#[test]
fn a_withdrawal_that_is_repeated_takes_nobody_elses_intent() {
    runtime().block_on(async {
        let store = super::store(&schema()).await;
        let (one, two) = (SharedEffects::new(store.clone(), LONG), SharedEffects::new(store.clone(), LONG));
        let (command, promise) = (do_it(), Promise::from(Idempotence::None));
        let begin = async |effects: &SharedEffects, mark| match effects.begin(&command, &promise, mark).await.unwrap() {
            Begun::Run(run, number) => (run, number),
            Begun::Answer(answer) => panic!("{answer:?}"),
        };
        let there = async || {
            let mut open = store.begin().await.unwrap();
            store.hold(&mut open, command.effect_id).await.unwrap().is_some()
        };
        let later = Err(HandlerError::Retry { after: None, reason: "closed".into() });
        let (run, number) = begin(&one, "one").await;
        one.finish(run.clone(), (number, "one"), later.clone()).await.unwrap();
        assert!(!there().await, "it is withdrawn");
        let (other, other_number) = begin(&two, "two").await;
        assert_eq!(number, other_number, "both are the first of their intents");
        let answer = one.finish(run, (number, "one"), later).await.unwrap();
        assert!(matches!(answer, Answer::Failed(_)) && there().await, "the run that is under way keeps its intent");
        let answer = two.finish(other, (other_number, "two"), Ok("1".into())).await.unwrap();
        assert!(matches!(answer, Answer::Succeeded(_)), "{answer:?}");
    });
}

#[test]
fn a_handler_whose_connection_ends_under_it_is_run_again() {
    runtime().block_on(async {
        let store = super::store(&schema()).await;
        make_business(&store).await;
        let (runs, name) = (Arc::<AtomicUsize>::default(), store.schema.name.clone());
        let counted = Arc::clone(&runs);
        let work = Work::InTransaction(Arc::new(move |call: Call, mut transaction: Transaction| -> Outcome {
            let (first, name) = (counted.fetch_add(1, Ordering::Relaxed) == 0, name.clone());
            Box::pin(async move {
                if first {
                    // As a server does that is stopped.
                    sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").execute(&mut *transaction).await?;
                }
                let insert = format!("INSERT INTO {name}.done VALUES ($1, 'done')");
                sqlx::query(&insert).bind(call.effect.id().to_string()).execute(&mut *transaction).await?;
                Ok("1".into())
            })
        }));
        let answer = perform(&store, Idempotence::Transaction, work).await;
        assert!(matches!(answer, Answer::Succeeded(_)), "{answer:?}");
        assert_eq!((done(&store).await, runs.load(Ordering::Relaxed)), (1, 2));
    });
}

/// A stalled instance holds a row that the business needs: longer than anybody waits for a lock.
#[test]
fn a_handler_that_waits_for_a_lock_in_vain_is_run_again() {
    runtime().block_on(async {
        let store = super::store(&schema()).await;
        make_business(&store).await;
        let name = store.schema.name.clone();
        let stock = format!("CREATE TABLE {name}.stock (left_over bigint); INSERT INTO {name}.stock VALUES (9)");
        sqlx::raw_sql(&stock).execute(store.pool()).await.unwrap();
        let take = format!("UPDATE {name}.stock SET left_over = left_over - 1");
        let mut holder = store.pool().begin().await.unwrap();
        sqlx::query(&take).execute(&mut *holder).await.unwrap();
        let (runs, again) = (Arc::<AtomicUsize>::default(), Arc::new(tokio::sync::Notify::new()));
        let (counted, told) = (Arc::clone(&runs), Arc::clone(&again));
        let work = Work::InTransaction(Arc::new(move |_: Call, mut transaction: Transaction| -> Outcome {
            if counted.fetch_add(1, Ordering::Relaxed) > 0 {
                told.notify_one();
            }
            let take = take.clone();
            Box::pin(async move {
                sqlx::query(&take).execute(&mut *transaction).await?;
                Ok("1".into())
            })
        }));
        let holding = async {
            again.notified().await;
            holder.rollback().await.unwrap();
        };
        let (answer, ()) = tokio::join!(perform(&store, Idempotence::Transaction, work), holding);
        assert!(matches!(answer, Answer::Succeeded(_)), "{answer:?}");
        let left: i64 =
            sqlx::query_scalar(&format!("SELECT left_over FROM {name}.stock")).fetch_one(store.pool()).await.unwrap();
        assert_eq!((left, runs.load(Ordering::Relaxed)), (8, 2));
    });
}
