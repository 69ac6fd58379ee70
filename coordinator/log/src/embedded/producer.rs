//! A producer of the embedded log: hands records to the writer's queue. It touches no file.

use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::Partition;
use sagaline_schemas::wire::Wire;

use super::Core;
use super::writer::{Append, Task};
use crate::mailbox::Mailbox;
use crate::{Acknowledgement, LogError, Producer, Record, Ticket};

pub(super) struct QueueProducer {
    core: Arc<Core>,
    mailbox: Arc<Mailbox>,
    in_flight: usize,
}

impl QueueProducer {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self { core: core.clone(), mailbox: Mailbox::new(), in_flight: 0 }
    }
}

impl Producer for QueueProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        let topic = self.core.catalog.require(topic)?;
        topic.check(partition)?;
        topic.settings.check_size(&topic.name, record)?;
        let mailbox = self.mailbox.clone();
        self.core.queue.put(Task::Append(Append { topic, partition, record: record.to_bytes(), ticket, mailbox }))?;
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>) {
        self.in_flight -= self.mailbox.collect(wait, into);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn purge(&mut self) {
        self.core.queue.purge(&self.mailbox);
    }
}
