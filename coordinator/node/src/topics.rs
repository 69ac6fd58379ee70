//! Making and checking the topics of an installation. Killed in the middle and run again, it goes on: what is there is left alone, and
//! every inbox partition gets the same log id. Nothing is ever deleted here.

use std::time::Duration;

use sagaline_log::{Acknowledgement, Log, LogError, NewTopic, Record, TopicInfo};
use sagaline_partition::RULES_VERSION;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{Fingerprint, LogId, Partition};

use crate::owner::opening::{check_inbox, check_size, max_message_bytes};
use crate::owner::stop::Stop;
use crate::sealed::{Beginning, Beginnings};
use crate::{Names, sealed};

/// How long an append may take here.
const PATIENCE: Duration = Duration::from_millis(100);
const TRIES: u32 = 300;
/// How long answers to what is asked beside the fold lie in their topic: a day, milliseconds.
const ANSWERS_KEPT: &str = "86400000";

/// Which topics are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Inbox partitions, for ever.
    pub partitions: u32,
    /// Replicas of every topic.
    pub replicas: u32,
    /// One replica is enough: development.
    pub single_broker: bool,
    /// Participants whose command topics are to be there.
    pub participants: Vec<String>,
    /// What the log begins with.
    pub settings: Settings,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            partitions: 16,
            replicas: 3,
            single_broker: false,
            participants: Vec::new(),
            settings: Settings::default(),
        }
    }
}

/// What is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    /// Its identity.
    pub log_id: LogId,
    /// Its partitions.
    pub partitions: u32,
    /// What its log began with.
    pub settings: Settings,
}

/// Why topics are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicsError {
    /// The log does not do what it should.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The inbox is not one that sagas may live in.
    #[error(transparent)]
    Unsafe(Stop),
    /// A topic is there with another number of partitions.
    #[error(
        "the topic {topic} has {found} partitions, {wanted} are asked for: the number is fixed for ever; ask for {found}, or use another prefix"
    )]
    Partitions {
        /// Which.
        topic: String,
        /// What it has.
        found: u32,
        /// What is asked for.
        wanted: u32,
    },
    /// A partition of the inbox begins with something else.
    #[error("{topic}/{partition} does not begin with a Genesis: it is no inbox of Sagaline. Use another prefix")]
    NoGenesis {
        /// The inbox.
        topic: String,
        /// Its partition.
        partition: Partition,
    },
    /// Two partitions belong to different logs.
    #[error("the partitions of {topic} have different log ids, {one} and {other}: {way_out}")]
    Mixed {
        /// The inbox.
        topic: String,
        /// Log id of one partition.
        one: LogId,
        /// Log id of another.
        other: LogId,
        /// What a person can do.
        way_out: &'static str,
    },
    /// The beginning of a partition is gone, and the copy of it is another log's.
    #[error(
        "the copy in {definitions} of what {topic}/{partition} began with is of another log, {copy}, than the other partitions, {other}: it was written late, \
         or again, by somebody who has this key or an old copy. Nothing speaks against {topic}: leave it as it is. A node that runs on it goes on; \
         write the record `genesis/{other}/{partition}` of {definitions} again from a copy of that topic"
    )]
    OtherCopy {
        /// The inbox.
        topic: String,
        /// Where copies lie.
        definitions: String,
        /// The partition of which the copy is said to be.
        partition: Partition,
        /// Log id of the copy.
        copy: LogId,
        /// Log id of the other partitions.
        other: LogId,
    },
    /// The inbox was made with another key.
    #[error(
        "{topic} was made with the key {id:?}, fingerprint {wanted}; this one has {held}: give the key that made it"
    )]
    WrongKey {
        /// The inbox.
        topic: String,
        /// The key's name.
        id: String,
        /// Its fingerprint.
        wanted: Fingerprint,
        /// Of the key given.
        held: Fingerprint,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// Makes what is missing, and checks the whole.
///
/// # Errors
/// When something is there that does not fit, or the log refuses.
pub fn create(log: &dyn Log, names: &Names, key: &Key, wanted: &Wanted) -> Result<Inbox, TopicsError> {
    ensure(log, &inbox_topic(names, wanted))?;
    ensure(log, &plain_topic(names.of_channel("events"), wanted.partitions, wanted))?;
    ensure(log, &plain_topic(names.of_channel("parked"), 1, wanted))?;
    ensure(log, &definitions_topic(names, wanted))?;
    for participant in &wanted.participants {
        create_commands(log, names, participant, wanted)?;
    }
    write_genesis(log, names, key, wanted)?;
    check(log, names, key, wanted.single_broker)
}

/// Makes a participant's command topic, if it is missing; gives its number of partitions.
///
/// # Errors
/// When the log refuses.
pub fn create_commands(log: &dyn Log, names: &Names, participant: &str, wanted: &Wanted) -> Result<u32, LogError> {
    let topic = names.of_channel(&sagaline_partition::channel_of_commands(participant));
    match log.topic(&topic)? {
        Some(there) => Ok(there.partitions),
        None => Ok(make(log, &plain_topic(topic, wanted.partitions, wanted))?.partitions),
    }
}

/// Makes the topic of answers to what is asked beside the fold, if it is missing: nobody reads an answer twice, so they are kept for a day.
///
/// # Errors
/// When the log refuses.
pub fn create_reconcile(log: &dyn Log, names: &Names, wanted: &Wanted) -> Result<(), LogError> {
    let name = names.reconcile();
    if log.topic(&name)?.is_some() {
        return Ok(());
    }
    let mut topic = plain_topic(name, 1, wanted);
    topic.settings.retain(|(setting, _)| setting != "retention.ms");
    topic.settings.push(("retention.ms".to_owned(), ANSWERS_KEPT.to_owned()));
    make(log, &topic).map(|_| ())
}

/// Checks that the topics are there, that sagas may live in the inbox, and that it is one log made with this key.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(log: &dyn Log, names: &Names, key: &Key, single_broker: bool) -> Result<Inbox, TopicsError> {
    let info = check_inbox(log, names, single_broker).map_err(TopicsError::Unsafe)?;
    for topic in [names.of_channel("events"), names.of_channel("parked"), names.definitions()] {
        log.topic(&topic)?.ok_or(LogError::NoTopic { topic })?;
    }
    let (mut begun, mut beginnings) = (Vec::new(), Beginnings::new(log, names, key));
    for partition in 0..info.partitions {
        let beginning = beginnings.of(partition)?;
        begun.push(beginning.ok_or_else(|| TopicsError::NoGenesis { topic: info.name.clone(), partition })?);
    }
    check_one_log(names, &begun)?;
    for Beginning { genesis, .. } in &begun {
        check_genesis(&info, key, genesis)?;
        check_size(&info, &genesis.settings).map_err(TopicsError::Unsafe)?;
    }
    let first = begun.into_iter().next().ok_or(TopicsError::NoGenesis { topic: info.name, partition: 0 })?;
    let Genesis { log_id, partitions, settings, .. } = first.genesis;
    Ok(Inbox { log_id, partitions, settings })
}

