//! Reads one partition from a position. All readers of a log share one client, each with a queue of its own, so that one question to a broker
//! asks for all of them: a client for each partition asked, and was answered, once for each. A position that is lost is an error for good, and
//! of that reader alone: nothing here moves a reader to where there happen to be records (docs/adr/0016).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Message, Offset as Position, TopicPartitionList};
use sagaline_schemas::{Offset, Partition};

use super::admin::Admin;
use super::error::{LastWord, Listening, failed, is_connection};
use super::{PATIENCE, fetched, native, whole_millis};
use crate::{Fetched, LogError, Reader};

/// How often a client is asked what it has to say that concerns no partition.
const SERVE_EVERY: Duration = Duration::from_millis(100);

type Place = (Arc<str>, Partition);

/// The clients of a log's readers. One is enough while no partition is read twice at a time; whoever reads one a second time gets the next.
#[derive(Default)]
pub(super) struct Readers {
    clients: Mutex<Vec<Weak<Shared>>>,
}

/// A client that reads many partitions: it lives as long as one of its readers.
struct Shared {
    consumer: Arc<BaseConsumer<Listening>>,
    taken: Mutex<BTreeSet<Place>>,
    served_at: Mutex<Instant>,
}

/// One partition of a client. Dropped: others may have it.
struct Seat {
    client: Arc<Shared>,
    place: Place,
    assigned: bool,
}

impl Readers {
    fn take(&self, config: &ClientConfig, bootstrap: &str, place: &Place) -> Result<Seat, LogError> {
        let mut clients = lock(&self.clients);
        clients.retain(|client| client.strong_count() > 0);
        let free = |client: &Arc<Shared>| lock(&client.taken).insert(place.clone());
        let client = match clients.iter().filter_map(Weak::upgrade).find(free) {
            Some(client) => client,
            None => {
                let client = Arc::new(Shared::connect(config, bootstrap)?);
                lock(&client.taken).insert(place.clone());
                clients.push(Arc::downgrade(&client));
                client
            }
        };
        Ok(Seat { client, place: place.clone(), assigned: false })
    }
}

impl Shared {
    fn connect(config: &ClientConfig, bootstrap: &str) -> Result<Self, LogError> {
        let consumer = config
            .create_with_context(Listening::default())
            .map_err(|e| failed(&e, "kafka reader", bootstrap, &LastWord::default()))?;
        Ok(Self { consumer: Arc::new(consumer), taken: Mutex::default(), served_at: Mutex::new(Instant::now()) })
    }

    /// Log lines, tokens and errors of connections lie in a queue of their own, where no record ever comes. Whichever reader finds that it was
    /// not looked at for a while looks.
    fn serve(&self) {
        let Ok(mut served_at) = self.served_at.try_lock() else { return };
        if served_at.elapsed() >= SERVE_EVERY {
            // What it says is heard by its context.
            while self.consumer.poll(Duration::ZERO).is_some() {}
            *served_at = Instant::now();
        }
    }

    fn last_word(&self) -> &LastWord {
        &self.consumer.context().last_word
    }
}

