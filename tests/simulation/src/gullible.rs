//! A log whose producers take an unknown outcome for an acknowledgement: broken on purpose, to see the checks turn red.

use std::collections::BTreeSet;
use std::time::Duration;

use sagaline_log::simulated::SimulatedLog;
use sagaline_log::{Acknowledgement, Layer, Log, LogError, Producer, Record, Ticket};
use sagaline_schemas::Partition;

/// The log, but for its producers.
#[derive(Debug)]
pub struct GullibleLog(pub SimulatedLog);

impl Layer for GullibleLog {
    fn below(&self) -> &dyn Log {
        &self.0
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(GullibleProducer { producer: self.0.producer()?, outputs: BTreeSet::new() }))
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