/// All partitions are of one log. What the log itself says is believed before any copy.
fn check_one_log(names: &Names, begun: &[Beginning]) -> Result<(), TopicsError> {
    let Some(first) = begun.iter().find(|begun| !begun.is_copy).or(begun.first()) else { return Ok(()) };
    let one = first.genesis.log_id;
    let Some(another) = begun.iter().find(|begun| begun.genesis.log_id != one) else { return Ok(()) };
    let (topic, Genesis { log_id: other, partition, .. }) = (names.inbox(), &another.genesis);
    if another.is_copy {
        let (definitions, partition) = (names.definitions(), *partition);
        return Err(TopicsError::OtherCopy { topic, definitions, partition, copy: *other, other: one });
    }
    // Nothing is trimmed of a log on which nothing ran.
    let way_out = if begun.iter().any(|begun| begun.is_copy) {
        "one of them was lost and begun anew. Sagas have run on it, for records of other partitions were deleted: don't delete it. Find out which \
         partition is not what it was, and look for its records at the brokers"
    } else {
        "two `topics create` ran at once. Nothing can have run on it: delete the topic and run `sagaline topics create` again"
    };
    Err(TopicsError::Mixed { topic, one, other: *other, way_out })
}

fn check_genesis(info: &TopicInfo, key: &Key, genesis: &Genesis) -> Result<(), TopicsError> {
    if genesis.key_fingerprint != key.fingerprint() {
        let (wanted, held) = (genesis.key_fingerprint, key.fingerprint());
        return Err(TopicsError::WrongKey { topic: info.name.clone(), id: genesis.key_id.clone(), wanted, held });
    }
    if genesis.partitions != info.partitions {
        let (found, wanted) = (info.partitions, genesis.partitions);
        return Err(TopicsError::Partitions { topic: info.name.clone(), found, wanted });
    }
    Ok(())
}

fn ensure(log: &dyn Log, topic: &NewTopic) -> Result<(), TopicsError> {
    let there = match log.topic(&topic.name)? {
        Some(there) => there,
        None => make(log, topic)?,
    };
    if there.partitions == topic.partitions {
        return Ok(());
    }
    Err(TopicsError::Partitions { topic: topic.name.clone(), found: there.partitions, wanted: topic.partitions })
}

