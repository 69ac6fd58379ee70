//! The loop over a log that does as it is told: how many commands there are to read, whether the inbox takes anything, which partitions are held.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Condvar, Mutex, MutexGuard};

use sagaline_log::{Acknowledgement, LogError, NewTopic, Producer, Reader, Record, Ticket, TopicInfo};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::record::Kind;
use sagaline_schemas::schema::COMMAND;
use sagaline_schemas::{EffectId, Offset, Partition, SagaId, TopicId};
use tokio::sync::oneshot;

use super::*;
use crate::Nothing;
use crate::effects::tests::command;
use crate::effects::{EffectRows, Idempotence, MemoryRows, RocksRows, RowState};

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "commands.payment";

/// What the log has and does.
#[derive(Default)]
struct State {
    /// Commands that there are, each of a saga of its own.
    commands: usize,
    read: usize,
    paused: bool,
    /// Whether it was ever let flow.
    flows: bool,
    appended: usize,
    /// Appended and without an acknowledgement.
    flying: Vec<Ticket>,
    /// Whether what is appended is acknowledged.
    takes: bool,
    committed: Offset,
    /// Whether commits fail, and how many there were.
    forgets: bool,
    commits: usize,
    /// The topic's first offset.
    first: Offset,
    /// What is to be told before anything else is read.
    events: Vec<GroupEvent>,
    /// Of which offset on commands are in a schema that nobody here knows.
    newer: Option<usize>,
    /// Whether the group is to fail for good, and whether it has.
    fails: bool,
    failed: bool,
}

#[derive(Clone, Default)]
struct Scripted(Arc<(Mutex<State>, Condvar)>);

impl Scripted {
    /// One partition with so many commands, held from its beginning.
    fn with(commands: usize) -> Self {
        Self::from(0, commands)
    }

    /// One partition with so many commands, held from an offset on.
    fn from(offset: usize, commands: usize) -> Self {
        let scripted = Self::default();
        scripted.change(|state| {
            (state.read, state.commands) = (offset, commands);
            state.events.push(GroupEvent::Assigned(vec![(TOPIC.into(), 0, offset as Offset)]));
        });
        scripted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.0.1.notify_all();
        changed
    }

    fn wait(&self, what: &str, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let (state, timeout) = self.0.1.wait_timeout_while(self.state(), PATIENCE, |state| !until(state)).unwrap();
        assert!(!timeout.timed_out(), "{what}: {} read, {} answered", state.read, state.appended);
        state
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Producer for Scripted {
    fn append(&mut self, _: &str, _: Partition, _: &Record, ticket: Ticket) -> Result<(), LogError> {
        self.change(|state| {
            state.appended += 1;
            state.flying.push(ticket);
        });
        Ok(())
    }
    fn poll(&mut self, _: Duration, into: &mut Vec<Acknowledgement>) {
        let mut state = self.state();
        if state.takes {
            into.extend(state.flying.drain(..).map(|ticket| Acknowledgement { ticket, outcome: Ok(0) }));
        }
    }
    fn in_flight(&self) -> usize {
        self.state().flying.len()
    }
    fn purge(&mut self) {}
}

impl Reader for Scripted {
    fn poll(&mut self, _: usize, _: Duration, _: &mut Vec<Fetched>) -> Result<(), LogError> {
        Ok(())
    }
    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        let state = self.state();
        Ok((state.first, state.commands as Offset))
    }
}

impl GroupReader for Scripted {
    fn poll(&mut self, max: usize, _: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        self.change(|state| {
            if state.fails {
                state.failed = true;
                return Err(LogError::InUse { place: "the group".to_owned() });
            }
            into.append(&mut state.events);
            let more = if state.paused { 0 } else { max.min(state.commands - state.read) };
            for offset in state.read..state.read + more {
                into.push(GroupEvent::Record(Fetched {
                    topic: TOPIC.into(),
                    partition: 0,
                    offset: offset as Offset,
                    timestamp: 0,
                    append_time: true,
                    record: Record { value: value(state, offset), ..Record::default() },
                }));
            }
            state.read += more;
            Ok(())
        })
    }
    fn commit(&mut self, _: &str, _: Partition, offset: Offset) -> Result<(), LogError> {
        self.change(|state| {
            state.commits += 1;
            if state.forgets {
                return Err(LogError::OutcomeUnknown { detail: "nobody answers".to_owned() });
            }
            state.committed = offset;
            Ok(())
        })
    }
    fn seek(&mut self, _: &str, _: Partition, _: Offset) -> Result<(), LogError> {
        Ok(())
    }
    fn pause(&mut self, _: &str, _: Partition) -> Result<(), LogError> {
        self.change(|state| state.paused = true);
        Ok(())
    }
    fn resume(&mut self, _: &str, _: Partition) -> Result<(), LogError> {
        self.change(|state| (state.paused, state.flows) = (false, true));
        Ok(())
    }
}

impl Log for Scripted {
    fn name(&self) -> String {
        "as it is told".to_owned()
    }
    fn cluster_id(&self) -> Result<String, LogError> {
        Ok("scripted".to_owned())
    }
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        let (id, settings) = (TopicId::from_bytes([0; 16]), BTreeMap::new());
        Ok(Some(TopicInfo { name: name.to_owned(), id, partitions: 1, settings, replicas: 1 }))
    }
    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        Err(LogError::TopicExists { topic: topic.name.clone() })
    }
    fn delete_below(&self, _: &str, _: Partition, offset: Offset) -> Result<Offset, LogError> {
        Ok(offset)
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(self.clone()))
    }
    fn reader(&self, _: &str, _: Partition, _: Offset) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(self.clone()))
    }
    fn join(&self, _: &str, _: &str, _: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        Ok(Box::new(self.clone()))
    }
    fn wall_clock(&self) -> Millis {
        0
    }
}