impl Seat {
    /// The partition's own queue; records come into it from now on.
    fn assign(&mut self, from: Offset, bootstrap: &str) -> Result<PartitionQueue<Listening>, LogError> {
        let (topic, partition) = &self.place;
        let place = format!("{topic}/{partition}");
        // Before it is assigned, or its first records would go to the client's queue.
        let queue = self.client.consumer.split_partition_queue(topic, native(*partition));
        let no_queue = || LogError::Io { place: place.clone(), detail: "the Kafka client gives no queue".to_owned() };
        let queue = queue.ok_or_else(no_queue)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, native(*partition), Position::Offset(from))
            .and_then(|()| self.client.consumer.incremental_assign(&list))
            .map_err(|e| failed(&e, &place, bootstrap, self.client.last_word()))?;
        self.assigned = true;
        Ok(queue)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (topic, partition) = &self.place;
        if self.assigned {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition(topic, native(*partition));
            if let Err(error) = self.client.consumer.incremental_unassign(&list) {
                tracing::warn!(target: "kafka", %error, topic = &**topic, partition, "a partition can't be given up: it is read on, and dropped");
                // Nobody else can have it from this client.
                return;
            }
        }
        lock(&self.client.taken).remove(&self.place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct KafkaReader {
    // Before `seat`, which gives the partition up.
    queue: PartitionQueue<Listening>,
    seat: Seat,
    bootstrap: String,
    topic: Arc<str>,
    partition: Partition,
    next: Offset,
    /// Set when reading can't go on.
    broken: Option<LogError>,
}

impl KafkaReader {
    pub(super) fn new(
        readers: &Readers,
        config: &ClientConfig,
        admin: &Admin,
        topic: &str,
        partition: Partition,
        from: Offset,
    ) -> Result<Self, LogError> {
        if admin.partitions(topic)? <= partition {
            return Err(LogError::NoTopic { topic: format!("{topic}/{partition}") });
        }
        let bootstrap = admin.bootstrap().to_owned();
        let topic: Arc<str> = topic.into();
        let mut seat = readers.take(config, &bootstrap, &(Arc::clone(&topic), partition))?;
        let (start, end) = watermarks(&seat.client.consumer, &topic, partition, &bootstrap)?;
        if !(start..=end).contains(&from) {
            return Err(LogError::OutOfRange { topic: topic.to_string(), partition, offset: from, start, end });
        }
        let queue = seat.assign(from, &bootstrap)?;
        Ok(Self { queue, seat, bootstrap, topic, partition, next: from, broken: None })
    }

    /// None: the client deals with it by itself.
    fn judge(&mut self, error: &KafkaError) -> Option<LogError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => Some(self.lost()),
            // It is no member of its group, and needs no right to be one.
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => None,
            Some(code) if is_connection(code) => None,
            _ => Some(failed(error, &self.topic, &self.bootstrap, self.seat.client.last_word())),
        }
    }

    /// Only a place that is lost is lost for good; what else goes wrong is said once, and may have passed by the next poll.
    fn say_broken(&mut self) -> Result<(), LogError> {
        let error = self.broken.take();
        self.broken = error.clone().filter(|error| matches!(error, LogError::OutOfRange { .. }));
        error.map_or(Ok(()), Err)
    }

    fn lost(&mut self) -> LogError {
        match self.bounds() {
            Ok((start, end)) => LogError::OutOfRange {
                topic: self.topic.to_string(),
                partition: self.partition,
                offset: self.next,
                start,
                end,
            },
            Err(error) => error,
        }
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.say_broken()?;
        self.seat.client.serve();
        let full = into.len() + max;
        let mut wait = whole_millis(wait);
        while into.len() < full {
            match self.queue.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    self.next = message.offset() + 1;
                    into.push(fetched(&self.topic, &message));
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => {
                    self.broken = self.judge(&error);
                    if self.broken.is_some() {
                        break;
                    }
                }
            }
        }
        // What came before the error is read first.
        if into.len() + max == full { self.say_broken() } else { Ok(()) }
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        watermarks(&self.seat.client.consumer, &self.topic, self.partition, &self.bootstrap)
    }
}

/// First offset held and first not yet held, as the broker says now.
pub(super) fn watermarks<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: Partition,
    bootstrap: &str,
) -> Result<(Offset, Offset), LogError> {
    let place = format!("{topic}/{partition}");
    match consumer.fetch_watermarks(topic, native(partition), PATIENCE) {
        // librdkafka's "don't know" is a negative offset, not an error.
        Ok((start, end)) if start < 0 || end < start => {
            Err(LogError::Io { place, detail: format!("the broker did not say what it holds ({start}..{end})") })
        }
        // It asks two questions, and gives one answer for both where the other did not come, as from a broker that has just started: a log that
        // holds something would seem to have lost it.
        Ok((start, end)) if start == end && end > 0 => {
            let first = first_held(consumer, topic, partition);
            let first = first.map_err(|e| failed(&e, &place, bootstrap, &LastWord::default()))?;
            Ok((first.map_or(end, |first| first.min(end)), end))
        }
        Ok(bounds) => Ok(bounds),
        Err(error) => Err(failed(&error, &place, bootstrap, &LastWord::default())),
    }
}

/// The first record that is held, found by its time; none: nothing is held.
fn first_held<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: Partition,
) -> Result<Option<Offset>, KafkaError> {
    let mut any_time = TopicPartitionList::with_capacity(1);
    any_time.add_partition_offset(topic, native(partition), Position::Offset(0))?;
    let found = consumer.offsets_for_times(any_time, PATIENCE)?;
    let Some(found) = found.find_partition(topic, native(partition)) else { return Ok(None) };
    found.error()?;
    Ok(if let Position::Offset(first) = found.offset() { Some(first) } else { None })
}
