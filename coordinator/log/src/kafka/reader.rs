//! Reads one partition from a position. All readers of a log share one client, each with a queue of its own, so that one question to a broker
//! asks for all of them: a client for each partition asked, and was answered, once for each. A position that is lost is an error for good, and
//! of that reader alone: nothing here moves a reader to where there happen to be records (docs/adr/0016).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::clock::{Clock, SystemClock};
use crate::{Fetched, LogError, Reader};

/// How often a client is asked what it has to say that concerns no partition.
const SERVE_EVERY: Duration = Duration::from_millis(100);

/// A client that gives nothing of a partition for so long, though the log holds more, is not asked again: it may have lost sight of its leader for ever
/// (confluentinc/librdkafka#5430). Who reads other partitions by it stays.
const STARVED: Duration = Duration::from_secs(60);

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
    opened: Instant,
    /// Nobody is given a place in it any more.
    suspected: AtomicBool,
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
        let free = |client: &Arc<Shared>| !client.is_suspected() && lock(&client.taken).insert(place.clone());
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
        let (opened, suspected) = (Instant::now(), AtomicBool::new(false));
        Ok(Self {
            consumer: Arc::new(consumer),
            taken: Mutex::default(),
            served_at: Mutex::new(opened),
            opened,
            suspected,
        })
    }

    fn is_suspected(&self) -> bool {
        self.suspected.load(Ordering::Acquire)
    }

    fn suspect(&self) {
        self.suspected.store(true, Ordering::Release);
    }

    /// As `watermarks`. A client that does not answer may have gone blind, or no broker answers: so that one takes its place now and then, and not at
    /// every question.
    fn watermarks(&self, (topic, partition): &Place, bootstrap: &str) -> Result<(Offset, Offset), LogError> {
        let answer = watermarks(&self.consumer, topic, *partition, bootstrap);
        if answer.is_err() && self.opened.elapsed() >= STARVED {
            self.suspect();
        }
        answer
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
    hunger: Hunger,
}

/// Since when the log is known to hold more than was given, as time since the machine was started.
#[derive(Default)]
struct Hunger(Option<Duration>);

impl Hunger {
    /// The log was asked for its end: `all` of it was given.
    fn asked(&mut self, all: bool, now: Duration) {
        self.0 = if all { None } else { Some(self.0.unwrap_or(now)) };
    }

    /// Whether nothing has come for too long, once something came or did not. Said once.
    fn is_starved(&mut self, something: bool, now: Duration) -> bool {
        let starved = !something && self.0.is_some_and(|since| now.saturating_sub(since) >= STARVED);
        if something || starved {
            self.0 = None;
        }
        starved
    }
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
        let (start, end) = seat.client.watermarks(&seat.place, &bootstrap)?;
        if !(start..=end).contains(&from) {
            return Err(LogError::OutOfRange { topic: topic.to_string(), partition, offset: from, start, end });
        }
        let queue = seat.assign(from, &bootstrap)?;
        Ok(Self { queue, seat, bootstrap, topic, partition, next: from, broken: None, hunger: Hunger::default() })
    }

    /// Nothing came for too long: nobody is given a place in this client any more.
    fn gone_blind(&self) -> LogError {
        self.seat.client.suspect();
        let (place, seconds) = (format!("{}/{}", self.topic, self.partition), STARVED.as_secs());
        let detail = format!(
            "nothing came from offset {} on for {seconds} s, though the log holds more: its reader is remade",
            self.next
        );
        LogError::Io { place, detail }
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
        let something = into.len() + max > full;
        if !something {
            self.say_broken()?;
        }
        if self.hunger.is_starved(something, SystemClock.since_boot()) { Err(self.gone_blind()) } else { Ok(()) }
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        let (start, end) = self.seat.client.watermarks(&self.seat.place, &self.bootstrap)?;
        let all = end <= self.position().unwrap_or(self.next);
        self.hunger.asked(all, SystemClock.since_boot());
        Ok((start, end))
    }

    /// librdkafka gives no markers, but counts them.
    fn position(&self) -> Option<Offset> {
        let positions = self.seat.client.consumer.position().ok()?;
        match positions.find_partition(&self.topic, native(self.partition))?.offset() {
            Position::Offset(position) => Some(position.max(self.next)),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_given_nothing_for_a_minute_though_the_log_holds_more_says_so_once() {
        let mut hunger = Hunger::default();
        assert!(!hunger.is_starved(false, at(1_000)), "a log that holds no more");
        hunger.asked(false, at(1_000));
        hunger.asked(false, at(1_050));
        assert!(!hunger.is_starved(false, at(1_059)) && hunger.is_starved(false, at(1_060)));
        assert!(!hunger.is_starved(false, at(2_000)), "it was said");
        hunger.asked(false, at(3_000));
        assert!(!hunger.is_starved(true, at(3_059)) && !hunger.is_starved(false, at(3_200)), "something came");
        hunger.asked(false, at(4_000));
        hunger.asked(true, at(4_050));
        assert!(!hunger.is_starved(false, at(4_200)), "all had come");
    }

    /// No broker is needed for a place in a client.
    #[test]
    fn a_client_that_has_gone_blind_is_given_to_nobody_any_more_and_keeps_whom_it_has() {
        let readers = Readers::default();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "nobody");
        let seat = |partition| readers.take(&config, "127.0.0.1:1", &("t".into(), partition)).unwrap();
        let (blind, beside) = (seat(0), seat(1));
        assert!(Arc::ptr_eq(&blind.client, &beside.client));
        blind.client.suspect();
        drop(blind);
        let (next, again) = (seat(0), seat(0));
        assert!(!Arc::ptr_eq(&next.client, &beside.client) && !Arc::ptr_eq(&again.client, &beside.client));
        assert!(Arc::ptr_eq(&seat(2).client, &next.client));
    }
}
