//! Contracts from YAML: what a participant can do. Their static rules are here; what a definition makes of them is in `definition`.

pub mod avro;

use std::collections::BTreeMap;

use sagaline_definition::Contract;
use sagaline_definition::contract::{Idempotence, Limits, Operation};

use crate::fields::parsed;
use crate::fields::{self, Fields, Keys, did_you_mean};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Entry, Node};

pub const CONTRACT: Keys =
    Keys { what: "a contract", known: &["participant", "version", "owner", "limits", "types", "operations"] };
pub const LIMITS: Keys = Keys { what: "`limits`", known: &["in_flight", "rate"] };
pub const OPERATION: Keys =
    Keys { what: "an operation", known: &["in", "out", "idempotent", "compensate", "probe", "refuses", "reads"] };

/// Reads a contract; what is wrong goes to `problems`.
pub fn read(root: &Node, problems: &mut Problems) -> Option<Contract> {
    let fields = Fields::read(root, &CONTRACT, problems)?;
    let participant = fields.required("participant", "participant: payment", problems);
    let participant =
        participant.and_then(|node| parsed(node, "participant's name", lexical::name, problems)).map(str::to_owned);
    let version = fields.required("version", "version: 1.0.0", problems);
    let version = version.and_then(|node| parsed(node, "version", lexical::version, problems)).map(str::to_owned);
    let owner = fields.required("owner", "owner: team-payments", problems);
    let owner = owner.and_then(|node| fields::owner(node, problems)).map(str::to_owned);
    let limits = fields.get("limits").map_or(Some(Limits::default()), |node| limits(node, problems));
    let types = fields.required("types", "types: { Charge: { type: record, fields: [...] } }", problems);
    let types = types.and_then(|node| avro::types(node, problems));
    let operations =
        fields.required("operations", "operations: { charge: { in: Charge, idempotent: by_key } }", problems);
    let operations = operations.and_then(|node| {
        let entries = fields::map(node, "`operations`", problems)?;
        Operations { entries, types: types.as_ref() }.read(problems)
    });
    Some(Contract {
        participant: participant?,
        version: version?,
        owner: owner?,
        limits: limits?,
        types: types?,
        operations: operations?,
    })
}

fn limits(node: &Node, problems: &mut Problems) -> Option<Limits> {
    let fields = Fields::read(node, &LIMITS, problems)?;
    let in_flight = match fields.get("in_flight") {
        Some(node) => Some(parsed(node, "limit", positive, problems)?),
        None => None,
    };
    let rate = match fields.get("rate") {
        Some(node) => Some(parsed(node, "rate", lexical::rate, problems)?),
        None => None,
    };
    Some(Limits { in_flight, rate })
}

fn positive(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "write a whole number above 0: 200".to_owned())
}

/// The operations of one contract, each of which may name others.
struct Operations<'a> {
    entries: &'a [Entry],
    /// None: they could not be read, so that no name of a type can be judged.
    types: Option<&'a BTreeMap<String, sagaline_schemas::Value>>,
}

