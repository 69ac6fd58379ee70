//! A command from look-up to answer, in the database that all instances share. Within the transaction, where the handler is declared so; else with an
//! intent before the handler and the outcome behind it. No answer comes from here that is not committed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, Kind};
use sagaline_schemas::wire::Bytes;

use super::open::{LOCK, silence};
use super::transaction::lend;
use super::{Found, Open, PostgresStore, Stored};
use crate::effects::table::{self, Look, Task, Write};
use crate::effects::{Begin, EffectStoreError, Promise, ReplyPartition, Retention, Row, Run, unlike_any_other};
use crate::handler::{Call, Effect, Handler, HandlerError, HandlerOutcome, TransactionHandler, Work, run};
use crate::participant::Plan;

/// How often a handler is run for one command when the database loses its transaction: then the saga is told, and comes again.
const RUNS: usize = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// The effects of one participant, as one of its instances sees them.
pub(crate) struct SharedEffects {
    store: PostgresStore,
    retention: Mutex<Retention>,
}

/// What a command with an intent begins.
pub(super) enum Begun {
    Answer(Answer),
    /// The run, and its number.
    Run(Run, i64),
}

/// How long to wait for a database that is away. For ever: the commands wait, and nothing is lost.
struct Patience<'a> {
    store: &'a PostgresStore,
    next: Duration,
}

impl Patience<'_> {
    /// Waits, where waiting helps.
    async fn after(&mut self, error: sqlx::Error) -> Result<(), EffectStoreError> {
        let told = self.store.error(&error);
        if !passes(&error) {
            return Err(told);
        }
        tracing::warn!(error = %told, "tried again in {:?}", self.next);
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_BACKOFF);
        Ok(())
    }
}

/// Whether the same may go well later. By the classes of PostgreSQL's error codes, appendix A of its manual.
fn passes(error: &sqlx::Error) -> bool {
    /// Connection, transaction state, rollback, resources, a lock that the database's own `lock_timeout` did not wait for, a server that stops.
    const PASSING: [&str; 6] = ["08", "25", "40", "53", "55P03", "57"];
    match error {
        // A server that goes away in the middle of a handshake is a failure of TLS.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| PASSING.iter().any(|class| code.starts_with(class)))
        }
        // sqlx's enum may grow.
        _ => false,
    }
}

impl SharedEffects {
    pub fn new(store: PostgresStore, retention: Duration) -> Self {
        Self { store, retention: Mutex::new(Retention::new(retention)) }
    }

    /// From look-up to answer.
    pub async fn perform(&self, command: &Command, plan: Plan, effect: Effect) -> Result<Answer, EffectStoreError> {
        let Plan { promise, work } = plan;
        self.retention().see(command);
        match work {
            Work::Alone(handler) => self.with_intent(command, &promise, &handler, effect).await,
            Work::InTransaction(handler) => self.in_transaction(command, &promise, &handler, effect).await,
        }
    }

    /// Where the effects lie.
    pub fn store(&self) -> &PostgresStore {
        &self.store
    }

    /// Drops rows past their retention, at most so many of each reply partition.
    pub async fn drop_expired(&self, at_most: usize) -> Result<(), EffectStoreError> {
        let expired: Vec<_> = self.retention().expired().map(|(inbox, through)| (inbox.clone(), through)).collect();
        let failed = |error: sqlx::Error| self.store.error(&error);
        for (inbox, through) in expired {
            let mut open = self.store.begin().await.map_err(failed)?;
            let dropping = self.store.drop_through(&mut open, &inbox, through, at_most);
            self.store.within(dropping).await.map_err(failed)?;
            open.commit().await.map_err(failed)?;
        }
        Ok(())
    }

    fn retention(&self) -> std::sync::MutexGuard<'_, Retention> {
        // A panic between two of its times leaves both right.
        self.retention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Patience<'_> {
        Patience { store: &self.store, next: FIRST_BACKOFF }
    }

    /// Looks a command up. `mark`: whose intent is left where there was none.
    async fn look(
        &self,
        open: &mut Open,
        command: &Command,
        promise: &Promise,
        mark: Option<&str>,
    ) -> Result<Seen, sqlx::Error> {
        let inbox = ReplyPartition::of(command);
        let Found { stored, horizon } = if table::is_beside(command) {
            self.store.look(open, command.effect_id, &inbox.topic).await?
        } else {
            self.store.take(open, command.effect_id, &inbox, command.first, mark).await?
        };
        // Its own intent, whose commit was not answered: no run has begun behind it.
        let stored = stored.filter(|stored| !mark.is_some_and(|mark| stored.is_of(1, mark)));
        let row = stored.map(|stored| stored.row);
        let look = table::look(command, promise.clone(), row.as_ref(), horizon);
        Ok(Seen { look, there: row.is_some() })
    }

    /// Ends a look-up. An intent that `take` has left where nothing is to be goes with the transaction.
    async fn conclude(
        &self,
        mut open: Open,
        command: &Command,
        write: Option<Row>,
        there: bool,
    ) -> Result<(), sqlx::Error> {
        match write {
            Some(row) => self.store.within(self.store.put(&mut open, command.effect_id, &row)).await?,
            None if there => {}
            None => return open.rollback().await,
        }
        open.commit().await
    }
}