/// Somebody else may be making the same topic.
fn make(log: &dyn Log, topic: &NewTopic) -> Result<TopicInfo, LogError> {
    match log.create_topic(topic) {
        Err(LogError::TopicExists { topic }) => log.topic(&topic)?.ok_or(LogError::NoTopic { topic }),
        made => made,
    }
}

fn write_genesis(log: &dyn Log, names: &Names, key: &Key, wanted: &Wanted) -> Result<(), TopicsError> {
    let inbox = names.inbox();
    let (mut missing, mut begun, mut beginnings) = (Vec::new(), Vec::new(), Beginnings::new(log, names, key));
    for partition in 0..wanted.partitions {
        match beginnings.of(partition)? {
            Some(beginning) => begun.push(beginning),
            None => missing.push(partition),
        }
    }
    // Before another partition is begun by what a copy says that is of another log.
    check_one_log(names, &begun)?;
    let log_id = begun.first().map_or_else(random_log_id, |begun| Ok(begun.genesis.log_id))?;
    let mut producer = log.producer()?;
    let mut answers = Vec::new();
    for partition in missing {
        let record = sealed::record(
            key,
            log_id,
            partition,
            &Body::Genesis(genesis(log, &inbox, key, log_id, partition, wanted)),
        );
        append_and_wait(producer.as_mut(), &inbox, partition, &record, &mut answers)?;
    }
    Ok(())
}

fn genesis(log: &dyn Log, inbox: &str, key: &Key, log_id: LogId, partition: Partition, wanted: &Wanted) -> Genesis {
    Genesis {
        log_id,
        partition,
        partitions: wanted.partitions,
        topic: inbox.to_owned(),
        rules_version: RULES_VERSION,
        settings: wanted.settings.clone(),
        key_id: key.id().to_owned(),
        key_fingerprint: key.fingerprint(),
        wall: log.wall_clock(),
    }
}

/// Appends one record and waits for its acknowledgement. For administration, not for the hot path.
pub(crate) fn append_and_wait(
    producer: &mut dyn sagaline_log::Producer,
    topic: &str,
    partition: Partition,
    record: &Record,
    answers: &mut Vec<Acknowledgement>,
) -> Result<i64, LogError> {
    append_while(producer, (topic, partition), record, answers, &|| true)
}

/// The same, and the acknowledgement is waited for no longer than `goes_on` says.
pub(crate) fn append_while(
    producer: &mut dyn sagaline_log::Producer,
    (topic, partition): (&str, Partition),
    record: &Record,
    answers: &mut Vec<Acknowledgement>,
    goes_on: &dyn Fn() -> bool,
) -> Result<i64, LogError> {
    producer.append(topic, partition, record, 0)?;
    for _ in 0..TRIES {
        producer.poll(PATIENCE, answers);
        if let Some(answer) = answers.pop() {
            return answer.outcome;
        }
        if !goes_on() {
            break;
        }
    }
    Err(LogError::OutcomeUnknown { detail: format!("{topic}/{partition} did not answer in time") })
}

fn random_log_id() -> Result<LogId, TopicsError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| TopicsError::Random(error.to_string()))?;
    Ok(LogId(bytes))
}

fn inbox_topic(names: &Names, wanted: &Wanted) -> NewTopic {
    new_topic(
        names.inbox(),
        wanted.partitions,
        wanted,
        &[("cleanup.policy", "delete"), ("message.timestamp.type", "LogAppendTime")],
    )
}

fn plain_topic(name: String, partitions: u32, wanted: &Wanted) -> NewTopic {
    new_topic(name, partitions, wanted, &[("cleanup.policy", "delete")])
}

fn definitions_topic(names: &Names, wanted: &Wanted) -> NewTopic {
    new_topic(names.definitions(), 1, wanted, &[("cleanup.policy", "compact")])
}

fn new_topic(name: String, partitions: u32, wanted: &Wanted, own: &[(&str, &str)]) -> NewTopic {
    // Larger than the fold's own limit by the room of Kafka's framing: what the fold decides must never be refused for its size.
    let max_bytes = max_message_bytes(&wanted.settings).to_string();
    let replicas = if wanted.single_broker { 1 } else { wanted.replicas };
    let min_insync = if wanted.single_broker { "1" } else { "2" };
    let common = [
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("max.message.bytes", max_bytes.as_str()),
        ("min.insync.replicas", min_insync),
        ("unclean.leader.election.enable", "false"),
    ];
    let settings = common.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    NewTopic { name, partitions, replicas, settings }
}

#[cfg(test)]
mod tests;
