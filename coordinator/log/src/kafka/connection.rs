//! The connections of a log's producers: one librdkafka client for all of them, for what several send to one partition then goes in one request.
//! Outcomes come into one queue; whichever producer looks into it leaves each with its own. Nothing here decides what becomes of a record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, ClientContext};
use sagaline_schemas::{Offset, Partition};

use super::error::{LastWord, failed, heard, log, undelivered};
use super::ffi::{Topic, Wakeup};
use super::lane::{Lane, Pressure, Went};
use crate::clock::{Clock, SystemClock};
use crate::{Acknowledgement, LogError, Record, Ticket};

/// Outcomes of one producer's records that it has not collected.
#[derive(Default)]
pub(super) struct Arrived(Mutex<Vec<Acknowledgement>>);

impl Arrived {
    fn lock(&self) -> MutexGuard<'_, Vec<Acknowledgement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn put(&self, ticket: Ticket, outcome: Result<Offset, LogError>) {
        self.lock().push(Acknowledgement { ticket, outcome });
    }

    /// How many there were.
    pub(super) fn take(&self, into: &mut Vec<Acknowledgement>) -> usize {
        let mut arrived = self.lock();
        let count = arrived.len();
        into.append(&mut arrived);
        count
    }
}

/// Travels through librdkafka with a record, and comes back with its outcome.
pub(super) struct Errand {
    pub ticket: Ticket,
    pub sender: Arc<Arrived>,
    pub lane: Arc<Lane>,
}

/// Hears outcomes, on the thread that polls.
#[derive(Default)]
pub(super) struct Outcomes {
    last_word: LastWord,
    /// Lanes that may go on.
    ready: Mutex<Vec<Arc<Lane>>>,
    /// The connection goes: none will, and no lane may outlive the client, which its topic belongs to.
    closing: AtomicBool,
}

impl ClientContext for Outcomes {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&self.last_word, &error, reason);
    }
}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = Box<Errand>;

    // Also called for what is purged, and while the client is dropped.
    fn delivery(&self, result: &DeliveryResult<'_>, errand: Box<Errand>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, message)) => {
                Err(undelivered(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown), message.topic()))
            }
        };
        let (said, now) = (outcome.is_ok(), SystemClock.since_boot());
        errand.sender.put(errand.ticket, outcome);
        if errand.lane.answered(said, now) && !self.closing.load(Ordering::Acquire) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(errand.lane);
        }
    }
}

/// Lanes that hold something and were not looked at for so long: the process slept. An owner falls silent after ten seconds from one turn to the next, of
/// which a turn may take one before the sleep.
const SLEPT: Duration = Duration::from_secs(8);
/// Then they rest for so long, for their senders' sake.
const REST: Duration = Duration::from_secs(1);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A client that has no answer for a record for so long is given up: its library may have lost sight of a partition's leader for ever, while every new
/// client sees it (confluentinc/librdkafka#5430). Where no broker answers, a new client knows no more than the one before, and nothing is lost by it. But
/// where a single partition can't be written, all others are disturbed: so a client that has taken the place of one which was given up for this partition,
/// and has never had an answer there either, is given twice as long as that.
const UNANSWERED: Duration = Duration::from_secs(60);
/// So often it is doubled at most.
const DOUBLED: u32 = 6;
/// How often lanes are asked for that.
const ASK: Duration = Duration::from_secs(1);

/// Since the machine was started, what it slept included.
#[derive(Default)]
struct Awake {
    seen_at: Duration,
    rests_until: Duration,
    asked_at: Duration,
}

/// How often in a row clients were given up for a partition, by the lane's name: of all connections of a log.
pub(super) type InVain = Arc<Mutex<BTreeMap<String, u32>>>;

/// A topic and those of its partitions that records went to.
struct Place {
    topic: Arc<Topic>,
    lanes: BTreeMap<Partition, Arc<Lane>>,
}

/// One librdkafka producer. Whoever has something in flight there stays with it until that has its outcome, for the order's sake.
pub(super) struct Connection {
    // Before `client`: it listens to its queue.
    wakeup: Wakeup,
    // Before `client`, as each topic of it.
    lanes: Mutex<BTreeMap<String, Place>>,
    pressure: Arc<Pressure>,
    awake: Mutex<Awake>,
    /// A lane of it had no answer for too long.
    silent: OnceLock<String>,
    in_vain: InVain,
    client: BaseProducer<Outcomes>,
    /// The most bytes of records that it puts together.
    pub batch: usize,
}

