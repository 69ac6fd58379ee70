//! Producers, readers and group members of the simulated log. None of them waits: time passes when the test says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::{Offset, Partition};

use super::Shared;
use super::groups::{Change, MemberId, Place};
use super::world::ProducerId;
use crate::cursor::{Assignment, Cursor, not_assigned};
use crate::{Acknowledgement, Fetched, GroupEvent, GroupReader, LogError, Producer, Reader, Record, Ticket};

pub(super) struct SimulatedProducer {
    world: Shared,
    id: ProducerId,
    in_flight: usize,
}

impl SimulatedProducer {
    pub(super) fn new(world: &Shared) -> Self {
        let id = world.enter().add_producer();
        Self { world: world.clone(), id, in_flight: 0 }
    }
}

impl Producer for SimulatedProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        self.world.enter().send(self.id, topic, partition, record, ticket)?;
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, _wait: Duration, into: &mut Vec<Acknowledgement>) {
        let told = self.world.enter().take_told(self.id);
        self.in_flight -= told.len();
        into.extend(told);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn purge(&mut self) {
        self.world.enter().purge(self.id);
    }
}

impl Drop for SimulatedProducer {
    fn drop(&mut self) {
        self.world.enter().remove_producer(self.id);
    }
}

/// A place in one partition.
pub(super) struct SimulatedReader {
    world: Shared,
    topic: Arc<str>,
    partition: Partition,
    next: Offset,
}

impl SimulatedReader {
    pub(super) fn open(world: &Shared, topic: &str, partition: Partition, from: Offset) -> Result<Self, LogError> {
        let entered = world.enter();
        let there = entered.topics.partition(topic, partition)?;
        there.check_range(partition, from)?;
        Ok(Self { world: world.clone(), topic: there.name.clone(), partition, next: from })
    }
}

impl Cursor for SimulatedReader {
    fn read(&mut self, max: usize, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        let mut world = self.world.enter();
        world.read_fails(&self.topic)?;
        let topic = world.topics.partition(&self.topic, self.partition)?;
        topic.check_range(self.partition, self.next)?;
        let records = topic.records(self.partition, self.next, max);
        into.extend_from_slice(records);
        self.next += records.len() as Offset;
        Ok(())
    }

    fn seek(&mut self, offset: Offset) {
        self.next = offset;
    }
}

impl Reader for SimulatedReader {
    fn poll(&mut self, max: usize, _wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.read(max, into)
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        let mut world = self.world.enter();
        world.read_fails(&self.topic)?;
        Ok(world.topics.partition(&self.topic, self.partition)?.bounds(self.partition))
    }
}

/// One member of a group.
pub(super) struct SimulatedMember {
    world: Shared,
    group: String,
    id: MemberId,
    topics: Vec<String>,
    held: BTreeSet<Place>,
    assignment: Assignment<SimulatedReader>,
}

impl SimulatedMember {
    pub(super) fn join(world: &Shared, group: &str, topics: &[String]) -> Self {
        let id = world.enter().number();
        Self {
            world: world.clone(),
            group: group.to_owned(),
            id,
            topics: topics.to_vec(),
            held: BTreeSet::new(),
            assignment: Assignment::new(),
        }
    }

    fn rebalance(&mut self, into: &mut Vec<GroupEvent>) {
        let mut entered = self.world.enter();
        let world = &mut *entered;
        let (member, now) = (self.id, world.now);
        let change = world.groups.poll(&self.group, member, &self.topics, &self.held, &world.topics, now);
        let Change { revoked, assigned } = change;
        for place in &revoked {
            self.held.remove(place);
        }
        let gone = self.assignment.retain(|topic, partition| self.held.contains(&(topic.to_owned(), partition)));
        if !gone.is_empty() {
            into.push(GroupEvent::Revoked(gone));
        }
        let mut came = Vec::new();
        for ((name, partition), committed) in assigned {
            let Some(topic) = world.topics.0.get(&name) else { continue };
            let next = committed.unwrap_or(topic.bounds(partition).0);
            let reader = SimulatedReader { world: self.world.clone(), topic: topic.name.clone(), partition, next };
            self.assignment.add(&topic.name, partition, reader);
            came.push((topic.name.clone(), partition, next));
            self.held.insert((name, partition));
        }
        if !came.is_empty() {
            into.push(GroupEvent::Assigned(came));
        }
    }
}

impl GroupReader for SimulatedMember {
    fn poll(&mut self, max: usize, _wait: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        let before = into.len();
        self.rebalance(into);
        // A change is told by itself: an error of the next read must not take it along.
        if into.len() > before {
            return Ok(());
        }
        self.assignment.read(max, into)
    }

    fn commit(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        let place = (topic.to_owned(), partition);
        match self.world.enter().groups.commit(&self.group, self.id, place, offset) {
            true => Ok(()),
            false => Err(not_assigned(topic, partition)),
        }
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

impl Drop for SimulatedMember {
    fn drop(&mut self) {
        self.world.enter().groups.leave(&self.group, self.id);
    }
}
