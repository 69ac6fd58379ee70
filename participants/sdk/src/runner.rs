//! The loop between log, effect store and handlers. One OS thread polls, looks up, answers and commits; handlers run on tokio and never stall it.
//! A handler starts and an answer leaves only after the effect store's `sync`; an offset is committed only after its answer is acknowledged.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, GroupEvent, GroupReader, Log, LogError};
use sagaline_schemas::Millis;
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{OpenError, open_command};
use sagaline_schemas::record::{Answer, Failed, Reply, Working};
use tokio::runtime::Handle;

use crate::effects::{EffectStoreError, Run, Store};
use crate::handler::{Call, Effect, Handler, HandlerError, HandlerOutcome};
use crate::participant::{Config, Participant};

mod effects;
mod error;
mod membership;
mod prefix;
mod queue;
mod replies;
mod taking_up;
#[cfg(test)]
mod tests;

use effects::{Effects, Performance, Started};
pub use error::RunError;
use error::passing;
use membership::Membership;
use prefix::{Place, Prefixes};
use queue::Queue;
use replies::{Outgoing, Replies};

/// Commands that wait in memory, and answers that the inbox has not taken, before the log is asked for no more.
const MOST_WAITING: usize = 4096;
/// Records of one look into the log.
const FETCH: usize = 512;
/// Expired rows that are dropped between two looks into the log.
const DROP: usize = 64;
/// Between a commit that failed and the next.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How long running handlers are waited for at a stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long a look into the log may wait when nothing else is expected, and when an answer or acknowledgement is.
const IDLE: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(1);

impl Participant {
    /// Runs until SIGTERM or SIGINT, then stops cleanly: running handlers are waited for, their answers sent, offsets committed.
    ///
    /// # Errors
    /// When the declaration has mistakes, the effect store or the log fails, or another instance shares the commands.
    pub async fn run(self, config: Config) -> Result<(), RunError> {
        self.run_until(config, termination()).await
    }

    /// Runs until `stop` is ready, then stops cleanly.
    ///
    /// # Errors
    /// As `run`.
    pub async fn run_until(self, config: Config, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        crate::contract::check(&self)?;
        match &config.store {
            Store::Postgres(store) => store.prepare().await?,
            Store::Local(_) => {
                if let Some(operation) = self.in_transaction() {
                    return Err(RunError::NoTransactions { operation: operation.name.clone() });
                }
            }
        }
        let stopping = Arc::new(AtomicBool::new(false));
        let (ended, mut end) = tokio::sync::oneshot::channel();
        let (handlers, flag) = (Handle::current(), Arc::clone(&stopping));
        let body = move || {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| Runner::new(self, config, handlers)?.run(&flag)));
            let result = result.unwrap_or_else(|panic| Err(RunError::Thread(panic_text(panic.as_ref()))));
            // Nobody listens when the caller has given the future up.
            drop(ended.send(result));
        };
        std::thread::Builder::new()
            .name("participant-log".to_owned())
            .spawn(body)
            .map_err(|error| RunError::Thread(error.to_string()))?;
        let died = |_| RunError::Thread("it ended without a word".to_owned());
        tokio::select! {
            result = &mut end => return result.map_err(died)?,
            () = stop => stopping.store(true, Ordering::Release),
        }
        end.await.map_err(died)?
    }
}

async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    let asked = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::error!(%error, "signals can't be heard: the participant runs until it is killed");
                std::future::pending().await
            }
        }
    };
    tokio::select! {
        () = asked(SignalKind::terminate()) => {}
        () = asked(SignalKind::interrupt()) => {}
    }
}

/// A command that was read.
struct Held {
    command: Command,
    place: Place,
}

/// What handlers tell the loop.
enum Event {
    Working(Box<Outgoing>),
    Finished(Box<Finished>),
    /// From look-up to answer, by the shared store.
    Performed(Box<Held>, Result<Answer, EffectStoreError>),
}

struct Finished {
    held: Held,
    run: Run,
    outcome: HandlerOutcome,
}