impl Connection {
    fn open(config: &ClientConfig, bootstrap: &str, in_vain: InVain) -> Result<Arc<Self>, LogError> {
        let client: BaseProducer<Outcomes> = config
            .create_with_context(Outcomes::default())
            .map_err(|e| failed(&e, "kafka producer", bootstrap, &LastWord::default()))?;
        let wakeup = Wakeup::new(client.client());
        let batch = config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
        let pressure = Arc::new(Pressure::default());
        let (lanes, awake, silent) = (Mutex::default(), Mutex::default(), OnceLock::new());
        let connection =
            Arc::new(Self { wakeup, lanes, pressure: Arc::clone(&pressure), awake, silent, in_vain, client, batch });
        let held = Arc::downgrade(&connection);
        let thread = thread::Builder::new().name("kafka-lanes".to_owned()).spawn(move || relieve(&held, &pressure));
        thread.map_err(|error| LogError::Io { place: "kafka producer".to_owned(), detail: error.to_string() })?;
        Ok(connection)
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way of a partition's records; none: that is no name of a topic.
    pub(super) fn lane(&self, topic: &str, partition: Partition) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes();
        if !lanes.contains_key(topic) {
            let found = Arc::new(Topic::of(self.client.client(), topic)?);
            lanes.insert(topic.to_owned(), Place { topic: found, lanes: BTreeMap::new() });
        }
        let Place { topic, lanes } = lanes.get_mut(topic)?;
        let new = || Arc::new(Lane::new(Arc::clone(topic), partition, Arc::clone(&self.pressure)));
        Some(Arc::clone(lanes.entry(partition).or_insert_with(new)))
    }

    /// Takes a record, which goes once its lane is among those of a `deliver`; or at once, if that is wanted and it is alone on its lane. Its outcome
    /// comes to the errand's sender.
    pub(super) fn take(&self, record: &Record, errand: Box<Errand>, at_once: bool) {
        let now = SystemClock.since_boot();
        if !self.pressure.is_some() {
            self.is_awake(now);
        }
        let lane = Arc::clone(&errand.lane);
        if lane.hold(record, errand) && at_once {
            lane.go(self.client.client(), now);
        }
    }

    /// Gives up what librdkafka does not have yet of one sender's.
    pub(super) fn give_up(&self, sender: &Arc<Arrived>) {
        let lanes: Vec<_> = self.lanes().values().flat_map(|place| place.lanes.values().cloned()).collect();
        lanes.iter().for_each(|lane| lane.give_up(sender));
    }

    /// Why it is of no more use; none: it goes. After a fatal error, for one when the broker has forgotten its sequence, a client takes and sends
    /// nothing more.
    pub(super) fn over(&self) -> Option<String> {
        let fatal = || self.client.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"));
        self.silent.get().cloned().or_else(fatal)
    }

    /// Whether each lane has had its answers in time.
    pub(super) fn ask_lanes(&self, now: Duration) {
        let lanes = self.lanes();
        let mut in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        for lane in lanes.values().flat_map(|place| place.lanes.values()) {
            if !in_vain.is_empty() && lane.was_heard() {
                in_vain.remove(&lane.name());
            }
            let unanswered = lane.unanswered(now);
            if unanswered <= UNANSWERED || self.silent.get().is_some() {
                continue;
            }
            let times = in_vain.entry(lane.name()).or_default();
            if unanswered > UNANSWERED * (1 << *times) {
                *times = (*times + 1).min(DOUBLED);
                let said = format!("no answer for {} in {} s", lane.name(), unanswered.as_secs());
                self.silent.get_or_init(|| said);
            }
        }
    }

    /// Gives up all that librdkafka has, whoever's it is.
    pub(super) fn purge(&self) {
        self.client.purge(PurgeConfig::default().queue().inflight());
    }

    /// A mark for `wait`, to be had before looking for what one waits for.
    pub(super) fn mark(&self) -> u64 {
        self.wakeup.mark()
    }

