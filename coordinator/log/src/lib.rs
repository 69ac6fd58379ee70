//! Topics, appends and reads behind traits: Kafka, embedded (a durable log on local disk), loopback (the embedded log of another
//! process) and simulated (virtual time, seeded faults). Everything is poll-driven: nobody's callback runs the coordinator.

pub mod clock;
#[doc(hidden)]
pub mod conformance;
mod connect;
mod cursor;
pub mod embedded;
pub mod kafka;
mod layer;
pub mod loopback;
mod mailbox;
mod settings;
mod signal;
pub mod simulated;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::{Millis, Offset, Partition, TopicId};
use serde::{Deserialize, Serialize};

pub use self::connect::connect;
pub use self::layer::Layer;

/// A key, a value and headers, as they lie in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Kafka's record key; empty: none.
    pub key: Vec<u8>,
    /// The value: the only part that a fold reads.
    pub value: Vec<u8>,
    /// Copies for others: CloudEvents, traceparent, `sagaline-*`.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The topic it lies in.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// The broker's append time for topics with LogAppendTime, the producer's else: milliseconds since 1970.
    pub timestamp: Millis,
    /// Whether the broker set the timestamp.
    pub append_time: bool,
    /// The record.
    pub record: Record,
}

/// What a topic is, as the broker tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its identity: another one after it was deleted and made again.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// Its settings by Kafka's names: `retention.ms`, `message.timestamp.type`, `cleanup.policy`, `min.insync.replicas`,
    /// `max.message.bytes`, `unclean.leader.election.enable`, `retention.bytes`.
    pub settings: std::collections::BTreeMap<String, String>,
    /// Replicas of each partition.
    pub replicas: u32,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// Replicas of each; clamped to what the log can give by `embedded` and `simulated` only.
    pub replicas: u32,
    /// Settings by Kafka's names.
    pub settings: Vec<(String, String)>,
}

/// What goes wrong with a log. `Display` says what, where, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LogError {
    /// This is not the address of any log.
    #[error("{address:?} is not the address of a log: {detail}")]
    Address {
        /// What was given.
        address: String,
        /// What would be right.
        detail: String,
    },
    /// Nobody answers at the address.
    #[error("no broker answers at {address}: {detail}")]
    Unreachable {
        /// Where was asked.
        address: String,
        /// What the client library says.
        detail: String,
    },
    /// The topic is not there.
    #[error("there is no topic {topic:?}: make it with `sagaline topics create`")]
    NoTopic {
        /// Which.
        topic: String,
    },
    /// The topic is there already.
    #[error("the topic {topic:?} exists already")]
    TopicExists {
        /// Which.
        topic: String,
    },
    /// The position asked for is not in the log.
    #[error("{topic}/{partition} has no offset {offset}: it holds {start}..{end}")]
    OutOfRange {
        /// Topic.
        topic: String,
        /// Partition.
        partition: Partition,
        /// What was asked for.
        offset: Offset,
        /// First offset held.
        start: Offset,
        /// First offset not yet held.
        end: Offset,
    },
    /// The records before the position are others than those that were read.
    #[error("{places} was cut and written anew: what took the place of records that were read already is not read")]
    Rewritten {
        /// Topics and partitions, one of which it is.
        places: String,
    },
    /// The log does not take records of this size.
    #[error("{topic} takes no record of {size} bytes: its max.message.bytes is {limit}")]
    TooLarge {
        /// Topic.
        topic: String,
        /// Bytes of the record.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The broker forbids it.
    #[error("not allowed at {topic}: {detail}")]
    Forbidden {
        /// Topic.
        topic: String,
        /// What the broker says.
        detail: String,
    },
    /// Too much waits to be sent: poll, then append again.
    #[error("{place}: too many appends wait for their acknowledgement")]
    QueueFull {
        /// The topic.
        place: String,
    },
    /// It may or may not be in the log.
    #[error("the log did not say whether it took the record: {detail}")]
    OutcomeUnknown {
        /// What the client library says.
        detail: String,
    },
    /// Bytes on disk are not what was written.
    #[error("{place}: {detail}")]
    Corrupt {
        /// File and position.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Another process holds the log's directory, or another member the group.
    #[error("{place} is in use by another process")]
    InUse {
        /// Which.
        place: String,
    },
    /// The disk, the network or the client library failed otherwise.
    #[error("{place}: {detail}")]
    Io {
        /// What was touched.
        place: String,
        /// What the system says.
        detail: String,
    },
}

/// Tells one append from another: the caller's own number.
pub type Ticket = u64;

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The append's number.
    pub ticket: Ticket,
    /// Where the record lies, durably; or why it may not.
    pub outcome: Result<Offset, LogError>,
}

