//! Reading several partitions as one group member: fairness, pausing and seeking, for any log whose partitions can be read
//! without waiting. Who is assigned what is the log's own matter.

use std::sync::Arc;

use sagaline_schemas::{Offset, Partition};

use crate::{Fetched, GroupEvent, LogError};

/// A place in one partition.
pub(crate) trait Cursor: Send {
    /// What lies there, at most `max`, without waiting. An error only where nothing was read.
    fn read(&mut self, max: usize, into: &mut Vec<Fetched>) -> Result<(), LogError>;

    /// Goes on at `offset`.
    fn seek(&mut self, offset: Offset);
}

struct Assigned<C> {
    topic: Arc<str>,
    partition: Partition,
    paused: bool,
    cursor: C,
}

/// The partitions of one member.
pub(crate) struct Assignment<C> {
    held: Vec<Assigned<C>>,
    /// Whose turn it is to be read first.
    turn: usize,
}

impl<C: Cursor> Assignment<C> {
    pub(crate) fn new() -> Self {
        Self { held: Vec::new(), turn: 0 }
    }

    pub(crate) fn add(&mut self, topic: &Arc<str>, partition: Partition, cursor: C) {
        self.held.push(Assigned { topic: topic.clone(), partition, paused: false, cursor });
    }

    /// Gives up what `keep` does not want kept, and tells which.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str, Partition) -> bool) -> Vec<(Arc<str>, Partition)> {
        let gone = self.held.extract_if(.., |assigned| !keep(&assigned.topic, assigned.partition));
        gone.map(|assigned| (assigned.topic, assigned.partition)).collect()
    }

    pub(crate) fn holds(&self, topic: &str, partition: Partition) -> bool {
        self.held.iter().any(|assigned| &*assigned.topic == topic && assigned.partition == partition)
    }

    fn assigned(&mut self, topic: &str, partition: Partition) -> Result<&mut Assigned<C>, LogError> {
        let mine = |assigned: &&mut Assigned<C>| &*assigned.topic == topic && assigned.partition == partition;
        self.held.iter_mut().find(mine).ok_or_else(|| not_assigned(topic, partition))
    }

    pub(crate) fn seek(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.assigned(topic, partition)?.cursor.seek(offset);
        Ok(())
    }

    pub(crate) fn set_paused(&mut self, topic: &str, partition: Partition, paused: bool) -> Result<(), LogError> {
        self.assigned(topic, partition)?.paused = paused;
        Ok(())
    }

    /// At most `max` records, beginning with another partition each time.
    pub(crate) fn read(&mut self, max: usize, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        let mut records = Vec::new();
        let count = self.held.len();
        let mut outcome = Ok(());
        for nth in 0..count {
            let assigned = &mut self.held[(self.turn + nth) % count];
            if !assigned.paused && records.len() < max && outcome.is_ok() {
                outcome = assigned.cursor.read(max - records.len(), &mut records);
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        // What was read is handed out: the cursors have moved on. A lasting error is met again.
        if records.is_empty() {
            return outcome;
        }
        into.extend(records.into_iter().map(GroupEvent::Record));
        Ok(())
    }
}

/// The error of a member that touches what is not its own.
pub(crate) fn not_assigned(topic: &str, partition: Partition) -> LogError {
    LogError::Forbidden {
        topic: topic.to_owned(),
        detail: format!("partition {partition} is not assigned to this member of the group"),
    }
}
