//! `send`: events from a file of JSON lines, through the API of `dev` or straight to a Kafka.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sagaline_log::Record;
use sagaline_node::api::events;
use sagaline_node::api::model::{Events, Sent};
use sagaline_schemas::Value;

use crate::args::{Common, Send};
use crate::client::Client;
use crate::exit::Failure;
use crate::print;

/// Events asked to be taken at once.
const AT_ONCE: usize = 1_000;

/// `sagaline send`
pub fn send(send: &Send, common: &Common, client: &dyn Fn() -> Result<Client, Failure>) -> Result<(), Failure> {
    let events = read(&send.file)?;
    let sent = match &send.bootstrap {
        None => through_api(send, &events, &client()?)?,
        Some(bootstrap) => to_kafka(send, bootstrap, &events)?,
    };
    if common.json {
        return print::json(&Sent { sent });
    }
    print::line(format_args!("sent: {sent} events to {}", send.topic))
}

fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::file(path, &error))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line): (usize, &str)| {
        let wrong =
            |error| Failure::usage(format_args!("{}:{number}: no JSON: {error}. Nothing was sent", path.display()));
        Value::parse(line.as_bytes()).map_err(wrong)
    };
    lines.map(parse).collect()
}

fn through_api(send: &Send, events: &[Value], client: &Client) -> Result<usize, Failure> {
    let mut sent = 0;
    for chunk in events.chunks(AT_ONCE) {
        let chunk = Events { topic: send.topic.clone(), key: send.key.clone(), events: chunk.to_vec() };
        let answer: Sent = client.post("/v1/events", &chunk, Duration::ZERO)?;
        sent += answer.sent;
    }
    Ok(sent)
}

fn to_kafka(send: &Send, bootstrap: &str, events: &[Value]) -> Result<usize, Failure> {
    let properties: BTreeMap<String, String> = send.properties.iter().cloned().collect();
    let log = sagaline_log::connect(&format!("kafka://{bootstrap}"), &properties)?;
    let record = |event: &Value| {
        let key = events::key_of(event, send.key.as_deref()).map_err(Failure::usage)?;
        Ok(Record { key, value: event.to_json(), headers: Vec::new() })
    };
    let records = events.iter().map(record).collect::<Result<Vec<_>, Failure>>()?;
    Ok(events::append(&*log, &send.topic, &records)?)
}
