//! One partition of a domain topic as ingress reads it: its run, its window of appends, and the prefix of events that is dealt with.

use std::collections::BTreeMap;
use std::sync::Arc;

use sagaline_log::{GroupReader, LogError};
use sagaline_schemas::{Offset, Partition, TopicId};

use crate::window::Window;

/// One partition of a domain topic.
pub struct Source {
    pub lane: u64,
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    partition: Partition,
    /// Offset of the next event to be sorted.
    next: Offset,
    /// Everything below is committed.
    committed: Offset,
    /// Origin offset of the last append of this run, by inbox partition: what the next one names as `prev`.
    sent: BTreeMap<Partition, Offset>,
    /// Origin offsets of the appends in flight.
    window: Window<Offset>,
    paused: bool,
}

impl Source {
    pub fn new(lane: u64, topic: Arc<str>, topic_id: TopicId, partition: Partition, from: Offset) -> Self {
        Self {
            lane,
            topic,
            topic_id,
            partition,
            next: from,
            committed: from,
            sent: BTreeMap::new(),
            window: Window::default(),
            paused: false,
        }
    }

    pub fn is(&self, topic: &str, partition: Partition) -> bool {
        *self.topic == *topic && self.partition == partition
    }

    /// `at` of the record sent before to this inbox partition in the same run; -1 for its first.
    pub fn prev(&self, inbox_partition: Partition) -> Offset {
        self.sent.get(&inbox_partition).copied().unwrap_or(-1)
    }

    pub fn next_number(&self) -> u64 {
        self.window.next_number()
    }

    /// A record of the event at `at` was handed over.
    pub fn appended(&mut self, inbox_partition: Partition, at: Offset) {
        self.sent.insert(inbox_partition, at);
        self.window.push(at);
    }

    /// The event is sorted, and all its records are handed over.
    pub fn read_past(&mut self, at: Offset) {
        self.next = at + 1;
    }

    /// Offset of the next event to be sorted.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The events below `to` that were not read are gone. What was read of them is still on its way.
    pub fn skip_to(&mut self, to: Offset) {
        self.next = to;
    }

    /// What was read here is no longer what its topic holds: nothing that is on its way counts any more, and `to` is committed, though it may lie
    /// below what was.
    pub fn begin_anew(&mut self, lane: u64, topic_id: TopicId, to: Offset) {
        let fresh = Self::new(lane, Arc::clone(&self.topic), topic_id, self.partition, to);
        *self = Self { committed: to - 1, paused: self.paused, ..fresh };
    }

    pub fn landed(&mut self, number: u64) {
        self.window.landed(number);
        while self.window.take_acknowledged().is_some() {}
    }

    /// Every event below is dealt with: all its records lie in the log, or nobody wanted it.
    pub fn acknowledged(&self) -> Offset {
        self.window.oldest().copied().unwrap_or(self.next)
    }

    /// A new run: goes on at the end of the acknowledged prefix. Nothing may be in flight.
    pub fn begin_run(&mut self, group: &mut dyn GroupReader) -> Result<(), LogError> {
        self.next = self.acknowledged();
        self.sent.clear();
        self.window.void();
        group.seek(&self.topic, self.partition, self.next)
    }

    pub fn commit(&mut self, group: &mut dyn GroupReader) -> Result<(), LogError> {
        let acknowledged = self.acknowledged();
        if acknowledged > self.committed {
            group.commit(&self.topic, self.partition, acknowledged)?;
            self.committed = acknowledged;
        }
        Ok(())
    }

    pub fn set_paused(&mut self, group: &mut dyn GroupReader, paused: bool) -> Result<(), LogError> {
        if paused != self.paused {
            match paused {
                true => group.pause(&self.topic, self.partition)?,
                false => group.resume(&self.topic, self.partition)?,
            }
            self.paused = paused;
        }
        Ok(())
    }
}
