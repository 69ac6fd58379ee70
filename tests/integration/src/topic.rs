//! Topics as a plain client reads and writes them.

use std::time::Duration;

use anyhow::{Context, Result};
use sagaline_log::{Fetched, Log, Producer, Record};
use sagaline_schemas::{Offset, Partition};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Every record of a topic, partition by partition.
///
/// # Errors
/// When it is not there, or can't be read.
pub fn read_all(log: &dyn Log, topic: &str) -> Result<Vec<Fetched>> {
    let partitions = log.topic(topic)?.with_context(|| format!("the topic {topic} is there"))?.partitions;
    let mut all = Vec::new();
    for partition in 0..partitions {
        let mut reader = log.reader(topic, partition, 0)?;
        let (mut next, end) = reader.bounds()?;
        while next < end {
            let mut fetched = Vec::new();
            reader.poll(1_000, LOOK, &mut fetched)?;
            next = fetched.last().map_or(next, |last: &Fetched| last.offset + 1);
            all.append(&mut fetched);
        }
    }
    Ok(all)
}

/// Appends values, each to its partition, and waits until they are in the log. Gives where each of them lies.
///
/// # Errors
/// When the log does not take one.
pub fn append_all<'a>(
    producer: &mut dyn Producer,
    topic: &str,
    values: impl IntoIterator<Item = (Partition, &'a [u8])>,
) -> Result<Vec<(Partition, Offset)>> {
    let (mut partitions, mut landed) = (Vec::new(), Vec::new());
    for (number, (partition, value)) in (0..).zip(values) {
        let record = Record { value: value.to_vec(), ..Record::default() };
        producer.append(topic, partition, &record, number)?;
        producer.poll(Duration::ZERO, &mut landed);
        partitions.push(partition);
    }
    while landed.len() < partitions.len() {
        producer.poll(LOOK, &mut landed);
    }
    landed.sort_by_key(|acknowledged| acknowledged.ticket);
    landed.into_iter().zip(partitions).map(|(landed, partition)| Ok((partition, landed.outcome?))).collect()
}
