//! A command topic and an inbox in a scratch directory, a participant on a runtime of its own, and a ledger in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use sagaline_log::embedded::EmbeddedLog;
use sagaline_log::simulated::Simulation;
use sagaline_log::{Log, NewTopic, Producer, Reader, Record};
use sagaline_participant::effects::{
    EffectRows, EffectStoreError, MemoryRows, PostgresStore, Reach, ReplyPartition, Row, RowState, Store,
};
use sagaline_participant::{Config, Participant, RunError};
use sagaline_schemas::command::{Command, Known, KnownOutcome, KnownSucceeded, KnownUnknown};
use sagaline_schemas::hash;
use sagaline_schemas::proof::{open, write_single_object};
use sagaline_schemas::record::{Address, Answer, Body, Kind, Reply};
use sagaline_schemas::schema::{COMMAND, INBOX};
use sagaline_schemas::{EffectId, Millis, SagaId, Token};
use tokio::sync::{Notify, oneshot};

const PATIENCE: Duration = Duration::from_secs(30);

pub fn saga(n: u8) -> SagaId {
    SagaId::from_bytes([n; 16])
}

fn command(n: u8, kind: Kind, attempt: u32, operation: &str, amount: i64, known: Option<KnownOutcome>) -> Command {
    let address = Address { saga: saga(n), step: "charge".into(), items: vec![], round: 0, kind, attempt };
    let input = format!(r#"{{"amount":{amount}}}"#);
    Command {
        command_id: hash::addressed_command(&address),
        effect_id: hash::effect_id(address.saga, &address.step, &[], 0),
        token: Token([n; 16]),
        content: hash::content(operation, input.as_bytes()),
        operation: operation.into(),
        input: input.as_str().into(),
        known: known.map(|outcome| Known { outcome }),
        decided: 1_000,
        first: if kind == Kind::Do { 1_000 } else { 2_000 },
        deadline: 60_000,
        reply_topic: "inbox".into(),
        reply_partition: 0,
        saga: format!("order/{n}"),
        traceparent: None,
        address,
    }
}

pub fn do_it(n: u8, attempt: u32, amount: i64) -> Command {
    command(n, Kind::Do, attempt, "charge", amount, None)
}

/// A step that asks, and a fact that is asked.
pub fn ask(n: u8, kind: Kind) -> Command {
    command(n, kind, 1, "balance", 0, None)
}

pub fn comp_unknown(n: u8, attempt: u32) -> Command {
    command(n, Kind::Compensate, attempt, "refund", 5, Some(KnownOutcome::Unknown(KnownUnknown {})))
}

pub fn comp_succeeded(n: u8, attempt: u32) -> Command {
    let known = KnownOutcome::Succeeded(KnownSucceeded { result: r#"{"captured":5}"#.into() });
    command(n, Kind::Compensate, attempt, "refund", 5, Some(known))
}

/// The log, from the coordinator's side.
pub struct Bench {
    log: Arc<dyn Log>,
    producer: Box<dyn Producer>,
    inbox: Box<dyn Reader>,
    sent: u64,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(directory.path()).unwrap());
        Self::on(log, directory)
    }

    /// On a log whose records may be deleted.
    pub fn simulated() -> (Self, Simulation) {
        let simulation = Simulation::new(1);
        (Self::on(Arc::new(simulation.log()), tempfile::tempdir().unwrap()), simulation)
    }

    fn on(log: Arc<dyn Log>, directory: tempfile::TempDir) -> Self {
        for (name, partitions) in [("commands.payment", 2), ("inbox", 1)] {
            log.create_topic(&NewTopic { name: name.into(), partitions, replicas: 1, settings: vec![] }).unwrap();
        }
        let (producer, inbox) = (log.producer().unwrap(), log.reader("inbox", 0, 0).unwrap());
        Self { log, producer, inbox, sent: 0, _directory: directory }
    }

    /// Sagas with an even number have their commands in one partition, the others in the other.
    pub fn send(&mut self, commands: &[Command]) {
        for command in commands {
            let partition = u32::from(command.address.saga.as_bytes()[0]) % 2;
            self.append(partition, write_single_object(COMMAND.fingerprint, command));
        }
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.append(0, bytes.to_vec());
    }

    fn append(&mut self, partition: u32, value: Vec<u8>) {
        self.sent += 1;
        self.producer.append("commands.payment", partition, &Record { value, ..Record::default() }, self.sent).unwrap();
        let mut acknowledged = Vec::new();
        while acknowledged.is_empty() {
            self.producer.poll(Duration::from_millis(100), &mut acknowledged);
        }
        assert!(acknowledged.iter().all(|one| one.outcome.is_ok()), "{acknowledged:?}");
    }

    /// The next replies, in the order of the inbox.
    pub fn replies(&mut self, count: usize) -> Vec<Reply> {
        let (deadline, mut fetched) = (Instant::now() + PATIENCE, Vec::new());
        while fetched.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} answers came", fetched.len());
            self.inbox.poll(count - fetched.len(), Duration::from_millis(100), &mut fetched).unwrap();
        }
        let opened =
            fetched.into_iter().map(|fetched| open(INBOX.fingerprint, &fetched.record.value).unwrap().inbox.body);
        opened
            .map(|body| match body {
                Body::Reply(reply) => reply,
                other => panic!("a participant wrote {other:?}"),
            })
            .inspect(|reply| {
                assert_eq!(reply.token.0[0], reply.address.saga.as_bytes()[0], "the token is the command's")
            })
            .collect()
    }

    pub fn answers(&mut self, count: usize) -> Vec<Answer> {
        self.replies(count).into_iter().map(|reply| reply.answer).collect()
    }

    pub fn run(&self, participant: Participant, rows: &Rows) -> Running {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let within = runtime.enter();
        let store = rows.open();
        drop(within);
        let config = Config {
            log: Arc::clone(&self.log),
            store,
            prefix: String::new(),
            instance: "a".into(),
            in_flight: 8,
            retention: Duration::from_secs(1_000_000),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let ran = runtime.spawn(participant.run_until(config, async move {
            // A sender that is dropped stops it too.
            drop(stopped.await);
        }));
        Running { runtime, stop, ran }
    }
}