/// Appends records. Records of one producer to one partition land in the order of `append`, each at most once: after an error, later
/// records may lie in the log with the failed one missing, so a caller that needs order voids the acknowledgements behind an error.
pub trait Producer: Send {
    /// Hands a record over; it goes with the next `poll` at the latest. Nothing is durable before its acknowledgement.
    ///
    /// # Errors
    /// When it can't even be queued: the topic is not there, the record is too large, the queue is full (`OutcomeUnknown` is never returned here).
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError>;

    /// Gives the log a chance to work and collects what became of earlier appends. Returns at once when there is something.
    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>);

    /// Appends without an acknowledgement yet.
    fn in_flight(&self) -> usize;

    /// Gives up what is not yet sent; everything without an acknowledgement gets one (`OutcomeUnknown`) from later polls.
    fn purge(&mut self);
}

/// Reads one partition from a position.
pub trait Reader: Send {
    /// The next records, at most `max`; waits at most `wait` for the first. Empty: nothing there.
    ///
    /// # Errors
    /// When the position is not in the log (any more): each later poll says it again. Or when the log can't be read: the next poll may go on, but whoever
    /// must go on does so with another reader.
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError>;

    /// First offset held and first offset not yet held, asked of the log now.
    ///
    /// # Errors
    /// When the log does not say.
    fn bounds(&mut self) -> Result<(Offset, Offset), LogError>;

    /// Where it stands, if that is not just behind the last record that it gave: in Kafka the marker of somebody's transaction takes an offset, and is no
    /// record. None: it is just there.
    fn position(&self) -> Option<Offset> {
        None
    }
}

/// What a group member is told between records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// A record.
    Record(Fetched),
    /// These partitions are this member's from now on; reading begins at the group's committed offset (the given one), or at the
    /// topic's first where there is none.
    Assigned(Vec<(Arc<str>, Partition, Offset)>),
    /// These are no longer: commits for them are refused.
    Revoked(Vec<(Arc<str>, Partition)>),
}

/// A member of a consumer group.
pub trait GroupReader: Send {
    /// What has come since; waits at most `wait` for the first.
    ///
    /// # Errors
    /// When the log can't be read. `OutOfRange`: the log does not have the place of one partition (any more). Nothing is read of it, the others go on, and
    /// each poll that has nothing else to tell says it again, until a `seek` to another place or until it is assigned anew. `Rewritten`, once: the log has
    /// the place, and other records before it; reading goes on there.
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError>;

    /// Everything below `offset` is dealt with.
    ///
    /// # Errors
    /// When the log did not take the commit.
    fn commit(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError>;

    /// Goes on reading an assigned partition at `offset`, backwards or forwards.
    ///
    /// # Errors
    /// When the partition is not assigned.
    fn seek(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError>;

    /// Takes no more records of an assigned partition until `resume`.
    ///
    /// # Errors
    /// When the partition is not assigned.
    fn pause(&mut self, topic: &str, partition: Partition) -> Result<(), LogError>;

    /// The opposite of `pause`.
    ///
    /// # Errors
    /// When the partition is not assigned.
    fn resume(&mut self, topic: &str, partition: Partition) -> Result<(), LogError>;
}

/// A log with its topics.
pub trait Log: Send + Sync + fmt::Debug {
    /// A name for messages: `kafka at HOST:PORT`, `embedded in DIR`.
    fn name(&self) -> String;

    /// The log's own identity: Kafka's cluster id.
    ///
    /// # Errors
    /// When it does not say.
    fn cluster_id(&self) -> Result<String, LogError>;

    /// What a topic is; none: it is not there.
    ///
    /// # Errors
    /// When the log does not say.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError>;

    /// Makes a topic.
    ///
    /// # Errors
    /// When it exists, or can't be made.
    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError>;

    /// Deletes a partition's records below `offset`, for good; gives its first offset from then on. Nothing happens where they are gone already.
    ///
    /// # Errors
    /// `NoTopic`; `OutOfRange` where `offset` lies behind the end; `Forbidden`; or when the log does not say.
    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError>;

    /// A producer with a queue of its own.
    ///
    /// # Errors
    /// When the log can't be reached.
    fn producer(&self) -> Result<Box<dyn Producer>, LogError>;

    /// A reader of one partition, beginning at `from`.
    ///
    /// # Errors
    /// When the topic is not there or `from` lies outside of it.
    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError>;

    /// Joins a group that shares the topics' partitions. Topics that are not there yet are joined when they appear.
    ///
    /// # Errors
    /// When the group can't be joined.
    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError>;

    /// The wall clock that this log lives by: the machine's, or the simulation's. Milliseconds since 1970.
    fn wall_clock(&self) -> Millis;
}