    fn ready(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.client.context().ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves what has arrived with those who wait for it, and lets lanes go on: those that were answered, and these.
    pub(super) fn deliver(&self, lanes: &mut Vec<Arc<Lane>>) {
        let now = SystemClock.since_boot();
        let awake = self.is_awake(now);
        if self.is_time_to_ask(now) {
            self.ask_lanes(now);
        }
        let arrived = self.wakeup.waiting();
        for _ in 0..arrived {
            self.client.poll(Duration::ZERO);
        }
        let ready = {
            let mut ready = self.ready();
            ready.append(lanes);
            if awake { std::mem::take(&mut *ready) } else { Vec::new() }
        };
        let mut remain = !awake;
        for lane in ready {
            let went = lane.go(self.client.client(), now);
            remain |= went != Went::All;
            if went == Went::Refused {
                self.ready().push(lane);
            }
        }
        if remain {
            self.pressure.want();
        }
        if arrived > 0 {
            self.wakeup.raise();
        }
    }

    /// While lanes hold something they are looked at ten times a second. Where that was not so the process slept, and whoever sent what they hold may
    /// have been succeeded: it is given time to see that and to give it up, before it is sent.
    fn is_awake(&self, now: Duration) -> bool {
        let mut awake = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        if self.pressure.is_some() && now.saturating_sub(awake.seen_at) > SLEPT {
            awake.rests_until = now + REST;
        }
        awake.seen_at = now;
        now >= awake.rests_until
    }

    fn is_time_to_ask(&self, now: Duration) -> bool {
        let mut awake = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.saturating_sub(awake.asked_at) >= ASK;
        if due {
            awake.asked_at = now;
        }
        due
    }

    #[cfg(test)]
    pub(super) fn rest_until(&self, at: Duration) {
        self.awake.lock().expect("no panic").rests_until = at;
    }

    #[cfg(test)]
    pub(super) fn is_awake_at(&self, now: Duration) -> bool {
        self.is_awake(now)
    }

    /// Returns when something has arrived, or was left with somebody, since `mark`; or after `timeout`.
    pub(super) fn wait(&self, mark: u64, timeout: Duration) {
        self.wakeup.wait(mark, timeout);
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> &rdkafka::client::Client<Outcomes> {
        self.client.client()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pressure.end();
        self.client.context().closing.store(true, Ordering::Release);
        self.ready().clear();
    }
}

/// A thread's life: while lanes hold something, it sees to it that they go on, whether or not those who sent it look for outcomes. It sleeps while
/// nothing is held.
fn relieve(connection: &Weak<Connection>, pressure: &Pressure) {
    while pressure.wait() {
        let Some(connection) = connection.upgrade() else { return };
        connection.deliver(&mut Vec::new());
        drop(connection);
        pressure.pause(LOOK);
        pressure.rest();
    }
}

/// Which connection new records take. One is enough; a second lives beside it while the one before still has something in flight.
pub(super) struct Connections {
    bootstrap: Arc<str>,
    state: Mutex<State>,
    in_vain: InVain,
}

struct State {
    config: ClientConfig,
    current: Weak<Connection>,
}

impl Connections {
    pub(super) fn new(config: ClientConfig, bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            state: Mutex::new(State { config, current: Weak::new() }),
            in_vain: InVain::default(),
        }
    }

    /// The current one, if it still goes; a new one else.
    pub(super) fn current(&self) -> Result<Arc<Connection>, LogError> {
        self.with_batches_of(usize::MAX)
    }

    /// One that puts together no more than so many bytes: a topic's limit holds for a batch, and a client knows one size of batches for all
    /// topics. Where a topic takes less than that all batches become smaller, lest one be refused for the sum of its innocent records.
    pub(super) fn with_batches_of(&self, bytes: usize) -> Result<Arc<Connection>, LogError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let current = state.current.upgrade();
        if let Some(current) = current.filter(|current| current.batch <= bytes && current.over().is_none()) {
            return Ok(current);
        }
        let known = state.config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
        if bytes < known {
            state.config.set("batch.size", bytes.to_string());
        }
        let connection = Connection::open(&state.config, &self.bootstrap, Arc::clone(&self.in_vain))?;
        state.current = Arc::downgrade(&connection);
        Ok(connection)
    }
}
