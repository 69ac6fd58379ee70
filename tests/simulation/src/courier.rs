//! Appends until the log has taken it, as every honest client does: at least once, in no particular order.

use std::collections::BTreeMap;
use std::time::Duration;

use sagaline_log::{Acknowledgement, Log, Producer, Record, Ticket};
use sagaline_schemas::Partition;

struct Letter {
    topic: String,
    partition: Partition,
    record: Record,
    number: u64,
}

/// Appends until the log has taken it.
pub struct Courier {
    producer: Box<dyn Producer>,
    under_way: BTreeMap<Ticket, Letter>,
    next: Ticket,
}

impl Courier {
    /// With a producer of its own.
    pub fn new(log: &dyn Log) -> Self {
        let producer = log.producer().expect("the simulated log always gives a producer");
        Self { producer, under_way: BTreeMap::new(), next: 0 }
    }

    /// Sends a record; `turn` tells its number once it has landed.
    pub fn send(&mut self, topic: &str, partition: Partition, record: Record, number: u64) {
        self.append(Letter { topic: topic.to_owned(), partition, record, number });
    }

    fn append(&mut self, letter: Letter) {
        let ticket = self.next;
        self.next += 1;
        let appended = self.producer.append(&letter.topic, letter.partition, &letter.record, ticket);
        appended.expect("the topics of a run are there, and its records are small");
        self.under_way.insert(ticket, letter);
    }

    /// Numbers of the letters that have landed since; what failed is sent again.
    pub fn turn(&mut self) -> Vec<u64> {
        let mut arrived = Vec::new();
        self.producer.poll(Duration::ZERO, &mut arrived);
        let mut landed = Vec::new();
        for Acknowledgement { ticket, outcome } in arrived {
            let Some(letter) = self.under_way.remove(&ticket) else { continue };
            match outcome {
                Ok(_) => landed.push(letter.number),
                Err(_) => self.append(letter),
            }
        }
        landed
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}
