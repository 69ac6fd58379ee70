//! Every example in docs/definitions.md is right, and every keyword has one.

use std::collections::BTreeSet;

use super::whole::{CONTRACTS, child};
use super::*;
use crate::Definitions;
use crate::definition::tables;
use crate::report::Problems;
use crate::yaml::{self, Kind, Node};

const PAGE: &str = include_str!("../../../../../docs/definitions.md");

/// What an example of some lines stands in: it says the rest that the lines leave out.
const FRAME: [&str; 10] = [
    "saga: s",
    "version: 1.0.0",
    "owner: team",
    "use: [inventory, payment, shipping, mail]",
    "deadline: { after: 14d }",
    "start: { topic: orders, key: event.order_id }",
    "constants: { max_total: 1000000 }",
    "policies: { patient: { attempts: 12 } }",
    "calendars: { office: { zone: UTC, days: mon-fri, hours: 09:00-17:00 } }",
    "facts: { status: { initial: placed }, address: {} }",
];
const STEPS: &str = "steps: [{ step: calm, sleep: 1h }]";

/// The examples of the page.
pub fn examples() -> Vec<String> {
    let blocks = PAGE.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A whole file for an example: a contract, a definition, keys of one, or a list of steps.
pub fn whole(example: &str) -> String {
    if example.starts_with("participant:") {
        return example.to_owned();
    }
    let lines = match example.starts_with("- ") {
        true => format!("steps:\n{}", example.lines().map(|line| format!("  {line}\n")).collect::<String>()),
        false => example.to_owned(),
    };
    let said = |frame: &&&str| lines.lines().any(|line| line.starts_with(&frame[..=frame.find(':').expect("a key")]));
    let rest = FRAME.iter().chain([&STEPS]).filter(|frame| !said(frame));
    rest.fold(lines.clone(), |text, line| text + line + "\n")
}

#[test]
fn every_example_is_right() {
    let contracts = CONTRACTS.into_iter().map(contract).collect();
    let mut children = Definitions::default();
    children.insert(child());
    let examples = examples();
    assert!(examples.len() > 10, "the page has lost its examples");
    for example in examples {
        let text = whole(&example);
        let wrong = match text.starts_with("participant:") {
            true => crate::contract("contract.yaml", &text).err(),
            false => crate::definition_with("example.yaml", &text, &contracts, &children).err(),
        };
        assert!(wrong.is_none(), "{example}\n{}", wrong.unwrap_or_default());
    }
}

fn keys(node: &Node, found: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| keys(item, found)),
        Kind::Map(entries) => entries.iter().for_each(|entry| {
            found.insert(entry.key.clone());
            keys(&entry.value, found);
        }),
    }
}

#[test]
fn every_keyword_has_an_example() {
    let mut shown = BTreeSet::new();
    for example in examples() {
        keys(&yaml::parse(&mut Problems::new("example", &example)).expect("it is YAML"), &mut shown);
    }
    let tables = tables::DEFINITION.iter().chain(&tables::CONTRACT).chain([&tables::BACK_TO]);
    let known = tables.flat_map(|(_, keys)| keys.known.iter().copied()).chain(tables::step_keys());
    let missing: BTreeSet<&str> = known.filter(|key| !shown.contains(*key)).collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
}
