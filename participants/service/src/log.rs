//! A log with faults: it reads nothing for a while, and loses answers while it says that it took them. Everything else is the real log's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::{Acknowledgement, GroupEvent, GroupReader, Layer, Log, LogError, Producer, Record, Ticket};
use sagaline_schemas::hash::effect_id;
use sagaline_schemas::proof::open;
use sagaline_schemas::record::Body;
use sagaline_schemas::schema::INBOX;
use sagaline_schemas::{EffectId, Offset, Partition};

use crate::Faults;

pub struct FaultyLog {
    log: Arc<dyn Log>,
    faults: Arc<Faults>,
}

impl FaultyLog {
    pub fn new(log: Arc<dyn Log>, faults: Arc<Faults>) -> Self {
        Self { log, faults }
    }
}

impl fmt::Debug for FaultyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyLog({:?})", self.log)
    }
}

impl Layer for FaultyLog {
    fn below(&self) -> &dyn Log {
        &*self.log
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(LosingProducer { producer: self.log.producer()?, faults, lost: Vec::new() }))
    }

    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(DownReader { group: self.log.join(group, member, topics)?, faults }))
    }
}

/// Loses answers and says that they are in the log.
struct LosingProducer {
    producer: Box<dyn Producer>,
    faults: Arc<Faults>,
    lost: Vec<Ticket>,
}

impl Producer for LosingProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        if answered(record).is_some_and(|effect| self.faults.loses(effect)) {
            self.lost.push(ticket);
            return Ok(());
        }
        self.producer.append(topic, partition, record, ticket)
    }
    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>) {
        into.extend(self.lost.drain(..).map(|ticket| Acknowledgement { ticket, outcome: Ok(0) }));
        self.producer.poll(if into.is_empty() { wait } else { Duration::ZERO }, into);
    }
    fn in_flight(&self) -> usize {
        self.producer.in_flight() + self.lost.len()
    }
    fn purge(&mut self) {
        self.producer.purge();
    }
}

fn answered(record: &Record) -> Option<EffectId> {
    match open(INBOX.fingerprint, &record.value).ok()?.inbox.body {
        Body::Reply(reply) => {
            let address = reply.address;
            Some(effect_id(address.saga, &address.step, &address.items, address.round))
        }
        _ => None,
    }
}

/// Reads nothing while the service is down.
struct DownReader {
    group: Box<dyn GroupReader>,
    faults: Arc<Faults>,
}

impl GroupReader for DownReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        if let Some(left) = self.faults.down_for() {
            std::thread::sleep(wait.min(left));
            return Ok(());
        }
        let before = into.len();
        self.group.poll(max, wait, into)?;
        let records = into[before..].iter().filter(|event| matches!(event, GroupEvent::Record(_))).count();
        self.faults.count(records);
        Ok(())
    }
    fn commit(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.group.commit(topic, partition, offset)
    }
    fn seek(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.group.seek(topic, partition, offset)
    }
    fn pause(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        self.group.pause(topic, partition)
    }
    fn resume(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        self.group.resume(topic, partition)
    }
}
