//! A log around another one, of which it changes a part: faults, delays. Everything else is the other's.

use std::fmt;

use sagaline_schemas::{Millis, Offset, Partition};

use crate::{GroupReader, Log, LogError, NewTopic, Producer, Reader, TopicInfo};

/// What makes a type a log around another one: it names that, and says what of it is different.
pub trait Layer: Send + Sync + fmt::Debug {
    /// The other one.
    fn below(&self) -> &dyn Log;

    /// As `Log::producer`.
    ///
    /// # Errors
    /// As there.
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.below().producer()
    }

    /// As `Log::reader`.
    ///
    /// # Errors
    /// As there.
    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        self.below().reader(topic, partition, from)
    }

    /// As `Log::join`.
    ///
    /// # Errors
    /// As there.
    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        self.below().join(group, member, topics)
    }
}

impl<T: Layer> Log for T {
    fn name(&self) -> String {
        self.below().name()
    }
    fn cluster_id(&self) -> Result<String, LogError> {
        self.below().cluster_id()
    }
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.below().topic(name)
    }
    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        self.below().create_topic(topic)
    }
    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        self.below().delete_below(topic, partition, offset)
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Layer::producer(self)
    }
    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        Layer::reader(self, topic, partition, from)
    }
    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        Layer::join(self, group, member, topics)
    }
    fn wall_clock(&self) -> Millis {
        self.below().wall_clock()
    }
}
