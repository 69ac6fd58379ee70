//! The headers of what is published: copies for other tools, in CloudEvents' binary mode. They are read out of the value that they stand
//! beside; nothing of Sagaline reads them, and what can't be told is left out.

use sagaline_partition::Published;
use sagaline_schemas::command::Known;
use sagaline_schemas::hash::kind_name;
use sagaline_schemas::output::{ParkedReason, ParticipantEventKind, SagaEventKind};
use sagaline_schemas::proof::{OpenError, open_single_object};
use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::{Reader, Wire, WireError};
use sagaline_schemas::{Millis, OutputId, SagaId, schema};

use crate::calendar::rfc3339;

/// Names and values, as a record has them.
pub type Headers = Vec<(String, Vec<u8>)>;

/// What the value tells that headers repeat.
#[derive(Default)]
struct Told {
    kind: String,
    time: Millis,
    saga: Option<SagaId>,
    key: Option<String>,
    traceparent: Option<String>,
}

/// The headers of an output that `source`, an inbox partition, made, and `node` publishes.
pub fn of(published: &Published, source: &str, node: &str) -> Headers {
    let value = &published.output.value;
    let told = match published.channel.as_str() {
        "events" => open_single_object(schema::EVENT.fingerprint, value).and_then(|input| Ok(notice(input)?)),
        "parked" => open_single_object(schema::PARKED.fingerprint, value).and_then(|input| Ok(parked(input)?)),
        _ => open_single_object(schema::COMMAND.fingerprint, value).and_then(|input| Ok(command(input)?)),
    };
    told.map_or_else(|_: OpenError| Headers::new(), |told| headers(told, &published.output.id, source, node))
}

fn headers(told: Told, id: &OutputId, source: &str, node: &str) -> Headers {
    let mut headers = Headers::with_capacity(9);
    let mut put = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    put("ce_specversion", "1.0".to_owned());
    put("ce_id", id.to_string());
    put("ce_source", source.to_owned());
    put("ce_type", told.kind);
    put("ce_time", rfc3339(told.time));
    put("sagaline-node", node.to_owned());
    if let Some(saga) = told.saga {
        put("sagaline-saga", saga.to_string());
    }
    if let Some(key) = told.key {
        put("sagaline-key", key);
    }
    if let Some(traceparent) = told.traceparent {
        put("traceparent", traceparent);
    }
    headers
}

/// `Command`, its fields in order; long ones are stepped over.
fn command(mut input: Reader<'_>) -> Result<Told, WireError> {
    let saga = SagaId::decode(&mut input)?;
    skip_bytes(&mut input)?;
    Vec::<u32>::decode(&mut input)?;
    let _round = input.long()?;
    let kind = Kind::decode(&mut input)?;
    let _attempt = input.long()?;
    input.take(4 * 16)?;
    skip_bytes(&mut input)?;
    skip_bytes(&mut input)?;
    Option::<Known>::decode(&mut input)?;
    let _decided = input.long()?;
    let time = input.long()?;
    let _deadline = input.long()?;
    skip_bytes(&mut input)?;
    let _reply_partition = input.long()?;
    let mut key = String::decode(&mut input)?;
    let definition = key.find('/').map(|slash| slash + 1);
    key.drain(..definition.unwrap_or(0));
    let traceparent = Option::<String>::decode(&mut input)?;
    let kind = ["sagaline.command.", kind_name(kind)].concat();
    Ok(Told { kind, time, saga: Some(saga), key: Some(key), traceparent })
}

/// `Notice`, as far as it is needed.
fn notice(mut input: Reader<'_>) -> Result<Told, WireError> {
    OutputId::decode(&mut input)?;
    let time = input.long()?;
    let _partition = input.long()?;
    let _offset = input.long()?;
    if input.branch(2)? == 1 {
        skip_bytes(&mut input)?;
        skip_bytes(&mut input)?;
        let kind = format!("sagaline.participant.{}", word(&ParticipantEventKind::decode(&mut input)?));
        return Ok(Told { kind, time, ..Told::default() });
    }
    let saga = SagaId::decode(&mut input)?;
    skip_bytes(&mut input)?;
    skip_bytes(&mut input)?;
    let key = String::decode(&mut input)?;
    skip_bytes(&mut input)?;
    let kind = format!("sagaline.saga.{}", word(&SagaEventKind::decode(&mut input)?));
    Ok(Told { kind, time, saga: Some(saga), key: Some(key), traceparent: None })
}

/// `Parked`, as far as it is needed.
fn parked(mut input: Reader<'_>) -> Result<Told, WireError> {
    OutputId::decode(&mut input)?;
    let kind = format!("sagaline.parked.{}", word(&ParkedReason::decode(&mut input)?));
    skip_bytes(&mut input)?;
    let _partition = input.long()?;
    let _offset = input.long()?;
    Ok(Told { kind, time: input.long()?, ..Told::default() })
}

fn skip_bytes(input: &mut Reader<'_>) -> Result<(), WireError> {
    let length = usize::try_from(input.long()?).map_err(|_| WireError::Truncated)?;
    input.take(length).map(|_| ())
}

/// `StepDone` is `step_done`.
fn word(symbol: &impl std::fmt::Debug) -> String {
    let mut word = String::with_capacity(16);
    for letter in format!("{symbol:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests;