struct Seen {
    look: Look,
    /// Whether there was a row.
    there: bool,
}

/// With an intent before the handler.
impl SharedEffects {
    async fn with_intent(
        &self,
        command: &Command,
        promise: &Promise,
        handler: &Handler,
        effect: Effect,
    ) -> Result<Answer, EffectStoreError> {
        let (mut patience, mark) = (self.patience(), unlike_any_other());
        let begun = loop {
            match self.begin(command, promise, &mark).await {
                Ok(begun) => break begun,
                Err(error) => patience.after(error).await?,
            }
        };
        let (began, number) = match begun {
            Begun::Answer(answer) => return Ok(answer),
            Begun::Run(began, number) => (began, number),
        };
        let call = Call { input: began.input(command), known: began.known_result().cloned(), effect };
        let outcome = run(handler, call).await;
        let mut patience = self.patience();
        loop {
            match self.finish(began.clone(), (number, &mark), outcome.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    pub(super) async fn begin(&self, command: &Command, promise: &Promise, mark: &str) -> Result<Begun, sqlx::Error> {
        if command.address.kind == Kind::Ask {
            return Ok(match table::look(command, promise.clone(), None, None).begin {
                Begin::Answer(answer) => Begun::Answer(answer),
                Begin::Run(run) => Begun::Run(run, 0),
            });
        }
        let mut open = self.store.begin().await?;
        let looking = self.look(&mut open, command, promise, Some(mark));
        let Seen { look: Look { write, begin }, there } = self.store.within(looking).await?;
        let run = match begin {
            Begin::Answer(answer) => {
                self.conclude(open, command, write, there).await?;
                return Ok(Begun::Answer(answer));
            }
            Begin::Run(run) => run,
        };
        let number = match run.task {
            Task::First => {
                // The intent that is to be written is the one that `take` left.
                open.commit().await?;
                return Ok(Begun::Run(run, 1));
            }
            Task::Again => self.store.within(self.store.run_again(&mut open, command.effect_id, mark)).await?,
            Task::Undo | Task::Ask | Task::Probe(_) => 0,
        };
        self.conclude(open, command, write, there).await?;
        Ok(Begun::Run(run, number))
    }

    pub(super) async fn finish(
        &self,
        run: Run,
        (number, mark): (i64, &str),
        outcome: HandlerOutcome,
    ) -> Result<Answer, sqlx::Error> {
        if matches!(run.task, Task::Ask | Task::Probe(_)) {
            return Ok(table::settle(run, outcome).1);
        }
        let mut open = self.store.begin().await?;
        let effect = run.effect;
        let stored = self.store.within(self.store.hold(&mut open, effect)).await?;
        let own = stored.as_ref().is_some_and(|stored| stored.is_of(number, mark));
        let row = stored.map(|Stored { row, .. }| row);
        let (write, answer) = table::settle_shared(run, row.as_ref(), own, outcome);
        match write {
            Write::Nothing => open.rollback().await?,
            Write::Put(put) => {
                let kept = row.map_or(put.kept, |row| row.kept.max(put.kept));
                let put = Row { kept, ..put };
                self.store.within(self.store.put(&mut open, effect, &put)).await?;
                open.commit().await?;
            }
            Write::Remove => {
                self.store.within(self.store.remove(&mut open, effect)).await?;
                open.commit().await?;
            }
        }
        Ok(answer)
    }
}

/// In one transaction with the business.
impl SharedEffects {
    async fn in_transaction(
        &self,
        command: &Command,
        promise: &Promise,
        handler: &TransactionHandler,
        effect: Effect,
    ) -> Result<Answer, EffectStoreError> {
        let (mut patience, mut runs) = (self.patience(), 0);
        loop {
            match self.attempt(command, promise, handler, effect.clone(), &mut runs).await {
                Ok(answer) => return Ok(answer),
                Err(error) if runs >= RUNS && passes(&error) => {
                    let told = format!("the handler's transaction was lost {runs} times, at last by this: {error}");
                    return Ok(table::failed(told, None));
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// Where the transaction is lost at its commit, nobody knows whether it happened: the next attempt looks.
    async fn attempt(
        &self,
        command: &Command,
        promise: &Promise,
        handler: &TransactionHandler,
        effect: Effect,
        runs: &mut usize,
    ) -> Result<Answer, sqlx::Error> {
        let mut open = self.store.begin().await?;
        let looking = self.look(&mut open, command, promise, None);
        let Seen { look: Look { write, begin }, there } = self.store.within(looking).await?;
        let run = match begin {
            Begin::Answer(answer) => {
                self.conclude(open, command, write, there).await?;
                return Ok(answer);
            }
            Begin::Run(run) => run,
        };
        *runs += 1;
        let call = Call { input: run.input(command), known: run.known_result().cloned(), effect };
        let began = Instant::now();
        let (outcome, back) = lend(handler, call, open, self.store.limits.transaction).await?;
        match (back, outcome) {
            (Some(open), Ok(result)) => self.record(open, run, result).await,
            (None, Ok(_)) => Ok(table::failed(KEPT.to_owned(), None)),
            (back, Err(error)) => {
                // Nothing of it is to happen; where the connection is gone, nothing has. What a handler says then of its failure is what it heard of that; and
                // one that has failed after so long may have waited for a lock in vain.
                let rolled_back = roll_back(back).await.unwrap_or(Ok(()));
                let late = (began.elapsed() >= LOCK).then(|| silence(LOCK, "who holds a row that a handler waits for"));
                let lost = rolled_back.err().filter(passes).or(late);
                if let Some(lost) = lost.filter(|_| matches!(error, HandlerError::Failed { .. })) {
                    tracing::warn!(error = %lost, "the handler's transaction is begun anew");
                    return Err(lost);
                }
                self.without_effect(command, run, error).await
            }
        }
    }

    /// Puts the record to the business's writes, and makes both true together. What the business has left to be checked at the commit may refuse it.
    async fn record(&self, mut open: Open, run: Run, result: Bytes) -> Result<Answer, sqlx::Error> {
        let effect = run.effect;
        let (write, answer) = table::settle(run, Ok(result));
        if let Write::Put(row) = write {
            self.store.within(self.store.put(&mut open, effect, &row)).await?;
        }
        match open.commit().await {
            Ok(()) => Ok(answer),
            Err(error @ sqlx::Error::Database(_)) if !passes(&error) => {
                Ok(table::failed(format!("the database has not committed the handler's transaction: {error}"), None))
            }
            Err(error) => Err(error),
        }
    }

    /// The business's writes are taken back. A refusal is still to be remembered, unless another instance has done it meanwhile.
    async fn without_effect(&self, command: &Command, run: Run, error: HandlerError) -> Result<Answer, sqlx::Error> {
        match error {
            HandlerError::Refused { .. } if run.task != Task::Undo => {
                let mut open = self.store.begin().await?;
                let taking = self.store.take(&mut open, run.effect, &run.inbox, command.first, None);
                let found = self.store.within(taking).await?;
                let (effect, row) = (run.effect, found.stored.map(|stored| stored.row));
                let (write, answer) = table::settle_shared(run, row.as_ref(), row.is_none(), Err(error));
                match write {
                    Write::Put(row) => {
                        self.store.within(self.store.put(&mut open, effect, &row)).await?;
                        open.commit().await?;
                    }
                    Write::Nothing | Write::Remove => open.rollback().await?,
                }
                Ok(answer)
            }
            HandlerError::Working { .. } => Ok(table::failed(ELSEWHERE.to_owned(), None)),
            HandlerError::Refused { .. }
            | HandlerError::Retry { .. }
            | HandlerError::Failed { .. }
            | HandlerError::Unavailable { .. } => Ok(table::settle(run, Err(error)).1),
        }
    }
}

const KEPT: &str = "the handler has put its transaction where it outlives it: nothing was committed";
const ELSEWHERE: &str = "the handler says that the work goes on elsewhere, but its operation is declared in one transaction: declare it ByKey";

async fn roll_back(open: Option<Open>) -> Option<Result<(), sqlx::Error>> {
    Some(open?.rollback().await)
}
