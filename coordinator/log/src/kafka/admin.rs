//! Questions about topics and making them. Each blocks its caller until the cluster has answered or `PATIENCE` is over.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic as KafkaTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset as Position, TopicPartitionList};
use sagaline_schemas::{Offset, Partition};

use super::error::{LastWord, Listening, failed, refused};
use super::ffi::{self, Description};
use super::properties::Properties;
use super::{GREETING, LogError, NewTopic, PATIENCE, TopicInfo, native};

/// The settings that the coordinator checks, by Kafka's names.
const SETTINGS: [&str; 7] = [
    "retention.ms",
    "retention.bytes",
    "message.timestamp.type",
    "cleanup.policy",
    "min.insync.replicas",
    "max.message.bytes",
    "unclean.leader.election.enable",
];

/// What a producer must know of a topic before it queues a record.
pub(super) struct Limits {
    pub partitions: u32,
    /// The topic's max.message.bytes.
    pub bytes: usize,
}

impl Limits {
    /// Whether a batch of `size` bytes may go to `partition`.
    pub(super) fn take(&self, partition: Partition, size: usize) -> bool {
        partition < self.partitions && size <= self.bytes
    }
}

/// Kafka's own default of max.message.bytes, for principals that may not read it.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;

/// A client for questions.
pub(super) struct Admin {
    bootstrap: String,
    client: AdminClient<DefaultClientContext>,
    cluster_id: String,
    /// For clients whose queue nobody polls: they hear nothing.
    silence: LastWord,
}

impl Admin {
    pub(super) fn connect(bootstrap: &str, properties: &Properties) -> Result<Self, LogError> {
        let place = format!("kafka at {bootstrap}");
        let silence = LastWord::default();
        let config = properties.admin(bootstrap);
        let cluster_id = introduce(&config, bootstrap, &place)?;
        let client = config.create().map_err(|e| failed(&e, &place, bootstrap, &silence))?;
        Ok(Self { bootstrap: bootstrap.to_owned(), client, cluster_id, silence })
    }

    pub(super) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// How many partitions `topic` has.
    pub(super) fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        let no_topic = || LogError::NoTopic { topic: topic.to_owned() };
        Ok(self.describe(topic)?.ok_or_else(no_topic)?.partitions)
    }

    pub(super) fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        let Some(description) = self.describe(name)? else { return Ok(None) };
        let settings = self.settings(name)?;
        let Description { id, partitions, replicas, .. } = description;
        Ok(settings.map(|settings| TopicInfo { name: name.to_owned(), id, partitions, settings, replicas }))
    }

    /// What `topic` takes.
    pub(super) fn limits(&self, topic: &str) -> Result<Limits, LogError> {
        let partitions = self.partitions(topic)?;
        let bytes = match self.settings(topic) {
            Ok(settings) => settings.and_then(|s| s.get("max.message.bytes")?.parse().ok()),
            Err(LogError::Forbidden { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Limits { partitions, bytes: bytes.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES) })
    }

    fn describe(&self, name: &str) -> Result<Option<Description>, LogError> {
        match ffi::describe_topic(self.client.inner(), name, PATIENCE) {
            Ok(description) => Ok(Some(description)),
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Err(code) => Err(self.refused(code, name)),
        }
    }

    /// None: the topic is not there.
    fn settings(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, LogError> {
        let asked = [ResourceSpecifier::Topic(name)];
        let answers = block_on(self.client.describe_configs(&asked, &options()))
            .map_err(|e| failed(&e, name, &self.bootstrap, &self.silence))?;
        let entries = match answers.into_iter().next() {
            Some(Ok(resource)) => resource.entries,
            Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) => return Ok(None),
            Some(Err(code)) => return Err(self.refused(code, name)),
            None => {
                return Err(LogError::Io { place: name.to_owned(), detail: "the broker told no settings".to_owned() });
            }
        };
        let known = |entry: &rdkafka::admin::ConfigEntry| SETTINGS.contains(&entry.name.as_str());
        Ok(Some(entries.into_iter().filter(known).filter_map(|entry| Some((entry.name, entry.value?))).collect()))
    }

    /// Returns when the topic can be written and read, not when the controller has decided that it will be.
    pub(super) fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        let replicas = TopicReplication::Fixed(native(topic.replicas));
        let mut wanted = KafkaTopic::new(&topic.name, native(topic.partitions), replicas);
        for (name, value) in &topic.settings {
            wanted = wanted.set(name, value);
        }
        let answers = block_on(self.client.create_topics([&wanted], &options()))
            .map_err(|e| failed(&e, &topic.name, &self.bootstrap, &self.silence))?;
        if let Some(Err((_, code))) = answers.into_iter().next() {
            return Err(self.refused(code, &topic.name));
        }
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let led = self.describe(&topic.name)?.is_some_and(|d| d.led && d.partitions == topic.partitions);
            if led && let Some(info) = self.topic(&topic.name)? {
                return Ok(info);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let detail = format!("it was made, but has no leader after {PATIENCE:?}");
        Err(LogError::Io { place: topic.name.clone(), detail })
    }

    /// The offset must be one that the partition holds, or its end.
    pub(super) fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        let place = format!("{topic}/{partition}");
        let failed = |error: &KafkaError| failed(error, &place, &self.bootstrap, &self.silence);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, native(partition), Position::Offset(offset)).map_err(|e| failed(&e))?;
        let done = block_on(self.client.delete_records(&list, &options())).map_err(|e| failed(&e))?;
        let element = done.find_partition(topic, native(partition));
        let nothing = || LogError::Io { place: place.clone(), detail: "the broker said nothing of it".to_owned() };
        let element = element.ok_or_else(nothing)?;
        element.error().map_err(|error| failed(&error))?;
        match element.offset() {
            Position::Offset(start) => Ok(start),
            _ => Err(nothing()),
        }
    }

    fn refused(&self, code: RDKafkaErrorCode, place: &str) -> LogError {
        refused(code, place, &self.bootstrap, &self.silence)
    }
}

/// Asks for the cluster's id through a client whose queue is polled, so that it can say why nobody answers.
fn introduce(config: &ClientConfig, bootstrap: &str, place: &str) -> Result<String, LogError> {
    let probe: BaseConsumer<Listening> = config
        .create_with_context(Listening::default())
        .map_err(|e| failed(&e, place, bootstrap, &LastWord::default()))?;
    probe.client().fetch_cluster_id(GREETING).ok_or_else(|| {
        // What it met lies in its queue, between log lines.
        let begin = Instant::now();
        while probe.context().last_word.is_none() && begin.elapsed() < Duration::from_secs(1) {
            probe.poll(Duration::from_millis(10));
        }
        LogError::Unreachable { address: bootstrap.to_owned(), detail: probe.context().last_word.or("no answer") }
    })
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer that the client's own thread completes: no runtime is needed for that.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