impl Operations<'_> {
    fn read(&self, problems: &mut Problems) -> Option<BTreeMap<String, Operation>> {
        let mut complete = true;
        let mut operations = BTreeMap::new();
        for entry in self.entries {
            if let Err(help) = lexical::identifier(&entry.key) {
                problems.error(entry.key_span, format!("`{}` is no name of an operation", entry.key), help);
            }
            match self.operation(entry, problems) {
                Some(operation) => drop(operations.insert(entry.key.clone(), operation)),
                None => complete = false,
            }
        }
        for entry in self.entries {
            self.check_references(entry, &operations, problems);
        }
        complete.then_some(operations)
    }

    fn operation(&self, entry: &Entry, problems: &mut Problems) -> Option<Operation> {
        let fields = Fields::read(&entry.value, &OPERATION, problems)?;
        let input = fields.required("in", "in: Charge", problems).and_then(|node| self.type_name(node, problems));
        let output = fields.get("out").map(|node| self.type_name(node, problems));
        let reads = fields.get("reads").map_or(Some(false), |node| fields::flag(node, "`reads`", problems));
        let idempotent = match fields.get("idempotent") {
            Some(node) => parsed(node, "idempotence", idempotence, problems),
            None if reads == Some(true) => Some(Idempotence::Reads),
            None => {
                let message = format!("`{}` does not say what a repeat does", entry.key);
                let help = "write `idempotent: by_key` (safe to repeat), `transaction` or `none`; or `reads: true`";
                problems.error(entry.key_span, message, help);
                None
            }
        };
        let compensate = fields.get("compensate").map(|node| fields::text(node, "an operation's name", problems));
        let probe = fields.get("probe").map(|node| fields::text(node, "an operation's name", problems));
        let refuses = fields.get("refuses").map_or(Some(Vec::new()), |node| refusals(node, problems));
        Some(Operation {
            input: input?,
            output: optional(output)?,
            idempotent: idempotent?,
            compensate: optional(compensate)?.map(str::to_owned),
            probe: optional(probe)?.map(str::to_owned),
            refuses: refuses?,
            reads: reads?,
        })
    }

    fn type_name(&self, node: &Node, problems: &mut Problems) -> Option<String> {
        let name = fields::text(node, "a type's name", problems)?;
        if let Some(types) = self.types
            && !types.contains_key(name)
        {
            let names: Vec<&String> = types.keys().collect();
            problems.error(node.span, format!("there is no type `{name}` in `types`"), did_you_mean(name, &names));
            return None;
        }
        Some(name.to_owned())
    }

    /// What `compensate` and `probe` name must be there and fit for it (records: section 6).
    fn check_references(&self, entry: &Entry, operations: &BTreeMap<String, Operation>, problems: &mut Problems) {
        let Some(Operation { compensate, probe, reads, .. }) = operations.get(&entry.key) else { return };
        let place = |key| fields::map_entry(&entry.value, key).map_or(entry.key_span, |found| found.value.span);
        if let Some(name) = compensate
            && let Some(undo) = self.named_operation(name, place("compensate"), operations, problems)
        {
            if *reads {
                let message = format!("`{}` only reads: there is nothing to compensate", entry.key);
                problems.error(place("compensate"), message, "take out `compensate`, or `reads: true`");
            } else if name == &entry.key {
                problems.error(
                    place("compensate"),
                    "an operation can't compensate itself",
                    "name the one that undoes it",
                );
            } else if !matches!(undo.idempotent, Idempotence::ByKey | Idempotence::Transaction) {
                let message =
                    format!("`{name}` compensates, and so may be repeated: it is neither by_key nor transaction");
                problems.error(
                    place("compensate"),
                    message,
                    format!("make `{name}` `idempotent: by_key` or `transaction`"),
                );
            }
        }
        if let Some(name) = probe
            && let Some(operation) = self.named_operation(name, place("probe"), operations, problems)
            && !operation.reads
        {
            let message = format!("`{name}` is asked what happened, and does not say that it only reads");
            problems.error(place("probe"), message, format!("make `{name}` `reads: true`"));
        }
    }

    /// The operation of that name. None: there is none (reported), or it is broken (reported at its own place).
    fn named_operation<'o>(
        &self,
        name: &str,
        span: crate::source::Span,
        operations: &'o BTreeMap<String, Operation>,
        problems: &mut Problems,
    ) -> Option<&'o Operation> {
        if !self.entries.iter().any(|entry| entry.key == name) {
            let names: Vec<&str> = self.entries.iter().map(|entry| entry.key.as_str()).collect();
            problems.error(
                span,
                format!("there is no operation `{name}` in this contract"),
                did_you_mean(name, &names),
            );
        }
        operations.get(name)
    }
}

/// A key that may be missing, but not be wrong.
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

fn idempotence(text: &str) -> Result<Idempotence, String> {
    match text {
        "by_key" => Ok(Idempotence::ByKey),
        "transaction" => Ok(Idempotence::Transaction),
        "none" => Ok(Idempotence::None),
        _ => Err("write by_key (safe to repeat), transaction (one with the effect store) or none".to_owned()),
    }
}

fn refusals(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    let items = fields::list(node, "`refuses`", problems)?;
    let mut codes: Vec<String> = Vec::new();
    for item in items {
        let Some(code) = parsed(item, "refusal's code", lexical::identifier, problems).map(str::to_owned) else {
            continue;
        };
        if codes.contains(&code) {
            problems.error(item.span, format!("the code `{code}` stands twice"), "keep one of the two");
        }
        codes.push(code);
    }
    (codes.len() == items.len()).then_some(codes)
}

#[cfg(test)]
mod tests;
