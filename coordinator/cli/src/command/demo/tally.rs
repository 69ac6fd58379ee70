//! What came of the orders: how the sagas ended, what the services did by their own ledgers, and whether the coordinator's world reports say the
//! same. Knows what a ledger's lines look like, and nothing of what an order should have come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use sagaline_schemas::{SagaId, hash};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::exit::{Exit, Failure};

/// A line of a service's ledger: something that really happened.
#[derive(Debug, Deserialize)]
struct Line {
    effect_id: String,
    saga: String,
    what: String,
    #[serde(default)]
    amount: i64,
}

/// By which words the ledgers say that something was done, and undone.
const DONE: [&str; 3] = ["reserved", "charged", "dispatched"];
const UNDONE: [&str; 3] = ["released", "refunded", "cancelled"];
/// Differences that are shown one by one.
const MOST_SHOWN: usize = 20;

/// What became of one effect in the world.
#[derive(Debug, Default)]
struct Standing {
    saga: String,
    done: u32,
    undone: u32,
}

/// What came of the orders.
#[derive(Debug)]
pub struct Tally {
    orders: usize,
    took: Duration,
    restarts: usize,
    ends: BTreeMap<String, u64>,
    /// What each service did how often, in the services' order.
    acts: Vec<(String, BTreeMap<String, u64>)>,
    charged: i64,
    refunded: i64,
    effects: BTreeMap<String, Standing>,
    /// What is not as it should be, a line each.
    pub differences: Vec<String>,
}

impl Tally {
    /// Of these orders' keys, by what the coordinator says of each saga.
    pub fn new(orders: &BTreeSet<String>, reports: &[Json], took: Duration, restarts: usize) -> Self {
        let mut ends = BTreeMap::new();
        let mut differences = Vec::new();
        let mut open = orders.clone();
        for report in reports {
            *ends.entry(text(report, "status").to_owned()).or_default() += 1;
            if !open.remove(text(report, "key")) {
                differences.push(format!("{}: nobody ordered it, or it ended twice", text(report, "key")));
            }
        }
        differences.extend(open.iter().map(|order| format!("{order}: no saga knows of it")));
        Self {
            orders: orders.len(),
            took,
            restarts,
            ends,
            acts: Vec::new(),
            charged: 0,
            refunded: 0,
            effects: BTreeMap::new(),
            differences,
        }
    }

    /// Counts a service's ledger.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&mut self, service: &str, path: &Path) -> Result<(), Failure> {
        let ledger = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        let mut acts = BTreeMap::new();
        for line in ledger.lines() {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| Failure::new(Exit::Halted, format_args!("{}: {error}", path.display())))?;
            *acts.entry(line.what.clone()).or_default() += 1;
            self.count(line);
        }
        self.acts.push((service.to_owned(), acts));
        Ok(())
    }

    fn count(&mut self, line: Line) {
        let what = line.what.as_str();
        match what {
            "charged" => self.charged += line.amount,
            "refunded" => self.refunded += line.amount,
            _ => {}
        }
        let standing = self.effects.entry(line.effect_id).or_default();
        standing.saga = line.saga;
        let times = match what {
            _ if DONE.contains(&what) => &mut standing.done,
            _ if UNDONE.contains(&what) => &mut standing.undone,
            _ => return,
        };
        *times += 1;
        if *times > 1 {
            self.differences.push(format!("{}: {what} {times} times", standing.saga));
        }
    }

    /// Does what the coordinator says stand in the world? And does nothing else?
    pub fn compare(&mut self, reports: &[Json]) {
        let mut known = BTreeSet::new();
        for report in reports {
            for effect in report["report"]["effects"].as_array().into_iter().flatten() {
                let id = effect_id(report, effect);
                let stands = self.effects.get(&id).is_some_and(|standing| standing.done > standing.undone);
                if effect["stands"] != json!(stands) {
                    let (key, step, said) = (text(report, "key"), text(effect, "step"), &effect["stands"]);
                    self.differences.push(format!("{key}: the report says {said} of {step}, the ledger {stands}"));
                }
                known.insert(id);
            }
        }
        let strange = self.effects.iter().filter(|(id, _)| !known.contains(*id));
        self.differences.extend(strange.map(|(id, one)| format!("{}: no report knows of the effect {id}", one.saga)));
    }

    fn happened(&self) -> u64 {
        self.effects.values().map(|standing| u64::from(standing.done + standing.undone)).sum()
    }

    /// For people.
    pub fn text(&self, kept: Option<&Path>) -> String {
        let (orders, seconds, restarts) = (self.orders, self.took.as_secs_f64(), self.restarts);
        let mut out = format!(
            "all {orders} orders ended in {seconds:.1} s; services were killed and started again {restarts} times\n\n"
        );
        let mut line = |name: &str, counts: &BTreeMap<String, u64>| {
            let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            writeln!(out, "{name:<10} {}", counts.join(", ")).expect("a text takes all that is written");
        };
        line("orders", &self.ends);
        self.acts.iter().for_each(|(service, acts)| line(service, acts));
        let (charged, refunded) = (self.charged, self.refunded);
        out += &format!("money      {charged} charged, {refunded} refunded, {} kept\n\n", charged - refunded);
        for difference in self.differences.iter().take(MOST_SHOWN) {
            out += &format!("WRONG {difference}\n");
        }
        if self.differences.is_empty() {
            let happened = self.happened();
            out +=
                &format!("{happened} effects, each once; the world reports say what the services' own ledgers say\n");
        }
        if let Some(dir) = kept {
            out += &format!("logs, ledgers and stores are in {}\n", dir.display());
        }
        out
    }

    /// For programs.
    pub fn json(&self, kept: Option<&Path>) -> Json {
        let services: serde_json::Map<String, Json> =
            self.acts.iter().map(|(service, acts)| (service.clone(), json!(acts))).collect();
        json!({
            "orders": self.orders, "ends": self.ends, "seconds": self.took.as_secs_f64(), "restarts": self.restarts,
            "services": services, "effects": self.happened(),
            "money": { "charged": self.charged, "refunded": self.refunded, "kept": self.charged - self.refunded },
            "differences": self.differences, "directory": kept,
        })
    }
}

