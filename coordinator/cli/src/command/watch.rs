//! `watch`: counts, throughput, channels and lag, again and again. On a terminal the same lines are drawn over; in a pipe each look is one line.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use sagaline_node::api::model::{Counts, Status};
use serde_json::{Value as Json, json};

use crate::args::{Common, Watch};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print::{self, Table};

/// Counting reads every saga: it may take a tenth of the time.
const SHARE: u32 = 10;
/// Back to the first column of the first line, and everything below is wiped.
const HOME: &str = "\x1b[H\x1b[J";

/// One look.
struct Look {
    at: Instant,
    /// None: a partition has halted, and nobody knows its sagas.
    counts: Option<Counts>,
    status: Json,
}

impl Look {
    fn take(client: &Client) -> Result<Self, Failure> {
        let status = client.get("/v1/status", &[])?;
        let counts = match client.get("/v1/sagas/counts", &[]) {
            Err(failure) if failure.exit == Exit::Halted => None,
            counts => Some(counts?),
        };
        Ok(Self { at: Instant::now(), counts, status })
    }

    fn partitions(&self) -> impl Iterator<Item = &Json> {
        self.status["partitions"].as_array().into_iter().flatten()
    }

    fn sum(&self, pointer: &str) -> i64 {
        self.partitions().filter_map(|partition| partition.pointer(pointer)?.as_i64()).sum()
    }

    fn lag(&self) -> i64 {
        self.sum("/log_end") - self.sum("/position")
    }

    /// The sagas of a status, where they could be counted.
    fn count(&self, status: Status) -> Option<u64> {
        self.counts.as_ref().map(|counts| counts.by_status.get(&status).copied().unwrap_or(0))
    }

    /// Partitions that are folded no more, and why.
    fn halted(&self) -> Vec<(i64, &str)> {
        let told = self.partitions().filter_map(|partition| {
            let why = partition.pointer("/standing/reason")?.as_str()?;
            Some((partition["partition"].as_i64()?, why))
        });
        told.collect()
    }

    /// Records in the registry that nobody believes.
    fn refused(&self) -> Option<String> {
        let (newest, why) = self.status["refused_definitions"]
            .as_object()?
            .iter()
            .max_by_key(|(offset, _)| offset.parse::<i64>().ok())?;
        Some(format!("the record at offset {newest} of `definitions` is refused: {}", why.as_str()?))
    }

    /// What hinders ingress; where nothing does, what it has lost last.
    fn ingress(&self) -> Option<String> {
        let lost = self.status.pointer("/ingress/lost").and_then(Json::as_array).and_then(|lost| lost.last());
        let told = self.status.pointer("/ingress/trouble").filter(|trouble| !trouble.is_null());
        let told = told.or_else(|| lost?.get("why"))?.as_str()?;
        Some(format!("ingress: {told}"))
    }

    /// What people are to see before anything else.
    fn troubles(&self) -> Vec<String> {
        self.refused().into_iter().chain(self.ingress()).collect()
    }

    /// Outbox, and whether it is down, by channel over all partitions.
    fn channels(&self) -> Vec<(String, i64, Option<String>)> {
        let mut channels: Vec<(String, i64, Option<String>)> = Vec::new();
        for channel in self.partitions().filter_map(|partition| partition["channels"].as_array()).flatten() {
            let name = channel["channel"].as_str().unwrap_or_default();
            let down = channel.pointer("/down/why").and_then(Json::as_str).map(str::to_owned);
            let outbox = channel["outbox"].as_i64().unwrap_or(0);
            match channels.iter_mut().find(|(known, ..)| known == name) {
                Some((_, sum, why)) => (*sum, *why) = (*sum + outbox, why.take().or(down)),
                None => channels.push((name.to_owned(), outbox, down)),
            }
        }
        channels.sort();
        channels
    }
}

/// What happened between two looks, a second.
struct Rates {
    started: f64,
    ended: f64,
    records: f64,
}

fn rates(before: Option<&Look>, now: &Look) -> Rates {
    let Some(before) = before else { return Rates { started: 0.0, ended: 0.0, records: 0.0 } };
    let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
    let rate = |pointer: &str| (now.sum(pointer) - before.sum(pointer)).max(0) as f64 / seconds;
    Rates { started: rate("/counters/started"), ended: rate("/counters/ended"), records: rate("/position") }
}

