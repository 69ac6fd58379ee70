//! What our own logs heed of a topic's settings, and what a new topic may be. Kafka checks for itself.

use std::collections::BTreeMap;

use sagaline_schemas::{Partition, TopicId};

use crate::{LogError, NewTopic, Record, TopicInfo};

/// Kafka's default for `max.message.bytes`.
const MAX_MESSAGE_BYTES: usize = 1_048_588;
/// As in Kafka.
const MAX_NAME: usize = 249;
/// Most partitions of a topic: whoever may make one must not fill the memory with it.
const MAX_PARTITIONS: Partition = 10_000;

/// The settings that change how a record is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    /// Whether timestamps are the log's own (`message.timestamp.type=LogAppendTime`).
    pub(crate) append_time: bool,
    /// Largest record: key, value and headers together, in bytes.
    pub(crate) max_message_bytes: usize,
}

impl TopicSettings {
    pub(crate) fn of(topic: &TopicInfo) -> Self {
        let setting = |name: &str| topic.settings.get(name).map(String::as_str);
        Self {
            append_time: setting("message.timestamp.type") == Some("LogAppendTime"),
            max_message_bytes: setting("max.message.bytes")
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(MAX_MESSAGE_BYTES),
        }
    }

    /// Refuses a record that is too large.
    pub(crate) fn check_size(&self, topic: &str, record: &Record) -> Result<(), LogError> {
        let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let size = record.key.len() + record.value.len() + headers;
        if size <= self.max_message_bytes {
            return Ok(());
        }
        Err(LogError::TooLarge { topic: topic.to_owned(), size, limit: self.max_message_bytes })
    }
}

/// A new topic as our own logs make it: checked, with a random identity and one replica.
pub(crate) fn new_topic(topic: &NewTopic, id: TopicId) -> Result<TopicInfo, LogError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let refuse = |detail: &str| Err(LogError::Forbidden { topic: topic.name.clone(), detail: detail.into() });
    if topic.name.is_empty() || topic.name.len() > MAX_NAME || !topic.name.chars().all(legal) {
        return refuse("a topic's name has 1 to 249 of the characters a-z A-Z 0-9 . _ -");
    }
    if !(1..=MAX_PARTITIONS).contains(&topic.partitions) {
        return refuse("a topic has 1 to 10000 partitions");
    }
    let settings: BTreeMap<String, String> = topic.settings.iter().cloned().collect();
    if let Some(Err(_)) = settings.get("max.message.bytes").map(|bytes| bytes.parse::<usize>()) {
        return refuse("max.message.bytes is a number of bytes");
    }
    Ok(TopicInfo { name: topic.name.clone(), id, partitions: topic.partitions, settings, replicas: 1 })
}

/// 16 random bytes from the operating system, as a UUID of version 4.
pub(crate) fn random_id() -> Result<TopicId, LogError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| LogError::Io { place: "the system's random numbers".to_owned(), detail: error.to_string() })?;
    Ok(TopicId(uuid::Builder::from_random_bytes(bytes).into_uuid()))
}