/// What may leave once the effect store is synced.
#[derive(Default)]
struct Released {
    answers: Vec<(Held, Answer)>,
    starts: Vec<(Held, Run, Handler)>,
    performances: Vec<(Held, Performance)>,
}

struct Runner {
    participant: Participant,
    instance: String,
    log: Arc<dyn Log>,
    group: Box<dyn GroupReader>,
    effects: Effects,
    queue: Queue<Held>,
    prefixes: Prefixes,
    membership: Membership,
    /// Whether the effect store is known to be the one that was used until now.
    taken_up: bool,
    replies: Replies,
    /// Not before; none: at once.
    commit_at: Option<Instant>,
    commit_backoff: Duration,
    handlers: Handle,
    tell: Sender<Event>,
    told: Receiver<Event>,
}

impl Runner {
    fn new(participant: Participant, config: Config, handlers: Handle) -> Result<Self, RunError> {
        let topic = format!("{}commands.{}", config.prefix, participant.name);
        let name = format!("{}participant.{}", config.prefix, participant.name);
        let effects = Effects::new(config.store, config.retention);
        let group = config.log.join(&name, &effects.member(&config.instance), std::slice::from_ref(&topic))?;
        let replies = Replies::new(config.log.producer()?);
        let membership = Membership::new(topic, effects.reach());
        let (tell, told) = channel();
        tracing::info!(
            participant = participant.name,
            instance = config.instance,
            log = config.log.name(),
            "ready for commands"
        );
        Ok(Self {
            participant,
            instance: config.instance,
            log: config.log,
            group,
            effects,
            queue: Queue::new(config.in_flight),
            prefixes: Prefixes::default(),
            membership,
            taken_up: false,
            replies,
            commit_at: None,
            commit_backoff: FIRST_BACKOFF,
            handlers,
            tell,
            told,
        })
    }

    fn run(mut self, stopping: &AtomicBool) -> Result<(), RunError> {
        match self.work(stopping) {
            Ok(()) => self.stop(),
            Err(error @ RunError::EffectStore(_)) => Err(error),
            Err(error) => {
                // What runs is not to be lost for it: an outcome that is not recorded is nobody's to know.
                tracing::error!(%error, running = self.queue.running(), "stops");
                if let Err(error) = self.stop() {
                    tracing::error!(%error, "and not cleanly");
                }
                Err(error)
            }
        }
    }

    fn work(&mut self, stopping: &AtomicBool) -> Result<(), RunError> {
        while !stopping.load(Ordering::Acquire) {
            let events = self.listen();
            if let Err(error) = self.fetch() {
                // What was told meanwhile is still to be recorded.
                self.turn(events, false)?;
                return Err(error);
            }
            self.turn(events, true)?;
            self.effects.drop_expired(DROP, &self.handlers)?;
        }
        Ok(())
    }

    /// Running handlers end, their answers leave, offsets are committed. What only waits will be read again.
    fn stop(mut self) -> Result<(), RunError> {
        let deadline = Instant::now() + GRACE;
        while (self.queue.running() > 0 || self.replies.pending() > 0) && Instant::now() < deadline {
            let events = self.told.recv_timeout(BUSY).into_iter().collect();
            self.turn(events, false)?;
        }
        let (running, unsent) = (self.queue.running(), self.replies.pending());
        if running + unsent > 0 {
            tracing::warn!(
                running,
                unsent,
                "stopped before handlers or answers were done: their commands will be read again"
            );
        }
        self.effects.sync()?;
        self.commit_at = None;
        self.commit();
        tracing::info!(participant = self.participant.name, "stopped");
        Ok(())
    }

