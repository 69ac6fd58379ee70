//! Two ways to the same topics: rdkafka and nothing else, which is the baseline, and the coordinator's own log, to see what it adds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use sagaline_log::{Acknowledgement, GroupEvent, GroupReader, Log, Producer, Record};
use serde::Serialize;

use crate::place::Place;

/// Records taken at once.
const BATCH: usize = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    Rdkafka,
    Log,
}

/// Sends anywhere, receives from all partitions of one topic.
pub trait Pipe {
    fn send(&mut self, topic: &str, partition: u32, value: &[u8]) -> Result<()>;
    /// Waits at most `wait` for the first.
    fn receive(&mut self, wait: Duration, into: &mut Vec<Vec<u8>>) -> Result<()>;
}

/// What speaks to a log, unless it is said: rdkafka to Kafka, the coordinator's own to any other.
///
/// # Errors
/// When rdkafka is to speak to something else than Kafka.
pub fn client(place: &Place, said: Option<Client>) -> Result<Client> {
    match (place, said) {
        (Place::Kafka(_), said) => Ok(said.unwrap_or(Client::Rdkafka)),
        (Place::Embedded, None | Some(Client::Log)) => Ok(Client::Log),
        (Place::Embedded, Some(Client::Rdkafka)) => {
            bail!("rdkafka speaks to Kafka only: leave `--client` out, or say `--client log`")
        }
    }
}

/// Begins at the topic's first record; ready when this returns.
pub fn open(client: Client, log: &str, topic: &str, partitions: u32) -> Result<Box<dyn Pipe>> {
    Ok(match client {
        Client::Rdkafka => Box::new(Raw { consumer: consumer(log, topic, partitions)?, producer: producer(log)? }),
        Client::Log => through(&*sagaline_log::connect(log, &BTreeMap::new())?, topic)?,
    })
}

/// The same through a log that is open.
pub fn through(log: &dyn Log, topic: &str) -> Result<Box<dyn Pipe>> {
    Ok(Box::new(Through::open(log, topic)?))
}

struct Raw {
    consumer: BaseConsumer,
    producer: ThreadedProducer<DefaultProducerContext>,
}

/// The properties of `KafkaLog`'s producers that touch speed; the broker's address apart.
pub const PRODUCER: [(&str, &str); 5] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("linger.ms", "0"),
    ("compression.type", "lz4"),
    ("batch.size", "262144"),
];

fn bootstrap(log: &str) -> Result<&str> {
    log.strip_prefix("kafka://").with_context(|| format!("rdkafka speaks to Kafka only, not to {log}"))
}

/// rdkafka's, as `KafkaLog` has it.
pub fn producer(log: &str) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap(log)?);
    config.set("message.timeout.ms", "0").set("socket.nagle.disable", "true");
    for (name, value) in PRODUCER {
        config.set(name, value);
    }
    Ok(config.create()?)
}

/// rdkafka's, as `KafkaLog` has it, at the beginning of each partition.
pub fn consumer(log: &str, topic: &str, partitions: u32) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap(log)?)
        .set("group.id", "raw")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("check.crcs", "true")
        .set("fetch.queue.backoff.ms", "5")
        .set("socket.nagle.disable", "true")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, i32::try_from(partition)?, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

impl Pipe for Raw {
    fn send(&mut self, topic: &str, partition: u32, value: &[u8]) -> Result<()> {
        let record = BaseRecord::<(), [u8]>::to(topic).partition(i32::try_from(partition)?).payload(value);
        self.producer.send(record).map_err(|(error, _)| error).context("sending")
    }

    fn receive(&mut self, mut wait: Duration, into: &mut Vec<Vec<u8>>) -> Result<()> {
        while into.len() < BATCH
            && let Some(message) = self.consumer.poll(wait)
        {
            into.push(message?.payload().context("a message without value")?.to_vec());
            wait = Duration::ZERO;
        }
        Ok(())
    }
}

/// Through the coordinator's own log, whichever it is.
pub struct Through {
    reader: Box<dyn GroupReader>,
    producer: Box<dyn Producer>,
    events: Vec<GroupEvent>,
    acknowledgements: Vec<Acknowledgement>,
    tickets: u64,
}

impl Through {
    /// All partitions of the topic are assigned when this returns.
    pub fn open(log: &dyn Log, topic: &str) -> Result<Self> {
        let partitions = log.topic(topic)?.with_context(|| format!("there is no topic {topic}"))?.partitions;
        let mut reader = log.join(topic, "bench", &[topic.to_owned()])?;
        let (begin, mut assigned) = (Instant::now(), 0);
        let mut early = Vec::new();
        while assigned < usize::try_from(partitions)? {
            ensure!(begin.elapsed() < Duration::from_secs(30), "the group does not assign {topic}");
            reader.poll(1, Duration::from_millis(100), &mut early)?;
            assigned =
                early.iter().map(|event| if let GroupEvent::Assigned(list) = event { list.len() } else { 0 }).sum();
        }
        early.retain(|event| matches!(event, GroupEvent::Record(_)));
        Ok(Self { reader, producer: log.producer()?, events: early, acknowledgements: Vec::new(), tickets: 0 })
    }
}

impl Pipe for Through {
    fn send(&mut self, topic: &str, partition: u32, value: &[u8]) -> Result<()> {
        let record = Record { value: value.to_vec(), ..Record::default() };
        self.tickets += 1;
        Ok(self.producer.append(topic, partition, &record, self.tickets)?)
    }

    fn receive(&mut self, wait: Duration, into: &mut Vec<Vec<u8>>) -> Result<()> {
        self.producer.poll(Duration::ZERO, &mut self.acknowledgements);
        for acknowledgement in self.acknowledgements.drain(..) {
            acknowledgement.outcome?;
        }
        self.reader.poll(BATCH, wait, &mut self.events)?;
        for event in self.events.drain(..) {
            match event {
                GroupEvent::Record(fetched) => into.push(fetched.record.value),
                GroupEvent::Assigned(_) | GroupEvent::Revoked(_) => bail!("the group changed while measuring"),
            }
        }
        Ok(())
    }
}
