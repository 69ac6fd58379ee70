//! Parcels: a step that is done at once, then three weeks of waiting for an event that does not come.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sagaline_integration::dev::Dev;
use sagaline_log::{Log, Record};
use sagaline_node::api::events;
use serde_json::json;

/// Who collects them; a mock.
pub const PARTICIPANT: &str = "carrier";
const TOPIC: &str = "parcels";
/// Bytes of the event that begins a saga.
const EVENT: usize = 300;
/// Events handed to the log at once.
const AT_ONCE: usize = 10_000;

const DEFINITION: &str = r#"
saga: parcel
version: 1.0.0
owner: team-logistics
use: [carrier]
types:
  Parcel:
    type: record
    fields:
      - { name: parcel_id, type: string }
      - { name: sender, type: string }
      - { name: street, type: string }
      - { name: country, type: string }
      - { name: grams, type: long }
      - { name: note, type: string }
start: { topic: parcels, if: event.type == 'sent', key: event.parcel_id, type: Parcel }
deadline: { after: 60d, else: compensate }
steps:
  - step: collect
    call: carrier.collect
    with: { parcel: "${input.parcel_id}", street: "${input.street}", country: "${input.country}", grams: "${input.grams}" }
  - step: arrived
    wait: { topic: parcels, if: event.type == 'arrived', key: event.parcel_id, within: 21d, else: compensate }
"#;

const CONTRACT: &str = r#"
participant: carrier
version: 1.0.0
owner: team-carrier
types:
  Collect:
    type: record
    fields:
      - { name: parcel, type: string }
      - { name: street, type: string }
      - { name: country, type: string }
      - { name: grams, type: long }
  Collected:
    type: record
    fields:
      - { name: tracking, type: string }
      - { name: grams, type: long }
operations:
  collect: { in: Collect, out: Collected, idempotent: by_key, compensate: bring_back }
  bring_back: { in: Collect, idempotent: by_key }
"#;

/// Writes definition and contract where `sagaline dev` finds them.
pub fn define(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir.join("definitions/contracts"))?;
    std::fs::write(dir.join("definitions/parcel.yaml"), DEFINITION)?;
    Ok(std::fs::write(dir.join("definitions/contracts/carrier.yaml"), CONTRACT)?)
}

/// Begins the sagas of these numbers.
pub fn send(log: &dyn Log, mut numbers: Range<usize>) -> Result<()> {
    while !numbers.is_empty() {
        let end = numbers.end.min(numbers.start + AT_ONCE);
        let records: Vec<Record> = (numbers.start..end).map(record).collect();
        events::append(log, TOPIC, &records)?;
        numbers.start = end;
    }
    Ok(())
}

fn record(number: usize) -> Record {
    let event = |note: &str| {
        json!({
            "type": "sent", "parcel_id": format!("parcel-{number:08}"), "sender": format!("customer-{}", number % 977),
            "street": format!("{} Canal Street", number % 211), "country": "Portugal", "grams": 200 + number % 5_000, "note": note,
        })
        .to_string()
    };
    let note = note(number, EVENT - event("").len());
    Record { key: format!("parcel-{number:08}").into_bytes(), value: event(&note).into_bytes(), headers: Vec::new() }
}

/// So many bytes of words in an order of their own: a compressor must not make less of a thousand parcels than of a thousand people's notes.
fn note(number: usize, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "leave",
        "beside",
        "door",
        "garage",
        "neighbour",
        "fragile",
        "ring",
        "twice",
        "after",
        "noon",
        "blue",
        "gate",
        "third",
        "floor",
        "call",
        "before",
    ];
    let (mut note, mut draw) = (String::new(), number as u64 + 1);
    while note.len() < bytes {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        note.push_str(WORDS[(draw >> 60) as usize]);
        note.push(if draw & (1 << 40) == 0 { ' ' } else { ',' });
    }
    note.truncate(bytes);
    note
}

/// How many sagas wait for their parcel's arrival, as the API tells of each. An error if one does anything else.
pub fn waiting(dev: &Dev) -> Result<usize> {
    let (mut waiting, mut cursor) = (0, String::new());
    loop {
        let page = dev.get(&format!("sagas?limit=1000{cursor}"))?;
        for saga in page["sagas"].as_array().context("a page has sagas")? {
            let waits = saga["waiting_on"] == json!([TOPIC]);
            ensure!(saga["status"] == "running", "it should wait: {saga}");
            waiting += usize::from(waits && saga["steps"] == json!(["arrived"]));
        }
        match page["next"].as_str() {
            None => return Ok(waiting),
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}
