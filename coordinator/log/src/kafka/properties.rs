//! librdkafka's properties: ours, the user's, and those that nobody may change because order or durability hang on them.
//! Values may be secrets: nothing here puts one into an error or a `Debug`.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::LogError;

/// Set by the log itself, for the reason beside it.
const FIXED: [(&str, &str); 13] = [
    ("bootstrap.servers", "it is an argument of its own"),
    ("acks", "an acknowledged record must survive its leader"),
    ("request.required.acks", "an acknowledged record must survive its leader"),
    ("enable.idempotence", "a retry must neither repeat nor reorder records"),
    ("message.timeout.ms", "a record is given up by its caller, never by a timer"),
    ("delivery.timeout.ms", "a record is given up by its caller, never by a timer"),
    ("transactional.id", "no transactions are used"),
    ("auto.offset.reset", "a position that is lost must be seen"),
    ("enable.auto.commit", "what is dealt with is committed, not what was read"),
    ("enable.auto.offset.store", "what is dealt with is committed, not what was read"),
    ("group.id", "the coordinator names its groups"),
    ("group.instance.id", "the coordinator names its members"),
    ("allow.auto.create.topics", "a misspelt topic must not come to be"),
];

/// For every client.
const COMMON: [(&str, &str); 4] = [
    ("client.id", "sagaline"),
    ("socket.nagle.disable", "true"),
    // A broker that comes back is found within a second.
    ("reconnect.backoff.max.ms", "1000"),
    ("log.connection.close", "false"),
];

const PRODUCER: [(&str, &str); 8] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("message.timeout.ms", "0"),
    ("linger.ms", "0"),
    ("compression.type", "lz4"),
    // The topic's own limit is checked before a record is queued; this is the client's, and in no one's way. Batches are smaller than
    // the smallest limit that is usual, because the limit holds for them.
    ("message.max.bytes", "104857600"),
    ("batch.size", "262144"),
    // For all of a node's producers together, each of which bounds what it has in flight: one must not be refused for what the others have.
    ("queue.buffering.max.messages", "1000000"),
];

const READER: [(&str, &str); 9] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // Nobody writes transactions here, so both levels read the same; this one does not wait for a stranger's open transaction, which
    // would let whoever may write to the topic stop the partition.
    ("isolation.level", "read_uncommitted"),
    ("check.crcs", "true"),
    ("fetch.min.bytes", "1"),
    ("fetch.wait.max.ms", "500"),
    // librdkafka pauses for a second when its queue is full: a reader that catches up would run in gulps.
    ("fetch.queue.backoff.ms", "5"),
    // For each partition: read ahead for some tenths of a second of folding, not for the 64 MiB that are usual.
    ("queued.max.messages.kbytes", "8192"),
];

/// For the client that readers share.
const SHARED: [(&str, &str); 1] = [
    // A partition that is taken up is asked for when the question under way has its answer.
    ("fetch.wait.max.ms", "100"),
];

const GROUP: [(&str, &str); 5] = [
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "1000"),
    // A commit waits no longer than this for its answer.
    ("socket.timeout.ms", "10000"),
    // How soon a topic that was not there yet is joined.
    ("topic.metadata.refresh.interval.ms", "2000"),
];

/// The user's properties by librdkafka's names.
#[derive(Clone, Default)]
pub(super) struct Properties(BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Properties {
    /// # Errors
    /// When one of them is not the user's to set, or librdkafka does not know it or its value.
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Self, LogError> {
        for (name, value) in properties {
            if let Some((_, reason)) = FIXED.iter().find(|(fixed, _)| fixed == name) {
                return Err(refused(name, &format!("can't be set: {reason}")));
            }
            ClientConfig::new()
                .set(name, value)
                .create_native_config()
                .map_err(|_| refused(name, "the Kafka client has no such property, or does not take this value"))?;
        }
        Ok(Self(properties.clone()))
    }

    pub(super) fn admin(&self, bootstrap: &str) -> ClientConfig {
        let mut config = self.merged(bootstrap, &[]);
        // Nobody polls this client's log queue: what it does not say can't fill it.
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    pub(super) fn producer(&self, bootstrap: &str) -> ClientConfig {
        self.merged(bootstrap, &[&PRODUCER])
    }

    pub(super) fn reader(&self, bootstrap: &str) -> ClientConfig {
        // librdkafka wants a group to assign partitions by hand; nothing is ever committed to it.
        let mut config = self.merged(bootstrap, &[&READER, &SHARED]);
        config.set("group.id", "sagaline-reader");
        config
    }

    /// A static member that comes back is given what it had, whatever it reads now: the broker looks at its name alone. So who reads other topics
    /// is another member. What the one before had is given away when its session is over.
    pub(super) fn group(&self, bootstrap: &str, group: &str, member: &str, topics: &[String]) -> ClientConfig {
        let mut config = self.merged(bootstrap, &[&READER, &GROUP]);
        let mut sorted: Vec<&str> = topics.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let topics = blake3::hash(sorted.join("\n").as_bytes()).to_hex();
        config.set("group.id", group).set("group.instance.id", format!("{member}-{}", &topics[..8]));
        config
    }

    fn merged(&self, bootstrap: &str, ours: &[&[(&str, &str)]]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        for (name, value) in COMMON.iter().chain(ours.iter().copied().flatten()) {
            config.set(*name, *value);
        }
        for (name, value) in &self.0 {
            config.set(name, value);
        }
        // librdkafka says each broken connection at error level; what matters comes back as an error of a call.
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}

fn refused(name: &str, detail: &str) -> LogError {
    LogError::Io { place: format!("kafka property {name:?}"), detail: detail.to_owned() }
}
