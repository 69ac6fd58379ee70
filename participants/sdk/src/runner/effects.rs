//! The effect store as the loop sees it: on local disk, where the loop writes and syncs itself, or shared, where each command is performed beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sagaline_schemas::command::Command;
use sagaline_schemas::record::Answer;
use tokio::runtime::Handle;

use crate::effects::{Begin, EffectStore, EffectStoreError, Reach, Run, SharedEffects, Store};
use crate::handler::{Effect, Handler, HandlerOutcome, Work};
use crate::participant::Plan;

/// How a command goes on.
pub enum Started {
    /// There is nothing to run.
    Answer(Answer),
    /// The handler is to run, and then `Effects::finish`.
    Run(Run, Handler),
    /// All of it, from look-up to answer, is done beside the loop.
    Perform(Performance),
}

/// A command that the shared store is to perform.
pub struct Performance {
    effects: Arc<SharedEffects>,
    plan: Plan,
}

impl Performance {
    /// From look-up to answer.
    pub async fn run(self, command: &Command, effect: Effect) -> Result<Answer, EffectStoreError> {
        self.effects.perform(command, self.plan, effect).await
    }
}

/// Between two looks for expired rows in a shared store, and how many rows of a reply partition go at once.
const SHARED_DROP_EVERY: Duration = Duration::from_secs(1);
const SHARED_DROP: usize = 5_000;

pub enum Effects {
    Local(EffectStore),
    Shared { effects: Arc<SharedEffects>, dropped: Instant, dropping: Arc<AtomicBool> },
}

impl Effects {
    pub fn new(store: Store, retention: Duration) -> Self {
        match store {
            Store::Local(rows) => Self::Local(EffectStore::new(rows, retention)),
            Store::Postgres(store) => Self::Shared {
                effects: Arc::new(SharedEffects::new(store, retention)),
                dropped: Instant::now(),
                dropping: Arc::default(),
            },
        }
    }

    /// Who sees the rows.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Local(store) => store.reach(),
            Self::Shared { .. } => Reach::AllInstances,
        }
    }

    /// The instance as its group knows it. A second one with other rows is another member, whatever it is called: it would be given all partitions, as the
    /// first one come back, and never see that it is not alone.
    pub fn member(&self, instance: &str) -> String {
        match self {
            Self::Local(store) => store.name().map_or(instance.to_owned(), |name| format!("{instance}-{name}")),
            Self::Shared { .. } => instance.to_owned(),
        }
    }

    /// Whether commands were ever handled with this store. Waits for a database.
    pub fn in_use(&self, tasks: &Handle) -> Result<bool, EffectStoreError> {
        match self {
            Self::Local(store) => store.in_use(),
            Self::Shared { effects, .. } => tasks.block_on(effects.store().in_use()),
        }
    }

    /// Commands are handled with this store from now on. Waits for a database.
    pub fn begin_use(&mut self, tasks: &Handle) -> Result<(), EffectStoreError> {
        match self {
            Self::Local(store) => store.begin_use(),
            Self::Shared { effects, .. } => tasks.block_on(effects.store().begin_use()),
        }
    }

    /// Looks a command up, or has it looked up.
    pub fn begin(&mut self, command: &Command, plan: Plan) -> Result<Started, EffectStoreError> {
        let store = match self {
            Self::Shared { effects, .. } => {
                return Ok(Started::Perform(Performance { effects: Arc::clone(effects), plan }));
            }
            Self::Local(store) => store,
        };
        let Work::Alone(handler) = plan.work else {
            unreachable!("a participant with transactions does not start on local disk")
        };
        Ok(match store.begin(command, plan.promise)? {
            Begin::Answer(answer) => Started::Answer(answer),
            Begin::Run(run) => Started::Run(run, handler),
        })
    }

    /// As `EffectStore::finish`.
    pub fn finish(&mut self, run: Run, outcome: HandlerOutcome) -> Result<Answer, EffectStoreError> {
        match self {
            Self::Local(store) => store.finish(run, outcome),
            Self::Shared { .. } => unreachable!("what the shared store runs, it finishes itself"),
        }
    }

    /// Makes durable what the loop has written.
    pub fn sync(&mut self) -> Result<(), EffectStoreError> {
        match self {
            Self::Local(store) => store.sync(),
            Self::Shared { .. } => Ok(()),
        }
    }

    /// Drops expired rows: on local disk at most `at_most` at once, in a shared store now and then, beside the loop.
    pub fn drop_expired(&mut self, at_most: usize, tasks: &Handle) -> Result<(), EffectStoreError> {
        match self {
            Self::Local(store) => store.drop_expired(at_most).map(drop),
            Self::Shared { effects, dropped, dropping } => {
                if dropped.elapsed() < SHARED_DROP_EVERY || dropping.swap(true, Ordering::AcqRel) {
                    return Ok(());
                }
                *dropped = Instant::now();
                let (effects, dropping) = (Arc::clone(effects), Arc::clone(dropping));
                tasks.spawn(async move {
                    if let Err(error) = effects.drop_expired(SHARED_DROP).await {
                        tracing::warn!(%error, "expired effects are dropped later");
                    }
                    dropping.store(false, Ordering::Release);
                });
                Ok(())
            }
        }
    }
}
