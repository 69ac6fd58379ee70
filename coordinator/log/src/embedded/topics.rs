//! What the journal's entries add up to: topics, where each partition's records lie, what groups have committed. All of it is
//! in memory and all of it can be rebuilt from the journal; no bytes of records are kept here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, RwLock};

use sagaline_schemas::{Millis, Offset, Partition};

use super::entry::{Committed, Entry, Made, Setting, Trimmed};
use crate::settings::TopicSettings;
use crate::signal::{Signal, Watchers};
use crate::{LogError, TopicInfo};

/// One partition's records.
#[derive(Debug, Default)]
pub(super) struct PartitionIndex {
    /// The first offset that readers see.
    start: Offset,
    /// Journal position by offset, from there on.
    positions: VecDeque<u64>,
    watchers: Watchers,
}

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) number: u32,
    pub(super) name: Arc<str>,
    pub(super) info: TopicInfo,
    pub(super) settings: TopicSettings,
    partitions: Vec<Mutex<PartitionIndex>>,
}

impl Topic {
    pub(super) fn new(number: u32, info: TopicInfo) -> Self {
        Self {
            number,
            name: info.name.as_str().into(),
            settings: TopicSettings::of(&info),
            partitions: (0..info.partitions).map(|_| Mutex::default()).collect(),
            info,
        }
    }

    fn index(&self, partition: Partition) -> std::sync::MutexGuard<'_, PartitionIndex> {
        self.partitions[partition as usize].lock().expect("nothing panics with an index in hand")
    }

    /// A partition that this topic has.
    pub(super) fn check(&self, partition: Partition) -> Result<(), LogError> {
        if partition < self.info.partitions {
            return Ok(());
        }
        Err(LogError::NoTopic { topic: format!("{}/{partition}", self.name) })
    }

    /// First offset not yet held.
    pub(super) fn end(&self, partition: Partition) -> Offset {
        self.bounds(partition).1
    }

    /// First offset held and first not yet held.
    pub(super) fn bounds(&self, partition: Partition) -> (Offset, Offset) {
        let index = self.index(partition);
        (index.start, index.start + index.positions.len() as Offset)
    }

    /// Shows readers nothing below an offset any more. The bytes stay in the journal.
    pub(super) fn trim(&self, partition: Partition, start: Offset) {
        let mut index = self.index(partition);
        let gone = usize::try_from(start - index.start).unwrap_or(0).min(index.positions.len());
        index.positions.drain(..gone);
        index.start += gone as Offset;
    }

    /// Journal positions of at most `max` records from `from`; none when `from` is not held.
    pub(super) fn positions(&self, partition: Partition, from: Offset, max: usize) -> Vec<u64> {
        let index = self.index(partition);
        let from = usize::try_from(from - index.start).unwrap_or(usize::MAX).min(index.positions.len());
        index.positions.range(from..).take(max).copied().collect()
    }

    /// Shows readers one more record.
    pub(super) fn publish(&self, partition: Partition, position: u64) {
        self.index(partition).positions.push_back(position);
    }

    /// Wakes the readers that wait for records of a partition.
    pub(super) fn wake(&self, partition: Partition) {
        self.index(partition).watchers.raise();
    }

    /// Raises `signal` whenever a record comes.
    pub(super) fn watch(&self, partition: Partition, signal: &Arc<Signal>) {
        self.index(partition).watchers.add(signal);
    }
}

/// A consumer group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Whether a member lives.
    pub(super) joined: bool,
    pub(super) committed: BTreeMap<(String, Partition), Offset>,
}

/// All topics and groups.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    pub(super) groups: Mutex<BTreeMap<String, Group>>,
    newcomers: Mutex<Watchers>,
}

impl Catalog {
    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().expect("nothing panics with the topics in hand").get(name).cloned()
    }

    pub(super) fn require(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        self.topic(name).ok_or_else(|| LogError::NoTopic { topic: name.to_owned() })
    }

    pub(super) fn count(&self) -> u32 {
        self.topics.read().expect("nothing panics with the topics in hand").len() as u32
    }

    pub(super) fn add(&self, topic: Arc<Topic>) {
        let name = topic.name.to_string();
        self.topics.write().expect("nothing panics with the topics in hand").insert(name, topic);
        self.newcomers.lock().expect("nothing panics with the watchers in hand").raise();
    }

    /// Raises `signal` whenever a topic is made.
    pub(super) fn watch(&self, signal: &Arc<Signal>) {
        self.newcomers.lock().expect("nothing panics with the watchers in hand").add(signal);
    }

    pub(super) fn groups(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Group>> {
        self.groups.lock().expect("nothing panics with the groups in hand")
    }
}

/// Rebuilds a catalog from entries as they lie in the journal.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) catalog: Catalog,
    by_number: Vec<Arc<Topic>>,
    /// The latest time in the journal.
    pub(super) latest: Millis,
}

impl Replay {
    /// Takes one entry. An error tells why it can't stand here.
    pub(super) fn apply(&mut self, position: u64, entry: Entry) -> Result<(), String> {
        match entry {
            Entry::Sealed(sealed) => self.latest = self.latest.max(sealed.at),
            Entry::Made(made) => self.make(made),
            Entry::Committed(Committed { group, topic, partition, offset }) => {
                let mut groups = self.catalog.groups();
                groups.entry(group).or_default().committed.insert((topic, partition), offset);
            }
            Entry::Trimmed(Trimmed { topic, partition, start }) => {
                let topic = self.by_number.get(topic as usize).filter(|topic| topic.check(partition).is_ok());
                topic.ok_or("records are deleted of a topic that was never made")?.trim(partition, start);
            }
            Entry::Appended(appended) => {
                let topic = self
                    .by_number
                    .get(appended.topic as usize)
                    .filter(|topic| topic.check(appended.partition).is_ok())
                    .ok_or("a record of a topic that was never made")?;
                let end = topic.end(appended.partition);
                if appended.offset != end {
                    return Err(format!("offset {} follows {}", appended.offset, end - 1));
                }
                topic.publish(appended.partition, position);
                self.latest = self.latest.max(appended.timestamp);
            }
        }
        Ok(())
    }

    fn make(&mut self, made: Made) {
        let topic = Arc::new(Topic::new(self.by_number.len() as u32, info_of(made)));
        self.by_number.push(topic.clone());
        self.catalog.add(topic);
    }
}

fn info_of(made: Made) -> TopicInfo {
    TopicInfo {
        name: made.name,
        id: made.id,
        partitions: made.partitions,
        settings: made.settings.into_iter().map(|Setting { name, value }| (name, value)).collect(),
        replicas: 1,
    }
}

/// The journal's form of a new topic.
pub(super) fn made(info: &TopicInfo) -> Made {
    let setting = |(name, value): (&String, &String)| Setting { name: name.clone(), value: value.clone() };
    Made {
        id: info.id,
        name: info.name.clone(),
        partitions: info.partitions,
        settings: info.settings.iter().map(setting).collect(),
    }
}
