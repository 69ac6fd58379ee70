//! Short lists: definitions, contracts, what holds sagas back, parked records; and `skip`.

use std::time::Duration;

use sagaline_node::api::model::{ContractLine, DefinitionLine, GateLine, ParkedPage, Skip as Skipping, Skipped};

use crate::args::{Common, Parked, Skip};
use crate::client::Client;
use crate::exit::Failure;
use crate::print::{self, Table};

/// Digits of a digest that tell it from others among people.
const SHORT: usize = 12;

/// `sagaline definitions`
pub fn definitions(common: &Common, client: &Client) -> Result<(), Failure> {
    let lines: Vec<DefinitionLine> = client.get("/v1/definitions", &[])?;
    if common.json {
        return print::json(&lines);
    }
    let mut table = Table::new(&["DEFINITION", "VERSION", "ACTIVE", "OWNER", "TOPIC", "DIGEST", "STEPS"]);
    for line in lines {
        table.row(vec![
            line.name,
            line.version,
            if line.active { "yes" } else { "no" }.to_owned(),
            line.owner,
            line.topic.unwrap_or_else(|| "-".to_owned()),
            short(&line.digest),
            line.steps.join(", "),
        ]);
    }
    print::text(&table.text())
}

/// `sagaline contracts`
pub fn contracts(common: &Common, client: &Client) -> Result<(), Failure> {
    let lines: Vec<ContractLine> = client.get("/v1/contracts", &[])?;
    if common.json {
        return print::json(&lines);
    }
    let mut table = Table::new(&["PARTICIPANT", "VERSION", "OWNER", "DIGEST", "OPERATIONS"]);
    for line in lines {
        table.row(vec![line.participant, line.version, line.owner, short(&line.digest), line.operations.join(", ")]);
    }
    print::text(&table.text())
}

/// `sagaline gates`
pub fn gates(common: &Common, client: &Client) -> Result<(), Failure> {
    let lines: Vec<GateLine> = client.get("/v1/gates", &[])?;
    if common.json {
        return print::json(&lines);
    }
    if lines.is_empty() {
        return print::line(print::dim("nothing holds any saga back"));
    }
    let mut table = Table::new(&["BEFORE", "IS", "WAITING", "IN FLIGHT"]);
    for line in lines {
        let is = gate(&line);
        let waiting = match line.asking {
            0 => line.held.to_string(),
            asking => format!("{}, questions: {asking}", line.held),
        };
        table.row(vec![line.subject, is, waiting, line.in_flight.to_string()]);
    }
    print::text(&table.text())
}

fn gate(line: &GateLine) -> String {
    let mut said = Vec::new();
    if let Some(paused) = &line.paused {
        let since = print::time(paused.since);
        said.push(print::red(&format!("paused by {} at {since}: {}", paused.by, paused.reason)));
    }
    if let Some(down) = &line.down {
        let (since, next) = (print::time(down.since), print::time(down.next));
        said.push(print::red(&format!("down since {since}, tried again at {next}")));
    }
    if said.is_empty() { "open".to_owned() } else { said.join("; ") }
}

fn short(digest: &sagaline_schemas::Digest) -> String {
    let mut text = digest.to_string();
    text.truncate(SHORT);
    text
}

/// `sagaline parked`
pub fn parked(parked: &Parked, common: &Common, client: &Client) -> Result<(), Failure> {
    let page: ParkedPage = client.get("/v1/parked", &[("limit", parked.limit.to_string())])?;
    if common.json {
        return print::json(&page);
    }
    let mut table = Table::new(&["TIME", "INBOX", "BYTES", "REASON", "DETAIL"]);
    for line in &page.parked {
        table.row(vec![
            print::time(line.time),
            format!("{}/{}", line.partition, line.offset),
            line.length.to_string(),
            print::red(&line.reason),
            line.detail.clone(),
        ]);
    }
    print::text(&table.text())?;
    print::line(print::dim(&format!("{} of {} parked records", page.parked.len(), page.total)))
}

/// `sagaline skip`
pub fn skip(skip: &Skip, common: &Common, client: &Client) -> Result<(), Failure> {
    let (offset, timer) = skip.offset;
    let wanted = Skipping { partition: skip.partition, offset, timer, by: common.by(), reason: skip.reason.clone() };
    let skipped: Skipped = client.post("/v1/faults", &wanted, Duration::from_secs(10))?;
    if common.json {
        return print::json(&skipped);
    }
    print::line(format_args!(
        "the input at {offset}.{timer} of inbox partition {} will be passed over: Fault at offset {}",
        skipped.partition, skipped.fault
    ))
}
