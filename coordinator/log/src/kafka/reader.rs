//! Reads one partition from a position. A position that is lost is an error for good: nothing here moves a reader to where there
//! happen to be records.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Message, Offset as Position, TopicPartitionList};
use sagaline_schemas::{Offset, Partition};

use super::admin::Admin;
use super::error::{LastWord, Listening, failed, is_connection};
use super::{PATIENCE, fetched, native, whole_millis};
use crate::{Fetched, LogError, Reader};

pub(super) struct KafkaReader {
    consumer: BaseConsumer<Listening>,
    bootstrap: String,
    topic: Arc<str>,
    partition: Partition,
    next: Offset,
    /// Set when reading can't go on.
    broken: Option<LogError>,
}

impl KafkaReader {
    pub(super) fn new(
        config: &ClientConfig,
        admin: &Admin,
        topic: &str,
        partition: Partition,
        from: Offset,
    ) -> Result<Self, LogError> {
        if admin.partitions(topic)? <= partition {
            return Err(LogError::NoTopic { topic: format!("{topic}/{partition}") });
        }
        let bootstrap = admin.bootstrap().to_owned();
        let place = format!("{topic}/{partition}");
        let consumer: BaseConsumer<Listening> = config
            .create_with_context(Listening::default())
            .map_err(|e| failed(&e, &place, &bootstrap, &LastWord::default()))?;
        let (start, end) = watermarks(&consumer, topic, partition, &bootstrap)?;
        if !(start..=end).contains(&from) {
            return Err(LogError::OutOfRange { topic: topic.to_owned(), partition, offset: from, start, end });
        }
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic, native(partition), Position::Offset(from))
            .and_then(|()| consumer.assign(&assignment))
            .map_err(|e| failed(&e, &place, &bootstrap, &consumer.context().last_word))?;
        Ok(Self { consumer, bootstrap, topic: topic.into(), partition, next: from, broken: None })
    }

    /// None: the client deals with it by itself.
    fn judge(&mut self, error: &KafkaError) -> Option<LogError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => Some(self.lost()),
            // It is no member of its group, and needs no right to be one.
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => None,
            Some(code) if is_connection(code) => None,
            _ => Some(failed(error, &self.topic, &self.bootstrap, &self.consumer.context().last_word)),
        }
    }

    /// Only a place that is lost is lost for good; what else goes wrong is said once, and may have passed by the next poll.
    fn say_broken(&mut self) -> Result<(), LogError> {
        let error = self.broken.take();
        self.broken = error.clone().filter(|error| matches!(error, LogError::OutOfRange { .. }));
        error.map_or(Ok(()), Err)
    }

    fn lost(&mut self) -> LogError {
        match self.bounds() {
            Ok((start, end)) => LogError::OutOfRange {
                topic: self.topic.to_string(),
                partition: self.partition,
                offset: self.next,
                start,
                end,
            },
            Err(error) => error,
        }
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.say_broken()?;
        let full = into.len() + max;
        let mut wait = whole_millis(wait);
        while into.len() < full {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    self.next = message.offset() + 1;
                    into.push(fetched(&self.topic, &message));
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => {
                    self.broken = self.judge(&error);
                    if self.broken.is_some() {
                        break;
                    }
                }
            }
        }
        // What came before the error is read first.
        if into.len() + max == full { self.say_broken() } else { Ok(()) }
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        watermarks(&self.consumer, &self.topic, self.partition, &self.bootstrap)
    }
}

/// First offset held and first not yet held, as the broker says now.
pub(super) fn watermarks<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: Partition,
    bootstrap: &str,
) -> Result<(Offset, Offset), LogError> {
    let place = format!("{topic}/{partition}");
    match consumer.fetch_watermarks(topic, native(partition), PATIENCE) {
        // librdkafka's "don't know" is a negative offset, not an error.
        Ok((start, end)) if start < 0 || end < start => {
            Err(LogError::Io { place, detail: format!("the broker did not say what it holds ({start}..{end})") })
        }
        Ok(bounds) => Ok(bounds),
        Err(error) => Err(failed(&error, &place, bootstrap, &LastWord::default())),
    }
}
