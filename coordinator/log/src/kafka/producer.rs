//! Appends to Kafka: an idempotent producer with explicit partitions. A record's outcome is an offset, a certain refusal, or unknown;
//! this must never call a record refused that may lie in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, ClientContext};
use sagaline_schemas::Partition;

use super::admin::{Admin, Limits};
use super::error::{LastWord, failed, heard, log, undelivered};
use super::ffi::Wakeup;
use super::{PATIENCE, native};
use crate::{Acknowledgement, LogError, Producer, Record, Ticket};

// A ticket travels through librdkafka as the pointer that it hands back with the outcome.
const _: () = assert!(usize::BITS >= Ticket::BITS);

/// A batch's header and the most that a record adds to its key, value and headers: a topic's limit holds for the batch.
const BATCH_OVERHEAD: usize = 61 + 6 * 5;
/// The most that a header adds to its key and value.
const HEADER_OVERHEAD: usize = 2 * 5;

/// Receives outcomes on the thread that polls.
#[derive(Default)]
pub(super) struct Outcomes {
    arrived: Mutex<Vec<Acknowledgement>>,
    last_word: LastWord,
}

impl Outcomes {
    fn take(&self, into: &mut Vec<Acknowledgement>) -> usize {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let count = arrived.len();
        into.append(&mut arrived);
        count
    }
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
    type DeliveryOpaque = usize;

    // Also called for what is purged, and while the client is dropped.
    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, message)) => {
                Err(undelivered(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown), message.topic()))
            }
        };
        let acknowledgement = Acknowledgement { ticket: ticket as Ticket, outcome };
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledgement);
    }
}

/// One librdkafka producer, remade when it can't go on.
pub(super) struct KafkaProducer {
    // Before `client`: it listens to its queue.
    wakeup: Wakeup,
    client: BaseProducer<Outcomes>,
    config: ClientConfig,
    admin: Arc<Admin>,
    /// The most bytes of records that librdkafka puts together.
    batch: usize,
    topics: BTreeMap<String, Limits>,
    in_flight: usize,
    /// Outcomes of the clients before this one.
    left_over: Vec<Acknowledgement>,
}

impl KafkaProducer {
    pub(super) fn new(config: ClientConfig, admin: Arc<Admin>) -> Result<Self, LogError> {
        let client = connect(&config, &admin)?;
        let wakeup = Wakeup::new(client.client());
        let batch = config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
        Ok(Self { wakeup, client, config, batch, admin, topics: BTreeMap::new(), in_flight: 0, left_over: Vec::new() })
    }