/// `sagaline watch`
pub fn watch(watch: &Watch, common: &Common, client: &Client) -> Result<(), Failure> {
    let drawn = std::io::stdout().is_terminal() && !common.json;
    let mut before: Option<Look> = None;
    for number in 1.. {
        let begun = Instant::now();
        let look = Look::take(client)?;
        let cost = begun.elapsed();
        let rates = rates(before.as_ref(), &look);
        match (common.json, drawn) {
            (true, _) => print::line(as_json(&look, &rates))?,
            (false, true) => print::text(&format!("{HOME}{}", drawing(&look, &rates)))?,
            (false, false) => print::line(as_line(&look, &rates))?,
        }
        if watch.times.is_some_and(|times| number >= times) {
            break;
        }
        before = Some(look);
        std::thread::sleep(watch.every.max(cost * SHARE).min(Duration::from_secs(3600)));
    }
    Ok(())
}

fn as_json(look: &Look, rates: &Rates) -> Json {
    let Rates { started, ended, records } = rates;
    let channels: Vec<Json> = look
        .channels()
        .into_iter()
        .map(|(channel, outbox, down)| json!({ "channel": channel, "outbox": outbox, "down": down }))
        .collect();
    json!({
        "counts": look.counts.as_ref().map(|counts| &counts.by_status), "lag": look.lag(), "channels": channels,
        "halted": look.halted().into_iter().map(|(partition, why)| json!({ "partition": partition, "why": why })).collect::<Vec<_>>(),
        "per_second": { "started": started, "ended": ended, "records": records },
    })
}

fn as_line(look: &Look, rates: &Rates) -> String {
    let counts =
        Status::ALL.into_iter().filter_map(|status| Some((status, look.count(status).filter(|count| *count > 0)?)));
    let counts: Vec<String> = counts.map(|(status, count)| format!("{} {count}", status.word())).collect();
    let counts = match (&look.counts, counts.is_empty()) {
        (None, _) => "sagas are not counted".to_owned(),
        (Some(_), true) => "no sagas".to_owned(),
        (Some(_), false) => counts.join(", "),
    };
    let down: Vec<String> =
        look.channels().into_iter().filter(|(.., down)| down.is_some()).map(|(name, ..)| name).collect();
    let down = if down.is_empty() { String::new() } else { format!("; down: {}", down.join(", ")) };
    let Rates { started, ended, records } = rates;
    let refused = look.refused().map_or_else(String::new, |refused| format!("; {refused}"));
    let halted: Vec<String> =
        look.halted().into_iter().map(|(partition, why)| format!("; partition {partition} is halted: {why}")).collect();
    let troubles: String = look.troubles().iter().map(|trouble| format!("; {trouble}")).collect();
    format!(
        "{counts}; {started:.0} started/s, {ended:.0} ended/s, {records:.0} records/s; lag {}{down}{refused}{}{troubles}",
        look.lag(),
        halted.concat()
    )
}

fn drawing(look: &Look, rates: &Rates) -> String {
    let mut counts = Table::new(&["STATUS", "SAGAS"]);
    for status in Status::ALL {
        let count = look.count(status).map_or_else(|| "?".to_owned(), |count| count.to_string());
        counts.row(vec![print::status(status), count]);
    }
    let mut channels = Table::new(&["CHANNEL", "OUTBOX", "DOWN"]);
    for (name, outbox, down) in look.channels() {
        channels.row(vec![name, outbox.to_string(), down.map_or_else(|| "-".to_owned(), |why| print::red(&why))]);
    }
    let mut partitions = Table::new(&["PARTITION", "STANDING", "POSITION", "LAG", "LOG TIME"]);
    look.partitions().for_each(|partition| partitions.row(partition_row(partition)));
    let Rates { started, ended, records } = rates;
    let head = print::bold(look.status["log"].as_str().unwrap_or_default());
    let troubles: String = look.troubles().iter().map(|trouble| format!("{}\n", print::red(trouble))).collect();
    format!(
        "{head}\n{troubles}{started:.0} started/s  {ended:.0} ended/s  {records:.0} records/s\n\n{}\n{}\n{}",
        counts.text(),
        channels.text(),
        partitions.text()
    )
}

fn partition_row(partition: &Json) -> Vec<String> {
    let number = |name: &str| partition[name].as_i64().unwrap_or(0);
    let standing = partition.pointer("/standing/is").and_then(Json::as_str).unwrap_or("unknown");
    let reason = partition.pointer("/standing/reason").or(partition.get("trouble")).and_then(Json::as_str);
    let standing = match reason {
        Some(reason) => print::red(&format!("{standing}: {reason}")),
        None => standing.to_owned(),
    };
    let (position, log_end) = (number("position"), number("log_end"));
    vec![
        number("partition").to_string(),
        standing,
        position.to_string(),
        (log_end - position).max(0).to_string(),
        print::time(number("log_time")),
    ]
}
