//! Readers of the embedded log: one partition from an offset, and a group's member.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_schemas::wire::Wire;
use sagaline_schemas::{Offset, Partition};

use super::Core;
use super::entry::{Committed, Entry, read_body};
use super::topics::Topic;
use super::window::Window;
use super::writer::Task;
use crate::cursor::{Assignment, Cursor, not_assigned};
use crate::signal::Signal;
use crate::{Fetched, GroupEvent, GroupReader, LogError, Reader, Record};

/// Records located with one look at the index.
const LOOK: usize = 512;

/// A place in one partition.
pub(super) struct PartitionCursor {
    core: Arc<Core>,
    topic: Arc<Topic>,
    partition: Partition,
    next: Offset,
    window: Window,
}

impl PartitionCursor {
    fn new(core: &Arc<Core>, topic: &Arc<Topic>, partition: Partition, from: Offset) -> Self {
        Self { core: core.clone(), topic: topic.clone(), partition, next: from, window: Window::reading() }
    }

    fn check_range(&self) -> Result<(), LogError> {
        let (start, end) = self.topic.bounds(self.partition);
        if (start..=end).contains(&self.next) {
            return Ok(());
        }
        Err(LogError::OutOfRange {
            topic: self.topic.name.to_string(),
            partition: self.partition,
            offset: self.next,
            start,
            end,
        })
    }

    fn fetch(&mut self, position: u64) -> Result<Fetched, LogError> {
        let (segment, end) = self.core.journal.locate(position);
        let changed =
            || segment.corrupt(position, "these bytes are not what was written: restore the file from a copy");
        let frame = self.window.frame(&segment, position, end)?.ok_or_else(changed)?;
        let (_, entry) = read_body(frame.body).map_err(|_| changed())?;
        let Entry::Appended(appended) = entry else { return Err(changed()) };
        Ok(Fetched {
            topic: self.topic.name.clone(),
            partition: self.partition,
            offset: appended.offset,
            timestamp: appended.timestamp,
            append_time: self.topic.settings.append_time,
            record: Record::from_bytes(&appended.record).map_err(|_| changed())?,
        })
    }
}

impl Cursor for PartitionCursor {
    fn read(&mut self, max: usize, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.check_range()?;
        let before = into.len();
        for position in self.topic.positions(self.partition, self.next, max.min(LOOK)) {
            match self.fetch(position) {
                Ok(fetched) => into.push(fetched),
                Err(error) if into.len() == before => return Err(error),
                Err(_) => break,
            }
            self.next += 1;
        }
        Ok(())
    }

    fn seek(&mut self, offset: Offset) {
        self.next = offset;
    }
}

/// Reads one partition.
pub(super) struct PartitionReader {
    cursor: PartitionCursor,
    signal: Arc<Signal>,
}

impl PartitionReader {
    pub(super) fn open(core: &Arc<Core>, topic: &str, partition: Partition, from: Offset) -> Result<Self, LogError> {
        let topic = core.catalog.require(topic)?;
        topic.check(partition)?;
        let cursor = PartitionCursor::new(core, &topic, partition, from);
        cursor.check_range()?;
        let signal = Arc::default();
        topic.watch(partition, &signal);
        Ok(Self { cursor, signal })
    }
}

impl Reader for PartitionReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        let before = into.len();
        wait_until(&self.signal, wait, || {
            self.cursor.read(max, into)?;
            Ok(into.len() > before)
        })
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        Ok(self.cursor.topic.bounds(self.cursor.partition))
    }
}

/// The one member of a group.
pub(super) struct Member {
    core: Arc<Core>,
    group: String,
    topics: BTreeSet<String>,
    assignment: Assignment<PartitionCursor>,
    signal: Arc<Signal>,
}

impl Member {
    pub(super) fn join(core: &Arc<Core>, group: &str, topics: &[String]) -> Result<Self, LogError> {
        let mut groups = core.catalog.groups();
        let state = groups.entry(group.to_owned()).or_default();
        if std::mem::replace(&mut state.joined, true) {
            return Err(LogError::InUse { place: format!("the group {group}") });
        }
        drop(groups);
        let signal = Arc::default();
        core.catalog.watch(&signal);
        let topics = topics.iter().cloned().collect();
        Ok(Self { core: core.clone(), group: group.to_owned(), topics, assignment: Assignment::new(), signal })
    }

    /// Takes over the partitions of topics that are there by now.
    fn assign(&mut self, into: &mut Vec<GroupEvent>) {
        let there: Vec<Arc<Topic>> = self.topics.iter().filter_map(|name| self.core.catalog.topic(name)).collect();
        for topic in there {
            self.topics.remove(&*topic.name);
            let partitions = (0..topic.info.partitions).map(|partition| self.take(&topic, partition));
            into.push(GroupEvent::Assigned(partitions.collect()));
        }
    }

    fn take(&mut self, topic: &Arc<Topic>, partition: Partition) -> (Arc<str>, Partition, Offset) {
        let key = (topic.name.to_string(), partition);
        let committed =
            self.core.catalog.groups().get(&self.group).and_then(|group| group.committed.get(&key).copied());
        let from = committed.unwrap_or_else(|| topic.bounds(partition).0);
        self.assignment.add(&topic.name, partition, PartitionCursor::new(&self.core, topic, partition, from));
        topic.watch(partition, &self.signal);
        (topic.name.clone(), partition, from)
    }
}

impl GroupReader for Member {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        let before = into.len();
        let signal = self.signal.clone();
        wait_until(&signal, wait, || {
            self.assign(into);
            // An assignment is told by itself: an error of the first read must not take it along.
            if into.len() == before {
                self.assignment.read(max, into)?;
            }
            Ok(into.len() > before)
        })
    }

    fn commit(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        if !self.assignment.holds(topic, partition) {
            return Err(not_assigned(topic, partition));
        }
        let (group, topic) = (self.group.clone(), topic.to_owned());
        self.core.queue.put(Task::Commit(Committed { group, topic: topic.clone(), partition, offset }))?;
        let mut groups = self.core.catalog.groups();
        groups.entry(self.group.clone()).or_default().committed.insert((topic, partition), offset);
        Ok(())
    }

    fn seek(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.assignment.seek(topic, partition, offset)
    }

    fn pause(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        self.assignment.set_paused(topic, partition, true)
    }

    fn resume(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        self.assignment.set_paused(topic, partition, false)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(group) = self.core.catalog.groups().get_mut(&self.group) {
            group.joined = false;
        }
    }
}

/// Looks again whenever `signal` is raised, until something has come or the time is up.
fn wait_until(
    signal: &Signal,
    wait: Duration,
    mut look: impl FnMut() -> Result<bool, LogError>,
) -> Result<(), LogError> {
    let deadline = Instant::now() + wait;
    while !look()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !signal.wait(left) {
            break;
        }
    }
    Ok(())
}
