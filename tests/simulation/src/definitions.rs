//! Definitions that a seed draws: YAML, read by the language like anybody's, so that over the seeds every keyword is used in every place
//! where it may stand. What the language refuses is a mistake of this generator: nothing is drawn again.

mod steps;

use std::collections::BTreeMap;

use sagaline_definition::{Contract, Definition};
use sagaline_language::{Contracts, Definitions, definition_with};

use crate::chance::Chance;
use steps::Steps;

/// The name of the definition whose sagas orders begin.
pub const PARENT: &str = "drawn";
/// The name of the one whose sagas are its children.
pub const CHILD: &str = "errand";

/// A run's definitions.
pub struct Drawn {
    /// Children first.
    pub definitions: Vec<Definition>,
    /// What participants can do.
    pub contracts: Vec<Contract>,
    /// What was written, by name, for whoever looks for keywords or for what went wrong.
    pub texts: BTreeMap<String, String>,
}

impl Drawn {
    /// The definitions of this chance.
    ///
    /// # Panics
    /// When the language refuses what was drawn.
    pub fn draw(chance: &mut Chance) -> Self {
        let mut contracts = Contracts::default();
        let mut texts = BTreeMap::new();
        for participant in ["inventory", "payment", "shipping"] {
            let text = contract(participant, chance);
            let read = sagaline_language::contract(participant, &text);
            contracts.insert(read.unwrap_or_else(|report| panic!("{report}\n{text}")).value);
            texts.insert(participant.to_owned(), text);
        }
        let mut known = Definitions::default();
        let mut definitions = Vec::new();
        for (name, text) in [(CHILD, child(chance)), (PARENT, parent(chance))] {
            let read = definition_with(name, &text, &contracts, &known);
            let read = read.unwrap_or_else(|report| panic!("{report}\n{text}")).value;
            definitions.push(read.definition.clone());
            known.insert(read);
            texts.insert(name.to_owned(), text);
        }
        Self { definitions, contracts: contracts.iter().cloned().collect(), texts }
    }
}

fn contract(participant: &str, chance: &mut Chance) -> String {
    let limits = match chance.index(4) {
        0 => format!("limits: {{ in_flight: {}, rate: 20/s }}\n", chance.within(1..=6)),
        1 => format!("limits: {{ in_flight: {} }}\n", chance.within(1..=6)),
        _ => String::new(),
    };
    format!(
        "participant: {participant}
version: 2.0.0
owner: team-{participant}
{limits}types:
  Want: {{ type: record, fields: [{{ name: name, type: string }}, {{ name: count, type: long }}] }}
  Got: {{ type: record, fields: [{{ name: reference, type: string }}, {{ name: count, type: long }}] }}
  Nothing: {{ type: record, fields: [] }}
  Seen: {{ type: record, fields: [{{ name: count, type: long }}, {{ name: open, type: boolean }}] }}
operations:
  take: {{ in: Want, out: Got, idempotent: by_key, compensate: untake, probe: status, refuses: [No, Later] }}
  untake: {{ in: Want, idempotent: by_key }}
  make: {{ in: Want, out: Got, idempotent: by_key, compensate: unmake, refuses: [No, Later] }}
  unmake: {{ in: Want, idempotent: by_key }}
  tell: {{ in: Want, out: Got, idempotent: by_key, refuses: [No, Later] }}
  look: {{ in: Want, out: Seen, reads: true }}
  status: {{ in: Nothing, out: Seen, reads: true }}
"
    )
}

const TYPES: &str = "types:
  Order:
    type: record
    fields:
      - { name: order_id, type: string }
      - { name: product, type: string }
      - { name: count, type: long }
      - { name: open, type: boolean }
      - { name: things, type: array, items: string }
      - { name: starts_at, type: long }
  Letter: { type: record, fields: [{ name: id, type: string }, { name: n, type: long }] }
";

const SHARED: &str = "policies:
  quick: { attempts: 3, backoff: 1s..20s, factor: 1.5, jitter: equal, attempt_timeout: 10s, within: 5m }
  steady: { attempts: 4, backoff: 2s, jitter: none, attempt_timeout: 15s }
constants: { top: 3, words: [a, b] }
calendars:
  days: { zone: UTC, days: [mon, tue, wed, thu, fri, sat, sun], hours: \"00:00-24:00\" }
  late: { zone: Europe/Berlin, days: mon-sun, hours: \"01:06-23:00\", holidays: [2026-01-06] }
";

fn parent(chance: &mut Chance) -> String {
    let again = if chance.strikes(300) { ", again: ended" } else { "" };
    let mut text = format!(
        "saga: {PARENT}
version: 1.{}.0
owner: team-drawn
use: [inventory, payment, shipping]
{TYPES}start: {{ topic: orders, if: event.type == 'placed', key: event.order_id, input: event, type: Order{again} }}
",
        chance.index(9)
    );
    let stuck = chance.strikes(150);
    text.push_str(&format!(
        "deadline: {{ after: {}m, else: {}, after_pivot: stuck }}\n{SHARED}",
        chance.within(5..=20),
        if stuck { "stuck" } else { "compensate" }
    ));
    let mut steps = Steps::new(chance, true);
    steps.draw();
    text.push_str(&steps.facts());
    text.push_str(&steps.reactions());
    text.push_str("steps:\n");
    text.push_str(&steps.text);
    text.push_str(&steps.ensure());
    text
}

fn child(chance: &mut Chance) -> String {
    let mut text = format!(
        "saga: {CHILD}
version: 1.0.0
owner: team-errand
use: [inventory, payment, shipping]
{TYPES}start: {{ type: Order }}
deadline: {{ after: {}m }}
{SHARED}",
        chance.within(3..=10)
    );
    let mut steps = Steps::new(chance, false);
    steps.draw();
    text.push_str(&steps.facts());
    text.push_str("steps:\n");
    text.push_str(&steps.text);
    text.push_str("result: { count: \"${input.count}\" }\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_drawn_is_taken_by_the_language() {
        for seed in 0..2_000 {
            Drawn::draw(&mut Chance::new(seed));
        }
    }
}
