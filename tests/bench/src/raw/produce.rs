//! Whether the baseline is one: what our client appends a second, beside what Kafka's own kafka-producer-perf-test does with the same
//! properties, partitions and record size. A baseline that is slow for a reason of its own would flatter all that is measured by it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer};
use sagaline_log::NewTopic;
use serde::Serialize;

use super::message::Message;
use super::pipe::{self, PRODUCER};
use super::{PARTITIONS, unique};

/// How far the two may lie apart, of perf-test's.
pub const APART: f64 = 0.3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Records a second of both.
#[derive(Serialize)]
pub struct Sanity {
    pub records: u32,
    pub raw: f64,
    pub perf_test: f64,
}

impl Sanity {
    pub fn ratio(&self) -> f64 {
        self.raw / self.perf_test
    }

    /// In words, whether it is a baseline.
    pub fn verdict(&self) -> &'static str {
        match self.ratio() {
            ratio if ratio < 1.0 - APART => {
                "the raw pass-through is slower by more than 30 %: what is measured by it is flattered"
            }
            ratio if ratio > 1.0 + APART => {
                "the raw pass-through is faster by more than 30 %: a harder baseline than Kafka's own tool"
            }
            _ => "within 30 %",
        }
    }
}

/// Appends so many records twice. `kafka`: scripts/kafka, which knows where Kafka's tools lie.
///
/// # Errors
/// When one of the two can't.
pub fn measure(kafka: &Path, address: &str, records: u32) -> Result<Sanity> {
    let topic = |of: &str| -> Result<String> {
        let name = format!("sanity-{}-{}-{of}", std::process::id(), unique());
        let log = sagaline_log::connect(address, &Default::default())?;
        log.create_topic(&NewTopic { name: name.clone(), partitions: PARTITIONS, replicas: 1, settings: Vec::new() })?;
        Ok(name)
    };
    let perf_test = perf_test(kafka, address, &topic("perf-test")?, records)?;
    Ok(Sanity { records, raw: raw(address, &topic("raw")?, records)?, perf_test })
}

fn raw(address: &str, topic: &str, records: u32) -> Result<f64> {
    let producer = pipe::producer(address)?;
    let begin = Instant::now();
    for number in 0..records {
        let message = Message::start(number.into());
        let value = message.encode();
        let mut record =
            BaseRecord::<(), [u8]>::to(topic).partition(i32::try_from(message.partition())?).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            let full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            ensure!(full, "appending to {topic}: {error}");
            record = back;
            wait_for_room();
        }
    }
    producer.flush(PATIENCE)?;
    Ok(f64::from(records) / begin.elapsed().as_secs_f64())
}

/// The client's queue empties by itself.
fn wait_for_room() {
    std::thread::sleep(Duration::from_millis(1));
}

fn perf_test(kafka: &Path, address: &str, topic: &str, records: u32) -> Result<f64> {
    let bootstrap = address.strip_prefix("kafka://").context("perf-test speaks to Kafka only")?;
    let mut command = Command::new(kafka);
    command.args(["perf-test", "--topic", topic, "--num-records", &records.to_string(), "--throughput", "-1"]);
    command.args(["--record-size", &Message::SIZE.to_string(), "--producer-props"]);
    command.arg(format!("bootstrap.servers={bootstrap}"));
    command.args(PRODUCER.map(|(name, value)| format!("{name}={value}")));
    let ran = command.output().with_context(|| kafka.display().to_string())?;
    let said = String::from_utf8_lossy(&ran.stdout);
    if !ran.status.success() {
        bail!("kafka-producer-perf-test: {}{}", said, String::from_utf8_lossy(&ran.stderr));
    }
    rate(&said, records).with_context(|| format!("kafka-producer-perf-test says no rate of {records} records: {said}"))
}

/// What its last line says; the others are of the time until then.
fn rate(said: &str, records: u32) -> Option<f64> {
    let last = said.lines().rfind(|line| line.contains(" records sent, "))?;
    let (sent, rest) = last.split_once(" records sent, ")?;
    (sent.trim().parse() == Ok(records)).then_some(())?;
    rest.split_once(" records/sec")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_last_lines() {
        let said = "362342 records sent, 72468.4 records/sec (17.69 MB/sec), 1105.7 ms avg latency, 1409.0 ms max latency.\n\
                    500000 records sent, 123456.8 records/sec (30.14 MB/sec), 1.65 ms avg latency, 9.00 ms max latency, 1 ms 50th.\n";
        assert_eq!(rate(said, 500_000), Some(123_456.8));
        // Some were lost: that is no rate.
        assert_eq!(rate(said, 600_000), None);
        assert_eq!(rate("", 1), None);
    }

    #[test]
    fn a_baseline_that_is_slow_is_called_so() {
        let of = |raw| Sanity { records: 1, raw, perf_test: 100.0 }.verdict();
        assert_eq!(of(71.0), "within 30 %");
        assert_eq!(of(129.0), "within 30 %");
        assert!(of(69.0).contains("slower") && of(131.0).contains("faster"));
    }
}
