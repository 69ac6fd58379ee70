//! What must hold before a partition is folded on (protocol review M5, M6): the inbox keeps its records, and the store was folded from
//! this very log. Each refusal names the way out. Nothing is repaired here.

use sagaline_log::{Log, LogError, TopicInfo};
use sagaline_partition::Partition;
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{Digest, LogId, Offset};

use crate::Names;
use crate::owner::stop::Stop;
use crate::sealed;

/// Where a store's log lies, as this machine knows: kept beside the store, never in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The cluster.
    pub cluster_id: Option<String>,
    /// The inbox topic there.
    pub topic_id: Option<String>,
}

/// What tells an inbox from every other, whatever they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: String,
    /// The topic there: another one after it was deleted and made again.
    pub topic_id: String,
}

impl Identity {
    /// That of the inbox that is there now.
    ///
    /// # Errors
    /// `NoTopic` where none is; or when the log does not say.
    pub fn of(log: &dyn Log, inbox: &str) -> Result<Self, LogError> {
        let topic = log.topic(inbox)?.ok_or_else(|| LogError::NoTopic { topic: inbox.to_owned() })?;
        Ok(Self { cluster_id: log.cluster_id()?, topic_id: topic.id.to_string() })
    }
}

impl From<Identity> for Origin {
    fn from(Identity { cluster_id, topic_id }: Identity) -> Self {
        Self { cluster_id: Some(cluster_id), topic_id: Some(topic_id) }
    }
}

/// Which settings a topic must have: name, value, why it matters.
const NEEDED: [(&str, &str); 5] = [
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("cleanup.policy", "delete"),
    ("message.timestamp.type", "LogAppendTime"),
    ("unclean.leader.election.enable", "false"),
];
/// What a topic must take beyond the largest record: Kafka's framing, key and headers.
const FRAMING: u64 = 64 * 1024;

/// The inbox topic, if sagas may live in it. `single_broker` allows one replica: for development, where losing the disk is losing the log.
///
/// # Errors
/// `Unsafe` for the first setting that is wrong; `Log` where it is not there, or can't be asked for.
pub fn check_inbox(log: &dyn Log, names: &Names, single_broker: bool) -> Result<TopicInfo, Stop> {
    let topic = names.inbox();
    let info =
        log.topic(&topic).map_err(Stop::Log)?.ok_or_else(|| Stop::Log(LogError::NoTopic { topic: topic.clone() }))?;
    let found = |name: &str| info.settings.get(name).cloned().unwrap_or_else(|| "not known".to_owned());
    for (setting, wanted) in NEEDED {
        if found(setting) != wanted {
            let way_out = set_it(&topic, setting, wanted);
            return Err(Stop::Unsafe { topic, setting, found: found(setting), wanted: wanted.to_owned(), way_out });
        }
    }
    if single_broker {
        return Ok(info);
    }
    let way_out =
        "Give the topic three replicas, or set single_broker = true if losing one disk may lose all sagas".to_owned();
    if info.replicas < 3 {
        let (found, wanted) = (info.replicas.to_string(), "3 or more".to_owned());
        return Err(Stop::Unsafe { topic, setting: "the number of replicas", found, wanted, way_out });
    }
    if found("min.insync.replicas").parse::<u32>().is_ok_and(|replicas| replicas >= 2) {
        return Ok(info);
    }
    let (found, wanted) = (found("min.insync.replicas"), "2 or more".to_owned());
    Err(Stop::Unsafe { topic, setting: "min.insync.replicas", found, wanted, way_out })
}

/// How large a record an inbox must take, so that none is refused that the settings allow.
pub fn max_message_bytes(settings: &Settings) -> u64 {
    u64::from(settings.max_record) + FRAMING
}

/// The inbox takes the largest record that the settings allow: what the fold's limits let through, no broker may refuse.
///
/// # Errors
/// `Unsafe` where it takes smaller ones only.
pub fn check_size(info: &TopicInfo, settings: &Settings) -> Result<(), Stop> {
    const SETTING: &str = "max.message.bytes";
    let wanted = max_message_bytes(settings);
    let found = info.settings.get(SETTING);
    if found.and_then(|bytes| bytes.parse::<u64>().ok()).is_some_and(|bytes| bytes >= wanted) {
        return Ok(());
    }
    Err(Stop::Unsafe {
        topic: info.name.clone(),
        setting: SETTING,
        found: found.cloned().unwrap_or_else(|| "not known".to_owned()),
        wanted: format!("{wanted} or more"),
        way_out: set_it(&info.name, SETTING, &wanted.to_string()),
    })
}

fn set_it(topic: &str, setting: &str, wanted: &str) -> String {
    format!(
        "Set it: kafka-configs --bootstrap-server HOST:PORT --alter --topic {topic} --add-config {setting}={wanted}"
    )
}