fn effect(offset: usize) -> EffectId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(offset as u64).to_be_bytes());
    EffectId::from_bytes(id)
}

/// A command of a saga of its own.
fn value(state: &State, offset: usize) -> Vec<u8> {
    if state.newer.is_some_and(|newer| offset >= newer) {
        return write_single_object(COMMAND.fingerprint ^ 1, &0_i64);
    }
    let mut command = command(Kind::Do, None, 5, 5);
    command.address.saga = SagaId::from_bytes(*effect(offset).as_bytes());
    command.effect_id = effect(offset);
    command.input = "null".into();
    write_single_object(COMMAND.fingerprint, &command)
}

/// A participant that is at work.
struct Running {
    runtime: tokio::runtime::Runtime,
    stop: oneshot::Sender<()>,
    ran: tokio::task::JoinHandle<Result<(), RunError>>,
}

impl Running {
    fn start(log: &Scripted, participant: Participant, rows: &MemoryRows) -> Self {
        Self::start_on(log, participant, Box::new(rows.clone()))
    }

    fn start_on(log: &Scripted, participant: Participant, rows: Box<dyn EffectRows>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = Config {
            log: Arc::new(log.clone()),
            store: Store::Local(rows),
            prefix: String::new(),
            instance: "a".into(),
            in_flight: 8,
            retention: Duration::from_secs(1_000),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let ran = runtime.spawn(participant.run_until(config, async move { drop(stopped.await) }));
        Self { runtime, stop, ran }
    }

    fn stop(self) {
        self.stop.send(()).expect("the participant still runs");
        self.runtime.block_on(self.ran).unwrap().unwrap();
    }

    /// Waits for its death, and tells of what it died.
    fn died(self) -> RunError {
        let ran = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.ran).await });
        ran.expect("it dies").unwrap().unwrap_err()
    }
}

/// Counts what it is asked to do.
fn counting(calls: &Arc<AtomicUsize>) -> Participant {
    let calls = Arc::clone(calls);
    Participant::new("payment").version("1.0.0").owner("team-payments").on(
        "charge",
        Idempotence::None,
        move |_: Nothing, _: Effect| {
            calls.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, HandlerError>(Nothing) }
        },
    )
}

#[test]
fn while_the_inbox_takes_nothing_no_more_is_done_than_can_be_held() {
    // One look into the log may go beyond each of the two limits.
    let most = 2 * (MOST_WAITING + FETCH);
    let (log, calls) = (Scripted::with(2 * most), Arc::<AtomicUsize>::default());
    let running = Running::start(&log, counting(&calls), &MemoryRows::new());
    let held_up = |state: &State| state.paused && state.read == state.appended;
    let state = log.wait("nothing goes on", |state| held_up(state) || state.appended > most);
    assert!(state.appended <= most && state.committed == 0, "{} answers are held in memory", state.appended);
    drop(state);
    assert!(calls.load(Ordering::Relaxed) <= most);
    log.change(|state| state.takes = true);
    drop(log.wait("it goes on", |state| state.committed == 2 * most as Offset));
    running.stop();
}

