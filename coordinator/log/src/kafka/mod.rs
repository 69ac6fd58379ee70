//! The log on Kafka, through librdkafka: one client for all readers, one for all producers, one for each member of a group, each polled on its
//! caller's thread (docs/adr/0016). What a record means is none of its business; no callback runs the coordinator.

mod admin;
mod connection;
mod error;
mod ffi;
mod group;
mod lane;
mod producer;
mod properties;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::message::{BorrowedMessage, Headers, Message};
use sagaline_schemas::{Millis, Offset, Partition};

use crate::{Fetched, GroupReader, Log, LogError, NewTopic, Producer, Reader, Record, TopicInfo};
use admin::Admin;
use connection::Connections;
use properties::Properties;
use reader::Readers;

/// How long a question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a broker has to answer for the first time.
const GREETING: Duration = Duration::from_secs(5);

/// Kafka. Cheap to clone; producers share their connections, as readers do theirs; each member of a group has its own.
#[derive(Clone)]
pub struct KafkaLog {
    bootstrap: Arc<str>,
    properties: Properties,
    admin: Arc<Admin>,
    readers: Arc<Readers>,
    connections: Arc<Connections>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("bootstrap", &self.bootstrap).field("properties", &self.properties).finish()
    }
}

impl KafkaLog {
    /// Connects to the cluster at `bootstrap` (`HOST:PORT,...`). `properties` are librdkafka's, by its names, for all clients alike
    /// (`security.protocol`, `sasl.username`, `linger.ms`, `session.timeout.ms`, ...).
    ///
    /// # Errors
    /// `Io` that names a property which is unknown or not to be changed (never its value); `Unreachable` when no broker answers
    /// within 5 s.
    pub fn connect(bootstrap: &str, properties: &BTreeMap<String, String>) -> Result<Self, LogError> {
        let properties = Properties::new(properties)?;
        let admin = Arc::new(Admin::connect(bootstrap, &properties)?);
        let connections = Arc::new(Connections::new(properties.producer(bootstrap), bootstrap));
        Ok(Self { bootstrap: bootstrap.into(), properties, admin, readers: Arc::default(), connections })
    }
}

impl Log for KafkaLog {
    fn name(&self) -> String {
        format!("kafka at {}", self.bootstrap)
    }

    fn cluster_id(&self) -> Result<String, LogError> {
        Ok(self.admin.cluster_id().to_owned())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.admin.topic(name)
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        self.admin.create_topic(topic)
    }

    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        match self.reader(topic, partition, offset) {
            Ok(_) => self.admin.delete_below(topic, partition, offset),
            Err(LogError::OutOfRange { start, .. }) if offset < start => Ok(start),
            Err(error) => Err(error),
        }
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(producer::KafkaProducer::new(Arc::clone(&self.connections), Arc::clone(&self.admin))?))
    }

    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let config = self.properties.reader(&self.bootstrap);
        Ok(Box::new(reader::KafkaReader::new(&self.readers, &config, &self.admin, topic, partition, from)?))
    }

    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        let config = self.properties.group(&self.bootstrap, group, member, topics);
        Ok(Box::new(group::KafkaGroupReader::new(&config, &self.bootstrap, group, topics)?))
    }

    fn wall_clock(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }
}

/// librdkafka counts partitions in i32.
fn native(partition: Partition) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn ours(partition: i32) -> Partition {
    Partition::try_from(partition).unwrap_or_default()
}

/// `wait` for librdkafka, which counts whole milliseconds: less than one would be none, and the caller would spin.
fn whole_millis(wait: Duration) -> Duration {
    if wait.is_zero() { wait } else { wait.max(Duration::from_millis(1)) }
}

fn fetched(topic: &Arc<str>, message: &BorrowedMessage<'_>) -> Fetched {
    let timestamp = message.timestamp();
    Fetched {
        topic: Arc::clone(topic),
        partition: ours(message.partition()),
        offset: message.offset(),
        timestamp: timestamp.to_millis().unwrap_or_default(),
        append_time: matches!(timestamp, rdkafka::Timestamp::LogAppendTime(_)),
        record: Record {
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: message.headers().map(headers).unwrap_or_default(),
        },
    }
}

fn headers(headers: &rdkafka::message::BorrowedHeaders) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
}
