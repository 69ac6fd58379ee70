//! A log for tests: virtual time, seeded faults, one thread, the same run for the same seed. Nothing here waits, and nothing
//! happens but when a handle is called or the test lets time pass.

mod broker;
mod chance;
mod groups;
mod handles;
#[cfg(test)]
mod tests;
mod world;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};

use sagaline_schemas::{Millis, Offset, Partition};

use self::broker::{Taking, Topic};
use self::handles::{SimulatedMember, SimulatedProducer, SimulatedReader};
use self::world::World;
use crate::settings::new_topic;
use crate::{Fetched, GroupReader, Log, LogError, NewTopic, Producer, Reader, Record, TopicInfo};

/// When a simulation begins: 2026-01-01T00:00Z.
pub const EPOCH: Millis = 1_767_225_600_000;

/// What goes wrong. Chances are out of 1000; the default is none of it, and no delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// An append lands, and its producer hears that nobody knows.
    pub unknown_landed: u32,
    /// An append does not land, and its producer hears that nobody knows. Later ones may land.
    pub unknown_lost: u32,
    /// An append lands a second time, later, as with a producer that is not idempotent.
    pub duplicated: u32,
    /// An append whose producer gave it up, or died, never lands. Otherwise it lands when it would have.
    pub orphan_lost: u32,
    /// A read fails.
    pub read_error: u32,
    /// From append to landing. Order per producer and partition is kept.
    pub landing_ms: RangeInclusive<u32>,
    /// From landing to acknowledgement. Order per producer is kept.
    pub acknowledgement_ms: RangeInclusive<u32>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            unknown_landed: 0,
            unknown_lost: 0,
            duplicated: 0,
            orphan_lost: 0,
            read_error: 0,
            landing_ms: 0..=0,
            acknowledgement_ms: 0..=0,
        }
    }
}

/// What the handles share.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nothing panics with the world in hand")
    }

    /// The world, with everything done that is due.
    fn enter(&self) -> MutexGuard<'_, World> {
        let mut world = self.lock();
        world.settle();
        world
    }
}

/// The test's hand on the world: time, faults, accidents, and a look at what landed. Clones are the same world.
#[derive(Debug, Clone)]
pub struct Simulation {
    world: Shared,
}

impl Simulation {
    /// A world without topics and faults.
    pub fn new(seed: u64) -> Self {
        Self { world: Shared(Arc::new(Mutex::new(World::new(seed, EPOCH)))) }
    }

    /// The log, with the true wall clock.
    pub fn log(&self) -> SimulatedLog {
        self.log_with_clock(0)
    }

    /// The log as a machine sees it whose wall clock is `skew` milliseconds ahead.
    pub fn log_with_clock(&self, skew: Millis) -> SimulatedLog {
        SimulatedLog { world: self.world.clone(), skew }
    }

    /// Virtual time, in milliseconds since 1970.
    pub fn now(&self) -> Millis {
        self.world.lock().now
    }

    /// Lets time pass, and everything happen that is due by then.
    pub fn advance(&self, ms: u64) {
        let mut world = self.world.lock();
        let end = world.now + ms as Millis;
        world.pass_until(end);
    }

    /// Lets time pass until the next landing or acknowledgement. False: nothing is under way.
    pub fn advance_to_next(&self) -> bool {
        let mut world = self.world.lock();
        let next = world.next_event();
        if let Some(due) = next {
            world.pass_until(due);
        }
        next.is_some()
    }

    /// What goes wrong from here on.
    pub fn set_faults(&self, faults: Faults) {
        self.world.enter().faults = faults;
    }

    /// The broker's clock minus the true one. Append times go back when this does, as at a change of leaders.
    pub fn set_broker_skew(&self, ms: Millis) {
        self.world.enter().broker_skew = ms;
    }

    /// What lies in a partition.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn records(&self, topic: &str, partition: Partition) -> Result<Vec<Fetched>, LogError> {
        let world = self.world.enter();
        let topic = world.topics.partition(topic, partition)?;
        Ok(topic.records(partition, topic.bounds(partition).0, usize::MAX).to_vec())
    }

    /// Puts a record into a partition at once, past every fault: what a forger or a stranger does.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn put(&self, topic: &str, partition: Partition, record: Record) -> Result<Offset, LogError> {
        let mut world = self.world.enter();
        let timestamp = world.now + world.broker_skew;
        let topic = world.topics.require_mut(topic)?;
        topic.check(partition)?;
        Ok(topic.land(partition, timestamp, record))
    }

    /// Deletes a topic and makes it again, with the same settings and another identity.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn recreate(&self, topic: &str) -> Result<TopicInfo, LogError> {
        let mut world = self.world.enter();
        let id = world.new_id();
        let old = world.topics.require_mut(topic)?;
        let info = TopicInfo { id, ..old.info.clone() };
        *old = Topic::new(info.clone());
        Ok(info)
    }

    /// Loses a partition's records from `end` on, as an unclean election does.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn truncate(&self, topic: &str, partition: Partition, end: Offset) -> Result<(), LogError> {
        let mut world = self.world.enter();
        let topic = world.topics.require_mut(topic)?;
        topic.check(partition)?;
        topic.truncate(partition, end);
        Ok(())
    }

    /// Appends to this topic are answered with `error`.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn refuse(&self, topic: &str, error: LogError) -> Result<(), LogError> {
        self.world.enter().set_taking(topic, Taking::Refused(error))
    }

    /// Appends to this topic neither land nor are answered.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn stall(&self, topic: &str) -> Result<(), LogError> {
        self.world.enter().set_taking(topic, Taking::Stalled)
    }

    /// Ends `refuse` and `stall`: what was stalled lands now.
    ///
    /// # Errors
    /// `NoTopic`.
    pub fn mend(&self, topic: &str) -> Result<(), LogError> {
        self.world.enter().set_taking(topic, Taking::All)
    }
}

/// The log of a simulation.
#[derive(Clone)]
pub struct SimulatedLog {
    world: Shared,
    skew: Millis,
}

impl fmt::Debug for SimulatedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedLog").field("skew", &self.skew).finish_non_exhaustive()
    }
}

impl Log for SimulatedLog {
    fn name(&self) -> String {
        "simulated".to_owned()
    }

    fn cluster_id(&self) -> Result<String, LogError> {
        Ok(self.world.enter().cluster.to_string())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        Ok(self.world.enter().topics.0.get(name).map(|topic| topic.info.clone()))
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        let mut world = self.world.enter();
        if world.topics.0.contains_key(&topic.name) {
            return Err(LogError::TopicExists { topic: topic.name.clone() });
        }
        let id = world.new_id();
        let info = new_topic(topic, id)?;
        world.topics.0.insert(topic.name.clone(), Topic::new(info.clone()));
        Ok(info)
    }

    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        let mut world = self.world.enter();
        let topic = world.topics.require_mut(topic)?;
        topic.check(partition)?;
        let (start, _) = topic.bounds(partition);
        topic.check_range(partition, offset.max(start))?;
        topic.trim(partition, offset);
        Ok(topic.bounds(partition).0)
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(SimulatedProducer::new(&self.world)))
    }

    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(SimulatedReader::open(&self.world, topic, partition, from)?))
    }

    fn join(&self, group: &str, _member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        Ok(Box::new(SimulatedMember::join(&self.world, group, topics)))
    }

    fn wall_clock(&self) -> Millis {
        self.world.enter().now + self.skew
    }
}