#[test]
fn a_command_of_a_newer_schema_waits_for_who_can_read_it() {
    let (log, calls) = (Scripted::with(9), Arc::<AtomicUsize>::default());
    log.change(|state| (state.takes, state.newer) = (true, Some(5)));
    let error = Running::start(&log, counting(&calls), &MemoryRows::new()).died().to_string();
    assert!(error.contains("commands.payment/0 has a command at 5"), "{error}");
    assert!(log.state().committed <= 5, "what it can't read is for somebody else");
}

#[test]
fn who_has_to_give_up_still_records_what_its_handlers_bring() {
    let (log, rows, gate) = (Scripted::with(1), MemoryRows::new(), Arc::<tokio::sync::Notify>::default());
    log.change(|state| state.takes = true);
    let (called, open) = (Arc::<AtomicUsize>::default(), Arc::clone(&gate));
    let (calls, tell) = (Arc::clone(&called), log.clone());
    let slow = Participant::new("payment").version("1.0.0").owner("team-payments").on(
        "charge",
        Idempotence::None,
        move |_: Nothing, _: Effect| {
            calls.fetch_add(1, Ordering::Relaxed);
            tell.change(|state| state.fails = true);
            let open = Arc::clone(&open);
            async move {
                open.notified().await;
                Ok::<_, HandlerError>(Nothing)
            }
        },
    );
    let running = Running::start(&log, slow, &rows);
    drop(log.wait("the group fails", |state| state.failed));
    gate.notify_one();
    let error = running.died();
    assert!(matches!(error, RunError::Log(LogError::InUse { .. })), "{error}");
    assert_eq!(called.load(Ordering::Relaxed), 1);
    let row = rows.row(effect(0)).unwrap().expect("it was begun");
    assert!(matches!(row.state, RowState::Succeeded(_)), "{row:?}");
    assert_eq!(log.state().committed, 1, "its answer was taken");
}

#[test]
fn an_empty_store_where_commands_were_handled_is_refused_until_somebody_says_so() {
    let (directory, calls) = (tempfile::tempdir().unwrap(), Arc::<AtomicUsize>::default());
    let open = || Box::new(RocksRows::open(directory.path()).unwrap());
    for _ in 0..2 {
        let log = Scripted::from(5, 9);
        log.change(|state| state.takes = true);
        let error = Running::start_on(&log, counting(&calls), open()).died().to_string();
        assert!(error.contains("handled up to 5, and the effect store is empty"), "{error}");
        assert_eq!((calls.load(Ordering::Relaxed), log.state().committed), (0, 0));
    }
    open().begin_use().unwrap();
    // And from then on, though a question leaves no row.
    for from in [5, 9] {
        let log = Scripted::from(from, 9);
        log.change(|state| state.takes = true);
        let running = Running::start_on(&log, counting(&calls), open());
        let all_done = |state: &State| state.committed == 9 || from == 9;
        drop(log.wait("it goes on", |state| state.flows && all_done(state)));
        running.stop();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[test]
fn an_empty_store_may_begin_where_nothing_was_handled() {
    // A new topic, and one that has dropped its first records.
    for (from, first) in [(0, 0), (5, 5)] {
        let directory = tempfile::tempdir().unwrap();
        let (log, calls) = (Scripted::from(from, 9), Arc::<AtomicUsize>::default());
        log.change(|state| (state.takes, state.first) = (true, first));
        let rows = Box::new(RocksRows::open(directory.path()).unwrap());
        let running = Running::start_on(&log, counting(&calls), rows);
        drop(log.wait("all are done", |state| state.committed == 9));
        running.stop();
    }
}

#[test]
fn a_commit_that_fails_is_not_tried_with_every_answer() {
    let (log, calls) = (Scripted::with(1_000), Arc::<AtomicUsize>::default());
    log.change(|state| (state.takes, state.forgets) = (true, true));
    let running = Running::start(&log, counting(&calls), &MemoryRows::new());
    let state = log.wait("all are answered", |state| state.appended == 1_000 && state.commits > 0);
    // In so little time that this is more than there may be.
    assert!(state.commits < 20, "{} commits failed", state.commits);
    drop(state);
    log.change(|state| state.forgets = false);
    drop(log.wait("it is committed after all", |state| state.committed == 1_000));
    running.stop();
}