    #[cfg(test)]
    pub(super) fn know(&mut self, topic: &str, limits: Limits) {
        self.topics.insert(topic.to_owned(), limits);
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> &rdkafka::client::Client<Outcomes> {
        self.client.client()
    }

    /// Asked once per topic: librdkafka itself would keep a record for a topic that is not there for half a minute. And again before a
    /// record is refused: topics grow.
    fn check(&mut self, topic: &str, partition: Partition, size: usize) -> Result<(), LogError> {
        if self.topics.get(topic).is_some_and(|limits| partition < limits.partitions && size <= limits.bytes) {
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
        self.topics.insert(topic.to_owned(), limits);
        Ok(())
    }

    /// A topic's limit holds for a batch, and librdkafka knows one size of batches for all topics: where a topic takes less than that,
    /// all batches become smaller, lest one be refused for the sum of its innocent records.
    fn narrow(&mut self, limit: usize) -> Result<(), LogError> {
        if limit >= self.batch {
            return Ok(());
        }
        self.config.set("batch.size", limit.to_string());
        self.await_outcomes();
        self.replace()?;
        self.batch = limit;
        Ok(())
    }

    fn send(&self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), KafkaError> {
        let message = BaseRecord {
            topic,
            partition: Some(native(partition)),
            payload: Some(record.value.as_slice()),
            key: (!record.key.is_empty()).then_some(record.key.as_slice()),
            timestamp: None,
            headers: headers(record),
            delivery_opaque: ticket as usize,
        };
        self.client.send(message).map_err(|(error, _)| error)
    }

    /// Lets librdkafka hand over what has arrived.
    fn drain(&self) {
        for _ in 0..self.wakeup.waiting() {
            self.client.poll(Duration::ZERO);
        }
    }

    fn collect(&mut self, into: &mut Vec<Acknowledgement>) -> usize {
        let mut count = self.left_over.len();
        into.append(&mut self.left_over);
        count += self.client.context().take(into);
        self.in_flight = self.in_flight.saturating_sub(count);
        for acknowledgement in &into[into.len() - count..] {
            if let Err(LogError::NoTopic { topic }) = &acknowledgement.outcome {
                self.topics.remove(topic);
            }
        }
        count
    }

    /// After a fatal error, for one when the broker has forgotten this producer's sequence, the client takes and sends nothing more.
    /// Everything in flight gets its outcome, which is unknown, and a new client goes on.
    fn revive(&mut self) -> Result<(), LogError> {
        let Some((code, reason)) = self.client.client().fatal_error() else { return Ok(()) };
        tracing::warn!(target: "kafka", %code, reason, in_flight = self.in_flight, "the producer is remade");
        self.replace()
    }

    /// Goes on with a new client; what the old one had in flight gets its outcome.
    fn replace(&mut self) -> Result<(), LogError> {
        let client = connect(&self.config, &self.admin)?;
        self.purge();
        self.await_outcomes();
        self.client.context().take(&mut self.left_over);
        self.wakeup = Wakeup::new(client.client());
        self.client = client;
        Ok(())
    }

    fn await_outcomes(&self) {
        let begin = Instant::now();
        while self.client.in_flight_count() > 0 && begin.elapsed() < PATIENCE {
            self.wakeup.wait(Duration::from_millis(10));
            self.drain();
        }
    }
}

impl Producer for KafkaProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        self.check(topic, partition, encoded_size(record))?;
        let mut sent = self.send(topic, partition, record, ticket);
        if sent.is_err() && self.client.client().fatal_error().is_some() {
            self.revive()?;
            sent = self.send(topic, partition, record, ticket);
        }
        sent.map_err(|error| not_queued(&error, topic))?;
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>) {
        let begin = Instant::now();
        loop {
            self.drain();
            if let Err(error) = self.revive() {
                tracing::error!(target: "kafka", %error, "the producer can't be remade yet");
            }
            let left = wait.saturating_sub(begin.elapsed());
            if self.collect(into) > 0 || left.is_zero() {
                return;
            }
            self.wakeup.wait(left);
        }
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn purge(&mut self) {
        self.client.purge(PurgeConfig::default().queue().inflight());
    }
}

fn connect(config: &ClientConfig, admin: &Admin) -> Result<BaseProducer<Outcomes>, LogError> {
    config
        .create_with_context(Outcomes::default())
        .map_err(|e| failed(&e, "kafka producer", admin.bootstrap(), &LastWord::default()))
}

fn headers(record: &Record) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let insert =
        |headers: OwnedHeaders, (key, value): &(String, Vec<u8>)| headers.insert(Header { key, value: Some(value) });
    Some(record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), insert))
}

/// Bytes of the batch that holds this record alone, uncompressed: never less than the broker will count.
fn encoded_size(record: &Record) -> usize {
    let header = |(key, value): &(String, Vec<u8>)| key.len() + value.len() + HEADER_OVERHEAD;
    BATCH_OVERHEAD + record.key.len() + record.value.len() + record.headers.iter().map(header).sum::<usize>()
}

fn not_queued(error: &KafkaError, topic: &str) -> LogError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition) => {
            LogError::NoTopic { topic: topic.to_owned() }
        }
        Some(RDKafkaErrorCode::QueueFull) => LogError::Io {
            place: topic.to_owned(),
            detail: "the client's queue is full (queue.buffering.max.messages): poll before appending more".to_owned(),
        },
        _ => LogError::Io { place: topic.to_owned(), detail: error.to_string() },
    }
}