/// Where its effects are remembered.
pub enum Rows {
    Memory(MemoryRows),
    /// In memory, and they die with the first success.
    Dying(MemoryRows),
    /// In this schema.
    Postgres(String),
}

impl Rows {
    fn open(&self) -> Store {
        match self {
            Self::Memory(rows) => Store::Local(Box::new(rows.clone())),
            Self::Dying(rows) => Store::Local(Box::new(DyingRows::new(rows))),
            Self::Postgres(schema) => {
                let url = sagaline_test_postgres::Server::shared().url();
                Store::Postgres(PostgresStore::new(url, schema, 4).unwrap())
            }
        }
    }
}

/// A participant that runs.
pub struct Running {
    runtime: tokio::runtime::Runtime,
    stop: oneshot::Sender<()>,
    ran: tokio::task::JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub fn stop(self) {
        self.stop.send(()).expect("the participant still runs");
        self.runtime.block_on(self.ran).unwrap().unwrap();
    }

    /// Waits for its death, and tells of what it died.
    pub fn died(self) -> RunError {
        let ran = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.ran).await });
        ran.expect("it dies").unwrap().unwrap_err()
    }
}

/// What really happened, with a key for each line; and gates by saga, for handlers that are to be slow.
#[derive(Default)]
pub struct Ledger {
    state: Mutex<LedgerState>,
    called: Condvar,
    opened: Notify,
}

#[derive(Default)]
struct LedgerState {
    lines: Vec<(EffectId, &'static str)>,
    calls: usize,
    closed: BTreeSet<SagaId>,
}

impl Ledger {
    pub fn open() -> Arc<Self> {
        Arc::default()
    }

    pub fn act(&self, what: &'static str, effect: EffectId, by_key: bool) {
        let mut state = self.state.lock().unwrap();
        if !(by_key && state.lines.contains(&(effect, what))) {
            state.lines.push((effect, what));
        }
    }

    pub fn lines(&self) -> Vec<(u8, &'static str)> {
        let name = |effect: EffectId| (0..=u8::MAX).find(|n| do_it(*n, 1, 0).effect_id == effect).unwrap();
        self.state.lock().unwrap().lines.iter().map(|(effect, what)| (name(*effect), *what)).collect()
    }

    /// Charges begun, refused ones too.
    pub fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    pub fn wait_for_calls(&self, calls: usize) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) = self.called.wait_timeout_while(state, PATIENCE, |state| state.calls < calls).unwrap();
        assert!(!timeout.timed_out(), "the handler was not called");
    }

    pub async fn gate(&self, saga: SagaId) {
        self.state.lock().unwrap().calls += 1;
        self.called.notify_all();
        loop {
            let opened = self.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            if !self.state.lock().unwrap().closed.contains(&saga) {
                return;
            }
            opened.await;
        }
    }

    pub fn close(&self, n: u8) {
        self.state.lock().unwrap().closed.insert(saga(n));
    }

    pub fn reopen(&self, n: u8) {
        self.state.lock().unwrap().closed.remove(&saga(n));
        self.opened.notify_waiters();
    }
}

/// Rows that die, with all that was not synced, when the first success is to be recorded: a crash between effect and record.
struct DyingRows(MemoryRows);

impl DyingRows {
    fn new(rows: &MemoryRows) -> Self {
        Self(rows.clone())
    }
}

impl EffectRows for DyingRows {
    fn row(&self, effect: EffectId) -> Result<Option<Row>, EffectStoreError> {
        self.0.row(effect)
    }
    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        if matches!(row.state, RowState::Succeeded(_)) {
            self.0.crash();
            return Err(EffectStoreError::Database { place: "memory".into(), detail: "it died".into() });
        }
        self.0.put(effect, row)
    }
    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError> {
        self.0.remove(effect)
    }
    fn horizon(&self, inbox: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError> {
        self.0.horizon(inbox)
    }
    fn latest_horizon(&self, except: &str) -> Result<Option<Millis>, EffectStoreError> {
        self.0.latest_horizon(except)
    }
    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        most: usize,
    ) -> Result<usize, EffectStoreError> {
        self.0.drop_through(inbox, through, most)
    }
    fn sync(&mut self) -> Result<(), EffectStoreError> {
        self.0.sync()
    }
    fn reach(&self) -> Reach {
        Reach::ThisInstance
    }
}
