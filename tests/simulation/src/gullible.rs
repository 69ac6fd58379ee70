//! A log whose producers take an unknown outcome for an acknowledgement: broken on purpose, to see the checks turn red.

use std::collections::BTreeSet;
use std::time::Duration;

use sagaline_log::simulated::SimulatedLog;
use sagaline_log::{
    Acknowledgement, GroupReader, Log, LogError, NewTopic, Producer, Reader, Record, Ticket, TopicInfo,
};
use sagaline_schemas::{Millis, Offset, Partition};

/// The log, but for its producers.
#[derive(Debug)]
pub struct GullibleLog(pub SimulatedLog);

impl Log for GullibleLog {
    fn name(&self) -> String {
        self.0.name()
    }

    fn cluster_id(&self) -> Result<String, LogError> {
        self.0.cluster_id()
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.0.topic(name)
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        self.0.create_topic(topic)
    }

    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        self.0.delete_below(topic, partition, offset)
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(GullibleProducer { producer: self.0.producer()?, outputs: BTreeSet::new() }))
    }

    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        self.0.reader(topic, partition, from)
    }

    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        self.0.join(group, member, topics)
    }

    fn wall_clock(&self) -> Millis {
        self.0.wall_clock()
    }
}

struct GullibleProducer {
    producer: Box<dyn Producer>,
    /// Appends to other topics than the inbox.
    outputs: BTreeSet<Ticket>,
}

impl Producer for GullibleProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        if topic != "inbox" {
            self.outputs.insert(ticket);
        }
        self.producer.append(topic, partition, record, ticket)
    }

    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>) {
        let before = into.len();
        self.producer.poll(wait, into);
        for acknowledgement in &mut into[before..] {
            if self.outputs.remove(&acknowledgement.ticket) && acknowledgement.outcome.is_err() {
                acknowledgement.outcome = Ok(0);
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.producer.in_flight()
    }

    fn purge(&mut self) {
        self.producer.purge();
    }
}