fn text<'a>(value: &'a Json, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A report names steps and rounds; the ledgers know effects by their ids, which follow from them.
fn effect_id(report: &Json, effect: &Json) -> String {
    let saga: SagaId = text(report, "id").parse().unwrap_or(SagaId::from_bytes([0; 16]));
    let round = effect["round"].as_u64().and_then(|round| u32::try_from(round).ok()).unwrap_or_default();
    hash::effect_id(saga, text(effect, "step"), &[], round).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAGA: &str = "07070707-0707-0707-0707-070707070707";

    fn report(key: &str, stands: Json) -> Json {
        json!({ "id": SAGA, "key": key, "status": "completed",
            "report": { "effects": [{ "step": "charge", "round": 0, "stands": stands }] } })
    }

    fn differences(stands: Json, ledger: &[&str]) -> Vec<String> {
        let reports = [report("o-1", stands)];
        let mut tally = Tally::new(&BTreeSet::from(["o-1".to_owned()]), &reports, Duration::ZERO, 0);
        let id = effect_id(&reports[0], &reports[0]["report"]["effects"][0]);
        for what in ledger {
            let line = Line { effect_id: id.clone(), saga: "order/o-1".into(), what: (*what).into(), amount: 5 };
            tally.count(line);
        }
        tally.compare(&reports);
        tally.differences
    }

    #[test]
    fn what_agrees_is_no_difference() {
        assert_eq!(differences(json!(true), &["charged"]), [""; 0]);
        assert_eq!(differences(json!(false), &["charged", "refunded"]), [""; 0]);
        assert_eq!(differences(json!(false), &["closed"]), [""; 0]);
        assert_eq!(differences(json!(false), &[]), [""; 0]);
    }

    #[test]
    fn what_differs_is_told() {
        assert_eq!(differences(json!(true), &[]), ["o-1: the report says true of charge, the ledger false"]);
        assert_eq!(differences(json!(null), &["charged"]), ["o-1: the report says null of charge, the ledger true"]);
        assert_eq!(differences(json!(true), &["charged", "charged"]), ["order/o-1: charged 2 times"]);
    }

    #[test]
    fn orders_and_sagas_are_the_same() {
        let orders = BTreeSet::from(["o-1".to_owned(), "o-2".to_owned()]);
        let reports = [report("o-1", json!(true)), report("o-3", json!(true))];
        let tally = Tally::new(&orders, &reports, Duration::ZERO, 0);
        assert_eq!(tally.differences, ["o-3: nobody ordered it, or it ended twice", "o-2: no saga knows of it"]);
    }
}