/// Of which log a store is to be.
pub struct Expected<'a> {
    /// Inbox partition.
    pub partition: u32,
    /// The log that the node takes the inbox for.
    pub log_id: LogId,
    /// Where the store's log lay, as is known beside the store.
    pub origin: &'a Origin,
}

/// Compares the store with the log; gives what to remember of the log.
///
/// # Errors
/// `OtherLog`, `OtherCopy`, `AheadOfLog`, `Rewritten`, `Unsafe` for a grown topic; `Log` when it can't be read.
pub fn check_store(
    log: &dyn Log,
    info: &TopicInfo,
    partition: &Partition,
    expected: &Expected<'_>,
) -> Result<Origin, Stop> {
    let number = expected.partition;
    let origin = Origin::from(Identity::of(log, &info.name).map_err(Stop::Log)?);
    check_origin(number, expected.origin, &origin)?;
    let (start, end) = log
        .reader(&info.name, number, partition.next())
        .and_then(|mut reader| reader.bounds())
        .map_err(|error| match error {
            LogError::OutOfRange { start, end, .. } => {
                Stop::AheadOfLog { partition: number, position: partition.next(), start, end }
            }
            error => Stop::Log(error),
        })?;
    if partition.next() > end || partition.next() < start {
        return Err(Stop::AheadOfLog { partition: number, position: partition.next(), start, end });
    }
    let Some(meta) = partition.meta() else { return Ok(origin) };
    if let Some(genesis) =
        (start == 0).then(|| sealed::genesis(log, &info.name, number)).transpose().map_err(Stop::Log)?.flatten()
    {
        same(number, "log", Some(&meta.log_id.to_string()), &genesis.log_id.to_string())?;
    }
    let same_topic = expected.origin.topic_id.is_some() && expected.origin.topic_id == origin.topic_id;
    check_log(number, meta.log_id, expected.log_id, start > 0 && same_topic)?;
    check_count(info, meta.partitions)?;
    check_size(info, &meta.settings)?;
    if let Some(last) = meta.last_record {
        check_last(log, &info.name, number, meta.next - 1, last)?;
    }
    Ok(origin)
}

/// What this node appends is sealed for the log that it takes the inbox for: of another one than the store's, nothing of it would count.
/// `trimmed`: the store was folded from this very topic, whose beginning is gone, so that only a copy tells which log it is.
fn check_log(partition: u32, stored: LogId, taken_for: LogId, trimmed: bool) -> Result<(), Stop> {
    if trimmed && stored != taken_for {
        return Err(Stop::OtherCopy { partition, stored, copy: taken_for });
    }
    same(partition, "log", Some(&stored.to_string()), &taken_for.to_string())
}

/// A store is this log's: what is not known of either side says nothing.
///
/// # Errors
/// `OtherLog`.
pub fn check_origin(partition: u32, known: &Origin, found: &Origin) -> Result<(), Stop> {
    let sides = [("cluster", &known.cluster_id, &found.cluster_id), ("topic", &known.topic_id, &found.topic_id)];
    for (what, stored, found) in sides {
        if let Some(found) = found {
            same(partition, what, stored.as_ref(), found)?;
        }
    }
    Ok(())
}

fn same(partition: u32, what: &'static str, stored: Option<&String>, found: &str) -> Result<(), Stop> {
    match stored {
        Some(stored) if stored != found => {
            Err(Stop::OtherLog { partition, what, stored: stored.clone(), found: found.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// The topic has as many partitions as the log was begun with.
///
/// # Errors
/// `Unsafe` where it has grown.
pub fn check_count(info: &TopicInfo, partitions: u32) -> Result<(), Stop> {
    if info.partitions == partitions {
        return Ok(());
    }
    Err(Stop::Unsafe {
        topic: info.name.clone(),
        setting: "the number of partitions",
        found: info.partitions.to_string(),
        wanted: partitions.to_string(),
        way_out: "It is fixed for ever when the inbox is made: keys would go elsewhere. Make a new inbox under another prefix".to_owned(),
    })
}

/// The record before a store's position is the one that it has folded.
///
/// # Errors
/// `Rewritten`; `Log` when it can't be read.
pub fn check_last(log: &dyn Log, inbox: &str, partition: u32, offset: Offset, last: Digest) -> Result<(), Stop> {
    match sealed::holds(log, inbox, partition, offset, last) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Stop::Rewritten { partition, offset }),
        // Trimmed below a verified checkpoint: nothing is left to compare with.
        Err(LogError::OutOfRange { .. }) => Ok(()),
        Err(error) => Err(Stop::Log(error)),
    }
}
