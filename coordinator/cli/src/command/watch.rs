//! `watch`: counts, throughput, channels, lag and checkpoints, again and again. On a terminal the same lines are drawn over; in a pipe each look is one line.

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

    /// What hinders keeping checkpoints.
    fn keeping(&self) -> impl Iterator<Item = String> {
        let troubles = self.status["checkpoints_trouble"].as_object().into_iter().flatten();
        troubles.filter_map(|(partition, why)| Some(format!("partition {partition}: {}", why.as_str()?)))
    }

    /// What people are to see before anything else.
    fn troubles(&self) -> Vec<String> {
        self.refused().into_iter().chain(self.ingress()).chain(self.keeping()).collect()
    }

    /// By partition, the newest verified checkpoint; none: this node keeps none.
    fn checkpoints(&self) -> Option<Vec<Newest>> {
        let wall = self.status["wall"].as_i64()?;
        let newest = |partition: &Json| Newest {
            partition: partition["partition"].as_i64().unwrap_or(0),
            held: Held::read(&partition["restorable"], wall),
        };
        self.status["keeps_checkpoints"].as_bool()?.then(|| self.partitions().map(newest).collect())
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

/// The newest verified checkpoint of a partition.
struct Newest {
    partition: i64,
    held: Held,
}

enum Held {
    /// The node has not looked yet.
    Unknown,
    Nothing,
    Checkpoint {
        position: i64,
        /// Milliseconds since 1970.
        taken_at: i64,
        /// Milliseconds.
        age: i64,
    },
}

impl Held {
    /// As the status tells it; `wall`: milliseconds since 1970.
    fn read(restorable: &Json, wall: i64) -> Self {
        let number = |name: &str| restorable[name].as_i64();
        match (restorable["is"].as_str(), number("position").zip(number("taken_at"))) {
            (Some("never"), _) => Self::Nothing,
            (Some("from"), Some((position, taken_at))) => {
                Self::Checkpoint { position, taken_at, age: (wall - taken_at).max(0) }
            }
            _ => Self::Unknown,
        }
    }
}

impl Newest {
    fn cell(&self) -> String {
        match &self.held {
            Held::Unknown => print::dim("not looked yet"),
            Held::Nothing => print::red("none verified"),
            Held::Checkpoint { position, age, .. } => format!("{position}, {} old", print::span(*age)),
        }
    }

    fn json(&self) -> Json {
        let Self { partition, held } = self;
        let (is, checkpoint) = match held {
            Held::Unknown => ("unknown", None),
            Held::Nothing => ("none", None),
            Held::Checkpoint { position, taken_at, age } => ("verified", Some((position, taken_at, age))),
        };
        json!({
            "partition": partition, "is": is, "position": checkpoint.map(|(position, ..)| position),
            "taken_at": checkpoint.map(|(_, taken_at, _)| taken_at), "age_ms": checkpoint.map(|(.., age)| age),
        })
    }
}

/// The oldest of those that are known counts: as far back as that a lost disk throws somebody.
fn oldest(newest: &[Newest]) -> String {
    let (mut ages, mut missing, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for Newest { partition, held } in newest {
        match held {
            Held::Unknown => unknown.push(partition.to_string()),
            Held::Nothing => missing.push(partition.to_string()),
            Held::Checkpoint { age, .. } => ages.push(*age),
        }
    }
    let known = match ages.into_iter().max() {
        _ if !missing.is_empty() => format!("no verified checkpoint of partition {}", missing.join(", ")),
        Some(age) => format!("checkpoints {} old at most", print::span(age)),
        None => return "checkpoints not looked at yet".to_owned(),
    };
    match unknown.is_empty() {
        true => known,
        false => format!("{known}, those of partition {} not looked at yet", unknown.join(", ")),
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
            (false, true) => print::drawn(HOME, &drawing(&look, &rates))?,
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
        "checkpoints": look.checkpoints().map(|newest| newest.iter().map(Newest::json).collect::<Vec<_>>()),
        "troubles": look.troubles(),
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
    let kept = look.checkpoints().map_or_else(String::new, |newest| format!("; {}", oldest(&newest)));
    let halted: Vec<String> =
        look.halted().into_iter().map(|(partition, why)| format!("; partition {partition} is halted: {why}")).collect();
    let troubles: String = look.troubles().iter().map(|trouble| format!("; {trouble}")).collect();
    format!(
        "{counts}; {started:.0} started/s, {ended:.0} ended/s, {records:.0} records/s; lag {}{down}{kept}{}{troubles}",
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
    let mut partitions = Table::new(&["PARTITION", "STANDING", "POSITION", "LAG", "LOG TIME", "CHECKPOINT"]);
    let checkpoints = look.checkpoints();
    for (index, partition) in look.partitions().enumerate() {
        let newest = checkpoints.as_ref().and_then(|newest| newest.get(index));
        let mut row = partition_row(partition);
        row.push(newest.map_or_else(|| "-".to_owned(), Newest::cell));
        partitions.row(row);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn look(status: Json) -> Look {
        Look { at: Instant::now(), counts: None, status }
    }

    fn verified(position: i64, taken_at: i64) -> Json {
        json!({ "is": "from", "position": position, "taken_at": taken_at })
    }

    /// Of two partitions, at a wall clock of 100 s.
    fn kept(second: &Json) -> Look {
        let first = json!({ "partition": 0, "restorable": verified(1204, 40_000) });
        let second = json!({ "partition": 1, "restorable": second });
        look(json!({ "wall": 100_000, "keeps_checkpoints": true, "partitions": [first, second] }))
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_newest_verified_checkpoint_of_each_partition_is_told_with_its_age() {
        let none = rates(None, &look(json!({})));
        let all = kept(&verified(7, 99_500));
        assert!(as_line(&all, &none).ends_with("; lag 0; checkpoints 60 s old at most"), "{}", as_line(&all, &none));
        let drawn = plain(&drawing(&all, &none));
        assert!(drawn.contains("CHECKPOINT\n") && drawn.contains("1204, 60 s old") && drawn.contains("7, 500 ms old"));
        let first = json!({ "partition": 0, "is": "verified", "position": 1204, "taken_at": 40_000, "age_ms": 60_000 });
        let second = json!({ "partition": 1, "is": "verified", "position": 7, "taken_at": 99_500, "age_ms": 500 });
        assert_eq!(as_json(&all, &none)["checkpoints"], json!([first, second]));

        let missing = kept(&json!({ "is": "never" }));
        let line = as_line(&missing, &none);
        assert!(line.ends_with("; no verified checkpoint of partition 1"), "{line}");
        assert!(plain(&drawing(&missing, &none)).contains("none verified"));
        let nothing = json!({ "partition": 1, "is": "none", "position": null, "taken_at": null, "age_ms": null });
        assert_eq!(as_json(&missing, &none)["checkpoints"][1], nothing);
    }

    #[test]
    fn what_nobody_has_looked_at_yet_is_not_missing() {
        let none = rates(None, &look(json!({})));
        let unknown = kept(&json!({ "is": "unknown" }));
        let line = as_line(&unknown, &none);
        assert!(line.ends_with("; checkpoints 60 s old at most, those of partition 1 not looked at yet"), "{line}");
        let drawn = plain(&drawing(&unknown, &none));
        assert!(drawn.contains("not looked yet") && !drawn.contains("none verified"), "{drawn}");
        let json = json!({ "partition": 1, "is": "unknown", "position": null, "taken_at": null, "age_ms": null });
        assert_eq!(as_json(&unknown, &none)["checkpoints"][1], json);

        let partitions = json!([{ "partition": 0, "restorable": { "is": "unknown" } }]);
        let all = look(json!({ "wall": 1, "keeps_checkpoints": true, "partitions": partitions }));
        assert!(as_line(&all, &none).ends_with("; checkpoints not looked at yet"), "{}", as_line(&all, &none));
    }

    #[test]
    fn a_node_that_keeps_no_checkpoints_lacks_none() {
        let none = rates(None, &look(json!({})));
        let look = look(json!({ "wall": 1, "keeps_checkpoints": false, "partitions": [{ "partition": 0 }] }));
        assert!(as_line(&look, &none).ends_with("; lag 0"));
        assert_eq!(as_json(&look, &none)["checkpoints"], Json::Null);
        assert!(plain(&drawing(&look, &none)).trim_end().ends_with('-'));
    }

    #[test]
    fn what_hinders_is_told_once() {
        let none = rates(None, &look(json!({})));
        let status = json!({
            "refused_definitions": { "3": "no proof" }, "ingress": { "lost": [{ "why": "orders/0 lost 5" }], "trouble": null },
            "checkpoints_trouble": { "2": "the vault is away" },
        });
        let told = [
            "the record at offset 3 of `definitions` is refused: no proof",
            "ingress: orders/0 lost 5",
            "partition 2: the vault is away",
        ];
        let look = look(status);
        assert!(
            as_line(&look, &none).ends_with(&told.map(|told| format!("; {told}")).concat()),
            "{}",
            as_line(&look, &none)
        );
        assert_eq!(as_line(&look, &none).matches("no proof").count(), 1);
        assert_eq!(as_json(&look, &none)["troubles"], json!(told));
    }
}
