//! Orders, and what the world must look like after them: computed from the orders alone, as scripts/demo-check does. Knows nothing of attempts,
//! retries or stores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

/// The services' ledgers: the witnesses.
const LEDGERS: [&str; 3] = ["inventory.jsonl", "payment.jsonl", "shipping.jsonl"];

/// One order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its id, the sagas' key.
    pub id: String,
    number: i64,
    refused: Refused,
    simulate: Option<String>,
}

/// Where an order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nowhere: it is completed.
    Never,
    /// Nothing is in stock.
    AtReserve,
    /// The account is empty.
    AtCharge,
    /// Nobody delivers there.
    AtDispatch,
}

/// How many acts of each kind and amount.
type Acts = BTreeMap<(String, i64), usize>;

impl Order {
    /// The n-th order: three in twenty are refused somewhere.
    #[must_use]
    pub fn numbered(number: usize) -> Self {
        let refused = match number % 20 {
            3 => Refused::AtReserve,
            9 => Refused::AtCharge,
            15 => Refused::AtDispatch,
            _ => Refused::Never,
        };
        Self::new(number, refused, None)
    }

    /// An order with faults on its way.
    #[must_use]
    pub fn new(number: usize, refused: Refused, simulate: Option<&str>) -> Self {
        let id = format!("order-{number:05}");
        Self { id, number: number as i64, refused, simulate: simulate.map(str::to_owned) }
    }

    /// The event that places it.
    #[must_use]
    pub fn event(&self) -> Value {
        let account =
            if self.refused == Refused::AtCharge { "poor".to_owned() } else { format!("account-{}", self.id) };
        let country = if self.refused == Refused::AtDispatch { "Atlantis" } else { "Portugal" };
        let sku = if self.refused == Refused::AtReserve { "sold-out" } else { "lamp" };
        json!({
            "type": "placed", "order_id": self.id, "account": account, "sku": sku, "quantity": self.quantity(), "total": self.total(),
            "currency": "EUR", "address": { "street": "1 Main Street", "country": country }, "simulate": self.simulate,
        })
    }

    fn quantity(&self) -> i64 {
        1 + self.number % 3
    }

    fn total(&self) -> i64 {
        1_000 + self.number
    }

    fn end(&self) -> &'static str {
        if self.refused == Refused::Never { "completed" } else { "compensated" }
    }

    fn acts(&self) -> Acts {
        let (quantity, total) = (self.quantity(), self.total());
        let acts: &[(&str, i64)] = match self.refused {
            Refused::Never => &[("reserved", quantity), ("charged", total), ("dispatched", 0)],
            Refused::AtReserve => &[],
            Refused::AtCharge => &[("reserved", quantity), ("released", quantity)],
            Refused::AtDispatch => {
                &[("reserved", quantity), ("released", quantity), ("charged", total), ("refunded", total)]
            }
        };
        acts.iter().map(|(what, amount)| (((*what).to_owned(), *amount), 1)).collect()
    }

    fn stands(&self) -> BTreeSet<String> {
        let steps: &[&str] = if self.refused == Refused::Never { &["reserve", "charge", "dispatch"] } else { &[] };
        steps.iter().map(|step| (*step).to_owned()).collect()
    }
}

/// One real effect, as a service's ledger has it.
#[derive(Debug, Deserialize)]
pub struct Act {
    effect_id: String,
    saga: String,
    what: String,
    amount: Option<i64>,
    quantity: Option<i64>,
    /// When, by the wall clock: milliseconds since 1970.
    pub at: u64,
}

impl Act {
    /// The order that it was for.
    #[must_use]
    pub fn order(&self) -> &str {
        self.saga.split_once('/').map_or(self.saga.as_str(), |(_, order)| order)
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self.what.as_str(), "dispatched" | "released")
    }
}

/// Every real effect that the ledgers in `dir` tell. A line that is being written is not there yet, nor is a key closed before anything happened.
///
/// # Errors
/// When a line is none of theirs.
pub fn acts(dir: &Path) -> Result<Vec<Act>> {
    let mut acts = Vec::new();
    for ledger in LEDGERS.map(|name| dir.join(name)).iter().filter(|path| path.exists()) {
        let text = std::fs::read_to_string(ledger)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            acts.push(serde_json::from_str::<Act>(line)?);
        }
    }
    acts.retain(|act| act.what != "closed");
    Ok(acts)
}

/// What the coordinator says of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The order.
    pub key: String,
    /// How it stands.
    pub status: String,
    /// Steps whose effects stand, or may.
    pub stands: BTreeSet<String>,
}

/// Everything in which the world, or the coordinator's word about it, is not as the orders say. Empty: all is well.
#[must_use]
pub fn differences(orders: &[Order], acts: &[Act], reports: &[Report]) -> Vec<String> {
    let mut wrong = repeated(acts);
    let mut done: BTreeMap<&str, Acts> = BTreeMap::new();
    for act in acts {
        let amount = act.amount.or(act.quantity).unwrap_or(0);
        *done.entry(act.order()).or_default().entry((act.what.clone(), amount)).or_default() += 1;
    }
    let mut told: BTreeMap<&str, Vec<&Report>> = BTreeMap::new();
    for report in reports {
        told.entry(report.key.as_str()).or_default().push(report);
    }
    for order in orders {
        let id = order.id.as_str();
        let did = done.remove(id).unwrap_or_default();
        if did != order.acts() {
            wrong.push(format!("{id}: the services did {did:?}, wanted {:?}", order.acts()));
        }
        let wanted = Report { key: id.to_owned(), status: order.end().to_owned(), stands: order.stands() };
        let reported = told.remove(id).unwrap_or_default();
        if reported != [&wanted] {
            wrong.push(format!("{id}: reported as {reported:?}, wanted {wanted:?}"));
        }
    }
    wrong.extend(done.into_keys().chain(told.into_keys()).map(|order| format!("{order}: nobody ordered it")));
    wrong
}

fn repeated(acts: &[Act]) -> Vec<String> {
    let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for act in acts {
        *times.entry((&act.effect_id, &act.what)).or_default() += 1;
    }
    let twice = times.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|((effect, what), times)| format!("effect {effect} was {what} {times} times")).collect()
}
