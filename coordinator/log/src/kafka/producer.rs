//! Appends to Kafka: idempotent, with explicit partitions. A record's outcome is an offset, a certain refusal, or unknown; this must never call a
//! record refused that may lie in the log, and never let one be sent that was given up. The producers of a log share a connection (docs/adr/0016).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_schemas::Partition;

use super::PATIENCE;
use super::admin::{Admin, Limits};
use super::connection::{Arrived, Connection, Connections, Errand};
use super::lane::Lane;
use crate::clock::{Clock, SystemClock};
use crate::{Acknowledgement, LogError, Producer, Record, Ticket};

/// A batch's header and the most that a record adds to its key, value and headers: a topic's limit holds for the batch.
const BATCH_OVERHEAD: usize = 61 + 6 * 5;
/// The most that a header adds to its key and value.
const HEADER_OVERHEAD: usize = 2 * 5;
/// A log that has answered within so long answers for what is in flight soon: giving that up waits for it first,
const ANSWERS: Duration = Duration::from_secs(1);
/// for so long at most.
const GRACE: Duration = Duration::from_millis(500);

/// While a sender has fewer records in flight than this, one that is alone on its lane does not wait for the next poll: there is nothing to gather.
const FEW: usize = 16;

/// What is known of a topic.
struct Known {
    limits: Limits,
    /// Those of its partitions that records went to through this connection.
    lanes: BTreeMap<Partition, Arc<Lane>>,
}

/// One caller's way to the log.
pub(super) struct KafkaProducer {
    connections: Arc<Connections>,
    // Before `connection`, through which it was looked up.
    topics: BTreeMap<String, Known>,
    /// Lanes that hold what was appended since the last poll.
    // Before `connection`, which they are of.
    appended: Vec<Arc<Lane>>,
    connection: Arc<Connection>,
    admin: Arc<Admin>,
    arrived: Arc<Arrived>,
    /// Not collected.
    in_flight: usize,
    /// When the log last answered, or was first asked after a rest; time since the machine was started: what it slept counts.
    heard_at: Duration,
}

impl KafkaProducer {
    pub(super) fn new(connections: Arc<Connections>, admin: Arc<Admin>) -> Result<Self, LogError> {
        Ok(Self {
            connection: connections.current()?,
            connections,
            admin,
            arrived: Arc::default(),
            appended: Vec::new(),
            topics: BTreeMap::new(),
            in_flight: 0,
            heard_at: Duration::ZERO,
        })
    }

    #[cfg(test)]
    pub(super) fn know(&mut self, topic: &str, limits: Limits) {
        self.topics.insert(topic.to_owned(), Known { limits, lanes: BTreeMap::new() });
    }

