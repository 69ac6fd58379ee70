//! Domain events into the embedded log, for trying things out. A Kafka has producers of its own: there this is refused.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use sagaline_log::{Log, LogError, NewTopic, Producer, Record};
use sagaline_schemas::Value;

use super::error::ApiError;
use super::extract::{Body, LARGE, blocking};
use super::model::{ErrorCode, Events, Sent};
use super::{Api, unreachable};

/// Longest time for the log to take all of them.
const PATIENCE: Duration = Duration::from_secs(30);
/// One look at the acknowledgements.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn send(State(api): State<Api>, Body(events): Body<Events, LARGE>) -> Result<Json<Sent>, ApiError> {
    if !api.dev {
        let help = "send them to Kafka: `sagaline send TOPIC FILE --bootstrap HOST:PORT`";
        return Err(ApiError::new(ErrorCode::Refused, "events are taken by `sagaline dev` only", help));
    }
    if is_ours(&api, &events.topic) {
        let message = format!("{} is a topic of Sagaline's own", events.topic);
        return Err(ApiError::new(ErrorCode::Refused, message, "name a domain topic"));
    }
    let records =
        events.events.iter().map(|event| record(event, events.key.as_deref())).collect::<Result<Vec<_>, _>>()?;
    let send = move || {
        let log = &**api.node.log();
        ensure_topic(log, &events.topic).and_then(|()| append(log, &events.topic, &records))
    };
    let sent = blocking(move || send().map_err(|error| unreachable(&error))).await?;
    Ok(Json(Sent { sent }))
}

fn is_ours(api: &Api, topic: &str) -> bool {
    let names = api.node.names();
    let own =
        [names.inbox(), names.definitions(), names.reconcile(), names.of_channel("events"), names.of_channel("parked")];
    own.iter().any(|name| name == topic) || topic.starts_with(&names.of_channel("commands."))
}

fn record(event: &Value, key: Option<&str>) -> Result<Record, ApiError> {
    let key = key_of(event, key).map_err(|error| ApiError::bad(error.to_string(), "nothing was sent"))?;
    Ok(Record { key, value: event.to_json(), headers: Vec::new() })
}

/// An event without the member that is to be its record's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has no member {0:?} that is a text or a whole number: name another member as the key, or none")]
pub struct NoKey(String);

/// The key of an event's record: its member of that name; without a name: none.
///
/// # Errors
/// When the event has no such member, or it can be no key.
pub fn key_of(event: &Value, member: Option<&str>) -> Result<Vec<u8>, NoKey> {
    let Some(name) = member else { return Ok(Vec::new()) };
    match event.get(name) {
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(Value::Int(number)) => Ok(number.to_string().into_bytes()),
        _ => Err(NoKey(name.to_owned())),
    }
}

/// Appends records in order, each to the partition of its key; gives how many once all are durable.
///
/// # Errors
/// When the topic is not there, or the log refuses a record; those before it may lie in the log.
pub fn append(log: &dyn Log, topic: &str, records: &[Record]) -> Result<usize, LogError> {
    let there = log.topic(topic)?.ok_or_else(|| LogError::NoTopic { topic: topic.to_owned() })?;
    let mut producer = log.producer()?;
    for (ticket, record) in (0..).zip(records) {
        let partition = (xxhash_rust::xxh3::xxh3_64(&record.key) % u64::from(there.partitions.max(1))) as u32;
        while let Err(error) = producer.append(topic, partition, record, ticket) {
            match error {
                LogError::QueueFull { .. } => settle(producer.as_mut())?,
                other => return Err(other),
            }
        }
    }
    settle(producer.as_mut())?;
    Ok(records.len())
}

/// Until everything handed over is acknowledged.
fn settle(producer: &mut dyn Producer) -> Result<(), LogError> {
    let begun = Instant::now();
    let mut answers = Vec::new();
    while producer.in_flight() > 0 {
        producer.poll(LOOK, &mut answers);
        for answer in answers.drain(..) {
            answer.outcome?;
        }
        if begun.elapsed() > PATIENCE {
            let detail = format!("not all was acknowledged within {} s", PATIENCE.as_secs());
            return Err(LogError::OutcomeUnknown { detail });
        }
    }
    Ok(())
}

/// Makes a domain topic of one partition, if it is missing: for the embedded log only.
///
/// # Errors
/// When the log refuses.
pub fn ensure_topic(log: &dyn Log, topic: &str) -> Result<(), LogError> {
    let new = NewTopic { name: topic.to_owned(), partitions: 1, replicas: 1, settings: Vec::new() };
    match log.topic(topic)? {
        Some(_) => Ok(()),
        None => log.create_topic(&new).map(|_| ()),
    }
}
