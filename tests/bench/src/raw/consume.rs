//! A whole topic read and nothing done with it: what folding it anew is measured by.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::Message;
use sagaline_log::Log;
use serde::Serialize;

use super::pipe;
use crate::place::Place;

/// Longest wait for any record.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records taken at once of the embedded log.
const BATCH: usize = 1_000;

/// What was read.
#[derive(Serialize)]
pub struct Consumed {
    pub records: u64,
    pub seconds: f64,
}

/// Reads all that a topic holds: on Kafka by one consumer of rdkafka, with all that it takes to begin. An embedded log is nobody else's now.
///
/// # Errors
/// When the log ends before its end.
pub fn all(place: &Place, address: &str, topic: &str) -> Result<Consumed> {
    let log = sagaline_log::connect(address, &BTreeMap::new())?;
    let partitions = log.topic(topic)?.with_context(|| format!("there is no topic {topic}"))?.partitions;
    let mut ends = 0;
    for partition in 0..partitions {
        ends += u64::try_from(log.reader(topic, partition, 0)?.bounds()?.1)?;
    }
    let begin = Instant::now();
    let bytes = match place {
        Place::Kafka(_) => of_kafka(address, topic, partitions, ends)?,
        Place::Embedded => of_log(&*log, topic, partitions)?,
    };
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(bytes > 0, "{topic} holds nothing");
    Ok(Consumed { records: ends, seconds })
}

fn of_kafka(address: &str, topic: &str, partitions: u32, records: u64) -> Result<usize> {
    use rdkafka::consumer::Consumer;
    let consumer = pipe::consumer(address, topic, partitions)?;
    let mut bytes = 0;
    for read in 0..records {
        let message = consumer.poll(PATIENCE).with_context(|| format!("{topic} ends after {read} of {records}"))??;
        bytes += message.payload().map_or(0, <[u8]>::len);
    }
    consumer.unassign()?;
    Ok(bytes)
}

fn of_log(log: &dyn Log, topic: &str, partitions: u32) -> Result<usize> {
    let (mut bytes, mut records) = (0, Vec::new());
    for partition in 0..partitions {
        let mut reader = log.reader(topic, partition, 0)?;
        let end = reader.bounds()?.1;
        let mut next = 0;
        while next < end {
            reader.poll(BATCH, PATIENCE, &mut records)?;
            ensure!(!records.is_empty(), "{topic}/{partition} ends at {next} of {end}");
            next += i64::try_from(records.len())?;
            bytes += records.drain(..).map(|fetched| fetched.record.value.len()).sum::<usize>();
        }
    }
    Ok(bytes)
}