    /// What was appended goes, as with a poll.
    #[cfg(test)]
    pub(super) fn hand_over(&mut self) {
        self.connection.deliver(&mut self.appended);
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Asked once per topic: librdkafka itself would keep a record for a topic that is not there for half a minute. And again before a
    /// record is refused: topics grow.
    fn check(&mut self, topic: &str, partition: Partition, size: usize) -> Result<(), LogError> {
        if self.topics.get(topic).is_some_and(|known| known.limits.take(partition, size)) {
            return Ok(());
        }
        let limits = self.admin.limits(topic)?;
        if partition >= limits.partitions {
            return Err(LogError::NoTopic { topic: format!("{topic}/{partition}") });
        }
        if size > limits.bytes {
            return Err(LogError::TooLarge { topic: topic.to_owned(), size, limit: limits.bytes });
        }
        self.narrow(limits.bytes)?;
        self.topics.insert(topic.to_owned(), Known { limits, lanes: BTreeMap::new() });
        Ok(())
    }

    /// A connection whose batches a topic takes that takes so many bytes. How large its batches are.
    pub(super) fn narrow(&mut self, bytes: usize) -> Result<usize, LogError> {
        if bytes < self.connection.batch {
            let narrower = self.connections.with_batches_of(bytes)?;
            self.await_outcomes(PATIENCE);
            self.change_to(narrower);
        }
        Ok(self.connection.batch)
    }

    fn hold(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        let missing = || LogError::NoTopic { topic: topic.to_owned() };
        let known = self.topics.get_mut(topic).ok_or_else(missing)?;
        let lane = match known.lanes.get(&partition) {
            Some(lane) => Arc::clone(lane),
            None => {
                let lane = self.connection.lane(topic, partition).ok_or_else(missing)?;
                known.lanes.insert(partition, Arc::clone(&lane));
                lane
            }
        };
        if !self.appended.iter().any(|other| Arc::ptr_eq(other, &lane)) {
            self.appended.push(Arc::clone(&lane));
        }
        let errand = Box::new(Errand { ticket, sender: Arc::clone(&self.arrived), lane });
        self.connection.take(record, errand, self.in_flight < FEW);
        Ok(())
    }

    fn collect(&mut self, into: &mut Vec<Acknowledgement>) -> usize {
        let count = self.arrived.take(into);
        self.in_flight = self.in_flight.saturating_sub(count);
        for acknowledgement in &into[into.len() - count..] {
            match &acknowledgement.outcome {
                Err(LogError::OutcomeUnknown { .. }) => {}
                Err(LogError::NoTopic { topic }) => drop(self.topics.remove(topic)),
                Ok(_) | Err(_) => self.heard_at = SystemClock.since_boot(),
            }
        }
        count
    }

    /// When the client is of no more use everything in flight gets its outcome, which is unknown, and a new client goes on.
    fn revive(&mut self) -> Result<(), LogError> {
        let Some(reason) = self.connection.over() else { return Ok(()) };
        tracing::warn!(target: "kafka", reason, in_flight = self.in_flight, "the producer is remade");
        let next = self.connections.current()?;
        self.change_to(next);
        Ok(())
    }

    /// What the old one has in flight of this producer's gets its outcome first: records must not overtake each other.
    fn change_to(&mut self, next: Arc<Connection>) {
        self.connection.give_up(&self.arrived);
        self.appended.clear();
        if self.unanswered() > 0 {
            self.connection.purge();
            self.await_outcomes(PATIENCE);
        }
        self.topics.values_mut().for_each(|known| known.lanes.clear());
        self.connection = next;
    }

    /// Appends whose outcome has not arrived.
    fn unanswered(&self) -> usize {
        self.in_flight.saturating_sub(self.arrived.len())
    }

    fn await_outcomes(&mut self, patience: Duration) {
        let begin = Instant::now();
        loop {
            let mark = self.connection.mark();
            self.connection.deliver(&mut self.appended);
            let left = patience.saturating_sub(begin.elapsed());
            if self.unanswered() == 0 || left.is_zero() {
                return;
            }
            self.connection.wait(mark, left);
        }
    }
}

impl Producer for KafkaProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        self.check(topic, partition, encoded_size(record))?;
        self.revive()?;
        self.hold(topic, partition, record, ticket)?;
        if self.in_flight == 0 {
            self.heard_at = SystemClock.since_boot();
        }
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>) {
        let begin = Instant::now();
        loop {
            let mark = self.connection.mark();
            self.connection.deliver(&mut self.appended);
            if let Err(error) = self.revive() {
                tracing::error!(target: "kafka", %error, "the producer can't be remade yet");
            }
            let left = wait.saturating_sub(begin.elapsed());
            if self.collect(into) > 0 || left.is_zero() {
                return;
            }
            self.connection.wait(mark, left);
        }
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What a lane holds is given up at once. What librdkafka has it gives up for all producers of a connection, or for none. So while the log
    /// answers, what is under way is waited for, which takes a moment and disturbs nobody. What it does not answer for is given up together with
    /// what the others have under way there, which then is unknown to them, too, as after a broken connection. Who slept with something in
    /// flight waits for nothing.
    fn purge(&mut self) {
        if self.unanswered() == 0 {
            return;
        }
        self.connection.give_up(&self.arrived);
        if SystemClock.since_boot().saturating_sub(self.heard_at) < ANSWERS {
            self.await_outcomes(GRACE);
        }
        if self.unanswered() > 0 {
            self.connection.purge();
        }
    }
}

/// What a producer that is gone has left unsent is not sent.
impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.purge();
    }
}

/// Bytes of the batch that holds this record alone, uncompressed: never less than the broker will count.
fn encoded_size(record: &Record) -> usize {
    let header = |(key, value): &(String, Vec<u8>)| key.len() + value.len() + HEADER_OVERHEAD;
    BATCH_OVERHEAD + record.key.len() + record.value.len() + record.headers.iter().map(header).sum::<usize>()
}
