//! The simulated broker's topics: what has landed, and what an operator or an accident does to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sagaline_schemas::{Millis, Offset, Partition};

use crate::settings::TopicSettings;
use crate::{Fetched, LogError, Record, TopicInfo};

/// One partition's records: offsets `start..start + records.len()`.
#[derive(Debug, Default)]
struct PartitionLog {
    start: Offset,
    records: Vec<Fetched>,
}

impl PartitionLog {
    fn end(&self) -> Offset {
        self.start + self.records.len() as Offset
    }
}

/// How a topic takes appends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Taking {
    /// As it should.
    #[default]
    All,
    /// None: each is answered with this.
    Refused(LogError),
    /// None: they wait.
    Stalled,
}

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) info: TopicInfo,
    pub(super) settings: TopicSettings,
    pub(super) taking: Taking,
    partitions: Vec<PartitionLog>,
}

impl Topic {
    pub(super) fn new(info: TopicInfo) -> Self {
        Self {
            name: info.name.as_str().into(),
            settings: TopicSettings::of(&info),
            taking: Taking::All,
            partitions: (0..info.partitions).map(|_| PartitionLog::default()).collect(),
            info,
        }
    }

    /// A partition that this topic has.
    pub(super) fn check(&self, partition: Partition) -> Result<(), LogError> {
        if partition < self.info.partitions {
            return Ok(());
        }
        Err(LogError::NoTopic { topic: format!("{}/{partition}", self.name) })
    }

    fn log(&self, partition: Partition) -> &PartitionLog {
        &self.partitions[partition as usize]
    }

    pub(super) fn bounds(&self, partition: Partition) -> (Offset, Offset) {
        (self.log(partition).start, self.log(partition).end())
    }

    pub(super) fn check_range(&self, partition: Partition, offset: Offset) -> Result<(), LogError> {
        let (start, end) = self.bounds(partition);
        if (start..=end).contains(&offset) {
            return Ok(());
        }
        Err(LogError::OutOfRange { topic: self.name.to_string(), partition, offset, start, end })
    }

    /// Puts a record at the end.
    pub(super) fn land(&mut self, partition: Partition, timestamp: Millis, record: Record) -> Offset {
        let log = &mut self.partitions[partition as usize];
        let offset = log.end();
        let (topic, append_time) = (self.name.clone(), self.settings.append_time);
        log.records.push(Fetched { topic, partition, offset, timestamp, append_time, record });
        offset
    }

    /// At most `max` records from an offset that is held.
    pub(super) fn records(&self, partition: Partition, from: Offset, max: usize) -> &[Fetched] {
        let log = self.log(partition);
        let from = usize::try_from(from - log.start).unwrap_or(0).min(log.records.len());
        &log.records[from..log.records.len().min(from.saturating_add(max))]
    }

    /// Loses all from `end` on, as an unclean election does.
    pub(super) fn truncate(&mut self, partition: Partition, end: Offset) {
        let log = &mut self.partitions[partition as usize];
        let kept = usize::try_from(end - log.start).unwrap_or(0);
        log.records.truncate(kept);
    }

    /// Drops all before `start`, as retention does.
    pub(super) fn trim(&mut self, partition: Partition, start: Offset) {
        let log = &mut self.partitions[partition as usize];
        let gone = usize::try_from(start - log.start).unwrap_or(0).min(log.records.len());
        log.records.drain(..gone);
        log.start += gone as Offset;
    }
}

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Topics(pub(super) BTreeMap<String, Topic>);

impl Topics {
    pub(super) fn require(&self, name: &str) -> Result<&Topic, LogError> {
        self.0.get(name).ok_or_else(|| LogError::NoTopic { topic: name.to_owned() })
    }

    pub(super) fn require_mut(&mut self, name: &str) -> Result<&mut Topic, LogError> {
        self.0.get_mut(name).ok_or_else(|| LogError::NoTopic { topic: name.to_owned() })
    }

    /// A topic's partition that is there.
    pub(super) fn partition(&self, name: &str, partition: Partition) -> Result<&Topic, LogError> {
        let topic = self.require(name)?;
        topic.check(partition)?;
        Ok(topic)
    }
}
