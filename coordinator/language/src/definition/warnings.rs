//! What is right by the rules, and perhaps not what was meant.

use std::collections::BTreeMap;

use sagaline_definition::model::{Compensate, Policy, Word};

use super::graph::Graph;
use super::outline::Outline;
use super::steps::RawStep;
use crate::fields::{Fields, map_entry, one_or_more};
use crate::report::Problems;
use crate::yaml::{Kind, Node};

/// An effect that stays, before a step that may send the saga back: the end would be called compensated, and would not be.
pub fn irreversible(
    raw: &[RawStep<'_>],
    outlines: &[Outline<'_>],
    graph: &Graph,
    pivot: Option<usize>,
    problems: &mut Problems,
) {
    for (index, outline) in outlines.iter().enumerate() {
        let stays = outline.compensate == Some(Compensate::Never) && !outline.pivot;
        if !stays || pivot.is_some_and(|pivot| graph.is_before(pivot, index)) {
            continue;
        }
        let sends_back =
            |other: &usize| *other != index && !graph.is_before(*other, index) && goes_back(&outlines[*other]);
        if let Some(other) = (0..raw.len()).find(sends_back) {
            let (name, other) = (raw[index].name, raw[other].name);
            let message = format!("`{name}` is never undone, and `{other}` may still send the saga back");
            problems.warning(
                raw[index].name_span,
                message,
                format!("let `{name}` run after `{other}`, or after a pivot"),
            );
        }
    }
}

fn goes_back(outline: &Outline<'_>) -> bool {
    let refused = outline.refused.as_ref();
    let refused =
        refused.is_some_and(|r| r.otherwise == Word::Compensate || r.by_code.values().any(|w| *w == Word::Compensate));
    refused || outline.failed == Some(Word::Compensate)
}

/// Contracts and policies that no step uses.
pub fn unused(
    definition: &Fields<'_>,
    raw: &[RawStep<'_>],
    policies: &BTreeMap<String, Option<Policy>>,
    problems: &mut Problems,
) {
    let called = |participant: &str| {
        let calls = raw.iter().filter_map(|step| scalar(step.fields.get("call")?));
        let start = definition.get("start").and_then(|start| scalar(&map_entry(start, "type")?.value));
        calls.chain(start).any(|written| written.split('.').next() == Some(participant))
    };
    for node in definition.get("use").map(one_or_more).unwrap_or_default() {
        if scalar(node).is_some_and(|name| !called(name)) {
            let message = format!("no step calls `{}`", scalar(node).unwrap_or_default());
            problems.warning(
                node.span,
                message,
                "take it out of `use`: each change of its contract would be one of this definition",
            );
        }
    }
    let retried = |name: &str| {
        raw.iter().any(|step| {
            let own = step.fields.get("retry");
            let undo = step.fields.get("compensate").and_then(|node| Some(&map_entry(node, "retry")?.value));
            [own, undo].into_iter().flatten().any(|node| scalar(node) == Some(name))
        })
    };
    let written = definition.get("policies");
    for name in policies.keys().filter(|name| !retried(name)) {
        if let Some(entry) = written.and_then(|node| map_entry(node, name)) {
            problems.warning(
                entry.key_span,
                format!("no step uses the policy `{name}`"),
                "take it out, or name it: `retry: ...`",
            );
        }
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar.text()),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