    /// What handlers have told. Waits for the first only while something runs: otherwise the log is what there is to wait for.
    fn listen(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.queue.running() > 0 {
            match self.told.recv_timeout(BUSY) {
                Ok(event) => events.push(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the runner holds a sender itself"),
            }
        }
        events.extend(self.told.try_iter());
        events
    }

    /// Finishes runs, begins commands, and lets go of both after one sync.
    fn turn(&mut self, events: Vec<Event>, start: bool) -> Result<(), RunError> {
        let mut released = Released::default();
        for event in events {
            match event {
                Event::Working(outgoing) => self.replies.push(*outgoing),
                Event::Finished(finished) => self.finish(*finished, &mut released)?,
                Event::Performed(held, answer) => self.answered(*held, answer?, &mut released),
            }
        }
        while start && self.may_run() {
            let Some(held) = self.queue.start() else { break };
            self.begin(held, &mut released)?;
        }
        self.effects.sync()?;
        self.release(released);
        self.commit();
        Ok(())
    }

    fn finish(&mut self, finished: Finished, released: &mut Released) -> Result<(), RunError> {
        let Finished { held, run, outcome } = finished;
        let answer = self.effects.finish(run, outcome)?;
        self.answered(held, answer, released);
        Ok(())
    }

    fn begin(&mut self, held: Held, released: &mut Released) -> Result<(), RunError> {
        let plan = match self.participant.plan(&held.command) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(
                    error,
                    saga = held.command.saga,
                    "no such operation: the saga may use another version of the contract"
                );
                self.answered(held, Answer::Failed(Failed { error, retry_after: None, outage: false }), released);
                return Ok(());
            }
        };
        match self.effects.begin(&held.command, plan)? {
            Started::Answer(answer) => self.answered(held, answer, released),
            Started::Run(run, handler) => released.starts.push((held, run, handler)),
            Started::Perform(performance) => released.performances.push((held, performance)),
        }
        Ok(())
    }

    fn answered(&mut self, held: Held, answer: Answer, released: &mut Released) {
        self.queue.finished(held.command.address.saga);
        released.answers.push((held, answer));
    }

    fn release(&mut self, released: Released) {
        for (held, answer) in released.answers {
            self.replies.push(outgoing(&held.command, answer, &self.instance, self.log.wall_clock(), Some(held.place)));
        }
        for (held, run, handler) in released.starts {
            self.spawn(held, run, &handler);
        }
        for (held, performance) in released.performances {
            self.perform(held, performance);
        }
        for place in self.replies.work(Instant::now()) {
            self.prefixes.done(&place);
        }
    }

    /// Starts a handler. Its panic is a failure, never a crash.
    fn spawn(&self, held: Held, run: Run, handler: &Handler) {
        let effect = Effect::new(&held.command, self.working(&held.command));
        let call = Call { input: run.input(&held.command), known: run.known_result().cloned(), effect };
        let (handler, tell) = (Arc::clone(handler), self.tell.clone());
        let handling = self.handlers.spawn(async move { handler(call).await });
        self.handlers.spawn(async move {
            let outcome = handling.await.unwrap_or_else(|error| Err(HandlerError::broke_off(&error)));
            // After a stop nobody listens: the command will be read again.
            drop(tell.send(Event::Finished(Box::new(Finished { held, run, outcome }))));
        });
    }

    /// Leaves a command to the shared store, from look-up to answer.
    fn perform(&self, held: Held, performance: Performance) {
        let effect = Effect::new(&held.command, self.working(&held.command));
        let tell = self.tell.clone();
        self.handlers.spawn(async move {
            let answer = performance.run(&held.command, effect).await;
            // After a stop nobody listens: the command will be read again.
            drop(tell.send(Event::Performed(Box::new(held), answer)));
        });
    }

    fn working(&self, command: &Command) -> Arc<dyn Fn(Millis) + Send + Sync> {
        let (tell, instance) = (self.tell.clone(), self.instance.clone());
        let (log, command) = (Arc::clone(&self.log), command.clone());
        Arc::new(move |until| {
            let answer = Answer::Working(Working { until });
            let outgoing = outgoing(&command, answer, &instance, log.wall_clock(), None);
            drop(tell.send(Event::Working(Box::new(outgoing))));
        })
    }

    /// Takes what the log has, as long as there is room.
    fn fetch(&mut self) -> Result<(), RunError> {
        let room = self.queue.waiting() < MOST_WAITING && self.replies.pending() < MOST_WAITING;
        let room = self.may_run() && room;
        self.membership.flow(room, &mut *self.group)?;
        let wait = match (self.queue.running(), self.replies.pending()) {
            (0, 0) => IDLE,
            (0, _) => BUSY,
            (_, _) => Duration::ZERO,
        };
        let mut events = Vec::new();
        let polled = self.group.poll(FETCH, wait, &mut events);
        for event in events {
            match event {
                GroupEvent::Record(fetched) => self.hold(fetched)?,
                GroupEvent::Assigned(partitions) => {
                    partitions
                        .into_iter()
                        .for_each(|(topic, partition, from)| self.prefixes.assign(topic, partition, from));
                    self.membership.changed(&self.prefixes);
                }
                GroupEvent::Revoked(partitions) => {
                    partitions.iter().for_each(|(topic, partition)| self.prefixes.revoke(topic, *partition));
                    let prefixes = &self.prefixes;
                    self.queue.retain(|held| prefixes.is_assigned(&held.place));
                    self.membership.changed(&self.prefixes);
                }
            }
        }
        match polled {
            Ok(()) => {}
            Err(LogError::OutOfRange { topic, partition, offset, start, end }) => {
                self.find_place(&topic.into(), partition, offset, (start, end))?;
            }
            Err(error) => passing(error)?,
        }
        let now = Instant::now();
        self.membership.learn(now, |topic| self.log.topic(topic)).or_else(passing)?;
        self.membership.check(now)?;
        if self.membership.may_run() && !self.taken_up {
            self.take_up()?;
        }
        Ok(())
    }

    /// What is no command can't be answered: it is logged and passed over, so that it stops nothing. What another version wrote is a command, and not
    /// to be lost: it waits for who can read it.
    fn hold(&mut self, fetched: Fetched) -> Result<(), RunError> {
        let place = Place { topic: fetched.topic, partition: fetched.partition, offset: fetched.offset };
        self.prefixes.begin(&place);
        match open_command(&fetched.record.value) {
            Ok(command) => self.queue.push(command.address.saga, Held { command, place }),
            Err(OpenError::UnknownSchema(schema)) => {
                let Place { topic, partition, offset } = place;
                return Err(RunError::Newer { topic: topic.to_string(), partition, offset, schema });
            }
            Err(error) => {
                let (topic, partition, offset) = (&*place.topic, place.partition, place.offset);
                tracing::error!(%error, topic, partition, offset, "this record is no command and is passed over");
                self.prefixes.done(&place);
            }
        }
        Ok(())
    }

    /// A commit that fails is tried again: until then the commands would only be read twice. One that nobody answers takes ten seconds, in which nothing is
    /// answered either: so the first failure is enough for a while.
    fn commit(&mut self) {
        if self.commit_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.commit_at = None;
        for place in self.prefixes.to_commit() {
            match self.group.commit(&place.topic, place.partition, place.offset) {
                Ok(()) => {
                    self.commit_backoff = FIRST_BACKOFF;
                    self.prefixes.committed(&place);
                }
                Err(error) => {
                    tracing::warn!(%error, topic = &*place.topic, partition = place.partition, "the offset is committed later");
                    self.commit_at = Some(Instant::now() + self.commit_backoff);
                    self.commit_backoff = (self.commit_backoff * 2).min(LONGEST_BACKOFF);
                    return;
                }
            }
        }
    }
}

fn outgoing(command: &Command, answer: Answer, instance: &str, time: Millis, answers: Option<Place>) -> Outgoing {
    let reply =
        Reply { address: command.address.clone(), token: command.token, answer, instance: instance.to_owned(), time };
    Outgoing {
        topic: command.reply_topic.clone(),
        partition: command.reply_partition,
        reply,
        traceparent: command.traceparent.clone(),
        answers,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
